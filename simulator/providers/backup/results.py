"""What a restore job leaves behind when it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from simulator.providers.compute.restored import add_restored_disks, add_restored_vm
from simulator.providers.resources.groups import ensure_group

if TYPE_CHECKING:
    from simulator.providers.backup.jobs import Job
    from simulator.world import World


def keep_results(world: World, job: Job) -> None:
    """Put what a job has made into the store, if it ended well."""
    if job.status(job.ends_at()) not in {"Completed", "CompletedWithWarnings"}:
        return
    source = world.vm_with_key(job.vm_key)
    if job.region:
        source = replace(source, location=job.region)
    if job.makes_managed_disks:
        ensure_group(world, job.target.group_id, source.location)
        add_restored_disks(world, job, source)
    if job.kind == "new_vm" and job.status(job.ends_at()) == "Completed":
        add_restored_vm(world, job, source)
