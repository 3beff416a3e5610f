"""The records of recoveries, on a task hub that does what the extension's does."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from domain.errors import TransientError
from domain.recovery.calls import record_id_of_members, record_id_of_plan, recovery_of_record
from domain.restore.state import restore_id_for
from orchestrations.names import HOLD_RECORD, RESTORE_VM
from orchestrations.record import HELD_FOR, hold_record
from tests.support.hub import Hub
from triggers.records import Records, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json


@dataclass(frozen=True)
class _State:
    serialized_input: str
    name: str = HOLD_RECORD


class _TaskHub:
    """Takes the first start of an id, and every other one at that moment in silence; see ``test_post_claims``."""

    def __init__(self, *, away: bool = False, loses_answers: bool = False, refuses: bool = False) -> None:
        self.taken: dict[str, _State] = {}
        self.another: Json | None = None
        self._away, self._loses, self._refuses = away, loses_answers, refuses

    def schedule_new_orchestration(self, name: str, *, input: Json, instance_id: str) -> str:  # noqa: A002 - the SDK's
        if self._refuses:
            raise ConnectionError("the hub is full")
        if self.another is not None:
            self.taken[instance_id] = _State(json.dumps(self.another))
        self.taken.setdefault(instance_id, _State(json.dumps(input), name))
        if self._loses:
            raise ConnectionError("the answer is lost")
        return instance_id

    def get_orchestration_state(self, instance_id: str, *, fetch_payloads: bool) -> _State | None:
        if self._away:
            raise ConnectionError("the hub is away")
        assert fetch_payloads
        return self.taken.get(instance_id)


class _AsyncHub:
    def __init__(self, hub: _TaskHub) -> None:
        self._hub = hub

    async def schedule_new_orchestration(self, *args: Any, **options: Any) -> str:
        return self._hub.schedule_new_orchestration(*args, **options)

    async def get_orchestration_state(self, *args: Any, **options: Any) -> _State | None:
        return self._hub.get_orchestration_state(*args, **options)


def _sync_write(hub: _TaskHub, data: Json) -> Json:
    return Records(cast("df.SyncDurableFunctionsClient", hub)).write("r", data)


def _async_write(hub: _TaskHub, data: Json) -> Json:
    return asyncio.run(write_record(cast("df.DurableFunctionsClient", _AsyncHub(hub)), "r", data))


def _sync_read(hub: _TaskHub) -> Json | None:
    return Records(cast("df.SyncDurableFunctionsClient", hub)).read("r")


def _async_read(hub: _TaskHub) -> Json | None:
    return asyncio.run(read_record(cast("df.DurableFunctionsClient", _AsyncHub(hub)), "r"))


type Write = Callable[[_TaskHub, Json], Json]
type Read = Callable[[_TaskHub], Json | None]
both_writers = pytest.mark.parametrize("write", [_sync_write, _async_write])
both_readers = pytest.mark.parametrize("read", [_sync_read, _async_read])


@both_writers
def test_the_first_writer_wins(write: Write) -> None:
    hub = _TaskHub()

    assert [write(hub, {"n": number}) for number in range(3)] == [{"n": 0}] * 3


@both_writers
def test_of_two_writers_at_one_moment_both_get_what_one_has_written(write: Write) -> None:
    hub = _TaskHub()
    hub.another = {"n": 7}

    assert write(hub, {"n": 1}) == {"n": 7}


@both_writers
def test_a_record_whose_answer_is_lost_is_there(write: Write) -> None:
    assert write(_TaskHub(loses_answers=True), {"n": 1}) == {"n": 1}


@both_writers
@pytest.mark.parametrize("hub", [_TaskHub(away=True), _TaskHub(refuses=True)], ids=["away", "refuses"])
def test_a_record_that_cannot_be_written_is_a_transient_failure(write: Write, hub: _TaskHub) -> None:
    with pytest.raises(TransientError, match="the hub is"):
        write(hub, {"n": 1})


@both_readers
def test_what_is_no_record_is_not_read_as_one(read: Read) -> None:
    hub = _TaskHub()
    assert read(hub) is None

    hub.taken["r"] = _State("{}", RESTORE_VM)

    assert read(hub) is None


@both_readers
def test_a_hub_that_cannot_be_asked_is_a_transient_failure(read: Read) -> None:
    with pytest.raises(TransientError, match="the hub is away"):
        read(_TaskHub(away=True))


def test_a_record_is_held_against_other_writers_while_they_may_be_under_way() -> None:
    hub = Hub(orchestrators={HOLD_RECORD: hold_record}, activities=cast("dict[str, Any]", {}))

    hub.finish(hub.start(HOLD_RECORD, {"n": 1}))

    assert hub.clock.elapsed >= HELD_FOR - timedelta(seconds=1)  # the engine may deliver a timer a second early


def test_the_id_of_a_record_says_whose_it_is() -> None:
    recovery_id = restore_id_for("recovery")

    for record_id in (record_id_of_members(recovery_id), record_id_of_plan(recovery_id, "0f" * 32)):
        assert recovery_of_record(record_id) == recovery_id
    assert recovery_of_record(recovery_id) is None
    assert recovery_of_record("post-recovery-1") is None
