"""What a swap of disks takes: for how long the VM is down beyond Azure's own time, and its ARM calls."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import requests

from benchmarks.asking import log, numbered_vm, request_for, scenario_file
from benchmarks.rows import Row, median_of
from scripts.stack import running_stack
from simulator.providers.compute.machines import UPDATE_S
from simulator.providers.compute.power import DEALLOCATE, START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.stack import Stack

type Json = dict[str, Any]

_RUNS: Final = 3
_PATIENCE_S: Final = 240
_MOST_OF_OURS_S: Final = 5.0
_MOST_CALLS: Final = 8
_CHECKS: Final = ("list_permissions", "list_locks")
_CHANGES: Final = ("deallocate_vm", "patch_vm", "start_vm", "patch_tags")
_AT_ONCE: Final = "one PATCH"
_IN_TWO: Final = "one PATCH refused, then two"
_VMS: Final = {_AT_ONCE: "at-once", _IN_TWO: "in-two"}
"""Whether Azure puts a data disk in the place of another one in one PATCH, and the VMs for it."""
_UPDATES: Final = {_AT_ONCE: 1, _IN_TWO: 2}


def measure() -> list[Row]:
    """Swap the disks of some VMs at once, with the simulator at Azure's own speed."""
    vm_ids = {way: [numbered_vm(name, number) for number in range(1, _RUNS + 1)] for way, name in _VMS.items()}
    with tempfile.TemporaryDirectory() as place:
        vms = [_vms(name, replaces_disks=way == _AT_ONCE) for way, name in _VMS.items()]
        scenario = scenario_file(Path(place), settings={"pageSizes": {}}, vms=vms)
        with running_stack(speed=1, scenario=scenario) as stack:
            ids = {way: [_start(stack, vm_id) for vm_id in known] for way, known in vm_ids.items()}
            swaps = {way: [_ended(stack, known)["result"]["swap"] for known in ids[way]] for way in ids}
            records = log(stack)
    rows: list[Row] = []
    for way, done in swaps.items():
        rows += [_downtime(way, done), _calls(way, done, vm_ids[way], records)]
    return rows


def _vms(name: str, *, replaces_disks: bool) -> Json:
    return {
        "name": name,
        "resourceGroup": "load-rg",
        "vault": "vault-weu",
        "count": _RUNS,
        "dataDisks": [{"lun": 0, "sizeGb": 64}],
        "points": [{"ageHours": 4, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}],
        "faults": {"replacesDisks": replaces_disks},
    }


def _downtime(way: str, swaps: Sequence[Json]) -> Row:
    azure_s = DEALLOCATE.seconds + _UPDATES[way] * UPDATE_S + START.seconds
    down_s = [_between_s(swap, "deallocatedTime", "runningTime") for swap in swaps]
    ours_s = [seconds - azure_s for seconds in down_s]
    azure = f"deallocate {DEALLOCATE.seconds:g} s, {_UPDATES[way]} x {UPDATE_S:g} s, start {START.seconds:g} s"
    return Row(
        measure=f"downtime of a swap beyond Azure's own time, {way}",
        target=f"<= {_MOST_OF_OURS_S:g} s",
        median=f"{median_of(ours_s):.1f} s",
        worst=f"max {max(ours_s):.1f} s",
        met=max(ours_s) <= _MOST_OF_OURS_S,
        how=f"{_RUNS} swaps of {len(swaps[0]['disks'])} disks, {2 * _RUNS} at once, each of its own VM, simulator at "
        f"Azure's speed: {azure}, in all {azure_s:g} s; down for {median_of(down_s):.1f} s (median). The waits that "
        "Azure asks for count as ours",
    )


def _calls(way: str, swaps: Sequence[Json], vm_ids: Sequence[str], records: Sequence[Json]) -> Row:
    counts = [_counted(swap, vm_id, records) for swap, vm_id in zip(swaps, vm_ids, strict=True)]
    totals = [1 + sum(count[name] for name in (*_CHECKS, *_CHANGES)) for count in counts]
    told = ", ".join(f"{count} x {name}" for name, count in counts[-1].items())
    return Row(
        measure=f"ARM calls of a swap beside the restore and polls, {way}",
        target=f"<= {_MOST_CALLS}",
        median=f"{median_of(totals):.0f}",
        worst=f"max {max(totals)}",
        met=max(totals) <= _MOST_CALLS,
        how="the same swaps: the VM, its permissions and its locks before the trigger, the changes, the tags of "
        f"the former disks; reads of the VM that wait for a change are polls. All calls of the last one: {told}",
    )


def _counted(swap: Json, vm_id: str, records: Sequence[Json]) -> Counter[str]:
    """Return how often which call named a VM, or a disk that it had; a call that the local host repeats counts once."""
    names = [vm_id, *(place["formerDiskId"] for place in swap["disks"])]
    starts = tuple(f"{name.lower()}/" for name in names)
    paths = [(f"{record['path'].lower().partition('?')[0]}/", record["action"]) for record in records]
    return Counter(action for (_, action), _ in groupby(each for each in paths if each[0].startswith(starts)))


def _start(stack: Stack, vm_id: str) -> str:
    body = {**request_for(vm_id), "thenSwapDisks": {}}
    answer = requests.post(f"{stack.url}/api/restores", json=body, timeout=30)
    answer.raise_for_status()
    return answer.json()["id"]


def _ended(stack: Stack, restore_id: str) -> Json:
    """Return the final document; ``RuntimeError`` unless the disks were swapped."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        document: Json = requests.get(f"{stack.url}/api/restores/{restore_id}", timeout=30).json()
        if document["completedTime"] is not None:
            break
        stack.check()
        if time.monotonic() > until:
            raise TimeoutError(f"{restore_id} has not ended")
        time.sleep(0.5)
    if document["status"] != "Completed":
        raise RuntimeError(f"it ended as {document['status']}: {document['error']}")
    return document


def _between_s(swap: dict[str, str], first: str, last: str) -> float:
    return (datetime.fromisoformat(swap[last]) - datetime.fromisoformat(swap[first])).total_seconds()
