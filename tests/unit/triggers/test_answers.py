from __future__ import annotations

import json
from typing import TYPE_CHECKING

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import errors
from domain.errors import InvalidRequestError, RestoreError, TerminalError, TransientError
from triggers.answers import (
    CANCELLATION,
    DECISION,
    error_response,
    fresh_response,
    origin_of,
    parse_json,
    read_optional_json,
    read_person,
)

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.reading import Reader


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TerminalError(errors.NOT_FOUND, "m"), 404),
        (TerminalError(errors.NOT_PROTECTED, "m"), 404),
        (TerminalError(errors.REQUEST_CONFLICT, "m"), 409),
        (TerminalError(errors.AUTHORIZATION_FAILED, "our identity was refused"), 502),
        (TerminalError(errors.RESTORE_REFUSED, "m"), 502),
        (TransientError(errors.SERVICE_UNAVAILABLE, "m"), 503),
    ],
)
def test_errors_answer_with_the_status_they_stand_for(error: RestoreError, status: int) -> None:
    answer = error_response(error)

    assert answer.status_code == status
    assert json.loads(answer.get_body())["error"] == {"code": error.code, "message": error.message, "details": []}


@pytest.mark.parametrize(("asked", "told"), [(None, "5"), (0.2, "1"), (7.4, "7"), (600.0, "600")])
def test_a_passing_failure_says_when_to_come_back(asked: float | None, told: str) -> None:
    answer = error_response(TransientError(errors.SERVICE_UNAVAILABLE, "m", retry_after_s=asked))

    assert answer.headers["Retry-After"] == told


@given(st.binary(max_size=200))
def test_any_bytes_are_json_or_a_named_refusal(raw: bytes) -> None:
    try:
        parse_json(raw)
    except InvalidRequestError as error:
        assert error.message  # noqa: PT017 - either way out is right


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example/api/restores", "https://app.example/api"),
        ("https://app.example/api/restores/1/cancel?code=x", "https://app.example/api"),
        ("http://127.0.0.1:7071/prefix/restores", "http://127.0.0.1:7071/prefix"),
        ("http://127.0.0.1:7071/api/alerts", "http://127.0.0.1:7071/api"),
        ("https://app.example/x/recoveries/1/members?top=5", "https://app.example/x"),
        ("https://app.example/x/recovery-plans/restores", "https://app.example/x"),
        ("https://app.example/x/alert-decisions?top=5", "https://app.example/x"),
    ],
)
def test_links_start_where_the_caller_reached_us(url: str, origin: str) -> None:
    assert origin_of(func.HttpRequest(method="GET", url=url, body=b"")) == origin


def asked_again(if_none_match: str | None, body: Json) -> func.HttpResponse:
    headers = {} if if_none_match is None else {"if-none-match": if_none_match}
    return fresh_response(func.HttpRequest("GET", "http://127.0.0.1/api/restores", headers=headers, body=b""), body)


class TestAnAnswerWithAnETag:
    ETAG = asked_again(None, {"status": "Running"}).headers["ETag"]

    @pytest.mark.parametrize(
        "named", [ETAG, f"W/{ETAG}", f'"older" ,{ETAG}', f'W/"older",  W/{ETAG} , "other"', "*", " * "]
    )
    def test_is_not_sent_to_a_caller_who_has_it(self, named: str) -> None:
        answer = asked_again(named, {"status": "Running"})

        assert (answer.status_code, answer.get_body(), answer.headers["ETag"]) == (304, b"", self.ETAG)
        assert (answer.headers["Cache-Control"], answer.mimetype) == ("private, no-cache", "application/json")

    @pytest.mark.parametrize("named", [None, "", ",", "older", ETAG.strip('"'), f"{ETAG}x", f'"*", W/"{ETAG}"', "*,*"])
    def test_is_sent_to_every_other_caller(self, named: str | None) -> None:
        answer = asked_again(named, {"status": "Running"})

        assert (answer.status_code, json.loads(answer.get_body())) == (200, {"status": "Running"})
        assert (answer.headers["ETag"], answer.mimetype) == (self.ETAG, "application/json")
        assert answer.headers["Cache-Control"] == "private, no-cache"

    def test_is_sent_when_it_has_changed(self) -> None:
        answer = asked_again(self.ETAG, {"status": "Completed"})

        assert (answer.status_code, json.loads(answer.get_body())) == (200, {"status": "Completed"})
        assert answer.headers["ETag"] != self.ETAG


def person(body: bytes, reader: Reader) -> Json:
    request = func.HttpRequest(method="POST", url="http://127.0.0.1/api/restores/1/x", body=body)
    return read_person(read_optional_json(request), reader)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" \n", b"null", b"{}", b'{"comment": "go"}'),
        *(b'{"by": null}', b'{"by": ""}', b'{"by": "  \\n"}', b'{"by": "\\u200b"}', b'{"by": 5}'),
    ],
)
def test_a_decision_needs_a_name_and_a_cancellation_does_not(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        person(body, DECISION)
    assert [detail.target for detail in caught.value.details] == ["by"]
    if body != b'{"by": 5}':
        assert not (person(body, CANCELLATION).get("by") or "").strip("\u200b")


def test_names_lose_the_white_space_around_them() -> None:
    assert person(b'{"by": " Ada L. \\n", "comment": "go "}', DECISION) == {"by": "Ada L.", "comment": "go"}


def test_the_doubled_member_among_very_many_is_named() -> None:
    members = ",".join(f'"m{n}": 1' for n in range(80_000))

    with pytest.raises(InvalidRequestError) as caught:
        parse_json(f'{{{members}, "m79999": 2}}'.encode())

    assert "m79999" in caught.value.message
