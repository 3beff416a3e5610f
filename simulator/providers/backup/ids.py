"""How the backup service names what it protects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.scenario import Vm

VAULTS = "Microsoft.RecoveryServices/vaults"
PROTECTED_ITEMS = f"{VAULTS}/backupFabrics/protectionContainers/protectedItems"


def container_name(vm: Vm) -> str:
    """Return the native name of a VM's container, as ids have it."""
    return f"IaasVMContainer;{vm.native_name}"


def item_name(vm: Vm) -> str:
    """Return the native name of a VM's protected item, as ids have it."""
    return f"VM;{vm.native_name}"


def item_path(vault_path: str, vm: Vm) -> str:
    """Return the id of a protected item below a vault."""
    return f"{vault_path}/backupFabrics/Azure/protectionContainers/{container_name(vm)}/protectedItems/{item_name(vm)}"
