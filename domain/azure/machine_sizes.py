"""Sizes of VMs: how many data disks each takes, and whether a subscription can have it in a region.

Source: Compute's Resource SKUs - List (2021-07-01), the successor of the deprecated list of sizes of a region.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from domain.wire import as_label, as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIZE_TYPE: Final = "virtualMachines"
"""The ``resourceType`` of those entries of the list that are sizes of VMs; others are disks, for example."""
_NUMBER: Final = re.compile(r"[0-9]{1,4}")
_MAX_DATA_DISKS: Final = "MaxDataDiskCount"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSize:
    """One size in one region. ``max_data_disks`` is ``None`` if Azure does not say it.

    ``refused_because`` is Azure's code for why the subscription cannot have it in the region, such as
    ``NotAvailableForSubscription``; ``refused_zones`` are the zones in which it cannot have it.
    """

    name: str
    max_data_disks: int | None = None
    refused_because: str | None = None
    refused_zones: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``ResourceSku`` of a list that has one region; members may be missing or unknown."""
        capabilities = {
            as_text(capability.get("name")): as_text(capability.get("value"))
            for capability in map(as_object, as_list(body.get("capabilities")))
        }
        restrictions = [as_object(restriction) for restriction in as_list(body.get("restrictions"))]
        by_type = {as_text(restriction.get("type")): restriction for restriction in restrictions}
        of_zones = as_object(as_object(by_type.get("Zone")).get("restrictionInfo"))
        return cls(
            name=as_name(body.get("name")) or "",
            max_data_disks=_whole_number(capabilities.get(_MAX_DATA_DISKS)),
            refused_because=_reason(by_type["Location"]) if "Location" in by_type else None,
            refused_zones=tuple(zone for entry in as_list(of_zones.get("zones")) if (zone := as_label(entry))),
        )


def _whole_number(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _reason(restriction: Mapping[str, Any]) -> str:
    return as_label(restriction.get("reasonCode")) or "a restriction"


def size_named(name: str, sizes: Iterable[MachineSize]) -> MachineSize | None:
    """Return the size of this name, ``None`` if the region does not have it. Azure ignores the case."""
    return next((size for size in sizes if size.name.casefold() == name.casefold()), None)


def problem_of_size(name: str, size: MachineSize | None, *, location: str, zone: str | None) -> str | None:
    """Return why no VM of this size can be made there, ``None`` if one can."""
    if size is None:
        return f"Azure has no VM size {name} in {location}; choose another one"
    if size.refused_because is not None:
        return (
            f"Azure does not let the subscription have the VM size {size.name} in {location} ({size.refused_because}); "
            "choose another one"
        )
    if zone is not None and zone in size.refused_zones:
        return (
            f"Azure does not let the subscription have the VM size {size.name} in zone {zone} of {location}; "
            "choose another zone or size"
        )
    return None
