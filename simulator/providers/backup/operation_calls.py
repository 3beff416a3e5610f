"""The operations that stand for restores, cancellations and validations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.calls import Answer, Call
from simulator.errors import ArmError
from simulator.providers.backup.ids import item_path
from simulator.providers.backup.lookup import operation_of, vm_of
from simulator.signing import Signatures

if TYPE_CHECKING:
    from simulator.providers.backup.operations import Operation
    from simulator.scenario import Vm
    from simulator.world import World

TRIGGER_RETRY_AFTER_S = 60


def operation_headers(world: World, call: Call, vm: Vm, operation: Operation) -> dict[str, str]:
    """Return the headers with the addresses of an operation's status and result, changed by its VM's faults."""
    faults = world.faults(vm.key).faults
    base = faults.wrong_host_url or call.base_url
    item, signatures = item_path(call.vault_path, vm), Signatures(world.now(), world.random)
    version = f"{operation.operation_id}?api-version={call.api_version}"
    status = signatures.sign(f"{base}{item}/operationsStatus/{version}")
    if faults.double_subscriptions_location:
        return {"Location": signatures.sign(f"{base}/subscriptions/{item}/operationResults/{version}")}
    location = signatures.sign(f"{base}{item}/operationResults/{version}")
    if faults.no_async_header:
        return {"Location": location}
    return {"Location": location, "Azure-AsyncOperation": status}


def item_operation_status(world: World, call: Call) -> Answer:
    """Answer the status of a restore's operation, without a ``Retry-After``."""
    vm_of(world, call)
    return Answer(body=operation_of(world, call, "restore").body(world.now()))


def vault_operation_status(world: World, call: Call) -> Answer:
    """Answer the same one level up, by the operation's id alone."""
    return Answer(body=operation_of(world, call, "restore", "cancel", "validate").body(world.now()))


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
    present = operation_headers(world, call, vm, operation)
    wanted = "Location" if status == "InProgress" else "Azure-AsyncOperation"
    headers = {name: value for name, value in present.items() if name == wanted}
    headers["Retry-After"] = world.timeline.retry_after(TRIGGER_RETRY_AFTER_S)
    return Answer(status=202 if status == "InProgress" else 204, headers=headers)
