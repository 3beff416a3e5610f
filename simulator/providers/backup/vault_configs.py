"""How a vault is configured: its storage, its soft delete, its encryption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.providers.backup.ids import VAULTS
from simulator.providers.backup.lookup import vault_of

if TYPE_CHECKING:
    from simulator.world import World


def get_storage_config(world: World, call: Call) -> Answer:
    """Answer a vault's storage configuration."""
    vault = vault_of(world, call)
    properties = {
        "storageModelType": vault.storage_type,
        "storageType": vault.storage_type,
        "dedupState": "Disabled",
        "xcoolState": "Disabled",
        "storageTypeState": "Locked",
        "crossRegionRestoreFlag": vault.cross_region_restore,
    }
    return _config(call, "backupstorageconfig", "vaultstorageconfig", properties)


def get_vault_config(world: World, call: Call) -> Answer:
    """Answer a vault's security settings."""
    vault_of(world, call)
    properties = {
        "enhancedSecurityState": "AlwaysON",
        "softDeleteFeatureState": "AlwaysON",
        "softDeleteRetentionPeriodInDays": 14,
        "isSoftDeleteFeatureStateEditable": True,
    }
    return _config(call, "backupconfig", "vaultconfig", properties)


def get_encryption_config(world: World, call: Call) -> Answer:
    """Answer a vault's encryption configuration: whose keys encrypt the backups."""
    vault = vault_of(world, call)
    properties = {
        "useSystemAssignedIdentity": True,
        "encryptionAtRestType": vault.encryption,
        "lastUpdateStatus": "NotEnabled",
        "infrastructureEncryptionState": "Disabled",
    }
    if vault.encryption == "CustomerManaged":
        key = f"https://{vault.name.lower()}-kv.vault.azure.net/keys/backup/1"
        properties |= {"keyUri": key, "subscriptionId": vault.subscription_id, "lastUpdateStatus": "Succeeded"}
    return _config(call, "backupEncryptionConfigs", "backupResourceEncryptionConfig", properties)


def _config(call: Call, kind: str, name: str, properties: dict[str, Any]) -> Answer:
    return Answer(
        body={
            "id": f"{call.vault_path}/{kind}/{name}",
            "name": name,
            "type": f"{VAULTS}/{kind}",
            "properties": properties,
        }
    )
