"""What a person types, opens, points at or has chosen stays while the page refreshes what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.page.answers import RECOVERY_ID, RESTORE_ID, Answers, a_document, a_recovery, that_waits
from tests.page.operator import STAGING, TARGET, Operator, vm_id

if TYPE_CHECKING:
    from playwright.sync_api import Route

RESTORE = f"restores/{RESTORE_ID}"
RECOVERY = f"recoveries/{RECOVERY_ID}"
POLL_MS = 3_100


def a_list(*names: str) -> dict[str, Any]:
    return {"value": [a_document(id=f"{RESTORE_ID[:-2]}{name}", sourceResourceId=vm_id(name)) for name in names]}


def test_an_opened_detail_stays_open_while_the_restore_changes(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, that_waits())
    person.open(f"/{RESTORE}", "web-01")
    person.page.get_by_text("JSON", exact=True).click()
    answers.give(RESTORE, a_document())
    person.page.clock.fast_forward(POLL_MS)
    person.sees_status("Running")

    expect(person.page.locator("details")).to_have_attribute("open", "")


def test_the_focus_stays_on_a_row_while_others_come_and_go(person: Operator, answers: Answers) -> None:
    answers.give("restores", a_list("10", "11", "12"))
    person.open("/", "Now")
    link = person.page.get_by_role("link", name="11", exact=True)
    link.focus()
    answers.give("restores", a_list("20", "11", "12"))
    person.page.clock.fast_forward(POLL_MS)
    person.sees(person.page.get_by_role("link", name="20", exact=True))
    expect(link).to_be_focused()
    answers.give("restores", a_list("21", "20", "11"))
    person.page.clock.fast_forward(POLL_MS)
    person.sees(person.page.get_by_role("link", name="21", exact=True))

    expect(link).to_be_focused()
    assert person.page.locator("main tbody tr").all_inner_texts()[2].startswith("11")


def test_a_graph_stays_where_it_was_scrolled_to(person: Operator, answers: Answers) -> None:
    answers.give(RECOVERY, a_recovery(50))
    answers.give(f"{RECOVERY}/members", {"value": []})
    person.open(f"/{RECOVERY}", "Recovery: payments")
    graph = person.page.get_by_role("region", name="Graph of the groups")
    graph.evaluate("graph => { graph.scrollLeft = 500; }")
    paused = {"by": "Bob", "time": "2026-11-20T06:00:00Z", "comment": "stop"}
    answers.give(RECOVERY, a_recovery(50, status="Paused", paused=paused))
    person.page.clock.fast_forward(POLL_MS)
    person.sees(person.page.get_by_text("Paused by Bob"))

    assert graph.evaluate("graph => graph.scrollLeft") == 500


def test_a_filter_that_is_being_typed_stays(person: Operator, answers: Answers) -> None:
    answers.give("restores", a_list("10"))
    person.open("/", "Now")
    person.page.get_by_label("VM or text").fill("half a na")
    answers.give("restores", a_list("10", "11"))
    person.page.clock.fast_forward(POLL_MS)
    person.sees(person.page.get_by_role("link", name="11", exact=True))

    expect(person.page.get_by_label("VM or text")).to_have_value("half a na")
    expect(person.page.get_by_label("VM or text")).to_be_focused()


def test_the_focus_goes_to_the_view_if_the_button_of_a_dialog_is_gone(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, that_waits())
    person.open(f"/{RESTORE}", "web-01")
    person.page.get_by_role("button", name="Approve").click()
    answers.give(RESTORE, a_document())
    person.page.clock.fast_forward(POLL_MS)
    person.sees_status("Running")
    person.page.keyboard.press("Escape")

    expect(person.page.get_by_role("main")).to_be_focused()


def test_a_dialog_about_what_the_person_has_left_is_closed(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, that_waits())
    person.open(f"/{RESTORE}", "web-01")
    person.page.get_by_role("button", name="Approve").click()
    person.sees(person.page.get_by_role("dialog"))
    person.page.go_back()
    person.sees(person.page.get_by_role("heading", name="Now"))

    expect(person.page.get_by_role("dialog")).to_have_count(0)


def test_two_clicks_on_older_go_one_page_on_while_it_is_read(person: Operator, answers: Answers) -> None:
    held: list[Route] = []
    next_link = "http://127.0.0.1/api/restores?continuationToken=second"
    full = {"value": a_list(*(f"{number:02}" for number in range(50)))["value"], "nextLink": next_link}
    answers.give("restores", full)
    person.open("/", "Now")
    older = person.page.get_by_role("button", name="Older")
    person.sees(older)
    answers.hold("restores", held)
    older.evaluate("button => { button.click(); button.click(); }")
    person.page.wait_for_function("true")  # both clicks have been taken
    answers.first(held).fulfill(json=a_list("77"))

    person.sees(person.page.get_by_text("Page 2", exact=True))
    person.sees(person.page.get_by_role("link", name="77", exact=True))


def test_what_was_planned_for_another_form_cannot_be_started(person: Operator, answers: Answers) -> None:
    point = {"id": "p1", "time": "2019-11-20T06:00:00Z", "consistency": "AppConsistent", "restorable": True}
    answers.give("recovery-points", {"value": [point]})
    answers.give("restores", {"id": RESTORE_ID}, 202)
    answers.give(RESTORE, a_document(status="Planned"))
    person.open("/start", "Start a restore")
    page = person.page
    page.get_by_label("VM (resource id)").fill(vm_id("web-01"))
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("radio", name="Point of").check()
    page.get_by_label("Staging account").fill(STAGING)
    page.get_by_label("Target resource group").fill(TARGET)
    page.get_by_label("Reason").fill("incident 4711")
    page.get_by_role("button", name="Plan (dry run)").click()
    person.sees(page.get_by_role("button", name="Start this restore"))
    page.get_by_label("Target resource group").press("End")
    page.get_by_label("Target resource group").press_sequentially("-2")
    expect(page.get_by_role("button", name="Start this restore")).to_have_count(0)
    expect(page.get_by_label("Target resource group")).to_have_value(f"{TARGET}-2")
    # Another VM has other recovery points: the one that was chosen is none of them.
    page.get_by_label("VM (resource id)").fill(vm_id("web-02"))
    page.get_by_role("button", name="Look up").click()
    page.get_by_label("Reason").fill("incident 4711")
    page.get_by_role("button", name="Plan (dry run)").click()
    person.sees(page.get_by_role("button", name="Start this restore"))

    assert [body.get("recoveryPoint") for body in answers.posts()] == [{"id": "p1"}, None]


def test_a_point_of_another_year_shows_its_year(person: Operator, answers: Answers) -> None:
    answers.give("recovery-points", {"value": [{"id": "p1", "time": "2019-11-20T06:00:00Z", "restorable": True}]})
    person.open("/start", "Start a restore")
    person.page.get_by_label("VM (resource id)").fill(vm_id("web-01"))
    person.page.get_by_role("button", name="Look up").click()

    expect(person.page.get_by_role("row").nth(2)).to_contain_text("2019")


@pytest.mark.parametrize(("phase", "is_asked"), [("Validating", False), ("Triggering", True), ("TrackingJob", True)])
def test_a_cancellation_says_whether_azure_may_have_the_restore(
    person: Operator, answers: Answers, phase: str, is_asked: bool
) -> None:
    answers.give(RESTORE, a_document(phase=phase, operationId=None, jobId=None))
    person.open(f"/{RESTORE}", "web-01")
    person.page.get_by_role("button", name="Cancel").click()

    expected = "Azure Backup is asked to cancel its job" if is_asked else "Azure Backup has not been asked to restore"
    person.sees(person.page.get_by_role("dialog").get_by_text(expected))


def test_the_rules_say_when_a_person_must_approve_as_the_app_decides_it(person: Operator, answers: Answers) -> None:
    in_place = {"name": "in place", "restore": {"recoveryType": "OriginalLocation"}, "approval": {"timeout": "PT2H"}}
    beside = {"name": "beside", "restore": {"recoveryType": "RestoreDisks"}}
    plan = {"name": "by plan", "plan": "shop"}
    own = {"name": "by its restore", "restore": {"approval": {"required": True, "timeout": "PT1H"}}}
    rules = [in_place, beside, plan, own]
    storm = {"distinctVms": 10, "within": "PT10M"}
    answers.give("alert-rules", {"source": "file", "problems": [], "rules": rules, "storm": storm})
    answers.give("alert-decisions", {"value": []})
    person.open("/alerts", "Alerts")

    rows = person.page.get_by_role("table", name="Rules").get_by_role("row")
    expect(rows.filter(has_text="in place")).to_contain_text("a person, within 2 h")
    expect(rows.filter(has_text="by its restore")).to_contain_text("a person, within 1 h")
    expect(rows.filter(has_text="beside")).to_contain_text("not needed")
    expect(rows.filter(has_text="by plan")).to_contain_text("only if the plan replaces disks")
    person.sees(person.page.get_by_text("Alerts about more than 10 VMs within 10 min wait for a person."))


def test_a_hidden_tab_asks_once_a_minute_and_at_once_when_it_is_shown_again(person: Operator, answers: Answers) -> None:
    answers.give(RESTORE, a_document())
    person.open(f"/{RESTORE}", "web-01")
    refreshed = person.page.locator("#refreshed")
    before = refreshed.text_content() or ""
    person.page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    person.page.clock.run_for(POLL_MS)  # the timer of the poll after this one is set while the tab is hidden
    expect(refreshed).not_to_have_text(before)
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url))
    person.page.clock.run_for(55_000)
    person.page.evaluate("true")
    assert asked == []

    with person.page.expect_request(lambda request: request.url.endswith(RESTORE)):
        person.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_a_change_of_status_is_told_to_screen_readers(person: Operator, answers: Answers) -> None:
    announcement = person.page.locator("#announcement")
    answers.give(RESTORE, a_document())
    person.open(f"/{RESTORE}", "web-01")
    expect(announcement).to_have_text("")
    answers.give(RESTORE, a_document(status="Completed", phase="Finished"))
    person.page.clock.run_for(POLL_MS)

    expect(announcement).to_have_text("web-01: Completed")
