"""How a resource in the store is changed: a stored body stays as it is, and a new one takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.providers.compute.former import keep_former

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World


def change_vm(
    world: World, vm_id: str, properties: Mapping[str, Any] | None = None, **members: Any
) -> dict[str, Any] | None:
    """Change some properties and members of a VM, and with them its etag."""
    body = world.store.get(vm_id)
    if body is None:
        return None
    keep_former(world, vm_id)
    return change(world, vm_id, properties, **members, etag=next_etag(body))


def next_etag(body: Mapping[str, Any]) -> str:
    """Return the etag of a VM after another change."""
    return f'"{int(body["etag"].strip('"')) + 1}"'


def change(
    world: World, resource_id: str, properties: Mapping[str, Any] | None = None, **members: Any
) -> dict[str, Any] | None:
    """Change some properties and members of a resource; return its new body, None if it is not there.

    A member that is None is taken away. ``managedBy`` stands first, as recorded.
    """
    body = world.store.get(resource_id)
    if body is None:
        return None
    wanted = {"managedBy": None, **body, **members, "properties": {**body["properties"], **(properties or {})}}
    new = {name: value for name, value in wanted.items() if value is not None}
    world.store.put(new)
    return new
