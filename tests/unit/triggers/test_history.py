"""What is purged: what ended long enough ago, and nothing that runs or that belongs to what is kept."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest

from domain.recovery.calls import record_id_of_members, record_id_of_plan
from domain.restore.state import restore_id_for
from orchestrations.names import HOLD_LIST_ENTRY, HOLD_POST_CLAIM, HOLD_RECORD, RUN_RECOVERY
from tests.support.azure import a_restore
from tests.support.rows_hub import ENDED, NOW, HubError, RowsHub
from tests.unit.domain.recovery.driving import a_group, running
from triggers.alert_decisions import PREFIX
from triggers.history import purge
from triggers.list_entries import ListEntry, key_of

if TYPE_CHECKING:
    import azure.durable_functions as df
    from durabletask.client import PurgeInstancesResult

BEFORE = NOW - timedelta(days=90)
DAY = timedelta(days=1)


def purged(hub: RowsHub, patience_s: float = 60.0) -> set[str]:
    """Purge and return what is gone."""
    there = hub.ids
    asyncio.run(purge(cast("df.DurableFunctionsClient", hub), BEFORE, patience_s=patience_s))
    return there - hub.ids


def test_a_restore_that_ended_long_ago_goes_with_its_entry_and_its_claim() -> None:
    old, young = a_restore(key="old", created=BEFORE - 2 * DAY), a_restore(key="young", created=BEFORE + DAY)
    hub = RowsHub([old, young], **ENDED)
    hub.note(HOLD_POST_CLAIM, "post-old-1", BEFORE - DAY)
    hub.note(HOLD_POST_CLAIM, "post-young-1", BEFORE + DAY)

    assert purged(hub) == {old.restore_id, ListEntry.of(old).instance_id, "post-old-1"}


@pytest.mark.parametrize("went_on", [None, BEFORE - DAY])
def test_a_restore_that_runs_is_kept_however_old_it_is(went_on: datetime | None) -> None:
    hub = RowsHub()
    hub.add(a_restore(created=BEFORE - 100 * DAY), went_on=went_on)
    hub.note(HOLD_POST_CLAIM, "post-1", BEFORE - DAY, has_ended=False)

    assert purged(hub) == set()


def test_the_age_of_a_restore_counts_from_its_end() -> None:
    hub = RowsHub()
    hub.add(a_restore(created=BEFORE - 8 * DAY), went_on=BEFORE - 7 * DAY, updated=BEFORE + DAY, **ENDED)

    assert purged(hub) == set()


def test_a_restore_that_was_started_again_meanwhile_stays_although_it_has_ended() -> None:
    old = a_restore(created=BEFORE - DAY)

    class Hub(RowsHub):
        async def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> Any:
            if not self.reads:
                self.add(a_restore(created=NOW), **ENDED)
            return await super().get_orchestration_state(instance_id, fetch_payloads=fetch_payloads)

    assert purged(Hub([old], **ENDED)) == {ListEntry.of(old).instance_id}


def test_when_time_is_up_the_rest_is_left_for_the_next_day() -> None:
    hub = RowsHub([a_restore(key=str(number), created=BEFORE - DAY) for number in range(30)], **ENDED)

    first = purged(hub, patience_s=0.0)
    rest = purged(hub)

    assert 0 < len(first) < 60
    assert len(first) + len(rest) == 60


def test_an_instance_that_cannot_be_purged_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    stuck, fine = a_restore(key="stuck", created=BEFORE - DAY), a_restore(key="fine", created=BEFORE - DAY)

    class Hub(RowsHub):
        async def purge_orchestration(self, instance_id: str, *, recursive: bool) -> PurgeInstancesResult:
            if instance_id == stuck.restore_id:
                raise HubError(grpc.StatusCode.UNKNOWN)
            return await super().purge_orchestration(instance_id, recursive=recursive)

    assert purged(Hub([stuck, fine], **ENDED)) == {fine.restore_id, ListEntry.of(fine).instance_id}
    assert stuck.restore_id in caplog.text


def test_the_decisions_about_an_alert_go_by_their_own_age() -> None:
    hub = RowsHub()
    old, young = (f"{PREFIX}{key_of(NOW, restore_id_for(key))}" for key in ("old", "young"))
    hub.note(HOLD_LIST_ENTRY, old, BEFORE - DAY)
    hub.note(HOLD_LIST_ENTRY, young, BEFORE + DAY)

    assert purged(hub) == {old}


def test_the_records_of_a_recovery_stay_as_long_as_it_does() -> None:
    old, young = restore_id_for("old"), restore_id_for("young")
    hub = RowsHub()
    records = {
        recovery_id: {record_id_of_plan(recovery_id, "c0ffee"), record_id_of_members(recovery_id)}
        for recovery_id in (old, young)
    }
    hub.note(RUN_RECOVERY, old, BEFORE - DAY)
    hub.note(RUN_RECOVERY, young, BEFORE + DAY)
    for record_id in records[old] | records[young]:
        hub.note(HOLD_RECORD, record_id, BEFORE - 8 * DAY)

    assert purged(hub) == {old, *records[old]}


def test_the_list_entry_of_a_recovery_stays_as_long_as_the_recovery_does() -> None:
    hub = RowsHub()
    created = BEFORE - 8 * DAY
    old, young, lost = (running(a_group(), recovery_id=restore_id_for(key), created=created) for key in "abc")
    hub.add_recovery(old.recovery, updated=BEFORE - 7 * DAY, has_ended=True)
    hub.add_recovery(young.recovery, updated=BEFORE + DAY, has_ended=True)
    entries = [ListEntry.of_recovery(known.recovery.accepted).instance_id for known in (old, young, lost)]
    hub.note(HOLD_LIST_ENTRY, entries[2], created)  # its recovery is not there

    assert purged(hub) == {old.recovery.recovery_id, entries[0], entries[2]}
