"""What becomes of a restore that somebody cancels: nothing is started, or Azure's job is cancelled and followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.errors import TerminalError
from domain.restores import Phase

from orchestrations.names import CANCEL_JOB, FIND_JOB
from orchestrations.preparing import item_of
from orchestrations.tracking import follow_operation
from orchestrations.triggering import adopt, job_search, trigger

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
    restore = run.restore
    try:
        yield from run.ask(CANCEL_JOB, {"vaultId": item_of(restore).vault_id, "jobId": restore.job_id})
    except TerminalError as error:
        message = f"The service refused to cancel job {restore.job_id}: {error.message} The restore goes on."
        run.become(restore.with_warning("CancelRefused", message))
    run.update(cancel_sent=True)
