"""Vaults, and how they are configured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.formats import iso_time
from simulator.providers.backup.ids import PROTECTED_ITEMS, VAULTS
from simulator.providers.backup.lookup import vault_of

if TYPE_CHECKING:
    from simulator.providers.backup.guards import ResourceGuard
    from simulator.scenario import Vault
    from simulator.world import World

_CRITICAL_OPERATIONS = {
    "triggerRestoreRequests": (  # cased otherwise than in the docs: clients must not care
        "Microsoft.RecoveryServices/Vaults/backupFabrics/protectionContainers/protectedItems/RecoveryPoints/Restore/Action"
    ),
    "deleteProtectedItemRequests": f"{PROTECTED_ITEMS}/delete",
    "updateProtectedItemRequests": f"{PROTECTED_ITEMS}/write",
    "getBackupSecurityPINRequests": f"{VAULTS}/backupSecurityPIN/action",
}
_EMPTY_ID = "00000000-0000-0000-0000-000000000000"


def get_vault(world: World, call: Call) -> Answer:
    """Answer a vault."""
    return Answer(body=_vault_body(world, vault_of(world, call), call.vault_path))


def _vault_body(world: World, vault: Vault, vault_path: str) -> dict[str, Any]:
    """Write a vault."""
    created = world.started.replace(microsecond=0)
    state = vault.cross_subscription_restore
    across = {} if state == "Absent" else {"crossSubscriptionRestoreState": state}
    return {
        "location": vault.region,
        "name": vault.name,
        "etag": f"W/\"datetime'{iso_time(created)}'\"",
        "properties": {
            "provisioningState": "Succeeded",
            "privateEndpointStateForBackup": "None",
            "backupStorageVersion": "V2",
            "securitySettings": {"multiUserAuthorization": "Enabled" if vault.guard else "Disabled"},
            "redundancySettings": {
                "standardTierStorageRedundancy": vault.storage_type,
                "crossRegionRestore": "Enabled" if vault.cross_region_restore else "Disabled",
            },
            "publicNetworkAccess": "Enabled",
            "restoreSettings": {"crossSubscriptionRestoreSettings": across},
        },
        "identity": {"type": "SystemAssigned", "principalId": _EMPTY_ID, "tenantId": _EMPTY_ID},
        "id": vault_path,
        "type": VAULTS,
        "sku": {"name": "RS0", "tier": "Standard"},
    }


def get_storage_config(world: World, call: Call) -> Answer:
    """Answer a vault's storage configuration."""
    return Answer(body=_storage_config_body(vault_of(world, call), call.vault_path))


def _storage_config_body(vault: Vault, vault_path: str) -> dict[str, Any]:
    """Write a vault's storage configuration."""
    return {
        "id": f"{vault_path}/backupstorageconfig/vaultstorageconfig",
        "name": "vaultstorageconfig",
        "type": f"{VAULTS}/backupstorageconfig",
        "properties": {
            "storageModelType": vault.storage_type,
            "storageType": vault.storage_type,
            "dedupState": "Disabled",
            "xcoolState": "Disabled",
            "storageTypeState": "Locked",
            "crossRegionRestoreFlag": vault.cross_region_restore,
        },
    }


def list_resource_guard_proxies(world: World, call: Call) -> Answer:
    """Answer the proxy of the vault's Resource Guard, or that there is none."""
    guard = vault_of(world, call).guard
    return Answer(body={"value": [_guard_proxy_body(world, guard, call.vault_path)] if guard else []})


def _guard_proxy_body(world: World, guard: ResourceGuard, vault_path: str) -> dict[str, Any]:
    """Write the proxy that ties a vault to its Resource Guard."""
    own = guard.resource_id
    return {
        "id": f"{vault_path}/backupResourceGuardProxies/VaultProxy",
        "name": "VaultProxy",
        "type": f"{VAULTS}/backupResourceGuardProxies",
        "properties": {
            "resourceGuardResourceId": own,
            "resourceGuardOperationDetails": [
                {"vaultCriticalOperation": operation, "defaultResourceRequest": f"{own}/{kind}/default"}
                for kind, operation in sorted(_CRITICAL_OPERATIONS.items())
            ],
            "lastUpdatedTime": iso_time(world.started),
            "description": "",
        },
    }
