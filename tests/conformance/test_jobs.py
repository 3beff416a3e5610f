"""Jobs over plain HTTP, against what recordings of the service show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.caller import TARGET_GROUP, VAULT, error_code, new_vm_members

if TYPE_CHECKING:
    from simulator.clock import ManualClock
    from tests.conformance.caller import Caller

DONE = {"progressPercentage": 100.0, "estimatedRemainingDuration": "PT0S"}


def shown(job: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: job["extendedInfo"].get(name) for name in names}


def tasks(job: dict[str, Any]) -> dict[str, str]:
    return {task["taskId"]: task["status"] for task in job["extendedInfo"]["tasksList"]}


def test_disks_to_blobs_follow_the_recording(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("web-01")
    bag = ["Job Type", "Target Storage Account Name", "Recovery point time ", "VM Subscription ID"]

    clock.advance(1.5)
    job = arm.job(job_id)
    assert job["duration"] == "PT1.5S"
    assert "endTime" not in job
    assert list(job["extendedInfo"]["propertyBag"]) == bag
    assert job["extendedInfo"]["propertyBag"]["Recovery point time "] is None
    assert shown(job, "progressPercentage", "estimatedRemainingDuration", "dynamicErrorMessage") == {
        "progressPercentage": 1.0,
        "estimatedRemainingDuration": None,
        "dynamicErrorMessage": "",
    }
    assert job["extendedInfo"]["tasksList"] == [
        {"taskId": "Transfer data from vault", "duration": "PT0S", "status": "InProgress", "taskType": "Normal"}
    ]

    clock.advance(2)
    assert arm.job(job_id)["extendedInfo"]["propertyBag"]["Recovery point time "] == "11/20/2026 9:00:00 AM"

    clock.advance(1700)
    job = arm.job(job_id)
    assert shown(job, "progressPercentage", "estimatedRemainingDuration") == {
        "progressPercentage": 96.0,
        "estimatedRemainingDuration": "PT42.4032073S",
    }
    assert job["extendedInfo"]["tasksList"][0]["taskExecutionDetails"].endswith(" GBs / 127 GBs Transferred")

    clock.advance(200)
    job = arm.job(job_id)
    assert (job["status"], job["duration"]) == ("Completed", "PT30M46.6955S")
    assert shown(job, *DONE) == DONE
    assert "dynamicErrorMessage" not in job["extendedInfo"]
    assert job["actionsInfo"] == ["Cancellable"]
    assert job["extendedInfo"]["tasksList"][0]["taskExecutionDetails"] == "127 GBs / 127 GBs Transferred"
    finished = job["extendedInfo"]["propertyBag"]
    container = finished["Config Blob Container Name"]
    assert container.startswith("web01-")
    assert finished["Config Blob Name"] == f"config-web01-{job_id}.json"
    assert finished["Config Blob Uri"] == (
        f"https://stagingweu.blob.core.windows.net/{container}/config-web01-{job_id}.json"
    )
    assert finished["Create VM Template Blob Uri"].endswith(f"/azuredeploy{job_id}.json")


def test_managed_disks_say_one_percent_until_the_end(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("web-01", targetResourceGroupId=TARGET_GROUP)

    clock.advance(70)
    job = arm.job(job_id)
    assert job["status"] == "InProgress"
    assert job["extendedInfo"]["progressPercentage"] == 1.0
    assert tasks(job) == {"Transfer data from vault": "Completed"}
    assert "taskExecutionDetails" not in job["extendedInfo"]["tasksList"][0]
    assert job["extendedInfo"]["propertyBag"]["Target resource group"] == "restored-rg"

    clock.advance(3.97)
    job = arm.job(job_id)
    assert (job["status"], job["duration"]) == ("Completed", "PT1M13.97S")
    assert "Config Blob Uri" in job["extendedInfo"]["propertyBag"]


def test_new_vm_has_two_tasks_and_no_blobs(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("web-01", **new_vm_members())

    assert tasks(arm.job(job_id)) == {
        "Transfer data from vault": "InProgress",
        "Create the restored virtual machine": "NotStarted",
    }
    clock.advance(69)
    job = arm.job(job_id)
    assert tasks(job) == {
        "Transfer data from vault": "Completed",
        "Create the restored virtual machine": "InProgress",
    }
    assert shown(job, "progressPercentage", "estimatedRemainingDuration") == {
        "progressPercentage": 5.0,
        "estimatedRemainingDuration": "PT10M",
    }
    clock.advance(61)
    job = arm.job(job_id)
    assert (job["status"], job["duration"]) == ("Completed", "PT2M9.9S")
    assert job["extendedInfo"]["propertyBag"] == {
        "Job Type": "Recover VM to an alternate location",
        "Original VM Name": "web-01",
        "Target VM Name": "web-01-r",
        "Target VNet Name": "Group net-rg isolated",
        "Target Storage Account Name": "stagingweu",
        "Recovery point time ": "11/20/2026 9:00:00 AM",
        "Target resource group": "restored-rg",
        "VM Subscription ID": "11111111-1111-1111-1111-111111111111",
    }
    assert job["extendedInfo"]["internalPropertyBag"] == {"restoreLocationType": "AlternateLocation"}


def test_replaced_disks_sit_at_99_percent(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("Mixed-Case-01", "Mixed-RG", recoveryType="OriginalLocation")

    assert arm.job(job_id)["extendedInfo"]["propertyBag"]["Target VM Name"] is None
    clock.advance(61)
    early = arm.job(job_id)
    clock.advance(13 * 60)
    late = arm.job(job_id)
    for job in (early, late):
        assert job["status"] == "InProgress"
        assert shown(job, "progressPercentage", "estimatedRemainingDuration") == {
            "progressPercentage": 99.0,
            "estimatedRemainingDuration": "PT2M",
        }
        assert tasks(job)["Update the virtual machine"] == "InProgress"
    bag = late["extendedInfo"]["propertyBag"]
    assert (bag["Job Type"], bag["Target VM Name"], bag["Target resource group"]) == (
        "Replace disks",
        "Mixed-Case-01",
        "mixed-rg",
    )
    clock.advance(100)
    assert arm.job(job_id)["status"] == "Completed"


def test_archived_point_takes_the_time_of_its_rehydration(arm: Caller, clock: ManualClock) -> None:
    rehydrate = {
        "objectType": "IaasVMRestoreWithRehydrationRequest",
        "recoveryPointRehydrationInfo": {"rehydrationRetentionDuration": "P10D", "rehydrationPriority": "Standard"},
    }
    job_id = arm.restored_job("web-01", point=4, targetResourceGroupId=TARGET_GROUP, **rehydrate)

    clock.advance(9 * 3600)
    assert arm.job(job_id)["status"] == "InProgress"
    clock.advance(75)
    assert arm.job(job_id)["status"] == "Completed"


def test_job_answers_carry_no_retry_after(arm: Caller) -> None:
    answer = arm.get(f"{VAULT}/backupJobs/{arm.restored_job('web-01')}")

    assert "Retry-After" not in answer.headers
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


# Cancelling


def test_cancelled_job_is_cancelling_and_then_cancelled(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("web-01", **new_vm_members())
    clock.advance(10)

    answer = arm.post(f"{VAULT}/backupJobs/{job_id}/cancel")

    assert (answer.status_code, answer.text, answer.headers["Retry-After"]) == (202, "", "60")
    assert f"/backupJobs/{job_id}/operationResults/" in answer.headers["Location"]
    assert "api-version=2025-08-01&t=" in answer.headers["Location"]
    assert f"/backupJobs/{job_id}/operationsStatus/" in answer.headers["Azure-AsyncOperation"]
    assert "api-version=2019-05-13-preview&t=" in answer.headers["Azure-AsyncOperation"]
    job = arm.job(job_id)
    assert job["status"] == "Cancelling"
    assert set(tasks(job).values()) == {"Cancelling"}
    assert "endTime" not in job
    clock.advance(30)
    job = arm.job(job_id)
    assert job["status"] == "Cancelled"
    assert job["duration"] == "PT40S"
    assert tasks(job)["Transfer data from vault"] == "Cancelled"
    clock.advance(3600)
    assert arm.job(job_id) == job


def test_cancellation_is_confirmed_with_empty_ids(arm: Caller) -> None:
    job_id = arm.restored_job("web-01")
    answer = arm.post(f"{VAULT}/backupJobs/{job_id}/cancel")

    result = arm.get(answer.headers["Location"])
    status = arm.get(answer.headers["Azure-AsyncOperation"])

    assert result.status_code == 204
    assert result.headers["x-ms-request-id"] == "00000000-0000-0000-0000-000000000000"
    assert result.headers["x-ms-client-request-id"] == "00000000-0000-0000-0000-000000000000"
    assert status.json()["status"] == "Succeeded"
    operation_id = status.json()["id"]
    assert arm.get(f"{VAULT}/backupJobs/Azure/operationResults/{operation_id}").status_code == 204


def test_second_cancellation_does_not_prolong_the_first(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("web-01")
    arm.post(f"{VAULT}/backupJobs/{job_id}/cancel")
    clock.advance(20)

    assert arm.post(f"{VAULT}/backupJobs/{job_id}/cancel").status_code == 202

    clock.advance(10)
    assert arm.job(job_id)["status"] == "Cancelled"


def test_finished_job_cannot_be_cancelled(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("web-01")
    clock.advance(1900)

    answer = arm.post(f"{VAULT}/backupJobs/{job_id}/cancel")

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorJobNotCancellable")
    assert arm.job(job_id)["status"] == "Completed"


# Listing


RESTORES = "operation eq 'Restore'"


def listed(arm: Caller, condition: str) -> list[str]:
    return [job["name"] for job in arm.get(f"{VAULT}/backupJobs", **{"$filter": condition}).json()["value"]]


def test_list_shows_entries_without_details(arm: Caller) -> None:
    job_id = arm.restored_job("web-01")

    (entry,) = arm.get(f"{VAULT}/backupJobs", **{"$filter": RESTORES}).json()["value"]

    assert entry["name"] == job_id
    assert "extendedInfo" not in entry["properties"]
    assert entry["properties"]["entityFriendlyName"] == "web-01"


def test_list_is_filtered(arm: Caller, clock: ManualClock) -> None:
    done = arm.restored_job("web-01", targetResourceGroupId=TARGET_GROUP)
    clock.advance(100)
    running = arm.restored_job("web-02", point=3)

    assert listed(arm, RESTORES) == [running, done]
    assert listed(arm, f"{RESTORES} and status eq 'InProgress'") == [running]
    assert listed(arm, f"{RESTORES} and status eq 'Completed'") == [done]
    assert listed(arm, "operation eq 'Nothing'") == []
    assert listed(arm, f"backupManagementType eq 'AzureIaasVM' and {RESTORES}") == [running, done]
    window = "startTime eq '2026-11-20 12:01:00 PM' and endTime eq '2026-11-20 01:00:00 PM'"
    assert listed(arm, f"{RESTORES} and {window}") == [running]
    assert listed(arm, f"{RESTORES} and endTime eq '2026-11-20 12:01:00 PM'") == [done]


def test_list_comes_in_pages_that_keep_the_filter(arm: Caller) -> None:
    cancelled, *running = [arm.restored_job("web-01") for _ in range(52)]
    arm.post(f"{VAULT}/backupJobs/{cancelled}/cancel")

    first = arm.get(f"{VAULT}/backupJobs", **{"$filter": f"{RESTORES} and status eq 'InProgress'"}).json()
    second = arm.get(first["nextLink"]).json()

    assert (len(first["value"]), len(second["value"])) == (50, 1)
    assert "nextLink" not in second
    assert {job["name"] for job in first["value"] + second["value"]} == set(running)


@pytest.mark.parametrize("token", ["nonsense", "c29tZTo1", "c2tpcDp4"])
def test_foreign_page_token_is_refused(arm: Caller, token: str) -> None:
    assert arm.get(f"{VAULT}/backupJobs", **{"$skipToken": token}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "backupJobs/33333333-3333-3333-3333-333333333333",
        "backupOperations/33333333-3333-3333-3333-333333333333",
        "backupValidateOperationsStatuses/33333333-3333-3333-3333-333333333333",
    ],
)
def test_unknown_job_or_operation_is_not_found(arm: Caller, path: str) -> None:
    assert arm.get(f"{VAULT}/{path}").status_code == 404


def test_an_operation_of_another_kind_is_not_found(arm: Caller) -> None:
    job_id = arm.restored_job("web-01")

    assert arm.get(f"{VAULT}/backupValidateOperationsStatuses/{job_id}").status_code == 404
