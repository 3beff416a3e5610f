"""durabletask's in-memory backend, made fit for hosting: loopback, no thread per wait, nothing left behind.

The hooks it overrides are private to durabletask 1.12.0; the version is pinned.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, cast

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from durabletask.testing.in_memory_backend import OrchestrationInstance

_RPC_THREADS = 32  # a client that waits for an instance holds one
_ENDED = (pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_TERMINATED)
UNLIMITED_MESSAGE = 2**31 - 1


class _InProcessContext:
    """The part of a gRPC context that the backend's methods use, for calls without a wire."""

    def is_active(self) -> bool:
        return True

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise grpc.RpcError(f"{code.name}: {details}")


IN_PROCESS = cast("grpc.ServicerContext", _InProcessContext())


class LocalBackend(InMemoryOrchestrationBackend):
    """Task hub of one host. ``address`` is where durable clients reach it once ``start`` has returned.

    What differs from the base: timers sit on the host's event loop instead of in a sleeping thread each, and fire only
    into the execution that made them; the end of a sub-orchestration is delivered by who completes it, not by a thread
    that gives up after 30 s; an instance with news while it is in flight is queued when it comes back, so that it
    neither blocks the instances behind it nor waits for the base's next look 0.1 s later.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(max_history_size=sys.maxsize)
        self.address = ""
        self._loop = loop
        self._rpc_threads = ThreadPoolExecutor(_RPC_THREADS, thread_name_prefix="task-hub")
        self._held_back: set[str] = set()
        self._parents: dict[str, list[tuple[str, int]]] = {}
        self._reader: threading.Thread | None = None

    def start(self) -> str:
        """Listen on a free loopback port and return its address."""
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._server = grpc.server(self._rpc_threads, options=limits)
        register = cast("Callable[[Any, grpc.Server], None]", stubs.add_TaskHubSidecarServiceServicer_to_server)
        register(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
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

    # Executions

    def execution(self, instance_id: str) -> pb.HistoryEvent | None:
        """Return what tells an execution of an instance from the next (continue-as-new): its history's first event.

        The next execution numbers its tasks from 1 again, so a result that comes late must not reach it.
        """
        instance = self._instances.get(instance_id)
        return instance.history[0] if instance and instance.history else None

    def complete_activity(self, response: pb.ActivityResponse, execution: pb.HistoryEvent | None) -> None:
        """Take an activity's result, unless the execution that asked for it is over."""
        with self._lock:
            if self.execution(response.instanceId) is execution:
                self.CompleteActivityTask(response, IN_PROCESS)

    # Timers

    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        execution = self.execution(instance.instance_id)

        def fire() -> None:
            with self._lock:
                if self.execution(instance.instance_id) is execution:
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
            response = super().CompleteOrchestratorTask(request, context)
            if request.instanceId in self._held_back:
                self._held_back.discard(request.instanceId)
                self._enqueue_orchestration(request.instanceId)
        return response
