"""The queues of requests, results and events, on Azurite."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from domain.queue_text import encoded
from scripts.alerting import vm_down
from tests.integration.app_stage import Stage, a_request, eventually, staged, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json


@pytest.fixture
def stage(azurite: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(monkeypatch, azurite) as running:
        yield running


def _results(stage: Stage, count: int) -> list[Json]:
    """Return the results of so many restores. One may come twice: the engine delivers at least once."""
    taken: dict[str, Json] = {}

    def look() -> bool:
        taken.update((result["id"], result) for result in stage.results())
        return len(taken) >= count

    eventually(look)
    return list(taken.values())


def test_a_message_starts_a_restore_and_its_end_is_a_message(stage: Stage) -> None:
    stage.send(a_request(requestId="from-queue", requestedBy="cmdb"))

    (result,) = _results(stage, 1)

    assert (result["status"], result["startedBy"], result["requestedBy"]) == ("Completed", "queue", "cmdb")
    assert result["result"]["configBlobUri"]
    same = stage.finished(result["id"])  # the message may be there a moment before the status shows the end
    assert {**same, "links": None} == {**result, "links": None}


def test_a_restore_by_http_leaves_a_message_too(stage: Stage) -> None:
    restore_id = stage.post(a_request()).json()["id"]

    (result,) = _results(stage, 1)

    assert (result["id"], result["startedBy"]) == (restore_id, "http")


RECOVERY_PLAN: Json = {
    "name": "two",
    "restore": {name: value for name, value in a_request().items() if name != "sourceResourceId"},
    "groups": [{"name": "a", "sourceResourceIds": [vm_id("load-011", "load-rg"), vm_id("load-012", "load-rg")]}],
}


def test_a_message_with_a_plan_starts_one_recovery_and_its_members_end_with_a_message_each(stage: Stage) -> None:
    call = {"plan": RECOVERY_PLAN, "requestedBy": "cmdb", "requestId": "from-queue"}
    for _ in range(2):
        stage.send(call)

    results = _results(stage, 2)

    [recovery] = stage.call("GET", "recoveries").json()["value"]
    assert (recovery["plan"], recovery["startedBy"], recovery["requestedBy"]) == ("two", "queue", "cmdb")
    assert {(result["recoveryId"], result["status"]) for result in results} == {(recovery["id"], "Completed")}
    assert [stage.jobs_of("load-011"), stage.jobs_of("load-012")] == [1, 1]
    by_http = stage.call("POST", "recoveries", json=call)
    assert by_http.json()["id"] == recovery["id"]


def test_a_message_with_a_plan_that_can_never_work_is_answered_as_a_recovery(stage: Stage) -> None:
    message_id = stage.send({"plan": "absent", "reason": "drill"})

    (result,) = _results(stage, 1)

    assert (result["id"], result["status"], result["plan"], result["reason"]) == (
        *(message_id, "Failed", "absent"),
        "drill",
    )
    assert result["error"]["code"] == "NotFound"
    assert stage.call("GET", "recoveries").json()["value"] == []


def test_http_and_queue_share_their_keys(stage: Stage) -> None:
    body = a_request(sourceResourceId=vm_id("load-003", "load-rg"), requestId="shared")
    restore_id = stage.post(body).json()["id"]
    stage.send(body)
    stage.send(a_request(requestId="after"))

    results = _results(stage, 2)

    assert {result["requestId"] for result in results} == {"shared", "after"}
    assert [result["id"] for result in results if result["requestId"] == "shared"] == [restore_id]
    assert stage.jobs_of("load-003") == 1


@pytest.mark.parametrize(
    ("content", "target"),
    [
        (b"not json", None),
        (b"[]", None),
        (json.dumps(a_request(recoveryType="x")).encode(), "recoveryType"),
        (json.dumps(a_request(v=99)).encode(), "v"),
        (json.dumps(a_request(reason="long " * 9_000)).encode(), "reason"),  # 60 KiB as base64, the most that fits
        (b"", None),
        (bytes(range(256)), None),
        (b"\xff\xfe" + "{}".encode("utf-16-le"), None),
        (b"[" * 40_000, None),
        (b'{"reason":' * 4_000 + b"1" + b"}" * 4_000, "reason"),
        (b'{"sourceResourceId": NaN}', None),
    ],
    ids=["text", "array", "value", "version", "64 KiB", "empty", "binary", "UTF-16", "brackets", "nested", "NaN"],
)
def test_a_message_that_can_never_work_is_answered_once(stage: Stage, content: bytes, target: str | None) -> None:
    message_id = stage.send(content)

    (result,) = _results(stage, 1)

    assert result["id"] == message_id
    assert (result["status"], result["error"]["code"]) == ("Failed", "InvalidRequest")
    assert result["error"]["details"][0].get("target") == target
    assert stage.take(f"{stage.requests_queue}-poison") == []
    assert len(stage.simulator.requests) == 0


MISTAKES = {
    "twice": (base64.b64encode(base64.b64encode(b'{"recoveryType": "RestoreDisks"}')).decode(), "is base64 twice"),
    "bytes": (str(base64.b64encode(b'{"recoveryType": "RestoreDisks"}')), "send what its .decode() returns"),
    "UTF-16": (base64.b64encode('{"a": 1}'.encode("utf-16")).decode(), "is UTF-16: send UTF-8"),
    "lines": (base64.encodebytes(b'{"a": 1}' + b" " * 99).decode(), "send it in one line"),
    "text": ("restore vm-a, please", "neither a JSON object nor base64 of one"),
    "XML": ("<MessageText>{}</MessageText>", "begins with <, as XML does"),
    "empty": ("", "is empty"),
}


def test_the_answer_to_any_other_message_says_what_the_message_is(stage: Stage) -> None:
    told = {stage.put(text): sentence for text, sentence in MISTAKES.values()}

    results = _results(stage, len(told))

    assert {result["id"] for result in results} == set(told)
    for result in results:
        assert (result["status"], result["error"]["code"]) == ("Failed", "InvalidRequest")
        assert told[result["id"]] in result["error"]["message"]
    assert stage.take(f"{stage.requests_queue}-poison") == []


def test_plain_json_is_read_as_an_sdk_or_the_azure_cli_sends_it(stage: Stage) -> None:
    stage.put(
        "\ufeff" + json.dumps(a_request(requestId="plain", reason="größer"), ensure_ascii=False, indent=2) + "\r\n"
    )

    (result,) = _results(stage, 1)

    assert (result["status"], result["requestId"], result["reason"]) == ("Completed", "plain", "größer")


def test_an_id_with_white_space_around_it_is_the_same_vm(stage: Stage) -> None:
    stage.put(json.dumps(a_request(requestId="trimmed", sourceResourceId=f"{vm_id()}\r\n")))

    (result,) = _results(stage, 1)

    assert (result["status"], result["sourceResourceId"]) == ("Completed", vm_id())
    again = stage.post(a_request(requestId="trimmed"))
    assert (again.status_code, again.json()["id"]) == (200, result["id"])


def test_a_conflict_is_answered_without_touching_the_restore_that_owns_the_key(stage: Stage) -> None:
    restore_id = stage.post(a_request(requestId="owned")).json()["id"]
    stage.send(a_request(requestId="owned", reason="another"))

    results = _results(stage, 2)

    refused = next(result for result in results if result["status"] == "Failed")
    assert (refused["error"]["code"], refused["requestId"]) == ("RequestIdReused", "owned")
    assert refused["id"] != restore_id
    assert stage.finished(restore_id)["status"] == "Completed"


def test_a_restore_that_fails_is_a_message_as_well(stage: Stage) -> None:
    stage.send(a_request(sourceResourceId=vm_id("lonely-01")))

    (result,) = _results(stage, 1)

    assert (result["status"], result["error"]["code"]) == ("Failed", "NotProtected")


def test_a_message_that_fails_in_passing_is_retried_and_ends_in_poison(stage: Stage) -> None:
    stage.backend.stop()  # the task hub is out of reach, so nothing can be started
    stage.send(a_request(requestId="in-vain"))

    (poisoned,) = eventually(lambda: stage.take(f"{stage.requests_queue}-poison"))

    assert json.loads(base64.b64decode(poisoned))["requestId"] == "in-vain"
    assert stage.results() == []


def test_a_message_in_the_poison_queue_can_be_sent_again_unchanged(
    stage: Stage, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (json.dumps(a_request(sourceResourceId=vm_id(vm, "load-rg"))) for vm in ("load-005", "load-006"))
    stage.backend.stop()
    for text in (first, encoded(second)):
        stage.put(text)
    texts = list[str]()
    eventually(lambda: texts.extend(stage.take(f"{stage.requests_queue}-poison")) or len(texts) == 2)

    assert set(texts) == {first, encoded(second)}
    with staged(monkeypatch, azurite) as later:
        for text in texts:
            later.put(text)
        assert [result["status"] for result in _results(later, 2)] == ["Completed", "Completed"]


def test_a_second_message_about_a_vm_is_answered_as_a_conflict_while_the_first_restore_runs(stage: Stage) -> None:
    slow = a_request(sourceResourceId=vm_id("load-002", "load-rg"), targetResourceGroupId=None)
    stage.send({**slow, "requestId": "one"})
    eventually(lambda: stage.call("GET", "restores").json()["value"])
    stage.send({**slow, "requestId": "two"})

    told = {each["requestId"]: each for each in _results(stage, 2)}
    assert told["one"]["status"] == "Completed"
    assert (told["two"]["status"], told["two"]["error"]["code"]) == ("Failed", "RequestConflict")
    assert told["one"]["id"] in told["two"]["error"]["message"]
    assert stage.jobs_of("load-002") == 1


def test_a_restore_by_alert_leaves_a_message_with_its_decision(azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
    rules = {"rules": [{"name": "all", "restore": restore, "approval": {"required": True}}]}
    with staged(monkeypatch, azurite, AUTO_RESTORE_RULES=json.dumps(rules)) as stage:
        [decision] = stage.call("POST", "alerts", json=vm_down(vm_id())).json()["decisions"]
        stage.call("POST", f"restores/{decision['restoreId']}/reject", json={"by": "ada", "comment": "drill"})
        [result] = _results(stage, 1)

    assert (result["id"], result["startedBy"], result["status"]) == (decision["restoreId"], "alert", "Rejected")
    told = {name: result["approval"][name] for name in ("decision", "by", "comment")}
    assert told == {"decision": "Rejected", "by": "ada", "comment": "drill"}


def test_the_events_queue_gets_the_wait_for_an_approval_and_every_later_change(stage: Stage) -> None:
    restore_id = stage.post(a_request(approval={"required": True})).json()["id"]
    seen: dict[tuple[str, str], Json] = {}

    def is_there(name: str) -> Json | None:
        """Read on; one event may come twice, as its restore, name and time show."""
        seen.update(((event["event"], event["time"]), event) for event in stage.events())
        return next((event for (event_name, _), event in seen.items() if event_name == name), None)

    asked = eventually(lambda: is_there("AwaitingApproval"))
    assert asked["restore"]["id"] == restore_id
    assert asked["restore"]["recoveryPoint"]["id"]
    stage.call("POST", f"restores/{restore_id}/approve", json={"by": "ada"})
    ended = eventually(lambda: is_there("Completed"))

    assert [name for name, _ in seen] == ["Pending", "Running", "AwaitingApproval", "Running", "Completed"]
    (result,) = _results(stage, 1)
    assert ended["restore"] == result
    assert ended["time"] == result["completedTime"]


def test_a_message_that_never_became_a_restore_has_no_event(stage: Stage) -> None:
    stage.send(b"no json")

    (result,) = _results(stage, 1)

    assert result["status"] == "Failed"
    assert stage.events() == []
