"""Entries of the lists: that of a restore keeps its final document, that of a recovery is written in the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from domain.recovery.custom_status import shown_progress
from domain.recovery.document import document
from domain.restore import outcome
from domain.restore.document import result_document
from tests.support.azure import VAULT_ID, a_restore
from tests.support.rows_hub import NOW, HubError
from tests.unit.domain.recovery.driving import a_group, running
from triggers.list_entries import (
    MAX_DOCUMENT,
    ListEntry,
    ensure_recovery_listed,
    note_end,
    note_recovery,
    note_start,
)

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from domain.recovery.state import Recovery
    from domain.restore.state import Restore

NATIVE_NAMES = {"sourceResourceId": None, "vaultId": VAULT_ID, "containerName": "c", "protectedItemName": "i"}


class Hub:
    """A client that notes what is started; ``failure`` is raised by the first start instead."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.started: dict[str, Json | None] = {}
        self._failure = failure

    def schedule_new_orchestration(self, name: str, *, input: Json | None, instance_id: str) -> None:  # noqa: A002
        assert name == "hold_list_entry"
        if (failure := self._failure) is not None:
            self._failure = None
            raise failure
        self.started[instance_id] = input

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> object | None:
        assert not fetch_payloads
        return instance_id if instance_id in self.started else None

    @property
    def client(self) -> df.SyncDurableFunctionsClient:
        return cast("df.SyncDurableFunctionsClient", self)


class AsyncHub(Hub):
    async def schedule_new_orchestration(self, name: str, *, input: Json | None, instance_id: str) -> None:  # type: ignore[override] # noqa: A002
        super().schedule_new_orchestration(name, input=input, instance_id=instance_id)

    @property
    def async_client(self) -> df.DurableFunctionsClient:
        return cast("df.DurableFunctionsClient", self)


AWAY = ConnectionError("the task hub is away")
STILL_WRITTEN = HubError(grpc.StatusCode.ALREADY_EXISTS)
"""How the task hub refuses to start an entry whose instance has not ended."""


def shown(recovery: Recovery) -> Json:
    return document(recovery.accepted, shown_progress(recovery), NOW)


def ended(restore: Restore) -> Json:
    done = outcome.timed_out(restore, NOW)
    assert done.outcome is not None
    return result_document(done, done.outcome)


@pytest.mark.parametrize("members", [{}, NATIVE_NAMES], ids=["a VM's id", "native names"])
def test_the_final_document_is_kept_in_the_entry_that_the_restore_has(members: dict[str, Any]) -> None:
    hub = Hub()
    restore = a_restore(created=NOW + timedelta(microseconds=123457), **members)

    note_end(hub.client, ended(restore))

    assert hub.started == {ListEntry.of(restore).instance_id: ended(restore)}


def test_of_a_restore_with_a_long_document_there_is_an_entry_without_it() -> None:
    hub = Hub()

    note_end(hub.client, {**ended(a_restore()), "result": {"plan": "x" * MAX_DOCUMENT}})

    assert hub.started == {ListEntry.of(a_restore()).instance_id: None}


def test_a_task_hub_that_is_away_keeps_no_result_from_being_published(caplog: pytest.LogCaptureFixture) -> None:
    note_end(Hub(AWAY).client, ended(a_restore()))

    assert f"the end of restore {a_restore().restore_id} is not in its list entry" in caplog.text


def test_an_entry_that_is_still_being_written_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    """A restore that is refused by its first call to Azure ends before the entry of its start has."""
    recovery = running(a_group()).recovery

    note_end(Hub(STILL_WRITTEN).client, ended(a_restore()))
    ensure_recovery_listed(Hub(STILL_WRITTEN).client, shown(recovery))
    asyncio.run(note_start(AsyncHub(STILL_WRITTEN).async_client, a_restore()))
    asyncio.run(note_recovery(AsyncHub(STILL_WRITTEN).async_client, recovery.accepted))

    assert caplog.text == ""


class TestTheEntryOfARecovery:
    def test_it_is_written_with_a_change_if_it_is_missing(self) -> None:
        hub, recovery = Hub(), running(a_group()).recovery

        ensure_recovery_listed(hub.client, shown(recovery))

        assert hub.started == {ListEntry.of_recovery(recovery.accepted).instance_id: None}

    def test_it_is_not_written_twice(self) -> None:
        recovery = running(a_group()).recovery
        entry = ListEntry.of_recovery(recovery.accepted).instance_id
        hub = Hub()
        hub.started[entry] = {"written": "before"}

        ensure_recovery_listed(hub.client, shown(recovery))

        assert hub.started == {entry: {"written": "before"}}

    def test_a_task_hub_that_is_away_stops_no_change(self, caplog: pytest.LogCaptureFixture) -> None:
        hub, recovery = Hub(AWAY), running(a_group()).recovery

        ensure_recovery_listed(hub.client, shown(recovery))

        assert f"the list entry of recovery {recovery.recovery_id} could not be written" in caplog.text
        ensure_recovery_listed(hub.client, shown(recovery))
        assert hub.started
