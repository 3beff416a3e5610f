"""Requests and looks that the measures on a real stack have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import requests

if TYPE_CHECKING:
    from scripts.stack import Stack

SUBSCRIPTION: Final = "/subscriptions/11111111-1111-1111-1111-111111111111"  # the default scenario's
TOKEN: Final = "get_token"  # the one call to the simulator that is not ARM's


def load_vm(number: int) -> str:
    """Return the id of one of the hundred VMs ``load-001`` and on; each has three points, one page."""
    return f"{SUBSCRIPTION}/resourceGroups/load-rg/providers/Microsoft.Compute/virtualMachines/load-{number:03d}"


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


def _get(stack: Stack, what: str, **query: str) -> dict[str, Any]:
    answer = requests.get(f"{stack.simulator_url}/_simulator/{what}", params=query, timeout=30)
    answer.raise_for_status()
    return answer.json()
