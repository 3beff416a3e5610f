"""Virtual networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import resource_not_found

if TYPE_CHECKING:
    from simulator.scenario import VirtualNetwork
    from simulator.world import World


def get_virtual_network(world: World, call: Call) -> Answer:
    """Answer a virtual network."""
    body = world.store.get(call.path)
    if body is None:
        raise resource_not_found(f"Microsoft.Network/virtualNetworks/{call.params['network']}", call.params["group"])
    return Answer(body=body)


def virtual_network_body(network: VirtualNetwork) -> dict[str, Any]:
    """Write a virtual network of the scenario, with the few properties that matter here."""
    return {
        "name": network.name,
        "id": network.resource_id,
        "type": network.TYPE,
        "location": network.location,
        "properties": {"provisioningState": "Succeeded", "subnets": []},
    }
