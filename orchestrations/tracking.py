"""The steps after the trigger: the operation until it names its job, then the job until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain import errors
from domain.azure.disks import Disk, difference
from domain.errors import RestoreError, TerminalError, TransientError
from domain.jobs import Job, Operation, OperationStatus
from domain.polling import PATIENCE_S, job_interval_s, operation_interval_s, wait_s
from domain.restores import Status
from domain.times import format_time

from orchestrations.names import FIND_JOB, GET_JOB, GET_OPERATION, LIST_RESTORED_DISKS
from orchestrations.preparing import item_of
from orchestrations.triggering import adopt, job_search

if TYPE_CHECKING:
    from domain.errors import Json

    from orchestrations.run import Run, Steps

_TRUSTED_FAILURES: Final = 2
_LONG_OPERATION_S: Final = 300.0
_MAX_DISK_RETRIES: Final = 2  # the job has ended: its result must not wait long for this check


def follow_operation(run: Run) -> Steps[None]:
    """Look once at the operation, which only says that the job exists; whatever names the job ends it."""
    restore = run.restore
    if restore.operation_id is None:
        yield from _find_job(run)
        return
    answer = yield from _look_at_operation(run)
    if answer is None:
        yield from _find_job(run)
        return
    operation, asked_s = Operation.from_json(answer["operation"]), answer["retryAfterS"]
    if operation.job_id is not None:
        adopt(run, operation.job_id, asked_s=asked_s)
    elif operation.status is OperationStatus.RUNNING:
        run.update(operation_url=operation.next_url or restore.operation_url)
        yield from _wait_for_operation(run, asked_s)
    else:
        found = yield from run.ask(FIND_JOB, job_search(restore))
        if found["jobId"] is not None:
            adopt(run, found["jobId"], asked_s=asked_s)
        elif operation.status is OperationStatus.SUCCEEDED:
            _look_again(run, asked_s)
        else:
            _end(run, operation)


def _look_at_operation(run: Run) -> Steps[Json | None]:
    """Ask for the operation; ``None`` where it is forgotten (operations are after a while, jobs are not)."""
    restore = run.restore
    look = {"vaultId": item_of(restore).vault_id, "operationId": restore.operation_id, "url": restore.operation_url}
    try:
        return (yield from run.ask(GET_OPERATION, look))
    except TerminalError as error:
        if error.code != errors.NOT_FOUND:
            raise
        return None
    except TransientError:
        if restore.failures >= _TRUSTED_FAILURES:
            run.update(operation_url=None)  # the vault has an address of its own for it
        raise


def _wait_for_operation(run: Run, asked_s: float | None) -> Steps[None]:
    """Wait on a running operation; one that takes long may have a job all the same."""
    restore = run.restore
    elapsed_s = _elapsed_s(run)
    if elapsed_s > _LONG_OPERATION_S and run.may_ask(FIND_JOB):
        try:
            found = yield from run.ask(FIND_JOB, job_search(restore))
        except TransientError:
            found = {"jobId": None}  # only a second way to the job: the operation is followed all the same
        if found["jobId"] is not None:
            adopt(run, found["jobId"], asked_s=asked_s)
            return
    run.poll_after(wait_s(asked_s, operation_interval_s(restore.limits, elapsed_s=elapsed_s)))


def _end(run: Run, operation: Operation) -> None:
    details = () if operation.error is None else (operation.error,)
    reason = f": {operation.error.message}" if operation.error else "."
    cancelled = operation.status is OperationStatus.CANCELED
    code, verb = (errors.RESTORE_CANCELLED, "was cancelled") if cancelled else (errors.RESTORE_FAILED, "failed")
    error = TerminalError(code, f"The restore operation {run.restore.operation_id} {verb}{reason}", details)
    run.become(run.restore.finished(Status.CANCELLED if cancelled else Status.FAILED, run.now, error=error))


def _find_job(run: Run) -> Steps[None]:
    found = yield from run.ask(FIND_JOB, job_search(run.restore))
    if found["jobId"] is None:
        _look_again(run, None)
    else:
        adopt(run, found["jobId"])


def _look_again(run: Run, asked_s: float | None) -> None:
    elapsed_s = _elapsed_s(run)
    if elapsed_s >= PATIENCE_S:
        message = "The service took the restore, but no job of it has shown up in half an hour."
        error = TerminalError(errors.RESTORE_FAILED, f"{message} {run.restore.what_may_still_run}")
        run.become(run.restore.finished(Status.FAILED, run.now, error=error))
        return
    run.poll_after(wait_s(asked_s, job_interval_s(run.restore.limits, elapsed_s=elapsed_s)))


def _elapsed_s(run: Run) -> float:
    return (run.now - (run.restore.triggered or run.now)).total_seconds()


def follow_job(run: Run) -> Steps[None]:
    """Look once at the job; its end is the restore's."""
    restore = run.restore
    answer = yield from run.ask(GET_JOB, {"vaultId": item_of(restore).vault_id, "jobId": restore.job_id})
    job = Job.from_json(answer["job"])
    if not job.status.is_running:
        yield from _compare_disks(run, job)
        run.hears_urgent()  # a cancellation that came during this last look came too late, and is told so
        run.become(run.restore.ended_by(job, run.now))
        return
    if job.progress_pct is not None:
        run.update(progress_pct=job.progress_pct)
    own_s = job_interval_s(restore.limits, elapsed_s=_elapsed_s(run))
    run.poll_after(wait_s(answer["retryAfterS"], own_s))


def _compare_disks(run: Run, job: Job) -> Steps[None]:
    """Warn when a list of disks was asked for and others were restored; what cannot be seen is a warning, too."""
    restore = run.restore
    asked, group = restore.request.disk_luns, restore.request.target_group
    if not job.status.is_good or asked is None or group is None:
        return
    look = {
        "targetResourceGroupId": group,
        "sourceResourceId": item_of(restore).source_resource_id,
        "since": format_time(job.start or restore.triggered or restore.created),
        "until": format_time(job.end or run.now),
    }
    try:
        found = yield from run.ask(LIST_RESTORED_DISKS, look)
    except RestoreError as error:
        if isinstance(error, TransientError) and restore.failures < _MAX_DISK_RETRIES:
            raise
        message = f"The restored disks could not be compared with those asked for: {error.message}"
        run.become(run.restore.with_warning("DisksNotCompared", message))
        return
    made = [Disk(name=each["name"], is_os_disk=each["isOsDisk"]) for each in found["disks"]]
    told = difference(asked, made)
    if told is not None:
        run.become(run.restore.with_warning("DisksDiffer", told))
