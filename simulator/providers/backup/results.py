"""What a restore job does to disks and VMs: when the data are transferred, and when it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.providers.backup.jobs import RUNNING
from simulator.providers.compute.restored import add_restored_disks, add_restored_vm, deallocate, replace_disks
from simulator.providers.resources.groups import ensure_group

if TYPE_CHECKING:
    from simulator.providers.backup.jobs import Job
    from simulator.world import World


def deallocate_for_replacement(world: World, job: Job) -> None:
    """Deallocate the VM whose disks a job replaces, unless the job is over already."""
    if job.status(job.transferred_at()) in RUNNING:
        deallocate(world, world.vm_with_key(job.vm_key), job.transferred_at())


def store_results(world: World, job: Job) -> None:
    """Put the disks and the VM of a job that ended well into the store; start a VM that it deallocated in any case."""
    source, status = world.vm_with_key(job.vm_key), job.status(job.ends_at())
    if job.region:
        source = replace(source, location=job.region)
    disks = None
    if job.makes_managed_disks and status in {"Completed", "CompletedWithWarnings"}:
        ensure_group(world, job.target.group_id, source.location)
        disks = add_restored_disks(world, job, source)
    if job.kind == "new_vm" and status == "Completed":
        add_restored_vm(world, job, source, disks)
    if job.kind == "replace":
        replace_disks(world, source, disks, job.ends_at())
