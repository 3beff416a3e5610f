"""What each fault switch does to the calls of its VM."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from simulator.clock import ManualClock
from simulator.reading import InvalidDocument
from simulator.scenario import DEFAULT_FILE, Scenario
from simulator.server import running
from tests.conformance.caller import (
    LOCKED,
    TARGET_GROUP,
    VAULT,
    Caller,
    error_code,
    item_path,
    new_vm_members,
    point_of,
    vm_id,
)

if TYPE_CHECKING:
    from simulator.server import Simulator

GROUP = "fault-rg"
RESTORES = {"$filter": "operation eq 'Restore'"}


def set_fault(arm: Caller, switches: dict[str, Any]) -> None:
    arm.simulator.world.set_faults("web-01", switches)


def test_default_scenario_has_a_vm_for_every_switch(simulator: Simulator) -> None:
    switched = [name for vm in simulator.world.scenario.vms for name in vm.faults.given]

    assert set(switched) == {
        "lost202",
        "error500AfterAccept",
        "error500BeforeAccept",
        "errors503",
        "throttle429",
        "itemBusy",
        "slowOperation",
        "operationFailed",
        "jobFailed",
        "jobWarnings",
        "jobNotListed",
        "unauthorizedOnce",
        "malformedJson",
        "wrongHostUrl",
        "doubleSubscriptionsLocation",
        "noAsyncHeader",
        "integerEnums",
        "unknownEnums",
        "jobMissing404",
        "jobSeconds",
        "differentOperationId",
        "cancelRefused",
        "ignoresDiskList",
        "propertyBag",
        "untaggedDisks",
    }


@pytest.mark.parametrize(
    ("switch", "status", "code", "wait"),
    [
        ({}, 409, "BMSUserErrorObjectLocked", None),
        (
            {"status": 400, "code": "UserErrorRestoreOperationInProgress", "retryAfterSeconds": 20},
            400,
            "UserErrorRestoreOperationInProgress",
            "20",
        ),
    ],
)
def test_busy_item_refuses_restores_and_validations(
    arm: Caller, switch: dict[str, Any], status: int, code: str, wait: str | None
) -> None:
    set_fault(arm, {"itemBusy": {"count": 2, **switch}})

    for answer in (arm.restore("web-01"), arm.validate("web-01")):
        assert (answer.status_code, error_code(answer)) == (status, code)
        assert answer.headers.get("Retry-After") == wait
    assert arm.simulator.world.jobs_of("web-01") == []
    assert arm.restore("web-01").status_code == 202


def test_busy_item_is_free_after_its_time(arm: Caller, clock: ManualClock) -> None:
    set_fault(arm, {"itemBusy": {"seconds": 60}})

    assert arm.restore("web-01").status_code == 409
    clock.advance(59)
    assert arm.restore("web-01").status_code == 409
    clock.advance(1)
    assert arm.restore("web-01").status_code == 202


def test_busy_item_may_be_what_a_validation_finds(arm: Caller, clock: ManualClock) -> None:
    set_fault(arm, {"itemBusy": {"count": 1, "asFinding": True}})

    accepted = arm.validate("web-01")
    clock.advance(10)

    assert accepted.status_code == 202
    found = arm.get(accepted.headers["Azure-AsyncOperation"]).json()["properties"]["validateOperationResponse"]
    assert [finding["code"] for finding in found["validationResults"]] == ["BMSUserErrorObjectLocked"]
    assert arm.restore("web-01").status_code == 202


def test_lost_202_makes_a_job_and_drops_the_connection(arm: Caller) -> None:
    with pytest.raises(requests.ConnectionError):
        arm.restore("lost-202", GROUP)

    (job,) = arm.simulator.world.jobs_of("lost-202")
    listed = arm.get(f"{VAULT}/backupJobs", **RESTORES).json()["value"]
    assert [each["name"] for each in listed] == [job.job_id]
    assert arm.simulator.requests[-2].status == 0


def test_error_500_after_accept_makes_a_job(arm: Caller) -> None:
    answer = arm.restore("error-500-after-accept", GROUP)

    assert (answer.status_code, error_code(answer)) == (500, "CloudInternalError")
    assert answer.headers["x-ms-failure-cause"] == "service"
    assert len(arm.simulator.world.jobs_of("error-500-after-accept")) == 1


def test_error_500_before_accept_makes_no_job(arm: Caller) -> None:
    answer = arm.restore("error-500-before-accept", GROUP)

    assert (answer.status_code, error_code(answer)) == (500, "CloudInternalError")
    assert arm.simulator.world.jobs_of("error-500-before-accept") == []
    assert arm.restore("error-500-before-accept", GROUP).status_code == 202


def test_errors_503_come_in_a_burst_on_reads_alone(arm: Caller) -> None:
    assert arm.restore("errors-503", GROUP).status_code == 202

    answers = [arm.get(vm_id("errors-503", GROUP)) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [503, 503, 503, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["5", "5", "5", None]


def test_errors_503_may_come_without_retry_after_and_for_some_calls_alone(arm: Caller) -> None:
    set_fault(arm, {"errors503": {"count": 1, "actions": ["list_recovery_points"]}})

    assert arm.get(vm_id("web-01")).status_code == 200
    answer = arm.get(f"{item_path('web-01')}/recoveryPoints")
    assert answer.status_code == 503
    assert "Retry-After" not in answer.headers


def test_throttle_429_names_its_wait(arm: Caller) -> None:
    answers = [arm.get(item_path("throttle-429", GROUP)) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [429, 429, 429, 200]
    assert answers[0].headers["Retry-After"] == "20"
    assert error_code(answers[0]) == "ResourceRequestsThrottled"


def test_throttle_429_may_name_its_wait_in_milliseconds(arm: Caller) -> None:
    set_fault(arm, {"throttle429": {"count": 1, "retryAfterSeconds": 1.5, "form": "milliseconds"}})

    headers = arm.get(vm_id("web-01")).headers

    assert headers["x-ms-retry-after-ms"] == "1500"
    assert "Retry-After" not in headers


def test_throttle_429_may_name_its_wait_as_a_date(arm: Caller) -> None:
    set_fault(arm, {"throttle429": {"count": 1, "retryAfterSeconds": 600, "form": "date"}})

    until = parsedate_to_datetime(arm.get(vm_id("web-01")).headers["Retry-After"])

    assert until - datetime.now(UTC) == pytest.approx(timedelta(seconds=600), abs=timedelta(seconds=30))


def test_throttle_429_may_leave_the_wait_open(arm: Caller) -> None:
    set_fault(arm, {"throttle429": {"count": 1}})

    answer = arm.get(vm_id("web-01"))

    assert answer.status_code == 429
    assert "Retry-After" not in answer.headers


def test_throttle_429_may_hit_the_trigger_alone(arm: Caller) -> None:
    set_fault(arm, {"throttle429": {"count": 1, "retryAfterSeconds": 7, "actions": ["trigger_restore"]}})

    assert arm.get(vm_id("web-01")).status_code == 200
    assert arm.restore("web-01").status_code == 429
    assert not arm.simulator.world.jobs
    assert arm.restore("web-01").status_code == 202


def test_slow_operation_is_in_progress_without_a_word_about_waiting(arm: Caller, clock: ManualClock) -> None:
    answer = arm.restore("slow-operation", GROUP)
    address = answer.headers["Azure-AsyncOperation"]

    first = arm.get(address)

    assert first.json().keys() == {"id", "name", "status", "startTime", "endTime"}
    assert (first.json()["status"], first.json()["endTime"]) == ("InProgress", "0001-01-01T00:00:00")
    assert not {"Retry-After", "Azure-AsyncOperation", "Location"} & first.headers.keys()
    result = arm.get(answer.headers["Location"])
    assert (result.status_code, result.content, result.headers["Retry-After"]) == (202, b"", "60")
    assert "Location" in result.headers
    clock.advance(150)
    assert arm.get(address).json()["status"] == "Succeeded"
    assert arm.get(answer.headers["Location"]).status_code == 204


def test_failed_operation_has_an_error_and_no_job(arm: Caller) -> None:
    answer = arm.restore("operation-failed", GROUP)

    body = arm.get(answer.headers["Azure-AsyncOperation"]).json()

    assert body["status"] == "Failed"
    assert body["error"]["code"] == "UserErrorOperationFailed"
    assert "properties" not in body
    assert not arm.simulator.world.jobs
    result = arm.get(answer.headers["Location"])
    assert (result.status_code, error_code(result)) == (400, "UserErrorOperationFailed")


def test_failed_job_has_error_details(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("job-failed", GROUP)
    clock.advance(39)
    assert arm.job(job_id)["status"] == "InProgress"
    assert "errorDetails" not in arm.job(job_id)

    clock.advance(1)

    job = arm.job(job_id)
    assert (job["status"], job["duration"]) == ("Failed", "PT40S")
    assert job["errorDetails"] == [
        {
            "errorCode": 400162,
            "errorTitle": "UserErrorVmCreationFailed",
            "errorString": "The disks could not be written.",
            "recommendations": ["Check the quota of the subscription and try again."],
        }
    ]
    assert job["extendedInfo"]["dynamicErrorMessage"] == "The disks could not be written."
    assert job["extendedInfo"]["progressPercentage"] < 100
    assert job["extendedInfo"]["tasksList"][0]["status"] == "Failed"


def test_job_with_warnings_has_error_details(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("job-warnings", GROUP, recoveryType="OriginalLocation")

    clock.advance(1000)

    job = arm.job(job_id)
    assert job["status"] == "CompletedWithWarnings"
    assert job["errorDetails"][0]["errorTitle"] == "OlrBackupFailed"
    assert job["extendedInfo"]["progressPercentage"] == 100.0


def test_cancelled_job_of_a_failing_kind_has_no_error_details(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("job-failed", GROUP)
    arm.post(f"{VAULT}/backupJobs/{job_id}/cancel")

    clock.advance(60)

    assert arm.job(job_id)["status"] == "Cancelled"
    assert "errorDetails" not in arm.job(job_id)


def test_job_is_listed_late_but_found_by_its_id(arm: Caller, clock: ManualClock) -> None:
    with pytest.raises(requests.ConnectionError):
        arm.restore("job-not-listed", GROUP)
    (job,) = arm.simulator.world.jobs_of("job-not-listed")

    assert arm.get(f"{VAULT}/backupJobs", **RESTORES).json()["value"] == []
    assert arm.get(f"{VAULT}/backupJobs/{job.job_id}").status_code == 200
    clock.advance(45)
    assert len(arm.get(f"{VAULT}/backupJobs", **RESTORES).json()["value"]) == 1


def test_unauthorized_once(arm: Caller) -> None:
    first, second = (arm.get(vm_id("unauthorized-once", GROUP)) for _ in range(2))

    assert (first.status_code, second.status_code) == (401, 200)
    assert error_code(first) == "ExpiredAuthenticationToken"
    assert first.headers["WWW-Authenticate"].startswith("Bearer ")


def test_malformed_json_on_the_first_job_reads(arm: Caller) -> None:
    job_id = arm.restored_job("malformed-json", GROUP)

    for _ in range(2):
        answer = arm.get(f"{VAULT}/backupJobs/{job_id}")
        assert answer.status_code == 200
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    assert arm.job(job_id)["status"] == "InProgress"


def test_wrong_host_in_both_addresses(arm: Caller) -> None:
    answer = arm.restore("wrong-host-url", GROUP)

    hosts = {urlsplit(answer.headers[name]).hostname for name in ("Location", "Azure-AsyncOperation")}
    assert hosts == {"wrong-host.invalid"}


def test_wrong_host_may_be_named(arm: Caller) -> None:
    set_fault(arm, {"wrongHostUrl": "http://127.0.0.1:9"})

    assert arm.restore("web-01").headers["Location"].startswith("http://127.0.0.1:9/subscriptions/")


def test_double_subscriptions_in_location_lead_nowhere(arm: Caller) -> None:
    answer = arm.restore("double-subscriptions-location", GROUP)

    assert "/subscriptions//subscriptions/" in answer.headers["Location"]
    assert "Azure-AsyncOperation" not in answer.headers
    assert arm.get(answer.headers["Location"]).status_code == 404
    operation_id = urlsplit(answer.headers["Location"]).path.rpartition("/")[2]
    assert arm.get(f"{VAULT}/backupOperations/{operation_id}").json()["status"] == "Succeeded"


def test_no_async_header(arm: Caller) -> None:
    answer = arm.restore("no-async-header", GROUP)

    assert "Azure-AsyncOperation" not in answer.headers
    assert arm.get(answer.headers["Location"]).status_code == 204


def test_integers_for_enums_and_old_durations(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("integer-enums", GROUP)
    clock.advance(1900)

    point = arm.get(f"{item_path('integer-enums', GROUP)}/recoveryPoints").json()["value"][2]
    job = arm.job(job_id)

    tiers = point["properties"]["recoveryPointTierDetails"]
    assert tiers == [{"type": 1, "status": 3}, {"type": 2, "status": 1}]
    assert job["actionsInfo"] == [1]
    assert job["duration"] == "00:30:46.6955000"
    assert "Template Blob Uri" in job["extendedInfo"]["propertyBag"]


def test_unknown_words_and_members(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("unknown-enums", GROUP)

    point = arm.get(f"{item_path('unknown-enums', GROUP)}/recoveryPoints").json()["value"][0]["properties"]

    assert {"type": "OrbitalRP", "status": "Drifting"} in point["recoveryPointTierDetails"]
    assert "memberOfTheFuture" in point
    assert arm.job(job_id)["status"] == "Preparing"
    assert "endTime" not in arm.job(job_id)
    clock.advance(1900)
    assert arm.job(job_id)["status"] == "Completed"


def test_job_missing_at_first(arm: Caller) -> None:
    job_id = arm.restored_job("job-missing-404", GROUP)

    answers = [arm.get(f"{VAULT}/backupJobs/{job_id}").status_code for _ in range(3)]

    assert answers == [404, 404, 200]


def test_job_seconds(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("job-seconds", GROUP)

    clock.advance(7199)
    assert arm.job(job_id)["status"] == "InProgress"
    clock.advance(1)
    assert arm.job(job_id)["duration"] == "PT2H"


def test_operation_id_may_differ_from_the_job_id(arm: Caller) -> None:
    answer = arm.restore("different-operation-id", GROUP)

    body = arm.get(answer.headers["Azure-AsyncOperation"]).json()

    assert body["properties"]["jobId"] != body["id"]
    assert arm.job(body["properties"]["jobId"])["status"] == "InProgress"
    assert arm.get(f"{VAULT}/backupJobs/{body['id']}").status_code == 404


def test_refused_cancellation_leaves_the_job_alone(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("cancel-refused", GROUP)

    answer = arm.post(f"{VAULT}/backupJobs/{job_id}/cancel")

    assert answer.status_code == 202
    result = arm.get(answer.headers["Location"])
    assert (result.status_code, error_code(result)) == (400, "BMSUserErrorJobNotCancellable")
    assert arm.get(answer.headers["Azure-AsyncOperation"]).json()["status"] == "Failed"
    clock.advance(1900)
    assert arm.job(job_id)["status"] == "Completed"


# Setting them at run time


def test_faults_are_set_and_cleared_over_http(arm: Caller) -> None:
    answer = arm.post("/_simulator/faults", {"vm": "web-01", "faults": {"error500BeforeAccept": True}})

    assert answer.status_code == 200
    assert [arm.restore("web-01").status_code for _ in range(3)] == [500, 500, 500]
    assert arm.post("/_simulator/faults", {"vm": vm_id("web-01"), "faults": {}}).status_code == 200
    assert arm.restore("web-01").status_code == 202


@pytest.mark.parametrize(
    ("body", "status", "problem"),
    [
        ({"vm": "web-77", "faults": {}}, 404, "$.vm: there is no VM 'web-77'"),
        ({"faults": {}}, 400, "$.vm: expected the name or the resource id of a VM"),
        (None, 400, "$.vm: expected the name or the resource id of a VM"),
        ({"vm": "web-01", "faults": {"lost203": True}}, 400, "$.faults.lost203: unknown member"),
        ({"vm": "web-01", "faults": []}, 400, "$.faults: expected an object"),
    ],
)
def test_wrong_faults_are_refused(arm: Caller, body: Any, status: int, problem: str) -> None:
    answer = arm.post("/_simulator/faults", body)

    assert (answer.status_code, answer.json()) == (status, {"problems": [problem]})


def test_setting_faults_counts_anew(arm: Caller) -> None:
    switches = {"errors503": {"count": 1}}
    set_fault(arm, switches)
    assert [arm.get(vm_id("web-01")).status_code for _ in range(2)] == [503, 200]

    set_fault(arm, switches)

    assert arm.get(vm_id("web-01")).status_code == 503


def test_wrong_faults_of_a_test_raise(simulator: Simulator) -> None:
    with pytest.raises(InvalidDocument, match=r"\$\.faults\.jobSeconds: expected a number above 0"):
        simulator.world.set_faults("web-01", {"jobSeconds": 0})
    with pytest.raises(KeyError):
        simulator.world.set_faults("web-77", {})


def test_waits_shrink_with_the_speed() -> None:
    with running(speed=120) as simulator:
        caller = Caller(simulator)
        with caller.session:
            simulator.world.set_faults("web-01", {"errors503": {"count": 1, "retryAfterSeconds": 121}})
            assert caller.get(vm_id("web-01")).headers["Retry-After"] == "2"
            assert caller.restore("web-02", point=3).headers["Retry-After"] == "1"
            assert point_of(simulator, "web-02")


@pytest.mark.parametrize(
    ("bag", "seen"),
    [
        ("absent", "absent"),
        ("null", None),
        ("empty", {}),
        (["Target Storage Account Name", "VM Subscription ID"], {"Job Type": "Recover disks"}),
    ],
)
def test_a_property_bag_is_left_out_or_lacks_members(
    arm: Caller, clock: ManualClock, bag: Any, seen: dict[str, str] | str | None
) -> None:
    set_fault(arm, {"propertyBag": bag})
    job_id = arm.restored_job("web-01", targetResourceGroupId=TARGET_GROUP)
    clock.advance(120)

    job = arm.job(job_id)

    assert job["status"] == "Completed"
    assert ("propertyBag" in job["extendedInfo"]) is (bag != "absent")
    found = job["extendedInfo"].get("propertyBag", "absent")
    if isinstance(bag, list):
        assert not set(bag) & set(found)
        assert found["Target resource group"] == "restored-rg"
    else:
        assert found == seen


@pytest.mark.parametrize(
    ("vm", "asked", "luns"),
    [
        ("selective-01", [1], ["001"]),
        ("selective-01", [], []),
        ("selective-01", [-1, 0, 1], ["000", "001"]),
        ("selective-01", None, ["000", "001"]),
        ("disk-list-ignored", [1], ["000", "001"]),
        ("disk-list-ignored", [], ["000", "001"]),
    ],
)
def test_the_disks_that_were_made_stand_in_the_target_group(
    arm: Caller, clock: ManualClock, vm: str, asked: list[int] | None, luns: list[str]
) -> None:
    group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/Restored-RG"
    more: dict[str, Any] = {} if asked is None else {"restoreDiskLunList": asked}
    assert arm.restore(vm, "rules-rg", targetResourceGroupId=group, **more).status_code == 202
    disks = f"{group}/providers/Microsoft.Compute/disks"
    assert arm.get(disks.lower()).json()["value"] == []

    clock.advance(120)
    made = arm.get(disks.lower()).json()["value"]

    plain = vm.replace("-", "")
    assert [disk["name"].split("-2")[0] for disk in made] == [
        f"{plain}-osdisk",
        *(f"{plain}-datadisk-{n}" for n in luns),
    ]
    assert ["osType" in each["properties"] for each in made] == [True, *(False for _ in luns)]
    job = arm.simulator.world.jobs_of(vm)[-1]
    assert {disk["tags"]["RSVaultBackup"] for disk in made} == {job.job_id}
    sizes = {"000": 64, "001": 256}
    assert [disk["properties"]["diskSizeGB"] for disk in made] == [127, *(sizes[lun] for lun in luns)]
    assert arm.get(disks.lower().replace("restored-rg", "security-rg")).json()["value"] == []


def test_vault_takes_so_many_restores_a_day() -> None:
    document = json.loads(DEFAULT_FILE.read_text(encoding="utf-8"))
    document["vaults"][0]["restoresPerDay"] = 2
    clock = ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    with running(Scenario.from_dict(document), clock=clock) as simulator:
        arm = Caller(simulator)
        statuses = [arm.restore(vm).status_code for vm in ("web-01", "web-02", "web-01")]
        refused = arm.restore("web-02")
        clock.advance(86_401)
        arm.renew()

        assert statuses == [202, 202, 429]
        assert error_code(refused) == "CloudDosAbsoluteLimitReachedWithRetry"
        assert arm.restore("web-02").status_code == 202


def disks_in(arm: Caller, group: str) -> list[dict[str, Any]]:
    """Read all pages of the disks of a resource group."""
    path = f"/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/{group}"
    answer = arm.get(f"{path}/providers/Microsoft.Compute/disks").json()
    found = answer["value"]
    while "nextLink" in answer:
        answer = arm.get(answer["nextLink"]).json()
        found += answer["value"]
    return found


def test_a_group_also_has_the_disks_of_its_vms_and_of_other_jobs(arm: Caller, clock: ManualClock) -> None:
    before = {disk["name"] for disk in disks_in(arm, "rules-rg")}
    jobs: list[str] = []
    for _ in range(2):
        jobs.append(arm.restored_job("locked-01", "rules-rg", vault=LOCKED, recoveryType="OriginalLocation"))
        clock.advance(1000)

    disks = disks_in(arm, "rules-rg")

    assert any(name.startswith("locked-01_OsDisk_1_") for name in before)
    assert before < {disk["name"] for disk in disks}
    assert all(disk["tags"] == {} for disk in disks if disk["name"] in before)
    tagged = {disk["tags"]["RSVaultBackup"]: disk for disk in disks if disk["tags"]}
    assert set(tagged) == set(jobs)
    assert all(disk["name"].startswith("locked01-osdisk-") for disk in tagged.values())


def test_a_new_vm_has_disks_of_its_own_name(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("sql-01", "sql-rg", **new_vm_members("sql-01-r"))
    clock.advance(200)

    (disk,) = disks_in(arm, "restored-rg")

    assert disk["name"].startswith("sql01r-osdisk-")
    assert disk["managedBy"].endswith("/virtualMachines/sql-01-r")
    assert (disk["tags"]["RSVaultBackup"], disk["properties"]["diskSizeGB"]) == (job_id, 1024)


def test_disks_may_come_without_a_tag(arm: Caller, clock: ManualClock) -> None:
    arm.restored_job("untagged-disks", GROUP, targetResourceGroupId=TARGET_GROUP)
    clock.advance(120)

    (disk,) = disks_in(arm, "restored-rg")

    assert "RSVaultBackup" not in disk.get("tags", {})


def test_unmanaged_disks_become_managed_ones_only_if_asked_for(arm: Caller, clock: ManualClock) -> None:
    arm.restored_job("unmanaged-01", "rules-rg", 1, targetResourceGroupId=TARGET_GROUP)
    clock.advance(120)
    assert disks_in(arm, "restored-rg") == []

    arm.restored_job("unmanaged-01", "rules-rg", 1, targetResourceGroupId=TARGET_GROUP, restoreWithManagedDisks=True)
    clock.advance(120)
    assert len(disks_in(arm, "restored-rg")) == 1


def test_an_encrypted_point_has_its_keys_and_its_job_names_their_blob(arm: Caller, clock: ManualClock) -> None:
    point = point_of(arm.simulator, "encrypted-01")
    properties = arm.get(f"{item_path('encrypted-01', 'rules-rg')}/recoveryPoints/{point}").json()["properties"]
    job_id = arm.restored_job("encrypted-01", "rules-rg", targetResourceGroupId=TARGET_GROUP)
    clock.advance(120)

    assert properties["isSourceVMEncrypted"] is True
    assert properties["keyAndSecret"]["bekDetails"]["secretUrl"].startswith("https://")
    bag = arm.job(job_id)["extendedInfo"]["propertyBag"]
    assert bag["Encryption Info Blob Name"].endswith(f"{job_id}.json")
    plain = arm.restored_job("web-01", targetResourceGroupId=TARGET_GROUP)
    clock.advance(120)
    assert "Encryption Info Blob Name" not in arm.job(plain)["extendedInfo"]["propertyBag"]
