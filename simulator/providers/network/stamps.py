"""What every resource of Microsoft.Network bears: its etag, its state, its GUID."""

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


def stamp(world: World, body: dict[str, Any], state: str) -> None:
    """Give a resource and its parts a new etag and a state."""
    etag = f'W/"{world.new_id()}"'
    body["etag"] = etag
    body["properties"]["provisioningState"] = state
    for name in _PARTS:
        for part in body["properties"].get(name, ()):
            part["etag"] = etag
            part["properties"]["provisioningState"] = state


def begin_change(world: World, body: dict[str, Any]) -> None:
    """Put a resource that is made or replaced into the store; it is ready ``SECONDS`` later."""

    def end() -> None:
        if world.store.get(body["id"]) is body and body["properties"]["provisioningState"] == "Updating":
            stamp(world, body, "Succeeded")

    stamp(world, body, "Updating")
    world.store.put(body)
    world.at(world.now() + timedelta(seconds=SECONDS), end)


def find(world: World, resource_id: str) -> dict[str, Any]:
    """Return the resource of an id; raise the gateway's 404 where there is none."""
    body = world.store.get(resource_id)
    if body is None:
        scope, _, name = resource_id.rstrip("/").rpartition("/providers/")
        raise resource_not_found(name, scope.rpartition("/")[2])
    return body


def answer_one(body: Mapping[str, Any]) -> Answer:
    """Answer a resource, with its etag in the header, too."""
    return Answer(body=body, headers={"ETag": body["etag"]})
