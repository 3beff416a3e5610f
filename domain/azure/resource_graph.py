"""What Azure Resource Graph answers. It may be minutes old, or hours: good for choosing, never proof of a state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from domain.errors import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPage:
    """One page of a query's rows.

    ``skip_token`` asks for the next page, ``None`` after the last one. ``total`` is how many rows the query has now.
    ``is_partial``: rows are missing, because Azure has cut the answer or has left out subscriptions.
    """

    rows: tuple[Json, ...]
    skip_token: str | None
    total: int
    is_partial: bool = False
