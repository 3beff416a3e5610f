"""A restore begins the cool-down of its VM only if Azure has it, or may have it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import JobStatus, Operation, OperationStatus
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TerminalError, TransientError
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from tests.support.azure import GUARD_CLOSED, a_restore, an_alert_start, throttled
from tests.support.player import Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

ASKS = {"required": True, "timeout": "PT1H"}
REFUSED = TerminalError("RestoreRefused", "no such network")
BUSY = TransientError("ItemBusy", "another operation runs")
QUOTA = Validation(
    status=OperationStatus.SUCCEEDED, findings=(ErrorDetail(code="UserErrorQuota", message="It is used up."),)
)


def start(player: Player, key: str, **members: Any) -> str:
    alert, now = an_alert_start(alert_id=key), player.clock.now()
    return player.start(a_restore(key=key, started_by="alert", alert=alert, created=now, **members))


def run(player: Player, **members: Any) -> Json:
    return player.finish(start(player, "a1", **members))


def not_protected(player: Player) -> Json:
    player.azure.status = {"protectionStatus": "NotProtected", "vaultId": None}
    return run(player)


def no_point(player: Player) -> Json:
    return run(player, recoveryPoint={"notOlderThan": "PT1M"})


def validation_failed(player: Player) -> Json:
    player.azure.validations = [QUOTA]
    return run(player, validate=True)


def not_approved(player: Player) -> Json:
    return run(player, approval=ASKS)


def rejected(player: Player) -> Json:
    restore_id = start(player, "a1", approval=ASKS)
    player.reach(restore_id, "AwaitingApproval")
    player.say(DECISION_EVENT, {"decision": "Rejected", "by": "me"}, restore_id)
    return player.finish(restore_id)


def cancelled_before_the_post(player: Player) -> Json:
    restore_id = start(player, "a1", approval=ASKS)
    player.reach(restore_id, "AwaitingApproval")
    player.say(CANCEL_EVENT, {"by": "me"}, restore_id)
    return player.finish(restore_id)


def refused_at_the_post(player: Player) -> Json:
    player.azure.fails["trigger_restore"] = [throttled(5), REFUSED]
    return run(player)


def throttled_at_the_post(player: Player) -> Json:
    player.azure.fails["trigger_restore"] = [throttled(None)] * 100
    return run(player)


def item_busy(player: Player) -> Json:
    player.azure.fails["trigger_restore"] = [BUSY] * 10_000
    return run(player)


def guard_closed(player: Player) -> Json:
    player.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 10_000
    return run(player, approval={"required": False, "timeout": "PT1H"}, resourceGuardOperationRequests=["r"])


def lost(player: Player) -> Json:
    player.azure.posts = ["unheard", "unheard"]
    return run(player)


def lost_then_refused(player: Player) -> Json:
    player.azure.posts = ["unheard"]
    player.azure.fails["trigger_restore"] = [None, REFUSED]
    return run(player)


def cancelled_while_unknown(player: Player) -> Json:
    player.azure.posts = ["unheard"]
    restore_id = start(player, "a1")
    player.run_until(timedelta(seconds=7))
    player.say(CANCEL_EVENT, {"by": "me"}, restore_id)
    return player.finish(restore_id)


def cancelled_without_a_claim(player: Player) -> Json:
    restore_id = start(player, "a1", approval=ASKS)
    player.reach(restore_id, "AwaitingApproval")
    player.breaks.add("claim_post")
    player.say(CANCEL_EVENT, {"by": "me"}, restore_id)
    return player.finish(restore_id)


def operation_failed(player: Player) -> Json:
    player.azure.posts = ["jobless"]
    player.azure.operations = [Operation(status=OperationStatus.FAILED)]
    return run(player)


def job_failed(player: Player) -> Json:
    player.azure.job_end = JobStatus.FAILED
    return run(player)


@pytest.mark.parametrize(
    "end_first",
    [
        not_protected,
        no_point,
        validation_failed,
        not_approved,
        rejected,
        cancelled_before_the_post,
        refused_at_the_post,
        throttled_at_the_post,
        item_busy,
        guard_closed,
    ],
)
def test_no_cool_down_begins_if_nothing_was_started(player: Player, end_first: Callable[[Player], Json]) -> None:
    first = end_first(player)
    assert "Nothing was started." in first["error"]["message"]
    assert player.lock().keys().isdisjoint({"last", "holder"})
    player.run_until(timedelta(minutes=1))
    player.azure.fails.clear()
    player.azure.status = Player().azure.status

    second = player.finish(start(player, "a2"))

    assert (second["status"], len(player.azure.jobs)) == ("Completed", 1)


def test_an_earlier_cool_down_is_kept(player: Player) -> None:
    run(player)
    player.run_until(timedelta(minutes=10))
    player.azure.fails["trigger_restore"] = [REFUSED]
    player.run(a_restore(key="by hand", created=player.clock.now()))

    assert player.finish(start(player, "a2"))["error"]["code"] == "CoolingDown"


@pytest.mark.parametrize(
    "end_first",
    [lost, lost_then_refused, cancelled_while_unknown, cancelled_without_a_claim, operation_failed, job_failed],
)
def test_a_cool_down_begins_if_azure_has_the_restore_or_may_have_it(
    player: Player, end_first: Callable[[Player], Json]
) -> None:
    first = end_first(player)
    assert "Nothing was started." not in first["error"]["message"]
    player.run_until(timedelta(minutes=1))

    assert player.finish(start(player, "a2"))["error"]["code"] == "CoolingDown"
