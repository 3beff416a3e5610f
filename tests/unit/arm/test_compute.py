"""The calls to Azure Compute: what is sent, and how answers are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.answers import Accepted, Answer
from domain.azure.virtual_machines import AttachedDisk
from domain.errors import RestoreError, TerminalError, TransientError
from domain.follow_up.calls import ChangeStatus, UpdateDisks
from tests.support.arm_server import DROP, ArmServer, Say

if TYPE_CHECKING:
    from collections.abc import Callable

    from arm.backup import BackupClient

GROUP = "/subscriptions/s/resourceGroups/app rg"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1"
VM_PATH = VM.replace(" ", "%20")
DISKS = f"{GROUP}/providers/Microsoft.Compute/disks"
OPERATION = (
    "/subscriptions/s/providers/Microsoft.Compute/locations/westeurope/operations/op-1?p=77&api-version=2024-07-01"
)
MACHINE: dict[str, Any] = {
    "id": VM,
    "location": "westeurope",
    "etag": '"7"',
    "properties": {
        "hardwareProfile": {"vmSize": "Standard_D4s_v5"},
        "provisioningState": "Succeeded",
        "storageProfile": {
            "osDisk": {
                "osType": "Linux",
                "name": "os",
                "createOption": "FromImage",
                "managedDisk": {"id": f"{DISKS}/os"},
            },
            "dataDisks": [
                {"lun": 0, "name": "a", "createOption": "Empty", "managedDisk": {"id": f"{DISKS}/A"}},
                {"lun": 3, "name": "b", "createOption": "attach", "managedDisk": {"id": f"{DISKS}/b"}},
            ],
        },
        "instanceView": {"statuses": [{"code": "PowerState/running"}]},
    },
}


def disk(name: str, lun: int | None = None, **options: Any) -> AttachedDisk:
    return AttachedDisk(lun=lun, disk_id=f"{DISKS}/{name}", name=name, options=options)


def update(**members: Any) -> UpdateDisks:
    return UpdateDisks(vm_id=VM, **{"data_disks": (), **members})


def refusal(call: Callable[[], object]) -> RestoreError:
    with pytest.raises(RestoreError) as caught:
        call()
    return caught.value


class TestReadingAVm:
    def test_asks_for_its_instance_view(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(body=MACHINE, headers={"Retry-After": "4"}))

        answer = client.get_virtual_machine(VM)

        assert server.requests[0].target == f"{VM_PATH}?api-version=2024-07-01&$expand=instanceView"
        machine = answer.value
        assert (machine.vm_id, machine.power, machine.etag, answer.retry_after_s) == (VM, "running", '"7"', 4.0)

    def test_remembers_which_data_disks_were_made_with_it(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(body=MACHINE))

        assert client.get_virtual_machine(VM).value.data_create_options == {f"{DISKS}/a".lower(): "Empty"}

    def test_a_disk_that_is_being_detached_is_none_of_its_disks_any_more(
        self, server: ArmServer, client: BackupClient
    ) -> None:
        properties = MACHINE["properties"]
        first, second = properties["storageProfile"]["dataDisks"]
        profile = {**properties["storageProfile"], "dataDisks": [{**first, "toBeDetached": True}, second]}
        server.answers(Say(body={**MACHINE, "properties": {**properties, "storageProfile": profile}}))

        machine = client.get_virtual_machine(VM).value

        assert ([each.name for each in machine.disks], [each.name for each in machine.detaching]) == (
            ["os", "b"],
            ["a"],
        )

    @pytest.mark.parametrize(
        "body",
        [
            b"<html>",
            [],
            {},
            {"id": VM},
            {"id": VM, "properties": {"storageProfile": {"osDisk": {"name": "o"}, "dataDisks": [{}]}}},
        ],
    )
    def test_an_unreadable_one_is_transient(self, server: ArmServer, client: BackupClient, body: Any) -> None:
        server.answers(Say(body=body, headers={"Retry-After": "3"}))

        with pytest.raises(TransientError, match="could not be read") as caught:
            client.get_virtual_machine(VM)

        assert caught.value.retry_after_s == 3.0

    def test_one_that_does_not_exist_is_not_found(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(404, {"error": {"code": "ResourceNotFound", "message": "no"}}))

        assert refusal(lambda: client.get_virtual_machine(VM)).code == "NotFound"


CHANGES: dict[str, tuple[str, str, Callable[[BackupClient], Accepted]]] = {
    "deallocate": ("POST", "/deallocate", lambda client: client.deallocate_virtual_machine(VM)),
    "start": ("POST", "/start", lambda client: client.start_virtual_machine(VM)),
    "update": ("PATCH", "", lambda client: client.update_disks(update())),
}


@pytest.mark.parametrize(("method", "path", "change"), CHANGES.values(), ids=CHANGES)
class TestAChange:
    def test_is_asked_for_once_and_names_its_operation_without_the_signature(
        self,
        server: ArmServer,
        client: BackupClient,
        method: str,
        path: str,
        change: Callable[[BackupClient], Accepted],
    ) -> None:
        signed = f"{server.url}{OPERATION}&t=1&c=2&s=3&h=4"
        headers = {"Azure-AsyncOperation": signed, "Location": f"{server.url}/other?monitor=true", "Retry-After": "10"}
        server.answers(Say(202, headers=headers))

        accepted = change(client)

        (request,) = server.requests
        assert (request.method, request.target) == (method, f"{VM_PATH}{path}?api-version=2024-07-01")
        assert accepted == Accepted(operation_id="op-1", url=f"{server.url}{OPERATION}", retry_after_s=10.0)

    def test_without_an_address_of_this_endpoint_has_no_url(
        self,
        server: ArmServer,
        client: BackupClient,
        method: str,
        path: str,
        change: Callable[[BackupClient], Accepted],
    ) -> None:
        server.answers(
            Say(202, headers={"Azure-AsyncOperation": f"https://management.example{OPERATION}"}), Say(200, MACHINE)
        )

        assert [change(client).url for _ in range(2)] == [None, None], (method, path)

    @pytest.mark.parametrize("answer", [DROP, Say(500), Say(503), Say(408)])
    def test_whose_outcome_is_unknown_may_be_repeated(
        self,
        server: ArmServer,
        client: BackupClient,
        method: str,
        path: str,
        change: Callable[[BackupClient], Accepted],
        answer: Any,
    ) -> None:
        server.answers(answer)

        error = refusal(lambda: change(client))

        assert (type(error), error.code) == (TransientError, "ServiceUnavailable"), (method, path)

    def test_waits_while_something_else_changes_the_vm(
        self,
        server: ArmServer,
        client: BackupClient,
        method: str,
        path: str,
        change: Callable[[BackupClient], Accepted],
    ) -> None:
        server.answers(Say(409, {"error": {"code": "Conflict", "message": "busy"}}, {"Retry-After": "5"}))

        error = refusal(lambda: change(client))

        assert (type(error), error.code, error.retry_after_s) == (TransientError, "MachineBusy", 5.0), (method, path)


class TestTheUpdateOfDisks:
    def test_names_the_os_disk_and_all_data_disks_in_one_request(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(200, MACHINE))

        client.update_disks(
            update(
                os_disk=disk("new-os", caching="ReadWrite", deleteOption="Detach"),
                os_create_option="FromImage",
                os_type="Linux",
                data_disks=(disk("new-a", 0, writeAcceleratorEnabled=False), disk("b", 3)),
                etag='"7"',
            )
        )

        (request,) = server.requests
        assert request.headers["If-Match"] == '"7"'
        assert request.json == {
            "properties": {
                "storageProfile": {
                    "osDisk": {
                        "name": "new-os",
                        "createOption": "FromImage",
                        "osType": "Linux",
                        "managedDisk": {"id": f"{DISKS}/new-os"},
                        "caching": "ReadWrite",
                        "deleteOption": "Detach",
                    },
                    "dataDisks": [
                        {
                            "lun": 0,
                            "name": "new-a",
                            "createOption": "Attach",
                            "managedDisk": {"id": f"{DISKS}/new-a"},
                            "writeAcceleratorEnabled": False,
                        },
                        {"lun": 3, "name": "b", "createOption": "Attach", "managedDisk": {"id": f"{DISKS}/b"}},
                    ],
                }
            }
        }

    def test_repeats_how_a_disk_was_made_that_stays(self, server: ArmServer, client: BackupClient) -> None:
        """Azure refuses to change it: terraform-provider-azurerm#240."""
        server.answers(Say(200, MACHINE))

        client.update_disks(
            update(data_disks=(disk("A", 0), disk("new", 1)), data_create_options={f"{DISKS}/a".lower(): "Empty"})
        )

        written = server.requests[0].json["properties"]["storageProfile"]["dataDisks"]
        assert [entry["createOption"] for entry in written] == ["Empty", "Attach"]

    def test_leaves_the_os_disk_and_needs_no_etag(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(200, MACHINE))

        client.update_disks(update(os_type="Linux"))

        (request,) = server.requests
        assert request.json == {"properties": {"storageProfile": {"dataDisks": []}}}
        assert "If-Match" not in request.headers

    def test_of_a_vm_that_has_changed_since_is_not_made(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(412, {"error": {"code": "PreconditionFailed", "message": "Etag provided …"}}))

        error = refusal(lambda: client.update_disks(update(etag='"1"')))

        assert (type(error), error.code) == (TransientError, "MachineBusy")


class TestPollingAnOperation:
    @pytest.mark.parametrize(
        ("status", "is_running"),
        [("InProgress", True), ("Updating", True), ("Succeeded", False), ("succeeded", False)],
    )
    def test_reads_its_status_and_the_wait(
        self, server: ArmServer, client: BackupClient, status: str, is_running: bool
    ) -> None:
        server.answers(Say(body={"status": status, "name": "op-1"}, headers={"Retry-After": "7"}))

        answer = client.get_compute_operation(f"{server.url}{OPERATION}")

        assert answer == Answer(ChangeStatus(is_running=is_running), 7.0)
        assert server.requests[0].target == OPERATION

    @pytest.mark.parametrize(
        ("body", "code", "message"),
        [
            (
                {"status": "Failed", "error": {"code": "AllocationFailed", "message": "No room."}},
                "AllocationFailed",
                "No room.",
            ),
            ({"status": "Canceled"}, "OperationCanceled", "The service gave no message."),
            ({"status": "Failed", "error": None}, "OperationFailed", "The service gave no message."),
            ({"status": "Failed", "error": {"message": "sig=12345abcde"}}, "OperationFailed", "sig=(removed)"),
        ],
    )
    def test_one_that_failed_has_azures_error(
        self, server: ArmServer, client: BackupClient, body: Any, code: str, message: str
    ) -> None:
        server.answers(Say(body=body))

        found = client.get_compute_operation(f"{server.url}{OPERATION}").value

        assert not found.is_running
        assert found.error is not None
        assert (found.error["code"], found.error["message"]) == (code, message)

    @pytest.mark.parametrize(
        ("answer", "found"),
        [
            (Say(202), ChangeStatus(is_running=True)),
            (Say(204), ChangeStatus(is_running=False)),
            (Say(200), ChangeStatus(is_running=False)),
            (Say(200, MACHINE), ChangeStatus(is_running=False)),
        ],
    )
    def test_its_location_answers_by_status_code(
        self, server: ArmServer, client: BackupClient, answer: Say, found: ChangeStatus
    ) -> None:
        server.answers(answer)

        assert client.get_compute_operation(f"{server.url}{OPERATION}&monitor=true").value == found

    def test_its_location_answers_with_the_error_of_one_that_failed(
        self, server: ArmServer, client: BackupClient
    ) -> None:
        server.answers(Say(409, {"error": {"code": "AllocationFailed", "message": "No room."}}))

        found = client.get_compute_operation(f"{server.url}{OPERATION}&monitor=true").value

        assert found.error is not None
        assert (found.is_running, found.error["code"], found.error["message"]) == (
            False,
            "AllocationFailed",
            "No room.",
        )

    def test_a_poll_that_is_refused_is_no_failure_of_the_operation(
        self, server: ArmServer, client: BackupClient
    ) -> None:
        server.answers(Say(400, {"error": {"code": "InvalidApiVersionParameter", "message": "no"}}))

        assert refusal(lambda: client.get_compute_operation(f"{server.url}{OPERATION}")).code == "RestoreRefused"

    @pytest.mark.parametrize("query", ["", "&monitor=true"])
    @pytest.mark.parametrize(("status", "code"), [(403, "AuthorizationFailed"), (404, "NotFound")])
    def test_one_that_azure_does_not_show_has_neither_ended_nor_failed(
        self, server: ArmServer, client: BackupClient, status: int, code: str, query: str
    ) -> None:
        server.answers(Say(status, {"error": {"code": code, "message": "no"}}))

        error = refusal(lambda: client.get_compute_operation(f"{server.url}{OPERATION}{query}"))

        assert (type(error), error.code) == (TerminalError, code)

    @pytest.mark.parametrize("body", [None, b"<html>", [], {"name": "op-1"}])
    def test_an_unreadable_one_is_transient(self, server: ArmServer, client: BackupClient, body: Any) -> None:
        server.answers(Say(body=body))

        with pytest.raises(TransientError, match="could not be read"):
            client.get_compute_operation(f"{server.url}{OPERATION}")

    def test_the_token_is_sent_to_the_endpoint_alone(self, server: ArmServer, client: BackupClient) -> None:
        for url in (f"https://management.example{OPERATION}", f"{server.url}.example{OPERATION}", OPERATION):
            assert isinstance(refusal(lambda url=url: client.get_compute_operation(url)), TerminalError)

        assert server.requests == []

    def test_a_token_that_azure_refuses_is_an_error(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(*[Say(401, {"error": {"code": "InvalidAuthenticationToken", "message": "no"}})] * 2)

        error = refusal(lambda: client.get_compute_operation(f"{server.url}{OPERATION}"))

        assert (type(error), error.code) == (TerminalError, "AuthorizationFailed")


class TestDisks:
    def test_one_is_read_by_its_id(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(body={"id": f"{DISKS}/os", "name": "os", "properties": {"osType": "Linux"}}))

        found = client.get_disk(f"{DISKS}/os").value

        assert found is not None
        assert (found.name, found.is_os_disk) == ("os", True)
        assert server.requests[0].target == f"{DISKS}/os?api-version=2024-03-02".replace(" ", "%20")

    def test_one_that_does_not_exist_is_none(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(404, {"error": {"code": "ResourceNotFound", "message": "no"}}))

        assert client.get_disk(f"{DISKS}/os").value is None

    @pytest.mark.parametrize("answer", [Say(403, {"error": {"code": "AuthorizationFailed"}}), Say(500), Say(200, {})])
    def test_one_that_cannot_be_read_is_an_error(self, server: ArmServer, client: BackupClient, answer: Say) -> None:
        server.answers(answer)

        refusal(lambda: client.get_disk(f"{DISKS}/os"))

    def test_tags_are_merged_with_those_that_are_there(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(body={}, headers={"Retry-After": "2"}))

        assert client.merge_tags(f"{DISKS}/os", {"restore-id": "r-1"}) == 2.0

        (request,) = server.requests
        path = f"{DISKS}/os/providers/Microsoft.Resources/tags/default?api-version=2021-04-01"
        assert (request.method, request.target) == ("PATCH", path.replace(" ", "%20"))
        assert request.json == {"operation": "Merge", "properties": {"tags": {"restore-id": "r-1"}}}

    def test_a_page_of_a_proxy_has_tagged_nothing(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(body=b"<html>Please sign in</html>"), Say(202))

        assert isinstance(refusal(lambda: client.merge_tags(f"{DISKS}/os", {})), TransientError)
        assert client.merge_tags(f"{DISKS}/os", {}) is None  # accepted, to be done later


def test_the_sizes_of_a_region_are_listed_without_what_else_compute_has(
    server: ArmServer, client: BackupClient
) -> None:
    size = {
        "resourceType": "virtualMachines",
        "name": "a",
        "capabilities": [{"name": "MaxDataDiskCount", "value": "4"}],
    }
    server.answers(
        Say(body={"value": [{"resourceType": "disks", "name": "b"}, size], "nextLink": f"{server.url}/next?page=2"}),
        Say(body={"value": [{}, {"resourceType": "virtualMachines", "name": "c"}]}),
    )

    found = list(client.list_machine_sizes("/subscriptions/s", "West Europe"))

    assert [(entry.name, entry.max_data_disks) for entry in found] == [("a", 4), ("c", None)]
    query = "api-version=2021-07-01&%24filter=location%20eq%20%27westeurope%27"
    assert server.requests[0].target == f"/subscriptions/s/providers/Microsoft.Compute/skus?{query}"


def test_the_locks_of_a_vm_are_listed_to_the_last_page(server: ArmServer, client: BackupClient) -> None:
    def lock(scope: str, level: str) -> dict[str, Any]:
        return {"id": f"{scope}/providers/Microsoft.Authorization/locks/l", "name": "l", "properties": {"level": level}}

    server.answers(
        Say(body={"value": [lock(GROUP, "ReadOnly")], "nextLink": f"{server.url}/next?page=2"}),
        Say(body={"value": [lock(VM, "CanNotDelete"), {}]}),
    )

    found = list(client.list_locks(VM))

    assert [(entry.scope, entry.level) for entry in found] == [(GROUP, "ReadOnly"), (VM, "CanNotDelete"), ("", "")]
    path = f"{VM_PATH}/providers/Microsoft.Authorization/locks?api-version=2020-05-01"
    assert server.requests[0].target == path
