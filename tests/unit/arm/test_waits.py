"""A URL that asked to be left alone is not called before its wait is over, whoever wants to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import arm.waits
from arm.waits import Waits
from domain.errors import TransientError
from tests.support.arm_server import ArmServer, Say

if TYPE_CHECKING:
    from collections.abc import Callable

    from arm.session import ArmSession

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
BUSY = Say(429, headers={"Retry-After": "30"})


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session(open_session: Callable[..., ArmSession], clock: Clock) -> ArmSession:
    return open_session(clock=clock)


def attempt(session: ArmSession, method: str, url: str, **options: Any) -> float | None:
    """Call, and return the wait that a failure names."""
    with pytest.raises(TransientError) as caught:
        session.call(method, url, **options)
    return caught.value.retry_after_s


def test_a_throttled_url_is_left_alone_until_its_wait_is_over(
    server: ArmServer, session: ArmSession, clock: Clock
) -> None:
    server.answers(BUSY, Say())

    attempt(session, "GET", "/a")
    clock.now += timedelta(seconds=29)
    left_s = attempt(session, "GET", "/a")
    assert len(server.requests) == 1
    clock.now += timedelta(seconds=1)
    session.call("GET", "/a")

    assert left_s == 1.0
    assert len(server.requests) == 2


def test_the_error_says_that_nothing_was_sent(server: ArmServer, session: ArmSession) -> None:
    server.answers(BUSY)
    attempt(session, "POST", "/a/restore", once=True)

    with pytest.raises(TransientError, match="POST /a/restore: not sent, its last answer asks to wait 30 s more"):
        session.call("POST", "/a/restore", once=True)


@pytest.mark.parametrize(("method", "url"), [("POST", "/a"), ("GET", "/b"), ("GET", "/a?page=2")])
def test_other_addresses_are_not_held(server: ArmServer, session: ArmSession, method: str, url: str) -> None:
    server.answers(BUSY, Say())
    attempt(session, "GET", "/a")

    assert session.call(method, url).status == 200


def test_a_good_answer_may_ask_for_a_wait_too(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(headers={"Retry-After": "60"}))
    session.call("GET", "/a")

    assert attempt(session, "GET", "/a") == 60.0


def test_the_wait_of_something_accepted_does_not_hold_the_next_to_be_accepted(
    server: ArmServer, session: ArmSession
) -> None:
    accepted = Say(202, headers={"Retry-After": "10"})
    server.answers(accepted, accepted)

    session.call("POST", "/backupTriggerValidateOperation")
    session.call("POST", "/backupTriggerValidateOperation")

    assert len(server.requests) == 2


def test_the_last_answer_counts(server: ArmServer, session: ArmSession, clock: Clock) -> None:
    server.answers(BUSY, Say(503), Say())
    attempt(session, "GET", "/a")
    clock.now += timedelta(seconds=30)
    attempt(session, "GET", "/a")

    assert session.call("GET", "/a").status == 200


def test_a_refused_token_that_asks_for_a_wait_gets_it(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(401, headers={"Retry-After": "5"}))

    assert attempt(session, "GET", "/a") == 5.0
    assert len(server.requests) == 1


def test_an_answer_that_came_later_and_asks_for_nothing_ends_a_wait(clock: Clock) -> None:
    waits = Waits(clock)

    waits.note("GET", "/a", 60)
    waits.note("GET", "/a", None)

    assert waits.left_s("GET", "/a") == 0


def test_a_senseless_wait_does_not_close_an_address_for_the_whole_process(clock: Clock) -> None:
    waits = Waits(clock)

    waits.note("GET", "/a", 366 * 86_400)

    assert waits.left_s("GET", "/a") == 3600


def test_memory_is_bounded_and_the_newest_waits_are_kept(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm.waits, "_MOST_REMEMBERED", 3)
    waits = Waits(clock)
    for number in range(10):
        waits.note("GET", f"/{number}", 60)

    assert [waits.left_s("GET", f"/{number}") for number in range(6, 10)] == [0, 60, 60, 60]
