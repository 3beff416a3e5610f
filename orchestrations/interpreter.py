"""Runs a state machine as an orchestration: makes its calls, waits, and hands it the answers and the events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from domain.answers import Answer
from domain.codec import pack, unpack
from domain.envelopes import answer_time, event_time, unseal
from domain.errors import INTERNAL_ERROR, Json, TransientError
from domain.restore.calls import ActivityCall, EventCall
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers
from domain.times import as_utc
from durabletask import task
from durabletask.entities import EntityInstanceId, EntityOperationFailedException

from orchestrations.custom_status import CustomStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.restore.calls import Call, EntityCall
    from domain.restore.steps import Step

MAX_STEPS: Final = 24
"""Steps in one history. Then the orchestration continues as new with the state as input, so histories stay small."""

TIMER_EARLY_BY: Final = timedelta(seconds=1)
"""How much too early the engine may deliver a timer, because it truncates the delay of a message to whole seconds."""

type Steps[T] = Generator[task.Task[Any], Any, T]


class _Clock(Protocol):
    @property
    def now(self) -> datetime: ...


class State(Protocol):
    """The state of a machine: a dataclass that is packed as the orchestration's input."""

    @property
    def clock(self) -> _Clock:
        """The time of the latest answer, timer or event that was delivered, in aware UTC.

        Unlike the engine's own time it is the same when the engine runs a step again after a crash (ADR 0002).
        """
        ...

    def at(self, moment: datetime | None) -> Self:
        """Return the state with its clock moved forward to this time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine[S: State]:
    """A state machine without I/O. All functions are pure.

    ``max_events``: how many events one history may take; ``None`` if it hears few.
    ``waits_for``: whether the machine still wants to hear this one of its ``events``. ``timed_call`` returns an
    activity's call with the time at which it is made, ``input_of`` its input. ``next_request`` returns the state with
    the number of its next request to an entity, and that request as JSON. ``shown`` returns the custom status, given
    the state, the time and the time of the next poll; it is called only when ``visible_part`` returns another value.
    """

    kind: type[S]
    events: tuple[str, ...]
    advance: Callable[[S, datetime], S]
    decide: Callable[[S, datetime], Step]
    absorb: Callable[[S, Call, Answer[Any] | RestoreError, datetime], S]
    hear: Callable[[S, str, object, datetime], S]
    waits_for: Callable[[S, str], bool]
    timed_call: Callable[[ActivityCall, datetime], ActivityCall]
    input_of: Callable[[S, ActivityCall], Json]
    next_request: Callable[[S, EntityCall], tuple[S, Json]]
    visible_part: Callable[[S], object]
    shown: Callable[[S, datetime, datetime | None], Json | None]
    document: Callable[[S, datetime], Json]
    max_events: int | None = None


def run[S: State](machine: Machine[S], ctx: task.OrchestrationContext, data: Json) -> Steps[Json | None]:
    """Run a packed state to its end; returns the final document, or ``None`` to continue as new."""
    return (yield from _Run(machine, ctx, unpack(machine.kind, data)).run())


class _Run[S: State]:
    """One history of a machine."""

    def __init__(self, machine: Machine[S], ctx: task.OrchestrationContext, state: S) -> None:
        self._machine = machine
        self._ctx = ctx
        self._state = state
        self._events = {name: ctx.wait_for_external_event(name) for name in machine.events}
        self._in_flight: dict[str, tuple[Call, task.Task[Any]]] = {}
        self._published: tuple[object, datetime | None] | None = None
        self._status = CustomStatus(ctx)
        self._heard = 0

    @property
    def _is_full(self) -> bool:
        """Whether this history has heard all the events that it may."""
        return self._machine.max_events is not None and self._heard >= self._machine.max_events

    @property
    def _now(self) -> datetime:
        return self._state.clock.now

    def run(self) -> Steps[Json | None]:
        steps = 0
        while True:
            self._take_events()
            for call, pending in tuple(self._in_flight.values()):
                if call.is_delivery and pending.is_complete:
                    yield from self._finish(call)
            self._state = self._machine.advance(self._state, self._now)
            step = self._machine.decide(self._state, self._now)
            if isinstance(step, Finish):
                self._publish()
                return self._machine.document(self._state, self._now)
            if (steps >= MAX_STEPS or self._is_full) and not self._in_flight:
                self._publish()
                self._ctx.continue_as_new(pack(self._state), save_events=True)
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
        """Start a call, unless it is in flight. Signals and events count as answered as soon as they are sent."""
        if call.name in self._in_flight:
            return
        self._publish()
        if isinstance(call, ActivityCall):
            call = self._machine.timed_call(call, as_utc(self._ctx.current_utc_datetime))
            data = self._machine.input_of(self._state, call)
            self._in_flight[call.name] = call, self._ctx.call_activity(call.name, input=data)
            return
        if isinstance(call, EventCall):
            self._ctx.send_event(call.instance_id, call.event, data=call.data)
            self._state = self._machine.absorb(self._state, call, Answer(None), self._now)
            return
        self._state, data = self._machine.next_request(self._state, call)
        entity = EntityInstanceId(call.entity, call.key)
        if call.is_signal:
            self._ctx.signal_entity(entity, call.operation, data)
            self._state = self._machine.absorb(self._state, call, Answer(None), self._now)
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
            self._state = self._state.at(answer_time(data))
            answer = unseal(call, data)
        except (task.TaskFailedError, EntityOperationFailedException) as failure:
            # The worker died, or the call has a bug. All calls may be made again; a post searches for its job first.
            answer = TransientError(INTERNAL_ERROR, f"{call.name} broke: {failure}")
        del self._in_flight[call.name]
        self._take_events()
        self._state = self._machine.absorb(self._state, call, answer, self._now)

    def _wait(self, step: Wait) -> Steps[None]:
        """Wait with one durable timer, or until an event changes the next step."""
        timer = self._ctx.create_timer(step.until.replace(tzinfo=None) + TIMER_EARLY_BY)
        for call in step.beside:
            self._begin(call)
        while not timer.is_complete and not self._is_full and self._machine.decide(self._state, self._now) == step:
            self._publish(step.until)
            yield self._first_of(timer)
            if timer.is_complete:
                self._state = self._state.at(step.until)
            self._take_events()

    def _first_of(self, *pending: task.Task[Any]) -> task.Task[Any]:
        """Return what completes with the first of these tasks, or with an event."""
        return task.when_any([*pending, *(event for event in self._events.values() if not event.is_complete)])

    def _take_events(self) -> None:
        """Hand new events to the machine, as long as it waits for them."""
        for name in self._events:
            while self._events[name].is_complete and self._machine.waits_for(self._state, name):
                data = self._events[name].get_result()
                self._state = self._state.at(event_time(data) or as_utc(self._ctx.current_utc_datetime))
                self._state = self._machine.hear(self._state, name, data, self._now)
                self._heard += 1
                if self._machine.waits_for(self._state, name):
                    self._events[name] = self._ctx.wait_for_external_event(name)

    def _publish(self, next_poll: datetime | None = None) -> None:
        """Publish the state as the orchestration's custom status, which callers see, if it has changed."""
        state = self._machine.visible_part(self._state)
        if self._published is not None and self._published[0] == state and next_poll in {None, self._published[1]}:
            return
        self._published = state, next_poll
        self._status.set(lambda: self._machine.shown(self._state, self._now, next_poll))
