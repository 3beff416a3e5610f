"""Protected items, and which vault protects a VM."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call, page
from simulator.errors import invalid_input
from simulator.formats import clock_days, iso_time
from simulator.providers.backup.ids import PROTECTED_ITEMS, container_name, item_name, item_path
from simulator.providers.backup.lookup import vault_of, vm_of

if TYPE_CHECKING:
    from simulator.scenario import SoftDelete, Vm
    from simulator.world import World

_SOFT_DELETE_RETENTION = timedelta(days=14)
_HEALTHY = {
    "code": 400239,
    "title": "IaasVmHealthGreenDefault",
    "message": "Backup pre-check status of this virtual machine is OK.",
    "recommendations": [],
}


def backup_status(world: World, call: Call) -> Answer:
    """Tell which vault protects a VM; only the VM's own region knows."""
    body = cast("Mapping[str, Any]", call.body) if isinstance(call.body, Mapping) else {}
    resource = body.get("resourceId")
    if body.get("resourceType") != "VM" or not isinstance(resource, str):
        raise invalid_input("resourceType VM and a resourceId are needed")
    vm = world.vm_named(resource) if "/virtualmachines/" in resource.lower() else None
    if vm is None or vm.vault is None or vm.location.lower() != call.params["region"].lower():
        return Answer(body=_NOT_PROTECTED)
    return Answer(
        body={
            "protectionStatus": "Protected",
            "vaultId": vm.vault.resource_id,
            "fabricName": "Azure",
            "containerName": container_name(vm).lower(),
            "protectedItemName": item_name(vm).lower(),
            "errorCode": "Success",
            "errorMessage": "",
            "policyName": "DefaultPolicy",
            "registrationStatus": "Registered",
        }
    )


_NOT_PROTECTED = {
    "protectionStatus": "NotProtected",
    "vaultId": "",
    "fabricName": "Invalid",
    "containerName": "",
    "protectedItemName": "",
    "errorCode": "Success",
    "errorMessage": "",
    "policyName": "",
    "registrationStatus": "",
}


def list_protected_items(world: World, call: Call) -> Answer:
    """Answer the protected items of a vault; a friendly name matches as a prefix, as it does in Azure."""
    vault = vault_of(world, call)
    conditions = item_conditions(call)
    items = [vm for vm in world.items(vault.name) if item_matches(vm, conditions)]

    def write(vm: Vm) -> dict[str, Any]:
        return item_body(world, vm, call.base_url, call.vault_path, extended=False)

    return Answer(body=page(call, items, world.scenario.settings.page_items, write))


def item_conditions(call: Call) -> dict[str, str]:
    """Return the conditions of a list of items."""
    return call.filters(
        "backupManagementType", "itemType", "friendlyName", "containerName", "policyName", "healthState"
    )


def item_matches(vm: Vm, conditions: Mapping[str, str]) -> bool:
    """Return whether an item meets the conditions of a list."""
    facts = {
        "backupmanagementtype": "azureiaasvm",
        "itemtype": "vm",
        "policyname": "defaultpolicy",
        "healthstate": "passed",
    }
    for name, value in conditions.items():
        wanted = value.lower()
        if name == "friendlyname":
            matches = vm.name.lower().startswith(wanted)
        elif name == "containername":
            matches = vm.native_name in {wanted, wanted.partition(";")[2]}
        else:
            matches = facts[name] == wanted
        if not matches:
            return False
    return True


def get_protected_item(world: World, call: Call) -> Answer:
    """Answer one protected item."""
    vm = vm_of(world, call)
    extended = call.filters("expand").get("expand", "").lower() == "extendedinfo"
    return Answer(body=item_body(world, vm, call.base_url, call.vault_path, extended=extended))


def item_body(world: World, vm: Vm, call_base: str, vault_path: str, *, extended: bool) -> dict[str, Any]:
    """Write a protected item; ``extended`` adds what only the expanded single item says."""
    points = vm.listed_points
    source = vm.resource_id
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
        "type": PROTECTED_ITEMS,
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
