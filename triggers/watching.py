"""The watchers of vaults, as orchestrations of the task hub: one for each vault in which many restores run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from durabletask.client import OrchestrationStatus

from domain.answers import Answer
from domain.codec import pack
from domain.restore.answers import Joined
from domain.restore.calls import JoinWatch, entity_key
from domain.sealing import sealed_async
from domain.times import format_time
from domain.watch.machine import JOIN_EVENT
from domain.watch.state import VaultWatch, is_reliable
from orchestrations.names import WATCH_VAULT
from triggers.hub import is_already_running, raise_event, read_payload
from triggers.starting import now

if TYPE_CHECKING:
    import azure.durable_functions as df


_ENDED: Final = {OrchestrationStatus.COMPLETED, OrchestrationStatus.FAILED, OrchestrationStatus.TERMINATED}


async def _join(call: JoinWatch, client: df.DurableFunctionsClient) -> Answer[Joined]:
    """Register a restore at the watcher of its vault, which is started if none runs.

    The answer is whether the watcher has the event that registers the restore, and reads its list.

    Of two starts at the same moment both may succeed, and one instance runs. So a start carries no registration: every
    registration is an event, which is raised only once the instance runs.
    """
    watcher_id = f"watch-{entity_key(call.vault_id)}"
    state = await client.get_orchestration_state(watcher_id, fetch_payloads=True)
    if state is None or state.runtime_status in _ENDED:
        await _start(client, watcher_id, call)
        state = None
    elif state.runtime_status is OrchestrationStatus.SUSPENDED:
        return Answer(Joined(is_watched=False))
    has_it = await raise_event(client, watcher_id, JOIN_EVENT, {**pack(call), "time": format_time(now())})
    shown = None if state is None else read_payload(state.serialized_custom_status)
    return Answer(Joined(is_watched=has_it and is_reliable(shown, call, now())))


async def _start(client: df.DurableFunctionsClient, watcher_id: str, call: JoinWatch) -> None:
    watch = VaultWatch.begin(call.vault_id, call.limits, now())
    try:
        await client.schedule_new_orchestration(WATCH_VAULT, input=pack(watch), instance_id=watcher_id)
    except Exception as error:
        if not is_already_running(error):
            raise


join_watch: Final = sealed_async(JoinWatch, _join, now)
