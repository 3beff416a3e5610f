"""The backed-up VM as Azure Backup knows it: the vault and the native names that every call needs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain.azure.recovery_points import UNDELETE
from domain.azure.resource_ids import VAULT, VIRTUAL_MACHINE, ResourceId, ResourceKind, same_id
from domain.errors import (
    NO_MATCHING_RECOVERY_POINT,
    NOT_PROTECTED,
    RESTORE_REFUSED,
    VALIDATION_FAILED,
    ErrorDetail,
    TerminalError,
)
from domain.times import as_utc, format_time, parse_api_duration, parse_api_time
from domain.warning_codes import WarningCode
from domain.wire import as_flag, as_label, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from domain.errors import RestoreError

_MAX_HINTS: Final = 3


def _id_of(value: object, kind: ResourceKind) -> str | None:
    # URLs are built from it: a truncated id could name another resource.
    try:
        return ResourceId.parse(as_name(value) or "", kind).text
    except ValueError:
        return None


def _is_soft_deleted(state: object) -> bool:
    word = "".join(filter(str.isalpha, as_label(state) or "")).casefold()
    return word.startswith("softdelet")


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftDeletion:
    """A deleted backup whose data Azure still keeps for some time. Nothing can be restored before it is undeleted.

    The members are ``deferredDeleteTimeInUTC`` and ``deferredDeleteTimeRemaining``, ``None`` if they cannot be read.
    """

    deferred_delete_time: datetime | None = None
    remaining: timedelta | None = None

    @classmethod
    def from_api(cls, properties: Mapping[str, Any]) -> Self | None:
        """Read the properties of a protected item; returns ``None`` if they do not say that it is soft-deleted.

        A stopped protection is no deletion: its points can be restored.
        """
        time = parse_api_time(properties.get("deferredDeleteTimeInUTC"))
        remaining = parse_api_duration(properties.get("deferredDeleteTimeRemaining")) or None
        is_scheduled = as_flag(properties.get("isScheduledForDeferredDelete"))
        if is_scheduled is None:
            is_upcoming = as_flag(properties.get("isDeferredDeleteScheduleUpcoming")) is True
            is_scheduled = is_upcoming or time is not None or remaining is not None
        states = (properties.get("protectionState"), properties.get("protectionStatus"))
        if not is_scheduled and not any(map(_is_soft_deleted, states)):
            return None
        return cls(deferred_delete_time=time, remaining=remaining)

    def message_for(self, item: ProtectedItem, now: datetime) -> str:
        """Return what a person must know and do."""
        return (
            f"The backup of {item.source_resource_id} is soft-deleted{self._until(as_utc(now))}: Azure keeps its data "
            f"but restores nothing from it. Undelete it first {UNDELETE}{self._past_time_note(as_utc(now))} "
            f"The item is {item.protected_item_name} in {item.vault_id}."
        )

    def reason(self, now: datetime) -> str:
        """Return why no point of the item can be restored."""
        return f"its item is soft-deleted{self._until(as_utc(now))} and must be undeleted first"

    def _until(self, now: datetime) -> str:
        if self.deferred_delete_time is not None and self.deferred_delete_time > now:
            return f" until {format_time(self.deferred_delete_time)}"
        if self.remaining is None:
            return ""
        try:
            return f" until about {format_time((now + self.remaining).replace(microsecond=0))}"
        except OverflowError:
            return ""

    def _past_time_note(self, now: datetime) -> str:
        # In a recording deferredDeleteTimeInUTC is the time of the deletion, beside the time that remains.
        # So a time in the past does not mean that the data is gone.
        if self.remaining is not None or self.deferred_delete_time is None or self.deferred_delete_time > now:
            return ""
        return (
            f" Its deferredDeleteTimeInUTC, {format_time(self.deferred_delete_time)}, has passed: see in the vault how "
            "long it can still be undeleted."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedItem:
    """Where a VM's backups are. ``region`` is that of the vault and of the VM, which are always the same.

    ``soft_deletion`` is also ``None`` if ``backupStatus`` named the item and the item itself was not read.
    """

    vault_id: str
    container_name: str
    protected_item_name: str
    source_resource_id: str
    region: str
    soft_deletion: SoftDeletion | None = None

    @classmethod
    def from_backup_status(cls, body: Mapping[str, Any], *, source_resource_id: str, region: str) -> Self:
        """Read a ``backupStatus`` answer; raises ``TerminalError`` ``NotProtected`` when it names no vault.

        Only the names decide, not ``protectionStatus``: if the protection is stopped or fails, its points still exist.
        """
        vault_id = _id_of(body.get("vaultId"), VAULT)
        container, item = as_name(body.get("containerName")), as_name(body.get("protectedItemName"))
        if vault_id is None or container is None or item is None:
            code, message = as_text(body.get("errorCode")), as_text(body.get("errorMessage"))
            details = [ErrorDetail(code=code, message=message or code)] if code and code != "Success" else []
            status = as_label(body.get("protectionStatus"))
            status_remark = f" (protectionStatus {status})" if status else ""
            raise TerminalError(
                NOT_PROTECTED,
                f"Azure Backup names no vault in {region} that protects {source_resource_id}{status_remark}. Check the "
                "VM id, or give vaultId if you know the vault: backups that were stopped or soft-deleted are found "
                f"there. {MOVED_VM}",
                details,
            )
        return cls(
            vault_id=vault_id,
            container_name=container,
            protected_item_name=item,
            source_resource_id=source_resource_id,
            region=region,
        )

    @classmethod
    def from_api(cls, body: Mapping[str, Any], *, vault_id: str, region: str) -> Self:
        """Read a protected item. Its names come from its id: only the id has the container's full native name.

        Raises ``TerminalError`` ``NotProtected`` when it is not the item of an Azure VM.
        """
        segments = str(body["id"]).split("/")
        source = next(iter(source_ids(body)), None)
        names = {kind.casefold(): name for kind, name in zip(segments[1::2], segments[2::2], strict=False)}
        if source is None or "protectioncontainers" not in names or "protecteditems" not in names:
            raise TerminalError(NOT_PROTECTED, f"{body['id']} is not the protected item of an Azure VM.")
        return cls(
            vault_id=vault_id,
            container_name=names["protectioncontainers"],
            protected_item_name=names["protecteditems"],
            source_resource_id=source,
            region=region,
            soft_deletion=SoftDeletion.from_api(as_object(body.get("properties"))),
        )


MOVED_VM: Final = (
    "If the VM was moved from another resource group or subscription, its earlier backups are under the id it had "
    "before: give that id as sourceResourceId, together with vaultId."
)


def source_ids(body: Mapping[str, Any]) -> list[str]:
    """Return the ids of the VM that a protected item names, the newer member first; usually both are the same."""
    properties = as_object(body.get("properties"))
    machines = (_id_of(properties.get(name), VIRTUAL_MACHINE) for name in ("sourceResourceId", "virtualMachineId"))
    return [machine for machine in machines if machine is not None]


def protects(body: Mapping[str, Any], vm_id: str) -> bool:
    """Return whether a protected item has the backups of the VM with this id."""
    return any(same_id(source, vm_id) for source in source_ids(body))


def namesakes_of(vm_id: str, bodies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ids of up to three VMs of the same name that protected items name."""
    name = vm_id.rpartition("/")[2].lower()
    others = (source for body in bodies for source in source_ids(body))
    namesakes = dict.fromkeys(source for source in others if source.rpartition("/")[2].lower() == name)
    return list(namesakes)[:_MAX_HINTS]


def not_in_vault_error(vm_id: str, vault_id: str, bodies: Iterable[Mapping[str, Any]]) -> TerminalError:
    """Return the error for a VM of which a vault lists no item; it names the listed VMs that have the same name."""
    namesakes = namesakes_of(vm_id, bodies)
    if namesakes:
        hint = (
            "It lists backups of a VM of the same name under another id. If it is the same VM, which was moved, give "
            f"its former id as sourceResourceId, together with vaultId: {', '.join(namesakes)}"
        )
    else:
        hint = f"Check both ids, or leave vaultId out to have the vault looked up. {MOVED_VM}"
    return TerminalError(NOT_PROTECTED, f"{vault_id} lists no backup of {vm_id}. {hint}")


def soft_deleted_error(
    item: ProtectedItem, deletion: SoftDeletion, now: datetime, refusal: RestoreError | None = None
) -> TerminalError:
    """Return the error for a soft-deleted item, from which nothing can be restored.

    ``refusal`` is the error that led to the question whether the item is soft-deleted. Its code is kept if Azure itself
    refused the restore.
    """
    is_from_azure = refusal is not None and refusal.code in {VALIDATION_FAILED, RESTORE_REFUSED}
    message = deletion.message_for(item, now)
    detail = ErrorDetail(code=WarningCode.ITEM_SOFT_DELETED, message=message, target="sourceResourceId")
    return TerminalError(
        refusal.code if refusal is not None and is_from_azure else NO_MATCHING_RECOVERY_POINT,
        message,
        [detail, *(() if refusal is None else refusal.details)],
        retry_after_s=None if refusal is None else refusal.retry_after_s,
    )
