"""A loopback HTTP server that answers a script and records what arrives: the other side of the REST client's tests."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast, override
from urllib.parse import parse_qs, unquote, urlsplit

from azure.core.credentials import AccessToken

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from email.message import Message


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One request as it arrived; ``target`` is the raw request target, ``connection`` the client's port."""

    method: str
    target: str
    headers: Message
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def names(self) -> list[str]:
        """The path's segments, decoded."""
        return [unquote(name) for name in self.path.split("/")[1:]]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Say:
    """A well-formed answer. ``body``: bytes as they are, anything else but ``None`` as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Raw:
    """Bytes that need not be HTTP, after which the connection closes."""

    content: bytes = b""


@dataclass
class Stream:
    """``head``, then ``piece`` again and again until the client hangs up; ``sent`` counts the bytes of the pieces.

    ``every_s``: so long the server waits between two pieces.
    """

    head: bytes
    piece: bytes
    every_s: float = 0.0
    sent: int = 0


class Hang:
    """No answer until the server closes."""


DROP = Raw()
HANG = Hang()

type Answer = Say | Raw | Stream | Hang
type Route = Callable[[Recorded], Answer]


class ArmServer:
    """Answers requests in the order of ``script``, except those whose path has a route."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Recorded] = []
        self.script: deque[Answer] = deque()
        self.routes: dict[str, Route] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._http = _HttpServer(self)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def answers(self, *script: Answer) -> Self:
        """Append to the script."""
        self.script.extend(script)
        return self

    def close(self) -> None:
        """Stop, and end every connection that a client still holds."""
        self._closing.set()
        self._http.shutdown()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # the client may have gone first
                    connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()
        self._thread.join()

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def next_answer(self, request: Recorded) -> Answer:
        with self._lock:
            self.requests.append(request)
        if route := self.routes.get(request.path):
            return route(request)
        with self._lock:
            return self.script.popleft() if self.script else Say(418, {"code": "NotInTheScript", "message": "?"})

    def wait_for_close(self, timeout_s: float | None = None) -> bool:
        """Return whether the server closes, within so many seconds if they are given."""
        return self._closing.wait(timeout_s)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, arm: ArmServer) -> None:
        self.arm = arm
        super().__init__(("127.0.0.1", 0), _Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def _arm(self) -> ArmServer:
        return cast("_HttpServer", self.server).arm

    @override
    def setup(self) -> None:
        super().setup()
        self._arm.opened(self.connection)

    @override
    def finish(self) -> None:
        self._arm.closed(self.connection)
        super().finish()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = Recorded(
            method=self.command, target=self.path, headers=self.headers, body=body, connection=self.client_address[1]
        )
        match self._arm.next_answer(request):
            case Hang():
                self.close_connection = True
                self._arm.wait_for_close()
            case Raw(content):
                self.close_connection = True
                self.wfile.write(content)
            case Stream() as stream:
                self.close_connection = True
                self.wfile.write(stream.head)
                while not self._arm.wait_for_close(stream.every_s):
                    self.wfile.write(stream.piece)
                    stream.sent += len(stream.piece)
            case Say() as say:
                self.send_response(say.status)
                for name, value in {"Content-Length": str(len(say.content)), **say.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(say.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - the names are http.server's

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


@dataclass
class FakeCredential:
    """Gives one token, and counts."""

    token: str
    scopes: list[str] = field(default_factory=list[str])
    closed: bool = False

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken(self.token, 4_102_444_800)

    def close(self) -> None:
        self.closed = True


class FakeIdentity:
    """A credential factory: the first credential gives ``token-1``, the next ``token-2``, and so on."""

    def __init__(self) -> None:
        self.made: list[FakeCredential] = []

    def __call__(self) -> FakeCredential:
        self.made.append(FakeCredential(f"token-{len(self.made) + 1}"))
        return self.made[-1]
