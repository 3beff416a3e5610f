"""The entry of a restore in the list keeps the restore's final document."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from domain.restore import outcome
from domain.restore.document import result_document
from tests.support.azure import VAULT_ID, a_restore
from tests.support.rows_hub import NOW
from triggers.list_entries import MAX_DOCUMENT, ListEntry, note_end

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from domain.restore.state import Restore

NATIVE_NAMES = {"sourceResourceId": None, "vaultId": VAULT_ID, "containerName": "c", "protectedItemName": "i"}


class Hub:
    """A client that notes what is started."""

    def __init__(self, *, is_away: bool = False) -> None:
        self.started: dict[str, Json | None] = {}
        self._is_away = is_away

    def schedule_new_orchestration(self, name: str, *, input: Json | None, instance_id: str) -> None:  # noqa: A002
        assert name == "hold_list_entry"
        if self._is_away:
            raise ConnectionError("the task hub is away")
        self.started[instance_id] = input

    @property
    def client(self) -> df.SyncDurableFunctionsClient:
        return cast("df.SyncDurableFunctionsClient", self)


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
    note_end(Hub(is_away=True).client, ended(a_restore()))

    assert "keeps no document" in caplog.text
