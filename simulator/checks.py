"""What the service checks in the body of a restore before it takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.errors import invalid_input, item_not_found, refused
from simulator.shapes import vm_id

if TYPE_CHECKING:
    from simulator.scenario import Point, StorageAccount, Vault, Vm
    from simulator.world import World

PLAIN, REHYDRATING = "IaasVMRestoreRequest", "IaasVMRestoreWithRehydrationRequest"
_ALTERNATE_ONLY = ("targetVirtualMachineId", "virtualNetworkId", "subnetId")
_NEEDED = {
    "RestoreDisks": (),
    "AlternateLocation": ("targetResourceGroupId", *_ALTERNATE_ONLY),
    "OriginalLocation": (),
}
_FORBIDDEN = {
    "RestoreDisks": _ALTERNATE_ONLY,
    "AlternateLocation": (),
    "OriginalLocation": ("targetResourceGroupId", *_ALTERNATE_ONLY, "zones", "diskEncryptionSetId"),
}
_GROUP_ID = r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)"
_ID_FORMS = {
    "storageAccountId": rf"{_GROUP_ID}/providers/Microsoft\.Storage/storageAccounts/(?P<name>[^/]+)",
    "targetResourceGroupId": _GROUP_ID,
    "targetVirtualMachineId": rf"{_GROUP_ID}/providers/Microsoft\.Compute/virtualMachines/[^/]+",
    "virtualNetworkId": rf"{_GROUP_ID}/providers/Microsoft\.Network/virtualNetworks/[^/]+",
    "subnetId": rf"{_GROUP_ID}/providers/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+",
}
_RETENTION = re.compile(r"P(\d+)D")
_RETENTION_DAYS = range(10, 31)
_ZONES = (["1"], ["2"], ["3"], ["NoZone"])


class RestoreCheck:
    """Checks one restore body against the item and point it is for; every check raises ``ArmError`` 400."""

    def __init__(self, world: World, vault: Vault, vm: Vm, point: Point, properties: Mapping[str, Any]) -> None:
        self._world = world
        self._vault = vault
        self._vm = vm
        self._point = point
        self._properties = properties

    def account(self) -> StorageAccount:
        """Run all checks; return the staging account."""
        self._check_identity_of_request()
        self._check_type_table()
        self._check_id_forms()
        self._check_point()
        self._check_rehydration()
        self._check_zones()
        self._check_disks()
        self._check_target()
        return self._staging_account()

    @property
    def recovery_type(self) -> str:
        """The ``recoveryType`` of the body."""
        return str(self._get("recoveryType"))

    def _get(self, name: str) -> Any:
        return self._properties.get(name)

    def _check_identity_of_request(self) -> None:
        """Type, point, source and region must be the ones of the address."""
        if self._get("objectType") not in {PLAIN, REHYDRATING}:
            raise invalid_input(f"objectType must be {PLAIN} or {REHYDRATING}")
        if self.recovery_type not in _NEEDED:
            raise invalid_input(f"recoveryType must be one of {', '.join(_NEEDED)}")
        if self._get("recoveryPointId") != self._point.point_id:
            raise invalid_input("recoveryPointId must be the name of the recovery point in the address")
        if str(self._get("sourceResourceId")).lower() != vm_id(self._world, self._vm).lower():
            raise invalid_input("sourceResourceId must be the VM of the protected item")
        if str(self._get("region")).lower().replace(" ", "") != self._vault.region.lower():
            raise invalid_input(f"region must be the vault's, {self._vault.region}")

    def _check_type_table(self) -> None:
        """Each recovery type needs some members and forbids others."""
        for name in _NEEDED[self.recovery_type]:
            if not self._get(name):
                raise invalid_input(f"{self.recovery_type} needs {name}")
        for name in _FORBIDDEN[self.recovery_type]:
            if self._get(name) is not None:
                raise invalid_input(f"{self.recovery_type} must not have {name}")

    def _check_id_forms(self) -> None:
        for name, form in _ID_FORMS.items():
            value = self._get(name)
            if value is not None and not re.fullmatch(form, str(value), re.IGNORECASE):
                raise invalid_input(f"{name} is no resource id of its kind")
        subnet, network = self._get("subnetId"), self._get("virtualNetworkId")
        if subnet and network and not str(subnet).lower().startswith(f"{network}/subnets/".lower()):
            raise invalid_input("subnetId must lie in virtualNetworkId")

    def _check_point(self) -> None:
        if self._point.soft_deleted:
            raise invalid_input("the recovery point is soft-deleted")
        if not self._point.valid_tiers:
            raise refused(
                "UserErrorInstantRpNotFound", "The snapshot of the recovery point is no longer there. Choose another."
            )
        if self.recovery_type == "OriginalLocation" and (self._point.encrypted or not self._point.managed):
            raise invalid_input("OriginalLocation works for managed, unencrypted VMs only")

    def _check_rehydration(self) -> None:
        """Hold rehydration and archive together: neither without the other."""
        info = self._get("recoveryPointRehydrationInfo")
        if (self._get("objectType") == REHYDRATING) != self._point.needs_rehydration:
            raise invalid_input(f"objectType {REHYDRATING} belongs to archived points, and to them alone")
        if not self._point.needs_rehydration:
            if info is not None:
                raise invalid_input("recoveryPointRehydrationInfo belongs to archived points alone")
            return
        details = _mapping(info, "recoveryPointRehydrationInfo")
        if details.get("rehydrationPriority") not in {"Standard", "High"}:
            raise invalid_input("rehydrationPriority must be Standard or High")
        retention = _RETENTION.fullmatch(str(details.get("rehydrationRetentionDuration")))
        if retention is None or int(retention[1]) not in _RETENTION_DAYS:
            raise invalid_input("rehydrationRetentionDuration must be P10D to P30D")

    def _check_zones(self) -> None:
        """Zones want a managed, unencrypted point in the vault tier, and a number a zone-redundant vault."""
        zones = self._get("zones")
        if not zones:
            return
        if zones not in _ZONES:
            raise invalid_input("zones must name one zone, 1 to 3, or NoZone")
        if self._point.encrypted or not self._point.managed or "HardenedRP" not in self._point.valid_tiers:
            raise invalid_input("zones need a managed, unencrypted point in the vault tier")
        if zones != ["NoZone"] and self._vault.storage_type != "ZoneRedundant":
            raise invalid_input("zones need a zone-redundant vault")

    def _check_disks(self) -> None:
        disks = self._get("restoreDiskLunList")
        if disks is None:
            return
        if not isinstance(disks, list) or not all(type(lun) is int for lun in cast("list[Any]", disks)):
            raise invalid_input("restoreDiskLunList must be a list of whole numbers")

    def _check_target(self) -> None:
        """Look whether the vault may restore there, and whether a new VM finds its name free."""
        group = re.match(_GROUP_ID, str(self._get("targetResourceGroupId")), re.IGNORECASE)
        if group and group["subscription"].lower() != self._world.scenario.subscription_id.lower():
            if not self._vault.cross_subscription_restore:
                raise invalid_input("the vault does not allow restores to another subscription")
            if self._point.valid_tiers == {"InstantRP"}:
                raise invalid_input("a snapshot alone cannot be restored to another subscription")
        target = str(self._get("targetVirtualMachineId") or "")
        known = self._world.vm_named(target) if target else None
        if (known and not known.deleted) or (target and self._world.restored_vm(target)):
            raise refused("UserErrorVmAlreadyExists", f"A virtual machine {target.rpartition('/')[2]} exists already.")
        if self.recovery_type == "OriginalLocation" and self._vm.deleted:
            raise refused("UserErrorBcmDatasourceNotPresent", "The source virtual machine does not exist.")

    def _staging_account(self) -> StorageAccount:
        """Find the staging account: named outright, or for the vault's identity."""
        plain, identity = self._get("storageAccountId"), self._get("identityInfo")
        if (plain is None) == (identity is None):
            raise invalid_input("either storageAccountId or identityInfo must be given")
        if plain is None:
            plain = self._account_for_identity(_mapping(identity, "identityInfo"))
        elif self._get("identityBasedRestoreDetails") is not None:
            raise invalid_input("identityBasedRestoreDetails belong to identityInfo")
        form = re.fullmatch(_ID_FORMS["storageAccountId"], str(plain), re.IGNORECASE)
        account = self._world.storage_account(form["group"], form["name"]) if form else None
        if account is None:
            raise invalid_input("the staging account does not exist")
        if account.location.lower() != self._vault.region.lower():
            raise invalid_input("the staging account must be in the vault's region")
        if account.sku.upper().endswith("ZRS") or account.kind == "BlobStorage":
            raise invalid_input("the staging account must not be zone-redundant nor of kind BlobStorage")
        return account

    def _account_for_identity(self, identity: Mapping[str, Any]) -> Any:
        if bool(identity.get("isSystemAssignedIdentity")) == bool(identity.get("managedIdentityResourceId")):
            raise invalid_input("identityInfo must name the system-assigned identity or another one")
        details = _mapping(self._get("identityBasedRestoreDetails"), "identityBasedRestoreDetails")
        return details.get("targetStorageAccountId")


def find_point(vm: Vm, point_id: str) -> Point:
    """Find a recovery point by its name; raise the service's 404."""
    for point in vm.points:
        if point.point_id == point_id:
            return point
    raise item_not_found()


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid_input(f"{name} must be an object")
    return cast("Mapping[str, Any]", value)
