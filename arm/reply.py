"""One HTTP answer, read whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        """Return the body as JSON, or ``None`` where it is none."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            return None
