"""Resource groups: which there are, and what must hold for a resource in one. The calls are in ``group_calls.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.errors import resource_group_not_found
from simulator.providers.resources import errors
from simulator.store import RESOURCE_GROUPS

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.world import World


def group_id_of(call: Call) -> str:
    """Return the id of the resource group of the address."""
    return f"/subscriptions/{call.params['subscription']}/resourceGroups/{call.params['group']}"


def ensure_group(world: World, group_id: str, location: str) -> None:
    """Create a resource group unless it is there."""
    if world.store.get(group_id) is None:
        world.store.put(group_body(group_id, location))


def group_body(group_id: str, location: str, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write a resource group, with members such as ``tags``."""
    return {
        "id": group_id,
        "name": group_id.rpartition("/")[2],
        "type": RESOURCE_GROUPS,
        "location": location,
        **(more or {}),
        "properties": {"provisioningState": "Succeeded"},
    }


def find_group(world: World, group_id: str) -> Mapping[str, Any]:
    """Return a resource group; raise the gateway's 404 where there is none."""
    group = world.store.get(group_id)
    if group is None:
        raise resource_group_not_found(group_id.rpartition("/")[2])
    return group


def scope_of(world: World, call: Call) -> str:
    """Return the id of the group whose resources a call lists, or of the subscription; raise 404 for no group."""
    if "group" in call.params:
        return find_group(world, group_id_of(call))["id"]
    return f"/subscriptions/{call.params['subscription']}"


def check_not_deleted(group: Mapping[str, Any]) -> None:
    """Raise 409 for a resource group that is being deleted."""
    if group["properties"]["provisioningState"] == "Deleting":
        raise errors.group_being_deleted(group["name"])


def check_placement(world: World, resource_id: str, asked: Mapping[str, Any]) -> None:
    """Raise the error of a resource that cannot be written to its group and region.

    The group must exist and not be being deleted; a region must be given, and be that of an existing resource;
    tags must be texts.
    """
    check_tags(asked)
    group = find_group(world, resource_id.partition("/providers/")[0])
    check_not_deleted(group)
    location = asked.get("location")
    if not isinstance(location, str) or not location:
        raise errors.location_required()
    former = world.store.get(resource_id)
    if former and former["location"] != location:
        raise errors.resource_in_other_region(former["name"], group["name"], former["location"], location)


def check_tags(asked: Mapping[str, Any]) -> None:
    """Raise 400 for a body whose tags are no object of texts."""
    tags = asked.get("tags")
    if tags is None:
        return
    values: list[Any] = list(cast("Mapping[str, Any]", tags).values()) if isinstance(tags, Mapping) else [None]
    if not all(isinstance(value, str) for value in values):
        raise errors.invalid_content("tags must be an object of strings")
