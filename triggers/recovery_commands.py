"""The commands of persons to a recovery: pause, resume, cancel, retry, skip, approve, reject."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TerminalError, TransientError
from domain.people import same_person
from domain.recovery.commands import Command
from domain.recovery.machine import COMMAND_EVENT
from domain.recovery.parts import RETRIABLE, SKIPPABLE
from domain.restore.parts import Decision
from domain.times import format_time, parse_request_time
from domain.wire import as_object, as_text
from triggers.hub import answer_deadline, polls, raise_event
from triggers.recovery_members import group_index
from triggers.recovery_states import get_recovery, no_such_recovery, view_recovery
from triggers.starting import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import azure.durable_functions as df

    from domain.errors import Json

DECISION_OF: Final[Mapping[Command, Decision]] = {
    Command.APPROVE: Decision.APPROVED,
    Command.REJECT: Decision.REJECTED,
}


async def give_command(
    client: df.DurableFunctionsClient, recovery_id: str, command: Command, instruction: Json
) -> Json:
    """Send a command to a recovery; return its document, which shows that the command was applied.

    ``instruction`` is ``{"group"?, "by"?, "comment"?}``. What the recovery does already is answered as before: a second
    pause or cancellation, or the same decision by the same person. Raises ``TerminalError`` ``NotFound``, or
    ``RequestConflict`` when the command does not fit the recovery's state, and ``InvalidRequestError`` for a group that
    it does not have.
    """
    view = await view_recovery(client, recovery_id)
    if view is None:
        raise no_such_recovery(recovery_id)
    if "group" in instruction:
        index = group_index(view, instruction["group"])
        instruction = {**instruction, "group": view.accepted.groups[index].name}
    document = view.document
    if _is_done(document, command, instruction):
        return document
    _check(document, command, instruction)
    command_id = str(uuid.uuid4())
    data = {**instruction, "id": command_id, "command": str(command), "time": format_time(now())}
    if not await raise_event(client, recovery_id, COMMAND_EVENT, data):
        document = await get_recovery(client, recovery_id) or document
        _check(document, command, instruction)
        message = f"The request to {command} recovery {recovery_id} did not reach it. Send the same request again."
        raise TransientError(errors.SERVICE_UNAVAILABLE, message)
    document = await _until_applied(client, recovery_id, command_id) or document
    may_be_late = command in DECISION_OF if command_id in document.get("commands", ()) else _takes_none(document)
    if may_be_late and not _is_done(document, command, instruction):
        _check(document, command, instruction)  # another decision, or the end of the recovery, was faster
    return document


async def _until_applied(client: df.DurableFunctionsClient, recovery_id: str, command_id: str) -> Json | None:
    """Return the document once it shows the command; the last one that was seen if that takes too long."""
    document: Json | None = None
    async for _ in polls(answer_deadline()):
        document = await get_recovery(client, recovery_id)
        if document is None or command_id in document.get("commands", ()):
            break
    return document


def _is_done(document: Json, command: Command, instruction: Json) -> bool:
    """Return whether the recovery shows already what the command would do."""
    if command is Command.PAUSE:
        return "paused" in document
    if command is Command.CANCEL:
        return "cancellation" in document
    if command in DECISION_OF:
        approvals = list(_approvals(document, instruction))
        made = [approval for approval in approvals if approval["decision"] is not None]
        return len(made) == len(approvals) and any(_is_same(approval, command, instruction) for approval in made)
    return False


def _is_same(approval: Json, command: Command, instruction: Json) -> bool:
    same_decision = approval["decision"] == str(DECISION_OF[command])
    return same_decision and same_person(approval["by"], as_text(instruction.get("by")))


def _approvals(document: Json, instruction: Json) -> Iterable[Json]:
    """Return the approvals that a decision is about: that of the group it names, else all of the recovery's."""
    named = instruction.get("group")
    if named is None and "approval" in document:
        yield document["approval"]
    for group in document["groups"]:
        if named in {None, group["name"]} and "approval" in group:
            yield group["approval"]


def _check(document: Json, command: Command, instruction: Json) -> None:
    """Raise ``RequestConflict`` if the command does not fit the recovery's state; the message says why."""
    reason: str | None = None
    if command in DECISION_OF:
        reason = _why_undecidable(document, instruction)
    elif str(command) not in document["links"] or instruction.get("group") is not None:
        reason = _why_not(document, command, instruction)
    if reason is not None:
        message = f"Recovery {document['id']} cannot be told to {command}: {reason}."
        raise TerminalError(errors.REQUEST_CONFLICT, message)


def _takes_none(document: Json) -> bool:
    """Return whether the recovery has ended so that it takes no more commands."""
    return document["links"].keys() == {"self", "members"}


def _why_not(document: Json, command: Command, instruction: Json) -> str | None:
    """Return why the command does not fit the recovery's state; ``None`` if it does."""
    if "cancellation" in document:
        return f"it was cancelled, and its status is {document['status']}"
    if command is Command.RESUME:
        return f"it is not paused, its status is {document['status']}"
    if command not in {Command.RETRY, Command.SKIP} or _takes_none(document):
        return f"it has ended as {document['status']}"
    if document["dryRun"]:
        return (
            "it is a dry run, which restores nothing; start the recovery itself by the same call without dryRun, with "
            "another requestId"
        )
    fitting = RETRIABLE if command is Command.RETRY or "group" not in instruction else SKIPPABLE
    statuses = {group["name"]: group["status"] for group in document["groups"]}
    if (name := instruction.get("group")) is not None:
        return None if statuses[name] in fitting else f"the group {name} is {statuses[name]}"
    return None if fitting & set(statuses.values()) else "no group has failed or was rejected"


def _why_undecidable(document: Json, instruction: Json) -> str | None:
    """Return why there is nothing to decide, ``None`` if there is."""
    name, whole = instruction.get("group"), as_object(document.get("approval"))
    if "cancellation" in document:
        return "it was cancelled"
    if name is not None and whole and whole["decision"] is None:
        return "the whole recovery waits for a decision: leave group out"
    approvals = list(_approvals(document, instruction))
    if not approvals:
        return "no approval is needed" if name is None else f"the group {name} does not wait for an approval now"
    waiting = [approval for approval in approvals if approval["decision"] is None]
    if any(approval["expires"] is None or now() <= parse_request_time(approval["expires"]) for approval in waiting):
        return None
    if waiting:
        return f"it could be decided until {waiting[-1]['expires']}"
    made = approvals[-1]
    return f"it was decided before: {made['decision']} at {made['time']} by {made['by'] or 'nobody'}"
