"""A restore that makes a VM of its disks: what is made, and what callers see, whatever goes wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from domain import errors
from domain.azure.deployments import MadeResource
from domain.azure.jobs import JobStatus
from domain.azure.machine_sizes import MachineSize
from domain.errors import TerminalError, TransientError
from domain.restore.machine import CANCEL_EVENT
from tests.support.azure import a_point, a_restore
from tests.support.compute import Later
from tests.support.creation_world import play
from tests.support.new_machines import (
    DATA_DISK,
    DISKS,
    INTERFACE,
    NEW_VM,
    OS_DISK,
    SUBNET,
    MemoryCloud,
    a_vm,
    template_of,
)
from tests.support.player import RESTORE, Player

if TYPE_CHECKING:
    from domain.errors import Json

REFUSED: Final = TerminalError(errors.RESTORE_REFUSED, "Azure refused the request (see details).")
BUSY: Final = TransientError(errors.MACHINE_BUSY, "another operation runs")
THROTTLED: Final = TransientError(errors.SERVICE_UNAVAILABLE, "too many requests", retry_after_s=40)
SOLD_OUT: Final = TerminalError("AllocationFailed", "The size is sold out.")
OWN: Final = ["put_network_interface", "put_virtual_machine"]
DIED: Final = RuntimeError("the worker died before the call")


def creating(*, bag: Json | None = None, request: Json | None = None, **members: Any) -> tuple[Player, MemoryCloud]:
    """Return a player of a restore that makes a VM, which has not begun; ``members`` of thenCreateVirtualMachine."""
    player = Player()
    cloud = MemoryCloud.of(player)
    if bag is not None:
        player.azure.property_bag = bag
    asked = {"name": "web-02", "subnetId": SUBNET, **members}
    player.start(a_restore(**{"thenCreateVirtualMachine": asked, **(request or {})}))
    return player, cloud


def from_template(**options: Any) -> tuple[Player, MemoryCloud]:
    uri = "https://stagingweu.blob.core.windows.net/web01-6449bf5b196841f69f31a91cad72e551/azuredeploy.json"
    bag = {"Create VM Template Blob Uri": uri, "Config Blob Uri": uri, "Target Storage Account Name": "stagingweu"}
    return creating(bag=bag, template=True, **options)


def _make_theirs(cloud: MemoryCloud) -> None:
    cloud.vms[NEW_VM] = a_vm(NEW_VM, f"{DISKS}/theirs")


def made_of(shown: Json) -> Json:
    return shown["result"]["createdVirtualMachine"]


class TestOurOwnWay:
    def test_an_interface_and_a_vm_are_made_of_the_restored_disks(self) -> None:
        player, cloud = creating()

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert cloud.writes() == OWN
        vm = cloud.vms[NEW_VM]
        assert [(disk.lun, disk.disk_id) for disk in vm.disks] == [(None, OS_DISK), (0, DATA_DISK)]
        assert (vm.power, vm.size, vm.restore_id) == ("running", "Standard_D2s_v5", shown["id"])

    def test_the_result_lists_what_was_made(self) -> None:
        player, _ = creating()

        made = made_of(player.finish())

        assert made["runningTime"].endswith("Z")
        assert {**made, "runningTime": None} == {
            "id": NEW_VM,
            "state": "Created",
            "outputResources": [INTERFACE, NEW_VM],
            "deployment": None,
            "runningTime": None,
        }

    def test_the_document_shows_it_while_it_runs(self) -> None:
        player, _ = creating()

        player.finish()

        shown = [each for each in player.shown() if each["phase"] == "CreatingVirtualMachine"]
        assert {each["createdVirtualMachine"]["state"] for each in shown} == {"Creating"}
        assert "swap" not in shown[0]
        assert [phase["phase"] for phase in player.document()["phases"]][-2:] == [
            "TrackingJob",
            "CreatingVirtualMachine",
        ]

    def test_what_was_asked_for_is_passed_on(self) -> None:
        group = SUBNET.rpartition("/virtualNetworks/")[0] + "/networkSecurityGroups/closed"
        player, cloud = creating(
            size="Standard_E4s_v5",
            privateIpAddress="10.0.0.9",
            networkSecurityGroupId=group,
            licenseType="Windows_Server",
            tags={"team": "web"},
        )

        player.finish()

        interface, machine = [argument for _, name, argument in cloud.calls if name in OWN]
        assert (interface.private_ip_address, interface.network_security_group_id) == ("10.0.0.9", group)
        assert (machine.size, machine.license_type) == ("Standard_E4s_v5", "Windows_Server")
        assert (interface.tags, machine.tags) == ({"team": "web"}, {"team": "web"})
        assert (machine.location, machine.os_type, interface.location) == ("westeurope", "Linux", "westeurope")

    def test_the_vm_is_in_the_zone_and_of_the_security_of_its_disks(self) -> None:
        player, cloud = creating()
        cloud.disks[OS_DISK] = replace(cloud.disks[OS_DISK], zone="2", security_type="TrustedLaunch")

        player.finish()

        (machine,) = [argument for _, name, argument in cloud.calls if name == "put_virtual_machine"]
        assert (machine.zone, machine.security_type) == ("2", "TrustedLaunch")

    def test_with_start_false_the_vm_is_stopped_again(self) -> None:
        player, cloud = creating(start=False)

        shown = player.finish()

        assert cloud.writes() == [*OWN, "deallocate_virtual_machine"]
        assert (shown["status"], cloud.vms[NEW_VM].power) == ("Completed", "deallocated")

    def test_without_data_disks(self) -> None:
        player, cloud = creating()
        player.azure.disks = [replace(cloud.disks[OS_DISK], created=player.clock.now() + timedelta(minutes=1))]

        assert player.finish()["status"] == "Completed"
        assert cloud.vms[NEW_VM].data_disks == ()

    def test_a_disk_whose_name_does_not_say_its_lun_gets_a_free_one(self) -> None:
        player, cloud = creating()
        odd = f"{DISKS}/web01-odd"
        cloud.disks[odd] = replace(cloud.disks[DATA_DISK], disk_id=odd, name="web01-odd")
        later = player.clock.now() + timedelta(minutes=1)
        player.azure.disks = [replace(disk, created=later) for disk in cloud.disks.values()]

        player.finish()

        luns = {disk.disk_id: disk.lun for disk in cloud.vms[NEW_VM].data_disks}
        assert luns == {DATA_DISK: 0, odd: 1}

    def test_few_calls_are_made(self) -> None:
        player, cloud = creating()

        player.finish()

        assert len(cloud.calls) <= 20

    def test_azures_wait_is_obeyed(self) -> None:
        player, cloud = creating()
        cloud.fails = {"put_network_interface": [THROTTLED]}

        player.finish()

        times = [at for at, name, _ in cloud.calls if name == "put_network_interface"]
        assert times[1] - times[0] >= timedelta(seconds=40)


class TestTheTemplate:
    def test_is_deployed_once_and_makes_the_vm(self) -> None:
        player, cloud = from_template()

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert cloud.writes() == ["put_deployment"]
        made = made_of(shown)
        assert (made["state"], made["deployment"]) == ("Created", f"restore-{RESTORE}")
        assert NEW_VM in made["outputResources"]
        assert len(made["outputResources"]) == 3
        assert [disk.disk_id for disk in cloud.vms[NEW_VM].disks] == [OS_DISK, DATA_DISK]

    def test_is_read_from_the_account_of_the_request(self) -> None:
        player, cloud = from_template()

        player.finish()

        (blob,) = [argument for _, name, argument in cloud.calls if name == "read_blob"]
        assert blob[0] == "stagingweu"

    def test_that_is_not_allowed_ends_the_restore_and_makes_nothing(self) -> None:
        player, cloud = from_template()
        cloud.template = template_of(resources=[{"type": "Microsoft.Resources/deployments"}])

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "TemplateRefused")
        assert "Microsoft.Resources/deployments" in shown["error"]["message"]
        assert made_of(shown)["state"] == "NotCreated"
        assert shown["result"]["disks"]
        assert cloud.writes() == []

    def test_that_the_job_does_not_name_is_said(self) -> None:
        player, cloud = creating(bag={"Config Blob Uri": "https://x/y/z"}, template=True)

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "CreationFailed")
        assert "leave out template" in shown["error"]["message"]
        assert "No VM was made." in shown["error"]["message"]
        assert cloud.calls == []

    def test_whose_deployment_fails_says_why(self) -> None:
        player, cloud = from_template()
        cloud.fails = {"put_deployment": [Later(TerminalError("QuotaExceeded", "No cores are left."))]}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "CreationFailed")
        assert "No cores are left." in shown["error"]["message"]
        assert made_of(shown)["state"] == "Unfinished"

    def test_whose_deployment_was_lost_and_fails_lists_all_that_it_made(self) -> None:
        player, cloud = from_template()
        no_cores = TerminalError("QuotaExceeded", "No cores are left.")
        cloud.fails = {"put_deployment": [Later(no_cores, is_lost=True)]}

        made = made_of(player.finish())

        assert made["state"] == "Unfinished"
        assert set(made["outputResources"]) >= cloud.others.keys()
        assert len(cloud.others) == 2

    def test_with_start_false_the_vm_is_stopped_again(self) -> None:
        player, cloud = from_template(start=False)

        player.finish()

        assert cloud.writes() == ["put_deployment", "deallocate_virtual_machine"]

    def test_needs_no_size(self) -> None:
        player, _ = from_template()

        player.finish()

        assert player.azure.calls["get_virtual_machine"] == 1  # the new VM, which must not be there


class TestWhatIsThereAlready:
    def test_a_vm_of_this_name_is_found_before_anything_is_restored(self) -> None:
        player, cloud = creating()
        player.azure.other_machines[NEW_VM] = {**player.azure.machine, "id": NEW_VM}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "ValidationFailed")
        assert "exists already" in shown["error"]["message"]
        assert player.azure.jobs == []
        assert cloud.calls == []

    def test_a_vm_that_somebody_makes_meanwhile_is_not_changed(self) -> None:
        player, cloud = creating()
        cloud.vms[NEW_VM] = before = a_vm(NEW_VM, f"{DISKS}/theirs")

        shown = player.finish()

        assert "this restore has not made it" in shown["error"]["message"]
        assert made_of(shown)["state"] == "NotCreated"
        assert cloud.vms[NEW_VM] == before
        assert cloud.writes() == []

    def test_what_somebody_made_after_a_call_that_failed_is_not_listed_as_ours(self) -> None:
        player, cloud = creating()
        cloud.fails = {"put_virtual_machine": [BUSY]}
        cloud.before["put_virtual_machine"] = [lambda: _make_theirs(cloud)]

        shown = player.finish()

        assert "this restore has not made it" in shown["error"]["message"]
        assert made_of(shown)["outputResources"] == [INTERFACE]

    def test_what_somebody_made_after_a_template_that_was_not_read_is_not_listed_as_ours(self) -> None:
        player, cloud = from_template()
        cloud.fails = {"read_blob": [THROTTLED]}
        cloud.before["read_blob"] = [lambda: _make_theirs(cloud)]

        shown = player.finish()

        assert "this restore has not made it" in shown["error"]["message"]
        assert (made_of(shown)["state"], made_of(shown)["outputResources"]) == ("NotCreated", [])

    def test_a_template_that_cannot_be_read_made_nothing(self) -> None:
        player, cloud = from_template()
        cloud.fails = {"read_blob": [THROTTLED] * 1000}
        cloud.before["read_blob"] = [dict, lambda: _make_theirs(cloud)]

        shown = player.finish()

        assert (made_of(shown)["state"], made_of(shown)["outputResources"]) == ("NotCreated", [])

    def test_an_interface_of_somebody_else_is_not_changed(self) -> None:
        player, cloud = creating()
        cloud.others[INTERFACE] = MadeResource(is_changing=False, has_failed=False, restore_id="another")

        shown = player.finish()

        assert "this restore has not made it" in shown["error"]["message"]
        assert cloud.writes() == []

    def test_a_disk_that_another_vm_has_is_not_taken(self) -> None:
        player, cloud = creating()
        cloud.vms["/other"] = a_vm("/other", f"{DISKS}/theirs", (0, DATA_DISK))

        shown = player.finish()

        assert "is attached to /other" in shown["error"]["message"]
        assert cloud.writes() == []

    def test_a_disk_that_is_gone_is_named(self) -> None:
        player, cloud = creating()
        del cloud.disks[DATA_DISK]

        shown = player.finish()

        assert DATA_DISK in shown["error"]["message"]
        assert cloud.writes() == []

    def test_a_vm_that_somebody_deletes_again_is_not_made_again(self) -> None:
        player, cloud = creating()
        cloud.before = {"get_virtual_machine": [dict, dict, lambda: cloud.vms.pop(NEW_VM)]}

        shown = player.finish()

        assert "deleted" in shown["error"]["message"]
        assert cloud.writes() == OWN


class TestWhatIsCheckedBefore:
    def test_a_size_without_room_for_the_disks_makes_nothing(self) -> None:
        player, cloud = creating()
        player.azure.sizes = [MachineSize(name="Standard_D2s_v5", max_data_disks=0)]

        shown = player.finish()

        assert shown["error"]["code"] == "CreationFailed"
        assert "has room for 0 more data disks, and it would get 1" in shown["error"]["message"]
        assert cloud.writes() == []

    def test_the_size_is_that_of_the_backed_up_vm(self) -> None:
        player, cloud = creating()
        player.azure.machine["properties"]["hardwareProfile"]["vmSize"] = "Standard_E8s_v5"

        player.finish()

        assert cloud.vms[NEW_VM].size == "Standard_E8s_v5"

    def test_without_the_backed_up_vm_the_size_is_needed(self) -> None:
        player, _ = creating()
        player.azure.fails["get_virtual_machine"] = [None, TerminalError(errors.NOT_FOUND, "gone")]

        shown = player.finish()

        assert shown["error"]["code"] == "ValidationFailed"
        assert shown["error"]["details"][0]["target"] == "thenCreateVirtualMachine.size"
        assert player.azure.jobs == []

    def test_with_a_size_the_backed_up_vm_is_not_read(self) -> None:
        player, _ = creating(size="Standard_B2s")

        player.finish()

        assert player.azure.calls["get_virtual_machine"] == 1

    def test_zone_redundant_disks_fit_every_zone(self) -> None:
        player, cloud = creating(zone="1", request={"zones": ["1"]})
        player.azure.points = [a_point(recoveryPointTierDetails=[{"type": "HardenedRP", "status": "Valid"}])]
        cloud.disks[OS_DISK] = replace(cloud.disks[OS_DISK], is_zone_redundant=True)

        shown = player.finish()

        (machine,) = [argument for _, name, argument in cloud.calls if name == "put_virtual_machine"]
        assert (shown["status"], machine.zone) == ("Completed", "1")

    def test_a_zone_that_the_disks_are_not_in_is_refused(self) -> None:
        player, cloud = creating(zone="1", request={"zones": ["1"]})
        player.azure.points = [a_point(recoveryPointTierDetails=[{"type": "HardenedRP", "status": "Valid"}])]

        shown = player.finish()

        assert "The disks are in no zone, and a VM in zone 1 cannot have them." in shown["error"]["message"]
        assert cloud.writes() == []

    def test_unmanaged_disks_are_refused(self) -> None:
        player, _ = creating()
        player.azure.points = [a_point(isManagedVirtualMachine=False)]

        shown = player.finish()

        assert [detail["target"] for detail in shown["error"]["details"]] == ["restoreWithManagedDisks"]
        assert player.azure.jobs == []

    def test_a_confidential_vm_needs_the_template(self) -> None:
        player, cloud = creating()
        cloud.disks[OS_DISK] = replace(
            cloud.disks[OS_DISK], security_type="ConfidentialVM_DiskEncryptedWithPlatformKey"
        )

        assert "give template true" in player.finish()["error"]["message"]
        assert cloud.writes() == []

    def test_a_plan_shows_the_calls(self) -> None:
        player, cloud = creating(request={"dryRun": True}, start=False)

        follow_up = player.finish()["result"]["plan"]["followUp"]

        assert [(call["method"], call["path"]) for call in follow_up] == [
            ("PUT", INTERFACE),
            ("PUT", NEW_VM),
            ("POST", f"{NEW_VM}/deallocate"),
        ]
        assert follow_up[1]["body"]["properties"]["hardwareProfile"] == {"vmSize": "Standard_D2s_v5"}
        assert cloud.calls == []

    def test_a_plan_with_the_template_shows_the_deployment(self) -> None:
        player, _ = from_template(request={"dryRun": True})

        (call,) = player.finish()["result"]["plan"]["followUp"]

        assert call["path"].endswith("/deployments/restore-{id}")


def test_after_a_job_with_warnings_no_vm_is_made() -> None:
    player, cloud = creating()
    player.azure.job_end = JobStatus.COMPLETED_WITH_WARNINGS

    shown = player.finish()

    assert (shown["status"], shown["error"]["code"]) == ("Failed", "CreationFailed")
    assert "completed with warnings" in shown["error"]["message"]
    assert cloud.calls == []


class TestWhatGoesWrong:
    @pytest.mark.parametrize("name", ["put_network_interface", "put_virtual_machine"])
    @pytest.mark.parametrize("fate", ["lost", "died", BUSY, THROTTLED, DIED], ids=str)
    def test_once_changes_nothing(self, name: str, fate: Any) -> None:
        player, cloud = creating()
        cloud.fails = {name: [fate]}

        shown = player.finish()

        assert (shown["status"], made_of(shown)["state"]) == ("Completed", "Created")
        assert cloud.writes().count("put_virtual_machine") <= 2
        assert len(cloud.vms) == 2

    @pytest.mark.parametrize("fate", ["lost", "died", BUSY, THROTTLED, DIED], ids=str)
    def test_once_with_the_template(self, fate: Any) -> None:
        player, cloud = from_template()
        cloud.fails = {"put_deployment": [fate]}

        shown = player.finish()

        assert (shown["status"], made_of(shown)["state"]) == ("Completed", "Created")

    @pytest.mark.parametrize("name", [*OWN, "put_deployment"])
    def test_an_answer_that_is_lost_after_half_an_hour_of_failures_is_not_taken_for_one_more(self, name: str) -> None:
        player, cloud = from_template() if name == "put_deployment" else creating()
        cloud.fails = {name: [*[DIED] * 11, "died"]}

        shown = player.finish()

        assert (shown["status"], made_of(shown)["state"]) == ("Completed", "Created")
        assert cloud.writes().count(name) == 12

    @pytest.mark.parametrize("name", OWN)
    def test_a_refusal_ends_it_at_once(self, name: str) -> None:
        player, cloud = creating()
        cloud.fails = {name: [REFUSED]}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "CreationFailed")
        assert "Azure refused the request" in shown["error"]["message"]
        assert made_of(shown)["outputResources"] == ([] if name == OWN[0] else [INTERFACE])
        assert cloud.writes() == OWN[: OWN.index(name) + 1]

    def test_a_vm_whose_creation_fails_says_why(self) -> None:
        player, cloud = creating()
        cloud.fails = {"put_virtual_machine": [Later(SOLD_OUT)]}

        shown = player.finish()

        assert "The size is sold out." in shown["error"]["message"]
        assert made_of(shown)["state"] == "Unfinished"
        assert made_of(shown)["outputResources"] == [INTERFACE, NEW_VM]

    @pytest.mark.parametrize("operation", [[], [TerminalError(errors.AUTHORIZATION_FAILED, "may not read it")]])
    def test_a_vm_that_runs_without_an_extension_is_made(self, operation: list[Exception]) -> None:
        player, cloud = creating()
        failure = TerminalError("VMExtensionProvisioningError", "The extension of a policy has failed.")
        cloud.fails = {"put_virtual_machine": [Later(failure, shows=True)], "get_compute_operation": operation}

        shown = player.finish()

        assert (shown["status"], made_of(shown)["state"]) == ("CompletedWithWarnings", "Created")
        assert "The extension of a policy has failed." in shown["warnings"][0]["message"]

    def test_a_vm_whose_creation_failed_without_an_operation_to_ask(self) -> None:
        player, cloud = creating()
        cloud.fails = {
            "put_virtual_machine": [Later(SOLD_OUT)],
            "get_compute_operation": [TerminalError(errors.NOT_FOUND, "expired")],
        }

        shown = player.finish()

        assert "activity log" in shown["error"]["message"]

    def test_what_may_have_been_made_by_a_lost_call_is_listed(self) -> None:
        player, cloud = creating()
        cloud.fails = {"put_network_interface": ["lost"], "get_made_resource": [None, None, *[REFUSED] * 200]}

        shown = player.finish()

        assert made_of(shown)["outputResources"] == [INTERFACE]
        assert f"Only what has the tag restore-id {RESTORE} was made by this restore." in shown["error"]["message"]

    def test_the_vm_of_a_template_whose_deployment_was_lost_is_listed(self) -> None:
        player, cloud = from_template()
        cloud.fails = {"put_deployment": ["lost"], "get_deployment": [None, None, *[REFUSED] * 200]}

        shown = player.finish()

        assert (made_of(shown)["state"], made_of(shown)["outputResources"]) == ("Unfinished", [NEW_VM])

    def test_a_reading_that_is_forbidden_for_a_while_does_not_end_what_was_begun(self) -> None:
        player, cloud = creating()
        cloud.fails = {"get_made_resource": [None, None, REFUSED, REFUSED]}

        assert player.finish()["status"] == "Completed"

    def test_a_vm_that_azure_does_not_show_at_once_is_not_made_again(self) -> None:
        player, cloud = creating()
        cloud.lags_s = 100.0
        cloud.fails = {"get_compute_operation": [TerminalError(errors.NOT_FOUND, "expired")] * 9}

        shown = player.finish()

        assert (shown["status"], cloud.writes()) == ("Completed", OWN)

    def test_an_interface_whose_creation_fails(self) -> None:
        player, cloud = creating()
        cloud.fails = {"put_network_interface": [Later(TerminalError("InternalServerError", "m"))]}

        shown = player.finish()

        assert f"did not make the interface {INTERFACE}" in shown["error"]["message"]

    def test_a_throttled_call_is_given_up_after_half_an_hour(self) -> None:
        player, cloud = creating()
        cloud.fails = {"put_network_interface": [BUSY] * 1000}

        shown = player.finish()

        times = [at for at, name, _ in cloud.calls if name == "put_network_interface"]
        assert shown["status"] == "Failed"
        assert timedelta(minutes=30) <= times[-1] - times[0] <= timedelta(minutes=36)

    def test_a_vm_that_changes_for_hours_is_given_up(self) -> None:
        player, cloud = creating()
        cloud.vms[NEW_VM] = replace(a_vm(NEW_VM, OS_DISK), restore_id=RESTORE, is_changing=True)

        shown = player.finish()

        assert "within two hours" in shown["error"]["message"]

    def test_an_old_reading_does_not_make_two_vms(self) -> None:
        player, cloud = creating()
        cloud.lags_s, cloud.fails = 30.0, {"put_virtual_machine": ["lost", None]}

        shown = player.finish()

        assert (shown["status"], len(cloud.vms)) == ("Completed", 2)

    def test_a_vm_that_was_stopped_meanwhile_is_started(self) -> None:
        player, cloud = creating()
        cloud.vms[NEW_VM] = replace(a_vm(NEW_VM, OS_DISK, (0, DATA_DISK)), restore_id=RESTORE, power="deallocated")

        shown = player.finish()

        assert (shown["status"], cloud.writes()) == ("Completed", ["start_virtual_machine"])

    def test_a_start_that_azure_does_not_bring_to_its_end(self) -> None:
        player, cloud = creating()
        cloud.vms[NEW_VM] = replace(a_vm(NEW_VM, OS_DISK, (0, DATA_DISK)), restore_id=RESTORE, power="deallocated")
        cloud.fails = {"start_virtual_machine": [Later(SOLD_OUT)]}

        assert "sold out" in player.finish()["error"]["message"]

    def test_an_operation_that_another_one_ended_is_repeated(self) -> None:
        player, cloud = creating(start=False)
        cloud.fails = {"deallocate_virtual_machine": [Later(TerminalError("OperationPreempted", "m"))]}

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert cloud.writes().count("deallocate_virtual_machine") == 2


class TestCancelling:
    def test_before_anything_is_made_ends_it(self) -> None:
        player, cloud = creating()
        cloud.before = {"get_disk": [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Cancelled", "RestoreCancelled")
        assert "no VM was made" in shown["error"]["message"]
        assert cloud.writes() == []

    @pytest.mark.parametrize("name", OWN)
    def test_while_something_is_made_comes_too_late(self, name: str) -> None:
        player, cloud = creating()
        cloud.before = {name: [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]}

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert [warning["code"] for warning in shown["warnings"]] == ["CancelledTooLate"]
        assert NEW_VM in cloud.vms


@pytest.mark.parametrize("block", range(4))
def test_whatever_goes_wrong_nothing_of_others_is_changed_and_all_is_said(block: int) -> None:
    ends = {play(seed) for seed in range(block * 60, block * 60 + 60)}

    assert len(ends) >= 4
