"""Managed run commands: scripts that run inside a VM. The fault ``runCommand`` of the VM sets how they end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.errors import resource_not_found
from simulator.faults import OperationFailure
from simulator.providers.compute.changes import change
from simulator.providers.compute.errors import NO_AGENT, invalid_parameter, not_allowed
from simulator.providers.compute.limits import spend
from simulator.providers.compute.machines import check_writable, find_vm
from simulator.providers.compute.operations import begin, operation_headers
from simulator.providers.compute.requests import RUN_COMMAND, check_form
from simulator.providers.compute.state import RUNNING, Script, Work
from simulator.providers.compute.times import whole_seconds
from simulator.providers.compute.virtual_machines import object_body

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.world import World

RUN_COMMAND_TYPE = "Microsoft.Compute/virtualMachines/runCommands"
_OVERHEAD_S = 12.0
_DEFAULT_TIMEOUT_S = 90 * 60
_MEMBERS = ("source", "parameters", "runAsUser", "timeoutInSeconds", "outputBlobUri", "errorBlobUri")


def list_run_commands(world: World, call: Call) -> Answer:
    """Answer the run commands of a VM, without their results."""
    vm = find_vm(world, call.path.rpartition("/")[0])
    commands = world.store.of_type(RUN_COMMAND_TYPE, vm["id"])
    return Answer(body={"value": commands}, headers=spend(world, "LowCostGet", vm["id"]))


def get_run_command(world: World, call: Call) -> Answer:
    """Answer a run command, with ``$expand=instanceView`` also how it went."""
    vm, body = _vm_of(world, call), _command_of(world, call)
    if call.query.get("$expand", "").lower() == "instanceview":
        view = _view(world.compute.scripts[body["id"].lower()], world.now())
        body = {**body, "properties": {**body["properties"], "instanceView": view}}
    return Answer(body=body, headers=spend(world, "LowCostGet", vm["id"]))


def put_run_command(world: World, call: Call) -> Answer:
    """Run a script in a VM that runs; the same name runs it again. Without a ready agent it fails in the end."""
    vm = _vm_of(world, call)
    headers = spend(world, "UpdateVM", vm["id"])
    check_writable(vm)
    machine, now = world.compute.machines[vm["id"].lower()], world.now()
    if machine.power != RUNNING:
        raise not_allowed("Cannot modify extensions in the VM when the VM is not running.")
    check_form(object_body(call), RUN_COMMAND)
    given: Mapping[str, Any] = object_body(call).get("properties") or {}
    outcome = world.faults_at(vm["id"]).faults.compute.script
    ready = machine.agent_from is not None and machine.agent_from <= now
    present, body = world.store.get(call.path), _body(call, given, vm["location"])
    waits = not given.get("asyncExecution")
    work = Work(
        action="put_run_command",
        seconds=_OVERHEAD_S + (outcome.seconds if waits else 0.0),
        finish=lambda _moment: _conclude(world, body["id"], "Succeeded"),
        undo=lambda _moment: _conclude(world, body["id"], "Failed"),
        failure=None if ready else OperationFailure(code="VMAgentStatusCommunicationError", message=NO_AGENT),
    )
    operation = begin(world, body, work)
    timeout_s = float(given.get("timeoutInSeconds") or _DEFAULT_TIMEOUT_S)
    script = Script(starts=now + timedelta(seconds=_OVERHEAD_S), outcome=outcome, timeout_s=timeout_s, runs=ready)
    world.compute.scripts[body["id"].lower()] = script
    body = {**body, "properties": {**body["properties"], "provisioningState": "Updating" if present else "Creating"}}
    world.store.put(body)
    answered = {**headers, **operation_headers(world, call, operation, location=False)}
    return Answer(status=200 if present else 201, body=body, headers=answered)


def delete_run_command(world: World, call: Call) -> Answer:
    """Delete a run command, which ends its script; 204 if there is none."""
    vm, body = _vm_of(world, call), world.store.get(call.path)
    headers = spend(world, "UpdateVM", vm["id"])
    check_writable(vm)
    if body is None:
        return Answer(status=204, headers=headers)
    work = Work(
        action="delete_run_command",
        seconds=_OVERHEAD_S,
        finish=lambda _moment: world.store.remove(body["id"]),
    )
    operation = begin(world, body, work)
    return Answer(status=202, headers={**headers, **operation_headers(world, call, operation, location=True)})


def _vm_of(world: World, call: Call) -> Mapping[str, Any]:
    return find_vm(world, call.path[: call.path.lower().rindex("/runcommands/")])


def _command_of(world: World, call: Call) -> Mapping[str, Any]:
    body = world.store.get(call.path)
    if body is None:
        name = f"{call.params['vm']}/runCommands/{call.params['command']}"
        raise resource_not_found(f"Microsoft.Compute/virtualMachines/{name}", call.params["group"])
    return body


def _body(call: Call, given: Mapping[str, Any], location: str) -> dict[str, Any]:
    """Write a run command as GET answers it: protected parameters are never shown."""
    source: Mapping[str, Any] = given.get("source") or {}
    if not any(source.get(kind) for kind in ("script", "scriptUri", "commandId", "galleryScriptReferenceId")):
        raise invalid_parameter("Either 'source.script' or 'source.scriptUri' has to be specified", "source")
    return {
        "name": call.params["command"],
        "id": call.path,
        "type": RUN_COMMAND_TYPE,
        "location": location,
        "properties": {
            **{name: given[name] for name in _MEMBERS if given.get(name) is not None},
            "provisioningState": "",
            "asyncExecution": bool(given.get("asyncExecution")),
        },
    }


def _conclude(world: World, command_id: str, state: str) -> None:
    change(world, command_id, {"provisioningState": state})


def _view(script: Script, now: datetime) -> dict[str, Any]:
    """Write how a script goes, or went."""
    if now < script.starts or not script.runs:
        return {"executionState": "Pending", "output": "", "error": ""}
    ends = script.starts + timedelta(seconds=min(script.outcome.seconds, script.timeout_s))
    if now < ends:
        return {"executionState": "Running", "output": "", "error": "", "startTime": whole_seconds(script.starts)}
    times = {"startTime": whole_seconds(script.starts), "endTime": whole_seconds(ends)}
    if script.outcome.seconds > script.timeout_s:
        return {"exitCode": -1, "executionState": "TimedOut", "output": "", "error": "", **times}
    state = "Failed" if script.outcome.exit_code else "Succeeded"
    return {
        "exitCode": script.outcome.exit_code,
        "executionState": state,
        "executionMessage": "Execution completed",
        "output": script.outcome.output,
        "error": script.outcome.error,
        **times,
    }
