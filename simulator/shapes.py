"""The bodies of resources, as the service writes them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.formats import clock_days, iso_time
from simulator.points import TIER_STATES, TIERS, Point

if TYPE_CHECKING:
    from simulator.guards import ResourceGuard
    from simulator.jobs import Job
    from simulator.scenario import SoftDelete, StorageAccount, Vault, VirtualNetwork, Vm
    from simulator.world import World

RECOVERY_SERVICES = "Microsoft.RecoveryServices/vaults"
_ITEM_TYPE = f"{RECOVERY_SERVICES}/backupFabrics/protectionContainers/protectedItems"
_REHYDRATED_FOR = timedelta(days=10)
_SOFT_DELETE_RETENTION = timedelta(days=14)
RESTORE_ACTION = f"{_ITEM_TYPE}/recoveryPoints/restore/action"
_HEALTHY = {
    "code": 400239,
    "title": "IaasVmHealthGreenDefault",
    "message": "Backup pre-check status of this virtual machine is OK.",
    "recommendations": [],
}
_CRITICAL_OPERATIONS = {
    "triggerRestoreRequests": (  # cased otherwise than in the docs: clients must not care
        "Microsoft.RecoveryServices/Vaults/backupFabrics/protectionContainers/protectedItems/RecoveryPoints/Restore/Action"
    ),
    "deleteProtectedItemRequests": f"{_ITEM_TYPE}/delete",
    "updateProtectedItemRequests": f"{_ITEM_TYPE}/write",
    "getBackupSecurityPINRequests": f"{RECOVERY_SERVICES}/backupSecurityPIN/action",
}
_EMPTY_ID = "00000000-0000-0000-0000-000000000000"


def vm_id(world: World, vm: Vm) -> str:
    """Return the resource id of a VM."""
    return (
        f"/subscriptions/{world.scenario.subscription_id}/resourceGroups/{vm.resource_group}"
        f"/providers/Microsoft.Compute/virtualMachines/{vm.name}"
    )


def vault_id(world: World, vault: Vault) -> str:
    """Return the resource id of a vault."""
    return (
        f"/subscriptions/{world.scenario.subscription_id}/resourceGroups/{vault.resource_group}"
        f"/providers/{RECOVERY_SERVICES}/{vault.name}"
    )


def guard_id(world: World, guard: ResourceGuard) -> str:
    """Return the resource id of a Resource Guard."""
    return (
        f"/subscriptions/{world.scenario.subscription_id}/resourceGroups/{guard.resource_group}"
        f"/providers/Microsoft.DataProtection/resourceGuards/{guard.name}"
    )


def guard_request_id(world: World, guard: ResourceGuard) -> str:
    """Return the request that a guarded restore must name."""
    return f"{guard_id(world, guard)}/triggerRestoreRequests/default"


def guard_proxy_body(world: World, guard: ResourceGuard, vault_path: str) -> dict[str, Any]:
    """Write the proxy that ties a vault to its Resource Guard."""
    own = guard_id(world, guard)
    return {
        "id": f"{vault_path}/backupResourceGuardProxies/VaultProxy",
        "name": "VaultProxy",
        "type": f"{RECOVERY_SERVICES}/backupResourceGuardProxies",
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


def container_name(vm: Vm) -> str:
    """Return the native name of a VM's container, as ids have it."""
    return f"IaasVMContainer;{vm.native_name}"


def item_name(vm: Vm) -> str:
    """Return the native name of a VM's protected item, as ids have it."""
    return f"VM;{vm.native_name}"


def item_path(vault_path: str, vm: Vm) -> str:
    """Return the id of a protected item below a vault."""
    return f"{vault_path}/backupFabrics/Azure/protectionContainers/{container_name(vm)}/protectedItems/{item_name(vm)}"


def vm_body(vm: Vm, resource_id: str) -> dict[str, Any]:
    """Write a virtual machine, with the few properties that matter here."""
    return {
        "name": vm.name,
        "id": resource_id,
        "type": "Microsoft.Compute/virtualMachines",
        "location": vm.location,
        "properties": {
            "vmId": str(uuid5(NAMESPACE_URL, resource_id.lower())),
            "provisioningState": "Succeeded",
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"osDisk": {"osType": vm.os_type, "createOption": "FromImage"}},
        },
    }


def virtual_network_body(network: VirtualNetwork, resource_id: str) -> dict[str, Any]:
    """Write a virtual network, with the few properties that matter here."""
    return {
        "name": network.name,
        "id": resource_id,
        "type": "Microsoft.Network/virtualNetworks",
        "location": network.location,
        "properties": {"provisioningState": "Succeeded", "subnets": []},
    }


def restored_vm_body(job: Job, source: Vm) -> dict[str, Any]:
    """Write the virtual machine that a job made."""
    body = vm_body(source, job.target.vm_id)
    return {**body, "name": job.target.vm_name}


def vault_body(world: World, vault: Vault, vault_path: str) -> dict[str, Any]:
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
        "type": RECOVERY_SERVICES,
        "sku": {"name": "RS0", "tier": "Standard"},
    }


def storage_config_body(vault: Vault, vault_path: str) -> dict[str, Any]:
    """Write a vault's storage configuration."""
    return {
        "id": f"{vault_path}/backupstorageconfig/vaultstorageconfig",
        "name": "vaultstorageconfig",
        "type": f"{RECOVERY_SERVICES}/backupstorageconfig",
        "properties": {
            "storageModelType": vault.storage_type,
            "storageType": vault.storage_type,
            "dedupState": "Disabled",
            "xcoolState": "Disabled",
            "storageTypeState": "Locked",
            "crossRegionRestoreFlag": vault.cross_region_restore,
        },
    }


def storage_account_body(account: StorageAccount, path: str) -> dict[str, Any]:
    """Write a storage account."""
    return {
        "sku": {"name": account.sku, "tier": account.sku.partition("_")[0]},
        "kind": account.kind,
        "id": path,
        "name": account.name,
        "type": "Microsoft.Storage/storageAccounts",
        "location": account.location,
        "properties": {
            "provisioningState": "Succeeded",
            "allowSharedKeyAccess": account.shared_keys,
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow"},
        },
    }


def item_body(world: World, vm: Vm, call_base: str, vault_path: str, *, extended: bool) -> dict[str, Any]:
    """Write a protected item; ``extended`` adds what only the expanded single item says."""
    points = vm.listed_points
    source = vm_id(world, vm)
    properties: dict[str, Any] = {
        "friendlyName": vm.name.lower(),
        "virtualMachineId": source,
        "protectionStatus": "Healthy",
        "protectionState": "Protected" if points else "IRPending",
        "healthStatus": "Passed",
        "healthDetails": [_HEALTHY],
        "lastBackupStatus": "Completed" if points else "",
        "protectedItemDataId": str(sum(source.encode()) * 10**11),
        "policyType": "V1",
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "backupManagementType": "AzureIaasVM",
        "workloadType": "VM",
        "containerName": vm.native_name,
        "sourceResourceId": source,
        "policyId": f"{vault_path}/backupPolicies/DefaultPolicy",
        "policyName": "DefaultPolicy",
        "vaultId": f"{call_base}{vault_path}",
        "isArchiveEnabled": False,
        "softDeleteRetentionPeriod": 0,
    }
    if vm.disk_exclusion:
        properties["extendedProperties"] = {"diskExclusionProperties": vm.disk_exclusion.body()}
    if points:
        newest = iso_time(world.point_time(points[0]))
        properties |= {"lastBackupTime": newest, "lastRecoveryPoint": newest}
    if vm.soft_delete:
        properties |= _deferred_delete(world, vm.soft_delete)
    if extended:
        properties["extendedInfo"] = {"recoveryPointCount": len(points), "policyInconsistent": False}
        if points:
            properties["extendedInfo"]["oldestRecoveryPoint"] = iso_time(world.point_time(points[-1]))
    return {
        "id": item_path(vault_path, vm),
        "name": item_name(vm),
        "type": _ITEM_TYPE,
        "properties": properties,
    }


def _deferred_delete(world: World, soft_delete: SoftDelete) -> dict[str, Any]:
    """Write the properties in which a soft-deleted item differs from a protected one."""
    deletion = world.started - timedelta(hours=soft_delete.deleted_hours_ago)
    end = deletion + _SOFT_DELETE_RETENTION
    properties: dict[str, Any] = {
        "protectionState": "ProtectionStopped",
        "policyId": "",
        "policyName": "",
        "isScheduledForDeferredDelete": True,
        "softDeleteRetentionPeriod": _SOFT_DELETE_RETENTION.days,
    }
    if soft_delete.deferred_delete_time == "End":
        properties["deferredDeleteTimeInUTC"] = iso_time(end)
        properties["deferredDeleteTimeRemaining"] = clock_days(end - world.now())
    elif soft_delete.deferred_delete_time == "Deletion":
        properties["deferredDeleteTimeInUTC"] = iso_time(deletion)
    return properties


def point_body(world: World, vm: Vm, point: Point, vault_path: str) -> dict[str, Any]:
    """Write a recovery point as the list of points has it, without its disks."""
    is_soft_deleted = point.soft_deleted or (vm.soft_delete is not None and vm.soft_delete.points == "Flagged")
    properties: dict[str, Any] = {
        "objectType": "IaasVMRecoveryPoint",
        "recoveryPointType": point.consistency,
        "recoveryPointTime": iso_time(world.point_time(point)),
        "recoveryPointAdditionalInfo": "",
        "sourceVMStorageType": "PremiumVMOnPartialPremiumStorage",
        "isSourceVMEncrypted": point.encrypted,
        "isInstantIlrSessionActive": point.ilr_session,
        "isManagedVirtualMachine": point.managed,
        "virtualMachineSize": "Standard_D2s_v5",
        "originalStorageAccountOption": False,
        "osType": vm.os_type,
        "recoveryPointDiskConfiguration": None,
        "recoveryPointMoveReadinessInfo": {"ArchivedRP": {"isReadyForMove": False}},
        "recoveryPointProperties": {"expiryTime": "", "ruleName": "Daily", "isSoftDeleted": is_soft_deleted},
        "securityType": "None",
        "createdWithPolicyType": "V1",
    }
    if point.private_access != "Absent":
        properties["isPrivateAccessEnabledOnAnyDisk"] = point.private_access == "Enabled"
    if point.encrypted:
        properties["keyAndSecret"] = _keys_body(vm)
    if point.tier_details != "Absent":
        unlisted: dict[str, Any] = {"Null": None, "Empty": []}
        properties["recoveryPointTierDetails"] = (
            unlisted[point.tier_details] if point.tier_details in unlisted else _tiers(world, vm, point)
        )
    if point.zones:
        properties["zones"] = list(point.zones)
    if point.threat_status:
        properties |= {"threatStatus": point.threat_status, "threatInfo": []}
    if world.faults(vm.key).faults.unknown_enums:
        properties |= {"securityType": "QuantumLaunch", "memberOfTheFuture": {"weather": "Fair"}}
    return {
        "id": f"{item_path(vault_path, vm)}/recoveryPoints/{point.point_id}",
        "name": point.point_id,
        "type": f"{_ITEM_TYPE}/recoveryPoints",
        "properties": properties,
    }


def _keys_body(vm: Vm) -> dict[str, Any]:
    """Write the secret and the key of Azure Disk Encryption, which a point keeps."""
    key_vault = f"https://{vm.name.lower()}-kv.vault.azure.net"
    vault = f"/subscriptions/{_EMPTY_ID}/resourceGroups/{vm.resource_group}/providers/Microsoft.KeyVault/vaults/kv"
    return {
        "kekDetails": {"keyUrl": f"{key_vault}/keys/kek/1", "keyVaultId": vault, "keyBackupData": "a2VrLWJhY2t1cA=="},
        "bekDetails": {"secretUrl": f"{key_vault}/secrets/bek/1", "secretVaultId": vault, "secretData": "YmVr"},
        "encryptionMechanism": "DualPass",
    }


def _tiers(world: World, vm: Vm, point: Point) -> list[dict[str, Any]]:
    faults = world.faults(vm.key).faults
    details: list[dict[str, Any]] = []
    for tier, state in point.tiers:
        detail: dict[str, Any] = {"type": tier, "status": state}
        if faults.integer_enums:
            detail = {"type": TIERS.index(tier) + 1, "status": TIER_STATES.index(state) + 1}
        if state == "Rehydrated":
            detail["extendedInfo"] = {"RehydratedRPExpiryTime": iso_time(world.started + _REHYDRATED_FOR)}
        details.append(detail)
    if faults.unknown_enums:
        details.append({"type": "OrbitalRP", "status": "Drifting"})
    return details
