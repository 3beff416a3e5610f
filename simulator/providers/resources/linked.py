"""What a write links to: the caller needs a permission at each resource that the body names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.errors import not_authorized_on_links
from simulator.providers.resources.permissions import is_denied
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.world import World

type _Links = Iterator[tuple[str, str]]
"""Actions and the ids of the resources at which they are needed."""

_VM, _NIC = "microsoft.compute/virtualmachines", "microsoft.network/networkinterfaces"
_ATTACHMENTS = f"{_VM}/attachdetachdatadisks"
_WRITE_DISK = "Microsoft.Compute/disks/write"
_JOIN_NIC = "Microsoft.Network/networkInterfaces/join/action"
_JOIN_SUBNET = "Microsoft.Network/virtualNetworks/subnets/join/action"
_JOIN_SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups/join/action"
_JOIN_ADDRESS = "Microsoft.Network/publicIPAddresses/join/action"
_ASSIGN_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"


def check_links(world: World, kind: str, action: str, scope: str, body: Any) -> None:
    """Raise 403 where the caller lacks a permission at a resource that a write names.

    ``kind`` is the type of what is written, ``action`` and ``scope`` are those of the write itself.
    """
    missing = [(needed, linked) for needed, linked in _links(kind.lower(), body) if is_denied(world, needed, linked)]
    if missing:
        raise not_authorized_on_links(action, scope, missing)


def _links(kind: str, body: Any) -> _Links:
    properties = object_or_empty(object_or_empty(body).get("properties"))
    if kind == _VM:
        yield from _links_of_vm(body, properties)
    elif kind == _NIC:
        yield from _links_of_interface(properties)
    elif kind == _ATTACHMENTS:
        for name in ("dataDisksToAttach", "dataDisksToDetach"):
            for disk in _objects(object_or_empty(body).get(name)):
                yield from _link(_WRITE_DISK, disk.get("diskId"))


def _links_of_vm(body: Any, properties: Mapping[str, Any]) -> _Links:
    profile = object_or_empty(properties.get("storageProfile"))
    for disk in (object_or_empty(profile.get("osDisk")), *_objects(profile.get("dataDisks"))):
        yield from _link(_WRITE_DISK, object_or_empty(disk.get("managedDisk")).get("id"))
    for interface in _objects(object_or_empty(properties.get("networkProfile")).get("networkInterfaces")):
        yield from _link(_JOIN_NIC, interface.get("id"))
    identities = object_or_empty(object_or_empty(object_or_empty(body).get("identity")).get("userAssignedIdentities"))
    for identity, wanted in identities.items():
        if wanted is not None:
            yield from _link(_ASSIGN_IDENTITY, identity)


def _links_of_interface(properties: Mapping[str, Any]) -> _Links:
    yield from _link(_JOIN_SECURITY_GROUP, object_or_empty(properties.get("networkSecurityGroup")).get("id"))
    for configuration in _objects(properties.get("ipConfigurations")):
        members = object_or_empty(configuration.get("properties"))
        yield from _link(_JOIN_SUBNET, object_or_empty(members.get("subnet")).get("id"))
        yield from _link(_JOIN_ADDRESS, object_or_empty(members.get("publicIPAddress")).get("id"))


def _link(action: str, resource_id: Any) -> _Links:
    if isinstance(resource_id, str) and resource_id:
        yield action, resource_id


def _objects(value: Any) -> list[Mapping[str, Any]]:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, Any]", item) for item in items if isinstance(item, Mapping)]
