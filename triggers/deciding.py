"""A person's decisions on a running restore: cancel, approve, reject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TerminalError
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from domain.restore.parts import Decision, Phase, Status
from domain.times import format_time, parse_request_time
from domain.wire import as_text
from triggers.hub import answer_deadline, polls, raise_event
from triggers.restore_states import get_document, no_such_restore
from triggers.starting import now

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json


async def cancel_restore(client: df.DurableFunctionsClient, restore_id: str, person: Json) -> Json:
    """Send a cancellation to a running restore; return its status document. ``person`` is ``{"by"?, "comment"?}``.

    Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when the restore has already ended.
    """
    document = await _unfinished(client, restore_id, "cancel")
    if not await raise_event(client, restore_id, CANCEL_EVENT, {**person, "time": format_time(now())}):
        document = await _unfinished(client, restore_id, "cancel")
    return document


async def decide_restore(client: df.DurableFunctionsClient, restore_id: str, decision: Decision, person: Json) -> Json:
    """Send a person's decision to a restore that needs one, even before it waits for it; return its status document.

    Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when no decision is needed or another was faster.
    """
    document = await _unfinished(client, restore_id, "decide")
    _check_waiting(document)
    if not _is_decided(document):
        data = {**person, "decision": str(decision), "time": format_time(now())}
        await raise_event(client, restore_id, DECISION_EVENT, data)
        document = await _until_settled(client, restore_id) or document
    if document["phase"] == str(Phase.FINISHED) and not _is_decided(document):
        message = f"Restore {restore_id} has ended as {document['status']} before the decision reached it."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    made: Json = document["approval"]
    if _is_decided(document) and (made["decision"], made["by"]) != (str(decision), as_text(person.get("by"))):
        who = made["by"] or "somebody"
        message = f"Restore {restore_id} was decided before: {made['decision']} at {made['time']} by {who}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return document


def _check_waiting(document: Json) -> None:
    """Raise ``RequestConflict`` if the restore needs no decision, or the time for it is over."""
    restore_id = document["id"]
    if document.get("approval") is None:
        reason = "no approval is needed for it"
        if document["status"] == str(Status.AWAITING_APPROVAL):
            reason = "it waits for the vault's Resource Guard, which is opened in Azure"
        raise TerminalError(errors.REQUEST_CONFLICT, f"Restore {restore_id} waits for no decision: {reason}.")
    expires: str | None = document["approval"]["expires"]
    if not _is_decided(document) and expires is not None and now() > parse_request_time(expires):
        raise TerminalError(errors.REQUEST_CONFLICT, f"Restore {restore_id} could be decided until {expires}.")


async def _until_settled(client: df.DurableFunctionsClient, restore_id: str) -> Json | None:
    async for _ in polls(answer_deadline()):
        document = await get_document(client, restore_id)
        if document is not None and (_is_decided(document) or document["phase"] == str(Phase.FINISHED)):
            return document
    return None


def _is_decided(document: Json) -> bool:
    return document["approval"]["decision"] is not None


async def _unfinished(client: df.DurableFunctionsClient, restore_id: str, verb: str) -> Json:
    document = await get_document(client, restore_id)
    if document is None:
        raise no_such_restore(restore_id)
    if document["phase"] == str(Phase.FINISHED):
        message = f"Restore {restore_id} has ended as {document['status']}; there is nothing left to {verb}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return document
