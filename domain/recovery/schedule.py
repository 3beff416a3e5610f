"""Which members start next: list scheduling under the recovery's cap and the vaults' caps."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.recovery.calls import GroupOutline


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How many members may be active at once, in the recovery and in each vault; ``None`` is no cap."""

    running: int | None
    per_vault: int | None


class Board:
    """The members that may start, and how many more the caps allow.

    The group with the longest chain of groups after it comes first, and within a group the vault with most members
    left: so the last hours are not spent on one long chain or one full vault. All members of unknown vaults count as
    one vault.
    """

    def __init__(self, groups: tuple[GroupOutline, ...], vault_of: tuple[int, ...], caps: Caps) -> None:
        self._vault_of = vault_of
        self._caps = caps
        self._active = 0
        self._active_in: dict[int, int] = {}
        self._left_in: dict[int, int] = {}
        self._waiting: dict[int, dict[int, deque[int]]] = {}
        self._rank = ranks(groups, caps.running)
        self._order: list[int] = []

    def add(self, group: int, members: Iterable[int]) -> None:
        """Add members that may start, all of one group."""
        waiting = self._waiting.setdefault(group, {})
        for index in members:
            vault = self._vault_of[index]
            waiting.setdefault(vault, deque()).append(index)
            self._left_in[vault] = self._left_in.get(vault, 0) + 1
        self._order = sorted((group for group, vaults in self._waiting.items() if vaults), key=self._rank.__getitem__)

    def occupy(self, index: int) -> None:
        """Count this member as active."""
        vault = self._vault_of[index]
        self._active += 1
        self._active_in[vault] = self._active_in.get(vault, 0) + 1

    def free(self, index: int) -> None:
        """Count this member as active no longer."""
        self._active -= 1
        self._active_in[self._vault_of[index]] -= 1

    @property
    def is_full(self) -> bool:
        """Whether the recovery may have no more active members."""
        return self._caps.running is not None and self._active >= self._caps.running

    def take(self) -> int | None:
        """Return the member that starts next, and count it as active; ``None`` if none may start."""
        if self.is_full:
            return None
        for group in self._order:
            vault = self._fullest_vault(self._waiting[group])
            if vault is not None:
                return self._take_from(group, vault)
        return None

    def _fullest_vault(self, waiting: dict[int, deque[int]]) -> int | None:
        """Return the vault with a free place that has most members left."""
        cap, best, most = self._caps.per_vault, None, 0
        for vault in waiting:
            if self._left_in[vault] > most and (cap is None or self._active_in.get(vault, 0) < cap):
                best, most = vault, self._left_in[vault]
        return best

    def _take_from(self, group: int, vault: int) -> int:
        vaults = self._waiting[group]
        index = vaults[vault].popleft()
        self._left_in[vault] -= 1
        if not vaults[vault]:
            del vaults[vault]
        if not vaults:
            self._order.remove(group)
        self.occupy(index)
        return index


@lru_cache(maxsize=64)
def ranks(groups: tuple[GroupOutline, ...], cap: int | None) -> tuple[tuple[int, int], ...]:
    """Return a sort key for each group: those before the longest chain come first, else the plan's order counts.

    The length of a chain is the number of rounds that its groups take under the cap of the recovery.
    """
    rounds = [math.ceil(group.count / (cap or max(group.count, 1))) for group in groups]
    followers: list[list[int]] = [[] for _ in groups]
    for index, group in enumerate(groups):
        for before in group.after:
            followers[before].append(index)
    chains: dict[int, int] = {}

    def chain(index: int) -> int:
        if index not in chains:
            chains[index] = rounds[index] + max(map(chain, followers[index]), default=0)
        return chains[index]

    return tuple((-chain(index), index) for index in range(len(groups)))
