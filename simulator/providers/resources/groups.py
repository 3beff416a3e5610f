"""Resource groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.store import RESOURCE_GROUPS

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.world import World


def group_id_of(call: Call) -> str:
    """Return the id of the resource group of the address."""
    return f"/subscriptions/{call.params['subscription']}/resourceGroups/{call.params['group']}"


def ensure_group(world: World, group_id: str, location: str) -> None:
    """Create a resource group unless it is there."""
    if world.store.get(group_id) is None:
        world.store.put(
            {
                "id": group_id,
                "name": group_id.rpartition("/")[2],
                "type": RESOURCE_GROUPS,
                "location": location,
                "properties": {"provisioningState": "Succeeded"},
            }
        )
