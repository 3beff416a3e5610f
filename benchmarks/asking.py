"""Requests and looks that the measures on a real stack have in common."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import requests

from simulator.scenario import DEFAULT_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scripts.stack import Stack

SUBSCRIPTION: Final = "/subscriptions/11111111-1111-1111-1111-111111111111"  # the default scenario's
TOKEN: Final = "get_token"  # the one call to the simulator that is not ARM's
# For measures of the app itself, not of how it waits for Azure's buckets to fill.
NO_LIMITS: Final = {
    name: {"size": 100_000, "refillPerSecond": 10_000} for name in ("reads", "writes", "resourceRequests")
}


def load_vm(number: int) -> str:
    """Return the id of one of the hundred VMs ``load-001`` and on; each has three points, one page."""
    return numbered_vm("load", number)


def numbered_vm(name: str, number: int) -> str:
    """Return the id of one of the VMs in ``load-rg`` that a scenario's ``count`` made."""
    return f"{SUBSCRIPTION}/resourceGroups/load-rg/providers/Microsoft.Compute/virtualMachines/{name}-{number:03d}"


def scenario_file(place: Path, *, settings: dict[str, Any], vms: Sequence[dict[str, Any]] = ()) -> Path:
    """Write the shipped scenario into a folder, with these settings for its own and these VMs more."""
    document: dict[str, Any] = json.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    document["settings"] |= settings
    document["vms"] += vms
    path = place / "scenario.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def request_for(vm_id: str, *, managed_disks: bool = True) -> dict[str, Any]:
    """Return a request that names its VM alone. Without managed disks it goes to a storage account: 31 minutes."""
    staging = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/stagingweu"
    body: dict[str, Any] = {
        "sourceResourceId": vm_id,
        "recoveryType": "RestoreDisks",
        "storageAccountId": staging,
        "validate": False,
    }
    return {**body, "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-rg"} if managed_disks else body


def counters(stack: Stack) -> dict[str, Any]:
    """Return the simulator's counters."""
    return _get(stack, "counters")


def log(stack: Stack, **query: str) -> list[dict[str, Any]]:
    """Return the simulator's request log, oldest first."""
    return _get(stack, "requests", **query)["value"][::-1]


def wait_for_triggers(stack: Stack, number: int) -> None:
    """Wait until the simulator has seen so many restore POSTs in all; ``TimeoutError`` when the last does not come."""
    deadline = time.monotonic() + 30
    while counters(stack)["byAction"].get("trigger_restore", 0) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"restore POST number {number} has not come")
        time.sleep(0.05)


def _get(stack: Stack, what: str, **query: str) -> dict[str, Any]:
    answer = requests.get(f"{stack.simulator_url}/_simulator/{what}", params=query, timeout=30)
    answer.raise_for_status()
    return answer.json()
