"""A service that means harm: other hosts, endless answers, endless lists, headers with tricks in them."""

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

from arm import transport
from arm.session import ArmSession, Timeouts
from domain.errors import UnknownOutcomeError, RestoreError, TerminalError, TransientError
from domain.jobs import OperationStatus
from domain.protected_items import ProtectedItem
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
    """A second server; what it is asked, somebody was led astray to ask."""
    with closing(ArmServer()) as server:
        yield server


def led_astray(server: ArmServer, other: ArmServer) -> dict[str, str]:
    """Return addresses that lead to the other server, or may seem to lead to ours."""
    ours, theirs = server.url.removeprefix("http://"), other.url.removeprefix("http://")
    return {
        "other port": f"{other.url}{TARGET}",
        "user name": f"http://{ours}@{theirs}{TARGET}",
        "user name and password": f"http://{ours}:x@{theirs}{TARGET}",
        "user name at ours": f"http://user@{ours}{TARGET}",
        "backslash": f"http://{theirs}\\@{ours}{TARGET}",
        "fragment": f"http://{theirs}#@{ours}{TARGET}",
        "query": f"http://{theirs}?@{ours}{TARGET}",
        "tab": f"http://{theirs}\t@{ours}{TARGET}",
        "without scheme": f"//{theirs}{TARGET}",
        "three slashes": f"http:///{theirs}{TARGET}",
        "one slash": f"http:/{theirs}{TARGET}",
        "other scheme": f"https://{ours}{TARGET}",
        "no web": f"ftp://{ours}{TARGET}",
        "other name": f"http://localhost:{theirs.rpartition(':')[2]}{TARGET}",
        "other writing": f"http://2130706433:{theirs.rpartition(':')[2]}{TARGET}",
        "six": f"http://[::ffff:127.0.0.1]:{theirs.rpartition(':')[2]}{TARGET}",
        "two at once": f"{other.url}{TARGET}, {server.url}{TARGET}",
    }


ASTRAY = [
    *("other port", "user name", "user name and password", "user name at ours", "backslash", "fragment", "query"),
    *("tab", "without scheme", "three slashes", "one slash", "other scheme", "no web", "other name", "other writing"),
    *("six", "two at once"),
]


class TestOtherHosts:
    @pytest.mark.parametrize("header", ["Azure-AsyncOperation", "Location"])
    @pytest.mark.parametrize("kind", ASTRAY)
    def test_an_async_url_that_leads_astray_is_neither_kept_nor_called(
        self, server: ArmServer, other: ArmServer, client: BackupClient, kind: str, header: str
    ) -> None:
        url = led_astray(server, other)[kind]
        server.answers(Say(202, headers={header: url}), Say(body={"status": "Succeeded"}))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")
        answer = client.get_operation(VAULT_ID, "op-1", url)  # as an old history might have it

        assert accepted.url is None
        assert answer.value.status is OperationStatus.SUCCEEDED
        assert other.requests == []
        assert server.requests[-1].target == f"{TARGET}?api-version=2025-08-01"

    @pytest.mark.parametrize("kind", ASTRAY)
    def test_nor_is_a_next_page(self, server: ArmServer, other: ArmServer, client: BackupClient, kind: str) -> None:
        server.answers(Say(body={"value": [], "nextLink": led_astray(server, other)[kind]}))

        with pytest.raises(TerminalError, match="another host"):
            list(client.list_recovery_points(PROTECTED))

        assert other.requests == []
        assert len(server.requests) == 1

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    @pytest.mark.parametrize("once", [False, True])
    def test_no_redirect_takes_the_token_along(
        self, server: ArmServer, other: ArmServer, session: ArmSession, status: int, once: bool
    ) -> None:
        server.answers(Say(status, headers={"Location": f"{other.url}/a", "Refresh": f"0; url={other.url}/b"}))

        with pytest.raises(TerminalError, match=f"HTTP {status}"):
            session.call("POST", "/a", body={}, once=once)

        assert other.requests == []
        assert len(server.requests) == 1

    def test_a_redirect_of_a_look_leads_to_the_vaults_address(
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
    if kind == "until it hangs up":
        return Stream(b"HTTP/1.1 200 OK\r\n\r\n", SPACES)
    if kind == "chunked":
        return Stream(CHUNKED, b"10000\r\n" + SPACES + b"\r\n")
    twice = kind == "bomb in a bomb"
    return Say(
        body=gzip.compress(bomb()) if twice else bomb(), headers={"Content-Encoding": "gzip, gzip" if twice else "gzip"}
    )


@cache
def bomb() -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(b" " * MIB) for _ in range(200)) + packer.flush()


ENDLESS = ["50 MB", "until it hangs up", "chunked", "bomb", "bomb in a bomb"]


@contextmanager
def memory_below(most_mib: float) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most_mib * MIB


class TestSizes:
    @pytest.mark.parametrize("kind", ENDLESS)
    @pytest.mark.parametrize("once", [False, True])
    def test_a_body_without_an_end_is_named_and_not_kept(
        self, server: ArmServer, session: ArmSession, kind: str, once: bool
    ) -> None:
        answer = endless(kind)
        server.answers(answer)

        error, message = (UnknownOutcomeError, "look for its job") if once else (TransientError, "longer than 16 MiB")
        with memory_below(40), pytest.raises(error, match=message) as caught:
            session.call("POST", "/a", body={}, once=once)

        assert "AnswerTooLongError" in caught.value.message
        assert not isinstance(answer, Stream) or answer.sent < 32 * MIB

    @pytest.mark.parametrize("status", [400, 403, 429, 500])
    def test_an_endless_explanation_does_not_hide_what_it_explains(
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
        server.answers(Say(body=gzip.compress(json.dumps({"value": points}).encode()), headers=PACKED))

        assert len(list(client.list_recovery_points(PROTECTED))) == 9000

    def test_a_connection_serves_on_after_a_packed_answer(self, server: ArmServer, session: ArmSession) -> None:
        server.answers(*[Say(body=gzip.compress(b"{}"), headers=PACKED)] * 3)

        for _ in range(3):
            assert session.call("GET", "/a").parsed() == {}

        assert len({request.connection for request in server.requests}) == 1


PACKED = {"Content-Encoding": "gzip"}

# Times

DRIPS = {
    "status line": Stream(b"HTTP/1.1 200 ", b"x", 0.02),
    "headers": Stream(b"HTTP/1.1 200 OK\r\nX-A: ", b"x", 0.02),
    "interim answers": Stream(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "body": Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x", 0.02),
    "body until it hangs up": Stream(b"HTTP/1.1 200 OK\r\n\r\n", b"x", 0.02),
    "chunk": Stream(CHUNKED + b"ffff\r\n", b"x", 0.02),
    "chunks": Stream(CHUNKED, b"1\r\nx\r\n", 0.02),
    "length of a chunk": Stream(CHUNKED, b"0", 0.02),
    "trailers": Stream(CHUNKED + b"0\r\n", b"A: b\r\n", 0.02),
    "empty members": Stream(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b""), 0.02),
}


class TestTimes:
    @pytest.mark.parametrize("drip", DRIPS.values(), ids=DRIPS)
    def test_an_answer_that_drips_is_given_up(
        self, server: ArmServer, impatient_session: ArmSession, drip: Stream
    ) -> None:
        server.answers(drip)
        began = time.monotonic()

        with pytest.raises(UnknownOutcomeError, match=r"Timeout|Connection"):
            impatient_session.call("POST", "/a", body={}, once=True)

        assert time.monotonic() - began < 2.0  # 0.4 s, and a busy machine

    def test_a_slow_answer_may_take_longer_than_a_wait_for_its_next_byte(
        self, server: ArmServer, open_session: OpenSession
    ) -> None:
        session = open_session(timeouts=Timeouts(connect_s=2.0, read_s=0.4))
        server.answers(Stream(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n", b"x", 0.02))
        began = time.monotonic()

        assert len(session.call("GET", "/a").content) == 30
        assert time.monotonic() - began > 0.5


# Lists


def paged(page: Callable[[int], list[Any]], pages: int | None) -> Callable[[Asked], Told]:
    """Answer a list of so many pages, ``None`` for one without an end."""

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
    "proxies": ("backupResourceGuardProxies", lambda client: list(client.list_resource_guard_proxies(VAULT_ID))),
    "disks": ("disks", lambda client: list(client.list_disks(VAULT_ID.partition("/providers")[0]))),
}


class TestLists:
    @pytest.mark.parametrize(("name", "read"), LISTS.values(), ids=LISTS)
    def test_one_without_an_end_is_given_up_by_name(self, name: str, read: Callable[[BackupClient], Any]) -> None:
        client, session = scripted(paged(lambda _: [], None))

        with pytest.raises(TerminalError, match=f"{name} cannot be read to its end: it has more than 2000 pages"):
            read(client)

        assert len(session.asked) == 2000

    def test_nor_may_few_pages_hold_too_much(self) -> None:
        client, session = scripted(paged(lambda _: [{}] * 70_000, None))

        with pytest.raises(TerminalError, match="Points cannot be read to its end: it has more than 200000 entries"):
            list(client.list_recovery_points(PROTECTED))

        assert len(session.asked) == 3

    def test_nor_may_it_take_for_ever(self) -> None:
        now = iter(range(0, 10_000, 25))
        client, session = scripted(paged(lambda _: [], None), timer=lambda: float(next(now)))

        with pytest.raises(TerminalError, match="it takes longer than 120 s"):
            list(client.list_recovery_points(PROTECTED))

        assert len(session.asked) == 5

    def test_nor_are_addresses_of_any_length_remembered(self) -> None:
        link = f"{ENDPOINT}/next?token={'x' * 20_000}"
        client, session = scripted(lambda _: Told({"value": [], "nextLink": link}))

        with pytest.raises(TerminalError, match="too long"):
            list(client.list_recovery_points(PROTECTED))

        assert len(session.asked) == 1

    @pytest.mark.parametrize("loop", [1, 2, 7])
    def test_a_loop_is_given_up_once_round(self, loop: int) -> None:
        def answer(asked: Asked) -> Told:
            number = int(asked.names[-1]) if asked.names[-1].isdecimal() else 0
            return Told({"value": [], "nextLink": f"{ENDPOINT}/next/{number % loop + 1}"})

        client, session = scripted(answer)

        with pytest.raises(TerminalError, match="read already"):
            list(client.list_protected_items(VAULT_ID))

        assert len(session.asked) == loop + 1

    @pytest.mark.parametrize("link", [5, True, {"href": "x"}, ["x"]])
    def test_half_a_list_is_not_taken_for_a_whole_one(self, link: Any) -> None:
        client, _ = scripted(lambda _: Told({"value": [], "nextLink": link}))

        with pytest.raises(TransientError, match="could not be read"):
            client.find_restore_job(VAULT_ID, activity_id="mine")

    def test_ten_thousand_points_in_a_hundred_pages_are_read(self) -> None:
        client, session = scripted(paged(lambda page: [{"name": f"{page}-{each}"} for each in range(100)], 100))

        assert len({point.point_id for point in client.list_recovery_points(PROTECTED)}) == 10_000
        assert len(session.asked) == 100

    def test_so_is_the_job_at_the_end_of_fifty_thousand(self) -> None:
        def page(number: int) -> list[Any]:
            return [
                {"name": f"{number}-{each}", "properties": {"activityId": f"{number}-{each}"}} for each in range(100)
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
    def test_of_two_addresses_the_first_counts(self, server: ArmServer, client: BackupClient) -> None:
        first, second = (f"Azure-AsyncOperation: {server.url}/v/operationsStatus/{name}?api-version=1" for name in "ab")
        server.answers(with_headers(first, second))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert (accepted.operation_id, accepted.url) == ("a", f"{server.url}/v/operationsStatus/a?api-version=1")

    @pytest.mark.parametrize("fold", ["\r\n /evil/x", "\r\n\t@evil.example/x", "\x00x", "\x0bx", "\x85x"])
    def test_an_address_that_is_none_as_it_stands_is_left_alone(
        self, server: ArmServer, client: BackupClient, fold: str
    ) -> None:
        server.answers(with_headers(f"Azure-AsyncOperation: {server.url}/v/operationsStatus/op-1{fold}"))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert accepted.url is None

    def test_an_address_too_long_to_keep_is_not_kept(self, server: ArmServer, client: BackupClient) -> None:
        long = f"{server.url}/v/operationsStatus/op-1?x={'y' * 5000}"
        server.answers(Say(202, headers={"Azure-AsyncOperation": long}))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert (accepted.operation_id, accepted.url) == ("op-1", None)

    def test_an_operation_with_a_name_too_long_to_keep_has_none(self, server: ArmServer, client: BackupClient) -> None:
        server.answers(Say(202, headers={"Azure-AsyncOperation": f"{server.url}/v/operationsStatus/{'y' * 5000}"}))

        accepted = client.trigger_restore(PROTECTED, "1103", {}, client_request_id="mine")

        assert (accepted.operation_id, accepted.url) == (None, None)

    def test_a_limit_with_endless_digits_is_none(self, server: ArmServer, session: ArmSession) -> None:
        server.answers(with_headers(f"x-ms-ratelimit-remaining-subscription-reads: {'9' * 5000}", status=200))

        assert session.call("GET", "/a").status == 200

    def test_request_ids_forge_no_line_of_the_log_and_have_a_length(
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
    def test_no_wait_is_too_odd(self, server: ArmServer, session: ArmSession, wait: str) -> None:
        server.answers(with_headers(f"Retry-After: {wait}", status=429))

        with pytest.raises(TransientError) as caught:
            session.call("GET", "/a")

        assert caught.value.retry_after_s is None or 0 <= caught.value.retry_after_s <= 366 * 86_400

    def test_a_hundred_and_one_headers_are_too_many(self, server: ArmServer, session: ArmSession) -> None:
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
    ids=["deep list", "deep object", "endless number", "infinity", "no text"],
)
def test_what_no_history_could_keep_is_no_json(server: ArmServer, session: ArmSession, body: bytes) -> None:
    server.answers(Say(body=body))

    assert session.call("GET", "/a").parsed() is None


def test_half_a_surrogate_pair_becomes_a_question_mark(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(body=b'{"cut": "Quota \\ud83d", "whole": "\\ud83d\\ude00", "raw": "\xed\xa0\xbd"}'))

    parsed = session.call("GET", "/a").parsed()

    assert isinstance(parsed, dict)
    assert (parsed["cut"], parsed["whole"]) == ("Quota ?", "\U0001f600")
    json.dumps(parsed, ensure_ascii=False).encode()


def test_a_token_that_is_quoted_back_goes_no_further(server: ArmServer, open_session: OpenSession) -> None:
    session = open_session(identity=lambda: FakeCredential("t0ken"))
    server.answers(Say(400, {"error": {"code": "t0ken", "message": "You sent t0ken", "target": "t0ken"}}))

    with pytest.raises(TerminalError) as caught:
        session.call("GET", "/a")

    assert "You sent (removed)" in caught.value.details[0].message
    assert "t0ken" not in str(caught.value.to_json()) + str(caught.value)


def test_the_longest_answer_is_what_its_error_says() -> None:
    assert transport.LONGEST_ANSWER == 16 * MIB
