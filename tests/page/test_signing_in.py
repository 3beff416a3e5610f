"""Who gets to see anything: with the function key, or with App Service authentication in front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
from playwright.sync_api import expect

from tests.page.hosting import hosting
from tests.page.operator import Operator, a_restore
from tests.support import principals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import Browser

KEY = "s3cret-key"
ALL = ["Restore.Read", "Restore.Operate", "Restore.Approve"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with hosting(tmp_path_factory.mktemp("guarded"), "--function-key", KEY) as url:
        yield url


@pytest.fixture(scope="module")
def behind_entra(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with hosting(tmp_path_factory.mktemp("entra"), RESTORE_TRUST_EASYAUTH="true") as url:
        yield url


def signed_in(name: str, *roles: str) -> Mapping[str, str]:
    """Return the header by which App Service authentication says who calls."""
    return {"X-MS-CLIENT-PRINCIPAL": principals.person(name, *roles)}


def test_a_wrong_key_shows_nothing_and_the_right_one_all(chromium: Browser, guarded: str) -> None:
    with Operator.at(chromium, guarded) as person:
        person.sign_in(key="wrong")
        person.sees(person.page.get_by_text("The app refused this key"))
        person.sign_in(key=KEY)
        person.sees(person.page.get_by_role("heading", name="Now"))


def test_the_key_is_kept_in_memory_only(chromium: Browser, guarded: str) -> None:
    with Operator.at(chromium, guarded) as person:
        asked: list[str] = []
        person.page.on("request", lambda request: asked.append(request.url))
        person.sign_in(key=KEY)
        person.sees(person.page.get_by_role("heading", name="Now"))
        kept = person.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
        assert kept == '[{},{},""]'
        assert not [url for url in asked if KEY in url]
        person.page.reload()
        person.sees(person.page.get_by_label("Function key"))


def test_the_key_can_be_forgotten(chromium: Browser, guarded: str) -> None:
    with Operator.at(chromium, guarded) as person:
        person.sign_in(key=KEY)
        person.page.get_by_role("button", name="Forget key").click()
        person.sees(person.page.get_by_label("Function key"))
        expect(person.page.get_by_role("heading", name="Now")).to_have_count(0)


def test_whoever_signed_in_with_entra_needs_no_key_and_is_named(chromium: Browser, behind_entra: str) -> None:
    with Operator.at(chromium, behind_entra, extra_http_headers=signed_in("ada@example.org", *ALL)) as person:
        person.open("/start", "Start a restore")
        person.sees(person.page.get_by_text("ada@example.org"))
        expect(person.page.get_by_label("Function key")).to_have_count(0)


def test_whoever_has_not_signed_in_is_sent_to_entra(chromium: Browser, behind_entra: str) -> None:
    with Operator.at(chromium, behind_entra) as person:
        person.page.goto(f"{behind_entra}/api/ui")
        link = person.page.get_by_role("link", name="Sign in with Microsoft Entra")
        person.sees(link)
        expect(link).to_have_attribute("href", "/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Fui")


def test_a_reader_is_offered_nothing_to_change(chromium: Browser, behind_entra: str) -> None:
    with Operator.at(chromium, behind_entra, extra_http_headers=signed_in("bob@example.org", "Restore.Read")) as person:
        person.open("/", "Now")
        expect(person.page.get_by_role("link", name="Start", exact=True)).to_have_count(0)


@pytest.mark.parametrize(
    ("role", "is_offered"), [("Restore.Read", False), ("Restore.Approve", False), ("Restore.Operate", True)]
)
def test_a_restore_can_be_cancelled_by_those_alone_who_operate(
    chromium: Browser, behind_entra: str, role: str, is_offered: bool
) -> None:
    operator = signed_in("ada@example.org", "Restore.Operate")
    body = a_restore("web-01", requestId="of-the-buttons")  # it finds no Azure, and so goes on trying
    answer = requests.post(f"{behind_entra}/api/restores", json=body, headers=operator, timeout=30)
    restore_id = answer.json()["id"]
    with Operator.at(chromium, behind_entra, extra_http_headers=signed_in("bob@example.org", role)) as person:
        person.open(f"/restores/{restore_id}", "web-01")
        person.sees_status("Running")
        expect(person.page.get_by_role("button", name="Cancel")).to_have_count(int(is_offered))
