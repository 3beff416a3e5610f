"""The ends of a recovery that starts nothing: it is refused or rejected, or a call of it failed.

All other ends follow from the members (``domain.recovery.groups``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from domain import errors
from domain.errors import RestoreError, TransientError
from domain.restore.failure import PATIENCE
from domain.restore.parts import Decision, RefusedWhen
from domain.restore.state import ADMISSION_PATIENCE_S
from domain.times import format_duration

if TYPE_CHECKING:
    from datetime import datetime

    from domain.recovery.state import Recovery
    from domain.restore.answers import Refusal
    from domain.restore.calls import Call


def retry_or_end(recovery: Recovery, call: Call, error: RestoreError, now: datetime) -> Recovery:
    """Return the recovery that makes the call again, or that has failed: by a lasting error, or after half an hour."""
    if isinstance(error, TransientError) and recovery.backoff.failing_for(call.name, now) < PATIENCE:
        return replace(recovery, backoff=recovery.backoff.retry(call.name, now))
    return recovery.with_progress(error=error.to_json())


def refused(recovery: Recovery, refusal: Refusal, now: datetime) -> Recovery:
    """Return the recovery as refused by admission control."""
    waited_s = (now - recovery.accepted.created).total_seconds()
    in_time = recovery.accepted.source.waits_for_admission and waited_s <= ADMISSION_PATIENCE_S
    error = RestoreError(refusal.code, refusal.message)
    when = RefusedWhen.AT_ONCE if in_time else RefusedWhen.LATER
    return recovery.with_progress(refused=when, error=error.to_json())


def rejected(recovery: Recovery) -> Recovery:
    """Return the recovery failed, if its approval was refused or not given in time."""
    approval = recovery.progress.approval
    if approval is None or approval.decision in {None, Decision.APPROVED}:
        return recovery
    if approval.decision is Decision.TIMED_OUT:
        timeout = format_duration(recovery.accepted.approval_timeout)
        error = RestoreError(
            errors.APPROVAL_TIMED_OUT, f"Nobody approved the recovery within {timeout}. Nothing was started."
        )
    else:
        who = f" by {approval.by}" if approval.by else ""
        why = f" ({approval.comment})" if approval.comment else ""
        error = RestoreError(errors.REJECTED, f"The recovery was rejected{who}{why}. Nothing was started.")
    return recovery.with_progress(error=error.to_json())
