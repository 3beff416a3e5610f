"""Status documents cut to what fits, and as messages of a queue that takes 64 KiB of base64."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ErrorDetail, InvalidRequestError, Json, RestoreError
from domain.messages import event_message, fit, recovery_event_message, result_message
from domain.restore.document import document as document_of
from domain.restore.document import refused_document
from tests.support.azure import a_restore
from tests.support.hub import START
from tests.support.strategies import SWIFT, json_values

NOW = START + timedelta(minutes=5)
CUSTOM_STATUS_SIZE = 7_500
IDENTITY = ("id", "status", "phase", "sourceResourceId", "requestId", "jobId", "vaultId", "createdTime", "links")


def fits(text: str) -> bool:
    """Return whether Azure Storage takes the message, which the Functions host sends as it is."""
    return len(text) <= 64 * 1024


def read(text: str) -> Json:
    """Return the document in a message, as the readers of the results queue see it."""
    return json.loads(base64.b64decode(text, validate=True))


def a_document(**members: object) -> Json:
    return {**document_of(a_restore(), NOW), "jobId": "job-1", **members}


def test_what_fits_is_sent_as_it_is() -> None:
    document = a_document(result={"propertyBag": {"a": "b" * 40_000}})

    assert read(result_message(document)) == document


def test_a_message_is_base64_and_no_longer_than_azure_takes() -> None:
    for size in (46_000, 48_000, 49_152, 65_536):
        text = result_message(a_document(result={"propertyBag": {"a": "b" * size}}))

        assert fits(text)
        assert len(read(text)["result"]["propertyBag"]) == (size < 47_000)


@pytest.mark.parametrize("size", [100, 60_000])
def test_an_event_is_sent_with_its_document_which_is_cut_only_if_it_is_too_long(size: int) -> None:
    document = a_document(result={"jobStatus": "Completed", "propertyBag": {"a": "b" * size}})
    event = {"event": "Completed", "time": "2026-11-23T08:00:00Z", "restore": document}

    text = event_message(event)

    assert fits(text)
    sent = read(text)
    assert (sent["event"], sent["time"]) == (event["event"], event["time"])
    assert sent["restore"] == read(result_message(document))
    assert (sent["restore"] == document) is (size == 100)


def test_the_property_bag_goes_first() -> None:
    document = a_document(result={"jobStatus": "Completed", "propertyBag": {"a": "b" * 60_000}})

    message = read(result_message(document))

    assert message["result"] == {"jobStatus": "Completed", "propertyBag": {}}
    assert [warning["code"] for warning in message["warnings"]] == ["ResultCut"]
    assert f"/api/restores/{document['id']}" in message["warnings"][0]["message"]
    assert {**message, "result": None, "warnings": []} == {**document, "result": None, "warnings": []}


def test_the_candidates_of_a_plan_go_before_its_body() -> None:
    document = a_document(result={"plan": {"requestBody": {"a": 1}, "candidates": ["c" * 100] * 1000}})

    assert read(result_message(document))["result"] == {"plan": {"requestBody": {"a": 1}, "candidates": []}}


def test_many_details_are_cut_to_a_few() -> None:
    details = [ErrorDetail(code=f"E{n}", message="m" * 900) for n in range(100)]
    document = a_document(error=RestoreError("RestoreFailed", "No.", details).to_json())

    message = read(result_message(document))

    assert [detail["code"] for detail in message["error"]["details"]] == [f"E{n}" for n in range(5)]
    assert message["result"] is None


@pytest.mark.parametrize("letter", ["x", "ü", "漢", "🙂", '"'])
def test_the_worst_document_still_fits_and_says_who_it_is(letter: str) -> None:
    details = [ErrorDetail(code=letter * 200, message=letter * 1000, target=letter * 200)] * 100
    document = a_document(
        error=RestoreError("RestoreFailed", letter * 1000, details).to_json(),
        warnings=[{"code": letter * 100, "message": letter * 1000}] * 50,
        result={"configBlobUri": letter * 100_000, "propertyBag": {letter: letter * 100_000}},
        reason=letter * 2048,
    )

    text = result_message(document)

    assert fits(text)
    message = read(text)
    assert (message["id"], message["status"], message["jobId"]) == (document["id"], document["status"], "job-1")
    assert message["error"]["code"] == "RestoreFailed"


def test_a_refused_message_of_many_strange_names_is_answered() -> None:
    problems = [ErrorDetail(code="UnknownField", message="is not known", target="漢" * 200) for _ in range(100)]
    document = refused_document(restore_id="7", created=START, error=InvalidRequestError(problems), sent={})

    assert fits(result_message(document))


def json_size(document: Json) -> int:
    return len(json.dumps(document))


@st.composite
def documents(draw: st.DrawFn) -> Json:
    """Return status documents with anything in the members that may be cut, also very much of it."""
    texts = st.builds(lambda text, times: text * times, st.text(max_size=10), st.sampled_from([1, 20, 200]))
    entries = st.lists(st.fixed_dictionaries({"code": texts, "message": texts}), max_size=5)
    many = st.builds(lambda found, times: found * times, entries, st.sampled_from([1, 20]))
    anything = st.dictionaries(st.text(max_size=10), texts | json_values | st.lists(json_values), max_size=5)
    return a_document(
        requestedBy=draw(st.none() | texts),
        reason=draw(st.none() | texts),
        recoveryPoint=draw(anything),
        approval=draw(anything),
        cancellation=draw(anything),
        result=draw(st.none() | anything | st.fixed_dictionaries({"propertyBag": anything, "plan": anything})),
        error=draw(st.none() | st.fixed_dictionaries({"code": texts, "message": texts, "details": many})),
        warnings=draw(many),
    )


@given(documents())
@SWIFT
def test_every_document_fits(document: Json) -> None:
    message = read(result_message(document))

    assert fits(json.dumps(message))
    assert message == document or message["warnings"][-1]["code"] == "ResultCut"
    assert {name: message[name] for name in IDENTITY} == {name: document[name] for name in IDENTITY}


@given(documents(), st.sampled_from([CUSTOM_STATUS_SIZE, 20_000, 100_000]))
@SWIFT
def test_every_document_is_cut_to_what_fits_and_keeps_its_members(document: Json, max_size: int) -> None:
    cut = fit(document, size_of=json_size, max_size=max_size)

    assert json_size(cut) <= max_size
    assert cut == document or json_size(document) > max_size
    assert set(cut) == set(document)
    assert {name: cut[name] for name in IDENTITY} == {name: document[name] for name in IDENTITY}
    assert (cut["error"] is None) == (document["error"] is None)


@pytest.mark.parametrize("letter", ["x", "é", "🙂", '"'])
def test_texts_are_truncated_and_members_of_the_result_left_out(letter: str) -> None:
    result = {"jobStatus": "Completed", "configBlobUri": letter * 2000, "propertyBag": {}}
    error = RestoreError("RestoreFailed", letter * 900, [ErrorDetail(code="E", message=letter * 900)] * 100).to_json()
    warnings = [{"code": f"W{n}", "message": letter * 900} for n in range(60)]
    document = a_document(reason=letter * 2000, result=result, error=error, warnings=warnings)

    cut = fit(document, size_of=json_size, max_size=CUSTOM_STATUS_SIZE)

    assert json_size(cut) <= CUSTOM_STATUS_SIZE
    assert cut["reason"]
    assert document["reason"].startswith(cut["reason"])
    assert cut["result"] == {"jobStatus": "Completed", "configBlobUri": None, "propertyBag": {}}
    assert cut["error"]["code"] == "RestoreFailed"
    assert error["message"].startswith(cut["error"]["message"])
    assert [warning["code"] for warning in cut["warnings"]] == ["W55", "W56", "W57", "W58", "W59"]


def test_an_identity_that_is_too_long_is_not_cut() -> None:
    document = a_document(jobId="j" * 10_000)

    assert fit(document, size_of=json_size, max_size=CUSTOM_STATUS_SIZE)["jobId"] == document["jobId"]


def test_many_warnings_without_an_error_are_cut_to_the_last_few() -> None:
    document = a_document(warnings=[{"code": f"W{n}", "message": "m" * 1000} for n in range(60)])

    message = read(result_message(document))

    assert message["error"] is None
    assert [warning["code"] for warning in message["warnings"]] == ["W55", "W56", "W57", "W58", "W59", "ResultCut"]


def test_the_event_of_a_recovery_loses_its_lists_and_no_more_than_is_needed() -> None:
    recovery: Json = {"id": "r", "status": "Failed", "cut": False, "groups": [{"name": "g"}], "result": None}
    short: Json = {"event": "Failed", "recovery": {**recovery, "failedMembers": [{"index": 0}], "warnings": []}}
    failures = [{"index": index, "message": "x" * 900} for index in range(100)]
    long: Json = {"event": "Failed", "recovery": {**short["recovery"], "failedMembers": failures}}

    assert read(recovery_event_message(short)) == short
    text = recovery_event_message(long)
    assert fits(text)
    assert read(text)["recovery"] == {**short["recovery"], "failedMembers": [], "cut": True}
    assert fits(recovery_event_message({**long, "recovery": {**long["recovery"], "groups": failures}}))
