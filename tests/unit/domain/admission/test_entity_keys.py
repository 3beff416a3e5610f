"""The keys of entities: what names one VM, vault or rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.restore.calls import entity_key


def test_case_and_a_trailing_slash_do_not_count() -> None:
    assert entity_key("/Subscriptions/A/vm/") == entity_key("/subscriptions/a/VM")


def test_groups_that_azure_tells_apart_are_apart() -> None:
    assert entity_key("/straße") != entity_key("/strasse")


@given(st.text())
def test_a_key_fits_into_azure_storage(name: str) -> None:
    assert not set(entity_key(name)) & set("/\\#?@")
