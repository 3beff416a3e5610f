"""The disks and the VM that a restore job makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.formats import iso_time
from simulator.providers.compute.disks import managed_disk_body
from simulator.providers.compute.virtual_machines import vm_body

if TYPE_CHECKING:
    from simulator.providers.backup.jobs import Job
    from simulator.scenario import Vm
    from simulator.world import World


def add_restored_disks(world: World, job: Job, source: Vm) -> None:
    """Put the managed disks of a job into the store, with the members by which they can be told apart."""
    machine = job.target.vm_name or source.name
    # Public configurations with restored disks show the names without dashes.
    prefix = "".join(letter for letter in machine.lower() if letter.isalnum())
    made = {
        "timeCreated": iso_time(job.ends_at()),
        "diskState": "Unattached" if job.kind == "disks" else "Attached",
        "creationData": {"createOption": "Restore"},
    }

    def add(kind: str, size_gb: float, more: dict[str, Any]) -> None:
        name = f"{prefix}-{kind}-{job.started:%Y%m%d-%H%M%S}"
        disk_id = f"{job.target.group_id}/providers/Microsoft.Compute/disks/{name}"
        body = managed_disk_body(source, disk_id, size_gb, {**made, **more})
        if job.tags_disks:
            body["tags"] = {"RSVaultBackup": job.job_id}
        if job.kind == "new_vm":
            body["managedBy"] = job.target.vm_id
        world.store.put(body)

    sizes_gb = {disk.lun: disk.size_gb for disk in source.data_disks}
    add("osdisk", source.disk_gb, {"osType": source.os_type})
    for lun in job.data_luns:
        add(f"datadisk-{lun:03d}", sizes_gb[lun], {})


def add_restored_vm(world: World, job: Job, source: Vm) -> None:
    """Put the virtual machine that a job has made into the store."""
    world.store.put(vm_body(source, job.target.vm_id))
