"""Whether the thousandth look at a job costs what the tenth did."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from benchmarks.rows import Row, median_of
from tests.support.azure import Lab, a_restore

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST: Final = 1.2
_EARLY: Final = 10
_LATE: Final = 1000
_AROUND: Final = 60
"""Looks that are averaged: several whole histories, since a history's later turns replay its earlier ones."""
_RUNS: Final = 5


def measure() -> list[Row]:
    """Follow one job for twenty hours on the skipping clock, several times."""
    runs = [cpu_ms_around(_EARLY, _LATE) for _ in range(_RUNS)]
    early, late = (median_of([run[place] for run in runs]) for place in (0, 1))
    ratios = [run[1] / run[0] for run in runs]
    ratio = median_of(ratios)
    return [
        Row(
            measure=f"CPU of a look at the job, {_LATE}th / {_EARLY}th",
            target=f"ratio <= {_MOST}",
            median=f"{ratio:.2f}",
            worst=f"max {max(ratios):.2f}",
            met=ratio <= _MOST,
            how=f"default settings, skipping clock, one restore of 20 hours, {_RUNS} times; {late:.1f} ms against "
            f"{early:.1f} ms, orchestrator, activity and hub, each the mean of the {_AROUND} looks that follow",
        )
    ]


def cpu_ms_around(*looks: int) -> list[float]:
    """Return the process's CPU time in ms of one look at the job, from each of these looks on."""
    lab = Lab()
    lab.azure.job_takes = timedelta(hours=20)
    taken: list[float] = []
    lab.azure.before["get_job"] = [lambda: taken.append(time.process_time())] * (max(looks) + _AROUND + 1)
    if lab.run(a_restore())["status"] != "Completed":
        raise RuntimeError("the restore did not complete")
    return [_per_look_ms(taken[look - 1 : look + _AROUND]) for look in looks]


def _per_look_ms(moments: Sequence[float]) -> float:
    return (moments[-1] - moments[0]) / (len(moments) - 1) * 1000
