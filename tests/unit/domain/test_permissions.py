from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.azure.permissions import (
    READ_BLOBS,
    Feature,
    Permission,
    guard_permission,
    matches,
    missing_actions,
    missing_data_actions,
    needed_features,
)
from domain.azure.restore_scopes import RestoreScopes
from queries.preflight import required_permissions
from tests.support.azure import SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID

READ, WRITE = "Microsoft.Compute/virtualMachines/read", "Microsoft.Compute/virtualMachines/write"
NETWORK = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"
# Few letters, so that patterns and actions meet.
ACTIONS = st.text("aAb/.", max_size=12)
PATTERNS = st.text("aAb/.*", max_size=12)


def entry(*actions: str, without: tuple[str, ...] = ()) -> Permission:
    return Permission.from_api({"actions": list(actions), "notActions": list(without)})


class TestDataActions:
    """Who may read blobs: that is no action of Azure Resource Manager, so not even an owner has it by that role."""

    OWNER: ClassVar[dict[str, Any]] = {"actions": ["*"], "dataActions": []}
    READER: ClassVar[dict[str, Any]] = {"actions": [], "dataActions": [READ_BLOBS]}

    @pytest.mark.parametrize(
        ("entries", "is_missing"),
        [
            ([OWNER, READER], False),
            ([{"dataActions": ["Microsoft.Storage/*"]}], False),
            ([OWNER], True),
            ([{**READER, "notDataActions": [READ_BLOBS]}], True),
            ([{**READER, "notDataActions": READ_BLOBS}], True),  # cannot be read
            ([{**READER, "notActions": ["*"]}], False),
            ([{"actions": [READ_BLOBS], "dataActions": []}], True),
            ([{"actions": ["*"]}], False),  # Azure says nothing of data actions
            ([{"actions": ["*"]}, OWNER], True),
            ([], True),
        ],
    )
    def test_are_looked_for_beside_the_others(self, entries: list[dict[str, Any]], is_missing: bool) -> None:
        missing = missing_data_actions([READ_BLOBS], [Permission.from_api(entry) for entry in entries])

        assert missing == ((READ_BLOBS,) if is_missing else ())


class TestPatterns:
    @given(PATTERNS, ACTIONS)
    @example("a*a", "a")
    @example("*ab*ab", "aab")
    @example("*a*a*", "a")
    def test_a_star_stands_for_any_characters_in_any_case(self, pattern: str, action: str) -> None:
        expression = ".*".join(map(re.escape, pattern.split("*")))

        assert matches(pattern, action) == (re.fullmatch(expression, action, re.IGNORECASE) is not None)

    @given(st.lists(ACTIONS, min_size=1, max_size=5), st.lists(ACTIONS, max_size=4))
    def test_whatever_takes_the_place_of_the_stars_is_matched(self, parts: list[str], fill: list[str]) -> None:
        fill = (fill + [""] * len(parts))[: len(parts) - 1]
        action = "".join(part + more for part, more in zip(parts, [*fill, ""], strict=True))

        assert matches("*".join(parts), action.swapcase())

    def test_many_stars_take_no_time(self) -> None:
        assert not matches("*a" * 2000 + "b", "a" * 20_000)

    @pytest.mark.parametrize(
        "pattern", ["*", "*/read", "Microsoft.Compute/*", "microsoft.compute/*/READ", READ.upper()]
    )
    def test_patterns_of_built_in_roles(self, pattern: str) -> None:
        assert matches(pattern, READ)

    @pytest.mark.parametrize("pattern", ["", "*/write", "Microsoft.Comput", "Microsoft.Compute/*/extensions/read"])
    def test_others_do_not_match(self, pattern: str) -> None:
        assert not matches(pattern, READ)


class TestPermissions:
    def test_an_action_is_allowed_if_one_entry_has_it_and_does_not_take_it_away(self) -> None:
        narrow = entry("*", without=("*/write",))

        assert missing_actions([READ, WRITE], [narrow]) == (WRITE,)
        assert missing_actions([READ, WRITE], [narrow, entry("Microsoft.Compute/*")]) == ()
        assert missing_actions([READ, WRITE], [entry(READ), entry(WRITE, without=(WRITE.upper(),))]) == (WRITE,)
        assert missing_actions([READ], []) == (READ,)

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"actions": None},
            {"actions": READ},
            {"actions": [None, 3, ""]},
            {"dataActions": ["*"]},
            {"actions": ["*"], "notActions": READ},
            {"actions": ["*"], "notActions": [[READ]]},
        ],
    )
    def test_an_entry_that_cannot_be_read_allows_nothing(self, body: dict[str, Any]) -> None:
        assert not Permission.from_api(body).allows(READ)


def needed(**members: Any) -> list[tuple[str, str]]:
    scopes = RestoreScopes.from_json(members)
    return [(feature.name, scope) for feature, scope in needed_features(required_permissions(), scopes)]


class TestFeatures:
    def test_each_is_needed_at_the_scopes_of_its_member(self) -> None:
        assert needed(vaultIds=[VAULT_ID], targetResourceGroupIds=[TARGET_GROUP]) == [
            ("FindBackups", SUBSCRIPTION),
            ("RestoreFromVaults", VAULT_ID),
            ("CreateDisks", TARGET_GROUP),
            ("StageRestores", TARGET_GROUP),
        ]
        assert needed(virtualMachineScopes=[VM_ID], inPlaceScopes=[VM_ID]) == [
            ("FindBackups", SUBSCRIPTION),
            ("ReadSizes", SUBSCRIPTION),
            ("ReadVirtualMachines", VM_ID),
            ("ReplaceDisks", VM_ID),
            ("SwapDisks", VM_ID),
            ("AttachDisks", VM_ID),
        ]

    def test_new_vms_are_created_only_where_there_is_a_network_for_them(self) -> None:
        with_network = needed(targetResourceGroupIds=[TARGET_GROUP], virtualNetworkIds=[NETWORK])

        assert ("CreateVirtualMachines", TARGET_GROUP) in with_network
        assert ("JoinNetworks", NETWORK) in with_network
        assert ("CreateVirtualMachinesFromDisks", TARGET_GROUP) in with_network
        assert ("ReadSizes", SUBSCRIPTION) in with_network
        without = dict(needed(targetResourceGroupIds=[TARGET_GROUP]))
        assert not {"CreateVirtualMachines", "CreateVirtualMachinesFromDisks"} & without.keys()

    def test_templates_are_read_only_where_the_setting_says_so(self) -> None:
        assert ("ReadTemplates", TARGET_GROUP) in needed(targetResourceGroupIds=[TARGET_GROUP], readsTemplates=True)
        for others in ({}, {"readsTemplates": False}):
            assert "ReadTemplates" not in dict(needed(targetResourceGroupIds=[TARGET_GROUP], **others))

    def test_disks_are_deleted_only_where_others_are_attached(self) -> None:
        both = needed(targetResourceGroupIds=[TARGET_GROUP], inPlaceScopes=[VM_ID])

        assert ("DeleteDisks", TARGET_GROUP) in both
        assert "DeleteDisks" not in dict(needed(targetResourceGroupIds=[TARGET_GROUP]))

    def test_an_entry_of_the_file_is_read_as_it_is_written(self) -> None:
        entry = {"feature": "ReadThem", "scope": "vaultIds", "purpose": "It reads them.", "actions": [READ, WRITE]}

        assert Feature.from_json(entry) == Feature(
            name="ReadThem", scope="vaultIds", purpose="It reads them.", actions=(READ, WRITE)
        )

    def test_nothing_is_needed_without_scopes(self) -> None:
        assert needed() == []

    def test_every_feature_has_a_scope_that_the_setting_knows(self) -> None:
        assert all(isinstance(feature, Feature) for feature in required_permissions())
        assert [RestoreScopes().of_member(feature.scope) for feature in required_permissions()] == [()] * 14


class TestResourceGuards:
    GUARD = f"{SUBSCRIPTION}/resourceGroups/security-rg/providers/Microsoft.DataProtection/resourceGuards/guard-01"

    def test_naming_a_request_needs_the_right_to_read_it(self) -> None:
        action = "Microsoft.DataProtection/resourceGuards/triggerRestoreRequests/read"

        assert guard_permission(f"{self.GUARD}/triggerRestoreRequests/default") == (self.GUARD, action)
        assert matches("Microsoft.DataProtection/*/read", action)  # of Backup MUA Operator

    @pytest.mark.parametrize("request_id", ["", GUARD, f"{GUARD}/a/b/c", VAULT_ID, f"{VAULT_ID}/a/b"])
    def test_other_ids_are_of_no_guard(self, request_id: str) -> None:
        assert guard_permission(request_id) is None
