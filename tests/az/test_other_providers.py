from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.az.backup import WEB

if TYPE_CHECKING:
    from pathlib import Path

    from simulator.clock import ManualClock
    from simulator.server import Simulator
    from tests.az.backup import Backup
    from tests.az.cli import Az

WEB_01 = "--resource-group web-rg --name web-01"
TARGET = "--target-resource-group restored-rg"


class TestCompute:
    def test_the_vms_of_a_group_are_listed(self, az: Az) -> None:
        assert {"web-01", "web-02"} <= {vm["name"] for vm in az("vm list --resource-group web-rg")}

    def test_a_vm_is_deallocated_and_started(self, az: Az, clock: ManualClock) -> None:
        vm = "--resource-group load-rg --name load-060"

        az(f"vm deallocate {vm} --no-wait")
        clock.advance(300)
        stopped = _power_state(az, vm)
        az(f"vm start {vm} --no-wait")
        clock.advance(300)

        assert (stopped, _power_state(az, vm)) == ("PowerState/deallocated", "PowerState/running")

    def test_a_vm_is_deleted(self, az: Az, clock: ManualClock) -> None:
        vm = "--resource-group load-rg --name load-061"

        az(f"vm delete {vm} --yes --no-wait")
        clock.advance(300)

        assert az.fails(f"vm show {vm}").exit_code == 3

    def test_a_disk_that_a_restore_made_is_shown_and_deleted(self, az: Az, backup: Backup, clock: ManualClock) -> None:
        job = az.look_up(backup.command(WEB, TARGET))["name"]
        clock.advance(3600)
        disk = f"--resource-group restored-rg --name {backup.disks('restored-rg', job)[0]['name']}"

        assert az(f"disk show {disk}")["diskState"] == "Unattached"
        az(f"disk delete {disk} --yes --no-wait")
        clock.advance(300)
        assert backup.disks("restored-rg", job) == []


class TestNetwork:
    def test_a_network_is_shown_with_its_subnets(self, az: Az) -> None:
        network = az("network vnet show --resource-group restored-rg --name restored-vnet")

        assert "default" in [subnet["name"] for subnet in network["subnets"]]

    def test_the_interface_of_a_vm_is_shown(self, az: Az) -> None:
        vm = az.look_up(f"vm show {WEB_01}")

        interface = az(f"network nic show --ids {vm['networkProfile']['networkInterfaces'][0]['id']}")

        assert interface["virtualMachine"]["id"].lower() == vm["id"].lower()


class TestResources:
    def test_groups_are_listed(self, az: Az) -> None:
        assert {"web-rg", "backup-rg"} <= {group["name"] for group in az("group list")}

    def test_a_group_is_made_and_deleted(self, az: Az, clock: ManualClock) -> None:
        az("group create --name new-rg --location westeurope")
        made = az.look_up("group exists --name new-rg")
        az("group delete --name new-rg --yes --no-wait")
        clock.advance(600)

        assert (made, az.look_up("group exists --name new-rg")) == (True, False)

    def test_a_template_is_validated_and_deployed(self, az: Az, clock: ManualClock, tmp_path: Path) -> None:
        template = tmp_path / "template.json"
        template.write_text(json.dumps(_ADDRESS_TEMPLATE))

        az(f"deployment group validate --resource-group restored-rg --template-file {template} --name by-az")
        az(f"deployment group create --resource-group restored-rg --template-file {template} --name by-az --no-wait")
        clock.advance(600)

        deployment = az.look_up("deployment group show --resource-group restored-rg --name by-az")
        assert deployment["properties"]["provisioningState"] == "Succeeded"


class TestStorage:
    def test_the_accounts_of_a_group_are_listed(self, az: Az) -> None:
        accounts = az("storage account list --resource-group backup-rg")

        assert "stagingweu" in [account["name"] for account in accounts]

    def test_the_template_of_a_restore_is_downloaded_with_a_token(
        self, az: Az, backup: Backup, clock: ManualClock, simulator: Simulator, tmp_path: Path
    ) -> None:
        job = az.look_up(backup.command(WEB, ""))["name"]
        clock.advance(7200)
        _, container, blob = _template_address(backup, job)

        az(
            f"storage blob download --auth-mode login --blob-endpoint {simulator.url}/stagingweu"
            f" --container-name {container} --name {blob} --file {tmp_path / 'template.json'}"
        )

        assert "resources" in json.loads((tmp_path / "template.json").read_text())


_ADDRESS_TEMPLATE = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "resources": [
        {
            "type": "Microsoft.Network/publicIPAddresses",
            "apiVersion": "2024-05-01",
            "name": "address-by-az",
            "location": "westeurope",
            "sku": {"name": "Standard"},
            "properties": {"publicIPAllocationMethod": "Static"},
        }
    ],
}


def _power_state(az: Az, vm: str) -> str:
    view = az.look_up(f"vm get-instance-view {vm}")["instanceView"]
    return next(status["code"] for status in view["statuses"] if status["code"].startswith("PowerState/"))


def _template_address(backup: Backup, job: str) -> tuple[str, str, str]:
    """Return host, container and name of the template's blob."""
    bag = backup.job(WEB, job)["extendedInfo"]["propertyBag"]
    host, container, blob = bag["Create VM Template Blob Uri"].removeprefix("https://").split("/")
    return host, container, blob
