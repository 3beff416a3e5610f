"""The wait that a response asks for, in the forms that Azure uses (as azure-core reads them)."""

from __future__ import annotations

import math
import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from domain.times import as_utc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

LONGEST_WAIT_S: Final = 366 * 86_400.0
"""A longer wait is cut to a year: it outlasts every deadline that can be set, and a timer must be able to hold it."""

_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")
_MILLISECONDS: Final = ("x-ms-retry-after-ms", "retry-after-ms")


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait in seconds, 0 to a year, or ``None`` where the response names none that can be read.

    Reads ``Retry-After`` as (fractional) seconds or as an HTTP date, then ``x-ms-retry-after-ms`` and
    ``retry-after-ms``. A date counts from the response's own ``Date``, so that clocks need not agree, else from
    ``now``; one that has passed is a wait of 0. ``headers`` must find names in any casing.
    """
    text = headers.get("Retry-After", "").strip()
    # Two header lines arrive joined by a comma, which only a date may have otherwise.
    wait_s = max((number for part in text.split(",") if (number := _number(part.strip())) is not None), default=None)
    if wait_s is None and (due := _http_date(text)) is not None:
        sent = _http_date(headers.get("Date", "")) or as_utc(now)
        wait_s = max((due - sent).total_seconds(), 0.0)
    for name in _MILLISECONDS:
        if wait_s is None and (wait_ms := _number(headers.get(name, "").strip())) is not None:
            wait_s = wait_ms / 1000
    return None if wait_s is None else min(wait_s, LONGEST_WAIT_S)


def _number(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def _http_date(text: str) -> datetime | None:
    try:
        return as_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
