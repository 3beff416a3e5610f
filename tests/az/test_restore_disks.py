from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.az.backup import SUBSCRIPTION, WEB, Item

if TYPE_CHECKING:
    from simulator.clock import ManualClock
    from tests.az.backup import Backup
    from tests.az.cli import Az

RECOVERY = "44444444-4444-4444-4444-444444444444"
TARGET = "--target-resource-group restored-rg"
NEW_VM = "--target-vnet-name restored-vnet --target-vnet-resource-group restored-rg --target-subnet-name default"
SELECTIVE = Item("selective-01")
ZONAL = Item("zonal-01", "--resource-group rules-rg --vault-name vault-zrs")
IDENTITY = WEB
ENCRYPTED = ZONAL
ENCRYPTION_SET = f"{SUBSCRIPTION}/resourceGroups/keys-rg/providers/Microsoft.Compute/diskEncryptionSets/set-01"
HOUR_S, DAY_S = 3600, 86400


class TestDisks:
    def test_disks_are_written_to_the_storage_account(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(WEB, "")

        running = backup.job(WEB, name)
        clock.advance(2 * HOUR_S)
        ended = backup.job(WEB, name)

        assert (running["operation"], running["status"]) == ("Restore", "InProgress")
        assert (ended["status"], ended["extendedInfo"]["propertyBag"]["Job Type"]) == ("Completed", "Recover disks")
        assert ended["extendedInfo"]["propertyBag"]["Target Storage Account Name"] == "stagingweu"
        assert ended["extendedInfo"]["propertyBag"]["Config Blob Uri"].startswith("https://")
        assert "Target resource group" not in ended["extendedInfo"]["propertyBag"]

    def test_managed_disks_are_made_in_the_target_group(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(WEB, TARGET)

        clock.advance(HOUR_S)
        ended = backup.job(WEB, name)

        assert (ended["status"], ended["entityFriendlyName"]) == ("Completed", "web-01")
        assert ended["extendedInfo"]["propertyBag"]["Target resource group"] == "restored-rg"
        assert [disk["osType"] for disk in backup.disks("restored-rg", name)] == ["Windows"]

    def test_only_the_os_disk_is_restored(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(SELECTIVE, f"{TARGET} --restore-only-osdisk true")

        clock.advance(HOUR_S)

        assert backup.job(SELECTIVE, name)["status"] == "Completed"
        assert [disk["osType"] for disk in backup.disks("restored-rg", name)] == ["Windows"]

    def test_the_os_disk_and_the_listed_data_disks_are_restored(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(SELECTIVE, f"{TARGET} --diskslist 0 1")

        clock.advance(HOUR_S)

        assert backup.job(SELECTIVE, name)["status"] == "Completed"
        assert len(backup.disks("restored-rg", name)) == 3

    def test_an_item_without_selected_disks_takes_a_list_and_restores_all(
        self, backup: Backup, clock: ManualClock
    ) -> None:
        item = Item("disks-01")

        name = backup.restore(item, f"{TARGET} --restore-only-osdisk true")
        clock.advance(HOUR_S)

        assert backup.job(item, name)["status"] == "Completed"
        assert len(backup.disks("restored-rg", name)) == 3

    def test_a_vm_in_mixed_case_is_restored_by_its_friendly_name(self, backup: Backup, clock: ManualClock) -> None:
        mixed = Item("Mixed-Case-01")

        name = backup.restore(mixed, TARGET)
        clock.advance(HOUR_S)

        job = backup.job(mixed, name)
        assert (job["status"], job["entityFriendlyName"]) == ("Completed", "Mixed-Case-01")

    def test_a_vm_is_restored_by_its_native_names(self, backup: Backup, az: Az) -> None:
        native = "iaasvmcontainerv2;mixed-rg;mixed-case-01"
        command = backup.command(Item("Mixed-Case-01"), TARGET)
        command = command.replace("--container-name Mixed-Case-01", f"--container-name IaasVMContainer;{native}")

        job = az(command.replace("--item-name Mixed-Case-01", f"--item-name VM;{native}"))

        assert job["properties"]["status"] == "InProgress"

    def test_the_friendly_name_must_be_in_the_casing_of_the_vm(self, backup: Backup, az: Az) -> None:
        command = backup.command(Item("Mixed-Case-01"), TARGET)

        run = az.fails(command.replace("--item-name Mixed-Case-01", "--item-name mixed-case-01"))

        assert "Item not found" in run.errors


class TestInPlace:
    def test_the_disks_of_the_vm_are_replaced(self, backup: Backup, az: Az, clock: ManualClock) -> None:
        item = Item("load-001")
        os_disk = "vm show --resource-group load-rg --name load-001 --query storageProfile.osDisk.managedDisk.id"
        before = az.look_up(os_disk)

        name = backup.restore(item, "--restore-mode OriginalLocation")
        clock.advance(2 * HOUR_S)

        job = backup.job(item, name)
        assert (job["status"], job["extendedInfo"]["propertyBag"]["Job Type"]) == ("Completed", "Replace disks")
        assert job["extendedInfo"]["propertyBag"]["Target VM Name"] == "load-001"
        assert az.look_up(os_disk) != before


class TestNewVm:
    def test_a_vm_is_made_in_the_network(self, backup: Backup, az: Az, clock: ManualClock) -> None:
        name = backup.restore(WEB, f"{TARGET} --target-vm-name web-01-new {NEW_VM}")

        clock.advance(2 * HOUR_S)

        bag = backup.job(WEB, name)["extendedInfo"]["propertyBag"]
        assert (bag["Job Type"], bag["Target VM Name"]) == ("Recover VM to an alternate location", "web-01-new")
        vm = az.look_up("vm show --resource-group restored-rg --name web-01-new --show-details")
        assert (vm["location"], vm["powerState"]) == ("westeurope", "VM running")

    def test_a_subnet_that_is_not_there_is_refused_by_az(self, backup: Backup) -> None:
        options = NEW_VM.replace("--target-subnet-name default", "--target-subnet-name nothing")

        run = backup.refusal(WEB, f"{TARGET} --target-vm-name web-01-none {options}")

        assert "--target-subnet-name" in run.errors

    def test_a_network_that_is_not_there_is_an_error(self, backup: Backup) -> None:
        options = NEW_VM.replace("--target-vnet-name restored-vnet", "--target-vnet-name nothing")

        run = backup.refusal(WEB, f"{TARGET} --target-vm-name web-01-none {options}")

        assert "(ResourceNotFound)" in run.errors


class TestZone:
    def test_disks_are_made_in_a_zone(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(ZONAL, f"{TARGET} --target-zone 2")

        clock.advance(HOUR_S)

        assert backup.job(ZONAL, name)["status"] == "Completed"
        assert [disk["zones"] for disk in backup.disks("restored-rg", name)] == [["2"]]

    def test_a_vault_without_zones_is_refused_by_az(self, backup: Backup) -> None:
        run = backup.refusal(WEB, f"{TARGET} --target-zone 2")

        assert "ZoneRedundant" in run.errors


class TestArchive:
    @pytest.mark.parametrize(
        ("priority", "shortest_s"), [("High", HOUR_S / 2), ("Standard", 2 * HOUR_S)], ids=["High", "Standard"]
    )
    def test_an_archived_point_is_rehydrated_first(
        self, backup: Backup, clock: ManualClock, priority: str, shortest_s: float
    ) -> None:
        name = backup.restore(WEB, f"{TARGET} --rehydration-priority {priority} --rehydration-duration 12", point=4)

        clock.advance(shortest_s)
        rehydrating = backup.job(WEB, name)
        clock.advance(DAY_S)

        assert (rehydrating["status"], backup.job(WEB, name)["status"]) == ("InProgress", "Completed")

    def test_without_a_priority_az_refuses(self, backup: Backup) -> None:
        assert "archive tier" in backup.refusal(WEB, TARGET, point=4).errors


class TestIdentity:
    def test_the_vaults_system_assigned_identity_restores(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(IDENTITY, f"{TARGET} --mi-system-assigned")

        clock.advance(HOUR_S)

        assert backup.job(IDENTITY, name)["status"] == "Completed"

    def test_the_vaults_user_assigned_identity_restores(self, backup: Backup, clock: ManualClock) -> None:
        vault = backup.az.look_up(f"backup vault show {IDENTITY.vault.replace('--vault-name', '--name')}")
        identity = next(iter(vault["identity"]["userAssignedIdentities"]))

        name = backup.restore(IDENTITY, f"{TARGET} --mi-user-assigned {identity}")
        clock.advance(HOUR_S)

        assert backup.job(IDENTITY, name)["status"] == "Completed"

    def test_an_identity_that_the_vault_does_not_have_is_refused_by_az(self, backup: Backup) -> None:
        identity = (
            f"{SUBSCRIPTION}/resourceGroups/no-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/none"
        )

        run = backup.refusal(IDENTITY, f"{TARGET} --mi-user-assigned {identity}")

        assert "User MI" in run.errors


class TestEncryption:
    def test_the_disks_are_encrypted_with_a_set(self, backup: Backup, clock: ManualClock) -> None:
        name = backup.restore(ENCRYPTED, f"{TARGET} --disk-encryption-set-id {ENCRYPTION_SET}")

        clock.advance(HOUR_S)

        assert backup.job(ENCRYPTED, name)["status"] == "Completed"

    def test_a_vault_without_an_own_key_is_refused_by_az(self, backup: Backup) -> None:
        run = backup.refusal(WEB, f"{TARGET} --disk-encryption-set-id {ENCRYPTION_SET}")

        assert "disk_encryption_set_id" in run.errors


class TestOtherSubscription:
    def test_disks_are_made_in_another_subscription(self, backup: Backup, az: Az, clock: ManualClock) -> None:
        options = f"{TARGET} --target-subscription-id {RECOVERY}"
        command = (
            backup.command(WEB, options)
            .replace("/backup-rg/", "/recovery-rg/")
            .replace("stagingweu", "stagingrecovery")
        )

        name = az(command)["name"]
        clock.advance(HOUR_S)

        assert backup.job(WEB, name)["status"] == "Completed"
        query = f"\"[?tags.RSVaultBackup=='{name}'].id\""
        disks = az.look_up(f"disk list --subscription {RECOVERY} --resource-group restored-rg --query {query}")
        assert [disk.split("/")[2] for disk in disks] == [RECOVERY]

    def test_a_vault_that_forbids_it_is_refused_by_az(self, backup: Backup) -> None:
        locked = Item("locked-01", "--resource-group rules-rg --vault-name vault-locked")

        run = backup.refusal(locked, f"{TARGET} --target-subscription-id {RECOVERY}")

        assert "Cross Subscription Restore is not allowed" in run.errors


class TestRefusals:
    def test_the_services_refusal_is_shown(self, backup: Backup) -> None:
        run = backup.refusal(Item("encrypted-01"), "--restore-mode OriginalLocation")

        assert "(BMSUserErrorInvalidInput)" in run.errors

    def test_a_private_point_needs_the_access_of_its_disks(self, backup: Backup, clock: ManualClock) -> None:
        private = Item("private-01")

        run = backup.refusal(private, TARGET)
        name = backup.restore(private, f"{TARGET} --disk-access-option SameAsOnSourceDisks")

        assert "--disk-access-option" in run.errors
        clock.advance(HOUR_S)
        assert backup.job(private, name)["status"] == "Completed"

    def test_a_storage_account_that_is_not_there_is_an_error(self, backup: Backup, az: Az) -> None:
        command = backup.command(WEB, TARGET).replace("/stagingweu", "/stagingnone")

        assert "(ResourceNotFound)" in az.fails(command).errors
