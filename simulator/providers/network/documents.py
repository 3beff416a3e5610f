"""Network security groups and public addresses, which the simulator stores as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.providers.network import errors
from simulator.providers.network.addresses import INTERFACES
from simulator.providers.network.interface_calls import patched
from simulator.providers.network.interfaces import holder_of_public_address
from simulator.providers.network.operations import begin, operation_headers
from simulator.providers.network.states import answer_one, begin_change, begin_deletion, find
from simulator.providers.resources.groups import check_placement, scope_of
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

SECURITY_GROUPS = "Microsoft.Network/networkSecurityGroups"
PUBLIC_ADDRESSES = "Microsoft.Network/publicIPAddresses"
TYPES = {each.lower(): each for each in (SECURITY_GROUPS, PUBLIC_ADDRESSES)}


def put_document(world: World, resource_id: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Create or replace a security group or a public address; it is ready a moment later."""
    check_placement(world, resource_id, asked)
    former = world.store.get(resource_id)
    kind, _, name = resource_id.rpartition("/providers/")[2].rpartition("/")
    properties, sku = _object(asked, "properties"), _object(asked, "sku")
    body: dict[str, Any] = {
        "name": name,
        "id": former["id"] if former else resource_id,
        "etag": "",
        "location": asked["location"],
        **({"tags": dict(asked["tags"])} if asked.get("tags") else {}),
        "properties": {
            "provisioningState": "",
            "resourceGuid": former["properties"]["resourceGuid"] if former else world.new_id(),
            **(_public_address(world, former) if kind.lower() == PUBLIC_ADDRESSES.lower() else {"securityRules": []}),
            **properties,
        },
        "type": TYPES[kind.lower()],
    }
    if body["type"] == PUBLIC_ADDRESSES:
        body["sku"] = {"name": "Standard", "tier": "Regional", **sku}
    return begin_change(world, body)


def _object(asked: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member that is an object, an empty one if it is not there; raise 400 for any other."""
    value = asked.get(name)
    if value is not None and not isinstance(value, dict):
        raise errors.invalid_request(f"{name} must be an object.")
    return object_or_empty(value)


def _public_address(world: World, former: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the defaults of a public address; the address itself is of a range for documentation."""
    address = f"203.0.113.{world.random.randrange(1, 255)}"
    return {
        "ipAddress": former["properties"]["ipAddress"] if former else address,
        "publicIPAddressVersion": "IPv4",
        "publicIPAllocationMethod": "Static",
        "idleTimeoutInMinutes": 4,
        "ipTags": [],
    }


def get_network_document(world: World, call: Call) -> Answer:
    """Answer a security group or a public address."""
    return answer_one(find(world, call.path))


def list_network_documents(world: World, call: Call) -> Answer:
    """Answer the security groups or the public addresses of a resource group or of a subscription."""
    kind = TYPES[call.path.rstrip("/").rpartition("/providers/")[2].lower()]
    documents = world.store.of_type(kind, below=scope_of(world, call))
    return Answer(body=page(call, documents, world.scenario.settings.page_resources, dict))


def put_network_document(world: World, call: Call) -> Answer:
    """Create (201) or replace (200) a security group or a public address."""
    status = 200 if world.store.get(call.path) else 201
    asked = object_or_empty(call.body)
    document = put_document(world, call.path, asked)
    operation = begin(world, call, document["location"])
    return Answer(status=status, body=document, headers=operation_headers(world, call, operation, location=False))


def patch_network_document(world: World, call: Call) -> Answer:
    """Replace the tags of a security group or of a public address."""
    return answer_one(patched(world, find(world, call.path), call))


def delete_network_document(world: World, call: Call) -> Answer:
    """Delete a security group or a public address that no network interface names."""
    document = world.store.get(call.path)
    if document is None:
        return Answer(status=204)
    _check_unused(world, document)
    begin_deletion(world, document)
    operation = begin(world, call, document["location"], lambda: world.store.remove(document["id"]))
    return Answer(status=202, headers=operation_headers(world, call, operation, location=True))


def _check_unused(world: World, document: Mapping[str, Any]) -> None:
    if document["type"] == PUBLIC_ADDRESSES:
        holder = holder_of_public_address(world, document["id"])
        if holder:
            raise errors.public_address_in_use(document["id"], holder)
        return
    for interface in world.store.of_type(INTERFACES):
        named = interface["properties"].get("networkSecurityGroup")
        if named and named["id"].lower() == document["id"].lower():
            raise errors.security_group_in_use(document["id"], interface["id"])
