from __future__ import annotations

import logging
import socket
import sys
import threading
import tomllib
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arm.connections import Timeouts
from arm.session import ArmSession
from domain.errors import RestoreError, TerminalError, TransientError, UnknownOutcomeError
from simulator.tls import loopback_tls
from tests.support.arm_server import DROP, HANG, Answer, ArmServer, FakeCredential, FakeIdentity, Raw, Recorded, Say

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNED = "/a/operationsStatus/1?api-version=2019-05-13-preview&t=639&c=MIIH-_&s=SIGNATURE-_x&h=HASH"
HALF = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
NOT_HTTP = Raw(b"\x15\x03\x01 nonsense\r\n\r\n")
TWO_LENGTHS = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}")


type OpenSession = Callable[..., ArmSession]


def test_every_call_has_the_token_a_request_id_and_json_headers(
    server: ArmServer, session: ArmSession, identity: FakeIdentity
) -> None:
    server.answers(Say(body={}), Say(body={}))

    first = session.call("GET", "/a?api-version=1")
    session.call("POST", f"{server.url}/b", body={"x": 1}, client_request_id="mine")

    one, two = server.requests
    assert one.headers["Authorization"] == "Bearer token-1"
    assert one.headers["Accept"] == "application/json"
    assert one.headers["x-ms-client-request-id"] == first.client_request_id
    assert (one.method, one.target, one.body) == ("GET", "/a?api-version=1", b"")
    assert two.headers["x-ms-client-request-id"] == "mine"
    assert two.headers["Content-Type"] == "application/json"
    assert (two.method, two.target, two.json) == ("POST", "/b", {"x": 1})
    assert identity.made[0].scopes == [f"{server.url}/.default"] * 2


def test_a_resource_that_must_be_new_is_not_written_over_another(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(), Say())

    session.call("PUT", "/a", body={}, only_new=True)
    session.call("PUT", "/a", body={})

    assert [request.headers.get("If-None-Match") for request in server.requests] == ["*", None]


def test_the_user_agent_names_the_projects_version(server: ArmServer, session: ArmSession) -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    server.answers(Say())

    session.call("GET", "/a")

    assert server.requests[0].headers["User-Agent"] == f"{project['name']}/{project['version']}"


def test_request_ids_differ_from_call_to_call(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(), Say())

    assert session.call("GET", "/a").client_request_id != session.call("GET", "/a").client_request_id


def test_a_signed_url_is_sent_unchanged(server: ArmServer, session: ArmSession) -> None:
    given = "/a/protectedItems/VM;iaasvmcontainerv2;rg;vm/operationsStatus/1?api-version=1&t=1&c=a-_&s=b~&h=c%3D&x='y'"
    server.answers(Say())

    session.call("GET", f"{server.url}{given}")

    assert server.requests[0].target == given


def test_a_connection_is_used_again(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(body={}), Say(body={}), Say(body={}))

    for _ in range(3):
        session.call("GET", "/a")

    assert len({request.connection for request in server.requests}) == 1


def test_32_connections_are_kept(server: ArmServer, session: ArmSession) -> None:
    together = threading.Barrier(32)

    def answer(_: Recorded) -> Answer:
        together.wait(timeout=20)
        return Say()

    server.routes["/a"] = answer
    with ThreadPoolExecutor(32) as pool:
        for _ in range(2):
            list(pool.map(lambda _: session.call("GET", "/a"), range(32)))

    assert len({request.connection for request in server.requests}) == 32


def test_after_a_401_the_token_is_renewed_and_the_call_repeated_unchanged(
    server: ArmServer, session: ArmSession, identity: FakeIdentity
) -> None:
    server.answers(Say(401), Say(202), Say(200))

    session.call("POST", "/restore", body={"x": 1}, client_request_id="mine", once=True)
    session.call("GET", "/a")

    assert [request.headers["Authorization"] for request in server.requests] == [
        "Bearer token-1",
        "Bearer token-2",
        "Bearer token-2",
    ]
    assert [request.headers["x-ms-client-request-id"] for request in server.requests[:2]] == ["mine", "mine"]
    assert server.requests[0].body == server.requests[1].body
    assert len(identity.made) == 2


def test_a_second_401_is_an_authorization_failure(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(401), Say(401, {"error": {"code": "InvalidAuthenticationToken", "message": "m"}}))

    with pytest.raises(TerminalError, match="AuthorizationFailed") as caught:
        session.call("POST", "/restore", body={}, once=True)

    assert caught.value.details[0].code == "InvalidAuthenticationToken"
    assert len(server.requests) == 2


def test_many_threads_with_the_same_refused_token_renew_it_once(
    server: ArmServer, session: ArmSession, identity: FakeIdentity
) -> None:
    together = threading.Barrier(8)

    def answer(request: Recorded) -> Answer:
        return Say(200 if request.headers["Authorization"] == "Bearer token-2" else 401)

    def call(_: int) -> int:
        together.wait()
        return session.call("GET", "/a").status

    server.routes["/a"] = answer
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(call, range(8)))

    assert statuses == [200] * 8
    assert len(identity.made) == 2


def test_netrc_does_not_replace_the_token(
    server: ArmServer, session: ArmSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answers(Say())

    session.call("GET", "/a")

    assert server.requests[0].headers["Authorization"] == "Bearer token-1"


def test_cookies_are_not_kept(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(headers={"Set-Cookie": "affinity=1; Path=/"}), Say())

    session.call("GET", "/a")
    session.call("GET", "/a")

    assert "Cookie" not in server.requests[1].headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(server: ArmServer, session: ArmSession, status: int) -> None:
    server.answers(Say(status, headers={"Location": f"{server.url}/elsewhere"}))

    with pytest.raises(TerminalError, match="RestoreRefused"):
        session.call("GET", "/a")

    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [DROP, HALF, NOT_HTTP, TWO_LENGTHS, HANG], ids=lambda answer: str(answer)[:12])
@pytest.mark.parametrize("once", [False, True])
def test_after_a_lost_answer_the_request_is_not_sent_again(
    server: ArmServer, impatient_session: ArmSession, answer: Answer, once: bool
) -> None:
    server.answers(answer)

    with pytest.raises(UnknownOutcomeError if once else TransientError):
        impatient_session.call("POST", "/a", body={}, once=once)

    assert len(server.requests) == 1


@pytest.mark.parametrize("once", [False, True])
def test_after_a_kept_connection_breaks_the_request_is_not_sent_again(
    server: ArmServer, session: ArmSession, once: bool
) -> None:
    server.answers(Say(body={}), DROP)
    session.call("GET", "/a")

    with pytest.raises(UnknownOutcomeError if once else TransientError):
        session.call("POST", "/b", body={}, once=once)

    first, second = server.requests
    assert first.connection == second.connection


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_after_a_retry_after_the_session_does_not_retry(server: ArmServer, session: ArmSession, status: int) -> None:
    server.answers(Say(status, headers={"Retry-After": "0"}))

    with pytest.raises(TransientError) as caught:
        session.call("GET", "/a")

    assert caught.value.retry_after_s == 0.0
    assert len(server.requests) == 1


def test_a_retry_after_date_is_compared_with_the_injected_clock(server: ArmServer, open_session: OpenSession) -> None:
    session = open_session(clock=lambda: datetime(2026, 11, 23, 8, tzinfo=UTC))
    late = b"HTTP/1.1 503 x\r\nRetry-After: Mon, 23 Nov 2026 08:00:45 GMT\r\nContent-Length: 0\r\n\r\n"
    server.answers(Raw(late))

    with pytest.raises(TransientError) as caught:
        session.call("GET", "/a")

    assert caught.value.retry_after_s == 45.0


def test_a_refused_connection_means_that_nothing_was_sent(closed_port: str, open_session: OpenSession) -> None:
    session = open_session(closed_port)

    with pytest.raises(TransientError, match="NewConnectionError"):
        session.call("POST", "/a", body={}, once=True)


@pytest.mark.skipif(sys.platform != "linux", reason="how a full backlog behaves is the kernel's own")
def test_a_connect_timeout_means_that_nothing_was_sent(open_session: OpenSession) -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.settimeout(0)
            filler.connect_ex(listener.getsockname())
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        session = open_session(address, timeouts=Timeouts(connect_s=0.05))

        with pytest.raises(TransientError, match="ConnectTimeout"):
            session.call("POST", "/a", body={}, once=True)


def test_an_invalid_certificate_means_that_nothing_was_sent(tmp_path: Path, open_session: OpenSession) -> None:
    with closing(ArmServer(tls=loopback_tls(tmp_path / "trusted.pem"))) as server:
        with pytest.raises(TransientError, match="SSLError"):
            open_session(server.url).call("POST", "/a", body={}, once=True)

        assert server.requests == []


def test_the_environments_proxy_is_used(
    server: ArmServer, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    session = open_session("http://arm.invalid")
    server.answers(Say(body={}))

    session.call("GET", "/a?b=c")

    assert server.requests[0].target == "http://arm.invalid/a?b=c"


def test_a_connection_lost_behind_a_proxy_is_an_unknown_outcome(
    server: ArmServer, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    session = open_session("http://arm.invalid")
    server.answers(DROP)

    with pytest.raises(UnknownOutcomeError):
        session.call("POST", "/a", body={}, once=True)


def test_an_unreachable_proxy_means_that_nothing_was_sent(
    closed_port: str, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port)
    session = open_session("http://arm.invalid")

    with pytest.raises(TransientError):
        session.call("POST", "/a", body={}, once=True)


@pytest.mark.parametrize("answer", [Say(200, {}), Say(500), DROP], ids=["200", "500", "dropped"])
def test_logs_and_errors_contain_no_tokens_and_signatures(
    server: ArmServer, session: ArmSession, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers(answer)
    text = ""

    try:
        session.call("GET", server.url + SIGNED)
    except RestoreError as error:
        text = "".join(traceback.format_exception(error)) + str(error.to_json())

    assert "/a/operationsStatus/1" in caplog.text
    for secret in ("SIGNATURE", "HASH", "token-1"):
        assert secret not in caplog.text + text


def test_a_token_that_cannot_be_sent_is_not_quoted(open_session: OpenSession) -> None:
    session = open_session(identity=lambda: FakeCredential("secret\r\ntoken"))

    with pytest.raises(TransientError) as caught:
        session.call("GET", "/a")

    assert "secret" not in "".join(traceback.format_exception(caught.value)) + str(caught.value.to_json())


def test_every_call_is_logged_in_one_debug_line(
    server: ArmServer, session: ArmSession, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "arm.session")
    server.answers(Say(headers={"x-ms-request-id": "r-1"}), DROP)

    session.call("GET", "/a?b=c")
    with pytest.raises(TransientError):
        session.call("GET", "/b", client_request_id="mine")

    answered, lost = caplog.messages
    assert answered.startswith("GET /a 200 in ")
    assert answered.endswith(" ms, request r-1")
    assert lost.startswith("GET /b ConnectionError in ")
    assert lost.endswith("request mine")


def test_a_low_remaining_limit_is_a_warning(
    server: ArmServer, session: ArmSession, caplog: pytest.LogCaptureFixture
) -> None:
    plenty, odd = "x-ms-ratelimit-remaining-subscription-reads", "x-ms-ratelimit-remaining-resource"
    server.answers(Say(headers={plenty: "10", odd: "Microsoft.Compute/GetOperation;3"}), Say(headers={plenty: "9"}))

    session.call("GET", "/a")
    assert caplog.messages == []
    session.call("GET", "/a")

    assert caplog.messages == [f"Azure will soon throttle: {plenty} is 9 after /a"]


def test_the_small_quota_of_resource_graph_is_no_warning(
    server: ArmServer, session: ArmSession, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers(Say(headers={"x-ms-ratelimit-remaining-tenant-resource-requests": "3"}))

    session.call("POST", "/a")

    assert caplog.messages == []


def test_close_closes_the_credential_too(server: ArmServer, session: ArmSession, identity: FakeIdentity) -> None:
    server.answers(Say())
    session.call("GET", "/a")

    session.close()

    assert identity.made[0].closed


def test_closing_an_unused_session_creates_no_credential(server: ArmServer, identity: FakeIdentity) -> None:
    ArmSession(server.url, identity).close()

    assert identity.made == []
