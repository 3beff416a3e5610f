"""How a member's restore has ended, as the restore tells its recovery."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.recovery.calls import MemberEnd
from domain.restore.parts import Phase, Status
from domain.times import parse_request_time
from domain.wire import as_object

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json

_MAX_MESSAGE: Final = 300
_TAKEN: Final = frozenset({Phase.TRACKING_OPERATION, Phase.TRACKING_JOB})


def member_end(document: Json, *, index: int, attempt: int) -> MemberEnd:
    """Return how a member ended, from the final status document of its restore."""
    error, point = as_object(document["error"]), as_object(document["recoveryPoint"])
    return MemberEnd(
        index=index,
        attempt=attempt,
        status=Status(document["status"]),
        ended=parse_request_time(document["completedTime"]),
        started=_taken(document),
        point_time=parse_request_time(point["time"]) if point.get("time") else None,
        code=error.get("code"),
        message=error["message"][:_MAX_MESSAGE] if error else None,
        waited_s=_waited_s(document),
    )


def _waited_s(document: Json) -> int:
    """Return for how many seconds the restore waited for a person."""
    phases: list[Json] = document.get("phases", [])
    waits = (
        parse_request_time(phase["ended"]) - parse_request_time(phase["started"])
        for phase in phases
        if phase["phase"] == Phase.AWAITING_APPROVAL and phase.get("ended")
    )
    return int(sum(waits, timedelta()).total_seconds())


def _taken(document: Json) -> datetime | None:
    """Return when Azure had accepted the restore: the start of the first phase that follows the POST."""
    phases: list[Json] = document.get("phases", [])
    return next((parse_request_time(phase["started"]) for phase in phases if phase["phase"] in _TAKEN), None)
