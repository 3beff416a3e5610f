"""Starting restores, and seeing those that were started: what HTTP, queue and alerts have in common."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from durabletask.client import OrchestrationQuery, OrchestrationState, OrchestrationStatus

from domain import errors
from domain.errors import RestoreError, TerminalError
from domain.restores import (
    ADMISSION_PATIENCE_S,
    Decision,
    Phase,
    Restore,
    Status,
    restore_id_for,
    was_refused,
    was_refused_at_once,
)
from domain.times import as_utc, format_time, parse_request_time
from domain.wire import as_text
from orchestrations.names import CANCEL_EVENT, DECISION_EVENT, RESTORE_VM

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.guards import AlertStart
    from domain.polling import Limits
    from domain.requests import RestoreRequest

type LimitsFor = Callable[[RestoreRequest], Limits]

_SAME_MOMENT: Final = timedelta(minutes=1)
_LOOKS_S: Final = (0.02, 0.5)  # from one look at an orchestration to the next: at first, at most


def now() -> datetime:
    """Return the time; the triggers' only clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Started:
    """A restore and whether this call started it; if not, an earlier one with the same key did."""

    restore: Restore
    is_new: bool


async def start_restore(
    client: df.DurableFunctionsClient,
    request: RestoreRequest,
    *,
    started_by: str,
    limits: Limits,
    key: str | None = None,
    alert: AlertStart | None = None,
) -> Started:
    """Start a restore, or find the one that the same key and body started before.

    An alert goes by ``key`` alone; else the request's ``requestId`` goes before it, and without either nothing ever
    repeats it. Raises ``TerminalError`` ``RequestConflict`` when the ``requestId`` belongs to another body.
    """
    # A requestId has no colon, every other key has one: they never meet.
    key = key if alert is not None else request.request_id or key
    restore = Restore.accepted(
        request,
        restore_id=restore_id_for(key) if key else str(uuid.uuid4()),
        started_by=started_by,
        created=now(),
        limits=limits,
        alert=alert,
    )
    # Asked first: starting an id anew once its restore has ended would run the restore again.
    # Who was refused may try the same key again, but not a message that is delivered again: its sender was told.
    once = alert is None and request.request_id is None
    if key and (existing := await find_restore(client, restore.restore_id, refused_too=once)) is not None:
        return Started(_same(existing, restore), is_new=False)
    try:
        await client.schedule_new_orchestration(RESTORE_VM, input=restore.to_json(), instance_id=restore.restore_id)
    except Exception:
        # Two deliveries at the same moment: the hub let one in. Anything else is raised on.
        existing = await find_restore(client, restore.restore_id, refused_too=True)
        if existing is None or restore.created - existing.created > _SAME_MOMENT:
            raise
        return Started(_same(existing, restore), is_new=False)
    return Started(restore, is_new=True)


def patience() -> float:
    """Return until when a caller who comes now is kept waiting, by ``time.monotonic``."""
    return time.monotonic() + ADMISSION_PATIENCE_S


async def admission(client: df.DurableFunctionsClient, restore: Restore, *, until: float) -> Json | None:
    """Return the status document once the guards have let the restore in.

    ``None`` when they have not by ``until``, or only Azure can say which VM it is.
    Raises ``TerminalError`` ``RequestConflict``, ``CoolingDown`` or ``HourlyBudgetSpent`` when they refuse it.
    """
    if restore.guarded_name is None:
        return None

    def is_decided(document: Json) -> bool:
        return document["status"] != str(Status.PENDING)

    document = await _look_until(client, restore.restore_id, is_decided, until=until)
    if document is not None and was_refused(document):
        raise TerminalError(document["error"]["code"], document["error"]["message"])
    return document


async def _look_until(
    client: df.DurableFunctionsClient, restore_id: str, holds: Callable[[Json], bool], *, until: float
) -> Json | None:
    pause_s, longest_s = _LOOKS_S
    while True:
        document = await get_document(client, restore_id)
        if document is not None and holds(document):
            return document
        if time.monotonic() + pause_s > until:
            return None
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, longest_s)


def _same(existing: Restore, wanted: Restore) -> Restore:
    # An alert's key is its own: what its rule made of it may have changed since.
    if wanted.alert or existing.fingerprint == wanted.fingerprint:
        return existing
    message = (
        f"requestId {wanted.request.request_id!r} belongs to another request, accepted {format_time(existing.created)} "
        f"as restore {existing.restore_id}. Send the same body again, or another requestId."
    )
    raise TerminalError(errors.REQUEST_CONFLICT, message)


async def cancel_restore(client: df.DurableFunctionsClient, restore_id: str, said: Json) -> Json:
    """Ask a running restore to stop; returns its status document.

    Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when it has ended already.
    """
    document = await _unfinished(client, restore_id, "cancel")
    await client.raise_orchestration_event(restore_id, CANCEL_EVENT, data=said)
    return document


async def decide_restore(client: df.DurableFunctionsClient, restore_id: str, decision: Decision, said: Json) -> Json:
    """Hand a person's decision to a restore that needs one, also ahead of its wait; returns its status document.

    Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when nothing waits or somebody else was faster.
    """
    document = await _unfinished(client, restore_id, "decide")
    if document.get("approval") is None:
        reason = "no approval is needed for it"
        if document["status"] == str(Status.AWAITING_APPROVAL):
            reason = "it waits for the vault's Resource Guard, which is opened in Azure"
        raise TerminalError(errors.REQUEST_CONFLICT, f"Restore {restore_id} waits for no decision: {reason}.")
    expires: str | None = document["approval"]["expires"]
    if not _is_decided(document) and expires is not None and now() > parse_request_time(expires):
        raise TerminalError(errors.REQUEST_CONFLICT, f"Restore {restore_id} could be decided until {expires}.")
    if not _is_decided(document):
        await client.raise_orchestration_event(restore_id, DECISION_EVENT, data={**said, "decision": str(decision)})
        document = await _look_until(client, restore_id, _is_settled, until=patience()) or document
    if document["phase"] == str(Phase.FINISHED) and not _is_decided(document):
        message = f"Restore {restore_id} has ended as {document['status']} before the decision reached it."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    made: Json = document["approval"]
    if _is_decided(document) and (made["decision"], made["by"]) != (str(decision), as_text(said.get("by"))):
        who = made["by"] or "somebody"
        message = f"Restore {restore_id} was decided before: {made['decision']} at {made['time']} by {who}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return document


def _is_decided(document: Json) -> bool:
    return document["approval"]["decision"] is not None


def _is_settled(document: Json) -> bool:
    return _is_decided(document) or document["phase"] == str(Phase.FINISHED)


async def _unfinished(client: df.DurableFunctionsClient, restore_id: str, verb: str) -> Json:
    document = await get_document(client, restore_id)
    if document is None:
        raise no_such_restore(restore_id)
    if document["phase"] == str(Phase.FINISHED):
        message = f"Restore {restore_id} has ended as {document['status']}; there is nothing left to {verb}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return document


def no_such_restore(restore_id: str) -> TerminalError:
    """Return the error for an id that is not a restore's."""
    message = f"There is no restore {restore_id!r}. GET /api/restores lists those there are."
    return TerminalError(errors.NOT_FOUND, message)


async def find_restore(
    client: df.DurableFunctionsClient, restore_id: str, *, refused_too: bool = False
) -> Restore | None:
    """Return the restore as it was accepted (or as its history last started), ``None`` when there is none.

    A start that a guard refused counts as none, unless ``refused_too``.
    """
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    if state is None or state.name != RESTORE_VM or (not refused_too and was_refused(document_of(state))):
        return None
    return Restore.from_json(state.get_input())


async def get_document(client: df.DurableFunctionsClient, restore_id: str) -> Json | None:
    """Return the status document of one restore, ``None`` when there is none."""
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    return None if state is None or state.name != RESTORE_VM else document_of(state)


async def list_documents(client: df.DurableFunctionsClient) -> list[Json]:
    """Return the status documents of all restores, newest first; starts that a guard refused at once are none.

    The task hub pages in no useful order, so that it is read whole: it holds one row per restore, not per poll.
    """
    query = OrchestrationQuery(fetch_inputs_and_outputs=True)
    states = await client.get_all_orchestration_states(query)
    documents = (document_of(state) for state in states if state.name == RESTORE_VM)
    return sorted((each for each in documents if not was_refused_at_once(each)), key=age_of, reverse=True)


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
