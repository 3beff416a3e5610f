"""How much of a region's quotas a subscription uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.providers.network.addresses import INTERFACES, NETWORKS
from simulator.providers.network.documents import PUBLIC_ADDRESSES, SECURITY_GROUPS

if TYPE_CHECKING:
    from simulator.world import World

_QUOTAS = (
    (NETWORKS, "VirtualNetworks", "Virtual Networks", 1000),
    (INTERFACES, "NetworkInterfaces", "Network Interfaces", 65_536),
    (SECURITY_GROUPS, "NetworkSecurityGroups", "Network Security Groups", 5000),
    (PUBLIC_ADDRESSES, "PublicIPAddresses", "Public IP Addresses", 1000),
)


def list_usages(world: World, call: Call) -> Answer:
    """Answer how many resources of each type a subscription has in a region, and how many it may have."""
    subscription, region = f"/subscriptions/{call.params['subscription']}", call.params["region"].lower()

    def entry(kind: str, name: str, text: str, limit: int) -> dict[str, Any]:
        found = [body for body in world.store.of_type(kind, subscription) if body["location"].lower() == region]
        return {
            "id": f"{subscription}/providers/Microsoft.Network/locations/{region}/usages/{name}",
            "name": {"value": name, "localizedValue": text},
            "currentValue": len(found),
            "limit": limit,
            "unit": "Count",
        }

    return Answer(body={"value": [entry(*quota) for quota in _QUOTAS]})
