from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.fields import single_line
from tests.support.strategies import SWIFT


@given(st.text(), st.integers(1, 50))
@SWIFT
def test_a_text_fits_into_one_line(text: str, max_length: int) -> None:
    seen = single_line(text, max_length)

    assert len(seen) <= max_length
    assert len(seen.splitlines()) <= 1
    seen.encode()
