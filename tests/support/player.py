"""Restores played without a durable engine: the machine with the real activities and entities, on a clock that skips.

It runs ``advance``, ``decide``, ``absorb`` and ``hear`` as ``orchestrations.interpreter`` does, and holds every restore
to what must always be true: only allowed changes of the stage, a state that comes out of JSON as it went in, a clock
that never goes back, waits that lie ahead.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, get_type_hints

from activities.restores import RestoreActivities
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.envelopes import answer_time, request_of, unseal
from domain.errors import INTERNAL_ERROR, TransientError
from domain.restore import calls
from domain.restore.answers import Done, Joined, Running
from domain.restore.calls import ActivityCall, EntityCall, EventCall, StartRestore, entity_key
from domain.restore.document import document, shown_status
from domain.restore.machine import SLOT_EVENT, TRANSITIONS, WATCH_EVENT, absorb, advance, decide, hear
from domain.restore.parts import Clock, StatusEvents
from domain.restore.state import Restore, restore_id_for
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers
from domain.sealing import sealed
from domain.times import parse_request_time
from domain.watch import machine as watch_machine
from domain.watch.state import VaultWatch, is_reliable
from domain.wire import as_object, as_text
from orchestrations.entities import ENTITIES
from tests.support.azure import VM_ID, PostClaims, Receivers, ScriptedAzure, a_restore
from tests.support.compute import ScriptedCompute
from tests.support.hub import Clock as SkippingClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from domain.errors import Json, RestoreError
    from domain.restore.calls import Call

RESTORE: Final = restore_id_for("test")
"""The id of ``a_restore()``."""

_MAX_STEPS_AT_ONCE: Final = 500
_PARTS: Final = get_type_hints(Restore)


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCall:
    """One call of a restore: when it was made, in which state, and what came of it. ``data`` is the answer as JSON."""

    at: datetime
    call: Call
    restore: Restore
    data: Json | None
    failure: str | None = None

    @property
    def answer(self) -> Answer[Any] | RestoreError:
        """The answer as the machine sees it."""
        if self.data is None:
            return TransientError(INTERNAL_ERROR, f"{self.call.name} broke: {self.failure}")
        return unseal(self.call, self.data)


@dataclass(slots=True, kw_only=True)
class Play:
    """One restore and how far it has been played."""

    restore: Restore
    output: Json | None = None
    terminated: datetime | None = None
    waits: Wait | None = None
    said: deque[tuple[datetime, str, object]] = field(default_factory=deque[Any])
    in_flight: dict[str, MadeCall] = field(default_factory=dict[str, MadeCall])
    shown: list[Json] = field(default_factory=list[Any])
    states: list[Restore] = field(default_factory=list[Restore])
    calls: list[MadeCall] = field(default_factory=list[MadeCall])
    waits_s: list[float] = field(default_factory=list[float])
    news: tuple[Restore, datetime | None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to play."""
        return self.output is not None or self.terminated is not None


class Player:
    """Restores against one scripted Azure. ``breaks`` names entities and activities that raise."""

    def __init__(self) -> None:
        self.clock = SkippingClock()
        self.azure = ScriptedAzure(self.clock)
        self.compute = ScriptedCompute(clock=self.clock)
        self.plays: dict[str, Play] = {}
        self.receivers = Receivers()
        self.loses_wakes = False
        self.breaks: set[str] = set()
        self.claims = PostClaims()
        self.watches: dict[str, VaultWatch] = {}
        """The watchers that run, by their vaults; a test may take one away."""
        self._entities: dict[tuple[str, str], Json] = {}
        self._scheduled: list[tuple[datetime, int, Callable[[], object]]] = []
        self._number = 0
        self._steps_at_once = 0
        activities = RestoreActivities(self.azure, clock=self.clock.now)
        others: dict[type[ActivityCall], Callable[[Any], Answer[Any]]] = {
            calls.ClaimPost: self.claims.claim_post,
            calls.PublishResult: self.receivers.publish,
            calls.PostResult: self.receivers.post,
            calls.PublishEvents: self.receivers.publish_events,
            calls.PostEvent: self.receivers.post_event,
            calls.FindRunning: self._find_running,
            calls.WakeRestore: self._wake,
            calls.JoinWatch: self._join,
            **self.compute.activities(),
        }
        self._activities = {
            **activities.by_name(),
            StartRestore.name: activities.start_restore_with(self.claims.take),
            **{kind.name: sealed(kind, activity, self.clock.now) for kind, activity in others.items()},
        }

    # What a test does

    def run(self, restore: Restore | None = None) -> Json:
        """Play one restore to its end; returns the final document."""
        return self.finish(self.start(restore or a_restore()))

    def start(self, restore: Restore) -> str:
        """Queue a restore; returns its id. One that has ended is started again under its id."""
        self.plays[restore.restore_id] = Play(restore=restore)
        return restore.restore_id

    def finish(self, restore_id: str = RESTORE) -> Json:
        """Play until this restore has ended; returns the final document."""
        self.run_until(lambda: self.plays[restore_id].output is not None)
        done = self.plays[restore_id].output
        assert done is not None
        return done

    def run_until(self, target: datetime | timedelta | Callable[[], bool]) -> None:
        """Play until this is true, or this time has come, or so much time has passed."""
        if callable(target):
            while not target():
                assert self._step(None), "nothing is left to play, yet what the test waits for has not happened"
            return
        until = self.clock.now() + target if isinstance(target, timedelta) else target
        while self._step(until):
            pass
        self.clock.skip_to(until)

    def reach(self, restore_id: str, status: str) -> Json:
        """Play until the restore shows this status; returns its document."""
        self.run_until(lambda: self.document(restore_id).get("status") == status)
        return self.document(restore_id)

    def say(self, event: str, data: object = None, restore_id: str = RESTORE) -> None:
        """Tell a restore something now."""
        self.plays[restore_id].said.append((self.clock.now(), event, data))

    def at(self, after: timedelta, act: Callable[[], object]) -> None:
        """Have something done when so much time has passed."""
        self._number += 1
        heapq.heappush(self._scheduled, (self.clock.now() + after, self._number, act))

    def before_poll(self, call: str, number: int, act: Callable[[], object]) -> None:
        """Have something done while Azure is called this way for the ``number``-th time."""
        self.azure.before[call] = [*[dict] * (number - 1), act]

    def terminate(self, restore_id: str) -> None:
        """End a restore as an operator can: it does nothing more."""
        self.plays[restore_id].terminated = self.clock.now()

    # What a test sees

    def play(self, restore_id: str = RESTORE) -> Play:
        """Return how far a restore has been played."""
        return self.plays[restore_id]

    def document(self, restore_id: str = RESTORE) -> Json:
        """Return what a caller sees of a restore, once it shows something."""
        play = self.plays[restore_id]
        return play.output or (play.shown[-1] if play.shown else {})

    def shown(self, restore_id: str = RESTORE) -> list[Json]:
        """Return the documents that were shown along the way."""
        return self.plays[restore_id].shown

    def waits_s(self, restore_id: str = RESTORE) -> list[float]:
        """Return how long the restore waited each time, in seconds; cut short or not."""
        return self.plays[restore_id].waits_s

    def calls_of(self, name: str, restore_id: str = RESTORE) -> list[MadeCall]:
        """Return the restore's calls of this name."""
        return [made for made in self.plays[restore_id].calls if made.call.name == name]

    def lock(self, vm: str = VM_ID) -> Json:
        """Return what the VM's lock remembers."""
        return self.entity_state(calls.AcquireLock.entity, entity_key(vm))

    def entity_state(self, entity: str, key: str) -> Json:
        """Return what an entity remembers."""
        return self._entities.get((entity, key), {})

    def entity_states(self, entity: str) -> list[Json]:
        """Return what all entities of this name remember."""
        return [state for (name, _), state in self._entities.items() if name == entity]

    @property
    def elapsed_s(self) -> float:
        """How long it took by the clock."""
        return self.clock.elapsed.total_seconds()

    # The interpreter

    def _step(self, limit: datetime | None) -> bool:
        """Let one restore do its next step, or skip to the next moment; false where nothing is left until ``limit``."""
        now = self.clock.now()
        while self._scheduled and self._scheduled[0][0] <= now:
            heapq.heappop(self._scheduled)[2]()
        watching = [self._watch(vault_id) for vault_id in tuple(self.watches)]
        running = [play for play in self.plays.values() if not play.is_over]
        for play in running:
            if play.waits is None or play.waits.until <= now or play.said:
                self._steps_at_once += 1
                assert self._steps_at_once < _MAX_STEPS_AT_ONCE, "the restore goes round and round without a wait"
                self._run_step(play)
                return True
        moments = [play.waits.until for play in running if play.waits is not None]
        moments += [moment for moment, _, _ in self._scheduled[:1]]
        moments += [wait.until for wait in watching if wait is not None]
        if not moments or (limit is not None and min(moments) > limit):
            return False
        self._steps_at_once = 0
        self.clock.skip_to(min(moments))
        return True

    def _run_step(self, play: Play) -> None:
        if play.waits is not None and self._still_waits(play, play.waits):
            return
        play.waits = None
        self._hear(play)
        for made in tuple(play.in_flight.values()):
            if made.call.is_delivery:
                self._finish(play, made.call.name)
        _move(play, advance(play.restore, play.restore.clock.now))
        step = decide(play.restore, play.restore.clock.now)
        if isinstance(step, Finish):
            _show(play)
            play.output = document(play.restore, play.restore.clock.now)
        else:
            self._take_step(play, step)

    def _take_step(self, play: Play, step: MakeCall | Wait | WaitForAnswers) -> None:
        awaited = [made.call.name for made in play.in_flight.values() if not made.call.is_delivery]
        if isinstance(step, MakeCall):
            for call in (step.call, *step.beside):
                self._begin(play, call)
            if step.call.name in play.in_flight:
                self._finish(play, step.call.name)
        elif awaited:
            self._finish(play, awaited[0])
        elif isinstance(step, WaitForAnswers):
            _show(play, step.until)
            for call in step.calls:
                self._begin(play, call)
        else:
            assert step.until > play.restore.clock.now, f"{step} does not lie ahead"
            play.waits = step
            play.waits_s.append((step.until - self.clock.now()).total_seconds())
            _show(play, step.until)
            for call in step.beside:
                self._begin(play, call)

    def _still_waits(self, play: Play, wait: Wait) -> bool:
        is_over = self.clock.now() >= wait.until
        if is_over:
            _advance_clock(play, wait.until)
        self._hear(play)
        return not is_over and decide(play.restore, play.restore.clock.now) == wait

    def _hear(self, play: Play) -> None:
        while play.said:
            at, event, data = play.said.popleft()
            said_at = as_text(as_object(data).get("time"))
            _advance_clock(play, parse_request_time(said_at) if said_at else at)
            _move(play, hear(play.restore, event, data, play.restore.clock.now))

    def _begin(self, play: Play, call: Call) -> None:
        if call.name in play.in_flight:
            return
        _show(play)
        if isinstance(call, StartRestore):
            call = replace(call, asked=self.clock.now())
        if isinstance(call, EntityCall):
            clock = play.restore.clock
            play.restore = replace(play.restore, clock=replace(clock, requests=clock.requests + 1))
        made = MadeCall(at=self.clock.now(), call=call, restore=play.restore, data=None)
        try:
            made = replace(made, data=_as_sent(self._answer(play.restore, call)))
        except AssertionError:
            raise
        except Exception as failure:  # noqa: BLE001 - whatever broke: its worker died
            made = replace(made, failure=str(failure))
        play.calls.append(made)
        if isinstance(call, EventCall) or (isinstance(call, EntityCall) and call.is_signal):
            _move(play, absorb(play.restore, call, Answer(None), play.restore.clock.now))
        else:
            play.in_flight[call.name] = made

    def _answer(self, restore: Restore, call: Call) -> Json:
        if call.name in self.breaks:
            raise RuntimeError("the state is away")
        if isinstance(call, EventCall):
            return call.data
        if isinstance(call, ActivityCall):
            return self._activities[call.name](_as_sent(pack(call)))
        entity = _Entity(call.operation, self.entity_state(call.entity, call.key))
        answer = ENTITIES[call.entity](entity, _as_sent(request_of(restore, call)))  # type: ignore[arg-type] - as much as it needs
        self._entities[call.entity, call.key] = _as_sent(entity.state)
        return answer

    def _finish(self, play: Play, name: str) -> None:
        self._hear(play)
        _show(play)
        made = play.in_flight.pop(name)
        if made.data is not None:
            _advance_clock(play, answer_time(made.data))
        answer = made.answer
        _move(play, absorb(play.restore, made.call, answer, play.restore.clock.now))

    # The watchers, as orchestrations.watch_vault runs them

    def _watch(self, vault_id: str) -> Wait | None:
        """Let a watcher list the running jobs if that is due, and tell its restores; return what it waits for then."""
        while isinstance(step := watch_machine.decide(self.watches[vault_id], self.clock.now()), MakeCall):
            call: Any = step.call
            try:
                data = _as_sent(self._activities[call.name](_as_sent(pack(call))))
                answer = unseal(call, data)
            except RuntimeError as failure:
                answer = TransientError(INTERNAL_ERROR, f"{call.name} broke: {failure}")
            watch, told = watch_machine.absorb(self.watches[vault_id], call, answer, self.clock.now())
            self.watches[vault_id] = unpack(VaultWatch, _as_sent(pack(watch)))
            assert self.watches[vault_id] == watch, "the watcher comes out of JSON as another"
            for news in told:
                if (play := self.plays.get(news.restore_id)) is not None and not play.is_over:
                    self.say(WATCH_EVENT, _as_sent(news.data), news.restore_id)
        if isinstance(step, Wait):
            return step
        del self.watches[vault_id]
        return None

    def _join(self, call: calls.JoinWatch) -> Answer[Joined]:
        now, known = self.clock.now(), self.watches.get(call.vault_id)
        watch = known or VaultWatch.begin(call.vault_id, call.limits, now)
        self.watches[call.vault_id] = watch_machine.hear(watch, _as_sent(pack(call)), now)
        shown = None if known is None else _as_sent(known.shown())
        return Answer(Joined(is_watched=is_reliable(shown, call, now)))

    # The activities that reach no Azure

    def _find_running(self, call: calls.FindRunning) -> Answer[Running]:
        play = self.plays.get(call.restore_id)
        if play is None:
            return Answer(Running(is_running=False))
        outcome = play.restore.outcome
        ended = play.terminated if outcome is None else outcome.completed
        return Answer(Running(is_running=ended is None, ended=ended))

    def _wake(self, call: calls.WakeRestore) -> Answer[Done]:
        play = self.plays.get(call.restore_id)
        if play is not None and not play.is_over and not self.loses_wakes:
            self.say(SLOT_EVENT, None, call.restore_id)
        return Answer(Done())


class _Entity:
    """As much of an entity's context as its functions need."""

    def __init__(self, operation: str, state: Json) -> None:
        self.operation = operation
        self.state = state

    def get_state(self) -> Json:
        return self.state

    def set_state(self, state: Json) -> None:
        self.state = state


def _as_sent(data: Any) -> Any:
    return json.loads(json.dumps(data))


def _advance_clock(play: Play, moment: datetime | None) -> None:
    if moment is not None and moment > play.restore.clock.now:
        play.restore = replace(play.restore, clock=replace(play.restore.clock, now=moment))


def _move(play: Play, after: Restore) -> None:
    """Go on with this state, which must be one that may follow."""
    before = play.restore
    if after is not before:
        check_move(before, after)
        play.states.append(after)
    play.restore = after


def check_move(before: Restore, after: Restore) -> None:
    """Raise ``AssertionError`` where no restore may ever go from the one state to the other."""
    if type(before.stage) is not type(after.stage):
        assert type(after.stage) in TRANSITIONS[type(before.stage)], f"{after.stage} after {before.stage}"
    assert after.clock.now >= before.clock.now, "the clock went back"
    assert after.accepted == before.accepted, "what was accepted has changed"
    for name, kind in _PARTS.items():
        part = getattr(after, name)
        if part is not getattr(before, name) and is_dataclass(part):
            assert unpack(kind, _as_sent(pack(part))) == part, f"{name} comes out of JSON as another"
    if type(before.stage) is not type(after.stage) or before.outcome is not after.outcome:
        assert unpack(Restore, _as_sent(pack(after))) == after, "the state comes out of JSON as another"


def _show(play: Play, next_poll: datetime | None = None) -> None:
    """Show the state, if there is any news in it."""
    news = replace(play.restore, clock=Clock(now=play.restore.accepted.created), events=StatusEvents(), timeline=None)
    if play.news == (news, next_poll) or (next_poll is None and play.news is not None and play.news[0] == news):
        return
    play.news = news, next_poll
    shown = shown_status(play.restore, play.restore.clock.now, next_poll)
    if shown is not None:
        play.shown.append(shown)
