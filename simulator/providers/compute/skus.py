"""What a subscription can have of Compute in a region."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.providers.compute.bodies import DISK_SKU
from simulator.providers.compute.errors import bad_request
from simulator.providers.compute.hardware import SIZES

if TYPE_CHECKING:
    from simulator.world import World

_FILTER = re.compile(r"\s*location\s+eq\s+'([^']*)'\s*", re.IGNORECASE)


def list_skus(_world: World, call: Call) -> Answer:
    """Answer the sizes of VMs and one kind of disk; the filter by region is the only one, and must be given."""
    found = _FILTER.fullmatch(call.query.get("$filter", ""))
    if found is None:
        raise bad_request("The simulator lists the SKUs of one region alone: $filter=location eq 'westeurope'.")
    region = found[1].replace(" ", "").lower()
    return Answer(body={"value": [_disk(region), *(size.sku(name, region) for name, size in SIZES.items())]})


def _disk(region: str) -> dict[str, Any]:
    return {
        "resourceType": "disks",
        "name": DISK_SKU,
        "tier": "Premium",
        "size": "P10",
        "locations": [region],
        "locationInfo": [{"location": region, "zones": [], "zoneDetails": []}],
        "capabilities": [{"name": "MaxSizeGiB", "value": "128"}],
        "restrictions": [],
    }
