"""After the job: the restored disks are put to use as the request asks, or an earlier swap is undone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from domain import errors
from domain.azure.jobs import JobStatus
from domain.errors import RestoreError, TerminalError
from domain.follow_up import work
from domain.follow_up.swap import Swap
from domain.restore import outcome
from domain.restore.backoff import retry_interval_s
from domain.restore.parts import Status
from domain.restore.stages import AwaitingMaintenance, FollowingUp, Restored
from domain.restore.steps import Wait, when_due
from domain.restore.works import kind_wanted, work_of
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.restore.calls import ActivityCall
    from domain.restore.state import Restore
    from domain.restore.steps import Step

# How it begins


def is_wanted(restore: Restore) -> bool:
    """Return whether the restore has something to do with its disks."""
    return restore.request.has_follow_up


def begun(restore: Restore, restored: Restored, now: datetime) -> Restore:
    """Return the restore, which goes on with its disks, or has ended because it cannot.

    Its disks are used only after a job without any warning; whoever cancelled the restore does not want them used.
    """
    if restore.cancellation is not None:
        return outcome.ended_by_job(restore, restored.job, now, restored.disks or None)
    if restored.job.status is not JobStatus.COMPLETED:
        reason = (
            f"Azure Backup job {restored.job.job_id} completed with warnings. Check the disks, and attach them by hand."
        )
        code = work.KINDS[kind_wanted(restore)].error_code
        return not_done(restore, restored, TerminalError(code, reason, restored.job.details), now)
    try:
        begun_work = work_of(restore, restored)
    except TerminalError as error:
        return not_done(restore, restored, error, now)
    if not (restore.request.needs_approval_of_swap and isinstance(begun_work, Swap)):
        return restore.with_stage(FollowingUp(work=begun_work, restored=restored), now)
    # The disks may be deleted while the restore waits, so they are looked for again.
    checked = replace(begun_work, unchecked=tuple(place.disk.disk_id for place in begun_work.wanted if place.disk))
    waiting = restore.with_stage(AwaitingMaintenance(restored=restored, work=checked, since=now), now)
    return waiting.with_swap_approval_asked()


def not_done(restore: Restore, restored: Restored, error: RestoreError, now: datetime) -> Restore:
    """Return the restore at its end: its disks are there, but they were not put to use because of this error."""
    untouched = work.KINDS[kind_wanted(restore)].untouched
    whole = error.message if untouched in error.message else f"{error.message} {untouched}"
    final = TerminalError(error.code, whole, error.details)
    return outcome.ended_after_job(restore, restored, Status.FAILED, now, error=final)


def approved(restore: Restore, stage: AwaitingMaintenance, now: datetime) -> Restore:
    """Return the restore that swaps its disks, because a person has approved it."""
    return restore.with_stage(FollowingUp(work=stage.work, restored=stage.restored), now)


def withdrawn(restore: Restore, stage: AwaitingMaintenance, now: datetime) -> Restore:
    """Return the restore at its end: a person does not want the swap, or nobody approved it in time."""
    status, error = outcome.withdrawal(restore, "The disks are restored; the VM was not touched.")
    return outcome.ended_after_job(restore, stage.restored, status, now, error=error)


def cancel_heard(restore: Restore, stage: FollowingUp, now: datetime) -> Restore:
    """Return the restore after a cancellation: on its way back, or, when that is too late, on its way as before."""
    cancellation = restore.cancellation
    if cancellation is not None:
        restore = replace(restore, cancellation=replace(cancellation, is_done=True))
    kind = work.kind_of(stage.work)
    if not stage.work.may_go_back:
        return restore.with_warning(WarningCode.CANCELLED_TOO_LATE, kind.too_late)
    _, error = outcome.withdrawal(restore, "")
    return _with_work(restore, stage, kind.cancelled(stage.work, error, now), now)


# Its steps


def decide_maintenance(restore: Restore, stage: AwaitingMaintenance, _now: datetime) -> Step:
    """Return the wait for a person."""
    return Wait(until=stage.since + restore.request.approval_timeout)


def decide_work(restore: Restore, stage: FollowingUp, now: datetime) -> Step:
    """Return the work's next call, or the wait before it. At the end of the work the restore has ended as well."""
    call = work.kind_of(stage.work).next_call(stage.work)
    if call is None:
        raise ValueError("the work is over, so the restore should have ended")
    return when_due(restore, call, now)


def call_answered(restore: Restore, call: ActivityCall, value: Any, now: datetime) -> Restore:
    """Return the restore after a call of its work was answered."""
    stage = restore.stage
    if not isinstance(stage, FollowingUp):
        return restore
    asked_s = restore.backoff.asked_s(call.name, now)
    kind = work.kind_of(stage.work)
    after = kind.answered(stage.work, call, value, now)
    if asked_s is not None and call.name != kind.polled(after):
        restore = replace(restore, backoff=restore.backoff.hold(kind.polled(after), asked_s, now))
    return _with_work(restore, stage, after, now)


def call_failed(restore: Restore, call: ActivityCall, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a call of its work has failed."""
    stage = restore.stage
    if not isinstance(stage, FollowingUp):
        return restore
    return _with_work(restore, stage, work.kind_of(stage.work).failed(stage.work, call, error, now), now)


def _with_work(restore: Restore, stage: FollowingUp, after: work.Work, now: datetime) -> Restore:
    """Return the restore with its work as it is now: with the wait before the next call, or at its end."""
    kind, backoff = work.kind_of(after), restore.backoff
    before = work.troubles_of(stage.work)
    for name, trouble in work.troubles_of(after).items():
        if before.get(name) != trouble:
            backoff = backoff.wait(name, retry_interval_s(trouble.failures - 1), now)
    look_s = kind.look_again_s(after, now)
    if look_s:
        backoff = backoff.wait(kind.polled(after), look_s, now)
    stage = replace(stage, work=after)
    restore = replace(restore, stage=stage, backoff=backoff)
    return restore if kind.next_call(after) is not None else _ended(restore, stage, now)


def _ended(restore: Restore, stage: FollowingUp, now: datetime) -> Restore:
    for warning in work.warnings_of(stage.work):
        restore = restore.with_warning(warning.code, warning.message)
    undo = f"POST /api/restores/{restore.restore_id}/undo to put the former disks back"
    error = work.kind_of(stage.work).end_error(stage.work, undo)
    if error is not None:
        status = Status.CANCELLED if error.code == errors.RESTORE_CANCELLED else Status.FAILED
    else:
        status = Status.COMPLETED_WITH_WARNINGS if work.warnings_of(stage.work) else Status.COMPLETED
    return outcome.ended_after_job(restore, stage.restored, status, now, error=error, done=stage.work)
