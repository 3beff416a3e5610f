"""The local host's engine in the test's own process, so that the test can stop what passes through it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, override

from durabletask.internal import orchestrator_service_pb2 as pb

from domain.restore.calls import StartRestore
from local_host.azure_like import NoFaults
from local_host.backend import LocalBackend
from tests.support.azure import a_restore

if TYPE_CHECKING:
    from collections.abc import Iterator

    import grpc

    from tests.support.stops import Stops


class StoppedEngine(LocalBackend):
    """No fault strikes in it; it has stops on the way of each restore's trigger, named by the restore's ``requestId``:

    ``handed out``, before a worker gets it; ``looked up``, before its post is claimed; ``claimed``; ``answered``,
    before its result is taken; ``checkpoint``, before the turn that heard of the result is; ``stream``, before the
    worker that got it gets anything else.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stops: Stops, *, lease_s: float) -> None:
        super().__init__(loop, lease_s=lease_s, faults=NoFaults())
        self.stops = stops
        self.deliveries: Counter[str] = Counter()
        self.copies: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._triggers: dict[str, str] = {}
        self._answered: set[str] = set()

    def know(self, name: str) -> str:
        """Have a restore's stops named by its ``requestId``; returns the restore's id."""
        restore = a_restore(key=name)
        self._names[restore.restore_id] = self._names[restore.client_request_id] = name
        return restore.restore_id

    def end_lease(self, name: str) -> None:
        """Hand a restore's trigger out again, as the queue does when an instance has kept it for too long."""
        for token in [token for token, each in self._triggers.items() if each == name]:
            self._expire(token)

    @property
    def is_alone(self) -> bool:
        """Whether no worker is connected."""
        return not self._leases._streams

    @override
    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext) -> Iterator[pb.WorkItem]:
        for item in super().GetWorkItems(request, context):
            name = self._names.get(item.activityRequest.orchestrationInstance.instanceId)
            if name and item.activityRequest.name == StartRestore.name:
                self._triggers[item.completionToken] = name
                self.deliveries[name] += 1
                for _ in range(self.copies.pop(name, 0)):
                    self._leases.hand_back(self._leases._out[item.completionToken])
                self.stops.pass_by("handed out", name)
                yield item
                self.stops.pass_by("stream", name)
            else:
                yield item

    @override
    def StartInstance(
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        name = next((name for key, name in self._names.items() if request.instanceId.startswith(f"post-{key}")), "")
        if self.stops.pass_by("looked up", name):
            return pb.CreateInstanceResponse()  # its worker was killed there: it never came
        response = super().StartInstance(request, context)
        self.stops.pass_by("claimed", name)
        return response

    @override
    def CompleteActivityTask(
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        if name := self._triggers.pop(request.completionToken, None):
            self.stops.pass_by("answered", name)
            self._answered.add(name)
        return super().CompleteActivityTask(request, context)

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        name = self._names.get(request.instanceId, "")
        if name in self._answered:
            self._answered.discard(name)
            self.stops.pass_by("checkpoint", name)
        return super().CompleteOrchestratorTask(request, context)


@contextmanager
def stopped_engine(stops: Stops, *, lease_s: float) -> Iterator[StoppedEngine]:
    """Run an engine for as long as the block lasts."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="engine")
    thread.start()
    engine = StoppedEngine(loop, stops, lease_s=lease_s)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
