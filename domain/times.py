"""Times and durations as Azure Backup writes them and as we write them.

Seen on the wire: seven fractional digits, ``Z`` missing, .NET's MinValue ``0001-01-01T00:00:00`` for "not yet",
``2001-01-01T00:00:00`` for "never"; durations as ISO 8601 (``PT30M46.6954998S``) and as .NET's ``[d.]hh:mm:ss[.f]``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNSET_YEARS = frozenset({1, 2001})
_LONGEST = 100  # of what the service sends
_ISO_DURATION = re.compile(
    r"P(?!$)(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?(?:T(?=\d)"
    r"(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_NET_DURATION = re.compile(
    r"(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d{2}):(?P<seconds>\d{2}(?:\.\d+)?)", re.ASCII
)


def as_utc(time: datetime) -> datetime:
    """Return the time as aware UTC. A naive time is UTC already: the service and durabletask both write it so."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_api_time(text: object) -> datetime | None:
    """Read a time of the service: aware UTC, or ``None`` for anything absent, unset or unreadable."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    try:
        time = as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
    return None if time.year in _UNSET_YEARS and (time.month, time.day) == (1, 1) else time


def parse_request_time(text: str) -> datetime:
    """Read a time of a caller: ISO 8601 with a zone; aware UTC. ``ValueError`` says what is wrong."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None and "T" in text.upper():
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an ISO 8601 time with a zone, such as 2026-11-20T06:00:00Z")


def format_time(time: datetime) -> str:
    """Write a time as RFC 3339 in UTC with ``Z``; a fraction only where there is one."""
    return as_utc(time).isoformat().replace("+00:00", "Z")


def format_optional_time(time: datetime | None) -> str | None:
    """Write a time that may be absent."""
    return None if time is None else format_time(time)


def _from_match(match: re.Match[str]) -> timedelta:
    return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number is not None})


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of weeks, days, hours, minutes, seconds; ``ValueError`` says what is wrong."""
    match = _ISO_DURATION.fullmatch(text)
    try:
        if match:
            return _from_match(match)
    except OverflowError:
        pass
    raise ValueError("must be an ISO 8601 duration of days, hours, minutes or seconds, such as P7D or PT4H")


def parse_api_duration(text: object) -> timedelta | None:
    """Read a duration of the service in either style; ``None`` for anything absent or unreadable."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    match = _ISO_DURATION.fullmatch(text) or _NET_DURATION.fullmatch(text)
    try:
        return None if match is None else _from_match(match)
    except OverflowError:
        return None


def format_duration(duration: timedelta) -> str:
    """Write a duration as ISO 8601 in hours, minutes and seconds, such as ``PT30M46.7S``; negative ones as zero."""
    total = max(duration, timedelta())
    minutes, seconds = divmod(total, timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    fraction = f"{seconds.total_seconds():f}".rstrip("0").rstrip(".")
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else "", f"{fraction}S" if seconds else ""]
    return "PT" + ("".join(parts) or "0S")
