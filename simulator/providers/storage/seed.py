"""The storage accounts of the scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.storage.accounts import storage_account_body

if TYPE_CHECKING:
    from simulator.world import World


def seed(world: World) -> None:
    """Put the storage accounts into the store."""
    for account in world.scenario.storage_accounts:
        world.store.put(storage_account_body(world, account))
