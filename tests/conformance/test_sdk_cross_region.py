"""What the SDK of the secondary region, azure-mgmt-recoveryservicesbackup-passivestamp, meets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient
from azure.mgmt.recoveryservicesbackup.passivestamp import RecoveryServicesBackupPassiveClient, models

from tests.conformance.caller import SUBSCRIPTION_ID, point_of
from tests.conformance.crossing import GROUP, IN_BOTH, SECONDARY, TOO_YOUNG, VAULT_CRR, VAULT_ONLY, crr_request
from tests.conformance.sdk import sdk_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

WHERE = ("vault-crr", GROUP)
NATIVE = f"iaasvmcontainerv2;{GROUP};crr-01"
ITEM = (*WHERE, "Azure", f"IaasVMContainer;{NATIVE}", f"VM;{NATIVE}")
VMS = "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'"
NOT_ENABLED = "BMSUserErrorCrossRegionRestoreNotEnabledInThisVault"


@pytest.fixture
def passive(secure: Simulator) -> Iterator[RecoveryServicesBackupPassiveClient]:
    with sdk_client(RecoveryServicesBackupPassiveClient, secure, SUBSCRIPTION_ID) as client:
        yield client


def listed_points(client: RecoveryServicesBackupPassiveClient) -> list[str]:
    return [str(point.name) for point in client.recovery_points_crr.list(*ITEM)]


def access_token(client: RecoveryServicesBackupPassiveClient, point_id: str) -> models.CrrAccessToken:
    properties = client.aad_properties.get(SECONDARY)
    token = client.recovery_points.get_access_token(*ITEM, point_id, properties).properties
    assert token
    token.object_type = "CrrAccessToken"  # as az CLI does
    return token


def trigger(client: RecoveryServicesBackupPassiveClient, simulator: Simulator, **members: Any) -> str:
    """Trigger a restore as az CLI does, without polling; return the operation's id from the header."""
    seen: dict[str, str] = {}
    request = models.RestoreRequest.deserialize(crr_request(simulator, **members))
    token = access_token(client, point_of(simulator, "crr-01", IN_BOTH))
    client.cross_region_restore.begin_trigger(
        SECONDARY,
        models.CrossRegionRestoreRequest(cross_region_restore_access_details=token, restore_request=request),
        polling=False,
        raw_response_hook=lambda response: seen.update(response.http_response.headers),
    )
    headers = {name.lower(): value for name, value in seen.items()}
    assert headers["retry-after"] == "60"
    assert "/backupCrrOperationResults/" in headers["location"]
    return headers["azure-asyncoperation"].partition("?")[0].rpartition("/")[2]


def job_of(client: RecoveryServicesBackupPassiveClient, operation: str) -> str:
    status = client.crr_operation_status.get(SECONDARY, operation)
    assert status.status == "Succeeded"
    assert isinstance(status.properties, models.OperationStatusJobExtendedInfo)
    assert status.properties.job_id
    return status.properties.job_id


def job(client: RecoveryServicesBackupPassiveClient, job_id: str) -> models.AzureIaaSVMJob:
    answer = client.backup_crr_job_details.get(SECONDARY, models.CrrJobRequest(resource_id=VAULT_CRR, job_name=job_id))
    assert isinstance(answer.properties, models.AzureIaaSVMJob)
    return answer.properties


def test_backup_protected_items_crr_list_shows_what_has_reached_the_secondary_region(
    passive: RecoveryServicesBackupPassiveClient, secure: Simulator
) -> None:
    items = {str(item.name).rpartition(";")[2]: item for item in passive.backup_protected_items_crr.list(*WHERE, VMS)}

    assert sorted(items) == ["crr-01", "crr-02"]
    newest = passive.recovery_points_crr.get(*ITEM, point_of(secure, "crr-01", IN_BOTH)).properties
    assert isinstance(newest, models.IaasVMRecoveryPoint)
    item = items["crr-01"].properties
    assert isinstance(item, models.AzureIaaSComputeVMProtectedItem)
    assert (item.friendly_name, item.workload_type) == ("crr-01", "VM")
    assert item.last_recovery_point == newest.recovery_point_time
    assert str(items["crr-01"].id).startswith(f"{VAULT_CRR}/backupFabrics/Azure/")


def test_recovery_points_crr_list_has_the_vault_tier_alone_hours_later(
    passive: RecoveryServicesBackupPassiveClient, secure: Simulator, clock: ManualClock
) -> None:
    both, vault_only = (point_of(secure, "crr-01", index) for index in (IN_BOTH, VAULT_ONLY))
    assert listed_points(passive) == [both, vault_only]

    point = next(iter(passive.recovery_points_crr.list(*ITEM))).properties
    assert isinstance(point, models.IaasVMRecoveryPoint)
    tiers = [(tier.type, tier.status) for tier in point.recovery_point_tier_details or []]
    assert tiers == [("HardenedRP", "Valid")]

    clock.advance(9.5 * 3600)
    assert listed_points(passive) == [point_of(secure, "crr-01", TOO_YOUNG), both, vault_only]


def test_recovery_points_crr_get_does_not_know_a_point_too_young(
    passive: RecoveryServicesBackupPassiveClient, secure: Simulator
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        passive.recovery_points_crr.get(*ITEM, point_of(secure, "crr-01", TOO_YOUNG))

    assert caught.value.status_code == 404


def test_cross_region_restore_begin_trigger_makes_managed_disks_in_the_secondary_region(
    passive: RecoveryServicesBackupPassiveClient, secure: Simulator, clock: ManualClock
) -> None:
    operation = trigger(passive, secure)
    assert passive.crr_operation_results.get(SECONDARY, operation) is None
    job_id = job_of(passive, operation)

    running = job(passive, job_id)
    assert (running.operation, running.status) == ("CrossRegionRestore", "InProgress")

    clock.advance(1141)
    ended = job(passive, job_id)
    assert ended.status == "Completed"
    assert ended.extended_info
    assert ended.extended_info.property_bag
    assert ended.extended_info.property_bag["Vault name"] == "vault-crr"


def test_backup_crr_jobs_list_filters_the_jobs_of_the_region(
    passive: RecoveryServicesBackupPassiveClient, secure: Simulator
) -> None:
    job_id = job_of(passive, trigger(passive, secure))
    asked = models.CrrJobRequest(resource_id=VAULT_CRR)

    def names(condition: str | None) -> list[str]:
        return [str(found.name) for found in passive.backup_crr_jobs.list(SECONDARY, asked, condition)]

    assert names(None) == names("operation eq 'CrossRegionRestore' and status eq 'InProgress'") == [job_id]
    assert names("operation eq 'Restore'") == names("status eq 'Completed'") == []


def test_a_job_of_the_secondary_region_is_none_of_the_primary(
    passive: RecoveryServicesBackupPassiveClient, secure: Simulator
) -> None:
    job_id = job_of(passive, trigger(passive, secure))

    with sdk_client(RecoveryServicesBackupClient, secure, SUBSCRIPTION_ID) as client:
        assert job_id not in [found.name for found in client.backup_jobs.list(*WHERE)]
        with pytest.raises(HttpResponseError) as caught:
            client.job_cancellations.trigger(*WHERE, job_id)
    assert caught.value.status_code == 404
    assert job(passive, job_id).status == "InProgress"


def test_backup_usage_summaries_crr_list_counts_the_items(passive: RecoveryServicesBackupPassiveClient) -> None:
    usages = list(passive.backup_usage_summaries_crr.list(*WHERE, "type eq 'BackupProtectedItemCountSummary'"))

    assert [(usage.name.value, usage.current_value) for usage in usages if usage.name] == [("AzureIaasVM", 2)]


def test_backup_resource_storage_configs_get_says_whether_a_vault_has_it(
    passive: RecoveryServicesBackupPassiveClient,
) -> None:
    def enabled(vault: str, group: str) -> bool | None:
        config = passive.backup_resource_storage_configs.get(vault, group).properties
        return config.cross_region_restore_flag if config else None

    assert enabled(*WHERE)
    assert enabled("vault-weu", "backup-rg") is False


def test_a_vault_without_it_refuses_every_read(passive: RecoveryServicesBackupPassiveClient, secure: Simulator) -> None:
    where = ("vault-weu", "backup-rg")
    native = "iaasvmcontainerv2;web-rg;web-01"
    item = (*where, "Azure", f"IaasVMContainer;{native}", f"VM;{native}")
    vault = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults"
    asked = models.CrrJobRequest(resource_id=f"{vault}/vault-weu", job_name="11111111-1111-1111-1111-111111111111")
    point = point_of(secure, "web-01", 2)
    properties = passive.aad_properties.get(SECONDARY)
    calls = {
        "items": lambda: list(passive.backup_protected_items_crr.list(*where, VMS)),
        "points": lambda: list(passive.recovery_points_crr.list(*item)),
        "point": lambda: passive.recovery_points_crr.get(*item, point),
        "token": lambda: passive.recovery_points.get_access_token(*item, point, properties),
        "usages": lambda: list(passive.backup_usage_summaries_crr.list(*where)),
        "job": lambda: passive.backup_crr_job_details.get(SECONDARY, asked),
        "jobs": lambda: list(passive.backup_crr_jobs.list(SECONDARY, asked)),
    }
    refused: dict[str, str] = {}
    for name, call in calls.items():
        with pytest.raises(HttpResponseError) as caught:
            call()
        error = caught.value.error
        refused[name] = f"{caught.value.status_code} {error.code if error else ''}"

    assert refused == dict.fromkeys(calls, f"400 {NOT_ENABLED}")
