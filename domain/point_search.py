"""The search for the point to restore, through a list of any length: it can be interrupted and resumed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from domain.errors import Json, TerminalError
from domain.recovery_points import Choice, RecoveryPoint, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from domain.requests import RestoreRequest

_MAX_CANDIDATES: Final = 100


@dataclass(slots=True)
class PointSearch:
    """An unfinished choice; for a plan it also keeps the newest points, whose verdicts are shown."""

    choice: Choice
    is_plan: bool
    newest: list[RecoveryPoint] = field(default_factory=list[RecoveryPoint])

    @classmethod
    def begin(cls, request: RestoreRequest, now: datetime) -> Self:
        """Return a search that has seen no point yet."""
        choice = Choice(request.criteria, now, request.rehydrates, in_place=request.is_in_place)
        return cls(choice, request.is_plan)

    def consider(self, points: Iterable[RecoveryPoint]) -> None:
        """Look at some more points."""
        for point in points:
            self.choice.consider(point)
            if self.is_plan:
                self.newest.append(point)
        self.newest = sorted(self.newest, key=newest_first)[:_MAX_CANDIDATES]

    def to_json(self) -> Json:
        """Return how far the search has come."""
        nearest = self.choice.nearest
        return {
            "best": self.choice.best and self.choice.best.to_state(),
            "nearest": nearest and {"point": nearest.point.to_state(), "reasons": list(nearest.reasons)},
            "seen": self.choice.seen,
            "misses": dict(self.choice.misses),
            "newest": [point.to_state() for point in self.newest],
        }

    def resume_from(self, data: Mapping[str, Any]) -> None:
        """Take over what ``to_json`` wrote."""
        best, nearest = data["best"], data["nearest"]
        self.choice.best = RecoveryPoint.from_state(best) if best else None
        if nearest:
            self.choice.nearest = Verdict(RecoveryPoint.from_state(nearest["point"]), tuple(nearest["reasons"]))
        self.choice.seen, self.choice.misses = data["seen"], Counter(data["misses"])
        self.newest = [RecoveryPoint.from_state(each) for each in data["newest"]]

    def outcome(self) -> Json:
        """Return ``{"point", "archived", "facts", "candidates", "candidatesCut", "error"?}``.

        A plan has the verdicts on the chosen point and the newest others as ``candidates``, and ``candidatesCut`` says
        how many more there were. Without a point, a plan has ``error``; otherwise ``TerminalError`` is raised.
        """
        found: Json = {"point": None, "archived": False, "facts": None, "candidates": [], "candidatesCut": 0}
        if self.is_plan:
            kept = sorted(self._shown(), key=newest_first)
            found["candidatesCut"] = self.choice.seen - len(kept)
            found["candidates"] = [self.choice.verdict(point).to_json() for point in kept]
        try:
            chosen = self.choice.result()
        except TerminalError as error:
            if not self.is_plan:
                raise
            return {**found, "error": error.to_json()}
        return {**found, "point": chosen.to_json(), "archived": chosen.archived, "facts": chosen.facts.to_json()}

    def _shown(self) -> list[RecoveryPoint]:
        best = self.choice.best
        if best is None or best in self.newest:
            return self.newest
        return [best, *self.newest[: _MAX_CANDIDATES - 1]]


def newest_first(point: RecoveryPoint) -> float:
    """Return the sort key that puts points from the newest to the oldest, those without a time last."""
    return -point.time.timestamp() if point.time else 0.0
