"""Plays random uses of restored disks: the machine alone, against an Azure that fails at random.

    python -m tests.chaos.follow_ups swaps|creations --count 10000 [--seed 0] [--workers 2]

``swaps`` are swaps of a VM's disks and their undos; ``creations`` are new VMs and attachments. It exits with 1 and the
seed of each in which something did not hold that must.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final

from tests.support import creation_world, swap_world

PLAYS: Final = {"swaps": swap_world.play, "creations": creation_world.play}


def main() -> int:
    parser = argparse.ArgumentParser(description="Play random uses of restored disks against a made-up Azure.")
    parser.add_argument("kind", choices=PLAYS)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others count on from it")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    began, ends = time.monotonic(), Counter[str]()
    seeds = range(arguments.seed, arguments.seed + arguments.count)
    with ProcessPoolExecutor(arguments.workers) as pool:
        for end, problem in pool.map(partial(_play, arguments.kind), seeds, chunksize=20):
            ends[end] += 1
            if problem:
                sys.stdout.write(f"{problem}\n")
                sys.stdout.flush()
    listed = ", ".join(f"{count} {name}" for name, count in ends.most_common())
    sys.stdout.write(f"{len(seeds)} {arguments.kind} in {time.monotonic() - began:.0f} s: {listed}\n")
    return 1 if ends["broken"] else 0


def _play(kind: str, seed: int) -> tuple[str, str]:
    """Return how it ended, and what did not hold; empty if all did."""
    try:
        return PLAYS[kind](seed), ""
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
        return "broken", f"seed {seed}: {type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
