"""Recoveries played without an engine: the machine against a made-up world, and what must hold at every moment.

The world has restores that take their time and fail at random, persons who give commands, and a task hub that loses,
doubles and reorders messages. A step may be run again, as an engine does after a crash: then its answer is lost. The
whole play follows from one seed.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any, Final

from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import INTERNAL_ERROR, SERVICE_UNAVAILABLE, TransientError
from domain.recovery import calls
from domain.recovery.calls import CheckedMembers, GroupOutline, MemberEnd, MemberRef, Resolved, StillChoosing
from domain.recovery.custom_status import MAX_CUSTOM_STATUS, custom_status
from domain.recovery.machine import COMMAND_EVENT, MEMBER_EVENT, absorb, advance, decide, hear
from domain.recovery.parts import (
    ACTIVE,
    GOOD,
    AcceptedRecovery,
    GroupStatus,
    MemberStatus,
    PlannedGroup,
    RecoveryStatus,
)
from domain.recovery.state import Recovery
from domain.restore.answers import Done
from domain.restore.parts import Admission, Clock, Decision, LockState, Source, Status
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers

if TYPE_CHECKING:
    from domain.errors import Json, RestoreError
    from domain.restore.calls import Call
    from domain.restore.steps import Step

CREATED: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
_MAX_STEPS: Final = 20_000
_MAX_STEPS_AT_ONCE: Final = 400
_COMMANDS: Final = ("pause", "resume", "retry", "skip", "approve", "reject", "retry", "approve")


@dataclass(slots=True, kw_only=True)
class Restore:
    """The restore of a member in one attempt: when it will end, and how. ``cancelled``: it was told to stop.

    ``is_known``: the recovery has heard of its end.
    """

    ends: datetime
    status: Status
    cancelled: bool = False
    is_over: bool = False
    is_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How likely things go wrong in one play."""

    fails: float
    call_fails: float
    runs_twice: float
    loses: float
    doubles: float
    purges: float
    asks: float
    commands: int
    cancels: bool


@dataclass(slots=True)
class World:
    """One recovery and the world around it."""

    random: Random
    now: datetime = CREATED
    restores: dict[MemberRef, Restore] = field(default_factory=dict[Any, Any])
    mail: list[tuple[datetime, int, str, Json]] = field(default_factory=list[Any])
    number: int = 0
    cancelled_at: datetime | None = None
    paused: bool = False

    def send(self, at: datetime, event: str, data: Json) -> None:
        self.number += 1
        self.mail.append((at, self.number, event, data))


class BrokenError(AssertionError):
    """Something that must hold does not."""


def play(seed: int, *, max_groups: int = 50, max_members: int = 300) -> Recovery:
    """Play one random recovery to its end; raise ``BrokenError`` if something does not hold that must."""
    try:
        return _Play(seed, max_groups, max_members).run()
    except Exception as error:
        error.add_note(f"seed {seed}")
        raise


class _Play:
    def __init__(self, seed: int, max_groups: int, max_members: int) -> None:
        self.random = random = Random(seed)
        self.world = World(random)
        self.outline = _outline(random, max_groups, max_members)
        self.max_per_vault = random.choice((None, 1, 2, 5, 20, 50))
        rough = random.random() < 0.8
        self.odds = Odds(
            fails=random.choice((0, 0.02, 0.3)),
            call_fails=random.choice((0, 0.1, 0.4)) if rough else 0,
            runs_twice=random.choice((0, 0.05, 0.3)) if rough else 0,
            loses=random.choice((0, 0.1, 0.5)) if rough else 0,
            doubles=random.choice((0, 0.2)) if rough else 0,
            purges=random.choice((0, 0.03)) if rough else 0,
            asks=random.choice((0, 0, 0.5)),
            commands=random.choice((0, 0, 3, 12)),
            cancels=random.random() < 0.15,
        )
        groups = tuple(
            PlannedGroup(name=group.name, after=group.after, optional=group.optional) for group in self.outline.groups
        )
        self.recovery = Recovery(
            accepted=AcceptedRecovery(
                recovery_id="r",
                plan_name="shop",
                groups=groups,
                fingerprint="f",
                source=Source.HTTP,
                created=CREATED,
                max_per_vault=self.max_per_vault,
                dry_run=random.random() < 0.1,
            ),
            clock=Clock(now=CREATED),
            admission=Admission(lock=LockState.NOT_NEEDED, admitted=True),
        )
        self.group_of = [number for number, group in enumerate(self.outline.groups) for _ in range(group.count)]
        self.steps = 0
        self.at_once = 0
        self.chosen = 0
        self._plan_commands()

    # The persons

    def _plan_commands(self) -> None:
        total_s = self.random.choice((300, 3600, 3600 * 12))
        for number in range(self.odds.commands):
            at = CREATED + timedelta(seconds=self.random.randrange(total_s))
            self._command(at, self.random.choice(_COMMANDS), f"c{number}")
        if self.odds.cancels:
            self._command(CREATED + timedelta(seconds=self.random.randrange(total_s)), "cancel", "cancel")

    def _command(self, at: datetime, word: str, command_id: str) -> None:
        data: Json = {"id": command_id, "command": word, "by": "alice", "comment": "why"}
        if self.random.random() < 0.5:
            data["group"] = self.random.choice(self.outline.groups).name
        for _ in range(2 if self.random.random() < self.odds.doubles else 1):
            self.world.send(at, COMMAND_EVENT, data)
            at += timedelta(seconds=self.random.randrange(60))

    def _person_helps(self) -> None:
        """Do what a person must, so that the recovery goes on: nothing else would happen."""
        status, at = self.recovery.progress.status, self.world.now + timedelta(minutes=5)
        number = self.world.number
        if self.recovery.progress.paused is not None:
            self.world.send(at, COMMAND_EVENT, {"id": f"h{number}", "command": "resume"})
        elif status is RecoveryStatus.AWAITING_APPROVAL and self.random.random() < 0.7:
            word = self.random.choice(("approve", "approve", "reject"))
            self.world.send(at, COMMAND_EVENT, {"id": f"h{number}", "command": word})
        elif status is RecoveryStatus.FAILED and self.random.random() < 0.9:
            word = self.random.choice(("retry", "retry", "skip"))
            self.world.send(at, COMMAND_EVENT, {"id": f"h{number}", "command": word})

    # The engine

    def run(self) -> Recovery:
        while True:
            self._count_steps()
            self._deliver()
            self.recovery = self._round_trip(advance(self.recovery, self.world.now))
            self._check()
            step = decide(self.recovery, self.world.now)
            if self.random.random() < self.odds.runs_twice:
                again = self._round_trip(advance(self.recovery, self.world.now))
                _holds(decide(again, self.world.now) == step, "a step that is run again is another one")
            if isinstance(step, Finish):
                self._check_end()
                return self.recovery
            self._take(step)

    def _count_steps(self) -> None:
        self.steps += 1
        _holds(self.steps < _MAX_STEPS, "the recovery does not end")

    def _round_trip(self, recovery: Recovery) -> Recovery:
        if self.steps % 10:
            return recovery
        written = json.loads(json.dumps(pack(recovery)))
        again: Recovery = unpack(Recovery, written)
        _holds(again == recovery, "the state comes out of JSON otherwise than it went in")
        _holds(len(json.dumps(custom_status(recovery))) <= MAX_CUSTOM_STATUS, "the custom status is too long")
        return again

    def _take(self, step: Step) -> None:
        if isinstance(step, MakeCall):
            self.at_once += 1
            _holds(self.at_once < _MAX_STEPS_AT_ONCE, "the recovery runs in a tight loop")
            for call in (step.call, *step.beside):
                self._make(call)
        elif isinstance(step, WaitForAnswers):
            for call in step.calls:
                self._make(call)
        elif isinstance(step, Wait):
            _holds(step.until > self.world.now, "a wait must lie ahead")
            self._wait(step)

    def _wait(self, step: Wait) -> None:
        """Wait as the interpreter does: each event is heard, and ends the wait if it changes the next step."""
        is_told = any(event == COMMAND_EVENT for _, _, event, _ in self.world.mail)
        if not self._running() and not is_told:
            self._person_helps()
        while decide(self.recovery, self.world.now) == step:
            self._check_wait(step)
            following = min([step.until, *(mail[0] for mail in self.world.mail), *self._ends()])
            if following > self.world.now:
                self.at_once = 0
                self.world.now = following
            self.recovery = self.recovery.at(self.world.now)
            if self.world.now >= step.until:
                return
            self._deliver()

    def _ends(self) -> list[datetime]:
        return [restore.ends for restore in self.world.restores.values() if not restore.is_over]

    def _deliver(self) -> None:
        """Let restores end whose time has come, and hand over the messages that have arrived, in any order."""
        world = self.world
        for ref, restore in world.restores.items():
            if not restore.is_over and restore.ends <= world.now:
                restore.is_over = True
                self._tell_end(ref, restore)
        due = [mail for mail in world.mail if mail[0] <= world.now]
        if not due:
            return
        world.mail = [mail for mail in world.mail if mail[0] > world.now]
        self.random.shuffle(due)
        for _, _, event, data in due:
            if event == COMMAND_EVENT:
                self._note_command(data)
            else:
                world.restores[MemberRef(index=data["index"], attempt=data["attempt"])].is_known = True
            self.recovery = hear(self.recovery.at(world.now), event, data, world.now)

    def _note_command(self, data: Json) -> None:
        if self.recovery.progress.is_closed or data["id"] in self.recovery.progress.commands:
            return
        word, progress = data["command"], self.recovery.progress
        if word == "cancel" and progress.cancellation is None:
            self.world.cancelled_at, self.world.paused = self.world.now, False
        elif word == "pause" and progress.cancellation is None and not progress.status.has_ended:
            self.world.paused = True
        elif word == "resume":
            self.world.paused = False

    def _tell_end(self, ref: MemberRef, restore: Restore) -> None:
        end = self._end_of(ref, restore)
        if self.random.random() < self.odds.loses:
            return
        for _ in range(2 if self.random.random() < self.odds.doubles else 1):
            late = timedelta(seconds=self.random.choice((0, 0, 1, 40, 1500)))
            self.world.send(self.world.now + late, MEMBER_EVENT, pack(end))

    def _end_of(self, ref: MemberRef, restore: Restore) -> MemberEnd:
        bad = restore.status is not Status.COMPLETED
        return MemberEnd(
            index=ref.index,
            attempt=ref.attempt,
            status=restore.status,
            ended=restore.ends,
            started=restore.ends - timedelta(minutes=5),
            point_time=CREATED - timedelta(hours=3),
            code="RestoreFailed" if bad else None,
            message="It failed." if bad else None,
        )

    # The activities

    def _make(self, call: Call) -> None:
        if self.random.random() < self.odds.runs_twice:
            self._answer(call)  # the worker died before its answer was kept
        answer = self._answer(call)
        self.world.now += timedelta(seconds=self.random.choice((0, 0, 1, 30)))
        self._deliver()  # of messages that arrive while the call is in flight
        self.recovery = absorb(self.recovery.at(self.world.now), call, answer, self.world.now)
        self._check()

    def _answer(self, call: Call) -> Answer[Any] | RestoreError:
        fails = self.random.random() < self.odds.call_fails
        has_effect = not fails or self.random.random() < 0.5
        answer = Answer[Any](self._effect(call, partly=fails)) if has_effect else None
        if fails or answer is None:
            code = self.random.choice((INTERNAL_ERROR, SERVICE_UNAVAILABLE))
            return TransientError(code, "It is away.", retry_after_s=self.random.choice((None, 7)))
        return answer

    def _effect(self, call: Call, *, partly: bool) -> object:
        match call:
            case calls.ResolveRecovery():
                self.chosen += 1
                return self.outline if self.chosen > 1 else StillChoosing(progress={"page": 1})
            case calls.CheckMembers():
                return self._checked(call)
            case calls.StartMembers():
                for ref in call.members[: self.random.randrange(len(call.members) + 1)] if partly else call.members:
                    self._start(ref)
            case calls.CancelMembers():
                for ref in call.members:
                    self._cancel(ref)
            case _:
                pass
        return Done()

    def _start(self, ref: MemberRef) -> None:
        """Start a member's restore, unless it exists; nothing may start that must wait."""
        if ref in self.world.restores:
            _holds(not self.world.restores[ref].is_known, f"{ref} starts again after its end")
            return
        _holds(self.world.cancelled_at is None, f"{ref} starts after the cancellation")
        _holds(not self.world.paused, f"{ref} starts during a pause")
        group = self.group_of[ref.index]
        if not self.recovery.accepted.dry_run:
            self._check_before(group)
            approval = self.recovery.progress.groups[group].approval
            is_open = approval is not None and approval.decision is Decision.APPROVED
            _holds(is_open or self.outline.groups[group].approval_timeout is None, f"nobody let group {group} start")
        earlier = [known for known in self.world.restores if known.index == ref.index]
        _holds(all(self.world.restores[known].is_over for known in earlier), f"{ref} runs twice at once")
        is_restored = any(self.world.restores[known].status is Status.COMPLETED for known in earlier)
        _holds(not is_restored, f"{ref} starts although the member was restored")
        _holds(len(earlier) < ref.attempt, f"{ref} has {len(earlier)} attempts before it")
        fails = self.random.random() < self.odds.fails
        minutes = self.random.choice((1, 20, 31, 31, 31, 45, 600 if self.random.random() < 0.1 else 30))
        status = self.random.choice((Status.FAILED, Status.TIMED_OUT, Status.CANCELLED)) if fails else Status.COMPLETED
        if self.recovery.accepted.dry_run and not fails:
            status = Status.PLANNED
        self.world.restores[ref] = Restore(ends=self.world.now + timedelta(minutes=minutes), status=status)
        self._check_caps()

    def _check_before(self, group: int) -> None:
        """Check that all groups before this one are done; before one that was skipped as well."""
        before, seen = list(self.outline.groups[group].after), set[int]()
        while before:
            earlier = before.pop()
            status = self.recovery.progress.groups[earlier].status
            if earlier in seen:
                continue
            seen.add(earlier)
            if status is GroupStatus.SKIPPED:
                before += self.outline.groups[earlier].after
                continue
            is_good = status in {GroupStatus.COMPLETED, GroupStatus.COMPLETED_WITH_WARNINGS}
            _holds(is_good and self._is_done(earlier), f"group {group} starts while {earlier} is {status}")

    def _is_done(self, group: int) -> bool:
        outline = self.outline.groups[group]
        for index in range(outline.first, outline.first + outline.count):
            last = [self.world.restores[ref] for ref in self.world.restores if ref.index == index][-1:]
            if not last or not last[0].is_over or (last[0].status is not Status.COMPLETED and not outline.optional):
                return False
        return True

    def _cancel(self, ref: MemberRef) -> None:
        restore = self.world.restores.get(ref)
        if restore is not None and not restore.is_over:
            restore.cancelled = True
            restore.status = self.random.choice((Status.CANCELLED, Status.CANCELLED, restore.status))
            restore.ends = min(restore.ends, self.world.now + timedelta(minutes=self.random.choice((0, 1, 20))))

    def _checked(self, call: calls.CheckMembers) -> CheckedMembers:
        for ref in call.members:
            restore = self.world.restores.get(ref)
            if restore is not None and not restore.is_over and self.random.random() < self.odds.purges:
                del self.world.restores[ref]  # a person has terminated and purged it
        known = [(ref, self.world.restores.get(ref)) for ref in call.members]
        ended = [(ref, restore) for ref, restore in known if restore is not None and restore.is_over]
        going = [ref for ref, restore in known if restore is not None and not restore.is_over]
        return CheckedMembers(
            ended=tuple(self._end_of(ref, restore) for ref, restore in ended),
            missing=tuple(ref for ref, restore in known if restore is None),
            waiting=tuple(ref for ref in going if self.random.random() < self.odds.asks),  # before its swap
        )

    # What must hold

    def _running(self) -> list[int]:
        return [ref.index for ref, restore in self.world.restores.items() if not restore.is_over]

    def _check_caps(self) -> None:
        running = self._running()
        cap = self.outline.max_running
        _holds(cap is None or len(running) <= cap, f"{len(running)} members run, {cap} may")
        if self.max_per_vault is not None:
            for vault in {self.outline.vault_of[index] for index in running}:
                here = sum(self.outline.vault_of[index] == vault for index in running)
                _holds(here <= self.max_per_vault, f"{here} members run in vault {vault}")

    def _check(self) -> None:
        """Check that the recovery knows of every restore that runs, and that nobody waits who may go on."""
        progress = self.recovery.progress
        for index in self._running():
            letter = progress.members[index]
            _holds(letter in ACTIVE, f"member {index} runs, but is {letter}")
        if progress.status.has_ended and not progress.is_closed:
            _holds(not self._running(), "the recovery has ended, but restores run")

    def _check_wait(self, step: Wait) -> None:
        """Check that nobody waits who may go on, and that something will happen."""
        progress, backoff, now = self.recovery.progress, self.recovery.backoff, self.world.now
        for number, group in enumerate(progress.groups):
            first, count = self.outline.groups[number].first, self.outline.groups[number].count
            letters = set(progress.members[first : first + count])
            is_going = bool(letters & (ACTIVE | {MemberStatus.PENDING}))
            _holds(is_going or group.status is not GroupStatus.RUNNING, f"group {number} does not end")
        is_held = progress.paused is not None or progress.cancellation is not None
        if not is_held and backoff.is_due(calls.StartMembers.name, now):
            self._check_places()
        if progress.status in {RecoveryStatus.RUNNING, RecoveryStatus.PENDING} and not self._running():
            _holds(step.until - now <= timedelta(minutes=10) or bool(self.world.mail), "the recovery is stuck")

    def _check_places(self) -> None:
        """Check that no member of a running group waits who has a place under the caps."""
        vault_of, progress, cap = self.outline.vault_of, self.recovery.progress, self.max_per_vault
        active = [index for index, letter in enumerate(progress.members) if letter in ACTIVE]
        if self.outline.max_running is not None and len(active) >= self.outline.max_running:
            return
        here = Counter(vault_of[index] for index in active)
        for index, letter in enumerate(progress.members):
            status = progress.groups[self.group_of[index]].status
            if letter == MemberStatus.PENDING and status is GroupStatus.RUNNING:
                is_full = cap is not None and here[vault_of[index]] >= cap
                _holds(is_full, f"member {index} waits, but may start")

    def _check_end(self) -> None:
        progress = self.recovery.progress
        _holds(not self._running(), "restores run after the end")
        for index, letter in enumerate(progress.members):
            ref = self.recovery.ref(index)
            restore, status = self.world.restores.get(ref), MemberStatus(letter)
            if status in GOOD:
                _holds(restore is not None and restore.status in {Status.COMPLETED, Status.PLANNED}, f"{ref} is lost")
            if progress.status in {RecoveryStatus.COMPLETED, RecoveryStatus.PLANNED}:
                optional = self.outline.groups[self.group_of[index]].optional
                _holds(status in GOOD or optional, f"member {index} was not restored")
            if restore is not None and restore.status is Status.COMPLETED:
                _holds(status is MemberStatus.COMPLETED, f"{ref} was restored, but is {status.word}")
        cancelled = self.world.cancelled_at
        _holds(cancelled is not None or progress.status is not RecoveryStatus.CANCELLED, "nobody has cancelled it")
        for ref, restore in self.world.restores.items():
            is_late = cancelled is not None and restore.ends > cancelled + timedelta(hours=2)
            _holds(restore.cancelled or not is_late, f"{ref} was not told to stop")


def _outline(random: Random, max_groups: int, max_members: int) -> Resolved:
    count = random.choice((1, 2, 3, random.randint(1, max_groups)))
    most = random.choice((count, 10 + count, max_members))
    sizes = [0] * count
    for _ in range(random.randint(count, max(most, count))):
        sizes[random.randrange(count)] += 1
    firsts = [0, *accumulate(sizes)]
    density = random.choice((0.05, 0.3, 0.9))
    groups = tuple(
        GroupOutline(
            name=f"g{number}",
            after=tuple(before for before in range(number) if random.random() < density)[-random.randint(1, 8) :],
            first=firsts[number],
            count=sizes[number],
            optional=random.random() < 0.2,
            approval_timeout=timedelta(hours=2) if random.random() < 0.1 else None,
        )
        for number in range(count)
    )
    vaults = random.choice((1, 2, 7))
    return Resolved(
        groups=groups,
        vault_ids=tuple(f"v{number}" for number in range(vaults)),
        vault_of=tuple(random.randrange(-1, vaults) for _ in range(sum(sizes))),
        max_running=random.choice((None, 1, 4, 40)),
    )


def _holds(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenError(message)
