"""Recorded histories: what an orchestrator once did, and whether its code would still do the same.

A running instance is replayed from its history by whatever code is deployed then. ``record`` keeps the history of an
instance as JSON to commit; ``replay`` takes every turn of it again and compares what the code wants next with
what the history says came next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

import durabletask.internal.orchestrator_service_pb2 as pb
from azure.durable_functions.worker import DurableFunctionsWorker
from durabletask import task
from google.protobuf.json_format import MessageToDict, ParseDict

from tests.support.hub import STATUS_NAMES, settle_codec, without_stack_traces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.support.hub import Hub

FORMAT = 1

type Recorded = dict[str, Any]

DECISIONS = frozenset(
    {"taskScheduled", "timerCreated", "entityOperationCalled", "entityOperationSignaled", "eventSent"}
)
"""The events that a turn brings about; all others are brought to it, or mark its end.

The app's orchestrators start no children and lock no entities.
"""


class ReplayMismatchError(task.NonDeterminismError):
    """The code no longer does what the history says it did."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something a turn decided: its kind and number, what it is about, and the payload."""

    what: str
    name: str = ""
    detail: Any = None

    def __str__(self) -> str:
        payload = "" if self.detail is None else json.dumps(self.detail, ensure_ascii=False)
        return " ".join(part for part in (self.what, self.name, payload) if part)


@dataclass(slots=True)
class Turn:
    """One time that the orchestrator ran: what was known, what came, and what it decided."""

    number: int
    past: list[pb.HistoryEvent]
    new: list[pb.HistoryEvent] = field(default_factory=list)
    decided: list[Step] = field(default_factory=list)

    @property
    def at(self) -> str:
        """The orchestrator's time."""
        return self.new[0].timestamp.ToDatetime(tzinfo=UTC).isoformat()


def record(hub: Hub, instance_id: str, *, generation: int = -1) -> Recorded:
    """The history of an instance as plain JSON: of its current generation, or of one before a ``continue_as_new``.

    ``generation`` counts as a list index does. Stack traces are left out, and times that the backend does not set.
    """
    events = hub.generations(instance_id)[generation]
    started = next(event.executionStarted for event in events if event.HasField("executionStarted"))
    return {
        "v": FORMAT,
        "orchestrator": started.name,
        "instance_id": instance_id,
        "events": [_to_json(event) for event in events],
    }


def dump(recorded: Recorded) -> str:
    """The text to commit: the same for the same history, one event per line."""
    head = {key: value for key, value in recorded.items() if key != "events"}
    lines = ",\n".join(f"    {json.dumps(event, ensure_ascii=False)}" for event in recorded["events"])
    return f'{json.dumps(head, indent=2, ensure_ascii=False)[:-2]},\n  "events": [\n{lines}\n  ]\n}}\n'


def replay(orchestrator: Callable[..., Any], name: str, recorded: Mapping[str, Any], *, inputs: bool = True) -> None:
    """Take every recorded turn again with ``orchestrator``; ``name`` is what it is registered as.

    ``ReplayMismatchError`` if it is another orchestrator's history, or if a turn decides otherwise: another activity,
    timer or entity operation, another order, another end. With ``inputs=False`` the inputs of what is
    called may differ: running instances bear that, as their results are in the history already.
    """
    if recorded.get("v") != FORMAT:
        raise ReplayMismatchError(f"a history of format {recorded.get('v')!r} cannot be read, only {FORMAT}")
    if recorded["orchestrator"] != name:
        raise ReplayMismatchError(f"the history is of {recorded['orchestrator']!r}, not of {name!r}")
    has_turns = False
    for turn, response in responses(orchestrator, recorded):
        has_turns = True
        _compare(name, turn, [step_of_action(action) for action in response.actions], inputs=inputs)
    if not has_turns:
        raise ReplayMismatchError(f"the history of {name!r} has no turn")


def responses(
    orchestrator: Callable[..., Any], recorded: Mapping[str, Any]
) -> Iterator[tuple[Turn, pb.OrchestratorResponse]]:
    """Take every recorded turn again, one by one; returns each with what the worker says to it."""
    settle_codec()
    worker = DurableFunctionsWorker()
    for turn in read_turns([ParseDict(event, pb.HistoryEvent()) for event in recorded["events"]]):
        request = pb.OrchestratorRequest(instanceId=recorded["instance_id"], pastEvents=turn.past, newEvents=turn.new)
        yield turn, worker._run_orchestration(orchestrator, request)


def read_turns(events: Iterable[pb.HistoryEvent]) -> list[Turn]:
    """Split a history at each ``orchestratorStarted``; the last turn also gets the end, if there is one."""
    turns: list[Turn] = []
    past: list[pb.HistoryEvent] = []
    for event in events:
        kind = event.WhichOneof("eventType")
        if kind == "orchestratorStarted":
            turns.append(Turn(len(turns) + 1, list(past)))
        turn = turns[-1]
        if kind in DECISIONS or kind == "executionCompleted":
            turn.decided.append(step_of_event(event))
        elif kind != "orchestratorCompleted":
            turn.new.append(event)
        past.append(event)
    return turns


def step_of_event(event: pb.HistoryEvent) -> Step:
    """What an event of ``DECISIONS``, or the end, says was decided."""
    match event.WhichOneof("eventType"):
        case "taskScheduled":
            return _activity(event.eventId, event.taskScheduled)
        case "timerCreated":
            return _timer(event.eventId, event.timerCreated)
        case "eventSent":
            sent = event.eventSent
            return _event(event.eventId, sent.name, sent.instanceId, sent.input.value)
        case "executionCompleted":
            return _end(event.executionCompleted)
        case _:
            return _entity(event.eventId, event)


def step_of_action(action: pb.OrchestratorAction) -> Step:
    """What an action of the worker decides, in the same words."""
    match action.WhichOneof("orchestratorActionType"):
        case "scheduleTask":
            return _activity(action.id, action.scheduleTask)
        case "createTimer":
            return _timer(action.id, action.createTimer)
        case "sendEvent":
            sent = action.sendEvent
            return _event(action.id, sent.name, sent.instance.instanceId, sent.data.value)
        case "completeOrchestration":
            return _end(action.completeOrchestration)
        case _:
            return _entity(action.id, action.sendEntityMessage)


def _activity(number: int, called: Any) -> Step:
    return Step(f"activity #{number}", called.name, {"input": _read(called.input.value)})


def _timer(number: int, timer: Any) -> Step:
    return Step(f"timer #{number}", timer.fireAt.ToDatetime(tzinfo=UTC).isoformat())


def _event(number: int, name: str, instance_id: str, data: str) -> Step:
    return Step(f"event #{number}", f"{name} for {instance_id}", {"input": _read(data)})


def _entity(number: int, message: Any) -> Step:
    """An entity's message, which an event and an action hold under the same names."""
    for kind in ("entityOperationCalled", "entityOperationSignaled"):
        if message.HasField(kind):
            operation = getattr(message, kind)
            name = f"{operation.operation} of {operation.targetInstanceId.value}"
            return Step(f"{kind} #{number}", name, {"input": _read(operation.input.value)})
    raise ReplayMismatchError(f"#{number} is of no kind that a history is known to hold: {message}")


def _end(completed: Any) -> Step:
    detail = {"output": _read(completed.result.value)}
    if completed.HasField("failureDetails"):
        failure = completed.failureDetails
        detail |= {"error": failure.errorType, "message": failure.errorMessage}
    return Step("end", STATUS_NAMES[completed.orchestrationStatus], detail)


def _read(payload: str) -> Any:
    return json.loads(payload) if payload else None


def _compare(name: str, turn: Turn, decided: list[Step], *, inputs: bool) -> None:
    then, now = ([step if inputs else _without_input(step) for step in steps] for steps in (turn.decided, decided))
    if [_without_nulls(step) for step in then] == [_without_nulls(step) for step in now]:
        return
    raise ReplayMismatchError(
        f"{name}, turn {turn.number} at {turn.at}, after {_came(turn)}:\n"
        f"  the history goes on with:  {_told(then)}\n"
        f"  the code now goes on with: {_told(now)}"
    )


def _without_nulls(step: Step) -> Step:
    """A member that a newer version added, and that says nothing here, is no difference."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(each) for name, each in value.items() if each is not None}
        return [strip(each) for each in value] if isinstance(value, list) else value

    return Step(step.what, step.name, strip(step.detail))


def _without_input(step: Step) -> Step:
    return step if step.what == "end" else Step(step.what, step.name)


def _came(turn: Turn) -> str:
    return ", ".join(str(event.WhichOneof("eventType")) for event in turn.new[1:]) or "nothing"


def _told(steps: list[Step]) -> str:
    return "; ".join(map(str, steps)) or "nothing"


def _to_json(event: pb.HistoryEvent) -> dict[str, Any]:
    bare = pb.HistoryEvent()
    bare.CopyFrom(event)
    if not bare.timestamp.ToNanoseconds():
        bare.ClearField("timestamp")
    content = getattr(bare, str(bare.WhichOneof("eventType")))
    if "failureDetails" in content.DESCRIPTOR.fields_by_name and content.HasField("failureDetails"):
        without_stack_traces(content.failureDetails)
    return MessageToDict(bare)
