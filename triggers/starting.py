"""Starting restores, and seeing those that were started: what HTTP, queue and alerts have in common."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from durabletask.client import OrchestrationState, OrchestrationStatus

from domain import errors
from domain.errors import RestoreError, TerminalError
from domain.restores import Decision, Phase, Restore, Status, refused_document, restore_id_for, was_refused
from domain.times import as_utc, format_time, parse_request_time
from domain.wire import as_object, as_text
from orchestrations.names import CANCEL_EVENT, DECISION_EVENT, RESTORE_VM
from triggers.hub import looks, patience, raise_event, read_payload, says_it_runs

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.guards import AlertStart
    from domain.restore.polling import Limits
    from domain.requests import RestoreRequest

type LimitsFor = Callable[[RestoreRequest], Limits]


def now() -> datetime:
    """Return the time; the triggers' only clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Started:
    """A restore and whether this call started it; if not, another one with the same key did."""

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
    repeats it. Raises ``TerminalError`` ``RequestIdReused`` when the ``requestId`` belongs to another body.
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
        start_token=str(uuid.uuid4()),
    )
    # Asked first: starting an id anew once its restore has ended would run the restore again.
    # Who was refused may try the same key again, but not a message that is delivered again: its sender was told.
    once = alert is None and request.request_id is None
    if key and (existing := await find_restore(client, restore.restore_id, refused_too=once)) is not None:
        return Started(_same(existing, restore), is_new=False)
    failure: Exception | None = None
    try:
        await client.schedule_new_orchestration(RESTORE_VM, input=restore.to_json(), instance_id=restore.restore_id)
    except Exception as error:  # noqa: BLE001 - raised below, unless the instance was started nevertheless
        failure = error
    # Several starts of one id at the same moment all seem to succeed, but one instance runs. The token shows whose.
    taken = await find_restore(client, restore.restore_id, refused_too=True)
    if taken is not None and taken.start_token == restore.start_token:
        return Started(restore, is_new=True)
    if failure is not None and (taken is None or not says_it_runs(failure)):
        raise failure
    return Started(restore, is_new=True) if taken is None else Started(_same(taken, restore), is_new=False)


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
    async for _ in looks(until):
        document = await get_document(client, restore_id)
        if document is not None and holds(document):
            return document
    return None


def _same(existing: Restore, wanted: Restore) -> Restore:
    # An alert's key is its own: what its rule made of it may have changed since.
    if wanted.alert or existing.fingerprint == wanted.fingerprint:
        return existing
    message = (
        f"requestId {wanted.request.request_id!r} belongs to another request, accepted {format_time(existing.created)} "
        f"as restore {existing.restore_id}. Send the same body again, or another requestId."
    )
    raise TerminalError(errors.REQUEST_ID_REUSED, message)


async def cancel_restore(client: df.DurableFunctionsClient, restore_id: str, said: Json) -> Json:
    """Ask a running restore to stop; returns its status document.

    Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when it has ended already.
    """
    document = await _unfinished(client, restore_id, "cancel")
    if not await raise_event(client, restore_id, CANCEL_EVENT, {**said, "time": format_time(now())}):
        document = await _unfinished(client, restore_id, "cancel")
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
        told = {**said, "decision": str(decision), "time": format_time(now())}
        await raise_event(client, restore_id, DECISION_EVENT, told)
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
    return _restore_of(state)


async def get_document(client: df.DurableFunctionsClient, restore_id: str) -> Json | None:
    """Return the status document of one restore, ``None`` when there is none."""
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    return None if state is None or state.name != RESTORE_VM else document_of(state)


def age_of(document: Json) -> tuple[datetime, str]:
    """Return what orders restores by age; the id settles restores of one moment."""
    return parse_request_time(document["createdTime"]), document["id"]


def document_of(state: OrchestrationState) -> Json:
    """Return a restore's status document: its output when it ended, else what it last told, else what was accepted.

    A terminated or failed orchestration left none: then it is what was last known, with the end that it met.
    """
    last_updated = as_utc(state.last_updated_at)
    if state.runtime_status is OrchestrationStatus.COMPLETED and (ended := _document_in(state.serialized_output)):
        return ended
    told = _document_in(state.serialized_custom_status) or _accepted_document(state)
    if told["phase"] == str(Phase.FINISHED):
        return told
    output = read_payload(state.serialized_output)
    reason = output if isinstance(output, str) else state.serialized_output  # "4711" is a reason, and JSON
    if state.runtime_status is OrchestrationStatus.TERMINATED:
        why = f"The orchestration was terminated: {reason or 'no reason was given'}."
        return _stopped(told, Status.CANCELLED, why, last_updated)
    if state.runtime_status is OrchestrationStatus.FAILED:
        # Azure Storage keeps the failure's text as the output, other engines its details.
        reason = state.failure_details.message if state.failure_details else reason
        return _stopped(
            told,
            Status.FAILED,
            f"The orchestration broke: {reason or 'no details; look in the log of the app'}.",
            last_updated,
        )
    return told


def _document_in(payload: str | None) -> Json | None:
    """Return the status document in a payload, ``None`` where it holds anything else."""
    document = as_object(read_payload(payload))
    return {**document} if document.keys() >= {"id", "status", "phase", "createdTime", "error"} else None


def _accepted_document(state: OrchestrationState) -> Json:
    """Return the document of a restore that has told nothing yet; of an input that is no restore, what is known."""
    restore = _restore_of(state)
    if restore is not None:
        return restore.document(as_utc(state.last_updated_at))
    message = (
        f"The input of orchestration {state.instance_id} cannot be read as a restore: this version of the app has not "
        "written it. Look at the instance in the task hub, and purge it if nobody needs it."
    )
    error = RestoreError(errors.INTERNAL_ERROR, message)
    refused = refused_document(restore_id=state.instance_id, created=as_utc(state.created_at), error=error, sent=None)
    return {**refused, "startedBy": "http"}  # not known; the API's description has no word for that


def _restore_of(state: OrchestrationState) -> Restore | None:
    try:
        return Restore.from_json(read_payload(state.serialized_input))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _stopped(told: Json, status: Status, message: str, at: datetime) -> Json:
    if told["jobId"]:
        still = f" Azure Backup job {told['jobId']} may still run: look at it in the vault."
    elif told["operationId"] or told["phase"] == str(Phase.TRIGGERING):
        still = " Azure may have the restore. Look at the restore jobs of the vault before you start another one."
    else:
        still = ""
    error = RestoreError(errors.INTERNAL_ERROR, message + still)
    time = format_time(at)
    ended = {"status": str(status), "phase": "Finished", "completedTime": time, "lastUpdatedTime": time}
    return {**told, **ended, "nextPollTime": None, "error": error.to_json()}
