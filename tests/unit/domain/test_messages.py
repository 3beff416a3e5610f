"""Status documents as messages of a queue that takes 64 KiB of base64."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ErrorDetail, InvalidRequestError, Json, RestoreError
from domain.messages import result_message
from domain.restore.document import document, refused_document
from tests.support.azure import a_restore
from tests.support.hub import START
from tests.support.strategies import SWIFT

NOW = START + timedelta(minutes=5)


def fits(text: str) -> bool:
    """Return whether Azure Storage takes the message, which the Functions host writes anew before it is sent."""
    indented = json.dumps(json.loads(text), indent=2, ensure_ascii=False).replace("\n", "\r\n")
    return all(len(base64.b64encode(sent.encode())) <= 64 * 1024 for sent in (text, indented))


def a_document(**members: object) -> Json:
    return {**document(a_restore(), NOW), "jobId": "job-1", **members}


def test_what_fits_is_sent_as_it_is() -> None:
    sent = a_document(result={"propertyBag": {"a": "b" * 40_000}})

    assert json.loads(result_message(sent)) == sent


def test_what_fits_only_until_the_host_indents_it_is_cut() -> None:
    plan = {"requestBody": None, "candidates": [{"reasons": ["a"]} for _ in range(1500)]}
    sent = a_document(result={"plan": plan})
    assert len(json.dumps(sent)) < 48_000

    text = result_message(sent)

    assert fits(text)
    assert json.loads(text)["result"]["plan"]["candidates"] == []


def test_the_property_bag_goes_first() -> None:
    sent = a_document(result={"jobStatus": "Completed", "propertyBag": {"a": "b" * 60_000}})

    message = json.loads(result_message(sent))

    assert message["result"] == {"jobStatus": "Completed", "propertyBag": {}}
    assert [warning["code"] for warning in message["warnings"]] == ["ResultCut"]
    assert f"/api/restores/{sent['id']}" in message["warnings"][0]["message"]
    assert {**message, "result": None, "warnings": []} == {**sent, "result": None, "warnings": []}


def test_the_candidates_of_a_plan_go_before_its_body() -> None:
    sent = a_document(result={"plan": {"requestBody": {"a": 1}, "candidates": ["c" * 100] * 1000}})

    assert json.loads(result_message(sent))["result"] == {"plan": {"requestBody": {"a": 1}, "candidates": []}}


def test_many_details_are_cut_to_a_few() -> None:
    details = [ErrorDetail(code=f"E{n}", message="m" * 900) for n in range(100)]
    sent = a_document(error=RestoreError("RestoreFailed", "No.", details).to_json())

    message = json.loads(result_message(sent))

    assert [detail["code"] for detail in message["error"]["details"]] == [f"E{n}" for n in range(5)]
    assert message["result"] is None


@pytest.mark.parametrize("letter", ["x", "ü", "漢", "🙂", '"'])
def test_the_worst_document_still_fits_and_says_who_it_is(letter: str) -> None:
    details = [ErrorDetail(code=letter * 200, message=letter * 1000, target=letter * 200)] * 100
    sent = a_document(
        error=RestoreError("RestoreFailed", letter * 1000, details).to_json(),
        warnings=[{"code": letter * 100, "message": letter * 1000}] * 50,
        result={"configBlobUri": letter * 100_000, "propertyBag": {letter: letter * 100_000}},
        reason=letter * 2048,
    )

    text = result_message(sent)

    assert fits(text)
    message = json.loads(text)
    assert (message["id"], message["status"], message["jobId"]) == (sent["id"], sent["status"], "job-1")
    assert message["error"]["code"] == "RestoreFailed"


def test_a_refused_message_of_many_strange_names_is_answered() -> None:
    problems = [ErrorDetail(code="UnknownField", message="is not known", target="漢" * 200) for _ in range(100)]
    sent = refused_document(restore_id="7", created=START, error=InvalidRequestError(problems), sent={})

    assert fits(result_message(sent))


@given(st.integers(0, 100), st.integers(0, 1000), st.text(max_size=50))
@SWIFT
def test_every_document_fits(details: int, words: int, text: str) -> None:
    entries = [ErrorDetail(code="E", message=text * words)] * details

    assert fits(result_message(a_document(error=RestoreError("E", text * words, entries).to_json())))


def test_many_warnings_without_an_error_are_cut_to_the_last_few() -> None:
    sent = a_document(warnings=[{"code": f"W{n}", "message": "m" * 1000} for n in range(60)])

    message = json.loads(result_message(sent))

    assert message["error"] is None
    assert [warning["code"] for warning in message["warnings"]] == ["W56", "W57", "W58", "W59", "ResultCut"]
