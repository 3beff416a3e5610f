from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from arm.backup import BackupClient
from arm.session import ArmSession, Timeouts
from tests.support.arm_server import ArmServer, FakeIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator

SWIFT = Timeouts(connect_s=2.0, read_s=0.2, trigger_read_s=0.2)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[ArmServer]:
    server = ArmServer()
    yield server
    server.close()


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def identity() -> FakeIdentity:
    return FakeIdentity()


@pytest.fixture
def session(server: ArmServer, identity: FakeIdentity) -> Iterator[ArmSession]:
    session = ArmSession(server.url, identity)
    yield session
    session.close()


@pytest.fixture
def client(session: ArmSession) -> BackupClient:
    return BackupClient(session, api_version="2025-08-01")


@pytest.fixture
def impatient(server: ArmServer, identity: FakeIdentity) -> Iterator[BackupClient]:
    session = ArmSession(server.url, identity, timeouts=SWIFT)
    yield BackupClient(session, api_version="2025-08-01")
    session.close()
