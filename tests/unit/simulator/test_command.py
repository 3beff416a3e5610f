"""``python -m simulator``: how it starts, what it says, how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from simulator.__main__ import main

if TYPE_CHECKING:
    import threading

ROOT = Path(__file__).parents[3]
READY = re.compile(r"simulator listening on (https?://127\.0\.0\.1:\d+)\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_a_signal_and_restores_the_handlers(
    capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    health: list[int] = []

    def look_and_stop(stopped: threading.Event) -> None:
        ready = READY.fullmatch(capsys.readouterr().out)
        assert ready
        health.append(requests.get(f"{ready[1]}/_simulator/health", timeout=10).json()["speed"])
        os.kill(os.getpid(), number)
        assert stopped.wait(10)

    assert main(["--port", "0", "--speed", "120"], wait=look_and_stop) == 0
    assert health == [120]
    assert signal.getsignal(number) is before


def test_process_stops_cleanly_on_sigterm() -> None:
    command = [sys.executable, "-W", "error", "-m", "simulator", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = READY.fullmatch(process.stdout.readline())
        assert ready
        assert requests.get(f"{ready[1]}/_simulator/health", timeout=10).status_code == 200
        process.terminate()
        rest, errors = process.communicate(timeout=10)

    assert (process.returncode, rest, errors) == (0, "", "")


def test_process_speaks_https_with_the_certificate_that_it_writes(tmp_path: Path) -> None:
    certificate = tmp_path / "certificate.pem"
    command = [sys.executable, "-W", "error", "-m", "simulator", "--port", "0", "--tls", str(certificate)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = READY.fullmatch(process.stdout.readline())
        assert ready
        assert ready[1].startswith("https:")
        for url in (ready[1], ready[1].replace("127.0.0.1", "localhost")):
            assert requests.get(f"{url}/_simulator/health", verify=str(certificate), timeout=10).status_code == 200
        process.terminate()
        rest, errors = process.communicate(timeout=10)

    assert (process.returncode, rest, errors) == (0, "", "")
    assert "PRIVATE KEY" not in certificate.read_text(encoding="ascii")


def test_certificate_that_cannot_be_written_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "certificate.pem"

    assert main(["--port", "0", "--tls", str(file)], wait=never) == 1

    assert capsys.readouterr().err == f"simulator: certificate {file}: No such file or directory\n"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--speed", "0"], "simulator: argument --speed: must be a number above 0, not 0"),
        (["--speed", "-5"], "simulator: argument --speed: must be a number above 0, not -5"),
        (["--speed", "inf"], "simulator: argument --speed: must be a number above 0, not inf"),
        (["--speed", "fast"], "simulator: argument --speed: must be a number above 0, not fast"),
        (["--port", "70000"], "simulator: argument --port: must be 0 to 65535, not 70000"),
        (["--port", "http"], "simulator: argument --port: must be 0 to 65535, not http"),
        (["--colour"], "simulator: unrecognized arguments: --colour"),
    ],
)
def test_wrong_option_is_one_line(capsys: pytest.CaptureFixture[str], options: list[str], line: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)

    assert caught.value.code == 2
    assert capsys.readouterr().err == f"{line}\n"


def never(_stopped: threading.Event) -> None:
    pytest.fail("it must not start")


def test_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)], wait=never) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"simulator: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_missing_scenario_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "nowhere.json"

    assert main(["--scenario", str(file)], wait=never) == 1

    assert capsys.readouterr().err == f"simulator: scenario {file}: No such file or directory\n"


def test_wrong_scenario_is_one_line_naming_every_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    file.write_text(json.dumps({"subscriptionId": "", "vaults": [], "colour": 1}), encoding="utf-8")

    assert main(["--scenario", str(file)], wait=never) == 1

    assert capsys.readouterr().err == (
        f"simulator: scenario {file}: $.subscriptionId: expected a string that is not empty; $.colour: unknown member\n"
    )
