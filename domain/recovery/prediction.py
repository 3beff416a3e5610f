"""When a recovery will end: its schedule is played to the end, and each restore takes as long as others took.

The durations are those of the last restores of this recovery, each in turn. Their median alone would be too short,
because a group waits for the slowest member of the group before it. Before the first restore has ended, the median of
the vaults' past restores counts; without any, 31 minutes, as observed at Azure; and three minutes more for each member
whose disks are swapped. The prediction assumes that nothing
fails, that approvals are given at once and that a pause ends at once. Groups after one that failed are left out: only a
person can start them.

The groups that decide the end are the critical path: the one that ends last, before it the group that it waits for
longest, and so on.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from domain.recovery.parts import ACTIVE, GroupStatus, MemberStatus, passed_groups
from domain.recovery.schedule import Board, Caps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from domain.recovery.calls import GroupOutline, Resolved
    from domain.recovery.state import Recovery

_USUAL_S: Final = 31 * 60
_SWAP_S: Final = 3 * 60
_MIN_LEFT_S: Final = 60
_GOLDEN_RATIO: Final = 0.6180339887498949
_FAILED: Final = frozenset({GroupStatus.FAILED, GroupStatus.REJECTED, GroupStatus.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What a recovery has still to do.

    ``members`` has a letter for each member. ``done`` are the groups that no group waits for any more, ``failed`` those
    that failed, were rejected or cancelled, so that the groups after them cannot start. ``active`` has for each active
    member the seconds that it still needs, and its index. ``durations_s`` are those of other restores, the shortest
    first. ``swap_s`` is how long a swap takes, if these restores had none.
    """

    groups: tuple[GroupOutline, ...]
    vault_of: tuple[int, ...]
    caps: Caps
    members: str
    done: frozenset[int]
    failed: frozenset[int]
    active: tuple[tuple[int, int], ...]
    durations_s: tuple[int, ...]
    swap_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is still ahead: the seconds to the end, and the indexes of the groups on the critical path, in order."""

    left_s: int
    critical: tuple[int, ...]


def predict(recovery: Recovery, now: datetime) -> Forecast | None:
    """Return what is still ahead of the recovery; ``None`` before its members are chosen."""
    outline, progress = recovery.outline, recovery.progress
    if outline is None:
        return None
    at = recovery.seconds(now)
    elapsed = {index: max(at - recovery.timing.started.get(str(index), at), 0) for index in active_members(recovery)}
    durations_s = _durations_s(recovery, max(_of_running(recovery, elapsed), default=0))
    swap_s = 0 if recovery.timing.durations else _SWAP_S
    left = {
        index: _left_of_one_s(tuple(one + _extra_s(outline, index, swap_s) for one in durations_s), index, past)
        for index, past in elapsed.items()
    }
    return forecast_of(
        Ahead(
            groups=outline.groups,
            vault_of=outline.vault_of,
            caps=caps_of(recovery),
            members=progress.members,
            done=frozenset(
                passed_groups([group.status for group in progress.groups], [known.after for known in outline.groups])
            ),
            failed=frozenset(index for index, group in enumerate(progress.groups) if group.status in _FAILED),
            active=tuple((left_s, index) for index, left_s in left.items()),
            durations_s=durations_s,
            swap_s=swap_s,
        )
    )


def planned_s(recovery: Recovery) -> int:
    """Return how many seconds the recovery would take, after a dry run has planned it."""
    outline = recovery.outline
    if outline is None:
        return 0
    return forecast_of(
        Ahead(
            groups=outline.groups,
            vault_of=outline.vault_of,
            caps=caps_of(recovery),
            members=str(MemberStatus.PENDING) * len(outline.vault_of),
            done=frozenset(),
            failed=frozenset(),
            active=(),
            durations_s=(math.ceil(outline.typical_s or _USUAL_S),),
            swap_s=_SWAP_S,
        )
    ).left_s


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


def _of_running(recovery: Recovery, elapsed: Mapping[int, int]) -> list[int]:
    """Return the seconds of the members that do not wait for a person."""
    return [past for index, past in elapsed.items() if recovery.member(index) is not MemberStatus.AWAITING_APPROVAL]


def _extra_s(outline: Resolved, index: int, swap_s: int) -> int:
    return swap_s if outline.groups[outline.group_of(index)].swaps else 0


def _one_of(durations_s: Sequence[int], index: int) -> int:
    """Return one of the durations: over many members, each is returned equally often, and in no order."""
    return durations_s[int(index * _GOLDEN_RATIO % 1 * len(durations_s))]


def _left_of_one_s(durations_s: tuple[int, ...], index: int, past_s: int) -> int:
    """Return how many seconds a member still needs that has run so long: it is one of those that took longer."""
    longer = durations_s[bisect_right(durations_s, past_s) :]
    return max(_one_of(longer, index) - past_s, _MIN_LEFT_S) if longer else _MIN_LEFT_S


@lru_cache(maxsize=256)  # each replay of a history predicts the same again
def forecast_of(ahead: Ahead) -> Forecast:
    """Return how the recovery will go on."""
    play = _Play(ahead)
    return Forecast(left_s=play.to_the_end(), critical=play.critical_path())


class _Play:
    """Plays the schedule to its end, in seconds from now."""

    def __init__(self, ahead: Ahead) -> None:
        self._ahead = ahead
        self._board = Board(ahead.groups, ahead.vault_of, ahead.caps)
        self._ends = list(ahead.active)
        heapq.heapify(self._ends)
        self._group_of = [number for number, group in enumerate(ahead.groups) for _ in range(group.count)]
        self._left = [0] * len(ahead.groups)
        self._done = set(ahead.done)
        self._waits = set(range(len(ahead.groups))) - ahead.done - ahead.failed
        self._at = 0
        self._ended_at: dict[int, int] = {}

    def to_the_end(self) -> int:
        """Return in how many seconds the last member has ended."""
        for _, index in self._ends:
            self._board.occupy(index)
            self._left[self._group_of[index]] += 1
        self._release()
        while True:
            while (index := self._board.take()) is not None:
                heapq.heappush(self._ends, (self._at + self._duration_s(index), index))
            if not self._ends:
                return self._at
            self._at, index = heapq.heappop(self._ends)
            self._end(index)
            while self._ends and self._ends[0][0] == self._at:
                self._end(heapq.heappop(self._ends)[1])

    def _duration_s(self, index: int) -> int:
        swap_s = self._ahead.swap_s if self._ahead.groups[self._group_of[index]].swaps else 0
        return _one_of(self._ahead.durations_s, index) + swap_s

    def critical_path(self) -> tuple[int, ...]:
        """Return, once the schedule was played, the groups that decided its end; of several, the first in the plan."""
        path: list[int] = []
        candidates: Sequence[int] = sorted(self._ended_at)
        while candidates:
            path.append(max(candidates, key=lambda group: (self._ended_at[group], -group)))
            candidates = [before for before in self._ahead.groups[path[-1]].after if before in self._ended_at]
        return tuple(reversed(path))

    def _end(self, index: int) -> None:
        group = self._group_of[index]
        self._board.free(index)
        self._left[group] -= 1
        if not self._left[group]:
            self._ended_at[group] = self._at
            if group not in self._ahead.failed:
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
                self._ended_at[number] = self._at
                self._done.add(number)
        if ready:
            self._release()
