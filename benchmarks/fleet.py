"""Many restores in one local host: how many a second, and whether a flood of them all end, once each."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import requests

from benchmarks.asking import NO_LIMITS, counters, numbered_vm, request_for, scenario_file
from benchmarks.processes import MIB, high_water_mib
from benchmarks.rows import Row
from scripts.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scripts.stack import Stack

_AT_ONCE: Final = (1, 10, 100, 1000)
_MESSAGES: Final = 1000
_CALLS: Final = 200
_RUNNING: Final = 1000
_SPEED: Final = 60
_SENDERS: Final = 50
_PATIENCE_S: Final = 600
_POINTS: Final = [{"ageHours": 4, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}]
_QUICK: Final = {"RESTORE_JOB_POLL_MIN_SECONDS": "1", "RESTORE_JOB_POLL_MAX_SECONDS": "2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What became of restores that were asked for at once. ``posts`` are restore POSTs at the simulator."""

    asked: int
    statuses: Mapping[str, int]
    restores: int
    posts: int
    seconds: float
    peak_mib: float
    most_running: int
    waited: int

    @property
    def is_whole(self) -> bool:
        """Whether all completed, none was lost and none doubled."""
        return dict(self.statuses) == {"Completed": self.asked} and self.restores == self.posts == self.asked


def measure() -> list[Row]:
    """Start more and more restores at once, then a flood by queue and HTTP, then keep a thousand running."""
    floods = [flood(messages=0, calls=count, env={"RESTORE_MAX_RUNNING_PER_VAULT": "1000"}) for count in _AT_ONCE]
    mixed = flood(messages=_MESSAGES, calls=_CALLS)
    return [*map(_throughput, floods), *_mixed(mixed), _memory(running_mib(_RUNNING))]


def flood(*, messages: int, calls: int, env: Mapping[str, str] | None = None) -> Flood:
    """Ask for so many restores by queue messages and so many by HTTP, each of another VM, and wait for every result.

    With the shipped settings but for shorter polls: the simulator's time passes sixty times as fast, unthrottled.
    """
    asked = messages + calls
    with _stack(asked, speed=_SPEED, env={**_QUICK, **(env or {})}) as stack:
        process = psutil.Process(stack.pids["local host"])
        by_queue = [json.dumps(request_for(numbered_vm("flood", n))) for n in range(1, messages + 1)]
        began = time.monotonic()
        with ThreadPoolExecutor(_SENDERS) as threads:
            sent = [threads.submit(stack.send, "restore-requests", text) for text in by_queue]
            sent += [threads.submit(_start, stack, numbered_vm("flood", n)) for n in range(messages + 1, asked + 1)]
            results = _results(stack, asked)
            seconds = time.monotonic() - began
            for each in sent:
                each.result()
        waited = sum(any(warning["code"] == "VaultBusy" for warning in each["warnings"]) for each in results)
        return Flood(
            asked=asked,
            statuses=Counter(each["status"] for each in results),
            restores=len({each["id"] for each in results}),
            posts=counters(stack)["byAction"].get("trigger_restore", 0),
            seconds=seconds,
            peak_mib=high_water_mib(process),
            most_running=_most_at_once(_jobs(stack)),
            waited=waited,
        )


def running_mib(count: int) -> tuple[float, float]:
    """Return the local host's resident memory in MiB, idle and at its peak while so many restores run."""
    env = {"RESTORE_MAX_RUNNING_PER_VAULT": f"{count}", "RESTORE_JOB_POLL_MIN_SECONDS": "60"}
    with _stack(count, speed=1, env=env) as stack:
        process = psutil.Process(stack.pids["local host"])
        requests.get(f"{stack.url}/api/health", timeout=30).raise_for_status()
        idle = process.memory_info().rss / MIB
        vm_ids = [numbered_vm("flood", number) for number in range(1, count + 1)]
        with ThreadPoolExecutor(_SENDERS) as threads:
            list(threads.map(lambda vm_id: _start(stack, vm_id, managed_disks=False), vm_ids))
        deadline = time.monotonic() + _PATIENCE_S
        while counters(stack)["byAction"].get("get_job", 0) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{count} restores did not all reach their jobs")
            stack.check()
            time.sleep(0.5)
        running = sum(job["status"] == "InProgress" for job in _jobs(stack))
        if running != count:
            raise RuntimeError(f"{running} of {count} restores were running")
        return idle, high_water_mib(process)


@contextmanager
def _stack(vms: int, *, speed: float, env: Mapping[str, str]) -> Iterator[Stack]:
    fleet = {"name": "flood", "resourceGroup": "load-rg", "vault": "vault-weu", "count": vms, "points": _POINTS}
    with tempfile.TemporaryDirectory() as place:
        scenario = scenario_file(Path(place), settings={"limits": NO_LIMITS}, vms=[fleet])
        with running_stack(speed=speed, scenario=scenario, env=env) as stack:
            yield stack


def _start(stack: Stack, vm_id: str, *, managed_disks: bool = True) -> None:
    body = request_for(vm_id, managed_disks=managed_disks)
    requests.post(f"{stack.url}/api/restores", json=body, timeout=120).raise_for_status()


def _jobs(stack: Stack) -> list[dict[str, Any]]:
    answer = requests.get(f"{stack.simulator_url}/_simulator/jobs", timeout=60)
    answer.raise_for_status()
    return [job["properties"] for job in answer.json()["value"]]


def _most_at_once(jobs: Sequence[dict[str, Any]]) -> int:
    changes = [(datetime.fromisoformat(job["startTime"]), 1) for job in jobs]
    changes += [(datetime.fromisoformat(job["endTime"]), -1) for job in jobs if "endTime" in job]
    return max(accumulate(change for _, change in sorted(changes)), default=0)


def _results(stack: Stack, count: int) -> list[dict[str, Any]]:
    """Take the results off their queue until all have come or patience ends."""
    results: dict[str, dict[str, Any]] = {}  # by restore: a message may come twice
    deadline = time.monotonic() + _PATIENCE_S
    while len(results) < count and time.monotonic() < deadline:
        stack.check()
        results.update((result["id"], result) for result in map(json.loads, stack.receive("restore-results")))
        time.sleep(0.1)
    return list(results.values())


def _throughput(seen: Flood) -> Row:
    return Row(
        measure=f"{seen.asked} restore{'s' if seen.asked > 1 else ''} at once: throughput",
        target="all complete",
        median=f"{seen.asked / seen.seconds:.1f}/s",
        worst=f"{seen.seconds:.1f} s in all",
        met=seen.is_whole,
        how=f"by HTTP, {_SENDERS} callers, one vault that may run all of them, jobs of 74 s made {_SPEED} times as "
        f"fast, polls of 1 to 2 s, no limits; first call to last result; {_told(seen)}; peak {seen.peak_mib:.0f} MiB",
    )


def _mixed(seen: Flood) -> list[Row]:
    return [
        Row(
            measure=f"{_MESSAGES} messages and {_CALLS} HTTP calls at once",
            target="all end, none lost, none doubled",
            median=f"{seen.statuses.get('Completed', 0)} Completed",
            worst=f"{seen.posts} posts",
            met=seen.is_whole,
            how=f"one vault, RESTORE_MAX_RUNNING_PER_VAULT as shipped (50): at most {seen.most_running} jobs were seen "
            f"at once, {seen.waited} restores said that they waited; {_told(seen)} in {seen.seconds:.0f} s",
        ),
        Row(
            measure="  peak memory of the host",
            target="bounded",
            median=f"{seen.peak_mib:.0f} MiB",
            worst=f"{seen.peak_mib:.0f} MiB",
            met=None,
            how="high-water mark of resident memory; the hub of the local host keeps every history in it",
        ),
    ]


def _memory(seen: tuple[float, float]) -> Row:
    idle, peak = seen
    return Row(
        measure=f"peak memory, {_RUNNING} restores running",
        target="-",
        median=f"{peak:.0f} MiB",
        worst=f"idle {idle:.0f} MiB",
        met=None,
        how=f"all of them at their jobs at the same time; {(peak - idle) / _RUNNING * 1024:.0f} KiB each over the idle "
        "host, its hub's histories included",
    )


def _told(seen: Flood) -> str:
    ended = ", ".join(f"{count} {status}" for status, count in sorted(seen.statuses.items()))
    return f"{ended}; {seen.restores} restores, {seen.posts} restore POSTs"
