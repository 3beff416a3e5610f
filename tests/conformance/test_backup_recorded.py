"""The backup service's answers over plain HTTP: order of members, signatures and filters, as recordings show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conformance.caller import LOCKED, STAGING, TARGET_GROUP, VAULT, error_code, item_path, point_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulator.clock import ManualClock
    from tests.conformance.caller import Caller


def signature(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_both_addresses_of_an_answer_have_one_certificate(arm: Caller) -> None:
    first, second = (arm.restore("web-01").headers for _ in range(2))
    status, result, other = (
        signature(address) for address in (first["Azure-AsyncOperation"], first["Location"], second["Location"])
    )

    assert status["c"] == result["c"] != other["c"]
    assert status["s"] != result["s"]
    assert status["h"] != result["h"]


def test_members_of_a_restore_s_job_stand_in_the_recorded_order(arm: Caller, clock: ManualClock) -> None:
    job_id = arm.restored_job("selective-01", "rules-rg", targetResourceGroupId=TARGET_GROUP, restoreDiskLunList=[0])
    clock.advance(120)

    job = arm.job(job_id)

    assert list(job) == [
        "jobType",
        "actionsInfo",
        "containerName",
        "duration",
        "virtualMachineVersion",
        "extendedInfo",
        "entityFriendlyName",
        "backupManagementType",
        "operation",
        "status",
        "startTime",
        "endTime",
        "activityId",
    ]
    assert list(job["extendedInfo"]) == [
        "tasksList",
        "propertyBag",
        "internalPropertyBag",
        "progressPercentage",
        "estimatedRemainingDuration",
    ]
    bag = job["extendedInfo"]["propertyBag"]
    assert list(bag) == [
        "Job Type",
        "Target Storage Account Name",
        "Recovery point time ",
        "Config Blob Name",
        "Config Blob Container Name",
        "Config Blob Uri",
        "Target resource group",
        "Create VM Template Blob Uri",
        "Restored disk(s)",
        "Backed-up disk(s)",
        "VM Subscription ID",
    ]
    names = [
        each["name"]
        for each in arm.get(f"{item_path('selective-01', 'rules-rg')}/recoveryPoints/{_newest(arm)}").json()[
            "properties"
        ]["recoveryPointDiskConfiguration"]["includedDiskList"]
    ]
    assert bag["Restored disk(s)"] == "; ".join(names[:2])
    assert bag["Backed-up disk(s)"] == "; ".join(names)


def _newest(arm: Caller) -> str:
    return point_of(arm.simulator, "selective-01")


def test_the_vm_s_casing_stands_in_jobs(arm: Caller) -> None:
    job = arm.job(arm.restored_job("Mixed-Case-01", "Mixed-RG"))

    assert job["entityFriendlyName"] == "Mixed-Case-01"
    assert job["containerName"] == "iaasvmcontainerv2;mixed-rg;mixed-case-01"


def test_members_of_an_item_and_of_a_point_stand_in_the_recorded_order(arm: Caller) -> None:
    item = arm.get(item_path("selective-01", "rules-rg")).json()["properties"]
    point = arm.get(f"{item_path('selective-01', 'rules-rg')}/recoveryPoints").json()["value"][0]["properties"]

    assert list(item) == [
        "friendlyName",
        "virtualMachineId",
        "protectionStatus",
        "protectionState",
        "healthStatus",
        "healthDetails",
        "lastBackupStatus",
        "lastBackupTime",
        "protectedItemDataId",
        "extendedProperties",
        "policyType",
        "protectedItemType",
        "backupManagementType",
        "workloadType",
        "containerName",
        "sourceResourceId",
        "policyId",
        "policyName",
        "lastRecoveryPoint",
        "vaultId",
        "isArchiveEnabled",
        "softDeleteRetentionPeriod",
    ]
    assert list(point) == [
        "objectType",
        "recoveryPointType",
        "recoveryPointTime",
        "recoveryPointAdditionalInfo",
        "sourceVMStorageType",
        "isSourceVMEncrypted",
        "isInstantIlrSessionActive",
        "recoveryPointTierDetails",
        "isManagedVirtualMachine",
        "virtualMachineSize",
        "originalStorageAccountOption",
        "osType",
        "recoveryPointDiskConfiguration",
        "recoveryPointMoveReadinessInfo",
        "recoveryPointProperties",
        "securityType",
        "isPrivateAccessEnabledOnAnyDisk",
        "createdWithPolicyType",
    ]


def test_a_soft_deleted_item_shows_when_it_was_deleted(arm: Caller) -> None:
    item = arm.get(item_path("soft-deleted-01", "deleted-rg")).json()["properties"]

    assert item["isScheduledForDeferredDelete"] is True
    assert (item["lastBackupStatus"], item["lastRecoveryPoint"]) == ("Completed", "2026-11-19T08:00:00.1234562Z")
    assert (item["protectionState"], item["policyId"], item["softDeleteRetentionPeriod"]) == (
        "ProtectionStopped",
        "",
        14,
    )
    assert item["deferredDeleteTimeInUTC"] == "2026-11-19T12:00:00.1234562Z"
    assert item["deferredDeleteTimeRemaining"] == "13.00:00:00"


# Filters


def listed(arm: Caller, what: str, condition: str) -> set[str]:
    """Return the names in all pages of a filtered list."""
    answer = arm.get(f"{VAULT}/{what}", **({"$filter": condition} if condition else {})).json()
    found = {each["name"] for each in answer["value"]}
    while "nextLink" in answer:
        answer = arm.get(answer["nextLink"]).json()
        found |= {each["name"] for each in answer["value"]}
    return found


@pytest.mark.parametrize(
    ("condition", "applied"),
    [
        ("color eq 'red'", ""),
        ("operation eq 'Restore' and color eq 'red'", "operation eq 'Restore'"),
        ("startTime -eq '2026-11-20 12:00:00 PM'", ""),
        ("status eq 'A' or status eq 'B'", ""),
        ("operation eq 'Restore' or color", ""),
    ],
)
def test_the_list_of_jobs_ignores_what_it_does_not_understand(arm: Caller, condition: str, applied: str) -> None:
    arm.restore("web-01")

    assert listed(arm, "backupJobs", condition) == listed(arm, "backupJobs", applied)


@pytest.mark.parametrize("condition", ["friendlyName eq 'web-01'", "color eq 'red'"])
def test_the_list_of_items_ignores_friendly_names_and_unknown_conditions(arm: Caller, condition: str) -> None:
    assert listed(arm, "backupProtectedItems", condition) == listed(arm, "backupProtectedItems", "")


@pytest.mark.parametrize(
    ("what", "condition"),
    [
        ("backupJobs", "startTime eq '2026-11-20T12:00:00Z'"),
        ("backupProtectedItems", "itemType is 'VM'"),
        ("backupPolicies", "backupManagementType is 'AzureIaasVM'"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(arm: Caller, what: str, condition: str) -> None:
    answer = arm.get(f"{VAULT}/{what}", **{"$filter": condition})

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")


# Identities of the vault


def with_identity(**identity: Any) -> dict[str, Any]:
    return {
        "storageAccountId": None,
        "identityInfo": identity,
        "identityBasedRestoreDetails": {"targetStorageAccountId": STAGING},
    }


@pytest.mark.parametrize(
    ("vm", "vault", "identity"),
    [
        ("locked-01", LOCKED, {"isSystemAssignedIdentity": True}),
        ("disks-01", VAULT, {"managedIdentityResourceId": "/not/an/identity/of/the/vault"}),
    ],
)
def test_a_restore_names_no_identity_that_its_vault_has_not(
    arm: Caller, vm: str, vault: str, identity: Mapping[str, Any]
) -> None:
    answer = arm.restore(vm, "rules-rg", vault=vault, **with_identity(**identity))

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")
    assert "identity" in answer.text


def test_a_point_says_the_size_of_its_vm(arm: Caller) -> None:
    points = arm.get(f"{item_path('swap-01', 'swap-rg')}/recoveryPoints").json()["value"]

    assert points
    assert {point["properties"]["virtualMachineSize"] for point in points} == {"Standard_D4s_v5"}
