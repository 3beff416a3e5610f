"""The engine in a process of its own, the hosts that join it, and what it hands out again."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from durabletask.internal import orchestrator_service_pb2 as pb

from local_host import engine, joined
from local_host.backend import IN_PROCESS
from local_host.leases import Leases
from tests.integration.local_host.stage import Caller, calling, eventually
from tests.integration.local_host.worker import (
    Worker,
    backend,
    begins_anew,
    calls_activity,
    calls_entity,
    result,
    results,
)
from tests.support.processes import Command, command
from tests.support.sample_app import sample_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_host.backend import LocalBackend
    from local_host.joined import JoinedEngine


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

    def test_an_activity_fails_as_the_extension_tells_it(self, worker: Worker, successor: Callable[[], Worker]) -> None:
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        worker.next()
        worker.leave()

        heard = successor().next().orchestratorRequest.newEvents
        failed = next(event.taskFailed for event in heard if event.HasField("taskFailed"))
        assert failed.taskScheduledId == 1
        assert failed.failureDetails.errorMessage == "Exception while executing function: a"
        assert failed.failureDetails.innerFailure.errorMessage == "python exited with code 137 (0x89)"

    def test_a_call_to_an_entity_fails_and_the_entity_is_as_before(
        self, hub: LocalBackend, worker: Worker, successor: Callable[[], Worker]
    ) -> None:
        worker.hub.CompleteOrchestratorTask(calls_entity(worker.next()))
        assert worker.next().HasField("entityRequestV2")
        worker.leave()

        heard = successor().next().orchestratorRequest.newEvents
        failed = next(event.entityOperationFailed for event in heard if event.HasField("entityOperationFailed"))
        assert failed.requestId == "r"
        assert "python exited" in failed.failureDetails.innerFailure.errorMessage
        found = hub.GetEntity(pb.GetEntityRequest(instanceId="@e@1", includeState=True), IN_PROCESS)
        assert not found.entity.serializedState.value

    def test_a_signal_to_an_entity_comes_again_after_some_seconds(
        self,
        hub: LocalBackend,
        worker: Worker,
        successor: Callable[[], Worker],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("local_host.backend._SIGNALED_AGAIN", timedelta(seconds=0.05))
        worker.hub.CompleteOrchestratorTask(calls_activity(worker.next()))
        worker.next()
        hub.SignalEntity(pb.SignalEntityRequest(instanceId="@e@1", name="add", requestId="r"), IN_PROCESS)
        first = worker.next().entityRequestV2
        worker.leave()
        other = successor()

        items = [other.next(), other.next()]
        assert first in [item.entityRequestV2 for item in items if item.HasField("entityRequestV2")]

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
        turn = other.next()

        other.hub.CompleteActivityTask(result(first, "late"))
        other.hub.CompleteOrchestratorTask(calls_activity(turn, number=2))
        other.hub.CompleteActivityTask(result(other.next(), "in time"))

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

    def test_what_reaches_a_stream_as_it_breaks_is_lost_with_it(self) -> None:
        leases = Leases()
        stream = leases.open_stream()
        leases.close_stream(stream)
        item = leases.hand_out(pb.WorkItem(), stream, token="its own")

        assert not leases.is_open(stream)
        assert [lost.item for lost in leases.close_stream(stream)] == [item]


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
        assert waiting in {each["instanceId"] for each in call.instances()}
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
