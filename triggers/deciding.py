"""A person's decisions on a running restore: cancel, approve, reject."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain import errors
from domain.errors import TerminalError, TransientError
from domain.people import same_person
from domain.restore.document import has_expired
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from domain.restore.parts import Before, Decision, Phase, Status
from domain.times import format_time
from domain.wire import as_object, as_text
from triggers.hub import answer_deadline, polls, raise_event
from triggers.restore_states import find_restore, get_document, no_such_restore
from triggers.starting import now

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json


async def cancel_restore(client: df.DurableFunctionsClient, restore_id: str, person: Json) -> Json:
    """Send a cancellation to a running restore; return its status document. ``person`` is ``{"by"?, "comment"?}``.

    The document shows the cancellation, or an earlier one: only the first counts. Raises ``TerminalError``
    ``NotFound``, or ``RequestConflict`` when the restore has already ended.
    """
    document = await _unfinished(client, restore_id, "cancel")
    if _is_cancelled(document):
        return document
    time = format_time(now())
    await _send(client, restore_id, CANCEL_EVENT, {**person, "time": time})
    document = await _until_shown(client, restore_id, _is_cancelled) or document
    if _is_cancelled(document):
        return document
    _check_reached(document, "cancellation")
    # The task hub has the cancellation and will deliver it, so the answer shows it already.
    cancellation = {"by": as_text(person.get("by")), "comment": as_text(person.get("comment")), "time": time}
    return {**document, "cancellation": cancellation}


async def decide_restore(client: df.DurableFunctionsClient, restore_id: str, decision: Decision, person: Json) -> Json:
    """Send a person's decision to a restore that needs one, even before it waits for it; return its status document.

    ``person`` is ``{"by", "comment"?, "before"?}``; without ``before`` it is about what the restore waits before now.
    If the same person sends the same decision again, it is answered as before, even after the restore has gone on or
    has ended. Raises ``TerminalError`` ``NotFound``, or ``RequestConflict`` when no decision is needed, another was
    faster, the person must not approve, or it is not clear which of two decisions is meant.
    """
    document = await _existing(client, restore_id)
    before = person.get("before") or _awaited(document, decision, person)
    if not _is_decided(document, before):
        document = await _unfinished(client, restore_id, "decide")
        _check_waiting(document, before)
        await _check_approver(client, document, decision, person)
        data = {**person, "before": before, "decision": str(decision), "time": format_time(now())}
        await _send(client, restore_id, DECISION_EVENT, data)
        document = await _until_shown(client, restore_id, lambda shown: _is_decided(shown, before)) or document
    made = _approval(document, before)
    if made is None or made["decision"] is None:
        _check_reached(document, "decision")
        return document
    if made["decision"] != str(decision) or not same_person(made["by"], as_text(person.get("by"))):
        who = made["by"] or "nobody"
        message = f"Restore {restore_id} was decided before: {made['decision']} at {made['time']} by {who}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return document


def _awaited(document: Json, decision: Decision, person: Json) -> str:
    """Return what the restore waits before, or what was decided last.

    Raises ``RequestConflict`` for an approval that may be the repetition of an earlier one, by the same person.
    """
    approval: Json = document.get("approval") or {}
    first: Json = document.get("firstApproval") or {}
    may_be_repeated = bool(first) and decision is Decision.APPROVED and not _is_decided(document, Before.SWAP)
    if may_be_repeated and same_person(first["by"], as_text(person.get("by"))):
        message = (
            f"Restore {document['id']} asks for two decisions, and {first['by']} has approved it before its trigger. "
            f'Say which one this is: "before": "{Before.TRIGGER}" or "{Before.SWAP}".'
        )
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return _before(approval)


def _before(approval: Json) -> str:
    return approval.get("before", str(Before.TRIGGER))


def _approval(document: Json, before: str) -> Json | None:
    """Return the approval that the restore needs before this; ``None`` if it does not, or not yet."""
    approvals: list[Json | None] = [document.get("approval"), document.get("firstApproval")]
    return next((found for found in approvals if found is not None and _before(found) == before), None)


def _check_waiting(document: Json, before: str) -> None:
    """Raise ``RequestConflict`` if the restore needs no decision before this, or the time for it is over."""
    restore_id = document["id"]
    if _is_cancelled(document):
        message = f"Restore {restore_id} waits for no decision: it is being cancelled."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    approval = _approval(document, before)
    if approval is None:
        reason = _why_nothing_is_asked(document, before)
        raise TerminalError(errors.REQUEST_CONFLICT, f"Restore {restore_id} waits for no decision: {reason}.")
    if has_expired(approval, now()):
        message = (
            f"Restore {restore_id} could be decided until {approval['expires']}. If it is still wanted, send its "
            "request again, with a new requestId."
        )
        raise TerminalError(errors.REQUEST_CONFLICT, message)


def _why_nothing_is_asked(document: Json, before: str) -> str:
    asked, wanted = document.get("approval"), as_object(as_object(document.get("request")).get("approval"))
    if asked is None and document["status"] == str(Status.AWAITING_APPROVAL):
        return "it waits for the vault's Resource Guard, which is opened in Azure"
    if wanted.get("before") == Before.SWAP and (asked is None or before == Before.SWAP):
        return "it will ask before its swap, when its disks are restored"
    if asked is not None or before == Before.SWAP:
        return f"none is asked for before its {before.lower()}"
    return "no approval is needed for it"


async def _check_approver(client: df.DurableFunctionsClient, document: Json, decision: Decision, person: Json) -> None:
    """Raise ``RequestConflict`` if the person requested the restore, and somebody else must approve it."""
    restore_id, by = document["id"], as_text(person.get("by"))
    if decision is not Decision.APPROVED or not document["approval"]["distinct"]:
        return
    restore = await find_restore(client, restore_id)  # the document may have been truncated
    if restore is not None and not restore.request.may_be_approved_by(by):
        message = f"Restore {restore_id} was requested by {by}: another person must approve it (approval.distinct)."
        raise TerminalError(errors.REQUEST_CONFLICT, message)


async def _send(client: df.DurableFunctionsClient, restore_id: str, event: str, data: Json) -> None:
    """Send an event to a restore; raises ``RequestConflict`` if it has ended, else ``TransientError`` on failure."""
    if await raise_event(client, restore_id, event, data):
        return
    verb = "cancel" if event == CANCEL_EVENT else "decide"
    await _unfinished(client, restore_id, verb)
    message = f"The request to {verb} restore {restore_id} did not reach it. Send the same request again."
    raise TransientError(errors.SERVICE_UNAVAILABLE, message)


def _check_reached(document: Json, what: str) -> None:
    """Raise ``RequestConflict`` if the restore ended before ``what`` was sent reached it."""
    if _has_ended(document):
        message = f"Restore {document['id']} has ended as {document['status']} before the {what} reached it."
        raise TerminalError(errors.REQUEST_CONFLICT, message)


async def _until_shown(
    client: df.DurableFunctionsClient, restore_id: str, is_shown: Callable[[Json], bool]
) -> Json | None:
    """Return the document once it shows what was sent, or the restore's end; ``None`` if that takes too long."""
    async for _ in polls(answer_deadline()):
        document = await get_document(client, restore_id)
        if document is not None and (is_shown(document) or _has_ended(document)):
            return document
    return None


def _is_cancelled(document: Json) -> bool:
    return document.get("cancellation") is not None


def _is_decided(document: Json, before: str) -> bool:
    approval = _approval(document, before)
    return approval is not None and approval["decision"] is not None


def _has_ended(document: Json) -> bool:
    return document["phase"] == str(Phase.FINISHED)


async def _existing(client: df.DurableFunctionsClient, restore_id: str) -> Json:
    document = await get_document(client, restore_id)
    if document is None:
        raise no_such_restore(restore_id)
    return document


async def _unfinished(client: df.DurableFunctionsClient, restore_id: str, verb: str) -> Json:
    document = await _existing(client, restore_id)
    if _has_ended(document):
        message = f"Restore {restore_id} has ended as {document['status']}; there is nothing left to {verb}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)
    return document
