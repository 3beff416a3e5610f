from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.errors import RestoreError, TerminalError, TransientError
from domain.restore.backoff import Backoff
from domain.restore.calls import GetJob
from domain.restore.failure import PATIENCE, retry, retry_or_end
from domain.restore.parts import Status
from tests.unit.domain.restore.states import NOW, preparing, searching, tracking_job, tracking_operation

if TYPE_CHECKING:
    from domain.restore.state import Restore

CALL = GetJob(vault_id="v", job_id="j")
BEFORE = preparing()
AFTER = [searching(), tracking_operation(), tracking_job()]
OUTAGE = TransientError(errors.SERVICE_UNAVAILABLE, "503")
BROKEN = TransientError(errors.INTERNAL_ERROR, "the worker died")
REFUSED = TerminalError(errors.AUTHORIZATION_FAILED, "no role")


def failing_for(restore: Restore, duration: timedelta) -> Restore:
    """Return the restore with a call that has failed for so long."""
    return replace(restore, backoff=Backoff().retry(CALL.name, NOW - duration))


class TestBeforeAzureHasIt:
    @pytest.mark.parametrize("error", [OUTAGE, BROKEN])
    def test_what_may_pass_is_retried_for_half_an_hour(self, error: RestoreError) -> None:
        almost = failing_for(BEFORE, PATIENCE - timedelta(seconds=1))

        assert retry_or_end(BEFORE, CALL, error, NOW) == retry(BEFORE, CALL, NOW)
        assert retry_or_end(almost, CALL, error, NOW) == retry(almost, CALL, NOW)
        ended = retry_or_end(failing_for(BEFORE, PATIENCE), CALL, error, NOW)
        assert ended.outcome is not None
        assert ended.outcome.status is Status.FAILED

    def test_what_cannot_pass_ends_it_at_once_in_its_own_words(self) -> None:
        error = TerminalError("Code", "Do this.", (errors.ErrorDetail(code="c", message="m"),))

        ended = retry_or_end(BEFORE, CALL, error, NOW).outcome

        assert ended is not None
        assert (ended.status, ended.completed) == (Status.FAILED, NOW)
        assert ended.error == {
            "code": "Code",
            "message": "Do this. Nothing was started.",
            "details": [{"code": "c", "message": "m"}],
        }


class TestOnceAzureHasIt:
    @pytest.mark.parametrize("restore", AFTER)
    @pytest.mark.parametrize("duration", [timedelta(0), timedelta(hours=20)])
    def test_outages_and_throttling_are_waited_out(self, restore: Restore, duration: timedelta) -> None:
        failing = failing_for(restore, duration)

        assert retry_or_end(failing, CALL, OUTAGE, NOW) == retry(failing, CALL, NOW)

    @pytest.mark.parametrize("restore", AFTER)
    @pytest.mark.parametrize("error", [BROKEN, REFUSED])
    def test_anything_else_may_pass_within_half_an_hour(self, restore: Restore, error: RestoreError) -> None:
        almost = failing_for(restore, PATIENCE - timedelta(seconds=1))

        assert retry_or_end(almost, CALL, error, NOW) == retry(almost, CALL, NOW)
        ended = retry_or_end(failing_for(restore, PATIENCE), CALL, error, NOW).outcome
        assert ended is not None
        assert ended.status is Status.FAILED

    def test_a_terminal_error_of_an_outages_code_is_no_outage(self) -> None:
        error = TerminalError(errors.SERVICE_UNAVAILABLE, "gone for good")

        assert retry_or_end(failing_for(tracking_job(), PATIENCE), CALL, error, NOW).outcome is not None
