"""``python -m simulator``: the simulator alone, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from simulator.reading import InvalidDocument
from simulator.scenario import DEFAULT_FILE, Scenario
from simulator.server import HOST, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

_HIGHEST_PORT = 65535


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"simulator: {message}\n")


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not (math.isfinite(speed) and speed > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return speed


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= port <= _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 to {_HIGHEST_PORT}, not {text}")
    return port


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="python -m simulator", description="A stand-in for the Azure Backup calls of ARM.")
    parser.add_argument("--port", type=_port, default=8080, help="loopback port, 0 for any (default 8080)")
    parser.add_argument("--speed", type=_speed, default=60.0, help="simulated seconds per second (default 60)")
    parser.add_argument("--scenario", type=Path, default=DEFAULT_FILE, help="scenario file (default: the shipped one)")
    parser.add_argument(
        "--tls",
        type=Path,
        default=False,
        metavar="FILE",
        help="serve https; clients must trust this file, written at start",
    )
    return parser.parse_args(argv)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(argv: Sequence[str], wait: Callable[[threading.Event], object] = threading.Event.wait) -> int:
    """Serve until told to stop; return the exit code. ``wait`` is called with the event that ends it all."""
    options = _parse(argv)
    try:
        scenario = Scenario.from_file(options.scenario)
        with (
            _stop_signals() as stopped,
            running(scenario, speed=options.speed, port=options.port, tls=options.tls) as simulator,
        ):
            print(f"simulator listening on {simulator.url}", flush=True)
            wait(stopped)
    except InvalidDocument as error:
        return _fail(f"scenario {options.scenario}: {error}")
    except OSError as error:
        kind = "certificate" if error.filename == str(options.tls) else "scenario"
        place = f"{kind} {error.filename}" if error.filename else f"cannot listen on {HOST}:{options.port}"
        return _fail(f"{place}: {os.strerror(error.errno or 0)}")
    return 0


def _fail(message: str) -> int:
    print(f"simulator: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
