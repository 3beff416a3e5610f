"""A swap and its undo in the whole app, on the simulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.app_stage import Stage, a_request, staged, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

    from domain.errors import Json

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, staged(patch) as running:
        yield running


@pytest.fixture(scope="module")
def swapped(stage: Stage) -> Json:
    """The final document of a restore that has put its disks into the VM."""
    return stage.restore(sourceResourceId=vm_id("web-02"), thenSwapDisks={}, requestedBy="ada")


def ask(stage: Stage, restore: Json | str, **members: Any) -> requests.Response:
    restore_id = restore if isinstance(restore, str) else restore["id"]
    return stage.call("POST", f"restores/{restore_id}/undo", **{"json": {"by": "bob"}, **members})


def places(shown: Json) -> list[tuple[int | None, str, str]]:
    swap = shown["result"]["swap"]
    return [(place["lun"], place["formerDiskId"], place["diskId"]) for place in swap["disks"]]


def test_an_undo_puts_the_former_disks_back_and_answers_whoever_asks_again(stage: Stage, swapped: Json) -> None:
    assert swapped["status"] == "Completed"
    assert swapped["links"]["undo"] == f"{stage.url}/api/restores/{swapped['id']}/undo"

    with ThreadPoolExecutor(4) as people:
        answers = list(people.map(lambda name: ask(stage, swapped, json={"by": name}), ["bob", "carol", "dave", "eve"]))

    assert {answer.status_code for answer in answers} == {202}
    [undo_id] = {answer.json()["id"] for answer in answers}
    assert answers[0].headers["Location"] == answers[0].json()["links"]["self"] == f"{stage.url}/api/restores/{undo_id}"
    assert int(answers[0].headers["Retry-After"]) > 0
    done = stage.finished(undo_id)
    assert (done["status"], done["undoOf"], done["jobId"]) == ("Completed", swapped["id"], None)
    assert done["requestedBy"] in {"bob", "carol", "dave", "eve"}
    assert places(done) == [(lun, new, former) for lun, former, new in places(swapped)]
    again = ask(stage, swapped)
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, undo_id, "Completed")
    assert undo_id in {restore["id"] for restore in stage.call("GET", "restores").json()["value"]}


def test_while_another_restore_of_the_vm_runs_there_is_no_undo(stage: Stage) -> None:
    vm = vm_id("web-01")
    done = stage.restore(sourceResourceId=vm, thenSwapDisks={})
    waiting = stage.post(a_request(sourceResourceId=vm, approval={"required": True})).json()

    refused = ask(stage, done)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "RequestConflict")
    assert waiting["id"] in refused.json()["error"]["message"]

    stage.call("POST", waiting["links"]["cancel"])
    stage.finished(waiting["id"])
    accepted = ask(stage, done, json=None, data=b"")  # the body is optional
    assert accepted.status_code == 202
    undone = stage.finished(accepted.json()["id"])
    assert (undone["status"], undone["requestedBy"]) == ("Completed", None)


def test_what_cannot_be_undone_says_so(stage: Stage) -> None:
    done = stage.restore(sourceResourceId=vm_id("mixed-case-01", "mixed-rg"))

    refused, unknown = ask(stage, done), ask(stage, NOBODY)

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "RequestConflict")
    assert "nothing to undo" in refused.json()["error"]["message"]
    assert "undo" not in done["links"]
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NotFound")


@pytest.mark.parametrize("body", [{"by": 1}, {"who": "bob"}, []])
def test_a_wrong_body_is_named(stage: Stage, swapped: Json, body: object) -> None:
    answer = ask(stage, swapped, json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequest")
