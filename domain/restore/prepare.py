"""The stages before the trigger: finding the item, choosing the recovery point, and validating the restore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from domain import errors
from domain.azure.jobs import OperationStatus
from domain.errors import RestoreError, TerminalError, TransientError
from domain.restore import answers
from domain.restore.answers import NoPointForPlan, StillReading
from domain.restore.calls import GetValidation, PrepareRestore, ResolveItem
from domain.restore.failure import retry_or_end, wait_for_item
from domain.restore.outcome import ended, failed, plan_result, planned
from domain.restore.parts import Status
from domain.restore.polling import operation_interval_s
from domain.restore.stages import AwaitingApproval, Prepared, Preparing, Resolving, Searching, Triggering, Validating
from domain.restore.steps import Wait, when_due
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from datetime import datetime

    from domain.azure.protected_items import ProtectedItem
    from domain.azure.validation import Validation
    from domain.restore.state import Restore
    from domain.restore.steps import Step


def resolve_item(restore: Restore) -> ResolveItem:
    """Return the call that finds the item."""
    body = restore.request.body
    return ResolveItem(
        source_resource_id=body.get("sourceResourceId"),
        vault_id=body.get("vaultId"),
        container_name=body.get("containerName"),
        protected_item_name=body.get("protectedItemName"),
    )


def prepare_restore(restore: Restore, now: datetime) -> PrepareRestore:
    """Return the call that chooses the point; raises ``TypeError`` outside the stage ``Preparing``."""
    stage = restore.stage
    if not isinstance(stage, Preparing):
        raise TypeError(f"nothing is prepared in the stage {stage.kind}")
    return PrepareRestore(item=stage.item, request=restore.request, now=now, progress=stage.progress)


def decide_resolving(restore: Restore, _stage: Resolving, now: datetime) -> Step:
    """Return the step that finds the item."""
    return when_due(restore, resolve_item(restore), now)


def decide_preparing(restore: Restore, _stage: Preparing, now: datetime) -> Step:
    """Return the step that chooses the point."""
    return when_due(restore, prepare_restore(restore, now), now)


def decide_validating(restore: Restore, stage: Validating, now: datetime) -> Step:
    """Return the step that polls the service's own validation."""
    item = stage.prepared.item
    call = GetValidation(
        vault_id=item.vault_id, operation_id=stage.operation.operation_id, url=stage.operation.url, item=item
    )
    return when_due(restore, call, now)


def decide_approval(restore: Restore, stage: AwaitingApproval, _now: datetime) -> Step:
    """Return the wait for a person."""
    return Wait(until=stage.since + restore.request.approval_timeout)


def resolved(restore: Restore, _call: ResolveItem, item: ProtectedItem, now: datetime) -> Restore:
    """Return the restore with its item."""
    if not isinstance(restore.stage, Resolving):
        return restore
    return restore.with_stage(Preparing(item=item), now)


def prepared(restore: Restore, _call: PrepareRestore, found: answers.Prepared, now: datetime) -> Restore:
    """Return the restore with its point. If it waits for a slot, the point is chosen again when it has the slot."""
    stage = restore.stage
    if not isinstance(stage, Preparing) or not restore.slot.is_ready:
        return restore
    if isinstance(found, StillReading):
        return restore.with_stage(replace(stage, progress=found.progress), now)
    if found.candidates_cut:
        message = (
            f"{found.candidates_cut} older recovery points were considered, too; the plan shows the newest and the "
            "chosen one."
        )
        restore = restore.with_warning(WarningCode.CANDIDATES_CUT, message)
    if isinstance(found, NoPointForPlan):
        result = plan_result(None, found.candidates)
        return ended(restore, Status.FAILED, now, error=_no_point_error(found), result=result)
    for warning in found.warnings:
        restore = restore.with_warning(warning.code, warning.message)
    ready = Prepared(
        item=stage.item,
        point=found.point,
        guard_requests=found.guard_requests,
        candidates=found.candidates,
        machine=found.machine,
        source_size=found.source_size,
        data_disk_room=found.data_disk_room,
    )
    if stage.is_posted:
        return restore.with_stage(Searching(before=Triggering(prepared=ready), since=now), now)
    if found.validation is None:
        return _after_preparation(restore, ready, now)
    own_s = operation_interval_s(restore.limits, timedelta())
    restore = replace(restore, backoff=restore.backoff.wait(GetValidation.name, own_s, now))
    return restore.with_stage(Validating(prepared=ready, operation=found.validation, since=now), now)


def _no_point_error(found: NoPointForPlan) -> RestoreError:
    error = RestoreError.from_json(found.error)
    return RestoreError(error.code, f"{error.message} Nothing was started.", error.details)


def validated(restore: Restore, call: GetValidation, validation: Validation, now: datetime) -> Restore:
    """Return the restore after the service's validation: continued, failed by its findings, or still waiting for it."""
    stage = restore.stage
    if not isinstance(stage, Validating):
        return restore
    if validation.status is OperationStatus.RUNNING:
        own_s = operation_interval_s(restore.limits, now - stage.since)
        return replace(restore, backoff=restore.backoff.wait(call.name, own_s, now))
    if validation.is_vault_blocked:
        return _validate_after_block(restore, stage, validation, now)
    if validation.is_item_busy:
        message = f"The service would not do this restore now: {validation.findings[0].message}"
        return _validate_again(restore, stage, TransientError(errors.ITEM_BUSY, message, validation.findings), now)
    if validation.refuses_restore:
        reason = f": {validation.findings[0].message}" if validation.findings else ", and it gave no reason."
        what_happened = "The service would not do this restore"
        if validation.status is not OperationStatus.SUCCEEDED:
            what_happened = f"The service's own validation of this restore ended as {validation.status}"
        message = f"{what_happened}{reason}"
        return failed(restore, TerminalError(errors.VALIDATION_FAILED, message, validation.findings), now)
    return _after_preparation(restore, stage.prepared, now)


def validation_failed(restore: Restore, call: GetValidation, error: RestoreError, now: datetime) -> Restore:
    """Return the restore after a failed poll; without validation if the service no longer knows the validation."""
    stage = restore.stage
    if isinstance(stage, Validating) and error.code == errors.ITEM_BUSY:
        return _validate_again(restore, stage, error, now)
    if error.code != errors.NOT_FOUND or not isinstance(stage, Validating):
        return retry_or_end(restore, call, error, now)
    message = f"The service could not validate the restore before it was triggered: {error.message}"
    return _after_preparation(restore.with_warning(WarningCode.VALIDATION_UNAVAILABLE, message), stage.prepared, now)


def _validate_again(restore: Restore, stage: Validating, error: RestoreError, now: datetime) -> Restore:
    """Return the restore, to be prepared again when its item may be free; a newer point may exist by then."""
    asked_s = restore.backoff.asked_s(GetValidation.name, now)
    again = restore.with_stage(Preparing(item=stage.prepared.item), now)
    return wait_for_item(again, PrepareRestore, error, now, asked_s=asked_s)


def _validate_after_block(restore: Restore, stage: Validating, validation: Validation, now: datetime) -> Restore:
    """Return the restore that is prepared again when the vault may be open; a plan, which does not wait, ends."""
    asked_s = restore.backoff.asked_s(GetValidation.name, now)
    message = f"Azure Backup blocks the vault, so it does not validate the restore: {validation.findings[0].message}"
    error = TransientError(errors.VAULT_BLOCKED, message, validation.findings)
    if not restore.request.is_plan:
        restore = restore.with_stage(Preparing(item=stage.prepared.item), now)
    held = replace(restore, backoff=restore.backoff.hold(PrepareRestore.name, asked_s, now))
    return retry_or_end(held, PrepareRestore, error, now)


def _after_preparation(restore: Restore, ready: Prepared, now: datetime) -> Restore:
    restore = restore.with_free_item(now)
    if restore.request.is_plan:
        return planned(restore.with_stage(Triggering(prepared=ready), now), now)
    if restore.approval is None or not restore.awaits_decision:
        return restore.with_stage(Triggering(prepared=ready), now)
    waiting = restore.with_stage(AwaitingApproval(prepared=ready, since=now), now)
    approval = replace(restore.approval, expires=waiting.waits_for_person_until)
    return replace(waiting, approval=approval)
