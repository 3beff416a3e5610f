"""The history of restores: restores that ended long enough ago are purged, once a day."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

import azure.durable_functions as df
import azure.functions as func
import grpc
from durabletask.client import OrchestrationQuery, OrchestrationStatus

from domain.recovery.calls import recovery_of_record
from domain.times import as_utc, format_time
from triggers.list_entries import RECOVERIES, ListEntry
from triggers.recovery_states import find_recovery
from triggers.restore_states import find_restore
from triggers.sdk import query_page
from triggers.starting import now

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from durabletask.client import OrchestrationState

SCHEDULE: Final = "0 23 3 * * *"
"""Each day at 03:23:00 UTC."""
PATIENCE_S: Final = 480.0
"""How long a run begins new work; ``functionTimeout`` ends it after 600 s."""

_LOG: Final = logging.getLogger(__name__)
_ROWS: Final = 100
_AT_ONCE: Final = 8
_ENDED: Final = [OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED]


def blueprint(keep: timedelta) -> df.Blueprint:
    """Return the function that purges the instances that ended longer ago than ``keep``."""

    async def purge_history(timer: func.TimerRequest, client: df.DurableFunctionsClient) -> None:  # noqa: ARG001
        await purge(client, now() - keep, patience_s=PATIENCE_S)

    bp = df.Blueprint()
    daily = bp.timer_trigger(arg_name="timer", schedule=SCHEDULE, run_on_startup=False, use_monitor=True)
    daily(bp.durable_client_input(client_name="client")(purge_history))
    return bp


async def purge(client: df.DurableFunctionsClient, before: datetime, *, patience_s: float) -> None:
    """Purge each instance that ended before a time: restores, their claims and list entries, recoveries, their records.

    The task hub's own purge goes by the time at which an instance began: it would purge a restore that waited for weeks
    and ended yesterday. So the end of each instance is read, then it is purged by its id. After ``patience_s`` the rest
    is left for the next day. Pages come in the order of ids, so a restore is purged before its entry in the list, and a
    recovery before its records.
    """
    until, purged = time.monotonic() + patience_s, 0
    query = OrchestrationQuery(created_time_to=before, runtime_status=_ENDED, max_instance_count=_ROWS)
    token: str | None = None
    while True:
        page = await query_page(client, query, token)
        ended_ids = [state.instance_id for state in page.items if _ended_before(state, before)]
        for first in range(0, len(ended_ids), _AT_ONCE):
            next_ids = ended_ids[first : first + _AT_ONCE]
            purged += sum(await asyncio.gather(*(_purge_one(client, instance_id, before) for instance_id in next_ids)))
            if time.monotonic() >= until:
                _LOG.warning("purged %d instances; the rest is left for the next run", purged)
                return
        token = page.continuation_token
        if token is None:
            _LOG.info("purged %d instances that ended before %s", purged, format_time(before))
            return


async def _purge_one(client: df.DurableFunctionsClient, instance_id: str, before: datetime) -> bool:
    """Purge an instance, unless it was started again under its id meanwhile; return whether it was purged."""
    try:
        state = await client.get_orchestration_state(instance_id, fetch_payloads=False)
        if state is None or not _ended_before(state, before) or await _is_needed(client, instance_id):
            return False
        await client.purge_orchestration(instance_id, recursive=False)
    except grpc.RpcError:
        _LOG.exception("instance %s could not be purged; the next run tries again", instance_id)
        return False
    return True


def _ended_before(state: OrchestrationState, before: datetime) -> bool:
    return state.runtime_status in _ENDED and as_utc(state.last_updated_at) <= before


async def _is_needed(client: df.DurableFunctionsClient, instance_id: str) -> bool:
    """Return whether the instance belongs to a restore or a recovery that exists: it runs, or ended recently."""
    if (recovery_id := recovery_of_record(instance_id)) is not None:
        return await client.get_orchestration_state(recovery_id, fetch_payloads=False) is not None
    entry = ListEntry.read(instance_id)
    if entry is None:
        return False
    if entry.prefix == RECOVERIES:
        recovery = await find_recovery(client, entry.listed_id)
        return recovery is not None and ListEntry.of_recovery(recovery).key == entry.key
    restore = await find_restore(client, entry.listed_id, even_refused=True)
    return restore is not None and ListEntry.of(restore).key == entry.key
