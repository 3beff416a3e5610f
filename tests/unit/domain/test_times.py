from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.times import (
    as_utc,
    format_duration,
    format_time,
    parse_api_duration,
    parse_api_time,
    parse_duration,
    parse_request_time,
)
from tests.support.strategies import SWIFT, THOROUGH, json_values

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
times = st.datetimes(
    datetime(2002, 1, 1),  # noqa: DTZ001 - the zone follows
    datetime(9990, 1, 1),  # noqa: DTZ001 - the zone follows
    timezones=st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
durations = st.timedeltas(timedelta(0), timedelta(days=100_000))
nearly = st.text("0123456789-:.+TZPDHMSW ", max_size=30)


class TestUtc:
    def test_a_naive_time_is_utc_already(self) -> None:
        assert as_utc(datetime(2026, 11, 20, 12)) == NOON  # noqa: DTZ001 - durabletask's are

    @given(times)
    @SWIFT
    def test_the_moment_stays_the_same(self, time: datetime) -> None:
        assert as_utc(time) == time
        assert as_utc(time).tzinfo is UTC


class TestTimes:
    @pytest.mark.parametrize(
        ("time", "text"),
        [
            (NOON, "2026-11-20T12:00:00Z"),
            (NOON.replace(microsecond=500_000), "2026-11-20T12:00:00.500000Z"),
            (NOON.astimezone(timezone(timedelta(hours=2))), "2026-11-20T12:00:00Z"),
            (NOON.replace(tzinfo=None), "2026-11-20T12:00:00Z"),
        ],
    )
    def test_they_are_written_in_utc_with_z(self, time: datetime, text: str) -> None:
        assert format_time(time) == text

    @given(times)
    @SWIFT
    def test_what_was_written_reads_back(self, time: datetime) -> None:
        assert parse_request_time(format_time(time)) == time
        assert parse_api_time(format_time(time)) == time
        assert parse_api_time(time.isoformat()) == time
        assert parse_request_time(time.isoformat()) == time

    @pytest.mark.parametrize(
        ("text", "time"),
        [
            ("2026-11-20T12:00:00Z", NOON),
            ("2026-11-20T12:00:00", NOON),
            ("2026-11-20T12:00:00.0000000Z", NOON),
            ("2026-11-20T12:00:00.1234567Z", NOON.replace(microsecond=123456)),
            ("2026-11-20T12:00:00.07Z", NOON.replace(microsecond=70000)),
            ("2026-11-20T14:00:00+02:00", NOON),
            ("2018-06-04T13:00:03.8068176Z", datetime(2018, 6, 4, 13, 0, 3, 806817, tzinfo=UTC)),
            ("2001-01-02T00:00:00", datetime(2001, 1, 2, tzinfo=UTC)),
            ("2001-02-01T00:00:00", datetime(2001, 2, 1, tzinfo=UTC)),
            ("2002-01-01T00:00:00", datetime(2002, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_the_services_styles(self, text: str, time: datetime) -> None:
        assert parse_api_time(text) == time

    @pytest.mark.parametrize(
        "value",
        [
            "0001-01-01T00:00:00",
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00+05:00",
            "2001-01-01T00:00:00",
            "9999-12-31T23:59:59.9999999-08:00",
            "7/26/2026 1:16:55 PM",
            "",
            "Z",
            "soon",
            "\ud800",
            "2026-02-30T00:00:00Z",
            None,
            0,
            True,
            [],
            {},
        ],
    )
    def test_what_is_unset_or_unreadable_is_none(self, value: Any) -> None:
        assert parse_api_time(value) is None

    @given(json_values | nearly)
    @THOROUGH
    def test_garbage_from_the_service_is_a_utc_time_or_none(self, value: Any) -> None:
        seen = parse_api_time(value)

        assert seen is None or seen.tzinfo is UTC

    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-20T12:00:00Z",
            "2026-11-20T12:00Z",
            "2026-11-20T12:00:00.000Z",
            "20261120T120000Z",
            "2026-11-20T14:00:00+02:00",
            "2026-11-20T04:00:00-0800",
        ],
    )
    def test_a_callers_time_has_a_zone(self, text: str) -> None:
        assert parse_request_time(text) == NOON

    @pytest.mark.parametrize(
        "text",
        [
            *("", "2026-11-20", "2026-11-20T12:00:00", "2026-11-20 12:00:00Z", "12:00Z", "2026-11-20T25:00:00Z"),
            *("2026-11-31T12:00:00Z", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00", "\ud800T", "now"),
            *("2026-11-20\ud80012:00:00Z", "2026-11-20T12:00:00Z ", "2026-11-20T12:00:00+25:00", "٢٠٢٦-11-20T12:00Z"),
        ],
    )
    def test_any_other_time_of_a_caller_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ValueError, match="2026-11-20T06:00:00Z"):
            parse_request_time(text)

    @given(st.text(st.characters()) | nearly)
    @SWIFT
    def test_a_callers_garbage_raises_nothing_else(self, text: str) -> None:
        try:
            time = parse_request_time(text)
        except ValueError:
            return
        assert time.tzinfo is UTC


class TestDurations:
    @pytest.mark.parametrize(
        ("duration", "text"),
        [
            (timedelta(0), "PT0S"),
            (timedelta(seconds=-5), "PT0S"),
            (timedelta(seconds=30), "PT30S"),
            (timedelta(minutes=1), "PT1M"),
            (timedelta(hours=24), "PT24H"),
            (timedelta(days=2, seconds=1), "PT48H1S"),
            (timedelta(minutes=30, seconds=46, milliseconds=700), "PT30M46.7S"),
            (timedelta(microseconds=1), "PT0.000001S"),
            (timedelta(seconds=10), "PT10S"),
            (timedelta(hours=1, minutes=2, seconds=3.5), "PT1H2M3.5S"),
        ],
    )
    def test_they_are_written_in_hours_minutes_and_seconds(self, duration: timedelta, text: str) -> None:
        assert format_duration(duration) == text

    @given(durations)
    @SWIFT
    def test_what_was_written_reads_back(self, duration: timedelta) -> None:
        assert parse_duration(format_duration(duration)) == duration
        assert parse_api_duration(format_duration(duration)) == duration

    @pytest.mark.parametrize(
        ("text", "duration"),
        [
            ("P7D", timedelta(days=7)),
            ("PT4H", timedelta(hours=4)),
            ("P2W", timedelta(weeks=2)),
            ("P1W2DT3H4M5.5S", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5.5)),
            ("PT90M", timedelta(minutes=90)),
            ("P0D", timedelta(0)),
        ],
    )
    def test_a_callers_duration(self, text: str, duration: timedelta) -> None:
        assert parse_duration(text) == duration
        assert parse_api_duration(text) == duration

    @pytest.mark.parametrize(
        "text",
        [
            *("", "P", "PT", "P1DT", "7D", "P7", "P1Y", "P1M", "PT1D", "-PT1H", "P-1D", "PT1H ", "PT1,5S", "PT.5S"),
            *("p7d", "PT1S1H", "P1D1W", "P٣D", "PT1H\n", "01:00:00", f"P{'9' * 400}D", "P1000000000D", "\ud800"),
        ],
    )
    def test_any_other_duration_of_a_caller_is_refused_with_an_example(self, text: str) -> None:
        with pytest.raises(ValueError, match="P7D or PT4H"):
            parse_duration(text)

    @given(durations)
    @SWIFT
    def test_dot_nets_style_is_the_same_duration(self, duration: timedelta) -> None:
        minutes, seconds = divmod(duration.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        days = f"{duration.days}." if duration.days else ""
        text = f"{days}{hours:02}:{minutes:02}:{seconds:02}.{duration.microseconds:06}0"

        assert parse_api_duration(text) == duration

    @pytest.mark.parametrize("value", [None, 5, "", "1:2", "00:00", "a:b:c", "P1Y", ["PT1S"], f"{'9' * 400}:00:00"])
    def test_what_is_unreadable_is_none(self, value: Any) -> None:
        assert parse_api_duration(value) is None

    @given(json_values | nearly)
    @THOROUGH
    def test_garbage_from_the_service_is_a_duration_or_none(self, value: Any) -> None:
        seen = parse_api_duration(value)

        assert seen is None or seen >= timedelta(0)
