"""Restores register at the watcher of their vault, on a task hub that does what the extension's does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.answers import Answer
from domain.codec import pack, unpack
from domain.envelopes import unseal
from domain.errors import TransientError
from domain.restore.answers import Joined
from domain.restore.calls import JoinWatch
from domain.times import format_time
from domain.watch.machine import hear
from domain.watch.state import VaultWatch
from orchestrations.names import WATCH_VAULT
from tests.support.azure import LIMITS, VAULT_ID, watcher_of
from tests.support.rows_hub import HubError
from tests.unit.triggers.states import a_state
from triggers import hub as hubs
from triggers.watching import join_watch

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json

CALL = JoinWatch(
    vault_id=VAULT_ID,
    restore_id="r1",
    client_request_id="c1",
    triggered=datetime(2026, 11, 23, 8, tzinfo=UTC),
    limits=LIMITS,
)
ENDED = [OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED]


class _Hub:
    """A task hub with one watcher, or none; a start is shown as pending so many times before it runs."""

    def __init__(self, status: OrchestrationStatus | None = None, shown: Json | None = None) -> None:
        self.status, self.shown = status, shown
        self.pending_for = 1
        self.refuses_starts = False
        self.ends_meanwhile = False
        self.started: list[tuple[str, str, Json]] = []
        self.events: list[tuple[str, str, Json]] = []

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> OrchestrationState | None:
        assert instance_id == watcher_of()
        if self.status is None:
            return None
        if self.status is OrchestrationStatus.PENDING:
            self.pending_for -= 1
            self.status = OrchestrationStatus.PENDING if self.pending_for >= 0 else OrchestrationStatus.RUNNING
        return a_state(self.status, serialized_custom_status=self.shown)

    async def schedule_new_orchestration(self, name: str, *, instance_id: str, input: Json) -> str:  # noqa: A002 - the SDK's
        if self.refuses_starts:
            self.status = OrchestrationStatus.RUNNING
            raise HubError(grpc.StatusCode.ALREADY_EXISTS)
        self.started.append((name, instance_id, input))
        self.status = OrchestrationStatus.PENDING
        return instance_id

    async def raise_orchestration_event(self, instance_id: str, name: str, *, data: Json) -> None:
        assert self.status is not OrchestrationStatus.PENDING, "the task hub drops this event"
        if self.ends_meanwhile:
            raise HubError(grpc.StatusCode.FAILED_PRECONDITION)
        self.events.append((instance_id, name, data))


def joins(hub: _Hub, call: JoinWatch = CALL) -> bool:
    client = cast("df.DurableFunctionsClient", hub)
    answer = unseal(call, asyncio.run(join_watch(pack(call), client)))
    assert isinstance(answer, Answer), answer
    assert isinstance(answer.value, Joined)
    return answer.value.is_watched


def waiting_since(ago: timedelta | None) -> Json:
    return {"waitsSince": None if ago is None else format_time(datetime.now(UTC) - ago)}


def test_the_first_restore_starts_the_watcher_and_registers_once_that_runs() -> None:
    hub = _Hub()

    assert joins(hub)

    ((name, watcher_id, data),) = hub.started
    assert (name, watcher_id) == (WATCH_VAULT, watcher_of())
    ((target, event, registration),) = hub.events
    assert (target, event) == (watcher_id, "watch")
    watch = hear(unpack(VaultWatch, data), registration, CALL.triggered)
    assert [entry.restore_id for entry in watch.watched.values()] == ["r1"]


@pytest.mark.parametrize("status", ENDED)
def test_a_watcher_that_has_ended_is_started_again(status: OrchestrationStatus) -> None:
    hub = _Hub(status, waiting_since(timedelta(days=1)))

    assert joins(hub)
    assert len(hub.started) == len(hub.events) == 1


def test_a_running_watcher_is_only_told() -> None:
    hub = _Hub(OrchestrationStatus.RUNNING, waiting_since(timedelta(seconds=50)))

    assert joins(hub)
    assert (len(hub.started), len(hub.events)) == (0, 1)


def test_a_start_that_comes_second_registers_at_the_first_ones_watcher() -> None:
    hub = _Hub()
    hub.refuses_starts = True

    assert joins(hub)
    assert len(hub.events) == 1


@pytest.mark.parametrize(
    ("ago", "is_again", "is_watched"),
    [
        (timedelta(minutes=6), False, True),
        (timedelta(minutes=8), False, False),
        (timedelta(minutes=8), True, False),
        (None, False, True),
        (None, True, False),
    ],
)
def test_a_watcher_is_relied_on_only_if_it_reads_its_list(
    ago: timedelta | None, is_again: bool, is_watched: bool
) -> None:
    hub = _Hub(OrchestrationStatus.RUNNING, waiting_since(ago))

    assert joins(hub, replace(CALL, is_again=is_again)) is is_watched
    assert len(hub.events) == 1


def test_a_suspended_watcher_is_not_relied_on() -> None:
    assert not joins(_Hub(OrchestrationStatus.SUSPENDED, waiting_since(None)))


def test_a_watcher_that_ends_at_this_moment_is_not_relied_on() -> None:
    hub = _Hub(OrchestrationStatus.RUNNING, waiting_since(None))
    hub.ends_meanwhile = True

    assert not joins(hub)


def test_a_watcher_that_does_not_begin_is_a_failure_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "ADMISSION_PATIENCE_S", 0.05)
    hub = _Hub()
    hub.pending_for = 10**6
    client = cast("df.DurableFunctionsClient", hub)

    assert isinstance(unseal(CALL, asyncio.run(join_watch(pack(CALL), client))), TransientError)
    assert hub.events == []
