from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.fields import single_line, value_of
from tests.support.strategies import SWIFT


@given(st.text(), st.integers(1, 50))
@SWIFT
def test_a_text_fits_into_one_line(text: str, max_length: int) -> None:
    seen = single_line(text, max_length)

    assert len(seen) <= max_length
    assert len(seen.splitlines()) <= 1
    seen.encode()


@pytest.mark.parametrize(
    "sent", ["x", ["x"], '["x"]', "['x']", {"value": "x"}, '{"value": "x"}', [{"value": "x"}], '[{"value": "x"}]']
)
def test_a_value_is_read_however_it_was_wrapped(sent: object) -> None:
    assert value_of(sent) == "x"
