"""What the official SDK makes of the rules: guards, selections, findings, cancellations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.recoveryservicesbackup import models

from tests.conformance.caller import (
    ACCOUNTS,
    GUARD,
    GUARDED,
    STAGING,
    VAULT,
    ZRS,
    item_path,
    new_vm_members,
    point_of,
    vm_id,
)

if TYPE_CHECKING:
    from azure.mgmt.recoveryservicesbackup import RecoveryServicesBackupClient

    from simulator.clock import ManualClock
    from simulator.server import Simulator

WHERE = ("vault-weu", "backup-rg")
RESTORE_ACTION = (
    "microsoft.recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems/recoverypoints/restore/action"
)


def names(vault: str, name: str, group: str) -> tuple[str, str, str, str, str]:
    native = f"iaasvmcontainerv2;{group};{name}"
    parts = vault.split("/")
    return parts[8], parts[4], "Azure", f"IaasVMContainer;{native}", f"VM;{native}"


def a_request(simulator: Simulator, name: str, group: str, **members: Any) -> models.IaasVMRestoreRequest:
    request: dict[str, Any] = {
        "recovery_type": "RestoreDisks",
        "storage_account_id": STAGING,
        "region": "westeurope",
        "recovery_point_id": point_of(simulator, name),
        "source_resource_id": vm_id(name, group),
        **members,
    }
    return models.IaasVMRestoreRequest(**request)


def trigger(
    client: RecoveryServicesBackupClient, simulator: Simulator, vault: str, name: str, group: str, **members: Any
) -> str:
    """Trigger a restore that must be taken, without polling; return its job's id."""
    request = models.RestoreRequestResource(properties=a_request(simulator, name, group, **members))
    client.restores.begin_trigger(*names(vault, name, group), point_of(simulator, name), request, polling=False)
    return simulator.world.jobs_of(vm_id(name, group))[-1].job_id


def code_of(error: HttpResponseError) -> tuple[int | None, str | None]:
    assert error.error is not None
    return error.status_code, error.error.code


def test_guard_is_followed_from_its_proxy_to_the_approved_restore(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    (proxy,) = client.resource_guard_proxies.get("vault-guarded", "guarded-rg")
    assert proxy.properties is not None
    requests = [
        str(detail.default_resource_request)
        for detail in proxy.properties.resource_guard_operation_details or []
        if str(detail.vault_critical_operation).lower() == RESTORE_ACTION
    ]
    assert requests == [f"{GUARD}/triggerRestoreRequests/default"]
    where = (client, secure, GUARDED, "guarded-01", "guarded-rg")

    with pytest.raises(HttpResponseError) as missing:
        trigger(*where)
    with pytest.raises(HttpResponseError) as waiting:
        trigger(*where, resource_guard_operation_requests=requests)
    clock.advance(300)
    job_id = trigger(*where, resource_guard_operation_requests=requests)

    assert code_of(missing.value) == (403, "UserErrorResourceGuardRequestMissing")
    assert code_of(waiting.value) == (403, "LinkedAuthorizationFailed")
    assert client.job_details.get("vault-guarded", "guarded-rg", job_id).name == job_id


def test_item_with_selected_disks_and_its_point(client: RecoveryServicesBackupClient, secure: Simulator) -> None:
    where = names(VAULT, "selective-01", "rules-rg")

    item = client.protected_items.get(*where).properties
    single = client.recovery_points.get(*where, point_of(secure, "selective-01", 1)).properties
    listed = [point.properties for point in client.recovery_points.list(*where)]

    # SDK 11.2.0 gives the base class for this item type, so the members are read from it.
    assert item is not None
    assert item["extendedProperties"]["diskExclusionProperties"] == {"diskLunList": [0, 1], "isInclusionList": True}
    assert isinstance(single, models.IaasVMRecoveryPoint)
    assert single.is_instant_ilr_session_active is True
    disks = single.recovery_point_disk_configuration
    assert disks is not None
    assert [disk.lun for disk in disks.included_disk_list or []] == [-1, 0, 1]
    assert [disk.lun for disk in disks.excluded_disk_list or []] == [2]
    counts = [
        point.recovery_point_disk_configuration for point in listed if isinstance(point, models.IaasVMRecoveryPoint)
    ]
    assert [count and (count.number_of_disks_included_in_backup, count.included_disk_list) for count in counts] == [
        (3, None),
        (3, None),
    ]


def test_zone_and_disk_selection_are_taken_where_they_belong(
    client: RecoveryServicesBackupClient, secure: Simulator
) -> None:
    trigger(client, secure, ZRS, "zonal-01", "rules-rg", zones=["2"])
    trigger(client, secure, VAULT, "selective-01", "rules-rg", restore_disk_lun_list=[0])

    with pytest.raises(HttpResponseError) as zone:
        trigger(client, secure, VAULT, "selective-01", "rules-rg", zones=["2"])

    assert code_of(zone.value) == (400, "BMSUserErrorInvalidInput")
    point = client.recovery_points.get(*names(ZRS, "zonal-01", "rules-rg"), point_of(secure, "zonal-01")).properties
    assert isinstance(point, models.IaasVMRecoveryPoint)
    assert point.zones == ["1"]


def test_validation_finds_what_the_trigger_would_refuse(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    target = new_vm_members()
    request = a_request(
        secure,
        "web-01",
        "web-rg",
        recovery_type="AlternateLocation",
        target_resource_group_id=target["targetResourceGroupId"],
        target_virtual_machine_id=vm_id("web-02"),
        virtual_network_id=target["virtualNetworkId"],
        subnet_id=target["subnetId"],
        storage_account_id=f"{ACCOUNTS}/stagingneu",
    )
    body = models.ValidateOperationRequestResource(
        id=f"{item_path('web-01')}/recoveryPoints/{request.recovery_point_id}",
        properties=models.ValidateIaasVMRestoreOperationRequest(restore_request=request),
    )
    seen: dict[str, str] = {}
    client.validate_operation.begin_trigger(
        *WHERE,
        body,
        polling=False,
        raw_response_hook=lambda response: seen.update(response.http_response.headers),
    )
    operation_id = seen["Location"].partition("?")[0].rpartition("/")[2]
    clock.advance(5)

    status = client.validate_operation_statuses.get(*WHERE, operation_id)

    assert status.status == "Succeeded"
    assert isinstance(status.properties, models.OperationStatusValidateOperationExtendedInfo)
    response = status.properties.validate_operation_response
    assert response is not None
    assert [(each.code, each.message) for each in response.validation_results or []] == [
        ("UserErrorVmAlreadyExists", "A virtual machine web-02 exists already."),
        ("BMSUserErrorInvalidInput", "the staging account must be in the vault's region"),
    ]


def test_ended_job_cannot_be_cancelled(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    done = trigger(client, secure, VAULT, "web-01", "web-rg")
    clock.advance(1847)
    cancelled = trigger(client, secure, VAULT, "web-01", "web-rg")
    client.job_cancellations.trigger(*WHERE, cancelled)
    clock.advance(31)

    for job_id, status in ((done, "Completed"), (cancelled, "Cancelled")):
        with pytest.raises(HttpResponseError) as caught:
            client.job_cancellations.trigger(*WHERE, job_id)
        assert code_of(caught.value) == (400, "BMSUserErrorJobNotCancellable")
        assert client.job_details.get(*WHERE, job_id).properties["status"] == status  # pyright: ignore[reportOptionalSubscript]


def test_refused_cancellation_shows_in_its_result_and_the_job_goes_on(
    client: RecoveryServicesBackupClient, secure: Simulator, clock: ManualClock
) -> None:
    job_id = trigger(client, secure, VAULT, "cancel-refused", "fault-rg")
    seen: dict[str, str] = {}
    client.job_cancellations.trigger(
        *WHERE, job_id, raw_response_hook=lambda response: seen.update(response.http_response.headers)
    )
    operation_id = seen["Location"].partition("?")[0].rpartition("/")[2]

    with pytest.raises(HttpResponseError) as caught:
        client.job_operation_results.get(*WHERE, job_id, operation_id)
    clock.advance(1847)

    assert code_of(caught.value) == (400, "BMSUserErrorJobNotCancellable")
    assert client.job_details.get(*WHERE, job_id).properties["status"] == "Completed"  # pyright: ignore[reportOptionalSubscript]
