from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.answers import Answer
from domain.azure.disks import Disk
from domain.azure.jobs import Job, JobStatus, Operation, OperationStatus
from domain.errors import Json, TerminalError, TransientError
from domain.restore import answers, calls
from domain.restore.backoff import Backoff
from domain.restore.machine import absorb, decide
from domain.restore.parts import Cancellation, Status
from domain.restore.stages import ComparingDisks, FindingJob, TrackingJob, TrackingOperation
from domain.restore.steps import MakeCall, Wait
from tests.support.azure import (
    LIMITS,
    TARGET_GROUP,
    VAULT_ID,
    VM_ID,
    a_point,
    a_restore,
    disks_of,
    throttled,
)
from tests.unit.domain.restore.states import CREATED, JOB, PREPARED, admitted, tracking_job, tracking_operation

if TYPE_CHECKING:
    from domain.azure.recovery_points import RecoveryPoint
    from domain.restore.state import Restore
    from tests.support.player import Player


def test_waits_as_long_as_the_trigger_asks_before_the_first_poll_in_whole_seconds(player: Player) -> None:
    player.azure.retry_after["trigger_restore"] = 37.5

    player.run()

    assert player.waits_s()[0] == 38


def test_a_wait_asked_for_by_the_job_always_wins(player: Player) -> None:
    player.azure.retry_after["get_job"] = 300.0

    player.run()

    assert set(player.waits_s()[1:]) == {300.0}


def test_without_one_the_wait_grows_from_the_least_to_the_most(player: Player) -> None:
    player.run()

    waits = player.waits_s()[1:]
    assert waits[0] == 15.0
    assert waits == sorted(waits)
    assert waits[-1] == 60.0
    assert 15.0 < waits[10] < 60.0


@pytest.mark.parametrize("offset_s", range(0, 60, 3))
def test_reports_a_job_of_31_minutes_within_a_minute_of_its_end(player: Player, offset_s: int) -> None:
    player.azure.job_takes = timedelta(minutes=31, seconds=offset_s)

    player.run()

    assert 0 <= player.elapsed_s - (31 * 60 + offset_s) <= 60


def test_follows_a_slow_operation_at_the_address_it_was_given_last(player: Player) -> None:
    running = Operation(status=OperationStatus.RUNNING, next_url="https://azure/op-1?again")
    player.azure.operations = [running, Operation(status=OperationStatus.RUNNING)]
    player.azure.retry_after["get_operation"] = 20.0

    assert player.run()["status"] == "Completed"

    assert player.azure.urls == ["https://azure/op-1", "https://azure/op-1?again", "https://azure/op-1?again"]
    assert player.waits_s()[1:3] == [20.0, 20.0]


@pytest.mark.parametrize("asked_s", [2700, 366 * 86_400])
def test_a_long_wait_on_the_list_does_not_keep_a_long_operation_from_being_followed(
    player: Player, asked_s: float
) -> None:
    player.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 22  # five minutes and more
    player.azure.fails["find_restore_job"] = [None, *[throttled(asked_s)] * 1000]

    done = player.run()

    assert done["status"] == "Completed"
    assert player.elapsed_s < 40 * 60


class TestTracking:
    def test_an_answer_without_an_operation_leads_to_the_job_all_the_same(self, player: Player) -> None:
        player.azure.operation_id = None
        player.azure.listed_after = timedelta(minutes=3)

        done = player.run()

        assert (done["status"], done["jobId"], done["operationId"]) == ("Completed", "job-1", None)
        assert player.azure.calls["trigger_restore"] == 1

    def test_a_permission_refused_on_the_operation_does_not_lose_the_restore(self, player: Player) -> None:
        player.azure.fails["get_operation"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert player.run()["status"] == "Completed"

    def test_a_job_that_tells_no_progress_is_followed_like_any_other(self, player: Player) -> None:
        player.azure.tells_progress = False

        assert player.run()["status"] == "Completed"

    def test_an_accepted_restore_without_an_operation_is_found_by_its_job(self, player: Player) -> None:
        player.azure.operations = [Operation(status=OperationStatus.SUCCEEDED, job_id=None)]

        assert player.run()["jobId"] == "job-1"

    @pytest.mark.parametrize("status", list(OperationStatus))
    def test_an_operation_that_names_a_job_leads_to_it_whatever_else_it_says(
        self, player: Player, status: OperationStatus
    ) -> None:
        player.azure.operations = [Operation(status=status, job_id="job-1")]

        assert player.run()["status"] == "Completed"

    @pytest.mark.parametrize("status", [OperationStatus.FAILED, OperationStatus.CANCELED])
    def test_an_operation_that_failed_though_its_job_runs_is_followed(
        self, player: Player, status: OperationStatus
    ) -> None:
        player.azure.operations = [Operation(status=status)]

        assert player.run()["status"] == "Completed"

    def test_an_operation_that_never_ends_does_not_hide_the_end_of_its_job(self, player: Player) -> None:
        player.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 10_000

        done = player.run()

        assert done["status"] == "Completed"
        assert player.elapsed_s <= 32 * 60
        assert player.azure.calls["get_operation"] < 100

    def test_a_slow_operation_whose_job_is_not_listed_yet_is_waited_for(self, player: Player) -> None:
        player.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 40
        player.azure.listed_after = timedelta(minutes=8)

        assert player.run()["status"] == "Completed"

    def test_an_operation_that_succeeded_without_naming_its_job_is_waited_for(self, player: Player) -> None:
        player.azure.operations = [Operation(status=OperationStatus.SUCCEEDED)] * 40
        player.azure.listed_after = timedelta(minutes=3)

        assert player.run()["status"] == "Completed"

    def test_an_address_that_keeps_failing_is_given_up_for_the_vaults(self, player: Player) -> None:
        player.azure.fails["get_operation"] = [throttled(None)] * 3

        assert player.run()["status"] == "Completed"

        assert player.azure.urls == [None]

    def test_a_restore_without_operation_and_job_is_for_a_person(self, player: Player) -> None:
        player.azure.operation_id = None
        player.azure.posts = ["jobless"]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreFailed")
        assert done["error"]["message"].count("A person must look") == 1
        assert 1800 <= player.elapsed_s < 2000

    def test_a_wait_on_the_answer_that_names_the_job_is_kept(self, player: Player) -> None:
        player.azure.retry_after["get_operation"] = 45.0

        player.run()

        assert player.waits_s()[:2] == [60.0, 45.0]

    def test_a_refusal_that_asks_for_a_wait_gets_it(self, player: Player) -> None:
        player.azure.fails["get_job"] = [TerminalError(errors.RESTORE_REFUSED, "locked", retry_after_s=77.0)]

        player.run()

        assert player.waits_s()[1] == 77.0

    def test_an_operation_that_is_forgotten_is_replaced_by_the_job(self, player: Player) -> None:
        player.azure.fails["get_operation"] = [TerminalError(errors.NOT_FOUND, "forgotten")]
        player.azure.listed_after = timedelta(minutes=2)

        assert player.run()["jobId"] == "job-1"

    def test_a_job_that_is_not_there_yet_is_polled_again(self, player: Player) -> None:
        player.azure.fails["get_job"] = [TerminalError(errors.NOT_FOUND, "not yet")] * 3

        assert player.run()["status"] == "Completed"

    def test_a_job_that_stays_away_ends_as_failed_naming_it(self, player: Player) -> None:
        player.azure.fails["get_job"] = [TerminalError(errors.NOT_FOUND, "The vault is gone.")] * 1000

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NotFound")
        assert "job-1 may still run" in done["error"]["message"]

    def test_an_outage_of_three_hours_does_not_lose_the_restore(self, player: Player) -> None:
        player.azure.fails["get_job"] = [throttled(None)] * 50

        done = player.run()

        assert done["status"] == "Completed"
        assert player.elapsed_s > 3 * 3600

    def test_a_permission_lost_for_a_moment_does_not_lose_the_restore(self, player: Player) -> None:
        player.azure.fails["get_job"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")] * 5

        assert player.run()["status"] == "Completed"

    @pytest.mark.parametrize("call", ["get_operation", "get_job"])
    def test_a_poll_that_broke_is_made_again(self, player: Player, call: str) -> None:
        player.azure.fails[call] = [RuntimeError("worker died")]

        assert player.run()["status"] == "Completed"

    def test_throttling_while_tracking_is_waited_out_exactly(self, player: Player) -> None:
        player.azure.fails["get_job"] = [throttled(90.0)]

        player.run()

        assert player.waits_s()[1] == 90.0

    def test_gives_up_at_the_deadline_and_says_that_the_job_goes_on(self, player: Player) -> None:
        player.azure.job_takes = timedelta(hours=3)

        done = player.run(a_restore(limits=replace(LIMITS, deadline_s=3600)))

        assert (done["status"], done["error"]["code"]) == ("TimedOut", "DeadlineExceeded")
        assert "job-1 may still run" in done["error"]["message"]
        assert player.elapsed_s == 3600

    def test_a_job_that_ends_just_at_the_deadline_is_reported_as_it_ended(self, player: Player) -> None:
        player.azure.job_takes = timedelta(hours=1)

        assert player.run(a_restore(limits=replace(LIMITS, deadline_s=3600)))["status"] == "Completed"

    def test_a_service_that_asks_for_no_wait_gets_no_tight_loop(self, player: Player) -> None:
        player.azure.retry_after["get_job"] = 0.0
        player.azure.job_takes = timedelta(minutes=2)

        player.run()

        assert min(player.waits_s()) >= 0.1

    def test_a_failed_poll_is_made_again_after_five_seconds(self, player: Player) -> None:
        player.azure.fails["get_job"] = [TransientError(errors.SERVICE_UNAVAILABLE, "503")]

        player.run()

        assert player.waits_s()[1] == 5.0


NETWORK = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"
NEW_VM: Json = {
    "recoveryType": "AlternateLocation",
    "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored",
    "virtualNetworkId": NETWORK,
    "subnetId": f"{NETWORK}/subnets/default",
}
IN_PLACE: Json = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}
VM_GROUP = VM_ID.partition("/providers")[0]


def disk_warnings(done: Json) -> list[tuple[str, str]]:
    assert done["status"] in {"Completed", "CompletedWithWarnings", "Failed"}, done["error"]
    warnings = [(warning["code"], warning["message"]) for warning in done["warnings"]]
    return [(code, message) for code, message in warnings if code.startswith("Disks")]


class TestRestoredDisks:
    """After every restore to managed disks the result names them."""

    @pytest.mark.parametrize(("members", "group"), [({}, TARGET_GROUP), (NEW_VM, TARGET_GROUP), (IN_PLACE, VM_GROUP)])
    @pytest.mark.parametrize("end", [JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_WARNINGS])
    def test_they_are_named_with_lun_and_size(self, player: Player, members: Json, group: str, end: JobStatus) -> None:
        player.azure.job_end = end

        done = player.run(a_restore(**members))

        path = f"{group}/providers/Microsoft.Compute/disks"
        os_disk, data_disk = "web01-osdisk-20261123-080000", "web01-datadisk-000-20261123-080000"
        assert done["result"]["disks"] == [
            {"id": f"{path}/{os_disk}", "name": os_disk, "isOs": True, "lun": None, "sizeGb": 127},
            {"id": f"{path}/{data_disk}", "name": data_disk, "isOs": False, "lun": 0, "sizeGb": 127},
        ]
        assert disk_warnings(done) == []
        assert player.azure.groups == [group]

    def test_the_disks_of_other_jobs_are_not_named(self, player: Player) -> None:
        player.azure.disks = [*disks_of("another"), *disks_of("JOB-1"), Disk(name="web-01-data", is_os_disk=False)]

        done = player.run()

        assert [disk["lun"] for disk in done["result"]["disks"]] == [None, 0]

    def test_in_place_the_group_is_the_one_that_the_job_names(self, player: Player) -> None:
        player.azure.property_bag = {"Target resource group": "moved-rg"}

        player.run(a_restore(**IN_PLACE))

        assert player.azure.groups == [VM_GROUP.replace("web-rg", "moved-rg")]

    @pytest.mark.parametrize("named", ["", None, "..", "a/b", "x" * 1000])
    def test_in_place_the_vms_own_group_replaces_an_unusable_name(self, player: Player, named: str | None) -> None:
        player.azure.property_bag = {"Target resource group": named}

        player.run(a_restore(**IN_PLACE))

        assert player.azure.groups == [VM_GROUP]

    @pytest.mark.parametrize(
        ("members", "point"),
        [
            ({"targetResourceGroupId": None}, a_point()),
            ({}, a_point(isManagedVirtualMachine=False)),
            (NEW_VM, a_point(isManagedVirtualMachine=False)),
        ],
    )
    def test_where_vhds_are_made_nothing_is_listed(self, player: Player, members: Json, point: RecoveryPoint) -> None:
        player.azure.points = [point]

        done = player.run(a_restore(**members))

        assert (done["status"], done["result"]["disks"], disk_warnings(done)) == ("Completed", None, [])
        assert player.azure.groups == []

    def test_unmanaged_disks_that_become_managed_ones_are_named(self, player: Player) -> None:
        player.azure.points = [
            a_point(isManagedVirtualMachine=False, recoveryPointTierDetails=[{"type": "HardenedRP", "status": "Valid"}])
        ]

        assert len(player.run(a_restore(restoreWithManagedDisks=True))["result"]["disks"]) == 2

    @pytest.mark.parametrize("end", [JobStatus.FAILED, JobStatus.CANCELLED])
    def test_those_of_a_job_without_success_are_not_listed(self, player: Player, end: JobStatus) -> None:
        player.azure.job_end = end

        assert player.run()["result"]["disks"] is None
        assert player.azure.groups == []

    def test_disks_that_may_not_be_read_are_a_warning_and_no_failure(self, player: Player) -> None:
        player.azure.fails["list_disks"] = [TerminalError("AuthorizationFailed", "no right to read disks")]

        done = player.run()

        [(code, message)] = disk_warnings(done)
        assert (done["status"], done["result"]["disks"], code) == ("Completed", None, "DisksNotListed")
        assert "no right to read disks" in message
        assert TARGET_GROUP in message
        assert "RSVaultBackup job-1" in message

    def test_disks_that_cannot_be_told_from_others_are_a_warning(self, player: Player) -> None:
        player.azure.disks = disks_of("another")

        done = player.run()

        [(code, message)] = disk_warnings(done)
        assert (done["status"], done["result"]["disks"], code) == ("Completed", None, "DisksNotListed")
        assert "RSVaultBackup job-1" in message

    def test_they_are_read_again_if_the_worker_died_while_reading_them(self, player: Player) -> None:
        player.azure.fails["list_disks"] = [RuntimeError("python exited with code 137 (0x89)")]

        assert len(player.run()["result"]["disks"]) == 2
        assert player.azure.calls["list_disks"] == 2

    @pytest.mark.parametrize("asked_s", [None, 30.0, 119.0])
    def test_an_outage_of_a_minute_is_waited_for(self, player: Player, asked_s: float | None) -> None:
        player.azure.fails["list_disks"] = [throttled(asked_s)]

        assert len(player.run()["result"]["disks"]) == 2

    @pytest.mark.parametrize("asked_s", [None, 1.0, 30.0, 600.0, 86_400.0])
    def test_disks_that_stay_out_of_reach_hold_the_result_back_for_two_minutes(
        self, player: Player, asked_s: float | None
    ) -> None:
        player.azure.fails["list_disks"] = [throttled(asked_s)] * 1000

        [(code, _)] = disk_warnings(player.run())

        assert code == "DisksNotListed"
        assert player.elapsed_s <= 60 + player.azure.job_takes.total_seconds() + 120


class TestDisks:
    """Where a list of disks was asked for, it is compared with the disks that the job made."""

    def run(self, player: Player, asked: list[int], **members: Any) -> list[tuple[str, str]]:
        player.azure.item_properties = {"extendedProperties": {"diskExclusionProperties": {"diskLunList": [0, 1]}}}
        return disk_warnings(player.run(a_restore(restoreDiskLunList=asked, **members)))

    def made(self, player: Player, *names: str) -> list[Disk]:
        end = player.clock.now() + player.azure.job_takes
        return [Disk(name=f"web01-{name}", is_os_disk=name == "osdisk", created=end) for name in names]

    def test_as_asked_there_is_no_warning(self, player: Player) -> None:
        player.azure.disks = self.made(player, "osdisk", "datadisk-000")
        assert self.run(player, [0]) == []
        assert player.azure.calls["list_disks"] == 1

    def test_others_than_asked_for_are_named(self, player: Player) -> None:
        player.azure.disks = self.made(player, "osdisk", "datadisk-000", "datadisk-001")
        [(code, message)] = self.run(player, [0])
        assert code == "DisksDiffer"
        assert "web01-datadisk-001" in message

    def test_those_that_cannot_be_told_from_others_are_to_be_checked_by_hand(self, player: Player) -> None:
        player.azure.disks = []
        [(code, message)] = self.run(player, [0])
        assert code == "DisksDiffer"
        assert "could not be identified" in message

    def test_disks_that_may_not_be_read_are_not_compared(self, player: Player) -> None:
        player.azure.fails["list_disks"] = [TerminalError("AuthorizationFailed", "no right to read disks")]
        [(code, message)] = self.run(player, [0])
        assert code == "DisksNotCompared"
        assert "no right to read disks" in message

    def test_without_a_group_there_is_nothing_to_compare(self, player: Player) -> None:
        assert self.run(player, [0], targetResourceGroupId=None) == []
        assert player.azure.calls["list_disks"] == 0


FIND_JOB = calls.FindJob(vault_id=VAULT_ID, client_request_id=a_restore().client_request_id)
GET_OPERATION = calls.GetOperation(vault_id=VAULT_ID, operation_id="op-1", url="https://azure/op-1")
GET_JOB = calls.GetJob(vault_id=VAULT_ID, job_id="job-1")
NO_JOB = Answer(answers.FoundJob(job_id=None))
SOON = CREATED + timedelta(minutes=1)
LATER = CREATED + timedelta(minutes=10)


def finding_job() -> Restore:
    return replace(admitted(), stage=FindingJob(prepared=PREPARED, triggered=CREATED, operation_id="op-1"))


def ended_operation(status: OperationStatus) -> Restore:
    return absorb(tracking_operation(), GET_OPERATION, Answer(Operation(status=status)), SOON)


class TestOperationSteps:
    @pytest.mark.parametrize("seconds", [0, 300])
    def test_for_five_minutes_it_alone_is_polled(self, seconds: float) -> None:
        now = CREATED + timedelta(seconds=seconds)

        assert decide(tracking_operation(), now) == MakeCall(call=GET_OPERATION)

    def test_after_five_minutes_the_list_is_searched_as_well(self) -> None:
        now = CREATED + timedelta(seconds=301)

        assert decide(tracking_operation(), now) == MakeCall(call=FIND_JOB)
        held = replace(tracking_operation(), backoff=Backoff().hold("find_job", 60, now))
        assert decide(held, now) == MakeCall(call=GET_OPERATION)

    @pytest.mark.parametrize(("is_done", "first"), [(False, FIND_JOB), (True, GET_OPERATION)])
    def test_who_cancels_needs_the_job_at_once(self, is_done: bool, first: calls.Call) -> None:
        cancelled = replace(tracking_operation(), cancellation=Cancellation(is_done=is_done))

        assert decide(cancelled, SOON) == MakeCall(call=first)

    def test_one_that_has_ended_is_polled_no_more(self) -> None:
        assert decide(ended_operation(OperationStatus.SUCCEEDED), SOON) == MakeCall(call=FIND_JOB)

    def test_while_it_runs_its_interval_grows_and_its_last_address_is_kept(self) -> None:
        running = Operation(status=OperationStatus.RUNNING, next_url="https://azure/op-1?again")

        restore = absorb(tracking_operation(), GET_OPERATION, Answer(running), LATER)

        assert restore.backoff.not_before("get_operation") == LATER + timedelta(minutes=1)
        again = absorb(restore, GET_OPERATION, Answer(Operation(status=OperationStatus.RUNNING)), LATER)
        assert isinstance(again.stage, TrackingOperation)
        assert again.stage.operation == answers.AcceptedOperation(operation_id="op-1", url="https://azure/op-1?again")

    @pytest.mark.parametrize(("failures", "url"), [(1, "https://azure/op-1"), (2, None)])
    def test_an_address_that_failed_twice_before_is_given_up(self, failures: int, url: str | None) -> None:
        backoff = Backoff()
        for _ in range(failures):
            backoff = backoff.retry("get_operation", SOON)

        restore = absorb(replace(tracking_operation(), backoff=backoff), GET_OPERATION, throttled(None), SOON)

        assert isinstance(restore.stage, TrackingOperation)
        assert restore.stage.operation.url == url

    def test_an_address_that_is_refused_is_kept(self) -> None:
        backoff = Backoff().retry("get_operation", SOON).retry("get_operation", SOON)
        error = TerminalError(errors.AUTHORIZATION_FAILED, "no role")

        restore = absorb(replace(tracking_operation(), backoff=backoff), GET_OPERATION, error, SOON)

        assert restore.stage == tracking_operation().stage

    def test_one_that_is_forgotten_is_replaced_by_its_job(self) -> None:
        error = TerminalError(errors.NOT_FOUND, "forgotten")

        restore = absorb(tracking_operation(), GET_OPERATION, error, SOON)

        assert restore.stage == FindingJob(prepared=PREPARED, triggered=CREATED, operation_id="op-1")

    def test_one_that_is_not_found_for_a_moment_is_polled_again(self) -> None:
        error = TransientError(errors.NOT_FOUND, "not yet")

        assert absorb(tracking_operation(), GET_OPERATION, error, SOON).stage == tracking_operation().stage

    @pytest.mark.parametrize(("asked_s", "due"), [(45.0, SOON + timedelta(seconds=45)), (None, None)])
    def test_the_job_that_it_names_is_polled_after_the_wait(self, asked_s: float | None, due: datetime | None) -> None:
        named = Operation(status=OperationStatus.FAILED, job_id="job-1")

        restore = absorb(tracking_operation(), GET_OPERATION, Answer(named, asked_s), SOON)

        assert restore.stage == TrackingJob(prepared=PREPARED, triggered=CREATED, job_id="job-1", operation_id="op-1")
        assert restore.backoff.not_before("get_job") == due


class TestSearchSteps:
    def test_the_job_is_followed_since_the_trigger(self) -> None:
        restore = absorb(finding_job(), FIND_JOB, Answer(answers.FoundJob(job_id="job-1")), LATER)

        assert restore.stage == TrackingJob(prepared=PREPARED, triggered=CREATED, job_id="job-1", operation_id="op-1")

    def test_beside_a_running_operation_it_is_searched_for_with_the_next_poll(self) -> None:
        polled = replace(tracking_operation(), backoff=Backoff().hold("get_operation", 300, LATER))

        restore = absorb(polled, FIND_JOB, NO_JOB, LATER)

        assert restore.backoff.not_before("find_job") == LATER + timedelta(minutes=5)
        soon = absorb(tracking_operation(), FIND_JOB, NO_JOB, LATER)
        assert soon.backoff.not_before("find_job") == LATER + timedelta(minutes=1)

    def test_a_search_beside_a_running_operation_never_ends_the_restore(self) -> None:
        failing = Backoff().retry("find_job", LATER - timedelta(hours=2))
        error = TransientError(errors.INTERNAL_ERROR, "broken")

        restore = absorb(replace(tracking_operation(), backoff=failing), FIND_JOB, error, LATER)

        assert (restore.outcome, restore.backoff.failures("find_job")) == (None, 2)

    @pytest.mark.parametrize("restore", [finding_job(), ended_operation(OperationStatus.SUCCEEDED)])
    def test_the_only_way_to_the_job_is_given_up_after_half_an_hour(self, restore: Restore) -> None:
        failing = Backoff().retry("find_job", LATER - timedelta(minutes=30))
        error = TransientError(errors.INTERNAL_ERROR, "broken")

        assert absorb(replace(restore, backoff=failing), FIND_JOB, error, LATER).outcome is not None

    @pytest.mark.parametrize(
        ("status", "ended_as"), [(OperationStatus.FAILED, Status.FAILED), (OperationStatus.CANCELED, Status.CANCELLED)]
    )
    def test_an_operation_that_failed_and_has_no_job_ends_it(self, status: OperationStatus, ended_as: Status) -> None:
        ended = absorb(ended_operation(status), FIND_JOB, NO_JOB, SOON).outcome

        assert ended is not None
        assert ended.status is ended_as

    def test_an_operation_that_succeeded_without_a_job_is_polled_again(self) -> None:
        restore = absorb(ended_operation(OperationStatus.SUCCEEDED), FIND_JOB, NO_JOB, SOON)

        assert restore.stage == tracking_operation().stage
        assert restore.backoff.not_before("get_operation") == SOON + timedelta(seconds=15)

    @pytest.mark.parametrize("restore", [finding_job(), ended_operation(OperationStatus.SUCCEEDED)])
    def test_a_job_that_does_not_show_up_is_for_a_person(self, restore: Restore) -> None:
        almost = absorb(restore, FIND_JOB, NO_JOB, CREATED + timedelta(minutes=29))
        ended = absorb(restore, FIND_JOB, NO_JOB, CREATED + timedelta(minutes=30)).outcome

        assert almost.outcome is None
        assert ended is not None
        assert ended.error is not None
        assert ended.status is Status.FAILED
        assert ended.error["message"].startswith(
            "The service accepted the restore, but no job of it was found within half an hour. A person must look"
        )

    def test_until_then_it_is_searched_for_at_the_jobs_interval(self) -> None:
        restore = absorb(finding_job(), FIND_JOB, NO_JOB, LATER)

        assert decide(restore, LATER) == Wait(until=LATER + timedelta(minutes=1))


class TestJobSteps:
    def test_progress_that_the_job_no_longer_tells_stays(self) -> None:
        restore = tracking_job(progress_pct=41.0)
        quiet = Answer(Job(job_id="job-1", status=JobStatus.IN_PROGRESS))
        loud = Answer(Job(job_id="job-1", status=JobStatus.IN_PROGRESS, progress_pct=60.0))

        assert absorb(restore, GET_JOB, quiet, LATER).stage == restore.stage
        assert absorb(restore, GET_JOB, loud, LATER).stage == tracking_job(progress_pct=60.0).stage

    def test_while_it_runs_it_is_polled_at_its_interval(self) -> None:
        running = Answer(Job(job_id="job-1", status=JobStatus.IN_PROGRESS))

        restore = absorb(tracking_job(), GET_JOB, running, LATER)

        assert decide(restore, LATER) == Wait(until=LATER + timedelta(minutes=1))

    def test_disks_are_listed_within_the_jobs_time(self) -> None:
        job = replace(JOB, start=SOON, end=LATER)
        restore = absorb(tracking_job(restoreDiskLunList=[0, 2]), GET_JOB, Answer(job), LATER)

        assert isinstance(restore.stage, ComparingDisks)
        assert (restore.stage.luns, restore.stage.resource_group_id) == ((0, 2), TARGET_GROUP)
        listing = calls.ListRestoredDisks(
            target_resource_group_id=TARGET_GROUP,
            source_resource_id=VM_ID,
            since=SOON,
            until=LATER,
            job_id="job-1",
        )
        assert decide(restore, LATER) == MakeCall(call=listing)

    def test_a_new_vm_gives_its_disks_its_own_name(self) -> None:
        step = decide(absorb(tracking_job(**NEW_VM), GET_JOB, Answer(JOB), LATER), LATER)

        assert isinstance(step, MakeCall)
        assert isinstance(step.call, calls.ListRestoredDisks)
        assert step.call.target_virtual_machine_id == NEW_VM["targetVirtualMachineId"]

    def test_a_job_that_tells_no_times_is_bounded_by_our_own(self) -> None:
        restore = absorb(tracking_job(), GET_JOB, Answer(JOB), LATER)

        step = decide(restore, LATER)

        assert isinstance(step, MakeCall)
        assert isinstance(step.call, calls.ListRestoredDisks)
        assert (step.call.since, step.call.until) == (CREATED, LATER)
