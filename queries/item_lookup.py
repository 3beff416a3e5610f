"""Finds the protected item of a request: by the VM, in a vault, or by its native names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.azure.protected_items import ProtectedItem, not_in_vault_error, protects
from domain.errors import TerminalError
from queries.vault_search import find_in_vaults, read_vault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.restore.calls import ResolveItem
    from queries.backup_api import BackupApi


def find_item(api: BackupApi, wanted: ResolveItem, vault_ids: Sequence[str] = ()) -> ProtectedItem:
    """Return the protected item; raises ``RestoreError``, with the code ``NotProtected`` if the VM has no backup.

    If Azure does not show the VM to the app, because it is deleted or because a role is missing, its item is searched
    for in ``vault_ids``, the vaults of the setting ``RESTORE_SCOPES``.
    """
    vm_id = wanted.source_resource_id
    if wanted.vault_id is None:
        return _of_vm(api, vm_id or "", vault_ids)
    region = api.get_vault_region(wanted.vault_id)
    if wanted.container_name is None or wanted.protected_item_name is None:
        return _in_vault(api, vm_id or "", wanted.vault_id, region)
    body = api.get_protected_item(wanted.vault_id, wanted.container_name, wanted.protected_item_name)
    item = ProtectedItem.from_api(body, vault_id=wanted.vault_id, region=region)
    if vm_id is not None and not protects(body, vm_id):
        message = (
            f"{item.protected_item_name} protects {item.source_resource_id}, not {vm_id}. "
            "Correct sourceResourceId, or containerName and protectedItemName."
        )
        raise TerminalError(errors.NOT_PROTECTED, message)
    return item


def _of_vm(api: BackupApi, vm_id: str, vault_ids: Sequence[str]) -> ProtectedItem:
    try:
        region = api.get_virtual_machine_region(vm_id)
        status = api.get_backup_status(vm_id, region)
    except TerminalError as error:
        if error.code != errors.NOT_FOUND and not error.is_forbidden:  # without a valid token no vault can be read
            raise
        return find_in_vaults(api, vm_id, vault_ids, error)
    return ProtectedItem.from_backup_status(status, source_resource_id=vm_id, region=region)


def _in_vault(api: BackupApi, vm_id: str, vault_id: str, region: str) -> ProtectedItem:
    """Return the vault's item of a VM; a soft-deleted one only if there is no other."""
    found = read_vault(api, vm_id, vault_id)
    if found.item is None:
        raise not_in_vault_error(vm_id, vault_id, found.others)
    return ProtectedItem.from_api(found.item, vault_id=vault_id, region=region)
