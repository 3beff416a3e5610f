"""``python -m tests.chaos``: restores and recoveries against an Azure, a network and workers that fail at random."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from domain.wire import as_object
from tests.chaos.checks import Violation, violations
from tests.chaos.made_checks import CHECKS as USE_CHECKS
from tests.chaos.made_checks import use_state
from tests.chaos.plans import ALL_FAULTS, RESTART, Plan, draw_plans
from tests.chaos.recovery_checks import CHECKS as RECOVERY_CHECKS
from tests.chaos.recovery_checks import recovery_violations
from tests.chaos.recovery_stage import RecoveryStage
from tests.chaos.stage import Stage
from tests.chaos.swap_checks import CHECKS as SWAP_CHECKS
from tests.chaos.swap_checks import swap_state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

CHECKS: Final = (
    "lost",
    "doubled",
    "stuck",
    "not released",
    "too early",
    "disagrees",
    "invented",
    "published",
    "overlap",
    "crowded",
    "another host",
    *SWAP_CHECKS,
    *USE_CHECKS,
)
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to; ``recoveries`` is ``None`` for one of restores alone."""

    seed: int
    recoveries: Counter[str] | None = None
    restores: int
    outcomes: Counter[str]
    swaps: Counter[str]
    uses: Counter[str]
    drawn: Counter[str]
    found: list[Violation]
    calls: int
    jobs: int
    virtual_h: float
    took_s: float

    def count(self, check: str) -> int:
        """Return how often a check found something."""
        return sum(each.check == check for each in self.found)

    def tables(self) -> list[Table]:
        """Return the summary."""
        kinds = _table("fault", "drawn", self.drawn)
        ends = [] if self.recoveries is None else [_table("outcome", "recoveries", self.recoveries)]
        swaps = [_table("state", "swaps", self.swaps)] if self.swaps else []
        uses = [_table("state", "new VMs and attachments", self.uses)] if self.uses else []
        return [kinds, _table("outcome", "restores", self.outcomes), *swaps, *uses, *ends]

    def verdict(self) -> str:
        """Return the summary's last lines."""
        checks = CHECKS if self.recoveries is None else (*CHECKS, *RECOVERY_CHECKS)
        counts = ", ".join(f"{self.count(check)} {check}" for check in checks)
        recoveries = "" if self.recoveries is None else f"{self.recoveries.total()} recoveries, "
        faults = f"{self.drawn.total()} faults of {len(self.drawn)} kinds"
        return (
            f"seed {self.seed}: {recoveries}{self.restores} restores, {faults}, "
            f"{self.calls} calls, {self.jobs} jobs, {self.swaps.total()} swaps, "
            f"{self.uses.total()} new VMs and attachments, "
            f"{self.virtual_h:.0f} h in {self.took_s:.0f} s\n{counts}"
        )


def run(seed: int, restores: int, *, only: Collection[int] = (), trace: bool = False, **options: Any) -> Report:
    """Run so many restores (or ``only`` those of the run with these numbers) and check what they came to."""
    plans = [plan for plan in draw_plans(seed, restores) if not only or plan.number in only]
    stage = Stage(seed, plans, **options)
    stage.service.trace = print if trace else None
    began = time.monotonic()
    stage.run()
    return _report(seed, stage, plans, began, violations(stage))


def run_recoveries(seed: int, recoveries: int, **options: int) -> Report:
    """Run so many recoveries and check what they and their restores came to."""
    began = time.monotonic()
    stage = RecoveryStage.of(seed, recoveries, **options)
    stage.run()
    plans = [outcome.plan for outcome in stage.outcomes.values()]
    own = [recovery.drawn.plan for recovery in stage.recoveries.values()]
    ends = Counter(stage.shown(plan.restore_id).get("status", "NotStarted") for plan in own)
    found = [*violations(stage), *recovery_violations(stage)]
    return replace(_report(seed, stage, plans, began, found, also=own), recoveries=ends)


def _report(
    seed: int, stage: Stage, plans: Sequence[Plan], began: float, found: list[Violation], *, also: Iterable[Plan] = ()
) -> Report:
    undos = [stage.outcomes[undo_id].plan for undo_id in stage.undone]
    drawn = sum((plan.struck for plan in (*plans, *also, *undos)), Counter[str]())
    drawn[RESTART] += stage.restarts
    return Report(
        seed=seed,
        restores=len(plans),
        outcomes=Counter(_outcome(stage, plan.restore_id) for plan in plans),
        swaps=Counter(state for state in map(swap_state, stage.outcomes.values()) if state),
        uses=Counter(state for state in map(use_state, stage.outcomes.values()) if state),
        drawn=+drawn,
        found=found,
        calls=stage.service.calls.total(),
        jobs=len(stage.service.world.jobs),
        virtual_h=stage.hub.clock.elapsed.total_seconds() / 3600,
        took_s=time.monotonic() - began,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run and print the summary; returns the exit code, 1 when something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="what everything is drawn from; random when left out")
    parser.add_argument("--restores", type=int, default=1000)
    parser.add_argument("--recoveries", type=int, default=0, help="so many recoveries after that")
    parser.add_argument("--members", type=int, default=40, help="that have so many members at most")
    parser.add_argument("--only", type=int, nargs="+", default=(), help="only these restores of the run, by number")
    parser.add_argument("--trace", action="store_true", help="print every call to Azure")
    asked = parser.parse_args(argv)
    seed = SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(f"seed {seed}")
    reports = [run(seed, asked.restores, only=asked.only, trace=asked.trace)] if asked.restores else []
    if asked.recoveries:
        reports.append(run_recoveries(seed, asked.recoveries, members=asked.members))
    for report in reports:
        _show(console, report)
    return 1 if any(report.found for report in reports) else 0


def _show(console: Console, report: Report) -> None:
    for table in report.tables():
        console.print(table)
    missing = [fault for fault in ALL_FAULTS if not report.drawn[fault]]
    console.print(f"never struck: {', '.join(missing) or 'none'}")
    for each in report.found[:_SHOWN]:
        console.print(f"{each.check}: number {each.number}: {each.what}", markup=False, soft_wrap=True)
    console.print(report.verdict(), soft_wrap=True)


def _outcome(stage: Stage, restore_id: str) -> str:
    outcome = stage.outcomes.get(restore_id)
    if outcome is None or outcome.document is None:
        return outcome.state if outcome else "NotStarted"
    if "refused" in outcome.document:
        return f"refused: {outcome.document['error']['code']}"
    code = as_object(outcome.document.get("error")).get("code")
    return outcome.document["status"] + (f" ({code})" if code else "")


def _table(head: str, counted: str, counts: Counter[str]) -> Table:
    table = Table()
    table.add_column(head)
    table.add_column(counted, justify="right")
    for name, count in sorted(counts.items()):
        table.add_row(name, str(count))
    return table
