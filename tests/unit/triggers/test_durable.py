"""The mark of a post, on a task hub that does what the extension's does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from activities import restores
from domain.errors import Json, TransientError
from orchestrations.marking import MARKED_FOR, mark_post
from orchestrations.names import MARK_POST
from tests.support.hub import Hub
from triggers.durable import mark

if TYPE_CHECKING:
    import azure.durable_functions as df

POST: Json = {"clientRequestId": "c0ffee", "askedTime": "2026-11-23T08:00:00.000123Z", "body": {}}


class _TaskHub:
    """Starts an id that does not run; may be away, or take a start and lose its answer."""

    def __init__(self, *, away: bool = False, loses_answers: bool = False) -> None:
        self.running: list[str] = []
        self._away, self._loses = away, loses_answers

    def schedule_new_orchestration(self, name: str, *, instance_id: str) -> str:
        assert name == MARK_POST
        if self._away:
            raise ConnectionError("the hub is away")
        if instance_id in self.running:
            raise RuntimeError("ALREADY_EXISTS")
        self.running.append(instance_id)
        if self._loses:
            raise ConnectionError("the answer is lost")
        return instance_id

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> object | None:
        assert not fetch_payloads
        if self._away:
            raise ConnectionError("the hub is away")
        return object() if instance_id in self.running else None


def marks(hub: _TaskHub, post: Json = POST) -> bool:
    return mark(cast("df.SyncDurableFunctionsClient", hub), post)


def test_the_first_delivery_marks_and_the_next_ones_see_it() -> None:
    hub = _TaskHub()

    assert [marks(hub) for _ in range(3)] == [True, False, False]
    assert hub.running == ["post-c0ffee-2026-11-23T080000.000123Z"]


@pytest.mark.parametrize("other", [{"clientRequestId": "decaf"}, {"askedTime": "2026-11-23T08:02:00Z"}])
def test_another_restore_and_another_attempt_have_marks_of_their_own(other: Json) -> None:
    hub = _TaskHub()
    marks(hub)

    assert marks(hub, {**POST, **other})


def test_a_hub_that_cannot_be_asked_is_a_passing_failure() -> None:
    with pytest.raises(TransientError, match="the hub is away"):
        marks(_TaskHub(away=True))


def test_a_mark_whose_answer_is_lost_counts_as_another_deliverys() -> None:
    assert not marks(_TaskHub(loses_answers=True))


def test_a_mark_stands_far_longer_than_a_delivery_may_post() -> None:
    hub = Hub(orchestrators={MARK_POST: mark_post}, activities=cast("dict[str, Any]", {}))

    hub.finish(hub.start(MARK_POST, None))

    assert hub.clock.elapsed == MARKED_FOR
    assert timedelta(minutes=5) <= MARKED_FOR - restores._LATE
