"""The client against the simulator: a swap of disks call by call, and what Azure refuses."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from arm.backup import BackupClient
from arm.session import ArmSession
from domain.errors import RestoreError, TerminalError, TransientError
from domain.follow_up.calls import ChangeStatus, UpdateDisks
from simulator.clock import ManualClock
from simulator.server import Simulator, running
from tests.conformance.caller import SUBSCRIPTION, Caller, vm_id
from tests.support.arm_server import FakeCredential

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from domain.answers import Accepted
    from domain.azure.virtual_machines import AttachedDisk, VirtualMachine

GROUP = "swap-rg"
VM = vm_id("swap-01", GROUP)
LINUX = vm_id("swap-linux-01", GROUP)


class Stage:
    def __init__(self, simulator: Simulator, clock: ManualClock, client: BackupClient) -> None:
        self.simulator, self.clock, self.client = simulator, clock, client

    def machine(self, vm: str = VM) -> VirtualMachine:
        return self.client.get_virtual_machine(vm).value

    def finish(self, accepted: Accepted) -> ChangeStatus:
        """Let a minute pass, and return how the operation stands."""
        self.clock.advance(60)
        return self.status(accepted)

    def status(self, accepted: Accepted) -> ChangeStatus:
        assert accepted.url is not None
        assert "&s=" not in accepted.url
        return self.client.get_compute_operation(accepted.url).value

    def taken_from(self, vm: str, index: int) -> AttachedDisk:
        """Detach a data disk from another VM, so that it is free."""
        machine = self.machine(vm)
        kept = tuple(disk for at, disk in enumerate(machine.data_disks) if at != index)
        self.finish(self.client.update_disks(_update(machine, kept)))
        return machine.data_disks[index]


def _update(machine: VirtualMachine, data_disks: tuple[AttachedDisk, ...]) -> UpdateDisks:
    return UpdateDisks(
        vm_id=machine.vm_id,
        data_disks=data_disks,
        data_create_options=machine.data_create_options,
        etag=machine.etag,
    )


@pytest.fixture
def stage() -> Iterator[Stage]:
    clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    with running(clock=clock) as simulator:
        caller = Caller(simulator)
        with caller.session:
            token = caller.token().json()["access_token"]
        session = ArmSession(simulator.url, lambda: FakeCredential(token), clock=clock.now)
        with closing(BackupClient(session, api_version="2025-08-01")) as client:
            yield Stage(simulator, clock, client)


def refusal(call: Callable[[], object]) -> RestoreError:
    with pytest.raises(RestoreError) as caught:
        call()
    return caught.value


def test_a_data_disk_is_swapped_and_the_other_stays(stage: Stage) -> None:
    new = replace(stage.taken_from(LINUX, 0), lun=0)
    stage.simulator.world.set_faults(VM, {"replacesDisks": True})
    accepted = stage.client.deallocate_virtual_machine(VM)

    assert (stage.machine().power, stage.status(accepted)) == ("deallocating", ChangeStatus(is_running=True))
    assert stage.finish(accepted) == ChangeStatus(is_running=False)
    machine = stage.machine()
    assert (machine.power, machine.is_changing) == ("deallocated", False)

    _, kept = machine.data_disks
    assert stage.finish(stage.client.update_disks(_update(machine, (new, kept)))) == ChangeStatus(is_running=False)
    assert [disk.disk_id for disk in stage.machine().data_disks] == [new.disk_id, kept.disk_id]

    assert stage.finish(stage.client.start_virtual_machine(VM)) == ChangeStatus(is_running=False)
    assert (stage.machine().power, stage.machine().is_agent_ready) == ("running", True)


def test_changes_that_are_repeated_change_nothing(stage: Stage) -> None:
    for _ in range(2):
        stage.finish(stage.client.deallocate_virtual_machine(VM))
    before = stage.machine()

    for _ in range(2):
        machine = stage.machine()
        assert stage.finish(stage.client.update_disks(_update(machine, machine.data_disks))).error is None

    assert stage.machine().disks == before.disks
    for _ in range(2):
        assert stage.finish(stage.client.start_virtual_machine(VM)).error is None
    assert stage.machine().power == "running"


def test_a_vm_that_has_changed_since_it_was_read_is_not_overwritten(stage: Stage) -> None:
    machine = stage.machine()
    stage.finish(stage.client.update_disks(_update(machine, machine.data_disks[:1])))

    error = refusal(lambda: stage.client.update_disks(_update(machine, ())))

    assert (type(error), error.code) == (TransientError, "MachineBusy")
    assert len(stage.machine().data_disks) == 1


def test_while_the_vm_changes_a_further_change_waits(stage: Stage) -> None:
    machine = stage.machine()
    stage.client.update_disks(_update(machine, machine.data_disks[:1]))

    assert stage.machine().is_changing
    assert refusal(lambda: stage.client.deallocate_virtual_machine(VM)).code == "MachineBusy"


def test_an_operation_that_a_newer_one_ended_has_its_error(stage: Stage) -> None:
    deallocation = stage.client.deallocate_virtual_machine(VM)
    stage.client.start_virtual_machine(VM)

    found = stage.finish(deallocation)

    assert found.error is not None
    assert found.error["code"] == "OperationPreempted"


def test_a_disk_of_another_vm_is_refused_for_good(stage: Stage) -> None:
    machine, (foreign, *_) = stage.machine(), stage.machine(LINUX).data_disks

    error = refusal(lambda: stage.client.update_disks(_update(machine, (foreign,))))

    assert (type(error), error.code, error.details[0].code) == (
        TerminalError,
        "RestoreRefused",
        "ConflictingUserInput",
    )


def test_a_lock_is_listed_and_its_refusal_says_to_remove_it(stage: Stage) -> None:
    stage.simulator.world.set_lock(f"{SUBSCRIPTION}/resourceGroups/{GROUP}", "ReadOnly")

    (lock,) = stage.client.list_locks(VM)
    error = refusal(lambda: stage.client.deallocate_virtual_machine(VM))

    assert lock.forbids_changes_of(VM)
    assert (type(error), error.code) == (TerminalError, "RestoreRefused")
    assert "Remove the ReadOnly lock" in error.message


def test_a_missing_permission_names_the_role(stage: Stage) -> None:
    stage.simulator.world.deny(VM, ["Microsoft.Compute/virtualMachines/start/action"])

    error = refusal(lambda: stage.client.start_virtual_machine(VM))

    assert error.is_forbidden
    assert "SwapDisks" in error.message


def test_a_disk_keeps_its_tags_when_others_are_added(stage: Stage) -> None:
    disk_id = stage.machine().os_disk.disk_id

    stage.client.merge_tags(disk_id, {"restore-id": "r-1"})
    stage.client.merge_tags(disk_id, {"replaced-on": "2026-11-20"})

    tagged = stage.simulator.world.store.get(disk_id)
    assert tagged is not None
    assert {"restore-id": "r-1", "replaced-on": "2026-11-20"}.items() <= tagged["tags"].items()
    found = stage.client.get_disk(disk_id).value
    assert found is not None
    assert found.is_os_disk


def test_a_disk_that_does_not_exist_is_none(stage: Stage) -> None:
    assert stage.client.get_disk(f"{stage.machine().os_disk.disk_id}-2").value is None


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("swap-ephemeral-01", {"is_os_disk_ephemeral": True}),
        ("swap-encrypted-01", {"has_guest_encryption": True}),
        ("swap-trusted-01", {"security_type": "TrustedLaunch"}),
        ("swap-gen1-01", {"generation": "V1"}),
        ("swap-zonal-01", {"zone": "2"}),
        ("swap-north-01", {"location": "northeurope"}),
        ("swap-linux-01", {"os_type": "Linux"}),
    ],
)
def test_what_speaks_against_a_swap_is_read(stage: Stage, name: str, facts: dict[str, object]) -> None:
    ordinary, machine = stage.machine(), stage.machine(vm_id(name, GROUP))

    assert {fact: getattr(machine, fact) for fact in facts} == facts
    assert all(getattr(ordinary, fact) != value for fact, value in facts.items())
