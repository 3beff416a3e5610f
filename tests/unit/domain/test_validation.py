from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from domain.azure.jobs import OperationStatus
from domain.azure.validation import Validation
from domain.codec import pack, unpack
from domain.errors import ErrorDetail, Json
from tests.support.strategies import THOROUGH, json_values, objects_of
from tests.unit.domain.recorded import VALIDATION_WITH_FINDINGS

NO_MESSAGE = "The service gave no message."


def with_results(results: Any, **members: Any) -> Json:
    return {"properties": {"validateOperationResponse": {"validationResults": results}}, **members}


def test_succeeded_only_says_that_it_ran() -> None:
    assert Validation.from_api(VALIDATION_WITH_FINDINGS) == Validation(
        status=OperationStatus.SUCCEEDED,
        findings=(
            ErrorDetail(
                code="UserErrorCoreCountSubscriptionQuotaReached",
                message="Core Count subscription quota has been reached. Contact Azure support to increase the limits.",
            ),
        ),
    )


@pytest.mark.parametrize("results", [[], None, {}, "none", [None], [{}], [5]])
def test_without_results_nothing_speaks_against_the_restore(results: Any) -> None:
    assert Validation.from_api(with_results(results, status="Succeeded")) == Validation(
        status=OperationStatus.SUCCEEDED
    )


@pytest.mark.parametrize("status", ["Failed", "Canceled"])
def test_a_validation_that_itself_failed_has_the_services_reason(status: str) -> None:
    seen = Validation.from_api({"status": status, "error": {"code": "A", "message": "B"}})

    assert seen.status == status
    assert seen.findings == (ErrorDetail(code="A", message="B"),)


def test_what_it_found_says_more_than_its_own_failure() -> None:
    body = with_results([{"code": "A", "message": "B"}], status="Failed", error={"code": "C", "message": "D"})

    assert Validation.from_api(body).findings == (ErrorDetail(code="A", message="B"),)


LOCKED = {"code": "bmsUserErrorObjectLocked", "message": "m"}
QUOTA = {"code": "UserErrorQuota", "message": "m"}


@pytest.mark.parametrize(
    ("body", "is_busy"),
    [
        (with_results([LOCKED], status="Succeeded"), True),
        (with_results([LOCKED, {"code": "UserErrorBackupOperationInProgress"}], status="Succeeded"), True),
        ({"status": "Failed", "error": LOCKED}, True),
        (with_results([LOCKED, QUOTA], status="Succeeded"), False),
        (with_results([QUOTA], status="Succeeded"), False),
        (with_results([], status="Succeeded"), False),
        ({"status": "InProgress"}, False),
    ],
)
def test_it_says_whether_only_another_operation_stands_against_the_restore(body: Json, is_busy: bool) -> None:
    assert Validation.from_api(body).is_item_busy is is_busy


@pytest.mark.parametrize("status", ["Succeeded", "InProgress", None])
def test_an_error_beside_another_status_is_no_finding(status: Any) -> None:
    assert Validation.from_api({"status": status, "error": {"code": "A", "message": "B"}}).findings == ()


@pytest.mark.parametrize("body", [{"status": "Failed"}, {"status": "Failed", "error": None}])
def test_a_failure_without_a_reason_has_no_findings(body: Json) -> None:
    assert Validation.from_api(body) == Validation(status=OperationStatus.FAILED)


@pytest.mark.parametrize("entry", [{"code": None, "recommendations": None}, {"message": ""}, {"message": 5}])
def test_a_finding_that_says_nothing_still_counts(entry: Json) -> None:
    [finding] = Validation.from_api(with_results([entry], status="Succeeded")).findings

    assert finding == ErrorDetail(code="Unknown", message=NO_MESSAGE)


@given(
    objects_of("status", "properties", "error")
    | json_values.map(lambda results: with_results([results], status="Failed"))
)
@THOROUGH
def test_any_json_is_a_validation_and_comes_out_of_history_as_it_went_in(body: Json) -> None:
    seen = Validation.from_api(body)

    assert unpack(Validation, json.loads(json.dumps(pack(seen)))) == seen
