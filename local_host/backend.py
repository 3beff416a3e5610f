"""durabletask's in-memory backend, made fit for hosting: loopback, no thread per wait, nothing left behind.

The hooks it overrides are private to durabletask 1.12.0; the version is pinned.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

from .leases import Leases

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from durabletask.testing.in_memory_backend import OrchestrationInstance

    from .leases import HandOut

type Completion = pb.OrchestratorResponse | pb.ActivityResponse | pb.EntityBatchResult

_RPC_THREADS = 32  # a client that waits for an instance holds one
_ENDED = (pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_TERMINATED)
UNLIMITED_MESSAGE = 2**31 - 1
UNLIMITED = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


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


class LocalBackend(InMemoryOrchestrationBackend):
    """Task hub of one host, or of the engine that hosts join.

    ``address`` is where durable clients and joined hosts reach it once ``start`` has returned; ``lease_s`` is how long
    work may be out before it is handed out again, for ever when it is ``None``.

    What differs from the base: timers sit on the host's event loop instead of in a sleeping thread each, and fire only
    into the execution that made them; the end of a sub-orchestration is delivered by who completes it, not by a thread
    that gives up after 30 s; an instance with news while it is in flight is queued when it comes back, so that it
    neither blocks the instances behind it nor waits for the base's next look 0.1 s later; work that a worker took along
    is handed out again (:mod:`local_host.leases`).
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, lease_s: float | None = None) -> None:
        super().__init__(max_history_size=sys.maxsize)
        self.address = ""
        self._loop = loop
        self._lease_s = lease_s
        self._leases = Leases()
        self._rpc_threads = ThreadPoolExecutor(_RPC_THREADS, thread_name_prefix="task-hub")
        self._held_back: set[str] = set()
        self._parents: dict[str, list[tuple[str, int]]] = {}
        self._reader: threading.Thread | None = None

    def start(self, port: int = 0) -> str:
        """Listen on this loopback port, 0 for a free one, and return the address; ``RuntimeError`` when it is taken."""
        self._server = grpc.server(self._rpc_threads, options=[*UNLIMITED, ("grpc.so_reuseport", 0)])
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

    def GetWorkItems(  # noqa: N802 - the name of the gRPC method
        self, request: pb.GetWorkItemsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.WorkItem]:
        """Hand out work to one worker, first what another did not finish. What it does not finish comes back."""
        stream, new = self._leases.open_stream(), super().GetWorkItems
        until = cast("grpc.ServicerContext", _WhileNothingIsBack(context, self._leases))
        if not context.add_callback(partial(self._take_all_back, stream)):
            self._take_all_back(stream)
        while context.is_active() and not self._shutdown_event.is_set():
            for item in self._leases.hand_out_again(stream):
                yield self._leased(item)
            for item in new(request, until):
                activity = item.activityRequest.orchestrationInstance.instanceId
                execution = self._execution(activity) if activity else None
                handed = self._leases.hand_out(item, stream, token=item.completionToken, execution=execution)
                yield self._leased(handed)

    def _leased(self, item: pb.WorkItem) -> pb.WorkItem:
        if self._lease_s is not None:
            self._at(datetime.now(UTC) + timedelta(seconds=self._lease_s), partial(self._expire, item.completionToken))
        return item

    def _expire(self, token: str) -> None:
        if self._leases.take_back(token):
            self._work_available.set()

    def _take_all_back(self, stream: int) -> None:
        self._leases.close_stream(stream)
        self._work_available.set()

    def _settle(self, completion: Completion) -> HandOut | None:
        """Give a result the token that the base knows; ``None`` when its work was handed out again meanwhile."""
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

    def _execution(self, instance_id: str) -> pb.HistoryEvent | None:
        """Return what tells an execution of an instance from the next (continue-as-new): its history's first event.

        The next execution numbers its tasks from 1 again, so a result that comes late must not reach it.
        """
        instance = self._instances.get(instance_id)
        return instance.history[0] if instance and instance.history else None

    def CompleteActivityTask(  # noqa: N802 - the name of the gRPC method
        self, request: pb.ActivityResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Take an activity's result, unless the execution that asked for it is over."""
        with self._lock:
            handed = self._settle(request)
            if handed and self._execution(request.instanceId) is handed.execution:
                return super().CompleteActivityTask(request, context)
        return pb.CompleteTaskResponse()

    def CompleteEntityTask(  # noqa: N802 - the name of the gRPC method
        self, request: pb.EntityBatchResult, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Take the result of an entity's batch."""
        with self._lock:
            return super().CompleteEntityTask(request, context) if self._settle(request) else pb.CompleteTaskResponse()

    # Timers

    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        execution = self._execution(instance.instance_id)

        def fire() -> None:
            with self._lock:
                if self._execution(instance.instance_id) is execution:
                    self._tell(instance.instance_id, helpers.new_timer_fired_event(action.id, fire_at))

        self._at(fire_at, fire)

    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        def fire() -> None:
            with self._lock:
                self._queue_entity_operation(entity_id, event)

        self._at(fire_at, fire)

    def _at(self, when: datetime, act: Callable[[], None]) -> None:
        delay_s = max(0.0, (when - datetime.now(UTC)).total_seconds())
        self._loop.call_soon_threadsafe(self._loop.call_later, delay_s, act)

    # Sub-orchestrations

    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        self._parents.setdefault(sub_instance_id, []).append((parent_instance_id, task_id))

    def _notify_waiters(self, instance_id: str) -> None:
        super()._notify_waiters(instance_id)
        instance = self._instances.get(instance_id)
        if not instance or not self._is_terminal_status(instance.status):
            return
        for parent_id, task_id in self._parents.pop(instance_id, []):
            if instance.status == pb.ORCHESTRATION_STATUS_COMPLETED:
                event = helpers.new_sub_orchestration_completed_event(task_id, instance.output)
            else:
                failure = instance.failure_details
                reason = failure.errorMessage if failure else f"the sub-orchestration '{instance_id}' was terminated"
                event = helpers.new_sub_orchestration_failed_event(task_id, Exception(reason))
            self._tell(parent_id, event)

    def _tell(self, instance_id: str, event: pb.HistoryEvent) -> None:
        instance = self._instances.get(instance_id)
        if instance and not self._is_terminal_status(instance.status):
            instance.pending_events.append(event)
            instance.last_updated_at = datetime.now(UTC)
            self._enqueue_orchestration(instance_id)

    # Instances that have ended

    def StartInstance(  # noqa: N802 - the name of the gRPC method
        self, request: pb.CreateInstanceRequest, context: grpc.ServicerContext
    ) -> pb.CreateInstanceResponse:
        """Start an instance; one that has ended makes room for another of its id, the extension's default."""
        replaceable = request.orchestrationIdReusePolicy.replaceableStatus
        if not replaceable:
            replaceable.extend(_ENDED)
        return super().StartInstance(request, context)

    # Instances in flight

    def _enqueue_orchestration(self, instance_id: str) -> None:
        if instance_id in self._orchestration_in_flight:
            self._held_back.add(instance_id)
        else:
            super()._enqueue_orchestration(instance_id)

    def CompleteOrchestratorTask(  # noqa: N802 - the name of the gRPC method
        self, request: pb.OrchestratorResponse, context: grpc.ServicerContext
    ) -> pb.CompleteTaskResponse:
        """Take a turn's result, then queue the instance again if it got news meanwhile."""
        with self._lock:
            if not self._settle(request):
                return pb.CompleteTaskResponse()
            response = super().CompleteOrchestratorTask(request, context)
            if request.instanceId in self._held_back:
                self._held_back.discard(request.instanceId)
                self._enqueue_orchestration(request.instanceId)
        return response
