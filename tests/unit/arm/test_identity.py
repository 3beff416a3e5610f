"""DefaultAzureCredential with a managed identity, against an identity endpoint like the one of App Service."""

from __future__ import annotations

import base64
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from azure.identity import DefaultAzureCredential

from arm.session import ArmSession
from domain.errors import TerminalError, TransientError
from tests.support.arm_server import DROP, Answer, ArmServer, FakeCredential, Raw, Recorded, Say

if TYPE_CHECKING:
    from collections.abc import Iterator

AN_HOUR_S = 3600
SHORT_S = 60  # azure-identity treats a token of less than five minutes as expired
IDENTITY_FIRST = "ManagedIdentityCredential"


class IdentityEndpoint:
    """``/msi/token`` of the test server: gives ``msi-1``, ``msi-2``, … or answers with ``instead``."""

    def __init__(self, server: ArmServer) -> None:
        self.requests: list[Recorded] = []
        self.instead: Answer | None = None
        self.valid_s = AN_HOUR_S
        server.routes["/msi/token"] = self.answer

    def answer(self, request: Recorded) -> Answer:
        self.requests.append(request)
        if self.instead is not None:
            return self.instead
        if request.headers["X-IDENTITY-HEADER"] != "simulator":
            return Say(401, {"statusCode": 401, "message": "wrong header"})
        expires_on = str(int(time.time()) + self.valid_s)
        return Say(200, {"access_token": f"msi-{len(self.requests)}", "expires_on": expires_on, "token_type": "Bearer"})


@pytest.fixture
def endpoint(server: ArmServer, monkeypatch: pytest.MonkeyPatch) -> IdentityEndpoint:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "MSI_ENDPOINT", "MSI_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "simulator")
    return IdentityEndpoint(server)


@pytest.fixture
def session(server: ArmServer, endpoint: IdentityEndpoint) -> Iterator[ArmSession]:
    assert endpoint.requests == []
    with closing(ArmSession(server.url, DefaultAzureCredential)) as session:
        yield session


@pytest.fixture
def swift(server: ArmServer, endpoint: IdentityEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArmSession]:
    """The same, without azure-identity's own retries and without the developer tools at the end of its chain."""
    assert endpoint.requests == []
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", IDENTITY_FIRST)
    with closing(ArmSession(server.url, lambda: DefaultAzureCredential(retry_total=0))) as session:
        yield session


def tokens(server: ArmServer) -> list[str]:
    return [request.headers["Authorization"] for request in server.requests if request.path != "/msi/token"]


def test_the_token_of_the_managed_identity_is_requested_once_and_cached(
    server: ArmServer, session: ArmSession, endpoint: IdentityEndpoint
) -> None:
    server.answers(Say(), Say())

    session.call("GET", "/a")
    session.call("GET", "/a")

    assert tokens(server) == ["Bearer msi-1", "Bearer msi-1"]
    assert endpoint.requests[0].query == {"api-version": "2019-08-01", "resource": server.url}
    assert len(endpoint.requests) == 1


def test_the_client_id_of_a_user_assigned_identity_is_sent(
    server: ArmServer, session: ArmSession, endpoint: IdentityEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555")
    server.answers(Say())

    session.call("GET", "/a")

    assert endpoint.requests[0].query["client_id"] == "11111111-2222-3333-4444-555555555555"


def test_after_a_401_a_new_token_is_requested(server: ArmServer, session: ArmSession) -> None:
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

    assert endpoint.requests == []


@pytest.mark.parametrize(
    "message",
    [
        "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.",
        "No MSI found for specified ClientId/ResourceId.",
        "Identity not found",
    ],
)
@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_answer_that_says_that_there_is_no_such_identity_is_an_authorization_failure_whatever_its_status(
    swift: ArmSession, endpoint: IdentityEndpoint, status: int, message: str
) -> None:
    endpoint.instead = Say(status, {"statusCode": status, "message": message})

    with pytest.raises(TerminalError, match="AuthorizationFailed"):
        swift.call("GET", "/a")


WARMING_UP = "An unexpected error occured while fetching the AAD Token."
TRANSIENT = {
    "dropped": DROP,
    "500": Say(500, {"statusCode": 500, "message": WARMING_UP}),
    "500 without a body": Say(500, b""),
    "500 page": Say(500, b"<html>The service is unavailable.</html>"),
    "503": Say(503, {"statusCode": 503, "message": "starting"}),
    "429": Say(429, {"statusCode": 429, "message": "slow down"}),
    "400": Say(400, {"statusCode": 400, "message": "not yet"}),
    "401": Say(401, {"statusCode": 401, "message": "not yet"}),
    "404": Say(404, {"statusCode": 404, "message": "not yet"}),
    "403": Say(403, {"statusCode": 403, "message": "not yet"}),
    "410": Say(410, {"statusCode": 410, "message": "the endpoint is being updated"}),
    "502": Say(502, b"<html>bad gateway</html>"),
    "page": Say(200, b"<html>sign in</html>"),
    "empty": Say(200, b""),
    "list": Say(200, b"[]"),
    "null": Say(200, b"null"),
    "no token": Say(200, {}),
    "no time": Say(200, {"access_token": "t", "expires_on": "soon", "token_type": "Bearer"}),
    "nonsense": Raw(b"nonsense\r\n\r\n"),
}


@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=TRANSIENT)
def test_a_failure_to_get_the_first_token_is_transient(
    swift: ArmSession, endpoint: IdentityEndpoint, answer: Answer
) -> None:
    endpoint.instead = answer

    with pytest.raises(TransientError):
        swift.call("GET", "/a")


@pytest.mark.parametrize("answer", TRANSIENT.values(), ids=TRANSIENT)
def test_a_failure_to_get_a_later_token_is_transient(
    server: ArmServer, swift: ArmSession, endpoint: IdentityEndpoint, answer: Answer
) -> None:
    endpoint.valid_s = SHORT_S
    server.answers(Say(), Say())
    swift.call("GET", "/a")
    endpoint.instead = answer

    with pytest.raises(TransientError):
        swift.call("GET", "/a")


def test_an_unreachable_identity_endpoint_is_transient(
    swift: ArmSession, closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{closed_port}/msi/token")

    with pytest.raises(TransientError):
        swift.call("GET", "/a")


def test_after_a_failed_renewal_the_call_is_not_repeated(
    server: ArmServer, swift: ArmSession, endpoint: IdentityEndpoint
) -> None:
    def refuse(_: Recorded) -> Answer:
        endpoint.instead = Say(400, {"statusCode": 400, "message": "No Managed Identity found"})
        return Say(401)

    server.routes["/restore"] = refuse

    with pytest.raises(TerminalError, match="AuthorizationFailed"):
        swift.call("POST", "/restore", body={}, once=True)

    assert len(tokens(server)) == 1


class TestTheObjectIdOfTheIdentity:
    def token(self, claims: object) -> str:
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"header.{payload}.signature"

    def seen(self, server: ArmServer, token: str) -> str | None:
        with closing(ArmSession(server.url, lambda: FakeCredential(token))) as session:
            return session.principal_id()

    @pytest.mark.parametrize("more", ["", "x", "xy", "xyz"])  # base64 with and without padding
    def test_is_read_from_the_claims_of_its_token(self, server: ArmServer, more: str) -> None:
        assert self.seen(server, self.token({"oid": "object-1", "aud": more})) == "object-1"
        assert server.requests == []

    @pytest.mark.parametrize("claims", [{}, [], None, {"oid": None}, {"oid": 7}, {"oid": "x" * 5000}])
    def test_is_unknown_if_the_claims_do_not_have_it(self, server: ArmServer, claims: object) -> None:
        assert self.seen(server, self.token(claims)) is None

    @pytest.mark.parametrize("token", ["opaque", "a.b", "a.%%%.c", "a.\u00e4.c", ".."])
    def test_is_unknown_if_the_token_is_opaque(self, server: ArmServer, token: str) -> None:
        assert self.seen(server, token) is None

    def test_is_unknown_if_there_is_no_token(self, swift: ArmSession, endpoint: IdentityEndpoint) -> None:
        endpoint.instead = Say(400, {"error": "invalid_request"})

        assert swift.principal_id() is None
