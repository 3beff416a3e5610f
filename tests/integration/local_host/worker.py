"""An engine without hosts, and a worker that does nothing but what the test has it do."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from local_host.azure_like import NoFaults
from local_host.backend import LocalBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_host.azure_like import Faults


@contextmanager
def backend(lease_s: float = 60, faults: Faults | None = None) -> Iterator[LocalBackend]:
    """Run an engine for as long as the block lasts; no fault strikes unless given."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    hub = LocalBackend(loop, lease_s=lease_s, faults=faults or NoFaults())
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


def does(item: pb.WorkItem, *actions: pb.OrchestratorAction) -> pb.OrchestratorResponse:
    instance_id = item.orchestratorRequest.instanceId
    return pb.OrchestratorResponse(instanceId=instance_id, actions=actions, completionToken=item.completionToken)


def calls_activity(item: pb.WorkItem, name: str = "a", number: int = 1) -> pb.OrchestratorResponse:
    return does(item, helpers.new_schedule_task_action(number, name, None, None))


def calls_entity(item: pb.WorkItem, request_id: str = "r", operation: str = "add") -> pb.OrchestratorResponse:
    call = pb.EntityOperationCalledEvent(
        requestId=request_id,
        operation=operation,
        targetInstanceId=helpers.get_string_value("@e@1"),
        parentInstanceId=helpers.get_string_value(item.orchestratorRequest.instanceId),
    )
    message = pb.SendEntityMessageAction(entityOperationCalled=call)
    return does(item, pb.OrchestratorAction(id=1, sendEntityMessage=message))


def result(item: pb.WorkItem, text: str) -> pb.ActivityResponse:
    return pb.ActivityResponse(
        instanceId=item.activityRequest.orchestrationInstance.instanceId,
        taskId=item.activityRequest.taskId,
        result=helpers.get_string_value(text),
        completionToken=item.completionToken,
    )


def begins_anew(item: pb.WorkItem) -> pb.OrchestratorResponse:
    end = helpers.new_complete_orchestration_action(2, pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW, "null")
    return does(item, end)


def results(item: pb.WorkItem) -> list[str]:
    """Return the results of activities that a turn hears."""
    return [e.taskCompleted.result.value for e in item.orchestratorRequest.newEvents if e.HasField("taskCompleted")]
