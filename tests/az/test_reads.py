from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.az.backup import SUBSCRIPTION, VAULT, VM_KIND, WEB

if TYPE_CHECKING:
    from tests.az.cli import Az

GUARDED_VAULT = "--resource-group guarded-rg --vault-name vault-guarded"
NATIVE = "iaasvmcontainerv2;web-rg;web-01"
VAULT_ID = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-weu"

# The ways to name the container and the item of one VM.
NAMES = {
    "native": (f"IaasVMContainer;{NATIVE}", f"VM;{NATIVE}"),
    "native in mixed case": (f"IAASVMContainer;{NATIVE.upper()}", f"vm;{NATIVE.title()}"),
    "friendly": ("web-01", "web-01"),
    "friendly in mixed case": ("Web-01", "WEB-01"),
}
by_any_name = pytest.mark.parametrize(("container", "item"), NAMES.values(), ids=NAMES)


class TestVaults:
    def test_the_subscriptions_vaults_are_listed(self, az: Az) -> None:
        names = {vault["name"] for vault in az("backup vault list")}

        assert {"vault-weu", "vault-guarded", "vault-zrs", "vault-locked"} <= names

    def test_a_groups_vaults_are_listed(self, az: Az) -> None:
        vaults = az("backup vault list --resource-group rules-rg")

        assert {"vault-zrs", "vault-locked"} <= {vault["name"] for vault in vaults}
        assert {vault["resourceGroup"] for vault in vaults} == {"rules-rg"}

    def test_a_vault_is_shown(self, az: Az) -> None:
        vault = az("backup vault show --resource-group backup-rg --name vault-weu")

        assert vault["id"] == VAULT_ID
        assert vault["properties"]["provisioningState"] == "Succeeded"
        assert vault["properties"]["restoreSettings"]["crossSubscriptionRestoreSettings"] == {
            "crossSubscriptionRestoreState": "Enabled"
        }

    def test_a_vault_is_found_in_any_casing(self, az: Az) -> None:
        assert az("backup vault show --resource-group Backup-RG --name VAULT-weu")["location"] == "westeurope"

    def test_a_missing_vault_is_an_error(self, az: Az) -> None:
        run = az.fails("backup vault show --resource-group backup-rg --name vault-none")

        assert run.exit_code == 3
        assert "(ResourceNotFound)" in run.errors

    def test_a_vaults_redundancy_and_soft_delete_are_shown(self, az: Az) -> None:
        redundancy, protection = az("backup vault backup-properties show --resource-group backup-rg --name vault-weu")

        assert redundancy["properties"]["storageType"] == "GeoRedundant"
        assert protection["properties"]["softDeleteFeatureState"]

    def test_a_vaults_encryption_is_shown(self, az: Az) -> None:
        encryption = az("backup vault encryption show --resource-group backup-rg --name vault-weu")

        assert encryption["properties"]["encryptionAtRestType"] == "MicrosoftManaged"

    def test_a_vaults_resource_guard_is_shown(self, az: Az) -> None:
        mapping = az(f"backup vault resource-guard-mapping show {GUARDED_VAULT.replace('--vault-name', '--name')}")

        assert mapping["name"] == "VaultProxy"
        assert "/resourceGuards/guard-01" in mapping["properties"]["resourceGuardResourceId"]


class TestItems:
    def test_all_items_are_listed_over_many_pages(self, az: Az) -> None:
        items = az(f"backup item list {VAULT}")

        assert len({item["id"] for item in items}) == len(items) > 100

    def test_the_items_of_one_container_are_listed(self, az: Az) -> None:
        items = az(f"backup item list {VAULT} --container-name web-01 {VM_KIND}")

        assert [item["name"] for item in items] == [f"VM;{NATIVE}"]

    @by_any_name
    def test_an_item_is_shown(self, az: Az, container: str, item: str) -> None:
        shown = az(f"backup item show {VAULT} --container-name {container} --name {item} {VM_KIND}")

        assert shown["id"].startswith(VAULT_ID)
        assert shown["properties"]["sourceResourceId"].endswith(
            "/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines/web-01"
        )
        assert shown["properties"]["containerSubscriptionId"] in SUBSCRIPTION

    def test_the_friendly_name_keeps_the_casing_of_the_vm(self, az: Az) -> None:
        shown = az(f"backup item show {VAULT} --container-name mixed-case-01 --name mixed-case-01 {VM_KIND}")

        assert shown["properties"]["friendlyName"] == "Mixed-Case-01"
        assert shown["name"] == shown["name"].replace("Mixed-Case-01", "mixed-case-01")

    def test_a_missing_friendly_name_is_nothing_and_no_error(self, az: Az) -> None:
        assert az(f"backup item show {VAULT} --container-name nobody --name nobody {VM_KIND}") is None

    def test_a_missing_native_name_is_an_error(self, az: Az) -> None:
        native = "iaasvmcontainerv2;web-rg;nobody"

        run = az.fails(f"backup item show {VAULT} --container-name IaasVMContainer;{native} --name VM;{native}")

        assert (run.exit_code, "(BMSUserErrorDataSourceObjectNotFound)" in run.errors) == (3, True)

    def test_an_item_is_shown_as_a_table(self, az: Az) -> None:
        run = az.run(f"backup item show {VAULT} --container-name web-01 --name web-01 {VM_KIND} --output table")

        assert (run.exit_code, "web-01" in run.output) == (0, True), run.errors

    def test_items_are_listed_as_a_table(self, az: Az) -> None:
        run = az.run(f"backup item list {VAULT} --output table")

        assert (run.exit_code, run.output.count("iaasvmcontainerv2;load-rg;load-")) == (0, 200), run.errors

    def test_az_writes_no_table_while_an_item_has_no_recovery_point(self, az: Az) -> None:
        run = az.run("backup item list --resource-group rules-rg --vault-name vault-locked --output table")

        assert (run.exit_code, "Table output unavailable" in run.errors) == (1, True)


class TestRecoveryPoints:
    @by_any_name
    def test_points_are_listed_over_many_pages_newest_first(self, az: Az, container: str, item: str) -> None:
        points = az(f"backup recoverypoint list {VAULT} --container-name {container} --item-name {item} {VM_KIND}")

        times = [point["properties"]["recoveryPointTime"] for point in points]
        assert len(points) == 5
        assert times == sorted(times, reverse=True)
        assert [point["tierType"] for point in points] == [
            *["SnapshotAndVaultStandard"] * 3,
            "VaultStandard",
            "VaultArchive",
        ]

    def test_points_are_filtered_by_tier(self, az: Az) -> None:
        points = az(f"backup recoverypoint list {WEB.options} {VM_KIND} --tier VaultArchive")

        assert [point["tierType"] for point in points] == ["VaultArchive"]

    def test_points_outside_the_dates_are_left_out(self, az: Az) -> None:
        command = f"backup recoverypoint list {WEB.options} {VM_KIND}"

        assert az(f"{command} --start-date 01-01-2020 --end-date 31-01-2020") == []

    @by_any_name
    def test_a_point_is_shown(self, az: Az, container: str, item: str) -> None:
        where = f"{VAULT} --container-name {container} --item-name {item} {VM_KIND}"
        newest = az.look_up(f"backup recoverypoint list {where} --query [0].name")

        point = az(f"backup recoverypoint show {where} --name {newest}")

        assert point["name"] == newest
        assert point["properties"]["objectType"] == "IaasVMRecoveryPoint"
        assert point["properties"]["isManagedVirtualMachine"] is True

    def test_a_missing_point_is_an_error(self, az: Az) -> None:
        run = az.fails(
            f"backup recoverypoint show {VAULT} --container-name web-01 --item-name web-01 {VM_KIND} --name 1"
        )

        assert "(BMSUserErrorDataSourceObjectNotFound)" in run.errors


class TestContainers:
    def test_containers_are_listed(self, az: Az) -> None:
        containers = az(f"backup container list {VAULT} --backup-management-type AzureIaasVM")

        assert f"IaasVMContainer;{NATIVE}" in [container["name"] for container in containers]

    @pytest.mark.parametrize("name", [container for container, _ in NAMES.values()], ids=NAMES)
    def test_a_container_is_shown(self, az: Az, name: str) -> None:
        container = az(f"backup container show {VAULT} --name {name} --backup-management-type AzureIaasVM")

        assert container["name"] == f"IaasVMContainer;{NATIVE}"
        assert container["properties"]["friendlyName"] == "web-01"


class TestPolicies:
    def test_policies_are_listed(self, az: Az) -> None:
        assert "DefaultPolicy" in [policy["name"] for policy in az(f"backup policy list {VAULT}")]

    def test_the_policies_for_vms_are_listed(self, az: Az) -> None:
        policies = az(f"backup policy list {VAULT} {VM_KIND}")

        assert {policy["properties"]["backupManagementType"] for policy in policies} == {"AzureIaasVM"}

    def test_a_policy_is_shown(self, az: Az) -> None:
        policy = az(f"backup policy show {VAULT} --name defaultpolicy")

        assert policy["name"] == "DefaultPolicy"
        assert policy["properties"]["backupManagementType"] == "AzureIaasVM"

    def test_the_default_policy_for_vms_is_shown(self, az: Az) -> None:
        assert az(f"backup policy get-default-for-vm {VAULT}")["name"] == "DefaultPolicy"

    def test_the_items_of_a_policy_are_listed(self, az: Az) -> None:
        items = az(
            f"backup policy list-associated-items {VAULT} --name DefaultPolicy --backup-management-type AzureIaasVM"
        )

        assert f"VM;{NATIVE}" in [item["name"] for item in items]


class TestProtection:
    @pytest.mark.parametrize(
        "vm",
        [
            "--vm web-01 --resource-group web-rg",
            f"--vm-id {SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Compute/virtualMachines/web-01",
        ],
        ids=["by its name", "by its id"],
    )
    def test_a_protected_vm_names_its_vault(self, az: Az, vm: str) -> None:
        assert az(f"backup protection check-vm {vm}").lower() == VAULT_ID.lower()

    def test_an_unprotected_vm_names_none(self, az: Az) -> None:
        assert not az("backup protection check-vm --vm lonely-01 --resource-group web-rg")

    def test_a_missing_vm_is_an_error(self, az: Az) -> None:
        run = az.fails("backup protection check-vm --vm nobody --resource-group web-rg")

        assert "(ResourceNotFound)" in run.errors
