"""What a restore of each recovery type takes: ARM calls, and the time until it is reported."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import requests

from benchmarks.asking import SUBSCRIPTION, TOKEN, load_vm, log, request_for
from benchmarks.rows import Row, median_of
from scripts.stack import running_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.stack import Stack

_RUNS: Final = 3
_SPEED: Final = 120
_PATIENCE_S: Final = 60
_POLLS: Final = {
    "RESTORE_JOB_POLL_MIN_SECONDS": f"{15 / _SPEED}",
    "RESTORE_JOB_POLL_MAX_SECONDS": f"{60 / _SPEED}",
}
_TYPES: Final = ("RestoreDisks", "AlternateLocation", "OriginalLocation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One restore: its ARM calls, how long it took from POST to report, and how long its job, in Azure's time."""

    calls: tuple[str, ...]
    took_s: float
    job_s: float


def measure() -> list[Row]:
    """Restore one VM after the other, so that every call in the simulator's log is of the one restore that runs."""
    with running_stack(speed=_SPEED, env=_POLLS) as stack:
        seen = {
            kind: [_restore(stack, kind, load_vm(first + run)) for run in range(_RUNS)]
            for first, kind in zip(range(1, 100, _RUNS), _TYPES, strict=False)
        }
    return [row for kind, runs in seen.items() for row in _rows(kind, runs)]


def _rows(kind: str, runs: Sequence[Seen]) -> list[Row]:
    calls, took_s = [len(run.calls) for run in runs], [run.took_s for run in runs]
    job_s = median_of([run.job_s for run in runs])
    rest_s = median_of(took_s) - job_s / _SPEED
    told = ", ".join(f"{count} x {name}" for name, count in Counter(runs[-1].calls).items())
    return [
        Row(
            measure=f"ARM calls, {kind}",
            target="none",
            median=f"{median_of(calls):.0f}",
            worst=f"max {max(calls)}",
            met=None,
            how=f"{_RUNS} restores one after the other, each of its own VM, one page of points, validate true; "
            f"simulator {_SPEED} times as fast, and so are the job polls (15 to 60 s); without the token. "
            f"The last one: {told}",
        ),
        Row(
            measure="  POST /api/restores to its report",
            target="none",
            median=f"{median_of(took_s):.2f} s",
            worst=f"max {max(took_s):.2f} s",
            met=None,
            how=f"the same restores, to the message on restore-results. {job_s / _SPEED:.2f} s of it are the job "
            f"({job_s:.0f} s of Azure's time); the other {rest_s:.2f} s ({rest_s * _SPEED:.0f} s of Azure's time at "
            "most) are waits that run fast like the job (validation, first look, last poll) and work that does not",
        ),
    ]


def _restore(stack: Stack, kind: str, vm_id: str) -> Seen:
    """Restore one VM and wait for the report, looking at Azurite alone; ``RuntimeError`` unless it is Completed."""
    before, began = len(log(stack)), time.monotonic()
    answer = requests.post(f"{stack.url}/api/restores", json=_request(kind, vm_id), timeout=30)
    answer.raise_for_status()
    document = None
    while document is None:
        results = map(json.loads, stack.receive("restore-results"))  # one of an earlier restore may come twice
        document = next((result for result in results if result["id"] == answer.json()["id"]), None)
        stack.check()
        if time.monotonic() > began + _PATIENCE_S:
            raise TimeoutError(f"{kind} of {vm_id} was not reported")
        time.sleep(0.02)
    took_s = time.monotonic() - began
    if document["status"] != "Completed":
        raise RuntimeError(f"{kind} ended as {document['status']}: {document['error']}")
    start, end = (datetime.fromisoformat(document["result"][name]) for name in ("startTime", "endTime"))
    actions = (each["action"] for each in log(stack)[before:])
    return Seen(
        calls=tuple(action for action in actions if action != TOKEN),
        took_s=took_s,
        job_s=(end - start).total_seconds(),
    )


def _request(kind: str, vm_id: str) -> dict[str, Any]:
    body = {**request_for(vm_id, managed_disks=kind != "OriginalLocation"), "recoveryType": kind, "validate": True}
    if kind != "AlternateLocation":
        return body
    group = f"{SUBSCRIPTION}/resourceGroups/restored-rg/providers"
    network = f"{group}/Microsoft.Network/virtualNetworks/isolated"
    return {
        **body,
        "targetVirtualMachineId": f"{group}/Microsoft.Compute/virtualMachines/{vm_id.rpartition('/')[2]}-copy",
        "virtualNetworkId": network,
        "subnetId": f"{network}/subnets/default",
    }
