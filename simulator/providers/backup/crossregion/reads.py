"""What a vault has in the secondary region: its items, and the points whose data has arrived there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.formats import iso_time
from simulator.providers.backup.checks import point_of
from simulator.providers.backup.crossregion.regions import VERSIONS, secondary_region
from simulator.providers.backup.errors import item_not_found
from simulator.providers.backup.ids import PROTECTED_ITEMS, item_path
from simulator.providers.backup.items import item_body, item_conditions, item_matches
from simulator.providers.backup.lookup import vault_of, vm_of
from simulator.providers.backup.points import THREATS
from simulator.providers.backup.recovery_points import points_between
from simulator.providers.backup.service_jobs import backup_started

if TYPE_CHECKING:
    from simulator.providers.backup.points import Point
    from simulator.scenario import Vm
    from simulator.world import World

REPLICATION = timedelta(hours=12)
"""How long a point of the vault tier takes to the secondary region: what the documentation gives as the most."""


def list_secondary_items(world: World, call: Call) -> Answer:
    """Answer the items of a vault that have a point in the secondary region."""
    vault = vault_of(world, call)
    secondary_region(vault)
    conditions = item_conditions(call)
    items = [vm for vm in world.items(vault.name) if item_matches(vm, conditions) and secondary_points(world, vm)]

    def write(vm: Vm) -> dict[str, Any]:
        body = item_body(world, vm, call.base_url, call.vault_path, extended=False)
        newest = secondary_points(world, vm)[0]
        body["properties"] |= {
            "lastBackupTime": iso_time(backup_started(world, newest)),
            "lastRecoveryPoint": iso_time(world.point_time(newest)),
        }
        return body

    return Answer(body=page(call, items, world.scenario.settings.page_items, write))


def list_secondary_points(world: World, call: Call) -> Answer:
    """Answer the points of an item in the secondary region, newest first."""
    secondary_region(vault_of(world, call))
    vm = vm_of(world, call)
    listed = points_between(world, vm, call.filters("startDate", "endDate"))
    points = [point for point in listed if is_replicated(world, point)]

    def write(point: Point) -> dict[str, Any]:
        return _point_body(world, vm, point, call.vault_path)

    return Answer(body=page(call, points, world.scenario.settings.page_points, write))


def get_secondary_point(world: World, call: Call) -> Answer:
    """Answer one point of the secondary region."""
    vm, point = secondary_point(world, call)
    return Answer(body=_point_body(world, vm, point, call.vault_path))


def list_usage_summaries(world: World, call: Call) -> Answer:
    """Answer how many items a vault has, in the region that the api-version is for."""
    vault = vault_of(world, call)
    items = world.items(vault.name)
    if call.api_version in VERSIONS:
        secondary_region(vault)
        items = [vm for vm in items if secondary_points(world, vm)]
    usage = {
        "unit": "Count",
        "currentValue": len(items),
        "limit": -1,
        "name": {"value": "AzureIaasVM", "localizedValue": "Azure Virtual Machine"},
    }
    return Answer(body={"value": [usage]})


def secondary_point(world: World, call: Call) -> tuple[Vm, Point]:
    """Return the item and the point of the address; raise 404 for a point that is not in the secondary region."""
    secondary_region(vault_of(world, call))
    vm = vm_of(world, call)
    point = point_of(vm, call.params["point"])
    if not is_replicated(world, point):
        raise item_not_found()
    return vm, point


def secondary_points(world: World, vm: Vm) -> list[Point]:
    """Return the points of a VM that are in the secondary region, newest first."""
    return [point for point in vm.listed_points if is_replicated(world, point)]


def is_replicated(world: World, point: Point) -> bool:
    """Return whether a point is in the secondary region: snapshots and archives are not, the vault tier comes later."""
    return ("HardenedRP", "Valid") in point.tiers and world.now() - world.point_time(point) >= REPLICATION


def _point_body(world: World, vm: Vm, point: Point, vault_path: str) -> dict[str, Any]:
    """Write a point as the secondary region has it."""
    zones = {"zones": list(point.zones)} if point.zones else {}
    return {
        "id": f"{item_path(vault_path, vm)}/recoveryPoints/{point.point_id}",
        "name": point.point_id,
        "type": f"{PROTECTED_ITEMS}/recoveryPoints",
        "properties": {
            "objectType": "IaasVMRecoveryPoint",
            "recoveryPointType": point.consistency,
            "recoveryPointTime": iso_time(world.point_time(point)),
            "sourceVMStorageType": "PremiumVMOnPartialPremiumStorage",
            "isSourceVMEncrypted": point.encrypted,
            "isInstantIlrSessionActive": False,
            "recoveryPointTierDetails": [{"type": "HardenedRP", "status": "Valid"}],
            "crossRegionRestoreState": "Supported",
            "isManagedVirtualMachine": point.managed,
            "virtualMachineSize": vm.hardware.size,
            "originalStorageAccountOption": False,
            "osType": vm.os_type,
            **zones,
            "recoveryPointMoveReadinessInfo": {"ArchivedRP": {"isReadyForMove": False}},
            "isPrivateAccessEnabledOnAnyDisk": point.private_access == "Enabled",
            "createdWithPolicyType": "V1",
            "threatStatus": THREATS.index(point.threat_status) if point.threat_status else 0,
        },
    }
