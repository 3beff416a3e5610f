from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.answers import Answer
from domain.azure.jobs import Job, JobStatus, Operation, OperationStatus
from domain.azure.validation import Validation
from domain.errors import TerminalError, TransientError, UnknownOutcomeError
from domain.restore import answers, calls, machine, outcome
from domain.restore.backoff import Backoff
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT, SLOT_EVENT, absorb, decide, hear
from domain.restore.parts import Approval, Cancellation, Decision, Slot, SlotState, Status
from domain.restore.stages import AwaitingApproval, AwaitingResourceGuard, ComparingDisks, TrackingJob
from domain.restore.steps import MakeCall, Wait
from tests.support.azure import GUARD_CLOSED, VAULT_ID, throttled
from tests.unit.domain.restore.states import (
    CREATED,
    ITEM,
    JOB,
    NOW,
    PREPARED,
    admitted,
    preparing,
    searching,
    tracking_job,
    tracking_operation,
    triggering,
)

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.state import Restore
    from tests.support.player import Player

DEADLINE = tracking_job().deadline
APPROVAL = {"required": True, "timeout": "PT30M"}
WAITING = replace(
    admitted(approval=APPROVAL),
    stage=AwaitingApproval(prepared=PREPARED, since=NOW),
    approval=Approval(reason="r", expires=NOW + timedelta(minutes=30)),
)
GUARDED = replace(
    admitted(approval={"timeout": "PT30M"}),
    stage=AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal=GUARD_CLOSED.to_json()),
)
START_RESTORE = calls.StartRestore(item=ITEM, body={}, client_request_id="c", attempt=1)
GET_JOB = calls.GetJob(vault_id=VAULT_ID, job_id="job-1")
FIND_JOB = calls.FindJob(vault_id=VAULT_ID, client_request_id="c")


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def advance(restore: Restore, now: datetime) -> Restore:
    """Return the restore as time has changed it; its events and its timeline have tests of their own."""
    return replace(machine.advance(restore, now), events=restore.events, timeline=restore.timeline)


def status_of(restore: Restore) -> Status | None:
    return None if restore.outcome is None else restore.outcome.status


def test_restores_the_disks_and_says_where_they_are(player: Player) -> None:
    done = player.run()

    assert (done["status"], done["phase"]) == ("Completed", "Finished")
    assert done["result"]["configBlobUri"] == "https://s/config.json"
    assert done["result"]["targetStorageAccountName"] == "stagingweu"
    assert done["result"]["duration"] == "PT31M"
    assert (done["jobId"], done["operationId"], done["vaultId"]) == ("job-1", "operation-1", VAULT_ID)
    assert done["recoveryPoint"]["id"] == "1103996678573089"
    assert done["progressPercentage"] == 100.0
    assert done["error"] is None
    assert done["warnings"] == []


def test_triggers_once_and_asks_little(player: Player) -> None:
    player.run()

    assert player.azure.calls["trigger_restore"] == 1
    first = list(player.azure.calls)
    before = first[: first.index("trigger_restore")]
    assert sum(player.azure.calls[name] for name in before) == 5
    assert player.azure.calls.total() <= 55


class TestAdvance:
    @pytest.mark.parametrize("restore", [preparing(), triggering()])
    def test_before_azure_has_it_the_deadline_ends_it_at_once(self, restore: Restore) -> None:
        assert advance(restore, DEADLINE - later(1)) == restore
        assert status_of(advance(restore, DEADLINE)) is Status.TIMED_OUT

    @pytest.mark.parametrize("restore", [searching(), tracking_operation(), tracking_job()])
    def test_once_azure_has_it_a_last_poll_is_made(self, restore: Restore) -> None:
        assert advance(restore, DEADLINE) == restore
        assert isinstance(decide(restore, DEADLINE), MakeCall)

    def test_a_last_poll_that_azure_holds_back_is_not_waited_for(self) -> None:
        restore = replace(tracking_job(), backoff=Backoff().hold(GET_JOB.name, 10**6, NOW))

        assert status_of(advance(restore, DEADLINE)) is Status.TIMED_OUT

    def test_disks_are_compared_whatever_the_deadline(self) -> None:
        tracked = tracking_job().stage
        assert isinstance(tracked, TrackingJob)
        comparing = replace(
            admitted(), stage=ComparingDisks(tracked=tracked, job=JOB, resource_group_id="/g", luns=(0,))
        )

        assert advance(comparing, DEADLINE) == comparing
        call = calls.ListRestoredDisks(target_resource_group_id="/g", source_resource_id="/v", since=NOW, until=NOW)
        done = absorb(comparing, call, Answer(answers.RestoredDisks(disks=())), DEADLINE)
        assert status_of(done) is Status.COMPLETED

    def test_a_comparison_that_must_be_made_again_outlasts_the_deadline(self) -> None:
        tracked = tracking_job().stage
        assert isinstance(tracked, TrackingJob)
        stage = ComparingDisks(tracked=tracked, job=JOB, resource_group_id="/g", luns=(0,))
        waiting = replace(admitted(), stage=stage, backoff=Backoff().wait("list_restored_disks", 5, DEADLINE))

        assert advance(waiting, DEADLINE) == waiting
        assert decide(waiting, DEADLINE) == Wait(until=DEADLINE + later(5))

    def test_a_job_that_ends_at_the_deadline_still_has_its_disks_compared(self) -> None:
        restore = absorb(tracking_job(restoreDiskLunList=[0]), GET_JOB, Answer(JOB), DEADLINE)

        assert (restore.stage.kind, restore.outcome) == ("comparingDisks", None)

    def test_an_end_stays(self) -> None:
        ended = outcome.timed_out(tracking_job(), NOW)

        assert advance(ended, DEADLINE + later(1)) == ended

    def test_an_approval_is_waited_for_until_its_time_is_over(self) -> None:
        until = NOW + timedelta(minutes=30)

        assert advance(WAITING, until - later(1)) == WAITING
        assert advance(WAITING, until).approval == replace(
            WAITING.approval or Approval(reason=""), decision=Decision.TIMED_OUT, time=until
        )

    def test_a_rejection_is_not_taken_for_silence_later(self) -> None:
        approval = Approval(reason="r", expires=NOW, decision=Decision.REJECTED, by="bo")
        rejected = replace(WAITING, approval=approval)

        assert advance(rejected, NOW + timedelta(hours=1)) == rejected

    def test_a_resource_guard_whose_last_try_azure_holds_back_is_given_up_when_its_time_is_over(self) -> None:
        held = replace(GUARDED, backoff=Backoff().hold(START_RESTORE.name, 10**5, NOW))
        until = NOW + timedelta(minutes=30)

        assert advance(held, until - later(1)) == held
        assert status_of(advance(held, until)) is Status.REJECTED
        assert advance(GUARDED, until) == GUARDED

    def test_a_search_goes_on_though_the_time_for_the_resource_guard_is_over(self) -> None:
        posted = absorb(
            GUARDED, START_RESTORE, UnknownOutcomeError(errors.SERVICE_UNAVAILABLE, "broke", retry_after_s=7200), NOW
        )

        assert posted.stage.kind == "searching"
        assert advance(posted, NOW + timedelta(hours=1)) == posted


class TestHear:
    def test_the_first_cancellation_counts(self) -> None:
        heard = hear(tracking_job(), CANCEL_EVENT, {"by": "ops", "comment": "wrong VM"}, NOW)

        assert heard.cancellation == Cancellation(by="ops", comment="wrong VM", time=NOW)
        assert hear(heard, CANCEL_EVENT, {"by": "eve"}, NOW + later(1)) == heard

    @pytest.mark.parametrize("data", [None, "x", {"by": 5, "comment": ["a"]}])
    def test_a_cancellation_needs_no_words(self, data: object) -> None:
        assert hear(tracking_job(), CANCEL_EVENT, data, NOW).cancellation == Cancellation(time=NOW)

    def test_while_the_item_is_resolved_a_cancellation_ends_it(self) -> None:
        assert status_of(hear(admitted(), CANCEL_EVENT, {}, NOW)) is Status.CANCELLED

    def test_a_plan_that_is_cancelled_ends_at_once(self) -> None:
        assert status_of(hear(preparing(dryRun=True), CANCEL_EVENT, {}, NOW)) is Status.CANCELLED

    @pytest.mark.parametrize("event", [CANCEL_EVENT, DECISION_EVENT, SLOT_EVENT])
    def test_after_the_end_nothing_is_heard(self, event: str) -> None:
        waiting = replace(WAITING, slot=Slot(state=SlotState.WAITING), backoff=Backoff().wait("acquire_slot", 300, NOW))
        ended = outcome.timed_out(waiting, NOW)

        assert hear(ended, event, {"decision": "Approved"}, NOW) == ended

    def test_an_approval_goes_on_to_the_trigger(self) -> None:
        heard = hear(WAITING, DECISION_EVENT, {"decision": "Approved", "by": "ada", "comment": "go"}, NOW + later(9))

        assert heard.stage.kind == "triggering"
        assert heard.approval == replace(
            WAITING.approval or Approval(reason=""),
            decision=Decision.APPROVED,
            by="ada",
            comment="go",
            time=NOW + later(9),
        )

    @pytest.mark.parametrize(("after_s", "decision"), [(1800, Decision.APPROVED), (1801, Decision.TIMED_OUT)])
    def test_a_decision_counts_until_its_time_is_over(self, after_s: int, decision: Decision) -> None:
        heard = hear(WAITING, DECISION_EVENT, {"decision": "Approved", "by": "ada"}, NOW + later(after_s))

        assert heard.approval is not None
        assert heard.approval.decision is decision
        assert heard.approval.by == ("ada" if decision is Decision.APPROVED else None)

    def test_a_rejected_restore_is_never_about_to_be_posted(self) -> None:
        heard = hear(WAITING, DECISION_EVENT, {"decision": "Rejected", "by": "bo"}, NOW)

        assert heard.stage == WAITING.stage
        assert isinstance(decide(heard, NOW), MakeCall)

    def test_nobody_is_asked_where_no_approval_is_needed(self) -> None:
        assert hear(triggering(), DECISION_EVENT, {"decision": "Rejected"}, NOW) == triggering()

    def test_a_rejection_before_the_point_is_chosen_ends_it_with_the_next_step(self) -> None:
        heard = hear(preparing(approval=APPROVAL), DECISION_EVENT, {"decision": "Rejected"}, NOW)

        step = decide(heard, NOW)
        assert isinstance(step, MakeCall)
        assert step.call == calls.ClaimPost(client_request_id=heard.client_request_id, attempt=1)

    def test_an_event_of_another_name_changes_nothing(self) -> None:
        assert hear(WAITING, "weather", {"decision": "Approved"}, NOW) == WAITING

    def test_a_restore_that_has_its_slot_asks_at_once(self) -> None:
        waiting = replace(
            preparing(), slot=Slot(state=SlotState.WAITING), backoff=Backoff().wait("acquire_slot", 300, NOW)
        )

        assert hear(waiting, SLOT_EVENT, None, NOW).backoff.is_due("acquire_slot", NOW)
        held = replace(waiting, slot=Slot(state=SlotState.HELD))
        assert hear(held, SLOT_EVENT, None, NOW) == held

    def test_one_that_learns_of_its_slot_before_it_was_told_to_wait_asks_again_at_once(self) -> None:
        asking = hear(replace(preparing(), slot=Slot(state=SlotState.WANTED)), SLOT_EVENT, None, NOW)
        call = calls.AcquireSlot(key="vault", max_per_vault=1)

        waiting = absorb(asking, call, Answer(answers.SlotGrant(holder="another")), NOW)
        told_again = absorb(waiting, call, Answer(answers.SlotGrant(holder="another")), NOW)

        assert waiting.backoff.is_due("acquire_slot", NOW)
        assert not told_again.backoff.is_due("acquire_slot", NOW)

    def test_a_cancellation_looks_for_the_job_at_once_but_shortens_no_wait_of_azures(self) -> None:
        own, azures = Backoff().wait("find_job", 600, NOW), Backoff().hold("find_job", 600, NOW)

        for backoff, is_due in ((own, True), (azures, False)):
            cancelled = hear(replace(tracking_job(), backoff=backoff), CANCEL_EVENT, {}, NOW)
            assert cancelled.backoff.is_due("find_job", NOW) is is_due


class TestAbsorb:
    def test_an_answer_after_the_end_changes_nothing(self) -> None:
        ended = outcome.timed_out(preparing(), NOW)
        call = calls.ResolveItem()

        assert absorb(ended, call, Answer(ITEM), NOW) == ended
        assert absorb(ended, call, throttled(30), NOW) == ended

    def test_a_good_answer_ends_the_failures_of_its_call(self) -> None:
        failing = replace(tracking_job(), backoff=Backoff().retry(GET_JOB.name, NOW))

        answered = absorb(failing, GET_JOB, Answer(Job(job_id="job-1", status=JobStatus.IN_PROGRESS)), NOW)

        assert answered.backoff.failures(GET_JOB.name) == 0

    @pytest.mark.parametrize("answer", [Answer(Job(job_id="j", status=JobStatus.IN_PROGRESS), 77.0), throttled(77)])
    def test_the_wait_that_an_answer_asks_for_is_azures(self, answer: Answer[Job] | RestoreError) -> None:
        answered = absorb(tracking_job(), GET_JOB, answer, NOW)

        assert answered.backoff.not_before(GET_JOB.name) == NOW + later(77)
        assert answered.backoff.is_held_by_azure(GET_JOB.name, NOW)

    def test_an_accepted_restore_asks_for_a_wait_before_its_first_poll(self) -> None:
        started = answers.Started(operation=answers.AcceptedOperation(operation_id="o"))

        answered = absorb(triggering(), START_RESTORE, Answer(started, 60.0), NOW)

        assert answered.backoff.not_before("get_operation") == NOW + later(60)
        assert answered.backoff.is_held_by_azure("get_operation", NOW)

    def test_a_validation_that_has_begun_asks_for_a_wait_before_its_first_poll(self) -> None:
        validation = answers.AcceptedOperation(operation_id="v")
        call = calls.PrepareRestore(item=ITEM, request=preparing().request, now=NOW)

        found = answers.Preparation(point=PREPARED.point, validation=validation)
        answered = absorb(preparing(), call, Answer(found, 60.0), NOW)

        assert answered.backoff.not_before("get_validation") == NOW + later(60)
        assert answered.backoff.is_held_by_azure("get_validation", NOW)

    @pytest.mark.parametrize(
        ("error", "is_held"),
        [
            (throttled(30), True),
            (TerminalError(errors.RESOURCE_GUARD_CLOSED, "closed", retry_after_s=30), True),
            (UnknownOutcomeError(errors.LATE_DELIVERY, "late", retry_after_s=30), True),
            (UnknownOutcomeError(errors.SERVICE_UNAVAILABLE, "broke", retry_after_s=30), False),
        ],
    )
    def test_the_wait_of_a_trigger_that_may_not_have_posted_may_be_that_of_the_list(
        self, error: RestoreError, is_held: bool
    ) -> None:
        answered = absorb(triggering(), START_RESTORE, error, NOW)

        assert answered.backoff.is_held_by_azure(FIND_JOB.name, NOW) is is_held
        assert answered.backoff.is_held_by_azure(START_RESTORE.name, NOW)

    def test_the_wait_of_another_call_is_not_that_of_the_list(self) -> None:
        answered = absorb(tracking_operation(), GET_JOB, throttled(30), NOW)

        assert answered.backoff.is_due(FIND_JOB.name, NOW)

    @pytest.mark.parametrize(("before_s", "status"), [(1, None), (0, Status.TIMED_OUT), (-1, Status.TIMED_OUT)])
    def test_an_answer_at_the_deadline_ends_it_unless_it_is_the_end_itself(
        self, before_s: int, status: Status | None
    ) -> None:
        now = DEADLINE - later(before_s)
        running = Answer(Job(job_id="job-1", status=JobStatus.IN_PROGRESS))

        assert status_of(absorb(tracking_job(), GET_JOB, running, now)) is status
        vhds = tracking_job(targetResourceGroupId=None)
        assert status_of(absorb(vhds, GET_JOB, Answer(JOB), now)) is Status.COMPLETED

    def test_a_search_answered_after_the_job_was_found_changes_nothing(self) -> None:
        found = Answer(answers.FoundJob(job_id="job-2"))

        assert absorb(tracking_job(), FIND_JOB, found, NOW).stage == tracking_job().stage

    @pytest.mark.parametrize(("suspect", "asked"), [("other", "other"), ("other", "another"), (None, "other")])
    def test_whether_a_restore_runs_is_asked_for_the_slot_or_for_the_lock(
        self, suspect: str | None, asked: str
    ) -> None:
        holder = answers.LockHolder(restore_id="another", created=CREATED, source="http", since=CREATED)
        refusal = answers.Refusal(code="RequestConflict", message="m", holder=holder)
        restore = replace(preparing(), slot=Slot(state=SlotState.WAITING, suspect=suspect))
        restore = replace(restore, admission=replace(restore.admission, refusal=refusal))

        gone = Answer(answers.Running(is_running=False, ended=NOW))
        answered = absorb(restore, calls.FindRunning(restore_id=asked), gone, NOW)

        is_for_slot = suspect == asked
        assert answered.slot.vanished == ("other" if is_for_slot else None)
        assert answered.admission.holder_ended == (None if is_for_slot else NOW)

    def test_not_knowing_whether_a_holder_runs_lets_nobody_in(self) -> None:
        error = TransientError(errors.INTERNAL_ERROR, "the hub is away")
        call = calls.FindRunning(restore_id="other")
        slot = Slot(state=SlotState.WAITING, suspect="other")
        failing = Backoff().retry(call.name, NOW).retry(call.name, NOW)
        waiting = replace(preparing(), slot=slot, backoff=failing)

        assert absorb(waiting, call, error, NOW).slot.suspect is None
        assert status_of(absorb(replace(waiting, slot=Slot(state=SlotState.WANTED)), call, error, NOW)) is None


PREPARE = calls.PrepareRestore(item=ITEM, request=preparing().request, now=NOW)
GET_VALIDATION = calls.GetValidation(vault_id=VAULT_ID, operation_id="v", url=None)
GET_OPERATION = calls.GetOperation(vault_id=VAULT_ID, operation_id="o", url=None)
LIST_DISKS = calls.ListRestoredDisks(target_resource_group_id="/g", source_resource_id="/v", since=NOW, until=NOW)


@pytest.mark.parametrize("restore", [admitted(), preparing(), triggering(), searching(), tracking_job()])
@pytest.mark.parametrize(
    ("call", "value", "belongs_to"),
    [
        (calls.ResolveItem(), ITEM, "resolving"),
        (PREPARE, answers.Preparation(point=PREPARED.point), "preparing"),
        (GET_VALIDATION, Validation(status=OperationStatus.SUCCEEDED), "validating"),
        (START_RESTORE, answers.Started(job_id="job-2"), "triggering"),
        (GET_OPERATION, Operation(status=OperationStatus.SUCCEEDED, job_id="job-2"), "trackingOperation"),
        (FIND_JOB, answers.FoundJob(job_id="job-2"), "searching"),
        (GET_JOB, JOB, "trackingJob"),
        (LIST_DISKS, answers.RestoredDisks(disks=()), "comparingDisks"),
    ],
)
def test_an_answer_to_a_call_of_another_stage_changes_nothing(
    restore: Restore, call: calls.Call, value: object, belongs_to: str
) -> None:
    answered = absorb(restore, call, Answer(value), NOW)

    has_changed = (answered.stage, answered.outcome, answered.trigger) != (restore.stage, None, restore.trigger)
    assert has_changed == (restore.stage.kind == belongs_to)


@pytest.mark.parametrize("restore", [preparing(), searching(), tracking_job()])
@pytest.mark.parametrize("call", [START_RESTORE, GET_OPERATION, LIST_DISKS])
def test_a_failure_of_a_call_of_another_stage_changes_nothing(restore: Restore, call: calls.Call) -> None:
    answered = absorb(restore, call, TerminalError(errors.RESTORE_REFUSED, "no"), NOW)

    assert (answered.stage, answered.outcome, answered.trigger) == (restore.stage, None, restore.trigger)
