"""Cross-region restore over plain HTTP: bodies as the service was recorded, and what it refuses."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.conformance.caller import (
    STAGING,
    SUBSCRIPTION,
    SUBSCRIPTION_ID,
    VAULT,
    Caller,
    error_code,
    new_vm_members,
    point_of,
)
from tests.conformance.crossing import (
    GROUP,
    IN_BOTH,
    LOCATION,
    SECONDARY,
    TARGET,
    TOO_YOUNG,
    VAULT_CRR,
    VAULT_ONLY,
    VERSION,
    crr_item,
    crr_request,
)

if TYPE_CHECKING:
    import requests

    from simulator.clock import ManualClock
    from simulator.server import Simulator

NOT_ENABLED = "BMSUserErrorCrossRegionRestoreNotEnabledInThisVault"
OPERATION_ID_PARTS = 2
HOME = LOCATION.replace(SECONDARY, "westeurope")


class Secondary:
    """Calls of the secondary region, in the order and form of az CLI's ``--use-secondary-region``."""

    def __init__(self, arm: Caller) -> None:
        self.arm = arm

    def get(self, path: str, **query: str) -> requests.Response:
        return self.arm.get(path, **{"api-version": VERSION, **query})

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> requests.Response:
        url = f"{self.arm.simulator.url}{path}"
        return self.arm.session.post(url, params={"api-version": VERSION}, json=body, headers=headers, timeout=10)

    def token(self, name: str = "crr-01", point: int = IN_BOTH) -> dict[str, Any]:
        return self.ask_token(name, point).json()["properties"]

    def ask_token(self, name: str = "crr-01", point: int = IN_BOTH, region: str = SECONDARY) -> requests.Response:
        properties = self.get(f"{LOCATION.replace(SECONDARY, region)}/backupAadProperties").json()
        point_id = point_of(self.arm.simulator, name, point)
        return self.post(f"{crr_item(name)}/recoveryPoints/{point_id}/accessToken", properties)

    def trigger(self, token: dict[str, Any] | None = None, **members: Any) -> requests.Response:
        body = {
            "crossRegionRestoreAccessDetails": self.token() if token is None else token,
            "restoreRequest": crr_request(self.arm.simulator, **members),
        }
        return self.post(f"{LOCATION}/backupCrossRegionRestore", body, {"x-ms-client-request-id": "my-own-id"})

    def operation_id(self, answer: requests.Response) -> str:
        assert answer.status_code == 202, answer.text
        return answer.headers["Azure-AsyncOperation"].partition("?")[0].rpartition("/")[2]

    def job_id(self, answer: requests.Response) -> str:
        status = self.get(f"{LOCATION}/backupCrrOperationsStatus/{self.operation_id(answer)}").json()
        return status["properties"]["jobId"]

    def job(self, job_id: str, vault: str = VAULT_CRR) -> requests.Response:
        return self.post(f"{LOCATION}/backupCrrJob", {"resourceId": vault, "jobName": job_id})

    def jobs(self) -> list[dict[str, Any]]:
        return self.post(f"{LOCATION}/backupCrrJobs", {"resourceId": VAULT_CRR}).json()["value"]


@pytest.fixture
def secondary(arm: Caller) -> Secondary:
    return Secondary(arm)


def test_lists_of_the_secondary_region_are_as_recorded(secondary: Secondary) -> None:
    items = secondary.get(f"{VAULT_CRR}/backupProtectedItems/", **{"$filter": "backupManagementType eq 'AzureIaasVM'"})
    points = secondary.get(f"{crr_item()}/recoveryPoints/").json()["value"]

    item = items.json()["value"][0]["properties"]
    assert item["friendlyName"] == "crr-01"
    assert item["lastBackupTime"] < item["lastRecoveryPoint"] == points[0]["properties"]["recoveryPointTime"]
    assert item["protectedItemDataId"] == secondary.token()["datasourceId"]
    assert list(points[0]["properties"]) == [
        "objectType",
        "recoveryPointType",
        "recoveryPointTime",
        "sourceVMStorageType",
        "isSourceVMEncrypted",
        "isInstantIlrSessionActive",
        "recoveryPointTierDetails",
        "crossRegionRestoreState",
        "isManagedVirtualMachine",
        "virtualMachineSize",
        "originalStorageAccountOption",
        "osType",
        "recoveryPointMoveReadinessInfo",
        "isPrivateAccessEnabledOnAnyDisk",
        "createdWithPolicyType",
        "threatStatus",
    ]
    assert points[0]["properties"]["recoveryPointTierDetails"] == [{"type": "HardenedRP", "status": "Valid"}]
    assert points[0]["properties"]["crossRegionRestoreState"] == "Supported"


def test_a_snapshot_alone_stays_in_the_primary_region(secondary: Secondary, arm: Caller) -> None:
    at_home = arm.get(f"{crr_item('crr-02')}/recoveryPoints").json()["value"]
    there = secondary.get(f"{crr_item('crr-02')}/recoveryPoints").json()["value"]

    assert [len(point["properties"]["recoveryPointTierDetails"]) for point in at_home] == [1, 1, 2]
    assert [point["name"] for point in there] == [at_home[2]["name"]]


def test_the_access_token_holds_what_was_recorded(secondary: Secondary, simulator: Simulator) -> None:
    properties = secondary.get(f"{LOCATION}/backupAadProperties").json()["properties"]
    token = secondary.token()

    assert list(properties) == ["tenantId", "audience", "servicePrincipalObjectId"]
    assert properties["audience"] == "https://RecoveryServices/IaasCoord/aadmgmt/ne"
    assert list(token) == [
        "objectType",
        "accessTokenString",
        "subscriptionId",
        "resourceGroupName",
        "resourceName",
        "resourceId",
        "protectionContainerId",
        "recoveryPointId",
        "recoveryPointTime",
        "containerName",
        "containerType",
        "backupManagementType",
        "datasourceType",
        "datasourceName",
        "datasourceId",
        "datasourceContainerName",
        "coordinatorServiceStampUri",
        "protectionServiceStampId",
        "protectionServiceStampUri",
        "tokenExtendedInformation",
        "rpTierInformation",
        "rpOriginalSAOption",
        "rpIsManagedVirtualMachine",
        "rpVMSizeDescription",
        "bMSActiveRegion",
    ]
    assert token["recoveryPointTime"] == "11/19/2026 9:00:00 AM"
    assert token["rpTierInformation"] == {"InstantRP": "Valid", "HardenedRP": "Valid"}
    assert token["bMSActiveRegion"] == "WestEurope"
    claims = _claims(token["accessTokenString"])
    assert claims["exp"] - claims["iat"] == 24 * 3600 + 300
    assert claims["PitID"] == point_of(simulator, "crr-01", IN_BOTH)


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_a_restore_goes_as_recorded(secondary: Secondary, clock: ManualClock) -> None:
    answer = secondary.trigger()
    operation_id = secondary.operation_id(answer)

    assert answer.content == b""
    assert answer.headers["Retry-After"] == "60"
    vault_and_guid = base64.b64decode(operation_id).decode().split(";")
    assert len(vault_and_guid) == OPERATION_ID_PARTS
    assert vault_and_guid[0].isdecimal()
    quoted = operation_id.replace("=", "%3D")
    status = secondary.get(f"{LOCATION}/backupCrrOperationsStatus/{quoted}")
    job_id = status.json()["properties"]["jobId"]
    assert status.json() == {
        "id": f"{LOCATION}/backupCrrOperationsStatus/{operation_id}",
        "name": operation_id,
        "status": "Succeeded",
        "startTime": "2026-11-20T12:00:00.1234562Z",
        "endTime": "2026-11-20T12:00:00Z",
        "properties": {"objectType": "OperationStatusJobExtendedInfo", "jobId": job_id},
    }
    assert str(UUID(job_id)) != vault_and_guid[1]
    assert "Retry-After" not in status.headers
    result = secondary.get(f"{LOCATION}/backupCrrOperationResults/{operation_id}")
    assert (result.status_code, result.content) == (200, b"")
    assert "Location" not in result.headers
    assert "Retry-After" not in result.headers

    clock.advance(12.5)
    found = secondary.job(job_id)
    assert "x-ms-ratelimit-remaining-subscription-writes" in found.headers
    job = found.json()
    assert job["id"] == f"{LOCATION}/backupJobs/{job_id}"
    assert job["type"] == "Microsoft.RecoveryServices/vaults/backupJobs"
    assert job["properties"] == {
        "jobType": "AzureIaaSVMJob",
        "actionsInfo": ["Cancellable"],
        "containerName": f"iaasvmcontainerv2;{GROUP};crr-01",
        "duration": "PT12.5S",
        "virtualMachineVersion": "Compute",
        "extendedInfo": {
            "tasksList": [
                {
                    "taskId": "Transfer data from vault",
                    "duration": "PT0S",
                    "status": "InProgress",
                    "taskType": "Normal",
                }
            ],
            "propertyBag": {
                "Job Type": "Recover disks",
                "Target VM Name": "vmName",
                "Target Storage Account Name": "stagingcrr",
                "Recovery point time ": "11/19/2026 9:00:00 AM",
                "Target resource group": "crr-restored-rg",
                "Subscription Id of the vault": SUBSCRIPTION_ID,
                "Resource Group Name of the vault": GROUP,
                "Vault name": "vault-crr",
            },
            "internalPropertyBag": {"AdHoc": "AdHoc", "restoreLocationType": "RestoreDisks"},
            "progressPercentage": 1.0,
            "dynamicErrorMessage": "",
        },
        "entityFriendlyName": "crr-01",
        "backupManagementType": "AzureIaasVM",
        "operation": "CrossRegionRestore",
        "status": "InProgress",
        "startTime": "2026-11-20T12:00:00.1234562Z",
        "activityId": "my-own-id",
    }


def test_the_job_sits_at_90_and_99_percent_before_it_ends(secondary: Secondary, clock: ManualClock) -> None:
    job_id = secondary.job_id(secondary.trigger())

    def look() -> tuple[str, float, str | None]:
        properties = secondary.job(job_id).json()["properties"]
        info = properties["extendedInfo"]
        return properties["status"], info["progressPercentage"], info.get("estimatedRemainingDuration")

    clock.advance(15 * 60 + 29)
    assert look() == ("InProgress", 90.0, "PT1M23.2082695S")
    clock.advance(3 * 60 + 8)
    assert look() == ("InProgress", 99.0, "PT2M")
    clock.advance(24)
    assert look() == ("Completed", 100.0, "PT0S")
    bag = secondary.job(job_id).json()["properties"]["extendedInfo"]["propertyBag"]
    assert bag["Template Blob Uri"].startswith("https://stagingcrr.blob.core.windows.net/crr01-")


def test_the_disks_lie_in_the_secondary_region_and_name_their_job(
    secondary: Secondary, arm: Caller, clock: ManualClock
) -> None:
    job_id = secondary.job_id(secondary.trigger())
    assert _disks(arm) == []

    clock.advance(1141)
    assert {(disk["location"], disk["tags"]["RSVaultBackup"]) for disk in _disks(arm)} == {(SECONDARY, job_id)}
    assert len(_disks(arm)) == 2


def test_a_new_vm_is_made_in_the_secondary_region(secondary: Secondary, arm: Caller, clock: ManualClock) -> None:
    members = new_vm_members("crr-01-r")
    job_id = secondary.job_id(secondary.trigger(**members))
    clock.advance(1141)

    job = secondary.job(job_id).json()["properties"]
    assert job["extendedInfo"]["propertyBag"]["Target VM Name"] == "crr-01-r"
    assert [task["taskId"] for task in job["extendedInfo"]["tasksList"]] == [
        "Transfer data from vault",
        "Create the restored virtual machine",
    ]
    vm = arm.get(str(members["targetVirtualMachineId"]), **{"api-version": "2025-04-01"}).json()
    assert vm["location"] == SECONDARY


def _disks(arm: Caller) -> list[dict[str, Any]]:
    answer = arm.get(f"{TARGET}/providers/Microsoft.Compute/disks", **{"api-version": "2025-01-02"})
    return answer.json().get("value", [])


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"recoveryType": "OriginalLocation", "targetResourceGroupId": None}, id="replace disks"),
        pytest.param({"storageAccountId": STAGING}, id="staging account of the primary region"),
        pytest.param({"region": "westeurope"}, id="primary region"),
        pytest.param({"point": VAULT_ONLY}, id="another point than the token's"),
        pytest.param({"sourceResourceId": f"{SUBSCRIPTION}/no-vm"}, id="another VM"),
        pytest.param({"zones": ["4"]}, id="no zone"),
        pytest.param(
            {
                "objectType": "IaasVMRestoreWithRehydrationRequest",
                "recoveryPointRehydrationInfo": {
                    "rehydrationRetentionDuration": "P15D",
                    "rehydrationPriority": "High",
                },
            },
            id="rehydration",
        ),
    ],
)
def test_a_restore_that_the_secondary_region_cannot_do_is_refused(secondary: Secondary, members: Any) -> None:
    answer = secondary.trigger(**members)

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")
    assert secondary.jobs() == []


@pytest.mark.parametrize(("seconds", "status"), [(24 * 3600 - 1, 202), (24 * 3600, 400)])
def test_an_access_token_ends_after_a_day(secondary: Secondary, clock: ManualClock, seconds: int, status: int) -> None:
    token = secondary.token()
    clock.advance(seconds)

    assert secondary.trigger(token).status_code == status


def test_a_token_that_was_never_given_out_is_refused(secondary: Secondary) -> None:
    token = {**secondary.token(), "accessTokenString": "a.b.c"}

    assert error_code(secondary.trigger(token)) == "BMSUserErrorInvalidInput"


def test_a_zone_of_the_secondary_region_is_taken(secondary: Secondary) -> None:
    assert secondary.trigger(zones=["2"]).status_code == 202


def test_a_point_that_is_too_young_has_no_token(secondary: Secondary) -> None:
    assert secondary.ask_token(point=TOO_YOUNG).status_code == 404


def test_a_token_for_the_primary_region_is_refused(secondary: Secondary) -> None:
    answer = secondary.ask_token(region="westeurope")

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")


@pytest.mark.parametrize(("option", "status"), [("SameAsOnSourceDisks", 400), ("EnablePublicAccessForAllDisks", 202)])
def test_private_access_of_the_source_disks_ends_at_the_region(secondary: Secondary, option: str, status: int) -> None:
    settings = {"targetDiskNetworkAccessOption": option}
    token = secondary.token("crr-02", 2)
    answer = secondary.trigger(token, name="crr-02", point=2, targetDiskNetworkAccessSettings=settings)

    assert answer.status_code == status


def test_the_regions_do_not_know_each_other_s_operations_and_jobs(secondary: Secondary, arm: Caller) -> None:
    there = secondary.operation_id(secondary.trigger())
    taken = arm.restore("crr-01", GROUP, IN_BOTH, vault=VAULT_CRR, storageAccountId=STAGING)
    assert taken.status_code == 202
    operation = taken.headers["Azure-AsyncOperation"].partition("?")[0].rpartition("/")[2]
    at_home = arm.get(f"{VAULT_CRR}/backupJobs", **{"$filter": "operation eq 'Restore'"}).json()["value"]
    (job_id,) = [job["name"] for job in at_home]

    assert secondary.get(f"{LOCATION}/backupCrrOperationsStatus/{operation}").status_code == 404
    assert secondary.get(f"{HOME}/backupCrrOperationsStatus/{there}").status_code == 404
    assert arm.get(f"{VAULT_CRR}/backupOperations/{there}").status_code == 404
    assert secondary.job(job_id).status_code == 404
    assert job_id not in [job["name"] for job in secondary.jobs()]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{LOCATION}/backupCrossRegionRestore", {"properties": {}}),
        (f"{LOCATION}/backupCrossRegionRestore", {"crossRegionRestoreAccessDetails": {}, "restoreRequest": {}}),
        (f"{LOCATION}/backupCrrJob", {"resourceId": VAULT_CRR}),
        (f"{LOCATION}/backupCrrJobs", {}),
        (f"{HOME}/backupCrrJobs", {"resourceId": VAULT_CRR}),
    ],
)
def test_a_body_of_another_form_is_refused(secondary: Secondary, path: str, body: dict[str, Any]) -> None:
    answer = secondary.post(path, body)

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")


def test_a_region_that_does_not_exist_has_no_provider(secondary: Secondary) -> None:
    answer = secondary.get(f"{LOCATION.replace(SECONDARY, 'atlantis')}/backupAadProperties")

    assert (answer.status_code, error_code(answer)) == (400, "NoRegisteredProviderFound")


def test_faults_of_the_vm_strike_in_the_secondary_region_too(secondary: Secondary, simulator: Simulator) -> None:
    simulator.world.set_faults("crr-01", {"error500AfterAccept": {"count": 1}})

    assert secondary.trigger().status_code == 500
    assert [job["properties"]["activityId"] for job in secondary.jobs()] == ["my-own-id"]
    job_id = secondary.jobs()[0]["name"]
    for action, call in (
        ("trigger_cross_region_restore", secondary.trigger),
        ("get_cross_region_job", lambda: secondary.job(job_id)),
    ):
        simulator.world.set_faults("crr-01", {"throttle429": {"count": 1, "actions": [action]}})
        assert [call().status_code for _ in range(2)] == [429, 202 if call == secondary.trigger else 200]


def test_jobs_of_a_vault_without_it_are_refused(secondary: Secondary) -> None:
    assert error_code(secondary.job("11111111-1111-1111-1111-111111111111", VAULT)) == NOT_ENABLED
