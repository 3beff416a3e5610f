from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.restore.calls import WakeRestore
from domain.restore.machine import DECISION_EVENT
from domain.times import parse_request_time
from tests.support.azure import (
    GUARD_CLOSED,
    LIMITS,
    a_point,
    a_restore,
    vm_id,
)
from tests.support.player import Player

ONE = replace(LIMITS, max_per_vault=1)
TWO = replace(LIMITS, max_per_vault=2)
APPROVAL = {"required": True}


def start(player: Player, number: int, **members: Any) -> str:
    """Start the restore of one of many VMs; returns its id."""
    now = player.clock.now()
    return player.start(a_restore(TWO, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


def phases(player: Player, ids: list[str]) -> list[str]:
    return [player.document(restore_id).get("phase", "") for restore_id in ids]


def is_waiting(player: Player, restore_id: str) -> bool:
    document = player.document(restore_id)
    codes = [warning["code"] for warning in document.get("warnings", [])]
    return "VaultBusy" in codes and document["phase"] != "TrackingJob"


def test_who_waits_says_so_and_asks_azure_for_nothing_more_meanwhile(player: Player) -> None:
    ids = [start(player, number) for number in range(3)]
    player.run_until(timedelta(minutes=10))

    document = player.document(ids[2])
    [warning] = document["warnings"]
    assert (document["status"], document["phase"]) == ("Running", "SelectingRecoveryPoint")
    assert warning["code"] == "VaultBusy"
    assert "RESTORE_MAX_RUNNING_PER_VAULT" in warning["message"]
    assert player.azure.calls["list_recovery_points"] == 3  # once for each restore, beside its request for a slot


def test_who_waited_chooses_among_the_points_that_are_there_when_it_gets_its_slot(player: Player) -> None:
    ids = [start(player, number) for number in range(3)]
    player.run_until(lambda: is_waiting(player, ids[2]))
    player.azure.points.append(a_point("newer", hours_old=1))

    assert player.finish(ids[2])["recoveryPoint"]["id"] == "newer"


def test_one_that_can_never_be_restored_does_not_wait_in_line(player: Player) -> None:
    ids = [start(player, number) for number in range(2)]
    player.run_until(timedelta(minutes=1))
    hopeless = start(player, 2, recoveryPoint={"notOlderThan": "PT1H"})

    assert player.finish(hopeless)["error"]["code"] == "NoMatchingRecoveryPoint"
    assert phases(player, ids) == ["TrackingJob"] * 2


def test_the_slot_of_a_restore_that_vanished_is_released(player: Player) -> None:
    player.azure.job_takes = timedelta(hours=20)
    ids = [start(player, number) for number in range(3)]
    player.run_until(lambda: is_waiting(player, ids[2]))
    player.terminate(ids[1])
    before = player.clock.now()
    player.run_until(lambda: player.document(ids[2])["phase"] == "TrackingJob")

    assert player.clock.now() - before < timedelta(minutes=15)


def test_waiting_for_a_person_takes_no_slot(player: Player) -> None:
    asking = [start(player, number, approval=APPROVAL) for number in range(3)]
    for restore_id in asking:
        player.reach(restore_id, "AwaitingApproval")
    other = start(player, 9)
    assert player.reach(other, "Completed")

    for restore_id in asking:
        player.say(DECISION_EVENT, {"decision": "Approved"}, restore_id)
    assert [player.finish(restore_id)["status"] for restore_id in asking] == ["Completed"] * 3


def test_a_plan_waits_for_nobody(player: Player) -> None:
    for number in range(2):
        start(player, number)
    player.run_until(timedelta(minutes=1))

    plan = a_restore(TWO, key="plan", dryRun=True)
    assert player.run(plan)["warnings"] == []


def test_a_lost_wake_up_costs_five_minutes_and_no_more(player: Player) -> None:
    player.loses_wakes = True
    ids = [start(player, number) for number in range(3)]
    player.run_until(timedelta(days=1))

    ends = sorted(player.document(restore_id)["completedTime"] for restore_id in ids)
    waited = player.azure.jobs[2].made - player.azure.jobs[0].made - player.azure.job_takes
    assert len(ends) == 3
    assert waited <= timedelta(minutes=6)


def test_waiting_for_a_resource_guard_takes_no_slot() -> None:
    one = replace(LIMITS, max_per_vault=1)
    player = Player()
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": "/guard"}
    player.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    player.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 30
    first = player.start(a_restore(one, key="1", sourceResourceId=vm_id(1)))
    player.reach(first, "AwaitingApproval")
    player.azure.fails["trigger_restore"] = []
    player.azure.guard_proxies = []
    second = player.start(a_restore(one, key="2", created=player.clock.now(), sourceResourceId=vm_id(2)))
    player.run_until(lambda: player.azure.calls["list_recovery_points"] == 2)

    assert player.finish(second)["status"] == "Completed"
    assert player.finish(first)["status"] == "Completed"


def test_who_releases_a_slot_wakes_the_next_at_once(player: Player) -> None:
    first = player.start(a_restore(ONE, key="1", sourceResourceId=vm_id(1)))
    player.run_until(lambda: player.document(first).get("phase") == "TrackingJob")
    second = player.start(a_restore(ONE, key="2", created=player.clock.now(), sourceResourceId=vm_id(2)))

    assert player.finish(second)["status"] == "Completed"

    assert player.azure.jobs[1].made == parse_request_time(player.document(first)["completedTime"])
    assert [made.call for made in player.calls_of("wake_restore", first)] == [WakeRestore(restore_id=second)]
