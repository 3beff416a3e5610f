"""How the backup service names what it protects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.scenario import Vm

VAULTS = "Microsoft.RecoveryServices/vaults"
DEFAULT_POLICY = "DefaultPolicy"
CONTAINERS = f"{VAULTS}/backupFabrics/protectionContainers"
PROTECTED_ITEMS = f"{CONTAINERS}/protectedItems"
RESTORE_ACTION = f"{PROTECTED_ITEMS}/recoveryPoints/restore/action"


def container_name(vm: Vm) -> str:
    """Return the native name of a VM's container, as ids have it."""
    return f"IaasVMContainer;{vm.native_name}"


def container_path(vault_path: str, vm: Vm) -> str:
    """Return the id of a container below a vault."""
    return f"{vault_path}/backupFabrics/Azure/protectionContainers/{container_name(vm)}"


def item_name(vm: Vm) -> str:
    """Return the native name of a VM's protected item, as ids have it."""
    return f"VM;{vm.native_name}"


def data_id(vm: Vm) -> str:
    """Return the number by which the service knows the data of a protected item."""
    return str(sum(vm.resource_id.encode()) * 10**11)


def item_path(vault_path: str, vm: Vm) -> str:
    """Return the id of a protected item below a vault."""
    return f"{container_path(vault_path, vm)}/protectedItems/{item_name(vm)}"
