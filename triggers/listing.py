"""The list of restores, newest first, from a task hub that pages by id and may hold very many."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import grpc
from durabletask.client import OrchestrationQuery, OrchestrationStatus

from domain.restore.parts import RefusedWhen, Status
from orchestrations.names import RESTORE_VM
from triggers.restore_states import age_of, document_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import azure.durable_functions as df
    from durabletask.client import OrchestrationState

    from domain.errors import Json

_PAGE_SIZES: Final = (100, 20, 5, 1)
"""How many instances are read at once; fewer if so many exceed 4 MiB, the limit of gRPC. Azure refuses 1,001."""

_FIRST_SPAN: Final = timedelta(seconds=1)
_MAX_CLOCK_SKEW: Final = timedelta(seconds=2)
_MAX_GROWTH: Final = 16
_MAX_AGE: Final = timedelta(days=400)  # older instances are read all at once

_ACTIVE: Final = frozenset({Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL})
_NOT_ENDED: Final = [
    OrchestrationStatus.PENDING,
    OrchestrationStatus.RUNNING,
    OrchestrationStatus.CONTINUED_AS_NEW,
    OrchestrationStatus.SUSPENDED,
]


async def newest_documents(
    client: df.DurableFunctionsClient,
    wants: Callable[[Json], bool],
    *,
    count: int,
    now: datetime,
    status: str | None = None,
) -> list[Json]:
    """Return the status documents of the ``count`` newest restores that ``wants`` accepts, or of all if fewer exist.

    Starts that were refused while their callers waited are left out. ``status`` reduces what is read, if possible.

    The task hub filters instances by the time at which their history last began, which is never before the restore was
    accepted. So the hub is read in spans of that time, from now backwards: once a span has been read, every restore
    that was accepted in it or later is known. The spans grow: of ten thousand restores, a page reads some hundreds.
    """
    statuses = _NOT_ENDED if status in _ACTIVE else None
    known: dict[str, Json] = {}

    async def read(since: datetime | None, to: datetime) -> int:
        states = await _read(client, OrchestrationQuery(since, to, statuses, fetch_inputs_and_outputs=True))
        known.update((state.instance_id, document_of(state)) for state in states if state.name == RESTORE_VM)
        return len(states)

    def newest(since: datetime | None) -> list[Json]:
        complete = (document for document in known.values() if since is None or age_of(document)[0] >= since)
        shown = (document for document in complete if document.get("refused") != RefusedWhen.AT_ONCE)
        return sorted(filter(wants, shown), key=age_of, reverse=True)[:count]

    end = now + timedelta(days=1)
    to, span, seen = end, _FIRST_SPAN, 0
    since: datetime | None = now - span
    while True:
        seen += await read(since, to)
        if since is None or len(newest(since)) >= count:
            # A restore that continued as new meanwhile may have moved from an unread span into one already read.
            await read(now - _MAX_CLOCK_SKEW, end)
            return newest(since)
        to, span = since, span * min(max(2 * count / max(seen, 1), 2), _MAX_GROWTH)
        since = None if now - to + span > _MAX_AGE else to - span


async def _read(client: df.DurableFunctionsClient, query: OrchestrationQuery) -> list[OrchestrationState]:
    for size in _PAGE_SIZES:
        query.max_instance_count = size
        try:
            return await client.get_all_orchestration_states(query)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED or size == _PAGE_SIZES[-1]:
                raise
    return []
