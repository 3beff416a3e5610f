"""What must hold before disks are restored for a new VM or for another one, as far as the app can know beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.azure.permissions import READ_BLOBS, missing_data_actions
from domain.azure.resource_ids import same_region
from domain.azure.swap_constraints import HIBERNATED
from domain.errors import AUTHORIZATION_FAILED, NOT_FOUND, ErrorDetail
from domain.reading import MISSING_FIELD, NOT_ALLOWED
from domain.request_schema import ATTACH_DISKS, CREATE_VIRTUAL_MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.azure.permissions import Permission
    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.azure.virtual_machines import VirtualMachine
    from domain.requests import RestoreRequest


def needs_source_size(request: RestoreRequest) -> bool:
    """Return whether the new VM gets the size of the backed-up one, which must then be read."""
    asked = request.then_create_virtual_machine
    return asked is not None and "size" not in asked and not asked.get("template", False)


def disk_violations(request: RestoreRequest, point: RecoveryPoint) -> Iterable[ErrorDetail]:
    """Yield an error if the restore makes no managed disks, which alone can be used afterwards."""
    if not point.managed and request.body.get("restoreWithManagedDisks") is not True:
        message = "must be true: the recovery point has unmanaged disks, and only managed ones can be used afterwards"
        yield ErrorDetail(code=NOT_ALLOWED, message=message, target="restoreWithManagedDisks")


def name_taken(vm_id: str) -> ErrorDetail:
    """Return the error for a new VM whose id another VM has."""
    message = f"{vm_id} exists already; choose another name"
    return ErrorDetail(code=NOT_ALLOWED, message=message, target=CREATE_VIRTUAL_MACHINE)


def size_unknown(source_id: str) -> ErrorDetail:
    """Return the error for a backed-up VM that is gone, so that its size is not known."""
    message = f"is needed, because Azure does not find {source_id}, whose size the new VM would get"
    return ErrorDetail(code=MISSING_FIELD, message=message, target=f"{CREATE_VIRTUAL_MACHINE}.size")


def template_violations(account_id: str, permissions: Sequence[Permission]) -> Iterable[ErrorDetail]:
    """Yield an error if the permissions at the staging account are not enough to read the template of the job."""
    if missing_data_actions([READ_BLOBS], permissions):
        message = (
            f"the app's identity may not read blobs of {account_id}, where the template will be: give it the role "
            "Storage Blob Data Reader there, or ReadTemplates (docs/deploying.md, Roles). A new role takes some "
            "minutes to work"
        )
        yield ErrorDetail(code=AUTHORIZATION_FAILED, message=message, target=f"{CREATE_VIRTUAL_MACHINE}.template")


def size_refused(problem: str) -> ErrorDetail:
    """Return the error for a size of which no VM can be made."""
    return ErrorDetail(code=NOT_ALLOWED, message=problem, target=f"{CREATE_VIRTUAL_MACHINE}.size")


def machine_not_found(vm_id: str) -> ErrorDetail:
    """Return the error for a VM that should get disks and does not exist."""
    message = f"Azure does not find {vm_id}; check the id"
    return ErrorDetail(code=NOT_FOUND, message=message, target=f"{ATTACH_DISKS}.virtualMachineId")


def machine_violations(request: RestoreRequest, item: ProtectedItem, machine: VirtualMachine) -> Iterable[ErrorDetail]:
    """Yield an error for each reason why a VM could not get the restored disks as it is: its region, zone, state."""
    target = f"{ATTACH_DISKS}.virtualMachineId"
    if machine.location and not same_region(machine.location, item.region):
        message = f"the VM is in {machine.location}, but the disks are restored to {item.region}"
        yield ErrorDetail(code=NOT_ALLOWED, message=message, target=target)
    if machine.is_hibernated:
        yield ErrorDetail(code=NOT_ALLOWED, message=HIBERNATED, target=target)
    zones: list[str] = request.body.get("zones", [])
    if zones and zones != [machine.zone or "NoZone"]:
        where = "in no zone" if machine.zone is None else f"in zone {machine.zone}"
        message = f"the VM is {where}, and its disks must be, too; zones says where they are restored"
        yield ErrorDetail(code=NOT_ALLOWED, message=message, target="zones")
