"""What a restore request may contain: its members, the conditions between them, and both as JSON Schema.

The members are a contract with the callers of this app. What a recovery type requires is what Azure Backup requires of
an ``IaasVMRestoreRequest``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from domain.azure import resource_ids as ids
from domain.reading import (
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json

RESTORE_DISKS: Final = "RestoreDisks"
ALTERNATE_LOCATION: Final = "AlternateLocation"
ORIGINAL_LOCATION: Final = "OriginalLocation"
SWAP_DISKS: Final = "thenSwapDisks"
"""The member that asks for the restored disks to be put into the backed-up VM in place of its present ones."""
BEFORE_TRIGGER: Final = "Trigger"
BEFORE_SWAP: Final = "Swap"
CONSISTENCIES: Final = ("AppConsistent", "FileSystemConsistent", "CrashConsistent")
TIERS: Final = ("InstantRP", "HardenedRP", "ArchivedRP")
_MAX_APPROVAL_TIMEOUT: Final = timedelta(days=365)

# Native names become segments of a URL path. They hold the resource group's name, which may have letters of any script.
_NATIVE_NAME: Final = pattern(
    r"(?!\.+$)(?u:[-\w.(); ]{1,500})",
    "a native name as the service returns it, such as VM;iaasvmcontainerv2;web-rg;web-01",
    # The length is checked separately: some regex engines refuse a large character class that is repeated 500 times.
    portable=r"(?!\.+$)(?=.{1,500}$)[-\w.(); \u00aa-\uffff]+",
    trim=True,
)
RECOVERY_POINT: Final[Mapping[str, Reader]] = {
    "id": pattern(
        r"[A-Za-z0-9_-]{1,100}",
        "a recovery point's name (not its resource id), such as 1103996678573089",
        trim=True,
    ),
    "atOrBefore": time,
    "notOlderThan": duration,
    "consistency": array(one_of(*CONSISTENCIES), minimum=1),
    "tiers": array(one_of(*TIERS), minimum=1),
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
# The members that go into ``IaasVMRestoreRequest`` unchanged; only their shape is checked here.
PASSED_ON: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "storageAccountId": resource_id(ids.STORAGE_ACCOUNT),
        "targetResourceGroupId": resource_id(ids.RESOURCE_GROUP),
        "targetVirtualMachineId": resource_id(ids.VIRTUAL_MACHINE),
        "virtualNetworkId": resource_id(ids.VIRTUAL_NETWORK),
        "subnetId": resource_id(ids.SUBNET),
        "zones": array(one_of("1", "2", "3", "NoZone"), minimum=1, maximum=1),
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
                **dict.fromkeys(("kekUrl", "kekVaultId", "secretKeyUrl", "secretKeyVaultId"), string),
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
REQUEST_ID: Final = pattern(r"[A-Za-z0-9._-]{1,80}", "1 to 80 of A-Z a-z 0-9 . _ -")
APPROVAL: Final = an_object(
    {
        "required": boolean.described("Wait for a person before the restore is triggered."),
        "timeout": duration_up_to(_MAX_APPROVAL_TIMEOUT).described("How long to wait for a person. Default PT4H."),
        "distinct": boolean.described(
            "The person in requestedBy must not approve. Default false; true for OriginalLocation and thenSwapDisks "
            "started by an alert."
        ),
        "before": one_of(BEFORE_TRIGGER, BEFORE_SWAP).described(
            "What the restore waits before: its trigger, or, with thenSwapDisks, the moment in which the VM is "
            "deallocated. The disks are restored by then. Default Trigger; Swap for thenSwapDisks started by an alert."
        ),
    }
)
REQUEST: Final = an_object(
    {
        "sourceResourceId": resource_id(ids.VIRTUAL_MACHINE),
        "vaultId": resource_id(ids.VAULT),
        "containerName": _NATIVE_NAME,
        "protectedItemName": _NATIVE_NAME,
        "recoveryPoint": an_object(RECOVERY_POINT),
        "recoveryType": one_of(RESTORE_DISKS, ALTERNATE_LOCATION, ORIGINAL_LOCATION),
        **PASSED_ON,
        "requestId": REQUEST_ID,
        "validate": boolean,
        "dryRun": boolean,
        "approval": APPROVAL,
        SWAP_DISKS: an_object(
            {
                "dataDisksOnly": boolean.described("Leave the OS disk of the VM as it is. Default false."),
                "start": boolean.described("Start the VM afterwards. Default true."),
            }
        ).described(
            "Put the restored disks into the backed-up VM in place of its present ones, which are kept. The VM is "
            "deallocated for some minutes."
        ),
        "requestedBy": prose,
        "reason": prose,
    },
    needed=("recoveryType",),
)


def swaps_disks(body: Mapping[str, Any]) -> bool:
    """Return whether a request, or a template of requests, has its restored disks swapped into the backed-up VM."""
    return body.get(SWAP_DISKS) is not None


def replaces_disks(body: Mapping[str, Any]) -> bool:
    """Return whether a request, or a template of requests, replaces disks of an existing VM: in place or by a swap."""
    return body.get("recoveryType") == ORIGINAL_LOCATION or swaps_disks(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Members that a request must have (``requires``) or must not have (``forbids``) because of its other members.

    It applies to a request that has all members of ``given``, each with one of its values there (or with any value if
    there are none), and no member of ``absent``. ``reason`` completes "is needed …" and "is not allowed …".
    """

    given: Mapping[str, tuple[str | bool, ...]]
    absent: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    forbids: tuple[str, ...] = ()
    reason: str

    @property
    def schema(self) -> Json:
        """The condition in JSON Schema."""
        values = {name: {"enum": list(values)} for name, values in self.given.items() if values}
        return {
            "if": {"properties": {**values, **dict.fromkeys(self.absent, False)}, "required": list(self.given)},
            "then": {"required": list(self.requires), "properties": dict.fromkeys(self.forbids, False)},
        }

    def check(self, body: Json, problems: Problems) -> None:
        """Add a problem for each member of ``body`` that is missing or not allowed."""
        if any(name in body for name in self.absent) or any(name not in body for name in self.given):
            return
        # In Python 1 equals True, so a value counts only if its own reader accepted it.
        if any(values and (body[name] not in values or problems.exist_at(name)) for name, values in self.given.items()):
            return
        for name in self.requires:
            if name not in body and not problems.exist_at(name):
                problems.add(MISSING_FIELD, name, f"is needed {self.reason}")
        for name in self.forbids:
            if name in body:
                problems.add(NOT_ALLOWED, name, f"is not allowed {self.reason}")


TARGETS: Final = ("targetResourceGroupId", "targetVirtualMachineId", "virtualNetworkId", "subnetId")
_SOURCE: Final = "sourceResourceId"
_ITEM: Final = ("vaultId", "containerName", "protectedItemName")
_ANY: Final = ()
CONDITIONS: Final = (
    Condition(given={"containerName": _ANY}, requires=_ITEM, reason="together with containerName"),
    Condition(given={"protectedItemName": _ANY}, requires=_ITEM, reason="together with protectedItemName"),
    Condition(
        given={},
        absent=("containerName", "protectedItemName"),
        requires=(_SOURCE,),
        reason="unless vaultId, containerName and protectedItemName are given",
    ),
    Condition(
        given={}, absent=("identityInfo",), requires=("storageAccountId",), reason="unless identityInfo is given"
    ),
    Condition(
        given={"identityInfo": _ANY},
        requires=("identityBasedRestoreDetails",),
        forbids=("storageAccountId",),
        reason="when identityInfo is given: the staging account then goes into identityBasedRestoreDetails",
    ),
    Condition(
        given={"identityBasedRestoreDetails": _ANY},
        requires=("identityInfo",),
        reason="together with identityBasedRestoreDetails",
    ),
    Condition(
        given={"recoveryType": (RESTORE_DISKS,)},
        forbids=("targetVirtualMachineId", "virtualNetworkId", "subnetId"),
        reason="for recoveryType RestoreDisks",
    ),
    Condition(
        given={"recoveryType": (ALTERNATE_LOCATION,)}, requires=TARGETS, reason="for recoveryType AlternateLocation"
    ),
    Condition(
        given={"recoveryType": (ORIGINAL_LOCATION,)},
        forbids=(*TARGETS, "zones", "diskEncryptionSetId"),
        reason="for recoveryType OriginalLocation",
    ),
    Condition(
        given={"restoreWithManagedDisks": (True,), "recoveryType": (RESTORE_DISKS,)},
        absent=(SWAP_DISKS,),
        requires=("targetResourceGroupId",),
        reason="to restore to managed disks",
    ),
    Condition(
        given={"recoveryType": (ALTERNATE_LOCATION, ORIGINAL_LOCATION)},
        forbids=(SWAP_DISKS,),
        reason="for this recoveryType: use RestoreDisks",
    ),
    Condition(
        given={"restoreWithManagedDisks": (False,)},
        forbids=(SWAP_DISKS,),
        reason="when restoreWithManagedDisks is false: only managed disks can be swapped",
    ),
    Condition(
        given={"recoveryType": (ORIGINAL_LOCATION,), "restoreWithManagedDisks": (True,)},
        forbids=("restoreWithManagedDisks",),
        reason="for recoveryType OriginalLocation, which never replaces unmanaged disks: use RestoreDisks",
    ),
)
_ONE_IDENTITY: Final[Json] = {
    "if": {"properties": {"isSystemAssignedIdentity": {"const": True}}, "required": ["isSystemAssignedIdentity"]},
    "then": {"properties": {"managedIdentityResourceId": False}},
    "else": {"required": ["managedIdentityResourceId"]},
}
_NAMED_REQUESTER: Final[Json] = {
    "if": {
        "properties": {"approval": {"properties": {"distinct": {"const": True}}, "required": ["distinct"]}},
        "required": ["approval"],
    },
    "then": {"required": ["requestedBy"], "properties": {"requestedBy": {"pattern": r"\S"}}},
}


def request_schema(*, with_source: bool = True) -> Json:
    """Return the JSON Schema (draft 2020-12) of a restore request.

    Without the source VM it is the schema of a template, which an alert completes. What ``domain.requests`` checks
    beyond ``REQUEST`` and ``CONDITIONS`` is not part of it, except that ``identityInfo`` names one identity, and that a
    distinct approval needs a requester.
    """
    members = REQUEST.schema["properties"].items()
    properties = {name: schema for name, schema in members if with_source or name != _SOURCE}
    conditions = [condition.schema for condition in CONDITIONS if with_source or _SOURCE not in condition.requires]
    identity: Json = {"properties": {"identityInfo": _ONE_IDENTITY}}
    requester = [_NAMED_REQUESTER] if with_source else []
    return {**REQUEST.schema, "properties": properties, "allOf": [*conditions, identity, *requester]}
