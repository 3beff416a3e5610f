"""Tolerant readers for single members of an alert: they never raise, whatever the sender writes."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from domain.wire import as_list, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_TEXT: Final = 1024
_MAX_LINE: Final = 200
_MAX_NAMES: Final = 3


def text_of(members: Mapping[str, Any], name: str) -> str:
    """Return the text of a member, ``""`` when it is absent or of another type."""
    # Truncated, because the patterns of every rule search these texts; no real name is longer.
    return (as_text(members.get(name)) or "")[:_MAX_TEXT]


def value_of(member: object) -> str:
    """Return a word, written as a text or as ``{"value": …, "localizedValue": …}``; ``""`` for anything else."""
    return (as_text(member) or text_of(as_object(member), "value")).strip()


def object_of(member: object) -> Mapping[str, Any]:
    """Return a JSON object, also one that is written as a text; an empty one for anything else."""
    if not isinstance(member, str):
        return as_object(member)
    try:
        return as_object(json.loads(member)) if member.lstrip().startswith("{") else {}
    except (ValueError, RecursionError):
        return {}


def letters_of(value: object) -> str:
    """Return the letters and digits of a text in lower case: Azure varies the case, spaces and dashes of its terms."""
    return "".join(filter(str.isalnum, (as_text(value) or "").lower()))


def without_spaces(text: str) -> str:
    """Return a name in lower case without spaces: Azure's documentation and payloads differ in both."""
    return "".join(text.lower().split())


def single_line(text: str, max_length: int = _MAX_LINE) -> str:
    """Return a sender's text as one line that fits into any log or queue, cut to ``max_length`` characters."""
    kept = text[:max_length]
    return "".join(" " if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} else sign for sign in kept).strip()


def name_list(values: object) -> str:
    """Return the first texts of a JSON array for a message, and how many more there are; ``""`` when there are none."""
    texts = [single_line(value) for value in as_list(values) if isinstance(value, str) and value.strip()]
    more = f" and {len(texts) - _MAX_NAMES} more" if len(texts) > _MAX_NAMES else ""
    return ", ".join(texts[:_MAX_NAMES]) + more
