"""Former states of VMs, which reads that lag behind still show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.providers.compute.state import Former

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World


def keep_former(world: World, vm_id: str, *, is_new: bool = False) -> None:
    """Remember how a VM is now, right before it changes; a new one was not there."""
    machine = world.compute.machines.get(vm_id.lower())
    if machine is None:
        return
    body = None if is_new else world.store.get(vm_id)
    world.compute.former[vm_id.lower()].append(Former(until=world.now(), body=body, machine=replace(machine)))


def as_seen(world: World, body: Mapping[str, Any]) -> Former:
    """Return how a read shows a VM: as it is, or with ``staleReads`` as it was so long ago; ``until`` is the moment."""
    moment, machine = world.now(), world.compute.machines[body["id"].lower()]
    stale_s = world.faults_at(body["id"]).faults.compute.stale_s
    if stale_s:
        moment -= timedelta(seconds=stale_s)
        for former in world.compute.former[body["id"].lower()]:
            if former.until > moment:
                return replace(former, until=moment)
    return Former(until=moment, body=body, machine=machine)
