"""The same thing asked for many times at one moment: one restore, and everybody is told the truth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.engine.stage import EngineStage, at_once

if TYPE_CHECKING:
    import requests

CALLERS = 8


def test_eight_starts_of_one_key_are_one_restore(stage: EngineStage) -> None:
    vm = stage.fresh_vm()

    answers = at_once(CALLERS, lambda _: stage.post(vm, requestId="eight-of-one-key"))
    [restore_id] = {answer.json()["id"] for answer in answers}
    done = stage.finished(restore_id)

    assert {answer.status_code for answer in answers} == {202}
    assert done["status"] == "Completed"
    assert stage.posts(vm) == 1


def test_of_two_bodies_under_one_key_one_wins_and_the_others_are_told(stage: EngineStage) -> None:
    vms = [stage.fresh_vm(), stage.fresh_vm()]

    answers = at_once(CALLERS, lambda number: stage.post(vms[number % 2], requestId="two-bodies"))
    restore_id = next(answer.json()["id"] for answer in answers if answer.status_code == 202)
    winner = vms.index(stage.finished(restore_id)["sourceResourceId"])

    told = [_told(answer) for answer in answers]
    assert told == ["202" if number % 2 == winner else "409 RequestIdReused" for number in range(CALLERS)]
    assert [stage.posts(vm) for vm in vms] == [1 - winner, winner]


def test_one_alert_delivered_eight_times_starts_one_restore_and_says_so_once(stage: EngineStage) -> None:
    vm = stage.fresh_vm()

    decisions = at_once(CALLERS, lambda _: stage.decision(vm, "eight-deliveries"))
    [restore_id] = {decision["restoreId"] for decision in decisions}
    done = stage.finished(restore_id)

    assert Counter(decision["decision"] for decision in decisions) == {"Started": 1, "Duplicate": CALLERS - 1}
    assert done["status"] == "Completed"
    assert stage.posts(vm) == 1


def _told(answer: requests.Response) -> str:
    body = answer.json()
    return f"{answer.status_code} {body['error']['code']}" if "error" in body else str(answer.status_code)
