from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest

from arm.backup import BackupClient
from domain.answers import Accepted
from domain.azure.jobs import JobStatus, OperationStatus
from domain.azure.permissions import Permission
from domain.azure.protected_items import ProtectedItem
from domain.errors import InvalidRequestError, TerminalError, TransientError, UnknownOutcomeError
from settings import Settings
from tests.support.arm_server import DROP, HANG, Answer, ArmServer, FakeIdentity, Raw, Say

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.azure.jobs import Job

VM = "/subscriptions/vm-sub/resourceGroups/app-rg/providers/Microsoft.Compute/virtualMachines/vm1"
VAULT = "/subscriptions/s/resourceGroups/Backup RG/providers/Microsoft.RecoveryServices/vaults/v1"
VAULT_PATH = VAULT.replace(" ", "%20")
CONTAINER, ITEM = "IaasVMContainer;iaasvmcontainerv2;app-rg;vm1", "VM;iaasvmcontainerv2;app-rg;vm1"
PROTECTED = ProtectedItem(
    vault_id=VAULT,
    container_name=CONTAINER,
    protected_item_name=ITEM,
    source_resource_id=VM,
    region="westeurope",
)
ITEM_PATH = (
    f"{VAULT_PATH}/backupFabrics/Azure/protectionContainers/{CONTAINER.replace(';', '%3B')}"
    f"/protectedItems/{ITEM.replace(';', '%3B')}"
)
RAW_ITEM_PATH = f"{VAULT_PATH}/backupFabrics/Azure/protectionContainers/{CONTAINER}/protectedItems/{ITEM}"
VERSION = "?api-version=2025-08-01"
SIGNATURE = "?api-version=2019-05-13-preview&t=639206722615199273&c=MIIH-_&s=abc-_&h=def"
SINCE = datetime(2026, 11, 23, 8, tzinfo=UTC)
REQUEST_ID = "0E6F3B5A-0000-4000-8000-00000000ABCD"


def operation(status: str = "Succeeded", **members: Any) -> dict[str, Any]:
    return {"id": "op-1", "name": "op-1", "status": status, **members}


def job(name: str, *, minutes: float | None = 0, activity_id: str | None = None) -> dict[str, Any]:
    """Return a job that started that many minutes after SINCE; ``None``: without a start time."""
    started = (
        {} if minutes is None else {"startTime": f"{SINCE + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S.1234567Z}"}
    )
    activity = {} if activity_id is None else {"activityId": activity_id}
    return {"name": name, "properties": {"operation": "Restore", "status": "InProgress", **started, **activity}}


def trigger(client: BackupClient) -> Accepted:
    return client.trigger_restore(PROTECTED, "1103", {"properties": {"a": 1}}, client_request_id=REQUEST_ID)


def find(client: BackupClient) -> Job | None:
    return client.find_restore_job(VAULT, activity_id=REQUEST_ID)


# Reads


def test_the_region_of_a_vm_is_read_from_the_vm(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body={"location": "westeurope", "name": "vm1"}))

    assert client.get_virtual_machine_region(VM) == "westeurope"
    assert server.requests[0].target == f"{VM}?api-version=2024-07-01"


def test_the_region_of_a_vault_is_read_from_the_vault(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body={"location": "westeurope"}))

    assert client.get_vault_region(VAULT) == "westeurope"
    assert server.requests[0].target == f"{VAULT_PATH}?api-version=2025-08-01"


def test_the_backup_status_is_requested_in_the_subscription_of_the_vm(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body={"protectionStatus": "Protected", "vaultId": VAULT}))

    assert client.get_backup_status(VM, "westeurope") == {"protectionStatus": "Protected", "vaultId": VAULT}

    (request,) = server.requests
    path = "/subscriptions/vm-sub/providers/Microsoft.RecoveryServices/locations/westeurope/backupStatus"
    assert (request.method, request.target) == ("POST", path + VERSION)
    assert request.json == {"resourceType": "VM", "resourceId": VM}


def test_the_backup_status_is_requested_only_for_a_vm(server: ArmServer, client: BackupClient) -> None:
    with pytest.raises(InvalidRequestError, match="virtualMachines"):
        client.get_backup_status(VAULT, "westeurope")

    assert server.requests == []


def test_a_protected_item_is_read_by_its_native_names(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body={"id": RAW_ITEM_PATH, "properties": {}}))

    assert client.get_protected_item(VAULT, CONTAINER, ITEM) == {"id": RAW_ITEM_PATH, "properties": {}}
    assert server.requests[0].target == ITEM_PATH + VERSION


def test_a_recovery_point_is_read_by_its_name(server: ArmServer, client: BackupClient) -> None:
    properties = {"recoveryPointTime": "2026-07-26T13:16:55.4397873Z", "recoveryPointType": "AppConsistent"}
    server.answers(Say(body={"name": "1103", "properties": properties}))

    point = client.get_recovery_point(PROTECTED, "1103")

    assert (point.point_id, point.consistency) == ("1103", "AppConsistent")
    assert server.requests[0].target == f"{ITEM_PATH}/recoveryPoints/1103{VERSION}"


def test_a_job_is_returned_with_its_retry_after(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body=job("j-1"), headers={"x-ms-retry-after-ms": "1500"}))

    answer = client.get_job(VAULT, "j-1")

    assert (answer.value.job_id, answer.value.status, answer.retry_after_s) == ("j-1", JobStatus.IN_PROGRESS, 1.5)
    assert server.requests[0].target == f"{VAULT_PATH}/backupJobs/j-1{VERSION}"


READS: dict[str, Callable[[BackupClient], object]] = {
    "vm": lambda client: client.get_virtual_machine_region(VM),
    "vault": lambda client: client.get_vault_region(VAULT),
    "status": lambda client: client.get_backup_status(VM, "westeurope"),
    "item": lambda client: client.get_protected_item(VAULT, CONTAINER, ITEM),
    "items": lambda client: list(client.list_protected_items(VAULT)),
    "points": lambda client: list(client.list_recovery_points(PROTECTED)),
    "point": lambda client: client.get_recovery_point(PROTECTED, "1103"),
    "operation": lambda client: client.get_operation(VAULT, "op-1", None),
    "validation": lambda client: client.get_validation(VAULT, "op-1", None),
    "find": find,
    "running": lambda client: client.list_running_jobs(VAULT),
    "job": lambda client: client.get_job(VAULT, "j-1"),
}
NOT_AN_OBJECT = [b"", b"<html>sign in</html>", b"[]", b'"text"', b"null", b'{"half": ', b'{"value": NaN}']


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("body", NOT_AN_OBJECT)
def test_an_answer_that_cannot_be_read_is_transient(
    server: ArmServer, client: BackupClient, read: Callable[[BackupClient], object], body: bytes
) -> None:
    server.answers(Say(body=body, headers={"Retry-After": "3", "x-ms-request-id": "r-1"}))

    with pytest.raises(TransientError, match="could not be read") as caught:
        read(client)

    assert caught.value.retry_after_s == 3.0
    assert caught.value.details[0].info is not None
    assert caught.value.details[0].info["requestId"] == "r-1"


@pytest.mark.parametrize("name", ["vm", "vault", "item", "items", "points", "point", "find"])
def test_an_answer_without_the_required_member_is_transient(server: ArmServer, client: BackupClient, name: str) -> None:
    server.answers(Say(body={"value": None, "location": 5, "properties": {}}))

    with pytest.raises(TransientError, match="could not be read"):
        READS[name](client)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_throttled_read_raises_the_wait(
    server: ArmServer, client: BackupClient, read: Callable[[BackupClient], object]
) -> None:
    server.answers(Say(429, {"error": {"code": "ResourceRequestsThrottled"}}, {"Retry-After": "372"}))

    with pytest.raises(TransientError) as caught:
        read(client)

    assert caught.value.retry_after_s == 372.0


# Lists


def pages(server: ArmServer, *bodies: list[Any], path: str = "/next") -> None:
    """Add a list of several pages to the script."""
    for number, entries in enumerate(bodies, start=1):
        link = f"{server.url}{path}?$skipToken={number}%3D" if number < len(bodies) else None
        server.answers(Say(body={"value": entries, "nextLink": link}))


def test_protected_items_are_listed_with_a_filter_to_the_last_page(server: ArmServer, client: BackupClient) -> None:
    pages(server, [{"id": "/1"}, {"id": "/2"}, "odd", {}], [], [{"id": "/3"}])

    assert [entry["id"] for entry in client.list_protected_items(VAULT)] == ["/1", "/2", "/3"]

    first, second, third = server.requests
    assert first.path == f"{VAULT_PATH}/backupProtectedItems"
    assert first.query == {
        "api-version": "2025-08-01",
        "$filter": "backupManagementType eq 'AzureIaasVM' and itemType eq 'VM'",
    }
    assert (second.target, third.target) == ("/next?$skipToken=1%3D", "/next?$skipToken=2%3D")


def test_recovery_points_are_listed_without_a_filter_and_page_by_page(server: ArmServer, client: BackupClient) -> None:
    pages(server, [{"name": "1"}, {"name": "2"}, {"id": "/nameless"}], [{"name": "3"}])

    points = client.list_recovery_points(PROTECTED)

    assert server.requests == []
    assert [next(points).point_id, next(points).point_id] == ["1", "2"]
    assert [request.target for request in server.requests] == [f"{ITEM_PATH}/recoveryPoints{VERSION}"]
    assert [point.point_id for point in points] == ["3"]
    assert len(server.requests) == 2


@pytest.mark.parametrize("end", [{}, {"nextLink": None}, {"nextLink": ""}])
def test_a_list_without_a_next_link_ends(server: ArmServer, client: BackupClient, end: dict[str, Any]) -> None:
    server.answers(Say(body={"value": [], **end}))

    assert list(client.list_recovery_points(PROTECTED)) == []


@pytest.mark.parametrize(
    "link", ["https://evil.example/next", "http://127.0.0.1:9/next", "/relative", "http://127.0.0.1@evil.example/"]
)
def test_a_next_page_on_another_host_is_not_read(server: ArmServer, client: BackupClient, link: str) -> None:
    server.answers(Say(body={"value": [{"name": "1"}], "nextLink": link}))

    with pytest.raises(TerminalError, match="another host"):
        list(client.list_recovery_points(PROTECTED))

    assert len(server.requests) == 1


def test_a_list_that_links_to_an_earlier_page_is_an_error(server: ArmServer, client: BackupClient) -> None:
    again = {"value": [], "nextLink": f"{server.url}/next"}
    server.answers(Say(body=again), Say(body=again), Say(body=again))

    with pytest.raises(TerminalError, match="read already"):
        list(client.list_protected_items(VAULT))

    assert len(server.requests) == 2


# The trigger


def test_the_trigger_sends_the_body_unchanged_with_the_client_request_id(
    server: ArmServer, client: BackupClient
) -> None:
    status_url = f"{server.url}{RAW_ITEM_PATH}/operationsStatus/ca08{SIGNATURE}"
    location = f"{server.url}{RAW_ITEM_PATH}/operationResults/ca08{SIGNATURE}"
    server.answers(Say(202, headers={"Azure-AsyncOperation": status_url, "Location": location, "Retry-After": "60"}))

    accepted = trigger(client)

    unsigned = f"{server.url}{RAW_ITEM_PATH}/operationsStatus/ca08?api-version=2019-05-13-preview"
    assert accepted == Accepted(operation_id="ca08", url=unsigned, retry_after_s=60.0)
    (posted,) = server.requests
    assert (posted.method, posted.target) == ("POST", f"{ITEM_PATH}/recoveryPoints/1103/restore{VERSION}")
    assert posted.json == {"properties": {"a": 1}}
    assert posted.headers["x-ms-client-request-id"] == REQUEST_ID


@pytest.mark.parametrize(
    ("headers", "operation_id", "url"),
    [
        ({"Location": "{server}/v/operationResults/loc-1?x=s&s=x"}, "loc-1", "{server}/v/operationResults/loc-1?x=s"),
        ({"Azure-AsyncOperation": "https://evil.example/v/operationsStatus/ca08?s=x"}, "ca08", None),
        ({"Azure-AsyncOperation": "{server}", "Location": "{server}/v/loc-1"}, "loc-1", "{server}/v/loc-1"),
        ({"Location": "{server}/subscriptions//subscriptions/s/operationResults/loc-1"}, "loc-1", None),
        ({"Location": "/subscriptions/s/operationResults/loc-1"}, "loc-1", None),
        ({"Azure-AsyncOperation": "", "Location": " "}, None, None),
        ({}, None, None),
    ],
)
def test_the_operation_is_read_from_the_headers_that_there_are(
    server: ArmServer,
    client: BackupClient,
    headers: dict[str, str],
    operation_id: str | None,
    url: str | None,
) -> None:
    server.answers(Say(202, headers={name: value.format(server=server.url) for name, value in headers.items()}))

    expected_url = None if url is None else url.format(server=server.url)

    assert trigger(client) == Accepted(operation_id=operation_id, url=expected_url, retry_after_s=None)


@pytest.mark.parametrize("status", [200, 201, 204, 206])
def test_a_2xx_other_than_202_is_an_unknown_outcome(server: ArmServer, client: BackupClient, status: int) -> None:
    location = f"{server.url}{RAW_ITEM_PATH}/operationResults/ca08"
    server.answers(Say(status, headers={"Location": location, "Retry-After": "9"}))

    with pytest.raises(UnknownOutcomeError, match=f"HTTP {status}") as caught:
        trigger(client)

    assert caught.value.retry_after_s == 9.0
    assert len(server.requests) == 1


UNCLEAR = {
    "500": Say(500, {"error": {"code": "CloudInternalError", "message": "m"}}, {"Retry-After": "20"}),
    "502 page": Say(502, b"<html></html>", {"Retry-After": "20"}),
    "503": Say(503, headers={"x-ms-retry-after-ms": "20000"}),
    "504": Say(504, headers={"Retry-After": "20"}),
    "408": Say(408, headers={"Retry-After": "20"}),
}


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_a_server_failure_is_an_unknown_outcome_of_the_trigger(
    server: ArmServer, client: BackupClient, answer: Answer
) -> None:
    server.answers(answer)

    with pytest.raises(UnknownOutcomeError) as caught:
        trigger(client)

    assert caught.value.retry_after_s == 20.0
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [DROP, HANG, Raw(b"nonsense\r\n\r\n")], ids=["dropped", "no answer", "nonsense"])
def test_a_missing_or_unreadable_answer_is_an_unknown_outcome_of_the_trigger(
    server: ArmServer, impatient: BackupClient, answer: Answer
) -> None:
    server.answers(answer)

    with pytest.raises(UnknownOutcomeError):
        trigger(impatient)

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (429, TransientError, "ServiceUnavailable"),
        (400, TerminalError, "RestoreRefused"),
        (403, TerminalError, "AuthorizationFailed"),
        (404, TerminalError, "NotFound"),
        (409, TerminalError, "RestoreRefused"),
    ],
)
def test_a_refused_trigger_is_not_an_unknown_outcome(
    server: ArmServer, client: BackupClient, status: int, kind: type[Exception], code: str
) -> None:
    server.answers(Say(status, {"error": {"code": "X", "message": "m"}}))

    with pytest.raises(kind, match=f"^{code}: "):
        trigger(client)

    assert len(server.requests) == 1


def test_the_trigger_has_a_longer_read_timeout(client: BackupClient) -> None:
    timeouts = client._session.timeouts

    assert (timeouts.connect_s, timeouts.read_s, timeouts.trigger_read_s) == (5.0, 30.0, 60.0)


# Operations


def test_an_operation_is_polled_at_the_given_url(server: ArmServer, client: BackupClient) -> None:
    path = f"{RAW_ITEM_PATH}/operationsStatus/op-1{SIGNATURE}"
    properties = {"objectType": "OperationStatusJobExtendedInfo", "jobId": "j-1"}
    server.answers(Say(body=operation(properties=properties)))

    answer = client.get_operation(VAULT, "op-1", server.url + path)

    assert (answer.value.status, answer.value.job_id) == (OperationStatus.SUCCEEDED, "j-1")
    assert (answer.value.next_url, answer.retry_after_s) == (None, None)
    assert server.requests[0].target == path


def test_a_running_operation_returns_its_new_url_and_retry_after(server: ArmServer, client: BackupClient) -> None:
    fresh = f"{server.url}{VAULT_PATH}/backupOperations/op-1{SIGNATURE}"
    unsigned = fresh.partition("&t=")[0]
    server.answers(Say(body=operation("InProgress"), headers={"Azure-AsyncOperation": fresh, "Retry-After": "5"}))

    answer = client.get_operation(VAULT, "op-1", None)

    assert (answer.value.status, answer.value.next_url) == (OperationStatus.RUNNING, unsigned)
    assert answer.retry_after_s == 5.0
    assert server.requests[0].target == f"{VAULT_PATH}/backupOperations/op-1{VERSION}"


def test_a_new_url_on_another_host_is_not_returned(server: ArmServer, client: BackupClient) -> None:
    headers = {"Azure-AsyncOperation": "https://evil.example/backupOperations/op-1"}
    server.answers(Say(body=operation("InProgress"), headers=headers))

    assert client.get_operation(VAULT, "op-1", None).value.next_url is None


def test_a_failed_operation_has_its_error(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body=operation("Failed", error={"code": "UserErrorX", "message": "m"})))

    found = client.get_operation(VAULT, "op-1", None).value

    assert found.status is OperationStatus.FAILED
    assert found.error is not None
    assert found.error.code == "UserErrorX"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v/operationsStatus/op-1",
        "http://127.0.0.1:9/v/operationsStatus/op-1",
        "{server}/subscriptions//subscriptions/s/operationResults/op-1",
    ],
)
def test_the_vaults_url_is_polled_instead_of_an_unusable_one(server: ArmServer, client: BackupClient, url: str) -> None:
    server.answers(Say(body=operation()))

    client.get_operation(VAULT, "op-1", url.format(server=server.url))

    assert [request.target for request in server.requests] == [f"{VAULT_PATH}/backupOperations/op-1{VERSION}"]


def test_the_vaults_url_is_polled_after_a_404(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(404), Say(body=operation()))

    answer = client.get_operation(VAULT, "op-1", f"{server.url}/v/operationsStatus/op-1")

    assert answer.value.status is OperationStatus.SUCCEEDED
    assert server.requests[1].target == f"{VAULT_PATH}/backupOperations/op-1{VERSION}"


def test_an_operation_that_neither_url_knows_is_not_found(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(404), Say(404))

    with pytest.raises(TerminalError, match="NotFound"):
        client.get_operation(VAULT, "op-1", f"{server.url}/v/operationsStatus/op-1")


@pytest.mark.parametrize("status", [301, 400, 403, 410])
def test_the_vaults_url_is_polled_after_a_refusal(server: ArmServer, client: BackupClient, status: int) -> None:
    server.answers(Say(status), Say(body=operation()))

    answer = client.get_operation(VAULT, "op-1", f"{server.url}/v/operationsStatus/op-1")

    assert answer.value.status is OperationStatus.SUCCEEDED
    assert server.requests[1].target == f"{VAULT_PATH}/backupOperations/op-1{VERSION}"


def test_the_vaults_url_is_not_polled_after_a_transient_error(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(503, headers={"Retry-After": "7"}))

    with pytest.raises(TransientError) as caught:
        client.get_operation(VAULT, "op-1", f"{server.url}/v/operationsStatus/op-1")

    assert caught.value.retry_after_s == 7.0


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Say(202, headers={"Retry-After": "60"}), OperationStatus.RUNNING),
        (Say(200, headers={"Retry-After": "60"}), OperationStatus.SUCCEEDED),
        (Raw(b"HTTP/1.1 204 No Content\r\nRetry-After: 60\r\n\r\n"), OperationStatus.SUCCEEDED),
    ],
    ids=["202", "200", "204"],
)
def test_the_status_code_of_a_results_url_is_the_operations_status(
    server: ArmServer, client: BackupClient, answer: Answer, status: OperationStatus
) -> None:
    server.answers(answer)

    found = client.get_operation(VAULT, "op-1", f"{server.url}/v/operationResults/op-1{SIGNATURE}")

    assert (found.value.status, found.value.job_id, found.retry_after_s) == (status, None, 60.0)


# Validations


def test_a_validation_is_posted_with_the_points_id_and_the_restores_properties(
    server: ArmServer, client: BackupClient
) -> None:
    url = f"{server.url}{VAULT_PATH}/backupValidateOperationsStatuses/val-1"
    server.answers(Say(202, headers={"Azure-AsyncOperation": url, "Retry-After": "10"}))

    accepted = client.trigger_validation(PROTECTED, "1103", {"recoveryType": "RestoreDisks"})

    assert accepted == Accepted(operation_id="val-1", url=url, retry_after_s=10.0)
    (posted,) = server.requests
    assert posted.target == f"{VAULT_PATH}/backupTriggerValidateOperation{VERSION}"
    assert posted.json == {
        "id": f"{VAULT}/backupFabrics/Azure/protectionContainers/{CONTAINER}/protectedItems/{ITEM}/recoveryPoints/1103",
        "properties": {
            "objectType": "ValidateIaasVMRestoreOperationRequest",
            "restoreRequest": {"recoveryType": "RestoreDisks"},
        },
    }


def test_a_server_error_of_the_validation_is_transient(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(500))

    with pytest.raises(TransientError):
        client.trigger_validation(PROTECTED, "1103", {})


def test_a_finished_validation_has_its_findings(server: ArmServer, client: BackupClient) -> None:
    finding = {
        "code": "UserErrorCoreCountSubscriptionQuotaReached",
        "message": "Core Count subscription quota has been reached.",
        "recommendations": ["Contact Azure support to increase the limits."],
    }
    properties = {"validateOperationResponse": {"validationResults": [finding]}}
    server.answers(Say(body=operation(properties=properties), headers={"Retry-After": "10"}))
    path = f"{VAULT_PATH}/backupValidateOperationsStatuses/val-1{SIGNATURE}"

    answer = client.get_validation(VAULT, "val-1", server.url + path)

    assert answer.value.status is OperationStatus.SUCCEEDED
    assert [(found.code, found.message) for found in answer.value.findings] == [
        (
            "UserErrorCoreCountSubscriptionQuotaReached",
            "Core Count subscription quota has been reached. Contact Azure support to increase the limits.",
        )
    ]
    assert answer.retry_after_s == 10.0
    assert server.requests[0].target == path


@pytest.mark.parametrize(
    "url", [None, "https://evil.example/backupValidateOperationsStatuses/val-1", "{server}/v/operationResults/val-1"]
)
def test_a_validation_without_a_status_url_is_polled_at_the_vaults_url(
    server: ArmServer, client: BackupClient, url: str | None
) -> None:
    server.answers(Say(body=operation("InProgress")))

    answer = client.get_validation(VAULT, "val-1", url and url.format(server=server.url))

    assert (answer.value.status, answer.value.findings) == (OperationStatus.RUNNING, ())
    assert [request.target for request in server.requests] == [
        f"{VAULT_PATH}/backupValidateOperationsStatuses/val-1{VERSION}"
    ]


def test_a_202_means_that_the_validation_is_running(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(202, headers={"Retry-After": "10"}))

    answer = client.get_validation(VAULT, "val-1", None)

    assert (answer.value.status, answer.retry_after_s) == (OperationStatus.RUNNING, 10.0)


# Jobs


def job_pages(server: ArmServer, *bodies: list[dict[str, Any]]) -> None:
    pages(server, *bodies, path="/backupJobs")


def test_a_job_is_found_by_its_activity_id_in_any_case(server: ArmServer, client: BackupClient) -> None:
    job_pages(server, [job("other", activity_id="x"), job("nobody's"), job("ours", activity_id=REQUEST_ID.lower())])

    found = find(client)

    assert found is not None
    assert found.job_id == "ours"
    (request,) = server.requests
    assert request.path == f"{VAULT_PATH}/backupJobs"
    assert request.query["$filter"] == "operation eq 'Restore' and backupManagementType eq 'AzureIaasVM'"


def test_without_such_a_job_the_answer_is_none(server: ArmServer, client: BackupClient) -> None:
    job_pages(server, [job("other", activity_id="x")], [])

    assert find(client) is None
    assert len(server.requests) == 2


@pytest.mark.parametrize("minutes", [-1, -60, -100_000, None])
def test_every_page_of_jobs_is_read_in_any_order_of_times(
    server: ArmServer, client: BackupClient, minutes: float | None
) -> None:
    job_pages(server, [job("old", minutes=-100_000)], [], [job("ours", minutes=minutes, activity_id=REQUEST_ID)])

    found = find(client)

    assert found is not None
    assert found.job_id == "ours"


def test_of_several_jobs_the_first_started_is_returned(server: ArmServer, client: BackupClient) -> None:
    ours = [("third", 3.0), ("first", 1.0), ("unknown", None), ("second", 2.0)]
    job_pages(server, *([job(name, minutes=start, activity_id=REQUEST_ID)] for name, start in ours))

    found = find(client)

    assert found is not None
    assert found.job_id == "first"


def test_a_matching_job_without_a_name_is_an_error(server: ArmServer, client: BackupClient) -> None:
    nameless = job("x", activity_id=REQUEST_ID)
    del nameless["name"]
    job_pages(server, [nameless])

    with pytest.raises(TransientError, match="without a name"):
        find(client)


def test_running_jobs_are_listed_by_the_ids_of_their_triggers(server: ArmServer, client: BackupClient) -> None:
    job_pages(server, [job("one", activity_id=REQUEST_ID)], [job("two", activity_id="x"), job("of nobody")])

    answer = client.list_running_jobs(VAULT)

    assert answer.value == {REQUEST_ID.lower(): "one", "x": "two"}
    asked = unquote_plus(server.requests[0].target)
    assert (
        "$filter=operation eq 'Restore' and status eq 'InProgress' and backupManagementType eq 'AzureIaasVM'" in asked
    )


@pytest.mark.parametrize("status", ["Completed", "Failed", "CompletedWithWarnings", "Cancelled"])
def test_a_job_that_has_ended_is_none_of_the_running_ones_even_if_azure_lists_it(
    server: ArmServer, client: BackupClient, status: str
) -> None:
    ended = job("ended", activity_id=REQUEST_ID)
    ended["properties"]["status"] = status
    job_pages(server, [ended, job("runs", activity_id="x")])

    assert client.list_running_jobs(VAULT).value == {"x": "runs"}


def test_of_several_running_jobs_of_one_trigger_the_first_started_counts(
    server: ArmServer, client: BackupClient
) -> None:
    ours = [("third", 3.0), ("first", 1.0), ("unknown", None), ("second", 2.0)]
    job_pages(server, *([job(name, minutes=start, activity_id=REQUEST_ID)] for name, start in ours))

    assert client.list_running_jobs(VAULT).value == {REQUEST_ID.lower(): "first"}


def test_a_running_job_without_a_name_runs_nevertheless(server: ArmServer, client: BackupClient) -> None:
    nameless = job("x", activity_id=REQUEST_ID)
    del nameless["name"]
    job_pages(server, [nameless])

    assert client.list_running_jobs(VAULT).value == {REQUEST_ID.lower(): None}


def test_the_longest_wait_of_all_pages_of_running_jobs_is_kept(server: ArmServer, client: BackupClient) -> None:
    link = f"{server.url}{VAULT_PATH}/backupJobs?page=2"
    server.answers(
        Say(body={"value": [], "nextLink": link}, headers={"Retry-After": "90"}),
        Say(body={"value": []}, headers={"Retry-After": "30"}),
    )

    assert client.list_running_jobs(VAULT).retry_after_s == 90.0


def test_a_job_without_a_name_gets_the_requested_id(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(body={"properties": {"status": "Completed"}}))

    assert client.get_job(VAULT, "job-1").value.job_id == "job-1"


def test_a_cancel_returns_its_retry_after(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(202, headers={"Retry-After": "60"}))

    assert client.cancel_job(VAULT, "job-1") == 60.0


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"properties": body}])
@pytest.mark.parametrize("named", [True, False])
def test_findings_in_the_first_answer_are_raised(
    server: ArmServer, client: BackupClient, wrap: Callable[[Any], Any], named: bool
) -> None:
    results = {"validationResults": [{"code": "Quota", "message": "Too many cores."}]}
    server.answers(Say(200, wrap({"validateOperationResponse": results} if named else results)))

    with pytest.raises(TerminalError, match="Too many cores") as caught:
        client.trigger_validation(PROTECTED, "1103", {})

    assert caught.value.code == "ValidationFailed"


@pytest.mark.parametrize(
    ("code", "ours"),
    [("UserErrorRestoreOperationInProgress", "ItemBusy"), ("CloudDosAbsoluteLimitReached", "VaultBlocked")],
)
def test_findings_in_the_first_answer_that_ask_to_wait_are_transient(
    server: ArmServer, client: BackupClient, code: str, ours: str
) -> None:
    results = {"validationResults": [{"code": code, "message": "Wait."}]}
    server.answers(Say(200, {"validateOperationResponse": results}, headers={"Retry-After": "20"}))

    with pytest.raises(TransientError, match="Wait") as caught:
        client.trigger_validation(PROTECTED, "1103", {})

    assert (caught.value.code, caught.value.retry_after_s) == (ours, 20.0)


def test_permissions_are_read_at_any_scope_page_by_page(server: ArmServer, client: BackupClient) -> None:
    link = f"{server.url}/next?page=2"
    first = {"actions": ["*/read"], "notActions": ["a/read"], "dataActions": ["d"], "notDataActions": []}
    server.answers(Say(body={"value": [first], "nextLink": link}), Say(body={"value": [{"actions": ["*"]}]}))

    found = list(client.list_permissions("/subscriptions/s"))

    assert found == [
        Permission(actions=("*/read",), not_actions=("a/read",), data_actions=("d",)),
        Permission(actions=("*",), not_actions=()),
    ]
    path = "/subscriptions/s/providers/Microsoft.Authorization/permissions"
    assert [request.target for request in server.requests] == [f"{path}?api-version=2022-04-01", "/next?page=2"]


def test_a_network_and_the_accounts_of_a_group_are_read(server: ArmServer, client: BackupClient) -> None:
    group = VAULT.partition("/providers/")[0]
    network = f"{group}/providers/Microsoft.Network/virtualNetworks/n"
    server.answers(Say(body={"id": network, "location": "westeurope"}), Say(body={"value": [{"id": "a"}]}))

    assert client.get_virtual_network(network)["location"] == "westeurope"
    assert list(client.list_storage_accounts(group)) == [{"id": "a"}]
    assert server.requests[1].path == f"{group.replace(' ', '%20')}/providers/Microsoft.Storage/storageAccounts"


def test_a_vault_a_storage_account_and_resource_guard_proxies_are_read(server: ArmServer, client: BackupClient) -> None:
    account = VAULT.replace("Microsoft.RecoveryServices/vaults", "Microsoft.Storage/storageAccounts")
    server.answers(Say(body={"id": VAULT}), Say(body={"id": account}), Say(body={"value": [{"properties": {}}]}))

    assert client.get_vault(VAULT) == {"id": VAULT}
    assert client.get_storage_account(account) == {"id": account}
    assert list(client.list_resource_guard_proxies(VAULT)) == [{"properties": {}}]
    assert [request.path for request in server.requests][2] == f"{VAULT_PATH}/backupResourceGuardProxies"


def test_the_disks_of_a_group_are_read_page_by_page(server: ArmServer, client: BackupClient) -> None:
    group = "/subscriptions/s/resourceGroups/restored-rg"
    path = f"{group}/providers/Microsoft.Compute/disks"
    made = {"name": "web-01-osdisk", "properties": {"osType": "Linux", "timeCreated": "2026-11-23T08:00:00Z"}}
    server.answers(
        Say(body={"value": [made], "nextLink": f"{server.url}{path}?skip=1"}), Say(body={"value": [{"name": "b"}]})
    )

    assert [(disk.name, disk.is_os_disk) for disk in client.list_disks(group)] == [
        ("web-01-osdisk", True),
        ("b", False),
    ]
    assert [request.target for request in server.requests] == [f"{path}?api-version=2024-03-02", f"{path}?skip=1"]


def test_a_job_is_cancelled_with_an_empty_post(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(202, headers={"Retry-After": "60"}))

    client.cancel_job(VAULT, "j-1")

    (posted,) = server.requests
    assert (posted.method, posted.target, posted.body) == ("POST", f"{VAULT_PATH}/backupJobs/j-1/cancel{VERSION}", b"")
    assert posted.headers["Content-Length"] == "0"


def test_a_refused_cancel_is_an_error(server: ArmServer, client: BackupClient) -> None:
    server.answers(Say(400, {"error": {"code": "UserErrorNotCancellable", "message": "Too late."}}))

    with pytest.raises(TerminalError, match="RestoreRefused") as caught:
        client.cancel_job(VAULT, "j-1")

    assert caught.value.details[0].message == "Too late."


# Names


HOSTILE = ["a?b=c", "a#b", "a%2Fb", "a/b", "..%2f..", "a\r\nHost: x", "ü;ß", "a&b"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_cannot_leave_its_path_segment(server: ArmServer, client: BackupClient, name: str) -> None:
    server.answers(Say(body=job("j-1")))

    client.get_job(VAULT, name)

    (request,) = server.requests
    assert request.names[-2:] == ["backupJobs", name]
    assert request.query == {"api-version": "2025-08-01"}


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_a_name_of_dots_is_never_sent(server: ArmServer, client: BackupClient, name: str) -> None:
    with pytest.raises(InvalidRequestError):
        client.get_job(VAULT, name)
    with pytest.raises(InvalidRequestError):
        client.get_vault_region(f"/subscriptions/s/{name}/x")

    assert server.requests == []


def test_endpoint_and_api_version_come_from_the_settings(server: ArmServer, identity: FakeIdentity) -> None:
    env = {"AZURE_RESOURCE_MANAGER_ENDPOINT": server.url + "/", "AZURE_BACKUP_API_VERSION": "2026-10-01"}
    server.answers(Say(body=job("j-1")))

    with closing(BackupClient.from_settings(Settings.from_env(env), identity)) as client:
        client.get_job(VAULT, "j-1")

    assert server.requests[0].query == {"api-version": "2026-10-01"}
    assert identity.made[0].scopes == [f"{server.url}/.default"]
