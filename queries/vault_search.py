"""Searches vaults for the protected item of a VM that Azure does not show to the app."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.azure.protected_items import ProtectedItem, SoftDeletion, namesakes_of, protects
from domain.azure.resource_ids import same_id, subscription_of
from domain.errors import ErrorDetail, RestoreError, TerminalError, TransientError
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from domain.errors import Json
    from queries.backup_api import BackupApi

_MAX_SEARCH_S: Final = 60.0
"""After this time no further vault is read. One list may take two minutes more; HTTP answers must come in 230 s."""
_HINT: Final = "give vaultId, or name its vault in vaultIds of the setting RESTORE_SCOPES"


@dataclass(frozen=True, slots=True)
class VaultContents:
    """The item of a VM in a vault, as Azure sends it, or ``None``; and the items of other VMs."""

    item: Json | None
    others: list[Json]


def read_vault(api: BackupApi, vm_id: str, vault_id: str) -> VaultContents:
    """Return the vault's item of a VM; a soft-deleted one only if there is no other."""
    deleted: Json | None = None
    others: list[Json] = []
    for body in api.list_protected_items(vault_id):
        if not protects(body, vm_id):
            others.append(body)
        elif _is_deleted(body):
            deleted = body
        else:
            return VaultContents(body, others)
    return VaultContents(deleted, others)


def _is_deleted(body: Json) -> bool:
    return SoftDeletion.from_api(as_object(body.get("properties"))) is not None


def find_in_vaults(
    api: BackupApi,
    vm_id: str,
    vault_ids: Sequence[str],
    cause: TerminalError,
    *,
    timer: Callable[[], float] = time.monotonic,
) -> ProtectedItem:
    """Return the item of a VM in the first of the vaults that has it; a soft-deleted one only if there is no other.

    ``cause`` is the error because of which the vault could not be looked up. Only vaults of the VM's subscription are
    read, because a vault protects no others. A vault that cannot be read does not prevent the search in the others. If
    no other has the item, the error names the vault that could not be read: ``TransientError`` if it may be readable
    later, else ``TerminalError`` with the code of ``cause``.
    """
    candidates = [vault for vault in vault_ids if same_id(subscription_of(vault), subscription_of(vm_id))]
    if not candidates:
        raise _not_searched_error(vm_id, cause)
    search, until = _Search(api, vm_id), timer() + _MAX_SEARCH_S
    for vault_id in candidates:
        item = search.read(vault_id, late=timer() > until)
        if item is not None:
            return item
    if search.deleted is not None and not search.failures:
        return search.deleted
    raise search.error(candidates, cause)


class _Search:
    """What was found in the vaults so far."""

    def __init__(self, api: BackupApi, vm_id: str) -> None:
        self._api = api
        self._vm_id = vm_id
        self._others: list[Json] = []
        self.deleted: ProtectedItem | None = None
        self.failures: dict[str, RestoreError] = {}

    def read(self, vault_id: str, *, late: bool) -> ProtectedItem | None:
        """Return the vault's item of the VM unless it is soft-deleted; a failure is noted."""
        try:
            if late:
                message = f"It was not read, because the search has taken more than {_MAX_SEARCH_S:.0f} s."
                raise TransientError(errors.SERVICE_UNAVAILABLE, message)
            found = read_vault(self._api, self._vm_id, vault_id)
            self._others += found.others
            if found.item is None:
                return None
            item = ProtectedItem.from_api(found.item, vault_id=vault_id, region=self._api.get_vault_region(vault_id))
        except RestoreError as error:
            self.failures[vault_id] = error
            return None
        if item.soft_deletion is None:
            return item
        self.deleted = self.deleted or item
        return None

    def error(self, candidates: Sequence[str], cause: TerminalError) -> RestoreError:
        """Return the error that says which vaults have no such item and which could not be read."""
        sentences = [_reason(self._vm_id, cause)]
        if listed := [vault for vault in candidates if vault not in self.failures]:
            state = "that is not soft-deleted " if self.deleted else ""
            sentences.append(f"No backup of it {state}is listed by {', '.join(listed)}.")
        if self.deleted:
            sentences.append(f"A soft-deleted one is in {self.deleted.vault_id}.")
        sentences += [f"{vault} could not be searched: {error.message}" for vault, error in self.failures.items()]
        if namesakes := namesakes_of(self._vm_id, self._others):
            sentences.append(
                "Backups of a VM of the same name are listed under another id. If it is the same VM, which was moved, "
                f"give its former id as sourceResourceId: {', '.join(namesakes)}."
            )
        sentences.append(f"Check the id; if the VM is backed up in another vault, {_HINT}.")
        text = " ".join(sentences)
        details = [
            *cause.details,
            *(
                ErrorDetail(code=error.code, message=f"{vault}: {error.message}")
                for vault, error in self.failures.items()
            ),
        ]
        transient = [error for error in self.failures.values() if not isinstance(error, TerminalError)]
        if transient:
            waits = [error.retry_after_s for error in transient if error.retry_after_s is not None]
            return TransientError(transient[0].code, text, details, retry_after_s=max(waits, default=None))
        return TerminalError(cause.code, text, details, retry_after_s=cause.retry_after_s)


def _reason(vm_id: str, cause: TerminalError) -> str:
    if cause.code == errors.NOT_FOUND:
        return (
            f"Azure finds no VM with the id {vm_id}, so its vault cannot be looked up. It may have been deleted or "
            "moved, or the id is wrong."
        )
    return f"The app's identity may not look up the vault of {vm_id}: it lacks a permission on the VM or subscription."


def _not_searched_error(vm_id: str, cause: TerminalError) -> TerminalError:
    if cause.code == errors.NOT_FOUND:
        message = f"{_reason(vm_id, cause)} Give vaultId to restore it from that vault, or name the vault in vaultIds"
        message += " of the setting RESTORE_SCOPES."
    else:
        message = f"{cause.message} Or {_HINT}: then no permission on the VM is needed."
    return TerminalError(cause.code, message, cause.details, retry_after_s=cause.retry_after_s)
