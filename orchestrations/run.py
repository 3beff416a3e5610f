"""One restore's run: its state, and the only ways in which an orchestrator touches the world."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.envelopes import asked_wait_s, unseal
from domain.errors import Json, TransientError
from domain.polling import wait_s
from domain.restores import Decision, Phase
from domain.times import as_utc, format_time, parse_request_time
from domain.wire import as_object, as_text
from durabletask import task
from durabletask.entities import EntityInstanceId, EntityOperationFailedException

from orchestrations.names import (
    CANCEL_EVENT,
    DECISION_EVENT,
    FIND_JOB,
    GET_OPERATION,
    GET_VALIDATION,
    PREPARE_RESTORE,
    START_RESTORE,
    TURN_EVENT,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from domain.restores import Restore

_FOLLOWED_BY: Final = {START_RESTORE: GET_OPERATION, PREPARE_RESTORE: GET_VALIDATION}
_TIMER_EARLY_BY: Final = timedelta(seconds=1)
"""How much too early the engine may deliver a timer: it cuts the delay of a queue message to whole seconds."""

type Steps[T] = Generator[task.Task[Any], Any, T]


class HeldError(Exception):
    """Azure's last answer to this activity asked for a wait that is not over: it is not called before ``until``."""

    def __init__(self, activity: str, until: datetime) -> None:
        super().__init__(f"{activity} is not called before {until}")
        self.until = until


class Run:
    """The state of a restore together with its orchestration. What changed is told whenever the orchestration waits."""

    def __init__(self, ctx: task.OrchestrationContext, restore: Restore) -> None:
        self._ctx = ctx
        self._cancel = ctx.wait_for_external_event(CANCEL_EVENT)
        self._decision = ctx.wait_for_external_event(DECISION_EVENT)
        self._turn = ctx.wait_for_external_event(TURN_EVENT)
        self._told: Restore | None = None
        self.restore = restore

    @property
    def now(self) -> datetime:
        """The time of the latest thing that was delivered: an answer, a timer, an event. Aware UTC.

        Not the turn's own time: the engine sends a turn's messages before it commits the history, so that after a crash
        the turn is run again, later. What is decided by the delivered times is decided alike both times.
        """
        return self.restore.clock or self.restore.created

    @property
    def turn_time(self) -> datetime:
        """The time of this run of the turn, aware UTC (durabletask's is naive): for what only says how late it is."""
        return as_utc(self._ctx.current_utc_datetime)

    def _advance(self, moment: datetime) -> None:
        if moment > self.now:
            is_told = self._told is self.restore
            self.update(clock=moment)
            if is_told:
                self._told = self.restore  # the time alone is no news

    def _advance_to_event(self, data: Mapping[str, Any]) -> None:
        told = as_text(data.get("time"))
        self._advance(parse_request_time(told) if told else self.turn_time)  # without one: raised past the API

    def update(self, **changes: Any) -> None:
        """Change the state."""
        self.become(replace(self.restore, **changes))

    def become(self, restore: Restore) -> None:
        """Take a new state."""
        self.restore = restore

    def tell(self, *, even_cut: bool = False) -> None:
        """Make the state the orchestration's custom status, which is what callers see.

        An end that does not fit into one is told by the output, a moment later but whole; else, ``even_cut``, now.
        """
        if self.restore is self._told and not even_cut:
            return  # telling costs, and every turn of a history tells again
        self._told = self.restore
        told = self.restore.custom_status(self.now)
        if even_cut or not self.restore.is_finished or told == self.restore.document(self.now):
            self._ctx.set_custom_status(told)

    def poll_after(self, wait_s: float) -> None:
        """Make the next call due after so many seconds, rounded up to whole ones, but never after the deadline.

        With 0 it is due at once. The engine's timers know whole seconds only: one of less than a second fires at once.
        """
        if wait_s <= 0:
            self.update(next_poll=None)
            return
        self.wait_until(self.now + timedelta(seconds=math.ceil(min(wait_s, self.restore.limits.deadline_s))))

    def wait_until(self, moment: datetime) -> None:
        """Make the next call due at a moment, but never after the deadline."""
        self.update(next_poll=min(moment, max(self.restore.deadline, self.now)))

    def wait_for_next_poll(self) -> Steps[None]:
        """Wait with one durable timer until the next call is due, or until a person says what cannot wait."""
        due, acts_at_once = self.restore.next_poll, self.restore.heard
        if acts_at_once:
            self.update(heard=False)
        if self.hears_urgent() or self.turn_has_come() or acts_at_once or due is None or due <= self.now:
            return
        self.tell()
        timer = self._ctx.create_timer(due.replace(tzinfo=None) + _TIMER_EARLY_BY)
        while not timer.is_complete:
            events = [each for each in (self._cancel, self._decision, self._turn) if not each.is_complete]
            yield task.when_any([timer, *events]) if events else timer
            if timer.is_complete:
                self._advance(due)
            if self.hears_urgent() or self.turn_has_come():
                return
            self.tell()  # a decision that cuts no wait is seen all the same

    def _hear(self) -> None:
        if self.restore.cancel is None and self._cancel.is_complete:
            said = as_object(self._cancel.get_result())
            self._advance_to_event(said)
            self.update(cancel={**said, "time": format_time(self.now)})
        if self.restore.awaits_decision and self._decision.is_complete:
            said = as_object(self._decision.get_result())
            self._advance_to_event(said)
            self._hear_decision(said)

    def _hear_decision(self, said: Mapping[str, Any]) -> None:
        expires, word = self.restore.approval_expires, said.get("decision")
        if expires is not None and self.now > expires:
            self.become(self.restore.decided(Decision.TIMED_OUT, self.now))
        elif word in list(Decision):
            self.become(self.restore.decided(Decision(word), self.now, by=said.get("by"), comment=said.get("comment")))
        else:  # raised past the API, and no decision: the real one is still to come
            self._decision = self._ctx.wait_for_external_event(DECISION_EVENT)

    def turn_has_come(self) -> bool:
        """Tell whether the vault's turn has come while it is waited for."""
        if not self._turn.is_complete:
            return False
        self._advance_to_event(as_object(self._turn.get_result()))
        self._turn = self._ctx.wait_for_external_event(TURN_EVENT)
        return self.restore.wants_turn

    def hears_urgent(self) -> bool:
        """Note what people have asked for, and tell whether it ends a wait: an approval cuts none that Azure asked for.

        Also called before the history starts afresh, so that nothing is lost.
        """
        before = self.restore
        self._hear()
        now = self.restore
        decided = before.decision is None and now.decision is not None
        return (before.cancel is None and now.cancel is not None) or (
            decided and (now.decision is not Decision.APPROVED or now.phase is Phase.AWAITING_APPROVAL)
        )

    def ask(self, activity: str, data: Json) -> Steps[Json]:
        """Call one activity once and return its value; raises what the activity sealed, as ``begin`` and ``finish``."""
        return (yield from self.finish(activity, self.begin(activity, data)))

    def begin(self, activity: str, data: Json) -> task.Task[Json]:
        """Start an activity without waiting for it; its task goes to ``finish``.

        Raises :class:`HeldError` while a wait that the activity's last answer asked for is not over, whatever has
        happened since: a deadline, a cancellation or another call's failure shortens no wait of Azure's.
        """
        if not self.may_ask(activity):
            raise HeldError(activity, self.restore.waits[activity])
        self.tell()
        return self._ctx.call_activity(activity, input=data)

    def finish(self, activity: str, begun: task.Task[Json]) -> Steps[Json]:
        """Wait for an activity that was begun and open its envelope; raises what the activity sealed.

        An activity that broke instead of answering (its worker died, a bug) is a passing failure: all of them are
        safe to run again. Whoever posts must not use this for the posting itself without minding that.
        """
        self.tell()
        try:
            envelope = yield begun
        except task.TaskFailedError as failure:
            raise TransientError(
                errors.INTERNAL_ERROR, f"The activity {activity} broke: {failure.details.message}"
            ) from failure
        if envelope.get("activity", activity) != activity:
            # It was asked for by a run of the turn that did not count, and bears the number of this one.
            raise TransientError(errors.INTERNAL_ERROR, f"The answer of {activity} was one of {envelope['activity']}.")
        if at := envelope.get("at"):
            self._advance(parse_request_time(at))
        self._note_wait(activity, envelope)
        return unseal(envelope)

    def may_ask(self, activity: str) -> bool:
        """Tell whether the wait that the activity's last answer asked for, if any, is over."""
        until = self.restore.waits.get(activity)
        return until is None or until <= self.now

    def _note_wait(self, activity: str, envelope: Json) -> None:
        waits = {each: until for each, until in self.restore.waits.items() if each != activity and until > self.now}
        asked_s = wait_s(asked_wait_s(envelope), 0.0)
        if asked_s:
            until = self.now + timedelta(seconds=asked_s)
            waits[activity] = until
            if "error" not in envelope and activity in _FOLLOWED_BY:
                waits[_FOLLOWED_BY[activity]] = until  # the wait of what was accepted is for the first look at it
            if activity == START_RESTORE and _may_be_the_lists(envelope):
                waits[FIND_JOB] = until
        if waits != self.restore.waits:
            self.update(waits=waits)

    def operate(self, entity: str, key: str, operation: str, data: Json) -> Steps[Json]:
        """Have an entity do one operation, and return its answer; one that broke is a passing failure."""
        return (yield from self.answer(entity, self.request(entity, key, operation, data)))

    def request(self, entity: str, key: str, operation: str, data: Json) -> task.Task[Json]:
        """Ask an entity beside other calls; the task goes to ``answer``."""
        return self._ctx.call_entity(EntityInstanceId(entity, key), operation, self._numbered(data))

    def answer(self, entity: str, requested: task.Task[Json]) -> Steps[Json]:
        """Wait for an entity's answer; one that broke is a passing failure."""
        try:
            answer = yield requested
        except (task.TaskFailedError, EntityOperationFailedException) as failure:
            raise TransientError(errors.INTERNAL_ERROR, f"The entity {entity} broke: {failure}") from failure
        if "activity" in answer:  # as in ``finish``
            raise TransientError(errors.INTERNAL_ERROR, f"The answer of {entity} was one of {answer['activity']}.")
        if "outdated" in answer:  # the instance was started again with the same input: its numbers begin anew
            raise TransientError(errors.INTERNAL_ERROR, f"{entity} has answered a later request of this restore.")
        return answer

    def signal(self, entity: str, key: str, operation: str, data: Json) -> None:
        """Have an entity do one operation whose answer nobody waits for."""
        self._ctx.signal_entity(EntityInstanceId(entity, key), operation, self._numbered(data))

    def _numbered(self, data: Json) -> Json:
        restore = self.restore
        self.update(requests=restore.requests + 1)
        return {
            "restoreId": restore.restore_id,
            "created": format_time(restore.created),
            "number": restore.requests + 1,
            "now": format_time(self.now),
            **data,
        }


def _may_be_the_lists(envelope: Json) -> bool:
    """Tell whether a failed trigger's wait may be that of the list of jobs, into which it looks before it posts."""
    posted = envelope.get("kind") == "open" and envelope["error"]["code"] != errors.LATE_DELIVERY
    return "error" in envelope and not posted
