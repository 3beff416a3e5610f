"""``python -m scripts.screenshots``: the pictures of the operator's page in docs/images, made from a running app."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from scripts.alerting import vm_down
from scripts.stack import QUICK_POLLS, ROOT, interruptible, running_stack
from tests.page.operator import STAGING, TARGET, Operator, a_restore, rule_and_plan, vm_id
from tests.support.chromium import MISSING, chromium, chromium_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_FOLDER: Final = ROOT / "docs/images"
_WAITS: Final = {"approval": {"required": True, "timeout": "PT4H"}}


def main() -> int:
    """Start the app, bring it into a state worth seeing, and take the pictures; returns the exit code."""
    path = chromium_path()
    if path is None:
        print(f"screenshots: {MISSING}", file=sys.stderr)
        return 1
    _FOLDER.mkdir(exist_ok=True)
    with (
        interruptible(),
        running_stack(speed=10, env=QUICK_POLLS | rule_and_plan()) as stack,
        chromium(path) as browser,
    ):
        _take(browser, stack.url)
    return 0


def _take(browser: Browser, url: str) -> None:
    with Operator.at(browser, url) as person:
        for name in ("web-01", "web-02"):
            person.post("restores", a_restore(name, requestedBy="ada", reason="incident 4711"))
        person.post("alerts", vm_down(vm_id("web-03")))
        waiting = person.post("restores", a_restore("sql-01", "sql-rg", requestedBy="ada", reason="4711", **_WAITS))[
            "id"
        ]
        recovery = person.post("recoveries", {"plan": "shop", "requestedBy": "ada", "reason": "region west is down"})[
            "id"
        ]
        person.sign_in()
        person.open("/?status=", "Now")
        person.sees(person.page.locator("progress").first)
        _save(person, "now")
        person.open(f"/restores/{waiting}", "sql-01")
        person.sees_status("Waits for a person")
        _save(person, "restore")
        person.open(f"/recoveries/{recovery}", "Recovery: shop")
        person.sees_status("Waits for a person")
        _save(person, "recovery")
        person.open("/alerts", "Alerts")
        person.sees(person.page.get_by_role("table", name="Decisions"))
        _save(person, "alerts")
        _plan_one(person)
        _save(person, "start")
    with Operator.at(browser, url, width=360, color_scheme="dark") as person:
        person.sign_in()
        person.open(f"/recoveries/{recovery}", "Recovery: shop")
        _save(person, "telephone", whole=False)


def _plan_one(person: Operator) -> None:
    person.open("/start", "Start a restore")
    person.page.get_by_label("VM (resource id)").fill(vm_id("load-050", "load-rg"))
    person.page.get_by_role("button", name="Look up").click()
    person.page.get_by_label("Staging account").fill(STAGING)
    person.page.get_by_label("Target resource group").fill(TARGET)
    person.page.get_by_label("Reason").fill("incident 4711")
    person.page.get_by_role("button", name="Plan (dry run)").click()
    person.sees(person.page.get_by_role("button", name="Start this restore"))


def _save(person: Operator, name: str, *, whole: bool = True) -> None:
    path = _FOLDER / f"page-{name}.png"
    person.page.screenshot(path=path, full_page=whole)
    print(f"screenshots: wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
