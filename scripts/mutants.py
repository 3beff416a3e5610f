"""``make mutants``: changes code in one place after another, and shows which changes no test notices.

mutmut makes the mutants and runs the tests that reach each of them. It does so in a copy of the project, so nothing is
left in the work tree. It does not mutate constants of modules and of classes, nor functions with a decorator other than
``classmethod`` and ``staticmethod``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
SUBJECTS: Final[Mapping[str, tuple[str, ...]]] = {
    "domain/restore": ("tests/unit/domain/restore",),
    "domain/admission": ("tests/unit/domain/admission",),
    "domain/alerts/decide.py": ("tests/unit/domain/alerts",),
    "domain/alerts/alert_rules.py": ("tests/unit/domain/alerts",),
    "domain/alerts/patterns.py": ("tests/unit/domain/alerts",),
    "domain/azure/permissions.py": ("tests/unit/domain/test_permissions.py", "tests/unit/queries/test_preflight.py"),
    "domain/azure/point_search.py": ("tests/unit/domain/test_point_search.py",),
    "domain/azure/recovery_points.py": (
        "tests/unit/domain/test_point_search.py",
        "tests/unit/domain/test_recovery_points.py",
    ),
    "domain/recovery/choice.py": ("tests/unit/domain/recovery/test_choice.py",),
    "domain/preflight.py": ("tests/unit/queries/test_preflight.py",),
    "telemetry/restores.py": ("tests/unit/telemetry/test_restores.py", "tests/unit/telemetry/test_sdk.py"),
}
"""What is mutated unless a path is given: files or packages, each with the fast tests that hold its behaviour."""
ALL_TESTS: Final = ("tests/unit/domain",)
"""The tests for any other path."""

_NOT_COPIED: Final = (".git", ".venv", ".tools", "__pycache__", ".*_cache", ".hypothesis", "docs", "infra")
# The same examples for each mutant, or a mutant would survive by chance. Plugins that nothing here needs cost a second.
_PYTEST: Final = ("--hypothesis-seed=0", "-p", "no:schemathesis", "-p", "no:cacheprovider", "-p", "no:xdist")
_SHOW: Final = """
import sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
for name in sys.argv[1:]:
    print(f"# {name}", get_diff_for_mutant(name), sep="\\n")
"""
_KILLED: Final = frozenset({"killed", "timeout", "suspicious", "segfault", "caught by type check"})


class MutantsError(Exception):
    """Why there is no result."""


@dataclass(frozen=True, slots=True)
class Score:
    """How many mutants of a module the tests noticed, and the names of the others."""

    killed: int
    survivors: tuple[str, ...]

    @property
    def percent(self) -> float:
        """The share of mutants that were noticed."""
        return 100 * self.killed / max(1, self.killed + len(self.survivors))


def main(argv: Sequence[str] | None = None) -> int:
    """Mutate, run the tests, print the survivors and the score; returns the exit code, 1 when there is no result."""
    parser = argparse.ArgumentParser(prog="python -m scripts.mutants", description="Mutants that no test notices.")
    parser.add_argument("paths", nargs="*", default=list(SUBJECTS), help=f"(default: {', '.join(SUBJECTS)})")
    parser.add_argument("--tests", action="append", help="run these tests instead of those of the paths")
    options = parser.parse_args(argv)
    tests = options.tests or selected_tests(options.paths)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            copy = prepare(Path(folder) / "project", options.paths, tests)
            print(f"mutating {', '.join(options.paths)}; tests: {', '.join(tests)}", flush=True)
            mutmut = str(Path(sys.executable).with_name("mutmut"))
            _run(copy, mutmut, "run", "--max-children", str(os.cpu_count() or 2))
            scores = scores_of(_run(copy, mutmut, "results", "--all", "true"))
            survivors = [name for score in scores.values() for name in score.survivors]
            print(_run(copy, sys.executable, "-c", _SHOW, *survivors))
    except MutantsError as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1
    for module, score in scores.items():
        total = score.killed + len(score.survivors)
        print(f"{module}: {score.killed} of {total} killed ({score.percent:.1f} %)")
    print(f"{time.monotonic() - began:.0f} s")
    return 0


def selected_tests(paths: Sequence[str]) -> list[str]:
    """Return the tests to run for these paths, each once."""
    subjects = [
        next((tests for subject, tests in SUBJECTS.items() if _is_in(path, subject)), ALL_TESTS) for path in paths
    ]
    return list(dict.fromkeys(test for tests in subjects for test in tests))


def _is_in(path: str, subject: str) -> bool:
    return path.rstrip("/") == subject or path.startswith(f"{subject}/")


def prepare(copy: Path, paths: Sequence[str], tests: Sequence[str]) -> Path:
    """Copy the project, set up for mutmut; ``MutantsError`` for a path that is not there."""
    for path in (*paths, *tests):
        if not (ROOT / path.partition("::")[0]).exists():
            raise MutantsError(f"there is no {path}; give paths from the project's root, such as domain/guards.py")
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    sources = list(dict.fromkeys(path.partition("/")[0] for path in paths))
    others = sorted(entry.name for entry in copy.iterdir() if entry.name not in {*sources, "pyproject.toml", "tests"})
    settings = {
        "source_paths": sources,
        "only_mutate": [path if path.endswith(".py") else f"{path.rstrip('/')}/*" for path in paths],
        "also_copy": others,
        "pytest_add_cli_args": list(_PYTEST),
        "pytest_add_cli_args_test_selection": list(tests),
        "process_isolation": "forkserver",  # Hypothesis takes a second run in the same process for a mistake
        "use_git_change_detection": False,
    }
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return copy


def scores_of(results: str) -> dict[str, Score]:
    """Return the score of each module from what ``mutmut results --all true`` printed."""
    killed, survivors = Counter[str](), defaultdict[str, list[str]](list)
    for line in results.splitlines():
        name, colon, status = line.strip().rpartition(": ")
        if not colon:
            continue
        module = name.rpartition(".")[0]
        killed[module] += status in _KILLED
        if status not in _KILLED:
            survivors[module].append(name)
    return {module: Score(killed[module], tuple(survivors[module])) for module in sorted(killed)}


def _run(copy: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-40:])
        raise MutantsError(f"{Path(command[0]).name} {command[1]} ended with {done.returncode}:\n{tail}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
