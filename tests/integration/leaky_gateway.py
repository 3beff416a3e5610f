"""A gateway before the simulator that lets secrets into everything it answers, as gateways and services have done."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANTED = {
    "token": "planted-token-5e7f0c1d2b3a",
    "identity header": "planted-identity-90ab12cd34ef",
    "certificate of an async URL": "planted-certificate-77aa88bb99cc",
    "signature of an async URL": "planted-signature-11dd22ee33ff",
    "hash of an async URL": "planted-hash-4455667788aa",
    "SAS of a blob": "planted-blob-sas-0011223344",
    "SAS in an error": "planted-error-sas-5566778899",
    "SAS in a job's error": "planted-job-sas-aabbccddee",
    "key in a task": "planted-account-key-ffeeddccbb",
}
"""What the gateway plants, by what it is."""
_SIGNATURE = re.compile(r"&t=\d+&c=[^&]+&s=[^&]+&h=[^&]+")
_SIGNED = "&t=639206722615199273&c={}&s={}&h={}".format(
    *(PLANTED[f"{part} of an async URL"] for part in ("certificate", "signature", "hash"))
)
_SAS = "?sv=2025-11-05&se=2026-12-01T00%3A00%3A00Z&sr=b&sp=r&sig="
_HOP = {"connection", "transfer-encoding", "content-length", "content-encoding"}


class Gateway:
    """Passes everything on. ``planted`` counts what it put where."""

    def __init__(self, simulator: str) -> None:
        self.planted: Counter[str] = Counter()
        self._simulator, self._token = simulator, ""
        self._lock = threading.Lock()
        self._identity_fails = 1

    def passed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Return the simulator's answer to a request, with secrets in it."""
        sent = {name: value.replace(PLANTED["token"], self._token) for name, value in headers.items()}
        if path.startswith("/msi/"):
            return self._identity(path, sent)
        answer = requests.request(
            method, self._simulator + path, headers=sent, data=body, timeout=30, allow_redirects=False
        )
        told = {name: self._signed(value) for name, value in answer.headers.items() if name.lower() not in _HOP}
        content = answer.content
        if answer.status_code >= 400:
            content = self._echoing(content, headers)
        elif "/backupJobs/" in path:
            content = self._with_sas(content)
        return answer.status_code, told, content

    def _identity(self, path: str, sent: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        given = next((value for name, value in sent.items() if name.lower() == "x-identity-header"), "")
        kind = {"Content-Type": "application/json"}
        with self._lock:
            self._identity_fails, fails = 0, self._identity_fails
        if fails:
            self.planted["identity header"] += 1
            problem = {"statusCode": 503, "message": f"X-IDENTITY-HEADER {given} is not known yet"}
            return 400, kind, json.dumps(problem).encode()  # azure-core would try a 503 again by itself
        assert given == PLANTED["identity header"]
        answer = requests.get(self._simulator + path, headers={"X-IDENTITY-HEADER": "simulator"}, timeout=30)
        body = answer.json()
        self._token, body["access_token"] = body["access_token"], PLANTED["token"]
        return answer.status_code, kind, json.dumps(body).encode()

    def _signed(self, value: str) -> str:
        signed, count = _SIGNATURE.subn(_SIGNED, value)
        for part in ("certificate", "signature", "hash"):
            self.planted[f"{part} of an async URL"] += count
        return signed

    def _echoing(self, content: bytes, headers: dict[str, str]) -> bytes:
        self.planted["token"] += 1
        self.planted["SAS in an error"] += 1
        body: Any = json.loads(content)
        error = body["error"]
        said = f"You sent Authorization: {headers.get('Authorization')} for https://a.example/b{_SAS}"
        error["message"] += f" {said}{PLANTED['SAS in an error']}&x=1"
        error["details"] = [*error.get("details", []), {"code": "Echo", "message": json.dumps(headers)}]
        return json.dumps(body).encode()

    def _with_sas(self, content: bytes) -> bytes:
        try:
            body: Any = json.loads(content)
        except ValueError:
            return content
        properties = body["properties"]
        for each in properties.get("errorDetails", []):
            self.planted["SAS in a job's error"] += 1
            each["errorString"] += (
                f" (https://a.blob.core.windows.net/vhds/x.vhd{_SAS}{PLANTED["SAS in a job's error"]})"
            )
        extended = properties.get("extendedInfo", {})
        for task in extended.get("tasksList", []):
            self.planted["key in a task"] += 1
            task["taskExecutionDetails"] = f"AccountName=a;AccountKey={PLANTED['key in a task']};EndpointSuffix=x"
        for name, value in extended.get("propertyBag", {}).items():
            if "uri" in name.lower():
                self.planted["SAS of a blob"] += 1
                extended["propertyBag"][name] = f"{value}{_SAS}{PLANTED['SAS of a blob']}"
        return json.dumps(body).encode()


@contextmanager
def listening(gateway: Gateway) -> Iterator[str]:
    """Serve a gateway while the block lasts; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                status, headers, content = gateway.passed(self.command, self.path, dict(self.headers), body)
            except requests.ConnectionError:  # the simulator drops connections when it is told to
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _pass  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """Keep the tests' output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of clients that hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
