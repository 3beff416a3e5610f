"""Finds the protected item of a request: by the VM, in a vault, or by its native names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.azure.protected_items import ProtectedItem, not_in_vault_error, protects
from domain.errors import TerminalError

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.calls import ResolveItem
    from queries.backup_api import BackupApi


def find_item(api: BackupApi, wanted: ResolveItem) -> ProtectedItem:
    """Return the protected item; raises ``RestoreError``, with the code ``NotProtected`` if the VM has no backup."""
    vm_id = wanted.source_resource_id
    if wanted.vault_id is None:
        return _of_vm(api, vm_id or "")
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


def _of_vm(api: BackupApi, vm_id: str) -> ProtectedItem:
    try:
        region = api.get_virtual_machine_region(vm_id)
    except TerminalError as error:
        if error.code != errors.NOT_FOUND:
            raise
        message = (
            f"Azure finds no VM with the id {vm_id}, so its vault cannot be looked up. It may have been deleted or "
            "moved, or the id is wrong. Give vaultId to restore it from that vault."
        )
        raise TerminalError(errors.NOT_FOUND, message, error.details) from error
    status = api.get_backup_status(vm_id, region)
    return ProtectedItem.from_backup_status(status, source_resource_id=vm_id, region=region)


def _in_vault(api: BackupApi, vm_id: str, vault_id: str, region: str) -> ProtectedItem:
    """Return the vault's item of a VM; a soft-deleted one only if there is no other."""
    deleted: ProtectedItem | None = None
    others: list[Json] = []
    for body in api.list_protected_items(vault_id):
        if not protects(body, vm_id):
            others.append(body)
            continue
        item = ProtectedItem.from_api(body, vault_id=vault_id, region=region)
        if item.soft_deletion is None:
            return item
        deleted = item
    if deleted is None:
        raise not_in_vault_error(vm_id, vault_id, others)
    return deleted
