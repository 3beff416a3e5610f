"""Readers that do not trust what the service sends: a value of the wrong type or size counts as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

_MAX_NAME_LENGTH: Final = 1000
_MAX_LABEL_LENGTH: Final = 100


def as_object(value: object) -> Mapping[str, Any]:
    """Return the JSON object, or an empty one if the value is anything else."""
    # Parsed JSON has dicts only. isinstance with Mapping takes ten times as long, which matters for long lists.
    is_object = isinstance(value, dict) or isinstance(value, Mapping)  # noqa: SIM101 - the fast check comes first
    return cast("Mapping[str, Any]", value) if is_object else {}


def as_list(value: object) -> list[Any]:
    """Return the JSON array, or an empty one if the value is anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def as_text(value: object) -> str | None:
    """Return the string, or ``None`` if it is empty or the value is anything else."""
    return value if isinstance(value, str) and value else None


def as_flag(value: object) -> bool | None:
    """Return the boolean, also from ``"true"``, ``"false"``, 1 and 0; ``None`` if the value is anything else."""
    if value is None or isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get((as_label(value) or "").casefold())


def as_name(value: object) -> str | None:
    """Return the name, or ``None`` if it is empty, too long for a URL or for history, or no string."""
    return value if isinstance(value, str) and 0 < len(value) <= _MAX_NAME_LENGTH else None


def as_label(value: object) -> str | None:
    """Return a string or number as a short text for people, truncated if needed; ``None`` if it is anything else."""
    return str(value)[:_MAX_LABEL_LENGTH] if isinstance(value, str | int) and value != "" else None
