"""The vault with cross-region restore, as its tests name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.caller import SUBSCRIPTION, item_path, point_of, vm_id

if TYPE_CHECKING:
    from simulator.server import Simulator

GROUP = "crr-rg"
SECONDARY = "northeurope"
VERSION = "2021-11-15"
VAULT_CRR = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.RecoveryServices/vaults/vault-crr"
LOCATION = f"{SUBSCRIPTION}/providers/Microsoft.RecoveryServices/locations/{SECONDARY}"
STAGING_CRR = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Storage/storageAccounts/stagingcrr"
TARGET = f"{SUBSCRIPTION}/resourceGroups/crr-restored-rg"
TOO_YOUNG, IN_BOTH, VAULT_ONLY = range(3)
"""The points of ``crr-01``: 3 hours old; 27 hours, snapshot and vault; 51 hours, vault alone."""


def crr_item(name: str = "crr-01") -> str:
    return item_path(name, GROUP, VAULT_CRR)


def crr_request(simulator: Simulator, name: str = "crr-01", point: int = IN_BOTH, **members: Any) -> dict[str, Any]:
    """Compose the restore of a VM to managed disks in the secondary region; None leaves a member out."""
    request = {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": point_of(simulator, name, point),
        "recoveryType": "RestoreDisks",
        "sourceResourceId": vm_id(name, GROUP),
        "targetResourceGroupId": TARGET,
        "storageAccountId": STAGING_CRR,
        "region": SECONDARY,
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        **members,
    }
    return {name: value for name, value in request.items() if value is not None}
