"""The mark of a post, on a task hub that does what the extension's does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from orchestrations.marking import MARKED_FOR, mark_post

from activities import restores
from domain.envelopes import unseal
from domain.errors import Json, TransientError
from orchestrations.names import MARK_POST
from tests.support.hub import Hub
from triggers.durable import claim_post, mark

if TYPE_CHECKING:
    import azure.durable_functions as df

POST: Json = {"clientRequestId": "c0ffee", "attempt": 1, "askedTime": "2026-11-23T08:00:00.000123Z", "body": {}}


@dataclass(frozen=True)
class _State:
    serialized_input: str


class _TaskHub:
    """Takes the first start of an id, and every other one at that moment in silence.

    It may be away, or take a start and lose its answer; ``together`` deliveries all look before any of them starts.
    """

    def __init__(self, *, away: bool = False, loses_answers: bool = False, together: int = 0) -> None:
        self.taken: dict[str, str] = {}
        self._away, self._loses, self._unseen = away, loses_answers, together
        self._has_started = False

    def schedule_new_orchestration(self, name: str, *, input: Json, instance_id: str) -> str:  # noqa: A002 - the SDK's
        assert name == MARK_POST
        self.taken.setdefault(instance_id, json.dumps(input))
        self._has_started = True
        if self._loses:
            raise ConnectionError("the answer is lost")
        return instance_id

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> _State | None:
        if self._away:
            raise ConnectionError("the hub is away")
        assert fetch_payloads
        if self._unseen and not self._has_started:
            self._unseen -= 1
            return None
        self._has_started = False
        return _State(self.taken[instance_id]) if instance_id in self.taken else None


def marks(hub: _TaskHub, post: Json = POST) -> bool:
    return mark(cast("df.SyncDurableFunctionsClient", hub), post)


def test_the_first_delivery_marks_and_the_next_ones_see_it() -> None:
    hub = _TaskHub()

    assert [marks(hub) for _ in range(3)] == [True, False, False]
    assert list(hub.taken) == ["post-c0ffee-1"]


def test_of_several_deliveries_at_one_moment_one_marks() -> None:
    hub = _TaskHub(together=5)

    assert [marks(hub) for _ in range(5)].count(True) == 1


def test_a_claimed_attempt_is_posted_by_nobody_and_can_be_claimed_again() -> None:
    hub = cast("df.SyncDurableFunctionsClient", _TaskHub())

    first, again = (unseal(claim_post(POST, hub)) for _ in range(2))

    assert first == again == {"claimed": True}
    assert not mark(hub, POST)


def test_an_attempt_that_is_posted_cannot_be_claimed() -> None:
    hub = cast("df.SyncDurableFunctionsClient", _TaskHub())
    assert mark(hub, POST)

    assert unseal(claim_post(POST, hub)) == {"claimed": False}


def test_an_attempt_whose_turn_was_run_again_later_is_the_same_attempt() -> None:
    hub = _TaskHub()
    marks(hub)

    assert not marks(hub, {**POST, "askedTime": "2026-11-23T08:07:00Z"})


@pytest.mark.parametrize("other", [{"clientRequestId": "decaf"}, {"attempt": 2}])
def test_another_restore_and_another_attempt_have_marks_of_their_own(other: Json) -> None:
    hub = _TaskHub()
    marks(hub)

    assert marks(hub, {**POST, **other})


def test_a_hub_that_cannot_be_asked_is_a_passing_failure() -> None:
    with pytest.raises(TransientError, match=r"was not posted: .*the hub is away"):
        marks(_TaskHub(away=True))


def test_a_mark_whose_answer_is_lost_is_known_by_its_token() -> None:
    assert marks(_TaskHub(loses_answers=True))


def test_a_mark_stands_far_longer_than_a_delivery_may_post() -> None:
    hub = Hub(orchestrators={MARK_POST: mark_post}, activities=cast("dict[str, Any]", {}))

    hub.finish(hub.start(MARK_POST, None))

    assert hub.clock.elapsed >= MARKED_FOR - timedelta(seconds=1)  # the engine may deliver a timer a second early
    assert timedelta(minutes=5) <= MARKED_FOR - restores._LATE
