"""The body of an answer, read within bounds of time and size."""

from __future__ import annotations

import time
import zlib
from typing import Final

import requests

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""The limit of a body, also after decompression: about ten times the largest known page of a list."""
BODY_DEADLINE_READS: Final = 3
"""The time for a body, in read timeouts: no read begins later, so it ends within four."""
_MAX_ERROR_BODY_BYTES: Final = 1024 * 1024
_PIECE_BYTES: Final = 64 * 1024
_GZIP_WINDOW: Final = 31  # zlib's value for "gzip header, any window size"


class BodyTooLargeError(requests.RequestException):
    """A body is larger than allowed."""


def read_body(response: requests.Response, *, deadline: float, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Read the body of a streamed answer, and decompress gzip.

    ``deadline`` is a time of ``time.monotonic()``. It is checked after each read, which itself may take one read
    timeout. Raises ``requests.ReadTimeout`` after the deadline, and ``BodyTooLargeError`` for the body of a 2xx that is
    larger than ``max_bytes``. The body of an error is cut at 1 MiB instead, because it only explains the status.
    Invalid gzip is an empty body; any other encoding is not decoded, because the client does not ask for it.
    """
    limit = max_bytes if response.ok else _MAX_ERROR_BODY_BYTES
    body = bytearray()
    # Not decoded by urllib3, which goes on reading, without our checks, while the input decompresses to nothing.
    while len(body) <= limit and (piece := response.raw.read1(_PIECE_BYTES, decode_content=False)):
        body += piece
        if time.monotonic() > deadline:
            raise requests.ReadTimeout("the body takes too long")
    received = len(body)
    if response.headers.get("Content-Encoding", "").strip().lower() == "gzip":
        body = _decompress(body, max_bytes=limit + 1)
    if response.ok and max(received, len(body)) > limit:
        raise BodyTooLargeError("the body is too large")
    return bytes(body)


def _decompress(body: bytearray, *, max_bytes: int) -> bytes:
    try:
        return zlib.decompressobj(_GZIP_WINDOW).decompress(body, max_bytes)
    except zlib.error:
        return b""
