"""The virtual networks of the scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.network.virtual_networks import virtual_network_body

if TYPE_CHECKING:
    from simulator.world import World


def seed(world: World) -> None:
    """Put the virtual networks into the store."""
    for network in world.scenario.virtual_networks:
        world.store.put(virtual_network_body(network))
