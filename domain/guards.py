"""What keeps automation from doing harm: one restore of a VM at a time, cool-downs, hourly budgets, the storm guard.

Each function takes the state of one guard and what is asked of it, and returns the new state with the answer; whoever
holds the state calls one at a time. Times are RFC 3339 texts of the asking orchestration's clock.

Messages may come twice, late and out of order (``docs/engine.md``), so every request goes through :func:`answer_once`.
A request is ``{"restoreId", "created", "number", "now", ...}``: ``created`` tells a restore from one that was started
again under its id, ``number`` grows with each request of a restore.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain import errors
from domain.times import format_time, parse_request_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from domain.errors import Json

_NAMESPACE: Final = uuid.UUID("0b9a6a0c-8f5e-5a53-9b0e-5b8a3f3d9c11")
_HOUR: Final = timedelta(hours=1)
_ALERT: Final = "alert"
_FORGOTTEN: Final = timedelta(minutes=15)  # three times as long as anybody waits before asking again
_ANSWERS_KEPT_FOR: Final = timedelta(
    hours=1
)  # far longer than a message is late: a few visibility timeouts of a minute
_MAX_ANSWERS: Final = 500

type State = Json | None
"""What a guard remembers; ``None`` before its first use."""

type Operation = Callable[[State, Json], tuple[State, Json]]
"""One operation of a guard."""


def guard_key(name: str) -> str:
    """Return the key of the guard of a VM id or a rule's name: durable keys may hold no slash, and case does not count.

    ``lower`` as in ``same_id``: two names that Azure tells apart never share a guard.
    """
    return str(uuid.uuid5(_NAMESPACE, name.rstrip("/").lower()))


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStart:
    """What an alert's rule says about starting: it travels with the restore into its guards.

    ``cool_down`` is counted from the end of the VM's last restore; ``max_per_hour`` is ``None`` for no budget.
    """

    alert_id: str
    rule: str
    cool_down: timedelta
    max_per_hour: int | None
    storm_vms: int
    storm_within: timedelta

    def to_json(self) -> Json:
        """Return what crosses the durable boundary."""
        return {
            "v": 1,
            "alertId": self.alert_id,
            "rule": self.rule,
            "coolDownS": self.cool_down.total_seconds(),
            "maxPerHour": self.max_per_hour,
            "stormVms": self.storm_vms,
            "stormWithinS": self.storm_within.total_seconds(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(
            alert_id=data["alertId"],
            rule=data["rule"],
            cool_down=timedelta(seconds=data["coolDownS"]),
            max_per_hour=data["maxPerHour"],
            storm_vms=data["stormVms"],
            storm_within=timedelta(seconds=data["stormWithinS"]),
        )


def answer_once(name: str, operation: Operation, state: State, asked: Json) -> tuple[State, Json]:
    """Do the operation called ``name``, unless this request or a later one of the same restore has been answered.

    The same request again gets the same answer and changes nothing. An older one, which nobody waits for any more,
    changes nothing and is answered ``{"outdated": true}``.
    """
    known = dict(state or {})
    answers: dict[str, Json] = known.pop("answers", {})
    asker = f"{asked['restoreId']} {asked['created']}"
    last = answers.get(asker)
    if last is not None and (last["number"], last["operation"]) == (asked["number"], name):
        return state, last["answer"]
    if last is not None and last["number"] > asked["number"]:
        return state, {"outdated": True}
    new, answer = operation(known or None, asked)
    answers.pop(asker, None)  # so that whoever was answered last is forgotten last
    answers[asker] = {"number": asked["number"], "operation": name, "answer": answer, "at": asked["now"]}
    latest = max(parse_request_time(each["at"]) for each in answers.values())
    kept = {key: each for key, each in answers.items() if latest - parse_request_time(each["at"]) <= _ANSWERS_KEPT_FOR}
    return {**(new or {}), "answers": dict(list(kept.items())[-_MAX_ANSWERS:])}, answer


def take_vm(state: State, asked: Json) -> tuple[State, Json]:
    """Take a VM's guard for a restore; beside a request's members: ``{"vm", "startedBy", "coolDownS"?}``.

    Answers ``{"granted": true}``, or ``granted`` false with ``code``, ``message`` and, while a restore holds it, that
    one as ``holder``: ``{"restoreId", "created", "since"}``.
    Only a start that names a cool-down is bound by it: a person knows why they restore again.
    """
    known = state or {"v": 1, "vm": asked["vm"], "running": None, "last": None}
    running, last = known["running"], known["last"]
    if running is not None and running["restoreId"] != asked["restoreId"]:
        return known, _busy(running, asked)
    cooling = None if running is not None or asked.get("coolDownS") is None else _cooling(last, asked)
    if cooling is not None:
        return known, cooling
    since = running["since"] if running is not None else asked["now"]
    named = {name: asked[name] for name in ("restoreId", "created", "startedBy")}
    return {**known, "running": {**named, "since": since}}, {"granted": True}


def release_vm(state: State, asked: Json) -> tuple[State, Json]:
    """Let go of a VM: ``{"holder": {"restoreId", "created"}, "ended", "unused"?}``.

    Whoever does not hold it changes nothing. The cool-down starts at ``ended``, unless the guard was ``unused``: the
    restore was never let in.
    """
    running, holder = (state or {}).get("running"), asked["holder"]
    if state is None or running is None or any(running[name] != holder[name] for name in ("restoreId", "created")):
        return state, {"released": False}
    last = state["last"] if asked.get("unused") else {"restoreId": holder["restoreId"], "ended": asked["ended"]}
    return {**state, "running": None, "last": last}, {"released": True}


def take_budget(state: State, asked: Json) -> tuple[Json, Json]:
    """Take one of a rule's starts within an hour: ``{"rule", "maxPerHour"}``; answers as ``take_vm``."""
    now = parse_request_time(asked["now"])
    starts = [each for each in (state or {}).get("starts", []) if now - parse_request_time(each["at"]) < _HOUR]
    known: Json = {"v": 1, "rule": asked["rule"], "starts": starts}
    if any(each["restoreId"] == asked["restoreId"] for each in starts):
        return known, {"granted": True}
    if len(starts) >= asked["maxPerHour"]:
        free = min(parse_request_time(each["at"]) for each in starts) + _HOUR
        message = (
            f"Rule {asked['rule']!r} has started {len(starts)} restores within the last hour, which maxPerHour allows; "
            f"the next may start after {format_time(free)}. Start this one by hand if it is needed now."
        )
        return known, _refusal(errors.HOURLY_BUDGET_SPENT, message)
    known["starts"] = [*starts, {"restoreId": asked["restoreId"], "at": asked["now"]}]
    return known, {"granted": True}


def take_turn(state: State, asked: Json) -> tuple[Json, Json]:
    """Ask for one of a vault's places: ``{"most"}``.

    Answers ``{"granted": true}``, or ``granted`` false with ``ahead``, the number of restores that wait before this
    one, and ``holder``, one that holds a place: another each time, so that who asks can see whether it still runs.
    Who waits must ask again now and then, or its place in the queue is given up.
    """
    known = _turns(state, asked["now"])
    running, waiting, restore_id = known["running"], known["waiting"], asked["restoreId"]
    if restore_id in running:
        return known, {"granted": True}
    waiting[restore_id] = asked["now"]  # a dict keeps the place of a key that it has
    ahead = list(waiting).index(restore_id)
    if ahead < asked["most"] - len(running):
        del waiting[restore_id]
        running.append(restore_id)
        return known, {"granted": True}
    holder = running.pop(0)
    running.append(holder)
    return known, {"granted": False, "ahead": ahead, "holder": holder}


def leave_turn(state: State, asked: Json) -> tuple[Json, Json]:
    """Give a place back, or stop waiting for one: ``{"holder", "most"}``, ``holder`` being the id of a restore.

    The place goes to whoever waits longest; answers ``{"next"}``, its id, ``None`` when nobody waits.
    """
    known = _turns(state, asked["now"])
    running, waiting, restore_id = known["running"], known["waiting"], asked["holder"]
    waiting.pop(restore_id, None)
    if restore_id in running:
        running.remove(restore_id)
    if not waiting or len(running) >= asked["most"]:
        return known, {"next": None}
    following = next(iter(waiting))
    del waiting[following]
    running.append(following)
    return known, {"next": following}


def _turns(state: State, now: str) -> Json:
    waiting: dict[str, str] = (state or {}).get("waiting", {})
    at = parse_request_time(now)
    fresh = {each: asked for each, asked in waiting.items() if at - parse_request_time(asked) < _FORGOTTEN}
    return {"v": 1, "running": list((state or {}).get("running", [])), "waiting": fresh}


def note_alert(state: State, asked: Json) -> tuple[Json, Json]:
    """Note that an alert wants a VM restored: ``{"vm", "distinctVms", "withinS"}``.

    Answers ``{"storm", "vms"}``: whether more than ``distinctVms`` different VMs were wanted within ``withinS``.
    Only the newest ``distinctVms`` + 1 VMs are kept, each with its latest time: an older message does not move it back.
    """
    within = timedelta(seconds=asked["withinS"])
    known: dict[str, str] = (state or {}).get("seen", {})
    vm = guard_key(asked["vm"])
    now: str = asked["now"]
    seen = {**known, vm: max(known.get(vm, now), now, key=parse_request_time)}
    latest = max(map(parse_request_time, seen.values()))
    fresh = {each: at for each, at in seen.items() if latest - parse_request_time(at) < within}
    in_order = sorted(fresh.items(), key=lambda each: parse_request_time(each[1]))
    kept = dict(in_order[-(asked["distinctVms"] + 1) :])
    return {"v": 1, "seen": kept}, {"storm": len(kept) > asked["distinctVms"], "vms": len(kept)}


def _busy(running: Json, asked: Json) -> Json:
    code = errors.REQUEST_CONFLICT
    if running["startedBy"] == _ALERT and asked["startedBy"] == _ALERT:
        code = errors.COOLING_DOWN  # most likely another alert about the same incident
    message = (
        f"Restore {running['restoreId']} of this VM, started by {running['startedBy']} at {running['since']}, has not "
        "ended. Wait for it or cancel it; two restores of one VM never run at once."
    )
    return {**_refusal(code, message), "holder": {name: running[name] for name in ("restoreId", "created", "since")}}


def _cooling(last: Json | None, asked: Json) -> Json | None:
    if last is None:
        return None
    over: datetime = parse_request_time(last["ended"]) + timedelta(seconds=asked["coolDownS"])
    if parse_request_time(asked["now"]) >= over:
        return None
    message = (
        f"Restore {last['restoreId']} of this VM ended at {last['ended']}; the rule's cool-down lasts until "
        f"{format_time(over)}. Start a restore by hand if it is needed now."
    )
    return _refusal(errors.COOLING_DOWN, message)


def _refusal(code: str, message: str) -> Json:
    return {"granted": False, "code": code, "message": message, "holder": None}
