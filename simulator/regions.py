"""Azure's regions that the simulator knows, and their pairs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """A region: its name in ids, what people see, where it is, its code in addresses of the backup service, its pair.

    ``pair`` is empty for a region that has none.
    """

    name: str
    display_name: str
    geography: str
    geography_group: str
    place: str
    code: str
    pair: str = ""


_REGIONS = (
    Region("eastus", "East US", "United States", "US", "Virginia", "eus", "westus"),
    Region("westus", "West US", "United States", "US", "California", "wus", "eastus"),
    Region("eastus2", "East US 2", "United States", "US", "Virginia", "eus2", "centralus"),
    Region("centralus", "Central US", "United States", "US", "Iowa", "cus", "eastus2"),
    Region("northeurope", "North Europe", "Europe", "Europe", "Ireland", "ne", "westeurope"),
    Region("westeurope", "West Europe", "Europe", "Europe", "Netherlands", "we", "northeurope"),
    Region("uksouth", "UK South", "United Kingdom", "UK", "London", "uks", "ukwest"),
    Region("ukwest", "UK West", "United Kingdom", "UK", "Cardiff", "ukw", "uksouth"),
    Region("francecentral", "France Central", "France", "Europe", "Paris", "frc", "francesouth"),
    Region("francesouth", "France South", "France", "Europe", "Marseille", "frs", "francecentral"),
    Region("italynorth", "Italy North", "Italy", "Europe", "Milan", "itn"),
    Region("southeastasia", "Southeast Asia", "Asia Pacific", "Asia Pacific", "Singapore", "sea", "eastasia"),
    Region("eastasia", "East Asia", "Asia Pacific", "Asia Pacific", "Hong Kong", "ea", "southeastasia"),
)
REGIONS = {region.name: region for region in _REGIONS}
