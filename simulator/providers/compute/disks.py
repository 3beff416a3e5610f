"""The calls for managed disks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import resource_not_found
from simulator.providers.compute.bodies import DISK_TYPE
from simulator.providers.compute.changes import change
from simulator.providers.compute.errors import not_allowed
from simulator.providers.compute.machines import check_idle
from simulator.providers.compute.operations import begin, operation_headers
from simulator.providers.compute.requests import TAGS, check_form
from simulator.providers.compute.state import Work
from simulator.providers.compute.virtual_machines import object_body
from simulator.providers.resources.groups import scope_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from simulator.world import World

_CHANGE_S, _DELETE_S = 1.0, 2.0


def list_disks(world: World, call: Call) -> Answer:
    """Answer the managed disks of a resource group, or of the subscription."""
    disks = world.store.of_type(DISK_TYPE, scope_of(world, call))
    return Answer(body=page(call, disks, world.scenario.settings.page_disks, dict))


def get_disk(world: World, call: Call) -> Answer:
    """Answer a managed disk."""
    return Answer(body=_disk_of(world, call))


def patch_disk(world: World, call: Call) -> Answer:
    """Change the tags of a disk; other members are ignored."""
    body, given = _disk_of(world, call), object_body(call)
    check_form(given, TAGS)
    check_idle(world, body)
    tags = given.get("tags")

    def finish(_moment: datetime) -> dict[str, Any] | None:
        return change(world, body["id"], **({} if tags is None else {"tags": dict(tags)}))

    operation = begin(world, body, _work("patch_disk", _CHANGE_S, finish))
    shown = {**body, "properties": {**body["properties"], "provisioningState": "Updating"}}
    return Answer(status=202, body=shown, headers=operation_headers(world, call, operation, location=True))


def delete_disk(world: World, call: Call) -> Answer:
    """Delete a disk that no VM has; 204 if there is none."""
    body = world.store.get(call.path)
    if body is None:
        return Answer(status=204)
    if body.get("managedBy"):
        raise not_allowed(f"Disk {body['name']} is attached to VM {body['managedBy']}.")
    check_idle(world, body)

    def finish(_moment: datetime) -> None:
        world.store.remove(body["id"])

    operation = begin(world, body, _work("delete_disk", _DELETE_S, finish))
    return Answer(status=202, headers=operation_headers(world, call, operation, location=True))


def _work(action: str, seconds: float, finish: Callable[[datetime], Any]) -> Work:
    return Work(action=action, seconds=seconds, finish=finish, collection="DiskOperations")


def _disk_of(world: World, call: Call) -> Mapping[str, Any]:
    body = world.store.get(call.path)
    if body is None:
        raise resource_not_found(f"{DISK_TYPE}/{call.params['disk']}", call.params["group"])
    return body
