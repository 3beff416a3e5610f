"""Another operation runs on the protected item, so Azure does not take the restore yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import OperationStatus
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TerminalError, TransientError
from domain.restore.machine import CANCEL_EVENT
from domain.times import format_time
from tests.support.azure import GUARD_CLOSED, LIMITS, a_point, a_restore, throttled, vm_id
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Sequence

    from domain.errors import Json
    from domain.restore.state import Restore
    from tests.support.player import Player

LOCKED = ErrorDetail(code="BMSUserErrorObjectLocked", message="Another operation is in progress.")
FULL = ErrorDetail(code="UserErrorQuota", message="Full.")
A_DAY_S = LIMITS.deadline_s
FOREVER = 10_000


def busy(retry_after_s: float | None = None) -> TransientError:
    return TransientError("ItemBusy", "another operation runs", [LOCKED], retry_after_s=retry_after_s)


def found(*findings: ErrorDetail, status: OperationStatus = OperationStatus.SUCCEEDED) -> Validation:
    return Validation(status=status, findings=findings)


def make_busy(player: Player, where: str, times: int) -> Restore:
    """Let Azure say so many times that the item is busy; returns a restore that meets it."""
    if where == "trigger":
        player.azure.fails["trigger_restore"] = [busy() for _ in range(times)]
    elif where == "validation refused":
        player.azure.fails["trigger_validation"] = [busy() for _ in range(times)]
    elif where == "validation poll refused":
        player.azure.fails["get_validation"] = [busy() for _ in range(times)]
    else:
        failed = where == "validation failed"
        one = found(LOCKED, status=OperationStatus.FAILED if failed else OperationStatus.SUCCEEDED)
        player.azure.validations = [one] * times
    return a_restore(validate=where != "trigger")


WHERE = ("trigger", "validation refused", "validation poll refused", "validation finding", "validation failed")


def codes_of(document: Json) -> list[str]:
    return [warning["code"] for warning in document["warnings"]]


def gaps_of(moments: Sequence[Any]) -> list[float]:
    return [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]


@pytest.mark.parametrize("where", WHERE)
class TestAnywhere:
    def test_makes_the_restore_wait_with_one_warning(self, player: Player, where: str) -> None:
        done = player.run(make_busy(player, where, 3))

        assert done["status"] == "Completed"
        assert codes_of(done) == ["ItemBusy"]
        assert len(player.azure.jobs) == 1

    def test_makes_the_restore_wait_far_longer_than_an_outage(self, player: Player, where: str) -> None:
        done = player.run(make_busy(player, where, 30))

        assert done["status"] == "Completed"
        assert player.elapsed_s > 2 * 3600

    def test_ends_the_restore_at_its_deadline_as_a_conflict(self, player: Player, where: str) -> None:
        done = player.run(make_busy(player, where, FOREVER))

        assert (done["status"], done["error"]["code"]) == ("Failed", "RequestConflict")
        assert "Nothing was started." in done["error"]["message"]
        assert "list of jobs" in done["error"]["message"]
        assert [detail["code"] for detail in done["error"]["details"]] == ["BMSUserErrorObjectLocked"]
        assert player.elapsed_s == A_DAY_S
        assert "settledTime" not in done["warnings"][0]

    def test_does_not_delay_a_cancellation(self, player: Player, where: str) -> None:
        restore_id = player.start(make_busy(player, where, FOREVER))
        player.run_until(timedelta(hours=2))

        player.say(CANCEL_EVENT, {"by": "me"})
        done = player.finish(restore_id)

        assert (done["status"], player.elapsed_s) == ("Cancelled", 7200)
        assert "Nothing was started." in done["error"]["message"]
        assert player.azure.jobs == []


@pytest.mark.parametrize("where", ["trigger", "validation refused"])
def test_azures_wait_is_honoured(player: Player, where: str) -> None:
    call = {"trigger": "trigger_restore", "validation refused": "trigger_validation"}[where]
    player.azure.fails[call] = [busy(2.0), busy(1000.0)]

    player.run(a_restore(validate=where != "trigger"))

    assert player.waits_s()[:2] == [2, 1000]


def test_the_wait_of_a_validation_that_found_it_busy_is_honoured(player: Player) -> None:
    player.azure.validations = [found(LOCKED)]
    player.azure.retry_after["get_validation"] = 77.0

    player.run(a_restore(validate=True))

    assert player.waits_s()[:2] == [10, 77]


def test_without_a_wait_the_posts_come_at_growing_intervals(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [busy() for _ in range(9)]

    player.run()

    assert gaps_of([made.at for made in player.calls_of("start_restore")]) == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_validations_come_at_growing_intervals_too(player: Player) -> None:
    player.azure.validations = [found(LOCKED)] * 5

    player.run(a_restore(validate=True))

    gaps = gaps_of([made.at for made in player.calls_of("prepare_restore")])
    assert gaps == [10 + 5, 10 + 10, 10 + 20, 10 + 40, 10 + 80]


def test_each_post_searches_for_the_job_first_and_has_its_own_claim(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [busy() for _ in range(3)]

    player.run()

    attempts = [made.call.attempt for made in player.calls_of("start_restore")]  # type: ignore[union-attr]
    assert attempts == [1, 2, 3, 4]
    assert player.azure.calls["find_restore_job"] >= 4


def test_the_point_is_chosen_again_after_a_busy_validation(player: Player) -> None:
    player.azure.validations = [found(LOCKED)]
    player.at(timedelta(seconds=12), lambda: player.azure.points.insert(0, a_point("2", hours_old=0)))

    done = player.run(a_restore(validate=True))

    assert done["recoveryPoint"]["id"] == "2"


@pytest.mark.parametrize("findings", [(LOCKED, FULL), (FULL, LOCKED)])
def test_a_validation_that_finds_more_is_a_refusal(player: Player, findings: tuple[ErrorDetail, ...]) -> None:
    player.azure.validations = [found(*findings)]

    done = player.run(a_restore(validate=True))

    assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")


def test_a_refusal_after_the_wait_ends_the_restore(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [busy(), TerminalError("RestoreRefused", "no such network")]

    done = player.run()

    assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreRefused")


def test_an_outage_counts_from_its_own_beginning(player: Player) -> None:
    outage = [throttled(None)] * 10  # 35 minutes together with another one, if nothing counted between them
    player.azure.fails["trigger_restore"] = [*outage[:8], busy(), *outage[:8]]

    assert player.run()["status"] == "Completed"


def test_an_outage_that_lasts_still_ends_the_restore(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [busy(), *[throttled(None)] * 100]

    done = player.run()

    assert (done["status"], done["error"]["code"]) == ("Failed", "ServiceUnavailable")


def test_a_lost_answer_after_the_wait_is_searched_for_not_posted_again(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [busy()]
    player.azure.posts = ["lost"]

    done = player.run()

    assert (done["status"], len(player.azure.jobs)) == ("Completed", 1)
    assert all("settledTime" in warning for warning in done["warnings"])


def test_a_lost_post_may_be_what_keeps_the_item_busy(player: Player) -> None:
    player.azure.posts = ["lost"]
    player.azure.listed_after = timedelta(minutes=10)
    player.azure.fails["trigger_restore"] = [None, *[busy() for _ in range(FOREVER)]]

    done = player.run()

    assert (done["status"], done["jobId"], len(player.azure.jobs)) == ("Completed", "job-1", 1)


def test_the_end_of_the_wait_says_that_a_lost_post_may_run(player: Player) -> None:
    player.azure.posts = ["unheard"]
    player.azure.fails["trigger_restore"] = [None, *[busy() for _ in range(FOREVER)]]

    done = player.run()

    assert (done["status"], done["error"]["code"]) == ("Failed", "RequestConflict")
    assert "A person must look" in done["error"]["message"]
    assert "Nothing was started" not in done["error"]["message"]


def test_is_no_longer_the_wait_for_a_resource_guard(guarded: Player) -> None:
    guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED, *[busy() for _ in range(60)]]

    done = guarded.run(a_restore(approval={"required": False, "timeout": "PT1H"}))

    assert done["status"] == "Completed"
    assert codes_of(done) == ["ResourceGuardClosed", "ItemBusy"]


def test_a_poll_that_is_answered_busy_never_ends_a_restore_that_runs(player: Player) -> None:
    player.azure.job_takes = timedelta(hours=3)
    player.azure.fails["get_job"] = [busy() for _ in range(30)]

    done = player.run()

    assert (done["status"], codes_of(done)) == ("Completed", [])


def test_a_deadline_while_waiting_in_line_is_not_reported_as_a_busy_item(player: Player) -> None:
    one = replace(LIMITS, max_per_vault=1)
    player.azure.job_takes = timedelta(days=3)
    player.start(a_restore(one, key="first", sourceResourceId=vm_id(1)))
    player.run_until(timedelta(minutes=5))
    player.azure.fails["list_recovery_points"] = [busy()]

    done = player.run(a_restore(one, key="second", sourceResourceId=vm_id(2), created=player.clock.now()))

    assert (done["status"], "VaultBusy" in codes_of(done)) == ("TimedOut", True)


def test_when_the_warning_was_settled_is_shown(player: Player) -> None:
    player.azure.fails["trigger_restore"] = [busy(120.0)]

    done = player.run()

    assert done["warnings"][0]["settledTime"] == format_time(START + timedelta(seconds=120))
    assert all("settledTime" not in shown["warnings"][0] for shown in player.shown() if _waits(shown))


def _waits(document: Json) -> bool:
    return (document["waiting"] or {}).get("reason") == "ItemBusy"
