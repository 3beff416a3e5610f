"""``make bench``: what was promised, against what this machine measures. Never fails for being slow."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from benchmarks import (
    alerts,
    calls_before_trigger,
    calls_of_a_job,
    choosing,
    engine,
    engine_recovery,
    engine_settings,
    fleet,
    history_size,
    import_time,
    listing,
    load,
    many_points,
    many_restores,
    page,
    poll_cost,
    recoveries,
    recovery_types,
    report_delay,
    swap,
    trigger_latency,
)
from scripts.stack import interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.rows import Row

MEASURES: Final[dict[str, Callable[[], list[Row]]]] = {
    "latency": trigger_latency.measure,
    "calls-before": calls_before_trigger.measure,
    "calls-in-all": calls_of_a_job.measure,
    "delay": report_delay.measure,
    "import": import_time.measure,
    "history": history_size.measure,
    "types": recovery_types.measure,
    "swap": swap.measure,
    "points": many_points.measure,
    "choosing": choosing.measure,
    "alerts": alerts.measure,
    "list": listing.measure,
    "page": page.measure,
    "load": load.measure,
    "many": many_restores.measure,
    "polls": poll_cost.measure,
    "fleet": fleet.measure,
    "recoveries": recoveries.measure,
    "engine": engine.measure,
    "engine-recovery": engine_recovery.measure,
    "engine-settings": engine_settings.measure,
}

_ONLY_BY_NAME: Final = frozenset({"engine-settings"})  # ten minutes, for the choice of settings


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table; returns the exit code, 1 only when something could not be measured at all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The benchmarks, as a table.")
    parser.add_argument(
        "--only", action="append", choices=MEASURES, metavar="NAME", help=f"one of {', '.join(MEASURES)}"
    )
    names: list[str] = parser.parse_args(argv).only or [name for name in MEASURES if name not in _ONLY_BY_NAME]
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    rows: list[Row] = []
    broken: list[str] = []
    began = time.monotonic()
    with interruptible():
        for name in names:
            console.print(f"measuring {name} ...")
            try:
                rows += MEASURES[name]()
            except Exception as error:  # noqa: BLE001 - the other measures are still worth having
                broken.append(f"{name} could not be measured: {type(error).__name__}: {error}")
    console.print(_table(rows))
    for number, row in enumerate(rows, start=1):
        console.print(f"{number:2}. {row.how}")
    console.print(f"{_machine()}; {time.monotonic() - began:.0f} s in all.")
    console.print("\n".join(broken), end="\n" if broken else "")
    return 1 if broken else 0


def _table(rows: Sequence[Row]) -> Table:
    table = Table()
    for head in ("", "measure", "target", "median", "p95 or max", "verdict"):
        table.add_column(head, justify="right" if head in {"", "median", "p95 or max"} else "left")
    for number, row in enumerate(rows, start=1):
        table.add_row(str(number), row.measure, row.target, row.median, row.worst, row.verdict)
    return table


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {cores} cores"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
