"""The restore trigger, and the job that it makes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call
from simulator.errors import guard_not_granted, invalid_input
from simulator.faults import ErrorDetail
from simulator.providers.backup.checks import RestoreCheck, check_busy, point_of
from simulator.providers.backup.errors import guard_request_missing, internal_error, vault_blocked
from simulator.providers.backup.ids import RESTORE_ACTION
from simulator.providers.backup.job_profiles import kind_of, profile_of
from simulator.providers.backup.jobs import Job, Target
from simulator.providers.backup.lookup import vault_of, vm_of
from simulator.providers.backup.operation_calls import TRIGGER_RETRY_AFTER_S, operation_headers
from simulator.providers.backup.operations import Operation
from simulator.providers.backup.request_form import REHYDRATING, object_member
from simulator.providers.backup.results import deallocate_for_replacement, store_results

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.faults import Faults, FaultState
    from simulator.providers.backup.points import Point
    from simulator.scenario import StorageAccount, Vault, Vm
    from simulator.world import World

_NAME_TAKEN = ErrorDetail(
    code=400162,
    title="UserErrorVmAlreadyExists",
    text="A virtual machine of this name was created in the meantime.",
    recommendations=("Choose another name for the virtual machine.",),
)
_SNAPSHOTS = frozenset({"InstantRP", "IASnapshotRP"})
REHYDRATION_S = {"High": 45 * 60.0, "Standard": 9 * 3600.0}


def trigger_restore(world: World, call: Call) -> Answer:
    """Accept a restore: every accepted call makes a job, however often it is repeated."""
    vault, vm = vault_of(world, call), vm_of(world, call)
    point = point_of(vm, call.params["point"])
    properties = object_member(call.body, "properties")
    _check_guard(world, vault, call, properties)
    account = RestoreCheck(world, vault, vm, point, properties).account()
    _check_limit(world, vault)
    faults, activity_id = world.faults(vm.key), call.headers["x-ms-client-request-id"]
    restore = CheckedRestore(
        vault=vault, vm=vm, point=point, account=account, properties=properties, faults=faults.faults, now=world.now()
    )
    return answer_trigger(
        world, faults, lambda: operation_headers(world, call, vm, _accept(world, restore, activity_id))
    )


def answer_trigger(world: World, state: FaultState, accept: Callable[[], dict[str, str]]) -> Answer:
    """Answer a trigger with 202 and the headers that ``accept`` returns, unless a fault of the VM applies."""
    check_busy(world, state)
    if state.strikes("error500BeforeAccept", state.faults.error500_before_accept):
        raise internal_error()
    headers = accept()
    if state.strikes("lost202", state.faults.lost202):
        return Answer(status=0, dropped=True)
    if state.strikes("error500AfterAccept", state.faults.error500_after_accept):
        raise internal_error()
    return Answer(status=202, headers={**headers, "Retry-After": world.timeline.retry_after(TRIGGER_RETRY_AFTER_S)})


def _check_limit(world: World, vault: Vault) -> None:
    """Raise the error of a vault that has taken ``restoresPerDay`` restores within a day."""
    limit, since = vault.restores_per_day, world.now() - timedelta(days=1)
    if limit is None:
        return
    operations = world.operations.values()
    restores = [operation for operation in operations if operation.kind == "restore" and operation.vault == vault.name]
    if sum(restore.started > since for restore in restores) >= limit:
        raise vault_blocked()


def _check_guard(world: World, vault: Vault, call: Call, properties: Mapping[str, Any]) -> None:
    """Raise 403 where the vault's Resource Guard is not named, or does not allow the restore yet."""
    named = properties.get("resourceGuardOperationRequests")
    if named is not None and not isinstance(named, list):
        raise invalid_input("resourceGuardOperationRequests must be a list")
    state = world.guard(vault)
    if state is None:
        return
    guard = state.guard
    if guard.restore_request_id.lower() not in {
        str(request_id).lower() for request_id in cast("list[Any]", named or [])
    }:
        raise guard_request_missing(guard.resource_id)
    if not state.allows(world.now()):
        raise guard_not_granted(call.path.rpartition("/")[0], RESTORE_ACTION, guard.resource_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRestore:
    """A restore that passed all checks; ``region`` is empty in the vault's own region."""

    vault: Vault
    vm: Vm
    point: Point
    account: StorageAccount
    properties: Mapping[str, Any]
    faults: Faults
    now: datetime
    region: str = ""


def _accept(world: World, restore: CheckedRestore, activity_id: str) -> Operation:
    """Create the operation and, unless the VM's faults make it fail, its job."""
    faults, now = restore.faults, restore.now
    operation_id = job_id = world.new_id()
    if faults.different_operation_id or world.scenario.settings.different_operation_ids:
        job_id = world.new_id()
    operation = Operation(
        operation_id=operation_id,
        kind="restore",
        vault=restore.vault.name,
        vm_key=restore.vm.key,
        started=now,
        ready=now + timedelta(seconds=faults.slow_operation_s),
        job_id=job_id,
        failure=faults.operation_failed,
    )
    world.add_operation(operation)
    if faults.operation_failed is None:
        start_job(world, restore, job_id, activity_id)
    return operation


def start_job(world: World, restore: CheckedRestore, job_id: str, activity_id: str) -> None:
    """Create the job of a restore, and plan what it does when it ends."""
    job = _make_job(world, restore, job_id, activity_id)
    world.add_job(job)
    world.at(job.ends_at(), lambda: store_results(world, world.jobs[job_id]))
    if job.kind == "replace":
        world.at(job.transferred_at(), lambda: deallocate_for_replacement(world, world.jobs[job_id]))


def _make_job(world: World, restore: CheckedRestore, job_id: str, activity_id: str) -> Job:
    """Return the job, whose whole course is fixed now, but for a cancellation."""
    vm, faults, properties = restore.vm, restore.faults, restore.properties
    kind = kind_of(properties["recoveryType"], target_group=bool(properties.get("targetResourceGroupId")))
    delay_s = _rehydration_s(properties) if faults.job_s is None else 0.0
    seconds = delay_s + profile_of(kind, restore.region).seconds if faults.job_s is None else faults.job_s
    data_luns = _data_luns(vm, faults, properties)
    job = Job(
        job_id=job_id,
        vm_key=vm.key,
        vm_name=vm.name,
        container=vm.native_name,
        vault=restore.vault.name,
        subscription_id=vm.subscription_id,
        activity_id=activity_id,
        recovery_type=properties["recoveryType"],
        kind=kind,
        region=restore.region,
        target=_target(vm, restore.account, kind, properties),
        point_time=world.point_time(restore.point),
        blob_container=f"{vm.name.lower().replace('-', '')[:15]}-{world.new_id().replace('-', '')}",
        disk_gb=vm.disk_gb,
        data_luns=data_luns,
        restored_disks=_shown_disks(vm, data_luns),
        backed_up_disks=_shown_disks(vm, vm.backed_up_luns),
        makes_managed_disks=kind != "blobs"
        and (restore.point.managed or bool(properties.get("restoreWithManagedDisks"))),
        from_snapshot=not restore.region and not restore.point.valid_tiers.isdisjoint(_SNAPSHOTS),
        tags_disks=not faults.untagged_disks,
        saves_keys=restore.point.encrypted,
        bag=faults.bag,
        started=restore.now,
        delay_s=delay_s,
        seconds=seconds,
        ends_after_s=seconds,
        listed_from=restore.now + timedelta(seconds=faults.job_not_listed_s),
        cancel_s=world.scenario.settings.cancel_s,
        integer_enums=faults.integer_enums,
        unknown_enums=faults.unknown_enums,
    )
    return _with_ending(world, job, faults)


def _data_luns(vm: Vm, faults: Faults, properties: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the data disks that are restored: those asked for of an item with selected disks, else all of them.

    A list for an item without selected disks is accepted and ignored, as users have reported.
    """
    asked = properties.get("restoreDiskLunList")
    if asked is None or vm.disk_exclusion is None or faults.ignores_disk_list:
        return vm.backed_up_luns
    luns = {int(lun) for lun in asked}
    return tuple(lun for lun in vm.backed_up_luns if lun in luns)


def _shown_disks(vm: Vm, data_luns: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the OS disk and of data disks, for the job of an item with selected disks."""
    return tuple(vm.disk_name(lun) for lun in (-1, *data_luns)) if vm.disk_exclusion else ()


def _with_ending(world: World, job: Job, faults: Faults) -> Job:
    if faults.job_failed:
        after_s = min(faults.job_failed.after_s, job.seconds)
        return replace(job, ends_as="Failed", ends_after_s=after_s, details=(faults.job_failed.detail,))
    if world.vm_underway(job.target.vm_id):
        return replace(job, ends_as="Failed", details=(_NAME_TAKEN,))
    if faults.job_warnings:
        return replace(job, ends_as="CompletedWithWarnings", details=faults.job_warnings)
    return job


def _rehydration_s(properties: Mapping[str, Any]) -> float:
    if properties["objectType"] != REHYDRATING:
        return 0.0
    return REHYDRATION_S[properties["recoveryPointRehydrationInfo"]["rehydrationPriority"]]


def _target(vm: Vm, account: StorageAccount, kind: str, properties: Mapping[str, Any]) -> Target:
    if kind == "replace":
        group_id = vm.resource_id.partition("/providers/")[0]
        return Target(account=account.name, resource_group=vm.resource_group.lower(), group_id=group_id)
    group_id = str(properties.get("targetResourceGroupId") or "").rstrip("/")
    group = group_id.rpartition("/")[2]
    asked = properties.get("zones")
    zones = tuple(zone for zone in asked if zone != "NoZone") if asked else None
    if kind != "new_vm":
        return Target(account=account.name, resource_group=group, group_id=group_id, zones=zones)
    network = str(properties["virtualNetworkId"]).split("/")
    return Target(
        account=account.name,
        resource_group=group,
        group_id=group_id,
        vm_id=properties["targetVirtualMachineId"],
        network=f"Group {network[4]} {network[8]}",
        subnet_id=properties["subnetId"],
        zones=zones,
    )
