"""Serves a world over HTTP on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from simulator.calls import Answer, Call
from simulator.clock import Clock, Timeline
from simulator.gateway import Answered, answer
from simulator.providers.resources.relaxed_json import read_relaxed
from simulator.scenario import Scenario
from simulator.tenant import PRINCIPAL_ID, TENANT_ID
from simulator.world import RequestRecord, World

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping

HOST = "127.0.0.1"
_LOGGED_HEADERS = (
    "accept",
    "content-type",
    "user-agent",
    "x-ms-client-request-id",
)
_SECRET_HEADERS = ("authorization", "x-identity-header", "x-ms-authorization-auxiliary")
_LONGEST_BODY = 4 * 1024 * 1024
_NO_BODY = 204
_DEPLOYMENTS = "/providers/microsoft.resources/deployments/"


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator. With TLS its clients must trust ``certificate``."""

    url: str
    world: World
    certificate: Path | None = None

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests answered so far, oldest first; those to ``/_simulator`` are left out."""
        with self.world.lock:
            return list(self.world.requests)


@contextmanager
def running(
    scenario: Scenario | None = None,
    *,
    speed: float = 60.0,
    clock: Clock | None = None,
    port: int = 0,
    tls: Path | bool = False,
) -> Iterator[Simulator]:
    """Run a simulator while the context lasts.

    ``scenario`` is the default one where it is left out. ``speed`` is how many simulated seconds pass in one;
    with a ``clock`` of the caller time passes only as that clock says, and ``speed`` does not count.
    Port 0 means any free one. With ``tls`` it serves https, with a certificate that is written to this path, or to a
    temporary file. Raises ``OSError`` when the port cannot be had or the file cannot be written.
    """
    timeline = Timeline.driven_by(clock) if clock else Timeline.scaled(speed)
    world = World(scenario or Scenario.default(), timeline)
    with _certificate(tls) as certificate:
        context = _context(certificate)
        listener = socket.create_server((HOST, port))
        thread = _ServerThread(world, listener, context)
        thread.start()
        try:
            thread.ready.wait()
            scheme = "https" if context else "http"
            yield Simulator(f"{scheme}://{HOST}:{listener.getsockname()[1]}", world, certificate)
        finally:
            thread.stop()


@contextmanager
def _certificate(tls: Path | bool) -> Iterator[Path | None]:
    """Yield the file for the certificate, a temporary one where none is named; None without TLS."""
    if tls is True:
        with TemporaryDirectory(prefix="simulator-") as place:
            yield Path(place) / "certificate.pem"
    else:
        yield tls or None


def _context(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    from simulator.tls import loopback_tls  # noqa: PLC0415 - its library is needed for TLS alone

    return loopback_tls(certificate)


class _ServerThread(threading.Thread):
    """Runs the event loop of one simulator."""

    def __init__(self, world: World, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        super().__init__(name="simulator", daemon=True)
        self.ready = threading.Event()
        self._world = world
        self._listener = listener
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    def stop(self) -> None:
        """Stop serving and wait for the end."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self.join()

    async def _serve(self) -> None:
        runner = web.AppRunner(_application(self._world), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        protocols = cast("Callable[[], asyncio.Protocol]", runner.server)  # setup has made it
        server = await self._loop.create_server(protocols, sock=self._listener, ssl=self._tls)
        self.ready.set()
        await self._stopped.wait()
        server.close()
        await runner.cleanup()
        server.abort_clients()  # a connection with TLS would wait until the client closes it
        await server.wait_closed()


def _application(world: World) -> web.Application:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await _respond(world, request)

    application = web.Application(client_max_size=_LONGEST_BODY)
    application.router.add_route("*", "/{path:.*}", handle)
    application.on_response_prepare.append(_drop_server_header)
    return application


async def _drop_server_header(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)


async def _respond(world: World, request: web.Request) -> web.StreamResponse:
    call = await _read_call(world, request)
    with world.lock:
        answered = answer(world, call)
        response = _response(world, call, answered.answer)
        if not call.path.startswith("/_simulator"):
            _record(world, request, call, answered, response.headers["x-ms-request-id"])
    if answered.answer.dropped:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    return response


async def _read_call(world: World, request: web.Request) -> Call:
    path, _, query = request.raw_path.partition("?")
    headers = {name.lower(): value for name, value in request.headers.items()}
    headers.setdefault("x-ms-client-request-id", world.new_id())
    content, plain = await request.read(), re.sub("/{2,}", "/", unquote(path))
    return Call(
        method=request.method,
        path=plain,
        query=_read_query(query),
        headers=headers,
        body=_read_json(content, relaxed=_DEPLOYMENTS in plain.lower()),
        content=content,
        base_url=_base_url(world, request),
    )


def _base_url(world: World, request: web.Request) -> str:
    """Return the scheme and the host that the caller used, also where a proxy with TLS stands before the simulator."""
    forwarded = request.forwarded[0] if request.forwarded else {}
    scheme = request.headers.get("X-Forwarded-Proto") or forwarded.get("proto") or _scheme(world, request)
    host = request.headers.get("X-Forwarded-Host") or forwarded.get("host") or request.host
    return f"{_first(scheme)}://{_first(host)}"


def _scheme(world: World, request: web.Request) -> str:
    """Return the scheme of a caller where no header says it.

    A port that is not the simulator's is a proxy's. It speaks TLS, since az and the SDKs send tokens over nothing else,
    unless the token is for an http address: then the caller knows ARM by that one.
    """
    address = request.transport.get_extra_info("sockname") if request.transport else None
    if address is None or request.url.port == address[1]:
        return request.scheme
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    return "http" if world.tokens.audience_of(token).startswith("http://") else "https"


def _first(values: str) -> str:
    """Return the first of the values that a row of proxies has written: that of the caller."""
    return values.partition(",")[0].strip()


def _read_query(text: str) -> dict[str, str]:
    """Read a query; the values of a name that comes twice are joined, as the service's web server does."""
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        key = name.lower()
        query[key] = f"{query[key]},{value}" if key in query else value
    return query


def _read_json(raw: bytes, *, relaxed: bool) -> Any:
    """Read a body; one that is no JSON counts as none."""
    try:
        return read_relaxed(raw.decode()) if relaxed else json.loads(raw)
    except ValueError:
        return None


def _record(world: World, request: web.Request, call: Call, answered: Answered, request_id: str) -> None:
    headers = {name: call.headers[name] for name in _LOGGED_HEADERS if name in request.headers}
    for name in _SECRET_HEADERS:
        if name in request.headers:
            headers[name] = "(given)"
    world.record(
        RequestRecord(
            method=call.method,
            path=request.raw_path,
            action=answered.action,
            vm=answered.vm,
            status=answered.answer.status,
            time=world.now(),
            real_time=world.timeline.wall.now(),
            headers=headers,
            body=call.body,
            request_id="" if answered.answer.dropped else request_id,
        )
    )


def _response(world: World, call: Call, given: Answer) -> web.Response:
    body = given.raw
    if body is None and given.body is not None:
        body = json.dumps(given.body, separators=(",", ":")).encode()
    response = web.Response(status=given.status, body=body, headers=_headers(world, call, given))
    if body is not None:
        response.headers["Content-Type"] = given.content_type
    return response


def _headers(world: World, call: Call, given: Answer) -> Mapping[str, str]:
    """Add the headers every answer of ARM has."""
    if not given.is_arm:
        return given.headers
    request_id, now = world.new_id(), world.now()
    headers = {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Cache": "CONFIG_NOCACHE",
        "X-MSEdge-Ref": f"Ref A: {request_id} Ref B: SIMULATOR Ref C: {now:%Y-%m-%dT%H:%M:%SZ}",
        "x-ms-operation-identifier": f"tenantId={TENANT_ID},objectId={PRINCIPAL_ID}/simulator/{request_id}",
        "x-ms-throttling-version": "v1" if call.method == "GET" else "v2",
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": request_id,
        "x-ms-routing-request-id": f"SIMULATOR:{now:%Y%m%dT%H%M%SZ}:{request_id}",
        "x-ms-client-request-id": call.headers["x-ms-client-request-id"],
    }
    if given.status != _NO_BODY:
        headers["Expires"] = "-1"
    return {**headers, **given.headers}
