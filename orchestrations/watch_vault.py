"""Watch the restores of one vault: list its running jobs, and tell each restore what the list says of its job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.codec import pack, unpack
from domain.envelopes import answer_time, event_time, unseal
from domain.errors import INTERNAL_ERROR, Json, TransientError
from domain.restore.machine import WATCH_EVENT
from domain.restore.steps import Finish, MakeCall
from domain.times import as_utc
from domain.watch.machine import JOIN_EVENT, absorb, decide, hear
from domain.watch.state import VaultWatch
from durabletask import task

from orchestrations.interpreter import TIMER_EARLY_BY

if TYPE_CHECKING:
    from collections.abc import Generator

    from domain.restore.steps import Wait

_MAX_EVENTS: Final = 250
"""About so many events may be in one history; then the orchestration continues as new with the state as input."""
_EVENTS_OF_STEP: Final = 8
_EVENTS_OF_REGISTRATION: Final = 3

type Steps = Generator[task.Task[Any], Any]


def watch_vault(ctx: task.OrchestrationContext, data: Json) -> Steps:
    """Run a packed :class:`VaultWatch` until nothing has been watched for some minutes."""
    yield from _Run(ctx, unpack(VaultWatch, data)).run()


class _Run:
    """One run of a watcher by its orchestration."""

    def __init__(self, ctx: task.OrchestrationContext, watch: VaultWatch) -> None:
        self._ctx = ctx
        self._watch = watch
        self._joining = ctx.wait_for_external_event(JOIN_EVENT)
        self._events = 0
        self._shown: Json | None = None

    def run(self) -> Steps:
        while True:
            self._take_registrations()
            self._publish()
            step = decide(self._watch, self._watch.now)
            if isinstance(step, Finish):
                return
            if self._events >= _MAX_EVENTS:
                self._ctx.continue_as_new(pack(self._watch), save_events=True)
                return
            self._events += _EVENTS_OF_STEP
            yield from self._list(step.call) if isinstance(step, MakeCall) else self._wait(step)

    def _list(self, call: Any) -> Steps:
        """List the running jobs, and tell restores what is new for them."""
        pending = self._ctx.call_activity(call.name, input=pack(call))
        while not pending.is_complete:
            yield task.when_any([pending, self._joining])
            self._take_registrations()
        try:
            data = pending.get_result()
            self._watch = self._watch.at(answer_time(data))
            answer = unseal(call, data)
        except task.TaskFailedError as failure:
            answer = TransientError(INTERNAL_ERROR, f"{call.name} broke: {failure}")
        self._watch, told = absorb(self._watch, call, answer, self._watch.now)
        self._events += len(told)
        for news in told:
            self._ctx.send_event(news.restore_id, WATCH_EVENT, data=news.data)

    def _wait(self, step: Wait) -> Steps:
        """Wait with one durable timer, or until a registration changes the next step or makes the history long."""
        timer = self._ctx.create_timer(step.until.replace(tzinfo=None) + TIMER_EARLY_BY)
        while decide(self._watch, self._watch.now) == step and self._events < _MAX_EVENTS:
            yield task.when_any([timer, self._joining])
            if timer.is_complete:
                self._watch = self._watch.at(step.until)
            self._take_registrations()

    def _take_registrations(self) -> None:
        while self._joining.is_complete:
            data = self._joining.get_result()
            self._watch = self._watch.at(event_time(data) or as_utc(self._ctx.current_utc_datetime))
            self._watch = hear(self._watch, data, self._watch.now)
            self._joining = self._ctx.wait_for_external_event(JOIN_EVENT)
            self._events += _EVENTS_OF_REGISTRATION

    def _publish(self) -> None:
        shown = self._watch.shown()
        if shown != self._shown:
            self._shown = shown
            self._ctx.set_custom_status(shown)
