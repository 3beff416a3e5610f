from __future__ import annotations

import time
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from domain.errors import ErrorDetail, InvalidRequestError, Json
from domain.request_schema import request_schema
from domain.requests import RestoreRequest
from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID
from tests.support.strategies import BASES, DISK_ACCESS, ENCRYPTION_SET, IDENTITY, NAMES, NETWORK, SUBNET, TARGET_VM

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSING, UNKNOWN, INVALID, NOT_ALLOWED = "MissingField", "UnknownField", "InvalidValue", "NotAllowed"
ALL, DISKS, ALTERNATE, ORIGINAL = "*", "RestoreDisks", "AlternateLocation", "OriginalLocation"
BY_IDENTITY = {
    "storageAccountId": None,
    "identityInfo": {"isSystemAssignedIdentity": True},
    "identityBasedRestoreDetails": {"targetStorageAccountId": STORAGE_ID},
}

SCHEMA = Draft202012Validator(request_schema())


def problems(body: Any) -> list[ErrorDetail]:
    with pytest.raises(InvalidRequestError) as caught:
        RestoreRequest.from_json(body)
    assert caught.value.code == "InvalidRequest"
    return list(caught.value.details)


def secured(**members: Any) -> Json:
    return {"securedVMDetails": {"dataDiskEncryptionSettings": members}}


def point(**members: Any) -> Json:
    return {"recoveryPoint": members}


# Recovery type, difference from a good request, code and target of the problem, a part of its message. A row for ALL
# does not depend on the recovery type: the bases take turns, so that each serves a third of these rows.
TABLE: list[tuple[str, Json, str, str, str]] = [
    # the VM or its names
    (ALL, {"sourceResourceId": None}, MISSING, "sourceResourceId", "unless vaultId, containerName and protectedItem"),
    (ALL, {"sourceResourceId": None, "vaultId": VAULT_ID}, MISSING, "sourceResourceId", "is needed"),
    (ALL, {"sourceResourceId": 5}, INVALID, "sourceResourceId", "Microsoft.Compute/virtualMachines"),
    (ALL, {"sourceResourceId": ""}, INVALID, "sourceResourceId", "/subscriptions/<id>/resourceGroups/<name>/providers"),
    (ALL, {"sourceResourceId": "web-01"}, INVALID, "sourceResourceId", "resource id"),
    (ALL, {"sourceResourceId": VAULT_ID}, INVALID, "sourceResourceId", "Microsoft.Compute/virtualMachines"),
    (ALL, {"sourceResourceId": TARGET_GROUP}, INVALID, "sourceResourceId", "Microsoft.Compute/virtualMachines"),
    (ALL, {"sourceResourceId": f"{VM_ID}/extensions/x"}, INVALID, "sourceResourceId", "virtualMachines/<name>"),
    (ALL, {"sourceResourceId": [VM_ID]}, INVALID, "sourceResourceId", "resource id"),
    (ALL, {"vaultId": VM_ID}, INVALID, "vaultId", "Microsoft.RecoveryServices/vaults"),
    (ALL, {"vaultId": f"https://management.azure.com{VAULT_ID}"}, INVALID, "vaultId", "resource id"),
    (ALL, {**NAMES, "vaultId": None}, MISSING, "vaultId", "together with containerName"),
    (ALL, {**NAMES, "containerName": None}, MISSING, "containerName", "together with protectedItemName"),
    (ALL, {**NAMES, "protectedItemName": None}, MISSING, "protectedItemName", "together with containerName"),
    (ALL, {**NAMES, "containerName": 7}, INVALID, "containerName", "native name"),
    (ALL, {**NAMES, "containerName": ""}, INVALID, "containerName", "VM;iaasvmcontainerv2;"),
    (ALL, {**NAMES, "protectedItemName": ["VM"]}, INVALID, "protectedItemName", "native name"),
    # targets that contradict each other
    (
        ALTERNATE,
        {"targetVirtualMachineId": VM_ID.replace("web-01", "x")},
        INVALID,
        "targetVirtualMachineId",
        "must be in",
    ),
    (
        ALTERNATE,
        {"subnetId": SUBNET.replace(NETWORK, f"{NETWORK}2")},
        INVALID,
        "subnetId",
        "a subnet of virtualNetworkId",
    ),
    (
        ALTERNATE,
        {"targetVirtualMachineId": VM_ID.upper(), "targetResourceGroupId": VM_ID.split("/providers")[0]},
        NOT_ALLOWED,
        "targetVirtualMachineId",
        "must not be the VM that was backed up",
    ),
    (
        ALL,
        {"targetDiskNetworkAccessSettings": {"targetDiskNetworkAccessOption": "EnablePrivateAccessForAllDisks"}},
        MISSING,
        "targetDiskNetworkAccessSettings.targetDiskAccessId",
        "is needed for EnablePrivateAccessForAllDisks",
    ),
    *(
        (
            ALL,
            {
                "targetDiskNetworkAccessSettings": {
                    "targetDiskNetworkAccessOption": option,
                    "targetDiskAccessId": DISK_ACCESS,
                }
            },
            NOT_ALLOWED,
            "targetDiskNetworkAccessSettings.targetDiskAccessId",
            "is only for EnablePrivateAccessForAllDisks",
        )
        for option in ("SameAsOnSourceDisks", "EnablePublicAccessForAllDisks")
    ),
    (
        ORIGINAL,
        {"restoreWithManagedDisks": True},
        NOT_ALLOWED,
        "restoreWithManagedDisks",
        "for recoveryType OriginalLocation, which never replaces unmanaged disks",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityInfo": {}},
        MISSING,
        "identityInfo.isSystemAssignedIdentity",
        "unless managedIdentityResourceId",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityInfo": {"isSystemAssignedIdentity": False}},
        MISSING,
        "identityInfo.isSystemAssignedIdentity",
        "must be true unless managedIdentityResourceId",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityInfo": {"isSystemAssignedIdentity": True, "managedIdentityResourceId": IDENTITY}},
        NOT_ALLOWED,
        "identityInfo.managedIdentityResourceId",
        "give one of them",
    ),
    *(
        (
            ALL,
            {
                "recoveryPointRehydrationInfo": {
                    "rehydrationPriority": "High",
                    "rehydrationRetentionDuration": days,
                }
            },
            INVALID,
            "recoveryPointRehydrationInfo.rehydrationRetentionDuration",
            "from P10D to P30D",
        )
        for days in ("P9D", "P31D", "PT1H", "P2W", "PT360H", "P10.5D", "P010D", "p15d")
    ),
    # the recovery point
    (ALL, {"recoveryPoint": "1103996678573089"}, INVALID, "recoveryPoint", "JSON object"),
    (ALL, {"recoveryPoint": []}, INVALID, "recoveryPoint", "JSON object"),
    (ALL, point(id=1103996678573089), INVALID, "recoveryPoint.id", "1103996678573089"),
    (ALL, point(id=""), INVALID, "recoveryPoint.id", "name"),
    (ALL, point(id="1/restore"), INVALID, "recoveryPoint.id", "not its resource id"),
    (ALL, point(id=f"{VAULT_ID}/recoveryPoints/1"), INVALID, "recoveryPoint.id", "not its resource id"),
    (ALL, point(id="1" * 101), INVALID, "recoveryPoint.id", "name"),
    (ALL, point(id=".."), INVALID, "recoveryPoint.id", "name"),
    (ALL, point(id="1\u200b"), INVALID, "recoveryPoint.id", "ends in U+200B"),
    (ALL, point(id="١٢"), INVALID, "recoveryPoint.id", "name"),
    (ALL, point(atOrBefore="2026-11-20T06:00:00"), INVALID, "recoveryPoint.atOrBefore", "zone"),
    (ALL, point(atOrBefore="2026-11-20"), INVALID, "recoveryPoint.atOrBefore", "2026-11-20T06:00:00Z"),
    (ALL, point(atOrBefore="2026-13-20T06:00:00Z"), INVALID, "recoveryPoint.atOrBefore", "ISO 8601"),
    (ALL, point(atOrBefore="9999-12-31T23:59:59-01:00"), INVALID, "recoveryPoint.atOrBefore", "ISO 8601"),
    (ALL, point(atOrBefore="yesterday"), INVALID, "recoveryPoint.atOrBefore", "ISO 8601"),
    (ALL, point(atOrBefore=1763618400), INVALID, "recoveryPoint.atOrBefore", "string"),
    (ALL, point(notOlderThan="7 days"), INVALID, "recoveryPoint.notOlderThan", "P7D"),
    (ALL, point(notOlderThan="P"), INVALID, "recoveryPoint.notOlderThan", "ISO 8601"),
    (ALL, point(notOlderThan="P1M"), INVALID, "recoveryPoint.notOlderThan", "days, hours, minutes or seconds"),
    (ALL, point(notOlderThan="P1Y"), INVALID, "recoveryPoint.notOlderThan", "days, hours, minutes or seconds"),
    (ALL, point(notOlderThan="PT"), INVALID, "recoveryPoint.notOlderThan", "ISO 8601"),
    (ALL, point(notOlderThan="-P1D"), INVALID, "recoveryPoint.notOlderThan", "ISO 8601"),
    (ALL, point(notOlderThan="P9999999999D"), INVALID, "recoveryPoint.notOlderThan", "ISO 8601"),
    (ALL, point(notOlderThan=f"P{'9' * 400}D"), INVALID, "recoveryPoint.notOlderThan", "ISO 8601"),
    (ALL, point(notOlderThan="01:00:00"), INVALID, "recoveryPoint.notOlderThan", "ISO 8601"),
    (ALL, point(notOlderThan=7), INVALID, "recoveryPoint.notOlderThan", "string"),
    (ALL, point(consistency="AppConsistent"), INVALID, "recoveryPoint.consistency", "array"),
    (ALL, point(consistency=[]), INVALID, "recoveryPoint.consistency", "1 to"),
    (ALL, point(consistency=["Consistent"]), INVALID, "recoveryPoint.consistency[0]", "AppConsistent, FileSystem"),
    (ALL, point(consistency=["AppConsistent", None]), INVALID, "recoveryPoint.consistency[1]", "CrashConsistent"),
    (ALL, point(consistency=["AppConsistent"] * 2), INVALID, "recoveryPoint.consistency[1]", "appears twice"),
    (ALL, point(tiers=["instantrp"]), INVALID, "recoveryPoint.tiers[0]", "InstantRP, HardenedRP, ArchivedRP"),
    (ALL, point(tiers=["InstantRP", 2]), INVALID, "recoveryPoint.tiers[1]", "HardenedRP"),
    (ALL, point(tiers=[]), INVALID, "recoveryPoint.tiers", "1 to"),
    (ALL, point(tiers={"InstantRP": True}), INVALID, "recoveryPoint.tiers", "array"),
    (ALL, point(atOrbefore="2026-11-20T06:00:00Z"), UNKNOWN, "recoveryPoint.atOrbefore", "is it atOrBefore?"),
    (ALL, point(tier=["InstantRP"]), UNKNOWN, "recoveryPoint.tier", "is it tiers?"),
    # the kind of restore
    (DISKS, {"recoveryType": None}, MISSING, "recoveryType", "is needed"),
    (DISKS, {"recoveryType": "restoredisks"}, INVALID, "recoveryType", "RestoreDisks, AlternateLocation, OriginalLoc"),
    (DISKS, {"recoveryType": "Offline"}, INVALID, "recoveryType", "RestoreDisks"),
    (DISKS, {"recoveryType": ["RestoreDisks"]}, INVALID, "recoveryType", "RestoreDisks"),
    (DISKS, {"recoveryType": {}}, INVALID, "recoveryType", "RestoreDisks"),
    # staging
    (ALL, {"storageAccountId": None}, MISSING, "storageAccountId", "unless identityInfo"),
    (ALL, {"storageAccountId": "stagingweu"}, INVALID, "storageAccountId", "Microsoft.Storage/storageAccounts"),
    (ALL, {"storageAccountId": True}, INVALID, "storageAccountId", "Microsoft.Storage/storageAccounts"),
    (ALL, {**BY_IDENTITY, "storageAccountId": STORAGE_ID}, NOT_ALLOWED, "storageAccountId", "identityBasedRestoreDe"),
    (ALL, {**BY_IDENTITY, "identityBasedRestoreDetails": None}, MISSING, "identityBasedRestoreDetails", "identityInfo"),
    (
        ALL,
        {"identityBasedRestoreDetails": {"targetStorageAccountId": STORAGE_ID}},
        MISSING,
        "identityInfo",
        "together with identityBasedRestoreDetails",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityBasedRestoreDetails": {}},
        MISSING,
        "identityBasedRestoreDetails.targetStorageAccountId",
        "is needed",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityBasedRestoreDetails": {"targetStorageAccountId": VM_ID}},
        INVALID,
        "identityBasedRestoreDetails.targetStorageAccountId",
        "storageAccounts",
    ),
    (ALL, {**BY_IDENTITY, "identityInfo": True}, INVALID, "identityInfo", "JSON object"),
    (
        ALL,
        {**BY_IDENTITY, "identityInfo": {"isSystemAssignedIdentity": "yes"}},
        INVALID,
        "identityInfo.isSystemAssignedIdentity",
        "true or false",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityInfo": {"managedIdentityResourceId": STORAGE_ID}},
        INVALID,
        "identityInfo.managedIdentityResourceId",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
    ),
    (
        ALL,
        {**BY_IDENTITY, "identityInfo": {"managedIdentityId": IDENTITY}},
        UNKNOWN,
        "identityInfo.managedIdentityId",
        "is it managedIdentityResourceId?",
    ),
    # targets
    (ALTERNATE, {"targetResourceGroupId": None}, MISSING, "targetResourceGroupId", "recoveryType AlternateLocation"),
    (ALTERNATE, {"targetVirtualMachineId": None}, MISSING, "targetVirtualMachineId", "recoveryType AlternateLocation"),
    (ALTERNATE, {"virtualNetworkId": None}, MISSING, "virtualNetworkId", "recoveryType AlternateLocation"),
    (ALTERNATE, {"subnetId": None}, MISSING, "subnetId", "recoveryType AlternateLocation"),
    (ALTERNATE, {"targetResourceGroupId": "restored-rg"}, INVALID, "targetResourceGroupId", "resource group"),
    (ALTERNATE, {"targetResourceGroupId": TARGET_VM}, INVALID, "targetResourceGroupId", "resource group"),
    (DISKS, {"targetResourceGroupId": SUBSCRIPTION}, INVALID, "targetResourceGroupId", "resource group"),
    (ALTERNATE, {"targetVirtualMachineId": "web-01-restored"}, INVALID, "targetVirtualMachineId", "virtualMachines"),
    (ALTERNATE, {"virtualNetworkId": SUBNET}, INVALID, "virtualNetworkId", "Microsoft.Network/virtualNetworks"),
    (ALTERNATE, {"subnetId": NETWORK}, INVALID, "subnetId", "virtualNetworks/subnets"),
    (ALTERNATE, {"subnetId": f"{NETWORK}/subnets/"}, INVALID, "subnetId", "subnets/<name>"),
    (DISKS, {"targetVirtualMachineId": TARGET_VM}, NOT_ALLOWED, "targetVirtualMachineId", "recoveryType RestoreDisks"),
    (DISKS, {"virtualNetworkId": NETWORK}, NOT_ALLOWED, "virtualNetworkId", "recoveryType RestoreDisks"),
    (DISKS, {"subnetId": SUBNET}, NOT_ALLOWED, "subnetId", "recoveryType RestoreDisks"),
    (ORIGINAL, {"targetResourceGroupId": TARGET_GROUP}, NOT_ALLOWED, "targetResourceGroupId", "OriginalLocation"),
    (ORIGINAL, {"targetVirtualMachineId": TARGET_VM}, NOT_ALLOWED, "targetVirtualMachineId", "OriginalLocation"),
    (ORIGINAL, {"virtualNetworkId": NETWORK}, NOT_ALLOWED, "virtualNetworkId", "OriginalLocation"),
    (ORIGINAL, {"subnetId": SUBNET}, NOT_ALLOWED, "subnetId", "OriginalLocation"),
    (ORIGINAL, {"zones": ["1"]}, NOT_ALLOWED, "zones", "OriginalLocation"),
    (ORIGINAL, {"diskEncryptionSetId": ENCRYPTION_SET}, NOT_ALLOWED, "diskEncryptionSetId", "OriginalLocation"),
    (DISKS, {"restoreWithManagedDisks": True}, MISSING, "targetResourceGroupId", "managed disks"),
    (ALL, {"restoreWithManagedDisks": "true"}, INVALID, "restoreWithManagedDisks", "true or false"),
    (DISKS, {"restoreWithManagedDisks": 1}, INVALID, "restoreWithManagedDisks", "true or false"),
    (ALL, {"restoreWithManagedDisks": 0}, INVALID, "restoreWithManagedDisks", "true or false"),
    (ALTERNATE, {"zones": []}, INVALID, "zones", "1 to 1"),
    (ALTERNATE, {"zones": ["1", "2"]}, INVALID, "zones", "1 to 1"),
    (ALTERNATE, {"zones": [1]}, INVALID, "zones[0]", "1, 2, 3, NoZone"),
    (ALTERNATE, {"zones": ["4"]}, INVALID, "zones[0]", "1, 2, 3, NoZone"),
    (DISKS, {"zones": "1"}, INVALID, "zones", "array"),
    (DISKS, {"diskEncryptionSetId": DISK_ACCESS}, INVALID, "diskEncryptionSetId", "diskEncryptionSets"),
    (ALTERNATE, {"diskEncryptionSetId": "keys"}, INVALID, "diskEncryptionSetId", "diskEncryptionSets"),
    (ALL, {"restoreDiskLunList": "0"}, INVALID, "restoreDiskLunList", "array"),
    (ALL, {"restoreDiskLunList": ["0"]}, INVALID, "restoreDiskLunList[0]", "whole number"),
    (ALL, {"restoreDiskLunList": [0, 1.5]}, INVALID, "restoreDiskLunList[1]", "whole number"),
    (ALL, {"restoreDiskLunList": [True]}, INVALID, "restoreDiskLunList[0]", "whole number"),
    (ALL, {"restoreDiskLunList": [-2]}, INVALID, "restoreDiskLunList[0]", "-1"),
    (ALL, {"restoreDiskLunList": [10**30]}, INVALID, "restoreDiskLunList[0]", "whole number"),
    (ALL, {"restoreDiskLunList": [0, 1, 0]}, INVALID, "restoreDiskLunList[2]", "appears twice"),
    (ALL, {"restoreDiskLunList": list(range(1001))}, INVALID, "restoreDiskLunList", "0 to 1000 entries"),
    # what is passed on
    (ALL, {"encryptionDetails": False}, INVALID, "encryptionDetails", "JSON object"),
    (ALL, {"encryptionDetails": {"encryptionEnabled": 1}}, INVALID, "encryptionDetails.encryptionEnabled", "true or"),
    (ALL, {"encryptionDetails": {"kekUrl": ""}}, INVALID, "encryptionDetails.kekUrl", "empty"),
    (ALL, {"encryptionDetails": {"kekURL": "x"}}, UNKNOWN, "encryptionDetails.kekURL", "is it kekUrl?"),
    (
        ALL,
        {"securedVMDetails": {"securedVMOsDiskEncryptionSetId": "x"}},
        INVALID,
        "securedVMDetails.securedVMOsDiskEncryptionSetId",
        "diskEncryptionSets",
    ),
    (
        ALL,
        secured(perDiskEncryptionSetIds=[{"lun": 0}]),
        MISSING,
        "securedVMDetails.dataDiskEncryptionSettings.perDiskEncryptionSetIds[0].diskEncryptionSetId",
        "is needed",
    ),
    (
        ALL,
        secured(perDiskEncryptionSetIds=[{"lun": "0", "diskEncryptionSetId": ENCRYPTION_SET}]),
        INVALID,
        "securedVMDetails.dataDiskEncryptionSettings.perDiskEncryptionSetIds[0].lun",
        "whole number",
    ),
    (
        ALL,
        secured(dataDiskEncryptionSetID=ENCRYPTION_SET),
        UNKNOWN,
        "securedVMDetails.dataDiskEncryptionSettings.dataDiskEncryptionSetID",
        "is it dataDiskEncryptionSetId?",
    ),
    (
        ALL,
        {"targetDiskNetworkAccessSettings": {"targetDiskAccessId": DISK_ACCESS}},
        MISSING,
        "targetDiskNetworkAccessSettings.targetDiskNetworkAccessOption",
        "is needed",
    ),
    (
        ALL,
        {"targetDiskNetworkAccessSettings": {"targetDiskNetworkAccessOption": "Private"}},
        INVALID,
        "targetDiskNetworkAccessSettings.targetDiskNetworkAccessOption",
        "SameAsOnSourceDisks, EnablePrivateAccessForAllDisks, EnablePublicAccessForAllDisks",
    ),
    (ALL, {"extendedLocation": {"name": "lab"}}, MISSING, "extendedLocation.type", "is needed"),
    (ALL, {"extendedLocation": {"type": "EdgeZone"}}, MISSING, "extendedLocation.name", "is needed"),
    (ALL, {"extendedLocation": {"name": "lab", "type": "Zone"}}, INVALID, "extendedLocation.type", "EdgeZone"),
    (
        ALL,
        {"recoveryPointRehydrationInfo": {"rehydrationRetentionDuration": "P15D"}},
        MISSING,
        "recoveryPointRehydrationInfo.rehydrationPriority",
        "is needed",
    ),
    (
        ALL,
        {"recoveryPointRehydrationInfo": {"rehydrationPriority": "Low"}},
        INVALID,
        "recoveryPointRehydrationInfo.rehydrationPriority",
        "Standard, High",
    ),
    (
        ALL,
        {"recoveryPointRehydrationInfo": {"rehydrationPriority": "High", "rehydrationRetentionDuration": "15"}},
        INVALID,
        "recoveryPointRehydrationInfo.rehydrationRetentionDuration",
        "whole days",
    ),
    (ALL, {"resourceGuardOperationRequests": "x"}, INVALID, "resourceGuardOperationRequests", "array"),
    (ALL, {"resourceGuardOperationRequests": [" "]}, INVALID, "resourceGuardOperationRequests[0]", "empty"),
    # ours
    (ALL, {"requestId": ""}, INVALID, "requestId", "1 to 80"),
    (ALL, {"requestId": "x" * 81}, INVALID, "requestId", "1 to 80"),
    (ALL, {"requestId": "a b"}, INVALID, "requestId", "A-Z a-z 0-9 . _ -"),
    (ALL, {"requestId": "a:b"}, INVALID, "requestId", "A-Z a-z 0-9 . _ -"),
    (ALL, {"requestId": "ä"}, INVALID, "requestId", "A-Z a-z 0-9 . _ -"),
    (ALL, {"requestId": "a\n"}, INVALID, "requestId", "A-Z a-z 0-9 . _ -"),
    (ALL, {"requestId": 66}, INVALID, "requestId", "1 to 80"),
    (ALL, {"validate": "false"}, INVALID, "validate", "true or false"),
    (ALL, {"validate": 0}, INVALID, "validate", "true or false"),
    (ALL, {"dryRun": "no"}, INVALID, "dryRun", "true or false"),
    (ALL, {"approval": True}, INVALID, "approval", "JSON object"),
    (ALL, {"approval": {"required": "no"}}, INVALID, "approval.required", "true or false"),
    (ALL, {"approval": {"timeout": "4h"}}, INVALID, "approval.timeout", "PT4H"),
    (ALL, {"approval": {"timeout": "P366D"}}, INVALID, "approval.timeout", "longer than P365D"),
    (ALL, {"approval": {"timeOut": "PT4H"}}, UNKNOWN, "approval.timeOut", "is it timeout?"),
    (ALL, {"approval": {"distinct": "yes"}}, INVALID, "approval.distinct", "true or false"),
    *(
        (ALL, {"approval": {"distinct": True}, "requestedBy": name}, MISSING, "requestedBy", "approval.distinct")
        for name in (None, "", "  ")
    ),
    (ALL, {"requestedBy": {"name": "me"}}, INVALID, "requestedBy", "string"),
    (ALL, {"reason": "x" * 2049}, INVALID, "reason", "2048"),
    (ALL, {"reason": "a\x00b"}, INVALID, "reason", "control characters"),
    (ALL, {"reason": "\ud800"}, INVALID, "reason", "control characters"),
    (
        ALL,
        {"extendedLocation": {"name": "e" * 2049, "type": "EdgeZone"}},
        INVALID,
        "extendedLocation.name",
        "longer than",
    ),
    (ALL, {"requestedBy": "a\x1bb"}, INVALID, "requestedBy", "control characters"),
    (ALL, {"reason": 1}, INVALID, "reason", "string"),
    # unknown members
    (ALL, {"sourceResourceID": VM_ID}, UNKNOWN, "sourceResourceID", "is it sourceResourceId?"),
    (ALL, {"storageAcountId": STORAGE_ID}, UNKNOWN, "storageAcountId", "is it storageAccountId?"),
    (ALL, {"recoverytype": "RestoreDisks"}, UNKNOWN, "recoverytype", "is it recoveryType?"),
    (ALL, {"dryrun": True}, UNKNOWN, "dryrun", "is it dryRun?"),
    (ALL, {"region": "westeurope"}, UNKNOWN, "region", "is not a known field"),
    (ALL, {"affinityGroup": ""}, UNKNOWN, "affinityGroup", "is not a known field"),
    (ALL, {"objectType": "IaasVMRestoreRequest"}, UNKNOWN, "objectType", "is not a known field"),
    (ALL, {"properties": {}}, UNKNOWN, "properties", "is not a known field"),
    (ALL, {"": 1}, UNKNOWN, "", "is not a known field"),
]


def rows() -> Iterator[Any]:
    kinds = cycle(BASES)
    for wanted, change, code, target, hint in TABLE:
        kind = next(kinds) if wanted == ALL else wanted
        body = {name: value for name, value in {**BASES[kind], **change}.items() if value is not None}
        yield pytest.param(body, code, target, hint, id=f"{kind}-{target}-{hint[:20]}")


@pytest.mark.parametrize(("body", "code", "target", "hint"), list(rows()))
def test_a_bad_request_is_refused_for_its_one_fault(body: Json, code: str, target: str, hint: str) -> None:
    [problem] = problems(body)

    assert (problem.code, problem.target) == (code, target)
    assert hint in problem.message


# Faults that JSON Schema cannot express: in the relation of two ids, in the calendar, or in invisible characters.
BEYOND_A_SCHEMA = {
    *("must be in", "a subnet of virtualNetworkId", "must not be the VM that was backed up"),
    *("is needed for EnablePrivateAccessForAllDisks", "is only for EnablePrivateAccessForAllDisks"),
    *("longer than P365D", "zone", "2026-11-20T06:00:00Z"),
}


@pytest.mark.parametrize(("body", "code", "target", "hint"), list(rows()))
def test_the_schema_refuses_what_the_reader_refuses(body: Json, code: str, target: str, hint: str) -> None:
    written = repr(body)
    beyond = hint in BEYOND_A_SCHEMA or any(text in written for text in ("\\n'", "\\ud800", "P999"))
    beyond |= code == INVALID and target == "recoveryPoint.atOrBefore" and hint == "ISO 8601"

    assert SCHEMA.is_valid(body) == beyond


SNEAKY = [
    *(
        "..",
        ".",
        "../x",
        "a/../../b",
        "%2e%2e",
        "%2f",
        "a%2Fb",
        "a?api-version=1",
        "a?",
        "a#b",
        "a\\b",
        "a\x00",
        "a\tb",
    ),
    *("a\nb", "a\r\nHost: x", "a\x7f", "\ud800", "\udfff", "a\u200bb", "a\u2028b", "\uff0e\uff0e", "\uff0f", "a&b"),
    *("a;b/c", "a:b", "a@b", "{vmName}", "*", "a'b", 'a"b', "<x>", "x" * 600, ""),
]


@pytest.mark.parametrize("field", [name for name in BASES["AlternateLocation"] if name.endswith("Id")])
def test_no_id_carries_anything_that_could_change_a_url(field: str) -> None:
    parts = BASES["AlternateLocation"][field].split("/")

    for index, name in product(range(2, len(parts), 2), SNEAKY):
        bad = "/".join([*parts[:index], name, *parts[index + 1 :]])
        found = problems({**BASES["AlternateLocation"], field: bad})
        assert [(problem.code, problem.target) for problem in found] == [("InvalidValue", field)], bad


@pytest.mark.parametrize("field", ["containerName", "protectedItemName"])
def test_no_native_name_carries_anything_that_could_change_a_url(field: str) -> None:
    for name in (*SNEAKY, "a/b", "...."):
        found = problems({**BASES["RestoreDisks"], **NAMES, field: name})
        assert [(problem.code, problem.target) for problem in found] == [("InvalidValue", field)], name


def test_no_point_carries_anything_that_could_change_a_url() -> None:
    for name in SNEAKY:
        found = problems({**BASES["RestoreDisks"], "recoveryPoint": {"id": name}})
        assert [(problem.code, problem.target) for problem in found] == [("InvalidValue", "recoveryPoint.id")], name


def test_all_problems_are_reported_at_once() -> None:
    found = problems(
        {
            "recoveryType": "AlternateLocation",
            "storageAccountId": "x",
            "vaultId": 1,
            "targetVirtualMachineId": TARGET_VM,
            "recoveryPoint": {"atOrBefore": "x", "tiers": ["A", "B"], "what": 1},
            "zones": ["9"],
            "validate": "yes",
            "surprise": True,
        }
    )

    assert {(problem.code, problem.target) for problem in found} == {
        (MISSING, "sourceResourceId"),
        (MISSING, "targetResourceGroupId"),
        (MISSING, "virtualNetworkId"),
        (MISSING, "subnetId"),
        (INVALID, "storageAccountId"),
        (INVALID, "vaultId"),
        (INVALID, "recoveryPoint.atOrBefore"),
        (INVALID, "recoveryPoint.tiers[0]"),
        (INVALID, "recoveryPoint.tiers[1]"),
        (UNKNOWN, "recoveryPoint.what"),
        (INVALID, "zones[0]"),
        (INVALID, "validate"),
        (UNKNOWN, "surprise"),
    }


def test_the_problems_of_an_empty_request_name_all_that_is_needed() -> None:
    assert {problem.target for problem in problems({})} == {"recoveryType", "sourceResourceId", "storageAccountId"}


def test_a_requester_with_an_invisible_name_counts_as_none() -> None:
    found = problems({**BASES["RestoreDisks"], "approval": {"distinct": True}, "requestedBy": "\u200b"})

    assert [(problem.code, problem.target) for problem in found] == [(MISSING, "requestedBy")]


def test_the_message_names_the_first_three_and_counts_the_others() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        RestoreRequest.from_json({"a": 1, "b": 2})

    assert caught.value.message.startswith("The request cannot be accepted: a: is not a known field; b: is not a known")
    assert caught.value.message.endswith("recoveryType: is needed (and 2 more, see details)")


def test_three_problems_are_named_without_a_count() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        RestoreRequest.from_json({})

    assert "more" not in caught.value.message
    assert "storageAccountId" in caught.value.message


@pytest.mark.parametrize(
    "body",
    [
        {"restoreDiskLunList": list(range(150_000))},
        {"restoreDiskLunList": [0] * 500_000},
        {f"member{index}": 1 for index in range(60_000)},
        {"x" * 1_000_000: 1},
    ],
    ids=["long array", "long array of one", "many members", "long name"],
)
def test_the_worst_body_of_the_largest_size_is_refused_quickly_and_briefly(body: Json) -> None:
    before = time.process_time()
    with pytest.raises(InvalidRequestError) as caught:
        RestoreRequest.from_json({**BASES["RestoreDisks"], **body})

    # About a second; whatever grows with the square of the size would take minutes.
    assert time.process_time() - before < 10
    assert len(str(caught.value.to_json())) < 100_000
