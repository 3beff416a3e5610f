from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest

from arm.backup import BackupClient
from arm.connections import Timeouts
from arm.session import ArmSession
from tests.support.arm_server import ArmServer, FakeIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SWIFT = Timeouts(connect_s=2.0, read_s=0.1, trigger_read_s=0.1)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[ArmServer]:
    with closing(ArmServer()) as server:
        yield server


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def identity() -> FakeIdentity:
    return FakeIdentity()


@pytest.fixture
def open_session(server: ArmServer, identity: FakeIdentity) -> Iterator[Callable[..., ArmSession]]:
    """Opens sessions, at the server by default, and closes them after the test."""
    with ExitStack() as opened:

        def open_one(endpoint: str = server.url, **options: Any) -> ArmSession:
            session = ArmSession(endpoint, options.pop("identity", identity), **options)
            opened.callback(session.close)
            return session

        yield open_one


@pytest.fixture
def session(open_session: Callable[..., ArmSession]) -> ArmSession:
    return open_session()


@pytest.fixture
def client(session: ArmSession) -> BackupClient:
    return BackupClient(session, api_version="2025-08-01")


@pytest.fixture
def impatient_session(open_session: Callable[..., ArmSession]) -> ArmSession:
    return open_session(timeouts=SWIFT)


@pytest.fixture
def impatient(impatient_session: ArmSession) -> BackupClient:
    return BackupClient(impatient_session, api_version="2025-08-01")
