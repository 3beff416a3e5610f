"""Timer functions. Their schedule is not followed: the admin endpoint of the Functions host runs one when asked."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

from aiohttp import web
from azure.functions import meta

from .functions import TIMER, convert_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .functions import HostedFunction, Invoker

_NOW = meta.Datum(json.dumps({"IsPastDue": False, "Schedule": {}, "ScheduleStatus": {}}), "json")

log = logging.getLogger(__name__)


class Timers:
    """The timer functions among an app's. ``running`` are the calls under way."""

    def __init__(self, functions: Iterable[HostedFunction], invoke: Invoker) -> None:
        self._functions = {function.name.lower(): function for function in functions if function.trigger.type == TIMER}
        self._invoke = invoke
        self.running: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """Return the admin endpoint, for an aiohttp application. No master key is asked for."""
        return [web.post("/admin/functions/{name}", self._run)]

    async def _run(self, request: web.Request) -> web.Response:
        function = self._functions.get(request.match_info["name"].lower())
        if function is None:
            raise web.HTTPNotFound
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        try:
            json.loads(await request.read())
        except ValueError as error:
            raise web.HTTPBadRequest(text=f"the body is not JSON: {error}") from error
        task = asyncio.create_task(self._call(function))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return web.Response(status=202)

    async def _call(self, function: HostedFunction) -> None:
        try:
            await self._invoke(function, convert_in(TIMER, _NOW))
        except Exception:
            log.exception("function %s failed", function.name)
