"""What azure-mgmt-resource-deployments reads from the simulator and writes to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.resource.deployments import DeploymentsMgmtClient, models
from azure.storage.blob import BlobServiceClient

from simulator.providers.network.interfaces import vm_of_interface
from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID, TARGET_GROUP, Caller, error_code
from tests.conformance.sdk import IdentityEndpoint, WaitlessTransport, sdk_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

GROUP = "restored-rg"
NETWORK = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
SECURITY_GROUP: dict[str, Any] = {
    "type": "Microsoft.Network/networkSecurityGroups",
    "apiVersion": "2023-09-01",
    "name": "[parameters('name')]",
    "location": "[resourceGroup().location]",
}
INTERFACE: dict[str, Any] = {
    "type": "microsoft.network/networkinterfaces",
    "apiVersion": "2023-09-01",
    "name": "[variables('interface')]",
    "location": "[resourceGroup().location]",
    "dependsOn": ["[resourceId('Microsoft.Network/networkSecurityGroups', parameters('name'))]"],
    "properties": {
        "networkSecurityGroup": {"id": "[resourceId('Microsoft.Network/networkSecurityGroups', parameters('name'))]"},
        "ipConfigurations": [
            {
                "name": "ipconfig1",
                "properties": {
                    "subnet": {
                        "id": (
                            "[resourceId('Microsoft.Network/virtualNetworks/subnets', 'restored-vnet', "
                            "parameters('subnet'))]"
                        )
                    }
                },
            }
        ],
    },
}


@pytest.fixture
def client(secure: Simulator, clock: ManualClock) -> Iterator[DeploymentsMgmtClient]:
    transport = WaitlessTransport(secure, clock)
    with sdk_client(DeploymentsMgmtClient, secure, SUBSCRIPTION_ID, transport=transport) as client:
        yield client


def a_template(**members: Any) -> dict[str, Any]:
    """Compose a template of a security group and an interface behind it, written in the other order."""
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "parameters": {"name": {"type": "string"}, "subnet": {"type": "String", "defaultValue": "default"}},
        "variables": {"interface": "[concat(parameters('Name'), '-nic')]"},
        "resources": [INTERFACE, SECURITY_GROUP],
        "outputs": {"interface": {"type": "string", "value": "[variables('interface')]"}},
        **members,
    }


def a_deployment(template: dict[str, Any] | None = None, **values: Any) -> models.Deployment:
    given = values or {"name": "nsg-a"}
    return models.Deployment(
        properties=models.DeploymentProperties(
            mode="Incremental",
            template=template or a_template(),
            parameters={name: models.DeploymentParameter(value=value) for name, value in given.items()},
        )
    )


def properties_of(deployment: models.DeploymentExtended) -> models.DeploymentPropertiesExtended:
    assert deployment.properties is not None
    return deployment.properties


def error_of(call: Callable[[], object]) -> tuple[int | None, str | None, str]:
    with pytest.raises(HttpResponseError) as caught:
        call()
    assert caught.value.error is not None
    return caught.value.status_code, caught.value.error.code, str(caught.value.error.message)


def state_of(client: DeploymentsMgmtClient, name: str) -> str | None:
    return properties_of(client.deployments.get(GROUP, name)).provisioning_state


def test_deployments_create_or_update_makes_the_resources_in_order(
    client: DeploymentsMgmtClient, secure: Simulator
) -> None:
    made = properties_of(client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment()).result())

    assert (made.provisioning_state, made.mode) == ("Succeeded", "Incremental")
    assert [each.id for each in made.output_resources or []] == [
        f"{NETWORK}/networkInterfaces/nsg-a-nic",
        f"{NETWORK}/networkSecurityGroups/nsg-a",
    ]
    assert made.outputs == {"interface": {"type": "String", "value": "nsg-a-nic"}}
    assert made.parameters == {
        "name": {"type": "String", "value": "nsg-a"},
        "subnet": {"type": "String", "value": "default"},
    }
    assert made.error is None
    interface = secure.world.store.get(f"{NETWORK}/networkInterfaces/nsg-a-nic")
    assert interface is not None
    assert interface["properties"]["provisioningState"] == "Succeeded"
    assert [
        (each.resource_name, [need.resource_name for need in each.depends_on or []]) for each in made.dependencies or []
    ] == [("nsg-a-nic", ["nsg-a"])]


def test_deployments_get_shows_how_it_goes(client: DeploymentsMgmtClient, clock: ManualClock) -> None:
    client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment(), polling=False)

    seen = [state_of(client, "D-1")]
    for _ in range(12):
        clock.advance(1)
        seen.append(state_of(client, "d-1"))

    assert list(dict.fromkeys(seen)) == ["Accepted", "Running", "Succeeded"]
    assert seen.count("Running") > 5


def test_deployment_operations_list_and_get(client: DeploymentsMgmtClient) -> None:
    client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment()).result()

    operations = list(client.deployment_operations.list(GROUP, "d-1"))

    facts: list[tuple[Any, ...]] = []
    for operation in operations:
        assert operation.properties is not None
        target = operation.properties.target_resource
        kind = operation.properties.provisioning_operation
        facts.append((kind, operation.properties.status_code, target and target.resource_name))
    assert facts == [
        ("Create", "Created", "nsg-a"),
        ("Create", "Created", "nsg-a-nic"),
        ("EvaluateDeploymentOutput", "OK", None),
    ]
    first = operations[0]
    assert client.deployment_operations.get(GROUP, "d-1", str(first.operation_id)).id == first.id
    with pytest.raises(ResourceNotFoundError):
        client.deployment_operations.get(GROUP, "d-1", "0")


def test_a_deployment_fails_with_the_error_of_its_resource(client: DeploymentsMgmtClient, secure: Simulator) -> None:
    poller = client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment(name="nsg-a", subnet="none"))

    status, code, _ = error_of(poller.result)

    assert (status, code) == (200, "DeploymentFailed")
    failed = properties_of(client.deployments.get(GROUP, "d-1"))
    assert failed.provisioning_state == "Failed"
    assert failed.output_resources is None
    assert failed.error is not None
    assert [each.code for each in failed.error.details or []] == ["InvalidResourceReference"]
    operations = [each.properties for each in client.deployment_operations.list(GROUP, "d-1")]
    assert [each and (each.provisioning_state, each.status_code) for each in operations] == [
        ("Succeeded", "Created"),
        ("Failed", "BadRequest"),
    ]
    assert operations[1] is not None
    assert operations[1].status_message is not None
    assert operations[1].status_message.error is not None
    assert operations[1].status_message.error.code == "InvalidResourceReference"
    assert secure.world.store.get(f"{NETWORK}/networkSecurityGroups/nsg-a")


def test_a_lock_at_a_resource_fails_its_deployment(client: DeploymentsMgmtClient, secure: Simulator) -> None:
    secure.world.set_lock(f"{NETWORK}/networkSecurityGroups/nsg-a", "ReadOnly")

    with pytest.raises(HttpResponseError, match="DeploymentFailed"):
        client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment()).result()

    error = properties_of(client.deployments.get(GROUP, "d-1")).error
    assert error is not None
    assert [detail.code for detail in error.details or []] == ["ScopeLocked"]


def test_a_deployment_starts_nothing_more_once_something_failed(
    client: DeploymentsMgmtClient, secure: Simulator
) -> None:
    lost = {**INTERFACE, "name": "nic-b", "dependsOn": []}  # names a security group that is not there yet
    asked = a_deployment(a_template(resources=[INTERFACE, SECURITY_GROUP, lost]))

    assert error_of(client.deployments.begin_create_or_update(GROUP, "d-1", asked).result)[1] == "DeploymentFailed"

    assert secure.world.store.get(f"{NETWORK}/networkSecurityGroups/nsg-a")
    assert secure.world.store.get(f"{NETWORK}/networkInterfaces/nsg-a-nic") is None
    states = [
        each.properties and each.properties.provisioning_state
        for each in client.deployment_operations.list(GROUP, "d-1")
    ]
    assert sorted(str(state) for state in states) == ["Failed", "Succeeded"]


def test_the_same_name_is_refused_while_it_runs_and_updated_afterwards(
    client: DeploymentsMgmtClient, secure: Simulator, clock: ManualClock
) -> None:
    client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment(), polling=False)
    status, code, _ = error_of(lambda: client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment()))
    assert (status, code) == (409, "DeploymentActive")

    clock.advance(60)
    again = client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment(NAME="nsg-b")).result()

    assert properties_of(again).provisioning_state == "Succeeded"
    assert [each.name for each in client.deployments.list_by_resource_group(GROUP)] == ["d-1"]
    statuses = [record.status for record in secure.requests if record.action == "put_deployment"]
    assert statuses == [201, 409, 200]
    assert len(list(client.deployment_operations.list(GROUP, "d-1"))) == 3


@pytest.mark.parametrize("name", ["n" * 65, "restore of web-01"])
def test_the_name_has_at_most_64_characters_and_no_blank(client: DeploymentsMgmtClient, name: str) -> None:
    """deployments.begin_create_or_update: names that say which restore they belong to are soon too long."""
    with pytest.raises(HttpResponseError, match="InvalidDeployment"):
        client.deployments.begin_create_or_update(GROUP, name, a_deployment())


def test_deployments_cancel_stops_what_has_not_begun(
    client: DeploymentsMgmtClient, secure: Simulator, clock: ManualClock
) -> None:
    client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment(), polling=False)
    clock.advance(1)
    assert state_of(client, "d-1") == "Running"

    client.deployments.cancel(GROUP, "d-1")

    clock.advance(60)
    assert state_of(client, "d-1") == "Canceled"
    assert secure.world.store.get(f"{NETWORK}/networkSecurityGroups/nsg-a")
    assert secure.world.store.get(f"{NETWORK}/networkInterfaces/nsg-a-nic") is None
    status, code, _ = error_of(lambda: client.deployments.cancel(GROUP, "d-1"))
    assert (status, code) == (409, "DeploymentCannotBeCancelled")
    again = client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment()).result()
    assert properties_of(again).provisioning_state == "Succeeded"


def test_deployments_delete_check_existence_and_list(client: DeploymentsMgmtClient, secure: Simulator) -> None:
    client.deployments.begin_create_or_update(GROUP, "d-1", a_deployment()).result()
    client.deployments.begin_create_or_update(GROUP, "d-2", a_deployment()).result()
    assert [each.name for each in client.deployments.list_by_resource_group(GROUP)] == ["d-2", "d-1"]
    assert client.deployments.check_existence(GROUP, "d-1") is True

    client.deployments.begin_delete(GROUP, "d-1").result()
    client.deployments.begin_delete(GROUP, "d-1").result()

    assert client.deployments.check_existence(GROUP, "d-1") is False
    assert [each.name for each in client.deployments.list_by_resource_group(GROUP)] == ["d-2"]
    assert secure.world.store.get(f"{NETWORK}/networkSecurityGroups/nsg-a")
    assert error_of(lambda: client.deployments.get(GROUP, "d-1"))[:2] == (404, "DeploymentNotFound")
    assert error_of(lambda: client.deployments.cancel(GROUP, "d-1"))[:2] == (404, "DeploymentNotFound")


def test_deployments_validate_names_what_would_be_made(client: DeploymentsMgmtClient, secure: Simulator) -> None:
    valid = client.deployments.begin_validate(GROUP, "d-1", a_deployment()).result()

    assert valid.properties is not None
    assert valid.properties.provisioning_state == "Succeeded"
    assert [each.id for each in valid.properties.validated_resources or []] == [
        f"{NETWORK}/networkSecurityGroups/nsg-a",
        f"{NETWORK}/networkInterfaces/nsg-a-nic",
    ]
    assert secure.world.store.get(f"{NETWORK}/networkSecurityGroups/nsg-a") is None
    assert client.deployments.check_existence(GROUP, "d-1") is False


@pytest.mark.parametrize(
    ("template", "values", "text"),
    [
        (a_template(), {"subnet": "default"}, "The value for the template parameter 'name' is not provided"),
        (a_template(), {"name": "a", "more": 1}, "The template parameters 'more' in the parameters file are not valid"),
        (a_template(), {"name": 7}, "Template parameter JToken type is not valid"),
        (
            a_template(parameters={"name": {"type": "string", "allowedValues": ["b"]}}, outputs={}),
            {"name": "a"},
            "The parameter value is not part of the allowed value(s): 'b'",
        ),
        (a_template(resources=[INTERFACE]), {"name": "a"}, "is not defined in the template"),
        (
            a_template(resources=[{**SECURITY_GROUP, "type": "Microsoft.Storage/storageAccounts"}]),
            {"name": "a"},
            "type",
        ),
        (a_template(resources=[{**SECURITY_GROUP, "copy": {"count": 2}}]), {"name": "a"}, "copy"),
        (a_template(resources=[SECURITY_GROUP, SECURITY_GROUP]), {"name": "a"}, "defined multiple times"),
        (
            a_template(resources=[{**SECURITY_GROUP, "dependsOn": ["[parameters('name')]"]}]),
            {"name": "a"},
            "Circular dependency detected",
        ),
        (
            a_template(outputs={"x": {"type": "string", "value": "[reference('a')]"}}),
            {"name": "a"},
            "'reference' is not",
        ),
        (a_template(variables={}), {"name": "a"}, "The template variable 'interface' is not found"),
        (a_template(variables={"interface": "[concat('a']"}), {"name": "a"}, "Unable to parse language expression"),
        ({"contentVersion": "1.0.0.0", "resources": []}, {}, "Required property '$schema' not found"),
    ],
)
def test_a_template_that_cannot_be_deployed_is_refused_with_its_reason(
    client: DeploymentsMgmtClient, template: dict[str, Any], values: dict[str, Any], text: str
) -> None:
    asked = a_deployment(template, **values)

    refused = (
        error_of(lambda: client.deployments.begin_create_or_update(GROUP, "d-1", asked)),
        error_of(lambda: client.deployments.begin_validate(GROUP, "d-1", asked)),
    )

    for status, code, message in refused:
        assert (status, code) == (400, "InvalidTemplate")
        assert text in message
    assert client.deployments.check_existence(GROUP, "d-1") is False


class TestRestoredVm:
    """The way from a restore of disks to a VM: the template that the job wrote, deployed as it is."""

    def values(self, vm: str) -> dict[str, str]:
        return {
            "virtualMachineName": vm,
            "virtualNetwork": "restored-vnet",
            "virtualNetworkResourceGroup": GROUP,
            "subnet": "default",
            "networkInterfacePrefixName": "nic-",
            "publicIpAddressName": f"{vm}-pip",
        }

    @pytest.fixture
    def template(self, secure: Simulator, clock: ManualClock) -> dict[str, Any]:
        caller = Caller(secure)
        with caller.session:
            job = caller.restored_job("swap-01", "swap-rg", targetResourceGroupId=TARGET_GROUP)
            clock.advance(120)
            address = caller.job(job)["extendedInfo"]["propertyBag"]["Create VM Template Blob Uri"]
        account, container, blob = address.removeprefix("https://").split("/")
        staging = f"{secure.url}/{account.partition('.')[0]}"
        blobs = BlobServiceClient(
            staging, IdentityEndpoint(secure), connection_verify=str(secure.certificate), retry_total=0
        )
        return json.loads(blobs.get_blob_client(container, blob).download_blob().readall())

    def test_the_template_of_a_job_makes_the_vm(
        self, client: DeploymentsMgmtClient, secure: Simulator, template: dict[str, Any]
    ) -> None:
        asked = a_deployment(template, **self.values("swap-01-r"))

        made = properties_of(client.deployments.begin_create_or_update(GROUP, "restore-1", asked).result())

        here = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
        vm_id = f"{here}/Microsoft.Compute/virtualMachines/swap-01-r"
        interface_id = f"{NETWORK}/networkInterfaces/nic-swap-01-r"
        assert [each.id for each in made.output_resources or []] == [
            vm_id,
            interface_id,
            f"{NETWORK}/publicIPAddresses/swap-01-r-pip",
        ]
        vm = secure.world.store.get(vm_id)
        assert vm is not None
        assert vm["properties"]["provisioningState"] == "Succeeded"
        with secure.world.lock:
            assert vm_of_interface(secure.world, interface_id) == vm_id

    def test_a_deployment_of_the_same_name_makes_nothing_new(
        self, client: DeploymentsMgmtClient, secure: Simulator, template: dict[str, Any]
    ) -> None:
        asked = a_deployment(template, **self.values("swap-01-r"))
        client.deployments.begin_create_or_update(GROUP, "restore-1", asked).result()
        there = {key for key, _ in secure.world.store.items() if "/operations/" not in key}

        again = properties_of(client.deployments.begin_create_or_update(GROUP, "restore-1", asked).result())

        assert again.provisioning_state == "Succeeded"
        assert {key for key, _ in secure.world.store.items() if "/operations/" not in key} == there

    def test_why_the_vm_failed_stands_two_levels_down(
        self, client: DeploymentsMgmtClient, secure: Simulator, template: dict[str, Any]
    ) -> None:
        failed = {"code": "ZonalAllocationFailed", "message": "No room.", "actions": ["put_vm"]}
        vm_id = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachines/swap-01-r"
        secure.world.set_faults(vm_id, {"computeFailed": failed})
        asked = a_deployment(template, **self.values("swap-01-r"))

        assert error_of(client.deployments.begin_create_or_update(GROUP, "d", asked).result)[1] == "DeploymentFailed"

        error = properties_of(client.deployments.get(GROUP, "d")).error
        assert error is not None
        (detail,) = error.details or []
        assert (detail.code, detail.target) == ("ResourceDeploymentFailure", vm_id)
        assert [(each.code, each.message) for each in detail.details or []] == [("ZonalAllocationFailed", "No room.")]

    @pytest.mark.parametrize("validates", [True, False])
    def test_what_the_caller_may_not_make_is_refused_before_anything_is_made(
        self, client: DeploymentsMgmtClient, secure: Simulator, template: dict[str, Any], *, validates: bool
    ) -> None:
        secure.world.deny(TARGET_GROUP, ["Microsoft.Compute/virtualMachines/write"])
        asked = a_deployment(template, **self.values("swap-01-r"))
        call = client.deployments.begin_validate if validates else client.deployments.begin_create_or_update

        status, code, message = error_of(lambda: call(GROUP, "d", asked))

        assert (status, code) == (403, "InvalidTemplateDeployment")
        assert "'Authorization failed for template resource 'swap-01-r' of type" in message
        assert secure.world.store.get(f"{NETWORK}/networkInterfaces/nic-swap-01-r") is None

    def test_a_network_that_may_not_be_joined_fails_the_deployment(
        self, client: DeploymentsMgmtClient, secure: Simulator, template: dict[str, Any]
    ) -> None:
        secure.world.deny(NETWORK, ["Microsoft.Network/virtualNetworks/subnets/join/action"])
        asked = a_deployment(template, **self.values("swap-01-r"))

        assert error_of(client.deployments.begin_create_or_update(GROUP, "d", asked).result)[1] == "DeploymentFailed"

        error = properties_of(client.deployments.get(GROUP, "d")).error
        assert error is not None
        assert [each.code for each in error.details or []] == ["LinkedAuthorizationFailed"]

    def test_disks_that_are_in_use_fail_the_deployment(
        self, client: DeploymentsMgmtClient, secure: Simulator, template: dict[str, Any]
    ) -> None:
        first, second = (a_deployment(template, **self.values(vm)) for vm in ("swap-01-r", "swap-01-s"))
        client.deployments.begin_create_or_update(GROUP, "restore-1", first).result()

        poller = client.deployments.begin_create_or_update(GROUP, "restore-2", second)

        assert error_of(poller.result)[1] == "DeploymentFailed"
        failed = properties_of(client.deployments.get(GROUP, "restore-2"))
        assert failed.error is not None
        assert [each.code for each in failed.error.details or []] == ["ConflictingUserInput"]
        assert secure.world.store.get(f"{NETWORK}/networkInterfaces/nic-swap-01-s")

    def test_a_vm_that_goes_with_its_group_while_it_is_made_troubles_nobody(
        self, client: DeploymentsMgmtClient, secure: Simulator, clock: ManualClock, template: dict[str, Any]
    ) -> None:
        asked = a_deployment(template, **self.values("swap-01-r"))
        client.deployments.begin_create_or_update(GROUP, "restore-1", asked, polling=False)
        clock.advance(8)
        assert state_of(client, "restore-1") == "Running"
        with secure.world.lock:
            secure.world.store.remove(f"{SUBSCRIPTION}/resourceGroups/{GROUP}")

        clock.advance(600)

        assert error_of(lambda: client.deployments.get(GROUP, "restore-1"))[1] == "ResourceGroupNotFound"


def test_a_template_with_comments_is_read_as_az_sends_it(arm: Caller) -> None:
    body = (
        '{"properties": {"parameters": {"name": {"value": "nsg-a"}}, "mode": "Incremental", template:{ // a comment\n'
        f'"$schema": "{SCHEMA}", "contentVersion": "1.0.0.0", /* another */ '
        '"parameters": {"name": {"type": "string"}},'
        '"resources": [{"type": "Microsoft.Network/networkSecurityGroups", "apiVersion": "2023-09-01", '
        '"name": "[parameters(\'name\')]", "location": "westeurope"}]}}}'
    )
    path = f"{SUBSCRIPTION}/resourcegroups/{GROUP}/providers/Microsoft.Resources/deployments/d-1"
    address = f"{arm.simulator.url}{path}?api-version=2025-04-01"
    headers = {"Content-Type": "application/json"}

    answer = arm.session.put(address, data=body, headers=headers, timeout=10)

    assert answer.status_code == 201, answer.text
    assert answer.json()["properties"]["parameters"] == {"name": {"type": "String", "value": "nsg-a"}}
    broken = arm.session.put(address.replace("d-1", "d-2"), data="{template:", headers=headers, timeout=10)
    assert (broken.status_code, error_code(broken)) == (400, "InvalidRequestContent")
