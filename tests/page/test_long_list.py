"""The list of the page in a task hub with ten thousand restores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from benchmarks.full_hub import full_hub
from tests.page.operator import PATIENCE_MS, Operator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

RESTORES = 10_000
PAGE = 50


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of an app whose hub is full."""
    with full_hub(RESTORES) as address:
        yield address


def test_ten_thousand_restores_are_paged_without_a_repetition(chromium: Browser, url: str) -> None:
    seen: list[str] = []
    with Operator.at(chromium, url) as person:
        person.sign_in()
        person.open("/?status=", "Now")
        page = person.page
        links = page.get_by_role("table", name="Restores, newest first").get_by_role("link")
        for number in range(1, 6):
            person.sees(page.get_by_text(f"Page {number}", exact=True)) if number > 1 else None
            expect(links).to_have_count(PAGE, timeout=PATIENCE_MS)
            seen += links.evaluate_all("links => links.map((link) => link.hash)")
            page.get_by_role("button", name="Older").click()
        page.get_by_role("button", name="Newer").click()
        person.sees(page.get_by_text("Page 5", exact=True))
    assert len(set(seen)) == 5 * PAGE
