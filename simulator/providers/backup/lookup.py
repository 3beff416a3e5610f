"""Finds what a call's address names, or raises the 404 that Azure would answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.errors import resource_not_found
from simulator.providers.backup.errors import item_not_found, not_in_vault
from simulator.providers.backup.service_jobs import service_jobs

if TYPE_CHECKING:
    from simulator.calls import Call
    from simulator.providers.backup.jobs import Job
    from simulator.providers.backup.operations import Operation
    from simulator.providers.backup.service_jobs import ServiceJob
    from simulator.scenario import Vault, Vm
    from simulator.world import World


def vault_of(world: World, call: Call) -> Vault:
    """Return the vault of the address."""
    vault = world.vault(call.params["subscription"], call.params["group"], call.params["vault"])
    if vault is None:
        raise resource_not_found(f"Microsoft.RecoveryServices/vaults/{call.params['vault']}", call.params["group"])
    return vault


def container_vm(world: World, call: Call) -> Vm | None:
    """Return the VM whose container the address names, if there is one."""
    kind, _, native_name = call.params["container"].lower().partition(";")
    if (kind, call.params["fabric"].lower()) != ("iaasvmcontainer", "azure"):
        return None
    return world.item(call.params["vault"], native_name)


def item_vm(world: World, call: Call) -> Vm | None:
    """Return the VM whose container and protected item the address names, if there is one."""
    vm = container_vm(world, call)
    return vm if vm and call.params["item"].lower() == f"vm;{vm.native_name}" else None


def vm_of(world: World, call: Call) -> Vm:
    """Return the VM whose protected item the address names."""
    vault_of(world, call)
    vm = item_vm(world, call)
    if vm is None:
        raise item_not_found()
    return vm


def job_of(world: World, call: Call) -> Job | ServiceJob:
    """Return the job of the address."""
    vault, name = vault_of(world, call), call.params["job"].lower()
    job = world.jobs.get(name)
    if job and job.vault == vault.name and not job.region:
        return job
    for other in service_jobs(world, vault):
        if other.job_id == name:
            return other
    raise not_in_vault("Job", call.params["job"])


def operation_of(world: World, call: Call, *kinds: str) -> Operation:
    """Return the operation of the address, if it is of one of these kinds."""
    vault = vault_of(world, call)
    operation = world.operations.get(call.params["operation"].lower())
    if operation is None or operation.vault != vault.name or operation.kind not in kinds:
        raise not_in_vault("Operation", call.params["operation"])
    return operation
