"""The activities of new VMs over a client that notes its calls: what they ask before they change anything."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from activities.new_machines import NewMachineActivities
from domain.answers import Accepted, Answer
from domain.azure.deployments import Deployment, MadeResource
from domain.azure.disks import Disk
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import ErrorDetail, RestoreError, TerminalError
from domain.follow_up.attachment_calls import AttachDisks, DeleteDisk, DiskDeletion
from domain.follow_up.calls import ChangeAccepted
from domain.follow_up.creation_calls import (
    Deployed,
    DeployTemplate,
    FoundDeployment,
    FoundResource,
    GetDeployment,
    GetNetworkInterface,
    PutNetworkInterface,
    PutVirtualMachine,
)
from domain.restore.answers import AcceptedOperation
from simulator.providers.resources.restored_vm_template import restored_vm_template
from tests.support.hub import START

if TYPE_CHECKING:
    from domain.restore.calls import ActivityCall

GROUP: Final = "/subscriptions/s/resourceGroups/restored-rg"
NETWORKING: Final = f"{GROUP}/providers/Microsoft.Network"
VM: Final = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web-02"
INTERFACE: Final = f"{NETWORKING}/networkInterfaces/web-02-nic"
OS_DISK: Final = f"{GROUP}/providers/Microsoft.Compute/disks/os"
URL: Final = "https://management.azure.com/operations/op-1"
ACCEPTED: Final = Accepted(operation_id="op-1", url=URL, retry_after_s=7)
TEMPLATE: Final = json.dumps(
    restored_vm_template(
        location="westeurope", vm_size="Standard_B2s", os_type="Linux", disks_group="restored-rg", os_disk="os"
    )
).encode()
DEPLOY: Final = DeployTemplate(
    restore_id="r-1",
    deployment="restore-r-1",
    account="stagingweu",
    template_uri="https://stagingweu.blob.core.windows.net/c/azuredeploy.json",
    vm_id=VM,
    subnet_id=f"{NETWORKING}/virtualNetworks/hub/subnets/test",
    os_disk_id=OS_DISK,
    disk_ids=(OS_DISK,),
)
PUT_INTERFACE: Final = PutNetworkInterface(
    restore_id="r-1", interface_id=INTERFACE, location="westeurope", subnet_id=DEPLOY.subnet_id
)
PUT_MACHINE: Final = PutVirtualMachine(
    restore_id="r-1",
    vm_id=VM,
    location="westeurope",
    size="Standard_B2s",
    os_disk_id=OS_DISK,
    os_type="Linux",
    interface_id=INTERFACE,
)
OURS: Final = Answer(MadeResource(is_changing=False, has_failed=False, restore_id="r-1"))
FOREIGN: Final = Answer(MadeResource(is_changing=False, has_failed=False, restore_id=None))
MISSING: Final = Answer[Any](None)


class Azure:
    """Answers what it is given, by the name of the call."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.asked.append((name, *arguments))
            answer = self.answers[name]
            if isinstance(answer, RestoreError):
                raise answer
            return answer

        return call

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.asked]


def run(azure: Azure, call: ActivityCall) -> Any:
    activities = NewMachineActivities(cast("Any", azure), clock=lambda: START.astimezone(UTC))
    return unseal(call, activities.by_name()[call.name](pack(call)))


def a_deploying_azure(**answers: Any) -> Azure:
    usual = {
        "read_blob": TEMPLATE,
        "get_deployment": MISSING,
        "get_made_resource": MISSING,
        "put_deployment": ACCEPTED,
    }
    return Azure(**{**usual, **answers})


class TestDeployTemplate:
    def test_looks_at_all_that_it_would_make_before_it_deploys(self) -> None:
        azure = a_deploying_azure()

        answer = run(azure, DEPLOY)

        made = (VM, f"{NETWORKING}/networkInterfaces/web-02-nic-web-02", f"{NETWORKING}/publicIPAddresses/web-02-ip")
        assert answer == Answer(Deployed(resource_ids=made), 7)
        assert azure.asked[:2] == [
            ("read_blob", "stagingweu", DEPLOY.template_uri),
            ("get_deployment", GROUP, "restore-r-1"),
        ]
        assert azure.asked[2:5] == [("get_made_resource", resource_id) for resource_id in made]
        assert azure.asked[5][:3] == ("put_deployment", GROUP, "restore-r-1")

    def test_sends_no_expression(self) -> None:
        azure = a_deploying_azure()
        run(azure, DEPLOY)

        assert '"[' not in json.dumps(azure.asked[-1][3])

    @pytest.mark.parametrize("found", [Deployment(is_running=True), Deployment(is_running=False, made=(VM,))])
    def test_does_nothing_for_a_deployment_that_is_there(self, found: Deployment) -> None:
        azure = a_deploying_azure(get_deployment=Answer(found))

        assert isinstance(run(azure, DEPLOY).value, Deployed)
        assert azure.names == ["read_blob", "get_deployment"]

    def test_goes_on_over_what_this_restore_has_made(self) -> None:
        azure = a_deploying_azure(get_made_resource=OURS)
        run(azure, DEPLOY)

        assert "put_deployment" in azure.names

    def test_changes_nothing_of_others(self) -> None:
        azure = a_deploying_azure(get_made_resource=FOREIGN)

        assert run(azure, DEPLOY).code == "RestoreRefused"
        assert "put_deployment" not in azure.names

    def test_of_a_hostile_template_asks_nothing_more(self) -> None:
        azure = a_deploying_azure(read_blob=b'{"resources": [{"type": "Microsoft.Resources/deployments"}]}')

        assert run(azure, DEPLOY).code == "TemplateRefused"
        assert azure.names == ["read_blob"]

    def test_that_another_delivery_has_just_deployed_is_no_error(self) -> None:
        active = TerminalError("RestoreRefused", "m", [ErrorDetail(code="DeploymentActive", message="m")])

        assert isinstance(run(a_deploying_azure(put_deployment=active), DEPLOY).value, Deployed)

    def test_that_azure_refuses_is_an_error(self) -> None:
        invalid = TerminalError("RestoreRefused", "m", [ErrorDetail(code="InvalidTemplate", message="m")])

        assert run(a_deploying_azure(put_deployment=invalid), DEPLOY).code == "RestoreRefused"


class TestReading:
    @pytest.mark.parametrize("found", [None, Deployment(is_running=True)])
    def test_a_deployment(self, found: Deployment | None) -> None:
        call = GetDeployment(group_id=GROUP, deployment="restore-r-1")

        assert run(Azure(get_deployment=Answer(found, 5)), call) == Answer(FoundDeployment(deployment=found), 5)

    @pytest.mark.parametrize("found", [MISSING, OURS])
    def test_an_interface(self, found: Answer[Any]) -> None:
        call = GetNetworkInterface(interface_id=INTERFACE)

        assert run(Azure(get_made_resource=found), call) == Answer(FoundResource(resource=found.value))


class TestMaking:
    def test_an_interface_may_be_made_again(self) -> None:
        for found in (MISSING, OURS):
            azure = Azure(get_made_resource=found, put_network_interface=ACCEPTED)
            operation = AcceptedOperation(operation_id="op-1", url=URL)
            assert run(azure, PUT_INTERFACE) == Answer(ChangeAccepted(operation=operation), 7)
            assert azure.asked[0] == ("get_made_resource", INTERFACE)

    def test_a_vm_is_made_once(self) -> None:
        azure = Azure(get_made_resource=OURS)

        assert run(azure, PUT_MACHINE) == Answer(ChangeAccepted())
        assert azure.names == ["get_made_resource"]

    def test_a_vm_that_is_not_there_is_made(self) -> None:
        azure = Azure(get_made_resource=MISSING, put_virtual_machine=ACCEPTED)

        run(azure, PUT_MACHINE)

        assert azure.asked == [("get_made_resource", VM), ("put_virtual_machine", PUT_MACHINE)]

    @pytest.mark.parametrize("call", [PUT_INTERFACE, PUT_MACHINE], ids=lambda call: call.name)
    @pytest.mark.parametrize("tag", [None, "r-2", ""])
    def test_nothing_of_others_is_changed(self, call: ActivityCall, tag: str | None) -> None:
        azure = Azure(get_made_resource=Answer(MadeResource(is_changing=False, has_failed=False, restore_id=tag)))

        error = run(azure, call)

        assert (error.code, azure.names) == ("RestoreRefused", ["get_made_resource"])


class TestDisks:
    DELETE: Final = DeleteDisk(disk_id=OS_DISK, job_id="job-1")

    def test_are_attached(self) -> None:
        azure = Azure(attach_disks=ACCEPTED)

        run(azure, AttachDisks(vm_id=VM, disk_ids=(OS_DISK,)))

        assert azure.asked == [("attach_disks", VM, (OS_DISK,))]

    def test_of_the_job_are_deleted(self) -> None:
        disk = Disk(name="os", is_os_disk=True, disk_id=OS_DISK, made_by_job="job-1")
        azure = Azure(get_disk=Answer(disk), delete_disk=ACCEPTED)

        assert run(azure, self.DELETE) == Answer(DiskDeletion(), 7)
        assert azure.asked == [("get_disk", OS_DISK), ("delete_disk", OS_DISK)]

    def test_that_are_gone_are_not_deleted_again(self) -> None:
        azure = Azure(get_disk=MISSING)

        assert run(azure, self.DELETE) == Answer(DiskDeletion())

    @pytest.mark.parametrize(
        "members",
        [{}, {"made_by_job": "job-2"}, {"made_by_job": "job-11"}, {"made_by_job": "job-1", "attached_to": VM}],
    )
    def test_of_others_stay(self, members: dict[str, Any]) -> None:
        azure = Azure(get_disk=Answer(Disk(name="os", is_os_disk=True, disk_id=OS_DISK, **members)))

        assert run(azure, self.DELETE).value.refusal is not None
        assert azure.names == ["get_disk"]
