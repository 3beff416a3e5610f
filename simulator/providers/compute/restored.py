"""The disks and VMs that a restore job creates, and how it replaces the disks of a VM."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.providers.compute.attachments import disk_ids, settle_disks
from simulator.providers.compute.bodies import DISK_TYPE, data_disk_entry, disk_body, machine_body, os_disk_entry
from simulator.providers.compute.changes import change_vm
from simulator.providers.compute.machines import agent_s
from simulator.providers.compute.state import DEALLOCATED, RUNNING, Machine
from simulator.providers.network.interfaces import add_interface

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.providers.backup.jobs import Job
    from simulator.scenario import Vm
    from simulator.world import World

type RestoredDisks = tuple[dict[str, Any], dict[int, dict[str, Any]]]
"""The OS disk, and the data disks by LUN."""


def add_restored_disks(world: World, job: Job, source: Vm) -> RestoredDisks:
    """Store the managed disks of a job, and return them.

    They have the tags of the disks that were backed up, and one that names the job.
    """
    option = "Restore" if job.from_snapshot else "Import"
    tags = {**source.hardware.disk_tags, **({"RSVaultBackup": job.job_id} if job.tags_disks else {})}

    def add(size_gb: float, lun: int | None) -> dict[str, Any]:
        disk_id = f"{job.target.group_id}/providers/{DISK_TYPE}/{job.disk_name(-1 if lun is None else lun)}"
        body = disk_body(source, disk_id, size_gb, job.ends_at(), lun=lun, option=option)
        if job.target.zones is not None:
            body.pop("zones", None)
            body |= {"zones": list(job.target.zones)} if job.target.zones else {}
        if tags:
            body["tags"] = dict(tags)
        world.store.put(body)
        return body

    sizes_gb = {disk.lun: disk.size_gb for disk in source.data_disks}
    os_disk = add(source.disk_gb, None)
    return os_disk, {lun: add(sizes_gb[lun], lun) for lun in job.data_luns}


def add_restored_vm(world: World, job: Job, source: Vm, disks: RestoredDisks | None) -> None:
    """Store the VM that a job has created, with its network interface; it runs.

    Without managed disks its OS disk is a blob.
    """
    target, moment = job.target, job.ends_at()
    nic_id = add_interface(
        world,
        group_id=target.group_id,
        location=source.location,
        vm_name=target.vm_name,
        subnet_id=target.subnet_id,
    )
    os_disk, data_disks = disks or (None, {})
    entries = [data_disk_entry(disk, lun, "Attach") for lun, disk in data_disks.items()]
    entry = os_disk_entry(os_disk, "Attach") if os_disk else _blob_entry(job, source)
    body = machine_body(source, target.vm_id, moment, nic_id=nic_id, os_disk=entry, data_disks=entries)
    if target.zones is not None:
        body.pop("zones", None)
        body |= {"zones": list(target.zones)} if target.zones else {}
    del body["properties"]["osProfile"], body["properties"]["storageProfile"]["imageReference"]
    world.store.put(body)
    ready = moment + timedelta(seconds=agent_s(world, target.vm_id))
    world.compute.machines[target.vm_id.lower()] = Machine(changed=moment, agent_from=ready)
    settle_disks(world, body)


def _blob_entry(job: Job, source: Vm) -> dict[str, Any]:
    """Write the OS disk of a VM without managed disks."""
    blob = f"https://{job.target.account}.blob.core.windows.net/{job.blob_container}/osdisk.vhd"
    return {"osType": source.os_type, "name": "osdisk", "createOption": "Attach", "vhd": {"uri": blob}}


def deallocate(world: World, source: Vm, moment: datetime) -> None:
    """Deallocate the VM whose disks are about to be replaced."""
    body = world.store.get(source.resource_id)
    if body:
        change_vm(world, source.resource_id)
        world.compute.machines[source.resource_id.lower()].set_power(DEALLOCATED, moment)
        settle_disks(world, body)


def replace_disks(world: World, source: Vm, disks: RestoredDisks | None, moment: datetime) -> None:
    """Attach its restored disks, if there are any, to a VM and start it; the former disks stay, unattached."""
    body = world.store.get(source.resource_id)
    if body is None:
        return
    profile: dict[str, Any] = body["properties"]["storageProfile"]
    former = disk_ids(profile)
    if disks:
        os_disk, data_disks = disks
        others = [entry for entry in profile["dataDisks"] if entry["lun"] not in data_disks]
        restored = [data_disk_entry(disk, lun, "Attach") for lun, disk in data_disks.items()]
        entry = os_disk_entry(os_disk, profile["osDisk"]["createOption"])
        profile = {**profile, "osDisk": entry, "dataDisks": [*restored, *others]}
    body = change_vm(world, source.resource_id, {"storageProfile": profile}) or body
    ready = moment + timedelta(seconds=agent_s(world, source.resource_id))
    world.compute.machines[source.resource_id.lower()].set_power(RUNNING, moment, ready)
    settle_disks(world, body, former)
