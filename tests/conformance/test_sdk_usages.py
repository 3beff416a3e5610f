"""Quotas, as azure-mgmt-compute and azure-mgmt-network see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient

from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import SUBSCRIPTION_ID
from tests.conformance.sdk import sdk_client

if TYPE_CHECKING:
    from simulator.clock import ManualClock


def a_scenario() -> Scenario:
    vm = {"name": "web", "resourceGroup": "web-rg"}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION_ID,
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "vms": [
                {**vm, "location": "westeurope", "count": 3},
                {**vm, "name": "big", "location": "westeurope", "vmSize": "Standard_E4s_v5"},
                {**vm, "name": "far", "location": "northeurope"},
            ],
            "settings": {"coresPerRegion": 100},
        }
    )


def used(usages: Any) -> dict[str, tuple[int, int]]:
    return {usage.name.value: (usage.current_value, usage.limit) for usage in usages}


def test_cores_and_virtual_machines_of_a_region(clock: ManualClock) -> None:
    with (
        running(a_scenario(), clock=clock, tls=True) as simulator,
        sdk_client(ComputeManagementClient, simulator, SUBSCRIPTION_ID) as client,
    ):
        assert used(client.usage.list("westeurope")) == {
            "cores": (10, 100),
            "virtualMachines": (4, 25_000),
            "standardDSv5Family": (6, 100),
            "standardESv5Family": (4, 100),
        }


def test_network_resources_of_a_region(clock: ManualClock) -> None:
    with (
        running(a_scenario(), clock=clock, tls=True) as simulator,
        sdk_client(NetworkManagementClient, simulator, SUBSCRIPTION_ID) as client,
    ):
        assert used(client.usages.list("northeurope"))["NetworkInterfaces"] == (1, 65_536)
        assert used(client.usages.list("westeurope"))["NetworkInterfaces"] == (4, 65_536)
