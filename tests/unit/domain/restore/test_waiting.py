"""The status document says what a restore waits for, and until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import OperationStatus
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TransientError, UnknownOutcomeError
from domain.restore.machine import DECISION_EVENT, SLOT_EVENT
from domain.times import parse_request_time
from domain.warning_codes import WarningCode
from tests.support.azure import GUARD_CLOSED, LIMITS, a_restore, throttled, vm_id
from tests.support.hub import START

if TYPE_CHECKING:
    from domain.errors import Json
    from tests.support.player import Player

BUSY = TransientError("ItemBusy", "m")
RUNNING = Validation(status=OperationStatus.RUNNING)


def waits_of(documents: list[Json]) -> list[tuple[str, float | None] | None]:
    """Return what the documents say about waiting: the reason, and the seconds from the start to its end."""
    found: list[tuple[str, float | None] | None] = []
    for document in documents:
        waiting = document["waiting"]
        until = None if waiting is None or waiting["until"] is None else parse_request_time(waiting["until"])
        wait = waiting and (waiting["reason"], until and (until - START).total_seconds())
        if not found or found[-1] != wait:
            found.append(wait)
    return found


def test_a_restore_that_waits_for_nothing_shows_null(player: Player) -> None:
    player.azure.retry_after["trigger_restore"] = None

    done = player.run()

    assert done["waiting"] is None
    assert waits_of(player.shown()) == [None]


@pytest.mark.parametrize(("asked_s", "until"), [(7.25, 8.0), (None, 5.0)])
@pytest.mark.parametrize("call", ["get_virtual_machine_region", "list_recovery_points", "trigger_restore"])
def test_throttling_and_outages(player: Player, call: str, asked_s: float | None, until: float) -> None:
    player.azure.fails[call] = [throttled(asked_s)]

    player.run()

    assert waits_of(player.shown())[:2] == [None, ("Throttled", until)]


def test_throttling_while_the_job_runs(player: Player) -> None:
    player.azure.retry_after["trigger_restore"] = None
    player.azure.fails["get_job"] = [throttled(600.0)]

    player.run()

    assert [wait[0] for wait in waits_of(player.shown()) if wait] == ["Throttled"]


def test_a_wait_that_azure_asked_for_in_a_good_answer(player: Player) -> None:
    player.azure.retry_after["trigger_restore"] = 60.0

    player.run()

    assert waits_of(player.shown()) == [None, ("RetryAfter", 60.0), None]


def test_a_wait_that_was_asked_for_before_another_call(player: Player) -> None:
    player.azure.operation_id = None
    player.azure.retry_after["trigger_restore"] = 60.0

    player.run()

    assert waits_of(player.shown()) == [None, ("RetryAfter", 60.0), None]


def test_the_apps_own_polling_interval_is_not_shown_as_waiting(player: Player) -> None:
    player.azure.retry_after["trigger_restore"] = None
    player.azure.validations = [RUNNING] * 3

    player.run(a_restore(validate=True))

    assert waits_of(player.shown())[-1:] == [None]
    assert {wait and wait[0] for wait in waits_of(player.shown())} == {None, "RetryAfter"}  # the validation's own


@pytest.mark.parametrize("where", ["trigger_restore", "trigger_validation"])
def test_a_busy_item(player: Player, where: str) -> None:
    player.azure.retry_after["trigger_restore"] = None
    player.azure.fails[where] = [BUSY, BUSY]

    player.run(a_restore(validate=where == "trigger_validation"))

    assert waits_of(player.shown())[:3] == [None, ("ItemBusy", 5.0), ("ItemBusy", 15.0)]
    assert player.document()["waiting"] is None


def test_a_busy_item_that_a_validation_found(player: Player) -> None:
    locked = ErrorDetail(code="BMSUserErrorObjectLocked", message="m")
    player.azure.validations = [Validation(status=OperationStatus.SUCCEEDED, findings=(locked,))]

    player.run(a_restore(validate=True))

    assert ("ItemBusy", 15.0) in waits_of(player.shown())


def test_throttling_in_the_wait_for_a_busy_item(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [BUSY, throttled(40.0), BUSY]

    player.run()

    assert [wait[0] for wait in waits_of(player.shown()) if wait][:3] == ["ItemBusy", "Throttled", "ItemBusy"]


def test_a_post_whose_outcome_is_unknown_is_no_wait_for_its_item(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [BUSY, UnknownOutcomeError("ServiceUnavailable", "m")]

    player.run()

    searching = [shown for shown in player.shown() if "TriggerOutcomeOpen" in str(shown["warnings"])]
    assert {str(shown["waiting"]) for shown in searching if shown["phase"] == "Triggering"} == {"None"}


def test_a_person(player: Player) -> None:
    restore_id = player.start(a_restore(approval={"required": True, "timeout": "PT2H"}))
    player.reach(restore_id, "AwaitingApproval")

    assert waits_of([player.document()]) == [("Approval", 7200.0)]
    player.say(DECISION_EVENT, {"decision": "Approved", "by": "me"})
    assert player.finish(restore_id)["waiting"] is None


def test_a_resource_guard(guarded: Player) -> None:
    guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED]
    restore_id = guarded.start(a_restore(approval={"required": False, "timeout": "PT2H"}))
    guarded.reach(restore_id, "AwaitingApproval")

    assert waits_of([guarded.document()]) == [("ResourceGuard", 7200.0)]
    assert guarded.finish(restore_id)["waiting"] is None


def in_line(player: Player, **members: Any) -> str:
    """Start a restore whose vault has no slot left; returns its id."""
    one = replace(LIMITS, max_per_vault=1)
    player.start(a_restore(one, key="first", sourceResourceId=vm_id(1)))
    player.run_until(timedelta(minutes=5))
    restore_id = player.start(
        a_restore(one, key="second", sourceResourceId=vm_id(2), created=player.clock.now(), **members)
    )
    player.run_until(timedelta(minutes=5))
    return restore_id


def test_a_slot_at_the_vault(player: Player) -> None:
    restore_id = in_line(player)

    assert player.document(restore_id)["waiting"] == {"reason": "VaultBusy", "until": None}
    assert "settledTime" not in player.document(restore_id)["warnings"][0]
    done = player.finish(restore_id)
    assert (done["status"], done["waiting"]) == ("Completed", None)
    assert done["warnings"][0]["settledTime"] > done["createdTime"]


def test_a_wait_that_the_deadline_cuts_short(player: Player) -> None:
    player.azure.fails["get_virtual_machine_region"] = [throttled(100 * 3600.0)]

    player.start(a_restore())
    player.run_until(timedelta(minutes=1))

    assert waits_of([player.document()]) == [("Throttled", LIMITS.deadline_s)]


class TestSettledWarnings:
    def test_of_a_resource_guard_once_azure_takes_the_restore(self, guarded: Player) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED]

        [warning] = guarded.run()["warnings"]

        assert (warning["code"], parse_request_time(warning["settledTime"])) == (
            "ResourceGuardClosed",
            START + timedelta(seconds=15),
        )

    def test_of_a_lost_answer_once_its_job_is_found(self, player: Player) -> None:
        player.azure.posts = ["lost"]

        [warning] = player.run()["warnings"]

        assert (warning["code"], parse_request_time(warning["settledTime"])) == (
            "TriggerOutcomeOpen",
            START + timedelta(seconds=5),
        )

    def test_not_of_a_lost_answer_whose_restore_was_posted_again(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        [warning] = player.run()["warnings"]

        assert "settledTime" not in warning

    def test_it_is_open_again_when_it_comes_again(self) -> None:
        busy = WarningCode.ITEM_BUSY
        restore = a_restore().with_warning(busy, "a").with_warning("B", "b").with_settled(busy, START)
        assert [warning.settled_time for warning in restore.warnings] == [START, None]
        assert restore.with_settled(busy, START + timedelta(1)) is restore

        again = restore.with_warning(busy, "a")

        assert [(warning.code, warning.settled_time) for warning in again.warnings] == [("B", None), (busy, None)]


def test_a_woken_restore_still_waits_for_the_slot_until_it_has_it(player: Player) -> None:
    restore_id = in_line(player)

    player.say(SLOT_EVENT, None, restore_id)
    player.run_until(timedelta(seconds=1))

    assert player.document(restore_id)["waiting"]["reason"] == "VaultBusy"
