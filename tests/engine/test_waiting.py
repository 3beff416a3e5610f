"""Waits on Microsoft's engine: one timer for one wait, never over too early; what begins none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.engine.stage import QUICK, SPEED, EngineStage
from tests.support.real_hub import HOST_JSON, RealHub

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

WAIT_S = 5.0
LATE_S = 2.0  # at most a second by the timer, and the hops through queues on a busy machine


@pytest.fixture(scope="module")
def waited(stage: EngineStage) -> tuple[str, datetime, datetime]:
    """Let Azure ask for a wait before a job is asked for again; returns the restore and both times it was asked for."""
    vm = stage.fresh_vm()
    asks = {"count": 1, "retryAfterSeconds": WAIT_S * SPEED, "actions": ["get_job"]}
    stage.simulator.world.set_faults(vm, {"errors503": asks})
    restore_id = stage.start(vm, validate=False)
    stage.finished(restore_id)
    refused, again, *_ = stage.requests(vm, "get_job")
    return restore_id, refused.real_time, again.real_time


def test_a_wait_that_azure_asked_for_is_kept_and_not_outstayed(waited: tuple[str, datetime, datetime]) -> None:
    _, refused, again = waited

    assert WAIT_S <= (again - refused).total_seconds() <= WAIT_S + LATE_S


def test_one_wait_is_one_timer(stage: EngineStage, waited: tuple[str, datetime, datetime]) -> None:
    restore_id, refused, again = waited

    sent = [each for each in stage.events.sent(refused, again) if each.instance_id == restore_id]

    assert [each.kind for each in sent].count("TimerFired") == 1


def test_a_restore_makes_few_timers_in_all(stage: EngineStage, waited: tuple[str, datetime, datetime]) -> None:
    restore_id, *_ = waited
    vm = stage.seen(restore_id)["sourceResourceId"]
    looks = sum(len(stage.requests(vm, action)) for action in ("get_job", "item_operation_status"))

    assert stage.events.history_kinds(restore_id)["TimerCreated"] <= looks + 1


def test_calls_of_entities_are_lost_unless_the_engine_is_told_not_to_sort_them(
    stage: EngineStage, azurite: str, tmp_path: Path
) -> None:
    settings = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    assert settings["extensions"]["durableTask"].pop("entityMessageReorderWindowInMinutes") == 0
    sorting = tmp_path / "host.json"
    sorting.write_text(json.dumps(settings), encoding="utf-8")
    lost, kept = stage.fresh_vm(), stage.fresh_vm()

    with RealHub(azurite, stage.gate.url, QUICK, host_json=sorting) as hub:
        other = EngineStage(hub, hub.start(), stage.simulator, stage.gate, stage.events)
        stuck = other.start(lost, validate=False)
        done = stage.finished(stage.start(kept, validate=False))
        seen = other.seen(stuck)

    assert done["status"] == "Completed"
    assert seen["status"] in {"Pending", "Running"}
    assert (stage.posts(lost), stage.posts(kept)) == (0, 1)
