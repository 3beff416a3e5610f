"""The trace of a restore: its ids follow from the restore's id, so that they are the same wherever they are made.

The trace has the restore's id, a UUID, as its id. Its root is the restore, whose children are the phases, whose
children are the calls to Azure. The ``traceparent`` in the input of an activity names the parent of its calls
(https://www.w3.org/TR/trace-context/).
"""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from domain.restore.document import phase_of
from domain.restore.parts import Phase

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.state import Restore

TRACEPARENT: Final = "traceparent"
RECOVERY: Final = "recoveryId"
"""The member of an activity's input that names the recovery which calls it; restores call without one."""


def trace_id(restore_id: str) -> int | None:
    """Return the id of the restore's trace; ``None`` if the restore's id is not a UUID, which it always is."""
    try:
        return uuid.UUID(restore_id).int
    except ValueError:
        return None


def root_span_id(restore_id: str) -> int:
    """Return the id of the restore's own span."""
    return _span_id(restore_id, "restore")


def phase_span_id(restore_id: str, number: int) -> int:
    """Return the id of the span of a phase; ``number`` is its place in the timeline, from 0."""
    return _span_id(restore_id, f"phase {number}")


def with_traceparent(data: Json, restore: Restore) -> Json:
    """Return the input of an activity with the span of the restore's current phase as the parent of what it calls.

    A restore of an earlier version has no timeline, and its recorded history no such member.
    """
    restore_id, trace = restore.restore_id, trace_id(restore.restore_id)
    if restore.timeline is None or trace is None:
        return data
    number = max(len(restore.timeline.phases) - 1, 0)
    has_ended = phase_of(restore) is Phase.FINISHED
    parent = root_span_id(restore_id) if has_ended else phase_span_id(restore_id, number)
    return {**data, TRACEPARENT: f"00-{trace:032x}-{parent:016x}-01"}


def with_recovery(data: Json, recovery_id: str) -> Json:
    """Return the input of an activity with the recovery that calls it, and with its span as the parent of all calls."""
    trace = trace_id(recovery_id)
    named = {**data, RECOVERY: recovery_id}
    if trace is None:
        return named
    return {**named, TRACEPARENT: f"00-{trace:032x}-{recovery_span_id(recovery_id):016x}-01"}


def recovery_span_id(recovery_id: str, end: int = 1) -> int:
    """Return the id of a recovery's own span, the root of a trace that has the recovery's id.

    A span cannot be changed once it is sent. So each further end of a recovery, after a retry or a skip, has a span of
    its own; ``end`` counts from 1.
    """
    return _span_id(recovery_id, "recovery" if end == 1 else f"recovery {end}")


def _span_id(restore_id: str, span: str) -> int:
    return int.from_bytes(sha256(f"{restore_id} {span}".encode()).digest()[:8])
