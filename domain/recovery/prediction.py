"""When a recovery will end: its schedule is played to the end, and each restore takes as long as others took.

The durations are those of the last restores of this recovery, each in turn. Their median alone would be too short,
because a group waits for the slowest member of the group before it. Before the first restore has ended, the median of
the vaults' past restores counts; without any, 31 minutes, as observed at Azure. The prediction assumes that nothing
fails, that approvals are given at once and that a pause ends at once. Groups after one that failed are left out: only a
person can start them.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from domain.recovery.parts import ACTIVE, GroupStatus, MemberStatus, passed_groups
from domain.recovery.schedule import Board, Caps

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from domain.recovery.calls import GroupOutline
    from domain.recovery.state import Recovery

_USUAL_S: Final = 31 * 60
_MIN_LEFT_S: Final = 60
_GOLDEN_RATIO: Final = 0.6180339887498949
_NEVER_STARTS: Final = frozenset({GroupStatus.FAILED, GroupStatus.REJECTED, GroupStatus.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a recovery has still to do.

    ``members`` has a letter for each member. ``done`` are the groups that no group waits for any more, ``never`` those
    whose followers cannot start. ``active`` has for each active member the seconds that it still needs, and its index.
    ``durations_s`` are those of other restores, the shortest first.
    """

    groups: tuple[GroupOutline, ...]
    vault_of: tuple[int, ...]
    caps: Caps
    members: str
    done: frozenset[int]
    never: frozenset[int]
    active: tuple[tuple[int, int], ...]
    durations_s: tuple[int, ...]


def predicted_end(recovery: Recovery, now: datetime) -> datetime | None:
    """Return when the recovery will end; ``None`` before its members are chosen."""
    outline, progress = recovery.outline, recovery.progress
    if outline is None:
        return None
    at = recovery.seconds(now)
    elapsed = {index: max(at - recovery.timing.started.get(str(index), at), 0) for index in active_members(recovery)}
    durations_s = _durations_s(recovery, max(elapsed.values(), default=0))
    ahead = Ahead(
        groups=outline.groups,
        vault_of=outline.vault_of,
        caps=caps_of(recovery),
        members=progress.members,
        done=frozenset(
            passed_groups([group.status for group in progress.groups], [known.after for known in outline.groups])
        ),
        never=frozenset(index for index, group in enumerate(progress.groups) if group.status in _NEVER_STARTS),
        active=tuple((_left_of_one_s(durations_s, index, past), index) for index, past in elapsed.items()),
        durations_s=durations_s,
    )
    return now + timedelta(seconds=left_s(ahead))


def planned_s(recovery: Recovery) -> int:
    """Return how many seconds the recovery would take, after a dry run has planned it."""
    outline = recovery.outline
    if outline is None:
        return 0
    return left_s(
        Ahead(
            groups=outline.groups,
            vault_of=outline.vault_of,
            caps=caps_of(recovery),
            members=str(MemberStatus.PENDING) * len(outline.vault_of),
            done=frozenset(),
            never=frozenset(),
            active=(),
            durations_s=(math.ceil(outline.typical_s or _USUAL_S),),
        )
    )


def caps_of(recovery: Recovery) -> Caps:
    """Return the caps of a recovery."""
    running = None if recovery.outline is None else recovery.outline.max_running
    return Caps(running=running, per_vault=recovery.accepted.max_per_vault)


def active_members(recovery: Recovery) -> list[int]:
    """Return the indexes of the members that count under the caps."""
    return [index for index, letter in enumerate(recovery.progress.members) if letter in ACTIVE]


def _durations_s(recovery: Recovery, longest_s: int) -> tuple[int, ...]:
    if recovery.timing.durations:
        return tuple(sorted(recovery.timing.durations))
    typical_s = None if recovery.outline is None else recovery.outline.typical_s
    return (max(math.ceil(typical_s or _USUAL_S), longest_s),)


def _one_of(durations_s: Sequence[int], index: int) -> int:
    """Return one of the durations: over many members, each is returned equally often, and in no order."""
    return durations_s[int(index * _GOLDEN_RATIO % 1 * len(durations_s))]


def _left_of_one_s(durations_s: tuple[int, ...], index: int, past_s: int) -> int:
    """Return how many seconds a member still needs that has run so long: it is one of those that took longer."""
    longer = durations_s[bisect_right(durations_s, past_s) :]
    return max(_one_of(longer, index) - past_s, _MIN_LEFT_S) if longer else _MIN_LEFT_S


@lru_cache(maxsize=256)  # each replay of a history predicts the same again
def left_s(ahead: Ahead) -> int:
    """Return how many seconds the recovery will still need."""
    return _Play(ahead).to_the_end()


class _Play:
    """The schedule as it will go."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead
        self._board = Board(ahead.groups, ahead.vault_of, ahead.caps)
        self._ends = list(ahead.active)
        heapq.heapify(self._ends)
        self._group_of = [number for number, group in enumerate(ahead.groups) for _ in range(group.count)]
        self._left = [0] * len(ahead.groups)
        self._done = set(ahead.done)
        self._waits = set(range(len(ahead.groups))) - ahead.done - ahead.never

    def to_the_end(self) -> int:
        for _, index in self._ends:
            self._board.occupy(index)
            self._left[self._group_of[index]] += 1
        self._release()
        at = 0
        while True:
            while (index := self._board.take()) is not None:
                heapq.heappush(self._ends, (at + _one_of(self._ahead.durations_s, index), index))
            if not self._ends:
                return at
            at, index = heapq.heappop(self._ends)
            self._end(index)
            while self._ends and self._ends[0][0] == at:
                self._end(heapq.heappop(self._ends)[1])

    def _end(self, index: int) -> None:
        group = self._group_of[index]
        self._board.free(index)
        self._left[group] -= 1
        if not self._left[group] and group not in self._ahead.never:
            self._done.add(group)
            self._release()

    def _release(self) -> None:
        """Let the groups start that wait for nothing any more; one with nothing left to do is done at once."""
        ready = [group for group in self._waits if self._done.issuperset(self._ahead.groups[group].after)]
        for number in ready:
            group = self._ahead.groups[number]
            end = group.first + group.count
            pending = [i for i in range(group.first, end) if self._ahead.members[i] == MemberStatus.PENDING]
            self._waits.remove(number)
            self._left[number] += len(pending)
            self._board.add(number, pending)
            if not self._left[number]:
                self._done.add(number)
        if ready:
            self._release()
