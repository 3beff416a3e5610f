"""Queries of Azure Resource Graph: what is sent, what a page says, and how long to wait for the next."""

from __future__ import annotations

from typing import Any

import pytest

from domain import errors
from domain.azure.resource_graph import GraphPage
from domain.errors import TerminalError, TransientError
from tests.support.arm_script import Told, scripted

QUERY = "resources | order by id asc"
ROWS = [{"id": "/a"}, {"id": "/b"}]
GOOD: dict[str, Any] = {"totalRecords": 2, "count": 2, "data": ROWS, "facets": [], "resultTruncated": "false"}
LEFT = "x-ms-user-quota-remaining"
RESETS = "x-ms-user-quota-resets-after"


def ask(told: Told, **options: Any) -> Any:
    client, _ = scripted(lambda _: told)
    return client.query_resources(QUERY, **options)


def test_a_query_is_sent_for_a_thousand_objects_of_the_whole_tenant() -> None:
    client, session = scripted(lambda _: Told(GOOD))

    answer = client.query_resources(QUERY)

    (asked,) = session.asked
    assert asked.method == "POST"
    assert asked.url.endswith("/providers/Microsoft.ResourceGraph/resources?api-version=2021-03-01")
    assert asked.body == {"query": QUERY, "options": {"resultFormat": "objectArray", "$top": 1000}}
    assert (answer.value, answer.retry_after_s) == (GraphPage(rows=tuple(ROWS), skip_token=None, total=2), None)


def test_the_next_page_is_asked_for_with_its_token() -> None:
    client, session = scripted(lambda _: Told({**GOOD, "totalRecords": 2000, "$skipToken": "next"}))

    page = client.query_resources(QUERY, skip_token="this").value

    assert session.asked[0].body["options"]["$skipToken"] == "this"
    assert (page.skip_token, page.total) == ("next", 2000)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"resultTruncated": "true"}, {}),
        ({"resultTruncated": True}, {}),
        ({}, {"x-ms-tenant-subscription-limit-hit": "true"}),
    ],
)
def test_an_answer_that_azure_has_cut_says_so(body: dict[str, Any], headers: dict[str, str]) -> None:
    assert ask(Told({**GOOD, **body}, headers=headers)).value.is_partial
    assert not ask(Told(GOOD, headers={"x-ms-tenant-subscription-limit-hit": "false"})).value.is_partial


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({LEFT: "0", RESETS: "00:00:04"}, 4.0),
        ({LEFT: "0", RESETS: "01:02:03"}, 3723.0),
        ({LEFT: "0", RESETS: "00:00:03.5000000"}, 3.5),
        ({LEFT: "0", RESETS: "00:00:00"}, 1.0),
        ({LEFT: "1", RESETS: "00:00:04"}, None),
        ({LEFT: "0", RESETS: "soon"}, None),
        ({LEFT: "0"}, None),
        ({RESETS: "00:00:04"}, None),
        ({LEFT: "0", RESETS: "00:00:04", "Retry-After": "9"}, 9.0),
    ],
)
def test_a_quota_that_is_used_up_is_a_wait(headers: dict[str, str], wait_s: float | None) -> None:
    assert ask(Told(GOOD, headers=headers)).retry_after_s == wait_s


def test_throttling_is_transient_with_its_wait() -> None:
    told = Told({"error": {"code": "RateLimiting"}}, 429, {"Retry-After": "5", LEFT: "0", RESETS: "00:00:05"})

    with pytest.raises(TransientError) as caught:
        ask(told)

    assert (caught.value.code, caught.value.retry_after_s) == (errors.SERVICE_UNAVAILABLE, 5.0)


def test_a_server_error_is_transient_because_a_query_may_be_repeated() -> None:
    with pytest.raises(TransientError):
        ask(Told({}, 503))


def test_a_refused_query_is_terminal() -> None:
    with pytest.raises(TerminalError):
        ask(Told({"error": {"code": "BadRequest", "details": [{"code": "InvalidQuery", "message": "no"}]}}, 400))


@pytest.mark.parametrize(
    "change",
    [
        {"data": None},
        {"data": {"columns": [], "rows": []}},
        {"data": [{"id": "/a"}, "row"]},
        {"$skipToken": ""},
        {"$skipToken": 3},
    ],
)
def test_an_unreadable_page_is_not_taken_for_the_last_one(change: dict[str, Any]) -> None:
    with pytest.raises(TransientError):
        ask(Told({**GOOD, **change}))
