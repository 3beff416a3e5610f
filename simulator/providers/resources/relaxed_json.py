"""Reads the JSON of templates as ARM does: with comments, and with names that have no quotes.

az sends a template as the text of its file, behind a bare ``template:``.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PARTS = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")   # kept as it is
      | (?P<comment>//[^\n]*|/\*.*?\*/)  # left out
      | (?P<name>[A-Za-z_$][\w$]*)(?=\s*:)""",
    re.VERBOSE | re.DOTALL,
)


def read_relaxed(text: str) -> Any:
    """Read a JSON text; raise ``ValueError`` for one that is no such JSON."""
    return json.loads(_PARTS.sub(_strict, text))


def _strict(part: re.Match[str]) -> str:
    """Return a part of the text as JSON has it."""
    if part["comment"]:
        return " "
    return f'"{part["name"]}"' if part["name"] else part["string"]
