from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.answers import Answer
from domain.codec import pack
from domain.errors import TerminalError, TransientError, UnknownOutcomeError
from domain.restore import answers, calls
from domain.restore.backoff import Backoff
from domain.restore.machine import CANCEL_EVENT, absorb, decide
from domain.restore.parts import Membership, Status, Trigger
from domain.restore.request_body import restore_body
from domain.restore.stages import (
    AwaitingResourceGuard,
    FindingJob,
    Searching,
    TrackingJob,
    TrackingOperation,
    Triggering,
)
from domain.restore.steps import MakeCall, Wait
from tests.support.azure import (
    GUARD_CLOSED,
    LIMITS,
    VAULT_ID,
    VM_ID,
    a_restore,
    throttled,
)
from tests.support.hub import START
from tests.unit.domain.restore.states import (
    CREATED,
    ITEM,
    NOW,
    PREPARED,
    searching,
    triggering,
)

if TYPE_CHECKING:
    from domain.restore.state import Restore
    from tests.support.player import Player


def test_sends_the_body_that_the_service_expects(player: Player) -> None:
    player.run()

    properties = player.azure.bodies[0]["properties"]
    assert properties == {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": "1103996678573089",
        "recoveryType": "RestoreDisks",
        "sourceResourceId": VM_ID,
        "region": "westeurope",
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        "storageAccountId": properties["storageAccountId"],
        "targetResourceGroupId": properties["targetResourceGroupId"],
    }


class TestExactlyOnce:
    def test_a_lost_answer_is_followed_by_a_search_not_by_a_second_post(self, player: Player) -> None:
        player.azure.posts = ["lost"]

        done = player.run()

        assert (done["status"], done["jobId"]) == ("Completed", "job-1")
        assert player.azure.calls["trigger_restore"] == 1
        assert [warning["code"] for warning in done["warnings"]] == ["TriggerOutcomeOpen"]

    def test_a_job_that_is_listed_late_is_still_adopted(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.listed_after = timedelta(seconds=119)

        assert player.run()["status"] == "Completed"

        assert player.azure.calls["trigger_restore"] == 1

    def test_only_a_window_without_a_job_allows_a_second_post(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        done = player.run()

        assert done["status"] == "Completed"
        assert player.azure.calls["trigger_restore"] == 2
        posted = [made.at for made in player.calls_of("start_restore")]
        assert (posted[1] - posted[0]).total_seconds() == 120
        searches = [made.at for made in player.calls_of("find_job")]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(searches)]
        assert len(searches) >= 5
        assert gaps[:-1] == sorted(gaps[:-1])

    def test_the_second_post_carries_the_same_id(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        player.run()

        sent = {pack(made.call)["clientRequestId"] for made in player.calls_of("start_restore")}
        assert sent == {a_restore().client_request_id}

    def test_two_unknown_outcomes_without_a_job_end_with_a_call_for_a_person(self, player: Player) -> None:
        player.azure.posts = ["unheard", "unheard"]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreFailed")
        assert "A person must look" in done["error"]["message"]
        assert a_restore().client_request_id in done["error"]["message"]
        assert player.azure.calls["trigger_restore"] == 2

    def test_an_unknown_outcome_that_asks_for_a_wait_gets_it_before_the_search(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.retry_after["open"] = 33.0

        player.run()

        assert player.waits_s()[0] == 33.0

    def test_searches_that_fail_never_lead_to_a_post(self, player: Player) -> None:
        player.azure.posts = ["unheard"]
        player.azure.fails["find_restore_job"] = [None, *[throttled(None)] * 1000]

        done = player.run()

        assert done["status"] == "TimedOut"
        assert player.azure.calls["trigger_restore"] == 1
        assert "A person must look" in done["error"]["message"]

    @pytest.mark.parametrize("code", [errors.AUTHORIZATION_FAILED, errors.NOT_FOUND, errors.RESTORE_REFUSED])
    def test_a_search_that_is_refused_once_does_not_lose_the_restore(self, player: Player, code: str) -> None:
        player.azure.posts = ["lost"]
        player.azure.fails["find_restore_job"] = [None, TerminalError(code, "not now", retry_after_s=12.0)]

        done = player.run()

        assert (done["status"], done["jobId"]) == ("Completed", "job-1")
        assert player.waits_s()[:2] == [5.0, 12.0]

    def test_a_list_that_throttles_for_a_while_is_waited_out(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.fails["find_restore_job"] = [None, *[throttled(1.0)] * 60]

        assert player.run()["jobId"] == "job-1"
        assert player.azure.calls["trigger_restore"] == 1

    def test_at_the_deadline_the_job_is_searched_for_once_more(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.retry_after["open"] = 36_000.0
        player.azure.job_takes = timedelta(minutes=10)

        done = player.run(a_restore(limits=replace(LIMITS, deadline_s=3600)))

        assert player.azure.calls["find_restore_job"] == 2
        assert (done["status"], done["jobId"]) == ("TimedOut", "job-1")
        assert "job-1 may still run" in done["error"]["message"]

    def test_a_post_delivered_late_is_made_only_after_a_window_without_a_job(self, player: Player) -> None:
        player.azure.before["find_restore_job"] = [lambda: player.clock.advance(timedelta(minutes=6))]

        done = player.run()

        assert done["status"] == "Completed"
        assert player.azure.calls["trigger_restore"] == 1
        assert player.azure.jobs[0].made - START == timedelta(minutes=8)

    def test_a_throttled_post_is_posted_again_after_the_wait(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [throttled(30.0)]

        done = player.run()

        assert (done["status"], done["warnings"]) == ("Completed", [])
        assert player.waits_s()[0] == 30.0
        assert len(player.azure.jobs) == 1

    def test_a_refused_post_ends_the_restore(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [TerminalError(errors.RESTORE_REFUSED, "invalid input")]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreRefused")
        assert "Nothing was started." in done["error"]["message"]

    @pytest.mark.parametrize("deaths", [1, 2, 5])
    def test_workers_that_died_before_they_could_post_cost_seconds_and_no_person(
        self, player: Player, deaths: int
    ) -> None:
        player.azure.fails["find_restore_job"] = [RuntimeError("python exited with code 137 (0x89)")] * deaths

        done = player.run()

        assert (done["status"], done["warnings"]) == ("Completed", [])
        assert player.azure.calls["trigger_restore"] == 1
        assert (player.azure.jobs[0].made - START).total_seconds() <= 5 * 2**deaths

    def test_a_job_that_was_made_before_the_worker_died_is_found(self, player: Player) -> None:
        player.azure.posts = ["died"]
        player.azure.listed_after = timedelta(seconds=30)

        done = player.run()

        assert (done["status"], done["jobId"], len(player.azure.jobs)) == ("Completed", "job-1", 1)

    def test_a_worker_that_dies_while_posting_as_the_deadline_passes_calls_for_a_person(self, player: Player) -> None:
        def cancel_after_the_deadline() -> None:
            player.clock.advance(timedelta(seconds=70))
            player.say(CANCEL_EVENT, {"by": "ops"})

        player.azure.posts = ["died"]
        player.azure.before["trigger_restore"] = [cancel_after_the_deadline]

        done = player.run(a_restore(replace(LIMITS, deadline_s=60)))

        assert (done["status"], len(player.azure.jobs)) == ("TimedOut", 1)
        assert "A person must look" in done["error"]["message"]

    def test_an_activity_that_broke_while_posting_has_an_unknown_outcome(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [MemoryError("the worker died")]

        done = player.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["TriggerOutcomeOpen"]
        posted = [made.at for made in player.calls_of("start_restore")]
        assert (posted[1] - posted[0]).total_seconds() == 120

    def test_the_deadline_passing_while_the_outcome_is_unknown_calls_for_a_person(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        done = player.run(a_restore(limits=replace(LIMITS, deadline_s=60)))

        assert done["status"] == "TimedOut"
        assert player.elapsed_s == 60
        assert "A person must look" in done["error"]["message"]


CLIENT_REQUEST_ID = a_restore().client_request_id
FIND_JOB = calls.FindJob(vault_id=VAULT_ID, client_request_id=CLIENT_REQUEST_ID)
BROKE = TransientError(errors.INTERNAL_ERROR, "the worker died")
OPEN = UnknownOutcomeError(errors.SERVICE_UNAVAILABLE, "The line broke.")


def post_of(restore: Restore) -> calls.StartRestore:
    assert restore.prepared is not None
    return calls.StartRestore(
        item=ITEM,
        body=restore_body(restore.request, ITEM, restore.prepared.point, restore.prepared.guard_requests),
        client_request_id=restore.client_request_id,
        attempt=restore.trigger.attempts + 1,
    )


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def answered(restore: Restore, answer: Answer[answers.Started] | errors.RestoreError) -> Restore:
    """Return the restore after its post was answered."""
    return absorb(restore, post_of(restore), answer, NOW)


class TestPosting:
    def test_what_was_prepared_is_posted_under_the_next_number(self) -> None:
        restore = replace(triggering(), trigger=Trigger(attempts=3))

        assert decide(restore, NOW) == MakeCall(call=post_of(restore))
        assert post_of(restore).attempt == 4
        assert answered(restore, throttled(1)).trigger.attempts == 4

    def test_an_accepted_restore_is_tracked_by_its_operation(self) -> None:
        operation = answers.AcceptedOperation(operation_id="o", url="https://o")

        restore = answered(triggering(), Answer(answers.Started(operation=operation)))

        assert restore.stage == TrackingOperation(prepared=PREPARED, triggered=NOW, operation=operation)
        assert restore.trigger == Trigger(attempts=1)

    @pytest.mark.parametrize(("asked_s", "wait_s"), [(60.0, 60), (None, 0)])
    def test_without_an_operation_its_job_is_searched_for_after_the_wait(
        self, asked_s: float | None, wait_s: float
    ) -> None:
        restore = answered(triggering(), Answer(answers.Started(), asked_s))

        assert restore.stage == FindingJob(prepared=PREPARED, triggered=NOW)
        assert restore.backoff.not_before("find_job") == after(wait_s)

    @pytest.mark.parametrize(
        "started",
        [
            answers.Started(),
            answers.Started(job_id="job-7"),
            answers.Started(operation=answers.AcceptedOperation(operation_id="o")),
        ],
    )
    def test_the_time_for_which_the_resource_guard_was_waited_for_does_not_count(
        self, started: answers.Started
    ) -> None:
        stage = AwaitingResourceGuard(prepared=PREPARED, since=NOW - timedelta(minutes=7), refusal={})

        restore = answered(replace(triggering(), stage=stage), Answer(started))

        assert restore.clock.paused == timedelta(minutes=7)

    def test_a_job_that_is_listed_already_is_adopted(self) -> None:
        restore = answered(triggering(), Answer(answers.Started(job_id="job-7")))

        assert restore.stage == TrackingJob(prepared=PREPARED, triggered=NOW, job_id="job-7")

    def test_throttling_is_retried_and_counted(self) -> None:
        restore = answered(triggering(), throttled(30.0))

        assert restore.backoff.not_before("start_restore") == after(30)
        assert restore.outcome is None


class TestDoubt:
    """An attempt broke: whoever claims it first knows whether it may have posted."""

    def test_it_is_claimed_under_its_own_number_before_anything_else(self) -> None:
        restore = answered(triggering(), BROKE)

        assert restore.stage == Triggering(prepared=PREPARED, in_doubt="the worker died")
        claim = calls.ClaimPost(client_request_id=CLIENT_REQUEST_ID, attempt=1)
        assert decide(restore, NOW) == MakeCall(call=claim)

    def test_an_attempt_that_could_be_claimed_has_not_posted_and_is_made_again(self) -> None:
        restore = answered(triggering(), BROKE)
        claim = calls.ClaimPost(client_request_id=CLIENT_REQUEST_ID, attempt=1)

        restore = absorb(restore, claim, Answer(answers.Claim(is_ours=True)), NOW)

        assert restore.stage == Triggering(prepared=PREPARED)
        assert restore.trigger == Trigger(attempts=1, unknown=0)
        assert restore.backoff.failures("start_restore") == 1
        assert decide(restore, NOW) == Wait(until=after(5))
        assert decide(restore, after(5)) == MakeCall(call=post_of(restore))

    def test_one_that_could_not_may_have_posted(self) -> None:
        restore = answered(triggering(), BROKE)
        claim = calls.ClaimPost(client_request_id=CLIENT_REQUEST_ID, attempt=1)

        restore = absorb(restore, claim, Answer(answers.Claim(is_ours=False)), NOW)

        assert restore.stage == Searching(before=Triggering(prepared=PREPARED), since=NOW)
        assert restore.trigger == Trigger(attempts=1, unknown=1)

    def test_while_the_claim_cannot_be_made_nothing_is_posted_for_half_an_hour(self) -> None:
        doubtful = answered(triggering(), BROKE)
        claim = calls.ClaimPost(client_request_id=CLIENT_REQUEST_ID, attempt=1)

        restore = absorb(doubtful, claim, BROKE, NOW)
        later = absorb(restore, claim, BROKE, after(30 * 60))

        assert restore.stage == doubtful.stage
        assert decide(restore, NOW) == Wait(until=after(5))
        assert decide(restore, after(5)) == MakeCall(call=claim)
        assert later.stage == Searching(before=Triggering(prepared=PREPARED), since=after(30 * 60))

    def test_one_that_may_have_posted_starts_with_fresh_patience(self) -> None:
        restore = replace(triggering(), backoff=Backoff().retry("start_restore", NOW - timedelta(hours=1)))
        claim = calls.ClaimPost(client_request_id=CLIENT_REQUEST_ID, attempt=1)

        restore = absorb(answered(restore, BROKE), claim, Answer(answers.Claim(is_ours=False)), NOW)

        assert restore.backoff.failures("start_restore") == 0

    def test_attempts_that_break_for_half_an_hour_end_it_with_nothing_started(self) -> None:
        restore = replace(triggering(), backoff=Backoff().retry("start_restore", NOW - timedelta(minutes=30)))
        restore = answered(restore, BROKE)
        claim = calls.ClaimPost(client_request_id=CLIENT_REQUEST_ID, attempt=1)

        restore = absorb(restore, claim, Answer(answers.Claim(is_ours=True)), NOW)

        assert restore.outcome is not None
        assert restore.outcome.error is not None
        assert restore.outcome.error["message"] == "the worker died Nothing was started."


class TestUnknownOutcome:
    def test_its_job_is_searched_for_first_and_a_warning_says_so(self) -> None:
        restore = answered(triggering(), OPEN)

        assert restore.stage == Searching(before=Triggering(prepared=PREPARED), since=NOW)
        assert restore.trigger == Trigger(attempts=1, unknown=1)
        assert decide(restore, NOW) == Wait(until=after(5))
        assert decide(restore, after(5)) == MakeCall(call=FIND_JOB)
        assert [(warning.code, warning.message) for warning in restore.warnings] == [
            (
                "TriggerOutcomeOpen",
                (
                    "It is unknown whether the service accepted the restore request: The line broke. "
                    "Its job is searched for before anything else is tried."
                ),
            )
        ]

    def test_a_late_delivery_has_not_posted_itself(self) -> None:
        restore = answered(triggering(), UnknownOutcomeError(errors.LATE_DELIVERY, "late"))

        assert restore.stage.kind == "searching"
        assert restore.trigger == Trigger(attempts=1, unknown=0)

    def test_an_unknown_outcome_is_no_failure_of_the_post(self) -> None:
        restore = replace(triggering(), backoff=Backoff().retry("start_restore", NOW))

        assert answered(restore, OPEN).backoff.failures("start_restore") == 0

    def test_within_the_window_it_searches_again(self) -> None:
        restore = absorb(searching(), FIND_JOB, Answer(answers.FoundJob(job_id=None)), CREATED + timedelta(seconds=20))

        assert restore.stage == searching().stage
        assert restore.backoff.not_before("find_job") == CREATED + timedelta(seconds=40)

    def test_after_the_window_it_is_posted_once_more_at_once(self) -> None:
        restore = replace(
            searching(),
            trigger=Trigger(attempts=1, unknown=1),
            backoff=Backoff().wait("start_restore", 600, NOW),
        )

        restore = absorb(restore, FIND_JOB, Answer(answers.FoundJob(job_id=None)), NOW)

        assert restore.stage == Triggering(prepared=PREPARED)
        assert decide(restore, NOW) == MakeCall(call=post_of(restore))

    def test_after_the_second_one_a_person_must_look(self) -> None:
        restore = replace(searching(), trigger=Trigger(attempts=2, unknown=2))

        restore = absorb(restore, FIND_JOB, Answer(answers.FoundJob(job_id=None)), NOW)

        assert restore.outcome is not None
        assert restore.outcome.status is Status.FAILED
        assert restore.outcome.error is not None
        assert restore.outcome.error["code"] == "RestoreFailed"
        assert restore.outcome.error["message"] == (
            "The restore was posted 2 times without a clear answer, and no job was found since. "
            f"A person must look: search the vault's restore jobs for activityId {CLIENT_REQUEST_ID} "
            "before starting another restore."
        )

    def test_the_job_that_is_found_is_followed_since_it_was_searched_for(self) -> None:
        restore = absorb(searching(), FIND_JOB, Answer(answers.FoundJob(job_id="job-7")), NOW)

        assert restore.stage == TrackingJob(prepared=PREPARED, triggered=CREATED, job_id="job-7")


class TestClosedGuard:
    def test_it_is_waited_for_and_a_warning_says_what_to_do_until_when(self) -> None:
        restore = answered(triggering(approval={"timeout": "PT30M"}), GUARD_CLOSED_NOW)

        assert restore.stage == AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal=GUARD_CLOSED_NOW.to_json())
        assert restore.backoff.not_before("start_restore") == after(15)
        assert [(warning.code, warning.message) for warning in restore.warnings] == [
            (
                "ResourceGuardClosed",
                (
                    "The vault's Resource Guard does not let the app restore yet. Give its identity Backup MUA "
                    "Operator on the guard; the trigger is sent again until 2026-11-23T10:00:00Z."
                ),
            )
        ]

    def test_the_time_counts_from_the_first_refusal_and_the_tries_grow_rare(self) -> None:
        since = NOW - timedelta(minutes=5)
        stage = AwaitingResourceGuard(prepared=PREPARED, since=since, refusal={})

        restore = answered(replace(triggering(approval={"timeout": "PT30M"}), stage=stage), GUARD_CLOSED_NOW)

        assert isinstance(restore.stage, AwaitingResourceGuard)
        assert restore.stage.since == since
        assert restore.backoff.not_before("start_restore") == after(30)

    @pytest.mark.parametrize(("minutes", "is_over"), [(29, False), (30, True)])
    def test_when_the_time_is_over_it_is_rejected(self, minutes: int, is_over: bool) -> None:
        stage = AwaitingResourceGuard(prepared=PREPARED, since=NOW - timedelta(minutes=minutes), refusal={})

        restore = answered(replace(triggering(approval={"timeout": "PT30M"}), stage=stage), GUARD_CLOSED_NOW)

        assert (restore.outcome is not None) is is_over

    def test_a_closed_guard_is_no_failure_of_the_post(self) -> None:
        restore = replace(triggering(), backoff=Backoff().retry("start_restore", NOW))

        assert answered(restore, GUARD_CLOSED_NOW).backoff.failures("start_restore") == 0

    def test_after_an_unknown_outcome_it_is_still_waited_for(self) -> None:
        stage = AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={"code": "c", "message": "m"})

        restore = answered(replace(triggering(), stage=stage), OPEN)

        assert restore.stage == Searching(before=stage, since=NOW)


GUARD_CLOSED_NOW = TerminalError(errors.RESOURCE_GUARD_CLOSED, GUARD_CLOSED.message, GUARD_CLOSED.details)


@pytest.mark.parametrize(("looked", "attempts"), [(True, 0), (True, 1), (False, 0), (None, 0)])
def test_only_the_first_post_of_a_member_trusts_the_look_of_its_recovery(looked: bool | None, attempts: int) -> None:
    member = None if looked is None else Membership(recovery_id="r", index=0, attempt=1, looked=looked)
    restore = triggering()
    restore = replace(restore, accepted=replace(restore.accepted, member=member), trigger=Trigger(attempts=attempts))

    step = decide(restore, NOW)

    assert isinstance(step, MakeCall)
    assert isinstance(step.call, calls.StartRestore)
    assert step.call.looked == (looked is True and attempts == 0)
