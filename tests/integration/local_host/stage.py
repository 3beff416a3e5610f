"""What the tests of the local host share: the sample app on a host, calls to it, queues to look into."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, cast

import requests
from azure.storage.queue import QueueClient, QueueServiceClient

from local_host.server import running
from tests.support.sample_app import sample_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

    from local_host.server import Running

HOST_JSON: dict[str, Any] = {
    "extensions": {
        "http": {"routePrefix": "api"},
        "queues": {"visibilityTimeout": "00:00:01", "maxPollingInterval": "00:00:00.2", "maxDequeueCount": 2},
    }
}


def eventually[T](look: Callable[[], T | Literal[False]], *, within_s: float = 20) -> T:
    """Return what ``look`` sees as soon as it is truthy; fails at the deadline."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {look}"
        pause.wait(0.03)
    return seen


class Caller:
    """HTTP calls to a running host."""

    def __init__(self, host: Running, session: requests.Session) -> None:
        self.host, self._session = host, session
        self.hub = f"{host.url}/runtime/webhooks/durabletask/instances"

    def __call__(self, method: str, url: str, **more: Any) -> requests.Response:
        return self._session.request(method, url if "://" in url else self.host.url + url, timeout=30, **more)

    def start(self, orchestrator: str, data: Any = None, instance_id: str | None = None) -> str:
        started = self(
            "POST", f"/api/start/{orchestrator}", json=data, params={"id": instance_id} if instance_id else {}
        )
        assert started.status_code == 202, started.text
        return started.json()["id"]

    def status(self, instance_id: str) -> dict[str, Any]:
        return self("GET", f"{self.hub}/{instance_id}").json()

    def instances(self, **parameters: str) -> list[dict[str, Any]]:
        """Follow the pages of the list to the end."""
        found, token = list[dict[str, Any]](), ""
        while True:
            page = self("GET", self.hub, params=parameters, headers={"x-ms-continuation-token": token})
            found += page.json()
            if not (token := page.headers["x-ms-continuation-token"]):
                return found

    def finished(self, instance_id: str) -> dict[str, Any]:
        """Wait for the instance's end and return its status document."""
        answer = eventually(lambda: (got := self("GET", f"{self.hub}/{instance_id}")).status_code != 202 and got)
        return answer.json()

    def run(self, orchestrator: str, data: Any = None) -> Any:
        """Run an orchestration to its end and return its output."""
        return self.finished(self.start(orchestrator, data))["output"]


@contextmanager
def calling(
    *,
    queues: bool = False,
    host_json: dict[str, Any] | None = None,
    engine: str | None = None,
    function_key: str | None = None,
) -> Iterator[Caller]:
    """Host the sample app and call it."""
    with (
        running(
            sample_functions.app,
            host_json=host_json or HOST_JSON,
            queues=queues,
            engine=engine,
            function_key=function_key,
        ) as host,
        requests.Session() as web,
    ):
        yield Caller(host, web)


class Relay(socketserver.ThreadingTCPServer):
    """Passes connections to ``port`` on to another port of this machine, for as long as the block lasts."""

    allow_reuse_address = True
    daemon_threads = False

    def __init__(self, port: int, to: int) -> None:
        self._to = to
        super().__init__(("127.0.0.1", port), _Passing)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._to))

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Passing(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with cast("Relay", self.server).connect() as other, ThreadPoolExecutor(1) as back:
            back.submit(_pump, other, self.request)
            _pump(self.request, other)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


class Storage:
    """The queues of one test, under names of their own."""

    def __init__(self, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._service = QueueServiceClient.from_connection_string(connection)
        mark = uuid.uuid4().hex[:12]
        self.requests, self.answers = f"requests-{mark}", f"answers-{mark}"
        monkeypatch.setenv("AzureWebJobsStorage", connection)
        monkeypatch.setenv("SAMPLE_REQUESTS", self.requests)
        monkeypatch.setenv("SAMPLE_ANSWERS", self.answers)

    def queue(self, name: str) -> QueueClient:
        return self._service.get_queue_client(name)

    def exists(self, name: str) -> bool:
        return any(queue.name == name for queue in self._service.list_queues(name_starts_with=name))

    def take(self, name: str) -> list[str]:
        """Take the messages that are visible, as they stand on the wire."""
        if not self.exists(name):
            return []
        queue, texts = self.queue(name), list[str]()
        for message in queue.receive_messages():
            texts.append(message.content)
            queue.delete_message(message)
        return texts

    def close(self) -> None:
        self._service.close()
