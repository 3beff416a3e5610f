from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.restore.backoff import Backoff, Pause
from tests.support.hub import START as NOW
from tests.support.strategies import SWIFT

CALL, OTHER = "get_job", "find_job"
ASKED = st.none() | st.floats(0, 1e6)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


class TestAskedByAzure:
    def test_a_wait_is_rounded_up_to_whole_seconds(self) -> None:
        backoff = Backoff().hold(CALL, 7.25, NOW)

        assert backoff.not_before(CALL) == after(8)
        assert backoff.is_held_by_azure(CALL, after(7))
        assert not backoff.is_held_by_azure(CALL, after(8))

    @pytest.mark.parametrize("asked_s", [None, 0.0, -1.0])
    def test_a_wait_of_nothing_is_none(self, asked_s: float | None) -> None:
        assert Backoff().hold(CALL, asked_s, NOW) == Backoff()
        assert Backoff().succeeded(CALL, asked_s, NOW) == Backoff()

    def test_it_is_for_this_call_only(self) -> None:
        backoff = Backoff().hold(CALL, 10, NOW)

        assert (backoff.is_due(CALL, NOW), backoff.is_due(OTHER, NOW)) == (False, True)
        assert (backoff.not_before(OTHER), backoff.is_held_by_azure(OTHER, NOW)) == (None, False)

    def test_it_is_due_exactly_when_the_wait_is_over(self) -> None:
        backoff = Backoff().hold(CALL, 10, NOW)

        assert [backoff.is_due(CALL, after(seconds)) for seconds in (9, 10, 11)] == [False, True, True]

    @given(st.floats(0.1, 1e6), st.floats(0.1, 1e6))
    @SWIFT
    def test_the_longer_of_two_waits_counts(self, first_s: float, second_s: float) -> None:
        backoff = Backoff().hold(CALL, first_s, NOW).hold(CALL, second_s, NOW)

        assert backoff.not_before(CALL) == max(
            Backoff().hold(CALL, wait_s, NOW).not_before(CALL) or NOW for wait_s in (first_s, second_s)
        )
        assert backoff.is_held_by_azure(CALL, NOW)

    def test_a_wait_that_is_over_does_not_lengthen_the_next(self) -> None:
        backoff = Backoff().hold(CALL, 100, NOW).hold(CALL, 5, after(200))

        assert backoff.not_before(CALL) == after(205)

    def test_what_is_left_of_it_is_known(self) -> None:
        backoff = Backoff().hold(CALL, 10, NOW)

        assert backoff.asked_s(CALL, after(4)) == 6
        assert Backoff().asked_s(CALL, NOW) is None
        assert Backoff().wait(CALL, 10, NOW).asked_s(CALL, NOW) is None


class TestOurOwn:
    def test_our_own_interval_is_waited_for_where_azure_asked_for_nothing(self) -> None:
        backoff = Backoff().wait(CALL, 14.5, NOW)

        assert backoff.not_before(CALL) == after(15)
        assert not backoff.is_held_by_azure(CALL, NOW)

    @pytest.mark.parametrize(("own_s", "asked_s"), [(5, 60), (600, 60)])
    def test_it_never_adds_to_what_azure_asked_for(self, own_s: float, asked_s: float) -> None:
        backoff = Backoff().hold(CALL, asked_s, NOW)

        assert backoff.wait(CALL, own_s, NOW) == backoff

    def test_it_counts_again_once_azures_wait_is_over(self) -> None:
        backoff = Backoff().hold(CALL, 10, NOW).wait(CALL, 15, after(10))

        assert backoff.pauses[CALL] == Pause(not_before=after(25))

    def test_the_latest_of_our_own_counts(self) -> None:
        assert Backoff().wait(CALL, 100, NOW).wait(CALL, 5, NOW).not_before(CALL) == after(5)

    @pytest.mark.parametrize(("asked_s", "expected_s"), [(37.5, 38), (0.0, 15), (None, 15)])
    def test_what_another_calls_answer_asked_for_comes_before_our_own(
        self, asked_s: float | None, expected_s: float
    ) -> None:
        backoff = Backoff().wait(CALL, 15, NOW, asked_s=asked_s)

        assert backoff.not_before(CALL) == after(expected_s)
        assert not backoff.is_held_by_azure(CALL, NOW)

    def test_what_another_calls_answer_asked_for_shortens_no_wait_of_this_call(self) -> None:
        backoff = Backoff().hold(CALL, 60, NOW).wait(CALL, 15, NOW, asked_s=20)

        assert backoff.not_before(CALL) == after(60)
        assert backoff.is_held_by_azure(CALL, NOW)

    def test_what_another_calls_answer_asked_for_may_lengthen_a_wait_of_this_call(self) -> None:
        backoff = Backoff().hold(CALL, 60, NOW).wait(CALL, 15, NOW, asked_s=90)

        assert backoff.not_before(CALL) == after(90)

    def test_only_our_own_wait_can_be_cut_short(self) -> None:
        assert Backoff().wait(CALL, 15, NOW).without_wait(CALL).is_due(CALL, NOW)
        held = Backoff().hold(CALL, 15, NOW)
        assert held.without_wait(CALL) == held
        assert Backoff().without_wait(CALL) == Backoff()

    def test_cutting_it_short_leaves_the_waits_of_other_calls(self) -> None:
        backoff = Backoff().wait(CALL, 15, NOW).wait(OTHER, 20, NOW)

        assert backoff.without_wait(CALL) == Backoff().wait(OTHER, 20, NOW)


class TestRetries:
    def test_the_waits_double_up_to_five_minutes(self) -> None:
        backoff, now, waits = Backoff(), NOW, list[float]()
        for _ in range(14):
            backoff = backoff.retry(CALL, now)
            until = backoff.not_before(CALL) or now
            waits.append((until - now).total_seconds())
            now = until

        assert waits == [5, 10, 20, 40, 80, 160, *[300] * 8]
        assert backoff.failures(CALL) == 14

    def test_the_wait_that_azure_asks_for_wins(self) -> None:
        backoff = Backoff().hold(CALL, 2, NOW).retry(CALL, NOW)

        assert (backoff.not_before(CALL), backoff.failures(CALL)) == (after(2), 1)
        assert backoff.is_held_by_azure(CALL, NOW)

    def test_a_wait_of_the_callers_own_wins_over_the_doubled_one(self) -> None:
        assert Backoff().retry(CALL, NOW, own_s=60).not_before(CALL) == after(60)

    def test_it_counts_since_when_the_call_has_failed(self) -> None:
        backoff = Backoff().retry(CALL, NOW).retry(CALL, after(100))

        assert backoff.failing_for(CALL, after(130)) == timedelta(seconds=130)
        assert (backoff.failures(CALL), backoff.failures(OTHER)) == (2, 0)
        assert backoff.failing_for(OTHER, after(130)) == timedelta(0)

    def test_a_success_forgets_the_failures_and_keeps_the_wait_that_it_asked_for(self) -> None:
        failing = Backoff().retry(CALL, NOW).retry(OTHER, NOW)

        assert failing.succeeded(CALL, None, NOW) == Backoff().retry(OTHER, NOW)
        good = failing.succeeded(CALL, 30, NOW)
        assert (good.not_before(CALL), good.failures(CALL)) == (after(30), 0)
        assert good.failing_for(CALL, after(5)) == timedelta(0)

    def test_failures_that_were_none_are_forgotten_and_the_wait_stays(self) -> None:
        backoff = Backoff().hold(CALL, 30, NOW).retry(CALL, NOW).retry(OTHER, NOW).without_failures(CALL)

        assert (backoff.failures(CALL), backoff.failing_for(CALL, after(9))) == (0, timedelta(0))
        assert (backoff.not_before(CALL), backoff.failures(OTHER)) == (after(30), 1)
        assert Backoff().without_failures(CALL) == Backoff()

    @given(
        st.lists(st.tuples(st.sampled_from(["hold", "wait", "retry", "cut", "forgive"]), ASKED, st.integers(0, 500)))
    )
    @SWIFT
    def test_nothing_but_a_good_answer_shortens_a_wait_that_azure_asked_for(
        self, steps: list[tuple[str, float | None, int]]
    ) -> None:
        backoff, now, asked_until = Backoff(), NOW, NOW
        for step, asked_s, later_s in steps:
            now += timedelta(seconds=later_s)
            match step:
                case "hold":
                    backoff = backoff.hold(CALL, asked_s, now)
                    asked_until = max(asked_until, now + timedelta(seconds=asked_s or 0))
                case "wait":
                    backoff = backoff.wait(CALL, 15, now, asked_s=asked_s)
                case "retry":
                    backoff = backoff.retry(CALL, now)
                case "cut":
                    backoff = backoff.without_wait(CALL)
                case _:
                    backoff = backoff.without_failures(CALL)
            assert backoff.is_due(CALL, asked_until) or (backoff.not_before(CALL) or NOW) >= asked_until
            if now < asked_until:
                assert not backoff.is_due(CALL, now)
