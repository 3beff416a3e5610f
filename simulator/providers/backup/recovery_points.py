"""Recovery points, as the service writes them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import invalid_input
from simulator.formats import iso_time, read_filter_time
from simulator.providers.backup.checks import point_of
from simulator.providers.backup.ids import PROTECTED_ITEMS, item_path
from simulator.providers.backup.lookup import vm_of
from simulator.providers.backup.points import RETENTION_DAYS, TIER_STATES, TIERS, Point

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simulator.scenario import Vm
    from simulator.world import World

_REHYDRATED_FOR = timedelta(days=10)
_EMPTY_ID = "00000000-0000-0000-0000-000000000000"
_KEPT = {"Daily": timedelta(days=RETENTION_DAYS), "Yearly": timedelta(days=3650)}


def list_recovery_points(world: World, call: Call) -> Answer:
    """Answer the recovery points of an item, newest first."""
    vm = vm_of(world, call)
    points = points_between(world, vm, call.filters("startDate", "endDate"))

    def write(point: Point) -> dict[str, Any]:
        return _point_body(world, vm, point, call.vault_path)

    return Answer(body=page(call, points, world.scenario.settings.page_points, write))


def points_between(world: World, vm: Vm, conditions: Mapping[str, str]) -> Sequence[Point]:
    """Return the points within the dates of the conditions, found by bisection: a list may have thousands."""
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
    return Answer(body=_point_body(world, vm, point_of(vm, call.params["point"]), call.vault_path, names_disks=True))


def _point_body(world: World, vm: Vm, point: Point, vault_path: str, *, names_disks: bool = False) -> dict[str, Any]:
    """Write a recovery point: the list counts the selected disks, the call for a single point names them."""
    properties: dict[str, Any] = {
        "objectType": "IaasVMRecoveryPoint",
        "recoveryPointType": point.consistency,
        "recoveryPointTime": iso_time(world.point_time(point)),
        "recoveryPointAdditionalInfo": "",
        "sourceVMStorageType": "PremiumVMOnPartialPremiumStorage",
        "isSourceVMEncrypted": point.encrypted,
        **({"keyAndSecret": _keys_body(vm)} if point.encrypted else {}),
        "isInstantIlrSessionActive": point.ilr_session,
        **_tiers_member(world, vm, point),
        "isManagedVirtualMachine": point.managed,
        "virtualMachineSize": vm.hardware.size,
        "originalStorageAccountOption": False,
        "osType": vm.os_type,
        **({"recoveryPointDiskConfiguration": _disks_body(vm, names_disks=names_disks)} if vm.disk_exclusion else {}),
        **({"zones": list(point.zones)} if point.zones else {}),
        "recoveryPointMoveReadinessInfo": {"ArchivedRP": _readiness(vm)},
        "recoveryPointProperties": _expiry(world, vm, point),
        "securityType": "None",
    }
    if point.private_access != "Absent":
        properties["isPrivateAccessEnabledOnAnyDisk"] = point.private_access == "Enabled"
    properties["createdWithPolicyType"] = "V1"
    if point.threat_status:
        properties |= {"threatStatus": point.threat_status, "threatInfo": []}
    if world.faults(vm.key).faults.unknown_enums:
        properties |= {"securityType": "QuantumLaunch", "memberOfTheFuture": {"weather": "Fair"}}
    return {
        "id": f"{item_path(vault_path, vm)}/recoveryPoints/{point.point_id}",
        "name": point.point_id,
        "type": f"{PROTECTED_ITEMS}/recoveryPoints",
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


def _readiness(vm: Vm) -> dict[str, Any]:
    """Write whether the point can be archived, in the service's own words."""
    if vm.vault and vm.vault.storage_type == "ZoneRedundant":
        reason = "Recovery point cannot be moved to Archive tier in vaults with Zone-redundant storage enabled.. ..."
    else:
        reason = "We're still determining if this Recovery Point can be moved.. Please check again after some time."
    return {"isReadyForMove": False, "additionalInfo": reason}


def _expiry(world: World, vm: Vm, point: Point) -> dict[str, Any]:
    """Write when the point expires; one that the daily rule would have deleted is kept by a yearly one."""
    taken = world.point_time(point)
    is_daily = world.started - taken < _KEPT["Daily"]
    rule = "Daily" if is_daily else "Yearly"
    return {
        "expiryTime": iso_time(taken + _KEPT[rule]).removesuffix("Z"),
        "ruleName": rule,
        "isSoftDeleted": point.soft_deleted or (vm.soft_delete is not None and vm.soft_delete.points == "Flagged"),
    }


def _tiers_member(world: World, vm: Vm, point: Point) -> dict[str, Any]:
    """Return the member ``recoveryPointTierDetails`` as the point lists its tiers, or nothing."""
    listed: dict[str, Any] = {"Null": None, "Empty": [], "Listed": _tiers(world, vm, point)}
    return {} if point.tier_details == "Absent" else {"recoveryPointTierDetails": listed[point.tier_details]}


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


def _disks_body(vm: Vm, *, names_disks: bool) -> dict[str, Any]:
    """Write which disks of a VM with selected disks are in its points; the OS disk counts as LUN -1."""
    included = (-1, *vm.backed_up_luns)
    excluded = vm.excluded_luns
    counts = {
        "numberOfDisksIncludedInBackup": len(included),
        "numberOfDisksAttachedToVm": len(included) + len(excluded),
    }
    if not names_disks:
        return counts
    return {
        **counts,
        "includedDiskList": [{"lun": lun, "name": vm.disk_name(lun)} for lun in included],
        "excludedDiskList": [{"lun": lun, "name": vm.disk_name(lun)} for lun in excluded],
    }
