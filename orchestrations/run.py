"""One restore's run: its state, and the only ways in which an orchestrator touches the world."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from domain import errors
from domain.envelopes import unseal
from domain.errors import Json, TransientError
from domain.times import as_utc
from domain.wire import as_object
from durabletask import task

from orchestrations.names import CANCEL_EVENT

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.restores import Restore

type Steps[T] = Generator[task.Task[Any], Any, T]


class Run:
    """The state of a restore together with its orchestration. What changed is told whenever the orchestration waits."""

    def __init__(self, ctx: task.OrchestrationContext, restore: Restore) -> None:
        self._ctx = ctx
        self._cancel = ctx.wait_for_external_event(CANCEL_EVENT)
        self._told: Restore | None = None
        self.restore = restore

    @property
    def now(self) -> datetime:
        """The orchestration's own clock, aware UTC (durabletask's is naive)."""
        return as_utc(self._ctx.current_utc_datetime)

    def update(self, **changes: Any) -> None:
        """Change the state."""
        self.become(replace(self.restore, **changes))

    def become(self, restore: Restore) -> None:
        """Take a new state."""
        self.restore = restore

    def tell(self) -> None:
        """Make the state the orchestration's custom status, which is what callers see."""
        if self.restore is self._told:
            return  # telling costs, and every turn of a history tells again
        self._told = self.restore
        told = self.restore.custom_status(self.now)
        # An end that does not fit into a custom status is told by the output alone, a moment later but whole.
        if not self.restore.is_finished or told == self.restore.document(self.now):
            self._ctx.set_custom_status(told)

    def poll_after(self, wait_s: float) -> None:
        """Make the next call due after so many seconds, at once for 0, but never after the deadline."""
        if wait_s <= 0:
            self.update(next_poll=None)
            return
        wait = timedelta(seconds=min(wait_s, self.restore.limits.deadline_s))
        self.update(next_poll=min(self.now + wait, max(self.restore.deadline, self.now)))

    def wait_for_next_poll(self) -> Steps[None]:
        """Wait with a durable timer until the next call is due, or until somebody asks to cancel."""
        if self.hear():
            return
        due = self.restore.next_poll
        if due is not None and due > self.now:
            self.tell()
            timer = self._ctx.create_timer(due.replace(tzinfo=None))
            yield timer if self._cancel.is_complete else task.when_any([timer, self._cancel])
            self.hear()

    def hear(self) -> bool:
        """Tell whether somebody has just asked to cancel, and note it; also called before the history starts afresh."""
        if self.restore.cancel is not None or not self._cancel.is_complete:
            return False
        self.update(cancel=as_object(self._cancel.get_result()))
        return True

    def ask(self, activity: str, data: Json) -> Steps[Json]:
        """Call one activity once and open its envelope; raises what the activity sealed.

        An activity that broke instead of answering (its worker died, a bug) is a passing failure: all of them are
        safe to run again. Whoever posts must not use this for the posting itself without minding that.
        """
        self.tell()
        try:
            envelope: Json = yield self._ctx.call_activity(activity, input=data)
        except task.TaskFailedError as failure:
            raise TransientError(
                errors.INTERNAL_ERROR, f"The activity {activity} broke: {failure.details.message}"
            ) from failure
        return unseal(envelope)
