"""Token buckets, as ARM throttles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.scenario import Limit


class Bucket:
    """A bucket of calls that refills with time."""

    def __init__(self, limit: Limit, now: datetime) -> None:
        self._limit = limit
        self._level = float(limit.size)
        self._filled = now

    def take(self, now: datetime) -> bool:
        """Take one call out; false when the bucket is empty."""
        passed_s = max(0.0, (now - self._filled).total_seconds())
        self._level = min(float(self._limit.size), self._level + passed_s * self._limit.refill_per_s)
        self._filled = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    @property
    def remaining(self) -> int:
        """The calls left."""
        return int(self._level)

    @property
    def wait_s(self) -> int:
        """The whole seconds until a call fits in again, at least one."""
        if self._limit.refill_per_s == 0:
            return 3600
        return max(1, math.ceil((1 - self._level) / self._limit.refill_per_s))
