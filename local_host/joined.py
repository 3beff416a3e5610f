"""A host's side of an engine that runs in a process of its own: the calls of the backend, over gRPC."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import grpc
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs
from google.protobuf import empty_pb2

from .backend import MESSAGE_LIMITS
from .functions import HostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .backend import Completion, LocalBackend

    type TaskHub = LocalBackend | JoinedEngine

_PATIENCE_S = 10.0  # an engine that was started just before is up by then
_PAUSE_S = 1.0

log = logging.getLogger(__name__)


class JoinedEngine:
    """Stands in for a :class:`LocalBackend` that is elsewhere; every gRPC method of its is one of this, too."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self.address = address
        self._loop = loop
        self._channel = grpc.insecure_channel(address, options=MESSAGE_LIMITS)
        self._stub: Any = stubs.TaskHubSidecarServiceStub(self._channel)
        self._stopping = threading.Event()
        self._reader: threading.Thread | None = None

    def __getattr__(self, name: str) -> Any:
        """Return a gRPC method, to be called as the backend's own: with a context, which has no meaning here."""
        method = getattr(self._stub, name)
        return lambda request, _context: method(request)

    def start(self) -> str:
        """Return the engine's address; ``HostError`` when no engine answers there."""
        try:
            self._stub.Hello(empty_pb2.Empty(), wait_for_ready=True, timeout=_PATIENCE_S)
        except grpc.RpcError as error:
            self._channel.close()
            raise HostError(f"no engine answers at {self.address}") from error
        return self.address

    def deliver(self, receive: Callable[[pb.WorkItem], None]) -> None:
        """Hand every work item that the engine sends to ``receive`` on the event loop."""
        self._reader = threading.Thread(target=self._read, args=(receive,), name="work-items")
        self._reader.start()

    def _read(self, receive: Callable[[pb.WorkItem], None]) -> None:
        while not self._stopping.is_set():
            try:
                for item in self._stub.GetWorkItems(pb.GetWorkItemsRequest(), wait_for_ready=True):
                    if not self._stopping.is_set():
                        self._loop.call_soon_threadsafe(receive, item)
            except (grpc.RpcError, ValueError):  # ValueError: the channel is closed
                pass
            if not self._stopping.wait(_PAUSE_S):
                log.warning("the engine at %s is gone; waiting for it", self.address)

    async def complete(self, completion: Completion) -> None:
        """Send the result of a work item; one that cannot be sent is lost, and the work is handed out again."""
        match completion:
            case pb.OrchestratorResponse():
                send = self._stub.CompleteOrchestratorTask
            case pb.ActivityResponse():
                send = self._stub.CompleteActivityTask
            case _:
                send = self._stub.CompleteEntityTask
        try:
            await asyncio.to_thread(send, completion)
        except (grpc.RpcError, ValueError) as error:  # ValueError: the channel is closed
            log.warning("a result did not reach the engine at %s: %s", self.address, error)

    def stop_delivery(self) -> None:
        """Take no more work. The stream stays open: as it closes, the engine takes back what is not finished."""
        self._stopping.set()

    def stop(self) -> None:
        """Leave the engine."""
        self.stop_delivery()
        self._channel.close()
        if self._reader:
            self._reader.join()
