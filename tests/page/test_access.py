"""The page at 360 pixels, by keyboard alone, in the dark, and for a screen reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from tests.page.operator import Operator

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator

    from scripts.stack import Stack

AXE = Path(__file__).parents[2] / ".tools/node_modules/axe-core/axe.min.js"
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((violation) => ["serious", "critical"].includes(violation.impact))
  .map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`)"""


@pytest.fixture(scope="module")
def views(stack: Stack, chromium: Browser) -> list[tuple[str, str]]:
    """Each view with its heading, of a restore that waits and a recovery at its gate."""
    with Operator.at(chromium, stack.url) as person:
        restore_id = person.restores("load-020", approval={"required": True})
        recovery_id = person.post("recoveries", {"plan": "shop"})["id"]
    return [
        ("/?status=", "Now"),
        (f"/restores/{restore_id}", "load-020"),
        (f"/recoveries/{recovery_id}", "Recovery: shop"),
        ("/start", "Start a restore"),
        ("/plans", "Recovery plans"),
        ("/plans/shop", "Plan: shop"),
        ("/alerts", "Alerts"),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    chromium: Browser, stack: Stack, views: list[tuple[str, str]], scheme: Literal["light", "dark"]
) -> None:
    found: dict[str, list[str]] = {}
    with Operator.at(chromium, stack.url, color_scheme=scheme) as person:
        person.page.goto(f"{stack.url}/api/ui")
        person.sees(person.page.get_by_label("Function key"))
        person.page.evaluate(AXE.read_text(encoding="utf-8"))
        found["sign in"] = person.page.evaluate(RUN_AXE)
        person.sign_in()
        for view, heading in views:
            person.open(view, heading)
            person.page.evaluate(AXE.read_text(encoding="utf-8"))
            found[view] = person.page.evaluate(RUN_AXE)
        person.open(*views[1])
        person.page.get_by_role("button", name="Approve").click()
        found["dialog"] = person.page.evaluate(RUN_AXE)
    assert {view: problems for view, problems in found.items() if problems} == {}


def test_nothing_is_wider_than_a_small_telephone(chromium: Browser, stack: Stack, views: list[tuple[str, str]]) -> None:
    with Operator.at(chromium, stack.url, width=360) as person:
        person.sign_in()
        widths = {}
        for view, heading in views:
            person.open(view, heading)
            widths[view] = person.width_of_content()
    assert {view: width for view, width in widths.items() if width > 360} == {}


def test_a_restore_is_approved_by_keyboard_alone(chromium: Browser, stack: Stack) -> None:
    with Operator.at(chromium, stack.url) as person:
        restore_id = person.restores("load-021", approval={"required": True})
        page = person.page
        page.goto(f"{stack.url}/api/ui")
        person.sees(page.get_by_label("Function key"))
        page.keyboard.press("Tab")
        page.keyboard.type("Ada")
        page.keyboard.press("Enter")
        person.sees(page.get_by_role("heading", name="Now"))
        _tab_to(person, page.locator(f"a[href='#/restores/{restore_id}']"))
        page.keyboard.press("Enter")
        person.sees(page.get_by_role("heading", name="load-021"))
        _tab_to(person, page.get_by_role("button", name="Approve"))
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")  # closes the dialog, and gives the focus back
        expect(page.get_by_role("button", name="Approve")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.type("by keyboard")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        person.sees_status("Completed")
        assert person.get(f"restores/{restore_id}")["approval"]["comment"] == "by keyboard"


def test_the_skip_link_goes_to_the_content_of_the_view(chromium: Browser, stack: Stack) -> None:
    with Operator.at(chromium, stack.url) as person:
        person.sign_in()
        person.open("/plans", "Recovery plans")
        _tab_to(person, person.page.get_by_role("link", name="Skip to content"))
        person.page.keyboard.press("Enter")

        expect(person.page.get_by_role("main")).to_be_focused()
        person.sees(person.page.get_by_role("heading", name="Recovery plans"))
        person.page.keyboard.press("Tab")
        expect(person.page.get_by_role("link", name="shop")).to_be_focused()


def _tab_to(person: Operator, wanted: Locator) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(60):
        person.page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail("Tab does not reach it")
