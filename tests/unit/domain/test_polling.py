from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.restore.polling import (
    PATIENCE_S,
    Limits,
    job_interval_s,
    next_look,
    operation_interval_s,
    retry_wait_s,
    wait_s,
)
from tests.support.strategies import SWIFT

START = datetime(2026, 11, 23, 8, tzinfo=UTC)
LIMITS = Limits(job_poll_min_s=15, job_poll_max_s=60, deadline_s=86400, adoption_window_s=120)


def looks(window_s: float, *, late_s: float = 0) -> list[float]:
    """Return when, in seconds after the open answer, each look is made; each is late by so much."""
    now, seen = START, list[float]()
    while (at := next_look(START, window_s, now=now)) is not None:
        assert at > now
        now = at + timedelta(seconds=late_s)
        seen.append((at - START).total_seconds())
    return seen


class TestJobInterval:
    @pytest.mark.parametrize(
        ("elapsed_s", "expected_s"), [(-5, 15), (0, 15), (150, 15), (200, 20), (450, 45), (600, 60), (86400, 60)]
    )
    def test_it_grows_with_the_job_between_the_bounds(self, elapsed_s: float, expected_s: float) -> None:
        assert job_interval_s(LIMITS, elapsed_s=elapsed_s) == expected_s

    @given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.1, 500), st.floats(0, 500))
    @SWIFT
    def test_it_never_shrinks_and_stays_within_the_bounds(
        self, earlier_s: float, more_s: float, least_s: float, range_s: float
    ) -> None:
        limits = Limits(job_poll_min_s=least_s, job_poll_max_s=least_s + range_s, deadline_s=1, adoption_window_s=1)

        before, after = (job_interval_s(limits, elapsed_s=each) for each in (earlier_s, earlier_s + more_s))

        assert limits.job_poll_min_s <= before <= after <= limits.job_poll_max_s

    def test_a_job_of_half_an_hour_costs_about_forty_looks(self) -> None:
        elapsed_s, count = 0.0, 0
        while elapsed_s < 31 * 60:
            elapsed_s += job_interval_s(LIMITS, elapsed_s=elapsed_s)
            count += 1

        assert 35 <= count <= 50

    @pytest.mark.parametrize(("elapsed_s", "expected_s"), [(0, 5), (50, 5), (300, 30), (600, 60), (86400, 60)])
    def test_an_operation_is_looked_at_every_few_seconds_at_first(self, elapsed_s: float, expected_s: float) -> None:
        assert operation_interval_s(LIMITS, elapsed_s=elapsed_s) == expected_s


class TestAskedWait:
    @pytest.mark.parametrize("asked_s", [0.1, 0.5, 60.0, 36_000.0])
    def test_it_always_wins(self, asked_s: float) -> None:
        assert wait_s(asked_s, 15.0) == asked_s

    def test_a_very_short_one_is_a_tenth_of_a_second(self) -> None:
        assert wait_s(0.001, 15.0) == 0.1

    @pytest.mark.parametrize("asked_s", [None, 0.0])
    def test_a_wait_of_nothing_is_none(self, asked_s: float | None) -> None:
        assert wait_s(asked_s, 15.0) == 15.0


class TestRetryWait:
    @pytest.mark.parametrize(
        ("attempt", "expected_s"),
        [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (12, 300), (9999, 300)],
    )
    def test_it_doubles_up_to_five_minutes(self, attempt: int, expected_s: float) -> None:
        assert retry_wait_s(None, attempt=attempt) == expected_s

    @given(st.floats(0.1, 1e5), st.integers(1, 100))
    @SWIFT
    def test_the_wait_that_the_service_asks_for_wins(self, retry_after_s: float, attempt: int) -> None:
        assert retry_wait_s(retry_after_s, attempt=attempt) == retry_after_s

    @given(st.integers(1, 10_000))
    @SWIFT
    def test_it_never_shrinks(self, attempt: int) -> None:
        assert 5 <= retry_wait_s(None, attempt=attempt) <= retry_wait_s(None, attempt=attempt + 1) <= 300

    def test_all_attempts_of_a_call_take_about_half_an_hour(self) -> None:
        waits = [retry_wait_s(None, attempt=attempt) for attempt in range(1, 12)]

        assert sum(waits) >= PATIENCE_S > sum(waits[:-2])


class TestNextLook:
    def test_the_looks_in_the_two_minutes_that_are_the_default(self) -> None:
        assert looks(120) == [5, 10, 20, 40, 70, 100, 120]

    def test_the_looks_in_a_window_shorter_than_the_first_wait(self) -> None:
        assert looks(3) == [3]

    @pytest.mark.parametrize("window_s", [0, -1])
    def test_without_a_window_there_is_none(self, window_s: float) -> None:
        assert looks(window_s) == []

    @given(st.integers(1, 3600), st.floats(0, 20))
    @SWIFT
    def test_the_last_one_is_made_just_as_the_window_closes(self, window_s: int, late_s: float) -> None:
        seen = looks(window_s, late_s=late_s)

        assert seen[-1] <= window_s
        assert seen[-1] == window_s or seen[-1] + late_s >= window_s
        assert len(seen) <= 10 + window_s / 5

    @given(st.integers(1, 3600))
    @SWIFT
    def test_the_waits_grow_until_the_window_closes(self, window_s: int) -> None:
        seen = looks(window_s)
        waits = [after - before for before, after in zip([0.0, *seen], seen, strict=False)]

        assert seen[-1] == window_s
        assert waits[:-1] == sorted(waits[:-1])
        assert all(5 <= wait <= 30 for wait in waits[:-1])
        assert waits[-1] <= 30

    @given(st.integers(0, 3600), st.integers(0, 7200))
    @SWIFT
    def test_it_is_ahead_and_within_the_window_or_over(self, window_s: int, elapsed_s: int) -> None:
        now = START + timedelta(seconds=elapsed_s)
        at = next_look(START, window_s, now=now)

        if at is None:
            assert elapsed_s >= window_s
        else:
            assert now < at <= START + timedelta(seconds=window_s)


class TestLimits:
    @given(st.builds(Limits, **dict.fromkeys(Limits.__slots__, st.floats(0, 1e6) | st.integers(0, 10**6))))
    @SWIFT
    def test_they_come_out_of_history_as_they_went_in(self, limits: Limits) -> None:
        assert Limits.from_json(json.loads(json.dumps(limits.to_json()))) == limits

    def test_their_names_in_history(self) -> None:
        assert LIMITS.to_json() == {
            "jobPollMinS": 15,
            "jobPollMaxS": 60,
            "deadlineS": 86400,
            "adoptionWindowS": 120,
            "mostPerVault": None,
        }
