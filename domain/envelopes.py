"""What goes between a restore's orchestrator and the activities and entities that it calls, as JSON.

An activity returns an answer or a named failure; it raises nothing that we can name.

A raised exception would be retried by durabletask's policies without telling transient failures from terminal ones,
and would lose the wait that the service asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.admission.answer_once import OUTDATED, Asked
from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import INTERNAL_ERROR, Json, RestoreError, TerminalError, TransientError, UnknownOutcomeError
from domain.restore.calls import ActivityCall, EntityCall
from domain.times import format_time, parse_request_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.restore.calls import Call
    from domain.restore.state import Restore

_KINDS: Final[dict[str, type[RestoreError]]] = {
    "transient": TransientError,
    "unknown": UnknownOutcomeError,
    "terminal": TerminalError,
}


def seal(answer: Answer[Any] | RestoreError, *, activity: str, at: datetime) -> Json:
    """Wrap an activity's answer, or its failure together with whether and when repeating it makes sense.

    The envelope says which activity answered, and when (aware UTC): an orchestrator's step that is run again after a
    crash sees the same times; its own clock would be later.
    """
    stamp: Json = {"activity": activity, "at": format_time(at), "retryAfterS": answer.retry_after_s}
    if isinstance(answer, RestoreError):
        kind = next((name for name, error in _KINDS.items() if isinstance(answer, error)), "terminal")
        return {"v": 1, "error": answer.to_json(), "kind": kind, **stamp}
    return {"value": pack(answer.value), **stamp}


def unseal(call: Call, data: Mapping[str, Any]) -> Answer[Any] | RestoreError:
    """Return the answer to a call, or the failure, out of what an activity sealed or an entity answered.

    An answer to another call is a transient failure: that call was made by a run of the step that did not count, and
    had the number of this one.
    """
    answered_by: str | None = data.get("activity")
    if answered_by != (call.name if isinstance(call, ActivityCall) else None):
        return TransientError(INTERNAL_ERROR, f"The answer of {call.name} was one of {answered_by}.")
    if isinstance(call, EntityCall):
        if OUTDATED in data:  # the instance was started again with the same input: its numbers begin anew
            return TransientError(INTERNAL_ERROR, f"{call.entity} has answered a later request of this restore.")
        return Answer(unpack(call.answer, data))
    retry_after_s: float | None = data["retryAfterS"]
    if "error" in data:
        return _KINDS[data["kind"]].from_json(data["error"], retry_after_s=retry_after_s)
    return Answer(unpack(call.answer, data["value"]), retry_after_s)


def answer_time(data: Mapping[str, Any]) -> datetime | None:
    """Return when an activity answered (aware UTC); ``None`` for an entity's answer."""
    return parse_request_time(data["at"]) if "at" in data else None


def request_of(restore: Restore, call: EntityCall) -> Json:
    """Return a restore's request to an entity, see :class:`domain.admission.answer_once.Asked`."""
    clock = restore.clock
    asked = Asked(restore_id=restore.restore_id, created=restore.accepted.created, number=clock.requests, now=clock.now)
    return {**pack(asked), "call": pack(call)}
