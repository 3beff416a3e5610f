"""The spans and figures of a restore that has ended, from its status document. Nothing here depends on an SDK."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from domain.restore.parts import Phase, Status
from domain.restore.trace import phase_span_id, root_span_id
from domain.times import parse_duration
from domain.wire import as_object
from telemetry.spans import EndedSpan, time_in, without_none

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.errors import Json
    from domain.restore.parts import StatusChange
    from telemetry.spans import Attributes

_FAILED: Final = frozenset({Status.FAILED, Status.TIMED_OUT})
"""What counts as a failure of the restore: people decide that one is cancelled or rejected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a restore: how it ended, and the seconds in each phase and of each kind of wait."""

    ended: Attributes
    phase_s: Mapping[str, float]
    wait_s: Mapping[str, float]


def root_span(document: Json) -> EndedSpan:
    """Return the span of a restore that has ended."""
    created, completed = time_in(document, "createdTime"), time_in(document, "completedTime")
    point, swap = as_object(document["recoveryPoint"]), as_object(as_object(document.get("result")).get("swap"))
    attributes: Mapping[str, Any] = {
        "restore.id": document["id"],
        "recovery.id": document.get("recoveryId"),
        **_outcome(document),
        "restore.error_code": as_object(document["error"]).get("code"),
        "restore.source_resource_id": document["sourceResourceId"],
        "restore.vault_id": document["vaultId"],
        "restore.job_id": document["jobId"],
        "restore.recovery_point_id": point.get("id"),
        "restore.rpo_s": (created - time_in(point, "time")).total_seconds() if point.get("time") else None,
        "restore.rto_s": (completed - created).total_seconds(),
        "restore.swap_state": swap.get("state"),
        "restore.downtime_s": parse_duration(swap["downtime"]).total_seconds() if swap.get("downtime") else None,
    }
    return EndedSpan(
        name="restore",
        span_id=root_span_id(document["id"]),
        started=created,
        ended=completed,
        attributes=without_none(attributes),
        error_code=_error_code(document),
        recovery_id=document.get("recoveryId"),
    )


def phase_spans(document: Json) -> list[EndedSpan]:
    """Return the spans of its phases; the last one has failed if the restore has. Earlier versions noted none."""
    phases: list[Json] = document.get("phases", [])
    return [
        EndedSpan(
            name=phase["phase"],
            span_id=phase_span_id(document["id"], number),
            started=time_in(phase, "started"),
            ended=time_in(phase, "ended"),
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
        phase_s[phase["phase"]] += (time_in(phase, "ended") - time_in(phase, "started")).total_seconds()
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
    return without_none(
        {
            "restore.status": document["status"],
            "restore.recovery_type": document["recoveryType"],
            "restore.started_by": document["startedBy"],
        }
    )


def _error_code(document: Json) -> str | None:
    return as_object(document["error"]).get("code", "") if document["status"] in _FAILED else None
