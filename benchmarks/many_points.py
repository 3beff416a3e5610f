"""What it takes to choose among ten thousand recovery points, and what of them stays in history."""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import requests

from benchmarks.asking import NO_LIMITS, counters, load_vm, numbered_vm, request_for, scenario_file, wait_for_triggers
from benchmarks.processes import MIB, cpu_s, high_water_mib
from benchmarks.rows import Row, median_of
from scripts.stack import running_stack
from tests.support.azure import Lab, a_point, a_restore

if TYPE_CHECKING:
    from scripts.stack import Stack

_POINTS: Final = 10_000
_PAGE: Final = 100
_PAGES: Final = _POINTS // _PAGE
_RUNS: Final = 7
_MAX_MS: Final = 250
_MOST_MIB: Final = 64
_SETTLED_S: Final = 0.2
# Kinds as a real row of points has them: snapshots, vault alone, one that is not to be restored.
_LIKE: Final = (
    {"tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}},
    {"tiers": {"InstantRP": "Deleted", "HardenedRP": "Valid"}, "consistency": "CrashConsistent"},
    {"tiers": {"InstantRP": "Deleted", "HardenedRP": "Valid"}, "softDeleted": True},
)


def measure() -> list[Row]:
    """Choose in the local host's process, then look through the histories of a restore on the skipping clock."""
    return [*_costs(), _history()]


def points_in_histories(count: int) -> int:
    """Return how many of a VM's so many points are named in the histories of its restore, entities' included."""
    lab = Lab()
    ids = [str(10**17 + number) for number in range(count)]
    lab.azure.points = [a_point(point_id, hours_old=number) for number, point_id in enumerate(ids, start=1)]
    if lab.run(a_restore(validate=True))["status"] != "Completed":
        raise RuntimeError("the restore did not complete")
    generations = [events for one in lab.hub.instances() for events in lab.hub.generations(one)]
    named = {found for events in generations for event in events for found in re.findall(r"\d{18}", str(event))}
    return len(named.intersection(ids))


def _costs() -> list[Row]:
    with tempfile.TemporaryDirectory() as place, running_stack(speed=1, scenario=_scenario(Path(place))) as stack:
        host = psutil.Process(stack.pids["local host"])
        requests.get(f"{stack.url}/api/health", timeout=30).raise_for_status()
        idle_mib = host.memory_info().rss / MIB
        _restore_ms(stack, host, load_vm(1))  # connections, imports, the token
        few_ms, many_ms = [], []
        for number in range(1, _RUNS + 1):
            few_ms.append(_restore_ms(stack, host, load_vm(1 + number)))
            many_ms.append(_restore_ms(stack, host, numbered_vm("many", number)))
        peak_mib = max(high_water_mib(host), host.memory_info().rss / MIB)
        pages = counters(stack)["byAction"]["list_recovery_points"]
    wanted = 1 + _RUNS * (1 + _PAGES)
    if pages != wanted:
        raise RuntimeError(f"{pages} pages of points were read instead of {wanted}")
    more_ms, more_mib = [many - few for many, few in zip(many_ms, few_ms, strict=True)], peak_mib - idle_mib
    return [
        Row(
            measure=f"choosing among {_POINTS:,} points: CPU",
            target=f"<= {_MAX_MS} ms",
            median=f"{median_of(more_ms):.0f} ms",
            worst=f"max {max(more_ms):.0f} ms",
            met=median_of(more_ms) <= _MAX_MS,
            how=f"user + system of the local host's process from POST to restore POST, VM with {_POINTS:,} points in "
            f"{_PAGES} pages of {_PAGE} ({median_of(many_ms):.0f} ms) less VM with 3 ({median_of(few_ms):.0f} ms), "
            f"{_RUNS} pairs in turn after one restore to warm up, kernel ticks of 10 ms; HTTP to the simulator is "
            "counted, TLS there is none, and no limit of Azure's. The verdict is the median's",
        ),
        Row(
            measure=f"choosing among {_POINTS:,} points: memory",
            target=f"<= {_MOST_MIB} MiB over idle",
            median=f"{more_mib:.0f} MiB",
            worst=f"max {more_mib:.0f} MiB",
            met=more_mib <= _MOST_MIB,
            how="high-water mark of the local host's resident memory after those restores, less what was resident "
            f"before the first restore of all ({idle_mib:.0f} MiB)",
        ),
    ]


def _restore_ms(stack: Stack, host: psutil.Process, vm_id: str) -> float:
    """Return the CPU that one restore takes up to its restore POST. The job runs on, asleep for a minute."""
    posts, before = counters(stack)["byAction"].get("trigger_restore", 0), cpu_s(host)
    requests.post(f"{stack.url}/api/restores", json=request_for(vm_id), timeout=30).raise_for_status()
    wait_for_triggers(stack, posts + 1)
    time.sleep(_SETTLED_S)
    return (cpu_s(host) - before) * 1000


def _scenario(place: Path) -> Path:
    many: dict[str, Any] = {
        "name": "many",
        "clone": "load",
        "count": _RUNS,
        "points": {"generate": {"count": _POINTS, "everyHours": 1, "like": _LIKE}},
    }
    return scenario_file(place, settings={"pageSizes": {"recoveryPoints": _PAGE}, "limits": NO_LIMITS}, vms=[many])


def _history() -> Row:
    named = points_in_histories(_POINTS)
    return Row(
        measure=f"choosing among {_POINTS:,} points: history",
        target="the chosen one alone",
        median=str(named),
        worst=f"max {named}",
        met=named == 1,
        how=f"of {_POINTS:,} ids, those found in any event of any history (the restore's executions and the entities), "
        "validate true, skipping clock",
    )
