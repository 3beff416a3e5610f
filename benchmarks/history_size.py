"""How large a history becomes while a restore runs for twenty hours."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from benchmarks.rows import Row, median_of
from tests.support.azure import Lab, a_restore

_MOST: Final = 500


def sizes() -> tuple[int, list[int]]:
    """Return the most events any instance ever had, and those of each execution of the restore."""
    lab = Lab()
    lab.azure.job_takes = timedelta(hours=20)
    restore = a_restore()
    if lab.run(restore)["status"] != "Completed":
        raise RuntimeError("the restore did not complete")
    return lab.hub.largest_history, [len(events) for events in lab.hub.generations(restore.restore_id)]


def measure() -> list[Row]:
    """Run a job of twenty hours on the skipping clock."""
    largest, generations = sizes()
    return [
        Row(
            measure="history events, 20-hour restore",
            target=f"no instance above {_MOST}",
            median=f"{median_of(generations):.0f}",
            worst=f"max {largest}",
            met=largest <= _MOST,
            how=f"default settings, skipping clock; {len(generations)} executions of one instance (continue-as-new)",
        )
    ]
