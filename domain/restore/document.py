"""The status document of a restore, as callers, queue and webhook see it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from domain.api_types import (
    ApprovalDocument,
    CancellationDocument,
    PhaseDocument,
    RequestDocument,
    RestoreTarget,
    StatusDocument,
    StatusLinks,
)
from domain.codec import as_json, camel_case
from domain.follow_up.work import kind_of
from domain.messages import fit
from domain.redaction import redacted, redacted_json
from domain.restore.parts import Delivery, Phase, Source, Status
from domain.restore.stages import (
    AwaitingApproval,
    AwaitingMaintenance,
    AwaitingResourceGuard,
    ComparingDisks,
    FindingJob,
    FollowingUp,
    Preparing,
    Resolving,
    Searching,
    TrackingJob,
    TrackingOperation,
    Triggering,
    Validating,
)
from domain.restore.undo import can_be_undone
from domain.restore.waiting import waiting_for
from domain.times import parse_request_time
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from domain.errors import Json, RestoreError
    from domain.requests import RestoreRequest
    from domain.restore.parts import Approval, Cancellation, Outcome
    from domain.restore.stages import Stage
    from domain.restore.state import Restore

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
    AwaitingMaintenance: Phase.AWAITING_APPROVAL,
}


def phase_of(restore: Restore) -> Phase:
    """Return how far the restore has come. While its job is searched for, it stays in the phase of its post."""
    if restore.outcome is not None:
        return Phase.FINISHED
    if isinstance(restore.stage, Preparing) and restore.stage.is_posted:
        return Phase.TRIGGERING
    stage = restore.stage.before if isinstance(restore.stage, Searching) else restore.stage
    return kind_of(stage.work).phase if isinstance(stage, FollowingUp) else _PHASES[type(stage)]


def status_of(restore: Restore) -> Status:
    """Return the restore's status; it is pending until the restore is admitted."""
    if restore.outcome is not None:
        return restore.outcome.status
    if phase_of(restore) is Phase.AWAITING_APPROVAL:
        return Status.AWAITING_APPROVAL
    return Status.RUNNING if restore.admission.admitted else Status.PENDING


def document(restore: Restore, now: datetime, next_poll: datetime | None = None) -> Json:
    """Return the status document. ``links`` are relative; the HTTP API makes them absolute.

    ``approval``, ``firstApproval``, ``cancellation`` and ``refused`` are present only if they apply.
    """
    body, outcome, item, prepared = restore.request.body, restore.outcome, restore.item, restore.prepared
    stage = _tracked(restore.stage)
    whole = StatusDocument(
        id=restore.restore_id,
        status=status_of(restore),
        phase=phase_of(restore),
        progress_percentage=_progress_pct(restore, stage),
        source_resource_id=restore.source_resource_id,
        recovery_type=restore.request.recovery_type,
        request_id=restore.request.request_id,
        requested_by=body.get("requestedBy"),
        reason=body.get("reason"),
        started_by=restore.accepted.source,
        request=request_document(restore.request, restore.source_resource_id),
        recovery_point=prepared.point.to_json() if prepared else None,
        operation_id=_operation_id(stage),
        job_id=stage.job_id if isinstance(stage, TrackingJob) else None,
        vault_id=item.vault_id if item else body.get("vaultId"),
        created_time=restore.accepted.created,
        last_updated_time=outcome.completed if outcome else now,
        completed_time=outcome.completed if outcome else None,
        next_poll_time=None if outcome else next_poll,
        waiting=waiting_for(restore, next_poll),
        approval=_approval(restore, restore.approval),
        first_approval=_approval(restore, restore.first_approval),
        cancellation=_cancellation(restore.cancellation),
        refused=outcome.refused if outcome else None,
        result=outcome.result if outcome else None,
        error=outcome.error if outcome else None,
        warnings=(*restore.warnings, *(outcome.notes if outcome else ())),
        phases=_phases(restore),
        **_shown_work(restore),
        undo_of=restore.accepted.undo_of,
        recovery_id=restore.accepted.member.recovery_id if restore.accepted.member else None,
        links={},
    )
    shown = as_json(whole)
    return {**shown, "links": links_of(shown, now)}


def _tracked(stage: Stage) -> Stage:
    """Return the stage in which the job was followed, for a restore whose job has ended."""
    match stage:
        case ComparingDisks():
            return stage.tracked
        case AwaitingMaintenance() | FollowingUp() if stage.restored is not None:
            return stage.restored.tracked
        case _:
            return stage


def _shown_work(restore: Restore) -> dict[str, Any]:
    """Return what is done with the disks at the moment, under the name of its member."""
    if restore.outcome is not None or not isinstance(restore.stage, FollowingUp):
        return {}
    kind = kind_of(restore.stage.work)
    shown = kind.document(restore.stage.work, is_over=False)
    names = {camel_case(name): name for name in ("swap", "created_virtual_machine", "attachment")}
    return {names[kind.member]: shown}


def request_document(request: RestoreRequest, source_resource_id: str | None) -> Json:
    """Return what was requested, without secrets, and the target of the restore."""
    body: Json = redacted_json(request.body)
    identity_based: Json = body.get("identityBasedRestoreDetails", {})
    target = RestoreTarget(
        virtual_machine_id=source_resource_id if request.replaces_disks else _target_machine(request),
        resource_group_id=body.get("targetResourceGroupId"),
        storage_account_id=body.get("storageAccountId") or identity_based.get("targetStorageAccountId"),
        virtual_network_id=body.get("virtualNetworkId"),
        subnet_id=body.get("subnetId"),
        replaces_disks=request.replaces_disks,
    )
    return {**body, **as_json(RequestDocument(target=as_json(target)))}


def _target_machine(request: RestoreRequest) -> str | None:
    """Return the VM that the restore creates, or to which it attaches disks."""
    attachment = request.then_attach_disks or {}
    made: str | None = request.new_virtual_machine_id or request.body.get("targetVirtualMachineId")
    return attachment.get("virtualMachineId", made)


def links_of(shown: Json, now: datetime, origin: str = "/api") -> Json:
    """Return the links of a status document: to itself, and to what can be done with the restore now."""
    self_link = f"{origin}/restores/{shown['id']}"
    can_cancel = shown["phase"] != str(Phase.FINISHED) and "cancellation" not in shown
    approval: Json | None = shown.get("approval")
    is_undecided = approval is not None and approval["decision"] is None and not has_expired(approval, now)
    can_decide = can_cancel and is_undecided
    links = StatusLinks(
        self=self_link,
        undo=f"{self_link}/undo" if can_be_undone(shown) else None,
        cancel=f"{self_link}/cancel" if can_cancel else None,
        approve=f"{self_link}/approve" if can_decide else None,
        reject=f"{self_link}/reject" if can_decide else None,
    )
    return as_json(links)


def has_expired(approval: Json, now: datetime) -> bool:
    """Return whether the time for a decision is over; ``approval`` is that of a status document."""
    expires: str | None = approval["expires"]
    return expires is not None and now > parse_request_time(expires)


def result_document(restore: Restore, outcome: Outcome) -> Json:
    """Return the document for the results queue and the webhook; it is the same each time it is sent."""
    return document(replace(restore, outcome=replace(outcome, notes=())), outcome.completed)


def _progress_pct(restore: Restore, stage: Stage) -> float | None:
    if restore.outcome is not None and restore.outcome.status is Status.COMPLETED:
        return 100.0
    return stage.progress_pct if isinstance(stage, TrackingJob) else None


def _operation_id(stage: Stage) -> str | None:
    if isinstance(stage, TrackingOperation):
        return stage.operation.operation_id
    return stage.operation_id if isinstance(stage, FindingJob | TrackingJob) else None


def _approval(restore: Restore, approval: Approval | None) -> ApprovalDocument | None:
    if approval is None:
        return None
    return ApprovalDocument(
        required=True,
        before=approval.before,
        timeout=restore.request.approval_timeout,
        reason=approval.reason,
        distinct=restore.request.needs_other_approver,
        expires=approval.expires,
        decision=approval.decision,
        by=approval.by,
        comment=approval.comment,
        time=approval.time,
    )


def _cancellation(cancellation: Cancellation | None) -> CancellationDocument | None:
    if cancellation is None:
        return None
    return CancellationDocument(by=cancellation.by, comment=cancellation.comment, time=cancellation.time)


def _phases(restore: Restore) -> tuple[PhaseDocument, ...]:
    if restore.timeline is None:
        return ()
    phases = restore.timeline.phases
    ends = [*(phase.started for phase in phases[1:]), restore.outcome.completed if restore.outcome else None]
    return tuple(
        PhaseDocument(phase=phase.phase, started=phase.started, ended=ended, waits=phase.waits)
        for phase, ended in zip(phases, ends, strict=False)
    )


def custom_status(restore: Restore, now: datetime, next_poll: datetime | None = None) -> Json:
    """Return the status document, truncated if needed to fit into a custom status in Azure Storage: 16 KB of UTF-16.

    Only unusually long documents are truncated here; the final document is always complete.
    """
    whole = document(restore, now, next_poll)
    return fit(whole, size_of=lambda cut: len(json.dumps(cut)), max_size=_MAX_CUSTOM_STATUS)


def shown_status(restore: Restore, now: datetime, next_poll: datetime | None = None) -> Json | None:
    """Return the custom status to publish, or ``None`` for a final document that would be truncated in it.

    The orchestration's output, a moment later, has that document completely. Only if the webhook must be called or
    events must be sent before that, the truncated document is published meanwhile.
    """
    shown = custom_status(restore, now, next_poll)
    outcome = restore.outcome
    if outcome is None or shown == document(restore, now):
        return shown
    # A truncated plan is useless.
    must_send = outcome.webhook is Delivery.PENDING or (
        outcome.queue is not Delivery.PENDING and restore.events.to_publish
    )
    return shown if must_send and outcome.status is not Status.PLANNED else None


def refused_document(*, restore_id: str, created: datetime, error: RestoreError, sent: object) -> Json:
    """Return the ``Failed`` status document of a queue message that never became a restore.

    ``sent`` is the content of the message. Its texts are copied, so that the sender can recognise the message, without
    secrets, and truncated, so that the document fits into a queue message.
    """
    body = as_object(sent)

    def text_of(name: str) -> str | None:
        text = as_text(body.get(name))
        return text and redacted(text)[:_MAX_TEXT]

    refused = StatusDocument(
        id=restore_id,
        status=Status.FAILED,
        phase=Phase.FINISHED,
        progress_percentage=None,
        source_resource_id=text_of("sourceResourceId"),
        recovery_type=text_of("recoveryType"),
        request_id=text_of("requestId"),
        requested_by=text_of("requestedBy"),
        reason=text_of("reason"),
        started_by=Source.QUEUE,
        request=None,
        recovery_point=None,
        operation_id=None,
        job_id=None,
        vault_id=None,
        created_time=created,
        last_updated_time=created,
        completed_time=created,
        next_poll_time=None,
        waiting=None,
        result=None,
        error=error.to_json(),
        warnings=(),
        links={},
    )
    return as_json(refused)
