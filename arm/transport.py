"""How answers come in: in bounded time and in bounded size, whatever a server does."""

from __future__ import annotations

import io
import time
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, Final, cast, override

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Buffer

LONGEST_ANSWER: Final = 16 * 1024 * 1024
"""Bytes of an unpacked body: some ten times the largest page of a list that is known."""
_LONGEST_ERROR_BODY: Final = 1024 * 1024
_PIECE: Final = 64 * 1024
_PATIENCE: Final = 4
_POOL_SIZE: Final = 32


class AnswerTooLongError(requests.RequestException):
    """A body went on beyond ``LONGEST_ANSWER``."""


def read_body(response: requests.Response) -> bytes:
    """Read a streamed answer's body, unpacked; raises ``AnswerTooLongError`` for one that does not end.

    The body of anything but a 2xx only explains its status, so that a long one is cut instead.
    """
    limit, size, pieces = LONGEST_ANSWER if response.ok else _LONGEST_ERROR_BODY, 0, list[bytes]()
    for piece in response.iter_content(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > limit and response.ok:
            raise AnswerTooLongError("the answer is too long")
        if size > limit:
            break
    return b"".join(pieces)


class Adapter(HTTPAdapter):
    """Connections that wait ``_PATIENCE`` times as long for a whole answer as for its next byte. Nothing is retried."""

    def __init__(self) -> None:
        # 0 is requests' word for urllib3's Retry(0, read=False): no connection error and no status is tried again.
        super().__init__(pool_maxsize=_POOL_SIZE, max_retries=0)

    @override
    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    @override
    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _Incoming(io.RawIOBase):
    """The bytes of one answer. A server that sends one now and then would keep a thread for ever otherwise."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._bytes = sock, sock.makefile("rb", buffering=0)
        self._timeout_s = sock.gettimeout() or 0.0
        self._ends = time.monotonic() + _PATIENCE * self._timeout_s

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int | None:
        left_s = self._ends - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer takes too long")
        self._socket.settimeout(min(left_s, self._timeout_s))
        return self._bytes.readinto(buffer)

    @override
    def close(self) -> None:
        self._bytes.close()
        super().close()


class _Answer(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        self.fp = io.BufferedReader(_Incoming(sock))


class _Connection(HTTPConnection):
    response_class = _Answer


class _TlsConnection(HTTPSConnection):
    response_class = _Answer


class _Pool(HTTPConnectionPool):
    ConnectionCls = cast("Any", _Connection)  # its protocol and its class differ in their types only


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = cast("Any", _TlsConnection)


_POOLS: Final = {"http": _Pool, "https": _TlsPool}
