"""What the service checks in the body of a restore before it takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.errors import ArmError, invalid_input
from simulator.providers.backup.errors import item_busy, item_not_found, item_soft_deleted, refused
from simulator.providers.backup.points import find_point
from simulator.scenario import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.faults import FaultState
    from simulator.providers.backup.points import Point
    from simulator.scenario import StorageAccount, Vault, Vm
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
_TARGETS = ("targetResourceGroupId", *_ALTERNATE_ONLY)
_GROUP_ID = r"/subscriptions/[^/]+/resourceGroups/[^/]+"
_ID_FORMS = {
    "storageAccountId": rf"{_GROUP_ID}/providers/Microsoft\.Storage/storageAccounts/[^/]+",
    "targetResourceGroupId": _GROUP_ID,
    "targetVirtualMachineId": rf"{_GROUP_ID}/providers/Microsoft\.Compute/virtualMachines/[^/]+",
    "virtualNetworkId": rf"{_GROUP_ID}/providers/Microsoft\.Network/virtualNetworks/[^/]+",
    "subnetId": rf"{_GROUP_ID}/providers/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+",
}
_ACCESS_OPTIONS = ("SameAsOnSourceDisks", "EnablePrivateAccessForAllDisks", "EnablePublicAccessForAllDisks")
_RETENTION = re.compile(r"P(\d+)D")
_RETENTION_DAYS = range(10, 31)
_ZONES = (["1"], ["2"], ["3"], ["NoZone"])


class RestoreCheck:
    """Checks one restore body against the item and point it is for.

    What is wrong with the body's form is always an ``ArmError`` 400. What the item, the point, the vault or the target
    do not allow is one too for the trigger; a validation makes findings of that.
    """

    _place = "vault's"

    def __init__(self, world: World, vault: Vault, vm: Vm, point: Point, properties: Mapping[str, Any]) -> None:
        self._world = world
        self._vault = vault
        self._vm = vm
        self._point = point
        self._properties = properties
        self._rules: tuple[Callable[[], object], ...] = (
            self._check_point,
            self._check_in_place,
            self._check_rehydration,
            self._check_zones,
            self._check_network_access,
            self._check_disk_selection,
            self._check_subscriptions,
            self._check_target_name,
            self._check_staging_account,
        )

    def account(self) -> StorageAccount:
        """Run all checks; return the staging account."""
        self._check_form()
        for rule in self._rules:
            rule()
        return self._staging_account()

    def findings(self) -> tuple[Finding, ...]:
        """Return every rule that stands against the restore; raise only for a body of the wrong form."""
        self._check_form()
        found: list[Finding] = []
        for rule in self._rules:
            try:
                rule()
            except ArmError as error:
                found.append(Finding(code=error.code, message=error.reason, recommendations=()))
        return tuple(found)

    @property
    def recovery_type(self) -> str:
        """The ``recoveryType`` of the body."""
        return str(self._get("recoveryType"))

    @property
    def _region(self) -> str:
        """The region in which the restore takes place."""
        return self._vault.region

    @property
    def _has_zones(self) -> bool:
        """Whether the data can be restored into any zone of the region."""
        return self._vault.storage_type == "ZoneRedundant"

    def _get(self, name: str) -> Any:
        return self._properties.get(name)

    # The form

    def _check_form(self) -> None:
        if self._vm.soft_delete:
            raise item_soft_deleted()
        self._check_identity_of_request()
        self._check_type_table()
        self._check_id_forms()
        self._staging_account_id()
        disks = self._get("restoreDiskLunList")
        if disks is not None and not _are_whole_numbers(disks):
            raise invalid_input("restoreDiskLunList must be a list of whole numbers")

    def _check_identity_of_request(self) -> None:
        """Type, point, source and region must be the ones of the address."""
        if self._get("objectType") not in {PLAIN, REHYDRATING}:
            raise invalid_input(f"objectType must be {PLAIN} or {REHYDRATING}")
        if self.recovery_type not in _NEEDED:
            raise invalid_input(f"recoveryType must be one of {', '.join(_NEEDED)}")
        if self._get("recoveryPointId") != self._point.point_id:
            raise invalid_input("recoveryPointId must be the name of the recovery point in the address")
        if str(self._get("sourceResourceId")).lower() != self._vm.resource_id.lower():
            raise invalid_input("sourceResourceId must be the VM of the protected item")
        if str(self._get("region")).lower().replace(" ", "") != self._region.lower():
            raise invalid_input(f"region must be {self._region}")

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

    def _staging_account_id(self) -> str:
        """Return the id of the staging account: named outright, or for the vault's identity."""
        plain, identity = self._get("storageAccountId"), self._get("identityInfo")
        if (plain is None) == (identity is None):
            raise invalid_input("either storageAccountId or identityInfo must be given")
        if identity is not None:
            plain = self._account_id_for_identity(_mapping(identity, "identityInfo"))
        elif self._get("identityBasedRestoreDetails") is not None:
            raise invalid_input("identityBasedRestoreDetails belong to identityInfo")
        if not re.fullmatch(_ID_FORMS["storageAccountId"], str(plain), re.IGNORECASE):
            raise invalid_input("the staging account's id is no resource id of its kind")
        return str(plain)

    def _account_id_for_identity(self, identity: Mapping[str, Any]) -> Any:
        if bool(identity.get("isSystemAssignedIdentity")) == bool(identity.get("managedIdentityResourceId")):
            raise invalid_input("identityInfo must name the system-assigned identity or another one")
        details = _mapping(self._get("identityBasedRestoreDetails"), "identityBasedRestoreDetails")
        return details.get("targetStorageAccountId")

    # The rules

    def _check_point(self) -> None:
        if self._point.soft_deleted:
            raise invalid_input("the recovery point is soft-deleted")
        if not self._point.valid_tiers:
            raise refused(
                "UserErrorInstantRpNotFound", "The snapshot of the recovery point is no longer there. Choose another."
            )

    def _check_in_place(self) -> None:
        """Disks are replaced for a managed, unencrypted VM that is still there."""
        if self.recovery_type != "OriginalLocation":
            return
        if self._point.encrypted:
            raise invalid_input("OriginalLocation does not work for encrypted VMs")
        if not self._point.managed:
            raise invalid_input("OriginalLocation does not work for unmanaged VMs")
        if self._world.store.get(self._vm.resource_id) is None:
            raise refused("UserErrorBcmDatasourceNotPresent", "The source virtual machine does not exist.")

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
        if self._point.encrypted or not self._point.managed:
            raise invalid_input("zones need a managed, unencrypted point")
        if "HardenedRP" not in self._point.valid_tiers:
            raise invalid_input("zones need a point in the vault tier")
        if zones != ["NoZone"] and not self._has_zones:
            raise invalid_input("zones need a zone-redundant vault")

    def _check_network_access(self) -> None:
        """Ask how the restored disks are reached if the point has private access, and only then, as az CLI does."""
        settings = self._get("targetDiskNetworkAccessSettings")
        if self._point.private_access != "Enabled":
            if settings is not None and self._point.private_access == "Disabled":
                raise invalid_input("a point without private access takes no access")
            return
        if settings is None:
            raise invalid_input("a point with private access needs the access of its disks")
        access = _mapping(settings, "targetDiskNetworkAccessSettings")
        option = access.get("targetDiskNetworkAccessOption")
        if option not in _ACCESS_OPTIONS:
            raise invalid_input("the access of the disks must be one of three options")
        if (option == _ACCESS_OPTIONS[1]) != bool(access.get("targetDiskAccessId")):
            raise invalid_input(f"targetDiskAccessId belongs to {_ACCESS_OPTIONS[1]}, and to that alone")

    def _check_disk_selection(self) -> None:
        """Let disks be chosen, and disks alone be restored, where the item selects the disks it backs up."""
        if self._vm.disk_exclusion is None and self._get("restoreDiskLunList") is not None:
            raise invalid_input("restoreDiskLunList needs an item with selected disks")
        if self._vm.disk_exclusion and self.recovery_type != "RestoreDisks":
            raise invalid_input("an item with selected disks allows RestoreDisks alone")

    def _check_subscriptions(self) -> None:
        """Look whether vault and point allow what the ids of another subscription ask for."""
        ids = [str(self._get(name)) for name in _TARGETS if self._get(name)] + [self._staging_account_id()]
        if all(each.split("/")[2].lower() == self._vault.subscription_id.lower() for each in ids):
            return
        if self._vault.cross_subscription_restore in {"Disabled", "PermanentlyDisabled"}:
            raise invalid_input("the vault does not allow restores to another subscription")
        if self._point.encrypted or not self._point.managed:
            raise invalid_input("only managed, unencrypted points are restored to another subscription")
        if self._point.is_snapshot_only:
            raise invalid_input("a snapshot alone cannot be restored to another subscription")

    def _check_target_name(self) -> None:
        """Look whether the name of the new VM is free."""
        target = str(self._get("targetVirtualMachineId") or "")
        if target and self._world.store.get(target):
            raise refused("UserErrorVmAlreadyExists", f"A virtual machine {target.rpartition('/')[2]} exists already.")

    def _check_staging_account(self) -> None:
        account = self._staging_account()
        if account.location.lower() != self._region.lower():
            raise invalid_input(f"the staging account must be in the {self._place} region")
        if "ZRS" in account.sku.upper():
            raise invalid_input("the staging account must not be zone-redundant")
        if account.kind == "BlobStorage":
            raise invalid_input("the staging account must not be of kind BlobStorage")

    def _staging_account(self) -> StorageAccount:
        parts = self._staging_account_id().split("/")
        account = self._world.storage_account(parts[2], parts[4], parts[8])
        if account is None:
            raise invalid_input("the staging account does not exist")
        return account


def point_of(vm: Vm, point_id: str) -> Point:
    """Return a recovery point by its name; raise the service's 404."""
    point = find_point(vm.listed_points, point_id)
    if point is None:
        raise item_not_found()
    return point


def _are_whole_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int for each in cast("list[Any]", value))


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid_input(f"{name} must be an object")
    return cast("Mapping[str, Any]", value)


def check_busy(world: World, state: FaultState) -> None:
    """Raise the error of an item on which another operation runs."""
    busy = state.busy_item(world.now())
    if busy:
        raise item_busy(busy.status, busy.code, world.timeline.wait_headers(busy.retry_after_s, busy.form))


def object_member(body: Any, name: str) -> Mapping[str, Any]:
    """Return a member that is an object; raise 400 for a body without one."""
    if isinstance(body, Mapping):
        value = cast("Mapping[str, Any]", body).get(name)
        if isinstance(value, Mapping):
            return cast("Mapping[str, Any]", value)
    raise invalid_input(f"the body must be an object with an object {name!r}")


# Operations
