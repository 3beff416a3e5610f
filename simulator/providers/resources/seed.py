"""The resource groups of the scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.resources.groups import ensure_group

if TYPE_CHECKING:
    from simulator.world import World


def seed(world: World) -> None:
    """Put the resource groups that the scenario names, and those of its resources, into the store."""
    scenario = world.scenario
    home, region = f"/subscriptions/{scenario.subscription_id}", scenario.vaults[0].region
    for name in scenario.resource_groups:
        ensure_group(world, f"{home}/resourceGroups/{name}", region)
    for owner in (*scenario.vaults, *scenario.storage_accounts, *scenario.virtual_networks, *scenario.vms):
        ensure_group(world, owner.resource_id.partition("/providers/")[0], region)
    for vault in scenario.vaults:
        if vault.guard:
            ensure_group(world, vault.guard.resource_id.partition("/providers/")[0], region)
