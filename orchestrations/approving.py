"""The wait for a person: a restore that needs an approval is triggered after it, and never without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TerminalError
from domain.restores import Decision, Phase, Status

from orchestrations.names import START_RESTORE
from orchestrations.queueing import step_aside
from orchestrations.triggering import keep_from_posting, trigger

if TYPE_CHECKING:
    from orchestrations.run import Run, Steps


def await_approval(run: Run) -> Steps[None]:
    """Go on once the wait is over: approved, or nobody said a word. Behind a Resource Guard, try the trigger again."""
    restore = run.restore
    if restore.guard_expires is not None:
        if run.now >= restore.guard_expires and restore.open_since is None and not run.may_ask(START_RESTORE):
            closed = "The last answer asked for a longer wait than a person has."
            run.become(restore.awaiting_guard(run.now, TerminalError(errors.RESOURCE_GUARD_CLOSED, closed)))
            return
        yield from trigger(run)
    elif restore.awaits_decision and restore.status is not Status.AWAITING_APPROVAL:
        yield from step_aside(run)
        run.become(run.restore.awaiting_approval(run.now))
    elif restore.decision is Decision.APPROVED:
        run.update(status=Status.RUNNING, phase=Phase.TRIGGERING, next_poll=None)
    elif restore.next_poll is None or run.now >= restore.next_poll:
        run.become(restore.decided(Decision.TIMED_OUT, run.now))


def reject(run: Run) -> Steps[None]:
    """End a restore that was not approved; one that may have been posted all the same is cancelled."""
    if (yield from keep_from_posting(run)):
        run.become(run.restore.rejected(run.now))
    else:
        said = run.restore.approval or {}
        run.update(cancel={name: said.get(name) for name in ("by", "comment", "time")})
