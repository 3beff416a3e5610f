"""Admission control of a recovery that an alert starts: one of a plan at a time, a cool-down, a budget, a storm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from domain.recovery.ending import refused
from domain.restore.admit import ALL_ALERTS, storm_reason
from domain.restore.calls import (
    AcquireLock,
    FindRunning,
    NoteAlert,
    ReleaseLock,
    ReleaseVanishedLock,
    TakeBudget,
    entity_key,
)
from domain.restore.parts import LockState

if TYPE_CHECKING:
    from datetime import datetime

    from domain.recovery.state import Recovery
    from domain.restore.answers import Done, Grant, Running, Storm
    from domain.restore.calls import Call
    from domain.restore.parts import AlertStart


def next_call(recovery: Recovery) -> Call | None:
    """Return the next call of admission control; ``None`` once the recovery is admitted."""
    admission, alert = recovery.admission, recovery.accepted.alert
    if admission.admitted or alert is None:
        return None
    if admission.lock is LockState.WANTED:
        return _lock_call(recovery, alert)
    if not admission.storm_noted:
        return NoteAlert(key=ALL_ALERTS, vm=_subject(recovery), distinct_vms=alert.storm_vms, within=alert.storm_within)
    if alert.max_per_hour is not None and not admission.has_budget:
        return TakeBudget(key=entity_key(alert.rule), rule=alert.rule, max_per_hour=alert.max_per_hour)
    return None


def _subject(recovery: Recovery) -> str:
    return f"plan {recovery.accepted.plan_name}"


def _lock_key(recovery: Recovery) -> str:
    return entity_key(_subject(recovery))


def _lock_call(recovery: Recovery, alert: AlertStart) -> Call:
    """Return the request for the plan's lock, or the call that checks or replaces a holder that may have vanished."""
    admission, key = recovery.admission, _lock_key(recovery)
    holder = None if admission.refusal is None else admission.refusal.holder
    if holder is None:
        source = recovery.accepted.source
        return AcquireLock(key=key, vm=_subject(recovery), source=source, cool_down=alert.cool_down, of_plan=True)
    if admission.holder_ended is None:
        return FindRunning(restore_id=holder.restore_id)
    return ReleaseVanishedLock(key=key, holder=holder, ended=admission.holder_ended)


def release_call(recovery: Recovery) -> ReleaseLock | None:
    """Return the call that releases the plan's lock once the recovery has ended; ``None`` if it has none.

    No cool-down begins if nothing was started. A recovery that failed has no lock while it can be retried.
    """
    completed = recovery.progress.completed
    if completed is None or recovery.admission.lock not in {LockState.WANTED, LockState.HELD}:
        return None
    unused = all(group.started is None for group in recovery.progress.groups)
    return ReleaseLock(key=_lock_key(recovery), ended=completed, unused=unused)


def lock_answered(recovery: Recovery, _call: AcquireLock, grant: Grant, now: datetime) -> Recovery:
    """Return the recovery with the lock, or refused. It is checked once whether the lock's holder still runs."""
    admission, refusal = recovery.admission, grant.refusal
    if refusal is None:
        return _admitted_if_done(replace(recovery, admission=replace(admission, lock=LockState.HELD, refusal=None)))
    if refusal.holder is None or admission.rechecked:
        return refused(recovery, refusal, now)
    return replace(recovery, admission=replace(admission, refusal=refusal))


def holder_found(recovery: Recovery, _call: FindRunning, running: Running, now: datetime) -> Recovery:
    """Return the recovery refused if the lock's holder still runs, else with the time at which the holder ended."""
    refusal = recovery.admission.refusal
    if refusal is None or refusal.holder is None:
        return recovery
    if running.is_running:
        return refused(recovery, refusal, now)
    ended = running.ended or refusal.holder.since
    return replace(recovery, admission=replace(recovery.admission, holder_ended=ended))


def vanished_lock_released(recovery: Recovery, _call: ReleaseVanishedLock, _done: Done, _now: datetime) -> Recovery:
    """Return the recovery, which now requests the lock again."""
    admission = replace(recovery.admission, refusal=None, holder_ended=None, rechecked=True)
    return replace(recovery, admission=admission)


def lock_released(recovery: Recovery, _call: ReleaseLock, _done: Done, _now: datetime) -> Recovery:
    """Return the recovery without its lock."""
    return replace(recovery, admission=replace(recovery.admission, lock=LockState.RELEASED))


def storm_answered(recovery: Recovery, _call: NoteAlert, storm: Storm, _now: datetime) -> Recovery:
    """Return the recovery; in a storm of alerts it needs a person's approval before anything starts."""
    alert = recovery.accepted.alert
    recovery = replace(recovery, admission=replace(recovery.admission, storm_noted=True))
    if alert is not None and storm.is_storm:
        recovery = recovery.with_approval(storm_reason(alert))
    return _admitted_if_done(recovery)


def budget_answered(recovery: Recovery, _call: TakeBudget, grant: Grant, now: datetime) -> Recovery:
    """Return the recovery within its rule's hourly budget, or refused."""
    if grant.refusal is not None:
        return refused(recovery, grant.refusal, now)
    return _admitted_if_done(replace(recovery, admission=replace(recovery.admission, has_budget=True)))


def _admitted_if_done(recovery: Recovery) -> Recovery:
    if next_call(recovery) is not None:
        return recovery
    return replace(recovery, admission=replace(recovery.admission, admitted=True))
