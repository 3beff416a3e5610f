"""Cancelled and rejected restores: nothing is started, or Azure's job is cancelled and followed to its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TransientError, UnknownOutcomeError
from domain.restore import follow_up, outcome
from domain.restore.calls import CancelJob, ClaimPost, GetJob
from domain.restore.failure import PATIENCE, retry, retry_or_end
from domain.restore.parts import Cancellation, Decision
from domain.restore.polling import job_interval_s
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingMaintenance,
    AwaitingResourceGuard,
    FollowingUp,
    Preparing,
    Resolving,
    TrackingJob,
    Triggering,
    Validating,
)
from domain.restore.steps import first_due, when_due
from domain.restore.track import get_job
from domain.restore.trigger import broken_attempt_answered, claim_post, outcome_unknown
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.answers import Claim, Done
    from domain.restore.state import Restore
    from domain.restore.steps import Step


def is_withdrawn(restore: Restore) -> bool:
    """Return whether the restore was cancelled, rejected, or not approved in time."""
    decision = None if restore.approval is None else restore.approval.decision
    return restore.cancellation is not None or decision in {Decision.REJECTED, Decision.TIMED_OUT}


def decide(restore: Restore, now: datetime) -> Step | None:
    """Return the next step of a withdrawn restore, or ``None`` if its stage decides.

    The engine may have sent the trigger and crashed before it committed that. Then the same step runs twice, and only
    the second run receives the cancellation. The claim of the next attempt decides which of the two runs counts.
    """
    stage = restore.stage
    if not is_withdrawn(restore):
        return None
    if isinstance(stage, TrackingJob) and restore.cancellation is not None and not restore.cancellation.is_done:
        cancelling = CancelJob(vault_id=stage.prepared.item.vault_id, job_id=stage.job_id)
        polling = get_job(stage)
        has_failed = restore.backoff.failures(cancelling.name) > 0
        return first_due(restore, (polling, cancelling) if has_failed else (cancelling, polling), now)
    if isinstance(stage, Preparing) and stage.is_posted:
        return None
    if isinstance(stage, Preparing | Validating | AwaitingApproval | Triggering | AwaitingResourceGuard):
        return when_due(restore, claim_post(restore, restore.trigger.attempts + 1), now)
    return None


def after_withdrawal(restore: Restore, now: datetime) -> Restore:
    """Return the restore after it may have been withdrawn.

    It has ended if that came in a stage where nothing can have been posted, or before the VM was touched.
    """
    if isinstance(restore.stage, FollowingUp) and restore.cancellation is not None:
        return follow_up.cancel_heard(restore, restore.stage, now)
    if isinstance(restore.stage, AwaitingMaintenance) and is_withdrawn(restore):
        return follow_up.withdrawn(restore, restore.stage, now)
    early = isinstance(restore.stage, Resolving) or restore.request.is_plan
    if not (early and is_withdrawn(restore)):
        return restore
    return _ended(restore, now)


def _ended(restore: Restore, now: datetime) -> Restore:
    return outcome.rejected(restore, now) if restore.cancellation is None else outcome.cancelled(restore, now)


def claim_answered(restore: Restore, call: ClaimPost, claim: Claim, now: datetime) -> Restore:
    """Return the restore ended without a post, or searching for its job if another delivery has the claim."""
    stage = restore.stage
    if isinstance(stage, Triggering | AwaitingResourceGuard) and stage.in_doubt is not None:
        return broken_attempt_answered(restore, is_ours=claim.is_ours, now=now)
    if claim.is_ours:
        return _ended(restore, now)
    if restore.cancellation is None and restore.approval is not None:
        by = restore.approval
        restore = replace(restore, cancellation=Cancellation(by=by.by, comment=by.comment, time=by.time))
    restore = replace(restore, trigger=replace(restore.trigger, attempts=call.attempt))
    if isinstance(stage, Preparing):
        posted = replace(restore, trigger=replace(restore.trigger, unknown=1))
        return posted.with_stage(replace(stage, is_posted=True), now)
    if restore.prepared is not None and not isinstance(stage, Triggering | AwaitingResourceGuard):
        restore = restore.with_stage(Triggering(prepared=restore.prepared), now)
    message = "Another delivery of the same post has begun."
    return outcome_unknown(restore, UnknownOutcomeError(errors.SERVICE_UNAVAILABLE, message), now)


def claim_failed(restore: Restore, call: ClaimPost, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a claim that failed; nothing is posted while it is unknown whether an attempt posts."""
    stage = restore.stage
    if isinstance(stage, Triggering | AwaitingResourceGuard) and stage.in_doubt is not None:
        if isinstance(error, TransientError) and restore.backoff.failing_for(call.name, now) < PATIENCE:
            return retry(restore, call, now)
        return broken_attempt_answered(restore, is_ours=False, now=now)
    return retry_or_end(restore, call, error, now)


def cancel_sent(restore: Restore, call: CancelJob, _done: Done, now: datetime) -> Restore:
    """Return the restore whose job is being cancelled; the next polls of the job show whether it is."""
    return _with_cancellation_done(restore, restore.backoff.asked_s(call.name, now), now)


def _with_cancellation_done(restore: Restore, asked_s: float | None, now: datetime) -> Restore:
    if restore.cancellation is None:
        return restore
    backoff = restore.backoff.wait(GetJob.name, restore.limits.job_poll_min_s, now, asked_s=asked_s)
    return replace(restore, cancellation=replace(restore.cancellation, is_done=True), backoff=backoff)


def cancel_failed(restore: Restore, call: CancelJob, error: RestoreError, now: datetime) -> Restore:
    """Return the restore that cancels its job again, or after some time goes on with a warning; the job is polled."""
    if not isinstance(error, TransientError) or restore.backoff.failing_for(call.name, now) >= PATIENCE:
        message = f"Job {call.job_id} could not be cancelled: {error.message} The restore goes on."
        return _with_cancellation_done(restore.with_warning(WarningCode.CANCEL_REFUSED, message), None, now)
    own_s = job_interval_s(restore.limits, restore.backoff.failing_for(call.name, now))
    backoff = restore.backoff.retry(call.name, now, own_s=own_s).wait(GetJob.name, own_s, now)
    return replace(restore, backoff=backoff)
