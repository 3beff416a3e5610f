"""The members of a recovery: in the order of the plan, filtered, in pages, each with its restore."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func
import pytest

from domain.recovery.roster import Roster, RosterMember, member_restore_id
from domain.restore.document import document
from domain.restore.parts import Status
from orchestrations.names import RESTORE_VM
from tests.support.azure import a_restore
from tests.support.plans import vm
from tests.unit.domain.recovery.driving import CREATED, Driven, a_group, running
from tests.unit.triggers.recovery_hub import ID, DrivenHub, a_state
from triggers.recoveries import RecoveriesApi
from triggers.recovery_members import MAX_MEMBERS_SHOWN

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from triggers.recovery_starting import RecoverySettings

URL = f"https://app.example/api/recoveries/{ID}/members"


def a_hub(driven: Driven) -> DrivenHub:
    """Return a hub whose roster has the members of the recovery: ``vm-0`` and so on."""
    count = len(driven.progress.members)
    roster = Roster(
        resolved=driven.resolution,
        templates=({},) * len(driven.resolution.groups),
        regions=("westeurope", "westeurope"),
        members=tuple(RosterMember(vm_id=vm(f"vm-{index}")) for index in range(count)),
    )
    return DrivenHub(driven, roster)


def ask(hub: DrivenHub, recovery_id: str = ID, **params: str) -> tuple[int, Json]:
    api = RecoveriesApi(cast("RecoverySettings", None))
    request = func.HttpRequest("GET", URL, body=b"", params=params, route_params={"id": recovery_id})
    answer = asyncio.run(api.list_recovery_members(request, cast("df.DurableFunctionsClient", hub)))
    return answer.status_code, json.loads(answer.get_body())


def indexes(hub: DrivenHub, **params: str) -> list[int]:
    """Return the members on all pages."""
    found: list[int] = []
    while True:
        status, page = ask(hub, **params)
        assert status == 200, page
        found += [member["index"] for member in page["value"]]
        if "nextLink" not in page:
            return found
        assert page["nextLink"].startswith(f"{URL}?")
        params = dict(parse_qsl(urlsplit(page["nextLink"]).query))


def restored(hub: DrivenHub, index: int, attempt: int = 1, **members: Any) -> str:
    """Let the restore of a member be there; returns its id."""
    restore_id = member_restore_id(ID, index, attempt)
    shown = {**document(a_restore(), CREATED), "id": restore_id, **members}
    hub.restores[restore_id] = a_state(RESTORE_VM, restore_id, serialized_custom_status=shown)
    return restore_id


def test_a_member_that_runs_is_shown_with_its_restore() -> None:
    hub = a_hub(running(a_group(2), a_group(1, 0), recovery_id=ID))
    point = {"id": "1", "time": "2026-11-22T20:00:00Z"}
    restore_id = restored(hub, 0, recoveryPoint=point)

    status, page = ask(hub)

    assert (status, page.keys()) == (200, {"value"})
    assert page["value"][0] == {
        "index": 0,
        "sourceResourceId": vm("vm-0"),
        "group": "g0",
        "status": "Running",
        "attempt": 1,
        "restoreId": restore_id,
        "recoveryPointTime": "2026-11-22T20:00:00Z",
        "measuredRpo": "PT12H",
        "error": None,
        "links": {"restore": f"https://app.example/api/restores/{restore_id}"},
    }
    assert page["value"][2] == {
        "index": 2,
        "sourceResourceId": vm("vm-2"),
        "group": "g1",
        "status": "Pending",
        "attempt": 1,
        "restoreId": None,
        "recoveryPointTime": None,
        "measuredRpo": None,
        "error": None,
        "links": {},
    }


def test_a_member_that_failed_says_why_and_after_a_retry_it_has_another_restore() -> None:
    hub = a_hub(running(a_group(2), recovery_id=ID))
    error = {"code": "NotProtected", "message": "no backup", "details": []}
    restored(hub, 0, status="Failed", phase="Finished", error=error)
    hub.driven.end(0, status=Status.FAILED).end(1).step()

    [failed] = ask(hub, status="failed")[1]["value"]
    hub.driven.passes(minutes=1).command("retry").start()
    second = restored(hub, 0, attempt=2)
    [again] = ask(hub, status="Running")[1]["value"]

    assert (failed["error"], failed["attempt"]) == (error, 1)
    assert (again["error"], again["attempt"], again["restoreId"]) == (None, 2, second)


@pytest.mark.parametrize("top", ["1", "2", "3", "200"])
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, list(range(8))),
        ({"group": "g1"}, [3, 4]),
        ({"group": "G2"}, [5, 6, 7]),
        ({"status": "Completed"}, [1, 3]),
        ({"status": "RUNNING"}, [0, 2, 4]),
        ({"status": "Pending", "group": "g2"}, [5, 6, 7]),
        ({"status": "TimedOut"}, []),
        ({"status": "Completed", "group": "g2"}, []),
    ],
)
def test_pages_together_have_what_was_asked_for_once_and_in_order(
    params: dict[str, str], expected: list[int], top: str
) -> None:
    hub = a_hub(running(a_group(3), a_group(2), a_group(3, 0), recovery_id=ID))
    hub.driven.end(1, 3).step()

    assert indexes(hub, top=top, **params) == expected


def test_before_the_members_are_chosen_there_are_none() -> None:
    driven = Driven(a_group(2), recovery_id=ID)

    assert ask(DrivenHub(driven)) == (200, {"value": []})
    assert ask(a_hub(driven)) == (200, {"value": []})


@pytest.mark.parametrize(
    ("params", "target", "part"),
    [
        ({"group": "g9"}, "group", "must be a group of the recovery's plan: g0"),
        ({"group": "\0"}, "group", "U+0000"),
        ({"status": "Done"}, "status", "must be one of Pending, Running, AwaitingApproval, Completed"),
        ({"status": "P"}, "status", "must be one of"),
        ({"top": "0"}, "top", f"from 1 to {MAX_MEMBERS_SHOWN}"),
        ({"top": "201"}, "top", f"from 1 to {MAX_MEMBERS_SHOWN}"),
        ({"top": "-1"}, "top", "whole number"),
        ({"top": "²"}, "top", "whole number"),
        ({"continuationToken": "x"}, "continuationToken", "from a nextLink"),
        ({"continuationToken": "-1"}, "continuationToken", "from a nextLink"),
        ({"continuationToken": "99999"}, "continuationToken", "from a nextLink"),
        ({"skip": "5"}, "skip", "is not a known field"),
    ],
)
def test_a_wrong_parameter_is_named(params: dict[str, str], target: str, part: str) -> None:
    status, body = ask(a_hub(running(a_group(2), recovery_id=ID)), **params)

    assert (status, [detail["target"] for detail in body["error"]["details"]]) == (400, [target])
    assert part in body["error"]["message"]


def test_a_token_beyond_the_last_member_is_an_empty_page() -> None:
    assert ask(a_hub(running(a_group(2), recovery_id=ID)), continuationToken="500") == (200, {"value": []})


@pytest.mark.parametrize("recovery_id", ["", "r", f"{ID}x", ID.upper(), "../x", "0" * 36, ID.replace("0", "1")])
def test_the_members_of_no_recovery_are_not_found(recovery_id: str) -> None:
    status, body = ask(a_hub(running(a_group(1), recovery_id=ID)), recovery_id)

    assert (status, body["error"]["code"]) == (404, "NotFound")
