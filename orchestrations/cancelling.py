"""What becomes of a restore that somebody cancels: nothing is started, or Azure's job is cancelled and followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.errors import RestoreError, TransientError
from domain.polling import wait_s
from domain.restores import Phase

from orchestrations.names import CANCEL_JOB, FIND_JOB, GET_JOB
from orchestrations.preparing import item_of
from orchestrations.tracking import follow_job, follow_operation
from orchestrations.triggering import adopt, job_search, trigger

if TYPE_CHECKING:
    from orchestrations.run import Run, Steps

_TRIES: Final = 5


def cancel(run: Run) -> Steps[None]:
    """Take one step towards the end: whatever Azure may have started is found first."""
    restore = run.restore
    if restore.phase is Phase.TRACKING_JOB:
        yield from _cancel_job(run)
    elif restore.phase is Phase.TRACKING_OPERATION:
        yield from _find_job(run)
    elif restore.open_since is not None:
        yield from trigger(run)
    else:
        run.become(restore.cancelled(run.now))


def _find_job(run: Run) -> Steps[None]:
    # The list names the job at once, where the operation may have asked for a minute of patience.
    found = yield from run.ask(FIND_JOB, job_search(run.restore))
    if found["jobId"] is not None:
        adopt(run, found["jobId"])
    elif run.restore.next_poll is None or run.now >= run.restore.next_poll:
        yield from follow_operation(run)


def _cancel_job(run: Run) -> Steps[None]:
    due = run.restore.next_poll is None or run.now >= run.restore.next_poll
    if run.restore.failures and due and run.may_ask(GET_JOB):
        # An earlier try failed: the job may have ended meanwhile, and must be seen to.
        yield from follow_job(run)
        if run.restore.is_finished:
            return
    restore = run.restore
    try:
        answer = yield from run.ask(CANCEL_JOB, {"vaultId": item_of(restore).vault_id, "jobId": restore.job_id})
    except RestoreError as error:
        if isinstance(error, TransientError) and restore.failures < _TRIES - 1:
            raise
        message = f"Job {restore.job_id} could not be cancelled: {error.message} The restore goes on."
        run.become(restore.with_warning("CancelRefused", message))
        answer = {"retryAfterS": None}
    run.update(cancel_sent=True)
    run.poll_after(wait_s(answer["retryAfterS"], restore.limits.job_poll_min_s))
