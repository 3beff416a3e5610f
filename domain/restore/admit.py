"""Admission control: one restore of a VM at a time; for alerts also cool-downs, hourly budgets and storms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from domain.restore.calls import AcquireLock, FindRunning, NoteAlert, ReleaseVanishedLock, TakeBudget, entity_key
from domain.restore.outcome import refused
from domain.restore.parts import LockState
from domain.restore.prepare import resolve_item
from domain.restore.stages import Resolving
from domain.restore.steps import MakeCall, when_due
from domain.times import format_duration

if TYPE_CHECKING:
    from datetime import datetime

    from domain.restore.answers import Done, Grant, Running, Storm
    from domain.restore.calls import Call
    from domain.restore.parts import AlertStart
    from domain.restore.state import Restore
    from domain.restore.steps import Step

ALL_ALERTS: Final = entity_key("all alerts")
"""The key of the one storm count: alerts that start restores and alerts that start recoveries are counted together."""


def decide(restore: Restore, now: datetime) -> Step | None:
    """Return the next step of admission; ``None`` once the restore is admitted, or while its VM is not known.

    The protected item is resolved at the same time: both calls are slow, and neither needs the other's answer.
    """
    vm_id, call = restore.source_resource_id, _next_call(restore)
    if vm_id is None or call is None:
        return None
    step = when_due(restore, call, now)
    if not isinstance(step, MakeCall) or not isinstance(call, AcquireLock):
        return step
    noting = _note_alert(restore, vm_id)
    resolving = resolve_item(restore) if isinstance(restore.stage, Resolving) else None
    beside = [known for known in (noting, resolving) if known is not None and restore.backoff.is_due(known.name, now)]
    return MakeCall(call=call, beside=tuple(beside))


def _next_call(restore: Restore) -> Call | None:
    admission, alert, vm_id = restore.admission, restore.accepted.alert, restore.source_resource_id or ""
    if admission.admitted:
        return None
    if admission.lock is LockState.WANTED:
        return _lock_call(restore, vm_id)
    if (noting := _note_alert(restore, vm_id)) is not None:
        return noting
    if alert is not None and alert.max_per_hour is not None and not admission.has_budget:
        return TakeBudget(key=entity_key(alert.rule), rule=alert.rule, max_per_hour=alert.max_per_hour)
    return None


def _lock_call(restore: Restore, vm_id: str) -> Call:
    """Return the request for the lock, or the call that checks or replaces a holder that may have vanished."""
    admission, alert, key = restore.admission, restore.accepted.alert, entity_key(vm_id)
    holder = None if admission.refusal is None else admission.refusal.holder
    if holder is None:
        cool_down = None if alert is None else alert.cool_down
        return AcquireLock(key=key, vm=vm_id, source=restore.accepted.source, cool_down=cool_down)
    if admission.holder_ended is None:
        return FindRunning(restore_id=holder.restore_id)
    # The lock is requested again only after the answer to this call: messages to an entity may change their order.
    return ReleaseVanishedLock(key=key, holder=holder, ended=admission.holder_ended)


def _note_alert(restore: Restore, vm_id: str) -> NoteAlert | None:
    alert = restore.accepted.alert
    if alert is None or restore.admission.storm_noted:
        return None
    return NoteAlert(key=ALL_ALERTS, vm=vm_id, distinct_vms=alert.storm_vms, within=alert.storm_within)


def lock_answered(restore: Restore, _call: AcquireLock, grant: Grant, now: datetime) -> Restore:
    """Return the restore with the lock, or refused. It is checked once whether the lock's holder still runs."""
    admission, refusal = restore.admission, grant.refusal
    if refusal is None:
        return _admitted_if_done(replace(restore, admission=replace(admission, lock=LockState.HELD, refusal=None)))
    if refusal.holder is None or admission.rechecked:
        return refused(restore, refusal, now)
    return replace(restore, admission=replace(admission, refusal=refusal))


def holder_found(restore: Restore, running: Running, now: datetime) -> Restore:
    """Return the restore refused if the lock's holder still runs, else with the time at which the holder ended."""
    refusal = restore.admission.refusal
    if refusal is None or refusal.holder is None:
        return restore
    if running.is_running:
        return refused(restore, refusal, now)
    # The cool-down begins at the holder's real end if that is known.
    ended = running.ended or refusal.holder.since
    return replace(restore, admission=replace(restore.admission, holder_ended=ended))


def vanished_lock_released(restore: Restore, _call: ReleaseVanishedLock, _done: Done, _now: datetime) -> Restore:
    """Return the restore, which now requests the lock again."""
    return replace(restore, admission=replace(restore.admission, refusal=None, holder_ended=None, rechecked=True))


def storm_answered(restore: Restore, _call: NoteAlert, storm: Storm, _now: datetime) -> Restore:
    """Return the restore; in a storm of alerts it needs a person's approval before it is triggered."""
    alert = restore.accepted.alert
    restore = replace(restore, admission=replace(restore.admission, storm_noted=True))
    if alert is not None and storm.is_storm:
        restore = restore.with_approval(storm_reason(alert))
    return _admitted_if_done(restore)


def budget_answered(restore: Restore, _call: TakeBudget, grant: Grant, now: datetime) -> Restore:
    """Return the restore within its rule's hourly budget, or refused."""
    if grant.refusal is not None:
        return refused(restore, grant.refusal, now)
    return _admitted_if_done(replace(restore, admission=replace(restore.admission, has_budget=True)))


def _admitted_if_done(restore: Restore) -> Restore:
    """Return the restore, admitted if no call of admission control is left to make."""
    if _next_call(restore) is not None:
        return restore
    return replace(restore, admission=replace(restore.admission, admitted=True))


def storm_reason(alert: AlertStart) -> str:
    """Return why a person is asked in a storm of alerts."""
    within = format_duration(alert.storm_within)
    return f"Alerts want more than {alert.storm_vms} VMs restored within {within}: this may be an outage of Azure."
