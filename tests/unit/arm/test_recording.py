"""What telemetry learns of each call: its answer, that there is none, or that it was not sent."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, override

import pytest

from arm.blobs import MAX_BLOB_BYTES, BlobReader
from domain.errors import RestoreError
from telemetry.signals import RecordedCall, Telemetry
from tests.support.arm_server import DROP, FakeIdentity, Say
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from arm.session import ArmSession
    from tests.support.arm_server import ArmServer

JOBS = "/subscriptions/s/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v/backupJobs"
NAME = "Microsoft.RecoveryServices/vaults/backupJobs/read"


class Heard(Telemetry, RecordedCall):
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    @contextmanager
    @override
    def call(self, operation: str, *, method: str, endpoint: str, client_request_id: str) -> Generator[RecordedCall]:
        self.all.append((operation, method, endpoint, client_request_id))
        yield self
        self.all.append("over")

    @override
    def call_not_sent(self, operation: str) -> None:
        self.all.append(("not sent", operation))

    @override
    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        self.all.append((status, headers.get("x-ms-request-id")))

    @override
    def failed(self, error_type: str) -> None:
        self.all.append(error_type)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def session(open_session: Callable[..., ArmSession], heard: Heard) -> ArmSession:
    return open_session(telemetry=heard)


def test_an_answer_is_recorded_with_its_request_id(server: ArmServer, session: ArmSession, heard: Heard) -> None:
    server.answers(Say(200, {}, {"x-ms-request-id": "r-1"}))

    session.call("GET", f"{JOBS}?api-version=1", client_request_id="c-1")

    assert heard.all == [(NAME, "GET", server.url, "c-1"), (200, "r-1"), "over"]


def test_a_refused_token_makes_two_calls(server: ArmServer, session: ArmSession, heard: Heard) -> None:
    server.answers(Say(401, {}), Say(200, {}))

    session.call("GET", JOBS)

    assert [seen[0] for seen in heard.all if isinstance(seen, tuple)] == [NAME, 401, NAME, 200]


def test_a_call_without_an_answer_is_recorded(server: ArmServer, session: ArmSession, heard: Heard) -> None:
    server.answers(DROP)

    with pytest.raises(RestoreError):
        session.call("GET", JOBS, client_request_id="c-1")

    assert heard.all == [(NAME, "GET", server.url, "c-1"), "ConnectionError"]


def test_a_call_that_must_wait_is_not_sent(server: ArmServer, session: ArmSession, heard: Heard) -> None:
    server.answers(Say(429, {}, {"Retry-After": "60"}))

    for _ in range(2):
        with pytest.raises(RestoreError):
            session.call("GET", JOBS)

    assert heard.all[1:] == [(429, None), "over", ("not sent", NAME)]


def test_a_blob_is_recorded_like_a_call_of_arm(server: ArmServer, heard: Heard) -> None:
    server.answers(Say(206, b"{}", {"x-ms-request-id": "r-1"}), DROP, Say(206, b"x" * (MAX_BLOB_BYTES + 1)))
    uri = "https://stagingweu.blob.core.windows.net/web01/azuredeploy.json"
    reader = BlobReader(server.url, FakeIdentity(), clock=lambda: START, telemetry=heard)

    with closing(reader):
        reader.read("stagingweu", uri)
        for _ in range(2):
            with pytest.raises(RestoreError):
                reader.read("stagingweu", uri)

    name = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
    calls = [seen[:3] for seen in heard.all if isinstance(seen, tuple) and seen[0] == name]
    assert calls == [(name, "GET", server.url)] * 3
    assert [seen for seen in heard.all if seen == (206, "r-1")] == [(206, "r-1")]
    assert [seen for seen in heard.all if isinstance(seen, str)] == ["over", "ConnectionError", "BodyTooLargeError"]
