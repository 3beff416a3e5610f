from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.restore.polling import Limits, job_interval_s, operation_interval_s, search_interval_s
from tests.support.azure import LIMITS
from tests.support.hub import START
from tests.support.strategies import SWIFT


def searches(window_s: float, *, late_s: float = 0) -> list[float]:
    """Return when, in seconds after the unknown outcome, each search is made; each is late by so much."""
    limits = Limits(job_poll_min_s=15, job_poll_max_s=60, deadline_s=1, adoption_window_s=window_s)
    now, seen = START, list[float]()
    while (wait_s := search_interval_s(limits, START, now)) is not None:
        assert wait_s > 0
        at = now + timedelta(seconds=wait_s)
        now = at + timedelta(seconds=late_s)
        seen.append((at - START).total_seconds())
    return seen


class TestJobInterval:
    @pytest.mark.parametrize(
        ("elapsed_s", "expected_s"), [(-5, 15), (0, 15), (150, 15), (200, 20), (450, 45), (600, 60), (86400, 60)]
    )
    def test_it_grows_with_the_job_between_the_bounds(self, elapsed_s: float, expected_s: float) -> None:
        assert job_interval_s(LIMITS, timedelta(seconds=elapsed_s)) == expected_s

    @given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.1, 500), st.floats(0, 500))
    @SWIFT
    def test_it_never_shrinks_and_stays_within_the_bounds(
        self, earlier_s: float, more_s: float, min_s: float, range_s: float
    ) -> None:
        limits = Limits(job_poll_min_s=min_s, job_poll_max_s=min_s + range_s, deadline_s=1, adoption_window_s=1)

        before, after = (
            job_interval_s(limits, timedelta(seconds=elapsed_s)) for elapsed_s in (earlier_s, earlier_s + more_s)
        )

        assert limits.job_poll_min_s <= before <= after <= limits.job_poll_max_s

    def test_a_job_of_half_an_hour_costs_about_forty_polls(self) -> None:
        elapsed_s, count = 0.0, 0
        while elapsed_s < 31 * 60:
            elapsed_s += job_interval_s(LIMITS, timedelta(seconds=elapsed_s))
            count += 1

        assert 35 <= count <= 50

    @pytest.mark.parametrize(("elapsed_s", "expected_s"), [(0, 5), (50, 5), (300, 30), (600, 60), (86400, 60)])
    def test_an_operation_is_polled_every_few_seconds_at_first(self, elapsed_s: float, expected_s: float) -> None:
        assert operation_interval_s(LIMITS, timedelta(seconds=elapsed_s)) == expected_s


class TestSearchInterval:
    def test_the_searches_in_the_two_minutes_that_are_the_default(self) -> None:
        assert searches(120) == [5, 10, 20, 40, 70, 100, 120]

    def test_the_searches_in_a_window_shorter_than_the_first_wait(self) -> None:
        assert searches(3) == [3]

    @pytest.mark.parametrize("window_s", [0, -1])
    def test_without_a_window_there_is_none(self, window_s: float) -> None:
        assert searches(window_s) == []

    @given(st.integers(1, 3600), st.floats(0, 20))
    @SWIFT
    def test_the_last_one_is_made_just_as_the_window_closes(self, window_s: int, late_s: float) -> None:
        seen = searches(window_s, late_s=late_s)

        assert seen[-1] <= window_s
        assert seen[-1] == window_s or seen[-1] + late_s >= window_s
        assert len(seen) <= 10 + window_s / 5

    @given(st.integers(1, 3600))
    @SWIFT
    def test_the_waits_grow_until_the_window_closes(self, window_s: int) -> None:
        seen = searches(window_s)
        waits = [after - before for before, after in zip([0.0, *seen], seen, strict=False)]

        assert seen[-1] == window_s
        assert waits[:-1] == sorted(waits[:-1])
        assert all(5 <= wait <= 30 for wait in waits[:-1])
        assert waits[-1] <= 30
