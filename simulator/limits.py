"""How ARM throttles: token buckets, and the counters that answers show of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulator import errors

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.addresses import Address
    from simulator.scenario import Limit
    from simulator.world import World

_REMAINING = "x-ms-ratelimit-remaining-"
_KINDS = {"GET": "read", "HEAD": "read", "DELETE": "delete"}
_ONE_HOUR_S = 3600


class Bucket:
    """A bucket of calls that refills with time."""

    def __init__(self, limit: Limit, now: datetime) -> None:
        self._limit = limit
        self._level = float(limit.size)
        self._filled = now

    def take(self, now: datetime) -> bool:
        """Take one call out and return True; return False when the bucket is empty."""
        passed_s = max(0.0, (now - self._filled).total_seconds())
        self._level = min(float(self._limit.size), self._level + passed_s * self._limit.refill_per_s)
        self._filled = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    @property
    def taken(self) -> int:
        """The calls that were taken out and have not flowed in again."""
        return self._limit.size - int(self._level)

    @property
    def size(self) -> int:
        """The calls that fit in."""
        return self._limit.size

    @property
    def interval_s(self) -> int:
        """The whole seconds in which an empty bucket fills."""
        refill = self._limit.refill_per_s
        return math.ceil(self._limit.size / refill) if refill else _ONE_HOUR_S

    @property
    def wait_s(self) -> int:
        """The whole seconds until a call fits in again, at least one."""
        if self._limit.refill_per_s == 0:
            return _ONE_HOUR_S
        return max(1, math.ceil((1 - self._level) / self._limit.refill_per_s))


def spend(world: World, address: Address, method: str) -> dict[str, str]:
    """Take a call out of its buckets; return the headers with the counters of what is left, or raise 429.

    The figures count down from those of recordings, whatever the size of the buckets.
    """
    if address.provider == "Microsoft.ResourceGraph":
        return {}  # it has limits of its own
    kind, action, now = _KINDS.get(method, "write"), address.action(method), world.timeline.real.now()
    bucket = world.bucket(kind)
    if not bucket.take(now):
        raise errors.subscription_throttled(kind, address.subscription, bucket.wait_s)
    if address.provider == "Microsoft.RecoveryServices":
        own = world.resource_requests(action.lower())
        if not own.take(now):
            wait_s = own.wait_s
            wait = {"Retry-After": str(wait_s)}
            raise errors.resource_throttled(action, own.size, own.interval_s, wait_s, wait)
        if kind == "read" and len(address.types) > 1:
            return _counter_headers(own, {"subscription-resource-requests": _backup_counter_base(action)})
    return _counter_headers(bucket, _counter_bases(address, kind))


def _counter_bases(address: Address, kind: str) -> dict[str, int]:
    """Return the names of the counters of a subscription or of the tenant, each with the figure it counts down from."""
    if not address.subscription:
        return {f"tenant-{kind}s": 12_000}
    if address.provider == "Microsoft.RecoveryServices" and kind == "read":
        return {"subscription-reads": 12_000}
    if address.provider == "Microsoft.RecoveryServices" or kind == "delete":
        return {f"subscription-{kind}s": 800, f"subscription-global-{kind}s": 12_000}
    if kind == "read":
        return {"subscription-reads": 250, "subscription-global-reads": 3_750}
    return {"subscription-writes": 200, "subscription-global-writes": 3_000}


def _backup_counter_base(action: str) -> int:
    """Return the figure that the counter of an action of the backup service counts down from."""
    return 250 if action.lower() == "microsoft.recoveryservices/vaults/backupjobs/read" else 1_100


def _counter_headers(bucket: Bucket, bases: dict[str, int]) -> dict[str, str]:
    return {f"{_REMAINING}{name}": str(max(0, figure - bucket.taken)) for name, figure in bases.items()}
