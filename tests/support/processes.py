"""The project's commands as processes of their own, each on a free port."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]


class Command:
    """``python -m <module>``, started and ready; ``address`` is where it says that it listens."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, ready: str = "listening on ") -> None:
        command = [sys.executable, "-m", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout
        self.said = self.process.stdout.readline().strip()
        self.address = self.said.partition(ready)[2]
        if not self.address:
            self.stop()
        assert self.address, f"{arguments} did not start: {self.said!r}"

    def kill(self) -> None:
        """End it with SIGKILL, whatever it does."""
        self.process.kill()
        self._reap()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; returns its exit code."""
        self.process.send_signal(number)
        return self._reap()

    def _reap(self) -> int:
        code = self.process.wait(timeout=30)
        if self.process.stdout:
            self.process.stdout.close()
        return code


@contextmanager
def command(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Command]:
    """Run a command for as long as the block lasts."""
    running = Command(*arguments, env=env)
    try:
        yield running
    finally:
        running.stop()
