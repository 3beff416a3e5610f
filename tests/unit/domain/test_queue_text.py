"""What SDKs, shells and other systems put on a queue in place of JSON or its base64, and what they are told."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.queue_text import encoded, read_message

REQUEST = {"sourceResourceId": "/subscriptions/1/vm-ä", "recoveryType": "RestoreDisks"}
TEXT = json.dumps(REQUEST, ensure_ascii=False)
JSON = TEXT.encode()


def b64(content: bytes | str) -> bytes:
    return base64.b64encode(content.encode() if isinstance(content, str) else content)


def refusal(body: bytes) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the sentence is what is tested
        read_message(body)
    return str(caught.value)


@pytest.mark.parametrize("content", [JSON, json.dumps(REQUEST, indent=2).encode(), json.dumps(REQUEST).encode()])
@pytest.mark.parametrize(
    "around",
    [
        (b"", b""),
        (b"\xef\xbb\xbf", b"\r\n"),
        (b" \t\r\n", b"\n\n"),
        (b"\n\xef\xbb\xbf", b" "),
        ("\xa0".encode(), "\u3000\u2028".encode()),
    ],
)
def test_plain_json_and_its_base64_are_read(content: bytes, around: tuple[bytes, bytes]) -> None:
    before, after = around

    assert read_message(before + content + after) == REQUEST
    assert read_message(b64(before + content + after)) == REQUEST
    assert read_message(before + b64(content) + after) == REQUEST


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_the_app_reads_json_and_base64_of_any_body(body: dict[str, Any]) -> None:
    for text in (json.dumps(body), json.dumps(body, ensure_ascii=False).encode(errors="replace").decode()):
        assert read_message(text.encode()) == json.loads(text)
        assert read_message(encoded(text).encode()) == json.loads(text)


def test_base64_has_no_bracket_of_json() -> None:
    assert encoded(TEXT) == b64(JSON).decode()
    assert not set(encoded('{"a": [1, "x"]}' * 99)) & set("{}[]\r\n")


UTF_16 = "is UTF-16"
PYTHON = "is Python's text of a bytes object, b'…'"
LINES = "base64 in several lines"
QUOTES = "in quotes"
MISTAKES = {
    "base64 twice": (b64(b64(JSON)), "is base64 twice"),
    "the text of bytes": (str(b64(JSON)).encode(), PYTHON),
    "the text of bytes of JSON": (str(json.dumps(REQUEST).encode()).encode(), PYTHON),
    "the text of bytes in base64": (b64(str(b64(JSON))), PYTHON),
    "the text of bytes in base64, of JSON": (b64(str(json.dumps(REQUEST).encode())), PYTHON),
    "the text of a bytearray": (str(bytearray(b64(JSON))).encode(), PYTHON),
    "the text of bytes in double quotes": (b'b"' + b64(JSON) + b'"', PYTHON),
    "wrapped": (base64.encodebytes(JSON + b" " * 99), LINES),
    "wrapped with CRLF": (base64.encodebytes(JSON + b" " * 99).replace(b"\n", b"\r\n"), LINES),
    "base64url": (base64.urlsafe_b64encode('{"a": "~~~???ÿÿÿ>>>"}'.encode()), "is base64url"),
    "a hidden character before JSON": ("\u200b".encode() + JSON, "it begins with U+200B"),
    "a hidden character after JSON": (JSON + b"\0", "it ends in U+0000"),
    "a hidden character after JSON, in base64": (b64(TEXT + "\u200b"), "it ends in U+200B"),
    "a hidden character after base64": (b64(JSON) + "\u200b".encode(), "it ends in U+200B"),
    "without padding": (b64('{"a": 1}').rstrip(b"="), "padding"),
    "cut": (b64(JSON)[:-3], "cut"),
    "JSON in a JSON string": (json.dumps(TEXT).encode(), QUOTES),
    "base64 in a JSON string": (json.dumps(b64(JSON).decode()).encode(), "message is in quotes"),
    "a JSON string in base64": (b64(json.dumps(TEXT)), QUOTES),
    "single quotes of a shell": (f"'{TEXT}'".encode(), QUOTES),
    "gzip in base64": (b64(gzip.compress(JSON)), "is compressed"),
    "zlib in base64": (b64(zlib.compress(JSON)), "is compressed"),
    "XML": (f"<QueueMessage><MessageText>{TEXT}</MessageText></QueueMessage>".encode(), "begins with <, as XML does"),
    "XML in base64": (b64("<?xml version='1.0'?><a/>"), "begins with <, as XML does"),
    "Python's text of a memoryview": (b"<memory at 0x7f2b>", "begins with <"),
    "percent-encoded": (b"%7B%22a%22%3A1%7D", "is percent-encoded"),
    "JavaScript's text of an object": (b"[object Object]", "JavaScript"),
    "PowerShell's text of an object": (b"@{sourceResourceId=/subscriptions/1}", "PowerShell"),
    ".NET's text of bytes": (b"System.Byte[]", ".NET"),
    "nothing": (b"", "is empty"),
    "white space": (b" \r\n", "is empty"),
    "text": (b"not json", "neither a JSON object nor base64"),
    "bytes": (bytes(range(256)), "neither a JSON object nor base64"),
    "base64 of text": (b64(b"please restore vm-a"), "neither a JSON object nor base64"),
    "Latin-1 in base64": (b64(TEXT.encode("latin-1")), "is not UTF-8: byte 0xE4 at position"),
    "Python's text of a dict": (
        str(REQUEST).encode(),
        "is not JSON: Expecting property name enclosed in double quotes",
    ),
    "half of the JSON": (JSON[:-5], "is not JSON"),
    "two members of one name": (b'{"a": 1, "a": 2}', "is not JSON: the member 'a' appears twice"),
    "NaN": (b64('{"a": NaN}'), "is not JSON: NaN"),
    "too deep": (b"[" * 40_000, "is not JSON: it is nested too deeply"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_error_names_the_mistake(name: str) -> None:
    body, told = MISTAKES[name]

    assert told in refusal(body)
    assert refusal(body).startswith("The message ")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_utf_16_is_recognised_in_every_form(encoding: str, bom: str) -> None:
    raw = (bom + TEXT).encode(encoding)

    for body in (raw, b64(raw), (bom + b64(JSON).decode()).encode(encoding), raw.decode("utf-8", "replace").encode()):
        assert UTF_16 in refusal(body)


def test_the_error_names_each_of_several_mistakes() -> None:
    several = refusal(str(b64(b64(TEXT.encode("utf-16")))).encode())

    assert all(told in several for told in (PYTHON, "base64 twice", UTF_16))


@pytest.mark.parametrize(("times", "told"), [(2, "base64 twice"), (3, "base64 3 times")])
def test_the_error_says_how_often_the_message_was_encoded(times: int, told: str) -> None:
    body = JSON
    for _ in range(times):
        body = b64(body)

    assert told in refusal(body)


@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_any_other_message_is_refused_with_a_sentence(body: bytes) -> None:
    # A text or number of JSON, and what is no JSON at all; an array or object may be read.
    told = refusal(b"-" + body)

    assert told.startswith("The message ")


@pytest.mark.parametrize(
    "body", [b"b'" * 32_000, b'"' * 65_000, b"A" * 65_536, b"\x00" * 65_000, b"<" * 65_000, b" " * 65_000]
)
def test_the_longest_messages_are_refused_quickly(body: bytes) -> None:
    assert refusal(body)
