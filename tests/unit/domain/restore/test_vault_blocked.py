"""Azure Backup blocks a vault for hours, because too many operations were asked of it: its restores wait together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import Operation, OperationStatus
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TransientError
from domain.restore.machine import CANCEL_EVENT
from tests.support.azure import LIMITS, a_restore, throttled, vm_id

if TYPE_CHECKING:
    from tests.support.player import Player

REACHED = ErrorDetail(code="CloudDosAbsoluteLimitReachedWithRetry", message="Limit of operations in 24 hours reached.")
TWO = replace(LIMITS, max_per_vault=2)


def blocked(retry_after_s: float | None = None) -> TransientError:
    return TransientError("VaultBlocked", "the vault is blocked", [REACHED], retry_after_s=retry_after_s)


def start(player: Player, number: int, **members: Any) -> str:
    now = player.clock.now()
    return player.start(a_restore(TWO, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


def posts(player: Player) -> int:
    return player.azure.calls["trigger_restore"]


@pytest.mark.parametrize("call", ["trigger_restore", "trigger_validation"])
def test_a_restore_waits_an_hour_and_tries_again(player: Player, call: str) -> None:
    player.azure.fails[call] = [blocked(), blocked()]

    done = player.finish(start(player, 0, validate=call != "trigger_restore"))

    assert done["status"] == "Completed"
    assert player.azure.calls[call] == 3
    assert timedelta(hours=2).total_seconds() <= player.elapsed_s < timedelta(hours=2.6).total_seconds()
    assert [warning["code"] for warning in done["warnings"]] == ["VaultBlocked"]
    assert "settledTime" in done["warnings"][0]


@pytest.mark.parametrize("status", [OperationStatus.SUCCEEDED, OperationStatus.FAILED])
def test_a_validation_that_meets_the_block_is_started_again_after_it(player: Player, status: OperationStatus) -> None:
    player.azure.validations = [Validation(status=status, findings=(REACHED,))]

    first = start(player, 0, validate=True)
    player.run_until(timedelta(minutes=1))
    second = start(player, 1)
    player.run_until(timedelta(minutes=50))

    assert player.azure.calls["trigger_validation"] == 1
    assert [player.document(each)["waiting"]["reason"] for each in (first, second)] == ["VaultBlocked"] * 2
    assert (player.finish(first)["status"], posts(player)) == ("Completed", 2)


@pytest.mark.parametrize("asked_s", [None, 600.0])
@pytest.mark.parametrize("call", ["get_backup_status", "list_recovery_points", "get_validation", "trigger_restore"])
def test_whoever_waits_for_its_end_says_so(player: Player, call: str, asked_s: float | None) -> None:
    player.azure.fails[call] = [blocked(asked_s)]

    restore_id = start(player, 0, validate=True)
    player.run_until(timedelta(minutes=5))
    waiting = player.document(restore_id)["waiting"]
    done = player.finish(restore_id)

    assert waiting["reason"] == "VaultBlocked"
    assert (done["status"], done["waiting"]) == ("Completed", None)
    assert "settledTime" in done["warnings"][0]


def test_azures_own_wait_is_honoured(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [blocked(retry_after_s=5 * 3600)]

    player.finish(start(player, 0))

    assert player.elapsed_s > 5 * 3600


@pytest.mark.parametrize("first", [blocked(600.0), throttled(600.0)])
def test_an_earlier_wait_that_is_over_is_not_taken_for_the_blocks(player: Player, first: TransientError) -> None:
    player.azure.fails["trigger_restore"] = [first, blocked()]

    start(player, 0)
    player.run_until(timedelta(minutes=60))

    assert posts(player) == 2


def test_the_others_of_the_vault_wait_without_asking_azure(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [blocked()]
    first = start(player, 0)
    player.run_until(timedelta(minutes=1))
    ids = [start(player, number) for number in range(1, 6)]
    player.run_until(timedelta(minutes=50))

    assert posts(player) == 1
    for restore_id in (first, *ids):
        document = player.document(restore_id)
        assert document["waiting"]["reason"] == "VaultBlocked"
        assert document["waiting"]["until"] is not None
        assert [warning["code"] for warning in document["warnings"]] == ["VaultBlocked"]


def test_after_the_block_one_restore_after_the_other_tries(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [blocked(), blocked()]
    ids = [start(player, number) for number in range(4)]
    player.run_until(timedelta(minutes=59))
    assert posts(player) == 1
    player.run_until(timedelta(minutes=56))
    assert posts(player) == 2  # the one that tried after the first hour found the vault blocked, too
    player.run_until(timedelta(minutes=9))
    assert posts(player) == 3
    player.run_until(timedelta(minutes=5))
    assert posts(player) == 4  # that one was taken, but no restore has ended yet
    assert {player.finish(restore_id)["status"] for restore_id in ids} == {"Completed"}
    assert len(player.azure.jobs) == 4


def test_once_a_restore_was_taken_the_others_follow_without_a_gap(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [blocked()]
    ids = [start(player, number) for number in range(3)]

    for restore_id in ids:
        player.finish(restore_id)

    assert posts(player) == 4
    assert player.elapsed_s < timedelta(hours=3).total_seconds()


def test_an_operation_that_the_block_ended_lets_the_others_wait(player: Player) -> None:
    failed = Operation(status=OperationStatus.FAILED, error=REACHED)
    player.azure.posts, player.azure.operations = ["jobless"], [failed]
    first = start(player, 0)
    done = player.finish(first)
    second = start(player, 1)
    player.run_until(timedelta(minutes=10))

    assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreFailed")
    assert player.document(second)["waiting"]["reason"] == "VaultBlocked"


def test_a_cancelled_restore_ends_at_once(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [blocked()]
    restore_id = start(player, 0)
    player.run_until(timedelta(minutes=10))

    player.say(CANCEL_EVENT, {"by": "me"}, restore_id)
    done = player.finish(restore_id)

    assert (done["status"], posts(player)) == ("Cancelled", 1)
    assert "Nothing was started." in done["error"]["message"]


def test_a_plan_that_meets_the_block_ends(player: Player) -> None:
    player.azure.fails["trigger_validation"] = [blocked()]

    done = player.run(a_restore(TWO, dryRun=True, validate=True))

    assert player.azure.calls["trigger_validation"] == 1
    assert (done["status"], done["error"]["code"]) == ("Failed", "VaultBlocked")
