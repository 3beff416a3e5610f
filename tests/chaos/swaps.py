"""Plays random swaps of a VM's disks, and their undos: the machine alone, against a VM that fails at random.

    python -m tests.chaos.swaps --swaps 10000 [--seed 0] [--workers 2]

It exits with 1 and the seed of each swap in which something did not hold that must.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.support.swap_world import play


def main() -> int:
    parser = argparse.ArgumentParser(description="Play random swaps against a made-up VM.")
    parser.add_argument("--swaps", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others count on from it")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    began, ends = time.monotonic(), Counter[str]()
    seeds = range(arguments.seed, arguments.seed + arguments.swaps)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for end, problem in pool.map(_play, seeds, chunksize=20):
            ends[end] += 1
            if problem:
                sys.stdout.write(f"{problem}\n")
                sys.stdout.flush()
    listed = ", ".join(f"{count} {name}" for name, count in ends.most_common())
    sys.stdout.write(f"{len(seeds)} swaps in {time.monotonic() - began:.0f} s: {listed}\n")
    return 1 if ends["broken"] else 0


def _play(seed: int) -> tuple[str, str]:
    """Return how a swap ended, and what did not hold; empty if all did."""
    try:
        return play(seed), ""
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
        return "broken", f"seed {seed}: {type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
