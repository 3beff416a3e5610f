"""A hundred restores at once in one local host: do all complete, and what do they cost."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil
import requests

from benchmarks.asking import TOKEN, counters, load_vm, request_for, scenario_file
from benchmarks.processes import MIB, cpu_s, high_water_mib
from benchmarks.rows import Row, median_of
from scripts.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scripts.stack import Stack

_RESTORES: Final = 100
_MOST_MIB: Final = 250
_MOST_CPU_S: Final = 0.3
_SHORT_SPEED: Final = 60
_LONG_SPEED: Final = 30
_PATIENCE_S: Final = 100
_HUNG: Final = "without a result when patience ended"
_SHORT_RUNS: Final = 3  # under throttling one run may go well by luck
# The shipped limits: a bucket's size, and what flows in per second.
_LIMITS: Final = {"reads": (250, 25), "writes": (200, 10), "resourceRequests": (1100, 110)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run cost. ``statuses`` counts how the restores ended; ``cpu_s`` and ``peak_mib`` are the local host's."""

    statuses: Mapping[str, int]
    seconds: float
    cpu_s: float
    idle_mib: float
    peak_mib: float
    calls: int
    throttled: int

    @property
    def hung(self) -> bool:
        """Whether some restores had not ended when patience did."""
        return _HUNG in self.statuses


def measure() -> list[Row]:
    """Run short jobs under Azure's limits as they are, and the 31-minute job with time and limits scaled alike."""
    short: list[Outcome] = []
    while len(short) < _SHORT_RUNS and not (short and short[-1].hung):
        short.append(run(_SHORT_SPEED, poll_s=(1, 2), whole_life=False))
    long = run(_LONG_SPEED, poll_s=(15 / _LONG_SPEED, 60 / _LONG_SPEED), whole_life=True)
    as_shipped = (
        f"simulator {_SHORT_SPEED} times as fast, job polls 1 to 2 s, limits in real time: 250 reads, then 25/s"
    )
    scaled = f"simulator {_LONG_SPEED} times as fast, and so are the job polls (15 to 60 s) and the limits"
    return [*_rows(short, "74 s jobs", as_shipped), *_rows([long], "31 min jobs", scaled)]


def _rows(runs: Sequence[Outcome], jobs: str, conditions: str) -> list[Row]:
    completed = [seen.statuses.get("Completed", 0) for seen in runs]
    cpu_s = [seen.cpu_s / _RESTORES for seen in runs]
    peak = max(seen.peak_mib for seen in runs)
    done = min(completed) == _RESTORES
    return [
        Row(
            measure=f"{_RESTORES} restores at once, {jobs}",
            target="all complete",
            median=f"{median_of(completed):.0f} Completed",
            worst=f"min {min(completed)}",
            met=min(completed) == _RESTORES,
            how=f"{len(runs)} run(s), posted by {_RESTORES} threads at once, validate false; {conditions}; "
            + "; ".join(told(seen) for seen in runs),
        ),
        Row(
            measure=f"  peak memory, {jobs}",
            target=f"<= {_MOST_MIB} MiB",
            median=f"{median_of([seen.peak_mib for seen in runs]):.0f} MiB",
            worst=f"max {peak:.0f} MiB",
            met=kept(peak, _MOST_MIB, done=done),
            how="high-water mark of the local host's resident memory; before the first restore it was "
            f"{median_of([seen.idle_mib for seen in runs]):.0f} MiB",
        ),
        Row(
            measure=f"  CPU per restore, {jobs}",
            target=f"<= {_MOST_CPU_S} s (az CLI: 3.3 s)",
            median=f"{median_of(cpu_s):.2f} s",
            worst=f"max {max(cpu_s):.2f} s",
            met=kept(max(cpu_s), _MOST_CPU_S, done=done),
            how=f"user + system of the local host's process (host, task hub and app), from ready to the last end, "
            f"over {_RESTORES}; {median_of([seen.calls for seen in runs]) / _RESTORES:.0f} ARM calls each",
        ),
    ]


def kept(cost: float, most: float, *, done: bool) -> bool | None:
    """Tell whether a cost is within its bound; a low one proves nothing when the work was not all done."""
    return False if cost > most else True if done else None


def told(seen: Outcome) -> str:
    """Return how the restores of a run ended, in words."""
    ended = ", ".join(f"{count} {status}" for status, count in sorted(seen.statuses.items()))
    return f"{ended} in {seen.seconds:.0f} s with {seen.calls} ARM calls, of which {seen.throttled} were answered 429"


def run(speed: float, *, poll_s: tuple[float, float], whole_life: bool) -> Outcome:
    """Start all restores at once and wait for their ends.

    With ``whole_life`` they restore to a storage account, which takes 31 minutes, and the limits keep step with time.
    """
    env = {
        "RESTORE_JOB_POLL_MIN_SECONDS": f"{poll_s[0]}",
        "RESTORE_JOB_POLL_MAX_SECONDS": f"{poll_s[1]}",
        "RESTORE_MAX_RUNNING_PER_VAULT": f"{_RESTORES}",  # all of them are in one vault
    }
    with tempfile.TemporaryDirectory() as place:
        scenario = _scaled_limits(Path(place), speed) if whole_life else None
        with running_stack(speed=speed, env=env, scenario=scenario) as stack:
            return outcome_of(
                stack,
                restores=_RESTORES,
                start=lambda: _start_all(stack, managed_disks=not whole_life),
                patience_s=_PATIENCE_S,
            )


def outcome_of(stack: Stack, *, restores: int, start: Callable[[], object], patience_s: float) -> Outcome:
    """Start restores, in whatever way ``start`` does it, wait for the ends of so many, and return what it all cost."""
    process = psutil.Process(stack.pids["local host"])
    requests.get(f"{stack.url}/api/health", timeout=30).raise_for_status()
    idle, cpu, began = process.memory_info().rss / MIB, cpu_s(process), time.monotonic()
    start()
    statuses, peak = _wait_for_ends(stack, process, restores=restores, patience_s=patience_s)
    seen = counters(stack)
    return Outcome(
        statuses=statuses,
        seconds=time.monotonic() - began,
        cpu_s=cpu_s(process) - cpu,
        idle_mib=idle,
        peak_mib=max(peak, high_water_mib(process)),
        calls=seen["requests"] - seen["byAction"].get(TOKEN, 0),
        throttled=seen["byStatus"].get("429", 0),
    )


def _scaled_limits(place: Path, speed: float) -> Path:
    limits = {
        name: {"size": round(size * speed), "refillPerSecond": refill * speed}
        for name, (size, refill) in _LIMITS.items()
    }
    return scenario_file(place, settings={"limits": limits})


def _start_all(stack: Stack, *, managed_disks: bool) -> None:
    def start(number: int) -> None:
        body = request_for(load_vm(number), managed_disks=managed_disks)
        requests.post(f"{stack.url}/api/restores", json=body, timeout=60).raise_for_status()

    with ThreadPoolExecutor(_RESTORES) as threads:
        list(threads.map(start, range(1, _RESTORES + 1)))


def _wait_for_ends(
    stack: Stack, process: psutil.Process, *, restores: int, patience_s: float
) -> tuple[dict[str, int], float]:
    """Take the results off their queue until all have come or patience ends; what still runs then is counted so.

    Looking costs the local host nothing: the queue is Azurite's.
    """
    ended: dict[str, str] = {}  # by restore: a message may come twice
    peak, deadline = 0.0, time.monotonic() + patience_s
    while len(ended) < restores and time.monotonic() < deadline:
        stack.check()
        for result in map(json.loads, stack.receive("restore-results")):
            ended[result["id"]] = result["status"]
        peak = max(peak, process.memory_info().rss / MIB)
        time.sleep(0.25)
    missing = restores - len(ended)
    return Counter(ended.values()) | ({_HUNG: missing} if missing else {}), peak
