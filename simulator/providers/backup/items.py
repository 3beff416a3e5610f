"""Protected items, and which vault protects a VM."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import invalid_input
from simulator.formats import clock_days, iso_time
from simulator.providers.backup.ids import (
    DEFAULT_POLICY,
    PROTECTED_ITEMS,
    container_name,
    data_id,
    item_name,
    item_path,
)
from simulator.providers.backup.lookup import vault_of, vm_of
from simulator.providers.backup.service_jobs import backup_started
from simulator.reading import object_or_empty

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.providers.backup.protection import SoftDelete
    from simulator.scenario import Vm
    from simulator.world import World

_SOFT_DELETE_RETENTION = timedelta(days=14)
_FACTS = {"backupmanagementtype": "azureiaasvm", "itemtype": "vm", "healthstate": "passed"}
_NO_BACKUP = "2001-01-01T00:00:00Z"
_HEALTHY = {
    "code": 400239,
    "title": "IaasVmHealthGreenDefault",
    "message": "Backup pre-check status of this virtual machine is OK.",
    "recommendations": [],
}


def backup_status(world: World, call: Call) -> Answer:
    """Answer which vault protects a VM; only the VM's own region knows it."""
    body = object_or_empty(call.body)
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
            "policyName": DEFAULT_POLICY,
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
    """Answer the protected items of a vault; a friendly name is ignored, as users have reported."""
    vault = vault_of(world, call)
    conditions = item_conditions(call)
    items = [vm for vm in world.items(vault.name) if item_matches(vm, conditions)]

    def write(vm: Vm) -> dict[str, Any]:
        return item_body(world, vm, call.base_url, call.vault_path, extended=False)

    return Answer(body=page(call, items, world.scenario.settings.page_items, write))


def item_conditions(call: Call) -> dict[str, str]:
    """Return the conditions of a list of items."""
    return call.filters("backupManagementType", "itemType", "containerName", "policyName", "healthState")


def item_matches(vm: Vm, conditions: Mapping[str, str]) -> bool:
    """Return whether an item meets the conditions of a list."""
    for name, value in conditions.items():
        wanted = value.lower()
        if name == "containername":
            matches = wanted.removeprefix("iaasvmcontainer;") == vm.native_name
        elif name == "policyname":
            matches = wanted == DEFAULT_POLICY.lower() and vm.soft_delete is None
        else:
            matches = wanted == _FACTS[name]
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
    points, source = vm.points, vm.resource_id
    is_protected = bool(points) and vm.soft_delete is None
    last_backup = iso_time(backup_started(world, points[0])) if points else _NO_BACKUP
    selection = {"diskExclusionProperties": vm.disk_exclusion.body()} if vm.disk_exclusion else None
    policy = "" if vm.soft_delete else DEFAULT_POLICY
    properties: dict[str, Any] = {
        "friendlyName": vm.name,
        "virtualMachineId": source,
        "protectionStatus": "Healthy",
        "protectionState": "ProtectionStopped" if vm.soft_delete else "Protected" if points else "IRPending",
        "healthStatus": "Passed",
        **({"healthDetails": [_HEALTHY]} if is_protected else {}),
        "lastBackupStatus": "Completed" if points else "",
        "lastBackupTime": last_backup,
        "protectedItemDataId": data_id(vm),
        **({"extendedProperties": selection} if selection else {}),
        "policyType": "V1",
        "protectedItemType": "Microsoft.Compute/virtualMachines",
        "backupManagementType": "AzureIaasVM",
        "workloadType": "VM",
        "containerName": vm.native_name,
        "sourceResourceId": source,
        "policyId": policy and f"{vault_path}/backupPolicies/{policy}",
        "policyName": policy,
        **({"lastRecoveryPoint": iso_time(world.point_time(points[0]))} if points else {}),
        "vaultId": f"{call_base}{vault_path}",
        **(_deferred_delete(world, vm.soft_delete) if vm.soft_delete else {}),
        "isArchiveEnabled": False,
        "softDeleteRetentionPeriod": _SOFT_DELETE_RETENTION.days if vm.soft_delete else 0,
    }
    if extended:
        listed = vm.listed_points
        properties["extendedInfo"] = {"recoveryPointCount": len(listed), "policyInconsistent": False}
        if listed:
            properties["extendedInfo"]["oldestRecoveryPoint"] = iso_time(world.point_time(listed[-1]))
    return {
        "id": item_path(vault_path, vm),
        "name": item_name(vm),
        "type": PROTECTED_ITEMS,
        "properties": properties,
    }


def _deferred_delete(world: World, soft_delete: SoftDelete) -> dict[str, Any]:
    """Write what a soft-deleted item says about its end, which the service counts from the time of the deletion."""
    deletion = world.started - timedelta(hours=soft_delete.deleted_hours_ago)
    end = deletion + _SOFT_DELETE_RETENTION
    shown = {"Deletion": deletion, "End": end}.get(soft_delete.deferred_delete_time)
    if shown is None:
        return {"isScheduledForDeferredDelete": True}
    return {
        "deferredDeleteTimeInUTC": iso_time(shown),
        "isScheduledForDeferredDelete": True,
        "deferredDeleteTimeRemaining": clock_days(end - world.now()),
    }
