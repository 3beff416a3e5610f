"""A span that is made when what it measures has ended. Nothing here depends on an SDK."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from domain.times import parse_request_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

type Attributes = dict[str, str | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSpan:
    """One span: a restore, a phase of it, or a recovery. ``error_code`` is set if it failed.

    ``recovery_id`` is that of the recovery to whose span this one is linked.
    """

    name: str
    span_id: int
    started: datetime
    ended: datetime
    attributes: Attributes
    error_code: str | None = None
    recovery_id: str | None = None


def without_none(attributes: Mapping[str, Any]) -> Attributes:
    """Return the attributes that have a value."""
    return {name: value for name, value in attributes.items() if value is not None}


def time_in(document: Mapping[str, Any], name: str) -> datetime:
    """Return the time that this member of a document has."""
    return parse_request_time(document[name])
