"""The engine in a process of its own, the hosts that join it, and what it hands out again."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from local_host import engine, joined
from local_host.backend import IN_PROCESS, LocalBackend
from local_host.leases import Leases
from tests.integration.local_host.stage import Caller, calling, eventually
from tests.support.processes import Command, command
from tests.support.sample_app import sample_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_host.joined import JoinedEngine


@contextmanager
def backend(lease_s: float = 60) -> Iterator[LocalBackend]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    hub = LocalBackend(loop, lease_s=lease_s)
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class Worker:
    """A worker that does nothing but what the test has it do."""

    def __init__(self, hub: LocalBackend) -> None:
        self._channel = grpc.insecure_channel(hub.address)
        self.hub: Any = stubs.TaskHubSidecarServiceStub(self._channel)
        self._stream = self.hub.GetWorkItems(pb.GetWorkItemsRequest())

    def next(self) -> pb.WorkItem:
        return next(self._stream)

    def leave(self) -> None:
        """Break the stream, with what it was handed still open."""
        self._channel.close()


def calls_activity(item: pb.WorkItem, name: str = "a") -> pb.OrchestratorResponse:
    call = helpers.new_schedule_task_action(1, name, None, None)
    return pb.OrchestratorResponse(instanceId="i", actions=[call], completionToken=item.completionToken)


def result(item: pb.WorkItem, text: str) -> pb.ActivityResponse:
    return pb.ActivityResponse(
        instanceId="i",
        taskId=item.activityRequest.taskId,
        result=helpers.get_string_value(text),
        completionToken=item.completionToken,
    )


def begins_anew(item: pb.WorkItem) -> pb.OrchestratorResponse:
    end = helpers.new_complete_orchestration_action(2, pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, "null")
    return pb.OrchestratorResponse(instanceId="i", actions=[end], completionToken=item.completionToken)


def results(item: pb.WorkItem) -> list[str]:
    """Return the results of activities that a turn hears."""
    return [e.taskCompleted.result.value for e in item.orchestratorRequest.newEvents if e.HasField("taskCompleted")]


@pytest.fixture
def hub() -> Iterator[LocalBackend]:
    with backend() as hub:
        hub.StartInstance(pb.CreateInstanceRequest(name="o", instanceId="i"), IN_PROCESS)
        yield hub


@pytest.fixture
def worker(hub: LocalBackend) -> Iterator[Worker]:
    worker = Worker(hub)
    yield worker
    worker.leave()


@pytest.fixture
def successor(hub: LocalBackend) -> Iterator[Callable[[], Worker]]:
    """Makes a worker that comes after another."""
    made = list[Worker]()

    def make() -> Worker:
        eventually(lambda: not hub._leases._streams)
        made.append(Worker(hub))
        return made[-1]

    yield make
    for each in made:
        each.leave()


class TestWhatAWorkerTookAlong:
    def test_a_turn_is_handed_out_again(self, worker: Worker, successor: Callable[[], Worker]) -> None:
        first = worker.next()
        worker.leave()

        again = successor().next()

        assert again.orchestratorRequest == first.orchestratorRequest
        assert again.completionToken != first.completionToken

    def test_an_activity_is_handed_out_again(self, worker: Worker, successor: Callable[[], Worker]) -> None:
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        first = worker.next()
        worker.leave()

        assert successor().next().activityRequest == first.activityRequest

    def test_an_entitys_batch_is_handed_out_again(
        self, hub: LocalBackend, worker: Worker, successor: Callable[[], Worker]
    ) -> None:
        worker.next()
        hub.SignalEntity(pb.SignalEntityRequest(instanceId="@e@1", name="add", requestId="r"), IN_PROCESS)
        first = worker.next()
        worker.leave()
        other = successor()
        again = next(item for item in (other.next(), other.next()) if item.HasField("entityRequestV2"))
        assert again.entityRequestV2 == first.entityRequestV2

        late, done = (
            pb.EntityBatchResult(entityState=helpers.get_string_value(text), completionToken=item.completionToken)
            for text, item in (('"late"', first), ('"done"', again))
        )
        other.hub.CompleteEntityTask(late)
        other.hub.CompleteEntityTask(done)
        other.hub.CompleteEntityTask(late)

        found = hub.GetEntity(pb.GetEntityRequest(instanceId="@e@1", includeState=True), IN_PROCESS)
        assert found.entity.serializedState.value == '"done"'

    def test_what_it_finished_is_not(self, hub: LocalBackend, worker: Worker, successor: Callable[[], Worker]) -> None:
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        finished = worker.next()
        worker.hub.CompleteActivityTask(result(finished, "done"))
        hub._expire(finished.completionToken)
        worker.leave()

        assert results(successor().next()) == ["done"]

    def test_a_result_that_comes_late_is_dropped(self, worker: Worker, successor: Callable[[], Worker]) -> None:
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        first = worker.next()
        worker.leave()
        other = successor()
        again = other.next()

        other.hub.CompleteActivityTask(result(first, "late"))
        other.hub.CompleteActivityTask(result(again, "in time"))

        assert results(other.next()) == ["in time"]

    def test_a_result_for_an_earlier_execution_is_dropped(self, hub: LocalBackend, worker: Worker) -> None:
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        first = worker.next()
        hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"), IN_PROCESS)
        worker.hub.CompleteOrchestratorTask(begins_anew(worker.next()))
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        second = worker.next()
        assert second.activityRequest.taskId == first.activityRequest.taskId

        worker.hub.CompleteActivityTask(result(first, "of the first"))
        worker.hub.CompleteActivityTask(result(second, "of the second"))

        assert results(worker.next()) == ["of the second"]

    def test_a_turn_that_comes_late_is_dropped(
        self, hub: LocalBackend, worker: Worker, successor: Callable[[], Worker]
    ) -> None:
        first = worker.next()
        worker.leave()
        other = successor()
        again = other.next()

        other.hub.CompleteOrchestratorTask(calls_activity(first, "late"))
        other.hub.CompleteOrchestratorTask(calls_activity(again, "in time"))

        assert other.next().activityRequest.name == "in time"
        assert not hub._activity_queue

    def test_what_reaches_a_stream_as_it_breaks_comes_back(self) -> None:
        leases = Leases()
        broken, other = leases.open_stream(), leases.open_stream()
        leases.close_stream(broken)

        leases.hand_out(pb.WorkItem(), broken, token="its own")

        assert [item.completionToken for item in leases.hand_out_again(other)] == ["hand-out-4"]


def test_work_whose_lease_has_ended_is_handed_out_again() -> None:
    with backend(lease_s=0.5) as hub:
        hub.StartInstance(pb.CreateInstanceRequest(name="o", instanceId="i"), IN_PROCESS)
        worker = Worker(hub)
        first = worker.next()
        hub._lease_s = None
        again = worker.next()
        worker.hub.CompleteOrchestratorTask(calls_activity(first, "late"))
        worker.hub.CompleteOrchestratorTask(calls_activity(again, "in time"))

        assert again.orchestratorRequest == first.orchestratorRequest
        assert worker.next().activityRequest.name == "in time"
        worker.leave()


@pytest.fixture(scope="module")
def joined_host() -> Iterator[Caller]:
    with command("local_host.engine") as engine, calling(engine=engine.address) as caller:
        yield caller


class TestAHostThatJoins:
    @pytest.fixture
    def call(self, joined_host: Caller) -> Caller:
        return joined_host

    def test_runs_orchestrations_activities_and_entities(self, call: Caller) -> None:
        assert call.run("family", ["a", "b"]) == ["hello a", "hello b", "hello parent"]
        assert call.run("tally", "one")[0] == 5
        assert call("GET", "/api/count/one").json() == 5
        assert "it broke" in call.run("brittle", "it broke")["message"]

    def test_answers_the_webhooks(self, call: Caller) -> None:
        waiting = call.start("approve", {"seconds": 60})
        assert call("POST", f"{call.hub}/{waiting}/suspend").status_code == 202
        assert call("POST", f"{call.hub}/{waiting}/resume").status_code == 202
        assert call("POST", f"{call.hub}/{waiting}/raiseEvent/decision", json="yes").status_code == 202

        assert call.finished(waiting)["output"] == "yes"
        history = call("GET", f"{call.hub}/{waiting}", params={"showHistory": "true"}).json()["historyEvents"]
        assert history[-1]["EventType"] == "ExecutionCompleted"
        assert waiting in {each["instanceId"] for each in call("GET", call.hub).json()}
        assert call("POST", f"{call.hub}/{waiting}/terminate").status_code == 410
        assert call("DELETE", f"{call.hub}/{waiting}").json() == {"instancesDeleted": 1}
        assert call("GET", f"{call.hub}/{waiting}").status_code == 404

    def test_does_not_hear_results_for_an_earlier_execution(self, call: Caller, let_go: threading.Event) -> None:
        instance = call.start("impatient", 0)
        eventually(lambda: call.status(instance)["runtimeStatus"] == "Running")
        call("POST", f"{call.hub}/{instance}/raiseEvent/go", json=None, headers={"Content-Type": "application/json"})
        eventually(lambda: call.status(instance)["input"] == 1 and call.status(instance)["runtimeStatus"] == "Running")
        let_go.set()
        call.run("greet", "meanwhile")
        call("POST", f"{call.hub}/{instance}/raiseEvent/answer", json="the right one")

        assert call.finished(instance)["output"] == "the right one"


class HeldRelease:
    """What the activity ``hold`` waits for; tells when it does."""

    def __init__(self) -> None:
        self.begun, self.let_go = threading.Event(), threading.Event()

    def wait(self, timeout: float) -> None:
        self.begun.set()
        self.let_go.wait(timeout)


def test_a_host_that_stops_finishes_what_it_has_begun_and_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    release = HeldRelease()
    monkeypatch.setattr(sample_functions, "release", release)
    with backend() as hub:
        with calling(engine=hub.address) as call:
            call.start("held", instance_id="i")
            assert release.begun.wait(20)
            stopping = cast("JoinedEngine", call.host.backend)._stopping
            threading.Thread(target=lambda: stopping.wait(20) and release.let_go.set()).start()
        worker = Worker(hub)

        assert results(worker.next()) == ['"held"']
        worker.leave()


def test_a_host_outlives_an_engine_that_is_gone(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joined, "_PAUSE_S", 0.05)
    with command("local_host.engine") as engine, calling(engine=engine.address) as call:
        call.run("greet", "Ada")
        engine.kill()
        eventually(lambda: "is gone" in caplog.text)

        assert call("GET", f"{call.hub}/x").status_code == 500
        assert call("GET", "/api/anything").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_engine_says_where_it_listens_and_stops_when_told(number: signal.Signals) -> None:
    process = Command("local_host.engine", "--port", "0", "--lease-seconds", "5")

    assert process.said == f"engine listening on {process.address}"
    assert process.address.startswith("127.0.0.1:")
    assert process.stop(number) == 0


def test_an_engine_on_a_taken_port_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with backend() as hub:
        port = hub.address.rpartition(":")[2]

        assert engine.main(["--port", port]) == 1

    assert capsys.readouterr().err == f"engine: cannot listen on 127.0.0.1:{port}\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--lease-seconds", "0"], "0 is no time; give seconds above 0"),
        (["--lease-seconds", "soon"], "soon is no time"),
        (["--port", "x"], "x is no port"),
    ],
)
def test_a_wrong_option_of_the_engine_is_one_line(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        engine.main(options)

    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert err.startswith("engine: ")
    assert told in err
    assert err.count("\n") == 1
