"""The VMs of the scenario, and their disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.compute.disks import managed_disk_body
from simulator.providers.compute.virtual_machines import vm_body

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World


def seed(world: World) -> None:
    """Put the VMs that are not deleted, and their disks, into the store."""
    for vm in world.scenario.vms:
        if not vm.deleted:
            world.store.put(vm_body(vm, vm.resource_id))
            _add_disks(world, vm)


def _add_disks(world: World, vm: Vm) -> None:
    disks = f"{vm.resource_id.rpartition('/virtualMachines/')[0]}/disks"
    os_disk = f"{disks}/{vm.disk_name(-1)}"
    world.store.put(managed_disk_body(vm, os_disk, vm.disk_gb, {"osType": vm.os_type}))
    for disk in vm.data_disks:
        world.store.put(managed_disk_body(vm, f"{disks}/{vm.disk_name(disk.lun)}", disk.size_gb, {}))
