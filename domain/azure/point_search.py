"""The search for the recovery point to restore in a list of any length. It can be interrupted and resumed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from domain.azure.recovery_points import Choice, RecoveryPoint, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from domain.requests import RestoreRequest

_MAX_CANDIDATES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProgress:
    """How far the search has come. ``link`` is the next page, or ``None`` once all pages have been read.

    ``slices`` counts the calls that have read a part of the list.
    """

    link: str | None
    slices: int
    best: RecoveryPoint | None = None
    nearest: Verdict | None = None
    seen: int = 0
    misses: dict[str, int] = field(default_factory=dict[str, int])
    newest: tuple[RecoveryPoint, ...] = ()


@dataclass(slots=True)
class PointSearch:
    """An unfinished choice; for a plan it also keeps the newest points, whose verdicts are shown."""

    choice: Choice
    is_plan: bool
    newest: list[RecoveryPoint] = field(default_factory=list[RecoveryPoint])

    @classmethod
    def begin(cls, request: RestoreRequest, now: datetime, progress: SearchProgress | None = None) -> Self:
        """Return a search that continues from ``progress``, or a new one that has seen no point."""
        in_place = request.is_in_place
        choice = Choice(request.criteria, now, request.rehydrates, in_place=in_place)
        if progress is None:
            return cls(choice, request.is_plan)
        choice.best, choice.nearest, choice.seen = progress.best, progress.nearest, progress.seen
        choice.misses = Counter(progress.misses)
        return cls(choice, request.is_plan, list(progress.newest))

    def consider(self, points: Iterable[RecoveryPoint]) -> None:
        """Add some more points to the search."""
        for point in points:
            self.choice.consider(point)
            if self.is_plan:
                self.newest.append(point)
        self.newest = sorted(self.newest, key=newest_first)[:_MAX_CANDIDATES]

    def progress(self, link: str | None, slices: int) -> SearchProgress:
        """Return how far the search has come."""
        return SearchProgress(
            link=link,
            slices=slices,
            best=self.choice.best,
            nearest=self.choice.nearest,
            seen=self.choice.seen,
            misses=dict(self.choice.misses),
            newest=tuple(self.newest),
        )

    @property
    def candidates(self) -> list[Verdict]:
        """The verdicts that a plan shows, newest first: on the chosen point and on the newest others."""
        best = self.choice.best
        shown = self.newest
        if self.is_plan and best is not None and best not in shown:
            shown = [best, *shown[: _MAX_CANDIDATES - 1]]
        return [self.choice.verdict(point) for point in sorted(shown, key=newest_first)]


def newest_first(point: RecoveryPoint) -> float:
    """Return the sort key that orders points from the newest to the oldest, points without a time last."""
    return -point.time.timestamp() if point.time else 0.0
