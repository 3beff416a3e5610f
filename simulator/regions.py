"""Azure's regions that the simulator knows, and their pairs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """A region: its name in ids, what people see, and where it is; ``pair`` is empty where there is none."""

    name: str
    display_name: str
    geography: str
    geography_group: str
    place: str
    pair: str = ""


REGIONS = (
    Region("eastus", "East US", "United States", "US", "Virginia", "westus"),
    Region("westus", "West US", "United States", "US", "California", "eastus"),
    Region("eastus2", "East US 2", "United States", "US", "Virginia", "centralus"),
    Region("centralus", "Central US", "United States", "US", "Iowa", "eastus2"),
    Region("eastus2euap", "East US 2 EUAP", "Canary (US)", "US", "", "centraluseuap"),
    Region("centraluseuap", "Central US EUAP", "Canary (US)", "US", "", "eastus2euap"),
    Region("northeurope", "North Europe", "Europe", "Europe", "Ireland", "westeurope"),
    Region("westeurope", "West Europe", "Europe", "Europe", "Netherlands", "northeurope"),
    Region("uksouth", "UK South", "United Kingdom", "UK", "London", "ukwest"),
    Region("ukwest", "UK West", "United Kingdom", "UK", "Cardiff", "uksouth"),
    Region("germanywestcentral", "Germany West Central", "Germany", "Europe", "Frankfurt", "germanynorth"),
    Region("germanynorth", "Germany North", "Germany", "Europe", "Berlin", "germanywestcentral"),
    Region("francecentral", "France Central", "France", "Europe", "Paris", "francesouth"),
    Region("francesouth", "France South", "France", "Europe", "Marseille", "francecentral"),
    Region("italynorth", "Italy North", "Italy", "Europe", "Milan"),
    Region("southeastasia", "Southeast Asia", "Asia Pacific", "Asia Pacific", "Singapore", "eastasia"),
    Region("eastasia", "East Asia", "Asia Pacific", "Asia Pacific", "Hong Kong", "southeastasia"),
)
