"""How fast an alert is answered, and how five hundred at once are."""

from __future__ import annotations

import json
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from benchmarks.asking import NO_LIMITS, load_vm, numbered_vm, request_for, scenario_file
from benchmarks.rows import Row, median_of, percentile
from domain.alerts.decide import AlertDecision
from scripts.alerting import vm_down
from scripts.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.stack import Stack

_RULES: Final = 100
_WARM_UP: Final = 10
_SAMPLES: Final = 80
_MEDIAN_MS: Final = 100
_P95_MS: Final = 300
_BURST: Final = 500
_SENDERS: Final = 50
_STORM_VMS: Final = 10
_PATIENCE_S: Final = 120
_POINTS: Final = [{"ageHours": 4, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}]


def measure() -> list[Row]:
    """Measure alerts one by one with a hundred rules, then five hundred alerts for five hundred VMs at once."""
    with tempfile.TemporaryDirectory() as place:
        vms = [{"name": "burst", "resourceGroup": "load-rg", "vault": "vault-weu", "count": _BURST, "points": _POINTS}]
        scenario = scenario_file(Path(place), settings={"limits": NO_LIMITS}, vms=vms)
        return [_one_by_one(scenario), *_all_at_once(scenario)]


def _rules(storm_vms: int) -> str:
    """Return rules of which only the last covers the VMs, so that all others are tried first."""
    others = [
        {"name": f"team {n}", "match": {"sourceResourceIds": [f"*/resourceGroups/team-{n}-*/*"]}, "deny": True}
        for n in range(1, _RULES)
    ]
    restore = {name: value for name, value in request_for("").items() if name != "sourceResourceId"}
    last = {"name": "the last", "match": {"sourceResourceIds": ["*/resourceGroups/load-rg/*"]}, "restore": restore}
    return json.dumps({"rules": [*others, last], "storm": {"distinctVms": storm_vms}})


def _one_by_one(scenario: Path) -> Row:
    env = {"AUTO_RESTORE_RULES": _rules(storm_vms=10_000)}
    with running_stack(speed=600, scenario=scenario, env=env) as stack, requests.Session() as session:
        count = _WARM_UP + _SAMPLES
        answers = [_post(stack, session, load_vm(number)) for number in range(1, count + 1)]
    decisions = Counter(decision for _, decision in answers)
    if decisions != {AlertDecision.STARTED: count}:
        raise RuntimeError(f"the decisions were {dict(decisions)}")
    times_ms = [took_s * 1000 for took_s, _ in answers][_WARM_UP:]
    median, p95 = median_of(times_ms), percentile(times_ms, 0.95)
    return Row(
        measure=f"POST /api/alerts answered, {_RULES} rules",
        target=f"median <= {_MEDIAN_MS} ms, p95 <= {_P95_MS} ms",
        median=f"{median:.0f} ms",
        worst=f"p95 {p95:.0f} ms",
        met=median <= _MEDIAN_MS and p95 <= _P95_MS,
        how=f"{_SAMPLES} alerts one after the other after {_WARM_UP} to warm up, each for another VM that the last "
        f"rule covers; admission and start of the restore are part of the answer; the restores run meanwhile. Max "
        f"{max(times_ms):.0f} ms, min {min(times_ms):.0f} ms; in Azure the latency of the storage is added",
    )


def _all_at_once(scenario: Path) -> list[Row]:
    env = {"AUTO_RESTORE_RULES": _rules(storm_vms=_STORM_VMS)}
    with running_stack(speed=60, scenario=scenario, env=env) as stack, requests.Session() as session:
        began = time.monotonic()
        with ThreadPoolExecutor(_SENDERS) as threads:
            vm_ids = [numbered_vm("burst", number) for number in range(1, _BURST + 1)]
            answers = list(threads.map(lambda vm_id: _post(stack, session, vm_id), vm_ids))
        took_s = time.monotonic() - began
        statuses = _settled(stack)
    decisions = Counter(decision for _, decision in answers)
    waiting = _BURST - _STORM_VMS
    times_s = [time_s for time_s, _ in answers]
    return [
        Row(
            measure=f"{_BURST} alerts for {_BURST} VMs at once",
            target="all answered, none lost",
            median=f"{decisions.total()} answered",
            worst=f"{statuses.total()} restores",
            met=decisions.total() == statuses.total() == _BURST,
            how=f"by {_SENDERS} senders in {took_s:.1f} s; an answer took {median_of(times_s):.2f} s (median), "
            f"{percentile(times_s, 0.95):.2f} s (p95), {max(times_s):.2f} s (max) of the 10 s that action groups wait",
        ),
        Row(
            measure="  a storm of alerts",
            target=f"{_STORM_VMS} started, the rest waits",
            median=f"{decisions[AlertDecision.AWAITING_APPROVAL]} wait",
            worst=f"{decisions[AlertDecision.STARTED]} started",
            met=statuses == {"Completed": _STORM_VMS, "AwaitingApproval": waiting}
            and decisions == {AlertDecision.STARTED: _STORM_VMS, AlertDecision.AWAITING_APPROVAL: waiting},
            how=f"decisions: {_counts(decisions)}; in the end: {_counts(statuses)}",
        ),
    ]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))


def _post(stack: Stack, session: requests.Session, vm_id: str) -> tuple[float, str]:
    """Send an alert; return how long the answer took, in seconds, and its decision."""
    alert = vm_down(vm_id)
    began = time.monotonic()
    answer = session.post(f"{stack.url}/api/alerts", json=alert, timeout=60)
    took_s = time.monotonic() - began
    answer.raise_for_status()
    [decision] = answer.json()["decisions"]
    return took_s, decision["decision"]


def _settled(stack: Stack) -> Counter[str]:
    """Return how many restores have each status, once none is pending or running, or patience ends."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        answer = requests.get(f"{stack.url}/api/restores", params={"top": 1000}, timeout=60)
        answer.raise_for_status()
        documents: Sequence[dict[str, Any]] = answer.json()["value"]
        statuses = Counter[str](document["status"] for document in documents)
        if not {"Pending", "Running"} & set(statuses) or time.monotonic() > deadline:
            return statuses
        time.sleep(1)
