"""What a person can see and do on the operator's page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import requests
from playwright.sync_api import expect

from tests.page.operator import PATIENCE_MS, STAGING, TARGET, Operator, a_restore, vm_id

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from scripts.stack import Stack

NEEDS_APPROVAL: dict[str, Any] = {"approval": {"required": True}}
HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"


def test_a_restore_is_planned_started_and_watched_to_its_end(operator: Operator) -> None:
    operator.open("/start", "Start a restore")
    page = operator.page
    page.get_by_label("VM (resource id)").fill(vm_id("web-01"))
    page.get_by_role("button", name="Look up").click()
    page.get_by_role("radio", name="Point of").first.check()
    page.get_by_label("Staging account").fill(STAGING)
    page.get_by_label("Target resource group").fill(TARGET)
    page.get_by_label("Reason").fill("incident 4711")
    page.get_by_role("button", name="Plan (dry run)").click()
    operator.sees(page.get_by_role("heading", name="Dry run for web-01 Planned"))
    page.get_by_role("button", name="Start this restore").click()
    dialog = page.get_by_role("dialog", name="Restore web-01")
    operator.sees(dialog.get_by_text("web-01 itself is not changed"))
    operator.confirms("Start the restore", "incident 4711")
    operator.sees(page.get_by_role("heading", name="web-01", level=1))
    operator.sees_status("Completed")

    restore = operator.get(f"restores/{page.url.rpartition('/')[2]}")
    assert (restore["requestedBy"], restore["reason"]) == ("Ada", "incident 4711")
    assert restore["request"]["recoveryPoint"] == {"id": restore["recoveryPoint"]["id"]}
    operator.sees(page.get_by_text("the request names it"))
    operator.sees(page.get_by_role("table", name="Disks"))


def test_a_restore_that_waits_is_approved_with_a_comment_by_name(operator: Operator) -> None:
    restore_id = operator.restores("load-010", **NEEDS_APPROVAL)
    operator.open(f"/restores/{restore_id}", "load-010")
    operator.sees_status("Waits for a person")
    operator.page.get_by_role("button", name="Approve").click()
    dialog = operator.page.get_by_role("dialog", name="Approve the restore of load-010")
    dialog.get_by_role("button", name="Approve and restore").click()  # without a comment
    operator.sees(dialog)
    operator.confirms("Approve and restore", "sql answers")
    operator.sees_status("Completed")

    approval = operator.get(f"restores/{restore_id}")["approval"]
    assert (approval["decision"], approval["by"], approval["comment"]) == ("Approved", "Ada", "sql answers")


def test_a_restore_that_waits_is_rejected(operator: Operator) -> None:
    restore_id = operator.restores("load-011", **NEEDS_APPROVAL)
    operator.open(f"/restores/{restore_id}", "load-011")
    operator.page.get_by_role("button", name="Reject").click()
    operator.confirms("Reject", "not today")
    operator.sees_status("Rejected")

    assert operator.get(f"restores/{restore_id}")["approval"]["comment"] == "not today"
    expect(operator.page.get_by_role("button", name="Approve")).to_have_count(0)


def test_a_restore_is_cancelled_only_when_the_person_confirms(operator: Operator) -> None:
    restore_id = operator.restores("load-012", **NEEDS_APPROVAL)
    operator.open(f"/restores/{restore_id}", "load-012")
    operator.sees_status("Waits for a person")
    cancel = operator.page.get_by_role("button", name="Cancel")
    cancel.click()
    operator.page.get_by_role("button", name="Go back").click()
    assert operator.get(f"restores/{restore_id}")["status"] == "AwaitingApproval"
    cancel.click()
    operator.confirms("Cancel the restore", "wrong VM")
    operator.sees_status("Cancelled")

    assert operator.get(f"restores/{restore_id}")["cancellation"]["comment"] == "wrong VM"


def test_a_command_that_the_app_refuses_says_why_in_the_dialog(operator: Operator) -> None:
    restore_id = operator.restores("load-013", **NEEDS_APPROVAL)
    operator.open(f"/restores/{restore_id}", "load-013")
    operator.page.get_by_role("button", name="Approve").click()
    operator.post(f"restores/{restore_id}/reject", {"by": "Bob"})
    dialog = operator.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("too late")
    dialog.get_by_role("button", name="Approve and restore").click()

    operator.sees(dialog.get_by_role("alert"))


def test_a_plan_is_tried_then_recovers_six_machines_through_its_gate(operator: Operator) -> None:
    operator.open("/plans", "Recovery plans")
    page = operator.page
    page.get_by_role("link", name="shop").click()
    page.get_by_role("button", name="Plan (dry run)").click()
    operator.sees(page.get_by_role("heading", name="Dry run Planned"))
    page.get_by_role("button", name="Start this recovery").click()
    operator.confirms("Start the recovery", "region down")
    operator.sees(page.get_by_role("heading", name="Recovery: shop"))
    page.get_by_role("button", name="Approve app").click()
    operator.confirms("Approve", "the database answers")
    operator.sees_status("Completed")

    recovery = operator.get(f"recoveries/{page.url.rpartition('/')[2]}")
    assert recovery["counts"] == {"Completed": 6}
    assert recovery["groups"][1]["approval"]["comment"] == "the database answers"
    expect(page.get_by_role("table", name="Virtual machines").get_by_role("link")).to_have_count(6)


def test_a_recovery_is_paused_and_resumed_and_a_group_skipped(operator: Operator) -> None:
    recovery_id = operator.post("recoveries", {"plan": "shop"})["id"]
    operator.open(f"/recoveries/{recovery_id}", "Recovery: shop")
    page = operator.page
    page.get_by_role("button", name="Pause").click()
    operator.confirms("Pause", "wait for the network")
    operator.sees(page.get_by_text("Paused by Ada"))
    page.get_by_role("button", name="Resume").click()
    operator.confirms("Resume", "network is there")
    page.get_by_role("button", name="Skip app").click()
    operator.confirms("Skip", "not needed")
    operator.sees(
        page.get_by_role("table", name="Groups").get_by_role("row", name="app").get_by_text("Skipped", exact=True)
    )
    operator.sees_status("Completed, with warnings")


def test_hostile_text_is_shown_as_text(operator: Operator) -> None:
    restore_id = operator.restores("load-014", reason=HOSTILE, requestedBy=HOSTILE, **NEEDS_APPROVAL)
    operator.post(f"restores/{restore_id}/reject", {"by": HOSTILE, "comment": HOSTILE})
    for view, heading in ((f"/restores/{restore_id}", "load-014"), ("/?status=", "Now")):
        operator.open(view, heading)
        operator.sees(operator.page.get_by_text(HOSTILE).first)
        expect(operator.page.locator("main img")).to_have_count(0)
    assert "broken in" not in operator.page.title()


def test_a_poll_of_what_has_not_changed_is_answered_304(operator: Operator) -> None:
    restore_id = operator.restores("load-015", **NEEDS_APPROVAL)
    operator.open(f"/restores/{restore_id}", "load-015")
    operator.sees_status("Waits for a person")
    with operator.page.expect_response(
        lambda answer: answer.url.endswith(restore_id) and answer.status == 304, timeout=PATIENCE_MS
    ):
        pass  # the page polls by itself
    operator.sees_status("Waits for a person")


def test_the_list_finds_by_status_and_text(operator: Operator) -> None:
    waiting = operator.restores("load-016", reason="needle 4711", **NEEDS_APPROVAL)
    operator.open("/", "Now")
    page = operator.page
    page.get_by_label("VM or text").fill("NEEDLE 4711")
    page.get_by_role("button", name="Filter").click()
    rows = page.get_by_role("table", name="Restores, newest first").get_by_role("row")
    expect(rows).to_have_count(2, timeout=PATIENCE_MS)
    expect(rows.nth(1).get_by_role("link")).to_have_attribute("href", f"#/restores/{waiting}")
    page.get_by_label("Status").select_option("completed")
    operator.sees(page.get_by_text("No restore fits the filter."))


def test_an_old_recovery_that_waits_is_shown_beside_many_new_ones(operator: Operator) -> None:
    waiting = operator.post("recoveries", {"plan": "shop"})["id"]
    restore = {name: value for name, value in a_restore("load-019").items() if name != "sourceResourceId"}
    small = {"name": "small", "restore": restore, "groups": [{"name": "one", "sourceResourceIds": [vm_id("web-02")]}]}
    for _ in range(20):
        operator.post("recoveries", {"plan": small, "dryRun": True})
    operator.open("/", "Now")
    recoveries = operator.page.get_by_role("table", name="Recoveries")
    operator.sees(recoveries.locator(f"a[href='#/recoveries/{waiting}']"))
    operator.open("/?status=Planned", "Now")

    expect(recoveries.get_by_role("link")).to_have_count(20, timeout=PATIENCE_MS)
    operator.post(f"recoveries/{waiting}/cancel", {"by": "Bob"})


def test_what_waits_for_a_person_can_be_listed_alone(operator: Operator) -> None:
    restore_id = operator.restores("load-017", **NEEDS_APPROVAL)
    operator.open("/", "Now")
    operator.page.get_by_label("Status").select_option("waits for a person")
    operator.sees(operator.page.locator(f"a[href='#/restores/{restore_id}']"))


def test_alerts_show_the_rules_and_the_last_decisions(operator: Operator) -> None:
    operator.open("/alerts", "Alerts")

    operator.sees(operator.page.get_by_role("table", name="Rules"))
    operator.sees(operator.page.get_by_text("No alert has come yet."))


def test_what_the_page_reads_is_small_and_its_own(chromium: Browser, stack: Stack) -> None:
    sizes: list[int] = []
    with Operator.at(chromium, stack.url) as person:
        person.page.on("response", lambda answer: sizes.append(len(answer.body())) if "/ui" in answer.url else None)
        person.sign_in()
        person.open("/", "Now")
    assert 0 < sum(sizes) <= 150 * 1024


def test_no_other_site_can_frame_the_page(stack: Stack) -> None:
    answer = requests.get(f"{stack.url}/api/ui", timeout=30)

    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|\*|https?:", policy)
