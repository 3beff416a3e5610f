"""A restore that puts its disks into the VM: what happens to the VM, and what callers see, whatever goes wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from domain import errors
from domain.azure.disks import Disk
from domain.azure.machine_sizes import MachineSize
from domain.errors import TerminalError, TransientError
from domain.follow_up.calls import GetVirtualMachine, StartVirtualMachine, UpdateDisks
from domain.follow_up.disk_changes import DiskChange
from domain.follow_up.swap import Change, Pending, Swap, next_call
from domain.follow_up.swap_answers import answered, failed
from domain.follow_up.swap_report import end_error
from domain.restore.document import custom_status
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from domain.restore.parts import Source
from domain.restore.state import Restore
from domain.restore.undo import undo, undo_id
from tests.support.azure import LIMITS, VM_ID, a_point, a_restore, an_alert_start, disks_of
from tests.support.compute import Later, attached, disk_id
from tests.support.player import Player
from tests.support.swap_world import play

if TYPE_CHECKING:
    from domain.errors import Json

REFUSED: Final = TerminalError(errors.RESTORE_REFUSED, "Azure refused the request (see details).")
PASSES: Final = TerminalError("InternalExecutionError", "try again")
GONE: Final = TerminalError("DiskBlobNotFound", "gone")
BUSY: Final = TransientError(errors.MACHINE_BUSY, "another operation runs")
GROUP: Final = VM_ID.partition("/providers/")[0]
LONG_WAIT: Final = TransientError(errors.SERVICE_UNAVAILABLE, "too many requests", retry_after_s=2700.0)
CHANGES: Final = ("deallocate_virtual_machine", "update_disks", "start_virtual_machine")


def _at(minutes: int) -> datetime:
    return datetime(2026, 11, 23, 8, tzinfo=UTC) + timedelta(minutes=minutes)


def swapping(**members: Any) -> Player:
    """Return a player of a restore that swaps disks, which has not begun; ``members`` of its request."""
    player = Player()
    player.start(a_restore(**{"thenSwapDisks": {}, "targetResourceGroupId": None, **members}))
    return player


def names(player: Player) -> list[str]:
    return [disk.name for disk in player.compute.vm.disks]


def changes(player: Player) -> list[str]:
    """Return the changing calls that arrived, in their order."""
    return [name for _, name in player.compute.made if name in CHANGES]


def swap_of(shown: Json) -> Json:
    return shown["result"]["swap"]


class TestGoesWell:
    def test_the_restored_disks_take_the_places_of_the_former_ones_and_the_others_stay(self) -> None:
        player = swapping()

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert changes(player) == list(CHANGES)
        new = [disk["name"] for disk in shown["result"]["disks"]]
        assert names(player) == [new[0], new[1], "old-1"]
        assert player.compute.vm.power == "running"

    def test_a_disk_keeps_the_options_of_its_place(self) -> None:
        player = swapping()
        player.compute.vm = _with(player, attached("old-0", 0, caching="ReadOnly", deleteOption="Delete"))

        player.finish()

        options = [disk.options for disk in player.compute.vm.data_disks]
        assert options[0] == {"caching": "ReadOnly", "deleteOption": "Delete"}

    def test_the_result_has_the_former_storage_profile(self) -> None:
        player = swapping()

        swap = swap_of(player.finish())

        profile = swap["formerStorageProfile"]
        assert profile["osDisk"]["managedDisk"]["id"] == disk_id("old-os")
        assert [(disk["lun"], disk["managedDisk"]["id"]) for disk in profile["dataDisks"]] == [
            (0, disk_id("old-0")),
            (1, disk_id("old-1")),
        ]
        assert [(place["lun"], place["formerDiskId"]) for place in swap["disks"]] == [
            (None, disk_id("old-os")),
            (0, disk_id("old-0")),
        ]
        assert swap["state"] == "Swapped"

    def test_only_the_former_disks_are_tagged(self) -> None:
        player = swapping()

        shown = player.finish()

        assert set(player.compute.tags) == {disk_id("old-os"), disk_id("old-0")}
        assert all(tags["restore-id"] == shown["id"] for tags in player.compute.tags.values())

    def test_the_downtime_is_measured_from_the_deallocation_to_the_running_vm(self) -> None:
        player = swapping()

        swap = swap_of(player.finish())

        assert swap["downtime"] == "PT34S"  # 8 + 5 + 20 s of Azure, and the wait for the next reading

    def test_azures_wait_after_a_change_is_obeyed(self) -> None:
        player = swapping()
        player.compute.retry_after_s = 25.0

        player.finish()

        made = player.compute.made
        for position, (at, name) in enumerate(made):
            if name in CHANGES:
                assert made[position + 1][0] - at >= timedelta(seconds=25)

    def test_it_waits_for_the_agent_of_a_vm_that_had_one(self) -> None:
        player = swapping()

        shown = player.finish()

        assert swap_of(shown)["agentReadyTime"] > swap_of(shown)["runningTime"]

    def test_it_does_not_wait_for_the_agent_of_a_vm_that_had_none(self) -> None:
        player = swapping()
        player.compute.has_agent = False

        assert player.finish()["status"] == "Completed"

    def test_an_agent_that_was_there_and_stays_silent_is_a_warning(self) -> None:
        player = swapping()
        player.compute.before = {"deallocate_virtual_machine": [lambda: setattr(player.compute, "has_agent", False)]}

        shown = player.finish()

        assert shown["status"] == "CompletedWithWarnings"
        assert [warning["code"] for warning in shown["warnings"]] == ["AgentNotReady"]
        assert swap_of(shown)["state"] == "Swapped"

    def test_a_vm_that_was_stopped_before_its_agent_reported_is_not_said_to_run(self) -> None:
        player = swapping()
        player.compute.before = {
            "tag_disk": [lambda: setattr(player.compute, "vm", replace(player.compute.vm, power="deallocated"))]
        }

        shown = player.finish()

        assert shown["status"] == "CompletedWithWarnings"
        message = shown["warnings"][0]["message"]
        assert "it is deallocated by now" in message
        assert "The VM runs" not in message

    def test_a_vm_that_runs_is_not_waited_for_until_its_extensions_have_reported(self) -> None:
        player = swapping()
        player.compute.extensions_take = timedelta(minutes=90)

        swap = swap_of(player.finish())

        assert swap["state"] == "Swapped"
        assert swap["downtime"] in {f"PT{seconds}S" for seconds in range(30, 60)}
        assert player.clock.elapsed < timedelta(hours=1)

    def test_a_start_whose_answer_was_lost_is_not_waited_for_either(self) -> None:
        player = swapping()
        player.compute.fails = {"start_virtual_machine": ["lost"]}
        player.compute.extensions_take = timedelta(hours=5)

        assert swap_of(player.finish())["state"] == "Swapped"
        assert player.clock.elapsed < timedelta(hours=1)

    def test_a_vm_that_runs_as_before_is_not_waited_for_until_its_extensions_have_reported(self) -> None:
        player = swapping()
        player.compute.fails = {"update_disks": [REFUSED]}
        player.compute.extensions_take = timedelta(hours=5)

        assert swap_of(player.finish())["state"] == "AsBefore"
        assert player.clock.elapsed < timedelta(hours=1)

    def test_a_vm_that_runs_with_its_new_disks_is_never_called_unfinished(self) -> None:
        player = swapping()
        player.compute.extensions_take = timedelta(hours=5)
        player.compute.before = {"deallocate_virtual_machine": [lambda: setattr(player.compute, "has_agent", False)]}

        shown = player.finish()

        assert (shown["status"], swap_of(shown)["state"]) == ("CompletedWithWarnings", "Swapped")

    def test_with_start_false_the_vm_stays_deallocated(self) -> None:
        player = swapping(thenSwapDisks={"start": False})

        shown = player.finish()

        assert (shown["status"], player.compute.vm.power) == ("Completed", "deallocated")
        assert changes(player) == list(CHANGES[:2])

    def test_data_disks_only_leaves_the_os_disk(self) -> None:
        player = swapping(thenSwapDisks={"dataDisksOnly": True})

        player.finish()

        assert names(player)[0] == "old-os"
        assert names(player)[1] != "old-0"

    @pytest.mark.parametrize("fate", [TerminalError(errors.AUTHORIZATION_FAILED, "no role yet"), LONG_WAIT])
    def test_restored_disks_that_cannot_be_listed_at_once_are_swapped_later(self, fate: Any) -> None:
        player = swapping()
        player.azure.fails["list_disks"] = [fate]

        assert swap_of(player.finish())["state"] == "Swapped"

    def test_the_disks_are_restored_beside_the_vm(self) -> None:
        player = swapping()

        player.finish()

        assert player.azure.groups == [disk_id("x").partition("/providers/")[0]]

    def test_phases_show_where_the_time_went(self) -> None:
        shown = swapping().finish()

        assert [phase["phase"] for phase in shown["phases"]][-2:] == ["TrackingJob", "SwappingDisks"]


class TestWhoeverElseUsesTheVm:
    def test_a_disk_attached_just_before_the_change_stays(self) -> None:
        player = swapping()
        player.compute.before = {"update_disks": [player.compute.attach_foreign]}

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert "foreign" in names(player)
        assert changes(player).count("update_disks") == 2

    def test_a_change_by_somebody_else_is_waited_for(self) -> None:
        player = swapping()
        player.compute.before = {"deallocate_virtual_machine": [player.compute.begin_foreign_change]}

        shown = player.finish()

        assert shown["status"] == "Completed"


class TestAnUpdateThatFails:
    def test_is_made_again_though_the_vm_shows_the_new_disks(self) -> None:
        player = swapping(thenSwapDisks={"start": False})
        player.compute.fails = {"update_disks": [Later(PASSES, shows=True)]}

        assert player.finish()["status"] == "Completed"
        assert (player.compute.counts["update_disks"], player.compute.vm.has_failed) == (2, False)

    def test_is_made_again_also_where_its_operation_must_not_be_read(self) -> None:
        player = swapping(thenSwapDisks={"start": False})
        forbidden = TerminalError(errors.AUTHORIZATION_FAILED, "may not read it")
        player.compute.fails = {"update_disks": [Later(PASSES, shows=True)], "get_compute_operation": [forbidden]}

        assert player.finish()["status"] == "Completed"
        assert (player.compute.counts["update_disks"], player.compute.vm.has_failed) == (2, False)

    def test_leaves_former_disks_half_detached_which_come_back_before_the_vm_starts(self) -> None:
        player = swapping()
        player.compute.replaces_at_once = False
        player.compute.fails = {"update_disks": [None, Later(GONE, shows=True)]}

        assert swap_of(player.finish())["state"] == "AsBefore"
        assert names(player) == ["old-os", "old-0", "old-1"]
        assert changes(player) == [*CHANGES[:2], *CHANGES[1:2] * 2, CHANGES[2]]

    @pytest.mark.parametrize(
        ("code", "state", "tries"),
        [("AttachDiskWhileBeingDetached", "Swapped", 2), ("ConflictingUserInput", "AsBefore", 1)],
    )
    def test_is_made_again_only_if_its_reason_passes(self, code: str, state: str, tries: int) -> None:
        player = swapping()
        player.compute.fails = {"update_disks": [Later(TerminalError(code, "a disk is not free"))]}

        assert swap_of(player.finish())["state"] == state
        assert player.compute.counts["update_disks"] == tries


class TestManyDisks:
    def test_the_status_of_a_running_swap_says_how_far_it_is(self) -> None:
        player = swapping()
        shown: list[Json] = []
        restore = next(iter(player.plays.values()))
        data = [attached(f"old-{lun}", lun) for lun in range(64)]
        player.compute.vm = _like(player, data_disks=tuple(data))
        player.azure.disks = [restored("osdisk", is_os=True), *[restored(f"datadisk-{lun:03d}") for lun in range(64)]]
        player.compute.before = {
            "update_disks": [lambda: shown.append(custom_status(restore.restore, player.clock.now()))]
        }

        assert player.finish()["status"] == "Completed"

        assert (shown[0]["swap"]["state"], shown[0]["recoveryPoint"] is None) == ("Running", False)


def restored(what: str, *, is_os: bool = False) -> Disk:
    """Return a disk that Azure Backup makes of the VM while its job runs."""
    name = f"web01-{what}-20261123-081000"
    created = datetime(2026, 11, 23, 8, 10, tzinfo=UTC)
    return Disk(name=name, is_os_disk=is_os, disk_id=disk_id(name), created=created)


class TestPlaces:
    """Where the restored disks are, and who has them: known before the VM is touched."""

    def restored(self, player: Player, **members: Any) -> list[Disk]:
        disks = [replace(disk, location="westeurope") for disk in disks_of("job-1", GROUP)]
        player.azure.disks = [disks[0], replace(disks[1], **members)]
        return player.azure.disks

    @pytest.mark.parametrize(
        ("members", "words"),
        [
            ({"zone": "2"}, ["is in westeurope in zone 2, and the VM in westeurope in no zone", 'zones ["NoZone"]']),
            ({"location": "northeurope"}, ["is in northeurope in no zone"]),
            ({"attached_to": f"{VM_ID}-other"}, [f"{VM_ID}-other has the restored disk web01-datadisk-000"]),
        ],
    )
    @pytest.mark.parametrize("approval", [None, {"required": True, "before": "Swap"}])
    def test_disks_that_the_vm_cannot_have_leave_it_alone(
        self, approval: Json | None, members: Json, words: list[str]
    ) -> None:
        player = swapping(approval=approval)
        self.restored(player, **members)

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "SwapFailed")
        assert all(word in shown["error"]["message"] for word in [*words, "The VM was not touched."])
        assert "approval" not in shown
        assert player.compute.made == []

    @pytest.mark.parametrize(
        ("members", "words"),
        [
            ({"generation": "V1"}, "of generation V1, and the VM of generation V2"),
            ({"security_type": "TrustedLaunch"}, "of security type TrustedLaunch, and the VM of Standard"),
        ],
    )
    def test_an_os_disk_that_the_vm_cannot_start_from_leaves_it_alone(self, members: Json, words: str) -> None:
        player = swapping()
        player.azure.machine["properties"]["instanceView"]["hyperVGeneration"] = "V2"
        os_disk, data_disk = self.restored(player)
        player.azure.disks = [replace(os_disk, **members), data_disk]

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "SwapFailed")
        assert words in shown["error"]["message"]
        assert player.compute.made == []

    @pytest.mark.parametrize(
        ("disk_type", "vm_type"),
        [
            (None, "TrustedLaunch"),
            ("trustedLaunch", "TrustedLaunch"),
            ("Standard", None),
            ("ConfidentialVM_DiskEncryptedWithPlatformKey", "ConfidentialVM"),
        ],
    )
    def test_an_os_disk_that_may_fit_is_swapped(self, disk_type: str | None, vm_type: str | None) -> None:
        player = swapping()
        player.azure.machine["properties"]["securityProfile"] = {"securityType": vm_type}
        os_disk, data_disk = self.restored(player)
        player.azure.disks = [replace(os_disk, security_type=disk_type), data_disk]

        assert player.finish()["status"] == "Completed"

    def test_disks_that_are_not_swapped_may_be_anywhere(self) -> None:
        player = swapping(thenSwapDisks={"dataDisksOnly": True})
        disks = self.restored(player)
        player.azure.disks = [replace(disks[0], zone="2", attached_to=f"{VM_ID}-other"), disks[1]]

        assert player.finish()["status"] == "Completed"

    def test_zone_redundant_disks_fit_a_vm_of_any_zone(self) -> None:
        player = swapping()
        player.azure.machine = {**player.azure.machine, "zones": ["1"]}
        disks = self.restored(player)
        player.azure.disks = [replace(disk, is_zone_redundant=True) for disk in disks]

        assert player.finish()["status"] == "Completed"

    def test_a_disk_that_the_vm_has_already_is_no_reason_to_stop(self) -> None:
        player = swapping()
        self.restored(player, attached_to=VM_ID.upper())

        assert player.finish()["status"] == "Completed"


def test_more_data_disks_than_the_vm_has_room_for_leave_it_alone() -> None:
    player = swapping()
    player.azure.points = [a_point(virtualMachineSize="Standard_D8s_v5")]  # it was larger when it was backed up
    player.azure.sizes = [MachineSize(name="Standard_D2s_v5", max_data_disks=1)]
    player.azure.machine["properties"]["storageProfile"]["dataDisks"][0]["lun"] = 5

    shown = player.finish()

    assert (shown["status"], shown["error"]["code"]) == ("Failed", "SwapFailed")
    assert "has room for 0 more data disks, and it would get 1" in shown["error"]["message"]
    assert "The VM was not touched." in shown["error"]["message"]
    assert player.compute.made == []


class TestLuns:
    def test_no_data_disk_is_swapped_where_one_of_them_cannot_be_told_from_the_os_disk(self) -> None:
        player = swapping(thenSwapDisks={"dataDisksOnly": True})
        once_an_os_disk = restored("datadisk-001", is_os=True)
        player.azure.disks = [restored("osdisk", is_os=True), restored("datadisk-000"), once_an_os_disk]

        shown = player.finish()

        assert (shown["status"], changes(player)) == ("Failed", [])
        assert "2 OS disks were restored" in shown["error"]["message"]

    @pytest.mark.parametrize(("luns", "state"), [((2,), "AsBefore"), ((0,), "Swapped"), ((1, 2), "Swapped")])
    def test_disks_whose_numbers_may_not_be_luns_are_not_swapped(self, luns: tuple[int, ...], state: str) -> None:
        player = swapping()
        player.compute.vm = _like(player, data_disks=tuple(attached(f"old-{lun}", lun) for lun in luns))

        shown = player.finish()

        assert swap_of(shown)["state"] == state
        assert changes(player) == (list(CHANGES) if state == "Swapped" else [])


class TestDisksThatCannotBeReplacedAtOnce:
    def test_their_places_are_emptied_first(self) -> None:
        player = swapping()
        player.compute.replaces_at_once = False

        shown = player.finish()

        assert shown["status"] == "Completed"
        new = [disk["name"] for disk in shown["result"]["disks"]]
        profiles = [[disk.name for disk in profile] for profile in player.compute.profiles]
        assert profiles == [["old-os", "old-1"], [new[0], new[1], "old-1"]]

    def test_the_vm_is_not_kept_waiting_for_the_second_update(self) -> None:
        player = swapping()
        player.compute.replaces_at_once = False

        assert swap_of(player.finish())["downtime"] == "PT40S"

    def test_the_former_disks_come_back_if_the_restored_ones_are_refused(self) -> None:
        player = swapping()
        player.compute.replaces_at_once = False
        player.compute.fails = {"update_disks": [None, None, REFUSED]}

        shown = player.finish()

        assert swap_of(shown)["state"] == "AsBefore"
        assert (player.compute.vm.power, names(player)) == ("running", ["old-os", "old-0", "old-1"])

    def test_a_disk_refused_by_its_operation_is_replaced_in_two_updates_too(self) -> None:
        player = swapping()
        refusal = "Changing property 'dataDisk.name' is not allowed."
        player.compute.fails = {"update_disks": [Later(TerminalError("PropertyChangeNotAllowed", refusal))]}

        shown = player.finish()

        assert (shown["status"], len(player.compute.profiles)) == ("Completed", 2)

    def test_a_vm_that_stays_without_data_disks_is_said_to_lack_them(self) -> None:
        player = swapping()
        player.compute.replaces_at_once = False
        player.compute.fails = {"update_disks": [None, None, *[REFUSED] * 99]}

        shown = player.finish()

        assert (swap_of(shown)["state"], names(player)) == ("Unfinished", ["old-os", "old-1"])
        assert "no disk is at LUN 0" in shown["error"]["message"]

    def test_a_place_that_a_failed_update_has_left_half_empty_is_emptied_again(self) -> None:
        player = swapping()
        player.compute.replaces_at_once = False
        player.compute.fails = {"update_disks": [None, Later(PASSES, shows=True)]}

        shown = player.finish()

        assert (shown["status"], swap_of(shown)["state"]) == ("Completed", "Swapped")
        assert player.compute.counts["update_disks"] == 4

    @pytest.mark.parametrize("fate", ["lost", "died"])
    @pytest.mark.parametrize("position", range(3))
    def test_a_lost_answer_to_one_of_the_updates_changes_nothing_of_the_end(self, position: int, fate: str) -> None:
        player = swapping()
        player.compute.replaces_at_once = False
        player.compute.fails = {"update_disks": [*[None] * position, fate]}

        assert player.finish()["status"] == "Completed"
        assert len(player.compute.profiles) == 2


class TestGoesBack:
    def test_a_refused_deallocation_leaves_the_vm_as_it_was(self) -> None:
        player = swapping()
        player.compute.fails = {"deallocate_virtual_machine": [REFUSED]}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Failed", "SwapFailed")
        assert swap_of(shown)["state"] == "AsBefore"
        assert player.compute.profiles == []
        assert player.compute.vm.power == "running"
        assert shown["result"]["disks"]

    @pytest.mark.parametrize(
        ("fate", "said"),
        [
            (REFUSED, "PATCH storageProfile: Azure refused the request"),
            (Later(GONE), "PATCH storageProfile: Azure accepted it, but its operation failed: gone"),
        ],
    )
    def test_the_error_names_the_call_that_failed_at_once_or_later(self, fate: Any, said: str) -> None:
        player = swapping()
        player.compute.fails = {"update_disks": [fate]}

        assert said in player.finish()["error"]["message"]

    @pytest.mark.parametrize("fate", [REFUSED, Later(GONE), Later(GONE, shows=True)])
    def test_after_a_refused_change_of_the_disks_the_vm_runs_with_its_former_ones(self, fate: Any) -> None:
        player = swapping()
        player.compute.fails = {"update_disks": [fate]}

        shown = player.finish()

        assert shown["status"] == "Failed"
        assert swap_of(shown)["state"] == "AsBefore"
        assert (player.compute.vm.power, names(player)) == ("running", ["old-os", "old-0", "old-1"])

    def test_a_vm_that_did_not_run_is_not_started_on_the_way_back(self) -> None:
        player = swapping()
        player.compute.vm = _like(player, power="deallocated", is_agent_ready=None)
        player.compute.fails = {"update_disks": [REFUSED]}

        player.finish()

        assert player.compute.vm.power == "deallocated"

    def test_a_vm_whose_power_is_not_known_runs_on_the_way_back(self) -> None:
        player = swapping()
        player.compute.vm = _like(player, power=None)
        player.compute.fails = {"update_disks": [REFUSED]}

        player.finish()

        assert player.compute.vm.power == "running"

    def test_an_old_reading_that_shows_it_running_is_not_believed_on_the_way_back(self) -> None:
        player = swapping()
        player.compute.lags_s = 30.0
        failure = TerminalError("InternalExecutionError", "try again")
        player.compute.fails = {"deallocate_virtual_machine": [Later(failure), "lost"]}
        player.compute.before = {
            "deallocate_virtual_machine": [lambda: None, lambda: player.say(CANCEL_EVENT, {"by": "ada"})]
        }

        shown = player.finish()

        assert (swap_of(shown)["state"], player.compute.vm.power) == ("AsBefore", "running")

    def test_a_cancellation_before_the_disks_are_replaced_takes_all_back(self) -> None:
        player = swapping()
        player.compute.before = {"deallocate_virtual_machine": [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]}

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Cancelled", "RestoreCancelled")
        assert (player.compute.vm.power, names(player)) == ("running", ["old-os", "old-0", "old-1"])

    def test_a_cancellation_while_the_job_ends_leaves_the_vm_alone_and_says_so(self) -> None:
        player = swapping()
        player.azure.before["get_job"] = [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]
        player.azure.fails["cancel_job"] = [REFUSED] * 9

        shown = player.finish()

        assert (shown["status"], changes(player)) == ("Completed", [])
        assert "Nothing was done with its disks." in shown["warnings"][-1]["message"]

    def test_a_cancellation_while_the_disks_are_replaced_is_too_late(self) -> None:
        player = swapping()
        player.compute.before = {"start_virtual_machine": [lambda: player.say(CANCEL_EVENT, {"by": "ada"})]}

        shown = player.finish()

        assert swap_of(shown)["state"] == "Swapped"
        assert "CancelledTooLate" in [warning["code"] for warning in shown["warnings"]]


class TestGetsStuck:
    def test_a_vm_that_cannot_be_started_is_said_to_be_down_with_its_new_disks(self) -> None:
        player = swapping()
        player.compute.fails = {"start_virtual_machine": [Later(TerminalError("AllocationFailed", "sold out"))] * 99}

        shown = player.finish()

        assert (shown["status"], swap_of(shown)["state"]) == ("Failed", "Unfinished")
        message = shown["error"]["message"]
        assert "POST start" in message
        assert "sold out" in message
        assert f"/api/restores/{shown['id']}/undo" in message
        assert shown["links"]["undo"] == f"/api/restores/{shown['id']}/undo"

    def test_the_reason_is_told_although_the_operation_may_not_be_read(self) -> None:
        player = swapping()
        player.compute.vm = replace(player.compute.vm, failure="AllocationFailed: sold out")
        player.compute.fails = {
            "start_virtual_machine": [Later(TerminalError("AllocationFailed", "sold out"))] * 99,
            "get_compute_operation": [TerminalError(errors.AUTHORIZATION_FAILED, "may not read it")] * 99,
        }

        message = player.finish()["error"]["message"]

        assert "It shows AllocationFailed: sold out" in message

    def test_capacity_that_comes_back_in_time_is_used(self) -> None:
        player = swapping()
        player.compute.fails = {"start_virtual_machine": [Later(TerminalError("AllocationFailed", "sold out"))] * 4}

        assert player.finish()["status"] == "Completed"

    def test_the_call_that_failed_last_is_named(self) -> None:
        update = UpdateDisks(vm_id=VM_ID, data_disks=())
        start = StartVirtualMachine(vm_id=VM_ID)
        swap = Swap(vm_id=VM_ID, wanted=(), changes=(), cause=REFUSED.to_json())
        for call, minutes in ((update, 0), (start, 1), *((update, 25 + minute) for minute in range(6))):
            swap = failed(swap, call, BUSY, _at(minutes))

        error = end_error(swap, "undo it")

        assert error is not None
        assert "PATCH storageProfile failed again and again" in error.message

    @pytest.mark.parametrize("call", ["start_virtual_machine", "get_virtual_machine"])
    def test_a_long_wait_that_azure_asks_for_does_not_leave_the_vm_down(self, call: str) -> None:
        player = swapping()
        player.compute.before = {
            "deallocate_virtual_machine": [lambda: player.compute.fails.update({call: [LONG_WAIT] * 2})]
        }

        assert swap_of(player.finish())["state"] == "Swapped"

    def test_it_is_given_up_after_two_hours_however_long_azure_lets_it_wait(self) -> None:
        player = swapping()
        player.compute.fails = {"start_virtual_machine": [LONG_WAIT] * 99}

        shown = player.finish()

        assert swap_of(shown)["state"] == "Unfinished"
        assert player.compute.counts["start_virtual_machine"] in {3, 4}

    def test_the_vm_is_read_once_more_so_that_the_error_says_where_it_stands(self) -> None:
        player = swapping()
        player.compute.fails = {"update_disks": [REFUSED], "start_virtual_machine": [BUSY] * 99}

        shown = player.finish()

        assert player.compute.made[-1][1] == "get_virtual_machine"
        assert "The VM has its former disks and is deallocated." in shown["error"]["message"]

    def test_nobody_is_told_to_start_a_vm_that_runs(self) -> None:
        player = swapping()
        player.compute.fails = {"update_disks": [REFUSED], "start_virtual_machine": ["lost"]}
        player.compute.extensions_take = timedelta(hours=5)

        message = player.finish()["error"]["message"]

        assert "The VM has its former disks and is running, but Azure does not end its start" in message
        assert "az vm start" not in message

    @pytest.mark.parametrize("cause", [None, REFUSED.to_json()])
    def test_nobody_is_told_to_start_a_vm_that_starts(self, cause: Json | None) -> None:
        vm = replace(Player().compute.vm, power="starting", is_changing=True)
        changes = () if cause is None else (DiskChange(lun=0, before=vm.data_disks[0], after=attached("new", 0)),)
        swap = Swap(vm_id=VM_ID, wanted=(), changes=changes, stuck=REFUSED.to_json(), cause=cause, seen=vm)

        error = end_error(swap, "undo it")

        assert error is not None
        assert "does not end its start" in error.message
        assert "az vm start" not in error.message

    def test_the_error_says_so_if_the_vm_cannot_be_read_any_more(self) -> None:
        reading = GetVirtualMachine(vm_id=VM_ID)
        swap = Swap(vm_id=VM_ID, wanted=(), changes=(), stuck=REFUSED.to_json())
        for minute in range(6):
            assert next_call(swap) == reading
            swap = failed(swap, reading, BUSY, _at(minute))

        error = end_error(swap, "undo it")

        assert (next_call(swap), error is not None and "could not be read since then" in error.message) == (None, True)

    def test_a_vm_that_somebody_else_starts_in_the_end_is_swapped(self) -> None:
        swap = Swap(vm_id=VM_ID, wanted=(), changes=(), stuck=REFUSED.to_json())

        after = answered(swap, GetVirtualMachine(vm_id=VM_ID), Player().compute.vm, _at(0))

        assert (end_error(after, "undo it"), next_call(after)) == (None, None)


class TestTheTimeWhenTheDisksWereReplaced:
    @pytest.mark.parametrize(("is_changing", "has_failed"), [(True, False), (False, True)])
    def test_is_not_known_while_the_update_runs_or_may_have_failed(self, is_changing: bool, has_failed: bool) -> None:
        vm = Player().compute.vm
        change = DiskChange(lun=0, before=attached("former", 0), after=attached("old-0", 0))
        pending = Pending(change=Change.UPDATE_DISKS, asked=_at(0), url="https://management.azure.com/operations/1")
        swap = Swap(vm_id=VM_ID, wanted=(), changes=(change,), pending=pending, since=_at(0))
        reading = replace(vm, power="deallocated", is_changing=is_changing, has_failed=has_failed)

        during = answered(swap, GetVirtualMachine(vm_id=VM_ID), reading, _at(1))
        done = replace(reading, is_changing=False, has_failed=False)
        after = answered(during, GetVirtualMachine(vm_id=VM_ID), done, _at(2))

        assert (during.times.disks_replaced, after.times.disks_replaced) == (None, _at(2))


class TestRunsTwice:
    @pytest.mark.parametrize("fate", ["lost", "died"])
    @pytest.mark.parametrize("call", [*CHANGES, "get_virtual_machine", "tag_disk"])
    def test_a_call_whose_answer_is_lost_changes_nothing_of_the_end(self, call: str, fate: str) -> None:
        player = swapping()
        player.compute.fails = {call: [fate]}

        shown = player.finish()

        assert (shown["status"], swap_of(shown)["state"]) == ("Completed", "Swapped")
        assert len(player.compute.profiles) == 1

    def test_a_reading_that_lags_is_not_taken_for_a_failure(self) -> None:
        player = swapping()
        player.compute.lags_s = 7.0

        shown = player.finish()

        assert shown["status"] == "Completed"
        assert len(player.compute.profiles) == 1


class TestApproval:
    APPROVAL: Final = {"required": True, "before": "Swap", "timeout": "PT2H"}

    def test_it_waits_with_the_restored_disks_and_the_running_vm(self) -> None:
        player = swapping(approval=self.APPROVAL)

        shown = player.reach(next(iter(player.plays)), "AwaitingApproval")

        assert shown["phase"] == "AwaitingApproval"
        assert shown["links"]["approve"]
        assert (changes(player), player.azure.calls["trigger_restore"]) == ([], 1)

    def test_goes_on_when_it_is_approved(self) -> None:
        player = swapping(approval=self.APPROVAL)
        restore_id = next(iter(player.plays))
        player.reach(restore_id, "AwaitingApproval")

        player.say(DECISION_EVENT, {"decision": "Approved", "by": "ada"}, restore_id)

        assert player.finish()["status"] == "Completed"

    @pytest.mark.parametrize("storm_vms", [0, 10])
    def test_after_an_alert_a_person_may_be_asked_before_the_restore_and_before_the_swap(self, storm_vms: int) -> None:
        player = Player()
        why = None if storm_vms == 0 else "It names no cause."
        alert = an_alert_start(storm_vms=storm_vms, approval_reason=why)
        restore_id = player.start(
            a_restore(started_by="alert", alert=alert, thenSwapDisks={}, approval=self.APPROVAL, requestedBy="Ada")
        )

        first = player.reach(restore_id, "AwaitingApproval")
        assert (why or "outage of Azure") in first["approval"]["reason"]
        assert player.azure.calls["trigger_restore"] == 0
        player.say(DECISION_EVENT, {"decision": "Approved", "by": "bob"}, restore_id)
        player.reach(restore_id, "Running")
        second = player.reach(restore_id, "AwaitingApproval")
        assert second["approval"]["reason"].startswith("The disks are restored.")
        assert (second["approval"]["decision"], player.azure.calls["trigger_restore"]) == (None, 1)
        player.say(DECISION_EVENT, {"decision": "Approved", "by": "bob"}, restore_id)

        assert swap_of(player.finish())["state"] == "Swapped"

    @pytest.mark.parametrize(
        ("event", "data", "status"),
        [
            (DECISION_EVENT, {"decision": "Rejected", "by": "ada"}, "Rejected"),
            (CANCEL_EVENT, {"by": "ada"}, "Cancelled"),
        ],
    )
    def test_a_person_who_says_no_keeps_the_disks(self, event: str, data: Json, status: str) -> None:
        player = swapping(approval=self.APPROVAL)
        restore_id = next(iter(player.plays))
        player.reach(restore_id, "AwaitingApproval")

        player.say(event, data, restore_id)

        shown = player.finish()
        assert (shown["status"], changes(player)) == (status, [])
        assert shown["result"]["disks"]
        assert "The disks are restored; the VM was not touched." in shown["error"]["message"]

    def test_without_a_decision_it_ends_with_its_disks(self) -> None:
        player = swapping(approval=self.APPROVAL)

        shown = player.finish()

        assert (shown["status"], shown["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
        assert shown["result"]["disks"]

    def test_disks_that_were_deleted_meanwhile_are_noticed_before_the_vm_goes_down(self) -> None:
        player = swapping(approval=self.APPROVAL)
        restore_id = next(iter(player.plays))
        player.reach(restore_id, "AwaitingApproval")
        player.compute.gone = _Everything()

        player.say(DECISION_EVENT, {"decision": "Approved", "by": "ada"}, restore_id)

        shown = player.finish()
        assert (shown["status"], changes(player)) == ("Failed", [])
        assert "do not exist any more" in shown["error"]["message"]


class _Everything(set[str]):
    def __contains__(self, _: object) -> bool:
        return True


def _like(player: Player, **members: Any) -> Any:
    return replace(player.compute.vm, **members)


def _with(player: Player, disk: Any) -> Any:
    others = [known for known in player.compute.vm.data_disks if known.lun != disk.lun]
    return _like(player, data_disks=tuple(sorted([disk, *others], key=lambda known: known.lun or 0)))


class TestUndo:
    def test_the_former_disks_come_back_the_same_way(self) -> None:
        player = swapping()
        former = player.compute.vm
        done = player.finish()
        player.compute.made.clear()

        shown = undone(player, done)

        assert (shown["status"], shown["undoOf"]) == ("Completed", done["id"])
        assert player.compute.vm.disks == former.disks
        assert (player.compute.vm.power, changes(player)) == ("running", list(CHANGES))

    @pytest.mark.parametrize("power", ["running", "deallocated"])
    def test_the_undo_of_a_swap_that_started_nothing_leaves_the_power_as_it_is_now(self, power: str) -> None:
        player = swapping(thenSwapDisks={"start": False})
        done = player.finish()
        player.compute.vm = _like(player, power=power)

        assert undone(player, done)["status"] == "Completed"
        assert player.compute.vm.power == power

    def test_a_disk_that_the_swap_added_goes_and_one_attached_since_stays(self) -> None:
        player = swapping()
        player.compute.vm = replace(player.compute.vm, data_disks=(attached("old-1", 1), attached("old-2", 2)))
        done = player.finish()
        player.compute.attach_foreign()

        undone(player, done)

        assert names(player) == ["old-os", "old-1", "old-2", "foreign"]

    @pytest.mark.parametrize("lun", [None, 0])
    def test_a_disk_that_came_to_a_place_of_the_swap_since_stays_there(self, lun: int | None) -> None:
        player = swapping()
        done = player.finish()
        later = attached("later", lun)
        player.compute.vm = _like(player, os_disk=later) if lun is None else _with(player, later)
        player.compute.made.clear()

        shown = undone(player, done)

        assert (shown["status"], swap_of(shown)["state"], changes(player)) == ("Failed", "AsBefore", [])
        assert disk_id("later") in shown["error"]["message"]

    def test_a_disk_that_came_to_a_place_which_an_undo_had_emptied_stays_there(self) -> None:
        player = swapping()
        player.compute.vm = _like(player, data_disks=(attached("old-1", 1), attached("old-2", 2)))
        undo_document = undone(player, player.finish())
        player.compute.attach_foreign("later", 0)
        player.compute.made.clear()

        shown = undone(player, undo_document)

        assert (shown["status"], changes(player)) == ("Failed", [])

    def test_a_former_disk_that_the_vm_has_at_another_place_stops_it_before_the_vm_goes_down(self) -> None:
        player = swapping()
        done = player.finish()
        player.compute.attach_foreign("old-0", 9)
        player.compute.made.clear()

        shown = undone(player, done)

        assert (shown["status"], changes(player)) == ("Failed", [])
        assert "(LUN 9)" in shown["error"]["message"]

    def test_a_former_disk_that_another_vm_has_stops_it_before_the_vm_goes_down(self) -> None:
        player = swapping()
        done = player.finish()
        player.compute.made.clear()
        player.compute.owners = {disk_id("old-0"): f"{VM_ID}-helper", disk_id("old-os"): VM_ID.upper()}

        shown = undone(player, done)

        assert (shown["status"], changes(player)) == ("Failed", [])
        assert f"Another VM has these disks: {disk_id('old-0')}." in shown["error"]["message"]

    def test_an_undo_can_be_undone(self) -> None:
        player = swapping()
        done = player.finish()
        swapped = player.compute.vm.disks

        undone(player, undone(player, done))

        assert player.compute.vm.disks == swapped

    def test_a_former_disk_that_was_deleted_stops_it_before_the_vm_goes_down(self) -> None:
        player = swapping()
        done = player.finish()
        player.compute.made.clear()
        player.compute.gone = {disk_id("old-0")}

        shown = undone(player, done)

        assert (shown["status"], changes(player)) == ("Failed", [])
        assert disk_id("old-0") in shown["error"]["message"]

    def test_a_restore_that_swapped_nothing_cannot_be_undone(self) -> None:
        player = swapping()
        player.compute.fails = {"deallocate_virtual_machine": [REFUSED]}
        done = player.finish()

        with pytest.raises(TerminalError, match=r"RequestConflict.*swapped no disks"):
            undone(player, done)
        assert "undo" not in done["links"]


def undone(player: Player, done: Json) -> Json:
    """Play the undo of a restore; returns its final document."""
    new_id, now = undo_id(done["id"], 1), player.clock.now()
    request, back = undo(done, new_id, now, by="ada", comment=None)
    start = Restore.undo(
        request, back, undo_of=done["id"], restore_id=new_id, source=Source.HTTP, created=now, limits=LIMITS
    )
    return player.finish(player.start(start))


@pytest.mark.parametrize("seed", [*range(30), 267, 334, 493, 548, 5106, 5776, 103504, 700181, 700488])
def test_whatever_goes_wrong_the_vm_ends_swapped_or_as_before_or_a_person_is_told(seed: int) -> None:
    play(seed)
