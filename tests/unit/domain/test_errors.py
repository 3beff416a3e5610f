from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import errors
from domain.answers import Answer
from domain.envelopes import answer_time, seal, unseal
from domain.errors import (
    ErrorDetail,
    InvalidRequestError,
    RestoreError,
    TerminalError,
    TransientError,
    UnknownOutcomeError,
)
from domain.restore.answers import FoundJob, Grant
from domain.restore.calls import AcquireLock, FindJob
from tests.support.strategies import SWIFT, json_values

if TYPE_CHECKING:
    from domain.errors import Json

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


AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
FIND_JOB = FindJob(vault_id="/v", client_request_id="c")
ACQUIRE_LOCK = AcquireLock(key="k", vm="/vm", source="http")


def through_history(answer: Answer[Any] | RestoreError) -> Answer[Any] | RestoreError:
    """Return what the orchestrator makes of an answer to ``FIND_JOB``."""
    return unseal(FIND_JOB, json.loads(json.dumps(seal(answer, activity="find_job", at=AT))))


class TestEnvelopes:
    @given(st.none() | st.text(), waits)
    @SWIFT
    def test_an_answer_comes_out_as_it_went_in(self, job_id: str | None, retry_after_s: float | None) -> None:
        answer = Answer(FoundJob(job_id=job_id), retry_after_s)

        assert through_history(answer) == answer

    @pytest.mark.parametrize("kind", [TransientError, UnknownOutcomeError, TerminalError])
    @given(code=st.text(), message=st.text(max_size=50), details=detail_lists, retry_after_s=waits)
    @SWIFT
    def test_a_failure_keeps_its_kind_and_all_it_says(
        self,
        kind: type[RestoreError],
        code: str,
        message: str,
        details: list[ErrorDetail],
        retry_after_s: float | None,
    ) -> None:
        error = through_history(kind(code, message, details, retry_after_s=retry_after_s))

        assert isinstance(error, kind)
        assert type(error) is kind
        assert (error.code, error.message, error.details) == (code, message, tuple(details))
        assert error.retry_after_s == retry_after_s

    def test_a_failure_of_no_kind_is_final(self) -> None:
        error = through_history(RestoreError("c", "m"))

        assert isinstance(error, TerminalError)
        assert (error.code, error.message) == ("c", "m")

    def test_a_refused_request_is_final_and_keeps_its_problems(self) -> None:
        problems = [ErrorDetail(code="InvalidValue", message="must be true or false", target="validate")]

        error = through_history(InvalidRequestError(problems))

        assert isinstance(error, TerminalError)
        assert (error.code, error.details) == ("InvalidRequest", tuple(problems))

    def test_what_histories_hold(self) -> None:
        # In production histories: names and kinds must stay.
        failure = TransientError("Busy", "later", retry_after_s=7.5)
        inner = {"code": "Busy", "message": "later", "details": []}
        stamp = {"activity": "find_job", "at": "2026-11-23T08:00:00Z"}

        def sealed(answer: Answer[Any] | RestoreError) -> Json:
            return seal(answer, activity="find_job", at=AT)

        assert sealed(Answer(FoundJob(job_id="j"), 5.0)) == {
            "value": {"v": 1, "jobId": "j"},
            "retryAfterS": 5.0,
            **stamp,
        }
        assert sealed(failure) == {"v": 1, "error": inner, "kind": "transient", "retryAfterS": 7.5, **stamp}
        assert sealed(UnknownOutcomeError("Busy", "later"))["kind"] == "unknown"
        assert sealed(TerminalError("Busy", "later"))["kind"] == "terminal"

    def test_they_tell_when_they_were_sealed(self) -> None:
        assert answer_time(seal(Answer(FoundJob(job_id=None)), activity="find_job", at=AT)) == AT
        assert answer_time({"v": 1}) is None

    @pytest.mark.parametrize("answered_by", [{"activity": "claim_post"}, {}])
    def test_the_answer_to_another_call_is_a_transient_failure(self, answered_by: Json) -> None:
        answer = seal(Answer(FoundJob(job_id="j")), activity="find_job", at=AT)
        del answer["activity"]

        error = unseal(FIND_JOB, {**answer, **answered_by})

        assert isinstance(error, TransientError)
        assert error.code == "InternalError"

    def test_an_activity_does_not_answer_for_an_entity(self) -> None:
        answer = seal(Answer(FoundJob(job_id="j")), activity="find_job", at=AT)

        assert isinstance(unseal(ACQUIRE_LOCK, answer), TransientError)

    def test_an_entity_answers_without_an_envelope(self) -> None:
        assert unseal(ACQUIRE_LOCK, {"v": 1}) == Answer(Grant())

    def test_an_answer_that_a_later_request_made_outdated_is_a_transient_failure(self) -> None:
        assert isinstance(unseal(ACQUIRE_LOCK, {"outdated": True}), TransientError)

    def test_no_wait_is_asked_for_by_default(self) -> None:
        assert RestoreError("c", "m").retry_after_s is None


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
