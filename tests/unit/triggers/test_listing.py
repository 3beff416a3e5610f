"""The list of restores, on a task hub that pages by id and knows when an instance's history last began."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequestError
from domain.restore.answers import Refusal
from domain.restore.document import document
from domain.restore.outcome import refused
from domain.restore.parts import Status
from orchestrations.names import HOLD_LIST_ENTRY, HOLD_POST_CLAIM
from tests.support.azure import VAULT_ID, a_restore
from tests.support.rows_hub import ENDED, FAILED, NOW, RowsHub
from tests.support.strategies import SWIFT
from triggers.list_entries import ListEntry
from triggers.list_filters import ListFilter
from triggers.list_pages import MAX_QUERIES, Position
from triggers.listing import MAX_EXTRA_READS, list_restores

if TYPE_CHECKING:
    from collections.abc import Iterable

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.restore.state import Restore

TOP = 50


def restores(count: int, apart: timedelta = timedelta(minutes=13), **members: Any) -> list[Restore]:
    """Return restores from the newest to the oldest."""
    return [a_restore(key=str(number), created=NOW - apart * number, **members) for number in range(count)]


def ids(some: Iterable[Restore]) -> list[str]:
    return [restore.restore_id for restore in some]


def page(hub: RowsHub, wanted: ListFilter | None = None, top: int = TOP, token: str | None = None) -> Any:
    client = cast("df.DurableFunctionsClient", hub)
    return asyncio.run(list_restores(client, wanted or ListFilter(), top=top, begin=Position.read(token)))


def pages(hub: RowsHub, wanted: ListFilter | None = None, top: int = TOP) -> list[list[str]]:
    """Return the ids of all pages, each asked for with the token of the one before it."""
    found: list[list[str]] = []
    token: str | None = None
    while True:
        got = page(hub, wanted, top, token)
        found.append([shown["id"] for shown in got.documents])
        if got.rest is None:
            return found
        token = got.rest.token


def by_status(status: str) -> ListFilter:
    return ListFilter(statuses=frozenset({status}))


def by_vm(vm_id: str) -> ListFilter:
    return ListFilter(vm_id=vm_id)


@pytest.mark.parametrize("is_noted", [True, False], ids=["documents in the entries", "no document in any entry"])
@pytest.mark.parametrize("apart", [timedelta(milliseconds=2), timedelta(minutes=40)])
def test_each_page_of_thousands_reads_what_it_shows(apart: timedelta, is_noted: bool) -> None:
    some = restores(3000, apart)
    hub = RowsHub(some, is_noted=is_noted, **ENDED)

    token: str | None = None
    for number in range(11):
        hub.queries = hub.reads = hub.rows = 0
        got = page(hub, token=token)
        token = got.rest.token
        assert [shown["id"] for shown in got.documents] == ids(some[number * TOP : (number + 1) * TOP])
        assert (hub.queries, hub.rows, hub.reads) == (1, TOP, 0 if is_noted else TOP)


def test_the_longest_page_needs_no_read_by_id_either() -> None:
    some = restores(1500)
    hub = RowsHub(some, **ENDED)

    got = page(hub, top=1000)

    assert [shown["id"] for shown in got.documents] == ids(some[:1000])
    assert (hub.queries, hub.rows, hub.reads) == (5, 1000, 0)


def test_restores_that_run_are_read_beside_those_that_have_ended() -> None:
    some = restores(6)
    hub = RowsHub(some[3:], **ENDED)
    for restore in some[:3]:
        hub.add(restore)

    got = page(hub)

    assert [(shown["id"], shown["status"]) for shown in got.documents] == [
        (restore.restore_id, "Running" if restore in some[:3] else "Completed") for restore in some
    ]
    assert hub.reads == 3


@pytest.mark.parametrize("wanted", [by_status("Failed"), by_vm(f"{a_restore().source_resource_id}-2")])
def test_a_filter_that_few_of_thousands_pass_reads_a_bounded_number_for_each_page(wanted: ListFilter) -> None:
    hub = RowsHub(restores(3000, timedelta(minutes=40)), **ENDED)
    vm: Json = {"sourceResourceId": wanted.vm_id} if wanted.vm_id else {}
    rare = [a_restore(key=f"rare-{n}", created=NOW - timedelta(days=25 * n), **vm) for n in (1, 2, 3)]
    for restore in rare:
        hub.add(restore, **FAILED)

    found: list[str] = []
    token: str | None = None
    while True:
        hub.queries = hub.reads = hub.rows = 0
        got = page(hub, wanted, token=token)
        found += [shown["id"] for shown in got.documents]
        assert hub.queries <= MAX_QUERIES
        assert hub.reads <= TOP + MAX_EXTRA_READS
        if got.rest is None:
            break
        token = got.rest.token

    assert found == ids(rare)


def test_a_few_restores_that_have_not_ended_are_found_at_once() -> None:
    hub = RowsHub(restores(2000), **ENDED)
    old = a_restore(key="old", created=NOW - timedelta(days=200))
    hub.add(old, went_on=NOW)
    hub.note(HOLD_POST_CLAIM, "post-1")

    assert pages(hub, by_status(Status.RUNNING)) == [[old.restore_id]]
    assert hub.reads == 1


@pytest.mark.parametrize("count", [3, MAX_EXTRA_READS + 1, 400])
def test_restores_that_have_not_ended_come_in_pages(count: int) -> None:
    some = restores(count)

    found = pages(RowsHub(some), by_status(Status.RUNNING), top=20)

    assert [restore_id for one in found for restore_id in one] == ids(some)
    assert all(len(one) == 20 for one in found[:-1])


def test_an_empty_hub_has_none() -> None:
    assert pages(RowsHub()) == [[]]


def test_starts_that_were_refused_or_lost_or_purged_are_not_shown() -> None:
    accepted = a_restore(key="refused", created=NOW)
    ended = document(refused(accepted, Refusal(code="RequestConflict", message="busy"), NOW), NOW)
    gone: Json = {name: ended[name] for name in ("status", "phase", "error", "refused")}
    hub = RowsHub([shown := a_restore(key="shown", created=NOW - timedelta(days=1))])
    hub.add(accepted, **gone)
    lost = ListEntry.of(a_restore(key="shown", created=NOW - timedelta(hours=1)))
    purged = ListEntry.of(a_restore(key="purged", created=NOW))
    for entry in (lost, purged):
        hub.note(HOLD_LIST_ENTRY, entry.instance_id)

    assert pages(hub) == [[shown.restore_id]]


def test_a_restore_of_a_vm_that_its_request_does_not_name_is_found_by_that_vm() -> None:
    vm_id = a_restore().source_resource_id or ""
    item: Json = {"vaultId": VAULT_ID, "containerName": "c", "protectedItemName": "i", "sourceResourceId": None}
    unnamed = a_restore(key="unnamed", created=NOW, **item)
    hub = RowsHub()
    hub.add(unnamed, sourceResourceId=vm_id)

    assert pages(hub, by_vm(vm_id)) == [[unnamed.restore_id]]


@pytest.mark.parametrize("top", [1, 2, 3, 7, 20, 21])
def test_restores_that_start_or_go_on_between_two_pages_move_no_other(top: int) -> None:
    some = restores(20)
    hub = RowsHub(some)
    new = iter(range(1000))

    def happen() -> None:
        number = next(new)
        hub.add(a_restore(key=f"new-{number}", created=NOW + timedelta(seconds=number + 1)))
        hub.go_on(some[number % 20].restore_id, NOW + timedelta(seconds=number))

    first = page(hub, top=top)
    hub.between = happen
    found = [shown["id"] for shown in first.documents]
    while first.rest is not None:
        first = page(hub, top=top, token=first.rest.token)
        found += [shown["id"] for shown in first.documents]

    assert found == ids(some)


@given(
    st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6)), max_size=60, unique_by=lambda entry: entry[0]),
    st.integers(1, 20),
)
@SWIFT
def test_pages_show_every_restore_once_from_the_newest_to_the_oldest(ages: list[tuple[int, int]], top: int) -> None:
    """Also where a history went on after the restores that were accepted later."""
    hub = RowsHub()
    for number, (age, later) in enumerate(ages):
        went_on = NOW - timedelta(seconds=max(age - later, 0))
        hub.add(a_restore(key=str(number), created=NOW - timedelta(seconds=age)), went_on=went_on)

    found = pages(hub, top=top)

    times = [hub._instances[restore_id].input for one in found for restore_id in one]
    created = [json.loads(text or "")["accepted"]["created"] for text in times]
    assert len(created) == len(ages)
    assert all(earlier > later for earlier, later in pairwise(created))


def a_token(*members: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(members).encode()).decode()


GOOD = Position(ListEntry.of(a_restore()).key, "the hub's").token
LAST, _, CHECK = json.loads(base64.urlsafe_b64decode(GOOD))
BAD = ["x", "%%%%", GOOD[:-4], GOOD + "AAAA", base64.urlsafe_b64encode(b"\xff").decode(), a_token(), a_token({}, [], 1)]
BAD += [a_token(LAST, "the hub's"), a_token(LAST, "another's", CHECK), a_token(LAST, None, CHECK), a_token(1, None, 1)]
BAD += [a_token("\ud800", None, CHECK), a_token(LAST, "\udfff", CHECK)]


@pytest.mark.parametrize("token", [*BAD, GOOD, Position("", "x" * 3000).token])
def test_a_token_that_no_page_gave_is_refused(token: str) -> None:
    """Also one that only the task hub can see through."""
    with pytest.raises(InvalidRequestError) as caught:
        page(RowsHub(restores(3)), token=token)

    assert caught.value.details[0].target == "continuationToken"


def test_a_task_hub_that_is_away_is_not_reported_as_a_wrong_token() -> None:
    hub = RowsHub(restores(3))
    token = page(hub, top=1).rest.token
    hub.is_away = True

    with pytest.raises(grpc.aio.AioRpcError):
        page(hub, token=token)
