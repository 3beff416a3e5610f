"""What the caller may do: the list of its permissions at a scope, and the check of each call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import not_authorized, resource_group_not_found, resource_not_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.world import World

_READ_ACCOUNT = "Microsoft.Storage/storageAccounts/read"
_USE_GUARD = "Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read"


def list_permissions(world: World, call: Call) -> Answer:
    """Answer the permissions of the caller at a subscription, a resource group or a resource."""
    _check_scope(world, call)
    scope = call.path[: call.path.lower().rindex("/providers/microsoft.authorization/")]
    denied = sorted({*world.denied_actions(scope), *_own_denials(world, call)})

    def write(actions: str) -> dict[str, Any]:
        return {"actions": [actions], "notActions": denied, "dataActions": [], "notDataActions": []}

    return Answer(body=page(call, ["*/read", "*"], world.scenario.settings.page_permissions, write))


def check_permission(world: World, call: Call) -> None:
    """Raise 403 for a call whose action is denied at its resource."""
    action = _action_of(call)
    if any(_matches(pattern, action) for pattern in world.denied_actions(call.path)):
        raise not_authorized(action, call.path)


def _action_of(call: Call) -> str:
    """Return ARM's name of the call: the types of the resource, then ``read``, or the last segment and ``action``."""
    names = call.path.strip("/").rpartition("providers/")[2].split("/")
    return "/".join([names[0], *names[1::2], "read" if call.method == "GET" else "action"])


def _matches(pattern: str, action: str) -> bool:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(expression, action, re.IGNORECASE) is not None


def _check_scope(world: World, call: Call) -> None:
    """Raise 404 for a scope that the scenario does not have."""
    params = call.params
    if "group" not in params:
        return
    if not world.has_resource_group(params["group"]):
        raise resource_group_not_found(params["group"])
    if "name" in params and not _exists(world, call):
        resource = f"{params['namespace']}/{params['kind']}/{params['name']}"
        raise resource_not_found(resource, params["group"])


def _exists(world: World, call: Call) -> bool:
    group, name = call.params["group"], call.params["name"]
    vm_path = call.path[: call.path.lower().rindex("/providers/microsoft.authorization/")]
    known: dict[str, Callable[[], object]] = {
        "microsoft.recoveryservices/vaults": lambda: world.vault(group, name),
        "microsoft.storage/storageaccounts": lambda: world.storage_account(group, name),
        "microsoft.network/virtualnetworks": lambda: world.virtual_network(group, name),
        "microsoft.compute/virtualmachines": lambda: world.vm_exists(vm_path),
        "microsoft.dataprotection/resourceguards": lambda: world.resource_guard(group, name),
    }
    find = known.get(_type_of(call))
    return bool(find and find())


def _type_of(call: Call) -> str:
    return f"{call.params['namespace']}/{call.params['kind']}".lower() if "kind" in call.params else ""


def _own_denials(world: World, call: Call) -> list[str]:
    """Return what the scenario takes away at a resource by other members: unreadable accounts and closed guards."""
    group, name, kind = call.params.get("group", ""), call.params.get("name", ""), _type_of(call)
    if kind == "microsoft.storage/storageaccounts":
        account = world.storage_account(group, name)
        return [] if account is None or account.readable else [_READ_ACCOUNT]
    if kind == "microsoft.dataprotection/resourceguards":
        state = world.resource_guard(group, name)
        return [] if state is None or state.is_open(world.now()) else [_USE_GUARD]
    return []
