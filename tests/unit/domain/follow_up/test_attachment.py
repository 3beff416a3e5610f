"""A restore that attaches its disks to another VM, lists the others, and deletes them only where that was asked for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from domain import errors
from domain.azure.machine_sizes import MachineSize
from domain.errors import ErrorDetail, TerminalError, TransientError
from domain.restore.machine import CANCEL_EVENT
from tests.support.azure import a_restore
from tests.support.compute import Later
from tests.support.new_machines import DATA_DISK, DISKS, OS_DISK, RECOVERY_VM, MemoryCloud, a_disk, a_vm
from tests.support.player import Player

if TYPE_CHECKING:
    from domain.errors import Json

REFUSED: Final = TerminalError(errors.RESTORE_REFUSED, "Azure refused the request (see details).")
BUSY: Final = TransientError(errors.MACHINE_BUSY, "another operation runs")
DIED: Final = RuntimeError("the worker died before the call")


def attaching(*, request: Json | None = None, **members: Any) -> tuple[Player, MemoryCloud]:
    """Return a player of a restore that attaches disks, which has not begun; ``members`` of thenAttachDisks."""
    player = Player()
    cloud = MemoryCloud.of(player)
    player.azure.other_machines[RECOVERY_VM] = {**player.azure.machine, "id": RECOVERY_VM}
    # The job is the first one, whose name the scripted service gives.
    cloud.before = {"attach_disks": [lambda: cloud.job_made(player.azure.jobs[0].job_id)] * 50}
    player.start(a_restore(**{"thenAttachDisks": {"virtualMachineId": RECOVERY_VM, **members}, **(request or {})}))
    return player, cloud


def attachment_of(shown: Json) -> Json:
    return shown["result"]["attachment"]


def test_without_room_for_the_disks_nothing_is_attached_or_deleted() -> None:
    player, cloud = attaching(deleteOthers=True)
    player.azure.sizes = [MachineSize(name="Standard_D2s_v5", max_data_disks=1)]

    shown = player.finish()

    assert (shown["status"], shown["error"]["code"]) == ("Failed", "AttachmentFailed")
    assert "has room for 0 more data disks, and it would get 1" in shown["error"]["message"]
    assert cloud.writes() == []


class TestGoesWell:
    def test_all_data_disks_are_attached_while_the_vm_runs(self) -> None:
        player, cloud = attaching()

        shown = player.finish()

        assert (shown["status"], cloud.writes()) == ("Completed", ["attach_disks"])
        vm = cloud.vms[RECOVERY_VM]
        assert (vm.power, [(disk.lun, disk.disk_id) for disk in vm.data_disks]) == ("running", [(0, DATA_DISK)])
        found = attachment_of(shown)
        assert (found["virtualMachineId"], found["state"]) == (RECOVERY_VM, "Attached")
        assert found["disks"] == [{"diskId": DATA_DISK, "lun": 0}]
        assert (found["others"], found["deleted"]) == ([OS_DISK], [])

    def test_the_os_disk_is_lun_minus_one(self) -> None:
        player, cloud = attaching(luns=[-1])

        shown = player.finish()

        assert [disk.disk_id for disk in cloud.vms[RECOVERY_VM].data_disks] == [OS_DISK]
        assert attachment_of(shown)["others"] == [DATA_DISK]

    def test_the_others_are_deleted_where_that_was_asked_for(self) -> None:
        player, cloud = attaching(deleteOthers=True)

        shown = player.finish()

        assert cloud.writes() == ["attach_disks", "delete_disk"]
        assert OS_DISK not in cloud.disks
        assert (attachment_of(shown)["others"], attachment_of(shown)["deleted"]) == ([], [OS_DISK])

    def test_nothing_else_is_deleted(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.disks[f"{DISKS}/foreign"] = a_disk(f"{DISKS}/foreign", made_by_job="another")

        player.finish()

        assert set(cloud.disks) == {DATA_DISK, f"{DISKS}/foreign"}

    def test_the_phase_and_the_document(self) -> None:
        player, _ = attaching()

        player.finish()

        shown = [each for each in player.shown() if each["phase"] == "AttachingDisks"]
        assert {each["attachment"]["state"] for each in shown} == {"Attaching"}

    def test_a_vm_that_something_changes_is_waited_for(self) -> None:
        player, cloud = attaching()
        cloud.before["get_virtual_machine"] = [cloud.make_foreign_change]

        shown = player.finish()

        assert (shown["status"], cloud.writes()) == ("Completed", ["attach_disks"])

    def test_disks_that_are_attached_already_are_not_attached_again(self) -> None:
        player, cloud = attaching()
        cloud.vms[RECOVERY_VM] = a_vm(RECOVERY_VM, f"{DISKS}/recovery-os", (7, DATA_DISK))

        shown = player.finish()

        assert attachment_of(shown)["disks"] == [{"diskId": DATA_DISK, "lun": 7}]
        assert cloud.writes() == []

    def test_disks_are_not_believed_to_be_attached_while_the_vm_changes(self) -> None:
        player, cloud = attaching()
        with_disk = a_vm(RECOVERY_VM, f"{DISKS}/recovery-os", (7, DATA_DISK))
        cloud.vms[RECOVERY_VM] = replace(with_disk, is_changing=True)
        cloud.before["get_virtual_machine"] = [dict, dict, lambda: cloud.vms.update({RECOVERY_VM: with_disk})]

        player.finish()

        assert [name for _, name, _ in cloud.calls].count("get_virtual_machine") == 3


class TestWhatIsCheckedBefore:
    def test_a_vm_that_is_not_there(self) -> None:
        player, cloud = attaching()
        player.azure.other_machines.clear()

        shown = player.finish()

        assert shown["error"]["code"] == "ValidationFailed"
        assert shown["error"]["details"][0]["target"] == "thenAttachDisks.virtualMachineId"
        assert (player.azure.jobs, cloud.calls) == ([], [])

    def test_a_vm_in_another_region(self) -> None:
        player, _ = attaching()
        player.azure.other_machines[RECOVERY_VM]["location"] = "northeurope"

        assert "northeurope" in player.finish()["error"]["message"]
        assert player.azure.jobs == []

    def test_a_plan_shows_the_calls(self) -> None:
        player, cloud = attaching(request={"dryRun": True}, luns=[0, -1], deleteOthers=True)

        attach, delete = player.finish()["result"]["plan"]["followUp"]

        assert (attach["method"], attach["path"]) == ("POST", f"{RECOVERY_VM}/attachDetachDataDisks")
        assert [disk["diskId"] for disk in attach["body"]["dataDisksToAttach"]] == [
            "{restored disk of LUN 0}",
            "{restored OS disk}",
        ]
        assert delete["method"] == "DELETE"
        assert cloud.calls == []

    @pytest.mark.parametrize("luns", [[5], [0, 5]])
    def test_a_lun_that_was_not_restored(self, luns: list[int]) -> None:
        player, cloud = attaching(luns=luns)

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "AttachmentFailed")
        assert "LUN 5" in shown["error"]["message"]
        assert "No disk was attached." in shown["error"]["message"]
        assert cloud.writes() == []


class TestWhatGoesWrong:
    @pytest.mark.parametrize("fate", ["lost", "died", BUSY, DIED], ids=str)
    def test_once_changes_nothing(self, fate: Any) -> None:
        player, cloud = attaching()
        cloud.fails = {"attach_disks": [fate]}

        shown = player.finish()

        assert (shown["status"], attachment_of(shown)["state"]) == ("Completed", "Attached")
        assert [disk.disk_id for disk in cloud.vms[RECOVERY_VM].data_disks] == [DATA_DISK]

    def test_an_old_reading_after_a_lost_answer_is_not_believed(self) -> None:
        player, cloud = attaching()
        cloud.lags_s, cloud.fails = 60.0, {"attach_disks": ["lost"]}

        shown = player.finish()

        assert (shown["status"], attachment_of(shown)["state"]) == ("Completed", "Attached")

    def test_a_refusal_ends_it_and_deletes_nothing(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.fails = {"attach_disks": [REFUSED]}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "AttachmentFailed")
        assert attachment_of(shown)["state"] == "NotAttached"
        assert (cloud.writes(), OS_DISK in cloud.disks) == (["attach_disks"], True)

    def test_a_refusal_of_disks_that_an_earlier_delivery_has_attached_is_not_believed(self) -> None:
        player, cloud = attaching()
        with_disk = a_vm(RECOVERY_VM, f"{DISKS}/recovery-os", (7, DATA_DISK))
        cloud.before["attach_disks"] = [lambda: cloud.vms.update({RECOVERY_VM: with_disk})]
        cloud.fails = {"attach_disks": [TerminalError("ConflictingUserInput", "already attached")]}

        shown = player.finish()

        assert (shown["status"], attachment_of(shown)["state"]) == ("Completed", "Attached")

    @pytest.mark.parametrize(("code", "status"), [("AttachFailed", "Failed"), ("VMExtensionHandlerX", "Completed")])
    def test_disks_that_azure_lists_although_their_attachment_failed_are_not_attached(
        self, code: str, status: str
    ) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.fails = {"attach_disks": [Later(TerminalError(code, "It went wrong."), shows=True)]}

        shown = player.finish()

        assert shown["status"] == status
        assert (OS_DISK in cloud.disks) is (status == "Failed")
        assert ("az vm disk detach" in str(shown.get("error"))) is (status == "Failed")

    def test_after_a_lost_answer_disks_of_a_failed_vm_are_attached_again(self) -> None:
        player, cloud = attaching()
        failed = replace(a_vm(RECOVERY_VM, f"{DISKS}/recovery-os", (0, DATA_DISK)), has_failed=True)
        cloud.before["attach_disks"] = [lambda: cloud.vms.update({RECOVERY_VM: failed})]
        cloud.fails = {"attach_disks": [TransientError(errors.SERVICE_UNAVAILABLE, "no answer")]}

        player.finish()

        assert cloud.writes()[:2] == ["attach_disks", "attach_disks"]

    def test_a_reading_that_is_forbidden_for_a_while_does_not_end_it(self) -> None:
        player, cloud = attaching()
        cloud.fails = {"get_virtual_machine": [None, REFUSED, REFUSED]}

        assert player.finish()["status"] == "Completed"

    def test_a_vm_that_cannot_be_read_any_more_may_have_the_disks(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.fails = {"get_virtual_machine": [None, *[REFUSED] * 200]}

        shown = player.finish()

        assert "It is not known whether the restored disks are attached" in shown["error"]["message"]
        assert OS_DISK in cloud.disks

    def test_an_operation_that_fails_says_why(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.fails = {"attach_disks": [Later(TerminalError("AttachFailed", "The disk is broken."))]}

        shown = player.finish()

        assert "The disk is broken." in shown["error"]["message"]
        assert OS_DISK in cloud.disks

    def test_a_busy_vm_is_waited_for_for_half_an_hour(self) -> None:
        player, cloud = attaching()
        cloud.fails = {"attach_disks": [BUSY] * 1000}

        assert player.finish()["status"] == "Failed"
        times = [at for at, name, _ in cloud.calls if name == "attach_disks"]
        assert timedelta(minutes=30) <= times[-1] - times[0] <= timedelta(minutes=36)

    def test_a_disk_without_the_jobs_tag_is_not_deleted(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.before = {}

        shown = player.finish()

        assert (shown["status"], OS_DISK in cloud.disks) == ("CompletedWithWarnings", True)
        assert [warning["code"] for warning in shown["warnings"]] == ["DiskNotDeleted"]
        assert attachment_of(shown)["others"] == [OS_DISK]
        assert "delete_disk" not in cloud.writes()

    def test_a_disk_that_somebody_has_attached_meanwhile_is_not_deleted(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.vms["/theirs"] = a_vm("/theirs", OS_DISK)

        shown = player.finish()

        assert "/theirs has it" in shown["warnings"][0]["message"]
        assert OS_DISK in cloud.disks

    @pytest.mark.parametrize("fate", ["lost", "died", BUSY, DIED], ids=str)
    def test_a_deletion_is_made_again(self, fate: Any) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.fails = {"delete_disk": [fate]}

        shown = player.finish()

        assert (shown["status"], OS_DISK in cloud.disks) == ("Completed", False)
        assert attachment_of(shown)["deleted"] == [OS_DISK]

    def test_a_deletion_that_azure_refuses_is_a_warning(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        cloud.fails = {"delete_disk": [REFUSED]}

        shown = player.finish()

        assert shown["status"] == "CompletedWithWarnings"
        assert "Azure refused" in shown["warnings"][0]["message"]
        assert attachment_of(shown)["state"] == "Attached"

    def test_a_disk_that_does_not_go_is_a_warning(self) -> None:
        player, cloud = attaching(deleteOthers=True)
        kept = replace(cloud.disks[OS_DISK])
        cloud.before["get_disk"] = [lambda: cloud.disks.setdefault(OS_DISK, kept)] * 200

        shown = player.finish()

        assert "still there" in shown["warnings"][0]["message"]
        assert attachment_of(shown)["others"] == [OS_DISK]


@pytest.mark.parametrize(
    "said",
    [
        "The subscription is not enabled for using the attach detach data disks API.",
        "The attach detach data disks API is not enabled for the region.",
    ],
)
def test_a_subscription_without_the_call_is_told_another_way(said: str) -> None:
    player, cloud = attaching(deleteOthers=True)
    refusal = ErrorDetail(code="OperationNotAllowed", message=said)
    cloud.fails = {"attach_disks": [TerminalError(errors.RESTORE_REFUSED, "Azure refused the request.", [refusal])]}

    shown = player.finish()

    assert (shown["status"], shown["error"]["code"]) == ("Failed", "AttachmentFailed")
    assert "az vm disk attach --name" in shown["error"]["message"]
    assert RECOVERY_VM in shown["error"]["message"]
    assert shown["error"]["details"][0]["message"] == said
    assert OS_DISK in cloud.disks


class TestCancelling:
    def test_before_anything_is_attached_ends_it(self) -> None:
        player, cloud = attaching()
        cloud.before["get_virtual_machine"] = [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]

        shown = player.finish()

        assert (shown["status"], cloud.writes()) == ("Cancelled", [])
        assert "none was attached" in shown["error"]["message"]

    def test_after_a_lost_answer_nobody_is_told_that_none_was_attached(self) -> None:
        player, cloud = attaching()
        cloud.fails = {"attach_disks": ["lost"]}
        cloud.lags_s = 60.0
        cloud.before["get_virtual_machine"] = [dict, lambda: player.say(CANCEL_EVENT, {"by": "ada"})]

        shown = player.finish()

        assert shown["status"] == "Cancelled"
        assert "none was attached" not in shown["error"]["message"]
        assert RECOVERY_VM in shown["error"]["message"]

    def test_while_disks_are_attached_comes_too_late(self) -> None:
        player, cloud = attaching()
        cloud.before["attach_disks"] = [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert [warning["code"] for warning in shown["warnings"]] == ["CancelledTooLate"]
