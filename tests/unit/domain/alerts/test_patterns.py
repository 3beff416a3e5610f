from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.patterns import Pattern, can_match_vm_id, matches_any
from tests.support.azure import VM_ID
from tests.support.strategies import THOROUGH


@given(st.lists(st.sampled_from(["*", "?", "[", "]", "!", "[!x]", "[]", "w", "WEB-", "0", "1", "-"]), max_size=9))
@THOROUGH
def test_a_pattern_means_what_the_shell_means(parts: list[str]) -> None:
    pattern, text = "".join(parts), "WeB-01]["

    assert matches_any([Pattern.parse(pattern)], text) == fnmatchcase(text.lower(), pattern.lower())


def test_one_of_several_patterns_is_enough_and_no_patterns_match_nothing() -> None:
    patterns = [Pattern.parse("sql-*"), Pattern.parse("web-*")]

    assert matches_any(patterns, "WEB-01")
    assert not matches_any(patterns, "db-01")
    assert not matches_any([], "web-01")
    assert matches_any(None, "web-01")


@given(st.text(st.sampled_from("*?[]!/abcrt-W"), max_size=8))
@THOROUGH
def test_a_pattern_that_matches_a_vm_is_said_to_match_one(text: str) -> None:
    # The pattern is made of a VM's id, so that many match.
    for start in range(0, len(VM_ID), 7):
        pattern = VM_ID[:start] + text + VM_ID[start + len(text) :]
        if Pattern.parse(pattern).matches(VM_ID.lower()):
            assert can_match_vm_id(pattern)


@pytest.mark.parametrize(
    "pattern", ["", "?", "web-*", "*/virtualMachines/", f"{VM_ID}/*", "/subscriptions/?/*/subnets/x"]
)
def test_a_pattern_that_matches_no_vm_is_said_to_match_none(pattern: str) -> None:
    assert not can_match_vm_id(pattern)
