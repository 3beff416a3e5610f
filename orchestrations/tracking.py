"""The steps after the trigger: the operation until it names its job, then the job until it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TerminalError
from domain.jobs import Job, Operation, OperationStatus
from domain.polling import OPERATION_INTERVAL_S, job_interval_s
from domain.restores import Status

from orchestrations.names import FIND_JOB, GET_JOB, GET_OPERATION
from orchestrations.preparing import item_of
from orchestrations.triggering import adopt, job_search

if TYPE_CHECKING:
    from orchestrations.run import Run, Steps


def follow_operation(run: Run) -> Steps[None]:
    """Look once at the operation, which only says that the job exists."""
    restore = run.restore
    if restore.operation_id is None:
        yield from _find_job(run)
        return
    look = {"vaultId": item_of(restore).vault_id, "operationId": restore.operation_id, "url": restore.operation_url}
    try:
        answer = yield from run.ask(GET_OPERATION, look)
    except TerminalError as error:
        if error.code != errors.NOT_FOUND:
            raise
        # Operations are forgotten after a while; jobs are not.
        yield from _find_job(run)
        return
    operation = Operation.from_json(answer["operation"])
    if operation.status is OperationStatus.RUNNING:
        run.update(operation_url=operation.next_url or restore.operation_url)
        wait_s = answer["retryAfterS"]
        run.poll_after(OPERATION_INTERVAL_S if wait_s is None else wait_s)
    elif operation.status is not OperationStatus.SUCCEEDED:
        _end(run, operation)
    elif operation.job_id is None:
        yield from _find_job(run)
    else:
        adopt(run, operation.job_id)


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
        elapsed_s = (run.now - (run.restore.triggered or run.now)).total_seconds()
        run.poll_after(job_interval_s(run.restore.limits, elapsed_s=elapsed_s))
    else:
        adopt(run, found["jobId"])


def follow_job(run: Run) -> Steps[None]:
    """Look once at the job; its end is the restore's."""
    restore = run.restore
    answer = yield from run.ask(GET_JOB, {"vaultId": item_of(restore).vault_id, "jobId": restore.job_id})
    job = Job.from_json(answer["job"])
    if not job.status.is_running:
        run.become(restore.ended_by(job, run.now))
        return
    wait_s: float | None = answer["retryAfterS"]
    if wait_s is None:
        elapsed_s = (run.now - (restore.triggered or run.now)).total_seconds()
        wait_s = job_interval_s(restore.limits, elapsed_s=elapsed_s)
    if job.progress_pct is not None:
        run.update(progress_pct=job.progress_pct)
    run.poll_after(wait_s)
