"""The status document of a restore, as callers, queue and webhook see it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from domain.restore.state import (
    AwaitingApproval,
    AwaitingResourceGuard,
    ComparingDisks,
    Delivery,
    FindingJob,
    Phase,
    Preparing,
    Resolving,
    Searching,
    Status,
    TrackingJob,
    TrackingOperation,
    Triggering,
    Validating,
)
from domain.times import format_duration, format_optional_time, format_time
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.errors import Json, RestoreError
    from domain.restore.state import Approval, Cancellation, Outcome, Restore, Stage

_MAX_TEXT: Final = 1000
_MAX_CUSTOM_STATUS: Final = 7500  # characters of JSON

_PHASES: Final[Mapping[type[Stage], Phase]] = {
    Resolving: Phase.RESOLVING,
    Preparing: Phase.SELECTING_RECOVERY_POINT,
    Validating: Phase.VALIDATING,
    AwaitingApproval: Phase.AWAITING_APPROVAL,
    Triggering: Phase.TRIGGERING,
    AwaitingResourceGuard: Phase.AWAITING_APPROVAL,
    TrackingOperation: Phase.TRACKING_OPERATION,
    FindingJob: Phase.TRACKING_OPERATION,
    TrackingJob: Phase.TRACKING_JOB,
    ComparingDisks: Phase.TRACKING_JOB,
}


def phase_of(restore: Restore) -> Phase:
    """Return how far the restore has come; while a job is searched for, as far as when it was posted."""
    if restore.outcome is not None:
        return Phase.FINISHED
    stage = restore.stage.before if isinstance(restore.stage, Searching) else restore.stage
    return _PHASES[type(stage)]


def status_of(restore: Restore) -> Status:
    """Return how the restore is doing: pending until it is admitted."""
    if restore.outcome is not None:
        return restore.outcome.status
    if phase_of(restore) is Phase.AWAITING_APPROVAL:
        return Status.AWAITING_APPROVAL
    return Status.RUNNING if restore.admission.admitted else Status.PENDING


def document(restore: Restore, now: datetime, next_poll: datetime | None = None) -> Json:
    """Return the status document. ``links`` are relative here; whoever answers a caller makes them absolute.

    ``approval``, ``cancellation`` and ``refused`` are only there where they say something.
    """
    body, outcome, item, prepared = restore.request.body, restore.outcome, restore.item, restore.prepared
    stage = restore.stage.tracked if isinstance(restore.stage, ComparingDisks) else restore.stage
    warnings = (*restore.warnings, *(outcome.notes if outcome else ()))
    optional: Json = {
        "approval": _approval(restore, restore.approval),
        "cancellation": _cancellation(restore.cancellation),
        "refused": None if outcome is None or outcome.refused is None else str(outcome.refused),
    }
    return {
        "id": restore.restore_id,
        "status": str(status_of(restore)),
        "phase": str(phase_of(restore)),
        "progressPercentage": _progress_pct(restore, stage),
        "sourceResourceId": restore.source_resource_id,
        "recoveryType": restore.request.recovery_type,
        "requestId": restore.request.request_id,
        "requestedBy": body.get("requestedBy"),
        "reason": body.get("reason"),
        "startedBy": str(restore.accepted.source),
        "recoveryPoint": prepared.point.to_json() if prepared else None,
        "operationId": _operation_id(stage),
        "jobId": stage.job_id if isinstance(stage, TrackingJob) else None,
        "vaultId": item.vault_id if item else body.get("vaultId"),
        "createdTime": format_time(restore.accepted.created),
        "lastUpdatedTime": format_time(outcome.completed if outcome else now),
        "completedTime": format_optional_time(outcome.completed if outcome else None),
        "nextPollTime": None if outcome else format_optional_time(next_poll),
        **{name: value for name, value in optional.items() if value is not None},
        "result": outcome.result if outcome else None,
        "error": outcome.error if outcome else None,
        "warnings": [{"code": warning.code, "message": warning.message} for warning in warnings],
        "links": {"self": f"/api/restores/{restore.restore_id}"},
    }


def result_document(restore: Restore, outcome: Outcome) -> Json:
    """Return the document as it goes to queue and webhook: the same however often it is sent."""
    return document(replace(restore, outcome=replace(outcome, notes=())), outcome.completed)


def _progress_pct(restore: Restore, stage: Stage) -> float | None:
    if restore.outcome is not None and restore.outcome.status is Status.COMPLETED:
        return 100.0
    return stage.progress_pct if isinstance(stage, TrackingJob) else None


def _operation_id(stage: Stage) -> str | None:
    if isinstance(stage, TrackingOperation):
        return stage.operation.operation_id
    return stage.operation_id if isinstance(stage, FindingJob | TrackingJob) else None


def _approval(restore: Restore, approval: Approval | None) -> Json | None:
    if approval is None:
        return None
    return {
        "required": True,
        "timeout": format_duration(restore.request.approval_timeout),
        "reason": approval.reason,
        "expires": format_optional_time(approval.expires),
        "decision": None if approval.decision is None else str(approval.decision),
        "by": approval.by,
        "comment": approval.comment,
        "time": format_optional_time(approval.time),
    }


def _cancellation(cancellation: Cancellation | None) -> Json | None:
    if cancellation is None:
        return None
    return {"by": cancellation.by, "comment": cancellation.comment, "time": format_optional_time(cancellation.time)}


def custom_status(restore: Restore, now: datetime, next_poll: datetime | None = None) -> Json:
    """Return the status document as far as Azure Storage can hold it in a custom status: 16 KB of UTF-16.

    Only a restore with a great many words in it loses some here; its final document is always whole.
    """
    whole = document(restore, now, next_poll)
    if len(json.dumps(whole)) <= _MAX_CUSTOM_STATUS:
        return whole
    error, result = whole["error"], whole["result"]
    people = {name: whole[name] for name in ("approval", "cancellation") if name in whole}
    return {
        **whole,
        **{name: _truncate(whole[name], 300) for name in ("requestedBy", "reason")},
        **{name: {**said, **_truncated(said, 300), **_flags(said)} for name, said in people.items()},
        "error": error and {**error, "message": _truncate(error["message"], 1000), "details": []},
        "result": result and {**_truncated(result, 300), "propertyBag": {}},
        "warnings": [_truncated(warning, 100) for warning in whole["warnings"][-10:]],
    }


def shown_status(restore: Restore, now: datetime, next_poll: datetime | None = None) -> Json | None:
    """Return what the custom status is to show; ``None`` for an end that is better told whole by the output.

    That comes a moment later, unless the webhook must be called before: then the truncated end is shown meanwhile.
    """
    shown = custom_status(restore, now, next_poll)
    outcome = restore.outcome
    if outcome is None or shown == document(restore, now):
        return shown
    # A truncated plan is none.
    return shown if outcome.webhook is Delivery.PENDING and outcome.status is not Status.PLANNED else None


def _truncated(members: Mapping[str, Any], size: int) -> Json:
    return {name: _truncate(value, size) for name, value in members.items()}


def _flags(members: Mapping[str, Any]) -> Json:
    return {name: value for name, value in members.items() if isinstance(value, bool)}


def _truncate(text: Any, size: int) -> str | None:
    if not isinstance(text, str):
        return None
    # As JSON, one character can take twelve.
    return text if len(json.dumps(text)) <= size else text[: size // 12]


def refused_document(*, restore_id: str, created: datetime, error: RestoreError, sent: object) -> Json:
    """Return the ``Failed`` status document of a queue message that never became a restore.

    ``sent`` is what the message held, so that its sender can recognise it: its texts, cut so that the answer still
    fits into a queue message.
    """
    body = as_object(sent)
    names = ("sourceResourceId", "recoveryType", "requestId", "requestedBy", "reason")
    texts = {name: as_text(body.get(name)) for name in names}
    return {
        "id": restore_id,
        "status": str(Status.FAILED),
        "phase": str(Phase.FINISHED),
        "progressPercentage": None,
        **{name: text and text[:_MAX_TEXT] for name, text in texts.items()},
        "startedBy": "queue",
        "recoveryPoint": None,
        "operationId": None,
        "jobId": None,
        "vaultId": None,
        "createdTime": format_time(created),
        "lastUpdatedTime": format_time(created),
        "completedTime": format_time(created),
        "nextPollTime": None,
        "result": None,
        "error": error.to_json(),
        "warnings": [],
        "links": {},
    }
