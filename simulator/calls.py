"""What a handler gets and gives: one call and its answer, free of any web library."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from simulator.errors import invalid_input
from simulator.formats import read_filter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_VAULT_PART = re.compile(r".*?/vaults/[^/]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    ``path`` is decoded and has no empty segments; query names and ``params`` (from the route) are in lower case.
    ``body`` is the JSON of ``content``, None where that is none.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    base_url: str
    content: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def api_version(self) -> str:
        """The api-version asked for."""
        return self.query.get("api-version", "")

    @property
    def vault_path(self) -> str:
        """The path up to the vault's name, in the caller's casing: answers echo it."""
        match = _VAULT_PART.match(self.path)
        return match[0] if match else self.path

    def filters(self, *known: str, ignores_unreadable: bool = False) -> dict[str, str]:
        """Return the conditions of ``$filter`` that are known here: others are ignored, as the service does.

        Raises 400 for a filter that cannot be read, unless it is ignored as well.
        """
        text = self.query.get("$filter", "")
        try:
            conditions = read_filter(text) if text else {}
        except ValueError as error:
            if ignores_unreadable:
                return {}
            raise invalid_input(str(error)) from error
        return {name: conditions[name] for name in map(str.lower, known) if name in conditions}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response. ``raw`` replaces the JSON of ``body``; ``dropped`` closes the connection without a word.

    With ``is_arm`` the headers that all answers of ARM have are added.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    raw: bytes | None = None
    content_type: str = "application/json; charset=utf-8"
    dropped: bool = False
    is_arm: bool = True


def page[T](call: Call, things: Sequence[T], size: int, write: Callable[[T], Any]) -> dict[str, Any]:
    """Write one page of things, with a ``nextLink`` that carries ``$skipToken`` while there are more."""
    start = _read_token(call.query.get("$skiptoken", ""))
    body: dict[str, Any] = {"value": [write(thing) for thing in things[start : start + size]]}
    if start + size < len(things):
        body["nextLink"] = _next_link(call, start + size)
    return body


def _next_link(call: Call, start: int) -> str:
    query = {name: value for name, value in call.query.items() if name in {"api-version", "$filter"}}
    query["$skipToken"] = base64.urlsafe_b64encode(f"skip:{start}".encode()).decode()
    return f"{call.base_url}{quote(call.path, safe='/;')}?{urlencode(query)}"


def _read_token(token: str) -> int:
    if not token:
        return 0
    try:
        kind, _, start = base64.urlsafe_b64decode(token).decode().partition(":")
        if kind == "skip":
            return int(start)
    except (binascii.Error, ValueError):
        pass
    raise invalid_input("this $skipToken was not given out here")
