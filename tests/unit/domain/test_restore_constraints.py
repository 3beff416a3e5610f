"""The restore constraints of Azure Backup, each violated and kept once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.protected_items import ProtectedItem
from domain.azure.restore_constraints import (
    GUARDED_OPERATION,
    item_violations,
    needs_item,
    needs_vault,
    point_violations,
    resource_guard_requests,
    restore_warnings,
    staging_violations,
    target_violations,
    vault_violations,
)
from domain.requests import RestoreRequest
from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID, a_point, a_request

if TYPE_CHECKING:
    from domain.azure.recovery_points import RecoveryPoint
    from domain.errors import Json

OTHER = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/restored-rg"
DES = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/diskEncryptionSets/des"
NETWORK = f"{SUBSCRIPTION}/resourceGroups/net-rg/providers/Microsoft.Network/virtualNetworks/net"
ALTERNATE = {
    "recoveryType": "AlternateLocation",
    "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored",
    "virtualNetworkId": NETWORK,
    "subnetId": f"{NETWORK}/subnets/default",
}
IN_PLACE = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}
DISK_ACCESS = f"{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute/diskAccesses/private"
SAME_ACCESS: Json = {"targetDiskNetworkAccessSettings": {"targetDiskNetworkAccessOption": "SameAsOnSourceDisks"}}
NEW_ACCESS: Json = {
    "targetDiskNetworkAccessSettings": {
        "targetDiskNetworkAccessOption": "EnablePrivateAccessForAllDisks",
        "targetDiskAccessId": DISK_ACCESS,
    }
}
EDGE = {"name": "microsoftrrdclab3", "type": "EdgeZone"}


def request(**members: Any) -> RestoreRequest:
    return RestoreRequest.from_json(a_request(**members))


def a_point_with(**members: Any) -> RecoveryPoint:
    return replace(a_point(), **{"tiers": ("InstantRP", "HardenedRP"), **members})


VIOLATED_BY_THE_POINT: list[tuple[Json, Json, str, str]] = [
    (IN_PLACE, {"encrypted": True}, "recoveryType", "encrypted VM cannot be replaced"),
    (IN_PLACE, {"managed": False}, "recoveryType", "unmanaged disks cannot be replaced"),
    ({"zones": ["1"]}, {"encrypted": True}, "zones", "only managed, unencrypted"),
    ({"zones": ["1"]}, {"managed": False}, "zones", "only managed, unencrypted"),
    ({"zones": ["1"]}, {"tiers": ("InstantRP",)}, "zones", "not in the vault tier"),
    ({"zones": ["1"]}, {"tiers": ("ArchivedRP",)}, "zones", "not in the vault tier"),
    ({"targetResourceGroupId": OTHER}, {"encrypted": True}, "targetResourceGroupId", "only managed, unencrypted"),
    ({"targetResourceGroupId": OTHER}, {"managed": False}, "targetResourceGroupId", "only managed, unencrypted"),
    ({"targetResourceGroupId": OTHER}, {"tiers": ("InstantRP",)}, "targetResourceGroupId", "only a snapshot"),
    ({"zones": ["1"]}, {"tiers": ("HardenedRP", "ArchivedRP")}, "zones", "rehydrated from the archive"),
    ({"targetResourceGroupId": OTHER, "extendedLocation": EDGE}, {}, "extendedLocation", "edge zone"),
    ({"targetResourceGroupId": OTHER}, {"extended_location": EDGE}, "targetResourceGroupId", "edge zone"),
    (
        {"restoreWithManagedDisks": True},
        {"managed": False, "tiers": ("InstantRP",)},
        "restoreWithManagedDisks",
        "only from the vault tier",
    ),
    ({"diskEncryptionSetId": DES}, {"encrypted": True}, "diskEncryptionSetId", "disk encryption set"),
    ({"diskEncryptionSetId": DES}, {"managed": False}, "diskEncryptionSetId", "disk encryption set"),
    *(
        (members, facts, "targetDiskNetworkAccessSettings", words)
        for members in (SAME_ACCESS, NEW_ACCESS, {**SAME_ACCESS, **IN_PLACE}, {**NEW_ACCESS, **ALTERNATE})
        for facts, words in (
            ({"private_access": False}, "no disk with private access"),
            *([] if members.get("recoveryType") == "OriginalLocation" else [({"managed": False}, "unmanaged disks")]),
        )
    ),
]


@pytest.mark.parametrize(("members", "facts", "target", "words"), VIOLATED_BY_THE_POINT)
def test_what_the_point_does_not_allow_is_named(members: Json, facts: Json, target: str, words: str) -> None:
    (violation,) = point_violations(request(**members), a_point_with(**facts), VM_ID)

    assert (violation.code, violation.target) == ("NotAllowed", target)
    assert words in violation.message


@pytest.mark.parametrize(("members", "facts", "target", "words"), VIOLATED_BY_THE_POINT)
def test_the_same_point_is_fine_for_a_plain_restore(members: Json, facts: Json, target: str, words: str) -> None:
    assert members
    assert target
    assert words
    assert list(point_violations(request(), a_point_with(**facts), VM_ID)) == []


@pytest.mark.parametrize("tiers", [(), ("InstantRP",), ("SomethingNew",)])
@pytest.mark.parametrize(
    "members", [{"zones": ["1"]}, {"targetResourceGroupId": OTHER}, {"restoreWithManagedDisks": True}, IN_PLACE]
)
def test_unknown_tiers_violate_no_constraint(members: Json, tiers: tuple[str, ...]) -> None:
    point = a_point_with(tiers=tiers, tiers_known=False, managed="restoreWithManagedDisks" not in members)

    assert list(point_violations(request(**members), point, VM_ID)) == []
    assert restore_warnings(request(**members), point) == []


@pytest.mark.parametrize(
    "members",
    [{}, IN_PLACE, ALTERNATE, {"zones": ["2"]}, {"targetResourceGroupId": OTHER}, {"diskEncryptionSetId": DES}],
)
def test_a_point_without_peculiarities_allows_everything(members: Json) -> None:
    assert list(point_violations(request(**members), a_point_with(), VM_ID)) == []


@pytest.mark.parametrize("members", [{}, {"targetResourceGroupId": None}, IN_PLACE, ALTERNATE])
def test_a_point_with_private_access_needs_the_access_of_the_restored_disks(members: Json) -> None:
    private = a_point_with(private_access=True)

    (violation,) = point_violations(request(**members), private, VM_ID)

    assert (violation.code, violation.target) == ("MissingField", "targetDiskNetworkAccessSettings")
    for option in ("SameAsOnSourceDisks", "EnablePrivateAccessForAllDisks", "EnablePublicAccessForAllDisks"):
        assert option in violation.message
    for settings in (SAME_ACCESS, NEW_ACCESS):
        assert list(point_violations(request(**members, **settings), private, VM_ID)) == []


def test_a_swap_keeps_the_private_access_of_the_vms_disks_without_being_told() -> None:
    swap = request(thenSwapDisks={}, targetResourceGroupId=None)

    assert list(point_violations(swap, a_point_with(private_access=True), VM_ID)) == []


@pytest.mark.parametrize("settings", [{}, SAME_ACCESS, NEW_ACCESS])
def test_a_point_that_does_not_say_its_access_allows_every_setting(settings: Json) -> None:
    assert list(point_violations(request(**settings), a_point_with(private_access=None), VM_ID)) == []


SECURED = {"securedVMDetails": {"securedVMOsDiskEncryptionSetId": DES}}


@pytest.mark.parametrize(
    ("members", "encrypted", "words"),
    [
        ({}, True, ("BEK", "KEK", "before you make a VM", "result.encryptionInfoBlobName")),
        ({"targetResourceGroupId": None}, True, ("before you make a VM",)),
        ({"encryptionDetails": {"encryptionEnabled": True}}, False, ("BEK", "KEK")),
        (ALTERNATE, True, ("BEK", "KEK", "RestoreDisks")),
        ({"diskEncryptionSetId": DES}, False, ("disk encryption set", DES)),
        (SECURED, False, ("disk encryption set", DES)),
    ],
)
def test_encrypted_disks_give_a_warning_about_their_keys(
    members: Json, encrypted: bool, words: tuple[str, ...]
) -> None:
    warnings = restore_warnings(request(**members), a_point_with(encrypted=encrypted))

    (message,) = [warning["message"] for warning in warnings if warning["code"] == "EncryptedDisks"]
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("members", [{}, ALTERNATE, IN_PLACE, {"encryptionDetails": {"encryptionEnabled": False}}])
def test_disks_that_are_not_encrypted_give_no_such_warning(members: Json) -> None:
    codes = [warning["code"] for warning in restore_warnings(request(**members), a_point_with())]

    assert "EncryptedDisks" not in codes


def test_an_edge_zone_in_the_same_subscription_is_fine() -> None:
    assert list(point_violations(request(extendedLocation=EDGE), a_point_with(), VM_ID)) == []


def test_subscriptions_are_compared_without_case() -> None:
    assert not needs_vault(request(targetResourceGroupId=TARGET_GROUP.upper()), VM_ID)


SELECTIVE = {"properties": {"extendedProperties": {"diskExclusionProperties": {"diskLunList": [1]}}}}
ALL_DISKS: list[Json] = [
    {},
    {"properties": None},
    {"properties": {"extendedProperties": None}},
    {"properties": {"extendedProperties": {"diskExclusionProperties": None}}},
]


@pytest.mark.parametrize("item", ALL_DISKS)
def test_a_list_of_disks_is_refused_where_all_are_backed_up(item: Json) -> None:
    (violation,) = item_violations(request(restoreDiskLunList=[]), item)

    assert violation.target == "restoreDiskLunList"
    assert list(item_violations(request(restoreDiskLunList=[]), SELECTIVE)) == []


@pytest.mark.parametrize("members", [IN_PLACE, ALTERNATE])
def test_selected_disks_can_only_be_restored_as_disks(members: Json) -> None:
    (violation,) = item_violations(request(**members), SELECTIVE)

    assert violation.target == "recoveryType"
    assert list(item_violations(request(), SELECTIVE)) == []
    assert all(list(item_violations(request(**members), item)) == [] for item in ALL_DISKS)


@pytest.mark.parametrize("state", ["Disabled", "PermanentlyDisabled"])
def test_a_vault_that_keeps_to_its_subscription_is_obeyed(state: str) -> None:
    settings = {"crossSubscriptionRestoreSettings": {"crossSubscriptionRestoreState": state}}
    vault = {"properties": {"restoreSettings": settings}}

    (violation,) = vault_violations(request(targetResourceGroupId=OTHER), vault, VM_ID)

    assert (violation.target, state in violation.message) == ("targetResourceGroupId", True)
    assert list(vault_violations(request(), vault, VM_ID)) == []


@pytest.mark.parametrize("state", ["Enabled", "enabled", None])
def test_a_vault_that_says_nothing_or_yes_allows_other_subscriptions(state: str | None) -> None:
    settings = {"crossSubscriptionRestoreSettings": {"crossSubscriptionRestoreState": state}}

    vault = {"properties": {"restoreSettings": settings}}

    assert list(vault_violations(request(targetResourceGroupId=OTHER), vault, VM_ID)) == []


@pytest.mark.parametrize(
    ("redundancy", "allowed"),
    [
        ("ZoneRedundant", True),
        ("zoneredundant", True),
        (None, True),
        ("GeoRedundant", False),
        ("LocallyRedundant", False),
    ],
)
def test_zones_need_a_zone_redundant_vault(redundancy: str | None, allowed: bool) -> None:
    vault = {"properties": {"redundancySettings": {"standardTierStorageRedundancy": redundancy}}}

    assert (list(vault_violations(request(zones=["1"]), vault, VM_ID)) == []) is allowed
    assert list(vault_violations(request(), vault, VM_ID)) == []


def test_no_zone_is_to_be_had_from_any_vault() -> None:
    vault = {"properties": {"redundancySettings": {"standardTierStorageRedundancy": "GeoRedundant"}}}

    assert list(vault_violations(request(zones=["NoZone"]), vault, VM_ID)) == []


class TestTargets:
    ELSEWHERE = VAULT_ID.replace("11111111", "33333333")

    def test_the_vm_itself_is_no_other_vm_however_it_was_found(self) -> None:
        asked = request(**ALTERNATE, sourceResourceId=None, vaultId=VAULT_ID, containerName="c", protectedItemName="i")
        item = an_item(source_resource_id=ALTERNATE["targetVirtualMachineId"].upper())

        (violation,) = target_violations(asked, item)

        assert (violation.target, "use OriginalLocation" in violation.message) == ("targetVirtualMachineId", True)
        assert list(target_violations(asked, an_item())) == []

    def test_in_place_across_subscriptions_needs_a_staging_account_beside_the_vm(self) -> None:
        beside_the_vault = STORAGE_ID.replace("11111111", "33333333")

        (violation,) = target_violations(
            request(**IN_PLACE, storageAccountId=beside_the_vault), an_item(vault_id=self.ELSEWHERE)
        )

        assert (violation.target, "in the VM's own" in violation.message) == ("storageAccountId", True)

    @pytest.mark.parametrize("members", [{}, IN_PLACE])
    def test_a_vault_of_another_subscription_is_fine(self, members: Json) -> None:
        assert list(target_violations(request(**members), an_item(vault_id=self.ELSEWHERE))) == []


def an_item(*, vault_id: str = VAULT_ID, source_resource_id: str = VM_ID) -> ProtectedItem:
    return ProtectedItem(
        vault_id=vault_id,
        container_name="c",
        protected_item_name="i",
        source_resource_id=source_resource_id,
        region="westeurope",
    )


def test_a_staging_account_that_says_nothing_of_itself_is_let_through() -> None:
    assert list(staging_violations({}, region="westeurope", target="storageAccountId")) == []


@pytest.mark.parametrize(
    ("members", "item", "vault"),
    [
        ({}, False, False),
        ({"restoreDiskLunList": [1]}, True, False),
        (IN_PLACE, True, False),
        (ALTERNATE, True, False),
        ({"zones": ["1"]}, False, True),
        ({"targetResourceGroupId": OTHER}, False, True),
    ],
)
def test_only_what_a_constraint_depends_on_is_read(members: Json, item: bool, vault: bool) -> None:
    asked = request(**members)

    assert (needs_item(asked), needs_vault(asked, VM_ID)) == (item, vault)


@pytest.mark.parametrize(
    "proxies",
    [
        [],
        [{}],
        [{"properties": None}],
        [{"properties": {"resourceGuardOperationDetails": [None, 5, {}]}}],
        [{"properties": {"resourceGuardOperationDetails": [{"vaultCriticalOperation": GUARDED_OPERATION}]}}],
        [{"properties": {"resourceGuardOperationDetails": [{"defaultResourceRequest": STORAGE_ID}]}}],
    ],
)
def test_what_is_no_guard_of_restores_asks_for_nothing(proxies: list[Json]) -> None:
    assert resource_guard_requests(proxies) == []


def test_a_guard_named_by_two_proxies_is_asked_once() -> None:
    detail = {"vaultCriticalOperation": GUARDED_OPERATION.lower(), "defaultResourceRequest": "/guard"}
    proxy = {"properties": {"resourceGuardOperationDetails": [detail]}}

    assert resource_guard_requests([proxy, proxy]) == ["/guard"]
