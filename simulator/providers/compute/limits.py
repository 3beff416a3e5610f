"""Compute's own limits, beside ARM's: a bucket for each resource and one for the subscription."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from simulator.limits import Bucket
from simulator.providers.compute.errors import too_many_requests
from simulator.scenario import Limit

if TYPE_CHECKING:
    from simulator.errors import ArmError
    from simulator.world import World

_MINUTE_S = 60
_POLICIES: dict[str, tuple[tuple[str, Limit, bool], ...]] = {
    policy: tuple(
        (f"{policy}{name}", Limit(size=size, refill_per_s=size / 3 / _MINUTE_S), own) for name, size, own in parts
    )
    for policy, parts in {
        "PutVM": (("SubscriptionMaximum", 1500, False), ("Resource", 12, True)),
        "UpdateVM": (("SubscriptionMaximum", 1500, False), ("Resource", 12, True)),
        "DeleteVM": (("SubscriptionMaximum", 1500, False), ("Resource", 12, True)),
        "LowCostGet": (("SubscriptionMaximum", 24_000, False), ("Resource", 36, True)),
        "GetOperation": (("Resource", 45, True), ("SubscriptionMaximum", 15_000, False)),
    }.items()
}
"""Name, bucket (a third of it flows in each minute), and whether each resource has its own."""


def throttled(world: World, wait: dict[str, str], wait_s: float) -> ArmError:
    """Return the 429 of a bucket that a fault calls empty, with the headers that say how long to wait, if any."""
    start = world.now()
    name, limit, _ = _POLICIES["UpdateVM"][1]
    error = too_many_requests(name, limit.size, 0, start, start + timedelta(seconds=wait_s))
    error.headers = {name: value for name, value in error.headers.items() if name != "Retry-After"} | wait
    return error


def spend(world: World, policy: str, resource_id: str) -> dict[str, str]:
    """Take a call out of its buckets; return the header with what is left in them, or raise 429."""
    now = world.timeline.real.now()
    left: list[str] = []
    for name, limit, own in _POLICIES[policy]:
        scope = resource_id.lower() if own else resource_id.lower().split("/")[2]
        bucket = world.compute.buckets.setdefault(f"{name} {scope}", Bucket(limit, now))
        if not bucket.take(now):
            start = world.now()
            raise too_many_requests(name, limit.size, bucket.wait_s, start, start + timedelta(seconds=bucket.wait_s))
        left.append(f"Microsoft.Compute/{name};{bucket.size - bucket.taken}")
    return {"x-ms-ratelimit-remaining-resource": ",".join(left)}
