"""The step before all others: the guards that a start must pass, and letting go of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.errors import TransientError
from domain.guards import guard_key
from domain.restores import Guard, Status, was_refused
from domain.times import format_duration, format_time

from orchestrations.names import FIND_RUNNING, RULE_BUDGET, STORM_GUARD, VM_GUARD

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.guards import AlertStart
    from domain.restores import Restore

    from orchestrations.run import Run, Steps

_ALL_ALERTS = guard_key("all alerts")


def admit(run: Run) -> Steps[None]:
    """Take the VM's guard; an alert's start must also keep within its rule's cool-down and hourly budget.

    In a storm of alerts it goes on, but waits for a person before it is triggered.
    """
    alert = run.restore.alert
    storm = (yield from _note_alert(run, alert)) if alert else None
    taken = yield from _take_vm(run)
    if taken["granted"] and alert is not None and alert.max_per_hour is not None:
        budget = {**_asked(run), "rule": alert.rule, "maxPerHour": alert.max_per_hour}
        taken = yield from run.operate(RULE_BUDGET, guard_key(alert.rule), "take", budget)
        if not taken["granted"]:
            yield from _release(run, _mine(run), unused=True)
    if not taken["granted"]:
        run.become(run.restore.refused(taken["code"], taken["message"], run.now))
        return
    run.update(guard=Guard.HELD, status=Status.RUNNING)
    if alert is not None and storm is not None and storm["storm"]:
        within = format_duration(alert.storm_within)
        reason = (
            f"Alerts want more than {alert.storm_vms} VMs restored within {within}: this may be an outage of Azure."
        )
        run.become(run.restore.with_approval(reason))


def release(run: Run) -> Steps[None]:
    """Let go of the VM at the restore's end. A guard that cannot be reached is free all the same: see ``_take_vm``."""
    restore = run.restore
    if restore.guard is not None and restore.guarded_name is not None and not was_refused(restore.document(run.now)):
        # One that was not let in may all the same have taken it: the answer can have been lost.
        try:
            yield from _release(run, _mine(run), unused=restore.guard is not Guard.HELD)
        except TransientError as error:
            run.become(run.restore.with_warning("GuardNotReleased", error.message))


def _note_alert(run: Run, alert: AlertStart) -> Steps[Json]:
    asked = {
        "vm": run.restore.guarded_name,
        "now": format_time(run.now),
        "distinctVms": alert.storm_vms,
        "withinS": alert.storm_within / timedelta(seconds=1),
    }
    return (yield from run.operate(STORM_GUARD, _ALL_ALERTS, "note", asked))


def _take_vm(run: Run) -> Steps[Json]:
    """Take the guard; whoever holds it counts only as long as it runs, however it ended."""
    restore = run.restore
    asked = {**_asked(run), **_mine(run), "vm": restore.guarded_name, "startedBy": restore.started_by}
    if restore.alert is not None:
        asked["coolDownS"] = restore.alert.cool_down.total_seconds()
    taken = yield from run.operate(VM_GUARD, _key(restore), "take", asked)
    if taken["granted"] or taken["holder"] is None:
        return taken
    found = yield from run.ask(FIND_RUNNING, {"restoreId": taken["holder"]["restoreId"]})
    if found["running"]:
        return taken
    # The cool-down counts from its real end, as far as that is known.
    holder = {**taken["holder"], "now": found["ended"] or taken["holder"]["since"]}
    yield from _release(run, holder)
    return (yield from run.operate(VM_GUARD, _key(restore), "take", asked))


def _release(run: Run, holder: Json, *, unused: bool = False) -> Steps[None]:
    asked = {"now": format_time(run.now), **holder, "unused": unused}
    yield from run.operate(VM_GUARD, _key(run.restore), "release", asked)


def _mine(run: Run) -> Json:
    return {"restoreId": run.restore.restore_id, "created": format_time(run.restore.created)}


def _asked(run: Run) -> Json:
    return {"restoreId": run.restore.restore_id, "now": format_time(run.now)}


def _key(restore: Restore) -> str:
    return guard_key(restore.guarded_name or "")
