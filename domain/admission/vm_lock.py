"""The lock of a VM: one restore at a time, and a cool-down between restores that alerts start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from domain import errors
from domain.restore.answers import Done, Grant, LockHolder, Refusal
from domain.restore.calls import AcquireLock, ReleaseLock, ReleaseVanishedLock
from domain.restore.parts import Source
from domain.times import format_time

if TYPE_CHECKING:
    from domain.admission.answer_once import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRestore:
    """The last restore of the VM that Azure had, or may have had, and when it ended."""

    restore_id: str
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VmLock:
    """The state of a VM's lock. ``vm`` is only informative."""

    vm: str
    holder: LockHolder | None = None
    last: LastRestore | None = None


def acquire(lock: VmLock | None, call: AcquireLock, asked: Asked) -> tuple[VmLock, Grant]:
    """Give the lock to a restore, unless another one holds it or the VM's cool-down is not over.

    The cool-down is part of an alert's request; a person's request has none.
    """
    lock = lock or VmLock(vm=call.vm)
    holder = lock.holder
    if holder is not None and holder.restore_id != asked.restore_id:
        return lock, Grant(refusal=_busy_refusal(holder, call))
    refusal = None if holder is not None else _cool_down_refusal(lock.last, call, asked.now)
    if refusal is not None:
        return lock, Grant(refusal=refusal)
    since = asked.now if holder is None else holder.since
    new_holder = LockHolder(restore_id=asked.restore_id, created=asked.created, source=call.source, since=since)
    return replace(lock, holder=new_holder), Grant()


def release(lock: VmLock | None, call: ReleaseLock | ReleaseVanishedLock, asked: Asked) -> tuple[VmLock | None, Done]:
    """Release the lock, if this restore holds it. The cool-down begins, unless Azure never had the restore."""
    if isinstance(call, ReleaseVanishedLock):
        restore_id, created, is_unused = call.holder.restore_id, call.holder.created, False
    else:
        restore_id, created, is_unused = asked.restore_id, asked.created, call.unused
    holder = None if lock is None else lock.holder
    if lock is None or holder is None or (holder.restore_id, holder.created) != (restore_id, created):
        return lock, Done()
    last = lock.last if is_unused else LastRestore(restore_id=restore_id, ended=call.ended)
    return replace(lock, holder=None, last=last), Done()


def _busy_refusal(holder: LockHolder, call: AcquireLock) -> Refusal:
    by_alerts = holder.source == Source.ALERT == call.source  # most likely another alert about the same incident
    run = "Recovery" if call.of_plan else "Restore"
    never = "an alert starts no second one" if call.of_plan else "two restores of one VM never run at once"
    message = (
        f"{run} {holder.restore_id} of this {_locked(call)}, started by {holder.source} at "
        f"{format_time(holder.since)}, has not ended. Wait for it, approve it if it waits for a person, or cancel it; "
        f"{never}."
    )
    code = errors.COOLING_DOWN if by_alerts else errors.REQUEST_CONFLICT
    return Refusal(code=code, message=message, holder=holder)


def _cool_down_refusal(last: LastRestore | None, call: AcquireLock, now: datetime) -> Refusal | None:
    if last is None or call.cool_down is None or now >= last.ended + call.cool_down:
        return None
    run = "Recovery" if call.of_plan else "Restore"
    message = (
        f"{run} {last.restore_id} of this {_locked(call)} ended at {format_time(last.ended)}; the rule's cool-down "
        f"lasts until {format_time(last.ended + call.cool_down)}. Start a {run.lower()} by hand if it is needed now."
    )
    return Refusal(code=errors.COOLING_DOWN, message=message)


def _locked(call: AcquireLock) -> str:
    return "plan" if call.of_plan else "VM"
