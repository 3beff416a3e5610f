"""The calls that a restore would make with its disks, for a plan (``dryRun``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from domain.errors import Json
from domain.follow_up.disk_changes import storage_profile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
    from domain.requests import RestoreRequest

TAGS_PATH: Final = "/providers/Microsoft.Resources/tags/default"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCall:
    """A call to Azure that would be made after the restore. Reads that only wait for its end are left out."""

    method: str
    path: str
    body: Json | None = field(
        default=None,
        metadata={"description": "In it, `{restored disk of LUN 0}` stands for a disk that does not exist yet."},
    )


def planned_follow_up(request: RestoreRequest, machine: VirtualMachine | None) -> tuple[PlannedCall, ...]:
    """Return the calls in their order; none where nothing is done with the disks."""
    asked = request.then_swap_disks
    if asked is None or machine is None:
        return ()
    is_data_only = asked.get("dataDisksOnly", False)
    replaced = [disk for disk in machine.disks if _is_replaced(disk, request.disk_luns, is_data_only=is_data_only)]
    disks = [_restored(disk) if disk in replaced else disk for disk in machine.disks]
    profile = storage_profile(disk for disk in disks if disk.lun is not None or not is_data_only)
    calls = [
        PlannedCall(method="POST", path=f"{machine.vm_id}/deallocate"),
        PlannedCall(method="PATCH", path=machine.vm_id, body={"properties": {"storageProfile": profile}}),
    ]
    if asked.get("start", True):
        calls.append(PlannedCall(method="POST", path=f"{machine.vm_id}/start"))
    return (*calls, *_tagging(replaced))


def _is_replaced(disk: AttachedDisk, luns: list[int] | None, *, is_data_only: bool) -> bool:
    if disk.lun is None:
        return not is_data_only and (luns is None or -1 in luns)
    return luns is None or disk.lun in luns


def _restored(disk: AttachedDisk) -> AttachedDisk:
    name = "{restored OS disk}" if disk.lun is None else f"{{restored disk of LUN {disk.lun}}}"
    return replace(disk, disk_id=name, name=name)


def _tagging(disks: list[AttachedDisk]) -> Iterator[PlannedCall]:
    for disk in disks:
        if disk.disk_id:
            yield PlannedCall(
                method="PATCH",
                path=f"{disk.disk_id}{TAGS_PATH}",
                body={"operation": "Merge", "properties": {"tags": {"restore-id": "{id}", "replaced-on": "{time}"}}},
            )
