"""How much of a region's quotas a subscription uses."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call

if TYPE_CHECKING:
    from simulator.world import World

_SIZE = re.compile(r"Standard_([A-Z]+)(\d+)([a-z]*)(?:_(v\d+))?")
_MACHINES = 25_000


def list_usages(world: World, call: Call) -> Answer:
    """Answer the cores and the VMs of a subscription in a region, also those that are deallocated, and the quotas."""
    region, most = call.params["region"].lower(), world.scenario.settings.cores_per_region
    machines = world.store.of_type("Microsoft.Compute/virtualMachines", f"/subscriptions/{call.params['subscription']}")
    here = [machine for machine in machines if machine["location"].lower() == region]
    families: Counter[str] = Counter()
    for machine in here:
        size = _SIZE.fullmatch(machine["properties"]["hardwareProfile"]["vmSize"])
        if size:
            families[f"{size[1]}{size[3].upper()}{size[4] or ''}"] += int(size[2])
    entries = [
        _entry("cores", "Total Regional vCPUs", families.total(), most),
        _entry("virtualMachines", "Virtual Machines", len(here), _MACHINES),
        *(
            _entry(f"standard{name}Family", f"Standard {name} Family vCPUs", cores, most)
            for name, cores in sorted(families.items())
        ),
    ]
    return Answer(body={"value": entries})


def _entry(name: str, text: str, used: int, limit: int) -> dict[str, Any]:
    return {
        "limit": limit,
        "unit": "Count",
        "currentValue": used,
        "name": {"value": name, "localizedValue": text},
    }
