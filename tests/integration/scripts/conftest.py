from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.integration.local_host.stage import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]


class Marked:
    """Runs a script; the processes that it starts carry a mark in their environment, by which they are found."""

    def __init__(self) -> None:
        self._name, self._mark = "STACK_TEST_MARK", uuid.uuid4().hex
        self._env = {**os.environ, self._name: self._mark}

    def run(self, module: str, *arguments: str, within_s: float = 40) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )

    @contextmanager
    def started(self, module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", module, *arguments]
        with subprocess.Popen(
            command, cwd=ROOT, env=self._env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def processes(self, word: str = "") -> list[psutil.Process]:
        """Return the marked processes that live, or those of them whose command line has a word."""
        return [each for each in psutil.process_iter() if self._is_ours(each, word)]

    def process(self, word: str) -> psutil.Process:
        """Wait for a marked process whose command line has a word."""
        return eventually(lambda: self.processes(word))[0]

    def _is_ours(self, process: psutil.Process, word: str) -> bool:
        try:
            return process.environ().get(self._name) == self._mark and word in " ".join(process.cmdline())
        except psutil.Error:
            return False


@pytest.fixture
def marked() -> Iterator[Marked]:
    """A runner of scripts; whatever they leave behind fails the test, and is ended."""
    runner = Marked()
    yield runner
    left = runner.processes()
    for process in left:
        process.kill()
    assert left == []
