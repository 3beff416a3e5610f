"""Reads the vaults of a recovery, each once: the items of its members, and the restores that it has had."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.azure.protected_items import ProtectedItem, source_ids
from domain.errors import RestoreError
from domain.recovery.roster import MemberItem, VaultReading, member_restore_id
from domain.restore.state import client_request_id_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.recovery.chosen_members import ChosenMembers
    from queries.backup_api import BackupApi

_MAX_DURATIONS: Final = 200


def read_vault_of_recovery(api: BackupApi, vault_id: str, members: ChosenMembers, recovery_id: str) -> VaultReading:
    """Return what the vault's lists say of the members; raises ``RestoreError`` if its items cannot be read.

    Resource Graph may be hours old: it is good enough to choose members, and this list has their items.
    """
    region = api.get_vault_region(vault_id)
    items = _items(api, vault_id, region, members)
    reading = VaultReading(vault_id=vault_id, region=region, items={str(index): item for index, item in items.items()})
    try:
        return _with_jobs(api, reading, items, recovery_id)
    except RestoreError:
        return reading  # each restore then searches for its job before it posts


def _items(api: BackupApi, vault_id: str, region: str, members: ChosenMembers) -> dict[int, MemberItem]:
    """Return the items of members by their indexes; a soft-deleted one only if there is no other."""
    indexes = {vm.vm_id.lower(): index for index, vm in enumerate(members.vms)}
    found: dict[int, MemberItem] = {}
    for body in api.list_protected_items(vault_id):
        for index in {indexes[vm_id.lower()] for vm_id in source_ids(body) if vm_id.lower() in indexes}:
            if index not in found or found[index].is_deleted:
                item = ProtectedItem.from_api(body, vault_id=vault_id, region=region)
                found[index] = _member_item(item, members.vms[index].vm_id)
    return found


def _member_item(item: ProtectedItem, vm_id: str) -> MemberItem:
    return MemberItem(
        container_name=item.container_name,
        protected_item_name=item.protected_item_name,
        source_resource_id=None if item.source_resource_id == vm_id else item.source_resource_id,
        is_deleted=item.soft_deletion is not None,
    )


def _with_jobs(api: BackupApi, reading: VaultReading, indexes: Iterable[int], recovery_id: str) -> VaultReading:
    """Return the reading with what the vault's restore jobs say. They are read to the end: any may be a member's."""
    members = {client_request_id_for(member_restore_id(recovery_id, index, 1)): index for index in indexes}
    with_jobs: list[int] = []
    durations_s: list[int] = []
    for job in api.list_restore_jobs(reading.vault_id):
        index = members.get((job.activity_id or "").lower())
        if index is not None:
            with_jobs.append(index)
        if job.status.is_good and job.took is not None and len(durations_s) < _MAX_DURATIONS:
            durations_s.append(round(job.took.total_seconds()))
    return replace(reading, with_jobs=tuple(with_jobs), durations_s=tuple(durations_s))
