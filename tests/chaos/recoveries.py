"""Plays random recoveries of up to 50 groups and 300 members: the machine alone, in a world that fails at random.

    python -m tests.chaos.recoveries --recoveries 10000 [--seed 0] [--workers 2]

It exits with 1 and the seed of each recovery in which something did not hold that must.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.support.recovery_world import play


def main() -> int:
    parser = argparse.ArgumentParser(description="Play random recoveries against a made-up world.")
    parser.add_argument("--recoveries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others count on from it")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    began, results = time.monotonic(), Counter[str]()
    seeds = range(arguments.seed, arguments.seed + arguments.recoveries)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for status, members, problem in pool.map(_play, seeds, chunksize=20):
            results[status] += 1
            results["members"] += members
            if problem:
                sys.stdout.write(f"{problem}\n")
                sys.stdout.flush()
    broken = results["broken"]
    ends = ", ".join(f"{count} {name}" for name, count in results.most_common())
    took = time.monotonic() - began
    sys.stdout.write(f"{len(seeds)} recoveries in {took:.0f} s: {ends}\n")
    return 1 if broken else 0


def _play(seed: int) -> tuple[str, int, str]:
    """Return how a recovery ended, how many members it had, and what did not hold; empty if all did."""
    try:
        progress = play(seed).progress
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
        return "broken", 0, f"seed {seed}: {type(error).__name__}: {error}"
    return progress.status, len(progress.members), ""


if __name__ == "__main__":
    sys.exit(main())
