from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.formats import (
    TICKS_PER_SECOND,
    clock_duration,
    iso_duration,
    iso_time,
    read_filter,
    read_filter_time,
    ticks,
    us_time,
)

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - as hypothesis wants


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 7, 26, 14, 48, 7, tzinfo=UTC), "2026-07-26T14:48:07Z"),
        (datetime(2026, 7, 26, 14, 48, 50, 607_000, tzinfo=UTC), "2026-07-26T14:48:50.607Z"),
        (datetime(2026, 7, 26, 14, 48, 7, 123_456, tzinfo=UTC), "2026-07-26T14:48:07.1234562Z"),
    ],
)
def test_times_have_up_to_seven_digits_and_no_trailing_zeros(moment: datetime, text: str) -> None:
    assert iso_time(moment) == text


@settings(deadline=None)
@given(MOMENTS, MOMENTS)
def test_ticks_keep_the_order_of_moments(one: datetime, other: datetime) -> None:
    assert (one < other) == (ticks(one) < ticks(other))


@settings(deadline=None)
@given(MOMENTS)
def test_times_are_read_back_to_the_microsecond(moment: datetime) -> None:
    assert datetime.fromisoformat(iso_time(moment)) == moment


def test_ticks_are_those_of_dotnet() -> None:
    assert ticks(datetime(2026, 7, 26, 14, 17, 41, tzinfo=UTC)) == 639_206_722_610_000_000


@pytest.mark.parametrize(
    ("length", "iso", "clock"),
    [
        (0, "PT0S", "00:00:00.0000000"),
        (1_200_000_000, "PT2M", "00:02:00.0000000"),
        (18_466_954_998, "PT30M46.6954998S", "00:30:46.6954998"),
        (15_006_403_370, "PT25M0.640337S", "00:25:00.6403370"),
        (36_000 * TICKS_PER_SECOND, "PT10H", "10:00:00.0000000"),
        (36_061 * TICKS_PER_SECOND, "PT10H1M1S", "10:01:01.0000000"),
    ],
)
def test_durations(length: int, iso: str, clock: str) -> None:
    assert (iso_duration(length), clock_duration(length)) == (iso, clock)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 7, 26, 13, 16, 55, tzinfo=UTC), "7/26/2026 1:16:55 PM"),
        (datetime(2026, 11, 3, 0, 5, 0, tzinfo=UTC), "11/3/2026 12:05:00 AM"),
        (datetime(2026, 11, 3, 12, 0, 9, tzinfo=UTC), "11/3/2026 12:00:09 PM"),
    ],
)
def test_times_of_property_bags(moment: datetime, text: str) -> None:
    assert us_time(moment) == text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01 12:00:00 AM", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01 12:30:00 PM", datetime(2026, 11, 1, 12, 30, tzinfo=UTC)),
        ("2026-11-01 11:59:59 pm", datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_times_of_filters(text: str, moment: datetime) -> None:
    assert read_filter_time(text) == moment


@pytest.mark.parametrize(
    "text", ["2026-11-01", "2026-11-01 13:00:00 PM", "2026-11-01 00:00:00 AM", "2026-13-01 01:00:00 AM"]
)
def test_wrong_times_of_filters(text: str) -> None:
    with pytest.raises(ValueError, match=r"2026|month"):
        read_filter_time(text)


def test_filters_are_conditions_joined_by_and() -> None:
    text = "backupManagementType eq 'AzureIaasVM' and friendlyName EQ 'a and b' AND status eq ''"

    assert read_filter(text) == {"backupmanagementtype": "AzureIaasVM", "friendlyname": "a and b", "status": ""}


@pytest.mark.parametrize("text", ["", "name", "name ne 'x'", "name eq x", "a eq 'x' or b eq 'y'", "a eq 'x' and"])
def test_wrong_filters(text: str) -> None:
    with pytest.raises(ValueError, match=r"filter|joined"):
        read_filter(text)


@settings(deadline=None)
@given(st.integers(0, 10**14))
def test_durations_lose_nothing(length: int) -> None:
    hours, minutes, seconds = clock_duration(length).split(":")
    parsed = timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds[:2]))

    assert parsed // timedelta(seconds=1) == length // TICKS_PER_SECOND
