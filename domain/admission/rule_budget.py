"""The budget of an alert rule: how many restores it may start within an hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.restore.answers import Grant, Refusal
from domain.restore.calls import TakeBudget
from domain.times import format_time

if TYPE_CHECKING:
    from domain.admission.answer_once import Asked

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBudget:
    """The restores that a rule has started within the last hour, by their ids. ``rule`` is only informative."""

    rule: str
    starts: dict[str, datetime]


def take(budget: RuleBudget | None, call: TakeBudget, asked: Asked) -> tuple[RuleBudget, Grant]:
    """Take one of the starts of this hour, or refuse. A restore takes only one, however often it asks."""
    known = {} if budget is None else budget.starts
    starts = {restore_id: time for restore_id, time in known.items() if asked.now - time < _HOUR}
    budget = RuleBudget(rule=call.rule, starts=starts)
    if asked.restore_id in starts:
        return budget, Grant()
    if len(starts) >= call.max_per_hour:
        message = (
            f"Rule {call.rule!r} has started {len(starts)} restores within the last hour, which maxPerHour allows; the "
            f"next may start after {format_time(min(starts.values()) + _HOUR)}. Start this one by hand if it is needed "
            "now."
        )
        return budget, Grant(refusal=Refusal(code=errors.HOURLY_BUDGET_SPENT, message=message))
    return replace(budget, starts={**starts, asked.restore_id: asked.now}), Grant()
