"""Starting recoveries, for HTTP, queue and alerts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain import errors
from domain.codec import pack
from domain.errors import TerminalError
from domain.recovery.calls import record_id_of_plan
from domain.recovery.parts import APPROVAL_TIMEOUT
from domain.recovery.plans_file import plan_of
from domain.recovery.state import Recovery
from domain.restore.state import restore_id_for
from domain.times import format_time
from orchestrations.names import RUN_RECOVERY
from triggers.hub import is_already_running, polls
from triggers.list_entries import note_recovery
from triggers.records import write_record
from triggers.recovery_states import find_recovery, view_recovery
from triggers.starting import now

if TYPE_CHECKING:
    from datetime import timedelta

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.recovery.parts import AcceptedRecovery
    from domain.recovery.plan import LoadedPlans
    from domain.recovery.request import RecoveryRequest
    from domain.restore.parts import AlertStart, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySettings:
    """What every recovery needs to know of the app: the configured plans, and the cap of each vault."""

    plans: LoadedPlans
    max_per_vault: int


@dataclass(frozen=True, slots=True)
class StartedRecovery:
    """A recovery, and whether this call started it; if not, an earlier one with the same key did."""

    accepted: AcceptedRecovery
    is_new: bool


async def start_recovery(
    client: df.DurableFunctionsClient,
    request: RecoveryRequest,
    settings: RecoverySettings,
    *,
    source: Source,
    key: str | None = None,
    alert: AlertStart | None = None,
    approval_timeout: timedelta = APPROVAL_TIMEOUT,
) -> StartedRecovery:
    """Start a recovery, or return the one that the same key and call started before.

    The key is the request's ``requestId``, else ``key``; without either, each call starts a recovery. A start that
    admission control refused counts as none. ``approval_timeout`` is how long the whole recovery waits for a person.
    Raises ``TerminalError`` ``RequestIdReused`` when the ``requestId`` belongs to another call, and the errors of
    ``LoadedPlans.named``.
    """
    key = request.request_id or key
    recovery_id = recovery_id_for(key) if key else str(uuid.uuid4())
    # Read before the start: the task hub would start the id of a recovery that has ended again.
    existing = await view_recovery(client, recovery_id) if key else None
    if existing is not None and "refused" not in existing.document:
        return StartedRecovery(_existing_or_conflict(existing.accepted, request), is_new=False)
    plan = request.plan_in(settings.plans)
    record_id = record_id_of_plan(recovery_id, request.fingerprint)
    held = await write_record(client, record_id, request.record(plan))
    recovery = Recovery.accept(
        plan_of(held["plan"]),  # of several calls at the same moment, one plan counts
        recovery_id=recovery_id,
        fingerprint=request.fingerprint,
        source=source,
        created=now(),
        max_per_vault=settings.max_per_vault,
        request_id=request.request_id,
        dry_run=request.dry_run,
        requested_by=request.requested_by,
        reason=request.reason,
        alert=alert,
        approval_timeout=approval_timeout,
        start_token=str(uuid.uuid4()),
    )
    return await _start(client, recovery, request)


def recovery_id_for(key: str) -> str:
    """Return the recovery's id for an idempotency key. No restore has the same id."""
    return restore_id_for(f"recovery:{key}")


async def _start(client: df.DurableFunctionsClient, recovery: Recovery, request: RecoveryRequest) -> StartedRecovery:
    """Start the orchestration; return the recovery that runs under its id, which another call may have started."""
    accepted, failure = recovery.accepted, None
    try:
        await client.schedule_new_orchestration(RUN_RECOVERY, input=pack(recovery), instance_id=accepted.recovery_id)
    except Exception as error:  # noqa: BLE001 - raised below, unless the instance was started nevertheless
        failure = error
    # Several starts of one id at the same moment all report success, but one instance runs. Its token shows whose.
    running = await find_recovery(client, accepted.recovery_id)
    is_ours = running is not None and running.start_token == accepted.start_token
    if not is_ours and failure is not None and (running is None or not is_already_running(failure)):
        raise failure
    if running is None or is_ours:
        await note_recovery(client, accepted)
        return StartedRecovery(accepted, is_new=True)
    return StartedRecovery(_existing_or_conflict(running, request), is_new=False)


def _existing_or_conflict(existing: AcceptedRecovery, request: RecoveryRequest) -> AcceptedRecovery:
    # The key identifies an alert alone; the name of its rule, and so the reason, may have changed since.
    if existing.alert or existing.fingerprint == request.fingerprint:
        return existing
    message = (
        f"requestId {request.request_id!r} belongs to another call, accepted {format_time(existing.created)} as "
        f"recovery {existing.recovery_id}. Send the same body again, or another requestId."
    )
    raise TerminalError(errors.REQUEST_ID_REUSED, message)


async def recovery_admission(client: df.DurableFunctionsClient, recovery_id: str, *, until: float) -> Json | None:
    """Return the document of a recovery once admission control has admitted it; ``None`` if it has not by ``until``.

    Raises ``TerminalError`` ``CoolingDown`` or ``HourlyBudgetSpent`` when the start is refused.
    """
    async for _ in polls(until):
        view = await view_recovery(client, recovery_id)
        if view is None or view.shown is None:
            continue
        if view.shown.refused is not None:
            raise TerminalError(view.document["error"]["code"], view.document["error"]["message"])
        if view.shown.admitted or view.shown.status.has_ended:
            return view.document
    return None
