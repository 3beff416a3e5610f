"""Puts the resources of the scenario into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.compute.seed import seed as seed_compute
from simulator.providers.network.seed import seed as seed_network
from simulator.providers.resources.seed import seed as seed_resources
from simulator.providers.storage.seed import seed as seed_storage

if TYPE_CHECKING:
    from simulator.world import World


def seed(world: World) -> None:
    """Fill the store with what the scenario says is there at the start: groups first, then what they hold."""
    for seed_provider in (seed_resources, seed_storage, seed_network, seed_compute):
        seed_provider(world)
