from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import Job, JobStatus, Operation, OperationStatus
from domain.codec import as_json
from domain.errors import ErrorDetail, Json
from domain.restore import outcome
from domain.restore.answers import Refusal
from domain.restore.parts import (
    Admission,
    Approval,
    Cancellation,
    Decision,
    Delivery,
    LockState,
    Outcome,
    RefusedWhen,
    Source,
    Status,
    Trigger,
)
from domain.restore.stages import AwaitingResourceGuard, FindingJob, Triggering
from tests.support.azure import (
    GUARD_CLOSED,
    TARGET_GROUP,
    a_point,
    a_restore,
)
from tests.support.strategies import NAMES
from tests.unit.domain import recorded
from tests.unit.domain.restore.states import (
    CREATED,
    NOW,
    PREPARED,
    admitted,
    preparing,
    searching,
    tracking_job,
    tracking_operation,
    triggering,
)

if TYPE_CHECKING:
    from domain.restore.state import Restore
    from tests.support.player import Player


def test_the_job_alone_decides_and_its_words_are_kept(player: Player) -> None:
    player.azure.job_end = JobStatus.FAILED
    player.azure.job_details = (ErrorDetail(code="UserErrorCoreCount", message="The quota is used up. Raise it."),)

    done = player.run()

    assert done["status"] == "Failed"
    assert done["error"]["code"] == "RestoreFailed"
    assert "The quota is used up. Raise it." in done["error"]["message"]
    assert done["error"]["details"][0]["code"] == "UserErrorCoreCount"


def test_a_cancelled_job_is_reported_as_cancelled(player: Player) -> None:
    player.azure.job_end = JobStatus.CANCELLED

    done = player.run()

    assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled")


def test_warnings_of_the_service_never_pass_as_completed(player: Player) -> None:
    player.azure.job_end = JobStatus.COMPLETED_WITH_WARNINGS
    player.azure.job_details = (ErrorDetail(code="OlrBackupFailed", message="Failed to take snapshot of the VM"),)

    done = player.run()

    assert done["status"] == "CompletedWithWarnings"
    assert {"code": "OlrBackupFailed", "message": "Failed to take snapshot of the VM"} in done["warnings"]


@pytest.mark.parametrize(
    ("status", "reported"), [(OperationStatus.FAILED, "Failed"), (OperationStatus.CANCELED, "Cancelled")]
)
def test_an_operation_that_failed_ends_the_restore(player: Player, status: OperationStatus, reported: str) -> None:
    player.azure.posts = ["jobless"]
    player.azure.operations = [Operation(status=status, error=ErrorDetail(code="UserErrorX", message="No."))]

    done = player.run()

    assert done["status"] == reported
    assert done["error"]["details"] == [{"code": "UserErrorX", "message": "No."}]


class TestResult:
    def test_warnings_of_the_checks_are_kept(self, player: Player) -> None:
        done = player.run(a_restore(targetResourceGroupId=None))

        assert [warning["code"] for warning in done["warnings"]] == ["UnmanagedDisks"]

    def test_disks_replaced_in_place_are_warned_about(self, player: Player) -> None:
        done = player.run(a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["SnapshotOnly", "DiskNamesChanged"]

    def test_disks_replaced_from_the_vault_need_no_such_doubt(self, player: Player) -> None:
        tiers = [{"type": tier, "status": "Valid"} for tier in ("InstantRP", "HardenedRP")]
        player.azure.points = [a_point(recoveryPointTierDetails=tiers)]

        done = player.run(a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None))

        assert [warning["code"] for warning in done["warnings"]] == ["DiskNamesChanged"]

    def test_a_new_vm_is_named(self, player: Player) -> None:
        group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/restored-rg"
        network = f"{group}/providers/Microsoft.Network/virtualNetworks/net"
        target = f"{group}/providers/Microsoft.Compute/virtualMachines/web-01-restored"

        done = player.run(
            a_restore(
                recoveryType="AlternateLocation",
                targetVirtualMachineId=target,
                virtualNetworkId=network,
                subnetId=f"{network}/subnets/default",
            )
        )

        assert (done["status"], done["result"]["targetVirtualMachineId"]) == ("Completed", target)

    def test_a_new_vm_that_was_not_made_is_not_named(self, player: Player) -> None:
        player.azure.job_end = JobStatus.FAILED
        network = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"

        done = player.run(
            a_restore(
                recoveryType="AlternateLocation",
                targetVirtualMachineId=f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored",
                virtualNetworkId=network,
                subnetId=f"{network}/subnets/default",
            )
        )

        assert (done["status"], done["result"]["targetVirtualMachineId"]) == ("Failed", None)

    def test_a_rule_of_the_service_ends_it_before_the_trigger(self, player: Player) -> None:
        done = player.run(a_restore(restoreDiskLunList=[0]))

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"][0]["target"] == "restoreDiskLunList"
        assert player.azure.jobs == []


BAG = {
    "Target Storage Account Name": "stagingweu",
    "Target resource group": "restored-rg",
    "Target VM Name": "web-01",
    "Config Blob Uri": "https://s/c/config.json",
}


def ended(status: JobStatus, *details: ErrorDetail, **members: Any) -> Restore:
    job = Job(job_id="job-1", status=status, details=details, property_bag=BAG)
    return outcome.ended_by_job(tracking_job(**members), job, NOW)


def error_of(restore: Restore) -> Json:
    assert restore.outcome is not None
    assert restore.outcome.error is not None
    return restore.outcome.error


def codes(restore: Restore) -> list[str]:
    return [warning.code for warning in restore.warnings]


class TestEndedByItsJob:
    def test_completed(self) -> None:
        job = Job.from_api(recorded.JOB_COMPLETED)

        restore = outcome.ended_by_job(tracking_job(targetResourceGroupId=None), job, NOW)

        assert restore.outcome == Outcome(status=Status.COMPLETED, completed=NOW, result=as_json(job.result()))
        assert restore.warnings == ()

    def test_completed_with_warnings_is_reported_as_itself(self) -> None:
        restore = ended(JobStatus.COMPLETED_WITH_WARNINGS, ErrorDetail(code="OlrBackupFailed", message="No snapshot."))

        assert restore.outcome is not None
        assert (restore.outcome.status, restore.outcome.error) == (Status.COMPLETED_WITH_WARNINGS, None)
        assert restore.outcome.result is not None
        assert restore.outcome.result["jobStatus"] == "CompletedWithWarnings"
        assert codes(restore) == ["OlrBackupFailed", "CompletedWithWarnings"]
        assert restore.warnings[0].message == "No snapshot."
        assert restore.warnings[1].message == (
            "The service reports warnings. Check that the disks are there before you rely on them."
        )

    @pytest.mark.parametrize(
        ("job_status", "status", "code", "verb"),
        [
            (JobStatus.FAILED, Status.FAILED, "RestoreFailed", "failed"),
            (JobStatus.CANCELLED, Status.CANCELLED, "RestoreCancelled", "was cancelled"),
        ],
    )
    def test_failed_and_cancelled_are_failures_in_the_services_words(
        self, job_status: JobStatus, status: Status, code: str, verb: str
    ) -> None:
        details = (
            ErrorDetail(code="UserErrorX", message="The disk is too big.", info={"errorCode": 1}),
            ErrorDetail(code="Second", message="And old."),
        )
        restore = ended(job_status, *details)

        assert restore.outcome is not None
        assert (restore.outcome.status, restore.outcome.completed) == (status, NOW)
        assert restore.outcome.error == {
            "code": code,
            "message": f"Azure Backup job job-1 {verb}: The disk is too big.",
            "details": [detail.to_json() for detail in details],
        }
        assert restore.outcome.result is not None
        assert restore.outcome.result["jobStatus"] == job_status

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (JobStatus.FAILED, "Azure Backup job job-1 failed."),
            (JobStatus.CANCELLED, "Azure Backup job job-1 was cancelled."),
        ],
    )
    def test_a_failure_without_words_is_one_too(self, status: JobStatus, message: str) -> None:
        error = error_of(ended(status))

        assert (error["message"], error["details"]) == (message, [])

    def test_disks_that_were_replaced_have_other_names(self) -> None:
        [warning] = ended(JobStatus.COMPLETED, recoveryType="OriginalLocation", targetResourceGroupId=None).warnings

        assert warning.code == "DiskNamesChanged"
        assert warning.message == (
            "The VM's disks were replaced by new ones with other names. Bring Terraform, Bicep or other descriptions "
            "of the VM into line before they are applied again; the old disks are detached in its resource group."
        )


class TestCancelled:
    @pytest.mark.parametrize(
        ("cancellation", "by"),
        [
            (Cancellation(), ""),
            (Cancellation(by="me"), " by me"),
            (Cancellation(comment="wrong VM"), " (wrong VM)"),
            (Cancellation(by="me", comment="wrong VM"), " by me (wrong VM)"),
        ],
    )
    def test_it_says_who_wanted_it_and_what_may_still_run(self, cancellation: Cancellation, by: str) -> None:
        restore = replace(searching(), cancellation=cancellation, trigger=Trigger(attempts=1, unknown=1))

        cancelled = outcome.cancelled(restore, NOW)

        assert cancelled.outcome is not None
        assert (cancelled.outcome.status, cancelled.outcome.completed) == (Status.CANCELLED, NOW)
        assert error_of(cancelled) == {
            "code": "RestoreCancelled",
            "message": f"The restore was cancelled{by}. {outcome.what_may_still_run(restore)}",
            "details": [],
        }

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED_WITH_WARNINGS])
    def test_a_job_that_ended_otherwise_is_reported_with_a_warning(self, status: JobStatus) -> None:
        restore = replace(tracking_job(), cancellation=Cancellation(by="me"))

        restore = outcome.ended_by_job(restore, Job(job_id="1", status=status), NOW)

        assert restore.warnings[0].code == "CancelledTooLate"
        assert restore.warnings[0].message == (f"The restore was to be cancelled by me, but its job ended as {status}.")

    def test_a_job_that_was_cancelled_needs_no_warning(self) -> None:
        restore = replace(tracking_job(), cancellation=Cancellation(by="me", comment="wrong VM"))

        restore = outcome.ended_by_job(restore, Job(job_id="1", status=JobStatus.CANCELLED), NOW)

        assert restore.warnings == ()
        assert error_of(restore)["message"] == "Azure Backup job 1 was cancelled by me (wrong VM)."


class TestTimedOut:
    def test_it_says_when_why_and_what_may_still_run(self) -> None:
        restore = outcome.timed_out(tracking_job(), NOW)

        error = {
            "code": "DeadlineExceeded",
            "message": "The restore had not ended PT24H after it was accepted, which RESTORE_DEADLINE_HOURS allows. "
            "Azure Backup job job-1 may still run: look at it in the vault.",
            "details": [],
        }
        assert restore.outcome == Outcome(status=Status.TIMED_OUT, completed=NOW, error=error)

    def test_a_fraction_of_an_hour_is_shown(self) -> None:
        restore = tracking_job()
        limits = replace(restore.limits, deadline_s=5400)
        restore = replace(restore, accepted=replace(restore.accepted, limits=limits))

        assert "PT1H30M" in error_of(outcome.timed_out(restore, NOW))["message"]


class TestRejected:
    def test_a_person_who_said_no_is_named(self) -> None:
        approval = Approval(reason="r", decision=Decision.REJECTED, by="bo", comment="not now")

        restore = outcome.rejected(replace(admitted(), approval=approval), NOW)

        assert restore.outcome is not None
        assert restore.outcome.status is Status.REJECTED
        assert error_of(restore) == {
            "code": "Rejected",
            "message": "The restore was rejected by bo (not now). Nothing was started.",
            "details": [],
        }

    def test_silence_is_told_from_a_no(self) -> None:
        approval = Approval(reason="r", decision=Decision.TIMED_OUT)

        restore = outcome.rejected(
            replace(admitted(approval={"required": True, "timeout": "PT30M"}), approval=approval), NOW
        )

        assert error_of(restore) == {
            "code": "ApprovalTimedOut",
            "message": "Nobody approved the restore within PT30M. Nothing was started.",
            "details": [],
        }

    def test_a_resource_guard_that_stayed_closed_keeps_the_services_words(self) -> None:
        restore = triggering(approval={"timeout": "PT30M"})

        restore = outcome.resource_guard_stayed_closed(restore, GUARD_CLOSED.to_json(), NOW)

        assert restore.outcome is not None
        assert restore.outcome.status is Status.REJECTED
        assert error_of(restore) == {
            "code": "ApprovalTimedOut",
            "message": "The Resource Guard was not opened within PT30M. Nothing was started.",
            "details": GUARD_CLOSED.to_json()["details"],
        }


class TestRefused:
    REFUSAL = Refusal(code="RequestConflict", message="Another restore runs.")

    def refused(self, source: Source, *, after_s: float = 0, **members: Any) -> Outcome:
        restore = a_restore(started_by=source, created=CREATED, **members)
        refused = outcome.refused(restore, self.REFUSAL, CREATED + timedelta(seconds=after_s))
        assert refused.admission.lock is LockState.REFUSED
        assert refused.outcome is not None
        assert bool(refused.warnings) == (refused.outcome.refused is RefusedWhen.LATER)
        assert refused.outcome.error is not None
        assert refused.outcome.error["message"] == "Another restore runs. Nothing was started."
        return refused.outcome

    @pytest.mark.parametrize("source", [Source.HTTP, Source.ALERT])
    @pytest.mark.parametrize("after_s", [0, 5])
    def test_a_caller_who_still_waits_needs_no_message(self, source: Source, after_s: float) -> None:
        refused = self.refused(source, after_s=after_s)

        assert (refused.refused, refused.queue) == (RefusedWhen.AT_ONCE, Delivery.NOT_NEEDED)

    def test_a_caller_who_was_answered_before_gets_a_message(self) -> None:
        refused = self.refused(Source.HTTP, after_s=5.5)

        assert (refused.refused, refused.queue) == (RefusedWhen.LATER, Delivery.PENDING)

    def test_a_queued_message_is_answered_by_one(self) -> None:
        refused = self.refused(Source.QUEUE)

        assert (refused.refused, refused.queue) == (RefusedWhen.AT_ONCE, Delivery.PENDING)

    def test_a_member_of_a_recovery_is_listed_for_nobody_waits_for_it(self) -> None:
        refused = self.refused(Source.RECOVERY)

        assert (refused.refused, refused.queue) == (RefusedWhen.LATER, Delivery.PENDING)

    def test_a_restore_named_by_its_item_was_answered_before(self) -> None:
        refused = self.refused(Source.HTTP, sourceResourceId=None, **NAMES)

        assert (refused.refused, refused.queue) == (RefusedWhen.LATER, Delivery.PENDING)

    @pytest.mark.parametrize(
        ("source", "status"),
        [(Source.HTTP, Status.FAILED), (Source.QUEUE, Status.FAILED), (Source.ALERT, Status.REJECTED)],
    )
    def test_what_an_alert_may_not_start_is_no_failure(self, source: Source, status: Status) -> None:
        assert self.refused(source).status is status

    def test_one_who_was_answered_before_is_warned(self) -> None:
        restore = outcome.refused(a_restore(created=CREATED), self.REFUSAL, CREATED + timedelta(minutes=1))

        assert [(warning.code, warning.message) for warning in restore.warnings] == [
            ("RefusedLate", "Its caller had been answered before admission control refused it.")
        ]

    def test_a_lock_that_is_held_is_not_forgotten(self) -> None:
        restore = replace(a_restore(), admission=Admission(lock=LockState.HELD))

        assert outcome.refused(restore, self.REFUSAL, NOW).admission.lock is LockState.HELD


class TestWhatMayStillRun:
    @pytest.mark.parametrize("restore", [admitted(), preparing(), triggering()])
    def test_nothing_before_the_trigger(self, restore: Restore) -> None:
        assert outcome.what_may_still_run(restore) == "Nothing was started."

    @pytest.mark.parametrize(
        "restore",
        [
            replace(triggering(), trigger=Trigger(attempts=1, unknown=1)),
            replace(searching(), trigger=Trigger(attempts=1, unknown=1)),
            replace(triggering(), stage=Triggering(prepared=PREPARED, in_doubt="the worker died")),
            replace(
                triggering(),
                stage=AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={}, in_doubt="the worker died"),
            ),
            tracking_operation(),
            replace(admitted(), stage=FindingJob(prepared=PREPARED, triggered=NOW)),
        ],
    )
    def test_a_restore_without_a_known_job_is_for_a_person(self, restore: Restore) -> None:
        assert outcome.what_may_still_run(restore) == (
            f"A person must look: search the vault's restore jobs for activityId {restore.client_request_id} "
            "before starting another restore."
        )

    def test_a_known_job_is_named(self) -> None:
        restore = replace(tracking_job(job_id="job-9"), trigger=Trigger(attempts=1, unknown=1))

        assert outcome.what_may_still_run(restore) == ("Azure Backup job job-9 may still run: look at it in the vault.")


class TestEndedByAnOperation:
    @pytest.mark.parametrize(
        ("status", "ended_as", "code", "verb"),
        [
            (OperationStatus.FAILED, Status.FAILED, "RestoreFailed", "failed"),
            (OperationStatus.CANCELED, Status.CANCELLED, "RestoreCancelled", "was cancelled"),
        ],
    )
    @pytest.mark.parametrize("detail", [None, ErrorDetail(code="UserErrorX", message="No.")])
    def test_it_is_told_in_the_services_words(
        self, status: OperationStatus, ended_as: Status, code: str, verb: str, detail: ErrorDetail | None
    ) -> None:
        operation = Operation(status=status, error=detail)

        restore = outcome.ended_by_operation(tracking_operation(), operation, "op-1", NOW)

        assert restore.outcome is not None
        assert restore.outcome.status is ended_as
        assert error_of(restore) == {
            "code": code,
            "message": f"The restore operation op-1 {verb}{': No.' if detail else '.'}",
            "details": [] if detail is None else [detail.to_json()],
        }
