"""The tables of Resource Graph and their rows: what the caller may read, in the subscriptions asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from simulator.providers.backup.ids import VAULTS
from simulator.providers.backup.items import item_body
from simulator.providers.backup.job_calls import entry_of, jobs_in
from simulator.providers.backup.jobs import Job
from simulator.providers.backup.policies import policy_bodies
from simulator.providers.backup.service_jobs import BACKUP
from simulator.providers.backup.vaults import vault_body
from simulator.providers.graph.columns import row_of
from simulator.providers.network.interfaces import INTERFACES, interface_body, vms_by_interface
from simulator.providers.resources.permissions import is_denied
from simulator.store import RESOURCE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulator.scenario import Vault, Vm
    from simulator.world import World

_ARM = "https://management.azure.com"
_KEPT_JOBS = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows that one query may see."""

    world: World
    subscriptions: set[str]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table, in no order: Resource Graph has none."""
        bodies = {
            "resources": self._resources,
            "resourcecontainers": self._containers,
            "recoveryservicesresources": self._recovery_services,
        }[table]
        hidden = {
            account.resource_id.lower() for account in self.world.scenario.storage_accounts if not account.readable
        }
        rows = [row_of(body) for body in bodies() if self._is_visible(body) and body["id"].lower() not in hidden]
        self.world.random.shuffle(rows)
        return rows

    def _is_visible(self, body: Mapping[str, Any]) -> bool:
        resource_id = body["id"]
        is_asked_for = resource_id.split("/")[2].lower() in self.subscriptions
        return is_asked_for and not is_denied(self.world, f"{body['type']}/read", resource_id)

    def _resources(self) -> Iterator[Mapping[str, Any]]:
        holders = vms_by_interface(self.world)
        for body in self.world.graph.resources():
            if body["type"] == INTERFACES:
                yield interface_body(body, holders.get(body["id"].lower()))
            elif body["type"] != RESOURCE_GROUPS:
                yield body
        for vault in self.world.scenario.vaults:
            yield vault_body(self.world, vault, vault.resource_id)

    def _containers(self) -> Iterator[dict[str, Any]]:
        for subscription in self.world.scenario.subscriptions:
            yield {
                "id": f"/subscriptions/{subscription.subscription_id}",
                "name": subscription.name,
                "type": "Microsoft.Resources/subscriptions",
                "properties": {"state": "Enabled", "managementGroupAncestorsChain": []},
            }
        for body in self.world.graph.resources():
            if body["type"] == RESOURCE_GROUPS:
                yield {**body, "type": "Microsoft.Resources/subscriptions/resourceGroups"}

    def _recovery_services(self) -> Iterator[dict[str, Any]]:
        for vault in self.world.scenario.vaults:
            yield from policy_bodies(self.world, vault, vault.resource_id)
            for vm in self.world.items(vault.name):
                yield _protected_item(self.world, vault, vm)
            yield from self._jobs(vault)

    def _jobs(self, vault: Vault) -> Iterator[dict[str, Any]]:
        seen = self.world.now() - self.world.graph.delay
        for job in jobs_in(self.world, vault, seen):
            if job.started <= seen < job.started + _KEPT_JOBS:
                vm = self.world.vm_with_key(job.vm_key)
                yield {
                    "id": f"{vault.resource_id}/backupJobs/{job.job_id}",
                    "name": job.job_id,
                    "type": f"{VAULTS}/backupJobs",
                    "properties": {
                        **entry_of(job, seen),
                        "isUserTriggered": isinstance(job, Job) or job.operation != BACKUP,
                        "dataSourceId": vm.resource_id,
                        "dataSourceLocation": vm.location,
                    },
                }


def _protected_item(world: World, vault: Vault, vm: Vm) -> dict[str, Any]:
    """Write an item as Resource Graph has it: with members that its own documentation uses in queries.

    The ids of its VM are in lower case: whoever compares them with those of the table ``resources`` must expect that.
    """
    body = item_body(world, vm, _ARM, vault.resource_id, extended=False)
    source = vm.resource_id.lower()
    body["properties"] |= {
        "sourceResourceId": source,
        "virtualMachineId": source,
        "currentProtectionState": "SoftDeleted" if vm.soft_delete else "ProtectionConfigured",
        "policyInfo": {"name": body["properties"]["policyName"], "policyId": body["properties"]["policyId"]},
        "dataSourceInfo": {
            "objectType": "Datasource",
            "datasourceType": "AzureIaasVM",
            "resourceID": source,
            "resourceName": vm.name,
            "resourceType": vm.TYPE,
            "resourceLocation": vm.location,
            "resourceUri": source,
        },
    }
    return body
