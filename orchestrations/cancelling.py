"""What becomes of a restore that somebody cancels: nothing is started, or Azure's job is cancelled and followed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.errors import RestoreError, TransientError
from domain.polling import PATIENCE_S, job_interval_s, retry_wait_s, wait_s
from domain.restores import Phase

from orchestrations.names import CANCEL_JOB, FIND_JOB, GET_JOB
from orchestrations.preparing import item_of
from orchestrations.tracking import follow_job, follow_operation
from orchestrations.triggering import adopt, job_search, keep_from_posting, trigger

if TYPE_CHECKING:
    from orchestrations.run import Run, Steps


def cancel(run: Run) -> Steps[None]:
    """Take one step towards the end: whatever Azure may have started is found first."""
    restore = run.restore
    if restore.phase is Phase.TRACKING_JOB:
        yield from _cancel_job(run)
    elif restore.phase is Phase.TRACKING_OPERATION:
        yield from _find_job(run)
    elif restore.open_since is not None:
        yield from trigger(run)
    elif (yield from keep_from_posting(run)):
        run.become(run.restore.cancelled(run.now))


def _find_job(run: Run) -> Steps[None]:
    # The list names the job at once, where the operation may have asked for a minute of patience.
    restore = run.restore
    look = restore.next_poll or run.now
    if run.may_ask(FIND_JOB) or restore.operation_id is None:
        try:
            found = yield from run.ask(FIND_JOB, job_search(restore))
        except TransientError as error:
            if restore.operation_id is None:
                raise
            again = run.now + timedelta(seconds=min(retry_wait_s(error.retry_after_s, attempt=1), PATIENCE_S))
            run.wait_until(min(look, again))  # the operation will name the job as well
        else:
            if found["jobId"] is not None:
                adopt(run, found["jobId"])
                return
    if run.now >= look:
        yield from follow_operation(run)


def _cancel_job(run: Run) -> Steps[None]:
    """Ask Azure to cancel the job; while that fails in passing, or must wait, the job is looked at as ever."""
    if (run.restore.cancel_since is not None or not run.may_ask(CANCEL_JOB)) and run.may_ask(GET_JOB):
        yield from follow_job(run)
        if run.restore.is_finished:
            return
    restore = run.restore
    if not run.may_ask(CANCEL_JOB):
        next_look = max(restore.next_poll or run.now, restore.waits.get(GET_JOB, run.now))
        run.wait_until(min(restore.waits[CANCEL_JOB], next_look))
        return
    try:
        answer = yield from run.ask(CANCEL_JOB, {"vaultId": item_of(restore).vault_id, "jobId": restore.job_id})
    except RestoreError as error:
        since = restore.cancel_since or run.now
        elapsed_s = (run.now - since).total_seconds()
        if isinstance(error, TransientError) and elapsed_s < PATIENCE_S:
            run.update(cancel_since=since)
            run.poll_after(job_interval_s(restore.limits, elapsed_s=elapsed_s))
            return
        message = f"Job {restore.job_id} could not be cancelled: {error.message} The restore goes on."
        run.become(restore.with_warning("CancelRefused", message))
        answer = {"retryAfterS": None}
    run.update(cancel_sent=True)
    run.poll_after(wait_s(answer["retryAfterS"], restore.limits.job_poll_min_s))
