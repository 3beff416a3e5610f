"""Several vaults and Resource Graph behind the activities' protocol: what the start of a recovery sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from domain.answers import Answer
from domain.azure.resource_graph import GraphPage
from tests.support.azure import SUBSCRIPTION, ScriptedAzure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.azure.jobs import Job
    from domain.errors import Json

FLEET_VAULT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-1"
SECOND_VAULT = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-2"


def fleet_vm(name: str, group: str = "fleet-rg") -> str:
    """Return the id of a VM of the fleet."""
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def item_of(vm_id: str, vault_id: str = FLEET_VAULT, **properties: Any) -> Json:
    """Return the item of a VM as its vault lists it."""
    segments = vm_id.split("/")
    names = f"iaasvmcontainerv2;{segments[4]};{segments[-1]}".lower()
    container = f"{vault_id}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{names}"
    return {"id": f"{container}/protectedItems/VM;{names}", "properties": {"sourceResourceId": vm_id, **properties}}


@dataclass(slots=True)
class ScriptedFleet(ScriptedAzure):
    """Vaults with their items and jobs, and what Resource Graph shows: by default all items, without tags."""

    items: dict[str, list[Json]] = field(default_factory=dict)
    past_jobs: dict[str, list[Job]] = field(default_factory=dict)
    listed: list[Json] | None = None
    rows_of_page: int = 1000
    quota: list[float | None] = field(default_factory=list)
    """The wait of each page in turn, then none."""
    queries: list[tuple[str, str | None]] = field(default_factory=list)

    def protect(self, *vm_ids: str, vault_id: str = FLEET_VAULT, **properties: Any) -> None:
        """Add items to a vault."""
        self.items.setdefault(vault_id, []).extend(item_of(vm_id, vault_id, **properties) for vm_id in vm_ids)

    def get_vault_region(self, vault_id: str) -> str:
        self._call("get_vault_region")
        return f"region-of-{vault_id.rpartition('/')[2]}"

    def list_protected_items(self, vault_id: str) -> Iterable[Json]:
        self._call("list_protected_items")
        return self.items.get(vault_id, [])

    def list_restore_jobs(self, vault_id: str) -> Iterable[Job]:
        self._call("list_restore_jobs")
        return self.past_jobs.get(vault_id, [])

    def query_resources(self, query: str, *, skip_token: str | None = None) -> Answer[GraphPage]:
        self._call("query_resources")
        self.queries.append((query, skip_token))
        rows = self.listed
        if rows is None:
            rows = [{"id": item["id"], **item["properties"]} for items in self.items.values() for item in items]
        start = int(skip_token or 0)
        end = start + self.rows_of_page
        page = GraphPage(rows=tuple(rows[start:end]), skip_token=str(end) if end < len(rows) else None, total=len(rows))
        return Answer(page, self.quota.pop(0) if self.quota else None)
