"""The undo of a restore that has swapped the disks of a VM: a restore of its own, started once."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TransientError
from domain.restore.parts import Phase, Source, Status
from domain.restore.state import Restore
from domain.restore.undo import is_cut, undo, undo_id
from domain.wire import as_text
from triggers.hub import answer_deadline, polls
from triggers.restore_states import find_restore, get_document, no_such_restore
from triggers.starting import Started, now, start_accepted

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json
    from triggers.starting import LimitsFor

_ENDED_WELL: Final = frozenset({Status.COMPLETED, Status.COMPLETED_WITH_WARNINGS})


async def undo_restore(
    client: df.DurableFunctionsClient, restore_id: str, person: Json, *, limits_for: LimitsFor
) -> Started:
    """Start the undo of a restore, or return the one that runs or has ended well. ``person``: ``{"by"?, "comment"?}``.

    An undo that has ended otherwise does not count: another one is started. Raises ``TerminalError`` ``NotFound``, or
    ``RequestConflict`` if there is nothing to undo.
    """
    shown = await _whole_document(client, restore_id)
    attempt, existing = await _last_attempt(client, restore_id)
    if existing is not None:
        return Started(existing, is_new=False)
    created, new_id = now(), undo_id(restore_id, attempt)
    by, comment = as_text(person.get("by")), as_text(person.get("comment"))
    request, swap = undo(shown, new_id, created, by=by, comment=comment)
    restore = Restore.undo(
        request,
        swap,
        undo_of=restore_id,
        restore_id=new_id,
        source=Source.HTTP,
        created=created,
        limits=limits_for(request),
        start_token=str(uuid.uuid4()),
    )
    return await start_accepted(client, restore)


async def _last_attempt(client: df.DurableFunctionsClient, restore_id: str) -> tuple[int, Restore | None]:
    """Return the number of the attempt to make now; or that of the last one, with it, if no other is needed."""
    attempt = 1
    while True:
        attempt_id = undo_id(restore_id, attempt)
        existing, shown = await find_restore(client, attempt_id), await get_document(client, attempt_id)
        if existing is None or shown is None:
            return attempt, None
        if shown["phase"] != str(Phase.FINISHED) or shown["status"] in _ENDED_WELL:
            return attempt, existing
        attempt += 1


async def _whole_document(client: df.DurableFunctionsClient, restore_id: str) -> Json:
    """Return a restore's document, which is complete once its orchestration has ended.

    Raises ``TerminalError`` ``NotFound``, or ``TransientError`` ``ServiceUnavailable`` if the end takes too long.
    """
    async for _ in polls(answer_deadline()):
        shown = await get_document(client, restore_id)
        if shown is None:
            raise no_such_restore(restore_id)
        if not is_cut(shown):
            return shown
    message = (
        f"The end of restore {restore_id} is still being reported, and what its VM had before is not readable yet. "
        "Send the same request again. If that stays so, put the disks of formerDiskId back by hand."
    )
    raise TransientError(errors.SERVICE_UNAVAILABLE, message)
