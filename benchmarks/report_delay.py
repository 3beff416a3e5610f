"""How long after a job's end the restore is reported."""

from __future__ import annotations

import statistics
from datetime import timedelta
from typing import Final

from benchmarks.rows import Row, median_of
from tests.support.azure import Lab, a_restore

_PHASES: Final = 20
_MAX_S: Final = 60
_MEAN_S: Final = 35


def delay_s(job_takes: timedelta) -> float:
    """Return the seconds from the job's end to the message on the results queue, on the skipping clock."""
    lab = Lab()
    lab.azure.job_takes = job_takes
    lab.run(a_restore())
    if len(lab.receivers.published) != 1 or lab.receivers.published[0]["status"] != "Completed":
        raise RuntimeError("the restore was not reported as completed, once")
    return (lab.hub.clock.now() - (lab.azure.jobs[0].made + job_takes)).total_seconds()


def measure() -> list[Row]:
    """Let jobs end at twenty moments of the poll's period."""
    delays = [delay_s(timedelta(minutes=31, seconds=3 * phase)) for phase in range(_PHASES)]
    mean = statistics.mean(delays)
    return [
        Row(
            measure="31-minute job's end -> report",
            target=f"max <= {_MAX_S} s, mean <= {_MEAN_S} s",
            median=f"mean {mean:.1f} s",
            worst=f"max {max(delays):.1f} s",
            met=max(delays) <= _MAX_S and mean <= _MEAN_S,
            how=f"default settings, skipping clock, jobs of 31 min + k x 3 s, k = 0 to {_PHASES - 1}; "
            f"median {median_of(delays):.1f} s, min {min(delays):.1f} s",
        )
    ]
