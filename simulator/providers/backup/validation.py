"""Validations: which rules a restore would violate."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from simulator.calls import Answer, Call
from simulator.errors import invalid_input
from simulator.providers.backup.checks import RestoreCheck, check_busy, point_of
from simulator.providers.backup.errors import ITEM_BUSY, item_not_found
from simulator.providers.backup.ids import item_path
from simulator.providers.backup.lookup import operation_of, vault_of
from simulator.providers.backup.operations import Operation
from simulator.providers.backup.protection import Finding
from simulator.providers.backup.request_form import object_member
from simulator.signing import Signatures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World

VALIDATE_RETRY_AFTER_S = 10


def trigger_validate(world: World, call: Call) -> Answer:
    """Accept a validation; its findings are the rules that the restore violates, then those of the scenario."""
    operation = _validation(world, call, world.scenario.settings.validate_s)
    world.add_operation(operation)
    version = f"{operation.operation_id}?api-version={call.api_version}"
    base, signatures = f"{call.base_url}{call.vault_path}", Signatures(world.now(), world.random)
    return Answer(
        status=202,
        headers={
            "Azure-AsyncOperation": signatures.sign(f"{base}/backupValidateOperationsStatuses/{version}"),
            "Location": signatures.sign(f"{base}/backupValidateOperationResults/{version}"),
            "Retry-After": world.timeline.retry_after(VALIDATE_RETRY_AFTER_S),
        },
    )


def validate(world: World, call: Call) -> Answer:
    """Validate at once."""
    return Answer(body={"validateOperationResponse": _validation(world, call, 0.0).findings_body()})


def _validation(world: World, call: Call, seconds: float) -> Operation:
    vault = vault_of(world, call)
    properties = object_member(call.body, "properties")
    if properties.get("objectType") != "ValidateIaasVMRestoreOperationRequest":
        raise invalid_input("objectType must be ValidateIaasVMRestoreOperationRequest")
    request = object_member(properties, "restoreRequest")
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
        check_busy(world, state)
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
