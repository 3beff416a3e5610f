"""Starting restores, and seeing those that were started: what HTTP and queue have in common."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from durabletask.client import OrchestrationQuery, OrchestrationState, OrchestrationStatus

from domain import errors
from domain.errors import RestoreError, TerminalError
from domain.restores import Phase, Restore, Status, restore_id_for
from domain.times import as_utc, format_time, parse_request_time
from orchestrations.names import RESTORE_VM

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.polling import Limits
    from domain.requests import RestoreRequest

type LimitsFor = Callable[[RestoreRequest], Limits]


def now() -> datetime:
    """Return the time; the triggers' only clock."""
    return datetime.now(UTC)


async def start_restore(
    client: df.DurableFunctionsClient,
    request: RestoreRequest,
    *,
    started_by: str,
    limits: Limits,
    message_id: str | None = None,
) -> Restore:
    """Start a restore, or find the one that the same key and body started before.

    The key is the request's ``requestId``, else the queue message's id, else nothing ever repeats it.
    Raises ``TerminalError`` ``RequestConflict`` when the key belongs to another body.
    """
    # A requestId has no colon, so the two kinds of key never meet.
    key = request.request_id or (f"message:{message_id}" if message_id else None)
    restore = Restore.accepted(
        request,
        restore_id=restore_id_for(key) if key else str(uuid.uuid4()),
        started_by=started_by,
        created=now(),
        limits=limits,
    )
    # Asked first: starting an id anew once its restore has ended would run the restore again.
    if key and (existing := await find_restore(client, restore.restore_id)) is not None:
        return _same(existing, restore)
    try:
        await client.schedule_new_orchestration(RESTORE_VM, input=restore.to_json(), instance_id=restore.restore_id)
    except Exception:
        # Two deliveries at the same moment: the hub let one in. Anything else is raised on.
        existing = await find_restore(client, restore.restore_id)
        if existing is None:
            raise
        return _same(existing, restore)
    return restore


def _same(existing: Restore, wanted: Restore) -> Restore:
    if existing.fingerprint == wanted.fingerprint:
        return existing
    message = (
        f"requestId {wanted.request.request_id!r} belongs to another request, accepted {format_time(existing.created)} "
        f"as restore {existing.restore_id}. Send the same body again, or another requestId."
    )
    raise TerminalError(errors.REQUEST_CONFLICT, message)


async def send_event(client: df.DurableFunctionsClient, restore_id: str, event: str, data: Json) -> Json:
    """Hand a person's decision to a running restore; returns its status document.

    Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when it has ended already.
    """
    document = await get_document(client, restore_id)
    if document is None:
        raise no_such_restore(restore_id)
    if document["phase"] == str(Phase.FINISHED):
        message = f"Restore {restore_id} has ended as {document['status']}; there is nothing left to {event}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    await client.raise_orchestration_event(restore_id, event, data=data)
    return document


def no_such_restore(restore_id: str) -> TerminalError:
    """Return the error for an id that is not a restore's."""
    message = f"There is no restore {restore_id!r}. GET /api/restores lists those there are."
    return TerminalError(errors.NOT_FOUND, message)


async def find_restore(client: df.DurableFunctionsClient, restore_id: str) -> Restore | None:
    """Return the restore as it was accepted (or as its history last started), ``None`` when there is none."""
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    return None if state is None or state.name != RESTORE_VM else Restore.from_json(state.get_input())


async def get_document(client: df.DurableFunctionsClient, restore_id: str) -> Json | None:
    """Return the status document of one restore, ``None`` when there is none."""
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    return None if state is None or state.name != RESTORE_VM else document_of(state)


async def list_documents(client: df.DurableFunctionsClient) -> list[Json]:
    """Return the status documents of all restores, newest first.

    The task hub pages in no useful order, so that it is read whole: it holds one row per restore, not per poll.
    """
    query = OrchestrationQuery(fetch_inputs_and_outputs=True)
    states = await client.get_all_orchestration_states(query)
    return sorted((document_of(state) for state in states if state.name == RESTORE_VM), key=age_of, reverse=True)


def age_of(document: Json) -> tuple[datetime, str]:
    """Return what orders restores by age; the id settles restores of one moment."""
    return parse_request_time(document["createdTime"]), document["id"]


def document_of(state: OrchestrationState) -> Json:
    """Return a restore's status document: its output when it ended, else what it last told, else what was accepted."""
    last_updated = as_utc(state.last_updated_at)
    if state.runtime_status is OrchestrationStatus.COMPLETED and (output := state.get_output()):
        return output
    told: Json = state.get_custom_status() or Restore.from_json(state.get_input()).document(last_updated)
    if state.runtime_status is OrchestrationStatus.TERMINATED:
        reason = str(state.get_output() or "no reason was given")
        return _stopped(told, Status.CANCELLED, f"The orchestration was terminated: {reason}.", last_updated)
    if state.runtime_status is OrchestrationStatus.FAILED:
        reason = state.failure_details.message if state.failure_details else "no details"
        return _stopped(told, Status.FAILED, f"The orchestration broke: {reason}.", last_updated)
    return told


def _stopped(told: Json, status: Status, message: str, at: datetime) -> Json:
    job = told["jobId"]
    still = f" Azure Backup job {job} may still run: look at it in the vault." if job else ""
    error = RestoreError(errors.INTERNAL_ERROR, message + still)
    time = format_time(at)
    ended = {"status": str(status), "phase": "Finished", "completedTime": time, "lastUpdatedTime": time}
    return {**told, **ended, "nextPollTime": None, "error": error.to_json()}
