"""The names of people, as callers give them: the app can compare them, but not check them."""

from __future__ import annotations

import unicodedata

from domain.texts import without_hidden_characters


def is_named(name: str | None) -> bool:
    """Return whether the text names somebody: it has a character that can be seen."""
    return bool(_folded(name))


def same_person(first: str | None, second: str | None) -> bool:
    """Return whether two names are those of one person.

    Case, white space, Unicode forms and characters that cannot be seen do not count. Otherwise a requester could
    approve with a name that looks the same to whoever reads it later.
    """
    return _folded(first) == _folded(second)


def _folded(name: str | None) -> str:
    return " ".join(without_hidden_characters(unicodedata.normalize("NFKC", name or "").casefold()).split())
