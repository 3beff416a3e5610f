from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import errors
from domain.envelopes import seal, seal_error, unseal
from domain.errors import (
    ErrorDetail,
    InvalidRequestError,
    RestoreError,
    TerminalError,
    TransientError,
    UnknownOutcomeError,
)
from tests.support.strategies import SWIFT, json_values

detail_lists = st.lists(
    st.builds(
        ErrorDetail,
        code=st.text(max_size=20),
        message=st.text(max_size=20),
        target=st.none() | st.text(max_size=20),
        info=st.none() | st.dictionaries(st.text(max_size=5), json_values, min_size=1, max_size=2),
    ),
    max_size=4,
)
waits = st.none() | st.floats(0, 1e5)


def through_history(envelope: Any) -> Any:
    return unseal(json.loads(json.dumps(envelope)))


class TestEnvelopes:
    @given(json_values)
    @SWIFT
    def test_a_value_comes_out_as_it_went_in(self, value: Any) -> None:
        assert through_history(seal(value)) == value

    @pytest.mark.parametrize("value", [{"error": "x"}, {"error": {}, "kind": "open"}, None, {"v": 1, "value": 2}])
    def test_a_value_is_never_taken_for_a_failure(self, value: Any) -> None:
        assert through_history(seal(value)) == value

    @pytest.mark.parametrize("kind", [TransientError, UnknownOutcomeError])
    @given(code=st.text(), message=st.text(max_size=50), details=detail_lists, retry_after_s=waits)
    @SWIFT
    def test_a_passing_and_an_open_failure_keep_all_they_say(
        self,
        kind: type[TransientError | UnknownOutcomeError],
        code: str,
        message: str,
        details: list[ErrorDetail],
        retry_after_s: float | None,
    ) -> None:
        with pytest.raises(kind) as caught:
            through_history(seal_error(kind(code, message, details, retry_after_s=retry_after_s)))

        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.message) == (code, message)
        assert caught.value.details == tuple(details)
        assert caught.value.retry_after_s == retry_after_s

    @pytest.mark.parametrize("kind", [TerminalError, RestoreError])
    @given(code=st.text(), message=st.text(max_size=50), details=detail_lists)
    @SWIFT
    def test_any_other_failure_is_final(
        self, kind: type[RestoreError], code: str, message: str, details: list[ErrorDetail]
    ) -> None:
        with pytest.raises(TerminalError) as caught:
            through_history(seal_error(kind(code, message, details)))

        assert (caught.value.code, caught.value.message) == (code, message)
        assert caught.value.details == tuple(details)

    def test_a_refused_request_is_final_and_keeps_its_problems(self) -> None:
        problems = [ErrorDetail(code="InvalidValue", message="must be true or false", target="validate")]

        with pytest.raises(TerminalError) as caught:
            through_history(seal_error(InvalidRequestError(problems)))

        assert caught.value.code == "InvalidRequest"
        assert caught.value.details == tuple(problems)

    def test_what_histories_hold(self) -> None:
        # In production histories: names and kinds must stay.
        failure = TransientError("Busy", "later", retry_after_s=7.5)
        error = {"code": "Busy", "message": "later", "details": []}

        assert seal(5) == {"v": 1, "value": 5}
        assert seal_error(failure) == {"v": 1, "error": error, "kind": "transient", "retryAfterS": 7.5}
        assert seal_error(UnknownOutcomeError("Busy", "later"))["kind"] == "open"
        assert seal_error(TerminalError("Busy", "later")) == {
            "v": 1,
            "error": error,
            "kind": "terminal",
            "retryAfterS": None,
        }


class TestRetryability:
    def test_only_passing_failures_are_repeated_unchanged(self) -> None:
        kinds = [RestoreError, TerminalError, UnknownOutcomeError, InvalidRequestError, TransientError]

        assert [kind for kind in kinds if kind.retryable] == [TransientError]

    @pytest.mark.parametrize("kind", [TransientError, UnknownOutcomeError])
    def test_no_wait_is_asked_for_by_default(self, kind: type[TransientError | UnknownOutcomeError]) -> None:
        assert kind("c", "m").retry_after_s is None


class TestBounds:
    @pytest.mark.parametrize("length", [0, 1, 200, 201, 1000, 1001, 100_000])
    def test_a_text_of_any_length_stays_within_bounds(self, length: int) -> None:
        text = "".join(chr(97 + index % 26) for index in range(length))
        error = RestoreError("c", text, [ErrorDetail(code=text, message=text, target=text)]).to_json()

        assert error["message"] == text[:1000]
        assert error["details"] == [{"code": text[:200], "message": text[:1000], "target": text[:200]}]

    def test_a_hundred_details_are_kept(self) -> None:
        details = [ErrorDetail(code=str(index), message="m") for index in range(150)]

        kept = RestoreError("c", "m", details).to_json()["details"]

        assert [each["code"] for each in kept] == [str(index) for index in range(100)]

    def test_the_longest_error_fits_beside_a_document_into_history(self) -> None:
        details = [ErrorDetail(code="c" * 5000, message="m" * 5000, target="t" * 5000) for _ in range(500)]

        assert len(json.dumps(RestoreError("c", "m" * 5000, details).to_json())) < 160_000


class TestShape:
    def test_it_is_arms(self) -> None:
        detail = ErrorDetail(code="A", message="B", target="c.d", info={"httpStatus": 400})

        assert RestoreError("RestoreRefused", "No.", [detail, ErrorDetail(code="E", message="F")]).to_json() == {
            "code": "RestoreRefused",
            "message": "No.",
            "details": [
                {
                    "code": "A",
                    "message": "B",
                    "target": "c.d",
                    "additionalInfo": [{"type": "AzureResponse", "info": {"httpStatus": 400}}],
                },
                {"code": "E", "message": "F"},
            ],
        }

    @given(detail_lists)
    @SWIFT
    def test_it_reads_back(self, details: list[ErrorDetail]) -> None:
        again = RestoreError.from_json(json.loads(json.dumps(RestoreError("c", "m", details).to_json())))

        assert (again.code, again.message, again.details) == ("c", "m", tuple(details))

    @pytest.mark.parametrize("extra", [None, []])
    def test_a_detail_of_another_version_reads_too(self, extra: Any) -> None:
        data = {"code": "A", "message": "B", "additionalInfo": extra}

        assert ErrorDetail.from_json(data) == ErrorDetail(code="A", message="B")

    def test_an_error_without_details_reads_too(self) -> None:
        assert RestoreError.from_json({"code": "A", "message": "B"}).details == ()

    def test_its_text_names_code_and_message(self) -> None:
        # An empty text would count as success in durabletask's in-memory backend.
        assert str(RestoreError("A", "B")) == "A: B"
        assert str(RestoreError("", ""))

    def test_a_refused_request_names_targets_where_there_are_any(self) -> None:
        problems = [ErrorDetail(code="x", message="no JSON"), ErrorDetail(code="x", message="is needed", target="a.b")]

        error = InvalidRequestError(iter(problems))

        assert error.message == "The request cannot be accepted: no JSON; a.b: is needed"
        assert error.details == tuple(problems)

    def test_the_codes_are_those_of_the_contract(self) -> None:
        ours = {getattr(errors, name) for name in dir(errors) if name.isupper() and not name.startswith("_")}

        assert ours - {"TYPE_CHECKING"} >= {
            *("InvalidRequest", "RequestConflict", "RequestTooLarge", "UnsupportedMediaType", "NotFound"),
            *("NotProtected", "NoMatchingRecoveryPoint", "ValidationFailed", "RestoreRefused", "RestoreFailed"),
            *("AuthorizationFailed", "DeadlineExceeded"),
        }
