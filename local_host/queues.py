"""Queue triggers and outputs on any Azure Storage queue endpoint, as the storage queue extension runs them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions import meta
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from .config import QueueSettings, resolve
from .functions import QUEUE, HostError, convert_in, convert_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from azure.functions.decorators.core import Binding
    from azure.storage.queue import QueueMessage

    from .functions import HostedFunction, Invoker

_FIRST_POLL_S = 0.1
_LEASE_S = 600  # how long a message is hidden while its function runs
_NEVER_S = -1  # time to live of a poison message
MAX_MESSAGE = 64 * 1024
"""The most bytes of a message as it stands on the wire."""
_NO_WHITE_SPACE = str.maketrans("", "", " \t\r\n")
_EMULATOR = (  # its key is the emulator's published one
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Queue:
    """One storage queue and how its messages are written."""

    client: QueueClient
    base64: bool

    async def create(self) -> None:
        with contextlib.suppress(ResourceExistsError):
            await self.client.create_queue()

    async def receive(self, count: int) -> list[QueueMessage]:
        """Take up to ``count`` messages; a missing queue is created and empty."""
        pages = self.client.receive_messages(messages_per_page=count, visibility_timeout=_LEASE_S).by_page()
        try:
            return [message async for message in await anext(pages)]
        except StopAsyncIteration:
            return []
        except ResourceNotFoundError:
            await self.create()
            return []

    async def send(self, text: str, time_to_live_s: int | None = None) -> None:
        """Put a message as it stands on the wire; a missing queue is created."""
        try:
            await self.client.send_message(text, time_to_live=time_to_live_s)
        except ResourceNotFoundError:
            await self.create()
            await self.client.send_message(text, time_to_live=time_to_live_s)

    def decode(self, text: str) -> bytes:
        """Undo what writing a message did; ``ValueError`` for what is not base64, in which .NET ignores white space."""
        return base64.b64decode(text.translate(_NO_WHITE_SPACE), validate=True) if self.base64 else text.encode()


class _Pump:
    """Polls the queue of one function and calls it, several messages at a time."""

    def __init__(
        self, function: HostedFunction, queue: _Queue, poison: _Queue, settings: QueueSettings, invoke: Invoker
    ) -> None:
        self._function, self._queue, self._poison = function, queue, poison
        self._settings, self._invoke = settings, invoke
        self._name = queue.client.queue_name
        self.working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Poll until cancelled. Storage that does not answer is named once, then asked again and again."""
        pause_s, reachable = _FIRST_POLL_S, True
        while True:
            while len(self.working) > self._settings.new_batch_threshold:
                await asyncio.wait(self.working, return_when=asyncio.FIRST_COMPLETED)
            try:
                messages = await self._queue.receive(self._settings.batch_size)
            except AzureError as error:
                if reachable:
                    log.warning("queue %s cannot be read, the host keeps trying: %s", self._name, _line(error))
                messages, reachable = list[Any](), False
            else:
                if not reachable:
                    log.warning("queue %s can be read again", self._name)
                reachable = True
            for message in messages:
                task = asyncio.get_running_loop().create_task(self._process(message))
                self.working.add(task)
                task.add_done_callback(self.working.discard)
            if messages:
                pause_s = _FIRST_POLL_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, self._settings.max_polling_interval_s)

    async def _process(self, message: QueueMessage) -> None:
        try:
            await self._settle(message)
        except AzureError as error:
            log.warning(
                "message %s of queue %s could not be settled; it shows up again within %d s: %s",
                message.id, self._name, _LEASE_S, _line(error),
            )  # fmt: skip

    async def _settle(self, message: QueueMessage) -> None:
        tried = message.dequeue_count or 0
        try:
            body = self._queue.decode(message.content or "")
        except ValueError:
            log.warning("message %s of queue %s is not base64", message.id, self._name)
            return await self._bury(message)
        if tried > self._settings.max_dequeue_count:
            return await self._bury(message)
        try:
            # The host hands over a text; a body that is not UTF-8 fails the function, and comes again.
            datum = meta.Datum(body.decode(), "string")
            await self._invoke(self._function, convert_in(QUEUE, datum, _metadata(message)))
        except Exception:
            log.exception("function %s failed on message %s (try %d)", self._function.name, message.id, tried)
            if tried >= self._settings.max_dequeue_count:
                return await self._bury(message)
            hidden_s = int(self._settings.visibility_timeout_s)
            await self._queue.client.update_message(message, visibility_timeout=hidden_s)
        else:
            await self._queue.client.delete_message(message)

    async def _bury(self, message: QueueMessage) -> None:
        """Move a message to the poison queue, as it is."""
        log.warning("message %s of queue %s goes to %s", message.id, self._name, self._poison.client.queue_name)
        await self._poison.send(message.content or "", time_to_live_s=_NEVER_S)
        await self._queue.client.delete_message(message)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _metadata(message: QueueMessage) -> dict[str, meta.Datum]:
    def text(value: datetime | str | None) -> meta.Datum:
        return meta.Datum(value.isoformat() if isinstance(value, datetime) else value, "string")

    return {
        "Id": text(message.id),
        "DequeueCount": meta.Datum(message.dequeue_count, "int"),
        "InsertionTime": text(message.inserted_on),
        "ExpirationTime": text(message.expires_on),
        "NextVisibleTime": text(message.next_visible_on),
        "PopReceipt": text(message.pop_receipt),
    }


class MessageTooLargeError(ValueError):
    """The queue service does not take so long a message."""


def messages_of(value: Any) -> list[bytes]:
    """Split what a function gave an output into messages, as the Functions host does.

    A JSON array is one message for each element. JSON objects are written anew, indented, which makes them longer: with
    the longer line ends of the two that the host has (CRLF on Windows). ``ValueError`` for what looks like JSON and is
    none.
    """
    datum = meta.Datum(json.dumps(value), "json") if isinstance(value, dict) else convert_out("queue", value)
    if datum.type == "bytes":
        return [datum.value]
    text: str = datum.value.strip()
    if not ((text.startswith("{") and text.endswith("}")) or (text.startswith("[") and text.endswith("]"))):
        return [datum.value.encode()]
    parsed = json.loads(text)
    return [_written(each).encode() for each in (parsed if isinstance(parsed, list) else [parsed])]


def _written(token: Any) -> str:
    if isinstance(token, str):
        return token
    return json.dumps(token, indent=2, ensure_ascii=False).replace("\n", "\r\n")


def encode(body: bytes, *, in_base64: bool) -> str:
    """Write a message for the wire; ``MessageTooLargeError`` when the queue service would refuse it."""
    text = base64.b64encode(body).decode() if in_base64 else body.decode(errors="replace")
    if len(text.encode()) > MAX_MESSAGE:
        raise MessageTooLargeError(f"a queue message of {len(text.encode())} bytes is above {MAX_MESSAGE}")
    return text


class Queues:
    """The queue half of the host. Without ``settings``, nothing is polled and what functions send is dropped.

    ``HostError`` when a connection's setting is missing or not a connection string, or a queue name cannot be resolved.
    """

    def __init__(self, functions: Iterable[HostedFunction], settings: QueueSettings | None) -> None:
        self._settings = settings
        self._services: dict[str, QueueServiceClient] = {}
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._triggered: list[HostedFunction] = []
        self._pumps: list[_Pump] = []
        self._polling: set[asyncio.Task[None]] = set()
        for function in functions if settings else ():
            for output in function.outputs:
                self._queue(output)
            if function.trigger.type == QUEUE:
                self._queue(function.trigger)
                self._triggered.append(function)

    def start(self, invoke: Invoker) -> None:
        """Begin to poll."""
        for function in self._triggered:
            queue, poison = self._queue(function.trigger), self._queue(function.trigger, suffix="-poison")
            pump = _Pump(function, queue, poison, self._settings or QueueSettings(), invoke)
            self._pumps.append(pump)
            self._polling.add(asyncio.get_running_loop().create_task(pump.run()))

    async def send(self, output: Binding, value: Any) -> None:
        """Put what a function gave one of its outputs on the queue, as one message or several."""
        in_base64 = not self._settings or self._settings.base64
        texts = [encode(body, in_base64=in_base64) for body in messages_of(value)]
        if not self._settings:
            log.info("queues are off: %d message(s) of output %s dropped", len(texts), output.name)
            return
        queue = self._queue(output)
        for text in texts:
            await queue.send(text)

    def stop(self) -> set[asyncio.Task[None]]:
        """Take no more messages; returns what still runs."""
        for task in self._polling:
            task.cancel()
        return self._polling.union(*(pump.working for pump in self._pumps))

    async def close(self) -> None:
        """Close the connections."""
        for service in self._services.values():
            await service.close()

    def _queue(self, binding: Any, suffix: str = "") -> _Queue:
        key = (binding.connection, resolve(binding.queue_name) + suffix)
        if key not in self._queues:
            client = self._service(binding.connection).get_queue_client(key[1])
            self._queues[key] = _Queue(client, base64=not self._settings or self._settings.base64)
        return self._queues[key]

    def _service(self, connection: str) -> QueueServiceClient:
        if connection not in self._services:
            self._services[connection] = connect(connection)
        return self._services[connection]


def connect(setting: str) -> QueueServiceClient:
    """Make the client of a binding's connection; ``HostError`` when the setting of that name cannot serve."""
    text = os.environ.get(setting)
    if not text:
        raise HostError(f"the setting {setting}, which a queue binding names as its connection, is not set")
    emulator = text.strip("; ").lower() == "usedevelopmentstorage=true"
    try:
        return QueueServiceClient.from_connection_string(_EMULATOR if emulator else text, retry_total=0)
    except ValueError as error:
        raise HostError(f"the setting {setting} is not a storage connection string: {error}") from error
