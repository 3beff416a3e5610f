"""The engine of the local host: loopback, no thread per wait, nothing left behind, and the habits of Azure's engine.

The hooks it overrides are private to durabletask 1.12.0; the version is pinned.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast, override

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from .azure_like import AzureLikeBackend, Faults, operation_of, worker_died
from .leases import HandOut, Leases

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

type Completion = pb.OrchestratorResponse | pb.ActivityResponse | pb.EntityBatchResult

_RPC_THREADS = 32  # a client that waits for an instance holds one
_SECOND_RUN = timedelta(seconds=0.03)  # how long after the first run of a turn that is repeated
_SIGNALED_AGAIN = timedelta(seconds=3)  # how long a signal lies that a worker died with
MAX_MESSAGE = 4 * 1024 * 1024
"""The most bytes that a gRPC message may hold, the extension's default."""
MESSAGE_LIMITS = (("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE))


class _InProcessContext:
    """The part of a gRPC context that the backend's methods use, for calls without a wire."""

    def is_active(self) -> bool:
        return True

    def add_callback(self, _callback: Callable[[], None]) -> bool:
        return True

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise grpc.RpcError(f"{code.name}: {details}")


IN_PROCESS = cast("grpc.ServicerContext", _InProcessContext())


@dataclass(frozen=True)
class _WhileNothingIsBack:
    """A stream's context for the base, which hands out new work alone: over when there is work to hand out again."""

    context: grpc.ServicerContext
    leases: Leases

    def is_active(self) -> bool:
        return self.context.is_active() and not self.leases.has_any_back


class LocalBackend(AzureLikeBackend):
    """Task hub of one host, or of the engine that hosts join.

    ``address`` is where durable clients and joined hosts reach it once ``start`` has returned; ``lease_s`` is how long
    work may be out before it is handed out again, for ever when it is ``None``; ``faults`` strike by count.

    What differs from the base: timers sit on the host's event loop instead of in a sleeping thread each; the end of a
    sub-orchestration is delivered by who completes it, not by a thread that gives up after 30 s; an instance with news
    while it is in flight is queued when it comes back, so that it neither blocks the instances behind it nor waits for
    the base's next look 0.1 s later; what a worker took along fails or is handed out again (:mod:`local_host.leases`).
    """

    repeats_after = timedelta(seconds=2)

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, lease_s: float | None = None, faults: Faults | None = None
    ) -> None:
        super().__init__(faults or Faults(deferred=8), max_history_size=sys.maxsize)
        self.address = ""
        self._loop = loop
        self._lease_s = lease_s
        self._leases = Leases()
        self._rpc_threads = ThreadPoolExecutor(_RPC_THREADS, thread_name_prefix="task-hub")
        self._held_back: set[str] = set()
        self._reader: threading.Thread | None = None

    def start(self, port: int = 0) -> str:
        """Listen on this loopback port, 0 for a free one, and return the address; ``RuntimeError`` when it is taken."""
        self._server = grpc.server(self._rpc_threads, options=[*MESSAGE_LIMITS, ("grpc.so_reuseport", 0)])
        register = cast("Callable[[Any, grpc.Server], None]", stubs.add_TaskHubSidecarServiceServicer_to_server)
        register(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        self._server.start()
        return self.address

    def deliver(self, receive: Callable[[pb.WorkItem], None]) -> None:
        """Hand every work item, as it comes up, to ``receive`` on the event loop."""

        def read() -> None:
            items: Iterator[pb.WorkItem] = self.GetWorkItems(pb.GetWorkItemsRequest(), IN_PROCESS)
            for item in items:
                self._loop.call_soon_threadsafe(receive, item)

        self._reader = threading.Thread(target=read, name="work-items")
        self._reader.start()

    def stop_delivery(self) -> None:
        """Hand out no more work; clients are still answered."""
        self._shutdown_event.set()
        self._work_available.set()
        if self._reader:
            self._reader.join()

    def stop(self, grace: float | None = None) -> None:
        """Close the port, let go of clients that wait, and end every thread."""
        self.stop_delivery()
        super().stop(grace)
        self.reset()
        self._rpc_threads.shutdown()

    # Work that is out

    @override
    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext) -> Iterator[pb.WorkItem]:
        """Hand out work to one worker, first what came back. What it dies with fails, or comes back."""
        stream, new = self._leases.open_stream(), super().GetWorkItems
        until = cast("grpc.ServicerContext", _WhileNothingIsBack(context, self._leases))
        if not context.add_callback(partial(self._worker_is_gone, stream)):
            self._worker_is_gone(stream)
        while context.is_active() and not self._shutdown_event.is_set():
            for item in self._leases.hand_out_again(stream):
                yield self._leased(item, stream)
            for item in new(request, until):
                generation = self.generation(item.activityRequest.orchestrationInstance.instanceId)
                handed = self._leases.hand_out(item, stream, token=item.completionToken, generation=generation)
                yield self._leased(handed, stream)

    def _leased(self, item: pb.WorkItem, stream: int) -> pb.WorkItem:
        if not self._leases.is_open(stream):
            self._worker_is_gone(stream)
        elif self._lease_s is not None:
            self._at(self._now() + timedelta(seconds=self._lease_s), partial(self._expire, item.completionToken))
        return item

    def _expire(self, token: str) -> None:
        if self._leases.take_back(token):
            self._work_available.set()

    def _worker_is_gone(self, stream: int) -> None:
        lost = self._leases.close_stream(stream)
        for handed in () if self._shutdown_event.is_set() else lost:
            match handed.item.WhichOneof("request"):
                case "activityRequest":
                    self._fail_activity(handed)
                case "entityRequestV2":
                    self._fail_operations(handed)
                case _:
                    self._leases.hand_back(handed)
        self._work_available.set()

    def _fail_activity(self, handed: HandOut) -> None:
        request = handed.item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            failureDetails=worker_died(request.name),
        )
        self._take_result(response, handed, IN_PROCESS)

    def _fail_operations(self, handed: HandOut) -> None:
        """Fail the calls of an entity's batch. Signals, whose failure nobody would hear of, come again."""
        batch, infos = helpers.convert_to_entity_batch_request(handed.item.entityRequestV2)
        failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=worker_died(batch.instanceId)))
        result = pb.EntityBatchResult(
            results=[failed] * len(infos),
            operationInfos=infos,
            entityState=batch.entityState if batch.HasField("entityState") else None,
            completionToken=handed.token,
        )
        super().CompleteEntityTask(result, IN_PROCESS)
        for event in handed.item.entityRequestV2.operationRequests:
            if event.HasField("entityOperationSignaled"):
                again = partial(self._signal_again, batch.instanceId, event)
                self._at(self._now() + _SIGNALED_AGAIN, again)

    def _signal_again(self, entity_id: str, event: pb.HistoryEvent) -> None:
        self._logger.info("Signal %s of %s comes again", operation_of(event), entity_id)
        self._queue_entity_operation(entity_id, event)

    def _settle(self, completion: Completion) -> HandOut | None:
        """Give a result the token that the base knows; ``None`` when nobody waits for it any more."""
        handed = self._leases.settle(completion.completionToken)
        if handed is not None:
            completion.completionToken = handed.token
        return handed

    async def complete(self, completion: Completion) -> None:
        """Take the result of a work item that ``deliver`` handed out."""
        match completion:
            case pb.OrchestratorResponse():
                self.CompleteOrchestratorTask(completion, IN_PROCESS)
            case pb.ActivityResponse():
                self.CompleteActivityTask(completion, IN_PROCESS)
            case _:
                self.CompleteEntityTask(completion, IN_PROCESS)

    @override
    def CompleteActivityTask(
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Take an activity's result, unless the execution that asked for it is over."""
        with self._lock:
            handed = self._settle(request)
            return self._take_result(request, handed, context) if handed else pb.CompleteTaskResponse()

    def _take_result(
        self, response: pb.ActivityResponse, handed: HandOut, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        with self._lock:
            if not self.awaits(response.instanceId, handed.generation):
                return pb.CompleteTaskResponse()
            taken = super().CompleteActivityTask(response, context)
            if response.instanceId not in self._orchestration_in_flight:
                self._keep_asked_for(self._instances[response.instanceId])
            return taken

    @override
    def CompleteEntityTask(
        self, request: pb.EntityBatchResult, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Take the result of an entity's batch."""
        with self._lock:
            return super().CompleteEntityTask(request, context) if self._settle(request) else pb.CompleteTaskResponse()

    # The clock

    @override
    def _now(self) -> datetime:
        return datetime.now(UTC)

    @override
    def _at(self, when: datetime, act: Callable[[], None], is_wanted: Callable[[], bool] = lambda: True) -> None:
        delay_s = max(0.0, (when - self._now()).total_seconds())
        self._loop.call_soon_threadsafe(self._loop.call_later, delay_s, act)

    # Instances in flight

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        if instance_id in self._orchestration_in_flight:
            self._held_back.add(instance_id)
        else:
            super()._enqueue_orchestration(instance_id)

    @override
    def CompleteOrchestratorTask(
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Take a turn's result, then queue the instance again if it got news meanwhile."""
        with self._lock:
            handed = self._settle(request)
            if handed is None:
                return pb.CompleteTaskResponse()
            if self.begins_second_run(request):
                self._at(self._now() + _SECOND_RUN, partial(self._run_again, handed))
                return pb.CompleteTaskResponse()
            response = super().CompleteOrchestratorTask(request, context)
            if request.instanceId in self._held_back:
                self._held_back.discard(request.instanceId)
                self._enqueue_orchestration(request.instanceId)
        return response

    def _run_again(self, handed: HandOut) -> None:
        """Hand out a turn once more, at a later time by its own clock."""
        item = pb.WorkItem()
        item.CopyFrom(handed.item)
        started = helpers.new_orchestrator_started_event(self._now())
        with self._lock:
            instance = self._instances.get(item.orchestratorRequest.instanceId)
            if instance is None or not instance.dispatched_events:
                return
            instance.dispatched_events[0] = started
            item.orchestratorRequest.newEvents[0].CopyFrom(started)
            self._leases.hand_back(HandOut(item, handed.token, handed.stream, handed.generation))
            self._work_available.set()
