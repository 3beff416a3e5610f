"""What the local host's engine does as Azure's does; test_hub.py has what it shares with the tests' own engine."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, override

import grpc
import pytest
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb

from local_host.azure_like import Faults, NoFaults
from local_host.backend import IN_PROCESS, MAX_MESSAGE, LocalBackend
from local_host.durable import client_config
from tests.integration.local_host.worker import Worker, backend, calls_activity, calls_entity, does, result, results

if TYPE_CHECKING:
    from collections.abc import Iterator


class Always(NoFaults):
    """Some kinds of faults, each time."""

    def __init__(self, *kinds: str) -> None:
        super().__init__()
        self._kinds = kinds

    @override
    def defers_start(self, name: str, instance_id: str) -> bool:
        return "defers" in self._kinds

    @override
    def repeats_turn(self, name: str, instance_id: str) -> bool:
        return "turns" in self._kinds

    @override
    def repeats_operation(self, entity_id: str, operation: str) -> bool:
        return "operations" in self._kinds


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[LocalBackend]:
    """An engine with the faults that the test is marked with, and a started instance."""
    with backend(faults=getattr(request, "param", NoFaults())) as hub:
        start(hub, "i")
        yield hub


@pytest.fixture
def worker(hub: LocalBackend) -> Iterator[Worker]:
    worker = Worker(hub)
    yield worker
    worker.leave()


def start(hub: LocalBackend, instance_id: str, data: str = "1") -> None:
    request = pb.CreateInstanceRequest(name="o", instanceId=instance_id, input=helpers.get_string_value(data))
    hub.StartInstance(request, IN_PROCESS)


def row(hub: LocalBackend, instance_id: str = "i") -> pb.OrchestrationState:
    return hub.GetInstance(
        pb.GetInstanceRequest(instanceId=instance_id, getInputsAndOutputs=True), IN_PROCESS
    ).orchestrationState


def raises(hub: LocalBackend, name: str) -> None:
    hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name=name), IN_PROCESS)


def ends(item: pb.WorkItem, status: pb.OrchestrationStatus, text: str) -> pb.OrchestratorResponse:
    failure = pb.TaskFailureDetails(errorType="E", errorMessage=text) if status == FAILED else None
    return does(item, helpers.new_complete_orchestration_action(9, status, text, failure))


FAILED, COMPLETED = pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_COMPLETED
strikes = pytest.mark.parametrize


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(0.9, 0.0, 0.8), (1.9, 0.9, 1.8)])
def test_a_timer_comes_up_to_a_second_early(
    hub: LocalBackend, worker: Worker, asked_s: float, least_s: float, most_s: float
) -> None:
    fire_at = datetime.now(UTC) + timedelta(seconds=asked_s)
    begun = time.monotonic()
    worker.hub.CompleteOrchestratorTask(does(worker.next(), helpers.new_create_timer_action(1, fire_at)))
    fired = worker.next().orchestratorRequest.newEvents[-1].timerFired

    assert least_s <= time.monotonic() - begun < most_s
    assert fired.fireAt.ToDatetime(tzinfo=UTC) == fire_at
    assert hub.awaits("i", 1)


def test_the_error_of_a_failed_instance_is_its_output_and_has_no_details(hub: LocalBackend, worker: Worker) -> None:
    worker.hub.CompleteOrchestratorTask(ends(worker.next(), FAILED, "no disk"))

    assert (row(hub).output.value, row(hub).HasField("failureDetails")) == ("E: no disk", False)


def test_an_event_to_an_instance_that_has_ended_is_refused(hub: LocalBackend, worker: Worker) -> None:
    worker.hub.CompleteOrchestratorTask(ends(worker.next(), COMPLETED, "1"))

    with pytest.raises(grpc.RpcError) as refused:
        worker.hub.RaiseEvent(pb.RaiseEventRequest(instanceId="i", name="go"))
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert hub.generation("i") == 1


def test_a_page_above_a_thousand_is_refused_over_the_wire(hub: LocalBackend, worker: Worker) -> None:
    query = pb.InstanceQuery(maxInstanceCount=2**31 - 1)

    with pytest.raises(grpc.RpcError) as refused:
        worker.hub.QueryInstances(pb.QueryInstancesRequest(query=query))
    assert refused.value.code() == grpc.StatusCode.UNKNOWN
    assert row(hub).input.value == "1"


def test_of_two_starts_at_once_both_succeed_and_the_first_runs(hub: LocalBackend, worker: Worker) -> None:
    start(hub, "i", "2")
    turn = worker.next()
    start(hub, "i", "3")
    worker.hub.CompleteOrchestratorTask(calls_activity(turn))

    with pytest.raises(grpc.RpcError, match="ALREADY_EXISTS"):
        start(hub, "i", "4")
    assert row(hub).input.value == "1"


@strikes("hub", [Always("defers")], indirect=True)
def test_a_deferred_start_is_pending_for_two_seconds_and_events_to_it_are_lost(
    hub: LocalBackend, worker: Worker
) -> None:
    begun = time.monotonic()
    raises(hub, "lost")
    assert row(hub).orchestrationStatus == pb.ORCHESTRATION_STATUS_PENDING
    turn = worker.next().orchestratorRequest
    raises(hub, "heard")

    assert time.monotonic() - begun > 1.8
    assert [event.WhichOneof("eventType") for event in turn.newEvents] == ["orchestratorStarted", "executionStarted"]
    started = turn.newEvents[0].timestamp.ToDatetime(tzinfo=UTC)
    assert started - row(hub).createdTimestamp.ToDatetime(tzinfo=UTC) > timedelta(seconds=1.8)


@strikes("hub", [Always("turns")], indirect=True)
def test_a_turn_is_run_twice_its_messages_leave_twice_and_one_result_is_heard(
    hub: LocalBackend, worker: Worker
) -> None:
    first = worker.next()
    worker.hub.CompleteOrchestratorTask(calls_activity(first))
    of_first, second = worker.next(), worker.next()
    worker.hub.CompleteActivityTask(result(of_first, "of the first run"))
    assert [event.WhichOneof("eventType") for event in hub._instances["i"].history] == []
    worker.hub.CompleteOrchestratorTask(calls_activity(second))
    heard, of_second = sorted((worker.next(), worker.next()), key=lambda item: item.HasField("activityRequest"))
    worker.hub.CompleteActivityTask(result(of_second, "of the second run"))
    worker.hub.CompleteOrchestratorTask(does(heard))
    worker.hub.CompleteOrchestratorTask(does(worker.next()))

    assert second.orchestratorRequest.pastEvents == first.orchestratorRequest.pastEvents
    times = [each.orchestratorRequest.newEvents[0].timestamp.ToDatetime() for each in (first, second)]
    assert times[1] - times[0] >= timedelta(seconds=0.03)
    assert results(heard) == ["of the first run"]
    assert not hub._instances["i"].pending_events


@strikes("hub", [Always("turns")], indirect=True)
def test_the_result_of_an_activity_that_only_the_first_run_asked_for_is_dropped(
    hub: LocalBackend, worker: Worker
) -> None:
    worker.hub.CompleteOrchestratorTask(calls_activity(worker.next(), number=7))
    of_first, second = worker.next(), worker.next()
    worker.hub.CompleteActivityTask(result(of_first, "of the first run"))
    worker.hub.CompleteOrchestratorTask(does(second))

    assert not hub._instances["i"].pending_events


@strikes("hub", [Always("operations")], indirect=True)
def test_an_entitys_operation_comes_twice_and_its_caller_hears_one_answer(hub: LocalBackend, worker: Worker) -> None:
    worker.hub.CompleteOrchestratorTask(calls_entity(worker.next()))
    batch = worker.next()
    infos = helpers.convert_to_entity_batch_request(batch.entityRequestV2)[1]
    answers = [pb.OperationResult(success=pb.OperationResultSuccess(result=helpers.get_string_value(n))) for n in "12"]
    worker.hub.CompleteEntityTask(
        pb.EntityBatchResult(results=answers, operationInfos=infos, completionToken=batch.completionToken)
    )
    heard = worker.next().orchestratorRequest.newEvents

    assert len(batch.entityRequestV2.operationRequests) == 2
    told = [
        event.entityOperationCompleted.output.value for event in heard if event.HasField("entityOperationCompleted")
    ]
    assert told == ["1"]
    assert hub.awaits("i", 1)


def test_faults_strike_by_count() -> None:
    faults = Faults()

    assert [faults.defers_start("o", str(number)) for number in range(8)] == [False, False, False, True] * 2
    assert sum(faults.repeats_turn("o", "i") for _ in range(70)) == 10
    assert sum(faults.repeats_operation("@e@1", "add") for _ in range(30)) == 10


def test_a_client_is_told_how_much_a_message_may_hold() -> None:
    assert f'"maxGrpcMessageSizeInBytes": {4 * 1024 * 1024}' in client_config("127.0.0.1:1", "http://127.0.0.1:2", "h")
    assert MAX_MESSAGE == 4 * 1024 * 1024
