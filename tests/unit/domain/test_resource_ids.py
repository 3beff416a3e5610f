from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId, ResourceKind, same_id
from domain.texts import WHITE_SPACE
from tests.support.azure import STORAGE_ID, TARGET_GROUP, VAULT_ID, VM_ID
from tests.support.strategies import DISK_ACCESS, ENCRYPTION_SET, IDENTITY, NETWORK, SUBNET, SWIFT, THOROUGH

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBSCRIPTION_ID = "11111111-1111-1111-1111-111111111111"
GOOD: Mapping[str, tuple[ResourceKind, str, str, str]] = {
    "VM": (ids.VIRTUAL_MACHINE, VM_ID, "web-rg", "web-01"),
    "vault": (ids.VAULT, VAULT_ID, "backup-rg", "vault-weu"),
    "storage": (ids.STORAGE_ACCOUNT, STORAGE_ID, "backup-rg", "stagingweu"),
    "network": (ids.VIRTUAL_NETWORK, NETWORK, "restored-rg", "restored-net"),
    "subnet": (ids.SUBNET, SUBNET, "restored-rg", "default"),
    "encryption set": (ids.DISK_ENCRYPTION_SET, ENCRYPTION_SET, "restored-rg", "keys"),
    "disk access": (ids.DISK_ACCESS, DISK_ACCESS, "restored-rg", "private"),
    "identity": (ids.MANAGED_IDENTITY, IDENTITY, "backup-rg", "restorer"),
    "group": (ids.RESOURCE_GROUP, TARGET_GROUP, "restored-rg", "restored-rg"),
}


class TestReading:
    @pytest.mark.parametrize("what", GOOD)
    @pytest.mark.parametrize("change", [str, str.upper, str.lower, str.swapcase])
    def test_each_kind_in_any_casing(self, what: str, change: Any) -> None:
        kind, text, group, name = GOOD[what]

        assert ResourceId.parse(change(text), kind) == ResourceId(
            text=change(text), subscription_id=SUBSCRIPTION_ID, resource_group=change(group), name=change(name)
        )

    def test_a_subscription_is_no_resource_group(self) -> None:
        text = f"/subscriptions/{SUBSCRIPTION_ID}"

        assert ResourceId.parse(f" {text}/", ids.SUBSCRIPTION) == ResourceId(
            text=text, subscription_id=SUBSCRIPTION_ID, resource_group="", name=SUBSCRIPTION_ID
        )
        for wrong, kind in ((text, ids.RESOURCE_GROUP), (TARGET_GROUP, ids.SUBSCRIPTION), (VM_ID, ids.SUBSCRIPTION)):
            with pytest.raises(ValueError, match=f"must be the resource id of a {kind.label}"):
                ResourceId.parse(wrong, kind)

    def test_one_of_several_kinds(self) -> None:
        kinds = (ids.SUBSCRIPTION, ids.RESOURCE_GROUP, ids.VIRTUAL_MACHINE)

        assert [ResourceId.parse(text, *kinds).text for text in (VM_ID, TARGET_GROUP)] == [VM_ID, TARGET_GROUP]
        wanted = "a subscription, resource group or Microsoft.Compute/virtualMachines, such as /subscriptions/<id>"
        with pytest.raises(ValueError, match=wanted):
            ResourceId.parse(VAULT_ID, *kinds)

    @pytest.mark.parametrize("what", GOOD)
    def test_a_trailing_slash_is_dropped(self, what: str) -> None:
        kind, text, _, _ = GOOD[what]

        assert ResourceId.parse(f"{text}/", kind) == ResourceId.parse(text, kind)

    @pytest.mark.parametrize("what", GOOD)
    def test_one_kind_is_not_taken_for_another(self, what: str) -> None:
        kind, _, _, _ = GOOD[what]

        for other, text, _, _ in GOOD.values():
            if other != kind:
                with pytest.raises(ValueError, match="must be the resource id of a") as caught:
                    ResourceId.parse(text, kind)
                assert kind.label in str(caught.value)
                assert kind.example in str(caught.value)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "/",
            "//",
            "/subscriptions/s",
            "/subscriptions/s/resourceGroups",
            "/subscriptions/s/resourceGroups/",
            "subscriptions/s/resourceGroups/g",
            "/subscriptions//resourceGroups/g",
            "/subscriptions//subscriptions/s/resourceGroups/g",
            "/subscriptions/s/resourceGroups/g/providers",
            "/subscriptions/s/resourceGroups/.",
            "/subscriptions/s/resourceGroups/..",
            "/subscriptions/../resourceGroups/g",
            "/subscriptions/s/resourceGroups/g%2Fx",
            "/subscriptions/s/resourceGroups/g?x",
            "/subscriptions/s/resourceGroups/g#x",
            "/subscriptions/s/resourceGroups/g\\x",
            "/subscriptions/s/resourceGroups/" + "g" * 261,
            "https://management.azure.com/subscriptions/s/resourceGroups/g",
            "/\u017fubscriptions/s/resourceGroups/g",
            "/subscriptions/\u017f/resourceGroups/g",
            "/subscriptions/\u212a/resourceGroups/g",
            "/subscriptions/s/re\u017fourceGroups/g",
        ],
    )
    def test_what_is_no_id_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="/subscriptions/<id>/resourceGroups/<name>"):
            ResourceId.parse(text, ids.RESOURCE_GROUP)

    @pytest.mark.parametrize("name", [".hidden", "a..b", "..a", "(west)", "Büro", "東京_1"])
    def test_dots_and_letters_of_any_script_may_stand_in_names(self, name: str) -> None:
        assert ResourceId.parse(f"/subscriptions/s/resourceGroups/{name}", ids.RESOURCE_GROUP).name == name

    @pytest.mark.parametrize("what", GOOD)
    @pytest.mark.parametrize("end", [".", "..", ". \r\n", "./"])
    def test_a_period_at_the_end_of_a_sentence_makes_no_other_name(self, what: str, end: str) -> None:
        kind, text, group, _ = GOOD[what]

        for wrong in (f"{text}{end}", text.replace(f"/{group}", f"/{group}.", 1)):
            with pytest.raises(ValueError, match="no name in Azure ends in a period: remove it"):
                ResourceId.parse(wrong, kind)

    def test_child_types_must_be_those_of_the_kind(self) -> None:
        with pytest.raises(ValueError, match="virtualNetworks/subnets"):
            ResourceId.parse(f"{NETWORK}/virtualMachines/default", ids.SUBNET)

    def test_the_provider_must_be_that_of_the_kind(self) -> None:
        with pytest.raises(ValueError, match=r"Microsoft\.Compute"):
            ResourceId.parse(VM_ID.replace("Microsoft.Compute", "Microsoft.ClassicCompute"), ids.VIRTUAL_MACHINE)

    @pytest.mark.parametrize("part", ["subscriptions", "resourceGroups", "Microsoft", "virtualMachines", "providers"])
    def test_a_letter_that_only_unicode_takes_for_an_s_makes_no_second_id(self, part: str) -> None:
        for text in (VM_ID, VM_ID.lower(), VM_ID.upper()):
            start = text.lower().index(part.lower())
            other = text[:start] + text[start : start + len(part)].replace("s", "\u017f").replace("S", "\u017f")
            if other == text[: start + len(part)]:
                continue
            with pytest.raises(ValueError, match="must be the resource id"):
                ResourceId.parse(other + text[start + len(part) :], ids.VIRTUAL_MACHINE)

    @given(st.text(st.characters()) | st.text("/.%?# ab").map(lambda text: VM_ID + text), st.sampled_from(list(GOOD)))
    @THOROUGH
    def test_any_text_is_read_as_it_is_or_refused(self, text: str, what: str) -> None:
        kind, _, _, _ = GOOD[what]
        try:
            seen = ResourceId.parse(text, kind)
        except ValueError:
            return
        before, kept, after = text.partition(seen.text)
        assert kept
        assert not before.strip(WHITE_SPACE)
        assert not after.strip(f"/{WHITE_SPACE}")
        assert not set(seen.text) & set("%?#\\\n\r\t\x00")
        assert not {".", "..", ""} & set(seen.text.split("/")[1:])
        seen.text.encode()


class TestSameId:
    @given(st.sampled_from([text for _, text, _, _ in GOOD.values()]))
    @SWIFT
    def test_case_and_a_trailing_slash_do_not_count(self, text: str) -> None:
        assert same_id(text, text.upper())
        assert same_id(text.lower(), text + "/")

    def test_another_name_is_another_resource(self) -> None:
        assert not same_id(VM_ID, VM_ID.replace("web-01", "web-02"))
        assert not same_id(VM_ID, VM_ID + "x")
        assert not same_id(VM_ID, f"{VM_ID}/extensions/x")

    def test_groups_that_only_a_dictionary_confuses_are_two(self) -> None:
        assert not same_id("/subscriptions/s/resourceGroups/straße", "/subscriptions/s/resourceGroups/strasse")

    def test_letters_beyond_ascii_have_cases_too(self) -> None:
        assert same_id("/subscriptions/s/resourceGroups/BÜRO", "/subscriptions/s/resourceGroups/büro")
