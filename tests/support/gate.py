"""An HTTP gate before a simulator: passes every request on, stops those the test asked for, can break a connection."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections import Counter
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self, override
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tests.support.stops import Stops

_RESTORE = re.compile(r"/vaults/([^/]+)/.*/restore$", re.IGNORECASE)
_JOBS = re.compile(r"/vaults/([^/]+)/backupJobs$", re.IGNORECASE)
_STEPS = {
    "resolving": ("GET", re.compile(r"/virtualMachines/([^/]+)$", re.IGNORECASE)),
    "choosing": ("GET", re.compile(r"/vaults/([^/]+)/.*/recoveryPoints$", re.IGNORECASE)),
    "validating": ("POST", re.compile(r"/vaults/([^/]+)/backupTriggerValidateOperation$", re.IGNORECASE)),
    "looking": ("GET", _JOBS),
    "following": ("GET", re.compile(r"/vaults/([^/]+)/.*/operationsStatus/", re.IGNORECASE)),
    "tracking": ("GET", re.compile(r"/vaults/([^/]+)/backupJobs/[^/]+$", re.IGNORECASE)),
}
_MACHINE, _DISK = r"/virtualMachines/([^/]+)", r"/disks/([a-z0-9]+)[^/]*"
_SWAPPING = {
    "checking": ("GET", re.compile(f"{_DISK}$", re.IGNORECASE)),
    "reading": ("GET", re.compile(f"{_MACHINE}$", re.IGNORECASE)),
    "deallocating": ("POST", re.compile(f"{_MACHINE}/deallocate$", re.IGNORECASE)),
    "updating": ("PATCH", re.compile(f"{_MACHINE}$", re.IGNORECASE)),
    "starting": ("POST", re.compile(f"{_MACHINE}/start$", re.IGNORECASE)),
    "tagging": ("PATCH", re.compile(f"{_DISK}/providers/Microsoft.Resources/tags/default$", re.IGNORECASE)),
}
_INTERFACE, _DEPLOYMENT = r"/networkInterfaces/([a-z0-9]+)-nic", r"/deployments/restore-([^/]+)"
_MAKING = {
    "reading interface": ("GET", re.compile(f"{_INTERFACE}$", re.IGNORECASE)),
    "putting interface": ("PUT", re.compile(f"{_INTERFACE}$", re.IGNORECASE)),
    "putting": ("PUT", re.compile(f"{_MACHINE}$", re.IGNORECASE)),
    "reading deployment": ("GET", re.compile(f"{_DEPLOYMENT}$", re.IGNORECASE)),
    "fetching": ("GET", re.compile(r"^/[a-z0-9]+/([a-z0-9]+)-[0-9a-f]{32}/azuredeploy", re.IGNORECASE)),
    "deploying": ("PUT", re.compile(f"{_DEPLOYMENT}$", re.IGNORECASE)),
    "attaching": ("POST", re.compile(f"{_MACHINE}/attachDetachDataDisks$", re.IGNORECASE)),
    "deleting": ("DELETE", re.compile(f"{_DISK}$", re.IGNORECASE)),
}
_OURS = {"connection", "transfer-encoding", "date", "server"}


class Gate:
    """A context manager. Stops are named by the vault: ``post sent`` and ``job made``, before and after the restore.

    A request of the other steps (``resolving`` by the VM, ``choosing``, ``validating``, ``looking``, ``following``,
    ``tracking``) stops before it is passed on. A request of a swap stops before (``deallocating sent``) and after
    (``deallocating done``), so do ``checking``, ``reading``, ``updating 1``, ``starting`` and ``tagging``, by the VM,
    whose name has letters and digits alone. So do the requests that make a VM or attach disks, by the VM's name or, for
    deployments, by the restore's id. A request whose stop is its end is not passed on.

    ``posts`` and ``looks`` count the answered requests that start restores and list jobs, by vault, ``reads`` those of
    VMs, ``updates`` the requests that change a VM, as they come in; ``passed`` counts the answered requests of all
    these steps, by step and name. The first post to a vault in ``resets`` meets a reset connection, its body unread.
    """

    def __init__(self, upstream: str, stops: Stops) -> None:
        self.upstream, self.stops = urlsplit(upstream).netloc, stops
        self.posts: Counter[str] = Counter()
        self.looks: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()
        self.updates: Counter[str] = Counter()
        self.passed: Counter[tuple[str, str]] = Counter()
        self.resets: set[str] = set()
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        super().__init__(("127.0.0.1", 0), _Handler)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] - it is this one

    def _pass_on(self) -> None:
        gate, path = self.server.gate, urlsplit(self.path).path
        post = _RESTORE.search(path) if self.command == "POST" else None
        vault = post[1].lower() if post else ""
        if vault in gate.resets:
            gate.resets.discard(vault)
            self._reset()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._stop_at_step(path)
        gate.stops.pass_by("post sent", vault)
        step, whose = _step_after_job(gate, self.command, path)
        stop = gate.stops.pass_by(f"{step} sent", whose)
        if stop is not None and stop.is_end:
            self._reset()
            return
        upstream = HTTPConnection(gate.upstream, timeout=30)
        try:
            upstream.request(self.command, self.path, body or None, dict(self.headers.items()))
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            self._reset()
            return
        finally:
            upstream.close()
        gate.posts[vault] += 1
        gate.stops.pass_by("job made", vault)
        gate.stops.pass_by(f"{step} done", whose)
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _OURS:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        if look := _JOBS.search(path):
            gate.looks[look[1].lower()] += 1
        gate.passed[step, whose] += 1
        if step == "reading":
            gate.reads[whose] += 1

    def _stop_at_step(self, path: str) -> None:
        for step, (method, pattern) in _STEPS.items():
            found = pattern.search(path) if method == self.command else None
            if found:
                self.server.gate.stops.pass_by(step, found[1].lower())

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass_on  # noqa: N815 - the names are http.server's

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


def _step_after_job(gate: Gate, method: str, path: str) -> tuple[str, str]:
    """Return what a request does with restored disks, and the VM or restore; empty if nothing. Updates are numbered."""
    for step, (wanted, pattern) in {**_SWAPPING, **_MAKING}.items():
        if method == wanted and (found := pattern.search(path)):
            name = found[1].lower()
            if step != "updating":
                return step, name
            gate.updates[name] += 1
            return f"updating {gate.updates[name]}", name
    return "", ""
