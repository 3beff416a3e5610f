"""What a VM of the scenario is made of, as far as its disks must fit it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.reading import Node

V1, V2 = "V1", "V2"
SIZES: dict[str, tuple[int, tuple[str, ...]]] = {
    "Standard_B1s": (2, (V1, V2)),
    "Standard_B2s": (4, (V1, V2)),
    "Standard_D2s_v5": (4, (V1, V2)),
    "Standard_D4s_v5": (8, (V1, V2)),
    "Standard_D8s_v5": (16, (V1, V2)),
    "Standard_D2s_v6": (4, (V2,)),
    "Standard_E4s_v5": (8, (V1, V2)),
    "Standard_E64s_v5": (32, (V1, V2)),
}
"""The sizes there are: how many data disks each takes, and which generations it boots."""

SECURITY_TYPES = ("Standard", "TrustedLaunch")
LOCKS = ("", "CanNotDelete", "ReadOnly")


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
            lock=node.choice("lock", LOCKS, "") if node.has("lock") else "",
            disk_tags=_tags(node.raw("diskTags")),
        )


def _tags(value: Any) -> Mapping[str, str]:
    return {str(name): str(text) for name, text in (value or {}).items()}
