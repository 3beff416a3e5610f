"""The pairs of regions, and whether a vault has its data in the other one, too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

from simulator.errors import ArmError, invalid_input
from simulator.providers.backup.errors import refused

if TYPE_CHECKING:
    from simulator.calls import Answer, Call
    from simulator.routing import Handler
    from simulator.scenario import Vault
    from simulator.world import World

VERSIONS = frozenset({"2018-12-20", "2021-11-15", "2023-01-15"})
"""The api-versions of cross-region restore: reads of a vault with one of them concern the secondary region."""


@dataclass(frozen=True, slots=True)
class Region:
    """A region: its paired region, its name as the tokens write it, and the code in the addresses of the service."""

    pair: str
    name: str
    code: str


REGIONS = {
    "westeurope": Region("northeurope", "WestEurope", "we"),
    "northeurope": Region("westeurope", "NorthEurope", "ne"),
    "eastus": Region("westus", "EastUS", "eus"),
    "westus": Region("eastus", "WestUS", "wus"),
    "eastus2": Region("centralus", "EastUS2", "eus2"),
    "centralus": Region("eastus2", "CentralUS", "cus"),
    "uksouth": Region("ukwest", "UKSouth", "uks"),
    "ukwest": Region("uksouth", "UKWest", "ukw"),
    "francecentral": Region("francesouth", "FranceCentral", "frc"),
    "francesouth": Region("francecentral", "FranceSouth", "frs"),
    "southeastasia": Region("eastasia", "SoutheastAsia", "sea"),
    "eastasia": Region("southeastasia", "EastAsia", "ea"),
}


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
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{call.params['region']}' and API version "
            f"'{call.api_version}' for type 'locations/{kind}'.",
            cause="gateway",
        )
    return region


def secondary_region(vault: Vault) -> str:
    """Return the secondary region of a vault; raise the service's 400 for a vault without cross-region restore."""
    if not vault.cross_region_restore or vault.region.lower() not in REGIONS:
        raise refused(
            "BMSUserErrorCrossRegionRestoreNotEnabledInThisVault",
            "Cross Region Restore is not enabled in this vault. Please enable Cross Region Restore in this vault.",
        )
    return REGIONS[vault.region.lower()].pair


def check_region(vault: Vault, region: str) -> None:
    """Raise 400 for a region that is not the secondary one of a vault."""
    if secondary_region(vault) != region:
        raise invalid_input(f"{region} is not the secondary region of vault {vault.name}")
