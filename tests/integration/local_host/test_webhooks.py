from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_host.backend import IN_PROCESS
from tests.integration.local_host.stage import calling, eventually

if TYPE_CHECKING:
    from tests.integration.local_host.stage import Caller


@pytest.fixture
def waiting(call: Caller) -> str:
    """An instance that waits for an event."""
    instance = call.start("approve", {"seconds": 600})
    eventually(lambda: call.status(instance)["customStatus"])
    return instance


def ended(call: Caller) -> str:
    instance = call.start("greet", "Ada")
    call.finished(instance)
    return instance


def test_the_links_of_a_started_instance_lead_to_its_status(call: Caller) -> None:
    started = call("POST", "/api/start/approve", json={"seconds": 600})
    where = f"{call.hub}/{started.json()['id']}"

    assert started.headers["Location"].startswith(where)
    assert started.json()["statusQueryGetUri"].startswith(where)
    assert call("GET", started.headers["Location"]).status_code == 202


def test_a_running_instance_says_where_and_when_to_look_again(call: Caller, waiting: str) -> None:
    answer = call("GET", f"{call.hub}/{waiting}")
    body = answer.json()
    times = [body.pop("createdTime"), body.pop("lastUpdatedTime")]

    assert answer.status_code == 202
    assert answer.headers["Location"] == answer.url
    assert answer.headers["Retry-After"] == "5"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time) for time in times)
    assert body == {
        "name": "approve",
        "instanceId": waiting,
        "runtimeStatus": "Running",
        "input": {"seconds": 600},
        "customStatus": {"waiting": "decision"},
        "output": None,
    }


def test_a_finished_instance_shows_its_output_and_on_request_its_history(call: Caller) -> None:
    where = f"{call.hub}/{ended(call)}"

    plain = call("GET", where, params={"showInput": "false"}).json()
    told = call("GET", where, params={"showHistory": "true", "showHistoryOutput": "true"}).json()

    assert (plain["runtimeStatus"], plain["output"], plain["input"]) == ("Completed", "hello Ada", None)
    assert "historyEvents" not in plain
    assert [event["EventType"] for event in told["historyEvents"]][-2:] == ["TaskCompleted", "ExecutionCompleted"]
    assert told["historyEvents"][-1]["Result"] == "hello Ada"


def test_a_failed_instance_is_a_500_for_those_who_ask(call: Caller) -> None:
    instance = call.start("missing")
    where, failed = f"{call.hub}/{instance}", call.finished(instance)

    assert failed["runtimeStatus"] == "Failed"
    assert "nobody" in failed["output"]
    assert call("GET", where, params={"returnInternalServerErrorOnFailure": "true"}).status_code == 500


def test_the_list_pages_and_filters() -> None:
    with calling() as call:
        running = [call.start("approve", {"seconds": 600}, instance_id=f"run-{each}") for each in range(3)]
        ended(call)
        by_prefix = call("GET", call.hub, params={"instanceIdPrefix": "run-", "top": "2"})
        token = {"x-ms-continuation-token": by_prefix.headers["x-ms-continuation-token"]}
        rest = call("GET", call.hub, params={"instanceIdPrefix": "run-", "top": "2"}, headers=token)
        finished = call.instances(runtimeStatus="Completed,Failed", showInput="true")

    assert [each["instanceId"] for each in by_prefix.json() + rest.json()] == running
    assert by_prefix.json()[0]["input"] is None
    assert rest.headers["x-ms-continuation-token"] == ""
    assert [(each["runtimeStatus"], each["input"]) for each in finished] == [("Completed", "Ada")]


def test_an_instance_is_terminated_with_a_reason(call: Caller, waiting: str) -> None:
    answer = call("POST", f"{call.hub}/{waiting}/terminate", params={"reason": "enough"})
    final = call.finished(waiting)

    assert answer.status_code == 202
    assert (final["runtimeStatus"], final["output"]) == ("Terminated", "enough")
    asked = pb.GetInstanceRequest(instanceId=waiting, getInputsAndOutputs=True)
    assert call.host.backend.GetInstance(asked, IN_PROCESS).orchestrationState.output.value == "enough"


def test_a_suspended_instance_hears_its_event_when_resumed(call: Caller, waiting: str) -> None:
    where = f"{call.hub}/{waiting}"
    assert call("POST", f"{where}/suspend", params={"reason": "hold on"}).status_code == 202
    eventually(lambda: call.status(waiting)["runtimeStatus"] == "Suspended")
    call("POST", f"{where}/raiseEvent/decision", json="yes")
    assert call.status(waiting)["runtimeStatus"] == "Suspended"

    assert call("POST", f"{where}/resume").status_code == 202

    assert call.finished(waiting)["output"] == "yes"


def test_a_finished_instance_is_purged(call: Caller) -> None:
    where = f"{call.hub}/{ended(call)}"

    purged = call("DELETE", where)

    assert (purged.status_code, purged.json()) == (200, {"instancesDeleted": 1})
    assert call("GET", where).status_code == 404


def test_a_running_instance_is_not_purged(call: Caller, waiting: str) -> None:
    assert call("DELETE", f"{call.hub}/{waiting}").status_code == 412


@pytest.mark.parametrize("action", ["terminate", "suspend", "resume", "raiseEvent/decision"])
def test_what_has_ended_is_gone(call: Caller, action: str) -> None:
    assert call("POST", f"{call.hub}/{ended(call)}/{action}", json=1).status_code == 410


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/terminate"),
        ("POST", "/suspend"),
        ("POST", "/resume"),
        ("POST", "/raiseEvent/decision"),
    ],
)
def test_what_never_was_is_not_found(call: Caller, method: str, path: str) -> None:
    assert call(method, f"{call.hub}/never{path}", json=1).status_code == 404


@pytest.mark.parametrize(("body", "kind"), [("yes", "application/json"), ('"yes"', "text/plain")])
def test_an_events_data_is_json(call: Caller, waiting: str, body: str, kind: str) -> None:
    sent = call("POST", f"{call.hub}/{waiting}/raiseEvent/decision", data=body, headers={"Content-Type": kind})

    assert sent.status_code == 400
