"""What must hold for a VM whose disks are to be swapped for restored ones, as far as the app can know it beforehand.

Azure Compute refuses what is wrong here only when the VM is stopped already, or never: a role that may not start the VM
shows itself after the deallocation. Source: Microsoft's documentation of swapping OS disks, ephemeral OS disks and
management locks, and refusals that users report (``docs/simulator.md``, Compute).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.azure.permissions import missing_actions
from domain.azure.resource_ids import same_region
from domain.azure.restore_constraints import crosses_subscriptions
from domain.errors import AUTHORIZATION_FAILED, NOT_FOUND, ErrorDetail
from domain.reading import NOT_ALLOWED
from domain.request_schema import SWAP_DISKS
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from domain.azure.management_locks import ManagementLock
    from domain.azure.permissions import Permission
    from domain.azure.protected_items import ProtectedItem
    from domain.azure.recovery_points import RecoveryPoint
    from domain.azure.virtual_machines import VirtualMachine
    from domain.requests import RestoreRequest

_WITHOUT_SWAP: Final = f"leave out {SWAP_DISKS} to get only the disks"
_VM_ACTIONS: Final = "Microsoft.Compute/virtualMachines/"
HIBERNATED: Final = (
    "the VM is hibernated, and Azure neither attaches disks to such a VM nor detaches them; start it, or start it and "
    "then deallocate it without hibernation"
)
"""The message for a VM that cannot get disks as it is now. Source: Microsoft's documentation of hibernation."""
_NO_SECURITY: Final = frozenset({"none", "standard"})


def vm_not_found(vm_id: str) -> ErrorDetail:
    """Return the error for a VM that does not exist any more."""
    message = f"Azure does not find the VM {vm_id}, so it has no disks to swap; {_WITHOUT_SWAP}"
    return ErrorDetail(code=NOT_FOUND, message=message, target=SWAP_DISKS)


def machine_violations(
    request: RestoreRequest, point: RecoveryPoint, item: ProtectedItem, machine: VirtualMachine
) -> Iterable[ErrorDetail]:
    """Yield an error for each reason why the restored disks could not become those of the VM."""
    if machine.is_os_disk_ephemeral:
        yield _violation(
            SWAP_DISKS,
            f"the VM has an ephemeral OS disk, which cannot be swapped, and it cannot be deallocated; {_WITHOUT_SWAP}",
        )
    if machine.has_guest_encryption or point.encrypted:
        whose = "VM's disks" if machine.has_guest_encryption else "disks of the recovery point"
        yield _violation(
            SWAP_DISKS,
            f"the {whose} are encrypted with Azure Disk Encryption; Azure does not swap such disks; {_WITHOUT_SWAP}",
        )
    if not machine.is_os_disk_ephemeral and not all(disk.disk_id for disk in machine.disks):
        yield _violation(SWAP_DISKS, "the VM has unmanaged disks; convert them to managed disks first")
    if machine.is_hibernated:
        yield _violation(SWAP_DISKS, f"{HIBERNATED}; {_WITHOUT_SWAP}")
    if not point.managed and point.snapshot_only:
        message = "its unmanaged disks can become managed ones only from the vault tier; choose a point that is there"
        yield _violation("recoveryPoint", message)
    yield from _os_violations(request, point, machine)
    yield from _place_violations(request, item, machine)


def _os_violations(request: RestoreRequest, point: RecoveryPoint, machine: VirtualMachine) -> Iterable[ErrorDetail]:
    """Yield an error if the restored OS disk does not fit; points without a security type say ``None`` or nothing."""
    if _wish(request).get("dataDisksOnly", False):
        if request.disk_luns is not None and all(lun < 0 for lun in request.disk_luns):
            yield _violation("restoreDiskLunList", "names no data disk, and only data disks are to be swapped")
        return
    either = f"choose another recovery point, or swap data disks only ({SWAP_DISKS}.dataDisksOnly)"
    if point.os_type is not None and machine.os_type is not None and not _same(point.os_type, machine.os_type):
        message = f"the recovery point has {point.os_type}, but the VM has {machine.os_type} now; {either}"
        yield _violation("recoveryPoint", message)
    wanted = point.security_type
    if wanted is not None and wanted.casefold() not in _NO_SECURITY and not _same(wanted, machine.security_type or ""):
        message = f"the recovery point is of a {wanted} VM, but the VM is {machine.security_type or 'Standard'} now"
        yield _violation("recoveryPoint", f"{message}; {either}")


def _place_violations(request: RestoreRequest, item: ProtectedItem, machine: VirtualMachine) -> Iterable[ErrorDetail]:
    if machine.location and not same_region(machine.location, item.region):
        message = f"the VM is in {machine.location}, but its disks are restored to {item.region}; {_WITHOUT_SWAP}"
        yield _violation(SWAP_DISKS, message)
    zones: list[str] = request.body.get("zones", [])
    own = [machine.zone or "NoZone"]
    if zones and zones != own:
        where = "in no zone" if machine.zone is None else f"in zone {machine.zone}"
        yield _violation("zones", f"the VM is {where}, and its disks must be, too; leave zones out, or give {own}")
    if "targetResourceGroupId" in request.body and crosses_subscriptions(request, machine.vm_id):
        message = "a VM can have only disks of its own subscription; choose a resource group there"
        yield _violation("targetResourceGroupId", message)


def warning_of_scale_set(machine: VirtualMachine) -> str | None:
    """Return the warning for a VM that belongs to a scale set; ``None`` if it belongs to none.

    A scale set with automatic repairs deletes an instance whose application does not answer, and makes a new one, ten
    minutes after a change of its state by default. Microsoft does not say that it spares those that are deallocated.
    """
    if machine.scale_set_id is None:
        return None
    return (
        f"The VM belongs to the scale set {machine.scale_set_id}. If that repairs or scales its instances "
        "automatically, it may replace or delete the VM while it is deallocated. Suspend that until the restore has "
        "ended (az vmss set-orchestration-service-state --service-name AutomaticRepairs --action Suspend)."
    )


def permission_violations(
    request: RestoreRequest, vm_id: str, permissions: Sequence[Permission]
) -> Iterable[ErrorDetail]:
    """Yield an error if the permissions at a VM are not enough to deallocate it, change its disks and start it."""
    actions = ["deallocate/action", "write", *(["start/action"] if _wish(request).get("start", True) else [])]
    missing = missing_actions([f"{_VM_ACTIONS}{action}" for action in actions], permissions)
    if missing:
        message = (
            f"the app's identity lacks {', '.join(missing)} at {vm_id}; give it the role SwapDisks on the VM's "
            "resource group (docs/deploying.md, Roles). A new role takes some minutes to work"
        )
        yield ErrorDetail(code=AUTHORIZATION_FAILED, message=message, target=SWAP_DISKS)


def lock_violations(vm_id: str, locks: Iterable[ManagementLock]) -> Iterable[ErrorDetail]:
    """Yield an error for each lock that forbids changes of a VM."""
    for lock in locks:
        if lock.forbids_changes_of(vm_id):
            message = (
                f"the ReadOnly lock {lock.name} on {lock.scope} forbids changes of the VM; remove it, and set it again "
                "after the swap"
            )
            yield _violation(SWAP_DISKS, message)


def _wish(request: RestoreRequest) -> Mapping[str, Any]:
    return as_object(request.then_swap_disks)


def _same(left: str, right: str) -> bool:
    return left.casefold() == right.casefold()


def _violation(target: str, message: str) -> ErrorDetail:
    return ErrorDetail(code=NOT_ALLOWED, message=message, target=target)
