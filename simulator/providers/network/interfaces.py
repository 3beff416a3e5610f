"""Network interfaces: what is written, read and checked. The calls are in ``interface_calls.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from simulator.providers.network import errors
from simulator.providers.network.addresses import INTERFACES, addresses_in_use, check_address, find_subnet, free_address
from simulator.providers.network.states import begin_change, with_state
from simulator.providers.resources.groups import check_placement
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

_VIRTUAL_MACHINES = "Microsoft.Compute/virtualMachines"
_REFERENCES = ("networkSecurityGroup",)


def add_interface(world: World, *, group_id: str, location: str, vm_name: str, subnet_id: str) -> str:
    """Make the network interface of a VM that a restore has made; return its id.

    The name is of the form that exported configurations of such VMs have.
    """
    interface_id = f"{group_id}/providers/{INTERFACES}/{vm_name}-nic-{world.new_id().replace('-', '')}"
    address = free_address(world, subnet_id, addresses_in_use(world, subnet_id))
    world.store.put(new_interface(world, interface_id, location, subnet_id, address))
    return interface_id


def new_interface(world: World, interface_id: str, location: str, subnet_id: str, address: str) -> dict[str, Any]:
    """Write a network interface with one dynamic address, ready for use."""
    asked = {"name": "ipconfig1", "properties": {"subnet": {"id": subnet_id}}}
    body = _body(
        world, interface_id, {"location": location}, [_configuration(interface_id, asked, address, primary=True)]
    )
    return with_state(world, body, "Succeeded")


def put_interface(world: World, interface_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Create or replace a network interface; it is ready a moment later.

    Raises the 400, 404, 409 or 429 of a request that cannot be granted.
    """
    former = world.store.get(interface_id)
    check_placement(world, interface_id, asked)
    properties = object_or_empty(asked.get("properties"))
    configurations = _configurations(world, interface_id, asked["location"], properties)
    body = _body(world, former["id"] if former else interface_id, asked, configurations)
    for name in _REFERENCES:
        if name in properties:
            body["properties"][name] = {"id": _existing(world, interface_id, asked["location"], properties[name])}
    if former:
        for name in ("resourceGuid", "macAddress"):
            body["properties"][name] = former["properties"][name]
    return begin_change(world, body)


def vm_of_interface(world: World, interface_id: str) -> str | None:
    """Return the id of the VM that holds a network interface, if one does."""
    return vms_by_interface(world).get(interface_id.lower())


def vms_by_interface(world: World) -> dict[str, str]:
    """Return the ids of the VMs by the network interfaces, in lower case, that their network profiles name."""
    return {
        reference["id"].lower(): vm["id"]
        for vm in world.store.of_type(_VIRTUAL_MACHINES)
        for reference in vm["properties"].get("networkProfile", {}).get("networkInterfaces", ())
    }


def interface_body(interface: Mapping[str, Any], vm_id: str | None) -> dict[str, Any]:
    """Return a network interface as GET answers it: with the VM that has it, or without a MAC address if none has."""
    properties = dict(interface["properties"])
    if vm_id:
        properties |= {"primary": True, "virtualMachine": {"id": vm_id}}
    else:
        del properties["macAddress"]
    return {**interface, "properties": properties}


def _body(
    world: World, interface_id: str, asked: Mapping[str, Any], configurations: list[dict[str, Any]]
) -> dict[str, Any]:
    mac = world.random.randbytes(3).hex("-").upper()
    properties = object_or_empty(asked.get("properties"))
    return {
        "name": interface_id.rpartition("/")[2],
        "id": interface_id,
        "etag": "",
        "location": asked["location"],
        **({"tags": dict(asked["tags"])} if asked.get("tags") else {}),
        "properties": {
            "provisioningState": "",
            "resourceGuid": world.new_id(),
            "ipConfigurations": configurations,
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "macAddress": f"00-0D-3A-{mac}",
            "enableAcceleratedNetworking": properties.get("enableAcceleratedNetworking") is True,
            "vnetEncryptionSupported": False,
            "disableTcpStateTracking": False,
            "enableIPForwarding": properties.get("enableIPForwarding") is True,
            "hostedWorkloads": [],
            "tapConfigurations": [],
            "nicType": "Standard",
            "auxiliaryMode": "None",
            "auxiliarySku": "None",
        },
        "type": INTERFACES,
    }


def _configurations(
    world: World, interface_id: str, location: str, properties: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Check the IP configurations that are asked for, give each an address, and return them."""
    given = properties.get("ipConfigurations")
    asked = [object_or_empty(item) for item in cast("list[Any]", given)] if isinstance(given, list) else []
    if not asked:
        raise errors.invalid_request("A network interface needs at least one IP configuration.")
    subnet_ids = [_subnet_id(configuration) for configuration in asked]
    if len({subnet_id.lower() for subnet_id in subnet_ids}) > 1:
        raise errors.several_subnets(interface_id)
    subnet_id = _existing_subnet(world, interface_id, location, subnet_ids[0])
    taken = addresses_in_use(world, subnet_id)
    configurations: list[dict[str, Any]] = []
    for number, wanted in enumerate(asked):
        address = _address(world, interface_id, subnet_id, wanted, taken)
        configuration = _configuration(interface_id, wanted, address, primary=number == 0)
        _check_public_address(world, interface_id, location, configuration)
        taken[address] = configuration["id"]
        configurations.append(configuration)
    return configurations


def _configuration(interface_id: str, asked: Mapping[str, Any], address: str, *, primary: bool) -> dict[str, Any]:
    properties = object_or_empty(asked.get("properties"))
    public = properties.get("publicIPAddress")
    return {
        "name": asked["name"],
        "id": f"{interface_id}/ipConfigurations/{asked['name']}",
        "etag": "",
        "type": f"{INTERFACES}/ipConfigurations",
        "properties": {
            "provisioningState": "",
            "privateIPAddress": address,
            "privateIPAllocationMethod": "Static" if _is_static(properties) else "Dynamic",
            **({"publicIPAddress": {"id": _reference(public)}} if public else {}),
            "subnet": {"id": properties["subnet"]["id"]},
            "primary": primary,
            "privateIPAddressVersion": "IPv4",
        },
    }


def _address(
    world: World, interface_id: str, subnet_id: str, asked: Mapping[str, Any], taken: Mapping[str, str]
) -> str:
    """Return the static address asked for; else the dynamic one that the configuration has already, or a free one."""
    configuration_id = f"{interface_id}/ipConfigurations/{asked['name']}"
    properties = object_or_empty(asked.get("properties"))
    subnet = find_subnet(world, subnet_id)
    if subnet and _is_static(properties):
        return check_address(subnet, configuration_id, properties.get("privateIPAddress"), taken)
    held = (address for address, holder in taken.items() if holder.lower() == configuration_id.lower())
    return next(held, None) or free_address(world, subnet_id, taken)


def _is_static(properties: Mapping[str, Any]) -> bool:
    return str(properties.get("privateIPAllocationMethod")).lower() == "static"


def _subnet_id(configuration: Mapping[str, Any]) -> str:
    """Return the subnet that an IP configuration names; raise 400 for one without a name or a subnet."""
    name = configuration.get("name")
    if not isinstance(name, str) or not name:
        raise errors.invalid_request("An IP configuration needs a name.")
    return _reference(object_or_empty(configuration.get("properties")).get("subnet"))


def _existing_subnet(world: World, interface_id: str, location: str, subnet_id: str) -> str:
    network = world.store.get(subnet_id.lower().rpartition("/subnets/")[0])
    if find_subnet(world, subnet_id) is None or network is None or network["location"] != location:
        raise errors.invalid_reference(subnet_id, interface_id)
    return subnet_id


def _existing(world: World, interface_id: str, location: str, reference: Any) -> str:
    """Return the id of a resource that an interface names; raise 400 or 429 unless it is there, and ready."""
    referenced_id = _reference(reference)
    body = world.store.get(referenced_id)
    if body is None or body["location"] != location:
        raise errors.invalid_reference(referenced_id, interface_id)
    state = body["properties"]["provisioningState"]
    if state != "Succeeded":
        raise errors.not_provisioned(body["id"], state, interface_id)
    return body["id"]


def _check_public_address(world: World, interface_id: str, location: str, configuration: Mapping[str, Any]) -> None:
    public = configuration["properties"].get("publicIPAddress")
    if public is None:
        return
    address_id = _existing(world, interface_id, location, public)
    holder = holder_of_public_address(world, address_id)
    if holder and holder.lower() != configuration["id"].lower():
        raise errors.public_address_taken(configuration["id"], address_id, holder)


def holder_of_public_address(world: World, address_id: str) -> str | None:
    """Return the id of the IP configuration that has a public address, if one has."""
    for interface in world.store.of_type(INTERFACES):
        for configuration in interface["properties"]["ipConfigurations"]:
            public = configuration["properties"].get("publicIPAddress")
            if public and public["id"].lower() == address_id.lower():
                return configuration["id"]
    return None


def _reference(value: Any) -> str:
    """Return the id that a reference of the form ``{"id": …}`` holds; raise 400 for another form."""
    reference = object_or_empty(value).get("id")
    if not isinstance(reference, str) or not reference.startswith("/subscriptions/"):
        raise errors.invalid_request("A reference needs the id of a resource.")
    return reference
