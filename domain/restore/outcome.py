"""How a restore ends, with messages that say what a person has to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.api_types import Plan, PlanResult
from domain.azure.jobs import JobStatus, OperationStatus
from domain.azure.vault_block import TRY_AGAIN_AFTER, is_vault_block
from domain.codec import as_json
from domain.errors import RestoreError, TerminalError
from domain.follow_up.planned import PlannedCall, planned_follow_up
from domain.follow_up.work import kind_of
from domain.restore.calls import ClaimPost
from domain.restore.job_result import with_result
from domain.restore.parts import Decision, Delivery, LockState, Outcome, RefusedWhen, Source, Status
from domain.restore.request_body import restore_body
from domain.restore.stages import (
    AwaitingMaintenance,
    AwaitingResourceGuard,
    ComparingDisks,
    FollowingUp,
    TrackingJob,
    Triggering,
)
from domain.restore.state import ADMISSION_PATIENCE_S
from domain.times import format_duration, format_time
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.azure.disks import Disk
    from domain.azure.jobs import Job, Operation
    from domain.azure.recovery_points import Candidate
    from domain.codec import JsonOf
    from domain.errors import Json
    from domain.follow_up.work import Work
    from domain.restore.answers import Refusal
    from domain.restore.parts import Approval, Cancellation, ItemBusy
    from domain.restore.stages import Restored
    from domain.restore.state import Restore

_CLOCKS_DIFFER_BY: Final = timedelta(hours=1)
_DISK_NAMES_CHANGED: Final = (
    "The VM's disks were replaced by new ones with other names. Bring Terraform, Bicep or other descriptions of the VM "
    "into line before they are applied again; the old disks are detached in its resource group."
)


def ended(
    restore: Restore, status: Status, now: datetime, *, error: RestoreError | None = None, result: Json | None = None
) -> Restore:
    """Return the restore ended with this status."""
    outcome = Outcome(status=status, completed=now, error=None if error is None else error.to_json(), result=result)
    return replace(restore, outcome=outcome)


def failed(restore: Restore, error: RestoreError, now: datetime) -> Restore:
    """Return the restore ended by an error; the plan, if it is one, keeps what was found."""
    message = f"{error.message} {what_may_still_run(restore)}".strip()
    final = TerminalError(error.code, message, error.details)
    return ended(restore, Status.FAILED, now, error=final, result=plan_of(restore))


def timed_out(restore: Restore, now: datetime) -> Restore:
    """Return the restore ended by its deadline. Azure's job, if any, is not cancelled."""
    if (busy := restore.waits_for_item) is not None:
        return _item_stayed_busy(restore, busy, now)
    allowed = format_duration(timedelta(seconds=restore.limits.deadline_s))
    message = (
        f"The restore had not ended {allowed} after it was accepted, which RESTORE_DEADLINE_HOURS allows. "
        f"{what_may_still_run(restore)}"
    )
    return ended(restore, Status.TIMED_OUT, now, error=RestoreError(errors.DEADLINE_EXCEEDED, message))


def _item_stayed_busy(restore: Restore, busy: ItemBusy, now: datetime) -> Restore:
    message = (
        f"Azure Backup has not taken the restore since {format_time(busy.since)}, because the VM's protected item is "
        "busy (see details), and the time that RESTORE_DEADLINE_HOURS allows is over. Look in the vault's list of jobs "
        "for the operation that runs on it, wait for its end or cancel it, then send the request again, with a new "
        "requestId."
    )
    details = RestoreError.from_json(busy.error).details
    return failed(restore, TerminalError(errors.REQUEST_CONFLICT, message, details), now)


def cancelled(restore: Restore, now: datetime) -> Restore:
    """Return the restore ended by a cancellation, without a known job that could be cancelled."""
    status, error = withdrawal(restore, what_may_still_run(restore))
    return ended(restore, status, now, error=error)


def rejected(restore: Restore, now: datetime) -> Restore:
    """Return the restore ended because a person rejected it, or nobody decided in time."""
    status, error = withdrawal(restore, "Nothing was started.")
    return ended(restore, status, now, error=error)


def withdrawal(restore: Restore, done: str) -> tuple[Status, RestoreError]:
    """Return status and error of a restore that was cancelled, rejected, or not approved in time.

    ``done`` is the sentence that says what was done of it.
    """
    if restore.cancellation is not None:
        message = f"The restore was cancelled{_attribution(restore.cancellation)}. {done}"
        return Status.CANCELLED, RestoreError(errors.RESTORE_CANCELLED, message.strip())
    if restore.approval is not None and restore.approval.decision is Decision.TIMED_OUT:
        timeout = format_duration(restore.request.approval_timeout)
        message = f"Nobody approved the restore within {timeout}. {done}"
        return Status.REJECTED, RestoreError(errors.APPROVAL_TIMED_OUT, message)
    message = f"The restore was rejected{_attribution(restore.approval)}. {done}"
    return Status.REJECTED, RestoreError(errors.REJECTED, message)


def resource_guard_stayed_closed(restore: Restore, refusal: Json, now: datetime) -> Restore:
    """Return the restore rejected because nobody opened the Resource Guard in time; ``refusal`` is its last answer."""
    timeout = format_duration(restore.request.approval_timeout)
    message = f"The Resource Guard was not opened within {timeout}. {what_may_still_run(restore)}"
    error = RestoreError(errors.APPROVAL_TIMED_OUT, message, RestoreError.from_json(refusal).details)
    return ended(restore, Status.REJECTED, now, error=error)


def refused(restore: Restore, refusal: Refusal, now: datetime) -> Restore:
    """Return the restore as refused by admission control.

    A caller who is still waiting is answered with the refusal; otherwise the results queue reports it. Nobody waits for
    the start of a recovery's member, so it is listed as any restore.
    """
    is_asked_for = restore.accepted.source is not Source.RECOVERY and restore.request.source_resource_id is not None
    waited_s = (now - restore.accepted.created).total_seconds()
    in_time = is_asked_for and waited_s <= ADMISSION_PATIENCE_S
    if not in_time:
        restore = restore.with_warning(
            WarningCode.REFUSED_LATE, "Its caller had been answered before admission control refused it."
        )
    error = RestoreError(refusal.code, f"{refusal.message} Nothing was started.")
    status = Status.REJECTED if restore.accepted.source is Source.ALERT else Status.FAILED
    done = ended(restore, status, now, error=error)
    assert done.outcome is not None  # noqa: S101 - set a line above
    outcome = replace(
        done.outcome,
        refused=RefusedWhen.AT_ONCE if in_time else RefusedWhen.LATER,
        queue=Delivery.NOT_NEEDED if in_time and restore.accepted.source.waits_for_admission else Delivery.PENDING,
    )
    lock = LockState.REFUSED if done.admission.lock is LockState.WANTED else done.admission.lock
    return replace(done, outcome=outcome, admission=replace(done.admission, lock=lock))


def planned(restore: Restore, now: datetime) -> Restore:
    """Return the restore ended as a plan."""
    return ended(restore, Status.PLANNED, now, result=plan_of(restore))


def plan_of(restore: Restore) -> Json | None:
    """Return a plan's ``result``: the body that would be sent, and the verdict on each candidate; else ``None``."""
    prepared = restore.prepared
    if not restore.request.is_plan or prepared is None:
        return None
    body = restore_body(restore.request, prepared.item, prepared.point, prepared.guard_requests, prepared.machine)
    follow_up = planned_follow_up(restore.request, prepared.machine, prepared.source_size)
    return plan_result(body, prepared.candidates, follow_up)


def plan_result(
    body: Json | None, candidates: Sequence[JsonOf[Candidate]], follow_up: tuple[PlannedCall, ...] = ()
) -> Json:
    """Return the ``result`` of a plan; ``body`` is ``None`` where no point fits."""
    return as_json(PlanResult(plan=Plan(request_body=body, candidates=tuple(candidates), follow_up=follow_up)))


def ended_by_operation(restore: Restore, operation: Operation, operation_id: str, now: datetime) -> Restore:
    """Return the restore ended by an operation that failed or was cancelled, and has no job."""
    reason = f": {operation.error.message}" if operation.error else "."
    details = () if operation.error is None else (operation.error,)
    if operation.status is OperationStatus.CANCELED:
        status, code, verb = Status.CANCELLED, errors.RESTORE_CANCELLED, "was cancelled"
    else:
        status, code, verb = Status.FAILED, errors.RESTORE_FAILED, "failed"
    if operation.error is not None and is_vault_block(operation.error.code):
        restore = replace(restore, slot=replace(restore.slot, blocked_until=now + TRY_AGAIN_AFTER))
    error = TerminalError(code, f"The restore operation {operation_id} {verb}{reason}", details)
    return ended(restore, status, now, error=error)


def is_of_earlier_restore(restore: Restore, job: Job) -> bool:
    """Return whether an ended job is that of an earlier restore with the same ``requestId``, purged since.

    Both restores have one id, and so one client request id, by which the job was found.
    """
    return job.end is not None and job.end < restore.accepted.created - _CLOCKS_DIFFER_BY


def ended_by_earlier_job(restore: Restore, job: Job, now: datetime) -> Restore:
    """Return the restore failed: to post under that id would leave two jobs that cannot be told apart."""
    ended_at = "" if job.end is None else f" at {format_time(job.end)}"
    message = (
        f"This requestId was used before: Azure Backup lists job {job.job_id} under it, which ended as {job.status}"
        f"{ended_at}, before this request. Nothing was started. Send the request with another requestId."
    )
    return ended(restore, Status.FAILED, now, error=TerminalError(errors.REQUEST_ID_REUSED, message))


def ended_by_job(restore: Restore, job: Job, now: datetime, disks: Sequence[Disk] | None = None) -> Restore:
    """Return the restore ended as its job has ended; only the job decides, and its messages are the service's.

    ``disks`` are the managed disks that it created, ``None`` if none were listed.
    """
    if restore.cancellation is not None and job.status is not JobStatus.CANCELLED:
        by = _attribution(restore.cancellation)
        message = f"The restore was to be cancelled{by}, but its job ended as {job.status}."
        if restore.request.has_follow_up:
            message += " Nothing was done with its disks."
        restore = restore.with_warning(WarningCode.CANCELLED_TOO_LATE, message)
    restore, result = with_result(restore, job, disks)
    if not job.status.is_good:
        return _ended_without_success(restore, job, now, result)
    if restore.request.is_in_place:
        restore = restore.with_warning(WarningCode.DISK_NAMES_CHANGED, _DISK_NAMES_CHANGED)
    if job.status is JobStatus.COMPLETED:
        return ended(restore, Status.COMPLETED, now, result=result)
    for detail in job.details:
        restore = restore.with_warning(detail.code, detail.message)
    restore = restore.with_warning(
        WarningCode.COMPLETED_WITH_WARNINGS,
        "The service reports warnings. Check that the disks are there before you rely on them.",
    )
    return ended(restore, Status.COMPLETED_WITH_WARNINGS, now, result=result)


def ended_after_job(
    restore: Restore,
    restored: Restored | None,
    status: Status,
    now: datetime,
    *,
    error: RestoreError | None = None,
    done: Work | None = None,
) -> Restore:
    """Return the restore ended after its job: by what was ``done`` with its disks, or because nothing was.

    ``restored`` is ``None`` for the undo of an earlier restore, which had no job of its own.
    """
    result: Json = {}
    if restored is not None:
        restore, result = with_result(restore, restored.job, restored.disks or None)
    if done is not None:
        kind = kind_of(done)
        result = {**result, kind.member: kind.document(done, is_over=True)}
    return ended(restore, status, now, error=error, result=result or None)


def _ended_without_success(restore: Restore, job: Job, now: datetime, result: Json) -> Restore:
    if job.status is JobStatus.CANCELLED:
        status, code = Status.CANCELLED, errors.RESTORE_CANCELLED
        verb = f"was cancelled{_attribution(restore.cancellation)}"
    else:
        status, code, verb = Status.FAILED, errors.RESTORE_FAILED, "failed"
    reason = f": {job.details[0].message}" if job.details else "."
    error = RestoreError(code, f"Azure Backup job {job.job_id} {verb}{reason}", job.details)
    return ended(restore, status, now, error=error, result=result)


def may_have_started(restore: Restore) -> bool:
    """Return whether Azure has the restore, or may have it because the outcome of a post is not known."""
    # An attempt that broke counts as posted until its claim shows that it was not. A restore that was withdrawn may
    # have been posted by another run of the same step, as long as it could not claim its next attempt.
    in_doubt = isinstance(restore.stage, Triggering | AwaitingResourceGuard) and restore.stage.in_doubt is not None
    is_unclaimed = restore.backoff.failures(ClaimPost.name) > 0
    return restore.azure_has_it or restore.trigger.unknown > 0 or in_doubt or is_unclaimed


def what_may_still_run(restore: Restore) -> str:
    """Return what Azure may still be doing when the restore is given up, and where a person finds it."""
    if isinstance(restore.stage, AwaitingMaintenance | FollowingUp):
        return "The disks are restored."
    stage = restore.stage.tracked if isinstance(restore.stage, ComparingDisks) else restore.stage
    if isinstance(stage, TrackingJob):
        return f"Azure Backup job {stage.job_id} may still run: look at it in the vault."
    if may_have_started(restore):
        return (
            f"A person must look: search the vault's restore jobs for activityId {restore.client_request_id} "
            "before starting another restore."
        )
    return "Nothing was started."


def _attribution(person: Approval | Cancellation | None) -> str:
    """Return who decided and why, to be added to a sentence; empty if neither is known."""
    if person is None:
        return ""
    return (f" by {person.by}" if person.by else "") + (f" ({person.comment})" if person.comment else "")
