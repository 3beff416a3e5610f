"""One HTTP answer of ARM, and its body as JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping


_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer of ARM with any status. ``headers`` ignores the case of names; ``path`` has no query."""

    method: str
    path: str
    client_request_id: str
    status: int
    headers: Mapping[str, str]
    content: bytes
    retry_after_s: float | None

    def parsed(self) -> object:
        """Return the body as JSON, or ``None`` when it is not JSON.

        ``NaN`` and ``1e999`` are not JSON here, because a history cannot store them. Half a surrogate pair, which the
        service leaves where it truncates a text, becomes a question mark.
        """
        text = self.content.decode("utf-8-sig", "replace")
        try:
            value = json.loads(text, parse_constant=_reject, parse_float=_finite)
            return _without_half_pairs(value) if _SURROGATE.search(text) else value
        except (ValueError, RecursionError):
            return None


def _reject(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _reject(text)


def _without_half_pairs(value: object) -> object:
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
