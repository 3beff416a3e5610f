"""What Microsoft's engine tells of its work with ``--events``: messages, turns, and what followed from what."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX: Final = "MS_DURABLE_FUNCTION_EVENTS_LOGS "
_SENDING: Final = "SendingMessage"
_PROCESSING: Final = "ProcessingMessage"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the extension; ``what`` is its name, ``data`` its members."""

    what: str
    at: datetime
    data: dict[str, Any]

    @property
    def instance_id(self) -> str:
        """The orchestration or entity that it is about; that of the sender where a message is sent."""
        return self.data.get("InstanceId") or ""

    @property
    def kind(self) -> str:
        """What a message carries, in the words of histories: ``TaskScheduled``, ``TimerFired``, ``EventRaised`` ..."""
        return self.data.get("EventType") or ""

    @property
    def function(self) -> str:
        """The function that starts or has ended."""
        return self.data.get("FunctionName") or ""

    def names(self, instance_id: str) -> bool:
        """Return whether a message is to or from an instance."""
        return instance_id in {self.instance_id, self.data.get("TargetInstanceId")}


class EngineEvents:
    """The events of the engines of a hub, kept as they come; safe for threads that add and one that reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def hear(self, line: str) -> None:
        """Take a line that an engine has printed; what is no event, or half of one, is left out: engines are killed."""
        if not line.startswith(_PREFIX):
            return
        try:
            data = json.loads(line.removeprefix(_PREFIX))
        except ValueError:
            return
        event = Event(data["TaskName"], _read_time(data["EventTimestamp"]), data)
        with self._lock:
            self._events.append(event)

    def all(self, what: str = "", since: datetime | None = None, until: datetime | None = None) -> list[Event]:
        """Return the events in the order of their times: of one name, from a time on, up to a time."""
        with self._lock:
            events = sorted(self._events, key=lambda event: event.at)
        return [
            event
            for event in events
            if what in {"", event.what}
            and (since is None or since <= event.at)
            and (until is None or event.at <= until)
        ]

    def sent(self, since: datetime | None = None, until: datetime | None = None) -> list[Event]:
        """Return the messages that were put on queues."""
        return self.all(_SENDING, since, until)

    def turns(self, instance_id: str) -> list[Event]:
        """Return the turns of an orchestration: each ends with new events in its history."""
        return [event for event in self.all("AppendedInstanceHistory") if event.instance_id == instance_id]

    def history_kinds(self, instance_id: str) -> Counter[str]:
        """Return how often each kind of event was written to an orchestration's history."""
        kinds = (kind for turn in self.turns(instance_id) for kind in turn.data["NewEvents"].split(","))
        return Counter(kinds)

    def started(self, function: str) -> list[Event]:
        """Return the starts of a function: of its activity, or of its orchestrator's turns that are no replay."""
        return [event for event in self.all("FunctionStarting") if event.function == function]

    def chain_to(self, message: Event) -> list[Event]:
        """Return the messages that followed one from the other up to this one, which is the last.

        A message follows from the one whose processing sent it: the last one before it, where a turn took several.
        """
        processed: defaultdict[str, list[Event]] = defaultdict(list)
        for event in self.all(_PROCESSING):
            processed[event.data.get("ActivityId", "")].append(event)
        by_id = {event.data["RelatedActivityId"]: event for event in self.sent()}
        chain = [message]
        while earlier := [event for event in processed[chain[0].data.get("ActivityId", "")] if event.at < chain[0].at]:
            cause = by_id.get(earlier[-1].data["RelatedActivityId"])
            if cause is None or cause.at >= chain[0].at:
                break
            chain.insert(0, cause)
        return chain

    def scheduled(self, start: Event) -> Event:
        """Return the message that brought an activity's start about."""
        return next(
            message
            for message in reversed(self.sent(until=start.at))
            if message.kind == "TaskScheduled"
            and message.instance_id == start.instance_id
            and message.data["TaskEventId"] == start.data["TaskEventId"]
        )


def kinds_of(messages: Iterable[Event]) -> Counter[str]:
    """Return how many messages there are of each kind."""
    return Counter(message.kind for message in messages)


def _read_time(text: str) -> datetime:
    """Read a time of up to seven decimals, of which six are kept."""
    return datetime.fromisoformat(f"{text.removesuffix('Z')[:26]}+00:00")
