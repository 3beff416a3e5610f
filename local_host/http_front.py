"""HTTP triggers: finds the function of a request and carries request and response over."""

from __future__ import annotations

import hmac
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import web
from azure.functions import AuthLevel, meta

from .functions import HTTP, convert_in, convert_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from azure.functions.decorators.core import Trigger
    from multidict import MultiMapping

    from .functions import HostedFunction, Invoker

MAX_BODY_BYTES = 100 * 1024 * 1024  # what the Functions host takes
_PARAMETER = re.compile(r"\{(\*?)(\w+)(?::\w+)?(\??)\}")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Route:
    """One HTTP function's path and methods; ``rank`` puts literal segments before parameters."""

    pattern: re.Pattern[str]
    rank: tuple[str, ...]
    methods: frozenset[str]
    needs_key: bool
    function: HostedFunction

    @classmethod
    def of(cls, function: HostedFunction, prefix: str) -> _Route:
        trigger: Trigger = function.trigger
        segments = [part for part in (prefix + "/" + str(getattr(trigger, "route", ""))).split("/") if part]
        methods = getattr(trigger, "methods", None) or ()
        return cls(
            pattern=re.compile("".join(map(_segment, segments)) + "/?", re.IGNORECASE),
            rank=tuple("~" if "{" in part else part.lower() for part in segments),
            methods=frozenset(getattr(method, "value", method).upper() for method in methods),
            needs_key=getattr(trigger, "auth_level", None) is not AuthLevel.ANONYMOUS,
            function=function,
        )


def _segment(part: str) -> str:
    parameter = _PARAMETER.fullmatch(part)
    if not parameter:
        return "/" + re.escape(part)
    rest, name, optional = parameter.groups()
    matched = f"/(?P<{name}>{'.*' if rest else '[^/]+'})"
    return f"(?:{matched})?" if rest or optional else matched


@dataclass(frozen=True)
class HttpFront:
    """Answers the requests to HTTP functions. With a ``key``, those that are not anonymous need it."""

    routes: tuple[_Route, ...]
    invoke: Invoker
    key: str | None

    @classmethod
    def of(
        cls, functions: Iterable[HostedFunction], invoke: Invoker, route_prefix: str, key: str | None = None
    ) -> HttpFront:
        """Take the HTTP functions among ``functions``."""
        routes = (_Route.of(each, route_prefix) for each in functions if each.trigger.type == HTTP)
        return cls(tuple(sorted(routes, key=lambda route: route.rank)), invoke, key)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Call the function that answers ``request``.

        404 without one, 405 for another method, 401 with an empty body without the key, 500 if it raises.
        """
        allowed = set[str]()
        for route in self.routes:
            found = route.pattern.fullmatch(request.rel_url.raw_path)
            if found and (not route.methods or request.method in route.methods):
                if route.needs_key and not self._has_key(request):
                    return web.Response(status=401)
                given = {name: unquote(value) for name, value in found.groupdict().items() if value is not None}
                return await self._answer(route.function, request, given)
            if found:
                allowed |= route.methods
        if allowed:
            raise web.HTTPMethodNotAllowed(request.method, sorted(allowed))
        raise web.HTTPNotFound

    def _has_key(self, request: web.Request) -> bool:
        """Return whether the key is in the header or, without the header, in the query, as in the Functions host."""
        given = request.headers.get("x-functions-key", request.query.get("code", ""))
        return self.key is None or hmac.compare_digest(given.encode(), self.key.encode())

    async def _answer(self, function: HostedFunction, request: web.Request, route: dict[str, str]) -> web.Response:
        body = await request.read()
        try:
            result = await self.invoke(function, convert_in(HTTP, _to_datum(request, route, body)))
            return _to_response(convert_out("http", result))
        except Exception:
            log.exception("function %s failed", function.name)
            return web.Response(status=500)


def _to_datum(request: web.Request, route: dict[str, str], body: bytes) -> meta.Datum:
    def joined(pairs: MultiMapping[str]) -> dict[str, meta.Datum]:
        return {key: meta.Datum(",".join(pairs.getall(key)), "string") for key in pairs}

    value = {
        "method": meta.Datum(request.method, "string"),
        "url": meta.Datum(str(request.url), "string"),
        "headers": joined(request.headers),
        "query": joined(request.query),
        "params": {name: meta.Datum(value, "string") for name, value in route.items()},
        "body": meta.Datum(body, "bytes"),
    }
    return meta.Datum(value, "http")


def _to_response(datum: meta.Datum) -> web.Response:
    if datum.type == "string":
        return web.Response(text=datum.value)
    http = datum.value
    response = web.Response(status=int(http["status_code"].value), body=http["body"].value)
    for name, header in http["headers"].items():
        response.headers[name] = header.value
    for cookie in http["cookies"] or ():
        response.headers.extend(("Set-Cookie", morsel.OutputString()) for morsel in cookie.values())
    return response
