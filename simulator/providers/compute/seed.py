"""The VMs of the scenario, and their disks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from simulator.providers.compute.attachments import settle_disks
from simulator.providers.compute.bodies import DISK_TYPE, data_disk_entry, disk_body, machine_body, os_disk_entry
from simulator.providers.compute.state import Machine

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World

_CREATED = datetime(2024, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)


def seed(world: World) -> None:
    """Store the VMs that are not deleted, and their disks."""
    for vm in world.scenario.vms:
        if not vm.deleted:
            _add(world, vm)


def _add(world: World, vm: Vm) -> None:
    group_id = vm.resource_id.partition("/providers/")[0]
    os_disk = _add_disk(world, vm, vm.disk_name(-1), vm.disk_gb, None)
    entry = os_disk_entry(os_disk, "FromImage")
    if vm.hardware.ephemeral:
        entry["diffDiskSettings"] = {"option": "Local"}
    if vm.hardware.encrypted:
        entry["encryptionSettings"] = {"enabled": True}
    data_disks: list[dict[str, Any]] = []
    for disk in vm.data_disks:
        body = _add_disk(world, vm, vm.disk_name(disk.lun), disk.size_gb, disk.lun)
        data_disks.append(data_disk_entry(body, disk.lun, "Empty"))
    nic_id = f"{group_id}/providers/Microsoft.Network/networkInterfaces/{vm.name}-nic"
    body = machine_body(vm, vm.resource_id, _CREATED, nic_id=nic_id, os_disk=entry, data_disks=data_disks)
    if vm.tags:
        body["tags"] = dict(vm.tags)
    world.store.put(body)
    world.compute.machines[vm.resource_id.lower()] = Machine(changed=_CREATED, agent_from=_CREATED)
    settle_disks(world, body)


def _add_disk(world: World, vm: Vm, name: str, size_gb: float, lun: int | None) -> dict[str, Any]:
    """Store a disk of a VM, and return its body."""
    disk_id = f"{vm.resource_id.partition('/providers/')[0]}/providers/{DISK_TYPE}/{name}"
    body = disk_body(vm, disk_id, size_gb, _CREATED, lun=lun, option="FromImage" if lun is None else "Empty")
    if vm.hardware.disk_tags:
        body["tags"] = dict(vm.hardware.disk_tags)
    world.store.put(body)
    return body
