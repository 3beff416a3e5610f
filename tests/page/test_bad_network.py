"""The page while the app is down, slow, behind a sign-in, or answers what nobody expects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import TimeoutError as TooLateError
from playwright.sync_api import expect

from tests.page.answers import RESTORE_ID, Answers, a_document, that_waits
from tests.page.operator import STAGING, TARGET, Operator, vm_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

RESTORE = f"restores/{RESTORE_ID}"
VIEW = f"/{RESTORE}"
MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, "<html><h1>Server Error</h1></html>"),
        (503, ""),
        (429, {"error": {"code": "TooManyRequests", "message": "slow down"}}),
        (404, ""),  # the host while a new version is deployed
        (403, "<html>IP restriction</html>"),
        (200, "<html>a proxy"),
    ],
)
def test_a_view_comes_back_by_itself_after_a_bad_answer(
    person: Operator, answers: Answers, status: int, body: object
) -> None:
    answers.give(RESTORE, a_document())
    person.open(VIEW, "web-01")
    answers.give(RESTORE, body, status)
    person.page.clock.fast_forward(MINUTE_MS)
    person.sees(person.page.get_by_text(re.compile("may be old|Not found|Not possible")))
    answers.give(RESTORE, a_document(status="Completed"))
    person.page.clock.fast_forward(MINUTE_MS)

    person.sees_status("Completed")
    expect(person.page.get_by_role("alert")).to_have_count(0)


def test_no_retry_after_lets_the_page_sleep_for_long(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, a_document())
    person.open(VIEW, "web-01")
    answers.give(RESTORE, "", 503, {"Retry-After": "86400"})
    person.page.clock.fast_forward(4_000)
    person.sees(person.page.get_by_text("may be old"))
    answers.give(RESTORE, a_document(status="Completed"))
    person.page.clock.fast_forward(10 * MINUTE_MS)

    person.sees_status("Completed")


def test_an_endless_retry_after_does_not_make_the_page_ask_all_the_time(chromium: Browser, url: str) -> None:
    with Operator.at(chromium, url) as person:  # with the browser's own timers, which take too long a time for none
        answers = Answers(person)
        answers.give(RESTORE, "", 503, {"Retry-After": "1e999"})
        person.sign_in()
        person.sees(person.page.get_by_role("heading", name="Now"))
        person.page.goto(f"{url}/api/ui#{VIEW}")
        person.sees(person.page.get_by_text("may be old"))
        with pytest.raises(TooLateError), person.page.expect_request(re.compile(RESTORE), timeout=1_500):
            pass


def test_a_call_without_any_answer_is_given_up(person: Operator, answers: Answers) -> None:
    held: list[Route] = []
    answers.give(RESTORE, a_document())
    person.open(VIEW, "web-01")
    answers.hold(RESTORE, held)
    # The clock of a test does not move that of a signal: so a second of the page's patience takes a millisecond here.
    person.page.evaluate("of = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = (ms) => of(ms / 1000)")
    person.page.clock.fast_forward(4_000)

    person.sees(person.page.get_by_text("The app did not answer."))


def test_a_session_that_ended_asks_to_sign_in_again(person: Operator, answers: Answers, url: str) -> None:
    answers.give(RESTORE, a_document())
    person.open(VIEW, "web-01")
    answers.give(RESTORE, "", 302, {"Location": f"{url}/.auth/login/aad"})
    person.page.clock.fast_forward(4_000)

    person.sees(person.page.get_by_role("heading", name="Sign in"))


def test_a_key_that_was_changed_is_asked_for_with_the_reason(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, a_document())
    person.open(VIEW, "web-01")
    answers.give(RESTORE, "", 401)
    person.page.clock.fast_forward(4_000)

    person.sees(person.page.get_by_text("The app refuses this key now"))
    answers.give(RESTORE, a_document())
    person.page.get_by_label("Your name").fill("Ada")
    person.page.get_by_role("button", name="Continue").click()
    person.sees(person.page.get_by_role("heading", name="web-01"))


def test_a_double_click_sends_a_command_once(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, that_waits())
    answers.give(f"{RESTORE}/approve", a_document(), 202)
    person.open(VIEW, "web-01")
    person.page.get_by_role("button", name="Approve").click()
    dialog = person.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("yes")
    dialog.get_by_role("button", name="Approve and restore").dblclick()

    expect(dialog).to_have_count(0)
    assert answers.posts() == [{"before": "Trigger", "by": "Ada", "comment": "yes"}]


def test_a_command_under_way_cannot_be_left_as_if_it_were_not(person: Operator, answers: Answers) -> None:
    held: list[Route] = []
    answers.give(RESTORE, that_waits())
    answers.hold(f"{RESTORE}/approve", held)
    person.open(VIEW, "web-01")
    person.page.get_by_role("button", name="Approve").click()
    dialog = person.page.get_by_role("dialog")
    with person.page.expect_request(re.compile("approve")):
        person.confirms_without_waiting("Approve and restore", "yes")
    person.page.keyboard.press("Escape")

    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Go back")).to_be_disabled()
    answers.first(held).fulfill(status=202, json=a_document())
    expect(dialog).to_have_count(0)


def test_a_start_whose_answer_is_lost_is_sent_again_as_the_same(person: Operator, answers: Answers) -> None:
    point = {"id": "p1", "time": "2019-11-20T06:00:00Z", "consistency": "AppConsistent", "restorable": True}
    planned = a_document(status="Planned", completedTime="2026-11-20T06:01:00Z")
    answers.give("recovery-points", {"value": [point]})
    answers.give("restores", {"id": RESTORE_ID}, 202)
    answers.give(RESTORE, planned)
    person.open("/start", "Start a restore")
    page = person.page
    page.get_by_label("VM (resource id)").fill(vm_id("web-01"))
    page.get_by_role("button", name="Look up").click()
    page.get_by_label("Staging account").fill(STAGING)
    page.get_by_label("Target resource group").fill(TARGET)
    page.get_by_label("Reason").fill("incident 4711")
    page.get_by_role("button", name="Plan (dry run)").click()
    start = page.get_by_role("button", name="Start this restore")
    start.click()
    answers.lose("restores")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Start the restore").click()
    person.sees(dialog.get_by_text("it counts once"))
    dialog.get_by_role("button", name="Go back").click()
    start.click()
    answers.give("restores", {"id": RESTORE_ID}, 202)
    person.confirms("Start the restore", "incident 4711")
    person.sees(page.get_by_role("heading", name="web-01", level=1))

    plan, lost, given = answers.posts()
    assert lost == given
    assert plan["requestId"] != given["requestId"]


def test_a_recovery_whose_answer_is_lost_is_sent_again_as_the_same(person: Operator, answers: Answers) -> None:
    group = {"name": "database", "restore": {"recoveryType": "OriginalLocation"}}
    plan = {"name": "shop", "order": [["database"]], "namedMembers": 1, "plan": {"groups": [group]}}
    answers.give("recovery-plans/shop", plan)
    answers.lose("recoveries")
    person.open("/plans/shop", "Plan: shop")
    page = person.page
    start = page.get_by_role("button", name="Start this recovery")
    for _ in range(2):
        start.click()
        dialog = page.get_by_role("dialog")
        person.sees(dialog.get_by_text("disks of the vm replaced"))
        dialog.get_by_role("textbox").fill("region down")
        dialog.get_by_role("button", name="Start the recovery").click()
        person.sees(dialog.get_by_text("it counts once"))
        dialog.get_by_role("button", name="Go back").click()

    first, second = answers.posts()
    assert first == second
