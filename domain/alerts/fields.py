"""Tolerant readers for single members of an alert: they never raise, whatever the sender writes."""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from domain.texts import hidden_character, trimmed
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


def member_of(members: Mapping[str, Any], name: str) -> Any:
    """Return a member, whatever the case of its name; ``None`` when it is absent."""
    if name in members:
        return members[name]
    return next((value for key, value in members.items() if key.lower() == name.lower()), None)


def value_of(member: object) -> str:
    """Return a word, written as a text or as ``{"value": …, "localizedValue": …}``; ``""`` for anything else.

    It may be alone in an array, also in one that is written as a text.
    """
    members = object_of(member)
    return trimmed(text_of(members, "value") if members else as_text(_only_entry(_parsed(member))) or "")


def object_of(member: object) -> Mapping[str, Any]:
    """Return a JSON object, also one that is written as a text or is alone in an array; an empty one otherwise."""
    return as_object(_parsed(_only_entry(_parsed(member))))


def items_of(member: object) -> list[Any]:
    """Return the entries of a JSON array, also of one that is written as a text; any other value counts as one entry.

    Logic Apps, PowerShell and other tools between Azure Monitor and the app may send an array with one entry as that
    entry alone.
    """
    value = _parsed(member)
    entries = as_list(value)
    return entries if entries or value in ([], None, "") else [value]


def _only_entry(member: object) -> object:
    entries = as_list(member)
    return entries[0] if len(entries) == 1 else member


def _parsed(member: object) -> object:
    """Return the JSON object or array that a text holds; anything else as it is.

    Azure itself writes some arrays as ``"['…']"``.
    """
    if not isinstance(member, str) or not member.lstrip().startswith(("{", "[")):
        return member
    for text in (member, member.replace("'", '"')):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return member


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
    texts = [value for value in items_of(values) if isinstance(value, str) and value.strip()]
    more = f" and {len(texts) - _MAX_NAMES} more" if len(texts) > _MAX_NAMES else ""
    return ", ".join(map(_with_remark, texts[:_MAX_NAMES])) + more


def _with_remark(text: str) -> str:
    """Return a text on one line, with a remark if it has a character that cannot be seen."""
    hidden = hidden_character(trimmed(text))
    return f"{single_line(text)} (which {hidden})" if hidden else single_line(text)
