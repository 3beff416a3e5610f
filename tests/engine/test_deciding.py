"""People decide: approvals, and cancellations at each phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.stage import GROUP, EngineStage, at_once
from tests.integration.app_stage import vm_id

if TYPE_CHECKING:
    from domain.errors import Json

BY = {"by": "ada", "comment": "as agreed"}
# Where the gate holds a restore, and how many POSTs it may have made in the end: who has begun to post goes on.
PLACES = {"resolving": 0, "choosing": 0, "validating": 0, "looking": 1, "posting": 1}
STEP = {"posting": "post sent"}


def decided(stage: EngineStage, decision: str) -> tuple[str, Json]:
    vm = stage.fresh_vm()
    restore_id = stage.start(vm, approval={"required": True}, validate=False)
    stage.comes_to(restore_id, lambda document: document["status"] == "AwaitingApproval")
    assert stage.posts(vm) == 0
    answer = stage.call("POST", f"restores/{restore_id}/{decision}", json=BY)
    assert answer.status_code == 202, answer.text
    return vm, stage.finished(restore_id)


def test_an_approved_restore_completes(stage: EngineStage) -> None:
    vm, done = decided(stage, "approve")

    assert (done["status"], done["approval"]["by"]) == ("Completed", "ada")
    assert stage.posts(vm) == 1


def test_a_rejected_restore_posts_nothing(stage: EngineStage) -> None:
    vm, done = decided(stage, "reject")

    assert done["status"] == "Rejected"
    assert stage.posts(vm) == 0


def test_a_decision_on_a_restore_that_has_ended_is_a_conflict_and_on_none_is_not_found(stage: EngineStage) -> None:
    _, done = decided(stage, "reject")

    late = stage.call("POST", f"restores/{done['id']}/approve", json={"by": "bob"})
    unknown = stage.call("POST", "restores/00000000-0000-0000-0000-000000000000/cancel", json=BY)

    assert (late.status_code, unknown.status_code) == (409, 404)


@pytest.mark.parametrize("place", PLACES)
def test_a_restore_that_is_cancelled_before_it_has_a_job_ends_as_cancelled(stage: EngineStage, place: str) -> None:
    name = f"held-{place}"
    stop = stage.gate.stops.set(STEP.get(place, place), name)
    restore_id = stage.start(vm_id(name, GROUP))
    stop.wait()

    answer = stage.call("POST", f"restores/{restore_id}/cancel", json=BY)
    stop.let_go()
    done = stage.finished(restore_id)

    assert (answer.status_code, done["status"]) == (202, "Cancelled")
    assert stage.posts(vm_id(name, GROUP)) <= PLACES[place]


def test_a_restore_that_is_cancelled_while_it_waits_for_a_person_ends_as_cancelled(stage: EngineStage) -> None:
    vm = stage.fresh_vm()
    restore_id = stage.start(vm, approval={"required": True}, validate=False)
    stage.comes_to(restore_id, lambda document: document["status"] == "AwaitingApproval")

    stage.call("POST", f"restores/{restore_id}/cancel", json=BY)

    assert stage.finished(restore_id)["status"] == "Cancelled"
    assert stage.posts(vm) == 0


@pytest.mark.parametrize("phase", ["TrackingOperation", "TrackingJob"])
def test_a_restore_that_is_cancelled_while_azure_restores_ends_with_its_job_cancelled(
    stage: EngineStage, phase: str
) -> None:
    vm = stage.fresh_vm()
    slow = {"slowOperation": {"seconds": 300}} if phase == "TrackingOperation" else {}
    stage.simulator.world.set_faults(vm, {"jobSeconds": 1e6, **slow})
    restore_id = stage.start(vm, validate=False)
    stage.comes_to(restore_id, lambda document: document["phase"] == phase)

    answer = stage.call("POST", f"restores/{restore_id}/cancel", json=BY)
    done = stage.finished(restore_id)

    assert (answer.status_code, done["status"]) == (202, "Cancelled")
    assert [job.ends_as for job in stage.simulator.world.jobs_of(vm)] == ["Completed"]
    assert all(job.cancelled_at for job in stage.simulator.world.jobs_of(vm))


def test_twenty_restores_that_are_cancelled_right_after_their_start_all_end_as_cancelled(stage: EngineStage) -> None:
    vms = [stage.fresh_vm() for _ in range(20)]
    for vm in vms:
        stage.simulator.world.set_faults(vm, {"jobSeconds": 1e6})

    def start_and_cancel(number: int) -> tuple[str, int]:
        restore_id = stage.start(vms[number])
        return restore_id, stage.call("POST", f"restores/{restore_id}/cancel", json=BY).status_code

    answers = at_once(20, start_and_cancel)

    assert {status for _, status in answers} == {202}
    assert {stage.finished(restore_id)["status"] for restore_id, _ in answers} == {"Cancelled"}
    assert all(job.cancelled_at for vm in vms for job in stage.simulator.world.jobs_of(vm))
