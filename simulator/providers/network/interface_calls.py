"""The calls about network interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call, page
from simulator.providers.network import errors
from simulator.providers.network.addresses import INTERFACES
from simulator.providers.network.interfaces import interface_body, put_interface, vm_of_interface, vms_by_interface
from simulator.providers.network.operations import begin, operation_headers
from simulator.providers.network.states import answer_one, begin_deletion, find, with_state
from simulator.providers.resources.groups import scope_of
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from simulator.world import World


def get_network_interface(world: World, call: Call) -> Answer:
    """Answer a network interface."""
    interface = find(world, call.path)
    return answer_one(interface_body(interface, vm_of_interface(world, interface["id"])))


def list_network_interfaces(world: World, call: Call) -> Answer:
    """Answer the network interfaces of a resource group or of a subscription."""
    vms = vms_by_interface(world)

    def write(interface: Mapping[str, Any]) -> dict[str, Any]:
        return interface_body(interface, vms.get(interface["id"].lower()))

    interfaces = world.store.of_type(INTERFACES, below=scope_of(world, call))
    return Answer(body=page(call, interfaces, world.scenario.settings.page_resources, write))


def put_network_interface(world: World, call: Call) -> Answer:
    """Create (201) or replace (200) a network interface."""
    status = 200 if world.store.get(call.path) else 201
    asked = object_or_empty(call.body)
    interface = put_interface(world, call.path, asked)
    operation = begin(world, call, interface["location"])
    body = interface_body(interface, vm_of_interface(world, interface["id"]))
    return Answer(status=status, body=body, headers=operation_headers(world, call, operation, location=False))


def patch_network_interface(world: World, call: Call) -> Answer:
    """Replace the tags of a network interface."""
    interface = patched(world, find(world, call.path), call)
    return answer_one(interface_body(interface, vm_of_interface(world, interface["id"])))


def patched(world: World, body: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Replace the tags of a resource, and return it; raise 400 for a body without any."""
    tags = object_or_empty(call.body).get("tags")
    if not isinstance(tags, Mapping):
        raise errors.invalid_request("tags must be an object.")
    tagged = {**body, "tags": dict(cast("Mapping[str, Any]", tags))}
    changed = with_state(world, tagged, body["properties"]["provisioningState"])
    world.store.put(changed)
    return changed


def delete_network_interface(world: World, call: Call) -> Answer:
    """Delete a network interface that no VM holds: 202, or 204 where there is none."""
    interface = world.store.get(call.path)
    if interface is None:
        return Answer(status=204)
    vm_id = vm_of_interface(world, interface["id"])
    if vm_id:
        raise errors.interface_in_use(interface["id"], vm_id)
    begin_deletion(world, interface)
    operation = begin(world, call, interface["location"], lambda: world.store.remove(interface["id"]))
    return Answer(status=202, headers=operation_headers(world, call, operation, location=True))
