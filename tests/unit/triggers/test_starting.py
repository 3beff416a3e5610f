"""How the states of an orchestration are told to callers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.task import FailureDetails

from domain.restores import Restore
from orchestrations.names import RESTORE_VM
from tests.support.azure import a_restore
from tests.support.hub import START
from triggers.starting import document_of


def a_state(status: OrchestrationStatus, **members: Any) -> OrchestrationState:
    texts = {
        "serialized_input": a_restore().to_json(),
        "serialized_output": None,
        "serialized_custom_status": None,
        **members,
    }
    failure = texts.pop("failure_details", None)
    written: dict[str, Any] = {name: None if text is None else json.dumps(text) for name, text in texts.items()}
    return OrchestrationState(
        instance_id=a_restore().restore_id,
        name=RESTORE_VM,
        runtime_status=status,
        created_at=START,
        last_updated_at=START + timedelta(minutes=5),
        failure_details=failure,
        **written,
    )


def told(**members: Any) -> dict[str, Any]:
    return {**a_restore().document(START), "status": "Running", "phase": "TrackingJob", "jobId": "job-1", **members}


def test_a_restore_that_has_not_run_yet_is_pending() -> None:
    document = document_of(a_state(OrchestrationStatus.PENDING))

    assert (document["status"], document["phase"], document["createdTime"]) == (
        "Pending",
        "Resolving",
        "2026-11-23T08:00:00Z",
    )


@pytest.mark.parametrize(
    "status", [OrchestrationStatus.RUNNING, OrchestrationStatus.CONTINUED_AS_NEW, OrchestrationStatus.SUSPENDED]
)
def test_one_that_runs_is_as_it_last_told(status: OrchestrationStatus) -> None:
    assert document_of(a_state(status, serialized_custom_status=told()))["phase"] == "TrackingJob"


def test_one_that_ended_is_its_output() -> None:
    output = told(status="Completed", result={"a": 1})

    assert document_of(a_state(OrchestrationStatus.COMPLETED, serialized_output=output)) == output


def test_one_that_was_terminated_says_why_and_what_goes_on() -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=told(), serialized_output="wrong VM")

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


def test_the_state_of_an_older_history_can_be_read() -> None:
    assert Restore.from_json(a_restore().to_json()) == a_restore()
