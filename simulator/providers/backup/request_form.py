"""The form that the body of a restore must have, whatever the item and the point allow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from simulator.errors import invalid_input
from simulator.providers.backup.errors import item_soft_deleted

if TYPE_CHECKING:
    from simulator.providers.backup.points import Point
    from simulator.scenario import Vault, Vm

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
TARGETS = ("targetResourceGroupId", *_ALTERNATE_ONLY)
_GROUP_ID = r"/subscriptions/[^/]+/resourceGroups/[^/]+"
_ID_FORMS = {
    "storageAccountId": rf"{_GROUP_ID}/providers/Microsoft\.Storage/storageAccounts/[^/]+",
    "targetResourceGroupId": _GROUP_ID,
    "targetVirtualMachineId": rf"{_GROUP_ID}/providers/Microsoft\.Compute/virtualMachines/[^/]+",
    "virtualNetworkId": rf"{_GROUP_ID}/providers/Microsoft\.Network/virtualNetworks/[^/]+",
    "subnetId": rf"{_GROUP_ID}/providers/Microsoft\.Network/virtualNetworks/[^/]+/subnets/[^/]+",
}


class RequestForm:
    """The body of a restore of one point of a VM in a vault."""

    def __init__(self, vault: Vault, vm: Vm, point: Point, properties: Mapping[str, Any]) -> None:
        self._vault = vault
        self._vm = vm
        self._point = point
        self._properties = properties

    @property
    def recovery_type(self) -> str:
        """The ``recoveryType`` of the body."""
        return str(self._get("recoveryType"))

    @property
    def _region(self) -> str:
        """The region in which the restore takes place."""
        return self._vault.region

    def _get(self, name: str) -> Any:
        return self._properties.get(name)

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
        """Raise 400 unless type, point, source and region are those of the address."""
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
        """Raise 400 for members that the recovery type needs and that are missing, or that it forbids."""
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
            plain = self._account_id_for_identity(object_of(identity, "identityInfo"))
        elif self._get("identityBasedRestoreDetails") is not None:
            raise invalid_input("identityBasedRestoreDetails belong to identityInfo")
        if not re.fullmatch(_ID_FORMS["storageAccountId"], str(plain), re.IGNORECASE):
            raise invalid_input("the staging account's id is no resource id of its kind")
        return str(plain)

    def _account_id_for_identity(self, identity: Mapping[str, Any]) -> Any:
        if bool(identity.get("isSystemAssignedIdentity")) == bool(identity.get("managedIdentityResourceId")):
            raise invalid_input("identityInfo must name the system-assigned identity or another one")
        details = object_of(self._get("identityBasedRestoreDetails"), "identityBasedRestoreDetails")
        return details.get("targetStorageAccountId")


def _are_whole_numbers(value: Any) -> bool:
    """Return whether a value is a list of whole numbers, each as a number or as a string of digits."""
    return isinstance(value, list) and all(
        type(number) is int or (isinstance(number, str) and re.fullmatch(r"-?[0-9]{1,9}", number))
        for number in cast("list[Any]", value)
    )


def object_of(value: Any, name: str) -> Mapping[str, Any]:
    """Return a value that is an object; raise 400 for any other."""
    if not isinstance(value, Mapping):
        raise invalid_input(f"{name} must be an object")
    return cast("Mapping[str, Any]", value)


def object_member(body: Any, name: str) -> Mapping[str, Any]:
    """Return a member that is an object; raise 400 for a body without one."""
    if isinstance(body, Mapping):
        value = cast("Mapping[str, Any]", body).get(name)
        if isinstance(value, Mapping):
            return cast("Mapping[str, Any]", value)
    raise invalid_input(f"the body must be an object with an object {name!r}")
