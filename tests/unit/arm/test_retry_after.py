from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from arm.retry_after import MAX_WAIT_S, read_retry_after

NOW = datetime(2026, 11, 23, 8, 0, 0, tzinfo=UTC)
NAMES = st.sampled_from(["Retry-After", "x-ms-retry-after-ms", "retry-after-ms", "Date"])
TIMES = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=0)
)


def wait(headers: dict[str, str], now: datetime = NOW) -> float | None:
    return read_retry_after(CaseInsensitiveDict(headers), now)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "60"}, 60.0),
        ({"retry-after": " 0.25 "}, 0.25),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": ".5"}, 0.5),
        ({"x-ms-retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"Retry-After": "7", "x-ms-retry-after-ms": "1500"}, 7.0),
        ({"Retry-After": "soon", "x-ms-retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "Mon, 23 Nov 2026 08:01:30 GMT"}, 90.0),
        ({"Retry-After": "Monday, 23-Nov-26 08:01:30 GMT"}, 90.0),
        ({"Retry-After": "Mon Nov 23 08:01:30 2026"}, 90.0),
        ({"Retry-After": "Mon, 23 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "Mon, 23 Nov 2026 08:01:30 GMT", "Date": "Mon, 23 Nov 2026 08:01:00 GMT"}, 30.0),
        ({"Retry-After": "Mon, 23 Nov 2026 08:01:30 GMT", "Date": "yesterday"}, 90.0),
        ({"Retry-After": "999999999"}, MAX_WAIT_S),
    ],
)
def test_every_form_that_azure_sends_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(headers) == seconds


@pytest.mark.parametrize("text", ["", "nan", "inf", "-5", "-0.1", "1e3", "1_0", "٣", "60; 60", "9" * 400, "GMT"])
def test_other_texts_are_ignored(text: str) -> None:
    assert wait({"Retry-After": text}) is None
    assert wait({"x-ms-retry-after-ms": text}) is None


def test_a_naive_time_is_utc() -> None:
    assert wait({"Retry-After": "Mon, 23 Nov 2026 08:01:30 GMT"}, NOW.replace(tzinfo=None)) == 90.0


@given(st.dictionaries(NAMES, st.text()))
def test_any_header_gives_none_or_a_wait_within_the_limits(headers: dict[str, str]) -> None:
    seconds = wait(headers)

    assert seconds is None or 0 <= seconds <= MAX_WAIT_S


@given(due=TIMES, sent=TIMES, now=TIMES)
def test_a_date_is_compared_with_the_answers_own_date(due: datetime, sent: datetime, now: datetime) -> None:
    headers = {"Retry-After": format_datetime(due, usegmt=True), "Date": format_datetime(sent, usegmt=True)}

    expected = max(due - sent, timedelta()).total_seconds()

    assert wait(headers, now) == min(expected, MAX_WAIT_S)


@given(st.floats(min_value=0, max_value=MAX_WAIT_S))
def test_seconds_and_milliseconds_agree(seconds: float) -> None:
    assert wait({"Retry-After": f"{seconds:.6f}"}) == pytest.approx(seconds, abs=1e-6)
    assert wait({"x-ms-retry-after-ms": f"{seconds * 1000:.6f}"}) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(("text", "wait_s"), [("5, 60", 60.0), ("60,5", 60.0), ("5, soon", 5.0)])
def test_the_longer_wait_of_two_header_lines_is_used(text: str, wait_s: float) -> None:
    assert read_retry_after({"Retry-After": text}, datetime(2026, 11, 23, tzinfo=UTC)) == wait_s
