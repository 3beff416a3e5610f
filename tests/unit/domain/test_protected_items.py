from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from domain.azure.protected_items import ProtectedItem, SoftDeletion, not_in_vault_error, soft_deleted_error
from domain.codec import pack, unpack
from domain.errors import Json, TerminalError
from tests.support.strategies import SWIFT, objects_of
from tests.unit.domain.recorded import BACKUP_STATUS, ITEM, PROTECTED_ITEM, VAULT, VM

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
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

    @pytest.mark.parametrize(
        ("status", "told"),
        [
            ("NotProtected", "(protectionStatus NotProtected)"),
            ("Protected", "(protectionStatus Protected)"),
            (None, ""),
        ],
    )
    def test_the_error_quotes_azures_status(self, status: Any, told: str) -> None:
        with pytest.raises(TerminalError) as caught:
            from_status({"protectionStatus": status})

        assert told in caught.value.message
        assert "is not protected" not in caught.value.message
        assert "moved" in caught.value.message
        assert "the id it had before" in caught.value.message
        assert "soft-deleted" in caught.value.message

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


def soft_deletion(**properties: Any) -> SoftDeletion | None:
    return from_item({"id": ITEM, "properties": {"sourceResourceId": VM, **properties}}).soft_deletion


UNTIL = "2026-12-01T10:00:00Z"


class TestSoftDeletion:
    @pytest.mark.parametrize(
        "properties",
        [
            {"isScheduledForDeferredDelete": True},
            {"isScheduledForDeferredDelete": "True"},
            {"isScheduledForDeferredDelete": 1},
            {"deferredDeleteTimeInUTC": UNTIL},
            {"deferredDeleteTimeInUTC": "2020-01-01T00:00:00.1234567"},
            {"deferredDeleteTimeRemaining": "7.23:59:10"},
            {"isDeferredDeleteScheduleUpcoming": True},
            {"protectionState": "SoftDeleted"},
            {"protectionState": "Soft deleting"},
            {"protectionStatus": "SoftDeleted"},
            {"protectionState": "softDeleted", "isScheduledForDeferredDelete": False},
        ],
    )
    def test_is_read_from_any_member_that_shows_it(self, properties: Json) -> None:
        seen = soft_deletion(**properties)

        assert seen is not None
        assert unpack(SoftDeletion, pack(seen)) == seen

    @pytest.mark.parametrize(
        "properties",
        [
            {},
            {"protectionState": "ProtectionStopped"},
            {"isScheduledForDeferredDelete": False, "deferredDeleteTimeInUTC": UNTIL},
            {"isScheduledForDeferredDelete": None, "deferredDeleteTimeInUTC": None, "deferredDeleteTimeRemaining": ""},
            {"deferredDeleteTimeInUTC": "0001-01-01T00:00:00", "deferredDeleteTimeRemaining": "00:00:00"},
            {"deferredDeleteTimeInUTC": "2001-01-01T00:00:00"},
            {"isScheduledForDeferredDelete": {}, "deferredDeleteTimeInUTC": "soon", "deferredDeleteTimeRemaining": 5},
        ],
    )
    def test_is_none_for_an_item_that_does_not_show_one(self, properties: Json) -> None:
        assert soft_deletion(**properties) is None

    @pytest.mark.parametrize(
        ("properties", "told"),
        [
            ({"deferredDeleteTimeInUTC": UNTIL}, f"is soft-deleted until {UNTIL}:"),
            ({"deferredDeleteTimeInUTC": UNTIL, "deferredDeleteTimeRemaining": "1.00:00:00"}, f"until {UNTIL}:"),
            ({"deferredDeleteTimeRemaining": "1.00:00:00"}, "is soft-deleted until about 2026-11-24T08:00:00Z:"),
            (
                {"deferredDeleteTimeInUTC": "2026-11-20T10:00:00Z", "deferredDeleteTimeRemaining": "P2D"},
                "is soft-deleted until about 2026-11-25T08:00:00Z:",
            ),
            ({"deferredDeleteTimeInUTC": "soon"}, "is soft-deleted:"),
            ({}, "is soft-deleted:"),
        ],
    )
    def test_says_until_when_if_that_is_known(self, properties: Json, told: str) -> None:
        seen = soft_deletion(isScheduledForDeferredDelete=True, **properties)

        assert seen is not None
        message = seen.message_for(from_item(PROTECTED_ITEM), NOW)
        assert told in message
        assert "Undelete it first" in message
        assert ITEM.rpartition("/")[2] in message

    def test_says_what_to_do_before_the_names_that_may_be_cut(self) -> None:
        long_names = replace(from_item(PROTECTED_ITEM), protected_item_name="x" * 1000, vault_id=f"{VAULT}{'x' * 1000}")

        message = soft_deleted_error(long_names, SoftDeletion(), NOW).to_json()["message"]

        assert "Undelete it first" in message
        assert "then send the request again" in message

    def test_does_not_say_until_when_of_a_time_that_has_passed(self) -> None:
        seen = SoftDeletion(deferred_delete_time=NOW - timedelta(days=1))

        message = seen.message_for(from_item(PROTECTED_ITEM), NOW)

        assert "until 2026" not in message
        assert "deferredDeleteTimeInUTC, 2026-11-22T08:00:00Z, has passed" in message
        assert "Undelete it first" in message

    def test_a_time_that_has_passed_needs_no_word_beside_the_time_that_remains(self) -> None:
        seen = soft_deletion(
            isScheduledForDeferredDelete=True,
            deferredDeleteTimeInUTC="2026-11-22T08:00:00.3211392Z",
            deferredDeleteTimeRemaining="12.23:59:04.4260884",
        )

        assert seen is not None
        message = seen.message_for(from_item(PROTECTED_ITEM), NOW)
        assert "until about 2026-12-06T07:59:04Z" in message
        assert "has passed" not in message


def test_a_few_of_many_vms_with_the_same_name_are_named_after_the_advice() -> None:
    bodies = [
        {"properties": {"sourceResourceId": VM.replace("/VMRG/", f"/{'g' * 120}{number}/").lower()}}
        for number in range(20)
    ]

    message = not_in_vault_error(VM, VAULT, bodies).to_json()["message"]

    assert "give its former id as sourceResourceId" in message
    assert message.count("g" * 120) == 3
