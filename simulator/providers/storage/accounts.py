"""Storage accounts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import not_authorized, resource_not_found
from simulator.formats import iso_time
from simulator.providers.resources.groups import scope_of
from simulator.scenario import StorageAccount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

_AGE = timedelta(days=400)
_SERVICES = ("dfs", "web", "blob", "queue", "table", "file")
_FIRST_WITH_NETWORK_RULES = "2017-06-01"
_OLD_MEMBERS = (
    "encryption",
    "provisioningState",
    "creationTime",
    "primaryEndpoints",
    "primaryLocation",
    "statusOfPrimary",
)
_JSON = "application/json"


def get_storage_account(world: World, call: Call) -> Answer:
    """Answer a storage account, if the caller may read it."""
    group, name = call.params["group"], call.params["account"]
    body = world.store.get(call.path)
    if body is None:
        raise resource_not_found(f"{StorageAccount.TYPE}/{name}", group)
    account = world.storage_account(call.params["subscription"], group, name)
    if account and not account.readable:
        raise not_authorized(f"{StorageAccount.TYPE}/read", call.path)
    return Answer(body=_as_of(body, call.api_version), content_type=_JSON)


def list_storage_accounts(world: World, call: Call) -> Answer:
    """Answer the storage accounts of a subscription or a resource group that the caller may read."""
    hidden = {account.resource_id.lower() for account in world.scenario.storage_accounts if not account.readable}
    bodies = world.store.of_type(StorageAccount.TYPE, scope_of(world, call))
    shown = [_as_of(body, call.api_version) for body in bodies if body["id"].lower() not in hidden]
    return Answer(body={"value": shown}, content_type=_JSON)


def _as_of(body: Mapping[str, Any], api_version: str) -> Mapping[str, Any]:
    """Return an account with the properties that a version has: old ones have a few."""
    if api_version >= _FIRST_WITH_NETWORK_RULES:
        return body
    return {**body, "properties": {name: body["properties"][name] for name in _OLD_MEMBERS}}


def storage_account_body(world: World, account: StorageAccount) -> dict[str, Any]:
    """Write a storage account of the scenario."""
    created = iso_time(world.started - _AGE)
    enabled = {"keyType": "Account", "enabled": True, "lastEnabledTime": created}
    return {
        "sku": {"name": account.sku, "tier": account.sku.partition("_")[0]},
        "kind": account.kind,
        "id": account.resource_id,
        "name": account.name,
        "type": account.TYPE,
        "location": account.location,
        "tags": {},
        "properties": {
            "publicNetworkAccess": "Enabled",
            "keyCreationTime": {"key1": created, "key2": created},
            "privateEndpointConnections": [],
            "minimumTlsVersion": "TLS1_2",
            "allowBlobPublicAccess": False,
            "allowSharedKeyAccess": account.shared_keys,
            "networkAcls": {
                "ipv6Rules": [],
                "bypass": "AzureServices",
                "virtualNetworkRules": [],
                "ipRules": [],
                "defaultAction": "Deny" if account.firewall else "Allow",
            },
            "supportsHttpsTrafficOnly": True,
            "encryption": {"services": {"file": enabled, "blob": enabled}, "keySource": "Microsoft.Storage"},
            "accessTier": "Hot",
            "provisioningState": "Succeeded",
            "creationTime": created,
            "primaryEndpoints": {each: _endpoint(account.name, each) for each in _SERVICES},
            "primaryLocation": account.location,
            "statusOfPrimary": "available",
        },
    }


def _endpoint(account: str, service: str) -> str:
    return f"https://{account}.{'z6.web' if service == 'web' else service}.core.windows.net/"
