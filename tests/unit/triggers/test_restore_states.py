"""How the states of an orchestration are shown to callers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from durabletask.client import OrchestrationStatus
from durabletask.task import FailureDetails

from domain.codec import pack
from domain.restore.parts import LockState
from tests.support.azure import a_restore, an_alert_start
from tests.unit.triggers.states import a_state, shown
from triggers.restore_states import document_of


def test_a_restore_that_has_not_run_yet_is_pending() -> None:
    document = document_of(a_state(OrchestrationStatus.PENDING))

    assert (document["status"], document["phase"], document["createdTime"]) == (
        "Pending",
        "Resolving",
        "2026-11-23T08:00:00Z",
    )


def test_one_that_has_its_lock_is_pending_until_its_rules_budget_has_let_it_in() -> None:
    restore = a_restore(started_by="alert", alert=an_alert_start(max_per_hour=1))
    locked = replace(restore, admission=replace(restore.admission, lock=LockState.HELD))
    admitted = replace(locked, admission=replace(locked.admission, has_budget=True, admitted=True))

    shown_status = [
        document_of(a_state(OrchestrationStatus.RUNNING, serialized_input=pack(known)))["status"]
        for known in (locked, admitted)
    ]

    assert shown_status == ["Pending", "Running"]


@pytest.mark.parametrize(
    "status", [OrchestrationStatus.RUNNING, OrchestrationStatus.CONTINUED_AS_NEW, OrchestrationStatus.SUSPENDED]
)
def test_one_that_runs_is_as_it_last_shown(status: OrchestrationStatus) -> None:
    assert document_of(a_state(status, serialized_custom_status=shown()))["phase"] == "TrackingJob"


def test_one_that_ended_is_its_output() -> None:
    output = shown(status="Completed", result={"a": 1})

    assert document_of(a_state(OrchestrationStatus.COMPLETED, serialized_output=output)) == output


def test_one_that_was_terminated_says_why_and_what_goes_on() -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=shown(), serialized_output="wrong VM")

    document = document_of(state)

    assert (document["status"], document["phase"]) == ("Cancelled", "Finished")
    assert "wrong VM" in document["error"]["message"]
    assert "job-1 may still run" in document["error"]["message"]
    assert document["completedTime"] == "2026-11-23T08:05:00Z"


@pytest.mark.parametrize("details", [None, FailureDetails("a bug", "KeyError", None)])
def test_one_that_broke_is_failed_not_lost(details: FailureDetails | None) -> None:
    document = document_of(a_state(OrchestrationStatus.FAILED, failure_details=details))

    assert (document["status"], document["error"]["code"]) == ("Failed", "InternalError")
    assert "may still run" not in document["error"]["message"]


def test_azure_keeps_the_failure_of_an_orchestration_as_plain_text() -> None:
    document = document_of(a_state(OrchestrationStatus.FAILED, serialized_output="KeyError: 'item'"))

    assert (document["status"], document["phase"]) == ("Failed", "Finished")
    assert "KeyError: 'item'" in document["error"]["message"]


@pytest.mark.parametrize("reason", ["4711", "true", '{"a": 1}', "wrong VM", '"wrong VM"'])
def test_the_reason_of_a_termination_is_told_whatever_it_looks_like(reason: str) -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=shown(), serialized_output=reason)

    assert f"terminated: {reason.strip('"')}." in document_of(state)["error"]["message"]


@pytest.mark.parametrize("foreign", [{"a": 1}, [], "text", 5])
@pytest.mark.parametrize("status", [OrchestrationStatus.COMPLETED, OrchestrationStatus.RUNNING])
def test_what_is_no_document_is_not_shown_as_one(status: OrchestrationStatus, foreign: Any) -> None:
    state = a_state(status, serialized_output=foreign, serialized_custom_status=foreign)

    assert document_of(state)["id"] == a_restore().restore_id


@pytest.mark.parametrize("foreign", ["no restore", [1], 5, {"v": 1}, None])
def test_what_somebody_else_started_under_a_restores_name_can_be_read(foreign: Any) -> None:
    state = a_state(OrchestrationStatus.FAILED, serialized_input=foreign, serialized_output="TypeError: no")

    document = document_of(state)

    assert (document["id"], document["status"]) == (a_restore().restore_id, "Failed")
    assert document["createdTime"] == "2026-11-23T08:00:00Z"


@pytest.mark.parametrize("members", [{"jobId": None, "operationId": "o1"}, {"jobId": None, "phase": "Triggering"}])
def test_one_that_was_terminated_on_its_way_says_that_azure_may_have_it(members: dict[str, Any]) -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=shown(**members))

    assert "Azure may have the restore" in document_of(state)["error"]["message"]


def test_one_that_was_terminated_waits_for_nothing() -> None:
    waiting = shown(waiting={"reason": "Approval", "until": "2026-11-23T12:00:00Z"})
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=waiting)

    assert document_of(state)["waiting"] is None


def test_one_that_was_terminated_after_its_end_is_what_it_ended_as() -> None:
    ended = shown(status="Completed", phase="Finished")
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=ended, serialized_output="too slow")

    assert document_of(state) == ended
