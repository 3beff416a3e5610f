"""What item, point, vault and target must allow before the service takes a restore."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from simulator.errors import ArmError, invalid_input
from simulator.providers.backup.errors import item_busy, item_not_found, refused
from simulator.providers.backup.points import find_point
from simulator.providers.backup.protection import Finding
from simulator.providers.backup.request_form import REHYDRATING, TARGETS, RequestForm, object_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.faults import FaultState
    from simulator.providers.backup.points import Point
    from simulator.scenario import StorageAccount, Vault, Vm
    from simulator.world import World

_ACCESS_OPTIONS = ("SameAsOnSourceDisks", "EnablePrivateAccessForAllDisks", "EnablePublicAccessForAllDisks")
_RETENTION = re.compile(r"P(\d+)D")
_RETENTION_DAYS = range(10, 31)
_ZONES = (["1"], ["2"], ["3"], ["NoZone"])


class RestoreCheck(RequestForm):
    """Checks one restore body against the item and point it is for.

    What is wrong with the body's form is always an ``ArmError`` 400. What the item, the point, the vault or the target
    do not allow is one too for the trigger; a validation makes findings of that.
    """

    _place = "vault's"

    def __init__(self, world: World, vault: Vault, vm: Vm, point: Point, properties: Mapping[str, Any]) -> None:
        super().__init__(vault, vm, point, properties)
        self._world = world
        self._rules: tuple[Callable[[], object], ...] = (
            self._check_point,
            self._check_in_place,
            self._check_rehydration,
            self._check_zones,
            self._check_network_access,
            self._check_disk_selection,
            self._check_subscriptions,
            self._check_identity,
            self._check_target_name,
            self._check_staging_account,
        )

    def account(self) -> StorageAccount:
        """Run all checks and return the staging account; raise ``ArmError`` for the first rule that is violated."""
        self._check_form()
        for rule in self._rules:
            rule()
        return self._staging_account()

    def findings(self) -> tuple[Finding, ...]:
        """Return a finding for each rule that is violated; raise ``ArmError`` only for a body of the wrong form."""
        self._check_form()
        found: list[Finding] = []
        for rule in self._rules:
            try:
                rule()
            except ArmError as error:
                found.append(Finding(code=error.code, message=error.reason, recommendations=()))
        return tuple(found)

    @property
    def _has_zones(self) -> bool:
        """Whether the data can be restored into any zone of the region."""
        return self._vault.storage_type == "ZoneRedundant"

    def _check_point(self) -> None:
        if self._point.soft_deleted:
            raise invalid_input("the recovery point is soft-deleted")
        if not self._point.valid_tiers:
            raise refused(
                "UserErrorInstantRpNotFound", "The snapshot of the recovery point is no longer there. Choose another."
            )

    def _check_in_place(self) -> None:
        """Refuse to replace the disks of a VM that is unmanaged, encrypted or not there any more."""
        if self.recovery_type != "OriginalLocation":
            return
        if self._point.encrypted:
            raise invalid_input("OriginalLocation does not work for encrypted VMs")
        if not self._point.managed:
            raise invalid_input("OriginalLocation does not work for unmanaged VMs")
        if self._world.store.get(self._vm.resource_id) is None:
            raise refused("UserErrorBcmDatasourceNotPresent", "The source virtual machine does not exist.")

    def _check_rehydration(self) -> None:
        """Require rehydration for archived points, and refuse it for others."""
        info = self._get("recoveryPointRehydrationInfo")
        if (self._get("objectType") == REHYDRATING) != self._point.needs_rehydration:
            raise invalid_input(f"objectType {REHYDRATING} belongs to archived points, and to them alone")
        if not self._point.needs_rehydration:
            if info is not None:
                raise invalid_input("recoveryPointRehydrationInfo belongs to archived points alone")
            return
        details = object_of(info, "recoveryPointRehydrationInfo")
        if details.get("rehydrationPriority") not in {"Standard", "High"}:
            raise invalid_input("rehydrationPriority must be Standard or High")
        retention = _RETENTION.fullmatch(str(details.get("rehydrationRetentionDuration")))
        if retention is None or int(retention[1]) not in _RETENTION_DAYS:
            raise invalid_input("rehydrationRetentionDuration must be P10D to P30D")

    def _check_zones(self) -> None:
        """Require a managed, unencrypted point in the vault tier for zones, and a zone-redundant vault for a number."""
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
        """Require the network access of the disks for a point with private access, and only then, as az CLI does."""
        settings = self._get("targetDiskNetworkAccessSettings")
        if self._point.private_access != "Enabled":
            if settings is not None and self._point.private_access == "Disabled":
                raise invalid_input("a point without private access takes no access")
            return
        if settings is None:
            raise invalid_input("a point with private access needs the access of its disks")
        access = object_of(settings, "targetDiskNetworkAccessSettings")
        option = access.get("targetDiskNetworkAccessOption")
        if option not in _ACCESS_OPTIONS:
            raise invalid_input("the access of the disks must be one of three options")
        if (option == _ACCESS_OPTIONS[1]) != bool(access.get("targetDiskAccessId")):
            raise invalid_input(f"targetDiskAccessId belongs to {_ACCESS_OPTIONS[1]}, and to that alone")

    def _check_disk_selection(self) -> None:
        """Refuse all but the restore of disks where the item selects the disks that it backs up."""
        if self._vm.disk_exclusion and self.recovery_type != "RestoreDisks":
            raise invalid_input("an item with selected disks allows RestoreDisks alone")

    def _check_subscriptions(self) -> None:
        """Refuse ids of another subscription where vault or point do not allow it."""
        ids = [str(self._get(name)) for name in TARGETS if self._get(name)] + [self._staging_account_id()]
        if all(resource_id.split("/")[2].lower() == self._vault.subscription_id.lower() for resource_id in ids):
            return
        if self._vault.cross_subscription_restore in {"Disabled", "PermanentlyDisabled"}:
            raise invalid_input("the vault does not allow restores to another subscription")
        if self._point.encrypted or not self._point.managed:
            raise invalid_input("only managed, unencrypted points are restored to another subscription")
        if self._point.is_snapshot_only:
            raise invalid_input("a snapshot alone cannot be restored to another subscription")

    def _check_identity(self) -> None:
        """Refuse an identity for the staging account that the vault does not have."""
        info, identity = self._get("identityInfo"), self._vault.identity
        if info is None:
            return
        if info.get("isSystemAssignedIdentity"):
            if not identity.system_assigned:
                raise invalid_input("the vault has no system-assigned identity")
        elif str(info["managedIdentityResourceId"]).lower() not in map(str.lower, identity.user_assigned):
            raise invalid_input("the vault has no such user-assigned identity")

    def _check_target_name(self) -> None:
        """Refuse a name for the new VM that another VM has."""
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


def check_busy(world: World, state: FaultState) -> None:
    """Raise the error of an item on which another operation runs."""
    busy = state.busy_item(world.now())
    if busy:
        raise item_busy(busy.status, busy.code, world.timeline.wait_headers(busy.retry_after_s, busy.form))
