"""Starts of a restore that were made before, or are made by several callers at one moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.codec import pack
from domain.errors import TerminalError
from domain.requests import RestoreRequest
from domain.restore.parts import Source
from domain.restore.state import restore_id_for
from orchestrations.names import HOLD_LIST_ENTRY
from tests.support.azure import LIMITS, a_request, a_restore
from tests.unit.triggers.states import a_refused_start, a_state
from triggers.list_entries import ListEntry
from triggers.starting import Started, start_restore

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json


class _Hub:
    """A task hub that knows one instance and notes what is started; ``late`` shows that instance only at a second look.

    A start that loses against the late one is dropped in silence, as Azure does it; ``fails`` is raised instead.
    """

    def __init__(self, state: OrchestrationState | None, *, late: bool = False, fails: Exception | None = None) -> None:
        self._state, self._late, self._fails = state, late, fails
        self._looks = 0
        self.started: list[str] = []
        self.entries: list[ListEntry | None] = []
        self.refuses_entries = False

    async def get_orchestration_state(self, *_: Any, **__: Any) -> OrchestrationState | None:
        self._looks += 1
        return None if self._late and self._looks == 1 else self._state

    async def schedule_new_orchestration(self, name: str, *, instance_id: str, input: Json) -> None:  # noqa: A002
        if name == HOLD_LIST_ENTRY:
            if self.refuses_entries:
                raise ConnectionError("the hub is away")
            self.entries.append(ListEntry.read(instance_id))
            return
        if self._fails is not None:
            raise self._fails
        if not self._late:
            self.started.append(instance_id)
            self._state = a_state(OrchestrationStatus.PENDING, serialized_input=input)


def start(hub: _Hub, *, request_id: str | None = None, key: str | None = None) -> Started:
    request = RestoreRequest.from_json(a_request(requestId=request_id))
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(start_restore(client, request, source=Source.QUEUE, limits=LIMITS, key=key))


def test_a_restore_that_is_started_has_an_entry_in_the_list() -> None:
    hub = _Hub(None)

    started = start(hub, request_id="r1")

    assert hub.entries == [ListEntry.of(started.restore)]
    assert hub.started == [started.restore.restore_id]


def test_a_restore_whose_entry_cannot_be_written_is_started_nevertheless(caplog: pytest.LogCaptureFixture) -> None:
    hub = _Hub(None)
    hub.refuses_entries = True

    assert start(hub, request_id="r1").is_new
    assert "is not listed until it has ended" in caplog.text


class TestARefusedStart:
    def test_may_be_tried_again_under_its_request_id(self) -> None:
        hub = _Hub(a_refused_start())

        assert start(hub, request_id="r1").is_new
        assert hub.started == [restore_id_for("r1")]

    def test_is_not_begun_by_a_message_that_is_delivered_again(self) -> None:
        hub = _Hub(a_refused_start())

        assert not start(hub, key="message:1").is_new
        assert hub.started == []


class TestStartsAtOneMoment:
    def test_who_loses_against_the_same_body_finds_the_others_restore(self) -> None:
        winner = a_state(OrchestrationStatus.PENDING, serialized_input=pack(a_restore(requestId="r1")))

        hub = _Hub(winner, late=True)

        assert not start(hub, request_id="r1").is_new
        assert hub.entries == []

    def test_who_loses_against_another_body_is_told_that_the_key_is_taken(self) -> None:
        other = pack(a_restore(requestId="r1", reason="another one"))

        with pytest.raises(TerminalError, match="belongs to another request") as error:
            start(_Hub(a_state(OrchestrationStatus.PENDING, serialized_input=other), late=True), request_id="r1")

        assert error.value.code == "RequestIdReused"

    def test_who_loses_against_one_that_was_refused_is_told_the_same(self) -> None:
        assert not start(_Hub(a_refused_start(), late=True), key="message:1").is_new


@pytest.mark.parametrize("state", [None, a_refused_start()])
def test_a_hub_that_fails_is_not_taken_for_a_lost_race(state: OrchestrationState | None) -> None:
    with pytest.raises(ConnectionError):
        start(_Hub(state, fails=ConnectionError("the hub is away")), request_id="r1")
