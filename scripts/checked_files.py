"""Files of rules and plans that commands check: read, or refused with everything that is wrong."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import InvalidRequestError
from domain.reading import strict_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class UnusableFileError(Exception):
    """A file that cannot be used, with all its problems."""

    def __init__(self, path: Path, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.path = path
        self.problems = problems


def parser_of_files(prog: str, description: str, file_help: str, schema_file: Path) -> argparse.ArgumentParser:
    """Return a parser of the options ``file`` and ``schema``: the file to check, or where its JSON Schema goes."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help=file_help)
    parser.add_argument(
        "--schema",
        metavar="OUT",
        type=Path,
        nargs="?",
        const=schema_file,
        help=f"write the JSON Schema of the file for editors (default {schema_file}) and do nothing else",
    )
    return parser


def read_file[T](path: Path, read: Callable[[object], T]) -> T:
    """Return what ``read`` makes of the JSON in a file; raise ``UnusableFileError``."""
    try:
        data: object = strict_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UnusableFileError(path, [f"cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise UnusableFileError(path, [f"is not JSON: {error}"]) from None
    try:
        return read(data)
    except InvalidRequestError as error:
        problems = [f"{detail.target or 'the file'} {detail.message}" for detail in error.details]
        raise UnusableFileError(path, problems) from None


def refuse(error: UnusableFileError) -> int:
    """Print what is wrong with a file; return the exit code."""
    for problem in error.problems:
        print(f"{error.path}: {problem}", file=sys.stderr)
    return 1
