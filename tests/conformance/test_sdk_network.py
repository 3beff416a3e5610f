"""What azure-mgmt-network reads from the simulator and writes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.network import NetworkManagementClient, models

from simulator.providers.network.interfaces import add_interface
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID, Caller
from tests.conformance.sdk import WaitlessTransport, sdk_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

GROUP = "restored-rg"
NETWORK = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/virtualNetworks/restored-vnet"
SUBNET = f"{NETWORK}/subnets/default"


@pytest.fixture
def network(secure: Simulator, clock: ManualClock) -> Iterator[NetworkManagementClient]:
    transport = WaitlessTransport(secure, clock)
    with sdk_client(NetworkManagementClient, secure, SUBSCRIPTION_ID, transport=transport) as client:
        yield client


def an_interface(subnet: str = SUBNET, address: str | None = None, **members: Any) -> models.NetworkInterface:
    properties = models.NetworkInterfaceIPConfigurationPropertiesFormat(
        subnet=models.Subnet(id=subnet),
        private_ip_allocation_method="Static" if address else "Dynamic",
        private_ip_address=address,
    )
    configuration = models.NetworkInterfaceIPConfiguration(name="ipconfig1", properties=properties)
    return models.NetworkInterface(**{"location": "westeurope", "ip_configurations": [configuration], **members})


def made(network: NetworkManagementClient, name: str, interface: models.NetworkInterface) -> models.NetworkInterface:
    return network.network_interfaces.begin_create_or_update(GROUP, name, interface).result()


def address_of(interface: models.NetworkInterface) -> str | None:
    return (interface.ip_configurations or [])[0].private_ip_address


def error_of(call: Callable[[], object]) -> tuple[int | None, str | None]:
    with pytest.raises(HttpResponseError) as caught:
        call()
    assert caught.value.error is not None
    return caught.value.status_code, caught.value.error.code


def test_virtual_networks_get_has_the_subnets_of_the_scenario(network: NetworkManagementClient) -> None:
    found = network.virtual_networks.get(GROUP, "Restored-VNET")

    assert found.id == NETWORK
    assert found.provisioning_state == "Succeeded"
    assert found.address_space is not None
    assert found.address_space.address_prefixes == ["10.1.0.0/16"]
    assert [(subnet.name, subnet.id, subnet.address_prefix) for subnet in found.subnets or []] == [
        ("default", SUBNET, "10.1.0.0/20")
    ]


def test_virtual_networks_list_and_list_all(network: NetworkManagementClient) -> None:
    assert [each.name for each in network.virtual_networks.list(GROUP)] == ["restored-vnet"]
    everywhere = {each.id for each in network.virtual_networks.list_all()}
    assert {NETWORK, NETWORK.replace("restored-rg", "web-rg").replace("restored-vnet", "vnet-westeurope")} <= everywhere


def test_subnets_get_and_list(network: NetworkManagementClient) -> None:
    made(network, "nic-a", an_interface())

    subnet = network.subnets.get(GROUP, "restored-vnet", "Default")

    interface = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/networkInterfaces/nic-a"
    assert [each.id for each in subnet.ip_configurations or []] == [f"{interface}/ipConfigurations/ipconfig1"]
    assert [each.id for each in network.subnets.list(GROUP, "restored-vnet")] == [SUBNET]
    assert error_of(lambda: network.subnets.get(GROUP, "restored-vnet", "none")) == (404, "NotFound")
    assert error_of(lambda: network.subnets.get(GROUP, "none", "default")) == (404, "ResourceNotFound")


def test_each_vm_of_the_scenario_has_an_interface_of_its_own(network: NetworkManagementClient) -> None:
    interface = network.network_interfaces.get("web-rg", "web-01-nic")

    assert interface.provisioning_state == "Succeeded"
    assert address_of(interface) == "10.0.0.4"
    addresses = [address_of(each) for each in network.network_interfaces.list("web-rg")]
    assert len(set(addresses)) == len(addresses) > 4
    assert len(list(network.network_interfaces.list_all())) > 100
    with pytest.raises(ResourceNotFoundError):
        network.network_interfaces.get("web-rg", "gone-01-nic")


def test_an_interface_is_updated_and_deleted_in_time(network: NetworkManagementClient, clock: ManualClock) -> None:
    network.network_interfaces.begin_create_or_update(GROUP, "nic-a", an_interface(), polling=False)
    assert network.network_interfaces.get(GROUP, "nic-a").provisioning_state == "Updating"
    clock.advance(3)
    assert network.network_interfaces.get(GROUP, "nic-a").provisioning_state == "Succeeded"

    network.network_interfaces.begin_delete(GROUP, "nic-a", polling=False)
    assert network.network_interfaces.get(GROUP, "nic-a").provisioning_state == "Deleting"
    clock.advance(3)
    with pytest.raises(ResourceNotFoundError):
        network.network_interfaces.get(GROUP, "nic-a")


def test_a_deletion_outlasts_the_change_that_it_overtakes(network: NetworkManagementClient, clock: ManualClock) -> None:
    network.network_interfaces.begin_create_or_update(GROUP, "nic-a", an_interface(), polling=False)
    clock.advance(1)
    network.network_interfaces.begin_delete(GROUP, "nic-a", polling=False)

    clock.advance(2)

    assert network.network_interfaces.get(GROUP, "nic-a").provisioning_state == "Deleting"


def test_the_result_of_a_deletion_is_202_until_it_is_204(arm: Caller, clock: ManualClock) -> None:
    path = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/networkSecurityGroups/nsg-a"
    address, query = f"{arm.simulator.url}{path}", {"api-version": "2023-09-01"}
    arm.session.put(address, params=query, json={"location": "westeurope"}, timeout=10)

    deleted = arm.session.delete(address, params=query, timeout=10)

    assert (deleted.status_code, deleted.content) == (202, b"")
    result = deleted.headers["Location"]
    assert "/locations/westeurope/operationResults/" in result
    again = arm.get(result)
    assert (again.status_code, "Location" in again.headers, again.headers["Retry-After"]) == (202, True, "10")
    assert arm.get(deleted.headers["Azure-AsyncOperation"]).json() == {"status": "InProgress"}
    clock.advance(3)
    assert arm.get(result).status_code == 204
    assert arm.get(deleted.headers["Azure-AsyncOperation"]).json() == {"status": "Succeeded"}


def test_network_interfaces_create_gives_the_first_free_address(
    network: NetworkManagementClient, secure: Simulator
) -> None:
    interface = made(network, "nic-a", an_interface())

    assert interface.provisioning_state == "Succeeded"
    assert address_of(interface) == "10.1.0.4"
    assert interface.virtual_machine is None
    second = an_interface(tags={"drill": "d-1"})
    assert address_of(made(network, "nic-b", second)) == "10.1.0.5"
    statuses = [record.action for record in secure.requests if record.action == "get_network_operation"]
    assert len(statuses) >= 2


def test_network_interfaces_create_again_keeps_the_address_and_changes_the_etag(
    network: NetworkManagementClient,
) -> None:
    first = made(network, "nic-a", an_interface())
    made(network, "nic-b", an_interface())

    again = made(network, "nic-a", an_interface(tags={"a": "b"}))

    assert address_of(again) == address_of(first)
    assert (again.tags, again.resource_guid) == ({"a": "b"}, first.resource_guid)
    assert again.etag != first.etag


def test_network_interfaces_create_takes_a_static_address(network: NetworkManagementClient) -> None:
    assert address_of(made(network, "nic-a", an_interface(address="10.1.0.77"))) == "10.1.0.77"


@pytest.mark.parametrize(
    ("interface", "expected"),
    [
        (an_interface(address="10.1.0.4"), (400, "PrivateIPAddressIsAllocated")),
        (an_interface(address="10.1.16.4"), (400, "PrivateIPAddressNotInSubnet")),
        (an_interface(address="10.1.0.3"), (400, "PrivateIPAddressInReservedRange")),
        (an_interface(address="10.1.15.255"), (400, "PrivateIPAddressInReservedRange")),
        (an_interface(address="ten"), (400, "InvalidRequestFormat")),
        (an_interface(subnet=f"{NETWORK}/subnets/none"), (400, "InvalidResourceReference")),
        (an_interface(subnet=SUBNET.replace("restored-vnet", "none")), (400, "InvalidResourceReference")),
        (an_interface(location="northeurope"), (400, "InvalidResourceReference")),
        (an_interface(location=None), (400, "LocationRequired")),
        (an_interface(ip_configurations=[]), (400, "InvalidRequestFormat")),
        (
            an_interface(network_security_group=models.NetworkSecurityGroup(id=f"{NETWORK}-nsg")),
            (400, "InvalidResourceReference"),
        ),
    ],
)
def test_network_interfaces_create_refuses(
    network: NetworkManagementClient, interface: models.NetworkInterface, expected: tuple[int, str]
) -> None:
    made(network, "nic-a", an_interface())

    assert error_of(lambda: network.network_interfaces.begin_create_or_update(GROUP, "nic-b", interface)) == expected
    with pytest.raises(ResourceNotFoundError):
        network.network_interfaces.get(GROUP, "nic-b")


def test_a_group_that_is_not_there_is_refused_and_a_second_region(network: NetworkManagementClient) -> None:
    made(network, "nic-a", an_interface())

    def create(group: str, interface: models.NetworkInterface) -> None:
        network.network_interfaces.begin_create_or_update(group, "nic-a", interface)

    assert error_of(lambda: create("no-rg", an_interface())) == (404, "ResourceGroupNotFound")
    assert error_of(lambda: create(GROUP, an_interface(location="northeurope"))) == (409, "InvalidResourceLocation")
    assert error_of(lambda: list(network.network_interfaces.list("no-rg"))) == (404, "ResourceGroupNotFound")


def test_a_full_subnet_has_no_address_left(clock: ManualClock) -> None:
    small = {"name": "small", "resourceGroup": GROUP, "location": "westeurope", "addressPrefix": "10.9.0.0/25"}
    scenario = Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION_ID,
            "vaults": [{"name": "v", "resourceGroup": "b", "region": "westeurope"}],
            "virtualNetworks": [
                {**small, "subnets": [{"name": "tiny"}, {"name": "own", "addressPrefix": "10.9.0.64/29"}]}
            ],
        }
    )
    with (
        running(scenario, clock=clock, tls=True) as simulator,
        WaitlessTransport(simulator, clock) as transport,
        sdk_client(NetworkManagementClient, simulator, SUBSCRIPTION_ID, transport=transport) as network,
    ):
        subnets = [(each.name, each.address_prefix) for each in network.subnets.list(GROUP, "small")]
        assert subnets == [("tiny", "10.9.0.0/29"), ("own", "10.9.0.64/29")]
        tiny = NETWORK.replace("restored-vnet", "small/subnets/tiny")
        for number in range(3):
            made(network, f"nic-{number}", an_interface(tiny))
        assert error_of(lambda: made(network, "nic-3", an_interface(tiny))) == (400, "SubnetIsFull")


def test_what_an_interface_names_must_be_ready(network: NetworkManagementClient, clock: ManualClock) -> None:
    asked = models.NetworkSecurityGroup(location="westeurope")
    group_id = NETWORK.replace("virtualNetworks/restored-vnet", "networkSecurityGroups/nsg-a")
    interface = an_interface(network_security_group=models.NetworkSecurityGroup(id=group_id))
    network.network_security_groups.begin_create_or_update(GROUP, "nsg-a", asked, polling=False)

    assert error_of(lambda: made(network, "nic-a", interface)) == (429, "RetryableError")

    clock.advance(3)
    assert made(network, "nic-a", interface).provisioning_state == "Succeeded"


def test_network_interfaces_update_tags(network: NetworkManagementClient) -> None:
    made(network, "nic-a", an_interface(tags={"old": "1"}))

    assert network.network_interfaces.update_tags(GROUP, "nic-a", models.TagsObject(tags={"new": "2"})).tags == {
        "new": "2"
    }
    assert network.network_interfaces.get(GROUP, "nic-a").tags == {"new": "2"}
    with pytest.raises(ResourceNotFoundError):
        network.network_interfaces.update_tags(GROUP, "nic-b", models.TagsObject(tags={}))


def test_network_interfaces_delete_frees_the_address(network: NetworkManagementClient) -> None:
    made(network, "nic-a", an_interface())

    network.network_interfaces.begin_delete(GROUP, "nic-a").result()

    with pytest.raises(ResourceNotFoundError):
        network.network_interfaces.get(GROUP, "nic-a")
    network.network_interfaces.begin_delete(GROUP, "nic-a").result()
    assert address_of(made(network, "nic-b", an_interface())) == "10.1.0.4"


def test_an_interface_that_a_vm_holds_names_it_and_cannot_be_deleted(
    network: NetworkManagementClient, secure: Simulator
) -> None:
    interface = made(network, "nic-a", an_interface())
    vm_id = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachines/vm-a"
    profile = {"networkInterfaces": [{"id": str(interface.id).upper()}]}
    vm = {"id": vm_id, "type": "Microsoft.Compute/virtualMachines", "properties": {"networkProfile": profile}}
    secure.world.store.put(vm)

    held = network.network_interfaces.get(GROUP, "nic-a")

    assert held.virtual_machine is not None
    assert (held.virtual_machine.id, held.primary) == (vm_id, True)
    assert str(held.mac_address).startswith("00-0D-3A-")
    assert error_of(lambda: network.network_interfaces.begin_delete(GROUP, "nic-a")) == (400, "NicInUse")


def test_the_interface_of_a_restored_vm_is_there_at_once(network: NetworkManagementClient, secure: Simulator) -> None:
    group = f"{SUBSCRIPTION}/resourceGroups/{GROUP}"
    with secure.world.lock:
        first, second = (
            add_interface(secure.world, group_id=group, location="westeurope", vm_name="vm-r", subnet_id=subnet)
            for subnet in (SUBNET, f"{NETWORK}-elsewhere/subnets/x")
        )

    found = {each.id: each for each in network.network_interfaces.list(GROUP)}

    assert {first, second} == set(found)
    assert str(found[first].name).startswith("vm-r-nic-")
    assert (address_of(found[first]), found[first].provisioning_state) == ("10.1.0.4", "Succeeded")


def test_network_security_groups_create_get_list_update_tags_and_delete(network: NetworkManagementClient) -> None:
    asked = models.NetworkSecurityGroup(location="westeurope")
    group = network.network_security_groups.begin_create_or_update(GROUP, "nsg-a", asked).result()
    made(network, "nic-a", an_interface(network_security_group=models.NetworkSecurityGroup(id=group.id)))

    assert group.provisioning_state == "Succeeded"
    assert network.network_security_groups.get(GROUP, "nsg-a").id == group.id
    assert [each.id for each in network.network_security_groups.list(GROUP)] == [group.id]
    assert [each.id for each in network.network_security_groups.list_all()] == [group.id]
    tagged = network.network_security_groups.update_tags(GROUP, "nsg-a", models.TagsObject(tags={"a": "b"}))
    assert tagged.tags == {"a": "b"}
    in_use = (400, "InUseNetworkSecurityGroupCannotBeDeleted")
    assert error_of(lambda: network.network_security_groups.begin_delete(GROUP, "nsg-a")) == in_use
    network.network_interfaces.begin_delete(GROUP, "nic-a").result()
    network.network_security_groups.begin_delete(GROUP, "nsg-a").result()
    assert list(network.network_security_groups.list(GROUP)) == []


def test_public_ip_addresses_create_get_list_update_tags_and_delete(network: NetworkManagementClient) -> None:
    asked = models.PublicIPAddress(location="westeurope", sku=models.PublicIPAddressSku(name="Standard"))
    address = network.public_ip_addresses.begin_create_or_update(GROUP, "pip-a", asked).result()
    interface = an_interface()
    (interface.ip_configurations or [])[0].public_ip_address = models.PublicIPAddress(id=address.id)
    made(network, "nic-a", interface)

    assert str(address.ip_address).startswith("203.0.113.")
    assert [each.id for each in network.public_ip_addresses.list(GROUP)] == [address.id]
    assert [each.id for each in network.public_ip_addresses.list_all()] == [address.id]
    tagged = network.public_ip_addresses.update_tags(GROUP, "pip-a", models.TagsObject(tags={"a": "b"}))
    assert (tagged.tags, tagged.ip_address) == ({"a": "b"}, address.ip_address)
    assert error_of(lambda: made(network, "nic-b", interface)) == (400, "PublicIPAddressInUse")
    in_use = (400, "PublicIPAddressCannotBeDeleted")
    assert error_of(lambda: network.public_ip_addresses.begin_delete(GROUP, "pip-a")) == in_use
    network.network_interfaces.begin_delete(GROUP, "nic-a").result()
    network.public_ip_addresses.begin_delete(GROUP, "pip-a").result()
    with pytest.raises(ResourceNotFoundError):
        network.public_ip_addresses.get(GROUP, "pip-a")


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("networkInterfaces/n", {"tags": "x"}),
        ("publicIPAddresses/p", {"tags": {"a": {"b": "c"}}}),
        ("publicIPAddresses/p", {"sku": "Standard"}),
        ("networkSecurityGroups/g", {"properties": []}),
        ("", {"tags": ["x"]}),
    ],
)
def test_members_that_are_no_objects_are_refused(secure: Simulator, path: str, members: dict[str, Any]) -> None:
    """Raw, as the SDK would not send them."""
    group = f"{secure.url}{SUBSCRIPTION}/resourceGroups/{GROUP}"
    place = f"/providers/Microsoft.Network/{path}?api-version=2024-05-01" if path else "?api-version=2021-04-01"
    caller = Caller(secure)
    with caller.session:
        answer = caller.session.put(f"{group}{place}", json={"location": "westeurope", **members}, timeout=10)

    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (400, "application/json")
