"""How answers and failures change the state of a swap: what is tried again, and when the swap goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.azure.machine_busy import is_machine_busy
from domain.azure.resource_ids import same_id
from domain.azure.virtual_machines import VirtualMachine
from domain.errors import RestoreError, RestoreWarning, TerminalError, TransientError
from domain.follow_up.calls import (
    ChangeAccepted,
    ChangeStatus,
    DeallocateVirtualMachine,
    FoundDisks,
    GetComputeOperation,
    GetDisks,
    GetVirtualMachine,
    StartVirtualMachine,
    TagDisk,
    UpdateDisks,
    call_label,
)
from domain.follow_up.disk_changes import (
    attaches,
    changes_for,
    emptied_first,
    obstacle,
)
from domain.follow_up.patience import MAX_TIME, MIN_TRIES, UNSHOWN, with_trouble, without_trouble
from domain.follow_up.swap import DEALLOCATED, RUNNING, Change, Pending, Swap, Times
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from domain.restore.calls import ActivityCall

UPDATE_PATIENCE: Final = timedelta(minutes=10)
"""How long the VM may be down because its disks cannot be replaced; then it gets its former disks."""
AGENT_PATIENCE: Final = timedelta(minutes=10)
"""How long the swap waits for the VM agent after the VM was first seen to run."""
_MAX_READING_AGE: Final = timedelta(minutes=1)
"""How old a reading of the VM may be at most."""
_MAX_TAG_FAILURES: Final = 3
_DOWN: Final = frozenset({DEALLOCATED, "deallocating"})
_OFF: Final = _DOWN | {"stopped", "stopping"}
_TRANSIENT_PARTS: Final = (
    "internal",
    "retryable",
    "conflict",
    "preempted",
    "timeout",
    "timedout",
    "unavailable",
    "toomany",
)
"""Parts, in lower case, of the error codes of operations that may succeed later."""
_TAKEN: Final = "conflictinguserinput"
"""Another VM has the disk (aks-engine#1146). Although it is a conflict, it is terminal."""
_NOT_CHANGEABLE: Final = "PropertyChangeNotAllowed"
_IDENTITY_OF_DISK: Final = ("dataDisk.managedDisk", "dataDisk.name", "dataDisk.createOption")
_CHANGES: Final[dict[type[Any], Change]] = {
    DeallocateVirtualMachine: Change.DEALLOCATE,
    UpdateDisks: Change.UPDATE_DISKS,
    StartVirtualMachine: Change.START,
}
_CALL_NAMES: Final = {change: kind.name for kind, change in _CHANGES.items()}


def answered(swap: Swap, call: ActivityCall, value: Any, now: datetime) -> Swap:
    """Return the swap after a call was answered."""
    if isinstance(call, GetVirtualMachine | GetDisks | TagDisk):
        swap = without_trouble(swap, call.name)
    match call, value:
        case GetVirtualMachine(), VirtualMachine():
            return _read(swap, value, now)
        case GetComputeOperation(), ChangeStatus():
            return _operation_read(swap, value, now)
        case GetDisks(), FoundDisks():
            return _disks_found(swap, value, now)
        case TagDisk(), _:
            return replace(swap, untagged=swap.untagged[1:])
        case _, ChangeAccepted():
            return _accepted(swap, call, value, now)
        case _:
            raise TypeError(f"a swap makes no call {call.name}")


def _accepted(swap: Swap, call: ActivityCall, value: ChangeAccepted, now: datetime) -> Swap:
    change = _CHANGES[type(call)]
    was_up = swap.seen is not None and swap.seen.power == RUNNING
    if change is Change.DEALLOCATE and was_up and swap.times.down is None:
        swap = replace(swap, times=replace(swap.times, down=now))
    url = None if value.operation is None else value.operation.url
    only_empties = isinstance(call, UpdateDisks) and swap.in_two_updates and not attaches(call.data_disks, swap.steps)
    pending = Pending(change=change, asked=now, url=url, only_empties=only_empties)
    return replace(swap, pending=pending, has_started=False)


def _read(swap: Swap, vm: VirtualMachine, now: datetime) -> Swap:
    if swap.changes is None and not vm.is_changing:
        reason = None if swap.goes_back else obstacle(vm, swap.wanted)
        swap = _with_plan(swap, vm)
        swap = swap if reason is None else _with_cause(swap, TerminalError(errors.REQUEST_CONFLICT, reason), now)
    unsure_until = None if swap.unsure_until is None or now >= swap.unsure_until else swap.unsure_until
    swap = replace(swap, seen=vm, since=swap.since or now, unsure_until=unsure_until)
    swap = replace(swap, times=_times_seen(swap, vm, now))
    if swap.awaits_agent and swap.times.running is not None and now - swap.times.running >= AGENT_PATIENCE:
        swap = _without_agent(swap, vm)
    if swap.stuck is not None:
        return _read_last(swap, vm, now)
    if _is_late(swap, now) and not _is_as_wanted(swap, vm):
        return _too_slow(swap, now)
    is_changing = vm.is_changing and not swap.is_up(vm)
    return swap if swap.pending is None or is_changing else _pending_read(swap, swap.pending, vm, now)


def _read_last(swap: Swap, vm: VirtualMachine, now: datetime) -> Swap:
    """Return a stuck swap after a reading of the VM: it goes on if the VM is as wanted after all."""
    if _is_as_wanted(swap, vm):
        return replace(swap, stuck=None)
    stays = not vm.is_changing and swap.unsure_until is None
    return replace(swap, has_last_reading=stays or _is_late(swap, now))


def _pending_read(swap: Swap, pending: Pending, vm: VirtualMachine, now: datetime) -> Swap:
    """Return the swap after a reading that shows no change in progress, although Azure has accepted ``pending``."""
    if _is_shown(swap, pending, vm):
        has_started = swap.goes_back and pending.change is Change.START
        return replace(without_trouble(swap, _CALL_NAMES[pending.change]), pending=None, has_started=has_started)
    if pending.url is not None and pending.done is None:
        return replace(swap, pending=replace(pending, in_doubt=True))
    if now - (pending.done or pending.asked) < UNSHOWN:
        return swap
    message = "Azure accepted the change, but the VM does not show it."
    if vm.has_failed and vm.failure is not None:  # whoever may not read operations is told the reason nevertheless
        message = f"{message} It shows {vm.failure}"
    error = TransientError(errors.SERVICE_UNAVAILABLE, message)
    return _failed_change(swap, pending.change, error, now)


def _with_plan(swap: Swap, vm: VirtualMachine) -> Swap:
    changes = changes_for(vm, swap.wanted)
    replaced = tuple(change.before.disk_id for change in changes if change.before is not None)
    was_running = vm.power not in _OFF  # one whose power Azure does not say may run, and must not be left deallocated
    return replace(
        swap,
        changes=changes,
        former=vm.disks,
        was_running=was_running,
        expects_agent=vm.is_agent_ready is True or (swap.starts is True and not was_running),
        untagged=tuple(disk_id for disk_id in replaced if disk_id) if swap.tags else (),
    )


def _times_seen(swap: Swap, vm: VirtualMachine, now: datetime) -> Times:
    times, pending = swap.times, swap.pending
    # A reading may be some seconds old: a VM that is being deallocated may still be shown as running.
    is_settled = not vm.is_changing and (pending is None or pending.change is Change.START)
    is_up = vm.power == RUNNING and (is_settled or swap.is_up(vm))
    if swap.was_running and times.down is None and vm.power in _DOWN:
        times = replace(times, down=now)  # the answer to the deallocation was lost
    is_arranged = swap.changes is not None and swap.is_arranged(vm) and not swap.may_lack_disks(vm)
    if is_arranged and not vm.is_changing and swap.changes and not swap.goes_back and times.disks_replaced is None:
        times = replace(times, disks_replaced=now)
    if swap.goes_back and not is_up:
        times = replace(times, running=None)  # an older reading had shown it as running
    is_back = swap.goes_back and times.down is not None
    if is_arranged and is_up and times.running is None and (is_back or not swap.goes_back):
        times = replace(times, running=now)
    if times.running is not None and times.agent_ready is None and vm.is_agent_ready and not swap.goes_back:
        times = replace(times, agent_ready=now)
    return times


def _without_agent(swap: Swap, vm: VirtualMachine) -> Swap:
    undo = f"POST /api/restores/{swap.tags.get('restore-id', '{id}')}/undo puts the former disks back."
    message = (
        "The VM runs with its new disks, but its VM agent has not reported within ten minutes. Look at the boot "
        f"diagnostics of the VM. {undo}"
    )
    if vm.power in _OFF:
        message = (
            f"The VM ran with its new disks, but it is {vm.power} by now, and its VM agent has not reported. Its "
            "activity log says who stopped it, such as an automatic shutdown or the eviction of a Spot VM. Start it "
            "(az vm start). "
            f"{undo}"
        )
    return _with_warning(replace(swap, is_agent_given_up=True), WarningCode.AGENT_NOT_READY, message)


def _is_as_wanted(swap: Swap, vm: VirtualMachine) -> bool:
    """Return whether the VM has its disks, and runs if it must; its agent and the tags may be missing."""
    is_settled = (not vm.is_changing or swap.is_up(vm)) and not swap.may_lack_disks(vm)
    return is_settled and swap.is_arranged(vm) and (not swap.must_run or vm.power == RUNNING)


def _is_late(swap: Swap, now: datetime) -> bool:
    return swap.since is not None and now - swap.since >= MAX_TIME


def _too_slow(swap: Swap, now: datetime) -> Swap:
    what = "taken back" if swap.goes_back else "done"
    message = f"The swap was not {what} within two hours.{_last_failure(swap)}"
    error = TerminalError(errors.DEADLINE_EXCEEDED, message)
    is_swapped = swap.times.disks_replaced is not None
    if not (swap.goes_back or is_swapped):
        return _with_cause(swap, error, now)
    return replace(swap, stuck=error.to_json(), has_last_reading=True)


def _last_failure(swap: Swap) -> str:
    """Return which call failed last, as a sentence with a space before it; empty if none did."""
    name = next(reversed(swap.troubles), None)
    return (
        ""
        if name is None
        else f" {call_label(name)} failed last: {RestoreError.from_json(swap.troubles[name].error).message}"
    )


def _is_shown(swap: Swap, pending: Pending, vm: VirtualMachine) -> bool:
    match pending.change:
        case Change.DEALLOCATE:
            return vm.power == DEALLOCATED
        case Change.UPDATE_DISKS if pending.only_empties:
            return emptied_first(vm, swap.steps) is None
        case Change.UPDATE_DISKS:
            return swap.is_arranged(vm) and not swap.may_lack_disks(vm)
        case Change.START:
            return vm.power == RUNNING


def _operation_read(swap: Swap, status: ChangeStatus, now: datetime) -> Swap:
    pending = swap.pending
    if pending is None:
        return swap
    if status.is_running:
        return replace(swap, pending=replace(pending, in_doubt=False))
    if status.error is None:
        return replace(swap, pending=replace(pending, in_doubt=False, done=pending.done or now))
    failure = RestoreError.from_json(status.error)
    kind = TransientError if _is_transient(failure.code) else TerminalError
    message = f"Azure accepted it, but its operation failed: {failure.message}"
    return _failed_change(swap, pending.change, kind(failure.code, message, failure.details), now)


def _is_transient(code: str) -> bool:
    """Return whether an operation that failed with this code may succeed later."""
    is_taken = code.lower() == _TAKEN
    return is_machine_busy(code) or (not is_taken and any(part in code.lower() for part in _TRANSIENT_PARTS))


def _disks_found(swap: Swap, found: FoundDisks, now: datetime) -> Swap:
    known = {(disk.disk_id or "").lower() for disk in found.disks}
    missing = [disk_id for disk_id in swap.unchecked if disk_id.lower() not in known]
    taken = [
        disk.disk_id or "" for disk in found.disks if disk.attached_to and not same_id(disk.attached_to, swap.vm_id)
    ]
    swap = replace(swap, unchecked=())
    if missing:
        error = TerminalError(errors.NOT_FOUND, f"These disks do not exist any more: {', '.join(missing)}.")
        return _with_cause(swap, error, now)
    if taken:
        error = TerminalError(errors.REQUEST_CONFLICT, f"Another VM has these disks: {', '.join(taken)}.")
        return _with_cause(swap, error, now)
    return swap


def failed(swap: Swap, call: ActivityCall, error: RestoreError, now: datetime) -> Swap:
    """Return the swap after a call that failed: to be made again, given up, or on its way back."""
    if type(call) in _CHANGES:
        return _failed_change(swap, _CHANGES[type(call)], error, now)
    if isinstance(call, GetComputeOperation) and swap.pending is not None:
        # Azure forgets operations, and the VM itself says enough.
        given_up = isinstance(error, TerminalError)
        pending = replace(swap.pending, in_doubt=False, url=None if given_up else swap.pending.url)
        return replace(swap, pending=pending)
    swap = with_trouble(swap, call.name, error, now)
    trouble = swap.troubles[call.name]
    if isinstance(call, TagDisk):
        may_pass = isinstance(error, TransientError) and trouble.failures < _MAX_TAG_FAILURES
        return swap if may_pass else _without_tag(swap, call, error)
    if isinstance(call, GetDisks):
        return _with_cause(replace(swap, unchecked=()), error, now) if trouble.is_over(now) else swap
    return _reading_failed(swap, call, error, now)


def _reading_failed(swap: Swap, call: ActivityCall, error: RestoreError, now: datetime) -> Swap:
    trouble = swap.troubles[call.name]
    if swap.stuck is not None:
        return replace(swap, has_last_reading=trouble.failures >= MIN_TRIES)
    return (
        replace(_with_stuck(swap, call.name, error), seen=None, has_last_reading=True) if trouble.is_over(now) else swap
    )


def _without_tag(swap: Swap, call: TagDisk, error: RestoreError) -> Swap:
    message = f"The former disk {call.disk_id} could not be tagged: {error.message}"
    rest = replace(without_trouble(swap, call.name), untagged=swap.untagged[1:])
    return _with_warning(rest, WarningCode.DISK_NOT_TAGGED, message)


def _failed_change(swap: Swap, change: Change, error: RestoreError, now: datetime) -> Swap:
    """Return the swap after a change that was refused, or whose operation failed. The VM is read before anything else.

    A start is tried again whatever the error is, because the VM is down: capacity may come back, a role may be granted.
    So is everything on the way back. If Azure refuses to replace a data disk in one update, two updates are made.
    """
    if change is Change.UPDATE_DISKS and not swap.in_two_updates and _forbids_to_replace(error):
        return replace(swap, in_two_updates=True, seen=None, pending=None)
    call, was_accepted = _CALL_NAMES[change], swap.pending is not None
    swap = replace(with_trouble(swap, call, error, now), seen=None, pending=None)
    if was_accepted or isinstance(error, TransientError):  # it may have changed the VM nevertheless
        swap = replace(swap, unsure_until=now + _MAX_READING_AGE)
    trouble, must_go_on = swap.troubles[call], swap.goes_back or change is Change.START
    keeps_waiting = change is Change.UPDATE_DISKS and not swap.goes_back
    is_over = now - trouble.since >= UPDATE_PATIENCE if keeps_waiting else trouble.is_over(now)
    if not is_over and (must_go_on or isinstance(error, TransientError)):
        return swap
    if must_go_on:
        return _with_stuck(swap, call, error)
    return _with_cause(swap, TerminalError(error.code, f"{call_label(call)}: {error.message}", error.details), now)


def _with_stuck(swap: Swap, call: str, error: RestoreError) -> Swap:
    message = f"{call_label(call)} failed again and again: {error.message}"
    return replace(swap, stuck=TerminalError(error.code, message, error.details).to_json())


def _forbids_to_replace(error: RestoreError) -> bool:
    """Return whether Azure refuses to put another disk at the LUN of a data disk in one update.

    It gives these answers to updates that name another disk at a LUN that is taken (azure-sdk-for-java#2925,
    etcdadm#381).
    """
    known = [(detail.code, f"{detail.target} {detail.message}") for detail in error.details]
    return any(
        code == _NOT_CHANGEABLE and any(name in text for name in _IDENTITY_OF_DISK)
        for code, text in [*known, (error.code, error.message)]
    )


def _with_cause(swap: Swap, error: RestoreError, now: datetime) -> Swap:
    """Return the swap on its way back, because of this error."""
    return replace(swap, cause=error.to_json(), troubles={}, since=now, has_started=False)


def cancelled(swap: Swap, error: RestoreError, now: datetime) -> Swap:
    """Return the swap on its way back, because a person has cancelled it; see :attr:`Swap.may_go_back`.

    A change may be on its way to Azure at this moment, so the VM is read until a reading is young enough.
    """
    swap = replace(swap, is_cancelled=True, unchecked=(), seen=None, unsure_until=now + _MAX_READING_AGE)
    return _with_cause(swap, error, now)


def _with_warning(swap: Swap, code: WarningCode, message: str) -> Swap:
    return replace(swap, warnings=(*swap.warnings, RestoreWarning(code=code, message=message)))
