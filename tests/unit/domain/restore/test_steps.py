from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.restore.backoff import Backoff
from domain.restore.calls import FindJob, GetJob
from domain.restore.steps import MakeCall, Wait, first_due, when_due
from tests.support.strategies import SWIFT
from tests.unit.domain.restore.states import NOW, tracking_job

CALL = GetJob(vault_id="v", job_id="j")
OTHER = FindJob(vault_id="v", client_request_id="c")
RESTORE = tracking_job()
DEADLINE = RESTORE.deadline


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


class TestWhenDue:
    def test_a_call_that_nothing_delays_is_made(self) -> None:
        assert when_due(RESTORE, CALL, NOW) == MakeCall(call=CALL)

    def test_a_call_is_waited_for_until_it_is_due(self) -> None:
        restore = replace(RESTORE, backoff=Backoff().wait(CALL.name, 30, NOW))

        assert when_due(restore, CALL, NOW) == Wait(until=NOW + later(30))
        assert when_due(restore, CALL, NOW + later(29)) == Wait(until=NOW + later(30))
        assert when_due(restore, CALL, NOW + later(30)) == MakeCall(call=CALL)

    def test_no_wait_goes_past_the_deadline(self) -> None:
        restore = replace(RESTORE, backoff=Backoff().hold(CALL.name, 10**6, NOW))

        assert when_due(restore, CALL, NOW) == Wait(until=DEADLINE)

    def test_at_the_deadline_a_wait_of_our_own_is_cut_short(self) -> None:
        restore = replace(RESTORE, backoff=Backoff().wait(CALL.name, 300, DEADLINE - later(60)))

        assert when_due(restore, CALL, DEADLINE - later(1)) == Wait(until=DEADLINE)
        assert when_due(restore, CALL, DEADLINE) == MakeCall(call=CALL)

    def test_at_the_deadline_azures_wait_is_kept(self) -> None:
        restore = replace(RESTORE, backoff=Backoff().hold(CALL.name, 300, DEADLINE - later(60)))

        assert when_due(restore, CALL, DEADLINE) == Wait(until=DEADLINE + later(240))

    def test_another_latest_time_stands_for_the_deadline(self) -> None:
        latest = NOW + later(100)
        restore = replace(RESTORE, backoff=Backoff().wait(CALL.name, 300, NOW))

        assert when_due(restore, CALL, NOW, latest=latest) == Wait(until=latest)
        assert when_due(restore, CALL, latest, latest=latest) == MakeCall(call=CALL)

    @given(st.floats(0.1, 10**6), st.booleans(), st.integers(-(10**6), 10**6))
    @SWIFT
    def test_a_wait_always_lies_ahead_and_azures_is_never_shortened(
        self, wait_s: float, by_azure: bool, from_deadline_s: int
    ) -> None:
        now = DEADLINE + later(from_deadline_s)
        backoff = Backoff().hold(CALL.name, wait_s, now) if by_azure else Backoff().wait(CALL.name, wait_s, now)

        step = when_due(replace(RESTORE, backoff=backoff), CALL, now)

        if isinstance(step, Wait):
            assert step.until > now
        else:
            assert not by_azure


class TestFirstDue:
    @pytest.mark.parametrize(
        ("wait_s", "other_wait_s", "first"),
        [(0, 0, CALL), (30, 0, OTHER), (0, 30, CALL)],
    )
    def test_the_first_of_those_that_are_due_is_made(
        self, wait_s: float, other_wait_s: float, first: GetJob | FindJob
    ) -> None:
        backoff = Backoff().hold(CALL.name, wait_s, NOW).hold(OTHER.name, other_wait_s, NOW)

        assert first_due(replace(RESTORE, backoff=backoff), (CALL, OTHER), NOW) == MakeCall(call=first)

    @pytest.mark.parametrize(("wait_s", "other_wait_s"), [(20, 30), (30, 20)])
    def test_the_shortest_wait_is_waited(self, wait_s: float, other_wait_s: float) -> None:
        backoff = Backoff().wait(CALL.name, wait_s, NOW).wait(OTHER.name, other_wait_s, NOW)

        assert first_due(replace(RESTORE, backoff=backoff), (CALL, OTHER), NOW) == Wait(until=NOW + later(20))
