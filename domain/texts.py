"""Texts as people paste them from shells, editors and web pages: with white space around, or with hidden characters."""

from __future__ import annotations

import re
from typing import Final

WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""Unicode's white space, and the byte order mark, which editors put at the beginning of a file."""

# Python calls these printable, because they are letters, marks or symbols, but nothing is drawn for them.
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def trimmed(text: str) -> str:
    """Return the text without the white space around it."""
    return text.strip(WHITE_SPACE)


def without_hidden_characters(text: str) -> str:
    """Return the text without the characters that cannot be seen; white space stays."""
    return "".join(char for char in _BLANK.sub("", text) if char.isprintable() or char.isspace())


def hidden_character(text: str) -> str | None:
    """Return a remark on the first character that cannot be seen, such as "contains U+200B at position 12, …".

    ``None`` if there is none. A space can be seen, unless it is at an edge; a line break, a no-break space and a lone
    surrogate cannot.
    """
    if text.isprintable() and _BLANK.search(text) is None and text.strip(" ") == text:
        return None
    edges = {0, len(text) - 1}
    position = next(
        at
        for at, char in enumerate(text)
        if not char.isprintable() or _BLANK.match(char) or (char == " " and at in edges)
    )
    code_point = f"U+{ord(text[position]):04X}"
    where = f"contains {code_point} at position {position + 1}"
    if position == len(text) - 1:
        where = f"ends in {code_point}"
    return f"{where}, a character that cannot be seen: remove it"
