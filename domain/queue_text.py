"""The text of a queue message: JSON, or base64 of JSON. The errors for other texts say what the sender did wrong.

Base64 never contains ``{`` or ``[``, and the JSON of an object or array begins with one, so the two cannot be confused.
"""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from domain.reading import strict_json
from domain.texts import hidden_character, trimmed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MAX_LAYERS: Final = 8
# The marks of UTF-16 as they stand, replaced by U+FFFD, and read as Latin-1.
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbf\xbd\xef\xbf\xbd", b"\xc3\xbf\xc3\xbe", b"\xc3\xbe\xc3\xbf")
_PYTHON_BYTES: Final = re.compile(rb"(?:bytearray\()?b(['\"])(.*)\1\)?", re.DOTALL)
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_\s-]{3,}={0,2}\s*")
_UNREADABLE: Final = (
    (b"[object ", "is JavaScript's text of an object: send what JSON.stringify returns"),
    (b"System.", "is .NET's text of an object: serialize it to JSON"),
    (b"@{", "is PowerShell's text of an object: send what ConvertTo-Json returns"),
    (b"<", "begins with <, as XML does: send the JSON alone"),
    (b"%7b", "is percent-encoded: send the JSON as it is"),
    (b"%7B", "is percent-encoded: send the JSON as it is"),
    (b"\x1f\x8b", "is compressed (gzip): send the JSON as it is"),
    (b"\x1f\xef\xbf\xbd", "is compressed (gzip): send the JSON as it is"),
    (b"\x78\x01", "is compressed (zlib): send the JSON as it is"),
    (b"\x78\x9c", "is compressed (zlib): send the JSON as it is"),
    (b"\x78\xda", "is compressed (zlib): send the JSON as it is"),
    (b"PK\x03\x04", "is compressed (zip): send the JSON as it is"),
)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One encoding around a content. ``complaints`` say what is wrong with it; correct base64 has none."""

    content: bytes
    is_base64: bool = False
    complaints: tuple[str, ...] = ()


def encoded(text: str) -> str:
    """Return a text as it is written to a queue: the base64 of its UTF-8."""
    return base64.b64encode(text.encode()).decode()


def read_message(body: bytes) -> Any:
    """Return the JSON in a message; raises ``ValueError`` with a sentence that says what the message is instead."""
    content, complaints, layers = _stripped(body), list[str](), 0
    for layer in _layers(content):
        content = _stripped(layer.content)
        complaints += layer.complaints
        layers += layer.is_base64
    if unreadable := next((why for start, why in _UNREADABLE if content.startswith(start)), None):
        raise ValueError(f"The message {unreadable}")
    if not content.startswith((b"{", b"[")):
        what = f"neither a JSON object nor base64 of one{_hidden_edge(content)}" if _stripped(body) else "empty"
        raise ValueError(f"The message is {what}: send a restore request as JSON, or as base64 of the JSON")
    if layers > 1:
        often = "twice" if layers == 2 else f"{layers} times"  # noqa: PLR2004 - as the sentence says
        complaints.append(f"is base64 {often}: encode it once, or send the JSON as it is")
    if complaints:
        raise ValueError(f"The message {'; it '.join(dict.fromkeys(complaints))}")
    return _parsed(content)


def _parsed(content: bytes) -> Any:
    try:
        return strict_json(content.decode())
    except UnicodeDecodeError as error:
        where = f"byte 0x{content[error.start]:02X} at position {error.start + 1}"
        raise ValueError(f"The message is not UTF-8: {where}. Send the JSON in UTF-8") from None
    except ValueError as error:
        raise ValueError(f"The message is not JSON: {error}{_hidden_edge(content)}") from None


def _layers(content: bytes) -> Iterator[_Layer]:
    """Yield the encodings around the JSON, from the outside to the inside, until no more is recognised."""
    for _ in range(_MAX_LAYERS):
        if content.startswith(tuple(start for start, _ in _UNREADABLE)):
            return
        layer = next((found for unwrap in _UNWRAPPERS if (found := unwrap(content)) is not None), None)
        if layer is None:
            return
        yield layer
        content = _stripped(layer.content)


def _stripped(content: bytes) -> bytes:
    """Return the content without white space and byte order marks around it."""
    return trimmed(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def _hidden_edge(content: bytes) -> str:
    """Return a remark on the first or last character if it cannot be seen, else an empty text."""
    text = content.decode(errors="replace")
    for where, char in (("begins with", text[:1]), ("ends in", text[-1:])):
        if hidden_character(char):
            return f"; it {where} U+{ord(char):04X}, a character that cannot be seen"
    return ""


def _utf_16(content: bytes) -> _Layer | None:
    marked = content.startswith(_UTF_16_MARKS)
    if not marked and b"\0" not in content[:8]:
        return None
    for mark in _UTF_16_MARKS:
        content = content.removeprefix(mark)
    # The message is refused in any case, so decoding it roughly is enough to find its other mistakes.
    return _Layer(content.replace(b"\0", b""), complaints=("is UTF-16: send UTF-8",))


def _python_bytes(content: bytes) -> _Layer | None:
    found = _PYTHON_BYTES.fullmatch(content)
    if found is None:
        return None
    return _Layer(found[2], complaints=("is Python's text of a bytes object, b'…': send what its .decode() returns",))


def _quoted(content: bytes) -> _Layer | None:
    if content[:1] not in {b'"', b"'"} or content[-1:] != content[:1]:
        return None
    inner = content[1:-1]
    if content.startswith(b'"'):
        with suppress(ValueError):
            inner = str(json.loads(content)).encode(errors="replace")
    return _Layer(inner, complaints=("is in quotes: send it without quotes around it, encoded as JSON once",))


def _base64(content: bytes) -> _Layer | None:
    if _BASE64.fullmatch(content) is None:
        return None
    text, complaints = re.sub(rb"\s", b"", content), list[str]()
    if len(text) != len(content):
        complaints.append("is base64 in several lines: send it in one line, as base64 -w 0 writes it")
    if b"-" in text or b"_" in text:
        complaints.append("is base64url: use the alphabet of base64, with + and /")
        text = text.translate(bytes.maketrans(b"-_", b"+/"))
    if len(text) % 4:
        complaints.append("is base64 without the padding (=) at its end, or was cut")
        text = text.rstrip(b"=")
        text = text[: len(text) - (len(text) % 4 == 1)]
    return _Layer(base64.b64decode(text + b"=" * (-len(text) % 4)), is_base64=True, complaints=tuple(complaints))


_UNWRAPPERS: Final[tuple[Callable[[bytes], _Layer | None], ...]] = (_utf_16, _python_bytes, _quoted, _base64)
