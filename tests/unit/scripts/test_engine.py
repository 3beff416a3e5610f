"""``make engine`` in a copy of what it needs: where the engine comes from, and what is said when it cannot come."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOTNET = """#!/bin/sh
if [ "$1" = --version ]; then echo "$VERSION"; exit; fi
while [ "$1" != --output ]; do shift; done
mkdir -p "$2"; echo built > "$2/real-engine"; chmod +x "$2/real-engine"
"""


class Checkout:
    """A folder with the script and the engine's source, and a ``dotnet`` where a test wants one."""

    def __init__(self, place: Path) -> None:
        self.place, self.engine = place, place / ".tools/real-engine"
        self.source = place / "tests/engine/host"
        shutil.copytree(ROOT / "tests/engine/host", self.source)
        (place / "scripts").mkdir()
        shutil.copy(ROOT / "scripts/engine", place / "scripts")
        (place / "bin").mkdir()

    def has_dotnet(self) -> None:
        path = self.place / "bin/dotnet"
        path.write_text(DOTNET)
        path.chmod(0o755)

    def make(self, **env: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{self.place / 'bin'}:{os.defpath}"}
        return subprocess.run(
            [self.place / "scripts/engine"],
            env={**os.environ, **path, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    path = tmp_path / "given"
    path.write_text("given")
    return path


def test_an_engine_that_is_given_is_copied_once(checkout: Checkout, given: Path) -> None:
    first, second = checkout.make(REAL_ENGINE=str(given)), checkout.make(REAL_ENGINE=str(given))

    assert (first.returncode, second.returncode, second.stdout) == (0, 0, "")
    assert checkout.engine.read_text() == "given"
    assert os.access(checkout.engine, os.X_OK)


def test_an_engine_that_was_given_is_kept_when_none_is_given_any_more(checkout: Checkout, given: Path) -> None:
    checkout.make(REAL_ENGINE=str(given))

    again = checkout.make()

    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_newer_engine_takes_the_place_of_the_older(checkout: Checkout, given: Path) -> None:
    checkout.make(REAL_ENGINE=str(given))
    given.write_text("newer")

    checkout.make(REAL_ENGINE=str(given))

    assert checkout.engine.read_text() == "newer"


def test_an_engine_that_is_not_where_it_is_said_to_be_is_named(checkout: Checkout) -> None:
    done = checkout.make(REAL_ENGINE="/absent")

    assert done.returncode == 1
    assert done.stderr == "engine: REAL_ENGINE=/absent is no file; set it to the path of a built engine\n"


@pytest.mark.parametrize("version", ["", "8.0.404"])
def test_without_an_engine_and_without_the_sdk_one_line_says_what_is_missing(checkout: Checkout, version: str) -> None:
    checkout.has_dotnet()

    done = checkout.make(VERSION=version)

    assert done.returncode == 1
    assert done.stderr.startswith("engine: the .NET 10 SDK is missing; install it ")
    assert len(done.stderr.splitlines()) == 1


def test_where_the_sdk_is_the_engine_is_built_once_for_one_source(checkout: Checkout) -> None:
    checkout.has_dotnet()

    built, again = checkout.make(VERSION="10.0.100"), checkout.make(VERSION="10.0.100")
    (checkout.source / "Program.cs").write_text("// changed")
    changed = checkout.make(VERSION="10.0.100")

    assert checkout.engine.read_text() == "built\n"
    assert (built.returncode, again.returncode, changed.returncode) == (0, 0, 0)
    assert [len(each.stdout.splitlines()) for each in (built, again, changed)] == [1, 0, 1]
