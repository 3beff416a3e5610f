"""What a measure hands back, and small arithmetic."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``met`` is ``None`` where nothing was promised; ``how`` says what was measured and how."""

    measure: str
    target: str
    median: str
    worst: str
    met: bool | None
    how: str

    @property
    def verdict(self) -> str:
        """The word of the table's last column."""
        return {None: "-", True: "met", False: "missed"}[self.met]


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which ``share`` of them lie, between two samples in proportion."""
    ordered = sorted(samples)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median_of(samples: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(samples)
