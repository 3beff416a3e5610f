"""Restores: the trigger, its validation, and the operations that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call
from simulator.checks import REHYDRATING, RestoreCheck, point_of
from simulator.errors import (
    ITEM_BUSY,
    ArmError,
    guard_not_granted,
    guard_request_missing,
    internal_error,
    invalid_input,
    item_busy,
    item_not_found,
    vault_blocked,
)
from simulator.faults import ErrorDetail
from simulator.handlers.lookup import operation_of, vault_of, vm_of
from simulator.jobs import LIVES, Job, Target, kind_of
from simulator.operations import Operation
from simulator.scenario import Finding
from simulator.shapes import RESTORE_ACTION, guard_id, guard_request_id, item_path
from simulator.signing import sign

if TYPE_CHECKING:
    from simulator.faults import Faults, FaultState
    from simulator.points import Point
    from simulator.scenario import StorageAccount, Vault, Vm
    from simulator.world import World

TRIGGER_RETRY_AFTER_S = 60
VALIDATE_RETRY_AFTER_S = 10
_NAME_TAKEN = ErrorDetail(
    code=400162,
    title="UserErrorVmAlreadyExists",
    text="A virtual machine of this name was created in the meantime.",
    recommendations=("Choose another name for the virtual machine.",),
)
REHYDRATION_S = {"High": 45 * 60.0, "Standard": 9 * 3600.0}


def trigger_restore(world: World, call: Call) -> Answer:
    """Take a restore: every accepted call makes a job, however often it is repeated."""
    vault, vm = vault_of(world, call), vm_of(world, call)
    point = point_of(vm, call.params["point"])
    properties = _member(call.body, "properties")
    _check_guard(world, vault, call, properties)
    account = RestoreCheck(world, vault, vm, point, properties).account()
    _check_limit(world, vault)
    state = world.faults(vm.key)
    _check_busy(world, state)
    if state.strikes("error500BeforeAccept", state.faults.error500_before_accept):
        raise internal_error()
    order = _Order(
        vault=vault, vm=vm, point=point, account=account, properties=properties, faults=state.faults, now=world.now()
    )
    operation = _accept(world, order, call.headers["x-ms-client-request-id"])
    if state.strikes("lost202", state.faults.lost202):
        return Answer(status=0, dropped=True)
    if state.strikes("error500AfterAccept", state.faults.error500_after_accept):
        raise internal_error()
    retry_after = {"Retry-After": world.timeline.retry_after(TRIGGER_RETRY_AFTER_S)}
    return Answer(status=202, headers={**_addresses(world, call, vm, operation), **retry_after})


def _check_limit(world: World, vault: Vault) -> None:
    """Raise the error of a vault that has taken ``restoresPerDay`` restores within a day."""
    limit, since = vault.restores_per_day, world.now() - timedelta(days=1)
    if limit is None:
        return
    operations = world.operations.values()
    restores = [operation for operation in operations if operation.kind == "restore" and operation.vault == vault.name]
    if sum(restore.started > since for restore in restores) >= limit:
        raise vault_blocked()


def _check_busy(world: World, state: FaultState) -> None:
    """Raise the error of an item on which another operation runs."""
    busy = state.busy_item(world.now())
    if busy:
        raise item_busy(busy.status, busy.code, world.timeline.wait_headers(busy.retry_after_s, busy.form))


def _check_guard(world: World, vault: Vault, call: Call, properties: Mapping[str, Any]) -> None:
    """Raise 403 where the vault's Resource Guard is not named, or does not allow the restore yet."""
    named = properties.get("resourceGuardOperationRequests")
    if named is not None and not isinstance(named, list):
        raise invalid_input("resourceGuardOperationRequests must be a list")
    state = world.guard(vault)
    if state is None:
        return
    guard = guard_id(world, state.guard)
    if guard_request_id(world, state.guard).lower() not in {
        str(each).lower() for each in cast("list[Any]", named or [])
    }:
        raise guard_request_missing(guard)
    if not state.ask(world.now()):
        raise guard_not_granted(call.path.rpartition("/")[0], RESTORE_ACTION, guard)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """A restore that passed all checks."""

    vault: Vault
    vm: Vm
    point: Point
    account: StorageAccount
    properties: Mapping[str, Any]
    faults: Faults
    now: datetime


def _accept(world: World, order: _Order, activity_id: str) -> Operation:
    """Make the operation and, unless the VM's faults forbid it, its job."""
    faults, now = order.faults, order.now
    operation_id = job_id = world.new_id()
    if faults.different_operation_id or world.scenario.settings.different_operation_ids:
        job_id = world.new_id()
    operation = Operation(
        operation_id=operation_id,
        kind="restore",
        vault=order.vault.name,
        vm_key=order.vm.key,
        started=now,
        ready=now + timedelta(seconds=faults.slow_operation_s),
        job_id=job_id,
        failure=faults.operation_failed,
    )
    world.add_operation(operation)
    if faults.operation_failed is None:
        world.add_job(_make_job(world, order, job_id, activity_id))
    return operation


def _make_job(world: World, order: _Order, job_id: str, activity_id: str) -> Job:
    """Settle how the job will go."""
    vm, faults, properties = order.vm, order.faults, order.properties
    kind = kind_of(properties["recoveryType"], target_group=bool(properties.get("targetResourceGroupId")))
    delay_s = _rehydration_s(properties) if faults.job_s is None else 0.0
    seconds = delay_s + LIVES[kind].seconds if faults.job_s is None else faults.job_s
    job = Job(
        job_id=job_id,
        vm_key=vm.key,
        vm_name=vm.name.lower(),
        container=vm.native_name,
        vault=order.vault.name,
        subscription_id=world.scenario.subscription_id,
        activity_id=activity_id,
        recovery_type=properties["recoveryType"],
        kind=kind,
        target=_target(vm, order.account, kind, properties),
        point_time=world.point_time(order.point),
        blob_container=f"{vm.name.lower().replace('-', '')[:15]}-{world.new_id().replace('-', '')}",
        disk_gb=vm.disk_gb,
        data_luns=_data_luns(vm, faults, properties),
        makes_managed_disks=kind != "blobs"
        and (order.point.managed or bool(properties.get("restoreWithManagedDisks"))),
        tags_disks=not faults.untagged_disks,
        saves_keys=order.point.encrypted,
        bag=faults.bag,
        started=order.now,
        delay_s=delay_s,
        seconds=seconds,
        ends_after_s=seconds,
        listed_from=order.now + timedelta(seconds=faults.job_not_listed_s),
        cancel_s=world.scenario.settings.cancel_s,
        integer_enums=faults.integer_enums,
        unknown_enums=faults.unknown_enums,
    )
    return _with_ending(world, job, faults)


def _data_luns(vm: Vm, faults: Faults, properties: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the data disks that are restored: those asked for, or all in the backup; the service may ignore a list."""
    exclusion, asked = vm.disk_exclusion, properties.get("restoreDiskLunList")
    backed_up = tuple(disk.lun for disk in vm.data_disks if exclusion is None or exclusion.backs_up(disk.lun))
    if asked is None or faults.ignores_disk_list:
        return backed_up
    return tuple(lun for lun in backed_up if lun in asked)


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
        return Target(account=account.name, resource_group=vm.resource_group.lower())
    group = str(properties.get("targetResourceGroupId") or "").rpartition("/")[2]
    if kind != "new_vm":
        return Target(account=account.name, resource_group=group)
    network = str(properties["virtualNetworkId"]).split("/")
    return Target(
        account=account.name,
        resource_group=group,
        vm_id=properties["targetVirtualMachineId"],
        network=f"Group {network[4]} {network[8]}",
    )


def _addresses(world: World, call: Call, vm: Vm, operation: Operation) -> dict[str, str]:
    """Return the headers that say where to ask on, freshly signed, as the VM's faults bend them."""
    faults = world.faults(vm.key).faults
    base = faults.wrong_host_url or call.base_url
    item, now = item_path(call.vault_path, vm), world.now()
    version = f"{operation.operation_id}?api-version={call.api_version}"
    status = sign(f"{base}{item}/operationsStatus/{version}", now, world.random)
    if faults.double_subscriptions_location:
        return {"Location": sign(f"{base}/subscriptions/{item}/operationResults/{version}", now, world.random)}
    location = sign(f"{base}{item}/operationResults/{version}", now, world.random)
    if faults.no_async_header:
        return {"Location": location}
    return {"Location": location, "Azure-AsyncOperation": status}


def _member(body: Any, name: str) -> Mapping[str, Any]:
    if isinstance(body, Mapping):
        value = cast("Mapping[str, Any]", body).get(name)
        if isinstance(value, Mapping):
            return cast("Mapping[str, Any]", value)
    raise invalid_input(f"the body must be an object with an object {name!r}")


# Operations


def item_operation_status(world: World, call: Call) -> Answer:
    """Answer the status of a restore's operation; while it runs, with a Retry-After and new addresses."""
    return _operation_status(world, call, vm_of(world, call), operation_of(world, call, "restore"))


def vault_operation_status(world: World, call: Call) -> Answer:
    """Answer the same one level up, by the operation's id alone."""
    operation = operation_of(world, call, "restore", "cancel", "validate")
    return _operation_status(world, call, world.vm_with_key(operation.vm_key), operation)


def _operation_status(world: World, call: Call, vm: Vm, operation: Operation) -> Answer:
    headers: dict[str, str] = {}
    if operation.status(world.now()) == "InProgress":
        headers = {
            **_addresses(world, call, vm, operation),
            "Retry-After": world.timeline.retry_after(TRIGGER_RETRY_AFTER_S),
        }
    return Answer(body=operation.body(world.now()), headers=headers)


def item_operation_result(world: World, call: Call) -> Answer:
    """Answer 202 while a restore's operation runs, 204 when it is done, its error when it failed."""
    return _operation_result(world, call, vm_of(world, call), operation_of(world, call, "restore"))


def vault_operation_result(world: World, call: Call) -> Answer:
    """Answer the same one level up, by the operation's id alone."""
    operation = operation_of(world, call, "restore", "cancel", "validate")
    return _operation_result(world, call, world.vm_with_key(operation.vm_key), operation)


def _operation_result(world: World, call: Call, vm: Vm, operation: Operation) -> Answer:
    status = operation.status(world.now())
    if status == "Failed" and operation.failure:
        raise ArmError(400, operation.failure.code, operation.failure.message)
    addresses = _addresses(world, call, vm, operation)
    wanted = "Location" if status == "InProgress" else "Azure-AsyncOperation"
    headers = {name: value for name, value in addresses.items() if name == wanted}
    headers["Retry-After"] = world.timeline.retry_after(TRIGGER_RETRY_AFTER_S)
    return Answer(status=202 if status == "InProgress" else 204, headers=headers)


# Validation


def trigger_validate(world: World, call: Call) -> Answer:
    """Take a validation; it finds the rules that stand against the restore, and what the scenario says."""
    operation = _validation(world, call, world.scenario.settings.validate_s)
    world.add_operation(operation)
    version = f"{operation.operation_id}?api-version={call.api_version}"
    base, now = f"{call.base_url}{call.vault_path}", world.now()
    return Answer(
        status=202,
        headers={
            "Azure-AsyncOperation": sign(f"{base}/backupValidateOperationsStatuses/{version}", now, world.random),
            "Location": sign(f"{base}/backupValidateOperationResults/{version}", now, world.random),
            "Retry-After": world.timeline.retry_after(VALIDATE_RETRY_AFTER_S),
        },
    )


def validate(world: World, call: Call) -> Answer:
    """Validate at once."""
    return Answer(body={"validateOperationResponse": _validation(world, call, 0.0).findings_body()})


def _validation(world: World, call: Call, seconds: float) -> Operation:
    vault = vault_of(world, call)
    properties = _member(call.body, "properties")
    if properties.get("objectType") != "ValidateIaasVMRestoreOperationRequest":
        raise invalid_input("objectType must be ValidateIaasVMRestoreOperationRequest")
    request = _member(properties, "restoreRequest")
    vm = world.vm_named(str(request.get("sourceResourceId")))
    if vm is None or vm.vault != vault:
        raise item_not_found()
    point = point_of(vm, str(request.get("recoveryPointId")))
    expected = f"{item_path(call.vault_path, vm)}/recoveryPoints/{point.point_id}".lower()
    if str(cast("Mapping[str, Any]", call.body).get("id")).lower() != expected:
        raise invalid_input("id must be the resource id of the recovery point")
    findings = RestoreCheck(world, vault, vm, point, request).findings()
    now, state = world.now(), world.faults(vm.key)
    switch = state.faults.item_busy
    if switch is None or not switch.as_finding:
        _check_busy(world, state)
    elif state.busy_item(now):
        findings = (*findings, Finding(code=switch.code, message=ITEM_BUSY, recommendations=()))
    return Operation(
        operation_id=world.new_id(),
        kind="validate",
        vault=vault.name,
        vm_key=vm.key,
        started=now,
        ready=now + timedelta(seconds=seconds),
        findings=(*findings, *vm.validation),
    )


def validate_status(world: World, call: Call) -> Answer:
    """Answer the status of a validation; its findings come with ``Succeeded``."""
    operation = operation_of(world, call, "validate")
    running = operation.status(world.now()) == "InProgress"
    headers = {"Retry-After": world.timeline.retry_after(VALIDATE_RETRY_AFTER_S)} if running else {}
    return Answer(body=operation.body(world.now()), headers=headers)


def validate_result(world: World, call: Call) -> Answer:
    """Answer 202 while a validation runs, then its findings."""
    operation = operation_of(world, call, "validate")
    if operation.status(world.now()) == "InProgress":
        return Answer(status=202, headers={"Retry-After": world.timeline.retry_after(VALIDATE_RETRY_AFTER_S)})
    return Answer(body={"validateOperationResponse": operation.findings_body()})
