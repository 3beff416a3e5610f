"""Hostile answers: other hosts, endless bodies, endless lists, malformed headers."""

from __future__ import annotations

import gzip
import json
import logging
import time
import tracemalloc
import zlib
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from arm import body
from arm.connections import Timeouts
from arm.session import ArmSession
from domain.azure.jobs import OperationStatus
from domain.azure.protected_items import ProtectedItem
from domain.errors import RestoreError, TerminalError, TransientError, UnknownOutcomeError
from tests.support.arm_script import ENDPOINT, Asked, Told, scripted
from tests.support.arm_server import Answer, ArmServer, FakeCredential, Raw, Say, Stream
from tests.support.azure import CONTAINER, ITEM, VAULT_ID, VM_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arm.backup import BackupClient

type OpenSession = Callable[..., ArmSession]

MIB = 1024 * 1024
PROTECTED = ProtectedItem(
    vault_id=VAULT_ID,
    container_name=CONTAINER,
    protected_item_name=ITEM,
    source_resource_id=VM_ID,
    region="westeurope",
)
TARGET = f"{VAULT_ID}/backupOperations/op-1"


@pytest.fixture
def other() -> Iterator[ArmServer]:
    """A second server, which must get no request."""
    with closing(ArmServer()) as server:
        yield server


def foreign_urls(server: ArmServer, other: ArmServer) -> dict[str, str]:
    """Return URLs of the other server, or that look like ours but are not."""
    ours, theirs = server.url.removeprefix("http://"), other.url.removeprefix("http://")
    return {
        "other port": f"{other.url}{TARGET}",
        "user name": f"http://{ours}@{theirs}{TARGET}",
        "user name and password": f"http://{ours}:x@{theirs}{TARGET}",
        "user name at our host": f"http://user@{ours}{TARGET}",
        "backslash": f"http://{theirs}\\@{ours}{TARGET}",
        "fragment": f"http://{theirs}#@{ours}{TARGET}",
        "query": f"http://{theirs}?@{ours}{TARGET}",
        "tab": f"http://{theirs}\t@{ours}{TARGET}",
        "without scheme": f"//{theirs}{TARGET}",
        "three slashes": f"http:///{theirs}{TARGET}",
        "one slash": f"http:/{theirs}{TARGET}",
        "other scheme": f"https://{ours}{TARGET}",
        "ftp": f"ftp://{ours}{TARGET}",
        "other name": f"http://localhost:{theirs.rpartition(':')[2]}{TARGET}",
        "decimal address": f"http://2130706433:{theirs.rpartition(':')[2]}{TARGET}",
        "IPv6": f"http://[::ffff:127.0.0.1]:{theirs.rpartition(':')[2]}{TARGET}",
        "two URLs": f"{other.url}{TARGET}, {server.url}{TARGET}",
    }


FOREIGN = [
    *("other port", "user name", "user name and password", "user name at our host", "backslash", "fragment", "query"),
    *("tab", "without scheme", "three slashes", "one slash", "other scheme", "ftp", "other name", "decimal address"),
    *("IPv6", "two URLs"),
]


class TestOtherHosts:
    @pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
    @pytest.mark.parametrize("kind", FOREIGN)
    def test_an_async_url_of_another_host_is_neither_stored_nor_called(
        self, server: ArmServer, other: ArmServer, client: BackupClient, kind: str, header: str
    ) -> None:
        url = foreign_urls(server, other)[kind]
        server.answers(Say(202, headers={header: url}), Say(body={"status": "Succeeded"}))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")
        answer = client.get_operation(VAULT_ID, "op-1", url)  # as the history of an older version may contain it

        assert accepted.url is None
        assert answer.value.status is OperationStatus.SUCCEEDED
        assert other.requests == []
        assert server.requests[-1].target == f"{TARGET}?api-version=2025-08-01"

    @pytest.mark.parametrize("kind", FOREIGN)
    def test_a_next_page_on_another_host_is_not_read(
        self, server: ArmServer, other: ArmServer, client: BackupClient, kind: str
    ) -> None:
        server.answers(Say(body={"value": [], "nextLink": foreign_urls(server, other)[kind]}))

        with pytest.raises(TerminalError, match="another host"):
            list(client.list_recovery_points(PROTECTED))

        assert other.requests == []
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("once", [False, True])
    def test_no_redirect_is_followed_with_the_token(
        self, server: ArmServer, other: ArmServer, session: ArmSession, status: int, once: bool
    ) -> None:
        server.answers(Say(status, headers={"Location": f"{other.url}/a", "Refresh": f"0; url={other.url}/b"}))

        with pytest.raises(TerminalError, match=f"HTTP {status}"):
            session.call("POST", "/a", body={}, once=once)

        assert other.requests == []
        assert len(server.requests) == 1

    def test_after_a_redirected_poll_the_vaults_url_is_polled(
        self, server: ArmServer, other: ArmServer, client: BackupClient
    ) -> None:
        url = f"{server.url}/v/operationsStatus/op-1"
        server.answers(Say(307, headers={"Location": f"{other.url}{TARGET}"}), Say(body={"status": "Succeeded"}))

        client.get_operation(VAULT_ID, "op-1", url)

        assert other.requests == []
        assert server.requests[1].path == TARGET


# Sizes

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SPACES = b" " * 65_536


def endless(kind: str) -> Answer:
    if kind == "50 MB":
        return Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n", SPACES)
    if kind == "until the connection closes":
        return Stream(b"HTTP/1.1 200 OK\r\n\r\n", SPACES)
    if kind == "chunked":
        return Stream(CHUNKED, b"10000\r\n" + SPACES + b"\r\n")
    if kind == "empty gzip members":
        return Stream(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"") * 3000)
    return Say(body=bomb(), headers=GZIP)


@cache
def bomb() -> bytes:
    """Return 200 MiB of spaces as gzip."""
    compressor = zlib.compressobj(1, wbits=31)
    return b"".join(compressor.compress(b" " * MIB) for _ in range(200)) + compressor.flush()


GZIP = {"Content-Encoding": "gzip"}
ENDLESS = ["50 MB", "until the connection closes", "chunked", "empty gzip members", "bomb"]


@contextmanager
def memory_below(max_mib: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < max_mib * MIB


class TestSizes:
    @pytest.mark.parametrize("kind", ENDLESS)
    @pytest.mark.parametrize("once", [False, True])
    def test_an_endless_body_is_an_error_and_is_not_kept_in_memory(
        self, server: ArmServer, session: ArmSession, kind: str, once: bool
    ) -> None:
        answer = endless(kind)
        server.answers(answer)

        error, message = (UnknownOutcomeError, "search for its job") if once else (TransientError, "larger than 16 MiB")
        with memory_below(40), pytest.raises(error, match=message) as caught:
            session.call("POST", "/a", body={}, once=once)

        assert "BodyTooLargeError" in caught.value.message
        assert not isinstance(answer, Stream) or answer.sent < 32 * MIB

    @pytest.mark.parametrize("status", [400, 403, 429, 500])
    def test_an_error_with_an_endless_body_is_raised_as_that_error(
        self, server: ArmServer, session: ArmSession, status: int
    ) -> None:
        stream = Stream(f"HTTP/1.1 {status} x\r\nRetry-After: 7\r\n\r\n".encode(), SPACES)
        server.answers(stream)

        with memory_below(10), pytest.raises(RestoreError, match=f"HTTP {status} Http{status}") as caught:
            session.call("GET", "/a")

        assert getattr(caught.value, "retry_after_s", None) == 7.0
        assert stream.sent < 16 * MIB

    def test_the_largest_page_is_read(self, server: ArmServer, client: BackupClient) -> None:
        points = [{"name": str(number), "properties": {"x": "y" * 1500}} for number in range(9000)]
        server.answers(Say(body=gzip.compress(json.dumps({"value": points}).encode()), headers=GZIP))

        assert len(list(client.list_recovery_points(PROTECTED))) == 9000

    def test_a_connection_is_used_again_after_a_compressed_body(self, server: ArmServer, session: ArmSession) -> None:
        server.answers(*[Say(body=gzip.compress(b"{}"), headers=GZIP)] * 3)

        for _ in range(3):
            assert session.call("GET", "/a").parsed() == {}

        assert len({request.connection for request in server.requests}) == 1

    @pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br"])
    def test_an_encoding_that_the_client_does_not_ask_for_is_not_decoded(
        self, server: ArmServer, session: ArmSession, encoding: str
    ) -> None:
        server.answers(Say(body=gzip.compress(b"{}"), headers={"Content-Encoding": encoding}))

        assert session.call("GET", "/a").parsed() is None
        assert server.requests[0].headers["Accept-Encoding"] == "gzip"

    @pytest.mark.parametrize(
        "content", [b"", b"not gzip", gzip.compress(b'{"a": 1}')[:-12]], ids=["empty", "not gzip", "cut off"]
    )
    def test_broken_gzip_is_not_json_and_the_status_still_counts(
        self, server: ArmServer, session: ArmSession, content: bytes
    ) -> None:
        server.answers(Say(body=content, headers=GZIP), Say(403, body=content, headers=GZIP))

        assert session.call("GET", "/a").parsed() is None
        with pytest.raises(TerminalError, match="HTTP 403 Http403"):
            session.call("GET", "/a")


# Times. A body is bounded in total. Dripped headers are not, nor the lines between chunks: docs/decisions/0006.

DRIPS = {
    "body": Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x", 0.02),
    "body until the connection closes": Stream(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02),
    "chunk": Stream(CHUNKED + b"ffff\r\n", b"x", 0.02),
    "chunks": Stream(CHUNKED, b"1\r\nx\r\n", 0.02),
    "empty gzip members": Stream(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b""), 0.02),
    "body of an error": Stream(b"HTTP/1.1 500 x\r\n\r\n", b"x", 0.02),
}


class TestTimes:
    @pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
    def test_a_body_that_drips_ends_the_call(
        self, server: ArmServer, impatient_session: ArmSession, drip: Stream
    ) -> None:
        server.answers(drip)
        began = time.monotonic()

        with pytest.raises(UnknownOutcomeError, match="ReadTimeout"):
            impatient_session.call("POST", "/a", body={}, once=True)

        assert time.monotonic() - began < 2.0  # 0.4 s, with a margin for a busy machine

    @pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-A: "], ids=["status line", "headers"])
    def test_a_server_that_stops_inside_the_headers_ends_the_call(
        self, server: ArmServer, impatient_session: ArmSession, head: bytes
    ) -> None:
        server.answers(Stream(head, b"", 10.0))

        with pytest.raises(UnknownOutcomeError, match="ReadTimeout"):
            impatient_session.call("POST", "/a", body={}, once=True)

    def test_a_slow_body_may_take_longer_than_one_read_timeout(
        self, server: ArmServer, open_session: OpenSession
    ) -> None:
        session = open_session(timeouts=Timeouts(connect_s=2.0, read_s=0.4))
        server.answers(Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", b"x", 0.02))
        began = time.monotonic()

        assert len(session.call("GET", "/a").content) == 30
        assert time.monotonic() - began > 0.5


# Lists


def paged(page: Callable[[int], list[Any]], pages: int | None) -> Callable[[Asked], Told]:
    """Answer with a list of that many pages; ``None``: an endless list."""

    def answer(asked: Asked) -> Told:
        number = int(parse_qs(urlsplit(asked.url).query).get("page", ["0"])[0])
        more = pages is None or number + 1 < pages
        link = f"{ENDPOINT}{asked.path}?page={number + 1}" if more else None
        return Told({"value": page(number), "nextLink": link})

    return answer


LISTS: dict[str, tuple[str, Callable[[BackupClient], Any]]] = {
    "items": ("backupProtectedItems", lambda client: list(client.list_protected_items(VAULT_ID))),
    "points": ("recoveryPoints", lambda client: list(client.list_recovery_points(PROTECTED))),
    "jobs": ("backupJobs", lambda client: client.find_restore_job(VAULT_ID, activity_id="mine")),
    "running": ("backupJobs", lambda client: client.list_running_jobs(VAULT_ID)),
    "proxies": ("backupResourceGuardProxies", lambda client: list(client.list_resource_guard_proxies(VAULT_ID))),
    "disks": ("disks", lambda client: list(client.list_disks(VAULT_ID.partition("/providers")[0]))),
    "permissions": ("permissions", lambda client: list(client.list_permissions(VAULT_ID))),
    "accounts": (
        "storageAccounts",
        lambda client: list(client.list_storage_accounts(VAULT_ID.partition("/providers")[0])),
    ),
}


class TestLists:
    @pytest.mark.parametrize(("name", "read"), LISTS.values(), ids=LISTS)
    def test_an_endless_list_is_an_error_with_its_name(self, name: str, read: Callable[[BackupClient], Any]) -> None:
        client, session = scripted(paged(lambda _: [], None))

        with pytest.raises(TerminalError, match=f"{name} cannot be read to its end: it has more than 2000 pages"):
            read(client)

        assert len(session.asked) == 2000

    def test_a_list_has_a_maximum_of_entries(self) -> None:
        client, session = scripted(paged(lambda _: [{}] * 70_000, None))

        with pytest.raises(TerminalError, match="Points cannot be read to its end: it has more than 200000 entries"):
            list(client.list_recovery_points(PROTECTED))

        assert len(session.asked) == 3

    def test_a_list_has_a_maximum_of_time(self) -> None:
        now = iter(range(0, 10_000, 25))
        client, session = scripted(paged(lambda _: [], None), timer=lambda: float(next(now)))

        with pytest.raises(TerminalError, match="it takes longer than 120 s"):
            list(client.list_recovery_points(PROTECTED))

        assert len(session.asked) == 5

    def test_a_link_has_a_maximum_length(self) -> None:
        link = f"{ENDPOINT}/next?token={'x' * 20_000}"
        client, session = scripted(lambda _: Told({"value": [], "nextLink": link}))

        with pytest.raises(TerminalError, match="too long"):
            list(client.list_recovery_points(PROTECTED))

        assert len(session.asked) == 1

    @pytest.mark.parametrize("loop", [1, 2, 7])
    def test_a_loop_of_pages_is_an_error_after_one_round(self, loop: int) -> None:
        def answer(asked: Asked) -> Told:
            number = int(asked.names[-1]) if asked.names[-1].isdecimal() else 0
            return Told({"value": [], "nextLink": f"{ENDPOINT}/next/{number % loop + 1}"})

        client, session = scripted(answer)

        with pytest.raises(TerminalError, match="read already"):
            list(client.list_protected_items(VAULT_ID))

        assert len(session.asked) == loop + 1

    @pytest.mark.parametrize("link", [5, True, {"href": "x"}, ["x"]])
    def test_a_list_with_an_unreadable_link_is_not_taken_as_complete(self, link: Any) -> None:
        client, _ = scripted(lambda _: Told({"value": [], "nextLink": link}))

        with pytest.raises(TransientError, match="could not be read"):
            client.find_restore_job(VAULT_ID, activity_id="mine")

    def test_ten_thousand_points_in_a_hundred_pages_are_read(self) -> None:
        client, session = scripted(paged(lambda page: [{"name": f"{page}-{entry}"} for entry in range(100)], 100))

        assert len({point.point_id for point in client.list_recovery_points(PROTECTED)}) == 10_000
        assert len(session.asked) == 100

    def test_the_last_job_of_fifty_thousand_is_found(self) -> None:
        def page(number: int) -> list[Any]:
            return [
                {"name": f"{number}-{entry}", "properties": {"activityId": f"{number}-{entry}"}} for entry in range(100)
            ]

        client, session = scripted(paged(page, 500))

        found = client.find_restore_job(VAULT_ID, activity_id="499-99")

        assert found is not None
        assert found.job_id == "499-99"
        assert len(session.asked) == 500


# Headers


def with_headers(*lines: str, status: int = 202) -> Raw:
    return Raw("\r\n".join([f"HTTP/1.1 {status} x", *lines, "Connection: close", "Content-Length: 0", "", ""]).encode())


class TestHeaders:
    def test_the_first_of_two_async_urls_is_used(self, server: ArmServer, client: BackupClient) -> None:
        first, second = (f"Azure-AsyncOperation: {server.url}/v/operationsStatus/{name}?api-version=1" for name in "ab")
        server.answers(with_headers(first, second))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert (accepted.operation_id, accepted.url) == ("a", f"{server.url}/v/operationsStatus/a?api-version=1")

    @pytest.mark.parametrize("fold", ["\r\n /evil/x", "\r\n\t@evil.example/x", "\x00x", "\x0bx", "\x85x"])
    def test_a_malformed_async_url_is_not_stored(self, server: ArmServer, client: BackupClient, fold: str) -> None:
        server.answers(with_headers(f"Azure-AsyncOperation: {server.url}/v/operationsStatus/op-1{fold}"))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert accepted.url is None

    def test_an_async_url_that_is_too_long_is_not_stored(self, server: ArmServer, client: BackupClient) -> None:
        long = f"{server.url}/v/operationsStatus/op-1?x={'y' * 5000}"
        server.answers(Say(202, headers={"Azure-AsyncOperation": long}))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert (accepted.operation_id, accepted.url) == ("op-1", None)

    def test_an_operation_id_that_is_too_long_is_not_stored(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(202, headers={"Azure-AsyncOperation": f"{server.url}/v/operationsStatus/{'y' * 5000}"}))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert (accepted.operation_id, accepted.url) == (None, None)

    def test_a_remaining_limit_of_many_digits_is_ignored(self, server: ArmServer, session: ArmSession) -> None:
        server.answers(with_headers(f"x-ms-ratelimit-remaining-subscription-reads: {'9' * 5000}", status=200))

        assert session.call("GET", "/a").status == 200

    def test_request_ids_cannot_forge_a_log_line_and_are_truncated(
        self, server: ArmServer, session: ArmSession, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        forged = "x-ms-request-id: r-1\x0b2026-11-25 CRITICAL forged\r\n \x85" + "x" * 3000
        server.answers(with_headers(forged, status=400))

        with pytest.raises(TerminalError) as caught:
            session.call("GET", "/a")

        assert "forged" in caplog.text
        assert all(len(line.splitlines()) == 1 for line in caplog.messages)
        info = caught.value.details[0].info
        assert info is not None
        assert len(info["requestId"]) <= 100

    @pytest.mark.parametrize("wait", ["9" * 5000, "-1", "1e9", "nan", "inf", "Mon, 99 Foo 0000", "\u0661"])
    def test_an_odd_wait_is_ignored_or_bounded(self, server: ArmServer, session: ArmSession, wait: str) -> None:
        server.answers(with_headers(f"Retry-After: {wait}", status=429))

        with pytest.raises(TransientError) as caught:
            session.call("GET", "/a")

        assert caught.value.retry_after_s is None or 0 <= caught.value.retry_after_s <= 366 * 86_400

    def test_more_than_a_hundred_headers_are_an_error(self, server: ArmServer, session: ArmSession) -> None:
        server.answers(with_headers(*(f"X-{number}: x" for number in range(101)), status=200))

        with pytest.raises(TransientError):
            session.call("GET", "/a")


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"9" * 10_000,
        b'{"a": 1e999}',
        b"\xff",
    ],
    ids=["deep list", "deep object", "long number", "infinity", "not UTF-8"],
)
def test_what_a_history_cannot_store_is_not_json(server: ArmServer, session: ArmSession, body: bytes) -> None:
    server.answers(Say(body=body))

    assert session.call("GET", "/a").parsed() is None


def test_half_a_surrogate_pair_becomes_a_question_mark(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(body=b'{"cut": "Quota \\ud83d", "whole": "\\ud83d\\ude00", "raw": "\xed\xa0\xbd"}'))

    parsed = session.call("GET", "/a").parsed()

    assert isinstance(parsed, dict)
    assert (parsed["cut"], parsed["whole"]) == ("Quota ?", "\U0001f600")
    json.dumps(parsed, ensure_ascii=False).encode()


def test_a_token_that_the_service_quotes_is_removed(server: ArmServer, open_session: OpenSession) -> None:
    session = open_session(identity=lambda: FakeCredential("t0ken"))
    server.answers(Say(400, {"error": {"code": "t0ken", "message": "You sent t0ken", "target": "t0ken"}}))

    with pytest.raises(TerminalError) as caught:
        session.call("GET", "/a")

    assert "You sent (removed)" in caught.value.details[0].message
    assert "t0ken" not in str(caught.value.to_json()) + str(caught.value)


def test_the_maximum_body_is_what_its_error_says() -> None:
    assert body.MAX_BODY_BYTES == 16 * MIB
