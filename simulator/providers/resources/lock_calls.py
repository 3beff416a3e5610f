"""The calls for management locks: reads alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import ArmError
from simulator.providers.resources.permissions import check_scope, scope_of

if TYPE_CHECKING:
    from simulator.locks import Lock
    from simulator.world import World

_AT_SCOPE = "atscope()"


def list_locks(world: World, call: Call) -> Answer:
    """Answer the locks at a scope, above and below it; with ``$filter=atScope()`` those at it and above it alone."""
    check_scope(world, call)
    scope = scope_of(call)
    found = world.locks.at_or_above(scope)
    if call.query.get("$filter", "").replace(" ", "").lower() != _AT_SCOPE:
        found += world.locks.below(scope)
    return Answer(body=page(call, found, world.scenario.settings.page_resources, _body))


def get_lock(world: World, call: Call) -> Answer:
    """Answer one lock, at its own scope."""
    lock = world.locks.find(call.path)
    if lock is None:
        raise ArmError(404, "LockNotFound", f"The lock '{call.params['lock']}' could not be found.", cause="gateway")
    return Answer(body=_body(lock))


def _body(lock: Lock) -> dict[str, Any]:
    return {
        "properties": {"level": lock.level},
        "id": lock.lock_id,
        "type": "Microsoft.Authorization/locks",
        "name": lock.name,
    }
