"""What the official SDKs of Recovery Services read from the simulator, in the primary region."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.recoveryservices import RecoveryServicesClient
from azure.mgmt.recoveryservicesbackup import models

from tests.conformance.caller import GUARD, GUARDED, STAGING, SUBSCRIPTION_ID, TARGET_GROUP, VAULT, point_of, vm_id
from tests.conformance.sdk import sdk_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    from simulator.clock import ManualClock
    from simulator.server import Simulator

WHERE = ("vault-weu", "backup-rg")
AZURE_VMS = "backupManagementType eq 'AzureIaasVM'"


@pytest.fixture
def vaults(secure: Simulator) -> Iterator[RecoveryServicesClient]:
    with sdk_client(RecoveryServicesClient, secure, SUBSCRIPTION_ID) as client:
        yield client


def names_of(name: str, group: str, vault: tuple[str, str] = WHERE) -> tuple[str, str, str, str, str]:
    native = f"iaasvmcontainerv2;{group};{name}"
    return (*vault, "Azure", f"IaasVMContainer;{native}", f"VM;{native}")


def trigger(
    client: RecoveryServicesBackupClient, simulator: Simulator, name: str, group: str, **members: Any
) -> dict[str, str]:
    """Trigger a restore without polling, as az does; return the answer's headers, names in lower case."""
    seen: dict[str, str] = {}
    request = models.IaasVMRestoreRequest(
        recovery_point_id=point_of(simulator, name),
        recovery_type="RestoreDisks",
        source_resource_id=vm_id(name, group),
        storage_account_id=STAGING,
        region="westeurope",
        create_new_cloud_service=False,
        original_storage_account_option=False,
        **members,
    )
    client.restores.begin_trigger(
        *names_of(name, group),
        point_of(simulator, name),
        models.RestoreRequestResource(properties=request),
        polling=False,
        raw_response_hook=lambda response: seen.update(response.http_response.headers),
    )
    return {header.lower(): value for header, value in seen.items()}


# vaults.list_by_subscription_id, vaults.list_by_resource_group, vaults.get


def test_vaults_are_listed_by_subscription_and_by_group(vaults: RecoveryServicesClient) -> None:
    everywhere = {vault.name for vault in vaults.vaults.list_by_subscription_id()}
    here = [vault.id for vault in vaults.vaults.list_by_resource_group("Backup-RG")]

    assert {"vault-weu", "vault-guarded", "vault-zrs", "vault-locked"} <= everywhere
    assert here == [VAULT]
    with pytest.raises(ResourceNotFoundError) as caught:
        list(vaults.vaults.list_by_resource_group("no-such-rg"))
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceGroupNotFound"


def test_a_vault_looks_as_in_2026(vaults: RecoveryServicesClient) -> None:
    vault = vaults.vaults.get("guarded-rg", "vault-guarded")
    properties = vault.properties

    assert vault.sku is not None
    assert dict(vault.sku.items()) == {"name": "Standard"}
    assert vault.etag == "W/\"datetime'2026-11-20T12%3A00%3A00.1234562Z'\""
    assert vault.identity is None
    assert properties is not None
    assert properties.monitoring_settings is not None
    assert properties.security_settings is not None
    assert properties.security_settings.soft_delete_settings is not None
    assert properties.security_settings.soft_delete_settings.soft_delete_state == "AlwaysON"
    assert properties.security_settings.multi_user_authorization == "Enabled"
    assert properties.restore_settings is not None


def test_a_vault_has_its_identities(vaults: RecoveryServicesClient) -> None:
    identity = vaults.vaults.get("backup-rg", "vault-weu").identity

    assert identity is not None
    assert identity.type == "SystemAssigned, UserAssigned"
    assert identity.principal_id
    assert [each.rpartition("/")[2] for each in identity.user_assigned_identities or {}] == ["restore-identity"]


# backup_resource_encryption_configs.get, backup_resource_vault_configs.get


def test_encryption_and_vault_configuration_are_there(client: RecoveryServicesBackupClient) -> None:
    encryption = client.backup_resource_encryption_configs.get(*WHERE).properties
    config = client.backup_resource_vault_configs.get(*WHERE).properties

    assert encryption is not None
    assert (encryption.encryption_at_rest_type, encryption.last_update_status) == ("MicrosoftManaged", "NotEnabled")
    assert config is not None
    assert (config.soft_delete_feature_state, config.enhanced_security_state) == ("AlwaysON", "AlwaysON")
    assert config.soft_delete_retention_period_in_days == 14


# backup_protection_containers.list, protection_containers.get


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("friendlyName eq 'Mixed-Case-01' and status eq 'Registered'", ["Mixed-Case-01"]),
        ("friendlyName eq 'MIXED-CASE-01'", ["Mixed-Case-01"]),
        ("friendlyName eq 'mixed'", ["Mixed-Case-01"]),  # a prefix is enough, as users have reported
        ("friendlyName eq 'nobody'", []),
    ],
)
def test_containers_are_found_by_their_friendly_name(
    client: RecoveryServicesBackupClient, condition: str, found: list[str]
) -> None:
    containers = list(client.backup_protection_containers.list(*WHERE, filter=f"{AZURE_VMS} and {condition}"))

    assert [container.properties.friendly_name for container in containers if container.properties] == found


def test_a_container_has_a_native_name_and_the_vm_s_casing(client: RecoveryServicesBackupClient) -> None:
    everything = client.backup_protection_containers.list(*WHERE, filter=f"{AZURE_VMS} and status eq 'Registered'")
    by_name = {container.name: container for container in everything}
    native = "IaasVMContainer;iaasvmcontainerv2;mixed-rg;mixed-case-01"
    single = client.protection_containers.get(*WHERE, "Azure", native.upper())

    assert len(by_name) > 100
    assert single.properties is not None
    assert single.properties == by_name[native].properties
    assert single.properties["virtualMachineId"] == vm_id("Mixed-Case-01", "Mixed-RG")
    assert single.properties["resourceGroup"] == "Mixed-RG"
    assert single.properties.registration_status == "Registered"


def test_a_soft_deleted_container_is_listed_among_the_registered(client: RecoveryServicesBackupClient) -> None:
    (found,) = client.backup_protection_containers.list(
        *WHERE, filter=f"{AZURE_VMS} and friendlyName eq 'soft-deleted-01' and status eq 'Registered'"
    )

    assert found.properties is not None
    assert found.properties.registration_status == "SoftDeleted"


def test_containers_need_a_management_type(client: RecoveryServicesBackupClient) -> None:
    with pytest.raises(HttpResponseError) as caught:
        list(client.backup_protection_containers.list(*WHERE))

    assert caught.value.error is not None
    assert (caught.value.status_code, caught.value.error.code) == (400, "BMSUserErrorInvalidInput")


def test_a_missing_container_is_not_found(client: RecoveryServicesBackupClient) -> None:
    with pytest.raises(ResourceNotFoundError):
        client.protection_containers.get(*WHERE, "Azure", "IaasVMContainer;iaasvmcontainerv2;web-rg;lonely-01")


# backup_policies.list, protection_policies.get


def test_policies_are_listed_and_read(client: RecoveryServicesBackupClient) -> None:
    listed = {policy.name: policy for policy in client.backup_policies.list(*WHERE, filter=AZURE_VMS)}
    policy = client.protection_policies.get(*WHERE, "defaultpolicy")

    assert list(listed) == ["DefaultPolicy", "EnhancedPolicy"]
    assert isinstance(policy.properties, models.AzureIaaSVMProtectionPolicy)
    assert policy == listed["DefaultPolicy"]
    assert isinstance(policy.properties.retention_policy, models.LongTermRetentionPolicy)
    assert policy.properties.protected_items_count is not None
    assert policy.properties.protected_items_count > 100
    assert list(client.backup_policies.list(*WHERE, filter="backupManagementType eq 'AzureStorage'")) == []
    with pytest.raises(ResourceNotFoundError):
        client.protection_policies.get(*WHERE, "no-such-policy")


# resource_guard_proxies.get, resource_guard_proxy.get

RESTORES = (
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/recoveryPoints/restore/action"
)


def test_the_guard_s_request_is_found_by_the_whole_operation_alone(client: RecoveryServicesBackupClient) -> None:
    (listed,) = client.resource_guard_proxies.get("vault-guarded", "guarded-rg")
    proxy = client.resource_guard_proxy.get("vault-guarded", "guarded-rg", "VaultProxy")

    assert proxy == listed
    assert proxy.id == f"{GUARDED}/backupResourceGuardProxies/VaultProxy"
    assert proxy.properties is not None
    details = proxy.properties.resource_guard_operation_details or []
    requests = {each.vault_critical_operation: each.default_resource_request for each in details}
    assert requests[RESTORES] == f"{GUARD}/triggerRestoreRequests/default"
    suffixed = [operation for operation in requests if operation and operation.endswith("/restore/action")]
    assert suffixed[0] != RESTORES
    assert suffixed[-1] != RESTORES
    with pytest.raises(ResourceNotFoundError):
        client.resource_guard_proxy.get(*WHERE, "VaultProxy")


# backup_protected_items.list, protected_items.get


def test_an_item_keeps_the_casing_of_its_vm(client: RecoveryServicesBackupClient) -> None:
    item = client.protected_items.get(*names_of("MIXED-CASE-01", "mixed-rg"))

    assert item.name == "VM;iaasvmcontainerv2;mixed-rg;mixed-case-01"
    assert item.properties is not None
    assert item.properties["friendlyName"] == "Mixed-Case-01"
    assert item.properties.container_name == "iaasvmcontainerv2;mixed-rg;mixed-case-01"


def test_the_last_backup_began_some_minutes_before_its_point(client: RecoveryServicesBackupClient) -> None:
    properties = client.protected_items.get(*names_of("web-01", "web-rg")).properties
    fresh = client.protected_items.get(*names_of("empty-01", "web-rg", ("vault-locked", "rules-rg"))).properties

    assert properties is not None
    assert fresh is not None
    assert properties["lastBackupTime"] == "2026-11-20T08:49:53.3334562Z"
    assert properties["lastRecoveryPoint"] == "2026-11-20T09:00:00.1234562Z"
    assert (fresh["protectionState"], fresh["lastBackupStatus"]) == ("IRPending", "")
    assert fresh["lastBackupTime"] == "2001-01-01T00:00:00Z"
    assert not {"lastRecoveryPoint", "healthDetails"} & fresh.keys()


# recovery_points.list, recovery_points.get


def test_the_list_counts_the_disks_and_the_single_point_names_them(
    client: RecoveryServicesBackupClient, secure: Simulator
) -> None:
    where = names_of("selective-01", "rules-rg")
    listed = next(iter(client.recovery_points.list(*where))).properties
    single = client.recovery_points.get(*where, point_of(secure, "selective-01")).properties
    ordinary = client.recovery_points.get(*names_of("disks-01", "rules-rg"), point_of(secure, "disks-01")).properties

    assert listed is not None
    assert listed["recoveryPointDiskConfiguration"] == {
        "numberOfDisksIncludedInBackup": 3,
        "numberOfDisksAttachedToVm": 4,
    }
    assert single is not None
    disks = single["recoveryPointDiskConfiguration"]
    assert [each["lun"] for each in disks["includedDiskList"]] == [-1, 0, 1]
    assert [each["lun"] for each in disks["excludedDiskList"]] == [2]
    assert {tuple(each) for each in disks["includedDiskList"]} == {("lun", "name")}
    assert ordinary is not None
    assert "recoveryPointDiskConfiguration" not in ordinary


def test_a_point_expires_with_its_rule(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    point = client.recovery_points.get(*names_of("web-01", "web-rg"), point_of(secure, "web-01")).properties

    assert point is not None
    assert point["recoveryPointProperties"] == {
        "expiryTime": "2026-12-20T09:00:00.1234562",
        "ruleName": "Daily",
        "isSoftDeleted": False,
    }
    assert "determining" in point["recoveryPointMoveReadinessInfo"]["ArchivedRP"]["additionalInfo"]


# restores.begin_trigger


@pytest.mark.parametrize(
    ("vm", "asked", "made"),
    [("disks-01", ["1"], [-1, 0, 1]), ("disks-01", [], [-1, 0, 1]), ("selective-01", ["0"], [-1, 0])],
)
def test_numeric_strings_choose_disks_and_an_ordinary_item_restores_all(
    client: RecoveryServicesBackupClient,
    secure: Simulator,
    clock: ManualClock,
    vm: str,
    asked: list[Any],
    made: list[int],
) -> None:
    trigger(client, secure, vm, "rules-rg", target_resource_group_id=TARGET_GROUP, restore_disk_lun_list=asked)
    job = secure.world.jobs_of(vm)[-1]
    clock.advance(120)

    found = client.job_details.get(*WHERE, job.job_id).properties

    assert found is not None
    assert found.status == "Completed"
    assert [-1, *job.data_luns] == made


# backup_operation_statuses.get, protected_item_operation_statuses.get


def test_a_running_operation_says_nothing_about_waiting(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    headers = trigger(client, secure, "slow-operation", "fault-rg")
    operation = headers["azure-asyncoperation"].partition("?")[0].rpartition("/")[2]
    seen: list[Any] = []

    def look(**options: Any) -> tuple[Any, Any]:
        return (
            client.backup_operation_statuses.get(*WHERE, operation, **options),
            client.protected_item_operation_statuses.get(*names_of("slow-operation", "fault-rg"), operation, **options),
        )

    running = look(raw_response_hook=lambda response: seen.append(response.http_response.headers))
    clock.advance(150)
    done = look()

    assert {status.status for status in running} == {"InProgress"}
    assert [status["endTime"] for status in running] == ["0001-01-01T00:00:00"] * 2
    unwanted = {"retry-after", "azure-asyncoperation", "location"}
    assert [unwanted & {name.lower() for name in headers} for headers in seen] == [set(), set()]
    assert [(status.status, status["endTime"]) for status in done] == [("Succeeded", done[0]["startTime"])] * 2


# backup_jobs.list, job_details.get


def test_the_newest_job_is_somebody_else_s(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    trigger(client, secure, "web-01", "web-rg")
    mine = secure.world.jobs_of("web-01")[-1].job_id

    jobs = list(client.backup_jobs.list(*WHERE))
    restores = list(client.backup_jobs.list(*WHERE, filter="operation eq 'Restore'"))

    times = [job.properties.start_time for job in jobs if job.properties and job.properties.start_time]
    assert times == sorted(times, reverse=True)
    newest = jobs[0].properties
    assert newest is not None
    assert (newest.operation, newest.status) == ("Backup", "InProgress")
    assert newest.entity_friendly_name != "web-01"
    assert [job.name for job in restores] == [mine]


def test_protection_was_configured_once(client: RecoveryServicesBackupClient) -> None:
    jobs = [job for job in client.backup_jobs.list(*WHERE, filter="operation eq 'ConfigureBackup'") if job.properties]
    (entry,) = [job for job in jobs if job.properties and job.properties.entity_friendly_name == "Mixed-Case-01"]
    job = client.job_details.get(*WHERE, entry.name or "").properties

    assert isinstance(job, models.AzureIaaSVMJob)
    assert job.actions_info is None
    assert (job.status, job.duration) == ("Completed", timedelta(minutes=1, seconds=20, microseconds=798019))
    assert job.extended_info is not None
    assert job.extended_info.tasks_list == []
    assert job.extended_info.property_bag == {"VM Name": "Mixed-Case-01", "Policy Name": "DefaultPolicy"}


def test_a_backup_has_tasks_with_times(client: RecoveryServicesBackupClient) -> None:
    jobs = client.backup_jobs.list(*WHERE, filter="operation eq 'Backup' and status eq 'Completed'")
    (entry,) = [job for job in jobs if job.properties and job.properties.entity_friendly_name == "selective-01"]
    job = client.job_details.get(*WHERE, entry.name or "").properties

    assert isinstance(job, models.AzureIaaSVMJob)
    assert job.actions_info == ["Cancellable"]
    assert job.extended_info is not None
    tasks = job.extended_info.tasks_list or []
    assert [task.task_id for task in tasks] == ["Take Snapshot", "Transfer data to vault", "Validate Backup"]
    assert all(task.start_time and task.end_time and task.start_time < task.end_time for task in tasks)
    bag = job.extended_info.property_bag or {}
    assert bag["Excluded disk(s)"].endswith("DataDisk_2")
    assert bag["Recovery Point Expiry Time in UTC"] == "12/20/2026 12:00:00 AM"


def test_a_running_backup_can_be_cancelled(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    trigger(client, secure, "web-01", "web-rg")
    other = next(iter(client.backup_jobs.list(*WHERE, filter="operation eq 'Backup'"))).name or ""

    client.job_cancellations.trigger(*WHERE, other)
    clock.advance(1)
    during = client.job_details.get(*WHERE, other).properties
    clock.advance(30)
    after = client.job_details.get(*WHERE, other).properties

    assert during is not None
    assert after is not None
    assert (during.status, after.status) == ("Cancelling", "Cancelled")
