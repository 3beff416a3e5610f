"""Restores over plain HTTP: what is taken, what is refused, and the headers the SDK hides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import (
    ACCOUNTS,
    NETWORK,
    STAGING,
    SUBSCRIPTION,
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
    from simulator.clock import ManualClock
    from simulator.server import Simulator

REHYDRATE = {
    "objectType": "IaasVMRestoreWithRehydrationRequest",
    "recoveryPointRehydrationInfo": {"rehydrationRetentionDuration": "P15D", "rehydrationPriority": "High"},
}
IDENTITY = {
    "storageAccountId": None,
    "identityInfo": {"isSystemAssignedIdentity": True},
    "identityBasedRestoreDetails": {"targetStorageAccountId": STAGING},
}
_IDENTITIES = "providers/Microsoft.ManagedIdentity/userAssignedIdentities"
USER_IDENTITY = f"{SUBSCRIPTION}/resourceGroups/backup-rg/{_IDENTITIES}/restore-identity"
ELSEWHERE = TARGET_GROUP.replace("1111", "2222")
WITH_FREE_VM = {**new_vm_members(), "virtualNetworkId": NETWORK}


def scenario_of(*points: dict[str, Any], vault: dict[str, Any] | None = None) -> Scenario:
    return Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope", **(vault or {})}],
            "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu", "points": list(points)}],
        }
    )


# The answer


def test_taken_restore_answers_202_with_signed_addresses(arm: Caller, simulator: Simulator) -> None:
    request_id = str(uuid4())

    answer = arm.restore("web-01", headers={"x-ms-client-request-id": request_id})

    assert (answer.status_code, answer.text, answer.headers["Content-Length"]) == (202, "", "0")
    assert answer.headers["Retry-After"] == "60"
    assert answer.headers["x-ms-client-request-id"] == request_id
    assert answer.headers["x-ms-request-id"] == answer.headers["x-ms-correlation-request-id"] != request_id
    assert "Content-Type" not in answer.headers
    assert "Server" not in answer.headers
    for header, kind in (("Azure-AsyncOperation", "operationsStatus"), ("Location", "operationResults")):
        url = answer.headers[header]
        assert url.startswith(f"{simulator.url}{VAULT}/backupFabrics/Azure/protectionContainers/IaasVMContainer;iaas")
        assert f"/protectedItems/VM;iaasvmcontainerv2;web-rg;web-01/{kind}/" in url
        query = parse_qs(urlsplit(url).query)
        assert {name: len(query[name][0]) for name in ("t", "s", "h")} == {"t": 18, "s": 342, "h": 43}
        assert len(query["c"][0]) >= 2575
        assert 3300 < len(url) < 3800


def test_job_carries_the_request_id_of_its_trigger(arm: Caller) -> None:
    request_id = str(uuid4())

    job_id = arm.simulator.world.jobs_of("web-01")
    arm.restore("web-01", headers={"x-ms-client-request-id": request_id})

    listed = arm.get(f"{VAULT}/backupJobs", **{"$filter": "operation eq 'Restore'"}).json()["value"]
    assert job_id == []
    assert [job["properties"]["activityId"] for job in listed] == [request_id]


def test_two_posts_make_two_jobs(arm: Caller, simulator: Simulator) -> None:
    headers = {"x-ms-client-request-id": str(uuid4())}

    arm.restore("web-01", headers=headers)
    arm.restore("web-01", headers=headers)

    first, second = simulator.world.jobs_of("web-01")
    assert first.job_id != second.job_id
    assert first.activity_id == second.activity_id


def test_operation_and_job_are_settled_at_once_and_share_id_and_times(arm: Caller) -> None:
    answer = arm.restore("web-01")

    status = arm.get(answer.headers["Azure-AsyncOperation"])
    body = status.json()
    job = arm.job(body["properties"]["jobId"])
    assert body["status"] == "Succeeded"
    assert body["id"] == body["name"] == body["properties"]["jobId"]
    assert body["startTime"] == body["endTime"] == job["startTime"]
    assert body["properties"]["objectType"] == "OperationStatusJobExtendedInfo"
    assert "Retry-After" not in status.headers
    assert "Azure-AsyncOperation" not in status.headers
    twin = arm.get(f"{VAULT}/backupOperations/{body['id']}")
    assert twin.json() == body


def test_finished_operation_result_is_204_with_retry_after(arm: Caller) -> None:
    answer = arm.restore("web-01")

    result = arm.get(answer.headers["Location"])

    assert (result.status_code, result.content) == (204, b"")
    assert result.headers["Retry-After"] == "60"
    assert "operationsStatus" in result.headers["Azure-AsyncOperation"]
    assert "Content-Length" not in result.headers
    assert "Content-Type" not in result.headers
    operation_id = urlsplit(answer.headers["Location"]).path.rpartition("/")[2]
    assert arm.get(f"{VAULT}/backupOperationResults/{operation_id}").status_code == 204


def test_group_keeps_the_casing_of_the_caller(arm: Caller) -> None:
    path = item_path("web-01").replace("backup-rg", "Backup-RG").replace("/subscriptions/", "/Subscriptions/")

    body = arm.get(path).json()

    assert body["id"].startswith("/Subscriptions/")
    assert "/resourceGroups/Backup-RG/" in body["id"]


def test_native_names_are_lower_case_while_the_vm_id_is_not(arm: Caller) -> None:
    body = arm.get(item_path("Mixed-Case-01", "Mixed-RG")).json()

    assert body["name"] == "VM;iaasvmcontainerv2;mixed-rg;mixed-case-01"
    assert body["properties"]["sourceResourceId"] == vm_id("Mixed-Case-01", "Mixed-RG")


@pytest.mark.parametrize("separator", [";", "%3B", "%3b"])
def test_semicolons_may_be_encoded(arm: Caller, simulator: Simulator, separator: str) -> None:
    path = item_path("web-01").replace(";", separator)
    assert arm.get(f"{path}/recoveryPoints/{point_of(simulator, 'web-01')}").status_code == 200


# Bodies that are taken


@pytest.mark.parametrize(
    ("vm", "point", "members", "kind"),
    [
        ("web-01", 0, {}, "blobs"),
        ("web-01", 0, {"targetResourceGroupId": TARGET_GROUP}, "disks"),
        ("web-01", 0, new_vm_members(), "new_vm"),
        ("web-01", 0, {"recoveryType": "OriginalLocation"}, "replace"),
        ("web-01", 4, REHYDRATE, "blobs"),
        ("web-02", 5, {}, "blobs"),
        ("web-01", 0, IDENTITY, "blobs"),
        ("web-01", 0, {**IDENTITY, "identityInfo": {"managedIdentityResourceId": USER_IDENTITY.upper()}}, "blobs"),
        ("web-01", 0, {"zones": ["NoZone"]}, "blobs"),
        ("web-01", 0, {"region": "West Europe"}, "blobs"),
        ("web-01", 0, {"sourceResourceId": vm_id("WEB-01", "Web-RG")}, "blobs"),
        ("web-01", 0, {"targetResourceGroupId": ELSEWHERE}, "disks"),
        ("gone-01", 0, {**WITH_FREE_VM, "targetVirtualMachineId": vm_id("gone-01")}, "new_vm"),
    ],
)
def test_body_is_taken(arm: Caller, vm: str, point: int, members: dict[str, Any], kind: str) -> None:
    job_id = arm.restored_job(vm, point=point, **members)

    assert arm.simulator.world.jobs[job_id].kind == kind


# Bodies that are refused


@pytest.mark.parametrize(
    ("members", "point"),
    [
        ({"objectType": "RestoreRequest"}, 0),
        ({"objectType": None}, 0),
        ({"recoveryType": "Sideways"}, 0),
        ({"recoveryPointId": "1"}, 0),
        ({"sourceResourceId": vm_id("web-02")}, 0),
        ({"region": "northeurope"}, 0),
        ({"storageAccountId": None}, 0),
        ({"storageAccountId": "stagingweu"}, 0),
        ({"storageAccountId": f"{ACCOUNTS}/nowhere"}, 0),
        ({"storageAccountId": f"{ACCOUNTS}/stagingzrs"}, 0),
        ({"storageAccountId": f"{ACCOUNTS}/stagingneu"}, 0),
        ({**IDENTITY, "storageAccountId": STAGING}, 0),
        ({"identityInfo": {"isSystemAssignedIdentity": True}}, 0),
        ({**IDENTITY, "identityBasedRestoreDetails": None}, 0),
        ({**IDENTITY, "identityInfo": {"isSystemAssignedIdentity": False}}, 0),
        ({**IDENTITY, "identityInfo": {"isSystemAssignedIdentity": True, "managedIdentityResourceId": "x"}}, 0),
        ({"identityBasedRestoreDetails": {"targetStorageAccountId": STAGING}}, 0),
        ({"targetVirtualMachineId": vm_id("web-99")}, 0),
        ({"virtualNetworkId": NETWORK}, 0),
        ({"subnetId": f"{NETWORK}/subnets/default"}, 0),
        ({"targetResourceGroupId": "restored-rg"}, 0),
        ({**new_vm_members(), "targetResourceGroupId": None}, 0),
        ({**new_vm_members(), "targetVirtualMachineId": None}, 0),
        ({**new_vm_members(), "virtualNetworkId": None}, 0),
        ({**new_vm_members(), "subnetId": None}, 0),
        ({**new_vm_members(), "subnetId": f"{NETWORK}-2/subnets/default"}, 0),
        ({"recoveryType": "OriginalLocation", "targetResourceGroupId": TARGET_GROUP}, 0),
        ({"recoveryType": "OriginalLocation", "zones": ["1"]}, 0),
        ({"recoveryType": "OriginalLocation", "diskEncryptionSetId": "x"}, 0),
        ({"restoreDiskLunList": "0,1"}, 0),
        ({"restoreDiskLunList": [True]}, 0),
        ({"zones": ["4"]}, 0),
        ({"zones": ["1"]}, 0),
        ({}, 4),
        (REHYDRATE, 0),
        ({"recoveryPointRehydrationInfo": REHYDRATE["recoveryPointRehydrationInfo"]}, 0),
        ({**REHYDRATE, "recoveryPointRehydrationInfo": None}, 4),
        ({**REHYDRATE, "recoveryPointRehydrationInfo": {"rehydrationPriority": "High"}}, 4),
        (
            {
                **REHYDRATE,
                "recoveryPointRehydrationInfo": {
                    "rehydrationPriority": "High",
                    "rehydrationRetentionDuration": "P31D",
                },
            },
            4,
        ),
        (
            {
                **REHYDRATE,
                "recoveryPointRehydrationInfo": {
                    "rehydrationPriority": "Low",
                    "rehydrationRetentionDuration": "P15D",
                },
            },
            4,
        ),
    ],
)
def test_body_is_refused_and_makes_no_job(arm: Caller, members: dict[str, Any], point: int) -> None:
    answer = arm.restore("web-01", point=point, **members)

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")
    assert answer.json()["error"]["message"] == "Input provided for the call is invalid"
    assert answer.headers["x-ms-failure-cause"] == "service"
    assert not arm.simulator.world.jobs


@pytest.mark.parametrize("body", [None, [], {"objectType": "IaasVMRestoreRequest"}, {"properties": []}])
def test_body_without_its_envelope_is_refused(arm: Caller, simulator: Simulator, body: Any) -> None:
    answer = arm.post(f"{item_path('web-01')}/recoveryPoints/{point_of(simulator, 'web-01')}/restore", body)

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")


@pytest.mark.parametrize(
    ("vm", "point", "members", "code"),
    [
        ("web-02", 1, {}, "BMSUserErrorInvalidInput"),  # soft-deleted
        ("web-02", 2, {"zones": ["NoZone"]}, "BMSUserErrorInvalidInput"),  # snapshot only
        ("web-02", 2, {"targetResourceGroupId": ELSEWHERE}, "BMSUserErrorInvalidInput"),  # snapshot only
        ("web-03", 1, {"recoveryType": "OriginalLocation"}, "BMSUserErrorInvalidInput"),  # encrypted
        ("web-03", 0, {}, "UserErrorInstantRpNotFound"),  # snapshot gone
        ("gone-01", 0, {"recoveryType": "OriginalLocation"}, "UserErrorBcmDatasourceNotPresent"),
        ("web-01", 0, {**WITH_FREE_VM, "targetVirtualMachineId": vm_id("web-02")}, "UserErrorVmAlreadyExists"),
    ],
)
def test_point_or_target_does_not_allow_the_restore(
    arm: Caller, vm: str, point: int, members: dict[str, Any], code: str
) -> None:
    answer = arm.restore(vm, point=point, **members)

    assert (answer.status_code, error_code(answer)) == (400, code)


def test_zone_needs_a_zone_redundant_vault() -> None:
    scenario = scenario_of({"ageHours": 1, "tiers": {"HardenedRP": "Valid"}}, vault={"storageType": "ZoneRedundant"})
    with running(scenario) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert caller.restore("web-01", zones=["2"]).status_code == 202


def test_unmanaged_vm_is_not_replaced_in_place() -> None:
    with running(scenario_of({"ageHours": 1, "tiers": {"HardenedRP": "Valid"}, "managed": False})) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert caller.restore("web-01", recoveryType="OriginalLocation").status_code == 400


def test_vault_may_forbid_restores_to_another_subscription() -> None:
    point = {"ageHours": 1, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}
    with running(scenario_of(point, vault={"crossSubscriptionRestore": "Disabled"})) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert caller.restore("web-01", targetResourceGroupId=ELSEWHERE).status_code == 400
            assert caller.restore("web-01", targetResourceGroupId=TARGET_GROUP).status_code == 202


@pytest.mark.parametrize(
    "path",
    [
        item_path("web-77"),
        item_path("web-01").replace("vm;", "file;"),
        item_path("web-01").replace("/vm;iaasvmcontainerv2;web-rg;web-01", "/vm;iaasvmcontainerv2;web-rg;web-02"),
        item_path("web-01").replace("/Azure/", "/Elsewhere/"),
    ],
)
def test_unknown_item_is_not_found(arm: Caller, simulator: Simulator, path: str) -> None:
    point = point_of(simulator, "web-01")

    answer = arm.post(f"{path}/recoveryPoints/{point}/restore", arm.request_body("web-01"))

    assert (answer.status_code, error_code(answer)) == (404, "BMSUserErrorDataSourceObjectNotFound")


def test_unknown_point_is_not_found(arm: Caller) -> None:
    answer = arm.post(f"{item_path('web-01')}/recoveryPoints/42/restore", arm.request_body("web-01"))

    assert (answer.status_code, error_code(answer)) == (404, "BMSUserErrorDataSourceObjectNotFound")


# What a restore leaves


def test_new_vm_exists_once_its_job_is_done(arm: Caller, clock: ManualClock) -> None:
    target = new_vm_members()["targetVirtualMachineId"]
    arm.restored_job("web-01", **new_vm_members())
    assert arm.get(target).status_code == 404
    clock.advance(130)

    made = arm.get(target)

    assert (made.status_code, made.json()["name"]) == (200, "web-01-r")
    again = arm.restore("web-01", **new_vm_members())
    assert error_code(again) == "UserErrorVmAlreadyExists"


# Validation


def a_validation(arm: Caller, vm: str, **members: Any) -> dict[str, Any]:
    request = arm.request_body(vm, **members)["properties"]
    return {
        "id": f"{item_path(vm)}/recoveryPoints/{request['recoveryPointId']}",
        "properties": {"objectType": "ValidateIaasVMRestoreOperationRequest", "restoreRequest": request},
    }


def test_validation_answers_202_and_then_its_findings(arm: Caller, clock: ManualClock) -> None:
    answer = arm.post(f"{VAULT}/backupTriggerValidateOperation", a_validation(arm, "quota-01"))

    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "10")
    first = arm.get(answer.headers["Azure-AsyncOperation"])
    assert first.json()["status"] == "InProgress"
    assert first.headers["Retry-After"] == "10"
    assert arm.get(answer.headers["Location"]).status_code == 202
    clock.advance(10)
    done = arm.get(answer.headers["Azure-AsyncOperation"]).json()
    assert done["status"] == "Succeeded"
    findings = done["properties"]["validateOperationResponse"]["validationResults"]
    assert [finding["code"] for finding in findings] == ["UserErrorCoreCountSubscriptionQuotaReached"]
    assert arm.get(answer.headers["Location"]).json()["validateOperationResponse"]["validationResults"] == findings
    assert not arm.simulator.world.jobs


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"id": "/subscriptions/x"}, 400),
        ({"properties": {"objectType": "SomethingElse"}}, 400),
        ({"properties": {"objectType": "ValidateIaasVMRestoreOperationRequest"}}, 400),
        (
            {
                "properties": {
                    "objectType": "ValidateIaasVMRestoreOperationRequest",
                    "restoreRequest": {"sourceResourceId": vm_id("web-77")},
                }
            },
            404,
        ),
        (
            {
                "properties": {
                    "objectType": "ValidateIaasVMRestoreOperationRequest",
                    "restoreRequest": {"sourceResourceId": vm_id("web-01"), "recoveryPointId": "1"},
                }
            },
            404,
        ),
    ],
)
def test_validation_of_a_wrong_body_is_refused(arm: Caller, change: dict[str, Any], status: int) -> None:
    answer = arm.post(f"{VAULT}/backupValidateOperation", {**a_validation(arm, "web-01"), **change})

    assert answer.status_code == status


def test_validation_checks_the_restore_as_the_trigger_does(arm: Caller) -> None:
    answer = arm.post(f"{VAULT}/backupValidateOperation", a_validation(arm, "web-01", region="northeurope"))

    assert error_code(answer) == "BMSUserErrorInvalidInput"


def test_other_subscription_of_a_plain_disk_restore_is_unknown_to_arm(arm: Caller) -> None:
    answer = arm.get(vm_id("web-01").replace(SUBSCRIPTION, "/subscriptions/99999999-9999-9999-9999-999999999999"))

    assert (answer.status_code, error_code(answer)) == (404, "SubscriptionNotFound")


def test_restore_of_a_soft_deleted_item_is_refused_without_a_reason(arm: Caller, simulator: Simulator) -> None:
    body = arm.request_body("soft-deleted-02", "deleted-rg")
    point = f"{item_path('soft-deleted-02', 'deleted-rg')}/recoveryPoints/{point_of(simulator, 'soft-deleted-02')}"
    check = {
        "objectType": "ValidateIaasVMRestoreOperationRequest",
        "restoreRequest": body["properties"],
    }

    for answer in (
        arm.post(f"{point}/restore", body),
        arm.post(f"{VAULT}/backupTriggerValidateOperation", {"id": point, "properties": check}),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == {
            "code": "BMSUserErrorInvalidInput",
            "message": "Input provided for the call is invalid",
        }


def test_point_without_tier_details_is_restored(arm: Caller) -> None:
    assert [arm.restore("untiered-01", "rules-rg", point).status_code for point in range(3)] == [202] * 3
