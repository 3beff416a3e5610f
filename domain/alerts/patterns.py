"""The shell patterns of the alert rules. They are compared without case, and ``*`` also matches slashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Self

from domain.azure.resource_ids import VIRTUAL_MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")
_NAME: Final = "\0"
_VM_ID_FORM: Final = (
    f"/subscriptions/{_NAME}/resourcegroups/{_NAME}/providers/microsoft.compute/virtualmachines/{_NAME}"
)
"""The form of a VM's id in lower case, with one character for each name in it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A shell pattern in lower case; ``literals`` are the texts that occur in everything it matches."""

    text: str
    literals: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern."""
        text = text.lower()
        return cls(text, tuple(filter(None, re.split(r"[*?]", _CLASS.sub("?", text)))))

    def matches(self, lower_text: str) -> bool:
        """Return whether a text in lower case matches."""
        # Most texts do not match, and a search for the literals is ten times as fast as the pattern.
        for literal in self.literals:
            if literal not in lower_text:
                return False
        return fnmatchcase(lower_text, self.text)


def matches_any(patterns: Iterable[Pattern] | None, text: str) -> bool:
    """Return whether a text matches one of the patterns; ``None`` stands for no condition."""
    if patterns is None:
        return True
    lower_text = text.lower()
    return any(pattern.matches(lower_text) for pattern in patterns)


def vm_id_complaint(text: str) -> str | None:
    """Return what is wrong with a pattern for ids of virtual machines that can match none, or ``None``."""
    if can_match_vm_id(text):
        return None
    return f"matches no virtual machine: it is compared with the whole id, such as {VIRTUAL_MACHINE.example}"


def can_match_vm_id(text: str) -> bool:
    """Return whether at least one VM id matches a shell pattern; a character class counts as any character.

    The pattern is read character by character. ``positions`` are the positions in the form of a VM's id at which the
    characters read so far can end.
    """
    positions = {0}
    for sign in _CLASS.sub("?", text.lower()):
        if sign == "*":
            positions = set(range(min(positions), len(_VM_ID_FORM) + 1))
        else:
            positions = {following for position in positions for following in _next_positions(position, sign)}
        if not positions:
            return False
    return len(_VM_ID_FORM) in positions


def _next_positions(position: int, sign: str) -> tuple[int, ...]:
    """Return the positions in the form of a VM's id after one character of a pattern, ``?`` for any."""
    if position == len(_VM_ID_FORM):
        return ()
    if _VM_ID_FORM[position] == _NAME:
        return () if sign == "/" else (position, position + 1)  # the name goes on, or this was its last character
    return (position + 1,) if sign in {"?", _VM_ID_FORM[position]} else ()
