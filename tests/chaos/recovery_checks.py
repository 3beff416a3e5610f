"""What must hold of the recoveries of a run, beside what must hold of every restore."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.recovery.calls import record_id_of_members
from domain.recovery.parts import (
    GOOD,
    GROUP_LETTERS,
    MEMBER_STATUS_OF,
    NOT_GOOD,
    GroupStatus,
    MemberStatus,
    passed_groups,
)
from domain.recovery.roster import Roster
from domain.restore.parts import Phase, Status
from domain.times import parse_request_time
from domain.wire import as_object
from tests.chaos.checks import Violation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json
    from tests.chaos.recovery_plans import DrawnRecovery
    from tests.chaos.recovery_stage import MemberStart, RecoveryOutcome, RecoveryStage

CHECKS: Final = (
    "out of order",
    "over the cap",
    "not held",
    "member doubled",
    "member lost",
    "recovery stuck",
    "untold",
)
_IN_FLIGHT: Final = timedelta(minutes=15)
"""So long after a pause or a cancellation a batch may still start: the lease of a worker that has died with it."""
_STATUS_OF: Final = {letter: status for status, letter in GROUP_LETTERS.items()}


def recovery_violations(stage: RecoveryStage) -> list[Violation]:
    """Return everything that does not hold of the run's recoveries."""
    found: list[Violation] = []
    for recovery in stage.recoveries.values():
        told = [*_end(stage, recovery)]
        if (check := starts_of(stage, recovery)) is not None:
            told += [each for start in recovery.starts for each in check.start(start)]
        found += [Violation(name, recovery.drawn.number, what) for name, what in told]
    return found


def starts_of(stage: RecoveryStage, recovery: RecoveryOutcome) -> StartsOfRecovery | None:
    """Return the checks of a recovery's starts, ``None`` if its members were never chosen."""
    record_id = record_id_of_members(recovery.drawn.recovery_id)
    if record_id not in stage.hub.instances():
        return None
    return StartsOfRecovery(recovery.drawn, Roster.from_json(stage.hub.state(record_id).input))


class StartsOfRecovery:
    """The starts of a recovery's members, checked one by one."""

    def __init__(self, drawn: DrawnRecovery, roster: Roster) -> None:
        self._drawn = drawn
        self._roster = roster
        self._groups = roster.resolved.groups

    def start(self, start: MemberStart) -> Iterator[tuple[str, str]]:
        """Return what did not hold when a member's restore was started."""
        where = f"member {start.index} attempt {start.attempt} at {start.at:%d %H:%M:%S}"
        for check, what in (*self._order(start), *self._caps(start), *self._again(start), *_holds(start)):
            yield check, f"{where}: {what}"

    def _order(self, start: MemberStart) -> Iterator[tuple[str, str]]:
        group = self._roster.group_of(start.index)
        statuses = [_STATUS_OF[letter] for letter in start.shown["groups"]]
        passed = passed_groups(statuses, [each.after for each in self._groups])
        for before in self._groups[group].after:
            if before not in passed:
                yield "out of order", f"group {group} waits for group {before}, which is {statuses[before]}"
        for before in self._before(group):
            if statuses[before] is not GroupStatus.SKIPPED and not self._is_done(before, start):
                yield "out of order", f"group {group} comes after group {before}, whose restores have not all succeeded"
        if self._groups[group].approval_timeout is not None:
            decision = as_object(as_object(start.shown["approvals"]).get(str(group))).get("decision")
            if decision != "Approved":
                yield "out of order", f"group {group} was not approved, but {decision}"

    def _before(self, group: int) -> set[int]:
        before = set(self._groups[group].after)
        return before.union(*map(self._before, before))

    def _is_done(self, group: int, start: MemberStart) -> bool:
        outline = self._groups[group]
        for index in range(outline.first, outline.first + outline.count):
            documents = start.others.get(index, [])
            if not documents or not _is_over(documents[-1]):
                return outline.optional and not documents
            if not outline.optional and not _is_good(documents[-1]):
                return False
        return True

    def _caps(self, start: MemberStart) -> Iterator[tuple[str, str]]:
        running = [start.index, *(index for index, each in start.others.items() if not _is_over(each[-1]))]
        if self._drawn.max_running is not None and len(running) > self._drawn.max_running:
            yield "over the cap", f"{len(running)} members run, {self._drawn.max_running} may"
        vault = self._roster.vault_of(start.index)
        here = sum(self._roster.vault_of(index) == vault for index in running)
        if vault is not None and here > self._drawn.max_per_vault:
            yield "over the cap", f"{here} members run in {vault}, {self._drawn.max_per_vault} may"

    @staticmethod
    def _again(start: MemberStart) -> Iterator[tuple[str, str]]:
        earlier = start.others.get(start.index, [])
        if any(not _is_over(document) or _is_good(document) for document in earlier):
            yield "member doubled", f"attempts before it: {[document['status'] for document in earlier]}"
        if start.attempt <= len(earlier):
            yield "member doubled", f"it has {len(earlier)} attempts already"


def _holds(start: MemberStart) -> Iterator[tuple[str, str]]:
    for name in ("paused", "cancellation"):
        since = as_object(start.shown.get(name)).get("time")
        if since is not None and start.at > parse_request_time(since) + _IN_FLIGHT:
            yield "not held", f"{name} since {since}"


def _is_over(document: Json) -> bool:
    return document["phase"] == Phase.FINISHED


def _is_good(document: Json) -> bool:
    return MEMBER_STATUS_OF[Status(document["status"])] in GOOD


def _end(stage: RecoveryStage, recovery: RecoveryOutcome) -> Iterator[tuple[str, str]]:
    state = stage.hub.state(recovery.drawn.recovery_id)
    if state.status != "Completed":
        yield "recovery stuck", f"{state.status}: {state.failure or state.custom_status}"
        return
    shown = stage.shown(recovery.drawn.recovery_id)
    lost_events = any(warning["code"] == "EventsNotPublished" for warning in shown.get("warnings", []))
    if recovery.events[-1:] != [shown["status"]] and not lost_events:
        yield "untold", f"{shown['status']}, but the events are {recovery.events}"
    letters = [MemberStatus(letter) for letter in shown.get("members", "")]
    if shown["status"] == "Completed" and not all(letter in GOOD for letter in letters):
        yield "member lost", f"Completed, but the members are {shown['members']}"
    last = {start.index: start for start in recovery.starts}
    for index, letter in enumerate(letters):
        yield from _member(stage, shown, index, letter, last.get(index))


def _member(
    stage: RecoveryStage, shown: Json, index: int, letter: MemberStatus, start: MemberStart | None
) -> Iterator[tuple[str, str]]:
    if start is None:
        if letter in GOOD:
            yield "member lost", f"member {index} is {letter.word}, but has no restore"
        return
    document = stage.restore_document(start.restore_id)
    if not _is_over(document):
        yield "member lost", f"member {index} is {letter.word}, but its restore is {document['status']}"
        return
    attempts: str = shown.get("attempts") or "1" * len(shown["members"])
    is_of_this = int(attempts[index], 36) == start.attempt
    if is_of_this and letter in GOOD | NOT_GOOD and MEMBER_STATUS_OF[Status(document["status"])] is not letter:
        yield "member lost", f"member {index} is {letter.word}, but its restore is {document['status']}"
