"""The restore as a state machine without I/O: it decides the next step, and how an answer changes the state.

Its interpreter (``orchestrations.interpreter``) calls ``advance`` and ``decide``, makes the call or waits, and hands
the answer to ``absorb``, or an event to ``hear``. All are pure: the same state, answer and time give the same result,
so that a step which is run again after a crash is decided in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from domain.errors import ITEM_BUSY, LATE_DELIVERY, VAULT_BLOCKED, RestoreError, UnknownOutcomeError
from domain.follow_up.work import WORK_CALLS
from domain.restore import (
    admit,
    answers,
    calls,
    follow_up,
    outcome,
    prepare,
    report,
    slots,
    stages,
    status_events,
    timeline,
    track,
    trigger,
    watching,
    withdraw,
)
from domain.restore.failure import retry_or_end
from domain.restore.parts import Cancellation, Decision
from domain.restore.state import Restore
from domain.restore.steps import MakeCall, Step, Wait, WaitForAnswers
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from domain.answers import Answer
    from domain.restore.calls import Call
    from domain.restore.stages import Stage

CANCEL_EVENT: Final = "cancel"
DECISION_EVENT: Final = "decision"
SLOT_EVENT: Final = "slot"
WATCH_EVENT: Final = "watch"

TRANSITIONS: Final[Mapping[type[Stage], frozenset[type[Stage]]]] = {
    stages.Resolving: frozenset({stages.Preparing}),
    stages.Preparing: frozenset({stages.Validating, stages.AwaitingApproval, stages.Triggering, stages.Searching}),
    stages.Validating: frozenset({stages.Preparing, stages.AwaitingApproval, stages.Triggering, stages.Searching}),
    stages.AwaitingApproval: frozenset({stages.Triggering, stages.Searching}),
    stages.Triggering: frozenset(
        {
            stages.AwaitingResourceGuard,
            stages.Searching,
            stages.TrackingOperation,
            stages.FindingJob,
            stages.TrackingJob,
        }
    ),
    stages.AwaitingResourceGuard: frozenset(
        {
            stages.Triggering,
            stages.Searching,
            stages.TrackingOperation,
            stages.FindingJob,
            stages.TrackingJob,
        }
    ),
    stages.Searching: frozenset({stages.Triggering, stages.AwaitingResourceGuard, stages.TrackingJob}),
    stages.TrackingOperation: frozenset({stages.FindingJob, stages.TrackingJob}),
    stages.FindingJob: frozenset({stages.TrackingJob}),
    stages.TrackingJob: frozenset({stages.ComparingDisks}),
    stages.ComparingDisks: frozenset({stages.AwaitingMaintenance, stages.FollowingUp}),
    stages.AwaitingMaintenance: frozenset({stages.FollowingUp}),
    stages.FollowingUp: frozenset(),
}
"""Which stage may follow which. A restore can end in each of them."""

# Not Final: pyright would then infer the type of the dict from the functions, each of which takes one stage only.
_STAGES: Mapping[type[Stage], Callable[[Restore, Any, datetime], Step]] = {
    stages.Resolving: prepare.decide_resolving,
    stages.Preparing: prepare.decide_preparing,
    stages.Validating: prepare.decide_validating,
    stages.AwaitingApproval: prepare.decide_approval,
    stages.Triggering: trigger.decide_posting,
    stages.AwaitingResourceGuard: trigger.decide_posting,
    stages.Searching: trigger.decide_searching,
    stages.TrackingOperation: track.decide_operation,
    stages.FindingJob: track.decide_finding_job,
    stages.TrackingJob: track.decide_job,
    stages.ComparingDisks: track.decide_disks,
    stages.AwaitingMaintenance: follow_up.decide_maintenance,
    stages.FollowingUp: follow_up.decide_work,
}
"""The function that decides the next step of each stage."""

_PRIORITY_DECISIONS: Final = (
    *(trigger.decide_broken_attempt, withdraw.decide, admit.decide, slots.decide, report.tell_wait),
)
"""The decisions that come before the stage's own next step, the most urgent first."""


def decide(restore: Restore, now: datetime) -> Step:
    """Return the restore's next step."""
    if restore.outcome is not None:
        return report.decide(restore, restore.outcome, now)
    return status_events.with_deliveries(restore, _decide_running(restore, now), now)


def _decide_running(restore: Restore, now: datetime) -> Step:
    for decide_first in _PRIORITY_DECISIONS:
        step = decide_first(restore, now)
        if step is not None:
            return step
    return _STAGES[type(restore.stage)](restore, restore.stage, now)


def advance(restore: Restore, now: datetime) -> Restore:
    """Return the restore as time alone has changed it: its wait for a person has ended, or its deadline has passed.

    A change of its phase, of what it waits for, or of its status is noted here, because this is called before each
    step.
    """
    restore = _with_time_passed(restore, now)
    if restore.timeline is not None:
        restore = timeline.with_time_noted(restore, restore.timeline, _next_poll(restore, now), now)
    return status_events.with_change_noted(restore, now)


def _next_poll(restore: Restore, now: datetime) -> datetime | None:
    """Return the time until which the restore waits; ``None`` if it makes a call now, or has ended."""
    step = None if restore.outcome is not None else _decide_running(restore, now)
    return step.until if isinstance(step, Wait | WaitForAnswers) else None


def _with_time_passed(restore: Restore, now: datetime) -> Restore:
    stage, until = restore.stage, restore.waits_for_person_until
    if restore.outcome is not None:
        return restore
    asks = isinstance(stage, stages.AwaitingApproval | stages.AwaitingMaintenance)
    if asks and restore.awaits_decision and until is not None and now >= until:
        return _with_decision(restore, Decision.TIMED_OUT, now)
    is_held = restore.backoff.is_held_by_azure(calls.StartRestore.name, now)
    if isinstance(stage, stages.AwaitingResourceGuard) and is_held and until is not None and now >= until:
        return outcome.resource_guard_stayed_closed(restore, stage.refusal, now)
    if now < restore.deadline or not restore.has_deadline:
        return restore
    may_poll_once_more = restore.azure_has_it and isinstance(decide(restore, now), MakeCall)
    return restore if may_poll_once_more else outcome.timed_out(restore, now)


def hear(restore: Restore, event: str, data: object, now: datetime) -> Restore:
    """Return the restore after an event: a person's cancellation or decision, a slot, or news of its job.

    Only the first cancellation and the first decision count; an event with invalid data changes nothing, nor does an
    approval by a person who must not give it, nor a decision about something else than what is asked now.
    """
    message = as_object(data)
    if restore.outcome is not None:
        return restore
    if event in {SLOT_EVENT, WATCH_EVENT}:
        is_slot = event == SLOT_EVENT
        return slots.slot_event_received(restore) if is_slot else track.news_heard(restore, message, now)
    by, comment = as_text(message.get("by")), as_text(message.get("comment"))
    if event == CANCEL_EVENT and restore.cancellation is None:
        backoff = restore.backoff.without_wait(calls.FindJob.name)  # whoever cancels needs the job
        cancelled = replace(restore, cancellation=Cancellation(by=by, comment=comment, time=now), backoff=backoff)
        return withdraw.after_withdrawal(cancelled, now)
    word = message.get("decision")
    if (
        event != DECISION_EVENT
        or not restore.awaits_decision_before(message.get("before"))
        or word not in list(Decision)
    ):
        return restore
    if word == Decision.APPROVED and not restore.request.may_be_approved_by(by):
        return restore
    return _with_decision(restore, Decision(word), now, by=by, comment=comment)


def _with_decision(
    restore: Restore, decision: Decision, now: datetime, *, by: str | None = None, comment: str | None = None
) -> Restore:
    """Return the restore with a decision; one that comes too late counts as ``TIMED_OUT``."""
    if restore.approval is None:
        return restore
    expires = restore.approval.expires
    if decision is Decision.TIMED_OUT or (expires is not None and now > expires):
        decision, by, comment = Decision.TIMED_OUT, None, None
    approval = replace(restore.approval, decision=decision, by=by, comment=comment, time=now)
    restore = replace(restore, approval=approval)
    if decision is Decision.APPROVED and isinstance(restore.stage, stages.AwaitingApproval):
        return restore.with_stage(stages.Triggering(prepared=restore.stage.prepared), now)
    if decision is Decision.APPROVED and isinstance(restore.stage, stages.AwaitingMaintenance):
        return follow_up.approved(restore, restore.stage, now)
    return withdraw.after_withdrawal(restore, now)


def absorb(restore: Restore, call: Call, answer: Answer[Any] | RestoreError, now: datetime) -> Restore:
    """Return the restore after a call was answered or has failed."""
    absorber = _ABSORBERS[type(call)]
    if restore.outcome is not None and not absorber.after_end:
        return restore  # it was started beside another call, and its answer is no longer needed
    name, asked_s = call.name, answer.retry_after_s
    if isinstance(answer, RestoreError):
        backoff = restore.backoff.hold(name, asked_s, now)
        if isinstance(call, calls.StartRestore) and _may_come_from_job_list(answer):
            backoff = backoff.hold(calls.FindJob.name, asked_s, now)
        after = absorber.failed(replace(restore, backoff=backoff), call, answer, now)
    else:
        backoff = restore.backoff.succeeded(name, asked_s, now)
        if (following := _FOLLOWING.get(name)) is not None:
            backoff = backoff.hold(following, asked_s, now)
        after = absorber.answered(replace(restore, backoff=backoff), call, answer.value, now)
    if call.is_delivery:
        return after  # the answer to a delivery never ends the restore, not even after its deadline
    return outcome.timed_out(after, now) if after.has_deadline and now >= after.deadline else after


_FOLLOWING: Final = {
    calls.StartRestore.name: calls.GetOperation.name,
    calls.PrepareRestore.name: calls.GetValidation.name,
}
"""Calls that start an operation, with the call that polls it: the wait in the answer to the first is for the second."""


def _may_come_from_job_list(error: RestoreError) -> bool:
    """Return whether the wait of a failed trigger may belong to the list of jobs, which is read before the post."""
    posted = isinstance(error, UnknownOutcomeError) and error.code != LATE_DELIVERY
    return not posted and error.code not in {ITEM_BUSY, VAULT_BLOCKED}


def _job_search_answered(restore: Restore, _call: calls.FindJob, found: answers.FoundJob, now: datetime) -> Restore:
    match restore.stage:
        case stages.Searching() as stage:
            return trigger.search_answered(restore, stage, found, now)
        case stages.TrackingOperation() | stages.FindingJob() as stage:
            return track.search_answered(restore, stage, found, now)
        case _:
            return restore


def _running_answered(restore: Restore, call: calls.FindRunning, running: answers.Running, now: datetime) -> Restore:
    if restore.slot.suspect == call.restore_id:
        return slots.holder_found(restore, running)
    return admit.holder_found(restore, running, now)


def _running_unknown(restore: Restore, call: calls.FindRunning, error: RestoreError, now: datetime) -> Restore:
    if restore.slot.suspect == call.restore_id:
        return slots.owed_call_failed(restore, call, error, now)
    return retry_or_end(restore, call, error, now)


def _slot_not_released(restore: Restore, call: calls.ReleaseSlot, error: RestoreError, now: datetime) -> Restore:
    failed = slots.owed_call_failed if restore.outcome is None else report.release_failed
    return failed(restore, call, error, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Absorber:
    """How the answer and the failure of a call change the state. ``after_end``: even when the restore has ended."""

    answered: Callable[[Restore, Any, Any, datetime], Restore]
    failed: Callable[[Restore, Any, RestoreError, datetime], Restore] = retry_or_end
    after_end: bool = False


_ABSORBERS: Final[Mapping[type[Call], _Absorber]] = {
    calls.AcquireLock: _Absorber(answered=admit.lock_answered),
    calls.ReleaseVanishedLock: _Absorber(answered=admit.vanished_lock_released),
    calls.NoteAlert: _Absorber(answered=admit.storm_answered),
    calls.TakeBudget: _Absorber(answered=admit.budget_answered),
    calls.FindRunning: _Absorber(answered=_running_answered, failed=_running_unknown),
    calls.AcquireSlot: _Absorber(answered=slots.slot_answered),
    calls.ReleaseSlot: _Absorber(answered=slots.slot_released, failed=_slot_not_released, after_end=True),
    calls.WakeRestore: _Absorber(answered=slots.next_one_woken, failed=slots.owed_call_failed, after_end=True),
    calls.ResolveItem: _Absorber(answered=prepare.resolved),
    calls.PrepareRestore: _Absorber(answered=prepare.prepared),
    calls.GetValidation: _Absorber(answered=prepare.validated, failed=prepare.validation_failed),
    calls.StartRestore: _Absorber(answered=trigger.started, failed=trigger.start_failed),
    calls.ClaimPost: _Absorber(answered=withdraw.claim_answered, failed=withdraw.claim_failed),
    calls.FindJob: _Absorber(answered=_job_search_answered, failed=track.search_failed),
    calls.GetOperation: _Absorber(answered=track.operation_answered, failed=track.operation_failed),
    calls.GetJob: _Absorber(answered=track.job_answered, failed=track.job_failed),
    calls.JoinWatch: _Absorber(answered=watching.joined, failed=watching.join_failed),
    calls.CancelJob: _Absorber(answered=withdraw.cancel_sent, failed=withdraw.cancel_failed),
    calls.ListRestoredDisks: _Absorber(answered=track.disks_listed, failed=track.disks_failed),
    **dict.fromkeys(WORK_CALLS, _Absorber(answered=follow_up.call_answered, failed=follow_up.call_failed)),
    calls.ReleaseLock: _Absorber(answered=report.lock_released, after_end=True),
    calls.TellRecovery: _Absorber(answered=report.recovery_told, after_end=True),
    calls.PublishResult: _Absorber(answered=report.published, failed=report.publish_failed, after_end=True),
    calls.PostResult: _Absorber(answered=report.posted, failed=report.post_failed, after_end=True),
    calls.PublishEvents: _Absorber(
        answered=status_events.published, failed=status_events.publish_failed, after_end=True
    ),
    calls.PostEvent: _Absorber(answered=status_events.posted, failed=status_events.post_failed, after_end=True),
}
