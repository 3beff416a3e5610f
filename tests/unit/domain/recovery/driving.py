"""A recovery driven by hand: what it does next, what it is answered, and what it hears."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from domain.answers import Answer
from domain.codec import pack
from domain.recovery import calls
from domain.recovery.calls import CheckedMembers, GroupOutline, MemberEnd, MemberRef, MemberWait, Resolved
from domain.recovery.custom_status import shown_progress
from domain.recovery.document import document
from domain.recovery.machine import COMMAND_EVENT, MEMBER_EVENT, absorb, advance, decide, hear
from domain.recovery.parts import AcceptedRecovery, PlannedGroup
from domain.recovery.state import Recovery
from domain.restore.answers import Done
from domain.restore.parts import Admission, Clock, LockState, Source, Status
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers

if TYPE_CHECKING:
    from domain.errors import Json, RestoreError
    from domain.recovery.parts import RecoveryProgress
    from domain.restore.calls import Call
    from domain.restore.steps import Step

CREATED = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def a_group(count: int = 1, *after: int, **members: Any) -> Json:
    """Return what ``driven`` makes a group of: its size, the groups before it, and members of ``GroupOutline``."""
    return {"count": count, "after": after, **members}


class Driven:
    """One recovery. Deliveries are answered at once."""

    def __init__(
        self,
        *groups: Json,
        max_running: int | None = None,
        max_per_vault: int | None = None,
        vault_of: tuple[int, ...] | None = None,
        typical_s: float | None = None,
        **accepted: Any,
    ) -> None:
        outlines: list[GroupOutline] = []
        first = 0
        for index, group in enumerate(groups):
            outlines.append(GroupOutline(**{"name": f"g{index}", "first": first, **group}))
            first += group["count"]
        self.resolution = Resolved(
            groups=tuple(outlines),
            vault_ids=("v0", "v1"),
            vault_of=vault_of or (0,) * first,
            max_running=max_running,
            typical_s=typical_s,
        )
        planned = tuple(PlannedGroup(name=known.name, after=known.after, optional=known.optional) for known in outlines)
        whole = {
            "recovery_id": "r",
            "plan_name": "shop",
            "groups": planned,
            "fingerprint": "f",
            "source": Source.HTTP,
            "created": CREATED,
            "max_per_vault": max_per_vault,
            **accepted,
        }
        by_alert = whole.get("alert") is not None
        self.now = CREATED
        self.made: list[Call] = []
        self.recovery = Recovery(
            accepted=AcceptedRecovery(**whole),
            clock=Clock(now=CREATED),
            admission=Admission(lock=LockState.WANTED if by_alert else LockState.NOT_NEEDED, admitted=not by_alert),
        )

    @property
    def progress(self) -> RecoveryProgress:
        return self.recovery.progress

    @property
    def statuses(self) -> list[str]:
        """The statuses of the groups."""
        return [str(group.status) for group in self.progress.groups]

    @property
    def document(self) -> Json:
        return document(self.recovery.accepted, shown_progress(self.recovery), self.now)

    def step(self) -> Step:
        """Return the next step; events are delivered before it."""
        while True:
            self.recovery = advance(self.recovery.at(self.now), self.now)
            step = decide(self.recovery, self.now)
            made = step.calls if isinstance(step, WaitForAnswers) else ()
            if isinstance(step, MakeCall) and step.call.is_delivery:
                made = (step.call, *step.beside)
            if not made:
                return step
            for call in made:
                self.made.append(call)
                self.absorb(call, Done())

    def call(self) -> Call:
        """Return the call that is made next."""
        step = self.step()
        assert isinstance(step, MakeCall), step
        return step.call

    def waits_until(self) -> timedelta:
        """Return until when the recovery waits, from its creation on."""
        step = self.step()
        assert isinstance(step, Wait), step
        return step.until - CREATED

    def is_finished(self) -> bool:
        return isinstance(self.step(), Finish)

    def answer(self, value: object = None) -> Call:
        """Answer the next call; returns it."""
        call = self.call()
        self.absorb(call, Done() if value is None else value)
        return call

    def absorb(self, call: Call, value: object) -> None:
        self.recovery = absorb(self.recovery, call, Answer(value), self.now)

    def fail(self, error: RestoreError) -> Call:
        call = self.call()
        self.recovery = absorb(self.recovery, call, error, self.now)
        return call

    def resolve(self) -> Driven:
        """Answer the choice of the members."""
        call = self.answer(self.resolution)
        assert isinstance(call, calls.ResolveRecovery)
        return self

    def start(self) -> list[int]:
        """Answer all starts of members that follow at once; returns the members' indexes."""
        begun: list[int] = []
        while isinstance(step := self.step(), MakeCall) and isinstance(step.call, calls.StartMembers):
            self.answer()
            begun += [ref.index for ref in step.call.members]
        return begun

    def passes(self, **time: float) -> Driven:
        self.now += timedelta(**time)
        return self

    def end(self, *indexes: int, status: Status = Status.COMPLETED, attempt: int = 1, **members: Any) -> Driven:
        for index in indexes:
            self.hear_end(
                MemberEnd(index=index, attempt=attempt, status=status, ended=self.now, **members),
            )
        return self

    def hear_end(self, end: MemberEnd) -> None:
        self.recovery = hear(self.recovery.at(self.now), MEMBER_EVENT, pack(end), self.now)

    def hear_wait(self, index: int, *, waits: bool = True, attempt: int = 1) -> Driven:
        """Hear from a member that it waits for a person, or that it goes on."""
        news = pack(MemberWait(index=index, attempt=attempt, waits=waits))
        self.recovery = hear(self.recovery.at(self.now), MEMBER_EVENT, news, self.now)
        return self

    def command(self, word: str, **members: str) -> Driven:
        self.hear({"id": f"{word} {self.now} {members.get('group')}", "command": word, **members})
        return self

    def hear(self, command: Json) -> None:
        self.recovery = hear(self.recovery.at(self.now), COMMAND_EVENT, command, self.now)

    def check(
        self,
        *,
        ended: tuple[MemberEnd, ...] = (),
        missing: tuple[MemberRef, ...] = (),
        waiting: tuple[MemberRef, ...] = (),
    ) -> calls.CheckMembers:
        call = self.answer(CheckedMembers(ended=ended, missing=missing, waiting=waiting))
        assert isinstance(call, calls.CheckMembers)
        return call

    def check_that_waits(self, *indexes: int) -> Driven:
        """Answer the check of members, of which these wait for a person."""
        self.check(waiting=tuple(MemberRef(index=index, attempt=1) for index in indexes))
        return self


def running(*groups: Json, **members: Any) -> Driven:
    """Return a recovery whose first members have been started."""
    driven = Driven(*groups, **members).resolve()
    driven.start()
    return driven
