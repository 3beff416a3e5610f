"""The activities that change VMs with restored disks: one method, one side effect, safe to run twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from domain.answers import Answer
from domain.follow_up import calls
from domain.follow_up.calls import ChangeAccepted, FoundDisks
from domain.restore.answers import AcceptedOperation, Done
from domain.sealing import sealed

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.answers import Accepted
    from domain.azure.virtual_machines import VirtualMachine
    from domain.errors import Json
    from domain.follow_up.calls import ChangeStatus
    from domain.restore.calls import ActivityCall
    from queries.compute_api import ComputeApi


class VirtualMachineActivities:
    """Every activity that reads or changes VMs and their disks. ``clock`` returns aware UTC."""

    def __init__(self, api: ComputeApi, *, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._clock = clock

    def by_name(self) -> dict[str, Callable[[Json], Json]]:
        """Return the activities by name, as functions from JSON to JSON."""
        methods: dict[type[ActivityCall], Callable[[Any], Answer[Any]]] = {
            calls.GetVirtualMachine: self.get_virtual_machine,
            calls.DeallocateVirtualMachine: self.deallocate_virtual_machine,
            calls.UpdateDisks: self.update_disks,
            calls.StartVirtualMachine: self.start_virtual_machine,
            calls.GetComputeOperation: self.get_compute_operation,
            calls.GetDisks: self.get_disks,
            calls.TagDisk: self.tag_disk,
        }
        return {kind.name: sealed(kind, method, self._clock) for kind, method in methods.items()}

    def get_virtual_machine(self, call: calls.GetVirtualMachine) -> Answer[VirtualMachine]:
        """Read a VM with its instance view."""
        return self._api.get_virtual_machine(call.vm_id)

    def deallocate_virtual_machine(self, call: calls.DeallocateVirtualMachine) -> Answer[ChangeAccepted]:
        """Stop a VM and release its hardware."""
        return change_accepted(self._api.deallocate_virtual_machine(call.vm_id))

    def update_disks(self, call: calls.UpdateDisks) -> Answer[ChangeAccepted]:
        """Give a VM the disks that the call names."""
        return change_accepted(self._api.update_disks(call))

    def start_virtual_machine(self, call: calls.StartVirtualMachine) -> Answer[ChangeAccepted]:
        """Start a VM."""
        return change_accepted(self._api.start_virtual_machine(call.vm_id))

    def get_compute_operation(self, call: calls.GetComputeOperation) -> Answer[ChangeStatus]:
        """Poll an operation."""
        return self._api.get_compute_operation(call.url)

    def get_disks(self, call: calls.GetDisks) -> Answer[FoundDisks]:
        """Read the disks one after the other; the answer's wait is the longest that Azure asked for."""
        found = [self._api.get_disk(disk_id) for disk_id in call.disk_ids]
        waits_s = [answer.retry_after_s for answer in found if answer.retry_after_s is not None]
        disks = tuple(answer.value for answer in found if answer.value is not None)
        return Answer(FoundDisks(disks=disks), max(waits_s, default=None))

    def tag_disk(self, call: calls.TagDisk) -> Answer[Done]:
        """Add tags to a managed disk."""
        return Answer(Done(), self._api.merge_tags(call.disk_id, call.tags))


def change_accepted(accepted: Accepted) -> Answer[ChangeAccepted]:
    """Return the answer of an activity whose change Azure has accepted."""
    operation = None
    if accepted.operation_id is not None and accepted.url is not None:
        operation = AcceptedOperation(operation_id=accepted.operation_id, url=accepted.url)
    return Answer(ChangeAccepted(operation=operation), accepted.retry_after_s)
