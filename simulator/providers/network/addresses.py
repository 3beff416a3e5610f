"""The private addresses of subnets: which are in use, and which are free."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any

from simulator.providers.network import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

INTERFACES = "Microsoft.Network/networkInterfaces"
NETWORKS = "Microsoft.Network/virtualNetworks"
RESERVED_FIRST = 4
_UNKNOWN_SUBNET = "10.255.0.0/16"


def find_subnet(world: World, subnet_id: str) -> dict[str, Any] | None:
    """Find a subnet in its virtual network by its id, whatever its casing."""
    network_id, _, name = subnet_id.lower().rstrip("/").rpartition("/subnets/")
    network = world.store.get(network_id) if network_id else None
    subnets = network["properties"]["subnets"] if network else []
    return next((subnet for subnet in subnets if subnet["name"].lower() == name), None)


def addresses_in_use(world: World, subnet_id: str) -> dict[str, str]:
    """Return the addresses of a subnet that are in use, each with the id of the IP configuration that has it."""
    return {
        configuration["properties"]["privateIPAddress"]: configuration["id"]
        for interface in world.store.of_type(INTERFACES)
        for configuration in interface["properties"]["ipConfigurations"]
        if configuration["properties"]["subnet"]["id"].lower() == subnet_id.lower()
    }


def free_address(world: World, subnet_id: str, taken: Mapping[str, str]) -> str:
    """Return the first address of a subnet that is not in use; raise 400 when there is none.

    A subnet that is not in the store has a range of its own, because restores may name any network.
    """
    subnet = find_subnet(world, subnet_id)
    prefix = IPv4Network(subnet["properties"]["addressPrefix"] if subnet else _UNKNOWN_SUBNET)
    for number in range(RESERVED_FIRST, prefix.num_addresses - 1):
        address = str(prefix[number])
        if address not in taken:
            return address
    raise errors.subnet_full(subnet_id, str(prefix))


def check_address(subnet: Mapping[str, Any], configuration_id: str, address: Any, taken: Mapping[str, str]) -> str:
    """Return a static address; raise 400 if it is none of the subnet's, reserved, or in use."""
    prefix = IPv4Network(subnet["properties"]["addressPrefix"])
    try:
        number = int(IPv4Address(str(address))) - int(prefix.network_address)
    except AddressValueError as error:
        raise errors.invalid_request(f"privateIPAddress of {configuration_id} must be an IPv4 address.") from error
    if not 0 <= number < prefix.num_addresses:
        raise errors.address_outside(str(address), str(prefix))
    if number < RESERVED_FIRST or number == prefix.num_addresses - 1:
        raise errors.address_reserved(str(address), str(prefix))
    if taken.get(str(address), configuration_id).lower() != configuration_id.lower():
        raise errors.address_taken(configuration_id, str(address), taken[str(address)])
    return str(address)
