"""How the service writes times, durations and filters."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

TICKS_PER_SECOND = 10_000_000
NO_TIME = "0001-01-01T00:00:00"
"""The service's word for "no time yet": .NET's smallest time, without a zone."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_CONDITION = re.compile(r"\s*(\w+)\s+eq\s+'([^']*)'\s*", re.IGNORECASE)
_FILTER_TIME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2}) (\d{1,2}):(\d{2}):(\d{2}) (AM|PM)", re.IGNORECASE)


def ticks(moment: datetime) -> int:
    """Return the .NET ticks (100 ns) of a moment. The seventh digit, which Python lacks, derives from the sixth."""
    return (moment - _BEGINNING) // timedelta(microseconds=1) * 10 + moment.microsecond * 7 % 10


def _fraction(parts: int) -> str:
    digits = f"{parts:07d}".rstrip("0")
    return f".{digits}" if digits else ""


def iso_time(moment: datetime) -> str:
    """Write a time with up to seven fractional digits, trailing zeros trimmed."""
    return f"{moment.isoformat()[:19]}{_fraction(ticks(moment) % TICKS_PER_SECOND)}Z"  # strftime is four times slower


def us_time(moment: datetime) -> str:
    """Write a time as the property bags do: ``7/26/2026 1:16:55 PM``."""
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"  # noqa: PLR2004 - noon
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {half}"


def iso_duration(length: int) -> str:
    """Write a duration of so many ticks the present way: ``PT30M46.6954998S``, ``PT2M``, ``PT0S``."""
    seconds, parts = divmod(length, TICKS_PER_SECOND)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    text = "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    return text + f"{seconds}{_fraction(parts)}S" if seconds or parts or text == "PT" else text


def clock_duration(length: int) -> str:
    """Write a duration of so many ticks the way old api-versions did: ``00:30:46.6954998``."""
    seconds, parts = divmod(length, TICKS_PER_SECOND)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{parts:07d}"


def clock_time(seconds: int) -> str:
    """Write a length of so many seconds as ``hh:mm:ss``."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def clock_days(length: timedelta) -> str:
    """Write a duration as .NET does when it has days: ``13.23:59:04.4260880``; nothing is left of a negative one."""
    length = max(length, timedelta())
    seconds, parts = length.seconds, length.microseconds * 10
    text = f"{length.days}.{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{text}.{parts:07d}" if parts else text


def read_filter(text: str) -> dict[str, str]:
    """Split ``key eq 'value' and …`` into its conditions, keys in lower case; raise ``ValueError`` for other text."""
    conditions: dict[str, str] = {}
    rest = text
    while True:
        match = _CONDITION.match(rest)
        if match is None:
            raise ValueError(f"the filter cannot be read from {rest!r} on")
        conditions[match[1].lower()] = match[2]
        rest = rest[match.end() :]
        if not rest:
            return conditions
        if not rest.lower().startswith("and "):
            raise ValueError(f"conditions are joined by 'and', not by {rest!r}")
        rest = rest[4:]


def read_filter_time(text: str) -> datetime:
    """Read ``yyyy-MM-dd hh:mm:ss AM`` as UTC, whatever the locale; raise ``ValueError`` for other text."""
    match = _FILTER_TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of the form 'yyyy-MM-dd hh:mm:ss AM'")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not 1 <= hour <= 12:  # noqa: PLR2004 - a twelve-hour clock
        raise ValueError(f"{text!r} has no hour of a twelve-hour clock")
    hour = hour % 12 + (12 if match[7].upper() == "PM" else 0)
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
