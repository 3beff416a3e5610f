"""What the client sends for a VM of restored disks, and what it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.deployments import Deployment, MadeResource
from domain.errors import TerminalError, TransientError
from domain.follow_up.creation_calls import DiskPlace, PutNetworkInterface, PutVirtualMachine
from tests.support.arm_script import Asked, ScriptedSession, Told, scripted

if TYPE_CHECKING:
    from arm.backup import BackupClient

GROUP = "/subscriptions/s/resourceGroups/restored-rg"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
VM = f"{COMPUTE}/virtualMachines/web-02"
INTERFACE = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/web-02-nic"
ADDRESS = f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/web-02-ip"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/test"
DEPLOYMENT = f"{GROUP}/providers/Microsoft.Resources/deployments/restore-r-1"
OPERATION = "https://management.azure.com/subscriptions/s/providers/Microsoft.Compute/locations/w/operations/op-1"
MACHINE = PutVirtualMachine(
    restore_id="r-1",
    vm_id=VM,
    location="westeurope",
    size="Standard_D2s_v5",
    os_disk_id=f"{COMPUTE}/disks/os",
    os_type="Linux",
    interface_id=INTERFACE,
)


def told(told_: Told) -> tuple[BackupClient, ScriptedSession]:
    return scripted(lambda _: told_)


def body_of(session: ScriptedSession) -> Any:
    return session.asked[-1].body


class TestDeployments:
    def test_a_template_goes_inline_and_without_parameters(self) -> None:
        client, session = told(Told({}, 201, {"Azure-AsyncOperation": OPERATION, "Retry-After": "9"}))

        accepted = client.put_deployment(GROUP, "restore-r-1", {"resources": []})

        (asked,) = session.asked
        assert (asked.method, asked.path) == ("PUT", DEPLOYMENT)
        assert asked.body == {"properties": {"mode": "Incremental", "template": {"resources": []}, "parameters": {}}}
        assert (accepted.operation_id, accepted.url, accepted.retry_after_s) == ("op-1", OPERATION, 9)

    def test_one_is_read(self) -> None:
        client, session = told(Told({"properties": {"provisioningState": "Running"}}, headers={"Retry-After": "5"}))

        answer = client.get_deployment(GROUP, "restore-r-1")

        assert (answer.value, answer.retry_after_s) == (Deployment(is_running=True), 5)
        assert session.asked[0].url == f"https://management.azure.com{DEPLOYMENT}?api-version=2021-04-01"

    def test_one_that_is_missing_is_none(self) -> None:
        client, _ = told(Told({"error": {"code": "DeploymentNotFound", "message": "?"}}, 404))

        assert client.get_deployment(GROUP, "restore-r-1").value is None

    def test_other_refusals_are_errors(self) -> None:
        client, _ = told(Told({"error": {"code": "AuthorizationFailed", "message": "?"}}, 403))

        with pytest.raises(TerminalError, match="AuthorizationFailed"):
            client.get_deployment(GROUP, "restore-r-1")

    def test_an_answer_that_is_no_object_is_transient(self) -> None:
        client, _ = told(Told([]))

        with pytest.raises(TransientError):
            client.get_deployment(GROUP, "restore-r-1")


class TestResources:
    @pytest.mark.parametrize(
        ("resource_id", "version"), [(VM, "2024-07-01"), (INTERFACE, "2024-05-01"), (ADDRESS.upper(), "2024-05-01")]
    )
    def test_each_is_read_with_the_version_of_its_provider(self, resource_id: str, version: str) -> None:
        client, session = told(Told({"tags": {"restore-id": "r-1"}, "properties": {"provisioningState": "Updating"}}))

        found = client.get_made_resource(resource_id).value

        assert found == MadeResource(is_changing=True, has_failed=False, restore_id="r-1")
        assert session.asked[0].url == f"https://management.azure.com{resource_id}?api-version={version}"

    def test_one_that_is_missing_is_none(self) -> None:
        client, _ = told(Told({"error": {"code": "ResourceNotFound", "message": "?"}}, 404))

        assert client.get_made_resource(INTERFACE).value is None


class TestInterfaces:
    CALL = PutNetworkInterface(restore_id="r-1", interface_id=INTERFACE, location="westeurope", subnet_id=SUBNET)

    def put(self, **changes: Any) -> Any:
        members = {name: getattr(self.CALL, name) for name in ("restore_id", "interface_id", "location", "subnet_id")}
        client, session = told(Told({}, 201))
        client.put_network_interface(PutNetworkInterface(**{**members, **changes}))
        assert (session.asked[0].method, session.asked[0].path) == ("PUT", INTERFACE)
        return body_of(session)

    def test_one_has_any_free_address_of_the_subnet(self) -> None:
        assert self.put() == {
            "location": "westeurope",
            "tags": {"restore-id": "r-1"},
            "properties": {
                "ipConfigurations": [
                    {
                        "name": "ipconfig1",
                        "properties": {
                            "primary": True,
                            "subnet": {"id": SUBNET},
                            "privateIPAllocationMethod": "Dynamic",
                        },
                    }
                ]
            },
        }

    def test_an_address_that_was_asked_for_is_static(self) -> None:
        (configuration,) = self.put(private_ip_address="10.0.0.9")["properties"]["ipConfigurations"]

        assert configuration["properties"]["privateIPAllocationMethod"] == "Static"
        assert configuration["properties"]["privateIPAddress"] == "10.0.0.9"

    def test_a_security_group_and_tags(self) -> None:
        group_id = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/closed"

        body = self.put(network_security_group_id=group_id, tags={"team": "web", "restore-id": "r-2"})

        assert body["properties"]["networkSecurityGroup"] == {"id": group_id}
        assert body["tags"] == {"team": "web", "restore-id": "r-1"}


class TestMachines:
    def put(self, **changes: Any) -> Any:
        client, session = told(Told({}, 201, {"Azure-AsyncOperation": OPERATION}))
        members = {name: getattr(MACHINE, name) for name in MACHINE.__slots__}
        accepted = client.put_virtual_machine(PutVirtualMachine(**{**members, **changes}))
        (asked,) = session.asked
        assert (asked.method, asked.path, asked.only_new) == ("PUT", VM, True)
        assert accepted.url == OPERATION
        return asked.body

    def test_one_is_made_of_disks_as_they_are(self) -> None:
        disks = (DiskPlace(lun=0, disk_id="/d0"), DiskPlace(lun=6, disk_id="/d6"))

        assert self.put(data_disks=disks) == {
            "location": "westeurope",
            "tags": {"restore-id": "r-1"},
            "properties": {
                "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
                "storageProfile": {
                    "osDisk": {
                        "osType": "Linux",
                        "createOption": "Attach",
                        "managedDisk": {"id": f"{COMPUTE}/disks/os"},
                    },
                    "dataDisks": [
                        {"lun": 0, "createOption": "Attach", "managedDisk": {"id": "/d0"}},
                        {"lun": 6, "createOption": "Attach", "managedDisk": {"id": "/d6"}},
                    ],
                },
                "networkProfile": {"networkInterfaces": [{"id": INTERFACE, "properties": {"primary": True}}]},
                "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
            },
        }

    def test_what_a_request_may_add(self) -> None:
        body = self.put(
            zone="2",
            license_type="Windows_Server",
            availability_set_id="/set",
            user_assigned_identity_ids=("/i1", "/i2"),
            tags={"team": "web", "restore-id": "r-2"},
        )

        assert body["zones"] == ["2"]
        assert body["properties"]["licenseType"] == "Windows_Server"
        assert body["properties"]["availabilitySet"] == {"id": "/set"}
        assert body["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {"/i1": {}, "/i2": {}}}
        assert body["tags"] == {"team": "web", "restore-id": "r-1"}

    @pytest.mark.parametrize(
        ("security_type", "uefi"),
        [("TrustedLaunch", {"uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True}}), ("ConfidentialVM", {})],
    )
    def test_the_security_type_is_that_of_the_disk(self, security_type: str, uefi: Any) -> None:
        body = self.put(security_type=security_type)

        assert body["properties"]["securityProfile"] == {"securityType": security_type, **uefi}


class TestDisks:
    def test_they_are_attached_where_azure_likes(self) -> None:
        client, session = told(Told(None, 202, {"Location": OPERATION}))

        accepted = client.attach_disks(VM, ("/d0", "/d1"))

        (asked,) = session.asked
        assert (asked.method, asked.path) == ("POST", f"{VM}/attachDetachDataDisks")
        assert asked.body == {"dataDisksToAttach": [{"diskId": "/d0"}, {"diskId": "/d1"}]}
        assert accepted.url == OPERATION

    @pytest.mark.parametrize("status", [202, 204])
    def test_one_is_deleted_and_may_be_gone(self, status: int) -> None:
        client, session = told(Told(None, status))

        client.delete_disk(f"{COMPUTE}/disks/d0")

        assert (session.asked[0].method, session.asked[0].path) == ("DELETE", f"{COMPUTE}/disks/d0")


class TestBlobs:
    def test_a_client_without_a_reader_reads_none(self) -> None:
        def answer(_: Asked) -> Told:
            raise AssertionError("nothing is asked of ARM")

        client, _ = scripted(answer)

        with pytest.raises(TerminalError, match="InternalError"):
            client.read_blob("stagingweu", "https://stagingweu.blob.core.windows.net/c/b")
