"""Restores in the task hub: the accepted restore and the status document of an orchestration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durabletask.client import OrchestrationState, OrchestrationStatus

from domain import errors
from domain.codec import unpack
from domain.errors import RestoreError, TerminalError
from domain.follow_up.attachment_report import AttachmentState
from domain.follow_up.creation_report import CreationState
from domain.follow_up.swap_report import SwapState
from domain.redaction import redacted
from domain.restore.document import document, refused_document, request_document
from domain.restore.parts import Decision, Phase, Status
from domain.restore.state import Restore, client_request_id_for
from domain.times import as_utc, format_time
from domain.wire import as_object
from orchestrations.names import RESTORE_VM
from triggers.hub import read_payload

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from enum import StrEnum

    import azure.durable_functions as df

    from domain.errors import Json

_MAX_REASON: Final = 500
_BEFORE_POST: Final = frozenset(
    {Phase.RESOLVING, Phase.SELECTING_RECOVERY_POINT, Phase.VALIDATING, Phase.AWAITING_APPROVAL}
)


async def find_restore(
    client: df.DurableFunctionsClient, restore_id: str, *, even_refused: bool = False
) -> Restore | None:
    """Return the restore as it was accepted, or as its history last began; ``None`` if it does not exist.

    A start that admission control refused counts as not existing, unless ``even_refused``.
    """
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    if state is None or state.name != RESTORE_VM or (not even_refused and "refused" in document_of(state)):
        return None
    return _restore_of(state)


async def get_document(client: df.DurableFunctionsClient, restore_id: str) -> Json | None:
    """Return the status document of one restore, or ``None`` if it does not exist."""
    state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
    return None if state is None or state.name != RESTORE_VM else document_of(state)


def no_such_restore(restore_id: str) -> TerminalError:
    """Return the error for an id that no restore has."""
    message = f"There is no restore {restore_id!r}. GET /api/restores lists all of them."
    return TerminalError(errors.NOT_FOUND, message)


def document_of(state: OrchestrationState) -> Json:
    """Return a restore's status document: its output, else its custom status, else that of the accepted restore.

    A terminated or failed orchestration has no final document: then its last one is completed with that end.
    """
    last_updated = as_utc(state.last_updated_at)
    if state.runtime_status is OrchestrationStatus.COMPLETED and (ended := document_in(state.serialized_output)):
        return ended
    shown = document_in(state.serialized_custom_status)
    shown = _accepted_document(state) if shown is None else _with_request(shown, state)
    if shown["phase"] == str(Phase.FINISHED):
        return shown
    stopped = how_it_stopped(state)
    return shown if stopped is None else _stopped_document(shown, *stopped, last_updated)


def how_it_stopped(state: OrchestrationState) -> tuple[Status, str] | None:
    """Return status and reason if the orchestration was terminated or has failed, else ``None``."""
    output = read_payload(state.serialized_output)
    reason = output if isinstance(output, str) else state.serialized_output  # "4711" is a reason, and JSON
    if state.failure_details is not None:
        # Not with Azure Storage, which keeps the failure's text as the output.
        reason = state.failure_details.message
    # What Azure may have must not be cut off after it; a secret that was cut would not be recognised.
    reason = reason and redacted(reason)[:_MAX_REASON]
    if state.runtime_status is OrchestrationStatus.TERMINATED:
        return Status.CANCELLED, f"The orchestration was terminated: {reason or 'no reason was given'}."
    if state.runtime_status is OrchestrationStatus.FAILED:
        return Status.FAILED, f"The orchestration broke: {reason or 'no details; look in the log of the app'}."
    return None


def document_in(payload: str | None) -> Json | None:
    """Return the status document in a payload, or ``None`` if it is anything else."""
    found = as_object(read_payload(payload))
    return {**found} if found.keys() >= {"id", "status", "phase", "createdTime", "error"} else None


def _with_request(shown: Json, state: OrchestrationState) -> Json:
    """Return the document with its whole request, which a custom status may have no room for."""
    if "recoveryType" in as_object(shown.get("request")) or (restore := _restore_of(state)) is None:
        return shown
    return {**shown, "request": request_document(restore.request, shown["sourceResourceId"])}


def _accepted_document(state: OrchestrationState) -> Json:
    """Return the document of a restore that has published none yet, or an error document for an unreadable input."""
    restore = _restore_of(state)
    if restore is not None:
        return document(restore, as_utc(state.last_updated_at))
    message = (
        f"The input of orchestration {state.instance_id} cannot be read as a restore: this version of the app has not "
        "written it. Look at the instance in the task hub, and purge it if nobody needs it."
    )
    error = RestoreError(errors.INTERNAL_ERROR, message)
    refused = refused_document(restore_id=state.instance_id, created=as_utc(state.created_at), error=error, sent=None)
    return {**refused, "startedBy": "http"}  # the real source is unknown; the API has no value for that


def _restore_of(state: OrchestrationState) -> Restore | None:
    try:
        return unpack(Restore, read_payload(state.serialized_input))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


_STOPPED: Final[Mapping[str, StrEnum]] = {
    "swap": SwapState.UNFINISHED,
    "createdVirtualMachine": CreationState.UNFINISHED,
    "attachment": AttachmentState.NOT_ATTACHED,
}
"""The states of what was being done with restored disks when nobody goes on with it, by the members that show it."""


def _stopped_document(shown: Json, status: Status, message: str, at: datetime) -> Json:
    error = RestoreError(errors.INTERNAL_ERROR, f"{message} {_what_azure_may_have(shown)}")
    time = format_time(at)
    ended: Json = {"status": str(status), "phase": str(Phase.FINISHED), "completedTime": time, "lastUpdatedTime": time}
    for member, state in _STOPPED.items():
        if member in shown:  # so that a swap can be undone, and what was made can be found
            ended["result"] = {member: {**shown[member], "state": str(state)}}
            shown = {name: value for name, value in shown.items() if name != member}
    return {**shown, **ended, "nextPollTime": None, "waiting": None, "error": error.to_json()}


def _what_azure_may_have(shown: Json) -> str:
    """Return what Azure may have of a restore, as far as the last document of its orchestration shows."""
    if any(member in shown for member in _STOPPED):
        return _where_the_disks_may_be(shown)
    if shown["jobId"] and shown["phase"] == str(Phase.AWAITING_APPROVAL):
        return "The disks are restored; the VM was not touched."
    if shown["jobId"]:
        return f"Azure Backup job {shown['jobId']} may still run: look at it in the vault."
    # A document is published before a post is sent. Stopping the orchestration does not stop a call that is under way.
    if shown["operationId"] or shown["phase"] not in _BEFORE_POST or _waits_for_resource_guard(shown):
        return (
            "Azure may have the restore. Search the vault's restore jobs for activityId "
            f"{client_request_id_for(shown['id'])} before you start another one."
        )
    return "By its last report, it had not yet asked Azure to restore anything."


def _where_the_disks_may_be(shown: Json) -> str:
    if "createdVirtualMachine" in shown:
        vm_id = shown["createdVirtualMachine"]["id"]
        return f"The disks are restored, and {vm_id} was being made of them: look at what is there (outputResources)."
    if "attachment" in shown:
        vm_id = shown["attachment"]["virtualMachineId"]
        return f"The disks are restored, and were being attached to {vm_id}: look at the VM now."
    return _where_swap_may_stand(shown)


def _where_swap_may_stand(shown: Json) -> str:
    swap: Json = shown["swap"]
    what = f"The disks of {swap['virtualMachineId']} were being swapped: look at the VM now, it may be deallocated."
    if not swap["disks"]:
        return what
    starts = as_object(as_object(shown["request"]).get("thenSwapDisks")).get("start", True)
    then = " and starts it" if starts else ""
    return f"{what} POST /api/restores/{shown['id']}/undo puts its former disks back{then}."


def _waits_for_resource_guard(shown: Json) -> bool:
    """Return whether a restore is posted again and again until the vault's Resource Guard opens."""
    approval: Json | None = shown.get("approval")
    is_decided = approval is None or approval["decision"] == str(Decision.APPROVED)
    return shown["phase"] == str(Phase.AWAITING_APPROVAL) and is_decided
