"""The activities of VMs over a client that notes its calls."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

import pytest

from activities.virtual_machines import VirtualMachineActivities
from domain.answers import Accepted, Answer
from domain.azure.disks import Disk
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import MACHINE_BUSY, RestoreError, TransientError
from domain.follow_up import calls
from domain.follow_up.calls import ChangeAccepted, ChangeStatus, FoundDisks
from domain.restore.answers import AcceptedOperation, Done
from tests.support.hub import START

if TYPE_CHECKING:
    from domain.restore.calls import ActivityCall

VM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1"
URL = "https://management.azure.com/operations/op-1"


class Compute:
    """Answers what it is given, by the name of the call."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.asked.append((name, *arguments))
            answer = self.answers[name]
            if isinstance(answer, RestoreError):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return call


def run(compute: Compute, call: ActivityCall) -> Any:
    activities = VirtualMachineActivities(cast("Any", compute), clock=lambda: START.astimezone(UTC))
    return unseal(call, activities.by_name()[call.name](pack(call)))


CHANGES: dict[str, ActivityCall] = {
    "deallocate_virtual_machine": calls.DeallocateVirtualMachine(vm_id=VM),
    "start_virtual_machine": calls.StartVirtualMachine(vm_id=VM),
    "update_disks": calls.UpdateDisks(vm_id=VM, data_disks=(), etag='"7"', data_create_options={"/d": "Empty"}),
}


@pytest.mark.parametrize(("name", "call"), CHANGES.items(), ids=CHANGES)
class TestAChange:
    def test_returns_the_operation_that_azure_has_accepted(self, name: str, call: ActivityCall) -> None:
        compute = Compute(**{name: Accepted(operation_id="op-1", url=URL, retry_after_s=10.0)})

        answer = run(compute, call)

        assert answer == Answer(ChangeAccepted(operation=AcceptedOperation(operation_id="op-1", url=URL)), 10.0)
        assert compute.asked == [(name, call if name == "update_disks" else VM)]

    @pytest.mark.parametrize("operation_id", ["op-1", None])
    def test_has_no_operation_without_an_address_to_poll(
        self, name: str, call: ActivityCall, operation_id: str | None
    ) -> None:
        compute = Compute(**{name: Accepted(operation_id=operation_id, url=None, retry_after_s=None)})

        assert run(compute, call) == Answer(ChangeAccepted())

    def test_that_azure_refuses_returns_the_error(self, name: str, call: ActivityCall) -> None:
        error = run(Compute(**{name: TransientError(MACHINE_BUSY, "busy", retry_after_s=5)}), call)

        assert isinstance(error, TransientError)
        assert (error.code, error.retry_after_s) == (MACHINE_BUSY, 5)


def test_an_operation_is_polled_at_its_url() -> None:
    compute = Compute(get_compute_operation=Answer(ChangeStatus(is_running=True), 7.0))

    assert run(compute, calls.GetComputeOperation(url=URL)) == Answer(ChangeStatus(is_running=True), 7.0)
    assert compute.asked == [("get_compute_operation", URL)]


def test_disks_that_do_not_exist_are_left_out_and_the_longest_wait_counts() -> None:
    disks = {name: Disk(name=name, is_os_disk=False) for name in ("a", "c")}
    waits_s = {"a": 2.0, "b": 9.0, "c": None}
    compute = Compute(get_disk=lambda disk_id: Answer(disks.get(disk_id), waits_s[disk_id]))

    answer = run(compute, calls.GetDisks(disk_ids=("a", "b", "c")))

    assert answer == Answer(FoundDisks(disks=(disks["a"], disks["c"])), 9.0)


def test_a_disk_is_tagged() -> None:
    compute = Compute(merge_tags=3.0)

    assert run(compute, calls.TagDisk(disk_id="/d", tags={"restore-id": "r"})) == Answer(Done(), 3.0)
    assert compute.asked == [("merge_tags", "/d", {"restore-id": "r"})]
