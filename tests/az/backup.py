"""What the shipped scenario holds, and what the cases about restores have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.az.cli import Az, Run

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
STORAGE_ACCOUNT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/stagingweu"
VAULT = "--resource-group backup-rg --vault-name vault-weu"
VM_KIND = "--backup-management-type AzureIaasVM --workload-type VM"


@dataclass(frozen=True, slots=True)
class Item:
    """A protected item by the name of its VM, and the options that name its vault."""

    vm: str
    vault: str = VAULT

    @property
    def options(self) -> str:
        """Name the item in the friendly way."""
        return f"{self.vault} --container-name {self.vm} --item-name {self.vm}"


WEB = Item("web-01")


@dataclass(frozen=True, slots=True)
class Backup:
    """Restores by az."""

    az: Az

    def points(self, item: Item) -> list[str]:
        """Return the names of an item's recovery points, newest first."""
        return self.az.look_up(f"backup recoverypoint list {item.options} {VM_KIND} --query [].name")

    def command(self, item: Item, options: str, point: int = 0) -> str:
        """Write a restore from an item's point with this number; 0 is the newest."""
        return (
            f"backup restore restore-disks {item.options} --rp-name {self.points(item)[point]}"
            f" --storage-account {STORAGE_ACCOUNT} {options}"
        )

    def restore(self, item: Item, options: str, point: int = 0) -> str:
        """Restore; return the job's name. az has answered with that job."""
        job = self.az(self.command(item, options, point))
        assert job["type"] == "Microsoft.RecoveryServices/vaults/backupJobs"
        return job["name"]

    def refusal(self, item: Item, options: str, point: int = 0) -> Run:
        """Try a restore that must fail."""
        return self.az.fails(self.command(item, options, point))

    def job(self, item: Item, name: str) -> dict[str, Any]:
        """Return the properties of a job."""
        return self.az.look_up(f"backup job show {item.vault} --name {name}")["properties"]

    def disks(self, group: str, job: str) -> list[dict[str, Any]]:
        """Return the managed disks that a job has made in a resource group."""
        command = f"disk list --resource-group {group} --query \"[?tags.RSVaultBackup=='{job}']\""
        return sorted(self.az.look_up(command), key=lambda disk: disk["name"])
