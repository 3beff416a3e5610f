"""The members of a recovery: started under the caps, followed to their ends, cancelled and checked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from domain.errors import TransientError
from domain.recovery.calls import CancelMembers, CheckMembers, MemberEnd, MemberRef, StartMembers
from domain.recovery.parts import (
    ACTIVE,
    GOOD,
    MEMBER_STATUS_OF,
    NOT_GOOD,
    UNDER_WAY,
    GroupStatus,
    MemberFailure,
    MemberStatus,
)
from domain.recovery.prediction import caps_of
from domain.recovery.schedule import Board
from domain.restore.failure import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from domain.errors import RestoreError
    from domain.recovery.calls import CheckedMembers, MemberWait, Resolved
    from domain.recovery.schedule import Caps
    from domain.recovery.state import Recovery
    from domain.restore.answers import Done

MAX_STARTS: Final = 25
MAX_CHECKS: Final = 50
CHECK_EVERY: Final = timedelta(minutes=10)
_MAX_DURATIONS: Final = 101
_MAX_FAILURES: Final = 50


def next_batch(recovery: Recovery) -> list[int]:
    """Return the pending members that start next, at most ``MAX_STARTS``."""
    progress, outline = recovery.progress, recovery.outline
    if outline is None or progress.paused is not None or MemberStatus.PENDING not in progress.members:
        return []
    groups = tuple(recovery.groups_in(GroupStatus.RUNNING))
    return list(_batch(outline, caps_of(recovery), progress.members, groups))


@lru_cache(maxsize=256)  # each replay of a history, and each event of a wait, asks for the same again
def _batch(outline: Resolved, caps: Caps, members: str, running: tuple[int, ...]) -> tuple[int, ...]:
    board = Board(outline.groups, outline.vault_of, caps)
    for index, letter in enumerate(members):
        if letter in ACTIVE:
            board.occupy(index)
    if board.is_full:
        return ()
    for number in running:
        group = outline.groups[number]
        end = group.first + group.count
        board.add(number, [index for index in range(group.first, end) if members[index] == MemberStatus.PENDING])
    batch: list[int] = []
    while len(batch) < MAX_STARTS and (index := board.take()) is not None:
        batch.append(index)
    return tuple(batch)


def starting(recovery: Recovery) -> list[int]:
    """Return the members whose restores are being started, or may have been."""
    return _in_status(recovery, MemberStatus.STARTING)


def with_batch(recovery: Recovery, members: Iterable[MemberRef], now: datetime) -> Recovery:
    """Return the recovery with these members as being started; they count under the caps from now on."""
    indexes = [ref.index for ref in members]
    at = recovery.seconds(now)
    times = {**recovery.timing.started, **{str(i): at for i in indexes if str(i) not in recovery.timing.started}}
    timing = replace(recovery.timing, started=times)
    return replace(recovery, timing=timing).with_members(MemberStatus.STARTING, indexes)


def start_call(recovery: Recovery) -> StartMembers | CheckMembers | None:
    """Return the call that starts members, if any is to be started.

    After a call that failed, its members are started again. Once the recovery is paused or cancelled, or the start is
    given up, the task hub is asked instead which of them run.
    """
    progress, unknown = recovery.progress, starting(recovery)
    is_held = progress.paused is not None or progress.cancellation is not None
    if unknown and (is_held or recovery.start_error is not None):
        return CheckMembers(recovery_id=recovery.recovery_id, members=_refs(recovery, unknown[:MAX_CHECKS]))
    batch = unknown or next_batch(recovery)
    if not batch:
        return None
    return StartMembers(recovery_id=recovery.recovery_id, members=_refs(recovery, batch[:MAX_STARTS]))


def cancel_call(recovery: Recovery) -> CancelMembers | None:
    """Return the call that cancels restores of a cancelled recovery; ``None`` if none is left that was not told."""
    cancellation = recovery.progress.cancellation
    running = [] if cancellation is None else _in_status(recovery, *UNDER_WAY)
    if cancellation is None or not running:
        return None
    return CancelMembers(
        recovery_id=recovery.recovery_id,
        members=_refs(recovery, running[:MAX_STARTS]),
        by=cancellation.by,
        comment=cancellation.comment,
    )


def check_due(recovery: Recovery) -> datetime | None:
    """Return when members must be checked next; ``None`` if none runs."""
    seen = _last_seen(recovery)
    return None if not seen else recovery.accepted.created + timedelta(seconds=min(seen.values())) + CHECK_EVERY


def check_call(recovery: Recovery, now: datetime) -> CheckMembers:
    """Return the call that checks the members that were seen longest ago, and some that would be due soon."""
    latest = recovery.seconds(now - CHECK_EVERY / 2)
    seen = {index: second for index, second in _last_seen(recovery).items() if second <= latest}
    oldest = sorted(seen, key=lambda index: (seen[index], index))[:MAX_CHECKS]
    return CheckMembers(recovery_id=recovery.recovery_id, members=_refs(recovery, sorted(oldest)))


def started(recovery: Recovery, call: StartMembers, _done: Done, _now: datetime) -> Recovery:
    """Return the recovery with these members running."""
    running = [ref.index for ref in call.members if _is_current(recovery, ref, MemberStatus.STARTING)]
    return recovery.with_members(MemberStatus.RUNNING, running)


def start_failed(recovery: Recovery, call: StartMembers, error: RestoreError, now: datetime) -> Recovery:
    """Return the recovery that starts these members again, or after half an hour gives that up."""
    if isinstance(error, TransientError) and recovery.backoff.failing_for(call.name, now) < PATIENCE:
        return replace(recovery, backoff=recovery.backoff.retry(call.name, now))
    return replace(recovery, start_error={"code": error.code, "message": error.message})


def cancelled(recovery: Recovery, call: CancelMembers, _done: Done, _now: datetime) -> Recovery:
    """Return the recovery, which has told these members to stop; their ends are waited for."""
    told = [ref.index for ref in call.members if _is_current(recovery, ref, *UNDER_WAY)]
    return recovery.with_members(MemberStatus.CANCELLING, told)


def checked(recovery: Recovery, call: CheckMembers, answer: CheckedMembers, now: datetime) -> Recovery:
    """Return the recovery with what the task hub knows of these members.

    A member without a restore is pending again, in the same attempt.
    """
    is_start = any(_is_current(recovery, ref, MemberStatus.STARTING) for ref in call.members)
    for end in answer.ended:
        recovery = ended(recovery, end, now)
    missing, at = frozenset(answer.missing), recovery.seconds(now)
    active = [ref for ref in call.members if _is_current(recovery, ref, *ACTIVE)]
    lost = [ref.index for ref in active if ref in missing]
    runs = [ref.index for ref in active if ref not in missing]
    recovery = _with_lost(recovery, lost)
    waiting = {ref.index for ref in answer.waiting}
    known = [index for index in runs if recovery.member(index) is not MemberStatus.CANCELLING]
    recovery = recovery.with_members(MemberStatus.RUNNING, [index for index in known if index not in waiting])
    recovery = recovery.with_members(MemberStatus.AWAITING_APPROVAL, [index for index in known if index in waiting])
    checked_at = {**recovery.timing.checked, **{str(index): at for index in runs}}
    recovery = replace(recovery, timing=replace(recovery.timing, checked=checked_at))
    if not is_start or starting(recovery):
        return recovery
    # It is known now what came of the starts that had failed, so they do not count any more.
    backoff = recovery.backoff.without_failures(StartMembers.name).without_wait(StartMembers.name)
    return replace(recovery, start_error=None, backoff=backoff)


def _with_lost(recovery: Recovery, indexes: list[int]) -> Recovery:
    """Return the recovery with these members pending again; those whose start was given up have failed."""
    error = recovery.start_error
    given_up = [i for i in indexes if error is not None and recovery.member(i) is MemberStatus.STARTING]
    pending = [index for index in indexes if index not in given_up]
    recovery = _without_times(recovery, pending).with_members(MemberStatus.PENDING, pending)
    for index in given_up:
        failure = MemberFailure(index=index, code=(error or {}).get("code"), message=(error or {}).get("message"))
        recovery = _with_end(recovery, index, MemberStatus.FAILED, failure)
    return recovery


def call_failed(
    recovery: Recovery, call: CancelMembers | CheckMembers, _error: RestoreError, now: datetime
) -> Recovery:
    """Return the recovery that makes the call again later."""
    return replace(recovery, backoff=recovery.backoff.retry(call.name, now))


def wait_heard(recovery: Recovery, news: MemberWait) -> Recovery:
    """Return the recovery after a member that runs has said that it waits for a person, or that it goes on.

    Should such an event be lost, or come too late, the next check of the member puts it right.
    """
    ref = MemberRef(index=news.index, attempt=news.attempt)
    if not 0 <= news.index < len(recovery.progress.members) or not _is_current(recovery, ref, *UNDER_WAY):
        return recovery
    status = MemberStatus.AWAITING_APPROVAL if news.waits else MemberStatus.RUNNING
    return recovery.with_members(status, [news.index])


def ended(recovery: Recovery, end: MemberEnd, _now: datetime) -> Recovery:
    """Return the recovery after a member's restore has ended.

    Nothing changes if this is an earlier attempt, if the end is known already, or if the member was never started.
    """
    status = MEMBER_STATUS_OF.get(end.status)
    if status is None or not 0 <= end.index < len(recovery.progress.members):
        return recovery
    if end.attempt != recovery.attempt(end.index) or not _may_end(recovery, end.index):
        return recovery
    failure = MemberFailure(index=end.index, code=end.code, message=end.message) if status in NOT_GOOD else None
    if status in GOOD:
        recovery = _with_measures(recovery, end)
    return _with_end(recovery, end.index, status, failure)


def _may_end(recovery: Recovery, index: int) -> bool:
    # A member that the task hub did not know for a moment is pending again, although its restore runs.
    letter, outline = recovery.member(index), recovery.outline
    if letter in ACTIVE or outline is None:
        return letter in ACTIVE
    group = recovery.progress.groups[outline.group_of(index)]
    return letter is MemberStatus.PENDING and group.status is GroupStatus.RUNNING


def _with_measures(recovery: Recovery, end: MemberEnd) -> Recovery:
    oldest, began = recovery.progress.oldest_point, recovery.timing.started.get(str(end.index))
    points = [point for point in (oldest, end.point_time) if point is not None]
    recovery = recovery.with_progress(oldest_point=min(points, default=None))
    if began is None:
        return recovery
    took_s = max(recovery.seconds(end.ended) - began - end.waited_s, 1)
    durations = (*recovery.timing.durations, took_s)[-_MAX_DURATIONS:]
    return replace(recovery, timing=replace(recovery.timing, durations=durations))


def _with_end(recovery: Recovery, index: int, status: MemberStatus, failure: MemberFailure | None) -> Recovery:
    others = tuple(known for known in recovery.progress.failures if known.index != index)
    failures = others if failure is None else (*others, failure)[-_MAX_FAILURES:]
    return _without_times(recovery, [index]).with_progress(failures=failures).with_members(status, [index])


def _without_times(recovery: Recovery, indexes: list[int]) -> Recovery:
    gone, timing = set(map(str, indexes)), recovery.timing
    started_at = {index: second for index, second in timing.started.items() if index not in gone}
    checked_at = {index: second for index, second in timing.checked.items() if index not in gone}
    return replace(recovery, timing=replace(timing, started=started_at, checked=checked_at))


def _in_status(recovery: Recovery, *statuses: MemberStatus) -> list[int]:
    if not any(status in recovery.progress.members for status in statuses):
        return []
    return [index for index, letter in enumerate(recovery.progress.members) if letter in statuses]


def _is_current(recovery: Recovery, ref: MemberRef, *statuses: MemberStatus) -> bool:
    return recovery.attempt(ref.index) == ref.attempt and recovery.member(ref.index) in statuses


def _refs(recovery: Recovery, indexes: list[int]) -> tuple[MemberRef, ...]:
    return tuple(map(recovery.ref, indexes))


def _last_seen(recovery: Recovery) -> dict[int, int]:
    """Return for each member that runs the second in which it was checked last, or else started."""
    timing, letters = recovery.timing, recovery.progress.members
    return {
        int(index): timing.checked.get(index, second)
        for index, second in timing.started.items()
        if letters[int(index)] != MemberStatus.STARTING
    }
