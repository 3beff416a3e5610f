"""The wait that an answer asks for, in the forms that azure-core reads."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from domain.times import as_utc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MAX_WAIT_S: Final = 366 * 86_400.0
"""Longer waits are cut to a year: that is longer than every deadline, and a durable timer can hold it."""

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_MILLISECONDS: Final = ("x-ms-retry-after-ms", "retry-after-ms")
_QUOTA_LEFT: Final = "x-ms-user-quota-remaining"
_QUOTA_RESETS_AFTER: Final = "x-ms-user-quota-resets-after"
_CLOCK_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]{1,9})?)")


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait in seconds, from 0 to a year, or ``None`` when there is no readable one.

    Reads ``Retry-After`` as (fractional) seconds or as an HTTP date, then ``x-ms-retry-after-ms`` and
    ``retry-after-ms``. A date is compared with the answer's own ``Date``, so that clocks may differ, or with ``now``;
    a date in the past is a wait of 0. Without them, Resource Graph's quota says how long, once it is used up.
    ``headers`` must ignore the case of names.
    """
    text = headers.get("Retry-After", "").strip()
    # Several header lines arrive joined by commas. Only a date may contain a comma itself.
    wait_s = max((number for part in text.split(",") if (number := _number(part.strip())) is not None), default=None)
    if wait_s is None and (due := _http_date(text)) is not None:
        sent = _http_date(headers.get("Date", "")) or as_utc(now)
        wait_s = max((due - sent).total_seconds(), 0.0)
    for name in _MILLISECONDS:
        if wait_s is None and (wait_ms := _number(headers.get(name, "").strip())) is not None:
            wait_s = wait_ms / 1000
    if wait_s is None:
        wait_s = _wait_for_quota(headers)
    return None if wait_s is None else min(wait_s, MAX_WAIT_S)


def _number(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def _wait_for_quota(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until Resource Graph takes a query again, ``None`` while it takes them."""
    resets = _CLOCK_TIME.fullmatch(headers.get(_QUOTA_RESETS_AFTER, "").strip())
    if resets is None or headers.get(_QUOTA_LEFT, "").strip() != "0":
        return None
    hours, minutes, seconds = map(float, resets.groups())
    return max(hours * 3600 + minutes * 60 + seconds, 1.0)


def _http_date(text: str) -> datetime | None:
    try:
        return as_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
