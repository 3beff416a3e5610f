"""A real browser before the app on this machine. Without a Chromium these tests are skipped, but never in CI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from scripts.stack import QUICK_POLLS, running_stack
from tests.page.answers import Answers
from tests.page.hosting import hosting
from tests.page.operator import Operator, rule_and_plan
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
    with running_stack(speed=60, env=QUICK_POLLS | rule_and_plan()) as running:
        yield running


@pytest.fixture
def operator(chromium: Browser, stack: Stack) -> Iterator[Operator]:
    """A person at the page who has signed in. Fails if the page broke its own policy or called another host."""
    with Operator.at(chromium, stack.url) as person:
        person.sign_in()
        yield person


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app alone: a test gives its answers."""
    with hosting(tmp_path_factory.mktemp("page")) as address:
        yield address


@pytest.fixture
def person(chromium: Browser, url: str) -> Iterator[Operator]:
    """A person at the page of the app alone, whose browser's clock the test moves."""
    with Operator.at(chromium, url) as someone:
        someone.page.clock.install()
        someone.sign_in()
        someone.sees(someone.page.get_by_role("heading", name="Now"))
        yield someone


@pytest.fixture
def answers(person: Operator) -> Answers:
    """What the app answers to this person."""
    return Answers(person)
