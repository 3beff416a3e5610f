from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.azure.jobs import Job, JobStatus, JobTask, Operation, OperationStatus
from domain.codec import as_json, pack, unpack
from domain.errors import ErrorDetail, Json
from tests.support.strategies import SWIFT, THOROUGH, damaged, json_values, objects_of
from tests.unit.domain import recorded

ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.COMPLETED_WITH_WARNINGS, JobStatus.CANCELLED)
NO_MESSAGE = "The service gave no message."


def a_job(extended: Json | None = None, **properties: Any) -> Job:
    return Job.from_api(recorded.job(extended or {}, **{"status": "Failed", **properties}))


class TestRecordedJobs:
    def test_the_first_second(self) -> None:
        job = Job.from_api(recorded.JOB_FIRST_SECOND)

        assert job == Job(
            job_id="1c661a13-0000",
            status=JobStatus.IN_PROGRESS,
            activity_id="bd09c6ea-88fc-11f1-89c4-44f79fb7a4d0",
            progress_pct=1.0,
            start=datetime(2026, 7, 26, 14, 17, 41, 444222, tzinfo=UTC),
            duration=timedelta(seconds=1, microseconds=556556),
            property_bag={
                "Job Type": "Recover disks",
                "Target Storage Account Name": "SA",
                "Recovery point time ": None,
                "VM Subscription ID": "SUB",
            },
            tasks=(JobTask(task_id="Transfer data from vault", status="InProgress", details=None),),
        )

    @pytest.mark.parametrize(
        ("body", "progress"),
        [(recorded.JOB_HALF_WAY, 93.0), (recorded.JOB_REPLACING, 99.0), (recorded.JOB_LISTED, None)],
    )
    def test_a_job_on_its_way(self, body: Json, progress: float | None) -> None:
        job = Job.from_api(body)

        assert job.status.is_running
        assert (job.progress_pct, job.end, job.details) == (progress, None, ())

    def test_while_it_runs_only_what_its_poll_needs_enters_history(self) -> None:
        job = Job.from_api(recorded.JOB_HALF_WAY).brief

        assert pack(job) == {
            "v": 1,
            "jobId": "1c661a13-0000",
            "status": "InProgress",
            "progressPct": 93.0,
        }

    def test_restored_disks(self) -> None:
        job = Job.from_api(recorded.JOB_COMPLETED)

        assert not job.status.is_running
        assert as_json(job.result()) == {
            "jobStatus": "Completed",
            "startTime": "2026-07-26T14:17:41.444222Z",
            "endTime": "2026-07-26T14:48:28.139721Z",
            "duration": "PT30M46.6955S",
            "configBlobUri": recorded.CONFIG_BLOB,
            "templateBlobUri": recorded.TEMPLATE_BLOB,
            "targetStorageAccountName": "SA",
            "targetResourceGroup": None,
            "targetVirtualMachineName": None,
            "tasks": [
                {
                    "taskId": "Transfer data from vault",
                    "status": "Completed",
                    "details": "127 GBs / 127 GBs Transferred",
                }
            ],
            "propertyBag": recorded.JOB_COMPLETED["properties"]["extendedInfo"]["propertyBag"],
            "targetVirtualMachineId": None,
            "encryptionInfoBlobName": None,
            "encryptionInfoBlobUri": None,
            "disks": None,
        }

    def test_a_new_machine(self) -> None:
        result = as_json(Job.from_api(recorded.JOB_NEW_VM).result())

        assert (result["targetVirtualMachineName"], result["targetResourceGroup"]) == ("TVM", "TRG")
        assert (result["configBlobUri"], result["templateBlobUri"]) == (None, None)
        assert result["duration"] == "PT2M9.9S"

    @pytest.mark.parametrize(
        "body",
        [
            recorded.JOB_FIRST_SECOND,
            recorded.JOB_HALF_WAY,
            recorded.JOB_COMPLETED,
            recorded.JOB_NEW_VM,
            recorded.JOB_REPLACING,
            recorded.JOB_LISTED,
        ],
    )
    def test_what_history_keeps_reads_back_the_same(self, body: Json) -> None:
        job = Job.from_api(body)

        assert unpack(Job, json.loads(json.dumps(pack(job)))) == job


class TestStatus:
    @pytest.mark.parametrize(
        ("value", "status"),
        [
            ("InProgress", JobStatus.IN_PROGRESS),
            ("inprogress", JobStatus.IN_PROGRESS),
            ("COMPLETED", JobStatus.COMPLETED),
            ("Failed", JobStatus.FAILED),
            ("CompletedWithWarnings", JobStatus.COMPLETED_WITH_WARNINGS),
            ("Cancelled", JobStatus.CANCELLED),
            ("Cancelling", JobStatus.CANCELLING),
            ("Invalid", JobStatus.INVALID),
            (0, JobStatus.INVALID),
            (1, JobStatus.IN_PROGRESS),
            (2, JobStatus.COMPLETED),
            (3, JobStatus.FAILED),
            (4, JobStatus.COMPLETED_WITH_WARNINGS),
            (5, JobStatus.CANCELLED),
            (6, JobStatus.CANCELLING),
            ("2", JobStatus.COMPLETED),
            (2.0, JobStatus.COMPLETED),
            ("Canceled", JobStatus.CANCELLED),
            (" Completed ", JobStatus.COMPLETED),
        ],
    )
    def test_names_in_any_casing_and_the_integers_of_old_versions(self, value: Any, status: JobStatus) -> None:
        assert a_job(status=value).status is status

    @pytest.mark.parametrize(
        "value", [None, "", "Paused", True, 7, "99", "12345", -1, -6, 10**400, 2.5, [], {}, ["Completed"]]
    )
    def test_a_status_that_we_do_not_know_counts_as_running(self, value: Any) -> None:
        assert a_job(status=value).status.is_running

    def test_a_job_without_a_status_counts_as_running(self) -> None:
        assert Job.from_api({"name": "1"}).status.is_running

    def test_only_in_progress_and_cancelling_and_the_unknown_run(self) -> None:
        assert {status for status in JobStatus if not status.is_running} == set(ENDED)


class TestProgress:
    @pytest.mark.parametrize("value", [0, 1, 42.5, 100, 100.0])
    def test_a_percentage_is_taken_as_it_is(self, value: float) -> None:
        assert a_job({"progressPercentage": value}).progress_pct == value

    @pytest.mark.parametrize("value", [None, "42", -1, 100.5, 10**400, float("inf"), float("nan"), [], {}])
    def test_what_is_no_percentage_is_left_out(self, value: Any) -> None:
        assert a_job({"progressPercentage": value}).progress_pct is None


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("PT30M46.6954998S", 1846.6955),
            ("PT9.87S", 9.87),
            ("PT0S", 0),
            ("PT2M", 120),
            ("00:30:46.6954998", 1846.6955),
            ("00:00:09", 9),
            ("1.02:03:04.5", 93784.5),
            ("26:00:00", 93600),
        ],
    )
    def test_both_styles(self, text: str, seconds: float) -> None:
        assert a_job(duration=text).duration == timedelta(seconds=seconds)

    @pytest.mark.parametrize("value", [None, "", "soon", 5, "1:2", "-00:00:01", f"{'9' * 400}.00:00:00"])
    def test_without_one_it_is_what_lies_between_start_and_end(self, value: Any) -> None:
        job = a_job(status="Completed", duration=value, endTime="2026-07-26T14:18:41.444222Z")

        assert job.duration is None
        assert as_json(job.result())["duration"] == "PT1M"

    @pytest.mark.parametrize("times", [{"endTime": None}, {"startTime": None, "endTime": "2026-07-26T14:18:41Z"}])
    def test_without_an_end_or_a_start_there_is_none(self, times: Json) -> None:
        assert as_json(a_job(**times).result())["duration"] is None

    def test_the_services_own_one_wins(self) -> None:
        job = a_job(duration="PT5S", endTime="2026-07-26T14:18:41Z")

        assert as_json(job.result())["duration"] == "PT5S"

    def test_an_end_that_has_not_come_is_none(self) -> None:
        assert a_job(endTime="0001-01-01T00:00:00").end is None


class TestPropertyBag:
    @pytest.mark.parametrize(
        ("key", "member"),
        [
            ("Config Blob Uri", "configBlobUri"),
            ("Template Blob Uri", "templateBlobUri"),
            ("Create VM Template Blob Uri", "templateBlobUri"),
            ("Target Storage Account Name", "targetStorageAccountName"),
            ("Target resource group", "targetResourceGroup"),
            ("Target VM Name", "targetVirtualMachineName"),
        ],
    )
    @pytest.mark.parametrize("change", [str, str.upper, str.lower, lambda key: f" {key} ", lambda key: f"{key}\t"])
    def test_keys_are_compared_without_case_and_space(self, key: str, member: str, change: Any) -> None:
        result = as_json(a_job({"propertyBag": {change(key): "here"}}).result())

        assert result[member] == "here"
        assert result["propertyBag"] == {change(key): "here"}

    def test_either_template_key_may_be_null_beside_the_other(self) -> None:
        bag = {"Create VM Template Blob Uri": None, "Template Blob Uri": "https://old"}

        assert as_json(a_job({"propertyBag": bag}).result())["templateBlobUri"] == "https://old"

    @pytest.mark.parametrize("bag", [None, [], "x", 1])
    def test_no_bag_is_an_empty_one(self, bag: Any) -> None:
        assert as_json(a_job({"propertyBag": bag}).result())["propertyBag"] == {}

    def test_a_job_made_without_a_bag_has_an_empty_one(self) -> None:
        assert as_json(Job(job_id="1", status=JobStatus.COMPLETED).result())["propertyBag"] == {}


class TestErrorDetails:
    def test_title_text_and_recommendations_are_told(self) -> None:
        job = a_job(
            errorDetails=[
                {
                    "errorCode": 400158,
                    "errorTitle": "UserErrorJobSuccessfullyCancelled",
                    "errorString": "Job is cancelled.",
                    "recommendations": ["Start it again.", "Or do not."],
                },
                {"errorCode": 7, "errorString": "Odd."},
            ]
        )

        assert job.details == (
            ErrorDetail(
                code="UserErrorJobSuccessfullyCancelled",
                message="Job is cancelled. Start it again. Or do not.",
                info={"errorCode": 400158},
            ),
            ErrorDetail(code="7", message="Odd.", info={"errorCode": 7}),
        )

    def test_code_zero_is_a_code(self) -> None:
        assert a_job(errorDetails=[{"errorCode": 0}]).details == (
            ErrorDetail(code="0", message=NO_MESSAGE, info={"errorCode": 0}),
        )

    def test_an_entry_that_says_nothing_still_counts(self) -> None:
        assert a_job(errorDetails=[{}]).details == (ErrorDetail(code="Unknown", message=NO_MESSAGE),)

    def test_a_dynamic_message_comes_last(self) -> None:
        job = a_job({"dynamicErrorMessage": "The disk is locked."}, errorDetails=[{"errorTitle": "A"}])

        assert [(detail.code, detail.message) for detail in job.details] == [
            ("A", NO_MESSAGE),
            ("dynamicErrorMessage", "The disk is locked."),
        ]

    @pytest.mark.parametrize("value", [None, "", {}, "x", 5])
    def test_no_details_are_none(self, value: Any) -> None:
        assert a_job({"dynamicErrorMessage": None}, errorDetails=value).details == ()

    def test_they_survive_history(self) -> None:
        job = a_job(errorDetails=[{"errorCode": 1, "errorTitle": "A", "errorString": "B", "recommendations": ["C"]}])

        assert unpack(Job, json.loads(json.dumps(pack(job)))) == job


class TestSurvival:
    @given(
        st.fixed_dictionaries(
            {"name": st.text(min_size=1)},
            optional={
                "properties": json_values
                | st.builds(
                    lambda outer, extended: {**outer, "extendedInfo": extended},
                    objects_of("status", "activityId", "startTime", "endTime", "duration", "errorDetails"),
                    objects_of("progressPercentage", "propertyBag", "dynamicErrorMessage"),
                )
            },
        )
        | damaged(st.sampled_from([recorded.JOB_COMPLETED, recorded.JOB_FIRST_SECOND])).map(
            lambda body: {**body, "name": "1"}
        )
    )
    @THOROUGH
    def test_any_json_with_a_name_is_a_job(self, body: Json) -> None:
        job = Job.from_api(body)

        json.dumps(as_json(job.result()))
        assert job.job_id == body["name"]
        assert unpack(Job, json.loads(json.dumps(pack(job)))) == job

    def test_a_job_without_a_name_is_none(self) -> None:
        with pytest.raises(KeyError):
            Job.from_api({"properties": {}})

    @given(json_values, json_values)
    @SWIFT
    def test_a_running_job_keeps_history_small(self, bag: Any, details: Any) -> None:
        extended = {"propertyBag": {"bag": bag}, "progressPercentage": 1.0}
        job = Job.from_api(recorded.job(extended, status="InProgress", errorDetails=[details])).brief

        assert len(json.dumps(pack(job))) < 100
        assert job == Job(job_id="1c661a13-0000", status=JobStatus.IN_PROGRESS, progress_pct=1.0)


class TestOperations:
    @pytest.mark.parametrize(
        ("body", "job_id"),
        [
            (recorded.OPERATION_SUCCEEDED, "1c661a13-0000"),
            (recorded.OPERATION_2018, "3021262a-fb3a-4538-9b37-e3e97a386093"),
        ],
    )
    def test_a_succeeded_one_names_its_job(self, body: Json, job_id: str) -> None:
        assert Operation.from_api(body) == Operation(status=OperationStatus.SUCCEEDED, job_id=job_id)

    def test_a_running_one_names_none(self) -> None:
        seen = Operation.from_api(recorded.OPERATION_RUNNING, next_url="https://next")

        assert seen == Operation(status=OperationStatus.RUNNING, next_url="https://next")

    def test_a_failed_one_says_why(self) -> None:
        assert Operation.from_api(recorded.OPERATION_FAILED) == Operation(
            status=OperationStatus.FAILED,
            error=ErrorDetail(code="UserErrorInstantRpNotFound", message="The snapshot is gone."),
        )

    @pytest.mark.parametrize(
        ("value", "status"),
        [
            ("Succeeded", OperationStatus.SUCCEEDED),
            ("succeeded", OperationStatus.SUCCEEDED),
            ("FAILED", OperationStatus.FAILED),
            ("Canceled", OperationStatus.CANCELED),
            ("InProgress", OperationStatus.RUNNING),
            ("Invalid", OperationStatus.RUNNING),
            ("Accepted", OperationStatus.RUNNING),
            (None, OperationStatus.RUNNING),
            (0, OperationStatus.RUNNING),
            (1, OperationStatus.RUNNING),
            (2, OperationStatus.SUCCEEDED),
            ("3", OperationStatus.FAILED),
            (4, OperationStatus.CANCELED),
            (5, OperationStatus.RUNNING),
            ("Cancelled", OperationStatus.CANCELED),
            ("Completed", OperationStatus.RUNNING),
            (["Succeeded"], OperationStatus.RUNNING),
        ],
    )
    def test_its_status_in_any_casing_and_the_unknown_as_running(self, value: Any, status: OperationStatus) -> None:
        assert Operation.from_api({"status": value}).status is status

    @pytest.mark.parametrize("error", [{"code": None}, {"message": ""}, {"code": "", "message": 5}])
    def test_an_error_that_says_nothing_still_is_one(self, error: Json) -> None:
        assert Operation.from_api({"status": "Failed", "error": error}).error == ErrorDetail(
            code="Unknown", message=NO_MESSAGE
        )

    @pytest.mark.parametrize("body", [{}, {"error": None}, {"error": {}}, {"error": "x", "properties": []}])
    def test_every_member_may_be_missing(self, body: Json) -> None:
        assert Operation.from_api(body) == Operation(status=OperationStatus.RUNNING)

    @given(objects_of("status", "properties", "error"), st.none() | st.text())
    @THOROUGH
    def test_any_json_is_an_operation_and_comes_out_of_history_as_it_went_in(
        self, body: Json, next_url: str | None
    ) -> None:
        seen = Operation.from_api(body, next_url=next_url)

        assert unpack(Operation, json.loads(json.dumps(pack(seen)))) == seen
