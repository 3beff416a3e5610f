"""Restores on Microsoft's engine, of every form and however they are started; each posts once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.stage import EngineStage, at_once, soon
from tests.integration.app_stage import SUBSCRIPTION, a_request

if TYPE_CHECKING:
    from domain.errors import Json

GROUP = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/isolated"
IN_PLACE: dict[str, Any] = {"recoveryType": "OriginalLocation", "targetResourceGroupId": None}
CLONE: dict[str, Any] = {
    "recoveryType": "AlternateLocation",
    "targetVirtualMachineId": f"{GROUP}/providers/Microsoft.Compute/virtualMachines/the-clone",
    "virtualNetworkId": NETWORK,
    "subnetId": f"{NETWORK}/subnets/default",
}
FORMS: dict[str, dict[str, Any]] = {
    "disks": {},
    "disks to a storage account": {"targetResourceGroupId": None},
    "another VM": CLONE,
    "in place": IN_PLACE,
}
WAYS = ("http", "queue", "alert")


@dataclass
class Ended:
    vm: str
    document: Json


@pytest.fixture(scope="module")
def ended(stage: EngineStage) -> dict[str, Ended]:
    """Start a restore of each form and in each way, all before any has ended; returns how they ended."""
    vms = {name: stage.fresh_vm() for name in (*FORMS, *WAYS, "plan")}
    ids = {name: stage.start(vms[name], **members) for name, members in FORMS.items()}
    ids["plan"] = stage.start(vms["plan"], dryRun=True)
    ids["http"] = stage.start(vms["http"])
    stage.send(a_request(sourceResourceId=vms["queue"]))
    ids["alert"] = stage.decision(vms["alert"], "one-of-three-ways")["restoreId"]
    ids["queue"] = stage.restore_of(vms["queue"])
    return {name: Ended(vms[name], stage.finished(restore_id)) for name, restore_id in ids.items()}


@pytest.mark.parametrize("way", WAYS)
def test_a_restore_completes_however_it_was_started(stage: EngineStage, ended: dict[str, Ended], way: str) -> None:
    done = ended[way]

    assert (done.document["status"], done.document["startedBy"]) == ("Completed", way)
    assert stage.posts(done.vm) == 1
    assert stage.jobs(done.vm) == [done.document["jobId"]]


@pytest.mark.parametrize("form", FORMS)
def test_a_restore_of_every_form_completes(stage: EngineStage, ended: dict[str, Ended], form: str) -> None:
    done = ended[form]

    assert (done.document["status"], done.document["error"]) == ("Completed", None)
    assert done.document["result"]["jobStatus"] == "Completed"
    assert stage.posts(done.vm) == 1


def test_a_plan_says_what_would_be_sent_and_sends_nothing(stage: EngineStage, ended: dict[str, Ended]) -> None:
    done = ended["plan"]

    assert done.document["status"] == "Planned"
    assert done.document["result"]["plan"]["requestBody"]
    assert stage.posts(done.vm) == 0


def test_every_end_is_told_on_the_results_queue(stage: EngineStage, ended: dict[str, Ended]) -> None:
    missing = {each.document["id"]: each.document["status"] for each in ended.values()}

    def look() -> bool:
        for text in stage.queues.receive(stage.hub.queues["results"]):
            told = json.loads(text)
            if told["id"] in missing:
                assert missing.pop(told["id"]) == told["status"]
        return not missing

    assert soon(look)


def test_sixty_at_once_all_complete_with_one_post_each(stage: EngineStage) -> None:
    vms = [stage.fresh_vm() for _ in range(60)]
    ids = at_once(60, lambda number: stage.start(vms[number], validate=False))

    statuses = {stage.finished(restore_id)["status"] for restore_id in ids}

    assert statuses == {"Completed"}
    assert [stage.posts(vm) for vm in vms] == [1] * 60
