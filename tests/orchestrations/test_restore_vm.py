"""A restore from acceptance to its end, on a clock that skips."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from domain import errors
from domain.azure.disks import Disk
from domain.errors import ErrorDetail, TerminalError, TransientError
from domain.jobs import JobStatus, Operation, OperationStatus
from domain.restore.polling import Limits
from domain.validation import Validation
from tests.support.azure import LIMITS, VAULT_ID, VM_ID, Lab, a_point, a_restore, throttled
from tests.support.hub import START


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_restores_the_disks_and_says_where_they_are(lab: Lab) -> None:
    done = lab.run()

    assert (done["status"], done["phase"]) == ("Completed", "Finished")
    assert done["result"]["configBlobUri"] == "https://s/config.json"
    assert done["result"]["targetStorageAccountName"] == "stagingweu"
    assert done["result"]["duration"] == "PT31M"
    assert (done["jobId"], done["operationId"], done["vaultId"]) == ("job-1", "operation-1", VAULT_ID)
    assert done["recoveryPoint"]["id"] == "1103996678573089"
    assert done["progressPercentage"] == 100.0
    assert done["error"] is None
    assert done["warnings"] == []


def test_triggers_once_and_asks_little(lab: Lab) -> None:
    lab.run()

    assert lab.azure.calls["trigger_restore"] == 1
    first = list(lab.azure.calls)
    before = first[: first.index("trigger_restore")]
    assert sum(lab.azure.calls[name] for name in before) == 5
    assert lab.azure.calls.total() <= 55


def test_sends_the_body_that_the_service_expects(lab: Lab) -> None:
    lab.run()

    properties = lab.azure.bodies[0]["properties"]
    assert properties == {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": "1103996678573089",
        "recoveryType": "RestoreDisks",
        "sourceResourceId": VM_ID,
        "region": "westeurope",
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        "storageAccountId": properties["storageAccountId"],
        "targetResourceGroupId": properties["targetResourceGroupId"],
    }


def test_waits_as_long_as_the_trigger_asks_before_the_first_look_in_whole_seconds(lab: Lab) -> None:
    lab.azure.retry_after["trigger_restore"] = 37.5

    lab.run()

    assert lab.waits_s()[0] == 38


def test_a_wait_asked_for_by_the_job_always_wins(lab: Lab) -> None:
    lab.azure.retry_after["get_job"] = 300.0

    lab.run()

    assert set(lab.waits_s()[1:]) == {300.0}


def test_without_one_the_wait_grows_from_the_least_to_the_most(lab: Lab) -> None:
    lab.run()

    waits = lab.waits_s()[1:]
    assert waits[0] == 15.0
    assert waits == sorted(waits)
    assert waits[-1] == 60.0
    assert 15.0 < waits[10] < 60.0


@pytest.mark.parametrize("offset_s", range(0, 60, 3))
def test_reports_a_job_of_31_minutes_within_a_minute_of_its_end(lab: Lab, offset_s: int) -> None:
    lab.azure.job_takes = timedelta(minutes=31, seconds=offset_s)

    lab.run()

    assert 0 <= lab.elapsed_s - (31 * 60 + offset_s) <= 60


def test_follows_a_slow_operation_at_the_address_it_was_given_last(lab: Lab) -> None:
    running = Operation(status=OperationStatus.RUNNING, next_url="https://azure/op-1?again")
    lab.azure.operations = [running, Operation(status=OperationStatus.RUNNING)]
    lab.azure.retry_after["get_operation"] = 20.0

    assert lab.run()["status"] == "Completed"

    assert lab.azure.urls == ["https://azure/op-1", "https://azure/op-1?again", "https://azure/op-1?again"]
    assert lab.waits_s()[1:3] == [20.0, 20.0]


def test_tells_progress_phase_and_next_look_while_it_runs(lab: Lab) -> None:
    lab.run()

    told = [each.value for each in lab.hub.statuses(a_restore().restore_id)]
    phases = list(dict.fromkeys(status["phase"] for status in told))
    assert phases == [
        "Resolving",
        "SelectingRecoveryPoint",
        "Triggering",
        "TrackingOperation",
        "TrackingJob",
        "Finished",
    ]
    waiting = [status for status in told if status["phase"] == "TrackingJob" and status["nextPollTime"]]
    assert all(status["nextPollTime"] > status["lastUpdatedTime"] for status in waiting)
    progress = [status["progressPercentage"] for status in told if status["progressPercentage"] is not None]
    assert progress == sorted(progress)
    assert len(set(progress)) > 10


def test_a_job_of_twenty_hours_keeps_every_history_small(lab: Lab) -> None:
    lab.azure.job_takes = timedelta(hours=20)

    assert lab.run()["status"] == "Completed"

    assert lab.hub.largest_history <= 500
    assert lab.azure.calls["trigger_restore"] == 1


def test_the_job_alone_decides_and_its_words_are_kept(lab: Lab) -> None:
    lab.azure.job_end = JobStatus.FAILED
    lab.azure.job_details = (ErrorDetail(code="UserErrorCoreCount", message="The quota is used up. Raise it."),)

    done = lab.run()

    assert done["status"] == "Failed"
    assert done["error"]["code"] == "RestoreFailed"
    assert "The quota is used up. Raise it." in done["error"]["message"]
    assert done["error"]["details"][0]["code"] == "UserErrorCoreCount"


def test_a_cancelled_job_is_reported_as_cancelled(lab: Lab) -> None:
    lab.azure.job_end = JobStatus.CANCELLED

    done = lab.run()

    assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled")


def test_warnings_of_the_service_never_pass_as_completed(lab: Lab) -> None:
    lab.azure.job_end = JobStatus.COMPLETED_WITH_WARNINGS
    lab.azure.job_details = (ErrorDetail(code="OlrBackupFailed", message="Failed to take snapshot of the VM"),)

    done = lab.run()

    assert done["status"] == "CompletedWithWarnings"
    assert {"code": "OlrBackupFailed", "message": "Failed to take snapshot of the VM"} in done["warnings"]


@pytest.mark.parametrize(
    ("status", "reported"), [(OperationStatus.FAILED, "Failed"), (OperationStatus.CANCELED, "Cancelled")]
)
def test_an_operation_that_failed_ends_the_restore(lab: Lab, status: OperationStatus, reported: str) -> None:
    lab.azure.posts = ["jobless"]
    lab.azure.operations = [Operation(status=status, error=ErrorDetail(code="UserErrorX", message="No."))]

    done = lab.run()

    assert done["status"] == reported
    assert done["error"]["details"] == [{"code": "UserErrorX", "message": "No."}]


def test_every_restore_leaves_one_result_message(lab: Lab) -> None:
    done = lab.run()

    assert lab.published == [done]


def test_the_status_is_whole_as_soon_as_it_says_finished(lab: Lab) -> None:
    lab.publishing_fails = 2

    done = lab.run()

    finished = [each.value for each in lab.hub.statuses(done["id"]) if each.value["phase"] == "Finished"]
    assert finished
    assert all(status["result"] == done["result"] for status in finished)


def test_a_service_of_many_words_does_not_overflow_the_custom_status(lab: Lab) -> None:
    lab.azure.job_end = JobStatus.FAILED
    lab.azure.job_details = tuple(ErrorDetail(code=f"E{n}", message="ü" * 900) for n in range(80))

    done = lab.run()

    told = [json.dumps(each.value) for each in lab.hub.statuses(done["id"])]
    assert max(len(text.encode("utf-16-le")) for text in told) <= 16 * 1024
    assert len(done["error"]["details"]) == 80


def test_a_results_queue_that_stays_away_does_not_change_the_outcome(lab: Lab) -> None:
    lab.publishing_fails = 1000

    done = lab.run()

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["ResultNotPublished"]


def test_a_results_queue_that_comes_back_gets_its_message(lab: Lab) -> None:
    lab.publishing_fails = 3

    done = lab.run()

    assert lab.published == [done]
    assert done["warnings"] == []


class TestBeforeTheTrigger:
    def test_a_vm_that_is_not_protected_fails_with_what_to_do(self, lab: Lab) -> None:
        lab.azure.status = {"protectionStatus": "NotProtected", "vaultId": None}

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NotProtected")
        assert "Check the VM id" in done["error"]["message"]
        assert "Nothing was started." in done["error"]["message"]
        assert lab.azure.jobs == []

    def test_a_vm_that_is_gone_fails_with_what_to_do(self, lab: Lab) -> None:
        lab.azure.fails["get_virtual_machine_region"] = [TerminalError(errors.NOT_FOUND, "gone")]

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NotFound")
        assert "Give vaultId" in done["error"]["message"]

    def test_a_vm_that_is_gone_is_restored_when_the_vault_is_named(self, lab: Lab) -> None:
        lab.azure.fails["get_virtual_machine_region"] = [TerminalError(errors.NOT_FOUND, "gone")]

        done = lab.run(a_restore(vaultId=VAULT_ID))

        assert done["status"] == "Completed"
        assert lab.azure.calls["get_virtual_machine_region"] == 0

    def test_an_item_without_a_usable_point_fails_with_the_reasons(self, lab: Lab) -> None:
        lab.azure.points = [a_point(recoveryPointTierDetails=[{"type": "InstantRP", "status": "Deleted"}])]

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NoMatchingRecoveryPoint")
        assert "1 of 1: no tier holds its data any more" in done["error"]["details"][0]["message"]
        assert lab.azure.jobs == []

    @pytest.mark.parametrize("call", ["get_virtual_machine_region", "list_recovery_points", "find_restore_job"])
    def test_throttling_is_waited_out_as_asked_in_whole_seconds(self, lab: Lab, call: str) -> None:
        lab.azure.fails[call] = [throttled(7.25), throttled(0.75)]

        assert lab.run()["status"] == "Completed"

        assert lab.waits_s()[:2] == [8, 1]
        assert lab.azure.calls["trigger_restore"] == 1

    def test_an_outage_without_a_wait_is_met_with_growing_ones(self, lab: Lab) -> None:
        lab.azure.fails["get_backup_status"] = [throttled(None)] * 4

        assert lab.run()["status"] == "Completed"

        assert lab.waits_s()[:4] == [5.0, 10.0, 20.0, 40.0]

    @pytest.mark.parametrize("asked_s", [0.0, 1.0, 5.0])
    def test_short_waits_do_not_shorten_the_patience(self, lab: Lab, asked_s: float) -> None:
        lab.azure.fails["get_backup_status"] = [throttled(asked_s)] * 100_000

        assert lab.run()["status"] == "Failed"
        assert 1800 <= lab.elapsed_s <= 2100

    def test_an_outage_that_lasts_ends_the_restore_with_nothing_started(self, lab: Lab) -> None:
        lab.azure.fails["get_backup_status"] = [throttled(None)] * 100

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "ServiceUnavailable")
        assert "Nothing was started." in done["error"]["message"]
        assert lab.elapsed_s < 3600

    def test_a_refused_permission_ends_the_restore_at_once(self, lab: Lab) -> None:
        lab.azure.fails["list_recovery_points"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "AuthorizationFailed")
        assert lab.elapsed_s == 0

    def test_the_deadline_counts_before_the_trigger_too(self, lab: Lab) -> None:
        lab.azure.fails["get_backup_status"] = [throttled(4000.0)] * 3

        done = lab.run(a_restore(limits=_limits(deadline_s=3600)))

        assert (done["status"], done["error"]["code"]) == ("TimedOut", "DeadlineExceeded")
        assert lab.elapsed_s == 3600
        assert lab.azure.jobs == []


class TestValidation:
    def test_runs_first_and_is_waited_for_as_asked(self, lab: Lab) -> None:
        lab.azure.validations = [Validation(status=OperationStatus.RUNNING)]
        lab.azure.retry_after["get_validation"] = 12.0

        assert lab.run(a_restore(validate=None))["status"] == "Completed"

        assert lab.waits_s()[:2] == [10.0, 12.0]
        assert lab.azure.calls["trigger_validation"] == 1

    def test_findings_end_the_restore_with_nothing_started(self, lab: Lab) -> None:
        finding = ErrorDetail(code="UserErrorQuota", message="Quota reached. Raise it.")
        lab.azure.validations = [Validation(status=OperationStatus.SUCCEEDED, findings=(finding,))]

        done = lab.run(a_restore(validate=True))

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"] == [{"code": "UserErrorQuota", "message": "Quota reached. Raise it."}]
        assert lab.azure.jobs == []

    def test_a_validation_that_cannot_be_followed_is_a_warning(self, lab: Lab) -> None:
        lab.azure.validation_id = None

        done = lab.run(a_restore(validate=True))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ValidationUnavailable"]

    def test_a_validation_that_is_forgotten_is_a_warning(self, lab: Lab) -> None:
        lab.azure.fails["get_validation"] = [TerminalError(errors.NOT_FOUND, "no such operation")]

        done = lab.run(a_restore(validate=True))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ValidationUnavailable"]

    def test_a_failed_validation_ends_the_restore_too(self, lab: Lab) -> None:
        lab.azure.validations = [Validation(status=OperationStatus.FAILED)]

        assert lab.run(a_restore(validate=True))["error"]["code"] == "ValidationFailed"
        assert lab.azure.jobs == []

    def test_a_service_that_lacks_the_call_is_a_warning(self, lab: Lab) -> None:
        lab.azure.fails["trigger_validation"] = [TerminalError(errors.NOT_FOUND, "no such call")]

        done = lab.run(a_restore(validate=True))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ValidationUnavailable"]

    def test_a_refused_permission_to_validate_is_not_ignored(self, lab: Lab) -> None:
        lab.azure.fails["trigger_validation"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert lab.run(a_restore(validate=True))["error"]["code"] == "AuthorizationFailed"


@pytest.mark.parametrize("asked_s", [2700, 366 * 86_400])
def test_a_long_wait_on_the_list_does_not_keep_a_long_operation_from_being_followed(lab: Lab, asked_s: float) -> None:
    lab.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 22  # five minutes and more
    lab.azure.fails["find_restore_job"] = [None, *[throttled(asked_s)] * 1000]

    done = lab.run()

    assert done["status"] == "Completed"
    assert lab.elapsed_s < 40 * 60


class TestExactlyOnce:
    def test_a_lost_answer_is_followed_by_a_look_not_a_post(self, lab: Lab) -> None:
        lab.azure.posts = ["lost"]

        done = lab.run()

        assert (done["status"], done["jobId"]) == ("Completed", "job-1")
        assert lab.azure.calls["trigger_restore"] == 1
        assert [warning["code"] for warning in done["warnings"]] == ["TriggerOutcomeOpen"]

    def test_a_job_that_is_listed_late_is_still_adopted(self, lab: Lab) -> None:
        lab.azure.posts = ["lost"]
        lab.azure.listed_after = timedelta(seconds=119)

        assert lab.run()["status"] == "Completed"

        assert lab.azure.calls["trigger_restore"] == 1

    def test_only_a_window_without_a_job_allows_a_second_post(self, lab: Lab) -> None:
        lab.azure.posts = ["unheard"]

        done = lab.run()

        assert done["status"] == "Completed"
        assert lab.azure.calls["trigger_restore"] == 2
        posted = [call.at for call in lab.hub.calls if call.name == "start_restore"]
        assert (posted[1] - posted[0]).total_seconds() == 120
        looks = [call.at for call in lab.hub.calls if call.name == "find_job"]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(looks)]
        assert len(looks) >= 5
        assert gaps[:-1] == sorted(gaps[:-1])

    def test_the_second_post_carries_the_same_id(self, lab: Lab) -> None:
        lab.azure.posts = ["unheard"]

        lab.run()

        sent = {call.input["clientRequestId"] for call in lab.hub.calls if call.name == "start_restore"}
        assert sent == {a_restore().client_request_id}

    def test_two_open_answers_without_a_job_end_with_a_call_for_a_person(self, lab: Lab) -> None:
        lab.azure.posts = ["unheard", "unheard"]

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreFailed")
        assert "A person must look" in done["error"]["message"]
        assert a_restore().client_request_id in done["error"]["message"]
        assert lab.azure.calls["trigger_restore"] == 2

    def test_an_open_answer_that_asks_for_a_wait_gets_it_before_the_look(self, lab: Lab) -> None:
        lab.azure.posts = ["lost"]
        lab.azure.retry_after["open"] = 33.0

        lab.run()

        assert lab.waits_s()[0] == 33.0

    def test_looks_that_fail_never_lead_to_a_post(self, lab: Lab) -> None:
        lab.azure.posts = ["unheard"]
        lab.azure.fails["find_restore_job"] = [None, *[throttled(None)] * 1000]

        done = lab.run()

        assert done["status"] == "TimedOut"
        assert lab.azure.calls["trigger_restore"] == 1
        assert "A person must look" in done["error"]["message"]

    @pytest.mark.parametrize("code", [errors.AUTHORIZATION_FAILED, errors.NOT_FOUND, errors.RESTORE_REFUSED])
    def test_a_look_that_is_refused_once_does_not_lose_the_restore(self, lab: Lab, code: str) -> None:
        lab.azure.posts = ["lost"]
        lab.azure.fails["find_restore_job"] = [None, TerminalError(code, "not now", retry_after_s=12.0)]

        done = lab.run()

        assert (done["status"], done["jobId"]) == ("Completed", "job-1")
        assert lab.waits_s()[:2] == [5.0, 12.0]

    def test_a_list_that_throttles_for_a_while_is_waited_out(self, lab: Lab) -> None:
        lab.azure.posts = ["lost"]
        lab.azure.fails["find_restore_job"] = [None, *[throttled(1.0)] * 60]

        assert lab.run()["jobId"] == "job-1"
        assert lab.azure.calls["trigger_restore"] == 1

    def test_the_deadline_gets_its_last_look(self, lab: Lab) -> None:
        lab.azure.posts = ["lost"]
        lab.azure.retry_after["open"] = 36_000.0
        lab.azure.job_takes = timedelta(minutes=10)

        done = lab.run(a_restore(limits=_limits(deadline_s=3600)))

        assert lab.azure.calls["find_restore_job"] == 2
        assert (done["status"], done["jobId"]) == ("TimedOut", "job-1")
        assert "job-1 may still run" in done["error"]["message"]

    def test_delivered_twice_at_once_it_posts_once_though_the_list_lags(self) -> None:
        lab = Lab(redeliver=lambda name: name == "start_restore")
        lab.azure.listed_after = timedelta(seconds=30)

        done = lab.run()

        assert done["status"] == "Completed"
        assert len(lab.azure.jobs) == 1

    def test_delivered_twice_at_once_an_open_answer_still_gets_its_window(self) -> None:
        lab = Lab(redeliver=lambda name: name == "start_restore")
        lab.azure.posts = ["unheard"]

        done = lab.run()

        assert done["status"] == "Completed"
        posted = sorted({call.at for call in lab.hub.calls if call.name == "start_restore"})
        assert (posted[1] - posted[0]).total_seconds() == 120
        assert len(lab.azure.jobs) == 1

    def test_delivered_late_it_looks_for_a_window_before_it_posts(self, lab: Lab) -> None:
        lab.azure.before["find_restore_job"] = [lambda: lab.hub.clock.advance(timedelta(minutes=6))]

        done = lab.run()

        assert done["status"] == "Completed"
        assert lab.azure.calls["trigger_restore"] == 1
        assert lab.azure.jobs[0].made - START == timedelta(minutes=8)

    def test_a_throttled_post_is_posted_again_after_the_wait(self, lab: Lab) -> None:
        lab.azure.fails["trigger_restore"] = [throttled(30.0)]

        done = lab.run()

        assert (done["status"], done["warnings"]) == ("Completed", [])
        assert lab.waits_s()[0] == 30.0
        assert len(lab.azure.jobs) == 1

    def test_a_refused_post_ends_the_restore(self, lab: Lab) -> None:
        lab.azure.fails["trigger_restore"] = [TerminalError(errors.RESTORE_REFUSED, "invalid input")]

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreRefused")
        assert "Nothing was started." in done["error"]["message"]

    @pytest.mark.parametrize("deaths", [1, 2, 5])
    def test_workers_that_died_before_they_could_post_cost_seconds_and_no_person(self, lab: Lab, deaths: int) -> None:
        lab.azure.fails["find_restore_job"] = [RuntimeError("python exited with code 137 (0x89)")] * deaths

        done = lab.run()

        assert (done["status"], done["warnings"]) == ("Completed", [])
        assert lab.azure.calls["trigger_restore"] == 1
        assert (lab.azure.jobs[0].made - START).total_seconds() <= 5 * 2**deaths

    def test_an_activity_that_broke_while_posting_counts_as_open(self, lab: Lab) -> None:
        lab.azure.fails["trigger_restore"] = [MemoryError("the worker died")]

        done = lab.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["TriggerOutcomeOpen"]
        posted = [call.at for call in lab.hub.calls if call.name == "start_restore"]
        assert (posted[1] - posted[0]).total_seconds() == 120

    def test_activities_delivered_twice_start_one_restore(self) -> None:
        lab = Lab(redeliver=True)

        done = lab.run()

        assert done["status"] == "Completed"
        assert len(lab.azure.jobs) == 1

    def test_the_deadline_passing_while_the_outcome_is_open_calls_for_a_person(self, lab: Lab) -> None:
        lab.azure.posts = ["unheard"]

        done = lab.run(a_restore(limits=_limits(deadline_s=60)))

        assert done["status"] == "TimedOut"
        assert lab.elapsed_s == 60
        assert "A person must look" in done["error"]["message"]


class TestTracking:
    def test_an_answer_without_an_operation_leads_to_the_job_all_the_same(self, lab: Lab) -> None:
        lab.azure.operation_id = None
        lab.azure.listed_after = timedelta(minutes=3)

        done = lab.run()

        assert (done["status"], done["jobId"], done["operationId"]) == ("Completed", "job-1", None)
        assert lab.azure.calls["trigger_restore"] == 1

    def test_a_permission_refused_on_the_operation_does_not_lose_the_restore(self, lab: Lab) -> None:
        lab.azure.fails["get_operation"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert lab.run()["status"] == "Completed"

    def test_a_job_that_tells_no_progress_is_followed_like_any_other(self, lab: Lab) -> None:
        lab.azure.tells_progress = False

        assert lab.run()["status"] == "Completed"

    def test_an_accepted_restore_without_an_operation_is_found_by_its_job(self, lab: Lab) -> None:
        lab.azure.operations = [Operation(status=OperationStatus.SUCCEEDED, job_id=None)]

        assert lab.run()["jobId"] == "job-1"

    @pytest.mark.parametrize("status", list(OperationStatus))
    def test_an_operation_that_names_a_job_leads_to_it_whatever_else_it_says(
        self, lab: Lab, status: OperationStatus
    ) -> None:
        lab.azure.operations = [Operation(status=status, job_id="job-1")]

        assert lab.run()["status"] == "Completed"

    @pytest.mark.parametrize("status", [OperationStatus.FAILED, OperationStatus.CANCELED])
    def test_an_operation_that_failed_though_its_job_runs_is_followed(self, lab: Lab, status: OperationStatus) -> None:
        lab.azure.operations = [Operation(status=status)]

        assert lab.run()["status"] == "Completed"

    def test_an_operation_that_never_ends_does_not_hide_the_end_of_its_job(self, lab: Lab) -> None:
        lab.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 10_000

        done = lab.run()

        assert done["status"] == "Completed"
        assert lab.elapsed_s <= 32 * 60
        assert lab.azure.calls["get_operation"] < 100

    def test_a_slow_operation_whose_job_is_not_listed_yet_is_waited_for(self, lab: Lab) -> None:
        lab.azure.operations = [Operation(status=OperationStatus.RUNNING)] * 40
        lab.azure.listed_after = timedelta(minutes=8)

        assert lab.run()["status"] == "Completed"

    def test_an_operation_that_succeeded_without_naming_its_job_is_waited_for(self, lab: Lab) -> None:
        lab.azure.operations = [Operation(status=OperationStatus.SUCCEEDED)] * 40
        lab.azure.listed_after = timedelta(minutes=3)

        assert lab.run()["status"] == "Completed"

    def test_an_address_that_keeps_failing_is_given_up_for_the_vaults(self, lab: Lab) -> None:
        lab.azure.fails["get_operation"] = [throttled(None)] * 3

        assert lab.run()["status"] == "Completed"

        assert lab.azure.urls == [None]

    def test_a_restore_without_operation_and_job_is_for_a_person(self, lab: Lab) -> None:
        lab.azure.operation_id = None
        lab.azure.posts = ["jobless"]

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreFailed")
        assert done["error"]["message"].count("A person must look") == 1
        assert 1800 <= lab.elapsed_s < 2000

    def test_a_wait_on_the_answer_that_names_the_job_is_kept(self, lab: Lab) -> None:
        lab.azure.retry_after["get_operation"] = 45.0

        lab.run()

        assert lab.waits_s()[:2] == [60.0, 45.0]

    def test_a_refusal_that_asks_for_a_wait_gets_it(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [TerminalError(errors.RESTORE_REFUSED, "locked", retry_after_s=77.0)]

        lab.run()

        assert lab.waits_s()[1] == 77.0

    def test_an_operation_that_is_forgotten_is_replaced_by_the_job(self, lab: Lab) -> None:
        lab.azure.fails["get_operation"] = [TerminalError(errors.NOT_FOUND, "forgotten")]
        lab.azure.listed_after = timedelta(minutes=2)

        assert lab.run()["jobId"] == "job-1"

    def test_a_job_that_is_not_there_yet_is_looked_for_again(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [TerminalError(errors.NOT_FOUND, "not yet")] * 3

        assert lab.run()["status"] == "Completed"

    def test_a_job_that_stays_away_ends_as_failed_naming_it(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [TerminalError(errors.NOT_FOUND, "The vault is gone.")] * 1000

        done = lab.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NotFound")
        assert "job-1 may still run" in done["error"]["message"]

    def test_an_outage_of_three_hours_does_not_lose_the_restore(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [throttled(None)] * 50

        done = lab.run()

        assert done["status"] == "Completed"
        assert lab.elapsed_s > 3 * 3600

    def test_a_permission_lost_for_a_moment_does_not_lose_the_restore(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")] * 5

        assert lab.run()["status"] == "Completed"

    def test_an_activity_that_broke_is_asked_again(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [RuntimeError("worker died")]

        assert lab.run()["status"] == "Completed"

    def test_throttling_while_tracking_is_waited_out_exactly(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [throttled(90.0)]

        lab.run()

        assert lab.waits_s()[1] == 90.0

    def test_gives_up_at_the_deadline_and_says_that_the_job_goes_on(self, lab: Lab) -> None:
        lab.azure.job_takes = timedelta(hours=3)

        done = lab.run(a_restore(limits=_limits(deadline_s=3600)))

        assert (done["status"], done["error"]["code"]) == ("TimedOut", "DeadlineExceeded")
        assert "job-1 may still run" in done["error"]["message"]
        assert lab.elapsed_s == 3600

    def test_a_job_that_ends_just_at_the_deadline_is_reported_as_it_ended(self, lab: Lab) -> None:
        lab.azure.job_takes = timedelta(hours=1)

        assert lab.run(a_restore(limits=_limits(deadline_s=3600)))["status"] == "Completed"

    def test_a_service_that_asks_for_no_wait_gets_no_tight_loop(self, lab: Lab) -> None:
        lab.azure.retry_after["get_job"] = 0.0
        lab.azure.job_takes = timedelta(minutes=2)

        lab.run()

        assert min(lab.waits_s()) >= 0.1

    def test_a_broken_read_error_is_told_while_it_is_retried(self, lab: Lab) -> None:
        lab.azure.fails["get_job"] = [TransientError(errors.SERVICE_UNAVAILABLE, "503")]

        lab.run()

        assert lab.waits_s()[1] == 5.0


def _limits(*, deadline_s: float) -> Limits:
    return Limits(
        job_poll_min_s=LIMITS.job_poll_min_s,
        job_poll_max_s=LIMITS.job_poll_max_s,
        deadline_s=deadline_s,
        adoption_window_s=LIMITS.adoption_window_s,
    )


class TestDisksMade:
    """A list of disks was asked for: what was made is looked at in the target group."""

    def run(self, lab: Lab, asked: list[int], **members: Any) -> list[tuple[str, str]]:
        lab.azure.item_properties = {"extendedProperties": {"diskExclusionProperties": {"diskLunList": [0, 1]}}}
        done = lab.run(a_restore(restoreDiskLunList=asked, **members))
        assert done["status"] in {"Completed", "CompletedWithWarnings", "Failed"}, done["error"]
        return [(each["code"], each["message"]) for each in done["warnings"] if "Disks" in each["code"]]

    def made(self, lab: Lab, *names: str) -> list[Disk]:
        end = lab.azure.clock.now() + lab.azure.job_takes
        return [Disk(name=f"web-01-{name}", is_os_disk=name == "osdisk", created=end) for name in names]

    def test_as_asked_there_is_no_warning(self) -> None:
        lab = Lab()
        lab.azure.disks = self.made(lab, "osdisk", "datadisk-000")
        assert self.run(lab, [0]) == []
        assert lab.azure.calls["list_disks"] == 1

    def test_others_than_asked_for_are_named(self) -> None:
        lab = Lab()
        lab.azure.disks = self.made(lab, "osdisk", "datadisk-000", "datadisk-001")
        [(code, message)] = self.run(lab, [0])
        assert code == "DisksDiffer"
        assert "web-01-datadisk-001" in message

    def test_disks_that_may_not_be_read_are_a_warning_and_no_failure(self) -> None:
        lab = Lab()
        lab.azure.fails["list_disks"] = [TerminalError("AuthorizationFailed", "no right to read disks")]
        [(code, message)] = self.run(lab, [0])
        assert code == "DisksNotCompared"
        assert "no right to read disks" in message

    def test_a_worker_that_died_while_reading_them_is_no_reason_to_leave_them(self) -> None:
        lab = Lab()
        lab.azure.disks = self.made(lab, "osdisk", "datadisk-000")
        lab.azure.fails["list_disks"] = [RuntimeError("python exited with code 137 (0x89)")]

        assert self.run(lab, [0]) == []
        assert lab.azure.calls["list_disks"] == 2

    def test_disks_that_stay_out_of_reach_hold_the_report_back_for_seconds_only(self) -> None:
        lab = Lab()
        lab.azure.fails["list_disks"] = [throttled(None)] * 100

        [(code, _)] = self.run(lab, [0])

        assert code == "DisksNotCompared"
        assert lab.elapsed_s <= 60 + lab.azure.job_takes.total_seconds() + 20

    def test_a_failed_job_is_not_looked_at(self) -> None:
        lab = Lab()
        lab.azure.job_end = JobStatus.FAILED
        assert self.run(lab, [0]) == []
        assert lab.azure.calls["list_disks"] == 0

    def test_without_a_list_or_a_group_there_is_nothing_to_compare(self) -> None:
        lab = Lab()
        lab.run()
        assert lab.azure.calls["list_disks"] == 0
        blobs = Lab()
        self.run(blobs, [0], targetResourceGroupId=None)
        assert blobs.azure.calls["list_disks"] == 0


@pytest.mark.parametrize(
    "error", [throttled(30.0), TerminalError("AuthorizationFailed", "no"), TerminalError("NotFound", "no")]
)
def test_a_second_delivery_whose_look_up_fails_leaves_the_outcome_open(error: Exception) -> None:
    lab = Lab(redeliver=lambda name: name == "start_restore")
    lab.azure.listed_after = timedelta(seconds=30)
    lab.azure.fails["find_restore_job"] = [None, error]

    done = lab.run()

    assert done["status"] == "Completed"
    assert len(lab.azure.jobs) == 1
