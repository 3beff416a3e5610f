"""Storage accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import not_authorized, resource_group_not_found, resource_not_found
from simulator.providers.resources.groups import group_id_of
from simulator.scenario import StorageAccount

if TYPE_CHECKING:
    from simulator.world import World


def get_storage_account(world: World, call: Call) -> Answer:
    """Answer a storage account, if the caller may read it."""
    group, name = call.params["group"], call.params["account"]
    body = world.store.get(call.path)
    if body is None:
        raise resource_not_found(f"{StorageAccount.TYPE}/{name}", group)
    account = world.storage_account(call.params["subscription"], group, name)
    if account and not account.readable:
        raise not_authorized(f"{StorageAccount.TYPE}/read", call.path)
    return Answer(body=body)


def list_storage_accounts(world: World, call: Call) -> Answer:
    """Answer the storage accounts of a resource group that the caller may read."""
    subscription, group = call.params["subscription"], call.params["group"]
    if world.store.get(group_id_of(call)) is None:
        raise resource_group_not_found(group)
    hidden = {account.resource_id.lower() for account in world.scenario.storage_accounts if not account.readable}
    bodies = world.store.of_type(StorageAccount.TYPE, f"/subscriptions/{subscription}/resourceGroups/{group}")
    return Answer(body={"value": [body for body in bodies if body["id"].lower() not in hidden]})


def storage_account_body(account: StorageAccount) -> dict[str, Any]:
    """Write a storage account of the scenario."""
    return {
        "sku": {"name": account.sku, "tier": account.sku.partition("_")[0]},
        "kind": account.kind,
        "id": account.resource_id,
        "name": account.name,
        "type": account.TYPE,
        "location": account.location,
        "properties": {
            "provisioningState": "Succeeded",
            "allowSharedKeyAccess": account.shared_keys,
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow"},
        },
    }
