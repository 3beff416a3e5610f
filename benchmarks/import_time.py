"""How long the app's import takes, against that of the SDK packages it is built on."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from benchmarks.rows import Row, median_of, percentile
from scripts.stack import ROOT, clean_environment

_RUNS: Final = 15
_MOST: Final = 1.25
_APP: Final = "import function_app"
_PACKAGES: Final = "import azure.functions, azure.durable_functions, azure.identity, requests"


def import_s(statement: str) -> float:
    """Return how long a fresh interpreter takes for the statement, its own start not counted."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def measure() -> list[Row]:
    """Import both in turn, so that a busy machine slows both."""
    for statement in (_APP, _PACKAGES):
        import_s(statement)  # bytecode and page cache
    pairs = [(import_s(_APP), import_s(_PACKAGES)) for _ in range(_RUNS)]
    app, packages = ([pair[side] * 1000 for pair in pairs] for side in (0, 1))
    ratio = median_of(app) / median_of(packages)
    return [
        Row(
            measure="import function_app / its SDK packages",
            target=f"ratio <= {_MOST}",
            median=f"{ratio:.2f}",
            worst=f"p95 {percentile([a / b for a, b in zip(app, packages, strict=True)], 0.95):.2f}",
            met=ratio <= _MOST,
            how=f"{_RUNS} fresh interpreters each, in turn, warm caches, no network; medians {median_of(app):.0f} ms "
            f"against {median_of(packages):.0f} ms",
        )
    ]
