"""What a VM of the scenario is made of, as far as its disks must fit it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.locks import LEVELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.reading import Node

V1, V2 = "V1", "V2"
_SIZE_NAME = re.compile(r"Standard_([A-Z]+)(\d+)([a-z]*)(?:_(v\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A size of VMs: how many data disks it takes, and which generations it boots."""

    cores: int
    memory_mb: int
    data_disks: int
    generations: tuple[str, ...] = (V1, V2)

    def body(self, name: str) -> dict[str, Any]:
        """Write the size as Compute does."""
        return {
            "name": name,
            "numberOfCores": self.cores,
            "osDiskSizeInMB": 1_047_552,
            "resourceDiskSizeInMB": 0,
            "memoryInMB": self.memory_mb,
            "maxDataDiskCount": self.data_disks,
        }

    def sku(self, name: str, region: str) -> dict[str, Any]:
        """Write the size as the list of what a subscription can have, with some of Azure's capabilities."""
        capabilities = {
            "MaxResourceVolumeMB": 0,
            "OSVhdSizeMB": 1_047_552,
            "vCPUs": self.cores,
            "HyperVGenerations": ",".join(self.generations),
            "MemoryGB": self.memory_mb // 1024,
            "MaxDataDiskCount": self.data_disks,
        }
        return {
            "resourceType": "virtualMachines",
            "name": name,
            "tier": "Standard",
            "size": name.removeprefix("Standard_"),
            "family": family_of(name),
            "locations": [region],
            "locationInfo": [{"location": region, "zones": ["1", "2", "3"], "zoneDetails": []}],
            "capabilities": [{"name": key, "value": str(value)} for key, value in capabilities.items()],
            "restrictions": [],
        }


def family_of(name: str) -> str:
    """Return the family of a size, such as ``standardDSv5Family`` of ``Standard_D2s_v5``; empty for an odd name."""
    size = _SIZE_NAME.fullmatch(name)
    return f"standard{size[1]}{size[3].upper()}{size[4] or ''}Family" if size else ""


SIZES = {
    "Standard_B1s": Size(cores=1, memory_mb=1_024, data_disks=2),
    "Standard_B2s": Size(cores=2, memory_mb=4_096, data_disks=4),
    "Standard_D2s_v5": Size(cores=2, memory_mb=8_192, data_disks=4),
    "Standard_D4s_v5": Size(cores=4, memory_mb=16_384, data_disks=8),
    "Standard_D8s_v5": Size(cores=8, memory_mb=32_768, data_disks=16),
    "Standard_D2s_v6": Size(cores=2, memory_mb=8_192, data_disks=4, generations=(V2,)),
    "Standard_E4s_v5": Size(cores=4, memory_mb=32_768, data_disks=8),
    "Standard_E64s_v5": Size(cores=64, memory_mb=524_288, data_disks=32),
}
"""The sizes there are, in every region."""

SECURITY_TYPES = ("Standard", "TrustedLaunch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Size, zone, generation and security of a VM, and the tags of its disks."""

    size: str = "Standard_D2s_v5"
    zone: str = ""
    generation: str = V2
    security_type: str = "Standard"
    ephemeral: bool = False
    encrypted: bool = False
    lock: str = ""
    disk_tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def read(cls, node: Node) -> Hardware:
        """Read the members of a VM that say it; the node stays open for further ones."""
        return cls(
            size=node.choice("vmSize", SIZES, "Standard_D2s_v5"),
            zone=node.choice("zone", ("1", "2", "3"), "") if node.has("zone") else "",
            generation=node.choice("hyperVGeneration", (V1, V2), V2),
            security_type=node.choice("securityType", SECURITY_TYPES, "Standard"),
            ephemeral=node.flag("ephemeralOsDisk"),
            encrypted=node.flag("diskEncryption"),
            lock=node.choice("lock", LEVELS, "") if node.has("lock") else "",
            disk_tags=_tags(node.raw("diskTags")),
        )


def _tags(value: Any) -> Mapping[str, str]:
    return {str(name): str(text) for name, text in (value or {}).items()}
