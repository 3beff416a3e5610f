"""The etag and the provisioning state that each resource of Microsoft.Network has, and how they change."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer
from simulator.errors import resource_not_found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

SECONDS = 3.0
"""How long a change takes: recordings have 1 to 10 seconds."""
_PARTS = ("ipConfigurations", "subnets")


def with_state(world: World, body: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Return a resource and its parts with a new etag and a state."""
    etag = f'W/"{world.new_id()}"'
    properties = {**body["properties"], "provisioningState": state}
    for name in _PARTS:
        if name in properties:
            properties[name] = [
                {**part, "etag": etag, "properties": {**part["properties"], "provisioningState": state}}
                for part in properties[name]
            ]
    return {**body, "etag": etag, "properties": properties}


def begin_change(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Store a resource that is created or replaced, and return it; its state is ``Succeeded`` ``SECONDS`` later."""

    def end() -> None:
        present = world.store.get(body["id"])
        if present and present["properties"]["provisioningState"] == "Updating":
            world.store.put(with_state(world, present, "Succeeded"))

    changed = with_state(world, body, "Updating")
    world.store.put(changed)
    world.at(world.now() + timedelta(seconds=SECONDS), end)
    return changed


def begin_deletion(world: World, body: Mapping[str, Any]) -> None:
    """Store a resource with the state ``Deleting``."""
    world.store.put(with_state(world, body, "Deleting"))


def find(world: World, resource_id: str) -> Mapping[str, Any]:
    """Return the resource of an id; raise the gateway's 404 where there is none."""
    body = world.store.get(resource_id)
    if body is None:
        scope, _, name = resource_id.rstrip("/").rpartition("/providers/")
        raise resource_not_found(name, scope.rpartition("/")[2])
    return body


def answer_one(body: Mapping[str, Any]) -> Answer:
    """Answer a resource, with its etag in the header, too."""
    return Answer(body=body, headers={"ETag": body["etag"]})
