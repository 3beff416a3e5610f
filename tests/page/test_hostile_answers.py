"""Texts of others, and answers that the API never gives: none breaks the page, and none is more than text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.page.answers import RECOVERY_ID, RESTORE_ID, TIME, Answers, a_document, a_recovery
from tests.page.operator import SUBSCRIPTION, Operator, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

RESTORE = f"restores/{RESTORE_ID}"
RECOVERY = f"recoveries/{RECOVERY_ID}"
MARKUP = "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"
NAMES_OF_OBJECTS = ["constructor", "__proto__", "toString", "hasOwnProperty"]
LONG = "x" * 64
_HIDDEN_POINTS = """graph => {
  const boxes = [...graph.querySelectorAll(".node > rect:first-of-type")].map((box) => box.getBBox());
  const isInside = (point) => boxes.some((box) => point.x > box.x && point.x < box.x + box.width
    && point.y > box.y && point.y < box.y + box.height);
  return [...graph.querySelectorAll(".edge")].filter((edge) => [0.1, 0.25, 0.5, 0.75, 0.9]
    .some((part) => isInside(edge.getPointAtLength(part * edge.getTotalLength())))).length;
}"""


@pytest.fixture(params=[1200, 360])
def person(chromium: Browser, url: str, request: pytest.FixtureRequest) -> Iterator[Operator]:
    with Operator.at(chromium, url, width=request.param) as operator:
        operator.sign_in()
        operator.sees(operator.page.get_by_role("heading", name="Now"))
        yield operator
        assert operator.width_of_content() <= request.param
        assert "broken in" not in operator.page.title()
        expect(operator.page.locator("main img, main script, main iframe")).to_have_count(0)


@pytest.mark.parametrize("code", NAMES_OF_OBJECTS)
def test_a_code_that_is_the_name_of_a_method_is_shown_as_itself(person: Operator, answers: Answers, code: str) -> None:
    answers.give(
        RESTORE,
        a_document(
            phase=code,
            startedBy=code,
            recoveryType=code,
            waiting={"reason": code, "until": TIME},
            warnings=[{"code": code, "message": "m"}],
            error={"code": code, "message": "m", "details": [{"code": code, "message": "m", "target": code}]},
        ),
    )
    person.open(f"/{RESTORE}", "web-01")

    person.sees(person.page.get_by_text(f"Waits: {code}"))
    expect(person.page.locator("main")).not_to_contain_text("function")
    expect(person.page.get_by_text("What to do")).to_have_count(0)


def test_an_error_of_azure_is_shown_with_the_ids_that_support_asks_for(person: Operator, answers: Answers) -> None:
    info = {"httpStatus": 403, "requestId": "r-1", "correlationRequestId": "c-1"}
    detail = {"code": "Forbidden", "message": "m", "additionalInfo": [{"type": "HttpInfo", "info": info}]}
    answers.give(RESTORE, a_document(error={"code": "AuthorizationFailed", "message": "m", "details": [detail]}))
    person.open(f"/{RESTORE}", "web-01")

    person.sees(person.page.get_by_text("httpStatus 403, requestId r-1, correlationRequestId c-1"))


def test_hostile_texts_in_each_member_are_texts(person: Operator, answers: Answers) -> None:
    told = {"by": MARKUP, "comment": MARKUP, "time": MARKUP}
    answers.give(
        RESTORE,
        a_document(
            sourceResourceId=f"{SUBSCRIPTION}/{MARKUP.replace('/', '')}",
            requestId=MARKUP,
            requestedBy=MARKUP,
            reason=MARKUP,
            jobId=MARKUP,
            operationId=MARKUP,
            vaultId="javascript:alert(1)//\ud800",
            recoveryPoint={"id": MARKUP, "time": MARKUP, "consistency": MARKUP, "tiers": [MARKUP]},
            approval={"decision": MARKUP, **told},
            cancellation=told,
            createdTime="yesterday",
            completedTime=MARKUP,
            error={"code": MARKUP, "message": MARKUP, "details": [{"code": MARKUP, "message": MARKUP}]},
            result={"jobStatus": MARKUP, "templateBlobUri": "javascript:alert(1)", "disks": [{"name": MARKUP}]},
        ),
    )
    person.page.goto(f"{person.url}/api/ui#/{RESTORE}")
    person.sees(person.page.get_by_text(MARKUP).first)

    links = person.page.locator("main a").evaluate_all("links => links.map((link) => link.href)")
    assert [link for link in links if not link.startswith((person.url, "https://portal.azure.com/#resource"))] == []


def test_hostile_alerts_and_rules_are_texts(person: Operator, answers: Answers) -> None:
    rule = {"name": MARKUP, "match": {"__proto__": MARKUP, "alertRules": [MARKUP]}, "restore": {}, "coolDown": MARKUP}
    plan = {"name": LONG * 3, "plan": "../%#?", "approval": {"required": True, "timeout": "P1W"}}
    decision = {"sourceResourceId": MARKUP, "decision": "constructor", "reason": MARKUP, "restoreId": "x/../../y"}
    alert = {"time": MARKUP, "alertId": MARKUP, "alertRule": None, "severity": MARKUP, "decisions": [decision] * 3}
    answers.give("alert-rules", {"source": MARKUP, "problems": [MARKUP], "rules": [rule, plan], "storm": None})
    answers.give("alert-decisions", {"value": [alert], "nextLink": "javascript:alert(1)"})
    person.open("/alerts", "Alerts")

    person.sees(person.page.get_by_text(MARKUP).first)
    person.sees(person.page.get_by_text("7 d").first)
    links = person.page.locator("main a").evaluate_all("links => links.map((link) => link.href)")
    assert [link for link in links if not link.startswith(f"{person.url}/api/ui#/")] == []


def test_long_names_and_many_disks_fit(person: Operator, answers: Answers) -> None:
    disk = {"id": f"{SUBSCRIPTION}/disks/{LONG}{LONG}", "isOs": False, "sizeGb": 32767}
    disks = [{**disk, "lun": lun} for lun in range(32)]
    target = {"virtualMachineId": vm_id(LONG), "resourceGroupId": LONG * 2, "replacesDisks": True}
    answers.give(
        RESTORE,
        a_document(
            sourceResourceId=vm_id(LONG),
            request={"target": target},
            requestId="r" * 80,
            jobId=LONG,
            error={"code": LONG * 2, "message": LONG * 9},
            result={"jobStatus": "Completed", "disks": disks},
        ),
    )
    person.open(f"/{RESTORE}", LONG)
    expect(person.page.get_by_role("table", name="Disks").get_by_role("row")).to_have_count(33)
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    person.page.get_by_role("button", name="Cancel").click()

    dialog = person.page.get_by_role("dialog")
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")


def test_a_recovery_of_fifty_groups_and_thousands_of_members_is_shown(person: Operator, answers: Answers) -> None:
    member = {"group": "g" * 80, "status": "Failed", "attempt": 3, "sourceResourceId": vm_id(LONG)}
    listed = [{**member, "index": index, "error": {"code": LONG, "message": LONG}} for index in range(50)]
    answers.give(RECOVERY, a_recovery(50))
    answers.give(f"{RECOVERY}/members", {"value": listed})
    person.open(f"/{RECOVERY}", "Recovery: payments")

    expect(person.page.get_by_role("table", name="Virtual machines").get_by_role("row")).to_have_count(51)
    # No edge is hidden by a group of the columns that it passes, and no two groups look alike.
    assert person.page.locator(".graph svg").evaluate(_HIDDEN_POINTS) == 0
    names = person.page.locator(".graph .node text:not(.small)").all_text_contents()
    assert len(set(names)) == 50


def test_groups_whose_long_names_end_differently_can_be_told_apart(person: Operator, answers: Answers) -> None:
    recovery = a_recovery(0)
    groups = [
        {"name": f"{LONG}-{end}", "status": "Running", "counts": {}, "after": [], "waitingFor": [], "started": TIME}
        for end in ("database", "web")
    ]
    answers.give(RECOVERY, recovery | {"groups": groups})
    answers.give(f"{RECOVERY}/members", {"value": []})
    person.open(f"/{RECOVERY}", "Recovery: payments")

    assert len(set(person.page.locator(".graph .node text:not(.small)").all_text_contents())) == 2


def test_a_link_that_cannot_be_read_shows_that_there_is_no_such_view(person: Operator) -> None:
    person.open("/plans/%", "Not found")
    person.open("/", "Now")


def test_a_view_that_cannot_be_shown_says_so_and_comes_back(person: Operator, answers: Answers) -> None:
    broken: dict[str, Any] = {"id": RESTORE_ID, "status": "Running"}
    answers.give(RESTORE, broken)
    person.page.goto(f"{person.url}/api/ui#/{RESTORE}")
    person.sees(person.page.get_by_text("The page failed"))
    answers.give(RESTORE, a_document())

    person.sees_status("Running")


def test_the_longest_lists_and_documents_are_shown(person: Operator, answers: Answers) -> None:
    points = [
        {"id": f"p{number}", "time": TIME, "restorable": False, "reasons": [LONG], "tiers": ["InstantRP"]}
        for number in range(1_000)
    ]
    answers.give("recovery-points", {"value": points})
    person.open("/start", "Start a restore")
    person.page.get_by_label("VM (resource id)").fill(vm_id("web-01"))
    person.page.get_by_role("button", name="Look up").click()
    expect(person.page.get_by_role("row")).to_have_count(1_002)
    candidates = [{"id": f"p{number}", "time": TIME, "reasons": [LONG] * 10} for number in range(1_000)]
    answers.give(RESTORE, a_document(status="Planned", result={"plan": {"requestBody": {}, "candidates": candidates}}))
    person.open(f"/{RESTORE}", "web-01")
    expect(person.page.get_by_role("row")).to_have_count(1_001)
