"""So many restores of a vault run at once; the others wait in line, say so, and none is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.restore.calls import entity_key
from domain.restore.machine import CANCEL_EVENT
from tests.support.azure import LIMITS, VAULT_ID, Lab, a_restore, vm_id

TWO = replace(LIMITS, max_per_vault=2)


def start(lab: Lab, number: int, **members: Any) -> str:
    now = lab.azure.clock.now()
    return lab.start(a_restore(TWO, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


def phases(lab: Lab, ids: list[str]) -> list[str]:
    return [lab.document(restore_id).get("phase", "") for restore_id in ids]


def is_waiting(lab: Lab, restore_id: str) -> bool:
    document = lab.document(restore_id)
    codes = [warning["code"] for warning in document.get("warnings", [])]
    return "VaultBusy" in codes and document["phase"] != "TrackingJob"


def test_no_more_run_at_once_than_allowed_and_all_complete() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(7)]
    most = 0
    while lab.hub.step():
        most = max(most, sum(phase in {"TrackingOperation", "TrackingJob"} for phase in phases(lab, ids)))

    assert [lab.hub.state(restore_id).output["status"] for restore_id in ids] == ["Completed"] * 7
    assert most == 2
    state = lab.hub.entity_state("vault_slots", entity_key(VAULT_ID))
    assert state.keys().isdisjoint({"running", "waiting"})


def test_the_next_one_starts_the_moment_that_a_slot_is_released() -> None:
    lab = Lab()
    ids = [start(lab, number) for number in range(3)]
    lab.hub.run_until_idle()

    ends = sorted(lab.hub.state(restore_id).output["completedTime"] for restore_id in ids)
    assert lab.azure.jobs[2].made.isoformat().replace("+00:00", "Z") == ends[0]


def test_they_run_in_the_order_in_which_they_asked() -> None:
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


def test_being_woken_before_the_wait_begins_is_heard() -> None:
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
