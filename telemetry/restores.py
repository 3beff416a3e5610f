"""The spans and figures of a restore that has ended, from its status document. Nothing here depends on an SDK."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from domain.restore.parts import Phase, Status
from domain.restore.trace import phase_span_id, root_span_id
from domain.times import parse_duration, parse_request_time
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.errors import Json
    from domain.restore.parts import StatusChange

_FAILED: Final = frozenset({Status.FAILED, Status.TIMED_OUT})
"""What counts as a failure of the restore: people decide that one is cancelled or rejected."""

type Attributes = dict[str, str | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSpan:
    """One span of a restore: the restore itself, or a phase. ``error_code`` is set if it failed."""

    name: str
    span_id: int
    started: datetime
    ended: datetime
    attributes: Attributes
    error_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a restore: how it ended, and the seconds in each phase and of each kind of wait."""

    ended: Attributes
    phase_s: Mapping[str, float]
    wait_s: Mapping[str, float]


def root_span(document: Json) -> RestoreSpan:
    """Return the span of a restore that has ended."""
    created, completed = _time(document, "createdTime"), _time(document, "completedTime")
    point = as_object(document["recoveryPoint"])
    attributes: Mapping[str, Any] = {
        "restore.id": document["id"],
        "recovery.id": document.get("recoveryId"),
        **_outcome(document),
        "restore.error_code": as_object(document["error"]).get("code"),
        "restore.source_resource_id": document["sourceResourceId"],
        "restore.vault_id": document["vaultId"],
        "restore.job_id": document["jobId"],
        "restore.recovery_point_id": point.get("id"),
        "restore.rpo_s": (created - _time(point, "time")).total_seconds() if point.get("time") else None,
        "restore.rto_s": (completed - created).total_seconds(),
    }
    return RestoreSpan(
        name="restore",
        span_id=root_span_id(document["id"]),
        started=created,
        ended=completed,
        attributes={name: value for name, value in attributes.items() if value is not None},
        error_code=_error_code(document),
    )


def phase_spans(document: Json) -> list[RestoreSpan]:
    """Return the spans of its phases; the last one has failed if the restore has. Earlier versions noted none."""
    phases: list[Json] = document.get("phases", [])
    return [
        RestoreSpan(
            name=phase["phase"],
            span_id=phase_span_id(document["id"], number),
            started=_time(phase, "started"),
            ended=_time(phase, "ended"),
            attributes={"restore.id": document["id"], "restore.phase": phase["phase"]},
            error_code=_error_code(document) if number == len(phases) - 1 else None,
        )
        for number, phase in enumerate(phases)
    ]


def figures_of(document: Json) -> Figures:
    """Return the figures of a restore that has ended. A phase that it came to twice is counted as one."""
    phase_s: defaultdict[str, float] = defaultdict(float)
    wait_s: defaultdict[str, float] = defaultdict(float)
    for phase in document.get("phases", []):
        phase_s[phase["phase"]] += (_time(phase, "ended") - _time(phase, "started")).total_seconds()
        for wait in phase.get("waits", []):
            wait_s[wait["reason"]] += parse_duration(wait["duration"]).total_seconds()
    return Figures(ended=_outcome(document), phase_s=phase_s, wait_s=wait_s)


def approvals_waiting(change: StatusChange) -> int:
    """Return by how much a change of status changes the number of restores that wait for a person: 1, 0 or -1."""
    if change.status is Status.AWAITING_APPROVAL:
        return 1
    phases: list[Json] = (change.document or {}).get("phases", [])
    before = phases if (change.document or {}).get("phase") == str(Phase.FINISHED) else phases[:-1]
    return -1 if before and before[-1]["phase"] == str(Phase.AWAITING_APPROVAL) else 0


def _outcome(document: Json) -> Attributes:
    outcome = {
        "restore.status": document["status"],
        "restore.recovery_type": document["recoveryType"],
        "restore.started_by": document["startedBy"],
    }
    return {name: value for name, value in outcome.items() if value is not None}


def _error_code(document: Json) -> str | None:
    return as_object(document["error"]).get("code", "") if document["status"] in _FAILED else None


def _time(data: Mapping[str, Any], name: str) -> datetime:
    return parse_request_time(data[name])
