"""The trigger: it starts the restore exactly once, whatever the answer is (``docs/decisions/0003``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TerminalError, TransientError, UnknownOutcomeError
from domain.restore import outcome, watching
from domain.restore.calls import ClaimPost, FindJob, GetJob, StartRestore
from domain.restore.failure import PATIENCE, retry_or_end
from domain.restore.polling import job_interval_s, search_interval_s
from domain.restore.request_body import restore_body
from domain.restore.stages import (
    AwaitingResourceGuard,
    FindingJob,
    Searching,
    TrackingJob,
    TrackingOperation,
    Triggering,
)
from domain.restore.steps import when_due
from domain.times import format_time
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.answers import FoundJob, Started
    from domain.restore.stages import Posting, Prepared
    from domain.restore.state import Restore
    from domain.restore.steps import Step

_MAX_UNKNOWN: Final = 2
_FIRST_SEARCH_S: Final = 5.0
_MAX_LATE_SEARCH_S: Final = 300.0


def find_job(restore: Restore, prepared: Prepared) -> FindJob:
    """Return the search for the restore's job, whose ``activityId`` is the trigger's client request id."""
    return FindJob(vault_id=prepared.item.vault_id, client_request_id=restore.client_request_id)


def claim_post(restore: Restore, attempt: int) -> ClaimPost:
    """Return the call that claims an attempt, so that no delivery of the trigger posts under it."""
    return ClaimPost(client_request_id=restore.client_request_id, attempt=attempt)


def decide_posting(restore: Restore, stage: Posting, now: datetime) -> Step:
    """Return the step that posts the restore, at the latest when the wait for the Resource Guard ends."""
    prepared, member = stage.prepared, restore.accepted.member
    call = StartRestore(
        item=prepared.item,
        body=restore_body(restore.request, prepared.item, prepared.point, prepared.guard_requests, prepared.machine),
        client_request_id=restore.client_request_id,
        attempt=restore.trigger.attempts + 1,
        looked=member is not None and member.looked and restore.trigger.attempts == 0,
    )
    return when_due(restore, call, now, latest=restore.waits_for_person_until)


def decide_broken_attempt(restore: Restore, now: datetime) -> Step | None:
    """Return the step that claims an attempt which broke, or ``None`` if none did.

    If the claim succeeds, the attempt has not posted and never will.
    """
    if isinstance(restore.stage, Triggering | AwaitingResourceGuard) and restore.stage.in_doubt is not None:
        return when_due(restore, claim_post(restore, restore.trigger.attempts), now)
    return None


def decide_searching(restore: Restore, stage: Searching, now: datetime) -> Step:
    """Return the step that searches for the job which the post may have started."""
    return when_due(restore, find_job(restore, stage.prepared), now)


def started(restore: Restore, call: StartRestore, answer: Started, now: datetime) -> Restore:
    """Return the restore after Azure accepted it, or after an earlier post's job was adopted."""
    stage = restore.stage
    if not isinstance(stage, Triggering | AwaitingResourceGuard):
        return restore
    restore = watching.with_watch(_after_acceptance(_with_attempt(restore, call), now), now)
    if answer.job_id is not None:
        return job_found(restore, answer.job_id, now)
    if answer.operation is None:
        asked_s = restore.backoff.asked_s(call.name, now)
        restore = replace(restore, backoff=restore.backoff.wait(FindJob.name, 0.0, now, asked_s=asked_s))
        return restore.with_stage(FindingJob(prepared=stage.prepared, triggered=now), now)
    following = TrackingOperation(prepared=stage.prepared, triggered=now, operation=answer.operation)
    return restore.with_stage(following, now)


def start_failed(restore: Restore, call: StartRestore, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a failed post, depending on whether Azure may have accepted the restore."""
    stage = restore.stage
    if not isinstance(stage, Triggering | AwaitingResourceGuard):
        return restore
    restore = _with_attempt(restore, call)
    answered = replace(restore, backoff=restore.backoff.without_failures(call.name))
    if isinstance(error, UnknownOutcomeError):
        return outcome_unknown(answered, error, now)
    if error.code == errors.RESOURCE_GUARD_CLOSED:
        return _awaiting_resource_guard(answered, stage, error, now)
    if isinstance(error, TransientError) and error.code == errors.INTERNAL_ERROR:
        return replace(restore, stage=replace(stage, in_doubt=error.message))
    if error.code == errors.ITEM_BUSY:  # so the Resource Guard, if there is one, is open
        restore = restore.with_stage(Triggering(prepared=stage.prepared), now).with_settled(
            WarningCode.RESOURCE_GUARD_CLOSED, now
        )
    return retry_or_end(restore, call, error, now)  # certainly not accepted


def _with_attempt(restore: Restore, call: StartRestore) -> Restore:
    return replace(restore, trigger=replace(restore.trigger, attempts=call.attempt))


def _after_acceptance(restore: Restore, now: datetime) -> Restore:
    """Return the restore after Azure accepted it: its busy item and its Resource Guard no longer matter."""
    return restore.with_free_item(now).with_settled(WarningCode.RESOURCE_GUARD_CLOSED, now)


def _awaiting_resource_guard(restore: Restore, stage: Posting, error: RestoreError, now: datetime) -> Restore:
    since = stage.since if isinstance(stage, AwaitingResourceGuard) else now
    until = since + restore.request.approval_timeout
    if now >= until:
        return outcome.resource_guard_stayed_closed(restore, error.to_json(), now)
    own_s = job_interval_s(restore.limits, now - since)
    waiting = AwaitingResourceGuard(prepared=stage.prepared, since=since, refusal=error.to_json())
    restore = replace(restore, backoff=restore.backoff.wait(StartRestore.name, own_s, now))
    return restore.with_stage(waiting, now).with_warning(
        WarningCode.RESOURCE_GUARD_CLOSED,
        "The vault's Resource Guard does not let the app restore yet. Give its identity Backup MUA Operator on the "
        f"guard; the trigger is sent again until {format_time(until)}.",
    )


def outcome_unknown(restore: Restore, error: RestoreError, now: datetime) -> Restore:
    """Return the restore in the stage ``Searching``: its job is searched for before it is posted again."""
    stage = restore.stage
    if not isinstance(stage, Triggering | AwaitingResourceGuard):
        return restore
    # A late delivery has not posted itself, so it does not count as a post with an unknown outcome.
    unknown = restore.trigger.unknown + (error.code != errors.LATE_DELIVERY)
    message = (
        f"It is unknown whether the service accepted the restore request: {error.message} "
        "Its job is searched for before anything else is tried."
    )
    restore = replace(
        restore,
        trigger=replace(restore.trigger, unknown=unknown),
        item_busy=None,
        backoff=restore.backoff.without_failures(StartRestore.name).wait(
            FindJob.name, _FIRST_SEARCH_S, now, asked_s=error.retry_after_s
        ),
    )
    searching = Searching(before=replace(stage, in_doubt=None), since=now)
    return restore.with_stage(searching, now).with_warning(WarningCode.TRIGGER_OUTCOME_OPEN, message)


def broken_attempt_answered(restore: Restore, *, is_ours: bool, now: datetime) -> Restore:
    """Return the restore that posts again if its broken attempt could be claimed, else searches for its job."""
    stage = restore.stage
    if not isinstance(stage, Triggering | AwaitingResourceGuard) or stage.in_doubt is None:
        return restore
    error = TransientError(errors.INTERNAL_ERROR, stage.in_doubt)
    if not is_ours:
        return outcome_unknown(restore, error, now)
    return retry_or_end(replace(restore, stage=replace(stage, in_doubt=None)), StartRestore, error, now)


def search_answered(restore: Restore, stage: Searching, found: FoundJob, now: datetime) -> Restore:
    """Return the restore with its job, or still searching; after the window it is posted once more, or ends."""
    if found.job_id is not None:
        return job_found(watching.with_watch(restore, now), found.job_id, now)
    may_post_again = restore.trigger.unknown < _MAX_UNKNOWN
    wait_s = search_interval_s(restore.limits, stage.since, now)
    if wait_s is None and may_post_again:
        again = replace(restore, backoff=restore.backoff.without_wait(StartRestore.name))
        return again.with_stage(stage.before, now)
    elapsed = now - stage.since
    if wait_s is None and elapsed < timedelta(seconds=restore.limits.adoption_window_s) + PATIENCE:
        wait_s = min(elapsed.total_seconds(), _MAX_LATE_SEARCH_S)  # nothing else can be tried: it may be listed late
    if wait_s is not None:
        return replace(restore, backoff=restore.backoff.wait(FindJob.name, wait_s, now))
    message = (
        f"The restore was posted {restore.trigger.unknown} times without a clear answer, and no job was found since."
    )
    return outcome.failed(restore, TerminalError(errors.RESTORE_FAILED, message), now)


def job_found(restore: Restore, job_id: str, now: datetime, *, asked_s: float | None = None) -> Restore:
    """Return the restore that follows this job. ``asked_s`` is the wait from the answer that named the job."""
    stage = restore.stage
    prepared = restore.prepared
    if prepared is None:
        return restore
    operation_id: str | None = None
    triggered = now
    match stage:
        case TrackingOperation():
            triggered, operation_id = stage.triggered, stage.operation.operation_id
        case FindingJob():
            triggered, operation_id = stage.triggered, stage.operation_id
        case Searching():
            triggered = stage.since
        case _:
            pass
    restore = _after_acceptance(restore, now)
    # After an accepted post, an earlier post whose answer was lost may still have made a second job.
    if not isinstance(stage, TrackingOperation | FindingJob):
        restore = restore.with_settled(WarningCode.TRIGGER_OUTCOME_OPEN, now)
    tracking = TrackingJob(prepared=prepared, triggered=triggered, job_id=job_id, operation_id=operation_id)
    if asked_s:
        restore = replace(restore, backoff=restore.backoff.wait(GetJob.name, 0.0, now, asked_s=asked_s))
    return restore.with_stage(tracking, now)
