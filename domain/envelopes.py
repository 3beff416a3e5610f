"""The JSON that passes between an orchestrator and the activities and entities that it calls.

An activity returns its answer, or its failure if that is a ``RestoreError``; it raises only unexpected exceptions.
durabletask would retry a raised exception without distinguishing transient failures from terminal ones, and would lose
the wait that the service asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.admission.answer_once import OUTDATED, Asked
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import INTERNAL_ERROR, Json, RestoreError, TerminalError, TransientError, UnknownOutcomeError
from domain.restore.calls import ActivityCall, EntityCall
from domain.times import format_time, parse_request_time
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.restore.calls import Call
    from domain.restore.parts import Clock
    from domain.restore.state import Restore

_KINDS: Final[dict[str, type[RestoreError]]] = {
    "transient": TransientError,
    "unknown": UnknownOutcomeError,
    "terminal": TerminalError,
}


def seal(answer: Answer[Any] | RestoreError, *, activity: str, at: datetime) -> Json:
    """Return the envelope with an activity's answer, or with its failure and whether and when to repeat the call.

    The envelope also says which activity answered, and when (aware UTC). If an orchestrator's step is run again after a
    crash, it reads the same times from the envelope, while its own clock would be later.
    """
    stamp: Json = {"activity": activity, "at": format_time(at), "retryAfterS": answer.retry_after_s}
    if isinstance(answer, RestoreError):
        kind = next((name for name, error in _KINDS.items() if isinstance(answer, error)), "terminal")
        return {"v": 1, "error": answer.to_json(), "kind": kind, **stamp}
    return {"value": pack(answer.value), **stamp}


def unseal(call: Call, data: Mapping[str, Any]) -> Answer[Any] | RestoreError:
    """Return the answer or the failure of a call, from an activity's envelope or an entity's answer.

    An answer to another call is a transient failure. That call was made in an earlier run of this step, which was not
    committed to the history, and had the same number as this call.
    """
    answered_by: str | None = data.get("activity")
    if answered_by != (call.name if isinstance(call, ActivityCall) else None):
        return TransientError(INTERNAL_ERROR, f"The answer of {call.name} was one of {answered_by}.")
    if isinstance(call, EntityCall):
        if OUTDATED in data:  # the instance was started again with the same input: its numbers start again too
            return TransientError(INTERNAL_ERROR, f"{call.entity} has answered a later request of this restore.")
        return Answer(unpack(call.answer, data))
    retry_after_s: float | None = data["retryAfterS"]
    if "error" in data:
        return _KINDS[data["kind"]].from_json(data["error"], retry_after_s=retry_after_s)
    return Answer(unpack(call.answer, data["value"]), retry_after_s)


def answer_time(data: Mapping[str, Any]) -> datetime | None:
    """Return when an activity answered (aware UTC); ``None`` for an entity's answer."""
    return parse_request_time(data["at"]) if "at" in data else None


def event_time(data: object) -> datetime | None:
    """Return when an event was raised (aware UTC); ``None`` if the API did not raise it."""
    time = as_text(as_object(data).get("time"))
    return None if time is None else parse_request_time(time)


def request_of(restore: Restore, call: EntityCall) -> Json:
    """Return a restore's request to an entity as JSON; ``domain.admission.answer_once.answer_once`` reads it."""
    return entity_request(restore.restore_id, restore.accepted.created, restore.clock, call)


def entity_request(asker_id: str, created: datetime, clock: Clock, call: EntityCall) -> Json:
    """Return a request to an entity as JSON: ``asker_id`` and ``created`` are those of the restore or recovery."""
    asked = Asked(restore_id=asker_id, created=created, number=clock.requests, now=clock.now)
    return {**pack(asked), "call": pack(call)}
