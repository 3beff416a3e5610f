"""Managed disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World

DISKS = "Microsoft.Compute/disks"


def list_disks(world: World, call: Call) -> Answer:
    """Answer the managed disks of a resource group."""
    disks = world.store.of_type(DISKS, call.path.partition("/providers/")[0])
    return Answer(body=page(call, disks, world.scenario.settings.page_disks, dict))


def managed_disk_body(vm: Vm, disk_id: str, size_gb: float, properties: dict[str, Any]) -> dict[str, Any]:
    """Write a managed disk of a VM."""
    return {
        "name": disk_id.rpartition("/")[2],
        "id": disk_id,
        "type": DISKS,
        "location": vm.location,
        "properties": {
            "provisioningState": "Succeeded",
            "diskState": "Attached",
            "diskSizeGB": int(size_gb),
            "timeCreated": "2024-03-01T08:00:00.1234567+00:00",
            **properties,
        },
    }
