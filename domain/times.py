"""Times and durations, as Azure Backup writes them and as this app writes them.

Observed in answers of Azure Backup: seven fractional digits, no ``Z``, .NET's MinValue ``0001-01-01T00:00:00`` for
"not yet", ``2001-01-01T00:00:00`` for "never"; durations in ISO 8601 (``PT30M46.6954998S``) and in .NET's format
``[d.]hh:mm:ss[.f]``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_UNSET_YEARS = frozenset({1, 2001})
_MAX_LENGTH = 100  # of a text that the service sends
_ISO_DURATION = re.compile(
    r"P(?!$)(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?(?:T(?=\d)"
    r"(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)
_NET_DURATION = re.compile(
    r"(?:(?P<days>\d+)\.)?(?P<hours>\d+):(?P<minutes>\d{2}):(?P<seconds>\d{2}(?:\.\d+)?)", re.ASCII
)


def as_utc(time: datetime) -> datetime:
    """Return the time as aware UTC. A naive time is in UTC already: Azure Backup and durabletask use it that way."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def parse_api_time(text: object) -> datetime | None:
    """Parse a time from the service; returns aware UTC, or ``None`` for what is absent, unset or invalid."""
    if not isinstance(text, str) or len(text) > _MAX_LENGTH:
        return None
    try:
        time = as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
    return None if time.year in _UNSET_YEARS and (time.month, time.day) == (1, 1) else time


def parse_request_time(text: str) -> datetime:
    """Parse an ISO 8601 time with a time zone, from a caller, into aware UTC; raises ``ValueError`` otherwise."""
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None and "T" in text.upper():
            return time.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an ISO 8601 time with a time zone, such as 2026-11-20T06:00:00Z")


def format_time(time: datetime) -> str:
    """Return the time as RFC 3339 text in UTC with ``Z``; with a fraction of a second only if the time has one."""
    return as_utc(time).isoformat().replace("+00:00", "Z")


def _matched_duration(match: re.Match[str]) -> timedelta:
    return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number is not None})


def parse_duration(text: str) -> timedelta:
    """Parse an ISO 8601 duration without years and months; raises ``ValueError`` for anything else."""
    match = _ISO_DURATION.fullmatch(text)
    try:
        if match:
            return _matched_duration(match)
    except OverflowError:
        pass
    raise ValueError("must be an ISO 8601 duration of days, hours, minutes or seconds, such as P7D or PT4H")


def parse_api_duration(text: object) -> timedelta | None:
    """Parse a duration from the service, in ISO 8601 or .NET format; returns ``None`` for what is absent or invalid."""
    if not isinstance(text, str) or len(text) > _MAX_LENGTH:
        return None
    match = _ISO_DURATION.fullmatch(text) or _NET_DURATION.fullmatch(text)
    try:
        return None if match is None else _matched_duration(match)
    except OverflowError:
        return None


def format_duration(duration: timedelta) -> str:
    """Return the duration in ISO 8601 with hours, minutes and seconds, such as ``PT30M46.7S``; zero if negative."""
    total = max(duration, timedelta())
    minutes, seconds = divmod(total, timedelta(minutes=1))
    hours, minutes = divmod(minutes, 60)
    fraction = f"{seconds.total_seconds():f}".rstrip("0").rstrip(".")
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else "", f"{fraction}S" if seconds else ""]
    return "PT" + ("".join(parts) or "0S")
