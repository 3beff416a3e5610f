from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from domain.azure.protected_items import ProtectedItem
from domain.codec import pack
from domain.errors import Json, TerminalError
from tests.support.strategies import SWIFT, objects_of
from tests.unit.domain.recorded import BACKUP_STATUS, ITEM, PROTECTED_ITEM, VAULT, VM

NAMES = ("vaultId", "containerName", "protectedItemName")


def from_status(body: Json) -> ProtectedItem:
    return ProtectedItem.from_backup_status(body, source_resource_id=VM, region="westeurope")


def from_item(body: Json) -> ProtectedItem:
    return ProtectedItem.from_api(body, vault_id=VAULT, region="westeurope")


class TestBackupStatus:
    def test_the_names_are_the_services_own(self) -> None:
        assert from_status(BACKUP_STATUS) == ProtectedItem(
            vault_id=VAULT,
            container_name="IaasVMContainer;iaasvmcontainerv2;SOMERG;someVM",
            protected_item_name="VM;iaasvmcontainerv2;SOMERG;someVM",
            source_resource_id=VM,
            region="westeurope",
        )

    @pytest.mark.parametrize("status", ["ProtectionFailed", "Protecting", "NotProtected", "Invalid", None, 3])
    def test_stopped_or_failing_protection_still_has_its_points(self, status: Any) -> None:
        assert from_status({**BACKUP_STATUS, "protectionStatus": status}) == from_status(BACKUP_STATUS)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("value", [None, "", 5, {}])
    def test_without_all_names_the_vm_is_not_protected(self, name: str, value: Any) -> None:
        with pytest.raises(TerminalError) as caught:
            from_status({**BACKUP_STATUS, name: value})

        assert caught.value.code == "NotProtected"
        assert VM in caught.value.message
        assert "westeurope" in caught.value.message
        assert caught.value.details == ()

    @pytest.mark.parametrize(("message", "told"), [("It was moved.", "It was moved."), ("", "Moved"), (None, "Moved")])
    def test_the_services_reason_is_kept(self, message: Any, told: str) -> None:
        with pytest.raises(TerminalError) as caught:
            from_status({"errorCode": "Moved", "errorMessage": message})

        assert [(detail.code, detail.message) for detail in caught.value.details] == [("Moved", told)]

    @given(objects_of(*NAMES, "errorCode", "errorMessage", "protectionStatus"))
    @SWIFT
    def test_any_json_is_an_item_or_none(self, body: Json) -> None:
        if all(isinstance(body.get(name), str) and body[name] for name in NAMES):
            assert from_status(body).vault_id == body["vaultId"]
        else:
            with pytest.raises(TerminalError):
                from_status(body)


class TestItem:
    def test_the_names_come_from_its_id(self) -> None:
        # containerName among its properties lacks the prefix, and vaultId is a URL.
        assert from_item(PROTECTED_ITEM) == ProtectedItem(
            vault_id=VAULT,
            container_name="IaasVMContainer;iaasvmcontainerv2;rg;vm",
            protected_item_name="VM;iaasvmcontainerv2;rg;vm",
            source_resource_id=VM,
            region="westeurope",
        )

    @pytest.mark.parametrize(
        "change",
        [
            str.upper,
            lambda text: text.replace("/subscriptions/", "/Subscriptions/").replace("resourceGroups", "resourcegroups"),
            lambda text: f"https://management.azure.com{text}",
            lambda text: f"/subscriptions/{text}",
        ],
    )
    def test_an_id_in_any_style(self, change: Any) -> None:
        found = from_item({**PROTECTED_ITEM, "id": change(ITEM)})

        assert found.container_name.casefold() == "iaasvmcontainer;iaasvmcontainerv2;rg;vm"
        assert found.protected_item_name.casefold() == "vm;iaasvmcontainerv2;rg;vm"

    @pytest.mark.parametrize("source", [None, "", 5])
    def test_an_older_version_names_the_vm_by_another_member(self, source: Any) -> None:
        body = {"id": ITEM, "properties": {"sourceResourceId": source, "virtualMachineId": VM}}

        assert from_item(body).source_resource_id == VM

    def test_the_newer_member_wins(self) -> None:
        body = {"id": ITEM, "properties": {"sourceResourceId": VM, "virtualMachineId": "/old"}}

        assert from_item(body).source_resource_id == VM

    @pytest.mark.parametrize(
        "body",
        [
            {"id": ITEM},
            {"id": ITEM, "properties": {"friendlyName": "share"}},
            {"id": VAULT, "properties": {"sourceResourceId": VM}},
            {"id": ITEM.rpartition("/protectedItems")[0], "properties": {"sourceResourceId": VM}},
            {"id": f"{VAULT}/protectedItems/VM", "properties": {"sourceResourceId": VM}},
            {"id": "", "properties": {"sourceResourceId": VM}},
            {"id": None, "properties": {"sourceResourceId": VM}},
        ],
    )
    def test_what_is_no_backed_up_vm_is_refused(self, body: Json) -> None:
        with pytest.raises(TerminalError, match="not the protected item of an Azure VM") as caught:
            from_item(body)

        assert caught.value.code == "NotProtected"


def test_its_names_in_history() -> None:
    assert pack(from_item(PROTECTED_ITEM)).keys() == {"v", *NAMES, "sourceResourceId", "region"}
