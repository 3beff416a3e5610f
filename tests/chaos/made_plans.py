"""What is asked of the new VMs and the attachments of a run, and what strikes the calls that make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.support.azure import SUBSCRIPTION

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random

    from domain.errors import Json

CREATED, ATTACHED = "thenCreateVirtualMachine", "thenAttachDisks"
_PUTS: Final = ["put_vm", "put_network_interface", "put_deployment"]
_POWER: Final = ["start_vm", "deallocate_vm"]
_LISTED: Final = frozenset({"computeFailed", "foreignChanges"})
"""Switches of which a group may have several of a kind."""

USE_FAULTS: Final[dict[str, Json]] = {
    "made_vm_busy": {
        "computeFailed": {
            "code": "Conflict",
            "refused": True,
            "count": 3,
            "actions": ["put_vm", "attach_detach_data_disks", *_POWER],
        }
    },
    "attachment_fails_later": {
        "computeFailed": {"code": "InternalExecutionError", "count": 2, "actions": ["attach_detach_data_disks"]}
    },
    "attachment_fails_as_before": {
        "computeFailed": {
            "code": "DiskBlobNotFound",
            "count": 1,
            "leaves": "former",
            "actions": ["attach_detach_data_disks"],
        }
    },
    "attachment_refused": {
        "computeFailed": {"code": "OperationNotAllowed", "refused": True, "actions": ["attach_detach_data_disks"]}
    },
    "attachment_preempted": {
        "computeFailed": {"code": "OperationPreempted", "count": 2, "actions": ["attach_detach_data_disks"]}
    },
    "new_vm_refused": {"computeFailed": {"code": "OperationNotAllowed", "refused": True, "actions": ["put_vm"]}},
    "no_capacity_for_a_new_vm": {"computeFailed": {"code": "AllocationFailed", "actions": ["put_vm"]}},
    "new_vm_preempted": {"computeFailed": {"code": "OperationPreempted", "count": 1, "actions": ["put_vm"]}},
    "making_refused": {
        "refusedWrites": {"status": 409, "code": "AnotherOperationInProgress", "count": 2, "actions": _PUTS}
    },
    "making_lost": {"lostAnswers": {"status": 0, "count": 2, "actions": [*_PUTS, "attach_detach_data_disks"]}},
    "deletion_lost": {"lostAnswers": {"status": 504, "count": 1, "actions": ["delete_disk"]}},
    "deletion_refused": {"refusedWrites": {"status": 409, "code": "OperationNotAllowed", "actions": ["delete_disk"]}},
    "made_vm_stopped_beside": {
        "foreignChanges": {"change": "deallocate", "after": ["get_vm"], "delaySeconds": 45, "count": 1}
    },
    "made_vm_started_beside": {
        "foreignChanges": {"change": "start", "after": ["deallocate_vm"], "delaySeconds": 30, "count": 1}
    },
    "made_vm_touched": {"foreignChanges": {"change": "touch", "after": ["get_vm"], "count": 3}},
    "disk_attached_beside_ours": {
        "foreignChanges": {"change": "attachDisk", "before": ["attach_detach_data_disks"], "count": 1}
    },
    "stale_reads_of_made": {"staleReads": 20},
    "slow_making": {"slowCompute": {"seconds": 400}},
    "untagged_disks": {"untaggedDisks": True},
}
"""The simulator's switches for what a new VM or an attachment calls; they are set for the group and the other VM."""

NAME_TAKEN: Final = "name_taken_meanwhile"
"""Somebody else makes the interface, or the VM, of the same name while the disks are restored."""
CANCELLED: Final = "cancelled_while_making"
_OF_JOB: Final = frozenset({"untagged_disks"})


def target_group(number: int) -> str:
    """Return the resource group that gets the disks of a restore, and its new VM."""
    return f"{SUBSCRIPTION}/resourceGroups/made-{number}"


def network(number: int) -> str:
    """Return the virtual network of a restore's group."""
    return f"{target_group(number)}/providers/Microsoft.Network/virtualNetworks/vnet"


def new_vm(number: int) -> str:
    """Return the VM that a restore makes."""
    return f"{target_group(number)}/providers/Microsoft.Compute/virtualMachines/new-{number}"


def rescue_vm(number: int) -> str:
    """Return the VM that gets the disks of a restore; three restores share one."""
    return f"{SUBSCRIPTION}/resourceGroups/rescue-rg/providers/Microsoft.Compute/virtualMachines/rescue-{number // 3}"


def use_members(random: Random, number: int) -> dict[str, Any]:
    """Draw the members of a request that asks for a new VM, or for an attachment."""
    group = {"targetResourceGroupId": target_group(number)}
    if random.random() < 0.6:
        wish: Json = {"name": f"new-{number}", "subnetId": f"{network(number)}/subnets/default"}
        if random.random() < 0.5:
            wish["template"] = True
        elif random.random() < 0.3:
            wish |= {"tags": {"made": "by chaos"}, "privateIpAddress": "10.1.0.77"}
        if random.random() < 0.3:
            wish["start"] = False
        return {CREATED: wish, **group}
    wish = {"virtualMachineId": rescue_vm(number), "deleteOthers": random.random() < 0.7}
    if random.random() < 0.4:
        wish["luns"] = [-1]
    return {ATTACHED: wish, **group}


def use_faults(random: Random) -> set[str]:
    """Draw what strikes the calls that use the restored disks, and who comes between them."""
    chances = dict.fromkeys((*USE_FAULTS, NAME_TAKEN, CANCELLED), 0.08)
    return {fault for fault, chance in chances.items() if random.random() < chance}


def use_switches(faults: Collection[str]) -> Json:
    """Return the switches of these faults for the group and the VM of a restore."""
    merged: Json = {}
    for fault in sorted((USE_FAULTS.keys() - _OF_JOB).intersection(faults)):
        for name, value in USE_FAULTS[fault].items():
            if name in _LISTED:
                merged[name] = [*merged.get(name, []), value]
            else:
                merged.setdefault(name, value)
    return merged


def job_switches(faults: Collection[str]) -> Json:
    """Return those switches of these faults that concern the job, for the VM that is restored."""
    merged: Json = {}
    for fault in sorted(_OF_JOB.intersection(faults)):
        merged |= USE_FAULTS[fault]
    return merged
