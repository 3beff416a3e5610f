from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.azure.protected_items import ProtectedItem
from domain.azure.virtual_machines import VirtualMachine
from domain.requests import RestoreRequest
from domain.restore.request_body import restore_body
from tests.support.azure import a_machine, a_point, a_request
from tests.support.strategies import SWIFT, good_requests
from tests.unit.domain.recorded import STAGING, VM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.errors import Json

# From Microsoft's article "Restore Azure Virtual machines using REST API", letter by letter.
ARTICLE_DISKS = {
    "properties": {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": "20982486783671",
        "recoveryType": "RestoreDisks",
        "sourceResourceId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/testRG/providers/Microsoft.Compute/virtualMachines/testVM",  # noqa: E501 - quoted
        "storageAccountId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/testRG/providers/Microsoft.Storage/storageAccounts/testAccount",  # noqa: E501 - quoted
        "region": "westus",
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        "encryptionDetails": {"encryptionEnabled": False},
    }
}
ARTICLE_NEW_VM = {
    "properties": {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": "348916168024334",
        "recoveryType": "AlternateLocation",
        "sourceResourceId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/testRG/providers/Microsoft.Compute/virtualMachines/testVM",  # noqa: E501 - quoted
        "targetVirtualMachineId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/targetRG/providers/Microsoft.Compute/virtualmachines/targetVM",  # noqa: E501 - quoted
        "targetResourceGroupId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/targetRG",
        "storageAccountId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/testRG/providers/Microsoft.Storage/storageAccounts/testingAccount",  # noqa: E501 - quoted
        "virtualNetworkId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/targetRG/providers/Microsoft.Network/virtualNetworks/testNet",  # noqa: E501 - quoted
        "subnetId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/targetRG/providers/Microsoft.Network/virtualNetworks/testNet/subnets/default",  # noqa: E501 - quoted
        "region": "westus",
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        "encryptionDetails": {"encryptionEnabled": False},
    }
}

# As az CLI sent them in July 2026.
RECORDED_DISKS = {
    "properties": {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": "1103996678573089",
        "recoveryType": "RestoreDisks",
        "sourceResourceId": VM,
        "storageAccountId": STAGING,
        "region": "eastus2euap",
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
    }
}
RECORDED_REPLACE = {"properties": {**RECORDED_DISKS["properties"], "recoveryType": "OriginalLocation"}}
RECORDED_NEW_VM = {
    "properties": {
        **RECORDED_DISKS["properties"],
        "recoveryType": "AlternateLocation",
        "targetVirtualMachineId": "/subscriptions/SUB/resourceGroups/TRG/providers/Microsoft.Compute/virtualMachines/T",
        "targetResourceGroupId": "/subscriptions/SUB/resourceGroups/TRG",
        "virtualNetworkId": "/subscriptions/SUB/resourceGroups/TRG/providers/Microsoft.Network/virtualNetworks/VNET",
        "subnetId": "/subscriptions/SUB/resourceGroups/TRG/providers/Microsoft.Network/virtualNetworks/VNET/subnets/S",
    }
}
BY_THE_SERVICE = (
    *("objectType", "recoveryPointId", "region", "createNewCloudService", "originalStorageAccountOption"),
)


def body_for(
    request: Json,
    *,
    source: str,
    region: str,
    point_id: str,
    archived: bool = False,
    guard_requests: Sequence[str] = (),
) -> Json:
    tiers = [{"type": "ArchivedRP" if archived else "InstantRP", "status": "Valid"}]
    return restore_body(
        RestoreRequest.from_json(request),
        an_item(source, region),
        a_point(point_id, recoveryPointTierDetails=tiers),
        guard_requests,
    )


def an_item(source: str, region: str) -> ProtectedItem:
    return ProtectedItem(
        vault_id="/v", container_name="c", protected_item_name="i", source_resource_id=source, region=region
    )


def asked_for(golden: Json) -> Json:
    return {name: value for name, value in golden["properties"].items() if name not in BY_THE_SERVICE}


@pytest.mark.parametrize(
    "golden",
    [ARTICLE_DISKS, ARTICLE_NEW_VM, RECORDED_DISKS, RECORDED_REPLACE, RECORDED_NEW_VM],
    ids=["article: disks", "article: new VM", "recorded: disks", "recorded: replace", "recorded: new VM"],
)
def test_it_is_what_microsoft_shows_and_what_was_recorded(golden: Json) -> None:
    properties = golden["properties"]

    body = body_for(
        asked_for(golden),
        source=properties["sourceResourceId"],
        region=properties["region"],
        point_id=properties["recoveryPointId"],
    )

    assert body.keys() == {"properties"}
    assert sorted(body["properties"]) == sorted(properties)
    for name, value in properties.items():
        assert body["properties"][name] == value
        assert type(body["properties"][name]) is type(value)


def test_managed_disks_name_the_group_they_go_into() -> None:
    group = "/subscriptions/SUB/resourceGroups/TRG"

    body = body_for(
        {**asked_for(RECORDED_DISKS), "targetResourceGroupId": group},
        source=VM,
        region="eastus2euap",
        point_id="1103996678573089",
    )

    assert body == {"properties": {**RECORDED_DISKS["properties"], "targetResourceGroupId": group}}


def test_with_a_managed_identity_no_storage_account_stands_at_the_top() -> None:
    identity: Json = {
        "identityInfo": {"isSystemAssignedIdentity": True},
        "identityBasedRestoreDetails": {"targetStorageAccountId": STAGING},
    }
    request = {name: value for name, value in asked_for(RECORDED_DISKS).items() if name != "storageAccountId"}

    body = body_for({**request, **identity}, source=VM, region="eastus2euap", point_id="1103996678573089")

    golden = {name: value for name, value in RECORDED_DISKS["properties"].items() if name != "storageAccountId"}
    assert body == {"properties": {**golden, **identity}}


class TestRehydration:
    INFO = {"rehydrationRetentionDuration": "P15D", "rehydrationPriority": "Standard"}  # noqa: RUF012 - read only

    def body(self, *, archived: bool) -> Any:
        request = {**asked_for(RECORDED_DISKS), "recoveryPointRehydrationInfo": self.INFO}
        body = body_for(request, source=VM, region="eastus2euap", point_id="1103996678573089", archived=archived)
        return body["properties"]

    def test_an_archived_point_is_asked_for_with_rehydration(self) -> None:
        assert self.body(archived=True) == {
            **RECORDED_DISKS["properties"],
            "objectType": "IaasVMRestoreWithRehydrationRequest",
            "recoveryPointRehydrationInfo": self.INFO,
        }

    def test_how_long_it_stays_need_not_be_said(self) -> None:
        request = {**asked_for(RECORDED_DISKS), "recoveryPointRehydrationInfo": {"rehydrationPriority": "High"}}
        body = body_for(request, source=VM, region="eastus2euap", point_id="1103996678573089", archived=True)

        assert body["properties"]["recoveryPointRehydrationInfo"] == {
            "rehydrationRetentionDuration": "P15D",
            "rehydrationPriority": "High",
        }

    def test_any_other_point_is_asked_for_without(self) -> None:
        assert self.body(archived=False) == RECORDED_DISKS["properties"]


class TestEdgeZones:
    PLACE = {"name": "microsoftrrdclab3", "type": "EdgeZone"}  # noqa: RUF012 - read only

    @pytest.mark.parametrize("kind", ["OriginalLocation", "RestoreDisks"])
    def test_disks_are_replaced_in_the_zone_that_the_point_is_of(self, kind: str) -> None:
        members: Json = {"recoveryType": kind} | ({"targetResourceGroupId": None} if kind == "OriginalLocation" else {})
        point = a_point(extendedLocation=self.PLACE)

        body = restore_body(RestoreRequest.from_json(a_request(**members)), an_item(VM, "r"), point, ())

        sent = body["properties"].get("extendedLocation")
        assert sent == (self.PLACE if kind == "OriginalLocation" else None)


class TestDisksForAVm:
    """The disks of a swap are restored beside the VM that gets them."""

    @pytest.mark.parametrize(
        ("private", "access"),
        [
            (True, {"targetDiskNetworkAccessOption": "SameAsOnSourceDisks"}),
            (False, None),
            (None, None),
        ],
    )
    def test_keep_their_network_access_where_the_point_has_a_private_one(
        self, private: bool | None, access: Json | None
    ) -> None:
        request = RestoreRequest.from_json(a_request(thenSwapDisks={}, targetResourceGroupId=None))
        point, machine = replace(a_point(), private_access=private), VirtualMachine.from_api(a_machine())

        sent = restore_body(request, an_item(VM, "r"), point, (), replace(machine, zone="2"))["properties"]

        assert sent.get("targetDiskNetworkAccessSettings") == access
        assert sent["targetResourceGroupId"] == machine.vm_id.partition("/providers/")[0]
        assert sent["restoreWithManagedDisks"] is True
        assert "zones" not in sent  # the service restores to the VM's own zone, and to another only from the vault


class TestWhatDecides:
    def test_the_protected_item_names_the_vm_in_the_services_casing(self) -> None:
        request = {**asked_for(RECORDED_DISKS), "sourceResourceId": VM.upper()}

        body = body_for(request, source=VM, region="eastus2euap", point_id="1103996678573089")

        assert body["properties"]["sourceResourceId"] == VM

    def test_the_zone_that_the_caller_names_wins(self) -> None:
        named: Json = {"name": "losangeles", "type": "EdgeZone"}
        request = a_request(recoveryType="OriginalLocation", targetResourceGroupId=None, extendedLocation=named)
        point = a_point(extendedLocation={"name": "microsoftrrdclab3", "type": "EdgeZone"})

        body = restore_body(RestoreRequest.from_json(request), an_item(VM, "r"), point, ())

        assert body["properties"]["extendedLocation"] == named

    def test_the_resource_guards_requests_are_carried_where_there_are_any(self) -> None:
        request = asked_for(RECORDED_DISKS)

        body = body_for(request, source=VM, region="r", point_id="1", guard_requests=("/guard/1", "/guard/2"))

        assert body["properties"]["resourceGuardOperationRequests"] == ["/guard/1", "/guard/2"]
        without = body_for(request, source=VM, region="r", point_id="1")
        assert "resourceGuardOperationRequests" not in without["properties"]

    @given(good_requests(), st.booleans())
    @SWIFT
    def test_rehydration_is_spoken_of_for_archived_points_alone(self, request: Json, archived: bool) -> None:
        sent = body_for(request, source=VM, region="r", point_id="1", archived=archived)["properties"]

        assert (sent["objectType"] == "IaasVMRestoreWithRehydrationRequest") is archived
        assert ("recoveryPointRehydrationInfo" in sent) is archived
        assert ("storageAccountId" in sent) is ("identityInfo" not in sent)
        assert sent.keys() & {"requestId", "validate", "dryRun", "approval", "recoveryPoint", "reason"} == set()
