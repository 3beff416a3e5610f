from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from domain.restores import Decision, Phase, Restore, Status, refused_document, restore_id_for
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ErrorDetail, InvalidRequestError, Json, RestoreError
from domain.jobs import Job, JobStatus
from domain.protected_items import ProtectedItem
from domain.requests import RestoreRequest
from domain.restore.polling import Limits
from tests.support.azure import LIMITS, STORAGE_ID, VAULT_ID, VM_ID, a_request, a_restore
from tests.support.hub import START
from tests.support.strategies import NAMES, SWIFT, good_requests, json_values
from tests.unit.domain import recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
CREATED = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ITEM = ProtectedItem(
    vault_id=VAULT_ID, container_name="c", protected_item_name="i", source_resource_id=VM_ID, region="westeurope"
)
DOCUMENT = (
    *("id", "status", "phase", "progressPercentage", "sourceResourceId", "recoveryType", "requestId", "requestedBy"),
    *("reason", "startedBy", "recoveryPoint", "operationId", "jobId", "vaultId", "createdTime", "lastUpdatedTime"),
    *("completedTime", "nextPollTime", "result", "error", "warnings", "links"),
)
PEOPLE = {"approval", "cancellation"}
"""Members that are there where a person has had, or is to have, a say."""


def running(**members: Any) -> Restore:
    return replace(a_restore(), created=CREATED, status=Status.RUNNING, phase=Phase.TRACKING_JOB, **members)


def ended(status: JobStatus, *details: ErrorDetail, **members: Any) -> Restore:
    job = Job(job_id="job-1", status=status, details=details, **{"progress_pct": 77.0, **members})
    return running(job_id="job-1").ended_by(job, NOW)


times = st.datetimes(datetime(2020, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone follows
texts = st.none() | st.text(min_size=1, max_size=20)
objects = st.none() | st.dictionaries(st.text(max_size=5), json_values, max_size=3)
states: st.SearchStrategy[Restore] = st.builds(
    Restore,
    restore_id=st.text(min_size=1, max_size=40),
    request=good_requests().map(RestoreRequest.from_json),
    fingerprint=st.text(max_size=64),
    started_by=st.sampled_from(["http", "queue", "alert"]),
    created=times,
    limits=st.builds(Limits, **dict.fromkeys(Limits.__slots__, st.floats(0, 1e6))),
    status=st.sampled_from(Status),
    phase=st.sampled_from(Phase),
    next_poll=st.none() | times,
    failures=st.integers(0, 50),
    item=st.none() | st.builds(ProtectedItem, **dict.fromkeys(ProtectedItem.__slots__, st.text(max_size=20))),
    point=objects,
    archived=st.booleans(),
    validation_id=texts,
    validation_url=texts,
    posts=st.integers(0, 2),
    open_since=st.none() | times,
    triggered=st.none() | times,
    operation_id=texts,
    operation_url=texts,
    job_id=texts,
    progress_pct=st.none() | st.floats(0, 100),
    cancel=st.none() | st.fixed_dictionaries({}, optional={"by": json_values, "comment": json_values}),
    cancel_sent=st.booleans(),
    warnings=st.lists(st.fixed_dictionaries({"code": st.text(), "message": st.text()}), max_size=3).map(tuple),
    result=objects,
    error=objects,
    completed=st.none() | times,
)


class TestIds:
    def test_the_same_key_is_the_same_restore_for_ever(self) -> None:
        # In production histories: another value would start finished restores again.
        assert restore_id_for("order-66") == "48ec86fa-9e2a-5f7a-8f5f-1f7b35500d20"

    def test_the_client_request_id_is_the_same_for_ever(self) -> None:
        # In production jobs, as their activityId: another value would start running restores again.
        assert (
            replace(a_restore(), restore_id="48ec86fa-9e2a-5f7a-8f5f-1f7b35500d20").client_request_id
            == "f069e52a-978c-5eb5-bf01-004a50a57078"
        )

    @given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
    @SWIFT
    def test_one_key_one_id(self, left: str, right: str) -> None:
        assert (restore_id_for(left) == restore_id_for(right)) == (left == right)
        assert str(uuid.UUID(restore_id_for(left))) == restore_id_for(left)

    @given(states)
    @SWIFT
    def test_the_client_request_id_depends_on_the_restores_id_alone(self, restore: Restore) -> None:
        assert restore.client_request_id == replace(a_restore(), restore_id=restore.restore_id).client_request_id
        assert restore.client_request_id != restore.restore_id
        assert restore.client_request_id != restore_id_for(restore.restore_id)
        uuid.UUID(restore.client_request_id)


class TestState:
    @given(states)
    @SWIFT
    def test_it_comes_out_of_history_as_it_went_in(self, restore: Restore) -> None:
        assert Restore.from_json(json.loads(json.dumps(restore.to_json()))) == restore

    def test_its_names_in_history_never_change(self) -> None:
        # Written by the first release and still running somewhere: to be read, and written again, as it is.
        kept: Mapping[str, Any] = {
            "v": 1,
            "restoreId": "7",
            "request": {"sourceResourceId": VM_ID, "recoveryType": "RestoreDisks", "storageAccountId": STORAGE_ID},
            "fingerprint": "f",
            "startedBy": "queue",
            "created": "2026-11-23T08:00:00Z",
            "limits": {"jobPollMinS": 15, "jobPollMaxS": 60, "deadlineS": 86400, "adoptionWindowS": 120},
            "status": "Running",
            "phase": "TrackingJob",
            "nextPoll": "2026-11-23T08:05:00Z",
            "failures": 1,
            "item": {
                "vaultId": VAULT_ID,
                "containerName": "c",
                "protectedItemName": "i",
                "sourceResourceId": VM_ID,
                "region": "westeurope",
            },
            "point": {
                "id": "1",
                "time": "2026-11-20T06:00:00Z",
                "consistency": "AppConsistent",
                "tiers": ["InstantRP"],
            },
            "archived": True,
            "validationId": "v",
            "validationUrl": "https://v",
            "posts": 1,
            "openSince": "2026-11-23T08:01:00Z",
            "triggered": "2026-11-23T08:02:00Z",
            "operationId": "o",
            "operationUrl": "https://o",
            "jobId": "j",
            "progressPercentage": 42.0,
            "warnings": [{"code": "w", "message": "m"}],
            "result": {"jobStatus": "Completed"},
            "error": {"code": "c", "message": "m", "details": []},
            "completed": "2026-11-23T09:00:00Z",
        }

        restore = Restore.from_json(kept)

        written = restore.to_json()
        limits = {**kept["limits"], "mostPerVault": None}
        assert {name: written[name] for name in kept} == {**kept, "limits": limits}  # members may be added
        assert restore == Restore(
            restore_id="7",
            request=RestoreRequest(kept["request"]),
            fingerprint="f",
            started_by="queue",
            created=CREATED,
            limits=LIMITS,
            status=Status.RUNNING,
            phase=Phase.TRACKING_JOB,
            next_poll=CREATED + timedelta(minutes=5),
            failures=1,
            item=ITEM,
            point=kept["point"],
            archived=True,
            validation_id="v",
            validation_url="https://v",
            posts=1,
            open_since=CREATED + timedelta(minutes=1),
            triggered=CREATED + timedelta(minutes=2),
            operation_id="o",
            operation_url="https://o",
            job_id="j",
            progress_pct=42.0,
            warnings=({"code": "w", "message": "m"},),
            result={"jobStatus": "Completed"},
            error={"code": "c", "message": "m", "details": []},
            completed=CREATED + timedelta(hours=1),
        )

    def test_an_accepted_restore_is_pending_and_begins_with_its_item(self) -> None:
        request = RestoreRequest.from_json(a_request())
        restore = Restore.accepted(request, restore_id="1", started_by="queue", created=CREATED, limits=LIMITS)

        assert (restore.status, restore.phase) == (Status.PENDING, Phase.RESOLVING)
        assert restore.fingerprint == request.fingerprint
        assert restore.started_by == "queue"
        assert not restore.is_finished

    def test_its_deadline_counts_from_its_acceptance(self) -> None:
        assert running().deadline == CREATED + timedelta(hours=24)

    def test_azure_has_it_while_it_tracks(self) -> None:
        assert {phase for phase in Phase if phase.is_tracking} == {Phase.TRACKING_OPERATION, Phase.TRACKING_JOB}

    def test_only_the_last_phase_is_the_end(self) -> None:
        assert {phase for phase in Phase if replace(a_restore(), phase=phase).is_finished} == {Phase.FINISHED}


class TestWarnings:
    def test_they_gather_in_order(self) -> None:
        restore = a_restore().with_warning("A", "a").with_warning("B", "b")

        assert restore.warnings == ({"code": "A", "message": "a"}, {"code": "B", "message": "b"})

    def test_the_same_one_is_kept_once(self) -> None:
        once = a_restore().with_warning("A", "a")

        assert once.with_warning("A", "a") is once
        assert len(once.with_warning("A", "b").warnings) == 2


class TestEndedByItsJob:
    def test_completed(self) -> None:
        job = Job.from_api(recorded.JOB_COMPLETED)
        restore = running(job_id=job.job_id, next_poll=NOW, progress_pct=93.0).ended_by(job, NOW)

        assert (restore.status, restore.phase, restore.is_finished) == (Status.COMPLETED, Phase.FINISHED, True)
        assert restore.result == {**job.result(), "targetVirtualMachineId": None}
        assert (restore.error, restore.warnings) == (None, ())
        assert (restore.completed, restore.next_poll) == (NOW, None)

    @pytest.mark.parametrize("progress", [None, 0.0, 99.0, 100.0])
    def test_completed_is_a_hundred_per_cent_whatever_the_job_says(self, progress: float | None) -> None:
        assert ended(JobStatus.COMPLETED, progress_pct=progress).progress_pct == 100.0

    def test_completed_with_warnings_is_reported_as_itself(self) -> None:
        restore = ended(JobStatus.COMPLETED_WITH_WARNINGS, ErrorDetail(code="OlrBackupFailed", message="No snapshot."))

        assert (restore.status, restore.phase) == (Status.COMPLETED_WITH_WARNINGS, Phase.FINISHED)
        assert restore.error is None
        assert restore.result is not None
        assert restore.result["jobStatus"] == "CompletedWithWarnings"
        assert [warning["code"] for warning in restore.warnings] == ["OlrBackupFailed", "CompletedWithWarnings"]
        assert restore.warnings[0]["message"] == "No snapshot."
        assert "Check that the disks are there" in restore.warnings[1]["message"]
        assert restore.progress_pct == 77.0

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

        assert (restore.status, restore.phase, restore.completed) == (status, Phase.FINISHED, NOW)
        assert restore.error == {
            "code": code,
            "message": f"Azure Backup job job-1 {verb}: The disk is too big.",
            "details": [detail.to_json() for detail in details],
        }
        assert restore.result is not None
        assert restore.result["jobStatus"] == job_status
        assert restore.progress_pct == 77.0

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (JobStatus.FAILED, "Azure Backup job job-1 failed."),
            (JobStatus.CANCELLED, "Azure Backup job job-1 was cancelled."),
        ],
    )
    def test_a_failure_without_words_is_one_too(self, status: JobStatus, message: str) -> None:
        error = ended(status).error

        assert error is not None
        assert (error["message"], error["details"]) == (message, [])

    def test_progress_that_the_job_no_longer_tells_stays(self) -> None:
        job = Job(job_id="1", status=JobStatus.FAILED)

        assert running(progress_pct=41.0).ended_by(job, NOW).progress_pct == 41.0


class TestCancelled:
    @pytest.mark.parametrize(
        ("cancel", "by"),
        [
            (None, ""),
            ({}, ""),
            ({"by": None, "comment": 5}, ""),
            ({"by": "me"}, " by me"),
            ({"comment": "wrong VM"}, " (wrong VM)"),
            ({"by": "me", "comment": "wrong VM"}, " by me (wrong VM)"),
        ],
    )
    def test_it_says_who_wanted_it_and_what_may_still_run(self, cancel: Json | None, by: str) -> None:
        restore = running(cancel=cancel, posts=1).cancelled(NOW)

        assert (restore.status, restore.phase, restore.completed) == (Status.CANCELLED, Phase.FINISHED, NOW)
        assert restore.error is not None
        assert restore.error["code"] == "RestoreCancelled"
        assert restore.error["message"].startswith(f"The restore was cancelled{by}. A person must look")

    @pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED_WITH_WARNINGS])
    def test_a_job_that_ended_otherwise_is_told_with_a_warning(self, status: JobStatus) -> None:
        job = Job(job_id="1", status=status)
        restore = running(cancel={"by": "me"}).ended_by(job, NOW)

        assert restore.status == status
        assert restore.warnings[0] == {
            "code": "CancelledTooLate",
            "message": f"The restore was to be cancelled by me, but its job ended as {status}.",
        }

    def test_a_job_that_was_cancelled_needs_no_warning(self) -> None:
        restore = running(cancel={}).ended_by(Job(job_id="1", status=JobStatus.CANCELLED), NOW)

        assert (restore.status, restore.warnings) == (Status.CANCELLED, ())


class TestTimedOut:
    def test_it_says_when_why_and_what_may_still_run(self) -> None:
        restore = running(job_id="job-1", next_poll=NOW).timed_out(NOW)

        assert (restore.status, restore.phase) == (Status.TIMED_OUT, Phase.FINISHED)
        assert (restore.completed, restore.next_poll, restore.result) == (NOW, None, None)
        assert restore.error == {
            "code": "DeadlineExceeded",
            "message": "The restore had not ended PT24H after it was accepted, which RESTORE_DEADLINE_HOURS allows. "
            "Azure Backup job job-1 may still run: look at it in the vault.",
            "details": [],
        }

    def test_a_fraction_of_an_hour_is_told(self) -> None:
        limits = replace(LIMITS, deadline_s=5400)
        error = replace(running(), limits=limits).timed_out(NOW).error

        assert error is not None
        assert "PT1H30M" in error["message"]


class TestWhatMayStillRun:
    def test_nothing_before_the_trigger(self) -> None:
        assert a_restore().what_may_still_run == "Nothing was started."

    @pytest.mark.parametrize("members", [{"posts": 1}, {"triggered": NOW}, {"posts": 2, "triggered": NOW}])
    def test_a_restore_without_a_known_job_is_for_a_person(self, members: Json) -> None:
        restore = running(**members)

        assert "A person must look" in restore.what_may_still_run
        assert restore.client_request_id in restore.what_may_still_run

    def test_a_known_job_is_named(self) -> None:
        assert "job job-9 may still run" in running(job_id="job-9", posts=1, triggered=NOW).what_may_still_run


class TestDocument:
    def test_a_running_restore_in_the_contracts_shape(self) -> None:
        point = {"id": "1", "time": "2026-11-20T06:00:00Z", "consistency": "AppConsistent", "tiers": ["InstantRP"]}
        restore = replace(
            running(item=ITEM, point=point, operation_id="op", job_id="job", progress_pct=42.0, next_poll=NOW),
            request=RestoreRequest.from_json(a_request(requestId="r", requestedBy="me", reason="why")),
        ).with_warning("A", "a")

        document = restore.document(NOW - timedelta(minutes=1))

        assert tuple(each for each in document if each not in PEOPLE) == DOCUMENT
        assert document == {
            "id": restore.restore_id,
            "status": "Running",
            "phase": "TrackingJob",
            "progressPercentage": 42.0,
            "sourceResourceId": VM_ID,
            "recoveryType": "RestoreDisks",
            "requestId": "r",
            "requestedBy": "me",
            "reason": "why",
            "startedBy": "http",
            "recoveryPoint": point,
            "operationId": "op",
            "jobId": "job",
            "vaultId": VAULT_ID,
            "createdTime": "2026-11-23T08:00:00Z",
            "lastUpdatedTime": "2026-11-23T09:29:00Z",
            "completedTime": None,
            "nextPollTime": "2026-11-23T09:30:00Z",
            "result": None,
            "error": None,
            "warnings": [{"code": "A", "message": "a"}],
            "links": {"self": f"/api/restores/{restore.restore_id}"},
        }

    def test_a_finished_restore_has_its_end(self) -> None:
        document = ended(JobStatus.FAILED).document(NOW)

        assert (document["status"], document["phase"]) == ("Failed", "Finished")
        assert document["completedTime"] == "2026-11-23T09:30:00Z"
        assert document["nextPollTime"] is None
        assert document["error"].keys() == {"code", "message", "details"}

    def test_an_accepted_restore_knows_little(self) -> None:
        document = a_restore().document(NOW)

        assert (document["status"], document["phase"]) == ("Pending", "Resolving")
        assert {name for name, value in document.items() if value is None} == {
            *("progressPercentage", "requestId", "requestedBy", "reason", "recoveryPoint", "operationId", "jobId"),
            *("vaultId", "completedTime", "nextPollTime", "result", "error"),
        }

    def test_the_vm_is_known_from_the_item_where_the_request_names_it_by_its_item(self) -> None:
        restore = replace(a_restore(), request=RestoreRequest.from_json(a_request(sourceResourceId=None, **NAMES)))

        assert restore.document(NOW)["sourceResourceId"] is None
        assert replace(restore, item=ITEM).document(NOW)["sourceResourceId"] == VM_ID

    def test_the_vault_is_the_items_and_before_that_the_requests(self) -> None:
        restore = a_restore(vaultId=VAULT_ID.upper())

        assert restore.document(NOW)["vaultId"] == VAULT_ID.upper()
        assert replace(restore, item=ITEM).document(NOW)["vaultId"] == VAULT_ID

    def test_the_states_are_those_of_the_contract(self) -> None:
        assert [str(status) for status in Status] == [
            *("Pending", "Running", "AwaitingApproval", "Completed", "CompletedWithWarnings", "Failed", "Cancelled"),
            *("Rejected", "TimedOut", "Planned"),
        ]

    @given(states)
    @SWIFT
    def test_any_restore_has_one(self, restore: Restore) -> None:
        document = restore.document(NOW)

        json.dumps(document)
        assert tuple(each for each in document if each not in PEOPLE) == DOCUMENT


class TestCustomStatus:
    MOST = 8192
    """Azure Storage holds 16 KB of UTF-16 in a custom status; the durable extension escapes what is not ASCII."""

    @given(states)
    @SWIFT
    def test_it_is_the_document_where_that_fits(self, restore: Restore) -> None:
        document, told = restore.document(NOW), restore.custom_status(NOW)

        assert tuple(each for each in told if each not in PEOPLE) == DOCUMENT
        assert told == document or len(json.dumps(document)) > 7000

    @pytest.mark.parametrize("letter", ["x", "é", "🙂", '"'])
    def test_the_most_words_that_a_restore_can_have_are_cut_to_what_fits(self, letter: str) -> None:
        request = a_request(requestId="r" * 80, requestedBy=letter * 2048, reason=letter * 2048)
        detail = ErrorDetail(code=letter * 500, message=letter * 5000, target=letter * 500)
        restore = replace(
            running(item=ITEM, job_id="job-1", operation_id="op"),
            request=RestoreRequest.from_json(request),
            warnings=tuple({"code": letter * 200, "message": f"{index}{letter * 1000}"} for index in range(50)),
            error=RestoreError("RestoreFailed", letter * 5000, [detail] * 100).to_json(),
            result={
                **Job.from_api(recorded.JOB_COMPLETED).result(),
                "configBlobUri": letter * 5000,
                "templateBlobUri": {"not": ["a text"] * 5000},
                "propertyBag": {letter: letter * 50_000},
            },
        )

        told = restore.custom_status(NOW)

        assert len(json.dumps(told)) <= self.MOST
        assert tuple(each for each in told if each not in PEOPLE) == DOCUMENT
        for name in ("id", "status", "phase", "sourceResourceId", "requestId", "jobId", "operationId", "vaultId"):
            assert told[name] == restore.document(NOW)[name]
        assert told["error"]["code"] == "RestoreFailed"
        assert told["error"]["message"].startswith(letter * 80)
        assert told["reason"].startswith(letter * 20)
        assert told["result"]["jobStatus"] == "Completed"
        assert told["warnings"][-1]["message"].startswith("49")

    def test_short_words_stay_where_long_ones_go(self) -> None:
        restore = replace(
            running(job_id="job-1").with_warning("W", "a word"),
            request=RestoreRequest.from_json(a_request(requestedBy="me", reason=None)),
            error=RestoreError("E", "No.", [ErrorDetail(code="d", message="m" * 1000)] * 100).to_json(),
        )

        told = restore.custom_status(NOW)

        assert told == {**restore.document(NOW), "error": {"code": "E", "message": "No.", "details": []}}


class TestRefused:
    def document(self, sent: Any) -> Json:
        error = RestoreError("InvalidRequest", "No.", [ErrorDetail(code="MissingField", message="m", target="t")])
        return refused_document(restore_id="7", created=CREATED, error=error, sent=sent)

    def test_its_sender_recognises_it(self) -> None:
        sent = {**a_request(requestId="r", requestedBy="me", reason="why"), "surprise": 1}

        document = self.document(sent)

        assert document == {
            "id": "7",
            "status": "Failed",
            "phase": "Finished",
            "progressPercentage": None,
            "sourceResourceId": VM_ID,
            "recoveryType": "RestoreDisks",
            "requestId": "r",
            "requestedBy": "me",
            "reason": "why",
            "startedBy": "queue",
            "recoveryPoint": None,
            "operationId": None,
            "jobId": None,
            "vaultId": None,
            "createdTime": "2026-11-23T08:00:00Z",
            "lastUpdatedTime": "2026-11-23T08:00:00Z",
            "completedTime": "2026-11-23T08:00:00Z",
            "nextPollTime": None,
            "result": None,
            "error": {
                "code": "InvalidRequest",
                "message": "No.",
                "details": [{"code": "MissingField", "message": "m", "target": "t"}],
            },
            "warnings": [],
            "links": {},
        }

    @given(json_values)
    @SWIFT
    def test_whatever_was_sent_it_has_the_shape_of_any_other(self, sent: Any) -> None:
        document = self.document(sent)

        json.dumps(document)
        assert tuple(each for each in document if each not in PEOPLE) == DOCUMENT

    def test_a_member_of_the_wrong_type_is_not_repeated(self) -> None:
        document = self.document({"sourceResourceId": {"id": VM_ID}, "requestId": 5, "reason": ""})

        assert (document["sourceResourceId"], document["requestId"], document["reason"]) == (None, None, None)

    @pytest.mark.parametrize(
        "sent",
        [
            {"reason": "é" * 24_000},
            {"sourceResourceId": "x" * 40_000, "reason": "y" * 8_000},
            {"é" * 24_000: 1},
            {f"member{index}": 1 for index in range(3000)},
            {"requestedBy": [["x" * 40_000]]},
        ],
    )
    def test_it_fits_into_a_queue_message_as_the_one_did_that_it_answers(self, sent: Json) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            RestoreRequest.from_json(sent)

        document = refused_document(restore_id="7", created=CREATED, error=caught.value, sent=sent)

        assert len(json.dumps(document)) < 48 * 1024


class TestApproval:
    def test_one_reason_is_enough(self) -> None:
        restore = a_restore(approval={"required": True})

        assert restore.with_approval("a storm") == restore

    def test_the_first_decision_stays(self) -> None:
        approved = a_restore(approval={"required": True}).decided(Decision.APPROVED, START, by="ada")

        assert approved.decided(Decision.REJECTED, START, by="bo") == approved
