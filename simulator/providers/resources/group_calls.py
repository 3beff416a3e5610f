"""The calls about resource groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call, page
from simulator.providers.network.interfaces import vms_by_interface
from simulator.providers.resources import errors
from simulator.providers.resources.deletions import Deletion, begin_deletion
from simulator.providers.resources.filters import has_tag, read_conditions
from simulator.providers.resources.groups import check_not_deleted, check_tags, find_group, group_body, group_id_of
from simulator.store import RESOURCE_GROUPS

if TYPE_CHECKING:
    from simulator.world import World

DELETION_S = 60.0
"""How long the deletion of a group takes; the one that was recorded took a minute."""
_NAME = re.compile(r"[-\w.()]{0,89}[-\w()]")


def get_resource_group(world: World, call: Call) -> Answer:
    """Answer a resource group."""
    return Answer(body=find_group(world, group_id_of(call)))


def head_resource_group(world: World, call: Call) -> Answer:
    """Answer 204 if there is such a group, else 404."""
    find_group(world, group_id_of(call))
    return Answer(status=204)


def list_resource_groups(world: World, call: Call) -> Answer:
    """Answer the resource groups of a subscription, or those with the tag that ``$filter`` names."""
    conditions = read_conditions(call)
    groups = [
        group
        for group in world.store.of_type(RESOURCE_GROUPS, below=f"/subscriptions/{call.params['subscription']}")
        if has_tag(group, conditions)
    ]
    return Answer(body=page(call, groups, world.scenario.settings.page_resources, dict))


def put_resource_group(world: World, call: Call) -> Answer:
    """Create (201) a resource group, or replace the tags of one (200)."""
    group_id, asked = group_id_of(call), _members(call)
    check_tags(asked)
    group, location = world.store.get(group_id), asked.get("location")
    if not isinstance(location, str) or not location:
        raise errors.location_required()
    if not _NAME.fullmatch(call.params["group"]):
        raise errors.invalid_group_name(call.params["group"])
    more = {name: asked[name] for name in ("managedBy", "tags") if asked.get(name)}
    if group is None:
        created = group_body(group_id, location, more)
        world.store.put(created)
        return Answer(status=201, body=created)
    check_not_deleted(group)
    if group["location"] != location:
        raise errors.group_in_other_region(group["location"], location)
    body = group_body(group["id"], location, more)
    world.store.put(body)
    return Answer(body=body)


def patch_resource_group(world: World, call: Call) -> Answer:
    """Replace the tags of a resource group."""
    group = find_group(world, group_id_of(call))
    check_not_deleted(group)
    check_tags(_members(call))
    tags = _members(call).get("tags")
    if isinstance(tags, Mapping):
        group = {**group, "tags": dict(cast("Mapping[str, Any]", tags))}
        world.store.put(group)
    return Answer(body=group)


def delete_resource_group(world: World, call: Call) -> Answer:
    """Begin to delete a resource group and everything in it; a later call answers the result."""
    group = find_group(world, group_id_of(call))
    world.store.put({**group, "properties": {"provisioningState": "Deleting"}})
    deletion = Deletion(
        job=f"RESOURCEGROUPDELETIONJOB-{group['name']}",
        location=group["location"],
        seconds=DELETION_S,
        ends_as=HTTPStatus.OK,
        remove=lambda: _remove(world, group["id"]),
    )
    return begin_deletion(world, call, deletion)


def _remove(world: World, group_id: str) -> None:
    """Remove a group and what lies in it; raise 409 where something is held by what lies elsewhere."""
    group = find_group(world, group_id)
    held = _held_resources(world, group_id)
    if held:
        world.store.put({**group, "properties": {"provisioningState": "Succeeded"}})
        raise errors.group_deletion_blocked(group["name"], held)
    world.store.remove(group_id)


def _held_resources(world: World, group_id: str) -> list[str]:
    """Return the ids of vaults, whose items must be stopped first, and of interfaces and disks of VMs elsewhere."""
    inside = f"{group_id.lower()}/"
    vaults = [vault.resource_id for vault in world.scenario.vaults if vault.resource_id.lower().startswith(inside)]
    vms = vms_by_interface(world)
    holders = {body["id"]: body.get("managedBy") or vms.get(body["id"].lower()) for body in world.store.below(group_id)}
    return vaults + [held for held, holder in holders.items() if holder and not holder.lower().startswith(inside)]


def _members(call: Call) -> Mapping[str, Any]:
    if not isinstance(call.body, Mapping):
        raise errors.invalid_content("the body must be an object")
    return cast("Mapping[str, Any]", call.body)
