"""The filters of the lists of restores and recoveries: what passes them, and how much is read for it."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.api_types import RecoveryPointList
from domain.restore.state import restore_id_for
from domain.times import format_time
from tests.support.azure import LIMITS, VM_ID, a_restore
from tests.support.rows_hub import ENDED, FAILED, NOW, RowsHub
from tests.support.strategies import SWIFT
from tests.unit.domain.recovery.driving import a_group, running
from triggers.http import RestoresApi
from triggers.list_pages import MAX_QUERIES
from triggers.listing import MAX_EXTRA_READS
from triggers.recoveries import RecoveriesApi

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from triggers.recovery_starting import RecoverySettings

MINUTE = timedelta(minutes=1)
RECOVERY_ID = restore_id_for("a recovery")
NOT_ENDED = {"Pending", "Running", "AwaitingApproval"}
URL = "https://app.example/api"


def ask(hub: RowsHub, what: str = "restores", **params: str) -> tuple[int, Json]:
    request = func.HttpRequest("GET", f"{URL}/{what}", body=b"", params=params)
    client = cast("df.DurableFunctionsClient", hub)
    restores = RestoresApi(limits_for=lambda _: LIMITS, recovery_points=lambda _: RecoveryPointList(value=()))
    recoveries = RecoveriesApi(cast("RecoverySettings", None))
    route = restores.list_restores if what == "restores" else recoveries.list_recoveries
    answer = asyncio.run(route(request, client))
    return answer.status_code, json.loads(answer.get_body())


def pages(hub: RowsHub, what: str = "restores", **params: str) -> list[list[str]]:
    """Return the ids of all pages, each asked for by the link of the one before it; each reads a bounded number."""
    found: list[list[str]] = []
    statuses = set(filter(None, params.get("status", "").split(",")))
    while True:
        hub.queries = hub.reads = 0
        status, page = ask(hub, what, **params)
        assert status == 200, page
        # Restores that have not ended are asked for by each first digit of their ids.
        assert hub.queries <= (16 if statuses and statuses <= NOT_ENDED else MAX_QUERIES)
        assert hub.reads <= int(params.get("top", "50")) + MAX_EXTRA_READS
        found.append([shown["id"] for shown in page["value"]])
        if "nextLink" not in page:
            return found
        params = dict(parse_qsl(urlsplit(page["nextLink"]).query))


def ids(hub: RowsHub, what: str = "restores", **params: str) -> list[str]:
    return [each for page in pages(hub, what, **params) for each in page]


def before_now(minutes: float) -> str:
    return format_time(NOW - minutes * MINUTE)


class TestAText:
    @pytest.mark.parametrize(
        "members",
        [
            {"requestId": "INC-Straße-7"},
            {"requestedBy": "Bob.Straße@example.com"},
            {"reason": "disk corrupt\nsee STRASSE"},
            {"recoveryId": "strasse"},
            {"sourceResourceId": f"{VM_ID}-strasse"},
        ],
        ids=lambda members: next(iter(members)),
    )
    @pytest.mark.parametrize("is_running", [True, False])
    def test_is_found_in_any_letter_case(self, members: Json, is_running: bool) -> None:
        hub = RowsHub([a_restore(key="other", created=NOW)], **ENDED)
        hub.add(wanted := a_restore(key="wanted", created=NOW - MINUTE), **{**({} if is_running else ENDED), **members})

        assert ids(hub, text=" sTraSSe ") == [wanted.restore_id]

    def test_is_found_in_the_id_of_a_restore(self) -> None:
        some = [a_restore(key=str(number), created=NOW - number * MINUTE) for number in range(5)]

        assert ids(RowsHub(some, **ENDED), text=some[2].restore_id[3:20].upper()) == [some[2].restore_id]

    @pytest.mark.parametrize("text", ["Completed", "job-4711", "RestoreDisks"])
    def test_is_not_searched_in_other_members(self, text: str) -> None:
        assert ids(RowsHub([a_restore()], **ENDED, jobId="job-4711"), text=text) == []

    def test_that_few_of_thousands_have_is_found_by_pages_of_bounded_reads(self) -> None:
        hub = RowsHub(SOME, **ENDED)
        rare = [a_restore(key=f"rare-{number}", created=NOW - (number * 900 + 0.5) * MINUTE) for number in (1, 2, 3)]
        for restore in rare:
            hub.add(restore, **ENDED, reason="a rare one")

        assert ids(hub, text="rare one") == [restore.restore_id for restore in rare]


SOME = [a_restore(key=str(number), created=NOW - number * MINUTE) for number in range(3000)]
IDS = [restore.restore_id for restore in SOME]


class TestASpanOfTime:
    def test_begins_at_its_first_moment_and_ends_before_its_last(self) -> None:
        hub = RowsHub(SOME[:20], **ENDED)

        assert ids(hub, createdAfter=before_now(5)) == IDS[:6]
        assert ids(hub, createdBefore=before_now(5)) == IDS[6:20]
        assert ids(hub, createdAfter=before_now(9), createdBefore=before_now(5)) == IDS[6:10]
        assert ids(hub, createdAfter="2026-11-23T08:55:00+01:00", top="2") == IDS[:6]

    def test_that_has_a_beginning_reads_nothing_older(self) -> None:
        hub = RowsHub(SOME, **ENDED)

        assert pages(hub, createdAfter=before_now(9)) == [IDS[:10]]
        assert hub.rows == 50

    def test_that_ended_long_ago_is_reached_by_pages_of_bounded_reads(self) -> None:
        hub = RowsHub(SOME, **ENDED)

        found = pages(hub, createdBefore=before_now(2700), createdAfter=before_now(2900))

        assert [each for page in found for each in page] == IDS[2701:2901]
        assert len([page for page in found if not page]) <= 2  # one on the way, and one at the end

    def test_that_ended_a_while_ago_needs_no_read_by_id(self) -> None:
        hub = RowsHub(SOME, **ENDED)

        status, page = ask(hub, createdBefore=before_now(774.5))

        assert (status, [shown["id"] for shown in page["value"]]) == (200, IDS[775:825])
        assert hub.reads == 0
        assert hub.rows <= 50 + 2 * 400 + 2 * 200

    def test_that_has_not_ended_yet_reads_no_more_than_none(self) -> None:
        hub = RowsHub(SOME, **ENDED)

        status, page = ask(hub, createdBefore=format_time(NOW + MINUTE))

        assert (status, [shown["id"] for shown in page["value"]]) == (200, IDS[:50])
        assert (hub.queries, hub.rows, hub.reads) == (1, 50, 0)

    def test_counts_for_restores_that_have_not_ended(self) -> None:
        hub = RowsHub(SOME[:20])

        assert ids(hub, status="Running", createdAfter=before_now(9), createdBefore=before_now(5)) == IDS[6:10]


class TestSeveralStatuses:
    def test_show_what_has_one_of_them(self) -> None:
        some = [a_restore(key=str(number), created=NOW - number * MINUTE) for number in range(9)]
        hub = RowsHub()
        for number, restore in enumerate(some):
            hub.add(restore, **({}, ENDED, FAILED)[number % 3])

        every = [restore.restore_id for restore in some]
        assert ids(hub, status="failed, RUNNING") == [each for number, each in enumerate(every) if number % 3 != 1]
        assert ids(hub, status="failed,failed") == every[2::3]

    def test_of_restores_that_have_not_ended_are_found_at_once(self) -> None:
        hub = RowsHub([a_restore(key=str(number), created=NOW) for number in range(2000)], **ENDED)
        old = [a_restore(key=f"old {number}", created=NOW - timedelta(days=number)) for number in (100, 200)]
        hub.add(old[0])
        hub.add(old[1], status="AwaitingApproval", phase="AwaitingApproval")

        assert pages(hub, status="AwaitingApproval,Running,Pending") == [[restore.restore_id for restore in old]]
        assert hub.reads == 2


def test_the_members_of_a_recovery_are_found_by_its_id() -> None:
    hub = RowsHub([a_restore(key="other", created=NOW), a_restore(key="none", created=NOW - MINUTE)], **ENDED)
    hub.add(a_restore(key="another's", created=NOW), **ENDED, recoveryId=restore_id_for("another"))
    hub.add(wanted := a_restore(key="wanted", created=NOW - 2 * MINUTE), **ENDED, recoveryId=RECOVERY_ID)

    assert ids(hub, recoveryId=RECOVERY_ID.upper()) == [wanted.restore_id]


class TestRecoveries:
    def hub(self) -> RowsHub:
        hub = RowsHub([a_restore(created=NOW)], **ENDED)
        for number, name in enumerate(("shop", "payroll", "shopping")):
            created = NOW - number * MINUTE
            hub.add_recovery(running(a_group(), recovery_id=restore_id_for(name), created=created).recovery)
        return hub

    def test_are_found_by_their_id_their_time_and_their_statuses(self) -> None:
        hub, known = self.hub(), [restore_id_for(name) for name in ("shop", "payroll", "shopping")]

        assert ids(hub, "recoveries", text=known[1][:18]) == [known[1]]
        assert ids(hub, "recoveries", createdAfter=before_now(1)) == known[:2]
        assert ids(hub, "recoveries", createdBefore=before_now(0)) == known[1:]
        assert ids(hub, "recoveries", status="running,paused") == known
        assert ids(hub, "recoveries", status="failed,paused") == []

    def test_are_found_by_their_plan(self) -> None:
        _, page = ask(self.hub(), "recoveries")
        plan = page["value"][0]["plan"]

        assert len(ids(self.hub(), "recoveries", text=plan.upper())) == 3
        assert ids(self.hub(), "recoveries", text=f"not {plan}") == []


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.sampled_from([{}, ENDED, FAILED]), st.sampled_from(["ada", "Bo", None])),
        max_size=40,
        unique_by=lambda entry: entry[0],
    ),
    st.fixed_dictionaries(
        {"top": st.integers(1, 10).map(str)},
        optional={
            "status": st.sampled_from(["Running", "Failed", "Failed,Completed", "Running,Completed"]),
            "text": st.sampled_from(["ADA", "b"]),
        },
    ),
    st.lists(st.integers(0, 300), min_size=2, max_size=2, unique=True).map(sorted),
    st.sets(st.sampled_from(["createdAfter", "createdBefore"])),
)
@SWIFT
def test_pages_have_each_restore_that_passes_and_no_other(
    restores: list[tuple[int, Json, str | None]], params: dict[str, str], ages: list[int], ends: set[str]
) -> None:
    span = {"createdBefore": before_now(ages[0]), "createdAfter": before_now(ages[1])}
    params |= {end: span[end] for end in ends}
    hub, wanted = RowsHub(), list[tuple[int, str]]()
    for age, members, by in restores:
        restore = a_restore(key=f"{age}", created=NOW - age * MINUTE)
        hub.add(restore, **{"requestedBy": by, "requestId": None, "reason": None, **members})
        fits = [
            "createdAfter" not in params or restore.accepted.created >= a_time(params["createdAfter"]),
            "createdBefore" not in params or restore.accepted.created < a_time(params["createdBefore"]),
            "status" not in params or members.get("status", "Running") in params["status"].split(","),
            "text" not in params or is_in(params["text"], restore.restore_id, restore.source_resource_id, by),
        ]
        if all(fits):
            wanted.append((age, restore.restore_id))

    assert ids(hub, **params) == [restore_id for _, restore_id in sorted(wanted)]


def a_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def is_in(text: str, *texts: Any) -> bool:
    return any(text.lower() in each.lower() for each in texts if each)


@pytest.mark.parametrize("what", ["restores", "recoveries"])
@pytest.mark.parametrize(
    ("params", "targets"),
    [
        ({"createdAfter": "yesterday"}, ["createdAfter"]),
        ({"createdBefore": "2026-11-20", "createdAfter": "2026-11-20T06:00:00"}, ["createdAfter", "createdBefore"]),
        ({"createdAfter": before_now(5), "createdBefore": before_now(5)}, ["createdBefore"]),
        ({"createdAfter": before_now(5), "createdBefore": before_now(6)}, ["createdBefore"]),
        ({"text": "web\u200b01"}, ["text"]),
        ({"text": "x" * 3000}, ["text"]),
        ({"status": "Running,"}, ["status"]),
        ({"status": "Running;Failed"}, ["status"]),
        ({"recoveryId": "shop"}, ["recoveryId"]),
    ],
)
def test_a_wrong_filter_is_named(what: str, params: dict[str, str], targets: list[str]) -> None:
    status, body = ask(RowsHub(), what, **params)

    assert (status, sorted(detail["target"] for detail in body["error"]["details"])) == (400, targets)


def test_a_filter_that_is_empty_counts_as_left_out() -> None:
    hub = RowsHub([a_restore()], **ENDED)

    assert len(ids(hub, text="", createdAfter="", createdBefore="", recoveryId="", status="")) == 1
