"""What the commands' options have in common."""

from __future__ import annotations

import argparse
from typing import NoReturn, override


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other reason not to start is said."""

    @override
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog.replace('_', ' ')}: {message}\n")


def port_number(text: str) -> int:
    """Read a port; 0 stands for any free one."""
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):  # noqa: PLR2004 - ports end there
        raise argparse.ArgumentTypeError(f"{text} is no port; give 0 to 65535, 0 for any free one")
    return int(text)


def engine_address(text: str) -> str:
    """Read where an engine listens, which is on this machine."""
    host, _, port = text.rpartition(":")
    if host not in {"127.0.0.1", "localhost"} or not port_number(port):
        raise argparse.ArgumentTypeError(f"{text} is no engine's address; give 127.0.0.1:PORT")
    return text


def function_key(text: str) -> str:
    """Read a function key: an empty one would open every function."""
    if not text.isprintable() or not text.strip():
        raise argparse.ArgumentTypeError("the function key must not be empty")
    return text


def seconds(text: str) -> float:
    """Read a time span above 0."""
    try:
        span = float(text)
    except ValueError:
        span = 0.0
    if not 0 < span < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no time; give seconds above 0")
    return span
