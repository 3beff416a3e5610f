"""The budget of an alert rule, as a state machine."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.admission.rule_budget import RuleBudget, take
from domain.restore.calls import TakeBudget
from tests.unit.domain.admission.asking import HOUR, NOW, asked


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 30), st.floats(0, 3000)), max_size=40))
def test_never_more_in_any_hour(max_per_hour: int, steps: list[tuple[int, float]]) -> None:
    budget: RuleBudget | None = None
    at = timedelta()
    granted: dict[int, datetime] = {}
    for number, later_s in steps:
        at += timedelta(seconds=later_s)
        fresh = {known for known, time in granted.items() if NOW + at - time < HOUR}
        call = TakeBudget(key="k", rule="r", max_per_hour=max_per_hour)
        budget, grant = take(budget, call, asked(str(number), at))
        assert (grant.refusal is None) == (number in fresh or len(fresh) < max_per_hour)
        if grant.refusal is None and number not in fresh:
            granted[number] = NOW + at
        assert len(budget.starts) <= max_per_hour


def test_a_refusal_says_when_to_come_back() -> None:
    call = TakeBudget(key="k", rule="web", max_per_hour=1)
    budget, _ = take(None, call, asked("a"))
    _, grant = take(budget, call, asked("b", HOUR / 2))

    assert grant.refusal is not None
    assert grant.refusal.code == "HourlyBudgetSpent"
    assert "2026-11-23T09:00:00Z" in grant.refusal.message
    assert "'web'" in grant.refusal.message
