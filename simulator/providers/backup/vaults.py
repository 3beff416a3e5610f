"""Vaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from simulator.calls import Answer, Call, page
from simulator.formats import iso_time
from simulator.providers.backup.ids import VAULTS
from simulator.providers.backup.lookup import vault_of
from simulator.providers.resources.groups import find_group, group_id_of
from simulator.tenant import TENANT_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.providers.backup.protection import VaultIdentity
    from simulator.scenario import Vault
    from simulator.world import World


def get_vault(world: World, call: Call) -> Answer:
    """Answer a vault."""
    return Answer(body=vault_body(world, vault_of(world, call), call.vault_path))


def list_vaults(world: World, call: Call) -> Answer:
    """Answer the vaults of a subscription."""
    return _page_of_vaults(world, call, world.scenario.vaults)


def list_vaults_of_group(world: World, call: Call) -> Answer:
    """Answer the vaults of a resource group."""
    group = find_group(world, group_id_of(call))["name"].lower()
    vaults = [vault for vault in world.scenario.vaults if vault.resource_group.lower() == group]
    return _page_of_vaults(world, call, vaults)


def _page_of_vaults(world: World, call: Call, vaults: Iterable[Vault]) -> Answer:
    subscription = call.params["subscription"].lower()
    found = [vault for vault in vaults if vault.subscription_id.lower() == subscription]

    def write(vault: Vault) -> dict[str, Any]:
        return vault_body(world, vault, vault.resource_id)

    return Answer(body=page(call, found, world.scenario.settings.page_vaults, write))


def vault_body(world: World, vault: Vault, vault_path: str) -> dict[str, Any]:
    """Write a vault, as recordings of 2026 have it."""
    changed = iso_time(world.started)
    return {
        "location": vault.region,
        "name": vault.name,
        "etag": f"W/\"datetime'{quote(changed, safe='')}'\"",
        **_identity_member(vault.identity, vault_path),
        "properties": _vault_properties(vault),
        "id": vault_path,
        "type": VAULTS,
        "sku": {"name": "Standard"},
    }


def _identity_member(identity: VaultIdentity, vault_path: str) -> dict[str, Any]:
    """Return the member ``identity``; a vault without one says nothing."""
    if not identity.type:
        return {}
    body: dict[str, Any] = {}
    if identity.system_assigned:
        body |= {"tenantId": TENANT_ID, "principalId": _principal_id(vault_path)}
    body["type"] = identity.type
    if identity.user_assigned:
        body["userAssignedIdentities"] = {
            each: {"clientId": _principal_id(f"{each}/client"), "principalId": _principal_id(each)}
            for each in identity.user_assigned
        }
    return {"identity": body}


def _principal_id(resource_id: str) -> str:
    return str(uuid5(NAMESPACE_URL, resource_id.lower()))


def _vault_properties(vault: Vault) -> dict[str, Any]:
    enabled = "Enabled"
    state = vault.cross_subscription_restore
    across = {} if state == "Absent" else {"crossSubscriptionRestoreState": state}
    return {
        "provisioningState": "Succeeded",
        "privateEndpointStateForBackup": "None",
        "privateEndpointStateForSiteRecovery": "None",
        "monitoringSettings": {
            "azureMonitorAlertSettings": {
                "alertsForAllJobFailures": enabled,
                "alertsForAllReplicationIssues": enabled,
                "alertsForAllFailoverIssues": enabled,
            },
            "classicAlertSettings": {
                "alertsForCriticalOperations": enabled,
                "emailNotificationsForSiteRecovery": enabled,
            },
        },
        "costManagementSettings": {"granularityLevel": "VaultLevel"},
        "backupStorageVersion": "V2",
        "securitySettings": {
            "softDeleteSettings": {
                "softDeleteRetentionPeriodInDays": 14,
                "softDeleteState": "AlwaysON",
                "enhancedSecurityState": "AlwaysON",
            },
            "multiUserAuthorization": enabled if vault.guard else "Disabled",
            "sourceScanConfiguration": {"state": "Disabled"},
        },
        "redundancySettings": {
            "standardTierStorageRedundancy": vault.storage_type,
            "crossRegionRestore": enabled if vault.cross_region_restore else "Disabled",
        },
        "regionOfChoiceSettings": {"status": "Disabled"},
        "secureScore": "Maximum" if vault.guard else "Adequate",
        "bcdrSecurityLevel": "Excellent" if vault.guard else "Good",
        "publicNetworkAccess": enabled,
        "restoreSettings": {"crossSubscriptionRestoreSettings": across},
    }
