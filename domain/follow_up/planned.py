"""The calls that a restore would make with its disks, for a plan (``dryRun``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from domain.errors import Json
from domain.follow_up.bodies import attach_body, deployment_body, interface_body, machine_body
from domain.follow_up.creation import interface_id_of
from domain.follow_up.creation_calls import DiskPlace, PutNetworkInterface, PutVirtualMachine
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


def planned_follow_up(
    request: RestoreRequest, machine: VirtualMachine | None, source_size: str | None = None
) -> tuple[PlannedCall, ...]:
    """Return the calls in their order; none where nothing is done with the disks."""
    if request.then_create_virtual_machine is not None:
        return tuple(_creation(request, request.then_create_virtual_machine, source_size))
    if request.then_attach_disks is not None:
        return tuple(_attachment(request.then_attach_disks))
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


def _creation(request: RestoreRequest, asked: Json, source_size: str | None) -> Iterator[PlannedCall]:
    """Yield the calls that make a new VM. Values in braces are known only when the disks are restored."""
    vm_id, group_id = request.new_virtual_machine_id or "", request.target_group or ""
    if asked.get("template", False):
        path = f"{group_id}/providers/Microsoft.Resources/deployments/restore-{{id}}"
        template = "{the template that Azure Backup writes, as far as it is allowed}"
        yield PlannedCall(method="PUT", path=path, body=deployment_body(template))
    else:
        interface, machine = _own_calls(request, asked, vm_id, source_size)
        yield PlannedCall(method="PUT", path=interface.interface_id, body=interface_body(interface))
        yield PlannedCall(method="PUT", path=vm_id, body=machine_body(machine))
    if not asked.get("start", True):
        yield PlannedCall(method="POST", path=f"{vm_id}/deallocate")


def _own_calls(
    request: RestoreRequest, asked: Json, vm_id: str, source_size: str | None
) -> tuple[PutNetworkInterface, PutVirtualMachine]:
    interface = PutNetworkInterface(
        restore_id="{id}",
        interface_id=interface_id_of(vm_id),
        location="{region of the disks}",
        subnet_id=asked["subnetId"],
        private_ip_address=asked.get("privateIpAddress"),
        network_security_group_id=asked.get("networkSecurityGroupId"),
        tags=asked.get("tags", {}),
    )
    zones = [zone for zone in request.body.get("zones", ()) if zone != "NoZone"]
    luns = [lun for lun in request.disk_luns or () if lun >= 0]
    machine = PutVirtualMachine(
        restore_id="{id}",
        vm_id=vm_id,
        location="{region of the disks}",
        size=asked.get("size", source_size or "{size of the backed-up VM}"),
        os_disk_id="{restored OS disk}",
        os_type="{operating system of the disk}",
        interface_id=interface.interface_id,
        data_disks=tuple(DiskPlace(lun=lun, disk_id=f"{{restored disk of LUN {lun}}}") for lun in luns),
        zone=zones[0] if zones else None,
        license_type=asked.get("licenseType"),
        availability_set_id=asked.get("availabilitySetId"),
        user_assigned_identity_ids=tuple(asked.get("userAssignedIdentityIds", ())),
        tags=asked.get("tags", {}),
    )
    return interface, machine


def _attachment(asked: Json) -> Iterator[PlannedCall]:
    luns: list[int] | None = asked.get("luns")
    disks = ["{each restored data disk}"] if luns is None else [_named(lun) for lun in luns]
    path = f"{asked['virtualMachineId']}/attachDetachDataDisks"
    yield PlannedCall(method="POST", path=path, body=attach_body(disks))
    if asked.get("deleteOthers", False):
        yield PlannedCall(method="DELETE", path="{each other restored disk}")


def _named(lun: int) -> str:
    return "{restored OS disk}" if lun < 0 else f"{{restored disk of LUN {lun}}}"


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
