"""The bodies of disks: those in a recovery point, those of a VM, and those that a restore has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.formats import iso_time

if TYPE_CHECKING:
    from simulator.jobs import Job
    from simulator.scenario import Vm


def disks_body(vm: Vm) -> dict[str, Any]:
    """Write which disks are in a VM's recovery points; the OS disk counts as LUN -1."""
    included, excluded = [_disk_body(vm, -1, vm.disk_gb)], list[dict[str, Any]]()
    for disk in vm.data_disks:
        backed_up = vm.disk_exclusion is None or vm.disk_exclusion.backs_up(disk.lun)
        (included if backed_up else excluded).append(_disk_body(vm, disk.lun, disk.size_gb))
    return {
        "numberOfDisksIncludedInBackup": len(included),
        "numberOfDisksAttachedToVm": len(included) + len(excluded),
        "includedDiskList": included,
        "excludedDiskList": excluded,
    }


def own_disk_bodies(vm: Vm, disks_path: str) -> list[dict[str, Any]]:
    """Write the managed disks that a VM of the scenario has had all along."""

    def body(name: str, size_gb: float, more: dict[str, Any]) -> dict[str, Any]:
        return _managed_disk_body(vm, f"{disks_path}/{name}", size_gb, more)

    mark = uuid5(NAMESPACE_URL, vm.key).hex
    os_disk = body(f"{vm.name}_OsDisk_1_{mark}", vm.disk_gb, {"osType": vm.os_type})
    return [os_disk, *(body(f"{vm.name}_DataDisk_{disk.lun}", disk.size_gb, {}) for disk in vm.data_disks)]


def restored_disk_bodies(job: Job, vm: Vm, disks_path: str) -> list[dict[str, Any]]:
    """Write the managed disks that a job has made, with the members by which they can be told apart."""
    machine = job.target.vm_name or vm.name
    # Public configurations with restored disks show the names without dashes.
    prefix = "".join(letter for letter in machine.lower() if letter.isalnum())
    sizes_gb = {disk.lun: disk.size_gb for disk in vm.data_disks}
    made = {
        "timeCreated": iso_time(job.ends_at()),
        "diskState": "Unattached" if job.kind == "disks" else "Attached",
        "creationData": {"createOption": "Restore"},
    }

    def body(kind: str, size_gb: float, more: dict[str, Any]) -> dict[str, Any]:
        name = f"{prefix}-{kind}-{job.started:%Y%m%d-%H%M%S}"
        written = _managed_disk_body(vm, f"{disks_path}/{name}", size_gb, {**made, **more})
        if job.tags_disks:
            written["tags"] = {"RSVaultBackup": job.job_id}
        if job.kind == "new_vm":
            written["managedBy"] = job.target.vm_id
        return written

    os_disk = body("osdisk", vm.disk_gb, {"osType": vm.os_type})
    return [os_disk, *(body(f"datadisk-{lun:03d}", sizes_gb[lun], {}) for lun in job.data_luns)]


def _managed_disk_body(vm: Vm, disk_id: str, size_gb: float, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": disk_id.rpartition("/")[2],
        "id": disk_id,
        "type": "Microsoft.Compute/disks",
        "location": vm.location,
        "properties": {
            "provisioningState": "Succeeded",
            "diskState": "Attached",
            "diskSizeGB": int(size_gb),
            "timeCreated": "2024-03-01T08:00:00.1234567+00:00",
            **properties,
        },
    }


def _disk_body(vm: Vm, lun: int, size_gb: float) -> dict[str, Any]:
    name = f"{vm.name}-osdisk" if lun < 0 else f"{vm.name}-datadisk-{lun}"
    return {"lun": lun, "name": name, "diskSizeInGb": int(size_gb), "storageType": "Premium_LRS"}
