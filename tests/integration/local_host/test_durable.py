from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import grpc
import pytest
from azure.durable_functions.internal.serialization import FunctionsDataConverter
from durabletask.client import TaskHubGrpcClient
from durabletask.entities import EntityInstanceId
from durabletask.internal import orchestrator_service_pb2 as pb

from local_host.backend import IN_PROCESS
from tests.integration.local_host.stage import Caller, calling, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def client(call: Caller) -> Iterator[TaskHubGrpcClient]:
    """A durable client as anyone may connect it."""
    with TaskHubGrpcClient(host_address=call.host.backend.address, data_converter=FunctionsDataConverter()) as client:
        yield client


def test_an_orchestration_waits_for_a_timer_and_calls_an_activity(call: Caller) -> None:
    assert call.run("greet", "Ada") == "hello Ada"


def test_names_are_found_in_any_case(call: Caller) -> None:
    assert call.run("GREET", "Ada") == "hello Ada"


def test_an_event_ends_a_wait(call: Caller) -> None:
    waiting = call.start("approve", {"seconds": 60})

    sent = call("POST", f"{call.hub}/{waiting}/raiseEvent/decision", json={"yes": True})

    assert sent.status_code == 202
    assert call.finished(waiting)["output"] == {"yes": True}


def test_a_timer_ends_a_wait(call: Caller) -> None:
    assert call.run("approve", {"seconds": 0.05}) == "late"


def test_a_timer_of_an_earlier_execution_is_not_heard(call: Caller) -> None:
    assert call.run("count_down", 2) >= 1.9


def test_a_result_for_an_earlier_execution_is_not_heard(call: Caller, let_go: threading.Event) -> None:
    instance = call.start("impatient", 0)
    eventually(lambda: call.status(instance)["runtimeStatus"] == "Running")

    call("POST", f"{call.hub}/{instance}/raiseEvent/go", json=None, headers={"Content-Type": "application/json"})
    eventually(lambda: call.status(instance)["input"] == 1 and call.status(instance)["runtimeStatus"] == "Running")
    let_go.set()
    call.run("greet", "meanwhile")
    call("POST", f"{call.hub}/{instance}/raiseEvent/answer", json="the right one")

    assert call.finished(instance)["output"] == "the right one"


def test_sub_orchestrations_run_side_by_side(call: Caller) -> None:
    assert call.run("family", ["a", "b", "c"]) == ["hello a", "hello b", "hello c", "hello parent"]


def test_many_results_at_once_are_all_counted(call: Caller) -> None:
    assert call.run("many", 60) == 60


def test_many_instances_at_once_all_end(call: Caller) -> None:
    started = [call.start("turns", 3) for _ in range(40)]

    assert [call.finished(each)["output"] for each in started] == [3] * 40


def test_a_failed_child_fails_in_its_parent(call: Caller) -> None:
    assert "nobody" in call.run("bad_family", {"child": "missing"})


def test_a_terminated_child_fails_in_its_parent(call: Caller) -> None:
    parent = call.start("bad_family", {"child": "approve", "input": {"seconds": 60}, "id": "terminated-child"})
    eventually(lambda: call("GET", f"{call.hub}/terminated-child").status_code == 202)

    call("POST", f"{call.hub}/terminated-child/terminate")

    assert "was terminated" in call.finished(parent)["output"]


def test_a_child_that_outlives_its_parent_tells_nobody(call: Caller) -> None:
    parent = call.start("bad_family", {"child": "approve", "input": {"seconds": 60}, "id": "orphan"})
    eventually(lambda: call("GET", f"{call.hub}/orphan").status_code == 202)
    call("POST", f"{call.hub}/{parent}/terminate")
    call.finished(parent)

    call("POST", f"{call.hub}/orphan/raiseEvent/decision", json="late")

    assert call.finished("orphan")["output"] == "late"


@pytest.mark.parametrize(("given", "message"), [("it broke", "it broke"), ("", "ValueError")])
def test_a_failed_activity_has_a_type_and_always_a_message(call: Caller, given: str, message: str) -> None:
    assert call.run("brittle", given) == {"type": "builtins.ValueError", "message": message}


@pytest.mark.parametrize(
    ("orchestrator", "told"), [("missing", "no activityTrigger function 'nobody'"), ("unheard", "'unheard'")]
)
def test_functions_the_app_lacks_fail_the_orchestration(call: Caller, orchestrator: str, told: str) -> None:
    ended = call.finished(call.start(orchestrator))

    assert ended["runtimeStatus"] == "Failed"
    assert told in ended["output"]


def test_an_activity_may_be_a_coroutine_and_return_nothing(call: Caller) -> None:
    assert call.run("hollow") is None


def test_queue_outputs_are_dropped_when_queues_are_off(call: Caller) -> None:
    assert call.run("publish", {"a": 1}) == "published"


def test_an_entity_is_called_signalled_and_read(call: Caller, client: TaskHubGrpcClient) -> None:
    total, refusal = call.run("tally", "one")
    assert total == 5
    assert "no operation refuse" in refusal

    client.signal_entity(
        EntityInstanceId("Counter", "one"),
        "add",
        input={"mark": "later", "number": 7},
        signal_time=datetime.now(UTC) + timedelta(milliseconds=50),
    )

    eventually(lambda: call("GET", "/api/count/one").json() == 12)


def test_an_entity_that_the_app_lacks_fails_its_caller(call: Caller) -> None:
    ended = call.finished(call.start("lost_entity"))

    assert "no entityTrigger function 'nobody'" in ended["output"]


def test_an_id_is_free_again_once_its_instance_has_ended(call: Caller, client: TaskHubGrpcClient) -> None:
    call.finished(call.start("greet", "first", instance_id="again"))
    call.start("approve", {"seconds": 60}, instance_id="again")
    client.wait_for_orchestration_start("again", timeout=10)  # as in Azure, one that is pending is started anew

    with pytest.raises(grpc.RpcError) as refused:
        client.schedule_new_orchestration("greet", instance_id="again")

    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS


def test_a_client_waits_for_the_end(client: TaskHubGrpcClient) -> None:
    ended = client.wait_for_orchestration_completion(
        client.schedule_new_orchestration("greet", input="Ada"), timeout=10
    )

    assert ended
    assert ended.serialized_output == '"hello Ada"'


def test_four_mebibytes_are_the_most_between_client_and_task_hub(
    call: Caller, client: TaskHubGrpcClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(call.run("greet", "x" * 4_000_000)) == 4_000_006

    assert call("POST", "/api/start/greet", json="x" * 4_200_000).status_code == 500
    assert "RESOURCE_EXHAUSTED" in caplog.text
    with pytest.raises(grpc.RpcError, match="RESOURCE_EXHAUSTED"):
        client.schedule_new_orchestration("greet", input="x" * 4_200_000)


def test_a_host_stops_while_clients_wait_and_functions_run(
    let_go: threading.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("local_host.server._STOP_GRACE_S", 0.05)
    refused = list[grpc.RpcError]()

    def wait_for(address: str, instance: str) -> None:
        with TaskHubGrpcClient(host_address=address) as client, pytest.raises(grpc.RpcError) as error:
            client.wait_for_orchestration_completion(instance, timeout=60)
        refused.append(error.value)

    with calling() as call:
        held = call.start("held")
        waiter = threading.Thread(target=wait_for, args=(call.host.backend.address, held))
        waiter.start()
        eventually(lambda: call.host.backend._state_waiters)
        eventually(lambda: call.status(held)["runtimeStatus"] == "Running")

    waiter.join()
    assert refused
    assert "no longer waited for: hold" in caplog.text
    let_go.set()


def test_a_host_leaves_no_thread_behind() -> None:
    def threads() -> set[threading.Thread]:
        # The SDK's own pool and gRPC's poller serve the whole process.
        ours = (thread for thread in threading.enumerate() if "durable-functions" not in thread.name)
        return {thread for thread in ours if "_poll_wrapper" not in thread.name}

    before = threads()
    with calling() as call:
        call.run("family", ["a"])
        call("GET", "/api/count/nobody")
        call.start("approve", {"seconds": 600})

    eventually(lambda: threads() <= before)


def test_a_call_in_process_that_the_task_hub_refuses_raises(call: Caller) -> None:
    with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
        call.host.backend.RaiseEvent(pb.RaiseEventRequest(instanceId="nobody", name="x"), IN_PROCESS)
