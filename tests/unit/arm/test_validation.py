from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ErrorDetail
from domain.jobs import OperationStatus
from domain.validation import Validation

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "validateOperationResponse", "validationResults", "code", "message", "recommendations"]
            ),
            inner,
        )
    ),
)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "Succeeded"},
        {"status": "Succeeded", "properties": {"validateOperationResponse": {"validationResults": []}}},
        {"status": "Succeeded", "properties": {"validateOperationResponse": None}, "error": {"code": "X"}},
    ],
)
def test_a_validation_without_findings_found_nothing(body: dict[str, Any]) -> None:
    assert Validation.from_api(body) == Validation(status=OperationStatus.SUCCEEDED, findings=())


def test_findings_without_words_still_count() -> None:
    body = {"status": "Succeeded", "properties": {"validateOperationResponse": {"validationResults": [{"code": None}]}}}

    (finding,) = Validation.from_api(body).findings

    assert finding == ErrorDetail(code="Unknown", message="The service gave no message.")


@pytest.mark.parametrize("status", ["Failed", "Canceled"])
def test_a_validation_that_did_not_run_through_gives_its_reason(status: str) -> None:
    body = {"status": status, "error": {"code": "CloudInternalError", "message": "m"}}

    assert Validation.from_api(body).findings == (ErrorDetail(code="CloudInternalError", message="m"),)
    assert Validation.from_api({"status": status}).findings == ()


@given(st.dictionaries(st.sampled_from(["status", "properties", "error"]), JSON))
def test_any_body_is_read_and_survives_history(body: dict[str, Any]) -> None:
    validation = Validation.from_api(body)

    assert Validation.from_json(json.loads(json.dumps(validation.to_json()))) == validation
