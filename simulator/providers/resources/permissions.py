"""What the caller may do: the list of its permissions at a scope, and the check of each call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import not_authorized, resource_group_not_found, resource_not_found
from simulator.providers.resources.groups import group_id_of

if TYPE_CHECKING:
    from simulator.addresses import Address
    from simulator.world import World

READ_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
_READ_ACCOUNT = "Microsoft.Storage/storageAccounts/read"
_USE_GUARD = "Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read"


def list_permissions(world: World, call: Call) -> Answer:
    """Answer the permissions of the caller at a subscription, a resource group or a resource."""
    check_scope(world, call)
    scope = scope_of(call)
    denied = sorted({*world.denied_actions(scope), *_own_denials(world, call)})

    data = [] if _keeps_blobs(world, call) else [READ_BLOBS]

    def write(actions: str) -> dict[str, Any]:
        of_data = data if actions == "*" else []
        not_data = denied if of_data else []
        return {"actions": [actions], "notActions": denied, "dataActions": of_data, "notDataActions": not_data}

    return Answer(body=page(call, ["*/read", "*"], world.scenario.settings.page_permissions, write))


def _keeps_blobs(world: World, call: Call) -> bool:
    """Return whether the caller has no role for the data of the storage account whose permissions are asked for."""
    if _type_of(call) != "microsoft.storage/storageaccounts":
        return False
    account = world.storage_account(call.params["subscription"], call.params["group"], call.params["name"])
    return account is not None and not account.blob_reader


def check_permission(world: World, call: Call, address: Address) -> None:
    """Raise 403 for a call whose action is denied at its resource."""
    action = address.action(call.method)
    if is_denied(world, action, call.path):
        raise not_authorized(action, call.path)


def is_denied(world: World, action: str, path: str) -> bool:
    """Return whether the caller may not perform an action at a path."""
    return any(_matches(pattern, action) for pattern in world.denied_actions(path))


def _matches(pattern: str, action: str) -> bool:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(expression, action, re.IGNORECASE) is not None


def check_scope(world: World, call: Call) -> None:
    """Raise 404 for a scope that the scenario does not have."""
    params = call.params
    if "group" not in params:
        return
    if world.store.get(group_id_of(call)) is None:
        raise resource_group_not_found(params["group"])
    if "name" in params and not _exists(world, call):
        resource = f"{params['namespace']}/{params['kind']}/{params['name']}"
        raise resource_not_found(resource, params["group"])


def _exists(world: World, call: Call) -> bool:
    """Return whether the resource of the address is there: in the store, or one that the backup service computes."""
    scope, params = scope_of(call), call.params
    if world.store.get(scope):
        return True
    vault = world.vault(params["subscription"], params["group"], params["name"])
    if vault and vault.resource_id.lower() == scope.lower():
        return True
    return world.resource_guard(scope) is not None


def scope_of(call: Call) -> str:
    """Return the id of the scope whose permissions or locks are read."""
    return call.path[: call.path.lower().rindex("/providers/microsoft.authorization/")]


def _type_of(call: Call) -> str:
    return f"{call.params['namespace']}/{call.params['kind']}".lower() if "kind" in call.params else ""


def _own_denials(world: World, call: Call) -> list[str]:
    """Return what the scenario takes away at a resource by other members: unreadable accounts and closed guards."""
    kind = _type_of(call)
    if kind == "microsoft.storage/storageaccounts":
        account = world.storage_account(call.params["subscription"], call.params["group"], call.params["name"])
        return [] if account is None or account.readable else [_READ_ACCOUNT]
    if kind == "microsoft.dataprotection/resourceguards":
        state = world.resource_guard(scope_of(call))
        return [] if state is None or state.is_open(world.now()) else [_USE_GUARD]
    return []
