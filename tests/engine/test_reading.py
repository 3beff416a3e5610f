"""What callers read: the list, restores that were ended by force or purged, ids that are none, a very long job."""

from __future__ import annotations

import uuid
from typing import cast

import grpc
import pytest
from durabletask.internal import orchestrator_service_pb2 as pb
from google.protobuf import wrappers_pb2

from tests.engine.stage import EngineStage, soon
from tests.integration.app_stage import ENDED

LOOKS = 120  # several histories' worth. The engine has no wait under a second: more would take the suite's five minutes
MOST_EVENTS = 1000  # of one history: what is read anew for each turn


def listed(stage: EngineStage, **query: str) -> list[str]:
    """Return the ids of all pages."""
    answer = stage.call("GET", "restores", params=query)
    ids: list[str] = []
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        ids += [document["id"] for document in page["value"]]
        if "nextLink" not in page:
            return ids
        answer = stage.call("GET", page["nextLink"])


def test_the_list_comes_in_pages_newest_first_and_names_each_restore_once(stage: EngineStage) -> None:
    started = [stage.start(stage.fresh_vm(), dryRun=True) for _ in range(7)]

    first = stage.call("GET", "restores", params={"top": "2"}).json()
    ids = listed(stage, top="2")

    assert len(first["value"]) == 2
    assert "nextLink" in first
    assert len(ids) == len(set(ids))
    assert [each for each in ids if each in started] == started[::-1]


def test_the_list_can_be_asked_for_one_vm_and_one_status(stage: EngineStage) -> None:
    vm = stage.fresh_vm()
    planned = stage.start(vm, dryRun=True)
    stage.finished(planned)
    completed = stage.start(vm, validate=False)
    stage.finished(completed)

    assert listed(stage, sourceResourceId=vm) == [completed, planned]
    assert listed(stage, sourceResourceId=vm, status="Planned") == [planned]
    assert completed in listed(stage, status="Completed")
    assert listed(stage, sourceResourceId=vm, status="Failed") == []


class TestTerminated:
    """A restore that the portal or the runbook has ended, with a reason in plain words."""

    @pytest.fixture(scope="class")
    @staticmethod
    def vm(stage: EngineStage) -> str:
        return stage.fresh_vm()

    @pytest.fixture(scope="class")
    @staticmethod
    def terminated(stage: EngineStage, vm: str) -> str:
        stage.simulator.world.set_faults(vm, {"jobSeconds": 1e6})
        restore_id = stage.decision(vm, "to-be-terminated")["restoreId"]
        stage.comes_to(restore_id, lambda document: document["phase"] == "TrackingJob")
        return end_by_force(stage, restore_id)

    def test_it_can_be_read(self, stage: EngineStage, terminated: str) -> None:
        document = stage.comes_to(terminated, lambda document: document["status"] in ENDED)

        assert document["id"] == terminated

    def test_the_list_can_be_read(self, stage: EngineStage, terminated: str) -> None:
        assert terminated in listed(stage)

    def test_its_alert_is_answered_when_it_comes_again(self, stage: EngineStage, vm: str, terminated: str) -> None:
        decision = stage.decision(vm, "to-be-terminated")

        assert (decision["decision"], decision.get("restoreId")) == ("Duplicate", terminated)

    def test_its_key_is_answered(self, stage: EngineStage) -> None:
        vm = stage.fresh_vm()
        stage.simulator.world.set_faults(vm, {"jobSeconds": 1e6})
        restore_id = stage.start(vm, requestId="terminated-key")
        stage.comes_to(restore_id, lambda document: document["phase"] == "TrackingJob")
        end_by_force(stage, restore_id)

        again = stage.post(vm, requestId="terminated-key")

        assert (again.status_code, again.json().get("id")) == (200, restore_id)


def end_by_force(stage: EngineStage, restore_id: str) -> str:
    answer = stage.manage(restore_id, "terminate", reason="stuck; ended by the runbook")
    assert answer.status_code == 202, answer.text
    terminated = pb.OrchestrationStatus.ORCHESTRATION_STATUS_TERMINATED
    question = pb.GetInstanceRequest(instanceId=restore_id)
    soon(lambda: stage.engine("GetInstance", question).orchestrationState.orchestrationStatus == terminated)
    return restore_id


def test_an_orchestration_that_has_failed_can_be_read_and_does_not_hide_the_list(stage: EngineStage) -> None:
    restore_id = str(uuid.uuid4())
    junk = wrappers_pb2.StringValue(value='"no restore"')
    stage.engine("StartInstance", pb.CreateInstanceRequest(instanceId=restore_id, name="restore_vm", input=junk))
    failed = pb.OrchestrationStatus.ORCHESTRATION_STATUS_FAILED
    question = pb.GetInstanceRequest(instanceId=restore_id)
    soon(lambda: stage.engine("GetInstance", question).orchestrationState.orchestrationStatus == failed)

    one, many = stage.call("GET", f"restores/{restore_id}"), stage.call("GET", "restores")
    soon(lambda: stage.manage(restore_id).status_code == 200)  # no other test is to read it

    assert one.status_code in {200, 404}, one.text
    assert many.status_code == 200, many.text


def test_a_restore_that_was_purged_is_gone_and_finds_its_job_when_it_is_asked_for_again(stage: EngineStage) -> None:
    vm = stage.fresh_vm()
    restore_id = stage.start(vm, requestId="purged-key", validate=False)
    before = stage.finished(restore_id)

    soon(lambda: stage.manage(restore_id).status_code == 200)  # refused until the orchestration has ended, too
    gone = stage.call("GET", f"restores/{restore_id}").status_code
    again = stage.start(vm, requestId="purged-key", validate=False)
    done = stage.finished(again)

    assert gone == 404
    assert (again, done["status"], done["jobId"]) == (restore_id, "Completed", before["jobId"])
    assert stage.posts(vm) == 1  # a key is one restore, for ever


@pytest.mark.parametrize("restore_id", ["'", "x' or PartitionKey ne 'x", "not-a-uuid", "%27%20or%20true%20or%20%27"])
def test_an_id_that_is_no_uuid_is_not_found(stage: EngineStage, restore_id: str) -> None:
    stage.finished(stage.start(stage.fresh_vm(), dryRun=True))

    answers = [
        stage.call("GET", f"restores/{restore_id}"),
        stage.call("POST", f"restores/{restore_id}/cancel", json={"by": "ada"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.timeout(300)
def test_a_job_that_is_asked_for_very_often_keeps_its_history_short(
    stage: EngineStage, long_job: tuple[str, str]
) -> None:
    vm, restore_id = long_job

    soon(lambda: len(stage.requests(vm, "get_job")) >= LOOKS, within_s=280)
    largest = max(turn.data["TotalEventCount"] for turn in stage.events.turns(restore_id))
    running = stage.seen(restore_id)
    stage.call("POST", f"restores/{restore_id}/cancel", json={"by": "ada"})
    done = stage.finished(restore_id)
    generations = {turn.data["ExecutionId"] for turn in stage.events.turns(restore_id)}

    assert len(generations) > 1
    assert largest < MOST_EVENTS
    assert (running["status"], running["phase"]) == ("Running", "TrackingJob")
    assert done["status"] == "Cancelled"
    assert stage.posts(vm) == 1


def test_the_engine_itself_refuses_to_purge_what_runs(stage: EngineStage) -> None:
    restore_id = stage.start(stage.fresh_vm(), approval={"required": True})
    stage.comes_to(restore_id, lambda document: document["status"] == "AwaitingApproval")

    with pytest.raises(grpc.RpcError) as caught:
        stage.engine("PurgeInstances", pb.PurgeInstancesRequest(instanceId=restore_id))

    stage.call("POST", f"restores/{restore_id}/cancel", json={"by": "ada"})
    assert cast("grpc.Call", caught.value).code() is grpc.StatusCode.FAILED_PRECONDITION


def test_history_is_purged_at_the_hosts_request_and_nothing_young_is(stage: EngineStage) -> None:
    restore_id = stage.start(stage.fresh_vm(), dryRun=True)
    stage.finished(restore_id)

    answer = stage.call("POST", f"{stage.instance.url}/admin/functions/purge_history", json={})

    assert answer.status_code == 202
    assert stage.seen(restore_id)["status"] == "Planned"
    assert restore_id in listed(stage)


def test_a_token_that_no_page_gave_is_refused(stage: EngineStage) -> None:
    answer = stage.call("GET", "restores", params={"continuationToken": "bm9uZQ=="})

    assert (answer.status_code, answer.json()["error"]["details"][0]["target"]) == (400, "continuationToken")
