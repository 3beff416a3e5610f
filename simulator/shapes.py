"""The bodies of resources, as the service writes them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.formats import iso_time
from simulator.scenario import TIER_STATES, TIERS, Point, StorageAccount, Vault, Vm

if TYPE_CHECKING:
    from simulator.jobs import Job
    from simulator.world import World

RECOVERY_SERVICES = "Microsoft.RecoveryServices/vaults"
_ITEM_TYPE = f"{RECOVERY_SERVICES}/backupFabrics/protectionContainers/protectedItems"
_REHYDRATED_FOR = timedelta(days=10)
_HEALTHY = {
    "code": 400239,
    "title": "IaasVmHealthGreenDefault",
    "message": "Backup pre-check status of this virtual machine is OK.",
    "recommendations": [],
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


def restored_vm_body(job: Job, source: Vm) -> dict[str, Any]:
    """Write the virtual machine that a job made."""
    body = vm_body(source, job.target.vm_id)
    return {**body, "name": job.target.vm_name}


def vault_body(world: World, vault: Vault, vault_path: str) -> dict[str, Any]:
    """Write a vault."""
    created = world.started.replace(microsecond=0)
    cross = "Enabled" if vault.cross_subscription_restore else "Disabled"
    return {
        "location": vault.region,
        "name": vault.name,
        "etag": f"W/\"datetime'{iso_time(created)}'\"",
        "properties": {
            "provisioningState": "Succeeded",
            "privateEndpointStateForBackup": "None",
            "backupStorageVersion": "V2",
            "redundancySettings": {
                "standardTierStorageRedundancy": vault.storage_type,
                "crossRegionRestore": "Disabled",
            },
            "publicNetworkAccess": "Enabled",
            "restoreSettings": {"crossSubscriptionRestoreSettings": {"crossSubscriptionRestoreState": cross}},
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
            "crossRegionRestoreFlag": False,
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
            "allowSharedKeyAccess": True,
            "networkAcls": {"bypass": "AzureServices", "defaultAction": "Allow"},
        },
    }


def item_body(world: World, vm: Vm, call_base: str, vault_path: str, *, extended: bool) -> dict[str, Any]:
    """Write a protected item; ``extended`` adds what only the expanded single item says."""
    points = world.points(vm)
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
    if points:
        newest = iso_time(world.point_time(points[0]))
        properties |= {"lastBackupTime": newest, "lastRecoveryPoint": newest}
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


def point_body(world: World, vm: Vm, point: Point, vault_path: str) -> dict[str, Any]:
    """Write a recovery point."""
    properties: dict[str, Any] = {
        "objectType": "IaasVMRecoveryPoint",
        "recoveryPointType": point.consistency,
        "recoveryPointTime": iso_time(world.point_time(point)),
        "recoveryPointAdditionalInfo": "",
        "sourceVMStorageType": "PremiumVMOnPartialPremiumStorage",
        "isSourceVMEncrypted": point.encrypted,
        "isInstantIlrSessionActive": False,
        "recoveryPointTierDetails": _tiers(world, vm, point),
        "isManagedVirtualMachine": point.managed,
        "virtualMachineSize": "Standard_D2s_v5",
        "originalStorageAccountOption": False,
        "osType": vm.os_type,
        "recoveryPointMoveReadinessInfo": {"ArchivedRP": {"isReadyForMove": False}},
        "recoveryPointProperties": {"expiryTime": "", "ruleName": "Daily", "isSoftDeleted": point.soft_deleted},
        "securityType": "None",
        "isPrivateAccessEnabledOnAnyDisk": False,
        "createdWithPolicyType": "V1",
    }
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
