"""Protection containers: one for each protected VM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.calls import Answer, Call, page
from simulator.errors import invalid_input
from simulator.providers.backup.errors import not_in_vault
from simulator.providers.backup.ids import CONTAINERS, container_name, container_path
from simulator.providers.backup.lookup import container_vm, vault_of

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World


def list_containers(world: World, call: Call) -> Answer:
    """Answer the containers of a vault; a friendly name matches as a prefix.

    ``status`` changes nothing: the container of a soft-deleted item was listed among those that are registered.
    """
    vault = vault_of(world, call)
    conditions = call.filters("backupManagementType", "friendlyName")
    kind = conditions.get("backupmanagementtype")
    if kind is None:
        raise invalid_input("$filter must name a backupManagementType")
    prefix = conditions.get("friendlyname", "").lower()
    vms = world.items(vault.name) if kind.lower() == "azureiaasvm" else []
    found = [vm for vm in vms if vm.name.lower().startswith(prefix)]

    def write(vm: Vm) -> dict[str, Any]:
        return _container_body(vm, call.vault_path)

    return Answer(body=page(call, found, world.scenario.settings.page_items, write))


def get_container(world: World, call: Call) -> Answer:
    """Answer one container."""
    vault_of(world, call)
    vm = container_vm(world, call)
    if vm is None:
        raise not_in_vault("Container", call.params["container"])
    return Answer(body=_container_body(vm, call.vault_path))


def _container_body(vm: Vm, vault_path: str) -> dict[str, Any]:
    return {
        "id": container_path(vault_path, vm),
        "name": container_name(vm),
        "type": CONTAINERS,
        "properties": {
            "virtualMachineId": vm.resource_id,
            "virtualMachineVersion": "Compute",
            "resourceGroup": vm.resource_group,
            "friendlyName": vm.name,
            "backupManagementType": "AzureIaasVM",
            "registrationStatus": "SoftDeleted" if vm.soft_delete else "Registered",
            "healthStatus": "Healthy",
            "containerType": "Microsoft.Compute/virtualMachines",
            "protectableObjectType": "Microsoft.Compute/virtualMachines",
        },
    }
