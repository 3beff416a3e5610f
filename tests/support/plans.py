"""Recovery plans as people write them."""

from __future__ import annotations

from typing import Any

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
STAGING = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/stagingweu"
RESTORE = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": STAGING,
    "targetResourceGroupId": "/subscriptions/{subscriptionId}/resourceGroups/restored-{resourceGroup}",
}


def vm(name: str, group: str = "web-rg") -> str:
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def a_group(name: str, *vms: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "sourceResourceIds": list(vms or (vm(f"{name}-vm"),)), **members}


def a_plan(*groups: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"name": "shop", "restore": RESTORE, "groups": list(groups or (a_group("web"),)), **members}
