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
    tags,
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
CREATE_VIRTUAL_MACHINE: Final = "thenCreateVirtualMachine"
"""The member that asks for a new VM of the restored disks."""
ATTACH_DISKS: Final = "thenAttachDisks"
"""The member that asks for restored disks to be attached to another VM."""
FOLLOW_UPS: Final = (SWAP_DISKS, CREATE_VIRTUAL_MACHINE, ATTACH_DISKS)
"""What a restore can do with its disks: one of these at most."""
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
# Azure's own limits of a VM's name are narrower; it says so itself. A name becomes a segment of a URL path.
_VM_NAME: Final = pattern(r"[A-Za-z0-9_]([-A-Za-z0-9._]{0,126}[A-Za-z0-9_])?", "the name of a VM", trim=True)
_TAGS: Final = tags(maximum=40)  # Azure takes 50, and the app adds one
NOT_OF_TEMPLATE: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "size": pattern(r"[A-Za-z0-9_-]{1,80}", "a VM size, such as Standard_D2s_v5").described(
            "Default: the size of the backed-up VM, which must then still be there."
        ),
        "zone": one_of("1", "2", "3").described(
            "The zone of the VM, which is that of its disks: zones must name it, too. Default: where the disks are."
        ),
        "privateIpAddress": pattern(
            r"[0-9]{1,3}(\.[0-9]{1,3}){3}", "an IPv4 address, such as 10.0.0.4", trim=True
        ).described("A static address in the subnet. Default: any free one."),
        "networkSecurityGroupId": resource_id(ids.NETWORK_SECURITY_GROUP),
        "availabilitySetId": resource_id(ids.AVAILABILITY_SET),
        "tags": _TAGS,
        "userAssignedIdentityIds": array(resource_id(ids.MANAGED_IDENTITY), minimum=1, maximum=20),
        "licenseType": pattern(r"[A-Za-z0-9_]{1,40}", "a license type, such as Windows_Server"),
    }
)
"""The members of ``thenCreateVirtualMachine`` that the template of Azure Backup does not take."""
NEW_VIRTUAL_MACHINE: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "virtualMachineId": resource_id(ids.VIRTUAL_MACHINE).described(
            "The id of the new VM, in targetResourceGroupId; or give its name alone."
        ),
        "name": _VM_NAME.described("The name of the new VM, in targetResourceGroupId."),
        "subnetId": resource_id(ids.SUBNET),
        "template": boolean.described(
            "Deploy the template that Azure Backup wrote, with a public IP address. Default false: the app makes the "
            "VM itself, with the members of this object."
        ),
        "start": boolean.described("Let the VM run. Default true; Azure starts it in any case, and false stops it."),
        **NOT_OF_TEMPLATE,
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
        CREATE_VIRTUAL_MACHINE: an_object(NEW_VIRTUAL_MACHINE, needed=("subnetId",)).described(
            "Make a new VM of the restored disks. Give its name or its id."
        ),
        ATTACH_DISKS: an_object(
            {
                "virtualMachineId": resource_id(ids.VIRTUAL_MACHINE),
                "luns": array(whole_number(-1, 1000), minimum=1, maximum=64).described(
                    "The LUNs in the backed-up VM of the disks to attach; -1 is its OS disk. Default: all data disks."
                ),
                "deleteOthers": boolean.described("Delete the restored disks that are not attached. Default false."),
            },
            needed=("virtualMachineId",),
        ).described("Attach restored disks to another VM, which may run, as data disks."),
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
        forbids=FOLLOW_UPS,
        reason="for this recoveryType: use RestoreDisks",
    ),
    Condition(
        given={"restoreWithManagedDisks": (False,)},
        forbids=FOLLOW_UPS,
        reason="when restoreWithManagedDisks is false: only managed disks can be used so",
    ),
    Condition(
        given={SWAP_DISKS: _ANY},
        forbids=(CREATE_VIRTUAL_MACHINE, ATTACH_DISKS),
        reason=f"together with {SWAP_DISKS}: a restore does one thing with its disks",
    ),
    Condition(
        given={CREATE_VIRTUAL_MACHINE: _ANY},
        requires=("targetResourceGroupId",),
        forbids=(ATTACH_DISKS,),
        reason=f"together with {CREATE_VIRTUAL_MACHINE}",
    ),
    Condition(given={ATTACH_DISKS: _ANY}, requires=("targetResourceGroupId",), reason=f"together with {ATTACH_DISKS}"),
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


_NEW_VM_CONDITIONS: Final[Json] = {
    "oneOf": [{"required": ["virtualMachineId"]}, {"required": ["name"]}],
    "if": {"properties": {"template": {"const": True}}, "required": ["template"]},
    "then": {"properties": dict.fromkeys(NOT_OF_TEMPLATE, False)},
}


def request_schema(*, with_source: bool = True) -> Json:
    """Return the JSON Schema (draft 2020-12) of a restore request.

    Without the source VM it is the schema of a template, which an alert completes. What ``domain.requests`` checks
    beyond ``REQUEST`` and ``CONDITIONS`` is not part of it, except that ``identityInfo`` names one identity, that a
    distinct approval needs a requester, and how a new VM is named and made.
    """
    members = REQUEST.schema["properties"].items()
    properties = {name: schema for name, schema in members if with_source or name != _SOURCE}
    conditions = [condition.schema for condition in CONDITIONS if with_source or _SOURCE not in condition.requires]
    nested: Json = {"properties": {"identityInfo": _ONE_IDENTITY, CREATE_VIRTUAL_MACHINE: _NEW_VM_CONDITIONS}}
    requester = [_NAMED_REQUESTER] if with_source else []
    return {**REQUEST.schema, "properties": properties, "allOf": [*conditions, nested, *requester]}
