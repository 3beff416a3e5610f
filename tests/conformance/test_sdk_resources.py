"""What azure-mgmt-resource reads from the simulator and writes to it: groups, lists of resources, tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.resource.resources import ResourceManagementClient, models

from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID
from tests.conformance.sdk import WaitlessTransport, sdk_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

INTERFACES = "Microsoft.Network/networkInterfaces"


@pytest.fixture
def resources(secure: Simulator, clock: ManualClock) -> Iterator[ResourceManagementClient]:
    transport = WaitlessTransport(secure, clock)
    with sdk_client(ResourceManagementClient, secure, SUBSCRIPTION_ID, transport=transport) as client:
        yield client


def error_of(call: Callable[[], object]) -> tuple[int | None, str | None]:
    with pytest.raises(HttpResponseError) as caught:
        call()
    assert caught.value.error is not None
    return caught.value.status_code, caught.value.error.code


def add_interface(simulator: Simulator, group: str, name: str, tags: dict[str, str]) -> str:
    interface_id = f"{SUBSCRIPTION}/resourceGroups/{group}/providers/{INTERFACES}/{name}"
    body = {"id": interface_id, "name": name, "type": INTERFACES, "location": "westeurope", "tags": tags}
    simulator.world.store.put({**body, "properties": {"ipConfigurations": []}})
    return interface_id


def test_resource_groups_get_check_existence_and_list(resources: ResourceManagementClient) -> None:
    group = resources.resource_groups.get("WEB-rg")

    assert (group.id, group.location) == (f"{SUBSCRIPTION}/resourceGroups/web-rg", "westeurope")
    assert resources.resource_groups.check_existence("web-rg") is True
    assert resources.resource_groups.check_existence("no-rg") is False
    assert {"web-rg", "backup-rg", "security-rg"} <= {each.name for each in resources.resource_groups.list()}
    assert error_of(lambda: resources.resource_groups.get("no-rg")) == (404, "ResourceGroupNotFound")


def test_resource_groups_create_or_update_update_and_list_by_tag(
    resources: ResourceManagementClient, secure: Simulator
) -> None:
    asked = models.ResourceGroup(location="northeurope", tags={"restore-drill": "d-1"})
    created = resources.resource_groups.create_or_update("drill-rg", asked)

    assert created.properties is not None
    assert (created.location, created.properties.provisioning_state) == ("northeurope", "Succeeded")
    assert resources.resource_groups.create_or_update("Drill-RG", asked).name == "drill-rg"
    statuses = [record.status for record in secure.requests if record.action == "put_resource_group"]
    assert statuses == [201, 200]
    by_tag = resources.resource_groups.list(filter="tagName eq 'restore-drill' and tagValue eq 'd-1'")
    assert [each.name for each in by_tag] == ["drill-rg"]
    patch = models.ResourceGroupPatchable(tags={"expires": "soon"})
    assert resources.resource_groups.update("drill-rg", patch).tags == {"expires": "soon"}
    assert list(resources.resource_groups.list(filter="tagName eq 'restore-drill'")) == []


def test_a_resource_group_stays_in_its_region_and_has_a_proper_name(resources: ResourceManagementClient) -> None:
    def create(name: str, location: str) -> None:
        resources.resource_groups.create_or_update(name, models.ResourceGroup(location=location))

    assert error_of(lambda: create("web-rg", "northeurope")) == (409, "InvalidResourceGroupLocation")
    assert error_of(lambda: create("web-rg", "")) == (400, "LocationRequired")
    assert error_of(lambda: create("web rg", "westeurope")) == (400, "InvalidResourceGroup")


def test_resource_groups_delete_takes_everything_along(
    resources: ResourceManagementClient, secure: Simulator, clock: ManualClock
) -> None:
    resources.resource_groups.create_or_update("drill-rg", models.ResourceGroup(location="westeurope"))
    interface_id = add_interface(secure, "drill-rg", "nic-a", {})
    started = clock.now()

    poller = resources.resource_groups.begin_delete(
        "drill-rg", force_deletion_types="Microsoft.Compute/virtualMachines"
    )
    poller.result()

    assert (clock.now() - started).total_seconds() == 60
    assert resources.resource_groups.check_existence("drill-rg") is False
    assert secure.world.store.get(interface_id) is None
    assert error_of(lambda: resources.resource_groups.begin_delete("drill-rg")) == (404, "ResourceGroupNotFound")


def test_a_resource_group_that_is_being_deleted_takes_no_changes(
    resources: ResourceManagementClient, clock: ManualClock
) -> None:
    resources.resource_groups.create_or_update("drill-rg", models.ResourceGroup(location="westeurope"))
    resources.resource_groups.begin_delete("drill-rg", polling=False)

    properties = resources.resource_groups.get("drill-rg").properties
    assert properties is not None
    assert properties.provisioning_state == "Deleting"
    again = models.ResourceGroup(location="westeurope")
    refused = error_of(lambda: resources.resource_groups.create_or_update("drill-rg", again))
    assert refused == (409, "ResourceGroupBeingDeleted")
    nsg = f"{SUBSCRIPTION}/resourceGroups/drill-rg/providers/Microsoft.Network/networkSecurityGroups/nsg-a"
    asked = models.GenericResource(location="westeurope")

    def create() -> None:
        resources.resources.begin_create_or_update_by_id(nsg, asked, api_version="2023-09-01")

    assert error_of(create) == (409, "ResourceGroupBeingDeleted")
    clock.advance(60)
    assert resources.resource_groups.create_or_update("drill-rg", again).name == "drill-rg"


def test_a_group_with_a_vault_or_with_an_interface_in_use_elsewhere_stays(
    resources: ResourceManagementClient, secure: Simulator
) -> None:
    resources.resource_groups.create_or_update("drill-rg", models.ResourceGroup(location="westeurope"))
    interface_id = add_interface(secure, "drill-rg", "nic-a", {})
    profile = {"networkProfile": {"networkInterfaces": [{"id": interface_id}]}}
    vm_id = f"{SUBSCRIPTION}/resourceGroups/vm-rg/providers/Microsoft.Compute/virtualMachines/vm-a"
    secure.world.store.put({"id": vm_id, "type": "Microsoft.Compute/virtualMachines", "properties": profile})

    for group in ("backup-rg", "drill-rg"):
        poller = resources.resource_groups.begin_delete(group)
        with pytest.raises(HttpResponseError) as caught:
            poller.result()
        assert caught.value.error is not None
        assert caught.value.error.code == "ResourceGroupDeletionBlocked"
        properties = resources.resource_groups.get(group).properties
        assert properties is not None
        assert properties.provisioning_state == "Succeeded"
    assert secure.world.store.get(interface_id)


def test_resources_list_by_type_and_by_tag(resources: ResourceManagementClient, secure: Simulator) -> None:
    made = add_interface(secure, "restored-rg", "nic-a", {"RSVaultBackup": "job-1"})
    add_interface(secure, "restored-rg", "nic-b", {"RSVaultBackup": "job-2"})

    by_tag = list(resources.resources.list(filter="tagName eq 'rsvaultbackup' and tagValue eq 'job-1'"))
    by_type = list(
        resources.resources.list(filter=f"resourceType eq '{INTERFACES}' and resourceGroup eq 'restored-rg'")
    )

    assert [(each.id, each.tags) for each in by_tag] == [(made, None)]
    assert [(each.name, each.tags) for each in by_type] == [
        ("nic-a", {"RSVaultBackup": "job-1"}),
        ("nic-b", {"RSVaultBackup": "job-2"}),
    ]
    everything = {each.type for each in resources.resources.list()}
    assert {"Microsoft.RecoveryServices/vaults", "Microsoft.Compute/virtualMachines", INTERFACES} <= everything
    assert all("Microsoft.Resources" not in str(each) for each in everything)


def test_resources_list_by_resource_group(resources: ResourceManagementClient, secure: Simulator) -> None:
    add_interface(secure, "restored-rg", "nic-a", {"RSVaultBackup": "job-1"})
    deployment = f"{SUBSCRIPTION}/resourceGroups/restored-rg/providers/Microsoft.Resources/deployments/d-1"
    secure.world.store.put({"id": deployment, "name": "d-1", "type": "Microsoft.Resources/deployments"})

    names = [each.name for each in resources.resources.list_by_resource_group("restored-rg")]

    assert names == ["restored-vnet", "nic-a"]
    tagged = resources.resources.list_by_resource_group("restored-rg", filter="tagName eq 'RSVaultBackup'")
    assert [each.name for each in tagged] == ["nic-a"]
    missing = error_of(lambda: list(resources.resources.list_by_resource_group("no-rg")))
    assert missing == (404, "ResourceGroupNotFound")


@pytest.mark.parametrize("text", ["plan eq 'x'", "tagValue eq 'x'", "tagName eq 'a' and name eq 'b'", "name like 'x'"])
def test_resources_list_refuses_other_filters(resources: ResourceManagementClient, text: str) -> None:
    assert error_of(lambda: list(resources.resources.list(filter=text))) == (400, "InvalidFilterInQueryString")


def test_tags_get_update_and_create_or_update_at_scope(resources: ResourceManagementClient) -> None:
    scope = f"{SUBSCRIPTION}/resourceGroups/web-rg/providers/{INTERFACES}/web-01-nic".lstrip("/")

    def tags_after(operation: str, tags: dict[str, str]) -> dict[str, str] | None:
        patch = models.TagsPatchResource(operation=operation, properties=models.Tags(tags=tags))
        return resources.tags.begin_update_at_scope(scope, patch).result().properties.tags

    assert tags_after("Replace", {"old": "1", "kept": "2"}) == {"old": "1", "kept": "2"}
    assert resources.tags.get_at_scope(scope).properties.tags == {"old": "1", "kept": "2"}
    assert tags_after("Merge", {"old": "new", "more": "3"}) == {"old": "new", "kept": "2", "more": "3"}
    assert tags_after("Delete", {"old": "new", "kept": "other"}) == {"kept": "2", "more": "3"}
    asked = models.TagsResource(properties=models.Tags(tags={"put": "1"}))
    assert resources.tags.begin_create_or_update_at_scope(scope, asked).result().properties.tags == {"put": "1"}
    assert resources.resources.get_by_id(f"/{scope}", api_version="2023-09-01").tags == {"put": "1"}
    assert error_of(lambda: tags_after("Blend", {})) == (400, "InvalidRequestContent")
    with pytest.raises(ResourceNotFoundError):
        resources.tags.get_at_scope(f"{scope}-none")


def test_the_tags_of_a_resource_group(resources: ResourceManagementClient) -> None:
    patch = models.TagsPatchResource(operation="Merge", properties=models.Tags(tags={"a": "b"}))

    resources.tags.begin_update_at_scope(f"{SUBSCRIPTION}/resourceGroups/web-rg".lstrip("/"), patch).result()

    assert resources.resource_groups.get("web-rg").tags == {"a": "b"}
