"""The list of the resources of a subscription or of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.providers.resources.filters import TAG_KEYS, has_tag, read_conditions
from simulator.providers.resources.groups import scope_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

_SHOWN = ("id", "name", "type", "kind", "location", "managedBy", "sku", "plan", "tags", "zones", "identity")


def is_listed(body: Mapping[str, Any]) -> bool:
    """Return whether a body of the store is a resource in a group: no group, deployment or operation."""
    in_group = "/resourcegroups/" in body["id"].lower() and "/providers/" in body["id"].lower()
    return in_group and not body["type"].lower().startswith("microsoft.resources/")


def list_resources(world: World, call: Call) -> Answer:
    """Answer the resources of a subscription or of a group, without their properties.

    A list by tag shows no tags: Azure's documentation says so.
    """
    conditions = read_conditions(call, "resourceType", "resourceGroup", "name", "location")
    scope = scope_of(world, call)
    found = [body for body in _resources(world, scope) if _matches(body, conditions)]
    shown = [name for name in _SHOWN if name != "tags" or not conditions.keys() & TAG_KEYS]

    def write(body: Mapping[str, Any]) -> dict[str, Any]:
        return {name: body[name] for name in shown if body.get(name) is not None}

    return Answer(body=page(call, found, _page_size(world, call), write))


def _page_size(world: World, call: Call) -> int:
    top = call.query.get("$top", "")
    size = world.scenario.settings.page_resources
    return min(size, int(top)) if top.isdecimal() and int(top) else size


def _resources(world: World, scope: str) -> list[Mapping[str, Any]]:
    """Return the resources below a scope: those of the store, and the vaults of the scenario."""
    vaults = [
        {"id": vault.resource_id, "name": vault.name, "type": vault.TYPE, "location": vault.region}
        for vault in world.scenario.vaults
        if vault.resource_id.lower().startswith(f"{scope.lower()}/")
    ]
    return [*vaults, *(body for body in world.store.below(scope) if is_listed(body))]


def _matches(body: Mapping[str, Any], conditions: Mapping[str, str]) -> bool:
    facts = {
        "resourcetype": body["type"],
        "resourcegroup": body["id"].split("/")[4],
        "name": body["name"],
        "location": body["location"],
    }
    wanted = {name: value for name, value in conditions.items() if name in facts}
    return has_tag(body, conditions) and all(facts[name].lower() == value.lower() for name, value in wanted.items())
