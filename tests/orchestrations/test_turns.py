"""So many restores of a vault run at once; the others wait in line, say so, and none is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.restore.calls import entity_key
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from tests.support.azure import GUARD_CLOSED, LIMITS, VAULT_ID, Lab, a_point, a_restore, vm_id

TWO = replace(LIMITS, max_per_vault=2)
APPROVAL = {"required": True}


def start(lab: Lab, number: int, **members: Any) -> str:
    now = lab.azure.clock.now()
    return lab.start(a_restore(TWO, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


def phases(lab: Lab, ids: list[str]) -> list[str]:
    return [lab.document(each).get("phase", "") for each in ids]


def is_waiting(lab: Lab, restore_id: str) -> bool:
    document = lab.document(restore_id)
    return (
        any(each["code"] == "VaultBusy" for each in document.get("warnings", [])) and document["phase"] != "TrackingJob"
    )


def test_no_more_run_at_once_than_allowed_and_all_complete() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(7)]
    most = 0
    while lab.hub.step():
        most = max(most, sum(phase in {"TrackingOperation", "TrackingJob"} for phase in phases(lab, ids)))

    assert [lab.hub.state(each).output["status"] for each in ids] == ["Completed"] * 7
    assert most == 2
    state = lab.hub.entity_state("vault_slots", entity_key(VAULT_ID))
    assert state.keys().isdisjoint({"running", "waiting"})


def test_the_next_one_starts_the_moment_that_a_place_is_left() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(3)]
    lab.hub.run_until_idle()

    ends = sorted(lab.hub.state(each).output["completedTime"] for each in ids)
    assert lab.azure.jobs[2].made.isoformat().replace("+00:00", "Z") == ends[0]


def test_who_waits_says_so_and_asks_azure_for_nothing_more_meanwhile() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(3)]
    lab.hub.run_until(timedelta(minutes=10))

    document = lab.document(ids[2])
    [warning] = document["warnings"]
    assert (document["status"], document["phase"]) == ("Running", "SelectingRecoveryPoint")
    assert warning["code"] == "VaultBusy"
    assert "RESTORE_MAX_RUNNING_PER_VAULT" in warning["message"]
    assert lab.azure.calls["list_recovery_points"] == 3  # once each, while the turn was asked for


def test_who_waited_chooses_among_the_points_that_are_there_when_the_turn_comes() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(3)]
    lab.hub.run_until(lambda: is_waiting(lab, ids[2]))
    lab.azure.points.append(a_point("newer", hours_old=1))

    assert lab.hub.finish(ids[2])["recoveryPoint"]["id"] == "newer"


def test_one_that_can_never_be_restored_does_not_wait_in_line() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(2)]
    lab.hub.run_until(timedelta(minutes=1))
    hopeless = start(lab, 2, recoveryPoint={"notOlderThan": "PT1H"})

    assert lab.hub.finish(hopeless)["error"]["code"] == "NoMatchingRecoveryPoint"
    assert phases(lab, ids) == ["TrackingJob"] * 2


def test_they_come_in_the_order_of_their_asking() -> None:
    lab = Lab()
    for number in range(6):
        start(lab, number)
        lab.hub.run_until(timedelta(seconds=10))
    lab.hub.run_until_idle()

    names = [body["properties"]["sourceResourceId"].rpartition("-")[2] for body in lab.azure.bodies]
    assert names == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize("how", ["terminate", "cancel"])
def test_one_that_gives_up_waiting_leaves_the_line(how: str) -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(4)]
    lab.hub.run_until(lambda: is_waiting(lab, ids[2]) and is_waiting(lab, ids[3]))
    if how == "terminate":
        lab.hub.terminate(ids[2])
    else:
        lab.hub.raise_event(ids[2], CANCEL_EVENT, {})
    lab.hub.run_until_idle()

    assert lab.hub.state(ids[3]).output["status"] == "Completed"
    assert len(lab.azure.bodies) == 3


def test_the_place_of_one_that_vanished_is_found_free() -> None:
    lab = Lab()
    lab.azure.job_takes = timedelta(hours=20)
    ids = [start(lab, number) for number in range(3)]
    lab.hub.run_until(lambda: is_waiting(lab, ids[2]))
    lab.hub.terminate(ids[1])
    before = lab.azure.clock.now()
    lab.hub.run_until(lambda: lab.document(ids[2])["phase"] == "TrackingJob")

    assert lab.azure.clock.now() - before < timedelta(minutes=15)


def test_waiting_for_a_person_takes_no_place() -> None:
    lab = Lab()
    asking = [start(lab, number, approval=APPROVAL) for number in range(3)]
    for each in asking:
        lab.reach(each, "AwaitingApproval")
    other = start(lab, 9)
    assert lab.reach(other, "Completed")

    for each in asking:
        lab.hub.raise_event(each, DECISION_EVENT, {"decision": "Approved"})
    assert [lab.hub.finish(each)["status"] for each in asking] == ["Completed"] * 3


def test_a_plan_waits_for_nobody() -> None:
    lab = Lab()
    for number in range(2):
        start(lab, number)
    lab.hub.run_until(timedelta(minutes=1))

    plan = a_restore(TWO, key="plan", dryRun=True)
    assert lab.run(plan)["warnings"] == []


def test_a_wake_that_is_lost_costs_five_minutes_and_no_more() -> None:
    lab = Lab()
    lab.loses_wakes = True
    ids = [start(lab, number) for number in range(3)]
    lab.hub.run_until_idle()

    ends = sorted(lab.hub.state(each).output["completedTime"] for each in ids)
    waited = lab.azure.jobs[2].made - lab.azure.jobs[0].made - lab.azure.job_takes
    assert len(ends) == 3
    assert waited <= timedelta(minutes=6)


def test_waiting_for_a_resource_guard_takes_no_place() -> None:
    one = replace(LIMITS, max_per_vault=1)
    lab = Lab()
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": "/guard"}
    lab.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    lab.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 30
    first = lab.start(a_restore(one, key="1", sourceResourceId=vm_id(1)))
    lab.reach(first, "AwaitingApproval")
    lab.azure.fails["trigger_restore"] = []
    lab.azure.guard_proxies = []
    second = lab.start(a_restore(one, key="2", created=lab.azure.clock.now(), sourceResourceId=vm_id(2)))
    lab.hub.run_until(lambda: lab.azure.calls["list_recovery_points"] == 2)

    assert lab.hub.finish(second)["status"] == "Completed"
    assert lab.hub.finish(first)["status"] == "Completed"


def test_a_wake_that_comes_before_the_wait_is_heard() -> None:
    one = replace(LIMITS, max_per_vault=1)
    lab = Lab()
    first = lab.start(a_restore(one, key="1", sourceResourceId=vm_id(1)))
    lab.hub.run_until(lambda: lab.document(first).get("phase") == "TrackingJob")
    lab.hub.terminate(first)
    lab.hub.run_until(lambda: lab.hub.state(first).is_over)
    at = lab.azure.clock.now()
    second = lab.start(a_restore(one, key="2", created=at, sourceResourceId=vm_id(2)))
    lab.hub.run_until(lambda: len(lab.azure.bodies) == 2)

    assert lab.azure.clock.now() == at
    assert lab.hub.finish(second)["status"] == "Completed"
