"""Reads of what there is: VMs, vaults, accounts, protected items, recovery points."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call, page
from simulator.checks import point_of
from simulator.disks import disks_body, own_disk_bodies, restored_disk_bodies
from simulator.errors import invalid_input, not_authorized, resource_group_not_found, resource_not_found
from simulator.formats import read_filter_time
from simulator.handlers.lookup import vault_of, vm_of
from simulator.shapes import (
    container_name,
    guard_proxy_body,
    item_body,
    item_name,
    point_body,
    restored_vm_body,
    storage_account_body,
    storage_config_body,
    vault_body,
    vault_id,
    virtual_network_body,
    vm_body,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from simulator.points import Point
    from simulator.scenario import Vm
    from simulator.world import World


def get_vm(world: World, call: Call) -> Answer:
    """Answer a VM of the scenario, or one that a restore made."""
    group, name = call.params["group"], call.params["vm"]
    vm = world.vm(f"{group}/{name}")
    if vm and not vm.deleted:
        return Answer(body=vm_body(vm, call.path))
    job = world.restored_vm(call.path)
    if job:
        return Answer(body=restored_vm_body(job, world.vm_with_key(job.vm_key)))
    raise resource_not_found(f"Microsoft.Compute/virtualMachines/{name}", group)


def list_disks(world: World, call: Call) -> Answer:
    """List the managed disks of a resource group: those of its VMs, and those that restores have made there."""
    group, now = call.params["group"].lower(), world.now()
    disks: list[dict[str, Any]] = []
    for vm in world.scenario.vms:
        if vm.resource_group.lower() == group and not vm.deleted:
            disks += own_disk_bodies(vm, call.path)
    for job in world.jobs.values():
        is_here = job.makes_managed_disks and job.target.resource_group.lower() == group
        if is_here and job.status(now) in {"Completed", "CompletedWithWarnings"}:
            disks += restored_disk_bodies(job, world.vm_with_key(job.vm_key), call.path)
    return Answer(body=page(call, disks, world.scenario.settings.page_disks, dict))


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
            "vaultId": vault_id(world, vm.vault),
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


def get_vault(world: World, call: Call) -> Answer:
    """Answer a vault."""
    return Answer(body=vault_body(world, vault_of(world, call), call.vault_path))


def get_storage_config(world: World, call: Call) -> Answer:
    """Answer a vault's storage configuration."""
    return Answer(body=storage_config_body(vault_of(world, call), call.vault_path))


def list_resource_guard_proxies(world: World, call: Call) -> Answer:
    """Answer the proxy of the vault's Resource Guard, or that there is none."""
    guard = vault_of(world, call).guard
    return Answer(body={"value": [guard_proxy_body(world, guard, call.vault_path)] if guard else []})


def get_storage_account(world: World, call: Call) -> Answer:
    """Answer a storage account, if the caller may read it."""
    group, name = call.params["group"], call.params["account"]
    account = world.storage_account(group, name)
    if account is None:
        raise resource_not_found(f"Microsoft.Storage/storageAccounts/{name}", group)
    if not account.readable:
        raise not_authorized("Microsoft.Storage/storageAccounts/read", call.path)
    return Answer(body=storage_account_body(account, call.path))


def list_storage_accounts(world: World, call: Call) -> Answer:
    """Answer the storage accounts of a resource group that the caller may read."""
    group = call.params["group"]
    if not world.has_resource_group(group):
        raise resource_group_not_found(group)
    bodies = [
        storage_account_body(account, f"{call.path.rstrip('/')}/{account.name}")
        for account in world.scenario.storage_accounts
        if account.resource_group.lower() == group.lower() and account.readable
    ]
    return Answer(body={"value": bodies})


def get_virtual_network(world: World, call: Call) -> Answer:
    """Answer a virtual network."""
    group, name = call.params["group"], call.params["network"]
    network = world.virtual_network(group, name)
    if network is None:
        raise resource_not_found(f"Microsoft.Network/virtualNetworks/{name}", group)
    return Answer(body=virtual_network_body(network, call.path))


def list_protected_items(world: World, call: Call) -> Answer:
    """Answer the protected items of a vault; a friendly name matches as a prefix, as it does in Azure."""
    vault = vault_of(world, call)
    conditions = call.filters(
        "backupManagementType", "itemType", "friendlyName", "containerName", "policyName", "healthState"
    )
    items = [vm for vm in world.items(vault.name) if _item_matches(vm, conditions)]

    def write(vm: Vm) -> dict[str, Any]:
        return item_body(world, vm, call.base_url, call.vault_path, extended=False)

    return Answer(body=page(call, items, world.scenario.settings.page_items, write))


def _item_matches(vm: Vm, conditions: Mapping[str, str]) -> bool:
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


def list_recovery_points(world: World, call: Call) -> Answer:
    """Answer the recovery points of an item, newest first."""
    vm = vm_of(world, call)
    points = _points_between(world, vm, call.filters("startDate", "endDate"))

    def write(point: Point) -> dict[str, Any]:
        return point_body(world, vm, point, call.vault_path)

    return Answer(body=page(call, points, world.scenario.settings.page_points, write))


def _points_between(world: World, vm: Vm, conditions: Mapping[str, str]) -> Sequence[Point]:
    """Cut the points of a time window out of the whole row, without looking at each."""
    points = vm.listed_points

    def age(point: Point) -> timedelta:
        return world.started - world.point_time(point)

    try:
        if "startdate" in conditions:
            start = read_filter_time(conditions["startdate"])
            points = points[: bisect_right(points, world.started - start, key=age)]
        if "enddate" in conditions:
            end = read_filter_time(conditions["enddate"])
            points = points[bisect_left(points, world.started - end, key=age) :]
    except ValueError as error:
        raise invalid_input(str(error)) from error
    return points


def get_recovery_point(world: World, call: Call) -> Answer:
    """Answer one recovery point; this call alone names its disks."""
    vm = vm_of(world, call)
    body = point_body(world, vm, point_of(vm, call.params["point"]), call.vault_path)
    body["properties"]["recoveryPointDiskConfiguration"] = disks_body(vm)
    return Answer(body=body)
