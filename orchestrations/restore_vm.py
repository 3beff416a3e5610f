"""Restore one VM: makes the calls, or waits, as ``domain.restore.machine`` decides by the answers and events."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain.answers import Answer
from domain.codec import pack, unpack
from domain.envelopes import answer_time, event_time, request_of, unseal
from domain.errors import INTERNAL_ERROR, Json, TransientError
from domain.restore.calls import ActivityCall, StartRestore
from domain.restore.document import document, shown_status
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT, SLOT_EVENT, absorb, advance, decide, hear
from domain.restore.parts import Clock, StatusEvents
from domain.restore.state import Restore
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers
from domain.restore.trace import with_traceparent
from domain.times import as_utc
from durabletask import task
from durabletask.entities import EntityInstanceId, EntityOperationFailedException

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from domain.restore.calls import Call

MAX_STEPS: Final = 24
"""Steps in one history. Then the orchestration continues as new with the state as input, so histories stay small."""

_TIMER_EARLY_BY: Final = timedelta(seconds=1)
"""How much too early the engine may deliver a timer, because it truncates the delay of a message to whole seconds."""

type Steps[T] = Generator[task.Task[Any], Any, T]


def restore_vm(ctx: task.OrchestrationContext, data: Json) -> Steps[Json | None]:
    """Run a packed :class:`Restore` to its end; returns the final status document, or ``None`` to continue as new."""
    return (yield from _Run(ctx, unpack(Restore, data)).run())


class _Run:
    """One run of a restore by its orchestration."""

    def __init__(self, ctx: task.OrchestrationContext, restore: Restore) -> None:
        self._ctx = ctx
        self._restore = restore
        self._events = {name: ctx.wait_for_external_event(name) for name in (CANCEL_EVENT, DECISION_EVENT, SLOT_EVENT)}
        self._in_flight: dict[str, tuple[Call, task.Task[Any]]] = {}
        self._published: tuple[Restore, datetime | None] | None = None

    @property
    def _now(self) -> datetime:
        """The time of the latest answer, timer or event that was delivered, in aware UTC.

        Unlike the engine's own time it is the same when the engine runs a step again after a crash (ADR 0002).
        """
        return self._restore.clock.now

    def run(self) -> Steps[Json | None]:
        steps = 0
        while True:
            self._take_events()
            for call, pending in tuple(self._in_flight.values()):
                if call.is_delivery and pending.is_complete:
                    yield from self._finish(call)
            self._restore = advance(self._restore, self._now)
            step = decide(self._restore, self._now)
            if isinstance(step, Finish):
                self._publish()
                return document(self._restore, self._now)
            if steps >= MAX_STEPS and not self._in_flight:
                self._publish()
                self._ctx.continue_as_new(pack(self._restore), save_events=True)
                return None
            steps += 1
            yield from self._take_step(step)

    def _take_step(self, step: MakeCall | Wait | WaitForAnswers) -> Steps[None]:
        awaited = next((call for call, _ in self._in_flight.values() if not call.is_delivery), None)
        if isinstance(step, MakeCall):
            for call in (step.call, *step.beside):
                self._begin(call)
            yield from self._finish(step.call)
        elif awaited is not None:
            yield from self._finish(awaited)
        elif isinstance(step, WaitForAnswers):
            for call in step.calls:
                self._begin(call)
            self._publish(step.until)
            yield self._first_of(*(pending for _, pending in self._in_flight.values()))
        else:
            yield from self._wait(step)

    def _begin(self, call: Call) -> None:
        """Start a call, unless it is in flight. A signal counts as answered as soon as it is sent."""
        if call.name in self._in_flight:
            return
        self._publish()
        if isinstance(call, ActivityCall):
            if isinstance(call, StartRestore):
                call = replace(call, asked=as_utc(self._ctx.current_utc_datetime))
            self._in_flight[call.name] = (
                call,
                self._ctx.call_activity(call.name, input=with_traceparent(pack(call), self._restore)),
            )
            return
        self._restore = self._restore.with_request()
        entity, data = EntityInstanceId(call.entity, call.key), request_of(self._restore, call)
        if call.is_signal:
            self._ctx.signal_entity(entity, call.operation, data)
            self._restore = absorb(self._restore, call, Answer(None), self._now)
        else:
            self._in_flight[call.name] = call, self._ctx.call_entity(entity, call.operation, data)

    def _finish(self, call: Call) -> Steps[None]:
        """Wait for the answer to a call in flight. Events that arrive meanwhile are handled, and published, at once."""
        if call.name not in self._in_flight:
            return
        call, pending = self._in_flight[call.name]
        while not pending.is_complete:
            self._take_events()
            self._publish()
            yield self._first_of(pending)
        try:
            data = pending.get_result()
            self._restore = self._restore.at(answer_time(data))
            answer = unseal(call, data)
        except (task.TaskFailedError, EntityOperationFailedException) as failure:
            # The worker died, or the call has a bug. All calls may be made again; a post searches for its job first.
            answer = TransientError(INTERNAL_ERROR, f"{call.name} broke: {failure}")
        del self._in_flight[call.name]
        self._take_events()
        self._restore = absorb(self._restore, call, answer, self._now)

    def _wait(self, step: Wait) -> Steps[None]:
        """Wait with one durable timer, or until an event changes the next step."""
        timer = self._ctx.create_timer(step.until.replace(tzinfo=None) + _TIMER_EARLY_BY)
        for call in step.beside:
            self._begin(call)
        while not timer.is_complete and decide(self._restore, self._now) == step:
            self._publish(step.until)
            yield self._first_of(timer)
            if timer.is_complete:
                self._restore = self._restore.at(step.until)
            self._take_events()

    def _first_of(self, *pending: task.Task[Any]) -> task.Task[Any]:
        """Return what completes with the first of these tasks, or with an event."""
        return task.when_any([*pending, *(event for event in self._events.values() if not event.is_complete)])

    def _take_events(self) -> None:
        """Hand new events to the machine. A cancellation counts once; the other events are waited for again."""
        for name in self._events:
            while self._events[name].is_complete and (name != CANCEL_EVENT or self._restore.cancellation is None):
                data = self._events[name].get_result()
                self._restore = self._restore.at(event_time(data) or as_utc(self._ctx.current_utc_datetime))
                self._restore = hear(self._restore, name, data, self._now)
                if name == CANCEL_EVENT:
                    break
                self._events[name] = self._ctx.wait_for_external_event(name)

    def _publish(self, next_poll: datetime | None = None) -> None:
        """Publish the state as the orchestration's custom status, which callers see, if it has changed.

        The comparison saves time: each replay of the history builds these documents again.
        """
        state = replace(
            self._restore, clock=Clock(now=self._restore.accepted.created), events=StatusEvents(), timeline=None
        )
        if self._published is not None and self._published[0] == state and next_poll in {None, self._published[1]}:
            return
        self._published = state, next_poll
        shown = shown_status(self._restore, self._now, next_poll)
        if shown is not None:
            self._ctx.set_custom_status(shown)
