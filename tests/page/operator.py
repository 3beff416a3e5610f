"""A person at the operator's page: what they open, type and see."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import requests
from playwright.sync_api import expect

from scripts.alerting import rules_for
from scripts.demo_recovery import PLAN_VMS, plan_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser, Locator, Page

type Json = dict[str, Any]

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
STAGING = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/stagingweu"
TARGET = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
PATIENCE_MS = 30_000


def vm_id(name: str, group: str = "web-rg") -> str:
    """Return the id of one of the default scenario's VMs."""
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def a_restore(name: str, group: str = "web-rg", **members: Any) -> Json:
    """Return a request for managed disks beside a VM of the default scenario."""
    return {
        "sourceResourceId": vm_id(name, group),
        "recoveryType": "RestoreDisks",
        "storageAccountId": STAGING,
        "targetResourceGroupId": TARGET,
        **members,
    }


def rule_and_plan() -> dict[str, str]:
    """Return settings with an alert rule for web-03 and a recovery plan of six VMs, called shop."""
    restore = {name: value for name, value in a_restore("web-01").items() if name != "sourceResourceId"}
    plan = plan_of([vm_id(name, "load-rg") for name in PLAN_VMS], restore)
    return {
        "AUTO_RESTORE_RULES": rules_for(a_restore("web-03")),
        "RECOVERY_PLANS": json.dumps({"plans": [plan]}),
    }


@dataclass(slots=True)
class Operator:
    """A person at the page of the app at ``url``; ``complaints`` are what the page did that it must not do."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list[str])

    @classmethod
    @contextmanager
    def at(cls, browser: Browser, url: str, *, width: int = 1200, **options: Any) -> Iterator[Self]:
        """Yield a person with a browser of their own; at the end, fail if the page did what it must not do."""
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        person = cls(page, url)
        page.on("request", lambda request: person.note_request(request.url))
        page.on("pageerror", lambda error: person.complaints.append(f"error: {error}"))
        page.on("console", lambda message: person.note_console(message.text))
        yield person
        context.close()
        assert person.complaints == []

    def note_request(self, url: str) -> None:
        """Note a request that goes to another host."""
        if urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"called another host: {url}")

    def note_console(self, text: str) -> None:
        """Note that the browser kept the page from something by its Content-Security-Policy."""
        if "Content Security Policy" in text:
            self.complaints.append(text)

    def sign_in(self, *, key: str = "", name: str = "Ada") -> None:
        """Open the page and give a function key and a name."""
        self.page.goto(f"{self.url}/api/ui")
        self.page.get_by_label("Function key").fill(key)
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_role("button", name="Continue").click()

    def open(self, view: str, heading: str) -> None:
        """Open a view, such as ``/start``, and wait for its heading."""
        self.page.goto(f"{self.url}/api/ui#{view}")
        self.sees(self.page.get_by_role("heading", name=heading, level=1))

    def sees(self, what: Locator) -> None:
        """Wait until something is shown."""
        expect(what).to_be_visible(timeout=PATIENCE_MS)

    def sees_status(self, text: str) -> None:
        """Wait until the heading of a view has this status."""
        expect(self.page.locator("h1 .badge")).to_have_text(text, timeout=PATIENCE_MS)

    def confirms(self, button: str, comment: str) -> None:
        """Give a comment in the open dialog, press its button, and wait until the app has taken the command."""
        self.confirms_without_waiting(button, comment)
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def confirms_without_waiting(self, button: str, comment: str) -> None:
        """Give a comment in the open dialog and press its button."""
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("textbox").fill(comment)
        dialog.get_by_role("button", name=button, exact=True).click()

    def post(self, path: str, body: Mapping[str, Any]) -> Json:
        """Post to the API, as another caller; returns the answer."""
        answer = requests.post(f"{self.url}/api/{path}", json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Json:
        """Get from the API, as another caller; returns the answer."""
        answer = requests.get(f"{self.url}/api/{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def restores(self, name: str, **members: Any) -> str:
        """Start a restore of one of the scenario's many VMs, as another caller; returns its id."""
        return self.post("restores", a_restore(name, "load-rg", requestId=uuid.uuid4().hex, **members))["id"]

    def width_of_content(self) -> int:
        """Return how wide the page's content is, in CSS pixels."""
        return self.page.evaluate("document.documentElement.scrollWidth")
