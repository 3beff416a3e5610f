"""How the states of an orchestration are told to callers."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from domain.restores import Decision, Restore, restore_id_for
from durabletask.client import OrchestrationState, OrchestrationStatus
from durabletask.task import FailureDetails

from domain.errors import TerminalError
from domain.requests import RestoreRequest
from orchestrations.names import RESTORE_VM
from tests.support.azure import LIMITS, a_request, a_restore
from tests.support.hub import START
from triggers import starting
from triggers.starting import Started, document_of, start_restore

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json


def a_state(status: OrchestrationStatus, **members: Any) -> OrchestrationState:
    texts = {
        "serialized_input": a_restore().to_json(),
        "serialized_output": None,
        "serialized_custom_status": None,
        **members,
    }
    failure = texts.pop("failure_details", None)
    written: dict[str, Any] = {
        name: text if text is None or isinstance(text, str) else json.dumps(text) for name, text in texts.items()
    }
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


def test_azure_keeps_the_failure_of_an_orchestration_as_plain_text() -> None:
    document = document_of(a_state(OrchestrationStatus.FAILED, serialized_output="KeyError: 'item'"))

    assert (document["status"], document["phase"]) == ("Failed", "Finished")
    assert "KeyError: 'item'" in document["error"]["message"]


@pytest.mark.parametrize("reason", ["4711", "true", '{"a": 1}', "wrong VM", '"wrong VM"'])
def test_the_reason_of_a_termination_is_told_whatever_it_looks_like(reason: str) -> None:
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=told(), serialized_output=reason)

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
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=told(**members))

    assert "Azure may have the restore" in document_of(state)["error"]["message"]


def test_one_that_was_terminated_after_its_end_is_what_it_ended_as() -> None:
    ended = told(status="Completed", phase="Finished")
    state = a_state(OrchestrationStatus.TERMINATED, serialized_custom_status=ended, serialized_output="too slow")

    assert document_of(state) == ended


def test_the_state_of_an_older_history_can_be_read() -> None:
    assert Restore.from_json(a_restore().to_json()) == a_restore()


class _Hub:
    """A task hub that knows one instance and notes what is started; ``late`` shows that instance only at a second look.

    A start that loses against the late one is dropped in silence, as Azure does it; ``fails`` is raised instead.
    """

    def __init__(self, state: OrchestrationState | None, *, late: bool = False, fails: Exception | None = None) -> None:
        self._state, self._late, self._fails = state, late, fails
        self._looks = 0
        self.started: list[str] = []

    async def get_orchestration_state(self, *_: Any, **__: Any) -> OrchestrationState | None:
        self._looks += 1
        return None if self._late and self._looks == 1 else self._state

    async def schedule_new_orchestration(self, *_: Any, instance_id: str, input: Json, **__: Any) -> None:  # noqa: A002
        if self._fails is not None:
            raise self._fails
        if not self._late:
            self.started.append(instance_id)
            self._state = a_state(OrchestrationStatus.PENDING, serialized_input=input)


def refused() -> OrchestrationState:
    document = a_restore().refused("RequestConflict", "busy", START).document(START)
    return a_state(OrchestrationStatus.COMPLETED, serialized_output=document)


def start(hub: _Hub, *, request_id: str | None = None, key: str | None = None) -> Started:
    request = RestoreRequest.from_json(a_request(requestId=request_id))
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(start_restore(client, request, started_by="queue", limits=LIMITS, key=key))


class TestARefusedStart:
    def test_may_be_tried_again_under_its_request_id(self) -> None:
        hub = _Hub(refused())

        assert start(hub, request_id="r1").is_new
        assert hub.started == [restore_id_for("r1")]

    def test_is_not_begun_by_a_message_that_is_delivered_again(self) -> None:
        hub = _Hub(refused())

        assert not start(hub, key="message:1").is_new
        assert hub.started == []


class TestStartsAtOneMoment:
    def test_who_loses_against_the_same_body_finds_the_others_restore(self) -> None:
        winner = a_state(OrchestrationStatus.PENDING, serialized_input=a_restore(requestId="r1").to_json())

        started = start(_Hub(winner, late=True), request_id="r1")

        assert not started.is_new

    def test_who_loses_against_another_body_is_told_that_the_key_is_taken(self) -> None:
        other = a_restore(requestId="r1", reason="another one").to_json()

        with pytest.raises(TerminalError, match="belongs to another request") as error:
            start(_Hub(a_state(OrchestrationStatus.PENDING, serialized_input=other), late=True), request_id="r1")

        assert error.value.code == "RequestIdReused"

    def test_who_loses_against_one_that_was_refused_is_told_the_same(self) -> None:
        assert not start(_Hub(refused(), late=True), key="message:1").is_new


def decide(document: dict[str, Any], then: dict[str, Any] | None = None) -> dict[str, Any]:
    """Approve a restore that shows this document, and another one once the decision was sent."""
    states = [a_state(OrchestrationStatus.RUNNING, serialized_custom_status=document)]
    if then is not None:
        states.append(a_state(OrchestrationStatus.COMPLETED, serialized_output=then))

    class Deciding:
        sent = False

        async def get_orchestration_state(self, *_: Any, **__: Any) -> OrchestrationState:
            return states[-1 if self.sent else 0]

        async def raise_orchestration_event(self, *_: Any, **__: Any) -> None:
            self.sent = True

    client = cast("df.DurableFunctionsClient", Deciding())
    return asyncio.run(starting.decide_restore(client, "r", Decision.APPROVED, {"by": "ada"}))


class TestDeciding:
    WAITING = a_restore(approval={"required": True}).awaiting_approval(START)

    def test_one_that_ended_before_the_decision_reached_it_is_a_conflict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(starting, "now", lambda: START)
        with pytest.raises(TerminalError, match="before the decision reached it"):
            decide(self.WAITING.document(START), self.WAITING.cancelled(START).document(START))

    def test_a_decision_after_the_time_out_is_a_conflict_and_is_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(starting, "now", lambda: START + timedelta(hours=5))
        with pytest.raises(TerminalError, match="could be decided until"):
            decide(self.WAITING.document(START))

    def test_a_resource_guard_is_opened_elsewhere(self) -> None:
        guarded = a_restore().awaiting_guard(START, TerminalError("AuthorizationFailed", "closed"))
        with pytest.raises(TerminalError, match="Resource Guard"):
            decide(guarded.document(START))


@pytest.mark.parametrize("state", [None, refused()])
def test_a_hub_that_fails_is_not_taken_for_a_lost_race(state: OrchestrationState | None) -> None:
    with pytest.raises(ConnectionError):
        start(_Hub(state, fails=ConnectionError("the hub is away")), request_id="r1")
