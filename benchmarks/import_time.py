"""How long the app's import takes, against that of the SDK packages it is built on."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import Final

from benchmarks.rows import Row, median_of, percentile
from scripts.stack import ROOT, clean_environment

_RUNS: Final = 15
_MOST: Final = 1.25
_CACHING: Final = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
_APP: Final = "import function_app"
_PACKAGES: Final = "import azure.functions, azure.durable_functions, azure.identity, requests"


def import_s(statement: str, bytecode: str | None = None) -> float:
    """Return how long a fresh interpreter takes for the statement, its own start not counted.

    ``bytecode`` is the folder that keeps what was compiled; without it modules that have none are compiled each time.
    """
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    env = {name: value for name, value in clean_environment().items() if name not in _CACHING}
    env |= {"PYTHONDONTWRITEBYTECODE": "1"} if bytecode is None else {"PYTHONPYCACHEPREFIX": bytecode}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure() -> list[Row]:
    """Import both in turn, so that a busy machine slows both; bytecode of both is kept, whatever the environment."""
    with tempfile.TemporaryDirectory() as bytecode:
        for statement in (_APP, _PACKAGES):
            import_s(statement, bytecode)  # fills the folder
        pairs = [(import_s(_APP, bytecode), import_s(_PACKAGES, bytecode)) for _ in range(_RUNS)]
    with tempfile.TemporaryDirectory() as empty:
        first_ms = import_s(_APP, empty) * 1000
    app, packages = ([pair[side] * 1000 for pair in pairs] for side in (0, 1))
    ratio = median_of(app) / median_of(packages)
    return [
        Row(
            measure="import function_app / its SDK packages",
            target=f"ratio <= {_MOST}",
            median=f"{ratio:.2f}",
            worst=f"p95 {percentile([a / b for a, b in zip(app, packages, strict=True)], 0.95):.2f}",
            met=ratio <= _MOST,
            how=f"{_RUNS} fresh interpreters each, in turn, bytecode of both kept, no network; medians "
            f"{median_of(app):.0f} ms against {median_of(packages):.0f} ms. The app's first import, all of it and of "
            f"its packages compiled: {first_ms:.0f} ms",
        )
    ]
