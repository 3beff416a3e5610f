"""What the number of partitions changes on Microsoft's engine."""

from __future__ import annotations

import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import requests

from benchmarks.asking import load_vm, request_for
from benchmarks.engine_stage import POLLS_OF_QUEUES, counted_instance, is_there, post, wait_for
from benchmarks.processes import cpu_s
from benchmarks.rows import Row, median_of
from tests.support.real_hub import HOST_JSON

if TYPE_CHECKING:
    from benchmarks.engine_stage import CountedInstance

_SPEED: Final = 60  # Azure's waits become one second
_POLLS: Final = {"RESTORE_JOB_POLL_MIN_SECONDS": "1", "RESTORE_JOB_POLL_MAX_SECONDS": "2"}
_ROUNDS: Final = 3
_ALONE: Final = 5
_AT_ONCE: Final = 24
_PARTITIONS: Final = (1, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run measured.

    ``at_rest`` are storage requests in a minute without restores, ``polls`` those of them that read queues. ``alone_s``
    is the median time from a request to its restore POST, ``at_once_s`` the time until all of many restores have ended.
    ``messages``, ``storage`` and ``cpu`` (seconds of engine and app) are for each of these.
    """

    at_rest: float
    polls: float
    alone_s: float
    at_once_s: float
    messages: float
    storage: float
    engine_cpu_s: float
    app_cpu_s: float


def measure() -> list[Row]:
    """Run each number a few times, in turn, so that other load on the machine affects all of them."""
    if not is_there("engine-settings"):
        return []
    runs: dict[int, list[Run]] = {partitions: [] for partitions in _PARTITIONS}
    for _ in range(_ROUNDS):
        for partitions, done in runs.items():
            done.append(_run(partitions))
    return [_row(partitions, done) for partitions, done in runs.items()]


def _row(partitions: int, runs: list[Run]) -> Row:
    def median(member: str) -> float:
        return median_of([getattr(run, member) for run in runs])

    return Row(
        measure=f"restores at once, partitionCount {partitions}",
        target="-",
        median=f"{60 * _AT_ONCE / median('at_once_s'):.0f} a minute",
        worst=f"{median('at_rest'):.0f} requests/min at rest",
        met=None,
        how=f"medians of {len(runs)} runs, the numbers in turn: {_AT_ONCE} restores at once in "
        f"{median('at_once_s'):.1f} s ({', '.join(f'{run.at_once_s:.1f}' for run in runs)}), each with "
        f"{median('messages'):.1f} messages, {median('storage'):.0f} storage requests beyond those at rest, "
        f"{median('engine_cpu_s'):.2f} s of CPU of the engine and {median('app_cpu_s'):.2f} s of the app; request to "
        f"POST of {_ALONE} restores one after the other {median('alone_s'):.2f} s "
        f"({', '.join(f'{run.alone_s:.2f}' for run in runs)}); {median('polls'):.0f} of the requests at rest read "
        f"queues; simulator at {_SPEED}x, no validation",
    )


def _run(partitions: int) -> Run:
    with tempfile.TemporaryDirectory() as place:
        host_json = _host_json(Path(place), partitions)
        with counted_instance(_SPEED, _POLLS, host_json=host_json) as counts:
            counts.rest()
            return _counted(counts)


def _counted(counts: CountedInstance) -> Run:
    instance, simulator = counts.instance, counts.simulator
    at_rest, polls = 60 * sum(counts.idle.values()), 60 * counts.idle[POLLS_OF_QUEUES]
    alone = [_alone(instance.url, simulator, number) for number in range(1, _ALONE + 1)]
    processes = [psutil.Process(child.pid) for child in (instance.engine, instance.host)]
    cpu_before, usage = [cpu_s(process) for process in processes], counts.usage()
    started, began = datetime.now(UTC), time.monotonic()
    _at_once(instance.url, [load_vm(_ALONE + number) for number in range(1, _AT_ONCE + 1)])
    at_once_s = time.monotonic() - began
    engine_s, app_s = (cpu_s(process) - was for process, was in zip(processes, cpu_before, strict=True))
    requested = sum(usage.beyond_rest().values())
    return Run(
        at_rest=at_rest,
        polls=polls,
        alone_s=median_of(alone),
        at_once_s=at_once_s,
        messages=len(counts.events.sent(started)) / _AT_ONCE,
        storage=requested / _AT_ONCE,
        engine_cpu_s=engine_s / _AT_ONCE,
        app_cpu_s=app_s / _AT_ONCE,
    )


def _host_json(place: Path, partitions: int) -> Path:
    settings = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    settings["extensions"]["durableTask"]["storageProvider"]["partitionCount"] = partitions
    path = place / "host.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def _alone(url: str, simulator: str, number: int) -> float:
    sent = datetime.now(UTC)
    restore_id = post(url, request_for(load_vm(number)))

    def posted() -> datetime | None:
        log = requests.get(f"{simulator}/_simulator/requests", params={"action": "trigger_restore"}, timeout=30)
        posts = log.json()["value"]
        return datetime.fromisoformat(posts[0]["realTime"]) if len(posts) == number else None

    seconds = (wait_for(posted, within_s=60) - sent).total_seconds()
    _wait_until_completed(url, [restore_id])
    return seconds


def _at_once(url: str, vms: list[str]) -> None:
    with ThreadPoolExecutor(len(vms)) as threads:
        restores = list(threads.map(lambda vm: post(url, request_for(vm)), vms))
    _wait_until_completed(url, restores)


def _wait_until_completed(url: str, restores: list[str]) -> None:
    def ended() -> list[dict[str, Any]] | None:
        answer = requests.get(f"{url}/api/restores", params={"top": "100"}, timeout=60)
        shown = {document["id"]: document for document in answer.json()["value"]}
        found = [shown[restore] for restore in restores if restore in shown and shown[restore]["completedTime"]]
        return found if len(found) == len(restores) else None

    statuses = {document["status"] for document in wait_for(ended, within_s=300)}
    if statuses != {"Completed"}:
        raise RuntimeError(f"the restores ended as {statuses}")
