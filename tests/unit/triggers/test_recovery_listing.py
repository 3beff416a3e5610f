"""The list of recoveries: newest first, in pages, beside the list of restores."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from domain.restore.parts import Status
from domain.restore.state import restore_id_for
from orchestrations.names import HOLD_LIST_ENTRY
from tests.support.azure import a_restore
from tests.support.rows_hub import ENDED, NOW, RowsHub
from tests.unit.domain.recovery.driving import Driven, a_group, running
from triggers.list_entries import ListEntry
from triggers.list_filters import ListFilter
from triggers.list_pages import Position
from triggers.listing import list_restores
from triggers.recoveries import RecoveriesApi

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from triggers.recovery_starting import RecoverySettings

URL = "https://app.example/api/recoveries"


def some_recoveries(count: int) -> list[Driven]:
    """Return recoveries from the newest to the oldest; every second one has ended."""
    found = [
        running(a_group(), recovery_id=restore_id_for(str(number)), created=NOW - timedelta(minutes=number))
        for number in range(count)
    ]
    for driven in found[::2]:
        driven.end(0, status=Status.COMPLETED).step()
    return found


def a_hub(recoveries: list[Driven]) -> RowsHub:
    """Return a hub with these recoveries among restores."""
    hub = RowsHub([a_restore(key=f"restore {number}", created=NOW) for number in range(3)], **ENDED)
    for driven in recoveries:
        hub.add_recovery(driven.recovery)
    return hub


def ask(hub: RowsHub, **params: str) -> tuple[int, Json]:
    api = RecoveriesApi(cast("RecoverySettings", None))
    request = func.HttpRequest("GET", URL, body=b"", params=params)
    answer = asyncio.run(api.list_recoveries(request, cast("df.DurableFunctionsClient", hub)))
    return answer.status_code, json.loads(answer.get_body())


def pages(hub: RowsHub, **params: str) -> list[list[str]]:
    """Return the ids of all pages, each asked for with the link of the one before it."""
    found: list[list[str]] = []
    while True:
        status, page = ask(hub, **params)
        assert status == 200, page
        found.append([shown["id"] for shown in page["value"]])
        if "nextLink" not in page:
            return found
        assert page["nextLink"].startswith(f"{URL}?")
        params = dict(parse_qsl(urlsplit(page["nextLink"]).query))


def ids(recoveries: list[Driven]) -> list[str]:
    return [driven.recovery.recovery_id for driven in recoveries]


@pytest.mark.parametrize("top", ["1", "4", "7", "50"])
def test_pages_have_each_recovery_once_from_the_newest_on_and_no_restore(top: str) -> None:
    some = some_recoveries(7)

    found = pages(a_hub(some), top=top)

    assert [each for page in found for each in page] == ids(some)
    assert max(map(len, found)) <= int(top)


@pytest.mark.parametrize(("status", "begin"), [("completed", 0), ("Running", 1)])
def test_a_filter_by_status(status: str, begin: int) -> None:
    some = some_recoveries(9)

    found = pages(a_hub(some), status=status, top="2")

    assert [each for page in found for each in page] == ids(some[begin::2])


def test_the_list_of_restores_shows_no_recovery() -> None:
    hub = a_hub(some_recoveries(3))

    page: Any = asyncio.run(
        list_restores(cast("df.DurableFunctionsClient", hub), ListFilter(), top=50, begin=Position())
    )

    assert len(page.documents) == 3
    assert all("recoveryType" in shown for shown in page.documents)


def test_links_of_a_recovery_are_absolute_and_lead_to_it() -> None:
    [driven] = some = some_recoveries(2)[1:]
    [shown] = ask(a_hub(some))[1]["value"]

    assert shown["links"]["self"] == f"{URL}/{driven.recovery.recovery_id}"
    assert shown["links"]["members"] == f"{URL}/{driven.recovery.recovery_id}/members"
    assert all(link.startswith(URL) for link in shown["links"].values())


def test_an_entry_whose_recovery_is_gone_or_is_another_one_shows_nothing() -> None:
    hub = a_hub(some := some_recoveries(1))
    for recovery_id, created in (
        (restore_id_for("gone"), NOW),
        (some[0].recovery.recovery_id, NOW - timedelta(days=1)),
    ):
        lost = running(a_group(), recovery_id=recovery_id, created=created).recovery.accepted
        hub.note(HOLD_LIST_ENTRY, ListEntry.of_recovery(lost).instance_id, NOW)

    assert pages(hub) == [ids(some)]


@pytest.mark.parametrize(
    ("params", "target"),
    [
        ({"status": "TimedOut"}, "status"),
        ({"status": "paused,stopped"}, "status"),
        ({"top": "1001"}, "top"),
        ({"top": "0x1"}, "top"),
        ({"continuationToken": "abc"}, "continuationToken"),
        ({"plan": "shop"}, "plan"),
        ({"sourceResourceId": "x"}, "sourceResourceId"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, str], target: str) -> None:
    status, body = ask(a_hub([]), **params)

    assert (status, [detail["target"] for detail in body["error"]["details"]]) == (400, [target])
