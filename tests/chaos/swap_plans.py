"""What is asked of the swaps of a run, what strikes their calls to Compute, and which are undone."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from domain.errors import Json

_CHANGES: Final = ["deallocate_vm", "patch_vm", "start_vm"]
_LISTED: Final = frozenset({"computeFailed", "foreignChanges"})
"""Switches of which a VM may have several of a kind."""

COMPUTE_FAULTS: Final[dict[str, Json]] = {
    "vm_busy": {"computeFailed": {"code": "Conflict", "refused": True, "count": 3, "actions": _CHANGES}},
    "vm_busy_for_hours": {
        "computeFailed": {"code": "Conflict", "refused": True, "count": 500, "actions": ["patch_vm"]}
    },
    "change_preempted": {"computeFailed": {"code": "OperationPreempted", "count": 2, "actions": _CHANGES}},
    "change_fails_later": {"computeFailed": {"code": "InternalExecutionError", "count": 2, "actions": _CHANGES}},
    "deallocation_refused": {
        "computeFailed": {"code": "OperationNotAllowed", "refused": True, "actions": ["deallocate_vm"]}
    },
    "update_refused": {
        "computeFailed": {"code": "OperationNotAllowed", "refused": True, "count": 2, "actions": ["patch_vm"]}
    },
    "update_fails_as_asked": {"computeFailed": {"code": "DiskBlobNotFound", "count": 1, "actions": ["patch_vm"]}},
    "update_fails_as_before": {
        "computeFailed": {"code": "DiskBlobNotFound", "count": 1, "actions": ["patch_vm"], "leaves": "former"}
    },
    "no_capacity_for_a_while": {"computeFailed": {"code": "AllocationFailed", "count": 3, "actions": ["start_vm"]}},
    "no_capacity": {"computeFailed": {"code": "AllocationFailed", "actions": ["start_vm"]}},
    "disk_attached_beside": {"foreignChanges": {"change": "attachDisk", "after": ["deallocate_vm"], "delaySeconds": 8}},
    "disk_attached_before_update": {"foreignChanges": {"change": "attachDisk", "before": ["patch_vm"]}},
    "vm_started_beside": {
        "foreignChanges": {"change": "start", "after": ["deallocate_vm"], "delaySeconds": 8, "count": 2}
    },
    "vm_started_before_update": {"foreignChanges": {"change": "start", "before": ["patch_vm"]}},
    "vm_touched": {"foreignChanges": {"change": "touch", "before": ["patch_vm"], "count": 2}},
    "vm_tagged": {"foreignChanges": {"change": "tag", "after": ["get_vm"], "count": 2}},
    "stale_reads": {"staleReads": 20},
    "power_not_shown": {"hiddenPowerState": 3},
    "slow_changes": {"slowCompute": {"seconds": 400}},
    "agent_late": {"agentSeconds": 900},
    "disks_replaced_at_once": {"replacesDisks": True},
}
"""The simulator's switches for what a swap calls."""

SWAP_CANCELLED: Final = "cancelled_in_the_swap"
UNDONE: Final = "undone"
_LUNS: Final = ((), (), (0,), (0, 1), (1, 4), (0, 2, 5))


def data_luns(vm: int) -> tuple[int, ...]:
    """Return the LUNs at which a VM of a run has data disks."""
    return Random(f"luns/{vm}").choice(_LUNS)


def is_off(vm: int) -> bool:
    """Return whether a VM of a run is deallocated when the run begins."""
    return Random(f"power/{vm}").random() < 0.15


def swap_members(random: Random, vm: int) -> dict[str, Any]:
    """Draw the members of a request that asks for a swap."""
    wish: Json = {"dataDisksOnly": True} if data_luns(vm) and random.random() < 0.3 else {}
    if random.random() < 0.2:
        wish["start"] = False
    beside = {"targetResourceGroupId": None} if random.random() < 0.5 else {}
    return {"thenSwapDisks": wish, **beside}


def compute_faults(random: Random) -> set[str]:
    """Draw what strikes the calls of a swap, and who comes between them."""
    chances = dict.fromkeys((*COMPUTE_FAULTS, SWAP_CANCELLED), 0.08) | {"disks_replaced_at_once": 0.4}
    return {fault for fault, chance in chances.items() if random.random() < chance}


def with_compute_switches(switches: Json, faults: Collection[str]) -> Json:
    """Return a VM's switches with those of these faults."""
    merged = dict(switches)
    for fault in sorted(COMPUTE_FAULTS.keys() & faults):
        for name, value in COMPUTE_FAULTS[fault].items():
            merged[name] = [*merged.get(name, []), value] if name in _LISTED else value
    return merged
