from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.answers import Answer
from domain.errors import TerminalError, TransientError
from domain.restore import answers, calls
from domain.restore.machine import CANCEL_EVENT, absorb, decide
from domain.restore.outcome import what_may_still_run
from domain.restore.parts import Approval, Cancellation, Decision, Status, Trigger
from domain.restore.stages import AwaitingApproval, AwaitingResourceGuard, Searching, Stage, Triggering, Validating
from domain.restore.steps import MakeCall
from tests.support.azure import (
    VAULT_ID,
    a_restore,
    throttled,
)
from tests.unit.domain.restore.states import (
    ITEM,
    NOW,
    PREPARED,
    preparing,
    tracking_job,
    tracking_operation,
    triggering,
)

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.state import Restore
    from tests.support.player import Player


BY = {"by": "ops", "comment": "wrong VM"}


def cancelled_after(player: Player, after: timedelta, **members: Any) -> Json:
    """Play a restore that somebody cancels some time after its start; returns the final document."""
    player.start(a_restore(**members))
    player.run_until(after)
    player.say(CANCEL_EVENT, BY)
    return player.finish()


def test_before_anything_was_done_nothing_is_started(player: Player) -> None:
    restore = a_restore()
    player.start(restore)
    player.say(CANCEL_EVENT, BY, restore.restore_id)

    done = player.finish(restore.restore_id)

    assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled")
    assert "by ops (wrong VM)" in done["error"]["message"]
    assert "Nothing was started." in done["error"]["message"]
    assert player.azure.calls["trigger_restore"] == 0
    assert player.receivers.published == [done]


@pytest.mark.parametrize("call", ["get_backup_status", "list_recovery_points", "find_restore_job"])
def test_while_a_call_before_the_trigger_is_waited_for(player: Player, call: str) -> None:
    player.azure.fails[call] = [throttled(600)]

    done = cancelled_after(player, timedelta(seconds=30))

    assert done["status"] == "Cancelled"
    assert player.azure.jobs == []
    assert player.elapsed_s == 30


def test_it_shows_at_once_who_asked_for_it_and_when(player: Player) -> None:
    player.azure.cancels = False
    restore = a_restore()
    player.start(restore)
    player.run_until(timedelta(minutes=5))
    assert "cancellation" not in player.document(restore.restore_id)

    player.say(CANCEL_EVENT, BY, restore.restore_id)
    player.run_until(timedelta(seconds=5))

    shown = player.document(restore.restore_id)["cancellation"]
    assert (shown["by"], shown["comment"]) == ("ops", "wrong VM")
    assert "2026-11-23T08:05:00" <= shown["time"] <= "2026-11-23T08:05:05"


def test_while_the_service_validates(player: Player) -> None:
    done = cancelled_after(player, timedelta(seconds=5), validate=True)

    assert done["status"] == "Cancelled"
    assert player.azure.jobs == []


def test_while_the_operation_is_waited_for_the_job_is_found_and_cancelled(player: Player) -> None:
    done = cancelled_after(player, timedelta(seconds=20))

    assert (done["status"], done["jobId"]) == ("Cancelled", "job-1")
    assert player.azure.cancelled["job-1"] - player.azure.jobs[0].made == timedelta(seconds=20)


def test_a_job_not_listed_yet_is_found_by_its_operation_and_cancelled(player: Player) -> None:
    player.azure.listed_after = timedelta(hours=1)

    done = cancelled_after(player, timedelta(seconds=20))

    assert (done["status"], done["jobId"]) == ("Cancelled", "job-1")


def test_while_the_job_runs_it_is_cancelled_and_followed_to_its_end(player: Player) -> None:
    done = cancelled_after(player, timedelta(minutes=10))

    assert done["status"] == "Cancelled"
    assert done["error"]["details"][0]["message"] == "Job is cancelled."
    assert done["result"]["jobStatus"] == "Cancelled"
    assert player.azure.calls["cancel_job"] == 1
    assert player.elapsed_s < 12 * 60


def test_a_job_that_completed_all_the_same_is_completed_with_a_warning(player: Player) -> None:
    player.azure.cancels = False

    done = cancelled_after(player, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["CancelledTooLate"]


def test_a_cancel_that_comes_while_the_last_poll_is_made_is_answered_by_a_warning(player: Player) -> None:
    player.azure.job_takes = timedelta(seconds=74)
    restore_id = player.start(a_restore())
    player.azure.before["get_job"] = [lambda: None, lambda: player.say(CANCEL_EVENT, BY, restore_id)]

    done = player.finish(restore_id)

    assert (done["status"], player.azure.calls["get_job"], player.azure.calls["cancel_job"]) == ("Completed", 2, 0)
    assert [warning["code"] for warning in done["warnings"]] == ["CancelledTooLate"]


def test_a_service_that_refuses_to_cancel_is_a_warning_and_the_restore_goes_on(player: Player) -> None:
    player.azure.fails["cancel_job"] = [TerminalError(errors.RESTORE_REFUSED, "not cancellable in this phase")]
    player.azure.cancels = False

    done = cancelled_after(player, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["CancelRefused", "CancelledTooLate"]
    assert player.azure.calls["cancel_job"] == 1


def test_a_cancel_that_never_gets_through_is_a_warning_and_the_job_is_followed(player: Player) -> None:
    player.azure.job_takes = timedelta(hours=2)
    player.azure.fails["cancel_job"] = [throttled(None)] * 1000

    done = cancelled_after(player, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["CancelRefused", "CancelledTooLate"]
    assert 30 < player.azure.calls["cancel_job"] < 60  # for half an hour, at growing intervals


def test_polls_that_fail_are_no_attempts_to_cancel(player: Player) -> None:
    player.azure.fails["get_job"] = [throttled(1)] * 4
    player.azure.fails["cancel_job"] = [throttled(1)]

    done = cancelled_after(player, timedelta(minutes=10))

    assert done["status"] == "Cancelled"
    assert player.azure.calls["cancel_job"] == 2


@pytest.mark.parametrize("asked_s", [2700, 366 * 86_400])
def test_a_long_wait_on_the_cancel_does_not_hold_up_the_report_of_the_jobs_end(player: Player, asked_s: float) -> None:
    player.azure.fails["cancel_job"] = [throttled(asked_s)] * 1000

    done = cancelled_after(player, timedelta(minutes=10))

    assert (done["status"], player.azure.calls["cancel_job"]) == ("Completed", 1)
    assert player.elapsed_s < 33 * 60


@pytest.mark.parametrize("asked_s", [2700, 366 * 86_400])
def test_a_long_wait_on_the_list_leaves_the_operation_to_name_the_job(player: Player, asked_s: float) -> None:
    player.azure.fails["find_restore_job"] = [None, *[throttled(asked_s)] * 1000]

    done = cancelled_after(player, timedelta(seconds=20))

    assert (done["status"], player.azure.calls["cancel_job"]) == ("Cancelled", 1)
    assert player.elapsed_s < 3 * 60
    assert player.elapsed_s <= 32 * 60


def test_a_job_that_ends_while_the_cancel_does_not_get_through_is_seen(player: Player) -> None:
    player.azure.fails["cancel_job"] = [throttled(None)] * 1000
    player.azure.job_takes = timedelta(minutes=10, seconds=10)

    done = cancelled_after(player, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert player.azure.calls["cancel_job"] <= 3


@pytest.mark.parametrize("call", ["get_job", "trigger_restore"])
def test_asked_while_a_call_is_under_way_it_does_not_wait_for_the_next(player: Player, call: str) -> None:
    restore = a_restore()
    player.azure.retry_after.update(
        {"trigger_restore": 3600.0 if call == "trigger_restore" else 60.0, "get_job": 3600.0}
    )
    player.azure.before[call] = [lambda: player.say(CANCEL_EVENT, BY, restore.restore_id)]
    player.azure.job_takes = timedelta(hours=5)

    assert player.run(restore)["status"] == "Cancelled"
    assert (player.azure.cancelled["job-1"] - player.azure.jobs[0].made) <= timedelta(minutes=1)


def test_the_wait_that_a_cancel_asks_for_is_kept(player: Player) -> None:
    player.azure.retry_after["cancel_job"] = 47.0

    cancelled_after(player, timedelta(minutes=10))

    assert player.waits_s()[-1] == 47.0


def test_a_throttled_cancel_is_sent_again(player: Player) -> None:
    player.azure.fails["cancel_job"] = [throttled(10)]

    assert cancelled_after(player, timedelta(minutes=10))["status"] == "Cancelled"
    assert player.azure.calls["cancel_job"] == 2


def test_while_the_outcome_is_unknown_the_job_is_found_and_cancelled(player: Player) -> None:
    player.azure.posts = ["lost"]
    player.azure.listed_after = timedelta(seconds=60)

    done = cancelled_after(player, timedelta(seconds=7))

    assert (done["status"], done["jobId"]) == ("Cancelled", "job-1")
    assert player.azure.calls["trigger_restore"] == 1


def test_while_the_outcome_is_unknown_nothing_is_posted_again(player: Player) -> None:
    player.azure.posts = ["unheard"]

    done = cancelled_after(player, timedelta(seconds=7))

    assert done["status"] == "Cancelled"
    assert "A person must look" in done["error"]["message"]
    assert player.azure.calls["trigger_restore"] == 1


def test_asked_twice_it_is_done_once(player: Player) -> None:
    restore = a_restore()
    player.start(restore)
    player.run_until(timedelta(minutes=10))
    player.say(CANCEL_EVENT, BY, restore.restore_id)
    player.say(CANCEL_EVENT, {}, restore.restore_id)

    assert player.finish(restore.restore_id)["status"] == "Cancelled"
    assert player.azure.calls["cancel_job"] == 1


@pytest.mark.parametrize("minute", range(1, 60, 7))
def test_at_any_minute_it_is_heard_at_once(player: Player, minute: int) -> None:
    player.azure.job_takes = timedelta(hours=5)

    assert cancelled_after(player, timedelta(minutes=minute))["status"] == "Cancelled"

    assert player.azure.calls["cancel_job"] == 1
    assert player.azure.cancelled["job-1"] - player.azure.jobs[0].made == timedelta(minutes=minute)


CANCELLED = Cancellation(by="ops", comment="wrong VM", time=NOW)
CANCEL_JOB = calls.CancelJob(vault_id=VAULT_ID, job_id="job-1")
GET_JOB = calls.GetJob(vault_id=VAULT_ID, job_id="job-1")
BROKE = TransientError(errors.INTERNAL_ERROR, "the worker died")
NOT_OURS = Answer(answers.Claim(is_ours=False))
OURS = Answer(answers.Claim(is_ours=True))


def withdrawn(restore: Restore) -> Restore:
    return replace(restore, cancellation=CANCELLED)


def claim_of(restore: Restore) -> calls.ClaimPost:
    return calls.ClaimPost(client_request_id=restore.client_request_id, attempt=restore.trigger.attempts + 1)


class TestClaim:
    """Before anything is said to be stopped, the next attempt to post is claimed: another run of the step may post."""

    @pytest.mark.parametrize("restore", [preparing(), triggering()])
    def test_it_is_made_before_the_end(self, restore: Restore) -> None:
        restore = replace(withdrawn(restore), trigger=Trigger(attempts=2))

        assert decide(restore, NOW) == MakeCall(call=claim_of(restore))
        ended = absorb(restore, claim_of(restore), OURS, NOW).outcome
        assert ended is not None
        assert ended.status is Status.CANCELLED

    def test_one_who_was_rejected_ends_as_rejected(self) -> None:
        approval = Approval(reason="r", decision=Decision.REJECTED, by="bo")
        restore = replace(triggering(), approval=approval)

        ended = absorb(restore, claim_of(restore), OURS, NOW).outcome

        assert ended is not None
        assert ended.status is Status.REJECTED

    @pytest.mark.parametrize("decision", [None, Decision.APPROVED])
    def test_nothing_is_withdrawn_without_a_no(self, decision: Decision | None) -> None:
        approval = Approval(reason="r", decision=decision)
        step = decide(replace(triggering(), approval=approval), NOW)

        assert isinstance(step, MakeCall)
        assert step.call.name == "start_restore"

    def test_what_another_delivery_may_have_posted_is_searched_for(self) -> None:
        restore = withdrawn(triggering())

        restore = absorb(restore, claim_of(restore), NOT_OURS, NOW)

        assert restore.stage == Searching(before=Triggering(prepared=PREPARED), since=NOW)
        assert restore.trigger == Trigger(attempts=1, unknown=1)
        assert restore.warnings[0].message == (
            "It is unknown whether the service accepted the restore request: Another delivery of the same post has "
            "begun. Its job is searched for before anything else is tried."
        )

    @pytest.mark.parametrize(
        "stage",
        [
            Validating(prepared=PREPARED, operation=answers.AcceptedOperation(operation_id="v"), since=NOW),
            AwaitingApproval(prepared=PREPARED, since=NOW),
        ],
    )
    def test_also_where_this_run_of_the_step_does_not_know_that_it_may_be_posted(self, stage: Stage) -> None:
        restore = withdrawn(replace(triggering(), stage=stage))

        restore = absorb(restore, claim_of(restore), NOT_OURS, NOW)

        assert restore.stage == Searching(before=Triggering(prepared=PREPARED), since=NOW)
        assert restore.trigger == Trigger(attempts=1, unknown=1)

    def test_a_rejected_restore_that_may_have_been_posted_is_cancelled_like_any_other(self) -> None:
        approval = Approval(reason="r", decision=Decision.REJECTED, by="bo", comment="no", time=NOW)
        stage = AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={})
        restore = replace(triggering(), approval=approval, stage=stage)

        restore = absorb(restore, claim_of(restore), NOT_OURS, NOW)

        assert restore.cancellation == Cancellation(by="bo", comment="no", time=NOW)
        assert restore.stage == Searching(before=stage, since=NOW)

    def test_who_cancelled_first_is_kept(self) -> None:
        approval = Approval(reason="r", decision=Decision.REJECTED, by="bo")
        restore = replace(withdrawn(triggering()), approval=approval)

        assert absorb(restore, claim_of(restore), NOT_OURS, NOW).cancellation == CANCELLED

    def test_before_the_point_is_known_it_is_chosen_first_and_then_the_job_is_searched_for(self) -> None:
        restore = withdrawn(preparing())
        posted = absorb(restore, claim_of(restore), NOT_OURS, NOW)
        preparing_call = calls.PrepareRestore(item=ITEM, request=restore.request, now=NOW)

        assert isinstance(decide(posted, NOW), MakeCall)
        assert decide(posted, NOW) != MakeCall(call=claim_of(posted))
        assert "A person must look" in what_may_still_run(posted)
        searching = absorb(posted, preparing_call, Answer(answers.Preparation(point=PREPARED.point)), NOW)
        assert isinstance(searching.stage, Searching)
        assert searching.cancellation is not None

    @pytest.mark.parametrize("restore", [preparing(), triggering()])
    def test_one_that_fails_is_made_again(self, restore: Restore) -> None:
        restore = absorb(withdrawn(restore), claim_of(restore), BROKE, NOW)

        assert (restore.outcome, restore.backoff.failures("claim_post")) == (None, 1)

    def test_while_the_job_is_unknown_there_is_nothing_to_claim(self) -> None:
        step = decide(withdrawn(tracking_operation()), NOW)

        assert isinstance(step, MakeCall)
        assert step.call.name == "find_job"


class TestJob:
    def test_it_is_cancelled_at_once(self) -> None:
        assert decide(withdrawn(tracking_job()), NOW) == MakeCall(call=CANCEL_JOB)

    def test_once_that_has_failed_the_job_is_polled_first(self) -> None:
        restore = absorb(withdrawn(tracking_job()), CANCEL_JOB, throttled(None), NOW)
        later = NOW + timedelta(minutes=1)

        assert decide(restore, later) == MakeCall(call=GET_JOB)
        polled = replace(restore, backoff=restore.backoff.wait("get_job", 60, later))
        assert decide(polled, later) == MakeCall(call=CANCEL_JOB)

    def test_a_cancel_that_fails_is_sent_again_at_growing_intervals_and_so_is_the_poll(self) -> None:
        restore = withdrawn(tracking_job())

        restore = absorb(restore, CANCEL_JOB, throttled(None), NOW)
        assert restore.backoff.not_before("cancel_job") == NOW + timedelta(seconds=15)
        assert restore.backoff.not_before("get_job") == NOW + timedelta(seconds=15)
        restore = absorb(restore, CANCEL_JOB, throttled(None), NOW + timedelta(minutes=5))
        assert restore.backoff.not_before("cancel_job") == NOW + timedelta(minutes=5, seconds=30)
        assert restore.backoff.not_before("get_job") == NOW + timedelta(minutes=5, seconds=30)
        assert restore.cancellation == CANCELLED

    @pytest.mark.parametrize(("minutes", "is_done"), [(29, False), (30, True)])
    def test_it_is_tried_for_half_an_hour(self, minutes: int, is_done: bool) -> None:
        restore = absorb(withdrawn(tracking_job()), CANCEL_JOB, throttled(None), NOW)

        restore = absorb(restore, CANCEL_JOB, throttled(None), NOW + timedelta(minutes=minutes))

        assert restore.cancellation == replace(CANCELLED, is_done=is_done)

    def test_a_refusal_is_a_warning_and_the_job_is_polled_on(self) -> None:
        error = TerminalError(errors.RESTORE_REFUSED, "Not in this phase.")

        restore = absorb(withdrawn(tracking_job()), CANCEL_JOB, error, NOW)

        assert restore.cancellation == replace(CANCELLED, is_done=True)
        assert [(warning.code, warning.message) for warning in restore.warnings] == [
            ("CancelRefused", "Job job-1 could not be cancelled: Not in this phase. The restore goes on.")
        ]
        assert restore.backoff.not_before("get_job") == NOW + timedelta(seconds=15)

    @pytest.mark.parametrize(("asked_s", "wait_s"), [(47.0, 47), (None, 15)])
    def test_once_the_service_was_told_its_wait_is_kept_and_nothing_is_sent_again(
        self, asked_s: float | None, wait_s: float
    ) -> None:
        restore = absorb(withdrawn(tracking_job()), CANCEL_JOB, Answer(answers.Done(), asked_s), NOW)

        assert restore.cancellation == replace(CANCELLED, is_done=True)
        assert restore.backoff.not_before("get_job") == NOW + timedelta(seconds=wait_s)
        assert decide(restore, NOW + timedelta(minutes=1)) == MakeCall(call=GET_JOB)

    def test_a_rejection_cancels_no_job(self) -> None:
        approval = Approval(reason="r", decision=Decision.REJECTED)

        assert decide(replace(tracking_job(), approval=approval), NOW) == MakeCall(call=GET_JOB)
