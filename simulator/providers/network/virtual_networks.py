"""Virtual networks and their subnets."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.providers.network.addresses import INTERFACES, NETWORKS
from simulator.providers.network.errors import not_found
from simulator.providers.network.states import answer_one, find, with_state
from simulator.providers.resources.groups import scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simulator.world import World


def get_virtual_network(world: World, call: Call) -> Answer:
    """Answer a virtual network."""
    return answer_one(_body(find(world, call.path), _members(world)))


def list_virtual_networks(world: World, call: Call) -> Answer:
    """Answer the virtual networks of a resource group or of a subscription."""
    members = _members(world)

    def write(network: Mapping[str, Any]) -> dict[str, Any]:
        return _body(network, members)

    networks = world.store.of_type(NETWORKS, below=scope_of(world, call))
    return Answer(body=page(call, networks, world.scenario.settings.page_resources, write))


def get_subnet(world: World, call: Call) -> Answer:
    """Answer a subnet; raise the provider's 404 where the network has none of this name."""
    for subnet in _subnets_of(world, call):
        if subnet["name"].lower() == call.params["subnet"].lower():
            return answer_one(subnet)
    raise not_found(call.path)


def list_subnets(world: World, call: Call) -> Answer:
    """Answer the subnets of a virtual network."""
    return Answer(body=page(call, _subnets_of(world, call), world.scenario.settings.page_resources, dict))


def add_network(world: World, network_id: str, location: str, prefix: str, subnets: Sequence[tuple[str, str]]) -> None:
    """Put a virtual network with subnets (name and address prefix) into the store."""
    body: dict[str, Any] = {
        "name": network_id.rpartition("/")[2],
        "id": network_id,
        "etag": "",
        "type": NETWORKS,
        "location": location,
        "properties": {
            "provisioningState": "",
            "resourceGuid": world.new_id(),
            "addressSpace": {"addressPrefixes": [prefix]},
            "dhcpOptions": {"dnsServers": []},
            "subnets": [
                {
                    "name": name,
                    "id": f"{network_id}/subnets/{name}",
                    "etag": "",
                    "properties": {
                        "provisioningState": "",
                        "addressPrefix": own_prefix,
                        "delegations": [],
                        "privateEndpointNetworkPolicies": "Disabled",
                        "privateLinkServiceNetworkPolicies": "Enabled",
                    },
                    "type": f"{NETWORKS}/subnets",
                }
                for name, own_prefix in subnets
            ],
            "virtualNetworkPeerings": [],
            "enableDdosProtection": False,
        },
    }
    world.store.put(with_state(world, body, "Succeeded"))


def _subnets_of(world: World, call: Call) -> list[dict[str, Any]]:
    network = find(world, call.path[: call.path.lower().rindex("/subnets")])
    return _body(network, _members(world))["properties"]["subnets"]


def _members(world: World) -> dict[str, list[dict[str, str]]]:
    """Return the references to the IP configurations in each subnet, by the subnet's id in lower case."""
    members = defaultdict[str, list[dict[str, str]]](list)
    for interface in world.store.of_type(INTERFACES):
        for configuration in interface["properties"]["ipConfigurations"]:
            members[configuration["properties"]["subnet"]["id"].lower()].append({"id": configuration["id"]})
    return members


def _body(network: Mapping[str, Any], members: Mapping[str, list[dict[str, str]]]) -> dict[str, Any]:
    """Write a virtual network as GET answers it: each subnet with the IP configurations in it, if there are any."""
    subnets = [_subnet_body(subnet, members.get(subnet["id"].lower())) for subnet in network["properties"]["subnets"]]
    return {**network, "properties": {**network["properties"], "subnets": subnets}}


def _subnet_body(subnet: Mapping[str, Any], members: list[dict[str, str]] | None) -> dict[str, Any]:
    return {**subnet, "properties": {**subnet["properties"], **({"ipConfigurations": members} if members else {})}}
