"""The document of a recovery, made from what the task hub has of it, also if its orchestration was stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.codec import pack
from domain.recovery.custom_status import custom_status
from orchestrations.names import RESTORE_VM, RUN_RECOVERY
from tests.unit.domain.recovery.driving import Driven, a_group, running
from tests.unit.triggers.recovery_hub import ID, a_state
from triggers.recovery_states import find_recovery, get_recovery

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json


class _Hub:
    def __init__(self, state: OrchestrationState | None) -> None:
        self._state = state

    async def get_orchestration_state(self, *_: Any, **__: Any) -> OrchestrationState | None:
        return self._state


def shown(state: OrchestrationState | None) -> Json | None:
    return asyncio.run(get_recovery(cast("df.DurableFunctionsClient", _Hub(state)), ID))


def a_run(status: OrchestrationStatus, driven: Driven | None = None, **payloads: Any) -> OrchestrationState:
    recovery = (driven or running(a_group(2), a_group(1, 0), recovery_id=ID)).recovery
    known = {"serialized_input": pack(recovery), "serialized_custom_status": custom_status(recovery)}
    return a_state(RUN_RECOVERY, ID, status, **{**known, **payloads})


def test_one_that_runs_is_shown_with_its_progress() -> None:
    document = shown(a_run(OrchestrationStatus.RUNNING))

    assert document is not None
    assert (document["id"], document["status"], document["plan"]) == (ID, "Running", "shop")
    assert [group["counts"] for group in document["groups"]] == [{"Running": 2}, {"Pending": 1}]


@pytest.mark.parametrize("status", [None, "nonsense", {"v": 1}, 5])
def test_one_that_has_published_nothing_yet_is_pending(status: object) -> None:
    document = shown(a_run(OrchestrationStatus.PENDING, serialized_custom_status=status))

    assert document is not None
    assert (document["status"], document["counts"]) == ("Pending", {})


def test_what_is_no_recovery_does_not_exist() -> None:
    assert shown(None) is None
    assert shown(a_state(RESTORE_VM, ID)) is None


@pytest.mark.parametrize(
    ("status", "output", "ended", "part"),
    [
        (OrchestrationStatus.TERMINATED, "by ada", "Cancelled", "The orchestration was terminated: by ada. Restores"),
        (OrchestrationStatus.TERMINATED, None, "Cancelled", "no reason was given"),
        (OrchestrationStatus.FAILED, "ValueError: x", "Failed", "The orchestration broke: ValueError: x."),
    ],
)
def test_one_whose_orchestration_was_stopped_says_why_and_what_goes_on(
    status: OrchestrationStatus, output: str | None, ended: str, part: str
) -> None:
    document = shown(a_run(status, serialized_output=output))

    assert document is not None
    assert document["status"] == ended
    assert document["completedTime"] == "2026-11-23T08:00:00Z"
    assert part in document["error"]["message"]
    assert f"GET /api/recoveries/{ID}/members" in document["error"]["message"]
    assert document["links"].keys() == {"self", "members"}


def test_one_that_had_ended_before_it_was_stopped_stays_as_it_ended() -> None:
    driven = running(a_group(), recovery_id=ID)
    driven.end(0).step()

    document = shown(a_run(OrchestrationStatus.TERMINATED, driven))

    assert document is not None
    assert (document["status"], document["error"]) == ("Completed", None)


@pytest.mark.parametrize("payload", [None, {}, {"accepted": {}}, {"accepted": {"created": 5}}, "text", [1]])
def test_one_whose_input_cannot_be_read_has_failed(payload: object) -> None:
    state = a_run(OrchestrationStatus.RUNNING, serialized_input=payload)
    document = shown(state)

    assert document is not None
    assert (document["id"], document["status"]) == (ID, "Failed")
    assert "cannot be read as a recovery" in document["error"]["message"]
    found = asyncio.run(find_recovery(cast("df.DurableFunctionsClient", _Hub(state)), ID))
    assert found is not None
    assert found.fingerprint == ""
