"""Runs Microsoft's az program, unchanged, against a simulator."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.clock import ManualClock
    from simulator.server import Simulator

PROGRAM = Path(__file__).parents[2] / ".tools" / "azure-cli" / "bin" / "az"
_WITHIN_S = 100


@dataclass(frozen=True, slots=True)
class Run:
    """One run of az: the command as typed, and what came of it."""

    command: str
    exit_code: int
    output: str
    errors: str
    seconds: float

    @property
    def document(self) -> Any:
        """The JSON that az wrote; nothing is None."""
        return json.loads(self.output) if self.output.strip() else None


@dataclass(frozen=True, slots=True)
class Az:
    """az with a configuration folder of its own, signed in nowhere.

    ``clock`` is the simulator's, where a test drives it: each command takes a second, so that the rate limits fill up
    again as they would. ``record`` is told of each run that a case is about; ``look_up`` is not one of these.
    """

    certificate: Path
    identity_endpoint: str
    folder: Path
    clock: ManualClock | None = None
    record: Callable[[Run], None] = lambda _run: None

    @classmethod
    def of(cls, simulator: Simulator, folder: Path, clock: ManualClock) -> Az:
        """Make one for a simulator that speaks https."""
        assert simulator.certificate
        return cls(simulator.certificate, f"{simulator.url}/msi/token", folder, clock)

    def __call__(self, command: str) -> Any:
        """Run a command that must succeed; return the document that it writes."""
        run = self.run(command)
        assert run.exit_code == 0, run.errors
        return run.document

    def fails(self, command: str) -> Run:
        """Run a command that must fail, and not by a defect of az or of the simulator."""
        run = self.run(command)
        assert run.exit_code != 0, run.output
        assert "Traceback" not in run.errors, run.errors
        return run

    def run(self, command: str, meanwhile: Callable[[], object] | None = None) -> Run:
        """Run a command of the case, and do something meanwhile."""
        run = self._run(command, meanwhile)
        self.record(run)
        return run

    def look_up(self, command: str) -> Any:
        """Run a command that only prepares or checks the case."""
        run = self._run(command)
        assert run.exit_code == 0, run.errors
        return run.document

    def _run(self, command: str, meanwhile: Callable[[], object] | None = None) -> Run:
        if self.clock:
            self.clock.advance(1)
        started = time.monotonic()
        with subprocess.Popen(
            [PROGRAM, *shlex.split(command)],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                if meanwhile:
                    meanwhile()
                output, errors = process.communicate(timeout=_WITHIN_S)
            finally:
                process.kill()
        return Run(command, process.returncode, output, errors, time.monotonic() - started)

    def _environment(self) -> dict[str, str]:
        """Return the whole environment: a proxy that is not there keeps az from any host but the simulator."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "AZURE_CONFIG_DIR": str(self.folder / "config"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_SURVEY_MESSAGE": "no",
            "REQUESTS_CA_BUNDLE": str(self.certificate),
            "IDENTITY_ENDPOINT": self.identity_endpoint,
            "IDENTITY_HEADER": "simulator",
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }
