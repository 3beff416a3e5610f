"""Recoveries through the whole app, on the simulator: started, watched, listed, told what to do, and refused."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from local_host.azure_like import AzureLikeBackend
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, Stage, eventually, staged, vm_id
from triggers.list_entries import RECOVERIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from durabletask.internal.orchestrator_service_pb2 import CreateInstanceRequest

    from domain.errors import Json

ENDED = {"Completed", "CompletedWithWarnings", "Failed", "Cancelled", "Planned"}
RESTORE = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-{{resourceGroup}}",
}
UNPROTECTED = vm_id("lonely-01")


def load(number: int) -> str:
    """Return the id of one of a hundred VMs that are alike."""
    return vm_id(f"load-{number:03d}", "load-rg")


def a_group(name: str, *vms: str, **members: Any) -> Json:
    return {"name": name, "sourceResourceIds": list(vms), **members}


def a_plan(*groups: Json, **members: Any) -> Json:
    return {"name": "inline", "restore": RESTORE, "groups": list(groups), **members}


SHOP = a_plan(
    a_group("database", load(1), load(2)),
    a_group("app", load(3), load(4), gate={"approval": {"timeout": "PT1H"}}),
    a_group("web", load(5), load(6), after=["app"], optional=True),
    name="Shop",
    maxRunning=2,
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    plans = json.dumps({"plans": [SHOP]})
    with pytest.MonkeyPatch.context() as patch, staged(patch, RECOVERY_PLANS=plans) as running:
        yield running


def start(stage: Stage, plan: str | Json, **members: Any) -> str:
    """Start a recovery; returns its id."""
    answer = stage.call("POST", "recoveries", json={"plan": plan, **members})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def shown(stage: Stage, recovery_id: str) -> Json:
    return stage.call("GET", f"recoveries/{recovery_id}").json()


def in_status(stage: Stage, recovery_id: str, *statuses: str) -> Json:
    """Return the recovery's document once it has one of these statuses."""

    def look() -> Json | None:
        document = shown(stage, recovery_id)
        return document if document["status"] in statuses else None

    return eventually(look, within_s=60)


def ended(stage: Stage, recovery_id: str) -> Json:
    return in_status(stage, recovery_id, *ENDED)


def group_in(stage: Stage, recovery_id: str, name: str, status: str) -> Json:
    """Return the recovery's document once a group has a status."""

    def look() -> Json | None:
        document = shown(stage, recovery_id)
        return document if {"name": name, "status": status}.items() <= groups_of(document)[name].items() else None

    return eventually(look, within_s=60)


def groups_of(document: Json) -> dict[str, Json]:
    return {group["name"]: group for group in document["groups"]}


def tell(stage: Stage, recovery_id: str, command: str, **body: Any) -> tuple[int, Json]:
    answer = stage.call("POST", f"recoveries/{recovery_id}/{command}", json=body)
    return answer.status_code, answer.json()


def members_of(stage: Stage, recovery_id: str, query: str = "top=200") -> list[Json]:
    """Return the members on all pages."""
    found: list[Json] = []
    link: str | None = f"recoveries/{recovery_id}/members?{query}"
    while link:
        page = stage.call("GET", link).json()
        found += page["value"]
        link = page.get("nextLink")
    return found


@pytest.fixture(scope="module")
def recovery_id(stage: Stage) -> str:
    """Carry out the plan of three groups over six virtual machines, the second group behind a gate."""
    recovery_id = start(stage, "shop", requestedBy="ada", reason="the bad day", requestId="bad-day")
    group_in(stage, recovery_id, "app", "AwaitingApproval")
    waiting = in_status(stage, recovery_id, "AwaitingApproval")
    assert [group["status"] for group in waiting["groups"]] == ["Completed", "AwaitingApproval", "Pending"]
    assert waiting["waiting"]["reason"] == "Approval"
    assert tell(stage, recovery_id, "approve", by="")[0] == 400
    status, approved = tell(stage, recovery_id, "approve", group="APP", by="bo", comment="go")
    assert status == 202
    assert groups_of(approved)["app"]["approval"]["by"] == "bo"
    assert tell(stage, recovery_id, "approve", group="app", by="bo")[0] == 202
    assert tell(stage, recovery_id, "reject", group="app", by="bo")[0] == 409
    ended(stage, recovery_id)
    return recovery_id


class TestAPlanOfThreeGroups:
    """Six virtual machines, the second group behind a gate, from the call to the end."""

    def test_all_groups_complete_and_the_document_says_when(self, stage: Stage, recovery_id: str) -> None:
        document = shown(stage, recovery_id)

        assert (document["status"], document["plan"], document["error"]) == ("Completed", "Shop", None)
        assert (document["requestedBy"], document["reason"], document["startedBy"]) == ("ada", "the bad day", "http")
        assert document["counts"] == {"Completed": 6}
        assert [group["counts"] for group in document["groups"]] == [{"Completed": 2}] * 3
        assert document["measured"]["rto"] is not None
        assert document["measured"]["rpo"]["worst"].startswith("P")
        assert document["links"].keys() == {"self", "members"}

    def test_each_group_starts_after_the_one_that_it_waits_for(self, stage: Stage, recovery_id: str) -> None:
        groups = shown(stage, recovery_id)["groups"]
        members = members_of(stage, recovery_id)
        restores = [stage.call("GET", member["links"]["restore"]).json() for member in members]

        assert [member["group"] for member in members] == ["database"] * 2 + ["app"] * 2 + ["web"] * 2
        for before, after in ((0, 2), (1, 3), (2, 4), (3, 5)):
            assert restores[before]["completedTime"] <= restores[after]["createdTime"]
        assert groups[0]["ended"] <= groups[1]["started"]

    def test_each_member_is_an_ordinary_restore_that_was_started_once(self, stage: Stage, recovery_id: str) -> None:
        members = members_of(stage, recovery_id)
        listed = {restore["id"]: restore for restore in stage.call("GET", "restores?top=1000").json()["value"]}

        assert [member["sourceResourceId"] for member in members] == [load(number) for number in range(1, 7)]
        for number, member in enumerate(members, start=1):
            restore = listed[member["restoreId"]]
            assert (restore["recoveryId"], restore["status"], restore["startedBy"]) == (
                *(recovery_id, "Completed"),
                "recovery",
            )
            assert (restore["requestedBy"], restore["reason"]) == ("ada", "the bad day")
            assert (member["status"], member["attempt"], member["error"]) == ("Completed", 1, None)
            assert member["recoveryPointTime"] == restore["recoveryPoint"]["time"]
            assert stage.jobs_of(f"load-{number:03d}") == 1

    def test_members_come_in_pages_and_by_group_and_status(self, stage: Stage, recovery_id: str) -> None:
        first = stage.call("GET", f"recoveries/{recovery_id}/members?top=4").json()

        assert [member["index"] for member in first["value"]] == [0, 1, 2, 3]
        assert [member["index"] for member in members_of(stage, recovery_id, "top=1")] == [0, 1, 2, 3, 4, 5]
        assert [member["index"] for member in members_of(stage, recovery_id, "group=WEB")] == [4, 5]
        assert members_of(stage, recovery_id, "status=Failed") == []

    @pytest.mark.parametrize("path", ["recoveries?top=1", "recoveries/{}", "recoveries/{}/members?top=2"])
    def test_what_the_caller_has_is_not_sent_again(self, stage: Stage, recovery_id: str, path: str) -> None:
        first = stage.call("GET", path.format(recovery_id))
        again = stage.call("GET", path.format(recovery_id), headers={"If-None-Match": f"W/{first.headers['ETag']}"})
        other = stage.call("GET", path.format(recovery_id), headers={"If-None-Match": '"other"'})

        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        assert (other.status_code, other.json()) == (200, first.json())

    def test_the_same_call_is_answered_with_this_recovery(self, stage: Stage, recovery_id: str) -> None:
        body = {"reason": "the bad day", "plan": "shop", "requestedBy": "ada", "requestId": "bad-day"}
        again = stage.call("POST", "recoveries", json=body)
        other = stage.call("POST", "recoveries", json={**body, "plan": "Shop"})

        assert (again.status_code, again.json()["id"], again.json()["status"]) == (200, recovery_id, "Completed")
        assert again.headers["Location"] == f"{stage.url}/api/recoveries/{recovery_id}"
        assert (other.status_code, other.json()["error"]["code"]) == (409, "RequestIdReused")

    @pytest.mark.parametrize("command", ["pause", "resume", "cancel", "retry", "skip", "reject"])
    def test_it_takes_no_command_any_more(self, stage: Stage, recovery_id: str, command: str) -> None:
        status, body = tell(stage, recovery_id, command, by="ada")

        assert (status, body["error"]["code"]) == (409, "RequestConflict")

    def test_it_is_listed_but_not_among_the_restores(self, stage: Stage, recovery_id: str) -> None:
        listed = stage.call("GET", "recoveries?status=completed").json()["value"]
        restores = stage.call("GET", "restores?top=1000").json()["value"]

        assert recovery_id in [document["id"] for document in listed]
        assert {document["status"] for document in listed} == {"Completed"}
        assert recovery_id not in [restore["id"] for restore in restores]
        assert stage.call("GET", f"restores/{recovery_id}").status_code == 404
        assert stage.call("GET", f"recoveries/{restores[0]['id']}").status_code == 404


def test_the_answer_to_a_start_says_where_to_look(stage: Stage) -> None:
    answer = stage.call("POST", "recoveries", json={"plan": a_plan(a_group("a", load(10))), "dryRun": True})

    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["Location"] == body["links"]["self"] == f"{stage.url}/api/recoveries/{body['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert body["status"] == "Pending"
    assert body["links"]["members"] == f"{body['links']['self']}/members"
    ended(stage, body["id"])


def test_twenty_calls_at_once_start_one_recovery(stage: Stage) -> None:
    body = {"plan": a_plan(a_group("a", load(11))), "requestId": "at-once"}
    with ThreadPoolExecutor(20) as many:
        answers = list(many.map(lambda _: stage.call("POST", "recoveries", json=body), range(20)))

    assert {answer.status_code for answer in answers} <= {200, 202}
    [recovery_id] = {answer.json()["id"] for answer in answers}
    assert ended(stage, recovery_id)["status"] == "Completed"
    assert stage.jobs_of("load-011") == 1
    listed = stage.call("GET", "recoveries?top=1000").json()["value"]
    assert [document["id"] for document in listed].count(recovery_id) == 1


def test_without_a_key_each_call_is_a_recovery_of_its_own(stage: Stage) -> None:
    plan = a_plan(a_group("a", load(12)))
    first, second = (start(stage, plan, dryRun=True) for _ in range(2))

    assert first != second
    assert {ended(stage, first)["status"], ended(stage, second)["status"]} == {"Planned"}
    listed = [document["id"] for document in stage.call("GET", "recoveries?top=2").json()["value"]]
    assert listed == [second, first]


def test_a_dry_run_names_the_order_and_the_members_that_would_fail(stage: Stage) -> None:
    plan = a_plan(a_group("a", load(13), UNPROTECTED, optional=True), a_group("b", load(14)), a_group("c", load(15)))
    before = len(stage.call("GET", "recoveries").json()["value"])

    document = ended(stage, start(stage, plan, dryRun=True))
    members = members_of(stage, document["id"])

    assert document["status"] == "Planned"
    assert document["result"]["order"] == [["a"], ["b"], ["c"]]
    assert [member["status"] for member in members] == ["Planned", "Failed", "Planned", "Planned"]
    assert members[1]["error"]["code"] == "NotProtected"
    assert [stage.jobs_of(f"load-{number:03d}") for number in (13, 14, 15)] == [0, 0, 0]
    assert len(stage.call("GET", "recoveries").json()["value"]) == before + 1


def test_a_failed_group_is_retried_and_what_waits_for_it_then_starts(stage: Stage) -> None:
    stage.simulator.world.set_faults("load-020", {"jobFailed": {"afterSeconds": 1}})
    recovery_id = start(stage, a_plan(a_group("a", load(20), load(21)), a_group("b", load(22))))
    failed = in_status(stage, recovery_id, "Failed")

    assert [group["status"] for group in failed["groups"]] == ["Failed", "Pending"]
    assert [member["status"] for member in members_of(stage, recovery_id)] == ["Failed", "Completed", "Pending"]
    stage.simulator.world.set_faults("load-020", {})
    assert tell(stage, recovery_id, "retry", group="b")[0] == 409
    assert tell(stage, recovery_id, "retry", group="a", by="ada")[0] == 202
    assert in_status(stage, recovery_id, "Completed")["counts"] == {"Completed": 3}
    assert [member["attempt"] for member in members_of(stage, recovery_id)] == [2, 1, 1]
    assert (stage.jobs_of("load-020"), stage.jobs_of("load-021")) == (2, 1)


def test_the_swap_of_a_member_is_approved_by_itself(stage: Stage) -> None:
    approval = {"required": True, "before": "Swap"}
    own = {"thenSwapDisks": {}, "approval": approval}
    recovery_id = start(stage, a_plan(a_group("swap", load(80), restore=own), a_group("next", load(81))))

    def waiting() -> Json | None:
        restores = stage.call("GET", f"restores?recoveryId={recovery_id}&status=AwaitingApproval").json()["value"]
        return restores[0] if restores else None

    restore = eventually(waiting, within_s=30)
    assert in_status(stage, recovery_id, "AwaitingApproval")["counts"] == {"AwaitingApproval": 1, "Pending": 1}
    assert groups_of(shown(stage, recovery_id))["next"]["status"] == "Pending"
    assert stage.call("POST", restore["links"]["approve"], json={"by": "ada"}).status_code == 202
    assert ended(stage, recovery_id)["counts"] == {"Completed": 2}
    assert stage.finished(restore["id"])["result"]["swap"]["state"] == "Swapped"


def test_a_failed_group_is_skipped(stage: Stage) -> None:
    recovery_id = start(stage, a_plan(a_group("a", UNPROTECTED), a_group("b", load(23))))
    in_status(stage, recovery_id, "Failed")

    assert tell(stage, recovery_id, "skip")[0] == 202

    document = in_status(stage, recovery_id, "CompletedWithWarnings")
    assert [group["status"] for group in document["groups"]] == ["Skipped", "Completed"]


def test_a_rejected_group_ends_the_recovery_as_failed_until_it_is_skipped(stage: Stage) -> None:
    gate = {"approval": {}}
    recovery_id = start(stage, a_plan(a_group("a", load(24), gate=gate), a_group("b", load(25))))
    group_in(stage, recovery_id, "a", "AwaitingApproval")

    assert tell(stage, recovery_id, "reject", by="ada", comment="not now")[0] == 202
    assert groups_of(in_status(stage, recovery_id, "Failed"))["a"]["status"] == "Rejected"
    assert tell(stage, recovery_id, "reject", by="ada")[0] == 202
    assert tell(stage, recovery_id, "approve", by="ada")[0] == 409
    assert tell(stage, recovery_id, "skip", group="a")[0] == 202
    in_status(stage, recovery_id, "CompletedWithWarnings")
    assert (stage.jobs_of("load-024"), stage.jobs_of("load-025")) == (0, 1)


def test_a_pause_lets_nothing_start_and_a_cancellation_ends_it(stage: Stage) -> None:
    stage.simulator.world.set_faults("load-030", {"jobSeconds": 600})
    recovery_id = start(stage, a_plan(a_group("a", load(30)), a_group("b", load(31))))
    in_status(stage, recovery_id, "Running")

    status, paused = tell(stage, recovery_id, "pause", by="ada")
    assert (status, paused["paused"]["by"]) == (202, "ada")
    in_status(stage, recovery_id, "Paused")
    assert tell(stage, recovery_id, "resume")[0] == 202
    in_status(stage, recovery_id, "Running")
    status, cancelled = tell(stage, recovery_id, "cancel", by="bo", comment="enough")
    assert (status, cancelled["cancellation"]["comment"]) == (202, "enough")
    document = in_status(stage, recovery_id, "Cancelled", "Completed", "Failed")

    assert [group["status"] for group in document["groups"]][1] == "Cancelled"
    assert stage.jobs_of("load-031") == 0
    assert tell(stage, recovery_id, "cancel", by="eve")[1]["cancellation"]["by"] == "bo"


def test_two_recoveries_that_share_a_vm_let_the_second_member_fail(stage: Stage) -> None:
    stage.simulator.world.set_faults("load-040", {"jobSeconds": 100_000})  # until it is cancelled
    first = start(stage, a_plan(a_group("a", load(40))))
    eventually(lambda: stage.jobs_of("load-040"))
    second = start(stage, a_plan(a_group("a", load(40))))

    document = in_status(stage, second, "Failed")
    [member] = members_of(stage, second)

    assert (member["status"], member["error"]["code"]) == ("Failed", "RequestConflict")
    assert "retry" in document["links"]
    tell(stage, first, "cancel")
    ended(stage, first)
    assert tell(stage, second, "cancel")[0] == 202


def test_members_whose_names_would_collide_start_nothing(stage: Stage) -> None:
    restore = {"targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/one"}
    body = {"plan": a_plan(a_group("a", vm_id("same"), vm_id("same", "other-rg"), restore=restore))}

    answer = stage.call("POST", "recoveries", json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["target"] == "plan.groups"


BAD: list[tuple[Any, int, str]] = [
    (b"", 400, "InvalidRequest"),
    (b"{", 400, "InvalidRequest"),
    (b'{"plan": "shop", "plan": "other"}', 400, "InvalidRequest"),
    (b'{"plan": NaN}', 400, "InvalidRequest"),
    (b'\xff\xfe{"plan"', 400, "InvalidRequest"),
    (b'{"plan": ' + b"[" * 100_000, 400, "InvalidRequest"),
    ([], 400, "InvalidRequest"),
    ("shop", 400, "InvalidRequest"),
    (None, 400, "InvalidRequest"),
    ({}, 400, "InvalidRequest"),
    ({"plan": None}, 400, "InvalidRequest"),
    ({"plan": "absent"}, 404, "NotFound"),
    ({"plan": "shop2"}, 404, "NotFound"),
    ({"plan": "../shop"}, 400, "InvalidRequest"),
    ({"plan": "shop", "dryrun": True}, 400, "InvalidRequest"),
    ({"plan": "shop", "dryRun": "no"}, 400, "InvalidRequest"),
    ({"plan": "shop", "approval": {"required": True}}, 400, "InvalidRequest"),
    ({"plan": "shop", "requestId": "a b"}, 400, "InvalidRequest"),
    ({"plan": "shop", "requestId": "x" * 81}, 400, "InvalidRequest"),
    ({"plan": "shop", "requestedBy": "a\u0000"}, 400, "InvalidRequest"),
    ({"plan": "shop", "recoveryPoint": {"id": "1"}}, 400, "InvalidRequest"),
    ({"plan": "shop", "recoveryPoint": {"notOlderThan": "two days"}}, 400, "InvalidRequest"),
    ({"plan": "shop", "sourceResourceId": load(1)}, 400, "InvalidRequest"),
    ({"plan": {}}, 400, "InvalidRequest"),
    ({"plan": a_plan()}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a"))}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", "web-01"))}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1)), name=None)}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1)), a_group("a", load(2)))}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1), after=["a"]))}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1), after=["b"]))}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1)), maxRunning=1001)}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1), gate={"approval": {"timeout": "P9999D"}}))}, 400, "InvalidRequest"),
    ({"plan": a_plan(a_group("a", load(1)), restore={**RESTORE, "recoveryType": "All"})}, 400, "InvalidRequest"),
    ({"plan": a_plan(*(a_group(f"g{number}", load(number)) for number in range(1, 52)))}, 400, "InvalidRequest"),
]


@pytest.mark.parametrize(("body", "status", "code"), BAD, ids=range(len(BAD)))
def test_a_bad_call_starts_nothing(stage: Stage, body: Any, status: int, code: str) -> None:
    before = Counter(document["id"] for document in stage.call("GET", "recoveries?top=1000").json()["value"])
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    answer = stage.call("POST", "recoveries", data=raw, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    after = Counter(document["id"] for document in stage.call("GET", "recoveries?top=1000").json()["value"])
    assert after == before


def test_plans_that_cannot_be_used_stop_neither_restores_nor_plans_inside_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with staged(monkeypatch, RECOVERY_PLANS='{"plans": [{"name": "shop"}]}') as stage:
        refused = stage.call("POST", "recoveries", json={"plan": "shop"})
        listed = stage.call("GET", "recovery-plans")
        health = stage.call("GET", "health").json()["recoveryPlans"]

        assert (refused.status_code, listed.status_code) == (503, 503)
        assert "plans[0].groups is needed" in refused.json()["error"]["message"]
        assert health == {"count": 0, "source": "setting", "problems": ["RECOVERY_PLANS: plans[0].groups is needed"]}
        assert stage.restore()["status"] == "Completed"
        assert ended(stage, start(stage, a_plan(a_group("a", load(1)))))["status"] == "Completed"


def test_a_recovery_is_listed_although_the_store_failed_when_its_entry_was_to_be_written() -> None:
    failed: list[str] = []
    start_instance = AzureLikeBackend.StartInstance

    def breaks_once(backend: AzureLikeBackend, request: CreateInstanceRequest, context: Any) -> Any:
        if request.instanceId.startswith(RECOVERIES) and not failed:
            failed.append(request.instanceId)
            context.abort(grpc.StatusCode.UNKNOWN, "the store does not answer")
        return start_instance(backend, request, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AzureLikeBackend, "StartInstance", breaks_once)
        with staged(patch) as stage:
            recovery_id = start(stage, a_plan(a_group("only", load(1))), dryRun=True)
            ended(stage, recovery_id)

            listed = eventually(lambda: stage.call("GET", "recoveries").json()["value"])

    assert [document["id"] for document in listed] == [recovery_id]
    assert len(failed) == 1
