"""The whole app on one machine: simulator, local host and Azurite, and a caller's view of it."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
from azure.core.exceptions import ResourceExistsError
from azure.identity import DefaultAzureCredential
from azure.storage.queue import QueueServiceClient

import function_app
from arm.backup import BackupClient
from local_host.server import running as hosting
from outbound.webhook import SignedWebhook
from settings import Settings
from simulator.server import running as simulating
from telemetry.setup import telemetry_from
from telemetry.signals import NO_TELEMETRY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pytest

    from domain.errors import Json
    from local_host.server import Running
    from simulator.scenario import Scenario

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
STORAGE_ID = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.Storage/storageAccounts/stagingweu"
VAULT_ID = f"{SUBSCRIPTION}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults/vault-weu"
ENDED = {"Completed", "CompletedWithWarnings", "Failed", "Cancelled", "Rejected", "TimedOut", "Planned"}
_ROOT = Path(__file__).parents[2]
_QUEUES = json.loads((_ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]
HOST_JSON = {
    "extensions": {
        "http": {"routePrefix": "api"},
        "queues": {
            "messageEncoding": _QUEUES["messageEncoding"],
            "visibilityTimeout": "00:00:00",
            "maxPollingInterval": "00:00:00.2",
            "maxDequeueCount": 3,
        },
    }
}


def vm_id(name: str = "web-01", group: str = "web-rg") -> str:
    """Return the id of one of the default scenario's VMs."""
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}"


def a_request(**members: Any) -> Json:
    """Return a restore to managed disks; members given as ``None`` are left out."""
    body = {
        "sourceResourceId": vm_id(),
        "recoveryType": "RestoreDisks",
        "storageAccountId": STORAGE_ID,
        "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-rg",
        **members,
    }
    return {name: value for name, value in body.items() if value is not None}


def eventually[T](look: Callable[[], T | None], *, within_s: float = 20.0) -> T:
    """Return what ``look`` sees as soon as it is truthy; fails at the deadline."""
    ends, pause = time.monotonic() + within_s, threading.Event()
    while not (seen := look()):
        assert time.monotonic() < ends, f"not within {within_s} s"
        pause.wait(0.05)
    return seen


class Stage:
    """A running app: calls to it, its queues, and the simulator behind it."""

    def __init__(self, host: Running, simulator: Any, connection: str | None) -> None:
        self.url, self.backend, self.simulator = host.url, host.backend, simulator
        self._web = requests.Session()
        self._queues = QueueServiceClient.from_connection_string(connection) if connection else None
        self.requests_queue, self.results_queue, self.events_queue = "", "", ""
        self.telemetry = NO_TELEMETRY

    def close(self) -> None:
        """Close what the caller holds."""
        self._web.close()
        if self._queues:
            self._queues.close()

    def call(self, method: str, path: str, **more: Any) -> requests.Response:
        """Call the app; ``path`` may be a link that it gave."""
        url = path if "://" in path else f"{self.url}/api/{path}"
        return self._web.request(method, url, timeout=30, **more)

    def post(self, body: object) -> requests.Response:
        """Ask for a restore."""
        return self.call("POST", "restores", json=body)

    def finished(self, restore_id: str) -> Json:
        """Return the final status document."""

        def look() -> Json | None:
            document = self.call("GET", f"restores/{restore_id}").json()
            return document if document.get("status") in ENDED else None

        return eventually(look)

    def restore(self, **members: Any) -> Json:
        """Restore by HTTP and wait for the end."""
        answer = self.post(a_request(**members))
        assert answer.status_code == 202, answer.text
        return self.finished(answer.json()["id"])

    def jobs_of(self, vm: str) -> int:
        """Return how many restore jobs the simulator made for a VM."""
        answer = self._web.get(f"{self.simulator.url}/_simulator/counters", timeout=30).json()
        return sum(count for name, count in answer["jobsByVm"].items() if name.casefold().endswith(f"/{vm}"))

    def send(self, content: bytes | Json) -> str:
        """Put a message on the requests queue as other systems do: base64; return the message's id."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        return self.put(base64.b64encode(raw).decode())

    def put(self, text: str, queue_name: str | None = None) -> str:
        """Put a text on the requests queue as it is, or on another queue; return the message's id."""
        assert self._queues
        queue = self._queues.get_queue_client(queue_name or self.requests_queue)
        with suppress(ResourceExistsError):
            queue.create_queue()
        return queue.send_message(text).id

    def results(self) -> list[Json]:
        """Take what is on the results queue."""
        return [json.loads(base64.b64decode(text)) for text in self.take(self.results_queue)]

    def events(self) -> list[Json]:
        """Take what is on the events queue."""
        return [json.loads(base64.b64decode(text)) for text in self.take(self.events_queue)]

    def take(self, queue_name: str) -> list[str]:
        """Take the messages of a queue as they stand on the wire; none when the queue is not there."""
        assert self._queues
        if not any(queue.name == queue_name for queue in self._queues.list_queues(name_starts_with=queue_name)):
            return []
        queue, texts = self._queues.get_queue_client(queue_name), list[str]()
        for message in queue.receive_messages():
            texts.append(message.content)
            queue.delete_message(message)
        return texts


@contextmanager
def staged(
    patch: pytest.MonkeyPatch,
    connection: str | None = None,
    front: Callable[[str], AbstractContextManager[str]] = nullcontext,
    scenario: Scenario | None = None,
    /,
    **settings: str,
) -> Iterator[Stage]:
    """Run the app for as long as the block lasts; queues only when a storage connection is given.

    ``front`` stands between the app and the simulator: it takes the one's address and gives that for the other. The
    simulator has its default scenario unless another is given.
    """
    mark = uuid.uuid4().hex[:12]
    with ExitStack() as stack:
        simulator = stack.enter_context(simulating(scenario, speed=600))
        azure = stack.enter_context(front(simulator.url))
        env = {
            "AZURE_RESOURCE_MANAGER_ENDPOINT": azure,
            "RESTORE_JOB_POLL_MIN_SECONDS": "0.05",
            "RESTORE_JOB_POLL_MAX_SECONDS": "0.1",
            "RESTORE_ADOPTION_WINDOW_SECONDS": "6",
            "RESTORE_REQUESTS_QUEUE": f"requests-{mark}",
            "RESTORE_RESULTS_QUEUE": f"results-{mark}",
            "RESTORE_EVENTS_QUEUE": f"events-{mark}",
            **settings,
        }
        patch.setenv("IDENTITY_ENDPOINT", f"{azure}/msi/token")
        patch.setenv("IDENTITY_HEADER", "simulator")
        if connection:
            patch.setenv("AzureWebJobsStorage", connection)
        read = Settings.from_env(env)
        telemetry = telemetry_from(read, DefaultAzureCredential, version="0")
        stack.callback(telemetry.shutdown)
        client = BackupClient.from_settings(read, DefaultAzureCredential, telemetry)
        stack.callback(client.close)
        app = function_app.build_app(read, client, SignedWebhook.from_settings(read), telemetry)
        host = stack.enter_context(hosting(app, host_json=HOST_JSON, queues=connection is not None))
        stage = Stage(host, simulator, connection)
        stage.telemetry = telemetry
        stage.requests_queue, stage.results_queue = read.requests_queue, read.results_queue
        stage.events_queue = read.events_queue
        stack.callback(stage.close)
        yield stage
