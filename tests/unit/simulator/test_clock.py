from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock, ScaledClock, SystemClock, Timeline

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_scaled_clock_starts_with_its_base_and_runs_faster() -> None:
    base = ManualClock(START)
    clock = ScaledClock(base, 60)
    assert clock.now() == START

    base.advance(1.5)

    assert clock.now() == START + timedelta(seconds=90)


@settings(deadline=None)
@given(speed=st.floats(0.01, 10_000), steps=st.lists(st.floats(0, 1000), max_size=10))
def test_scaled_clock_never_goes_back(speed: float, steps: list[float]) -> None:
    base = ManualClock(START)
    clock = ScaledClock(base, speed)
    seen = [clock.now()]
    for step in steps:
        base.advance(step)
        seen.append(clock.now())

    assert seen == sorted(seen)


def test_manual_clock_starts_with_the_present_and_stands_still() -> None:
    clock = ManualClock()

    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert clock.now() == clock.now()


def test_system_clock_tells_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("speed", "seconds", "header"),
    [
        (1, 60, "60"),
        (60, 60, "1"),
        (120, 60, "1"),
        (1, 10, "10"),
        (7, 60, "9"),
        (1, 0, "0"),
        (1, 0.6, "1"),
        (0.1, 6, "60"),
    ],
)
def test_retry_after_is_in_whole_seconds_of_the_caller(speed: float, seconds: float, header: str) -> None:
    assert Timeline.scaled(speed).retry_after(seconds) == header


def test_timeline_of_a_given_clock_leaves_only_tokens_to_the_wall() -> None:
    clock = ManualClock(START)

    timeline = Timeline.driven_by(clock)

    assert timeline.simulated is timeline.real is clock
    assert timeline.retry_after(60) == "60"
    assert timeline.wall.now() != START
