"""The commands of persons to a recovery: pause, resume, cancel, retry, skip, approve, reject."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TerminalError, TransientError
from domain.people import same_person
from domain.recovery.commands import Command
from domain.recovery.document import retriable_groups
from domain.recovery.machine import COMMAND_EVENT
from domain.recovery.parts import MAX_ATTEMPTS, RETRIABLE, SKIPPABLE, MemberStatus, RecoveryStatus
from domain.restore.parts import Decision
from domain.times import format_time, parse_request_time
from domain.wire import as_object, as_text
from triggers.hub import answer_deadline, polls, raise_event
from triggers.recovery_members import group_index
from triggers.recovery_states import no_such_recovery, view_recovery
from triggers.starting import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import azure.durable_functions as df

    from domain.errors import Json
    from triggers.recovery_states import RecoveryView

DECISION_OF: Final[Mapping[Command, Decision]] = {
    Command.APPROVE: Decision.APPROVED,
    Command.REJECT: Decision.REJECTED,
}

_ABOUT_GROUPS: Final = frozenset({Command.RETRY, Command.SKIP})
_FAILED: Final = str(RecoveryStatus.FAILED)
_START_ANOTHER: Final = "Start another recovery, with another requestId, for what must still be restored"
_RETRY_OR_SKIP: Final = "Retry or skip the groups that failed, or cancel it"
_NOTHING_TO_DO: Final = "Nothing has to be done"


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
    if _is_applied(view.document, command, instruction):
        return view.document
    _check(view, command, instruction)
    command_id = str(uuid.uuid4())
    data = {**instruction, "id": command_id, "command": str(command), "time": format_time(now())}
    if not await raise_event(client, recovery_id, COMMAND_EVENT, data):
        _check(await view_recovery(client, recovery_id) or view, command, instruction)
        message = f"The request to {command} recovery {recovery_id} did not reach it. Send the same request again."
        raise TransientError(errors.SERVICE_UNAVAILABLE, message)
    view = await _until_applied(client, recovery_id, command_id) or view
    had_effect = _had_effect(view, command_id)
    if (command in DECISION_OF or not had_effect) and not _is_applied(view.document, command, instruction):
        _check(view, command, instruction)  # another command, or the end of the recovery, was faster
        if not had_effect:
            raise _conflict(recovery_id, command, "its state changed at the same moment. Look at it before you go on")
    return view.document


async def _until_applied(client: df.DurableFunctionsClient, recovery_id: str, command_id: str) -> RecoveryView | None:
    """Return the recovery once it shows the command; as it was seen last if that takes too long."""
    view: RecoveryView | None = None
    async for _ in polls(answer_deadline()):
        view = await view_recovery(client, recovery_id)
        if view is None or command_id in view.document.get("commands", ()):
            break
    return view


def _had_effect(view: RecoveryView, command_id: str) -> bool:
    """Return whether the command has changed the recovery, or may still do so."""
    if command_id in view.document.get("commands", ()):
        return view.shown is None or command_id not in view.shown.ineffective
    return not _is_closed(view.document)


def _is_applied(document: Json, command: Command, instruction: Json) -> bool:
    """Return whether the recovery shows already what the command asks for."""
    if command is Command.PAUSE:
        return "paused" in document and not _is_closed(document)
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


def _check(view: RecoveryView, command: Command, instruction: Json) -> None:
    """Raise ``RequestConflict`` if the command does not fit the recovery's state; the message says what to do."""
    document = view.document
    reason: str | None = None
    if command in DECISION_OF:
        reason = _why_undecidable(document, instruction)
    elif command in _ABOUT_GROUPS or str(command) not in document["links"]:
        reason = _why_not(view, command, instruction)
    if reason is not None:
        raise _conflict(document["id"], command, reason)


def _conflict(recovery_id: str, command: Command, reason: str) -> TerminalError:
    return TerminalError(errors.REQUEST_CONFLICT, f"Recovery {recovery_id} cannot be told to {command}: {reason}.")


def _is_closed(document: Json) -> bool:
    """Return whether the recovery has ended so that it takes no more commands."""
    return document["links"].keys() == {"self", "members"}


def _why_not(view: RecoveryView, command: Command, instruction: Json) -> str | None:
    """Return why the command does not fit the recovery's state, and what to do; ``None`` if it fits."""
    document = view.document
    status = document["status"]
    if "cancellation" in document:
        return f"it was cancelled, and its status is {status}. {_START_ANOTHER}"
    if document["dryRun"] and command in _ABOUT_GROUPS:
        return (
            "it is a dry run, which restores nothing; start the recovery itself by the same call without dryRun, with "
            "another requestId"
        )
    if _is_closed(document):
        return f"it has ended as {status}. {_START_ANOTHER}"
    if command in _ABOUT_GROUPS:
        return _why_no_group(view, command, instruction.get("group"))
    if command is Command.RESUME:
        return f"it is not paused, its status is {status}. {_RETRY_OR_SKIP if status == _FAILED else _NOTHING_TO_DO}"
    return f"it has ended as {status}. {_RETRY_OR_SKIP}"


def _why_no_group(view: RecoveryView, command: Command, name: str | None) -> str | None:
    """Return why the command does nothing to the group that it names, or without a name to any; else ``None``."""
    statuses = {group["name"]: group["status"] for group in view.document["groups"]}
    fitting = RETRIABLE if command is Command.RETRY or name is None else SKIPPABLE
    wanted = {one for one, status in statuses.items() if name in {None, one} and status in fitting}
    if not wanted and name is None:
        return "no group has failed or was rejected. A group that has not started can be skipped by its name"
    if not wanted:
        return f"the group {name} is {statuses[name]}. It must be {', '.join(sorted(fitting))}"
    if view.shown is None or not view.shown.groups:
        return "its members are not chosen yet. Send the same request again when it shows their counts"
    if command is Command.RETRY and wanted.isdisjoint(retriable_groups(view.accepted, view.shown)):
        return f"all members that failed have had their {MAX_ATTEMPTS} attempts. {_START_ANOTHER}"
    return None


def _why_nothing_waits(document: Json, name: str | None) -> str:
    """Return why neither the recovery nor the named group waits for a decision, and what to do."""
    if name is not None:
        return f"the group {name} does not wait for an approval now. {_NOTHING_TO_DO}"
    if MemberStatus.AWAITING_APPROVAL.word in document["counts"]:
        return (
            "it waits for no decision of its own. Members wait before their disks are swapped, and each is decided by "
            "itself: GET members?status=AwaitingApproval lists them with their restores"
        )
    return f"no approval is needed. {_NOTHING_TO_DO}"


def _why_undecidable(document: Json, instruction: Json) -> str | None:
    """Return why there is nothing to decide, and what to do; ``None`` if there is something."""
    name, whole = instruction.get("group"), as_object(document.get("approval"))
    if "cancellation" in document:
        return f"it was cancelled. {_START_ANOTHER}"
    if name is not None and whole and whole["decision"] is None:
        return "the whole recovery waits for a decision: leave group out"
    approvals = list(_approvals(document, instruction))
    if not approvals:
        return _why_nothing_waits(document, name)
    waiting = [approval for approval in approvals if approval["decision"] is None]
    if any(approval["expires"] is None or now() <= parse_request_time(approval["expires"]) for approval in waiting):
        return f"it has ended as {document['status']}. {_START_ANOTHER}" if _is_closed(document) else None
    last = (waiting or approvals)[-1]
    if last["decision"] == str(Decision.APPROVED):
        what_to_do = "Cancel the recovery if it must not go on"
    else:
        what_to_do = _START_ANOTHER if last is document.get("approval") else "A retry of the group asks again"
    if waiting:
        return f"it could be decided until {last['expires']}. {what_to_do}"
    return f"it was decided before: {last['decision']} at {last['time']} by {last['by'] or 'nobody'}. {what_to_do}"
