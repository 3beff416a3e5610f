"""The managed-identity path for real: DefaultAzureCredential against App Service's identity endpoint, as in Azure."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from azure.identity import DefaultAzureCredential

from arm.session import ArmSession
from domain.errors import TerminalError, TransientError
from tests.support.arm_server import DROP, Answer, ArmServer, Raw, Recorded, Say

if TYPE_CHECKING:
    from collections.abc import Iterator

AN_HOUR_S = 3600
NEARLY_OVER_S = 60  # azure-identity takes a token of less than five minutes for expired
IDENTITY_FIRST = "ManagedIdentityCredential"


class IdentityEndpoint:
    """``/msi/token`` of the test server: gives ``msi-1``, ``msi-2``, … or whatever ``instead`` says."""

    def __init__(self, server: ArmServer) -> None:
        self.asked: list[Recorded] = []
        self.instead: Answer | None = None
        self.valid_s = AN_HOUR_S
        server.routes["/msi/token"] = self.answer

    def answer(self, request: Recorded) -> Answer:
        self.asked.append(request)
        if self.instead is not None:
            return self.instead
        if request.headers["X-IDENTITY-HEADER"] != "simulator":
            return Say(401, {"statusCode": 401, "message": "wrong header"})
        expires_on = str(int(time.time()) + self.valid_s)
        return Say(200, {"access_token": f"msi-{len(self.asked)}", "expires_on": expires_on, "token_type": "Bearer"})


@pytest.fixture
def endpoint(server: ArmServer, monkeypatch: pytest.MonkeyPatch) -> IdentityEndpoint:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulator")
    return IdentityEndpoint(server)


@pytest.fixture
def session(server: ArmServer, endpoint: IdentityEndpoint) -> Iterator[ArmSession]:
    assert endpoint.asked == []
    with closing(ArmSession(server.url, DefaultAzureCredential)) as session:
        yield session


@pytest.fixture
def swift(server: ArmServer, endpoint: IdentityEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmSession]:
    """The same, without azure-identity's own retries and without the developer tools at the end of its chain."""
    assert endpoint.asked == []
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", IDENTITY_FIRST)
    with closing(ArmSession(server.url, lambda: DefaultAzureCredential(retry_total=0))) as session:
        yield session


def tokens(server: ArmServer) -> list[str]:
    return [request.headers["Authorization"] for request in server.requests if request.path != "/msi/token"]


def test_the_managed_identitys_token_is_asked_for_once_and_kept(
    server: ArmServer, session: ArmSession, endpoint: IdentityEndpoint
) -> None:
    server.answers(Say(), Say())

    session.call("GET", "/a")
    session.call("GET", "/a")

    assert tokens(server) == ["Bearer msi-1", "Bearer msi-1"]
    assert endpoint.asked[0].query == {"api-version": "2019-08-01", "resource": server.url}
    assert len(endpoint.asked) == 1


def test_a_user_assigned_identity_is_named(
    server: ArmServer, session: ArmSession, endpoint: IdentityEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555")
    server.answers(Say())

    session.call("GET", "/a")

    assert endpoint.asked[0].query["client_id"] == "11111111-2222-3333-4444-555555555555"


def test_a_401_fetches_a_really_new_token(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(), Say(401), Say(), Say())

    for _ in range(3):
        session.call("GET", "/a")

    assert tokens(server) == ["Bearer msi-1", "Bearer msi-1", "Bearer msi-2", "Bearer msi-2"]


def test_an_identity_that_does_not_exist_is_an_authorization_failure(
    server: ArmServer, swift: ArmSession, endpoint: IdentityEndpoint
) -> None:
    endpoint.instead = Say(400, {"statusCode": 400, "message": "No User Assigned or Delegated Managed Identity found"})

    with pytest.raises(TerminalError, match="AuthorizationFailed") as caught:
        swift.call("GET", "/a")

    assert "No User Assigned or Delegated Managed Identity found" in caught.value.details[0].message
    assert tokens(server) == []


def test_no_identity_at_all_is_an_authorization_failure(
    swift: ArmSession, endpoint: IdentityEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")

    with pytest.raises(TerminalError, match="IDENTITY_ENDPOINT"):
        swift.call("GET", "/a")

    assert endpoint.asked == []


PASSING = [
    DROP,
    Say(503, {"statusCode": 503, "message": "starting"}),
    Say(429, {"statusCode": 429, "message": "slow down"}),
    Say(502, b"<html>bad gateway</html>"),
    Say(200, b"<html>sign in</html>"),
    Raw(b"nonsense\r\n\r\n"),
]


@pytest.mark.parametrize("answer", PASSING, ids=["dropped", "503", "429", "502", "page", "nonsense"])
def test_trouble_with_the_first_token_passes(swift: ArmSession, endpoint: IdentityEndpoint, answer: Answer) -> None:
    endpoint.instead = answer

    with pytest.raises(TransientError):
        swift.call("GET", "/a")


@pytest.mark.parametrize("answer", PASSING, ids=["dropped", "503", "429", "502", "page", "nonsense"])
def test_trouble_with_a_later_token_passes(
    server: ArmServer, swift: ArmSession, endpoint: IdentityEndpoint, answer: Answer
) -> None:
    endpoint.valid_s = NEARLY_OVER_S
    server.answers(Say(), Say())
    swift.call("GET", "/a")
    endpoint.instead = answer

    with pytest.raises(TransientError):
        swift.call("GET", "/a")


def test_an_identity_endpoint_that_is_not_there_yet_passes(
    swift: ArmSession, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{closed_port}/msi/token")

    with pytest.raises(TransientError):
        swift.call("GET", "/a")


def test_a_renewal_that_fails_repeats_nothing(server: ArmServer, swift: ArmSession, endpoint: IdentityEndpoint) -> None:
    def refuse(_: Recorded) -> Answer:
        endpoint.instead = Say(400, {"statusCode": 400, "message": "gone"})
        return Say(401)

    server.routes["/restore"] = refuse

    with pytest.raises(TerminalError, match="AuthorizationFailed"):
        swift.call("POST", "/restore", body={}, once=True)

    assert len(tokens(server)) == 1
