"""Virtual machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.calls import Answer, Call
from simulator.errors import resource_not_found

if TYPE_CHECKING:
    from simulator.scenario import Vm
    from simulator.world import World


def get_vm(world: World, call: Call) -> Answer:
    """Answer a virtual machine."""
    body = world.store.get(call.path)
    if body is None:
        raise resource_not_found(f"Microsoft.Compute/virtualMachines/{call.params['vm']}", call.params["group"])
    return Answer(body=body)


def vm_body(vm: Vm, resource_id: str) -> dict[str, Any]:
    """Write a virtual machine like one of the scenario, with the few properties that matter here."""
    return {
        "name": resource_id.rpartition("/")[2],
        "id": resource_id,
        "type": "Microsoft.Compute/virtualMachines",
        "location": vm.location,
        **({"tags": dict(vm.tags)} if vm.tags else {}),
        "properties": {
            "vmId": str(uuid5(NAMESPACE_URL, resource_id.lower())),
            "provisioningState": "Succeeded",
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"osDisk": {"osType": vm.os_type, "createOption": "FromImage"}},
        },
    }
