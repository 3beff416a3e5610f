"""What is made of restored disks besides a swap: asked for on the operator's page, planned and started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.page.answers import RESTORE_ID, a_document
from tests.page.operator import STAGING, SUBSCRIPTION, TARGET, Operator, vm_id
from tests.page.test_access import AXE, RUN_AXE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.page.answers import Answers

type Json = dict[str, Any]

NETWORK = f"{SUBSCRIPTION}/resourceGroups/load-rg/providers/Microsoft.Network/virtualNetworks/vnet-westeurope"
SUBNET = f"{NETWORK}/subnets/default"
NEW, ATTACH = "Then make a new VM of the disks", "Then attach the disks to another VM"
TEMPLATE = "By the template that Azure Backup writes"


def look_up(person: Operator, vm: str) -> Page:
    """Open the form of a start, and fill in what every restore of disks needs."""
    page = person.page
    person.open("/start", "Start a restore")
    page.get_by_label("VM (resource id)").fill(vm)
    page.get_by_role("button", name="Look up").click()
    page.get_by_label("Staging account").fill(STAGING)
    page.get_by_label("Target resource group").fill(TARGET)
    page.get_by_label("Reason").fill("incident 4711")
    return page


@pytest.fixture
def page(answers: Answers) -> Page:
    """The form of a start; what it plans is planned at once."""
    answers.give("recovery-points", {"value": []})
    answers.give("restores", {"id": RESTORE_ID}, 202)
    answers.give(f"restores/{RESTORE_ID}", a_document(status="Planned"))
    return look_up(answers.person, vm_id("web-01"))


def planned(answers: Answers) -> Json:
    """Plan what the form says; returns the request without what every one has."""
    answers.person.page.get_by_role("button", name="Plan (dry run)").click()
    answers.person.sees(answers.person.page.get_by_role("button", name="Start this restore"))
    (body,) = answers.posts()
    always = {"sourceResourceId", "recoveryType", "storageAccountId", "targetResourceGroupId"}
    return {name: body[name] for name in body.keys() - always - {"requestedBy", "reason", "requestId", "dryRun"}}


def test_a_new_vm_is_planned_with_each_call_and_started(operator: Operator) -> None:
    page = look_up(operator, vm_id("load-033", "load-rg"))
    page.get_by_label(NEW).check()
    page.get_by_label("Name of the new VM").fill("load-033-r")
    page.get_by_label("Subnet").fill(SUBNET)
    page.get_by_role("button", name="Plan (dry run)").click()
    operator.sees(page.get_by_text("Then, with the restored disks:"))
    operator.sees(page.get_by_text(f"PUT {TARGET}/providers/Microsoft.Network/networkInterfaces/load-033-r-nic"))
    operator.sees(page.get_by_text(f"PUT {TARGET}/providers/Microsoft.Compute/virtualMachines/load-033-r"))
    page.get_by_role("button", name="Start this restore").click()
    operator.sees(page.get_by_role("dialog").get_by_text("A new VM, load-033-r, is made from the backup of load-033."))
    operator.confirms("Start the restore", "incident 4711")
    operator.sees(page.get_by_text("A new VM of restored disks"))

    restore = operator.get(f"restores/{page.url.rpartition('/')[2]}")
    assert restore["request"]["thenCreateVirtualMachine"] == {"name": "load-033-r", "subnetId": SUBNET}


def test_disks_for_another_vm_are_planned_with_each_call(operator: Operator) -> None:
    page = look_up(operator, vm_id("load-034", "load-rg"))
    page.get_by_label(ATTACH).check()
    page.get_by_label("The other VM").fill(vm_id("load-035", "load-rg"))
    page.get_by_label("Delete the restored disks").check()
    page.get_by_role("button", name="Plan (dry run)").click()

    operator.sees(page.get_by_text(f"POST {vm_id('load-035', 'load-rg')}/attachDetachDataDisks"))
    operator.sees(page.get_by_text("DELETE {each other restored disk}"))
    page.get_by_role("button", name="Start this restore").click()
    dialog = page.get_by_role("dialog")
    operator.sees(dialog.get_by_text("attached to load-035, which goes on running"))
    operator.sees(dialog.get_by_text("Restored disks that are not attached are deleted."))


def test_what_is_filled_in_for_a_new_vm_is_in_its_request(answers: Answers, page: Page) -> None:
    page.get_by_label(NEW).check()
    page.get_by_label("Name of the new VM").fill(" web-01-r ")
    page.get_by_label("Subnet").fill(SUBNET)
    page.get_by_label("Size").fill("Standard_D2s_v5")
    page.get_by_label("Private IP address").fill("10.0.0.7")
    page.get_by_label("Do not leave it running").check()

    assert planned(answers) == {
        "thenCreateVirtualMachine": {
            "name": "web-01-r",
            "subnetId": SUBNET,
            "size": "Standard_D2s_v5",
            "privateIpAddress": "10.0.0.7",
            "start": False,
        }
    }


def test_the_template_takes_neither_a_size_nor_an_address(answers: Answers, page: Page) -> None:
    page.get_by_label(NEW).check()
    page.get_by_label("Name of the new VM").fill("web-01-r")
    page.get_by_label("Size").fill("Standard_D2s_v5")
    page.get_by_label("Subnet").fill(SUBNET)
    page.get_by_label(TEMPLATE).check()

    expect(page.get_by_label("Size")).to_have_count(0)
    expect(page.get_by_label("Private IP address")).to_have_count(0)
    assert planned(answers) == {"thenCreateVirtualMachine": {"name": "web-01-r", "subnetId": SUBNET, "template": True}}


@pytest.mark.parametrize(
    ("luns", "sent"), [("", {}), (" 2,3 ", {"luns": [2, 3]}), ("-1", {"luns": [-1]})], ids=["all", "two", "the OS disk"]
)
def test_the_luns_of_the_disks_to_attach_are_in_the_request(
    answers: Answers, page: Page, luns: str, sent: Json
) -> None:
    page.get_by_label(ATTACH).check()
    page.get_by_label("The other VM").fill(vm_id("rescue-01"))
    page.get_by_label("LUNs").fill(luns)

    assert planned(answers) == {"thenAttachDisks": {"virtualMachineId": vm_id("rescue-01"), **sent}}


def test_nothing_of_a_follow_up_that_is_no_longer_wanted_is_in_the_request(answers: Answers, page: Page) -> None:
    page.get_by_label(ATTACH).check()
    page.get_by_label("The other VM").fill(vm_id("rescue-01"))
    page.get_by_label("Delete the restored disks").check()
    page.get_by_label("Leave the disks").check()

    assert planned(answers) == {}


@pytest.mark.parametrize(
    ("then", "missing", "filled"),
    [
        (NEW, "Name of the new VM", {"Subnet": SUBNET}),
        (NEW, "Subnet", {"Name of the new VM": "web-01-r"}),
        (NEW, "Private IP address", {"Subnet": SUBNET, "Name of the new VM": "r", "Private IP address": "10.0.0"}),
        (ATTACH, "The other VM", {}),
        (ATTACH, "LUNs", {"The other VM": vm_id("rescue-01"), "LUNs": "2 and 3"}),
    ],
)
def test_what_is_needed_is_asked_for_before_anything_is_sent(
    answers: Answers, page: Page, then: str, missing: str, filled: dict[str, str]
) -> None:
    page.get_by_label(then).check()
    for label, text in filled.items():
        page.get_by_label(label).fill(text)
    page.get_by_role("button", name="Plan (dry run)").click()

    expect(page.get_by_label(missing)).to_be_focused()
    assert page.get_by_label(missing).evaluate("input => input.validity.valid") is False
    assert answers.posts() == []


def test_the_dialog_says_how_a_new_vm_is_made(answers: Answers, page: Page) -> None:
    asked = {"name": "web-01-r", "subnetId": SUBNET, "template": True, "start": False}
    target = {"replacesDisks": False, "virtualMachineId": vm_id("web-01-r")}
    request = {"recoveryType": "RestoreDisks", "thenCreateVirtualMachine": asked, "target": target}
    answers.give(f"restores/{RESTORE_ID}", a_document(status="Planned", request=request))
    planned(answers)
    page.get_by_role("button", name="Start this restore").click()

    dialog = page.get_by_role("dialog")
    answers.person.sees(dialog.get_by_text("A new VM, web-01-r, is made from the backup of web-01."))
    answers.person.sees(dialog.get_by_text("It gets a public IP address."))
    answers.person.sees(dialog.get_by_text("It is stopped as soon as it runs."))


@pytest.mark.parametrize("then", [NEW, ATTACH])
def test_the_form_is_accessible(page: Page, then: str) -> None:
    page.get_by_label(then).check()
    page.evaluate(AXE.read_text(encoding="utf-8"))

    assert page.evaluate(RUN_AXE) == []
