"""Asynchronous operations of Compute: how they begin and end, and the call for their status and result."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.calls import Answer, Call
from simulator.errors import ArmError
from simulator.faults import Faults, FaultState, OperationFailure
from simulator.providers.compute.errors import PREEMPTED, compute_error
from simulator.providers.compute.former import keep_former
from simulator.providers.compute.limits import spend
from simulator.providers.compute.state import ComputeOperation, Work
from simulator.providers.compute.times import offset_time
from simulator.signing import Signatures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.world import World


def begin(world: World, resource: Mapping[str, Any], work: Work) -> ComputeOperation:
    """Begin an operation on a resource and return it; raise the error with which the VM's faults refuse it."""
    now, state = world.now(), FaultState(Faults()) if work.is_foreign else world.faults_at(resource["id"])
    failure = _failure(state, work.action) or work.failure
    slow = state.faults.compute.slow
    is_slow = slow and (not slow.actions or work.action in slow.actions)
    operation = ComputeOperation(
        operation_id=world.new_id(),
        work=work,
        resource_id=resource["id"],
        location=resource["location"],
        started=now,
        ends=now + timedelta(seconds=slow.seconds if slow and is_slow else work.seconds),
        failure=failure,
    )
    world.compute.operations[operation.operation_id] = operation
    world.compute.underway[resource["id"].lower()] = operation
    world.at(operation.ends, lambda: _end(world, operation))
    return operation


def _failure(state: FaultState, action: str) -> OperationFailure | None:
    """Return how the operation will fail, if the faults say so; raise where they refuse the call."""
    for number, failed in enumerate(state.faults.compute.failed):
        if failed.actions and action not in failed.actions:
            continue
        if not state.strikes(f"computeFailed{number}", failed.count):
            continue
        if failed.refused:
            raise compute_error(409, failed.code, failed.message)
        return OperationFailure(code=failed.code, message=failed.message, leaves=failed.leaves)
    return None


def _end(world: World, operation: ComputeOperation) -> None:
    """Finish or undo an operation, unless it was preempted or its resource was deleted."""
    key = operation.resource_id.lower()
    if world.compute.underway.get(key) is not operation:
        return
    del world.compute.underway[key]
    if world.store.get(key) is None:
        return
    keep_former(world, key)
    if operation.failure:
        operation.work.undo(operation.ends)
    else:
        operation.result = operation.work.finish(operation.ends)


def preempt(world: World, resource_id: str) -> None:
    """End the operation that runs on a resource, if there is one, as ``OperationPreempted``."""
    operation = world.compute.underway.pop(resource_id.lower(), None)
    if operation:
        keep_former(world, resource_id)
        operation.ends = world.now()
        operation.failure = OperationFailure(code="OperationPreempted", message=PREEMPTED)
        operation.work.undo(operation.ends)


def operation_headers(world: World, call: Call, operation: ComputeOperation, *, location: bool) -> dict[str, str]:
    """Return the headers with the address of an operation's status, and with ``location`` also that of its result."""
    subscription = operation.resource_id.split("/")[2]
    path = f"/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{operation.location}"
    place = f"{call.base_url}{path}/{operation.work.collection}/{operation.operation_id}"
    owner, signatures = uuid5(NAMESPACE_URL, subscription), Signatures(world.now(), world.random)
    version = f"api-version={call.api_version}"
    headers = {
        "azure-asyncnotification": "Enabled",
        "Azure-AsyncOperation": signatures.sign(f"{place}?p={owner}&{version}"),
    }
    if location:
        headers["Location"] = signatures.sign(f"{place}?p={owner}&monitor=true&{version}")
    return headers


def get_compute_operation(world: World, call: Call) -> Answer:
    """Answer the status of an operation, or with ``monitor=true`` its result."""
    operation = world.compute.operations.get(call.params["operation"].lower())
    if operation is None or operation.work.collection.lower() != call.params["collection"].lower():
        raise ArmError(404, "NotFound", f"The operation '{call.params['operation']}' was not found.")
    headers = spend(world, "GetOperation", operation.resource_id)
    status = operation.status(world.now())
    if call.query.get("monitor") == "true":
        return _result(world, call, operation, status, headers)
    return Answer(body=_status_body(operation, status), headers=headers)


def _status_body(operation: ComputeOperation, status: str) -> dict[str, Any]:
    body: dict[str, Any] = {"startTime": offset_time(operation.started)}
    if status != "InProgress":
        body["endTime"] = offset_time(operation.ends)
    body["status"] = status
    if operation.failure and status == "Failed":
        body["error"] = {"code": operation.failure.code, "message": operation.failure.message}
    return {**body, "name": operation.operation_id}


def _result(world: World, call: Call, operation: ComputeOperation, status: str, headers: dict[str, str]) -> Answer:
    if status == "InProgress":
        return Answer(status=202, headers={**headers, **operation_headers(world, call, operation, location=True)})
    if operation.failure:
        raise compute_error(409, operation.failure.code, operation.failure.message)
    return Answer(body=operation.result, headers=headers)
