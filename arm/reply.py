"""One HTTP answer, read whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of ARM, whatever its status. ``headers`` finds names in any casing; ``path`` has no query."""

    method: str
    path: str
    client_request_id: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    retry_after_s: float | None

    def parsed(self) -> object:
        """Return the body as JSON, or ``None`` where it is none. ``NaN`` is none: no history could keep it."""
        try:
            return json.loads(self.content, parse_constant=_refuse)
        except (ValueError, RecursionError):
            return None
