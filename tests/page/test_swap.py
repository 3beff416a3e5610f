"""A swap of disks on the operator's page: asked for, approved, seen, and undone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.page.answers import RESTORE_ID, TIME, a_document, that_waits
from tests.page.operator import PATIENCE_MS, STAGING, Operator, a_restore, vm_id
from tests.page.test_access import AXE, RUN_AXE

if TYPE_CHECKING:
    from tests.page.answers import Answers

type Json = dict[str, Any]

DISKS = vm_id("web-01").partition("/providers/")[0] + "/providers/Microsoft.Compute/disks"
SWAP: Json = {
    "virtualMachineId": vm_id("web-01"),
    "state": "Swapped",
    "disks": [
        {"lun": None, "formerDiskId": f"{DISKS}/old-os", "diskId": f"{DISKS}/new-os"},
        {"lun": 3, "formerDiskId": None, "diskId": f"{DISKS}/new-3"},
    ],
    "formerStorageProfile": {},
    "deallocatedTime": TIME,
    "disksReplacedTime": TIME,
    "runningTime": TIME,
    "agentReadyTime": None,
    "downtime": "PT1M34S",
}
REQUEST: Json = {
    "recoveryType": "RestoreDisks",
    "thenSwapDisks": {},
    "target": {"replacesDisks": True, "virtualMachineId": vm_id("web-01")},
}


def show(answers: Answers, document: Json) -> Operator:
    answers.give(f"restores/{RESTORE_ID}", document)
    answers.person.open(f"/restores/{RESTORE_ID}", "web-01")
    return answers.person


def swapped(**members: Any) -> Json:
    """Return the document of a restore that has swapped disks, and can be undone."""
    own = f"/api/restores/{RESTORE_ID}"
    ended = {"status": "Completed", "phase": "Finished", "completedTime": TIME, "request": REQUEST}
    return a_document(**ended, result={"swap": SWAP}, links={"self": own, "undo": f"{own}/undo"}) | members


def waiting(**members: Any) -> Json:
    """Return the document of a restore whose disks are made, and whose swap a person must approve."""
    approval = {"before": "Swap", "reason": "The disks are restored.", "expires": None, "decision": None}
    asked = {**REQUEST, "approval": {"required": True, "before": "Swap"}}
    return that_waits(jobId="job-1", request=asked, approval=approval) | members


def test_a_swap_is_planned_approved_when_the_disks_are_there_and_undone(operator: Operator) -> None:
    page = operator.page
    operator.open("/start", "Start a restore")
    page.get_by_label("VM (resource id)").fill(vm_id("load-030", "load-rg"))
    page.get_by_role("button", name="Look up").click()
    page.get_by_label("Staging account").fill(STAGING)
    page.get_by_label("Then swap the disks into the VM").check()
    page.get_by_label("A person approves the swap").check()
    page.get_by_label("Reason").fill("incident 4711")
    page.get_by_role("button", name="Plan (dry run)").click()
    operator.sees(page.get_by_role("heading", name="Dry run for load-030 Planned"))
    operator.sees(page.get_by_text("Then, with the restored disks:"))
    operator.sees(page.get_by_text("/virtualMachines/load-030/deallocate"))
    page.get_by_role("button", name="Start this restore").click()
    operator.sees(page.get_by_role("dialog").get_by_text("load-030 is deallocated, gets the restored disks"))
    operator.confirms("Start the restore", "incident 4711")
    operator.sees_status("Waits for a person")
    restore_id = page.url.rpartition("/")[2]
    page.get_by_role("button", name="Approve").click()
    operator.confirms("Approve the swap", "users are told")
    operator.sees_status("Completed")
    operator.sees(page.get_by_role("table", name="Disks of the VM"))
    page.get_by_role("button", name="Undo").click()
    operator.confirms("Put the former disks back", "it was the wrong day")
    operator.sees(page.locator(f"dd a[href='#/restores/{restore_id}']"))
    operator.sees_status("Completed")

    restore = operator.get(f"restores/{restore_id}")
    undo = operator.get(f"restores/{page.url.rpartition('/')[2]}")
    assert restore["request"]["thenSwapDisks"] == {}
    assert "targetResourceGroupId" not in restore["request"]
    assert (undo["undoOf"], undo["requestedBy"], undo["reason"]) == (restore_id, "Ada", "it was the wrong day")


def test_the_choices_of_a_swap_are_in_the_request(operator: Operator) -> None:
    page = operator.page
    operator.open("/start", "Start a restore")
    page.get_by_label("VM (resource id)").fill(vm_id("load-031", "load-rg"))
    page.get_by_role("button", name="Look up").click()
    page.get_by_label("Staging account").fill(STAGING)
    expect(page.get_by_label("Only its data disks")).to_have_count(0)
    page.get_by_label("Then swap the disks into the VM").check()
    page.get_by_label("Only its data disks").check()
    page.get_by_label("Do not start it afterwards").check()
    page.get_by_label("A person approves the swap").check()
    page.get_by_label("A person approves the swap").uncheck()
    page.get_by_label("Reason").fill("incident 4711")
    with page.expect_request(lambda call: call.method == "POST" and call.url.endswith("/api/restores")) as sent:
        page.get_by_role("button", name="Plan (dry run)").click()
    body = json.loads(sent.value.post_data or "")
    assert body["thenSwapDisks"] == {"dataDisksOnly": True, "start": False}
    assert "approval" not in body
    page.get_by_label("Kind").select_option("Disks of the VM replaced")

    expect(page.get_by_label("Then swap the disks into the VM")).to_have_count(0)


def test_a_swap_is_shown_with_its_disks_and_its_downtime(answers: Answers) -> None:
    person = show(answers, swapped())
    page = person.page

    rows = page.get_by_role("table", name="Disks of the VM").get_by_role("row")
    expect(rows.nth(1)).to_have_text("OS diskold-osnew-os")
    expect(rows.nth(2)).to_have_text("LUN 3nonenew-3")
    person.sees(page.get_by_text("1 min 34 s"))
    person.sees(page.get_by_text("has the new disks"))
    person.sees(page.get_by_text("Disks swapped into the VM"))
    person.page.evaluate(AXE.read_text(encoding="utf-8"))
    assert person.page.evaluate(RUN_AXE) == []


def test_a_swap_that_runs_shows_its_phase_and_how_long_the_vm_has_been_down(answers: Answers) -> None:
    runs = {**SWAP, "state": "Running", "runningTime": None, "disksReplacedTime": None, "downtime": None}
    phases = [{"phase": "TrackingJob", "started": TIME, "ended": TIME}, {"phase": "SwappingDisks", "started": TIME}]
    person = show(answers, a_document(phase="SwappingDisks", phases=phases, swap=runs, request=REQUEST))

    person.sees(person.page.get_by_text("Swaps the disks of the VM").first)
    person.sees(person.page.get_by_text("so far"))
    expect(person.page.get_by_text("Expected end")).to_have_count(0)  # Azure's percentage was that of the job
    person.page.get_by_role("button", name="Cancel").click()
    person.sees(person.page.get_by_role("dialog").get_by_text("it keeps its former ones"))


def test_who_approves_a_swap_reads_that_the_vm_goes_down_and_who_rejects_it_that_it_does_not(answers: Answers) -> None:
    person = show(answers, waiting())
    page = person.page

    page.get_by_role("button", name="Approve").click()
    person.sees(page.get_by_role("dialog").get_by_text("it is down for some minutes"))
    person.sees(page.get_by_role("button", name="Approve the swap"))
    page.get_by_role("button", name="Go back").click()
    for name in ("Reject", "Cancel"):
        page.get_by_role("button", name=name).click()
        person.sees(page.get_by_role("dialog").get_by_text("web-01 is not touched. The restored disks stay."))
        page.get_by_role("button", name="Go back").click()


@pytest.mark.parametrize("command", ["Approve", "Reject"])
def test_a_restore_that_asks_twice_shows_the_first_decision_and_is_told_which_one_comes(
    answers: Answers, command: str
) -> None:
    first = {"reason": "storm", "expires": TIME, "decision": "Approved", "by": "Bob", "comment": "go", "time": TIME}
    person = show(answers, waiting(firstApproval=first))
    answers.give(f"restores/{RESTORE_ID}/{command.lower()}", waiting())

    expect(person.page.locator("dt", has_text="Approval of the restore")).to_have_count(1)
    expect(person.page.locator("dd", has_text="Approved by Bob at")).to_have_count(1)
    person.page.get_by_role("button", name=command).click()
    person.confirms("Approve the swap" if command == "Approve" else "Reject", "users are told")

    assert answers.posts() == [{"before": "Swap", "by": "Ada", "comment": "users are told"}]


def test_an_undo_says_which_disks_come_back(answers: Answers) -> None:
    person = show(answers, swapped())

    person.page.get_by_role("button", name="Undo").click()
    dialog = person.page.get_by_role("dialog", name="Undo the restore of web-01")
    person.sees(dialog.get_by_text("Its swap took 1 min 34 s."))
    person.sees(dialog.get_by_text("OS disk: old-os instead of new-os."))
    person.sees(dialog.get_by_text("LUN 3: no disk instead of new-3."))


def test_an_undo_of_many_disks_is_still_asked_in_a_dialog_that_can_be_read(answers: Answers) -> None:
    disks = [{"lun": lun, "formerDiskId": f"{DISKS}/old-{lun}", "diskId": f"{DISKS}/new-{lun}"} for lun in range(64)]
    person = show(answers, swapped(result={"swap": {**SWAP, "disks": disks}}))

    person.page.get_by_role("button", name="Undo").click()
    dialog = person.page.get_by_role("dialog")
    person.sees(dialog.get_by_text("LUN 7: old-7 instead of new-7."))
    person.sees(dialog.get_by_text("So do 56 others."))


def test_what_cannot_be_undone_has_no_button(answers: Answers) -> None:
    person = show(answers, swapped(links={"self": f"/api/restores/{RESTORE_ID}"}))

    person.sees(person.page.get_by_role("table", name="Disks of the VM"))
    expect(person.page.get_by_role("button", name="Undo")).to_have_count(0)


@pytest.mark.parametrize(
    ("approval", "shown"),
    [
        ({}, "a person, within 4 h, before the swap"),
        ({"timeout": "PT1H", "before": "Trigger"}, "a person, within 1 h"),
    ],
)
def test_a_rule_with_a_swap_is_seen_to_ask_a_person(answers: Answers, approval: Json, shown: str) -> None:
    restore = {**a_restore("web-01"), "thenSwapDisks": {}}
    rules = {"source": "setting", "rules": [{"name": "swap", "restore": restore, "approval": approval}], "problems": []}
    answers.give("alert-rules", rules)
    answers.give("alert-decisions", {"value": []})
    answers.person.open("/alerts", "Alerts")

    row = answers.person.page.get_by_role("row", name="swap")
    expect(row.get_by_role("cell").nth(3)).to_have_text(shown, timeout=PATIENCE_MS)
    answers.person.sees(row.get_by_text("Disks swapped into the VM"))


def test_disks_that_are_attached_to_another_vm_are_shown_and_the_dialog_names_that_vm(answers: Answers) -> None:
    rescue = vm_id("rescue-01")
    request = {
        "recoveryType": "RestoreDisks",
        "thenAttachDisks": {"virtualMachineId": rescue, "deleteOthers": True},
        "target": {"replacesDisks": False, "virtualMachineId": rescue},
    }
    attachment = {
        "virtualMachineId": rescue,
        "state": "Attaching",
        "disks": [{"diskId": f"{DISKS}/new-3", "lun": 5}],
        "others": [],
        "deleted": [f"{DISKS}/new-os"],
        "attachedTime": None,
    }
    person = show(answers, that_waits(request=request))
    person.page.get_by_role("button", name="Approve").click()
    dialog = person.page.get_by_role("dialog")
    person.sees(dialog.get_by_text("attached to rescue-01, which goes on running"))
    person.sees(dialog.get_by_text("Restored disks that are not attached are deleted."))
    person.page.get_by_role("button", name="Go back").click()
    person.open("/start", "Start a restore")
    show(answers, a_document(phase="AttachingDisks", request=request, attachment=attachment))

    rows = person.page.get_by_role("table", name="Restored disks").get_by_role("row")
    expect(rows.nth(1)).to_have_text("new-3at LUN 5", timeout=PATIENCE_MS)
    expect(rows.nth(2)).to_have_text("new-osdeleted")
    person.page.get_by_role("button", name="Cancel").click()
    person.sees(person.page.get_by_role("dialog").get_by_text("If nothing is made of the disks yet, nothing will be."))


def test_a_new_vm_is_shown_with_what_was_made(answers: Answers) -> None:
    made = {"id": vm_id("web-01-r"), "state": "Created", "outputResources": [f"{DISKS}/x-nic"], "deployment": None}
    request = {**REQUEST, "thenSwapDisks": None, "thenCreateVirtualMachine": {"name": "web-01-r"}}
    person = show(answers, swapped(request=request, result={"createdVirtualMachine": {**made, "runningTime": TIME}}))

    person.sees(person.page.get_by_role("heading", name="New VM"))
    person.sees(person.page.get_by_text("web-01-r", exact=True))
    person.sees(person.page.get_by_role("listitem").get_by_text(f"{DISKS}/x-nic"))
    person.sees(person.page.get_by_text("A new VM of restored disks"))
