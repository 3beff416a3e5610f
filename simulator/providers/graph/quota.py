"""How many queries the caller may send within a few seconds of real time."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

_QUERIES, _WINDOW = 15, timedelta(seconds=5)


class Quota:
    """15 queries in 5 seconds; the next query after that begins a new window."""

    def __init__(self) -> None:
        self._ends: datetime | None = None
        self._left = _QUERIES

    def take(self, now: datetime) -> bool:
        """Count one query and return True; return False when none is left in this window."""
        if self._ends is None or now >= self._ends:
            self._ends, self._left = now + _WINDOW, _QUERIES
        if not self._left:
            return False
        self._left -= 1
        return True

    def wait_s(self, now: datetime) -> int:
        """Return the whole seconds until the window ends."""
        return math.ceil((self._ends - now).total_seconds()) if self._ends and now < self._ends else 0

    def headers(self, now: datetime) -> dict[str, str]:
        """Return the headers that each answer has."""
        left = str(self._left)
        return {
            "x-ms-ratelimit-remaining-tenant-resource-requests": left,
            "x-ms-user-quota-remaining": left,
            "x-ms-user-quota-resets-after": f"00:00:{self.wait_s(now):02d}",
        }
