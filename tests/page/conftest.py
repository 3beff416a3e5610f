"""A real browser before the app on this machine. Without a Chromium these tests are skipped, but never in CI."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from scripts.alerting import rules_for
from scripts.demo_recovery import PLAN_VMS, plan_of
from scripts.stack import QUICK_POLLS, running_stack
from tests.page.operator import Operator, a_restore, vm_id
from tests.support.chromium import MISSING, chromium, chromium_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from scripts.stack import Stack


# Not for the session: while it is open, its event loop runs in this thread, so that no other test could run one.
@pytest.fixture(scope="module", name="chromium")
def installed_chromium() -> Iterator[Browser]:
    """The installed Chromium."""
    path = chromium_path()
    if path is None:
        pytest.fail(MISSING) if os.environ.get("REQUIRE_CHROMIUM") else pytest.skip(MISSING)
    with chromium(path) as browser:
        yield browser


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
