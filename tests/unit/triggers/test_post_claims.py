"""The claims of attempts to post, on a task hub that does what the extension's does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from activities import restores
from domain.answers import Answer
from domain.codec import pack
from domain.envelopes import unseal
from domain.errors import TransientError
from domain.restore.answers import Claim
from domain.restore.calls import ClaimPost
from orchestrations.names import HOLD_POST_CLAIM
from orchestrations.post_claim import CLAIMED_FOR, hold_post_claim
from tests.support.hub import Hub
from triggers.durable import claim_post
from triggers.post_claims import PostClaims

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json

CALL = ClaimPost(client_request_id="c0ffee", attempt=1)


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
        assert name == HOLD_POST_CLAIM
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


def take(hub: _TaskHub, client_request_id: str = "c0ffee", attempt: int = 1) -> bool:
    """Claim an attempt for a delivery of the trigger."""
    return PostClaims(cast("df.SyncDurableFunctionsClient", hub)).take(client_request_id, attempt)


def claim(hub: _TaskHub) -> object:
    """Claim the attempt for its restore, as the activity does; returns what the orchestrator makes of its answer."""
    return unseal(CALL, claim_post(pack(CALL), cast("df.SyncDurableFunctionsClient", hub)))


def test_the_first_delivery_takes_the_claim_and_the_next_ones_see_it() -> None:
    hub = _TaskHub()

    assert [take(hub) for _ in range(3)] == [True, False, False]
    assert list(hub.taken) == ["post-c0ffee-1"]


def test_of_several_deliveries_at_one_moment_one_takes_the_claim() -> None:
    hub = _TaskHub(together=5)

    assert [take(hub) for _ in range(5)].count(True) == 1


def test_an_attempt_that_its_restore_claimed_is_posted_by_nobody_and_can_be_claimed_again() -> None:
    hub = _TaskHub()

    assert claim(hub) == claim(hub) == Answer(Claim(is_ours=True))
    assert not take(hub)


def test_an_attempt_that_is_posted_cannot_be_claimed() -> None:
    hub = _TaskHub()
    assert take(hub)

    assert claim(hub) == Answer(Claim(is_ours=False))


@pytest.mark.parametrize("other", [("decaf", 1), ("c0ffee", 2)])
def test_another_restore_and_another_attempt_have_claims_of_their_own(other: tuple[str, int]) -> None:
    hub = _TaskHub()
    take(hub)

    assert take(hub, *other)


def test_a_hub_that_cannot_be_asked_is_a_transient_failure() -> None:
    with pytest.raises(TransientError, match=r"was not posted: .*the hub is away"):
        take(_TaskHub(away=True))


def test_a_hub_that_cannot_be_asked_by_the_restore_is_a_transient_failure_too() -> None:
    assert isinstance(claim(_TaskHub(away=True)), TransientError)


def test_a_claim_whose_answer_is_lost_is_known_by_its_token() -> None:
    assert take(_TaskHub(loses_answers=True))


def test_a_claim_stands_far_longer_than_a_delivery_may_post() -> None:
    hub = Hub(orchestrators={HOLD_POST_CLAIM: hold_post_claim}, activities=cast("dict[str, Any]", {}))

    hub.finish(hub.start(HOLD_POST_CLAIM, None))

    assert hub.clock.elapsed >= CLAIMED_FOR - timedelta(seconds=1)  # the engine may deliver a timer a second early
    assert timedelta(minutes=5) <= CLAIMED_FOR - restores._LATE
