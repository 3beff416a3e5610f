"""The names of people, as callers give them: the app can compare them, but not check them."""

from __future__ import annotations

import unicodedata


def is_named(name: str | None) -> bool:
    """Return whether the text names somebody: it has a character that can be seen."""
    return any(char.isprintable() and not char.isspace() for char in name or "")


def same_person(first: str | None, second: str | None) -> bool:
    """Return whether two names are those of one person: case, white space and Unicode forms do not count."""
    return _folded(first) == _folded(second)


def _folded(name: str | None) -> str:
    return " ".join(unicodedata.normalize("NFKC", name or "").casefold().split())
