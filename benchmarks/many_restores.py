"""A thousand restores in one local host: how many end in a second, and what they cost."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from benchmarks.asking import NO_LIMITS, numbered_vm, request_for, scenario_file
from benchmarks.load import kept, outcome_of, told
from benchmarks.rows import Row
from scripts.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.load import Outcome
    from scripts.stack import Stack

_RESTORES: Final = 1000
_MIN_PER_SECOND: Final = 20
_MAX_MIB: Final = 400
_MAX_CPU_S: Final = 0.25
_SPEED: Final = 60
_CALLERS: Final = 16
_PATIENCE_S: Final = 900

type Start = Callable[[Stack, Sequence[str]], object]
"""Has the VMs with these ids restored, each to the staging account."""


def measure() -> list[Row]:
    """Run a thousand restores of 31 minutes in one vault, with time and polls scaled alike, and no limits of ARM."""
    return rows(run(post_each), how=f"posted one by one by {_CALLERS} callers")


def post_each(stack: Stack, vm_ids: Sequence[str]) -> None:
    """Post a request for each VM."""

    def post(vm_id: str) -> None:
        body = request_for(vm_id, managed_disks=False)
        requests.post(f"{stack.url}/api/restores", json=body, timeout=60).raise_for_status()

    with ThreadPoolExecutor(_CALLERS) as callers:
        list(callers.map(post, vm_ids))


def run(start: Start, *, restores: int = _RESTORES) -> Outcome:
    """Run so many restores, started by ``start``."""
    env = {
        "RESTORE_JOB_POLL_MIN_SECONDS": f"{15 / _SPEED}",
        "RESTORE_JOB_POLL_MAX_SECONDS": f"{60 / _SPEED}",
        "RESTORE_MAX_RUNNING_PER_VAULT": f"{restores}",
    }
    vms: list[dict[str, Any]] = [{"name": "many", "clone": "load", "count": restores}]
    with tempfile.TemporaryDirectory() as place:
        scenario = scenario_file(Path(place), settings={"limits": NO_LIMITS}, vms=vms)
        with running_stack(speed=_SPEED, env=env, scenario=scenario) as stack:
            vm_ids = [numbered_vm("many", number) for number in range(1, restores + 1)]
            return outcome_of(stack, restores=restores, start=lambda: start(stack, vm_ids), patience_s=_PATIENCE_S)


def rows(seen: Outcome, *, how: str, restores: int = _RESTORES) -> list[Row]:
    """Return the rows of a run; ``how`` says how the restores were started."""
    completed = seen.statuses.get("Completed", 0)
    done, per_second, cpu_s = completed == restores, completed / seen.seconds, seen.cpu_s / restores
    return [
        Row(
            measure=f"{restores} restores in one local host",
            target=f">= {_MIN_PER_SECOND} a second",
            median=f"{per_second:.1f} a second",
            worst=f"{completed} Completed",
            met=per_second >= _MIN_PER_SECOND and done,
            how=f"{how}; simulator {_SPEED} times as fast, and so are the job polls; 31 min jobs, no limits of ARM; "
            f"from the first request to the last result; {told(seen)}",
        ),
        Row(
            measure="  peak memory",
            target=f"<= {_MAX_MIB} MiB",
            median=f"{seen.peak_mib:.0f} MiB",
            worst="",
            met=kept(seen.peak_mib, _MAX_MIB, done=done),
            how=f"high-water mark of the local host; before the first restore it was {seen.idle_mib:.0f} MiB, so each "
            f"restore left {(seen.peak_mib - seen.idle_mib) * 1024 / restores:.0f} KiB",
        ),
        Row(
            measure="  CPU per restore",
            target=f"<= {_MAX_CPU_S} s",
            median=f"{cpu_s:.2f} s",
            worst="",
            met=kept(cpu_s, _MAX_CPU_S, done=done),
            how=f"user + system of the local host's process; {seen.calls / restores:.0f} ARM calls each",
        ),
    ]
