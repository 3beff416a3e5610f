"""The tags of a group or a resource, as a resource of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import resource_not_found
from simulator.providers.compute.bodies import VM_TYPE
from simulator.providers.compute.changes import next_etag
from simulator.providers.compute.machines import check_idle
from simulator.providers.resources.errors import invalid_content
from simulator.providers.resources.groups import find_group
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.world import World

_PATH = "/providers/microsoft.resources/tags/default"
_OPERATIONS: dict[str, Callable[[dict[str, str], dict[str, str]], dict[str, str]]] = {
    "merge": lambda tags, given: {**tags, **given},
    "replace": lambda _tags, given: given,
    "delete": lambda tags, given: {name: value for name, value in tags.items() if given.get(name) != value},
}
_MAX_TAGS = 50


def get_tags(world: World, call: Call) -> Answer:
    """Answer the tags of a group or a resource."""
    return Answer(body=_body(_tagged(world, call)))


def patch_tags(world: World, call: Call) -> Answer:
    """Merge tags into those of a group or a resource, replace them, or delete those that are given."""
    resource, asked = _tagged(world, call), object_or_empty(call.body)
    change = _OPERATIONS.get(str(asked.get("operation")).lower())
    if change is None:
        raise invalid_content("operation must be Merge, Replace or Delete")
    return _put(world, resource, change(dict(resource.get("tags", {})), _given(asked)))


def put_tags(world: World, call: Call) -> Answer:
    """Replace the tags of a group or a resource."""
    return _put(world, _tagged(world, call), _given(object_or_empty(call.body)))


def _put(world: World, resource: Mapping[str, Any], tags: dict[str, str]) -> Answer:
    if len(tags) > _MAX_TAGS:
        raise invalid_content(f"a resource has at most {_MAX_TAGS} tags")
    check_idle(world, resource)
    tagged = {**resource, "tags": tags, **({"etag": next_etag(resource)} if resource["type"] == VM_TYPE else {})}
    world.store.put(tagged)
    return Answer(body=_body(tagged))


def _tagged(world: World, call: Call) -> Mapping[str, Any]:
    scope = call.path[: call.path.lower().rindex(_PATH)]
    if "/providers/" not in scope.lower():
        return find_group(world, scope)
    resource = world.store.get(scope)
    if resource is None:
        raise resource_not_found(scope.rpartition("/providers/")[2], call.params["group"])
    return resource


def _body(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": f"{resource['id']}/providers/Microsoft.Resources/tags/default",
        "name": "default",
        "type": "Microsoft.Resources/tags",
        "properties": {"tags": resource.get("tags", {})},
    }


def _given(asked: Mapping[str, Any]) -> dict[str, str]:
    tags = object_or_empty(object_or_empty(asked.get("properties")).get("tags"))
    if not all(isinstance(value, str) for value in tags.values()):
        raise invalid_content("the values of tags must be strings")
    return dict(tags)
