"""The stages after the trigger: the operation is polled until it names the job, then the job until it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.azure.disks import difference
from domain.azure.jobs import OperationStatus
from domain.azure.resource_ids import RESOURCE_GROUP, ResourceId
from domain.errors import TerminalError, TransientError
from domain.follow_up.patience import is_over
from domain.restore import follow_up, outcome, watching
from domain.restore.calls import FindJob, GetJob, GetOperation, ListRestoredDisks
from domain.restore.failure import PATIENCE, retry, retry_or_end
from domain.restore.job_result import source_machine
from domain.restore.parts import WatchNews
from domain.restore.polling import job_interval_s, operation_interval_s
from domain.restore.stages import ComparingDisks, FindingJob, Restored, TrackingJob, TrackingOperation
from domain.restore.steps import when_due
from domain.restore.trigger import find_job, job_found
from domain.warning_codes import WarningCode
from domain.wire import as_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.azure.jobs import Job, Operation
    from domain.errors import RestoreError
    from domain.restore.answers import FoundJob, RestoredDisks
    from domain.restore.backoff import Backoff
    from domain.restore.state import Restore
    from domain.restore.steps import Step

_MAX_FAILURES_OF_ADDRESS: Final = 2
_LONG_OPERATION: Final = timedelta(minutes=5)
_DISKS_PATIENCE: Final = timedelta(minutes=2)  # the job has ended: its result must not wait long for the disks


def decide_operation(restore: Restore, stage: TrackingOperation, now: datetime) -> Step:
    """Return the step that polls the operation, or that searches the list of jobs.

    The list is read when the operation has ended without naming a job, or takes long: it may have one nevertheless. It
    is also read for a cancellation, which needs the job.
    """
    searching = find_job(restore, stage.prepared)
    if stage.ended is not None:
        return when_due(restore, searching, now)
    polling = GetOperation(
        vault_id=stage.prepared.item.vault_id, operation_id=stage.operation.operation_id, url=stage.operation.url
    )
    is_cancelled = restore.cancellation is not None and not restore.cancellation.is_done
    if is_cancelled or now - stage.triggered > _LONG_OPERATION:
        return watching.poll(restore, (searching, polling), now)
    return watching.poll(restore, (polling,), now)


def decide_finding_job(restore: Restore, stage: FindingJob, now: datetime) -> Step:
    """Return the step that searches for the job in the vault's list."""
    return watching.poll(restore, (find_job(restore, stage.prepared),), now)


def get_job(stage: TrackingJob) -> GetJob:
    """Return the call that polls the job."""
    return GetJob(vault_id=stage.prepared.item.vault_id, job_id=stage.job_id)


def decide_job(restore: Restore, stage: TrackingJob, now: datetime) -> Step:
    """Return the step that polls the job."""
    return watching.poll(restore, (get_job(stage),), now)


def decide_disks(restore: Restore, stage: ComparingDisks, now: datetime) -> Step:
    """Return the step that lists the disks which the job has created."""
    call = ListRestoredDisks(
        target_resource_group_id=stage.resource_group_id,
        source_resource_id=stage.prepared.item.source_resource_id,
        since=stage.job.start or stage.tracked.triggered,
        until=stage.job.end or now,
        job_id=stage.job.job_id,
        target_virtual_machine_id=restore.request.body.get("targetVirtualMachineId"),
    )
    return when_due(restore, call, now)


def operation_answered(restore: Restore, call: GetOperation, operation: Operation, now: datetime) -> Restore:
    """Return the restore with the job that the operation names, or waiting for the next poll."""
    stage = restore.stage
    if not isinstance(stage, TrackingOperation):
        return restore
    if operation.job_id is not None:
        named = job_found(restore, operation.job_id, now, asked_s=restore.backoff.asked_s(call.name, now))
        return watching.with_known_job(named)
    if operation.status is not OperationStatus.RUNNING:
        backoff = restore.backoff.without_failures(FindJob.name)
        return replace(restore, stage=replace(stage, ended=operation), backoff=backoff)
    known = replace(stage.operation, url=operation.next_url or stage.operation.url)
    own_s = operation_interval_s(restore.limits, now - stage.triggered)
    backoff = restore.backoff.wait(call.name, own_s, now)
    return replace(restore, stage=replace(stage, operation=known), backoff=backoff)


def operation_failed(restore: Restore, call: GetOperation, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a failed poll. After a 404 the job is searched for: the service forgets operations."""
    stage = restore.stage
    if not isinstance(stage, TrackingOperation):
        return restore
    if error.code == errors.NOT_FOUND and isinstance(error, TerminalError):
        following = FindingJob(
            prepared=stage.prepared, triggered=stage.triggered, operation_id=stage.operation.operation_id
        )
        return restore.with_stage(following, now)
    failures = restore.backoff.failures(call.name)
    if isinstance(error, TransientError) and failures >= _MAX_FAILURES_OF_ADDRESS:
        known = replace(stage.operation, url=None)  # the vault has an address of its own for it
        restore = replace(restore, stage=replace(stage, operation=known))
    return retry_or_end(restore, call, error, now)


def search_answered(restore: Restore, stage: TrackingOperation | FindingJob, found: FoundJob, now: datetime) -> Restore:
    """Return the restore with its job, or waiting for it to be listed."""
    if found.job_id is not None:
        return watching.with_known_job(job_found(restore, found.job_id, now))
    elapsed = now - stage.triggered
    own_s = job_interval_s(restore.limits, elapsed)
    if isinstance(stage, TrackingOperation):
        if stage.ended is None:
            return replace(restore, backoff=_search_with_next_poll(restore, own_s, now))
        if stage.ended.status is not OperationStatus.SUCCEEDED:
            return outcome.ended_by_operation(restore, stage.ended, stage.operation.operation_id, now)
    if elapsed >= PATIENCE:
        message = "The service accepted the restore, but no job of it was found within half an hour."
        return outcome.failed(restore, TerminalError(errors.RESTORE_FAILED, message), now)
    if isinstance(stage, TrackingOperation):
        restore = replace(restore, stage=replace(stage, ended=None))
        return replace(restore, backoff=restore.backoff.wait(GetOperation.name, own_s, now))
    return replace(restore, backoff=restore.backoff.wait(FindJob.name, own_s, now))


def _search_with_next_poll(restore: Restore, own_s: float, now: datetime) -> Backoff:
    """Return the backoff in which the next search is not before the operation's next poll."""
    polled = restore.backoff.not_before(GetOperation.name) or now
    return restore.backoff.wait(FindJob.name, max((polled - now).total_seconds(), own_s), now)


def search_failed(restore: Restore, call: FindJob, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a failed search. A transient failure never ends it while its operation is polled too."""
    stage = restore.stage
    if isinstance(stage, TrackingOperation) and stage.ended is None and isinstance(error, TransientError):
        return retry(restore, call, now)
    return retry_or_end(restore, call, error, now)


def news_heard(restore: Restore, message: Mapping[str, Any], now: datetime) -> Restore:
    """Return the restore after the watcher of its vault has told it something; what it cannot need changes nothing."""
    news, job_id = message.get("news"), as_name(message.get("jobId"))
    if news not in list(WatchNews) or not restore.is_taken:
        return restore
    if news != WatchNews.FOUND:
        return watching.heard(restore, WatchNews(news), now)
    if job_id is None or not isinstance(restore.stage, TrackingOperation | FindingJob):
        return restore
    return watching.found(job_found(restore, job_id, now), now)


def job_answered(restore: Restore, call: GetJob, job: Job, now: datetime) -> Restore:
    """Return the restore with the job's progress, or at its end."""
    stage = restore.stage
    if not isinstance(stage, TrackingJob):
        return restore
    polled = stage if job.progress_pct is None else replace(stage, progress_pct=job.progress_pct)
    restore = replace(restore, stage=polled)
    if job.status.is_running:
        own_s = job_interval_s(restore.limits, now - stage.triggered)
        restore = replace(restore, backoff=restore.backoff.wait(call.name, own_s, now))
        return watching.still_running(restore)
    if outcome.is_of_earlier_restore(restore, job):
        return outcome.ended_by_earlier_job(restore, job, now)
    group_id = _group_of_disks(restore, polled, job) if job.status.is_good else None
    if group_id is None and job.status.is_good and follow_up.is_wanted(restore):
        error = TerminalError(errors.RESTORE_FAILED, "The restore has made no managed disks.")
        return follow_up.not_done(restore, Restored(tracked=polled, job=job, disks=()), error, now)
    if group_id is None:
        return outcome.ended_by_job(restore, job, now)
    luns = restore.request.disk_luns
    comparing = ComparingDisks(
        tracked=polled, job=job, resource_group_id=group_id, luns=None if luns is None else tuple(luns)
    )
    return restore.with_stage(comparing, now)


def job_failed(restore: Restore, call: GetJob, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a failed poll of its job.

    A read in turn was only for the progress: its failure does not end the restore, which waits for its next turn.
    """
    stage, watch = restore.stage, restore.watch
    if not isinstance(stage, TrackingJob) or watch is None or not watch.has_turn:
        return retry_or_end(restore, call, error, now)
    own_s = job_interval_s(restore.limits, now - stage.triggered)
    return watching.after_turn(replace(restore, backoff=restore.backoff.wait(call.name, own_s, now)), watch)


def _group_of_disks(restore: Restore, stage: TrackingJob, job: Job) -> str | None:
    """Return the id of the resource group in which the job created managed disks; ``None`` if it created VHDs.

    Disks that are replaced in place are created in the group that the job names, else in the VM's own.
    """
    request = restore.request
    if not stage.prepared.point.managed and request.body.get("restoreWithManagedDisks") is not True:
        return None
    if not request.is_in_place and request.target_group is not None:
        return request.target_group
    if not request.is_in_place and request.then_swap_disks is None:
        return None
    machine = source_machine(restore)
    if machine is None:
        return None
    subscription = f"/subscriptions/{machine.subscription_id}/resourceGroups"
    named = job.result().target_resource_group or machine.resource_group
    try:
        return ResourceId.parse(f"{subscription}/{named}", RESOURCE_GROUP).text
    except ValueError:
        return f"{subscription}/{machine.resource_group}"


def disks_listed(restore: Restore, _call: ListRestoredDisks, found: RestoredDisks, now: datetime) -> Restore:
    """Return the restore at its end, with a warning if its disks are not known or differ from the requested ones."""
    stage = restore.stage
    if not isinstance(stage, ComparingDisks):
        return restore
    if follow_up.is_wanted(restore):
        return _with_disks(restore, stage, found, now)
    if stage.luns is not None:
        differs = difference(stage.luns, found.disks)
        if differs is not None:
            restore = restore.with_warning(WarningCode.DISKS_DIFFER, differs)
    elif not found.disks:
        message = f"The restored disks could not be told from the others of the resource group. {_where_to_look(stage)}"
        restore = restore.with_warning(WarningCode.DISKS_NOT_LISTED, message)
    return outcome.ended_by_job(restore, stage.job, now, found.disks or None)


def _with_disks(restore: Restore, stage: ComparingDisks, found: RestoredDisks, now: datetime) -> Restore:
    """Return the restore that goes on with its disks; not with disks that differ from the requested ones."""
    restored = Restored(tracked=stage.tracked, job=stage.job, disks=found.disks)
    differs = difference(stage.luns, found.disks) if stage.luns is not None else None
    if differs is not None:
        return follow_up.not_done(restore, restored, TerminalError(errors.RESTORE_FAILED, differs), now)
    return follow_up.begun(restore, restored, now)


def disks_failed(restore: Restore, call: ListRestoredDisks, error: RestoreError, now: datetime) -> Restore:
    """Return the restore at its end, with a warning, because its disks cannot be listed; first it tries again."""
    stage = restore.stage
    if not isinstance(stage, ComparingDisks):
        return restore
    retried = retry(restore, call, now)
    if follow_up.is_wanted(restore):
        # Nothing can go on without the disks, and even a 403 may pass: a role may be granted.
        if not is_over(retried.backoff.failures(call.name), retried.backoff.failing_for(call.name, now)):
            return retried
        restored = Restored(tracked=stage.tracked, job=stage.job, disks=())
        return follow_up.not_done(restore, restored, error, now)
    due = retried.backoff.not_before(call.name) or now
    if isinstance(error, TransientError) and retried.backoff.failing_for(call.name, due) <= _DISKS_PATIENCE:
        return retried
    if stage.luns is None:
        code, message = WarningCode.DISKS_NOT_LISTED, f"The restored disks could not be listed: {error.message}"
    else:
        code = WarningCode.DISKS_NOT_COMPARED
        message = f"The restored disks could not be compared with the requested ones: {error.message}"
    restore = restore.with_warning(code, f"{message} {_where_to_look(stage)}")
    return outcome.ended_by_job(restore, stage.job, now)


def _where_to_look(stage: ComparingDisks) -> str:
    return f"Look in {stage.resource_group_id} for disks with the tag RSVaultBackup {stage.job.job_id}."
