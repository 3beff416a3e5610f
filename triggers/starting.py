"""Starting restores, for HTTP, queue and alerts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from domain import errors
from domain.codec import pack
from domain.errors import TerminalError
from domain.restore.parts import Source, Status
from domain.restore.state import Restore, restore_id_for
from domain.times import format_time
from orchestrations.names import RESTORE_VM
from triggers.hub import is_already_running, polls
from triggers.list_entries import note_start
from triggers.restore_states import find_restore, get_document

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df

    from domain.errors import Json
    from domain.requests import RestoreRequest
    from domain.restore.parts import AlertStart
    from domain.restore.polling import Limits

type LimitsFor = Callable[[RestoreRequest], Limits]


def now() -> datetime:
    """Return the time in aware UTC. It is the only clock of the triggers."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Started:
    """A restore, and whether this call started it; if not, an earlier one with the same key did."""

    restore: Restore
    is_new: bool


async def start_restore(
    client: df.DurableFunctionsClient,
    request: RestoreRequest,
    *,
    source: Source,
    limits: Limits,
    key: str | None = None,
    alert: AlertStart | None = None,
) -> Started:
    """Start a restore, or return the one that the same key and body started before.

    The key of an alert's restore is ``key``. The key of other restores is the request's ``requestId``, else ``key``;
    without either, each call starts a restore. Raises ``TerminalError`` ``RequestIdReused`` when the ``requestId``
    belongs to another body.
    """
    # A requestId has no colon, every other key has one: they are never equal.
    key = key if alert is not None else request.request_id or key
    restore = Restore.accept(
        request,
        restore_id=restore_id_for(key) if key else str(uuid.uuid4()),
        source=source,
        created=now(),
        limits=limits,
        alert=alert,
        start_token=str(uuid.uuid4()),
    )
    # After a refusal a caller may use the same key again. A redelivered message may not: its result was sent.
    is_message = alert is None and request.request_id is None
    if key and (existing := await find_restore(client, restore.restore_id, even_refused=is_message)) is not None:
        return Started(_existing_or_conflict(existing, restore), is_new=False)
    return await start_accepted(client, restore)


async def start_accepted(client: df.DurableFunctionsClient, restore: Restore) -> Started:
    """Start the orchestration; return the restore that runs under its id, which another call may have started.

    Read first whether the id exists: the task hub would start the id of a restore that has ended again.
    """
    failure: Exception | None = None
    try:
        await client.schedule_new_orchestration(RESTORE_VM, input=pack(restore), instance_id=restore.restore_id)
    except Exception as error:  # noqa: BLE001 - raised below, unless the instance was started nevertheless
        failure = error
    # Several starts of one id at the same moment all report success, but one instance runs. Its token shows whose.
    running = await find_restore(client, restore.restore_id, even_refused=True)
    is_ours = running is not None and running.accepted.start_token == restore.accepted.start_token
    if not is_ours and failure is not None and (running is None or not is_already_running(failure)):
        raise failure
    if running is None or is_ours:
        await note_start(client, restore)
        return Started(restore, is_new=True)
    return Started(_existing_or_conflict(running, restore), is_new=False)


def _existing_or_conflict(existing: Restore, wanted: Restore) -> Restore:
    # The key identifies an alert alone; its rule, and so the request, may have changed since. An undo is the same
    # whoever asks for it.
    is_known_by_id = wanted.accepted.alert is not None or wanted.accepted.undo_of is not None
    if is_known_by_id or existing.accepted.fingerprint == wanted.accepted.fingerprint:
        return existing
    message = (
        f"requestId {wanted.request.request_id!r} belongs to another request, accepted "
        f"{format_time(existing.accepted.created)} as restore {existing.restore_id}. Send the same body again, or "
        "another requestId."
    )
    raise TerminalError(errors.REQUEST_ID_REUSED, message)


async def admission(client: df.DurableFunctionsClient, restore: Restore, *, until: float) -> Json | None:
    """Return the status document once admission control has admitted the restore.

    ``None`` if it has not by ``until``, or if the request does not name the VM.
    Raises ``TerminalError`` ``RequestConflict``, ``CoolingDown`` or ``HourlyBudgetSpent`` when the start is refused.
    """
    if restore.source_resource_id is None:
        return None
    async for _ in polls(until):
        document = await get_document(client, restore.restore_id)
        if document is None or document["status"] == str(Status.PENDING):
            continue
        if "refused" in document:
            raise TerminalError(document["error"]["code"], document["error"]["message"])
        return document
    return None
