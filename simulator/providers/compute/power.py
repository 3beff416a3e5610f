"""The calls that change the power state of a VM."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call
from simulator.providers.compute.attachments import settle_disks
from simulator.providers.compute.errors import busy, not_allowed
from simulator.providers.compute.limits import spend
from simulator.providers.compute.machines import agent_s, begin_change, check_writable, find_vm
from simulator.providers.compute.operations import operation_headers, preempt
from simulator.providers.compute.state import (
    DEALLOCATED,
    DEALLOCATING,
    RUNNING,
    STARTING,
    STOPPED,
    STOPPING,
    WITHOUT_HARDWARE,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.providers.compute.state import ComputeOperation
    from simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerChange:
    """A change of the power state, with the states during and after it.

    ``needs_hardware`` is the operation's name in the error, where a deallocated VM does not allow it. With ``always``
    it takes its time also when the VM is in the state ``after`` already.
    """

    action: str
    during: str
    after: str
    seconds: float
    policy: str = "UpdateVM"
    needs_hardware: str = ""
    always: bool = False


DEALLOCATE = PowerChange(action="deallocate_vm", during=DEALLOCATING, after=DEALLOCATED, seconds=7.7, policy="DeleteVM")
START = PowerChange(action="start_vm", during=STARTING, after=RUNNING, seconds=20.0)
POWER_OFF = PowerChange(action="power_off_vm", during=STOPPING, after=STOPPED, seconds=7.8, needs_hardware="powerOff")
RESTART = PowerChange(
    action="restart_vm", during=STARTING, after=RUNNING, seconds=31.3, needs_hardware="restart", always=True
)
_ACTIONS = frozenset({power_change.action for power_change in (DEALLOCATE, START, POWER_OFF, RESTART)})
_NO_CHANGE_S = 1.0


def deallocate_vm(world: World, call: Call) -> Answer:
    """Stop a VM and release its hardware."""
    return _answer(world, call, DEALLOCATE)


def start_vm(world: World, call: Call) -> Answer:
    """Start a VM; its agent reports some time after it runs."""
    return _answer(world, call, START)


def power_off_vm(world: World, call: Call) -> Answer:
    """Stop a VM, which keeps its hardware."""
    return _answer(world, call, POWER_OFF)


def restart_vm(world: World, call: Call) -> Answer:
    """Stop and start a VM."""
    return _answer(world, call, RESTART)


def _answer(world: World, call: Call, power_change: PowerChange) -> Answer:
    """Answer 202 to a change of the power state; raise the error of a VM that does not allow it."""
    body = find_vm(world, call.path.rpartition("/")[0])
    headers = spend(world, power_change.policy, body["id"])
    operation = change_power(world, body, power_change)
    return Answer(status=202, headers={**headers, **operation_headers(world, call, operation, location=True)})


def change_power(
    world: World, body: Mapping[str, Any], power_change: PowerChange, *, is_foreign: bool = False
) -> ComputeOperation:
    """Begin a change of the power state; raise the error of a VM that does not allow it."""
    check_writable(body)
    if power_change.needs_hardware and world.compute.machines[body["id"].lower()].power in WITHOUT_HARDWARE:
        raise not_allowed(
            f"Operation '{power_change.needs_hardware}' is not allowed on VM '{body['name']}' since the VM is either "
            "deallocated or marked to be deallocated. For more information on your request, please refer to "
            "https://aka.ms/activitylog."
        )
    _preempt_power_operation(world, body)
    return _begin(world, body, power_change, is_foreign=is_foreign)


def _begin(world: World, body: Mapping[str, Any], power_change: PowerChange, *, is_foreign: bool) -> ComputeOperation:
    machine = world.compute.machines[body["id"].lower()]
    before = machine.power
    if before == power_change.after and not power_change.always:
        return begin_change(
            world,
            body,
            Work(action=power_change.action, seconds=_NO_CHANGE_S, finish=lambda _moment: None, is_foreign=is_foreign),
        )

    def finish(moment: datetime) -> None:
        ready = moment + timedelta(seconds=agent_s(world, body["id"])) if power_change.after == RUNNING else None
        machine.set_power(power_change.after, moment, ready)
        settle_disks(world, find_vm(world, body["id"]))

    def undo(moment: datetime) -> None:
        machine.set_power(before, moment, moment if before == RUNNING else None)

    work = Work(
        action=power_change.action, seconds=power_change.seconds, finish=finish, undo=undo, is_foreign=is_foreign
    )
    operation = begin_change(world, body, work)
    machine.set_power(power_change.during, world.now())
    return operation


def _preempt_power_operation(world: World, body: Mapping[str, Any]) -> None:
    """End a running power operation as preempted; raise 409 while any other operation runs."""
    running = world.compute.underway.get(body["id"].lower())
    if running and running.work.action not in _ACTIONS:
        raise busy()
    preempt(world, body["id"])
