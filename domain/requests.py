"""The restore request: what a caller may ask for, checked whole before anything is called.

The shape is the project's contract; the rules per recovery type are Azure Backup's for ``IaasVMRestoreRequest``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from domain.azure import resource_ids as ids
from domain.errors import InvalidRequestError, Json
from domain.reading import (
    INVALID_VALUE,
    MISSING_FIELD,
    NOT_ALLOWED,
    Problems,
    Reader,
    an_object,
    array,
    boolean,
    duration,
    duration_up_to,
    one_of,
    pattern,
    prose,
    resource_id,
    string,
    time,
    whole_number,
)
from domain.times import parse_duration, parse_request_time
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

RESTORE_DISKS: Final = "RestoreDisks"
ALTERNATE_LOCATION: Final = "AlternateLocation"
ORIGINAL_LOCATION: Final = "OriginalLocation"
CONSISTENCIES: Final = ("AppConsistent", "FileSystemConsistent", "CrashConsistent")
TIERS: Final = ("InstantRP", "HardenedRP", "ArchivedRP")
_LONGEST_APPROVAL: Final = timedelta(days=365)
_ITEM: Final = ("vaultId", "containerName", "protectedItemName")

# They become segments of a URL's path. Azure's resource groups may have letters of any script.
_NATIVE_NAME: Final = pattern(
    r"(?!\.+$)(?u:[-\w.(); ]{1,500})",
    "a native name as the service returns it, such as VM;iaasvmcontainerv2;web-rg;web-01",
    # Counted apart: five hundred of so large a class are more than some engines take.
    portable=r"(?!\.+$)(?=.{1,500}$)[-\w.(); \u00aa-\uffff]+",
)
_RECOVERY_POINT: Final[Mapping[str, Reader]] = {
    "id": pattern(r"[A-Za-z0-9_-]{1,100}", "a recovery point's name (not its resource id), such as 1103996678573089"),
    "atOrBefore": time,
    "notOlderThan": duration,
    "consistency": array(one_of(*CONSISTENCIES), least=1),
    "tiers": array(one_of(*TIERS), least=1),
}
_DATA_DISK_ENCRYPTION: Final[Mapping[str, Reader]] = {
    "perDiskEncryptionSetIds": array(
        an_object(
            {"lun": whole_number(-1, 1000), "diskEncryptionSetId": resource_id(ids.DISK_ENCRYPTION_SET)},
            needed=("lun", "diskEncryptionSetId"),
        )
    ),
    "dataDiskEncryptionSetId": resource_id(ids.DISK_ENCRYPTION_SET),
    "dataDiskEncryptionIdentity": string,
}
_RETENTION: Final = pattern(r"P(1[0-9]|2[0-9]|30)D", "whole days, from P10D to P30D")
# Sent on in ``IaasVMRestoreRequest`` as they come; only their shape is checked here.
PASSED_ON: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "storageAccountId": resource_id(ids.STORAGE_ACCOUNT),
        "targetResourceGroupId": resource_id(ids.RESOURCE_GROUP),
        "targetVirtualMachineId": resource_id(ids.VIRTUAL_MACHINE),
        "virtualNetworkId": resource_id(ids.VIRTUAL_NETWORK),
        "subnetId": resource_id(ids.SUBNET),
        "zones": array(one_of("1", "2", "3", "NoZone"), least=1, most=1),
        "diskEncryptionSetId": resource_id(ids.DISK_ENCRYPTION_SET),
        "restoreDiskLunList": array(whole_number(-1, 1000)),
        "restoreWithManagedDisks": boolean,
        "identityInfo": an_object(
            {"isSystemAssignedIdentity": boolean, "managedIdentityResourceId": resource_id(ids.MANAGED_IDENTITY)}
        ),
        "identityBasedRestoreDetails": an_object(
            {"objectType": string, "targetStorageAccountId": resource_id(ids.STORAGE_ACCOUNT)},
            needed=("targetStorageAccountId",),
        ),
        "encryptionDetails": an_object(
            {
                "encryptionEnabled": boolean,
                "kekUrl": string,
                "kekVaultId": string,
                "secretKeyUrl": string,
                "secretKeyVaultId": string,
            }
        ),
        "securedVMDetails": an_object(
            {
                "securedVMOsDiskEncryptionSetId": resource_id(ids.DISK_ENCRYPTION_SET),
                "dataDiskEncryptionSettings": an_object(_DATA_DISK_ENCRYPTION),
            }
        ),
        "targetDiskNetworkAccessSettings": an_object(
            {
                "targetDiskNetworkAccessOption": one_of(
                    "SameAsOnSourceDisks", "EnablePrivateAccessForAllDisks", "EnablePublicAccessForAllDisks"
                ),
                "targetDiskAccessId": resource_id(ids.DISK_ACCESS),
            },
            needed=("targetDiskNetworkAccessOption",),
        ),
        "extendedLocation": an_object({"name": string, "type": one_of("EdgeZone")}, needed=("name", "type")),
        "recoveryPointRehydrationInfo": an_object(
            {"rehydrationRetentionDuration": _RETENTION, "rehydrationPriority": one_of("Standard", "High")},
            needed=("rehydrationPriority",),
        ),
        "resourceGuardOperationRequests": array(string),
    }
)
APPROVAL: Final = an_object(
    {
        "required": boolean.described("Wait for a person before the restore is triggered."),
        "timeout": duration_up_to(_LONGEST_APPROVAL).described("How long to wait for a person. Default PT4H."),
    }
)
_REQUEST: Final = an_object(
    {
        "sourceResourceId": resource_id(ids.VIRTUAL_MACHINE),
        "vaultId": resource_id(ids.VAULT),
        "containerName": _NATIVE_NAME,
        "protectedItemName": _NATIVE_NAME,
        "recoveryPoint": an_object(_RECOVERY_POINT),
        "recoveryType": one_of(RESTORE_DISKS, ALTERNATE_LOCATION, ORIGINAL_LOCATION),
        **PASSED_ON,
        "requestId": pattern(r"[A-Za-z0-9._-]{1,80}", "1 to 80 of A-Z a-z 0-9 . _ -"),
        "validate": boolean,
        "dryRun": boolean,
        "approval": APPROVAL,
        "requestedBy": prose,
        "reason": prose,
    },
    needed=("recoveryType",),
)

_APPROVAL_TIMEOUT: Final = timedelta(hours=4)
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    RESTORE_DISKS: (),
    ALTERNATE_LOCATION: ("targetResourceGroupId", "targetVirtualMachineId", "virtualNetworkId", "subnetId"),
    ORIGINAL_LOCATION: (),
}
_FORBIDDEN: Final[Mapping[str, tuple[str, ...]]] = {
    RESTORE_DISKS: ("targetVirtualMachineId", "virtualNetworkId", "subnetId"),
    ALTERNATE_LOCATION: (),
    ORIGINAL_LOCATION: (
        "targetResourceGroupId",
        "targetVirtualMachineId",
        "virtualNetworkId",
        "subnetId",
        "zones",
        "diskEncryptionSetId",
    ),
}


def request_schema(*, with_source: bool = True) -> Json:
    """Return the JSON Schema (draft 2020-12) of a request, made of the readers and tables that ``from_json`` uses.

    Without its source, the VM, it is a template's, which an alert completes. What ids must have in common is not in it.
    """
    properties: Json = dict(_REQUEST.schema["properties"])
    conditions: list[Json] = [
        {"dependentRequired": {"containerName": list(_ITEM), "protectedItemName": list(_ITEM)}},
    ]
    if with_source:
        conditions.append({"anyOf": [{"required": ["sourceResourceId"]}, {"required": list(_ITEM)}]})
    else:
        del properties["sourceResourceId"]
    managed: Json = {
        "if": {"properties": {"restoreWithManagedDisks": {"const": True}}, "required": ["restoreWithManagedDisks"]},
        "then": {"required": ["targetResourceGroupId"]},
    }
    one_identity: Json = {
        "if": {"properties": {"isSystemAssignedIdentity": {"const": True}}, "required": ["isSystemAssignedIdentity"]},
        "then": {"properties": {"managedIdentityResourceId": False}},
        "else": {"required": ["managedIdentityResourceId"]},
    }
    staging: Json = {
        "if": {"required": ["identityInfo"]},
        "then": {
            "required": ["identityBasedRestoreDetails"],
            "properties": {"storageAccountId": False, "identityInfo": one_identity},
        },
        "else": {"required": ["storageAccountId"], "properties": {"identityBasedRestoreDetails": False}},
    }
    kinds: list[Json] = [
        {
            "if": {"properties": {"recoveryType": {"const": kind}}, "required": ["recoveryType"]},
            "then": {"required": list(_NEEDED[kind]), "properties": dict.fromkeys(_FORBIDDEN[kind], False)},
        }
        for kind in _NEEDED
    ]
    return {**_REQUEST.schema, "properties": properties, "allOf": [*conditions, staging, managed, *kinds]}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPointCriteria:
    """Which recovery points are acceptable; everything ``None`` means the newest that can be restored."""

    point_id: str | None = None
    at_or_before: datetime | None = None
    not_older_than: timedelta | None = None
    consistency: tuple[str, ...] | None = None
    tiers: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a checked ``recoveryPoint`` object."""
        at_or_before, not_older_than = data.get("atOrBefore"), data.get("notOlderThan")
        return cls(
            point_id=data.get("id"),
            at_or_before=parse_request_time(at_or_before) if at_or_before else None,
            not_older_than=parse_duration(not_older_than) if not_older_than else None,
            consistency=tuple(data["consistency"]) if "consistency" in data else None,
            tiers=tuple(data["tiers"]) if "tiers" in data else None,
        )


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A request that passed every check. ``body`` is what the caller sent, members that were ``null`` left out."""

    body: Json

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Check a caller's JSON; raises ``InvalidRequestError`` that names every problem, not just the first."""
        problems = Problems()
        body: Json = _REQUEST(data, "", problems)
        if isinstance(data, dict):
            _check_source(body, problems)
            _check_staging(body, problems)
            _check_recovery_type(body, problems)
            _check_targets(body, problems)
            _check_details(body, problems)
        if problems.found:
            raise InvalidRequestError(problems.found)
        return cls(body)

    def to_json(self) -> Json:
        """Return the request in the form that ``from_json`` reads."""
        return self.body

    @property
    def source_resource_id(self) -> str | None:
        """The backed-up VM's id, or ``None`` where vault, container and item name it."""
        return self.body.get("sourceResourceId")

    @property
    def recovery_type(self) -> str:
        """``RestoreDisks``, ``AlternateLocation`` or ``OriginalLocation``."""
        return self.body["recoveryType"]

    @property
    def passed_on(self) -> Json:
        """The members that go into ``IaasVMRestoreRequest`` as they came."""
        return {name: value for name, value in self.body.items() if name in PASSED_ON}

    @property
    def disk_luns(self) -> list[int] | None:
        """The data disks asked for by LUN (``restoreDiskLunList``); ``None`` for all there are."""
        return self.body.get("restoreDiskLunList")

    @property
    def target_group(self) -> str | None:
        """The id of the resource group that managed disks or a new VM go into."""
        return self.body.get("targetResourceGroupId")

    @property
    def criteria(self) -> RecoveryPointCriteria:
        """Which recovery points the caller accepts."""
        return RecoveryPointCriteria.from_json(self.body.get("recoveryPoint", {}))

    @property
    def rehydrates(self) -> bool:
        """Whether an archived point may be chosen and brought back first."""
        return "recoveryPointRehydrationInfo" in self.body

    @property
    def validate_first(self) -> bool:
        """Whether the service is to validate the restore before it is triggered."""
        return self.body.get("validate", True)

    @property
    def is_plan(self) -> bool:
        """Whether only a plan is wanted (``dryRun``): everything is read and checked, nothing is started."""
        return self.body.get("dryRun", False)

    @property
    def needs_approval(self) -> bool:
        """Whether a person must approve the restore before it is triggered."""
        return as_object(self.body.get("approval")).get("required", False)

    @property
    def approval_timeout(self) -> timedelta:
        """How long to wait for a person, or for a Resource Guard that a person opens."""
        timeout: str | None = as_object(self.body.get("approval")).get("timeout")
        return parse_duration(timeout) if timeout else _APPROVAL_TIMEOUT

    @property
    def request_id(self) -> str | None:
        """The caller's idempotency key."""
        return self.body.get("requestId")

    @property
    def fingerprint(self) -> str:
        """Equal for equal requests, whatever the order of their members: SHA-256 in hex."""
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _check_source(body: Json, problems: Problems) -> None:
    names = [name for name in ("containerName", "protectedItemName") if name in body]
    if len(names) == 1:
        missing = "protectedItemName" if names == ["containerName"] else "containerName"
        problems.add(MISSING_FIELD, missing, f"is needed together with {names[0]}")
    if names and "vaultId" not in body:
        problems.add(MISSING_FIELD, "vaultId", "is needed together with containerName and protectedItemName")
    if "sourceResourceId" not in body and not names:
        message = "is needed, unless vaultId, containerName and protectedItemName are given"
        problems.add(MISSING_FIELD, "sourceResourceId", message)


def _check_staging(body: Json, problems: Problems) -> None:
    if "identityInfo" not in body:
        if "storageAccountId" not in body:
            problems.add(MISSING_FIELD, "storageAccountId", "is needed, unless identityInfo is given")
        if "identityBasedRestoreDetails" in body:
            problems.add(MISSING_FIELD, "identityInfo", "is needed together with identityBasedRestoreDetails")
        return
    if "identityBasedRestoreDetails" not in body:
        problems.add(MISSING_FIELD, "identityBasedRestoreDetails", "is needed together with identityInfo")
    if "storageAccountId" in body:
        problems.add(
            NOT_ALLOWED, "storageAccountId", "goes into identityBasedRestoreDetails when identityInfo is given"
        )


def _check_recovery_type(body: Json, problems: Problems) -> None:
    kind = body.get("recoveryType")
    if not isinstance(kind, str) or kind not in _NEEDED:
        return
    for name in _NEEDED[kind]:
        if name not in body:
            problems.add(MISSING_FIELD, name, f"is needed for recoveryType {kind}")
    for name in _FORBIDDEN[kind]:
        if name in body:
            problems.add(NOT_ALLOWED, name, f"is not allowed for recoveryType {kind}")
    if body.get("restoreWithManagedDisks") is True and "targetResourceGroupId" not in body:
        problems.add(MISSING_FIELD, "targetResourceGroupId", "is needed to restore to managed disks")


def _check_targets(body: Json, problems: Problems) -> None:
    def good(name: str) -> str | None:
        return None if problems.concern(name) else body.get(name)

    vm, group, source = (good(name) for name in ("targetVirtualMachineId", "targetResourceGroupId", "sourceResourceId"))
    if vm and group and not vm.lower().startswith(f"{group.lower()}/"):
        problems.add(INVALID_VALUE, "targetVirtualMachineId", "must lie in targetResourceGroupId")
    if vm and source and ids.same_id(vm, source):
        message = "must not be the VM that was backed up; use OriginalLocation to replace its disks"
        problems.add(NOT_ALLOWED, "targetVirtualMachineId", message)
    network, subnet = good("virtualNetworkId"), good("subnetId")
    if network and subnet and not subnet.lower().startswith(f"{network.lower()}/subnets/"):
        problems.add(INVALID_VALUE, "subnetId", "must be a subnet of virtualNetworkId")


def _check_details(body: Json, problems: Problems) -> None:
    access = as_object(body.get("targetDiskNetworkAccessSettings"))
    private = access.get("targetDiskNetworkAccessOption") == "EnablePrivateAccessForAllDisks"
    if private and "targetDiskAccessId" not in access:
        target = "targetDiskNetworkAccessSettings.targetDiskAccessId"
        problems.add(MISSING_FIELD, target, "is needed for EnablePrivateAccessForAllDisks")
    identity = body.get("identityInfo")
    if identity is not None and not problems.concern("identityInfo"):
        system, named = identity.get("isSystemAssignedIdentity") is True, "managedIdentityResourceId" in identity
        if not system and not named:
            message = "must be true, or managedIdentityResourceId given"
            problems.add(MISSING_FIELD, "identityInfo.isSystemAssignedIdentity", message)
        if system and named:
            message = "names another identity than isSystemAssignedIdentity; give one of them"
            problems.add(NOT_ALLOWED, "identityInfo.managedIdentityResourceId", message)
