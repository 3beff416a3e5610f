"""A URL is not called before the wait that its last answer asked for is over, by no restore of the process."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import arm.throttling
from arm.throttling import Throttling
from domain.errors import TransientError
from tests.support.arm_server import ArmServer, Say

if TYPE_CHECKING:
    from collections.abc import Callable

    from arm.session import ArmSession

START = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
THROTTLED = Say(429, headers={"Retry-After": "30"})


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


def wait_of_failed_call(session: ArmSession, method: str, url: str, **options: Any) -> float | None:
    with pytest.raises(TransientError) as caught:
        session.call(method, url, **options)
    return caught.value.retry_after_s


def test_a_throttled_url_is_not_called_before_its_wait_is_over(
    server: ArmServer, session: ArmSession, clock: Clock
) -> None:
    server.answers(THROTTLED, Say())

    wait_of_failed_call(session, "GET", "/a")
    clock.now += timedelta(seconds=29)
    wait_s = wait_of_failed_call(session, "GET", "/a")
    assert len(server.requests) == 1
    clock.now += timedelta(seconds=1)
    session.call("GET", "/a")

    assert wait_s == 1.0
    assert len(server.requests) == 2


def test_the_error_says_that_nothing_was_sent(server: ArmServer, session: ArmSession) -> None:
    server.answers(THROTTLED)
    wait_of_failed_call(session, "POST", "/a/restore", once=True)

    with pytest.raises(TransientError, match="POST /a/restore: not sent, 30 s are left of the wait"):
        session.call("POST", "/a/restore", once=True)


@pytest.mark.parametrize(("method", "url"), [("POST", "/a"), ("GET", "/b"), ("GET", "/a?page=2")])
def test_other_methods_and_urls_are_not_throttled(
    server: ArmServer, session: ArmSession, method: str, url: str
) -> None:
    server.answers(THROTTLED, Say())
    wait_of_failed_call(session, "GET", "/a")

    assert session.call(method, url).status == 200


@pytest.mark.parametrize("name", ["$filter", "%24filter", "%24FILTER", "$expand"])
def test_a_url_is_throttled_whatever_of_it_is_shown(server: ArmServer, session: ArmSession, name: str) -> None:
    server.answers(THROTTLED, Say(), Say())

    wait_of_failed_call(session, "GET", f"/a?api-version=1&{name}=running&$skipToken=2")
    wait_s = wait_of_failed_call(session, "GET", f"/a?api-version=1&{name}=all&$skipToken=2")
    session.call("GET", f"/a?api-version=1&{name}=all&$skipToken=3")

    assert wait_s == 30.0
    assert len(server.requests) == 2


def test_the_wait_of_a_2xx_counts_too(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(headers={"Retry-After": "60"}))
    session.call("GET", "/a")

    assert wait_of_failed_call(session, "GET", "/a") == 60.0


def test_the_wait_of_an_accepted_post_does_not_delay_the_next_post(server: ArmServer, session: ArmSession) -> None:
    accepted = Say(202, headers={"Retry-After": "10"})
    server.answers(accepted, accepted)

    session.call("POST", "/backupTriggerValidateOperation")
    session.call("POST", "/backupTriggerValidateOperation")

    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [400, 409])
def test_the_wait_for_a_busy_item_does_not_delay_the_validations_of_other_items(
    server: ArmServer, session: ArmSession, status: int
) -> None:
    locked = Say(status, {"error": {"code": "BMSUserErrorObjectLocked"}}, headers={"Retry-After": "600"})
    server.answers(locked, Say(202))

    assert wait_of_failed_call(session, "POST", "/backupTriggerValidateOperation") == 600.0
    session.call("POST", "/backupTriggerValidateOperation")

    assert len(server.requests) == 2


def test_an_answer_without_a_wait_ends_the_earlier_one(server: ArmServer, session: ArmSession, clock: Clock) -> None:
    server.answers(THROTTLED, Say(503), Say())
    wait_of_failed_call(session, "GET", "/a")
    clock.now += timedelta(seconds=30)
    wait_of_failed_call(session, "GET", "/a")

    assert session.call("GET", "/a").status == 200


def test_a_401_with_a_wait_is_not_repeated_at_once(server: ArmServer, session: ArmSession) -> None:
    server.answers(Say(401, headers={"Retry-After": "5"}))

    assert wait_of_failed_call(session, "GET", "/a") == 5.0
    assert len(server.requests) == 1


def test_a_later_record_without_a_wait_ends_the_wait(clock: Clock) -> None:
    throttling = Throttling(clock)

    throttling.record("GET", "/a", 60)
    throttling.record("GET", "/a", None)

    assert throttling.wait_s("GET", "/a") == 0


def test_an_absurd_wait_is_cut_to_an_hour(clock: Clock) -> None:
    throttling = Throttling(clock)

    throttling.record("GET", "/a", 366 * 86_400)

    assert throttling.wait_s("GET", "/a") == 3600


def test_only_the_newest_waits_are_remembered(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arm.throttling, "_MAX_URLS", 3)
    throttling = Throttling(clock)
    for number in range(10):
        throttling.record("GET", f"/{number}", 60)

    assert [throttling.wait_s("GET", f"/{number}") for number in range(6, 10)] == [0, 60, 60, 60]
