"""The step before all others: the guards that a start must pass, and letting go of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.errors import RestoreError
from domain.guards import guard_key
from domain.restores import Guard, Status, was_refused
from domain.times import format_duration, format_time

from orchestrations.names import FIND_RUNNING, RESOLVE_ITEM, RULE_BUDGET, STORM_GUARD, VM_GUARD
from orchestrations.preparing import become_resolved, resolve_item, wanted_item

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restores import Restore

    from orchestrations.run import Run, Steps

_ALL_ALERTS = guard_key("all alerts")


def admit_and_resolve(run: Run) -> Steps[None]:
    """Ask the guards while the item is looked for: neither needs the other, and both answers are slow."""
    if not run.may_ask(RESOLVE_ITEM):
        yield from admit(run)
        return
    resolving = run.begin(RESOLVE_ITEM, wanted_item(run.restore))
    refusal: RestoreError | None = None
    try:
        yield from admit(run)
    except RestoreError as error:
        refusal = error
    if run.restore.is_finished:
        return  # a guard refused it: nobody needs the item any more
    become_resolved(run, (yield from run.finish(RESOLVE_ITEM, resolving)))
    if refusal is not None:
        raise refusal


def resolve(run: Run) -> Steps[None]:
    """Find the item. If the request names the VM, the guards are asked at the same time; else after it."""
    if run.restore.wants_guard:
        yield from admit_and_resolve(run)
    else:
        yield from resolve_item(run)


def admit(run: Run) -> Steps[None]:
    """Take the VM's guard; an alert's start must also keep within its rule's cool-down and hourly budget.

    In a storm of alerts it goes on, but waits for a person before it is triggered.
    """
    alert = run.restore.alert
    noting = None
    if alert is not None:
        noted = {
            "vm": run.restore.guarded_name,
            "distinctVms": alert.storm_vms,
            "withinS": alert.storm_within / timedelta(seconds=1),
        }
        noting = run.request(STORM_GUARD, _ALL_ALERTS, "note", noted)
    taken = yield from _take_vm(run)
    storm = (yield from run.answer(STORM_GUARD, noting)) if noting is not None else None
    if taken["granted"] and alert is not None and alert.max_per_hour is not None:
        budget = {"rule": alert.rule, "maxPerHour": alert.max_per_hour}
        taken = yield from run.operate(RULE_BUDGET, guard_key(alert.rule), "take", budget)
        if not taken["granted"]:
            _release(run, unused=True)
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


def release(run: Run) -> None:
    """Let go of the VM at the restore's end, without waiting for the guard's answer.

    Until the signal arrives, the next restore that asks sees that this one is finished: see ``_take_vm``.
    """
    restore = run.restore
    if restore.guard is not None and restore.guarded_name is not None and not was_refused(restore.document(run.now)):
        # One that was not let in may all the same have taken it: the answer can have been lost.
        _release(run, unused=restore.guard is not Guard.HELD)


def _take_vm(run: Run) -> Steps[Json]:
    """Take the guard; whoever holds it counts only as long as it runs, however it ended."""
    restore = run.restore
    asked: Json = {"vm": restore.guarded_name, "startedBy": restore.started_by}
    if restore.alert is not None:
        asked["coolDownS"] = restore.alert.cool_down.total_seconds()
    taken = yield from run.operate(VM_GUARD, _key(restore), "take", asked)
    if taken["granted"] or taken["holder"] is None:
        return taken
    found = yield from run.ask(FIND_RUNNING, {"restoreId": taken["holder"]["restoreId"]})
    if found["running"]:
        return taken
    # The cool-down counts from its real end, as far as that is known.
    holder = {name: taken["holder"][name] for name in ("restoreId", "created")}
    # The answer is waited for before taking again: messages to an entity may change their order.
    ended = found["ended"] or taken["holder"]["since"]
    yield from run.operate(VM_GUARD, _key(restore), "release", {"holder": holder, "ended": ended})
    return (yield from run.operate(VM_GUARD, _key(restore), "take", asked))


def _release(run: Run, *, unused: bool) -> None:
    holder = {"restoreId": run.restore.restore_id, "created": format_time(run.restore.created)}
    asked = {"holder": holder, "ended": format_time(run.now), "unused": unused}
    run.signal(VM_GUARD, _key(run.restore), "release", asked)


def _key(restore: Restore) -> str:
    return guard_key(restore.guarded_name or "")
