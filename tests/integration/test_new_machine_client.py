"""The activities and the client against the simulator: a VM of restored disks, both ways, and disks for another VM."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken

from activities.new_machines import NewMachineActivities
from arm.backup import BackupClient
from arm.blobs import BlobReader
from arm.session import ArmSession
from domain.answers import Answer
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import RestoreError
from domain.follow_up.attachment_calls import AttachDisks, DeleteDisk, DiskDeletion
from domain.follow_up.creation_calls import (
    DeployTemplate,
    DiskPlace,
    GetDeployment,
    GetNetworkInterface,
    PutNetworkInterface,
    PutVirtualMachine,
)
from simulator.clock import ManualClock
from simulator.server import Simulator, running
from tests.conformance.caller import TARGET_GROUP, Caller, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.azure.disks import Disk
    from domain.restore.calls import ActivityCall

VM = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-new"
INTERFACE = f"{TARGET_GROUP}/providers/Microsoft.Network/networkInterfaces/web-01-new-nic"
NETWORK = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/restored-vnet"
SUBNET = f"{NETWORK}/subnets/default"
OTHER_VM = vm_id("web-02")


@dataclass(frozen=True)
class Identity:
    """Asks the simulator's identity endpoint for a token of the audience that is wanted."""

    caller: Caller

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        answer = self.caller.token(resource=scopes[0].removesuffix("/.default")).json()
        return AccessToken(answer["access_token"], int(answer["expires_on"]))


class Stage:
    def __init__(self, simulator: Simulator, clock: ManualClock, caller: Caller) -> None:
        self.simulator, self.clock, self.caller = simulator, clock, caller
        session = ArmSession(simulator.url, lambda: Identity(caller), clock=clock.now)
        blobs = BlobReader(simulator.url, lambda: Identity(caller), clock=clock.now)
        self.client = BackupClient(session, api_version="2025-08-01", blobs=blobs)
        self.activities = NewMachineActivities(self.client, clock=clock.now).by_name()
        self.job_id = caller.restored_job("web-01", targetResourceGroupId=TARGET_GROUP)
        clock.advance(7200)
        self.bag = caller.job(self.job_id)["extendedInfo"]["propertyBag"]
        disks = [disk for disk in self.client.list_disks(TARGET_GROUP) if disk.is_made_by(self.job_id)]
        self.disks = sorted(disks, key=lambda disk: (not disk.is_os_disk, disk.name))

    def answer(self, call: ActivityCall) -> Any:
        found = unseal(call, self.activities[call.name](pack(call)))
        assert isinstance(found, Answer), found
        return found.value

    def refusal(self, call: ActivityCall) -> RestoreError:
        found = unseal(call, self.activities[call.name](pack(call)))
        assert isinstance(found, RestoreError)
        return found

    @property
    def disk_ids(self) -> list[str]:
        return [_id(disk) for disk in self.disks]

    def deployment(self, **changes: Any) -> DeployTemplate:
        call = DeployTemplate(
            restore_id="r-1",
            deployment="restore-r-1",
            account="stagingweu",
            template_uri=self.bag["Create VM Template Blob Uri"],
            vm_id=VM,
            subnet_id=SUBNET,
            os_disk_id=self.disk_ids[0],
            disk_ids=tuple(self.disk_ids),
        )
        return replace(call, **changes)

    def machine(self, **changes: Any) -> PutVirtualMachine:
        os_disk, *data_disks = self.disks
        call = PutVirtualMachine(
            restore_id="r-1",
            vm_id=VM,
            location=os_disk.location or "",
            size="Standard_D4s_v5",
            os_disk_id=_id(os_disk),
            os_type=os_disk.os_type or "",
            security_type=os_disk.security_type,
            zone=os_disk.zone,
            interface_id=INTERFACE,
            data_disks=tuple(DiskPlace(lun=lun, disk_id=_id(disk)) for lun, disk in enumerate(data_disks)),
            tags={"team": "web"},
        )
        return replace(call, **changes)

    def interface(self, **changes: Any) -> PutNetworkInterface:
        call = PutNetworkInterface(
            restore_id="r-1", interface_id=INTERFACE, location="westeurope", subnet_id=SUBNET, tags={"team": "web"}
        )
        return replace(call, **changes)

    def stored(self, resource_id: str) -> dict[str, Any]:
        body = self.simulator.world.store.get(resource_id)
        assert body is not None
        return dict(body)

    def make_machine(self) -> None:
        self.answer(self.interface())
        self.clock.advance(60)
        self.answer(self.machine())
        self.clock.advance(60)
        self.client.get_virtual_machine(VM)  # the simulator settles what has ended when it is asked

    def writes(self) -> list[str]:
        return [record.method for record in self.simulator.world.requests if record.method in {"PUT", "DELETE"}]


def _id(disk: Disk) -> str:
    assert disk.disk_id is not None
    return disk.disk_id


@pytest.fixture
def stage() -> Iterator[Stage]:
    clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    with running(clock=clock) as simulator:
        caller = Caller(simulator)
        with caller.session:
            made = Stage(simulator, clock, caller)
            with closing(made.client):
                yield made


class TestTheTemplate:
    def test_makes_the_vm_of_the_jobs_disks(self, stage: Stage) -> None:
        deployed = stage.answer(stage.deployment())

        stage.clock.advance(600)
        deployment = stage.answer(GetDeployment(group_id=TARGET_GROUP, deployment="restore-r-1")).deployment
        assert (deployment.is_running, deployment.error) == (False, None)
        assert sorted(deployment.made) == sorted(deployed.resource_ids)
        machine = stage.client.get_virtual_machine(VM).value
        assert (machine.power, machine.restore_id) == ("running", "r-1")
        assert [disk.disk_id for disk in machine.disks] == stage.disk_ids

    def test_runs_once_however_often_it_is_deployed(self, stage: Stage) -> None:
        first = stage.answer(stage.deployment())

        assert stage.answer(stage.deployment()) == first
        stage.clock.advance(600)
        assert stage.answer(stage.deployment()) == first
        assert stage.writes() == ["PUT"]

    def test_is_not_deployed_over_what_another_restore_has_made(self, stage: Stage) -> None:
        stage.answer(stage.deployment())
        stage.clock.advance(600)

        error = stage.refusal(stage.deployment(restore_id="r-2", deployment="restore-r-2"))

        assert error.code == "RestoreRefused"
        assert "exists already" in error.message
        assert stage.writes() == ["PUT"]

    def test_that_is_not_there_yet_is_no_deployment(self, stage: Stage) -> None:
        assert stage.answer(GetDeployment(group_id=TARGET_GROUP, deployment="restore-r-1")).deployment is None

    def test_of_another_account_is_not_read(self, stage: Stage) -> None:
        uri = stage.bag["Create VM Template Blob Uri"].replace("stagingweu", "otheraccount")

        assert "not in storage account stagingweu" in stage.refusal(stage.deployment(template_uri=uri)).message

    def test_with_disks_of_another_job_is_refused(self, stage: Stage) -> None:
        assert stage.refusal(stage.deployment(disk_ids=(f"{stage.disk_ids[0]}-2",))).code == "TemplateRefused"

    def test_that_fails_says_why(self, stage: Stage) -> None:
        stage.answer(stage.deployment())
        stage.simulator.world.store.remove(stage.disk_ids[0])

        stage.clock.advance(600)
        deployment = stage.answer(GetDeployment(group_id=TARGET_GROUP, deployment="restore-r-1")).deployment

        assert not deployment.is_running
        assert deployment.error["code"] == "NotFound"
        assert "is not found" in deployment.error["message"]

    def test_without_a_role_for_the_data_names_the_role(self, stage: Stage) -> None:
        action = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
        stage.simulator.world.deny("/", [action])

        error = stage.refusal(stage.deployment())

        assert error.is_forbidden
        assert "Storage Blob Data Reader" in error.message


class TestTheOwnWay:
    def test_makes_an_interface_and_a_vm(self, stage: Stage) -> None:
        stage.answer(stage.interface())
        assert stage.answer(GetNetworkInterface(interface_id=INTERFACE)).resource.is_changing

        stage.clock.advance(60)
        resource = stage.answer(GetNetworkInterface(interface_id=INTERFACE)).resource
        assert (resource.is_changing, resource.has_failed, resource.restore_id) == (False, False, "r-1")
        accepted = stage.answer(stage.machine())
        assert stage.client.get_virtual_machine(VM).value.is_changing
        stage.clock.advance(60)

        assert stage.client.get_compute_operation(accepted.operation.url).value.error is None
        machine = stage.client.get_virtual_machine(VM).value
        assert (machine.power, machine.size, machine.restore_id) == ("running", "Standard_D4s_v5", "r-1")
        assert [disk.disk_id for disk in machine.disks] == stage.disk_ids
        assert stage.stored(VM)["tags"] == {"team": "web", "restore-id": "r-1"}

    def test_an_interface_has_the_address_that_was_asked_for(self, stage: Stage) -> None:
        stage.answer(stage.interface(private_ip_address="10.1.0.77"))

        (configuration,) = stage.stored(INTERFACE)["properties"]["ipConfigurations"]
        assert configuration["properties"]["privateIPAddress"] == "10.1.0.77"
        assert configuration["properties"]["privateIPAllocationMethod"] == "Static"

    def test_repeated_it_makes_nothing_twice(self, stage: Stage) -> None:
        stage.make_machine()
        before = stage.stored(VM)

        stage.make_machine()

        assert stage.stored(VM) == before
        assert stage.writes() == ["PUT", "PUT", "PUT"]  # the interface is put again, the VM is not

    def test_nothing_of_others_is_changed(self, stage: Stage) -> None:
        stage.make_machine()

        for call in (stage.interface(restore_id="r-2"), stage.machine(restore_id="r-2")):
            error = stage.refusal(call)
            assert error.code == "RestoreRefused"
            assert "this restore has not made it" in error.message

        assert stage.stored(VM)["tags"]["restore-id"] == "r-1"

    def test_a_vm_that_somebody_makes_at_the_same_moment_is_not_overwritten(self, stage: Stage) -> None:
        stage.make_machine()

        with pytest.raises(RestoreError, match="MachineBusy"):
            stage.client.put_virtual_machine(stage.machine(restore_id="r-2", size="Standard_B2s"))

        assert stage.client.get_virtual_machine(VM).value.size == "Standard_D4s_v5"

    def test_an_interface_that_does_not_exist_is_none(self, stage: Stage) -> None:
        assert stage.answer(GetNetworkInterface(interface_id=INTERFACE)).resource is None

    def test_a_vm_whose_creation_failed_says_so(self, stage: Stage) -> None:
        stage.answer(stage.interface())
        stage.clock.advance(60)
        stage.answer(stage.machine())
        body = stage.stored(VM)
        stage.simulator.world.store.put({**body, "properties": {**body["properties"], "provisioningState": "Failed"}})

        assert stage.client.get_virtual_machine(VM).value.has_failed


class TestAnotherVm:
    def test_gets_disks_while_it_runs_and_keeps_its_own(self, stage: Stage) -> None:
        before = stage.client.get_virtual_machine(OTHER_VM).value

        stage.answer(AttachDisks(vm_id=OTHER_VM, disk_ids=tuple(stage.disk_ids[:1])))
        stage.clock.advance(60)

        after = stage.client.get_virtual_machine(OTHER_VM).value
        assert after.power == "running"
        assert [disk.disk_id for disk in after.data_disks] == [
            *(disk.disk_id for disk in before.data_disks),
            stage.disk_ids[0],
        ]

    def test_a_disk_of_the_job_is_deleted(self, stage: Stage) -> None:
        call = DeleteDisk(disk_id=stage.disk_ids[0], job_id=stage.job_id)

        assert stage.answer(call) == DiskDeletion()
        stage.clock.advance(60)
        assert stage.client.get_disk(stage.disk_ids[0]).value is None
        assert stage.answer(call) == DiskDeletion()
        assert stage.writes() == ["DELETE"]

    def test_a_disk_of_another_job_is_not_deleted(self, stage: Stage) -> None:
        refused = stage.answer(DeleteDisk(disk_id=stage.disk_ids[0], job_id="another"))

        assert refused.refusal == "Its tag RSVaultBackup does not name job another."
        assert stage.writes() == []

    def test_a_disk_without_the_tag_is_not_deleted(self, stage: Stage) -> None:
        disk_id = stage.client.get_virtual_machine(OTHER_VM).value.os_disk.disk_id

        assert stage.answer(DeleteDisk(disk_id=disk_id, job_id=stage.job_id)).refusal is not None
        assert stage.writes() == []

    def test_a_disk_that_a_vm_has_is_not_deleted(self, stage: Stage) -> None:
        stage.answer(AttachDisks(vm_id=OTHER_VM, disk_ids=tuple(stage.disk_ids[:1])))
        stage.clock.advance(60)

        refused = stage.answer(DeleteDisk(disk_id=stage.disk_ids[0], job_id=stage.job_id))

        assert refused.refusal == f"{OTHER_VM} has it."
        assert stage.writes() == []
