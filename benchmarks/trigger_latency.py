"""How long after ``POST /api/restores`` the restore POST reaches Azure."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import requests

from benchmarks.asking import NO_LIMITS, load_vm, log, request_for, scenario_file, wait_for_triggers
from benchmarks.rows import Row, median_of, percentile
from scripts.stack import running_stack

if TYPE_CHECKING:
    from scripts.stack import Stack

_WARM_UP: Final = 8
_SAMPLES: Final = 60
_MEDIAN_MS: Final = 150
_P95_MS: Final = 400
_NO_TURNS: Final = {"RESTORE_MAX_RUNNING_PER_VAULT": "1000"}  # their jobs are polled at 15 s, so that all run at once


def measure() -> list[Row]:
    """Start restores one after the other, each on a VM of its own, and read off the simulator's log when they came."""
    with (
        tempfile.TemporaryDirectory() as place,
        running_stack(
            speed=600, scenario=scenario_file(Path(place), settings={"limits": NO_LIMITS}), env=_NO_TURNS
        ) as stack,
        requests.Session() as session,
    ):
        ids = [load_vm(number) for number in range(1, _WARM_UP + _SAMPLES + 1)]
        sent = [_start(stack, session, vm_id, number) for number, vm_id in enumerate(ids, start=1)]
        posted = log(stack, action="trigger_restore")
    arrived = {record["vm"].rpartition("/")[2]: datetime.fromisoformat(record["realTime"]) for record in posted}
    waits_ms = [
        (arrived[vm_id.rpartition("/")[2]] - at).total_seconds() * 1000 for vm_id, at in zip(ids, sent, strict=True)
    ][_WARM_UP:]
    median, p95 = median_of(waits_ms), percentile(waits_ms, 0.95)
    return [
        Row(
            measure="POST /api/restores -> restore POST",
            target=f"median <= {_MEDIAN_MS} ms, p95 <= {_P95_MS} ms",
            median=f"{median:.0f} ms",
            worst=f"p95 {p95:.0f} ms",
            met=median <= _MEDIAN_MS and p95 <= _P95_MS,
            how=f"{_SAMPLES} restores one after the other after {_WARM_UP} to warm up, VM id only, validate false; "
            "caller, local host and simulator each a process. Ends with the simulator's note of the request, made once "
            "its answer is ready; both ends read this machine's wall clock (UTC, microseconds). "
            f"Max {max(waits_ms):.0f} ms, min {min(waits_ms):.0f} ms. The simulator's limits are lifted: a call that "
            "is answered 429 waits the second that it asks for. The simulator adds no network, no ARM latency.",
        )
    ]


def _start(stack: Stack, session: requests.Session, vm_id: str, number: int) -> datetime:
    """Send one request and wait until its restore POST has come; returns when it was sent."""
    body = request_for(vm_id)
    sent = datetime.now(UTC)
    answer = session.post(f"{stack.url}/api/restores", json=body, timeout=30)
    answer.raise_for_status()
    wait_for_triggers(stack, number)
    return sent
