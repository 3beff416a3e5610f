"""What the official SDK reads from the simulator."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient, models

from simulator.server import running
from tests.conformance.caller import STAGING, SUBSCRIPTION_ID, VAULT, item_path, new_vm_members, point_of, vm_id
from tests.conformance.sdk import IdentityEndpoint, sdk_client

if TYPE_CHECKING:
    from simulator.clock import ManualClock
    from simulator.server import Simulator

CONTAINER = "IaasVMContainer;iaasvmcontainerv2;web-rg;web-01"
ITEM = "VM;iaasvmcontainerv2;web-rg;web-01"
NAMES = ("vault-weu", "backup-rg", "Azure", CONTAINER, ITEM)
WHERE = ("vault-weu", "backup-rg")


def a_request(simulator: Simulator, **members: Any) -> models.IaasVMRestoreRequest:
    return models.IaasVMRestoreRequest(
        recovery_point_id=point_of(simulator, "web-01"),
        recovery_type="RestoreDisks",
        source_resource_id=vm_id("web-01"),
        storage_account_id=STAGING,
        region="westeurope",
        create_new_cloud_service=False,
        original_storage_account_option=False,
        **members,
    )


def trigger(client: RecoveryServicesBackupClient, simulator: Simulator, **members: Any) -> str:
    """Trigger a restore as the CLI does, without polling; return the operation's id from the header."""
    seen: dict[str, str] = {}
    client.restores.begin_trigger(
        *NAMES,
        point_of(simulator, "web-01"),
        models.RestoreRequestResource(properties=a_request(simulator, **members)),
        polling=False,
        raw_response_hook=lambda response: seen.update(response.http_response.headers),
    )
    headers = {name.lower(): value for name, value in seen.items()}
    return headers["azure-asyncoperation"].partition("?")[0].rpartition("/")[2]


def test_token_comes_from_the_identity_endpoint(secure: Simulator) -> None:
    token = IdentityEndpoint(secure).get_token("https://management.azure.com/.default")

    assert token.expires_on > time.time() + 23 * 3600


def test_azure_identity_takes_the_endpoint_for_app_service(secure: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{secure.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulator")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(secure.certificate))

    with ManagedIdentityCredential(client_id="33333333-3333-3333-3333-333333333333") as credential:
        token = credential.get_token("https://management.azure.com/.default")

    assert secure.world.tokens.is_valid(token.token)
    assert "client_id=33333333" in secure.requests[-1].path


def test_backup_status_names_vault_container_and_item(client: RecoveryServicesBackupClient) -> None:
    status = client.backup_status.get(
        "westeurope", models.BackupStatusRequest(resource_type="VM", resource_id=vm_id("web-01"))
    )

    assert status.protection_status == "Protected"
    assert status.vault_id == VAULT
    assert status.fabric_name == "Azure"
    assert status.container_name == CONTAINER.lower()
    assert status.protected_item_name == ITEM.lower()
    assert status.error_code == "Success"


@pytest.mark.parametrize(("region", "name"), [("westeurope", "lonely-01"), ("northeurope", "web-01")])
def test_backup_status_knows_only_protected_vms_of_the_region(
    client: RecoveryServicesBackupClient, region: str, name: str
) -> None:
    status = client.backup_status.get(region, models.BackupStatusRequest(resource_type="VM", resource_id=vm_id(name)))

    assert status.protection_status == "NotProtected"
    assert not status.vault_id


def test_protected_item_has_its_native_names(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    item = client.protected_items.get(*NAMES, filter="expand eq 'extendedInfo'")

    # SDK 11.2.0 does not find the class of this item type and gives the base class, so the members are read from it.
    assert item.properties is not None
    assert item.name == ITEM
    assert item.properties.source_resource_id == vm_id("web-01")
    assert item.properties.container_name == "iaasvmcontainerv2;web-rg;web-01"
    assert item.properties.last_recovery_point is not None
    assert item.properties["protectedItemType"] == "Microsoft.Compute/virtualMachines"
    assert item.properties["extendedInfo"]["recoveryPointCount"] == 5
    assert item.properties.vault_id == f"{secure.url}{VAULT}"


def test_all_pages_of_protected_items_are_listed(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    items = list(
        client.backup_protected_items.list(*WHERE, filter="backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'")
    )

    protected = [vm for vm in secure.world.scenario.vms if vm.vault and vm.vault.name == "vault-weu"]
    assert len({item.id for item in items}) == len(items) == len(protected) > 100


def test_all_pages_of_recovery_points_are_listed_newest_first(client: RecoveryServicesBackupClient) -> None:
    points = [point.properties for point in client.recovery_points.list(*NAMES)]

    assert all(isinstance(point, models.IaasVMRecoveryPoint) for point in points)
    times = [point.recovery_point_time for point in points if isinstance(point, models.IaasVMRecoveryPoint)]
    assert len(times) == 5
    assert times == sorted(times, key=str, reverse=True)


def test_recovery_points_are_filtered_by_time(client: RecoveryServicesBackupClient) -> None:
    window = "startDate eq '2026-11-17 12:00:00 AM' and endDate eq '2026-11-18 11:59:59 PM'"

    points = list(client.recovery_points.list(*NAMES, filter=window))

    assert len(points) == 2


def test_a_single_point_has_its_tiers(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    point = client.recovery_points.get(*NAMES, point_of(secure, "web-01", 4)).properties

    assert isinstance(point, models.IaasVMRecoveryPoint)
    assert {(tier.type, tier.status) for tier in point.recovery_point_tier_details or []} == {
        ("InstantRP", "Deleted"),
        ("HardenedRP", "Deleted"),
        ("ArchivedRP", "Valid"),
    }


def test_missing_point_is_not_found(client: RecoveryServicesBackupClient) -> None:
    with pytest.raises(ResourceNotFoundError) as caught:
        client.recovery_points.get(*NAMES, "123456789012345")

    assert caught.value.error is not None
    assert caught.value.error.code == "BMSUserErrorDataSourceObjectNotFound"


def test_restore_is_followed_from_trigger_to_completed_job(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    operation_id = trigger(client, secure)

    at_vault = client.backup_operation_statuses.get(*WHERE, operation_id)
    at_item = client.protected_item_operation_statuses.get(*NAMES, operation_id)
    assert at_vault.status == at_item.status == "Succeeded"
    assert isinstance(at_vault.properties, models.OperationStatusJobExtendedInfo)
    job_id = str(at_vault.properties.job_id)
    assert client.protected_item_operation_results.get(*NAMES, operation_id) is None
    client.backup_operation_results.get(*WHERE, operation_id)
    running = client.job_details.get(*WHERE, job_id).properties
    assert isinstance(running, models.AzureIaaSVMJob)
    assert (running.status, running.operation, running.actions_info) == ("InProgress", "Restore", ["Cancellable"])

    clock.advance(1847)

    done = client.job_details.get(*WHERE, job_id).properties
    assert isinstance(done, models.AzureIaaSVMJob)
    assert done.status == "Completed"
    assert done.extended_info is not None
    assert done.extended_info.progress_percentage == 100.0
    assert done.duration is not None
    assert done.duration.total_seconds() == pytest.approx(1846.6955, abs=0.001)
    assert (done.extended_info.property_bag or {})["Config Blob Uri"].startswith("https://stagingweu.blob.core")


def test_sdk_polls_a_restore_to_its_end() -> None:
    with running(speed=60, tls=True) as fast, sdk_client(RecoveryServicesBackupClient, fast, SUBSCRIPTION_ID) as client:
        poller = client.restores.begin_trigger(
            *NAMES,
            point_of(fast, "web-01"),
            models.RestoreRequestResource(properties=a_request(fast)),
        )
        poller.result(timeout=10)

        assert poller.status() == "Succeeded"
        assert [each.action for each in fast.requests if each.action.startswith("item_operation")] == [
            "item_operation_status",
            "item_operation_result",
        ]


def test_body_the_service_would_refuse_is_refused(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    with pytest.raises(HttpResponseError) as caught:
        trigger(client, secure, target_virtual_machine_id=vm_id("web-99"))

    assert caught.value.status_code == 400
    assert caught.value.error is not None
    assert caught.value.error.code == "BMSUserErrorInvalidInput"


def test_jobs_are_listed_newest_first_without_details(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    older = trigger(client, secure)
    clock.advance(10)
    newer = trigger(client, secure)

    jobs = list(client.backup_jobs.list(*WHERE, filter="operation eq 'Restore' and status eq 'InProgress'"))

    assert [job.name for job in jobs] == [newer, older]
    assert all(isinstance(job.properties, models.AzureIaaSVMJob) for job in jobs)
    assert all(
        job.properties.extended_info is None for job in jobs if isinstance(job.properties, models.AzureIaaSVMJob)
    )


def test_job_is_cancelled(client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock) -> None:
    job_id = trigger(client, secure)

    client.job_cancellations.trigger(*WHERE, job_id)

    assert client.job_details.get(*WHERE, job_id).properties.status == "Cancelling"  # pyright: ignore[reportOptionalMemberAccess]
    clock.advance(31)
    assert client.job_details.get(*WHERE, job_id).properties.status == "Cancelled"  # pyright: ignore[reportOptionalMemberAccess]


def a_validation(simulator: Simulator, name: str) -> models.ValidateOperationRequestResource:
    request = a_request(simulator)
    request.source_resource_id = vm_id(name)
    request.recovery_point_id = point_of(simulator, name)
    return models.ValidateOperationRequestResource(
        id=f"{item_path(name)}/recoveryPoints/{request.recovery_point_id}",
        properties=models.ValidateIaasVMRestoreOperationRequest(restore_request=request),
    )


def test_validation_is_polled_to_its_findings(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    seen: dict[str, str] = {}
    client.validate_operation.begin_trigger(
        *WHERE,
        a_validation(secure, "quota-01"),
        polling=False,
        raw_response_hook=lambda response: seen.update(response.http_response.headers),
    )
    operation_id = seen["Location"].partition("?")[0].rpartition("/")[2]
    assert client.validate_operation_statuses.get(*WHERE, operation_id).status == "InProgress"
    assert client.validate_operation_results.get(*WHERE, operation_id) is None

    clock.advance(5)

    status = client.validate_operation_statuses.get(*WHERE, operation_id)
    assert status.status == "Succeeded"
    assert isinstance(status.properties, models.OperationStatusValidateOperationExtendedInfo)
    response = status.properties.validate_operation_response
    assert response is not None
    assert [each.code for each in response.validation_results or []] == ["UserErrorCoreCountSubscriptionQuotaReached"]
    assert client.validate_operation_results.get(*WHERE, operation_id) is not None


def test_validation_without_findings_at_once(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    response = client.operation.validate(*WHERE, a_validation(secure, "web-01")).validate_operation_response

    assert response is not None
    assert response.validation_results == []


def test_no_resource_guard_protects_the_vault(client: RecoveryServicesBackupClient) -> None:
    assert list(client.resource_guard_proxies.get(*WHERE)) == []


def test_storage_config_names_the_redundancy(client: RecoveryServicesBackupClient) -> None:
    config = client.backup_resource_storage_configs_non_crr.get(*WHERE)

    assert config.properties is not None
    assert config.properties.storage_type == "GeoRedundant"


def test_sdk_sees_a_new_vm_restore(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    members = new_vm_members()
    request = a_request(
        secure,
        target_resource_group_id=members["targetResourceGroupId"],
        target_virtual_machine_id=members["targetVirtualMachineId"],
        virtual_network_id=members["virtualNetworkId"],
        subnet_id=members["subnetId"],
    )
    request.recovery_type = "AlternateLocation"
    client.restores.begin_trigger(
        *NAMES,
        point_of(secure, "web-01"),
        models.RestoreRequestResource(properties=request),
        polling=False,
    )

    job = client.job_details.get(*WHERE, secure.world.jobs_of("web-01")[0].job_id).properties

    assert isinstance(job, models.AzureIaaSVMJob)
    assert job.extended_info is not None
    assert [task.task_id for task in job.extended_info.tasks_list or []] == [
        "Transfer data from vault",
        "Create the restored virtual machine",
    ]
