"""Reading what the service sends without trusting it: anything of the wrong shape reads as empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def as_object(value: object) -> Mapping[str, Any]:
    """Return the JSON object, or an empty one for ``null``, absent or anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


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
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).casefold())
