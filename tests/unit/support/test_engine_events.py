from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tests.support.engine_events import EngineEvents, kinds_of

RESTORE, ENTITY = "b800c49c", "@vm_lock@de51"


class Told:
    """Lines as an engine prints them, a second apart."""

    def __init__(self) -> None:
        self.events = EngineEvents()
        self.second = 0

    def tell(self, what: str, **data: Any) -> None:
        self.second += 1
        at = f"2026-11-25T23:44:{self.second:02d}.1234567Z"
        data = {"TaskName": what, "EventTimestamp": at, **data}
        self.events.hear(f"MS_DURABLE_FUNCTION_EVENTS_LOGS {json.dumps(data)}")

    def sent(self, kind: str, message: str, by: str | None = None, to: str = RESTORE, **data: Any) -> None:
        turn = {} if by is None else {"ActivityId": by}
        self.tell("SendingMessage", EventType=kind, RelatedActivityId=message, TargetInstanceId=to, **turn, **data)

    def processed(self, message: str, by: str) -> None:
        self.tell("ProcessingMessage", RelatedActivityId=message, ActivityId=by)


def test_a_line_that_is_no_event_is_left_out() -> None:
    events = EngineEvents()

    events.hear("engine listening on 127.0.0.1:7001")
    events.hear('MS_DURABLE_FUNCTION_EVENTS_LOGS {"TaskName": "Sending')  # the engine was killed there

    assert events.all() == []


def test_times_are_utc_and_bound_what_is_asked_for() -> None:
    told = Told()
    told.sent("ExecutionStarted", "m1")
    told.sent("TimerFired", "m2")

    first, second = told.events.sent()

    assert first.at == datetime(2026, 11, 25, 23, 44, 1, 123456, tzinfo=UTC)
    assert told.events.sent(since=second.at) == [second]
    assert told.events.sent(until=first.at) == [first]
    assert kinds_of([first, second]) == {"ExecutionStarted": 1, "TimerFired": 1}


def test_a_chain_goes_back_through_whatever_was_processed_last() -> None:
    told = Told()
    told.sent("ExecutionStarted", "m1")
    told.processed("m1", by="a")
    told.sent("EventRaised", "m2", by="a", to=ENTITY)
    told.processed("m2", by="b")
    told.sent("EventRaised", "m3", by="b")
    told.processed("m3", by="a")  # an engine keeps its name for a piece of work that goes on
    told.sent("TaskScheduled", "m4", by="a")
    told.sent("EventRaised", "aside", by="a", to=ENTITY)

    [trigger] = [message for message in told.events.sent() if message.kind == "TaskScheduled"]

    chain = told.events.chain_to(trigger)
    assert [message.data["RelatedActivityId"] for message in chain] == ["m1", "m2", "m3", "m4"]


def test_a_start_is_led_back_to_the_message_that_scheduled_it() -> None:
    told = Told()
    told.sent("TaskScheduled", "m1", InstanceId=RESTORE, TaskEventId=3)
    told.sent("TaskScheduled", "m2", InstanceId="another", TaskEventId=3)
    told.tell("FunctionStarting", FunctionName="start_restore", InstanceId=RESTORE, TaskEventId=3)

    [start] = told.events.started("start_restore")

    assert told.events.scheduled(start).data["RelatedActivityId"] == "m1"


def test_turns_and_their_events_are_those_of_one_orchestration() -> None:
    told = Told()
    told.tell("AppendedInstanceHistory", InstanceId=RESTORE, NewEvents="OrchestratorStarted,TimerCreated")
    told.tell("AppendedInstanceHistory", InstanceId="another", NewEvents="TimerCreated")
    told.tell("AppendedInstanceHistory", InstanceId=RESTORE, NewEvents="TimerFired,TimerCreated")

    assert len(told.events.turns(RESTORE)) == 2
    assert told.events.history_kinds(RESTORE)["TimerCreated"] == 2
