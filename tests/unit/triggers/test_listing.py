"""The list of restores, on a task hub that pages by id and knows when an instance's history last began."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from durabletask.client import OrchestrationQuery, OrchestrationState, OrchestrationStatus
from hypothesis import given
from hypothesis import strategies as st

from domain.codec import pack
from domain.restore.answers import Refusal
from domain.restore.document import document
from domain.restore.outcome import refused
from domain.restore.parts import Status
from orchestrations.names import HOLD_POST_CLAIM, RESTORE_VM
from tests.support.azure import a_restore
from tests.support.strategies import SWIFT
from triggers.listing import newest_documents

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
RUNNING, COMPLETED = OrchestrationStatus.RUNNING, OrchestrationStatus.COMPLETED


def an_instance(number: int, age: timedelta, *, went_on: timedelta | None = None, **members: Any) -> OrchestrationState:
    """Return a restore accepted so long ago, whose history last began ``went_on`` ago."""
    restore = a_restore(key=str(number), created=NOW - age)
    shown: Json = {**document(restore, NOW - age), "status": "Running", "phase": "TrackingJob", **members}
    return OrchestrationState(
        instance_id=restore.restore_id,
        name=RESTORE_VM,
        runtime_status=COMPLETED if shown["phase"] == "Finished" else RUNNING,
        created_at=NOW - (age if went_on is None else went_on),
        last_updated_at=NOW,
        serialized_input=json.dumps(pack(restore)),
        serialized_output=json.dumps(shown) if shown["phase"] == "Finished" else None,
        serialized_custom_status=json.dumps(shown),
        failure_details=None,
    )


def a_claim(number: int, age: timedelta) -> OrchestrationState:
    at = NOW - age
    return OrchestrationState(f"post-{number}", HOLD_POST_CLAIM, RUNNING, at, at, "{}", None, None, None)


class _TooLargeError(grpc.aio.AioRpcError):
    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.aio.Metadata(), grpc.aio.Metadata())


@dataclass
class _TaskHub:
    """Answers queries as Azure Storage does; ``most`` instances fit into one message. Counts what it was asked for."""

    instances: list[OrchestrationState]
    most: int = 1000
    rows: int = 0
    pages: list[int] = field(default_factory=list[int])

    async def get_all_orchestration_states(self, query: OrchestrationQuery) -> list[OrchestrationState]:
        size = query.max_instance_count or 0
        assert 1 <= size <= 1000, "the table service refuses pages of more than a thousand"
        since, until = query.created_time_from, query.created_time_to
        found = [
            instance
            for instance in sorted(self.instances, key=lambda instance: instance.instance_id)
            if (since is None or instance.created_at >= since)
            and (until is None or instance.created_at <= until)
            and (query.runtime_status is None or instance.runtime_status in query.runtime_status)
        ]
        if size > self.most and len(found) > self.most:
            raise _TooLargeError
        self.pages.append(size)
        self.rows += len(found)
        return found


def listed(hub: _TaskHub, wants: Callable[[Json], bool] = lambda _: True, **options: Any) -> list[str]:
    client = cast("df.DurableFunctionsClient", hub)
    options = {"count": 50, "now": NOW, **options}
    documents = asyncio.run(newest_documents(client, wants, **options))
    return [document["createdTime"] for document in documents]


def newest(hub: _TaskHub, count: int) -> list[str]:
    documents = [json.loads(instance.serialized_custom_status or "{}") for instance in hub.instances]
    return sorted((shown["createdTime"] for shown in documents if shown), reverse=True)[:count]


@pytest.mark.parametrize("within", [timedelta(minutes=3), timedelta(hours=5), timedelta(days=90)])
def test_the_first_page_of_ten_thousand_reads_some_hundreds(within: timedelta) -> None:
    hub = _TaskHub([an_instance(number, within * number / 10_000) for number in range(10_000)])

    assert listed(hub) == newest(hub, 50)
    assert hub.rows <= 1000


def test_a_few_old_ones_are_found_with_few_questions() -> None:
    hub = _TaskHub([an_instance(number, timedelta(days=300 + number)) for number in range(3)])

    assert len(listed(hub)) == 3
    assert len(hub.pages) <= 10


def test_an_empty_hub_has_none() -> None:
    assert listed(_TaskHub([])) == []


def test_claims_and_starts_that_were_refused_are_not_shown() -> None:
    accepted = a_restore(created=NOW)
    ended = document(refused(accepted, Refusal(code="RequestConflict", message="busy"), NOW), NOW)
    gone: Json = {name: ended[name] for name in ("status", "phase", "error", "refused")}
    hub = _TaskHub(
        [a_claim(1, timedelta(hours=1)), an_instance(1, timedelta(hours=2), **gone), an_instance(2, timedelta(days=1))]
    )

    assert listed(hub) == ["2026-11-22T08:00:00Z"]


def test_of_active_ones_no_ended_one_is_read() -> None:
    ended: Json = {"status": "Completed", "phase": "Finished"}
    many = [an_instance(number, timedelta(hours=number), **ended) for number in range(2000)]
    hub = _TaskHub([*many, an_instance(9999, timedelta(days=200))])

    assert len(listed(hub, lambda document: document["status"] == "Running", status=Status.RUNNING)) == 1
    assert hub.rows <= 2


def test_where_a_hundred_do_not_fit_into_a_message_fewer_are_asked_for() -> None:
    hub = _TaskHub([an_instance(number, timedelta(minutes=number)) for number in range(30)], most=7)

    assert len(listed(hub)) == 30
    assert {5} <= set(hub.pages) <= {100, 20, 5, 1}


@pytest.mark.parametrize("victim", range(20))
def test_one_whose_history_begins_anew_while_the_list_is_read_is_not_lost(victim: int) -> None:
    class Hub(_TaskHub):
        async def get_all_orchestration_states(self, query: OrchestrationQuery) -> list[OrchestrationState]:
            found = await super().get_all_orchestration_states(query)
            self.instances[victim] = replace(self.instances[victim], created_at=NOW + timedelta(seconds=1))
            return found

    hub = Hub([an_instance(number, timedelta(minutes=number + 1)) for number in range(20)])

    assert listed(hub) == newest(hub, 20)


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=60, unique_by=lambda entry: entry[0]),
    st.integers(1, 20),
)
@SWIFT
def test_pages_show_every_restore_once_from_the_newest_to_the_oldest(ages: list[tuple[int, int]], top: int) -> None:
    """Also where a history went on after the restores that were accepted later."""
    hub = _TaskHub(
        [
            an_instance(number, timedelta(seconds=age), went_on=timedelta(seconds=max(age - later, 0)))
            for number, (age, later) in enumerate(ages)
        ]
    )
    shown: list[str] = []

    def comes_next(document: Json) -> bool:
        return not shown or document["createdTime"] < shown[-1]

    while page := listed(hub, comes_next, count=top):
        shown += page

    assert shown == newest(hub, len(ages))
