"""The secondary region: which it is, and whether a vault has its data in the other one, too."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from simulator.addresses import versions_of
from simulator.errors import invalid_input, no_provider
from simulator.providers.backup.errors import refused
from simulator.regions import REGIONS

if TYPE_CHECKING:
    from simulator.calls import Answer, Call
    from simulator.routing import Handler
    from simulator.scenario import Vault
    from simulator.world import World

VERSIONS = frozenset({"2018-12-20", "2021-11-15", "2023-01-15"})
"""The api-versions of cross-region restore: reads of a vault with one of them concern the secondary region."""


def by_region(primary: Handler, secondary: Handler) -> Handler:
    """Return a handler that reads the secondary region for the api-versions of cross-region restore."""

    @wraps(primary)
    def answer(world: World, call: Call) -> Answer:
        return (secondary if call.api_version in VERSIONS else primary)(world, call)

    return answer


def region_of(call: Call) -> str:
    """Return the region of the address; raise the gateway's 400 for one that does not exist."""
    region = call.params["region"].lower()
    if region not in REGIONS:
        kind = call.path.rstrip("/").rpartition(f"/{call.params['region']}/")[2].partition("/")[0]
        versions = versions_of("Microsoft.RecoveryServices")
        raise no_provider(call.params["region"], f"locations/{kind}", call.api_version, versions)
    return region


def secondary_region(vault: Vault) -> str:
    """Return the secondary region of a vault; raise the service's 400 for a vault without cross-region restore."""
    region = REGIONS.get(vault.region.lower())
    if not (vault.cross_region_restore and region and region.pair):
        raise refused(
            "BMSUserErrorCrossRegionRestoreNotEnabledInThisVault",
            "Cross Region Restore is not enabled in this vault. Please enable Cross Region Restore in this vault.",
        )
    return region.pair


def check_region(vault: Vault, region: str) -> None:
    """Raise 400 for a region that is not the secondary one of a vault."""
    if secondary_region(vault) != region:
        raise invalid_input(f"{region} is not the secondary region of vault {vault.name}")
