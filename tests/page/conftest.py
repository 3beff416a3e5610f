"""A real browser before the app on this machine. Without a Chromium these tests are skipped, but never in CI."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

from scripts.alerting import rules_for
from scripts.demo_recovery import PLAN_VMS, plan_of
from scripts.stack import QUICK_POLLS, running_stack
from tests.page.operator import Operator, a_restore, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.stack import Stack

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The installed Chromium, without a window."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        message = "there is no Chromium: install the package chromium to test the operator's page"
        pytest.fail(message) if os.environ.get("REQUIRE_CHROMIUM") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The app before the simulator, 60 times as fast as Azure, with one alert rule and one recovery plan."""
    restore = {name: value for name, value in a_restore("web-01").items() if name != "sourceResourceId"}
    plan = plan_of([vm_id(name, "load-rg") for name in PLAN_VMS], restore)
    settings = QUICK_POLLS | {
        "AUTO_RESTORE_RULES": rules_for(a_restore("web-03")),
        "RECOVERY_PLANS": json.dumps({"plans": [plan]}),
    }
    with running_stack(speed=60, env=settings) as running:
        yield running


@pytest.fixture
def operator(chromium: Browser, stack: Stack) -> Iterator[Operator]:
    """A person at the page who has signed in. Fails if the page broke its own policy or called another host."""
    with Operator.at(chromium, stack.url) as person:
        person.sign_in()
        yield person
