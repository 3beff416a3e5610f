"""The virtual networks of the scenario, and the network interface of each of its VMs."""

from __future__ import annotations

from collections import defaultdict
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from simulator.providers.network.addresses import INTERFACES, NETWORKS, RESERVED_FIRST
from simulator.providers.network.interfaces import new_interface
from simulator.providers.network.virtual_networks import add_network

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World

_PREFIX = "10.0.0.0/16"


def seed(world: World) -> None:
    """Put the networks of the scenario into the store, and a network with an interface for each VM that is there."""
    for network in world.scenario.virtual_networks:
        add_network(world, network.resource_id, network.location, network.prefix, network.subnets)
    neighbours: defaultdict[tuple[str, str], list[Vm]] = defaultdict(list)
    for vm in world.scenario.vms:
        if not vm.deleted:
            neighbours[vm.resource_id.partition("/providers/")[0], vm.location].append(vm)
    for (group_id, location), vms in neighbours.items():
        _add_interfaces(world, group_id, location, vms)


def _add_interfaces(world: World, group_id: str, location: str, vms: list[Vm]) -> None:
    """Add a network, named as the portal names one, and the interfaces of the VMs of one group and region in it."""
    network_id, prefix = f"{group_id}/providers/{NETWORKS}/vnet-{location}", IPv4Network(_PREFIX)
    add_network(world, network_id, location, _PREFIX, (("default", _PREFIX),))
    for number, vm in enumerate(vms, RESERVED_FIRST):
        interface_id, subnet_id = f"{group_id}/providers/{INTERFACES}/{vm.name}-nic", f"{network_id}/subnets/default"
        world.store.put(new_interface(world, interface_id, location, subnet_id, str(prefix[number])))
