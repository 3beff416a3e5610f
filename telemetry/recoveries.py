"""The span of a recovery that has ended, from its document. Nothing here depends on an SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.recovery.parts import MemberStatus, RecoveryStatus
from domain.restore.trace import recovery_span_id
from domain.times import parse_duration
from domain.wire import as_object
from telemetry.spans import EndedSpan, time_in, without_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json

GROUP_FAILED: Final = "GroupFailed"
"""The error of a recovery that has none of its own: a group of it failed or was rejected."""

_ATTRIBUTE_OF: Final = {status.word: f"recovery.members.{status.shown.name.lower()}" for status in MemberStatus}


def recovery_span(document: Json, end: int) -> EndedSpan:
    """Return the span of a recovery that has ended; ``end`` counts its ends from 1: a retry goes on after one."""
    created, completed = time_in(document, "createdTime"), time_in(document, "completedTime")
    measured, error, counts = document["measured"], as_object(document["error"]), document["counts"]
    attributes: Mapping[str, Any] = {
        "recovery.id": document["id"],
        "recovery.plan": document["plan"],
        "recovery.status": document["status"],
        "recovery.started_by": document["startedBy"],
        "recovery.dry_run": document["dryRun"],
        "recovery.end": end,
        "recovery.error_code": error.get("code"),
        "recovery.members.total": sum(counts.values()),
        **{_ATTRIBUTE_OF[word]: count for word, count in counts.items()},
        "recovery.rpo_s": _seconds(measured["rpo"]["worst"]),
        "recovery.rto_s": _seconds(measured["rto"]),
    }
    has_failed = document["status"] == str(RecoveryStatus.FAILED)
    return EndedSpan(
        name="recovery",
        span_id=recovery_span_id(document["id"], end),
        started=created,
        ended=completed,
        attributes=without_none(attributes),
        error_code=error.get("code", GROUP_FAILED) if has_failed else None,
    )


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else parse_duration(duration).total_seconds()
