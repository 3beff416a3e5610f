"""What hypothesis draws from: JSON of any kind, good restore requests, and good bodies with something wrong in them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from hypothesis import settings
from hypothesis import strategies as st

from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from domain.errors import Json

SWIFT: Final = settings(deadline=None, max_examples=25)
THOROUGH: Final = settings(deadline=None, max_examples=80)

TARGET_VM: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored"
NETWORK: Final = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/restored-net"
SUBNET: Final = f"{NETWORK}/subnets/default"
ENCRYPTION_SET: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/diskEncryptionSets/keys"
DISK_ACCESS: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/diskAccesses/private"
IDENTITY: Final = (
    f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/restorer"
)

BASES: Final[Mapping[str, Json]] = {
    "RestoreDisks": {"sourceResourceId": VM_ID, "recoveryType": "RestoreDisks", "storageAccountId": STORAGE_ID},
    "AlternateLocation": {
        "sourceResourceId": VM_ID,
        "recoveryType": "AlternateLocation",
        "storageAccountId": STORAGE_ID,
        "targetResourceGroupId": TARGET_GROUP,
        "targetVirtualMachineId": TARGET_VM,
        "virtualNetworkId": NETWORK,
        "subnetId": SUBNET,
    },
    "OriginalLocation": {"sourceResourceId": VM_ID, "recoveryType": "OriginalLocation", "storageAccountId": STORAGE_ID},
}
"""The least that each recovery type takes."""

NAMES: Final[Json] = {
    "vaultId": VAULT_ID,
    "containerName": "IaasVMContainer;iaasvmcontainerv2;web-rg;web-01",
    "protectedItemName": "VM;iaasvmcontainerv2;web-rg;web-01",
}

GOOD_MEMBERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "vaultId": (VAULT_ID, VAULT_ID.upper()),
    "recoveryPoint": (
        {},
        {"id": "1103996678573089"},
        {"id": "DefaultRangeRecoveryPoint"},
        {"atOrBefore": "2026-11-20T06:00:00Z"},
        {"atOrBefore": "2026-11-20T08:00:00.1234567+02:00"},
        {"notOlderThan": "P7D"},
        {"notOlderThan": "PT4H"},
        {"notOlderThan": "P2W"},
        {"notOlderThan": "P1DT2H3M4.5S"},
        {"consistency": ["AppConsistent"]},
        {"consistency": ["CrashConsistent", "FileSystemConsistent", "AppConsistent"]},
        {"tiers": ["InstantRP"]},
        {"tiers": ["HardenedRP", "ArchivedRP"]},
        {"atOrBefore": "2026-11-20T06:00:00Z", "notOlderThan": "P30D", "consistency": ["AppConsistent"]},
    ),
    "restoreDiskLunList": ([], [0], [0, 1, 63], [-1]),
    "encryptionDetails": (
        {},
        {"encryptionEnabled": False},
        {
            "encryptionEnabled": True,
            "kekUrl": "https://v.vault.azure.net/keys/kek/1",
            "kekVaultId": f"{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.KeyVault/vaults/v",
            "secretKeyUrl": "https://v.vault.azure.net/secrets/bek/1",
            "secretKeyVaultId": f"{SUBSCRIPTION}/resourceGroups/r/providers/Microsoft.KeyVault/vaults/v",
        },
    ),
    "securedVMDetails": (
        {"securedVMOsDiskEncryptionSetId": ENCRYPTION_SET},
        {
            "securedVMOsDiskEncryptionSetId": ENCRYPTION_SET,
            "dataDiskEncryptionSettings": {
                "perDiskEncryptionSetIds": [{"lun": 0, "diskEncryptionSetId": ENCRYPTION_SET}],
                "dataDiskEncryptionSetId": ENCRYPTION_SET,
                "dataDiskEncryptionIdentity": "SystemAssigned",
            },
        },
    ),
    "targetDiskNetworkAccessSettings": (
        {"targetDiskNetworkAccessOption": "SameAsOnSourceDisks"},
        {"targetDiskNetworkAccessOption": "EnablePublicAccessForAllDisks"},
        {"targetDiskNetworkAccessOption": "EnablePrivateAccessForAllDisks", "targetDiskAccessId": DISK_ACCESS},
    ),
    "extendedLocation": ({"name": "microsoftrrdclab3", "type": "EdgeZone"},),
    "recoveryPointRehydrationInfo": (
        {"rehydrationPriority": "Standard"},
        {"rehydrationRetentionDuration": "P15D", "rehydrationPriority": "High"},
    ),
    "resourceGuardOperationRequests": ([], [f"{VAULT_ID}/backupResourceGuardProxies/VaultProxy"]),
    "requestId": ("a", "x" * 80, "Order-66_2026.11.23", "0"),
    "validate": (True, False),
    "dryRun": (False,),
    "approval": ({}, {"required": False}, {"timeout": "PT4H"}, {"required": False, "timeout": "P1D"}),
    "requestedBy": ("ops@example.org", "Zoë Ångström"),
    "reason": ("disk full on web-01", "復元テスト 🙂", "x" * 2048),
}
"""Members that every recovery type takes, each with good values."""

TARGET_MEMBERS: Final[Mapping[str, tuple[Any, ...]]] = {
    "zones": (["1"], ["2"], ["3"], ["NoZone"]),
    "diskEncryptionSetId": (ENCRYPTION_SET,),
    "targetResourceGroupId": (TARGET_GROUP,),
}
"""Members that an original-location restore does not take."""

_texts = st.text(st.characters(), max_size=12)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | _texts
    | st.sampled_from([10**400, -1, 0, 1, "", " ", "1", "0001-01-01T00:00:00", "2026-11-20T06:00:00Z", "PT1S", VM_ID])
)
json_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=10,
)
"""Whatever a JSON parser can return: lone surrogates, huge numbers and infinities among it."""


def objects_of(*names: str) -> st.SearchStrategy[Json]:
    """Return a strategy of objects that may have these members, with anything in them, and others."""
    known = st.fixed_dictionaries({}, optional=dict.fromkeys(names, json_values))
    return st.builds(lambda more, some: {**more, **some}, st.dictionaries(_texts, json_values, max_size=2), known)


@st.composite
def good_requests(draw: st.DrawFn) -> Json:
    """Return requests that the contract accepts."""
    kind = draw(st.sampled_from(sorted(BASES)))
    optional = {**GOOD_MEMBERS, **(TARGET_MEMBERS if kind != "OriginalLocation" else {})}
    names = draw(st.lists(st.sampled_from(sorted(optional)), unique=True, max_size=8))
    body = {**BASES[kind], **{name: draw(st.sampled_from(optional[name])) for name in names}}
    if draw(st.booleans()):
        body |= NAMES
        if draw(st.booleans()):
            del body["sourceResourceId"]
    if draw(st.booleans()):
        del body["storageAccountId"]
        body["identityInfo"] = {"isSystemAssignedIdentity": True}
        body["identityBasedRestoreDetails"] = {"targetStorageAccountId": STORAGE_ID}
    return copy.deepcopy(body)


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in members:
        yield value, key
        yield from _spots(inner)


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[Json]) -> Json:
    """Return good bodies of which members were dropped, replaced or added, at any depth."""
    body = copy.deepcopy(draw(good))
    for _ in range(draw(st.integers(1, 4))):
        spots = [*_spots(body), (body, "more")]
        place, key = spots[draw(st.integers(0, len(spots) - 1))]
        match draw(st.sampled_from(["drop", "replace", "add"])):
            case "drop" if place is not body or key in body:
                del place[key]
            case "add" if isinstance(place, dict):
                place[draw(_texts)] = draw(json_values)
            case _:
                place[key] = draw(json_values)
    return body


@st.composite
def shuffled(draw: st.DrawFn, value: Any) -> Any:
    """Return the same JSON with the members of its objects in another order."""
    if isinstance(value, dict):
        return {name: draw(shuffled(value[name])) for name in draw(st.permutations(list(value)))}
    return [draw(shuffled(inner)) for inner in value] if isinstance(value, list) else value
