"""Reading what the service sends without trusting it: anything of the wrong shape or size reads as empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

_LONGEST_NAME: Final = 1000
_LONGEST_LABEL: Final = 100


def as_object(value: object) -> Mapping[str, Any]:
    """Return the JSON object, or an empty one for ``null``, absent or anything else."""
    # What JSON gives is a dict; asking for a Mapping costs ten times as much, which long lists would feel.
    known = isinstance(value, dict) or isinstance(value, Mapping)  # noqa: SIM101 - the order is the point
    return cast("Mapping[str, Any]", value) if known else {}


def as_list(value: object) -> list[Any]:
    """Return the JSON array, or an empty one for ``null``, absent or anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return the string, or ``None`` for an empty one and anything else."""
    return value if isinstance(value, str) and value else None


def as_flag(value: object) -> bool | None:
    """Return the boolean, also one written as a string or an integer; ``None`` for anything else."""
    if value is None or isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get((as_label(value) or "").casefold())


def as_name(value: object) -> str | None:
    """Return the string that names something, ``None`` for what cannot: it goes into addresses and into history."""
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None


def as_label(value: object) -> str | None:
    """Return a word for people, cut where it is long; a number is one too, anything else is ``None``."""
    return str(value)[:_LONGEST_LABEL] if isinstance(value, str | int) and value != "" else None
