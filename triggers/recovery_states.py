"""Recoveries in the task hub: what was accepted, and the document that callers see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from domain import errors
from domain.codec import unpack
from domain.errors import RestoreError, TerminalError
from domain.recovery.document import document
from domain.recovery.parts import AcceptedRecovery, RecoveryStatus, ShownProgress
from domain.restore.parts import Source
from domain.times import as_utc, format_time
from domain.wire import as_object
from orchestrations.names import RUN_RECOVERY
from triggers.hub import read_payload
from triggers.restore_states import how_it_stopped
from triggers.starting import now

if TYPE_CHECKING:
    import azure.durable_functions as df
    from durabletask.client import OrchestrationState

    from domain.errors import Json


@dataclass(frozen=True, slots=True)
class RecoveryView:
    """A recovery as the task hub shows it. ``shown`` is ``None`` as long as it has published nothing."""

    accepted: AcceptedRecovery
    shown: ShownProgress | None
    document: Json


async def find_recovery(client: df.DurableFunctionsClient, recovery_id: str) -> AcceptedRecovery | None:
    """Return the recovery as it was accepted; ``None`` if it does not exist."""
    view = await view_recovery(client, recovery_id)
    return None if view is None else view.accepted


async def get_recovery(client: df.DurableFunctionsClient, recovery_id: str) -> Json | None:
    """Return the document of one recovery, or ``None`` if it does not exist."""
    view = await view_recovery(client, recovery_id)
    return None if view is None else view.document


async def view_recovery(client: df.DurableFunctionsClient, recovery_id: str) -> RecoveryView | None:
    """Return one recovery, or ``None`` if it does not exist."""
    state = await client.get_orchestration_state(recovery_id, fetch_payloads=True)
    if state is None or state.name != RUN_RECOVERY:
        return None
    accepted, shown = _accepted_of(state), _shown_of(state)
    return RecoveryView(accepted or _unknown(state), shown, _document_of(state, accepted, shown))


def no_such_recovery(recovery_id: str) -> TerminalError:
    """Return the error for an id that no recovery has."""
    message = f"There is no recovery {recovery_id!r}. GET /api/recoveries lists all of them."
    return TerminalError(errors.NOT_FOUND, message)


def _document_of(state: OrchestrationState, accepted: AcceptedRecovery | None, shown: ShownProgress | None) -> Json:
    """Return the recovery's document; that of a terminated or failed orchestration is completed with that end."""
    found = document(accepted or _unknown(state), shown, now())
    if accepted is None:
        message = (
            f"The input of orchestration {state.instance_id} cannot be read as a recovery: this version of the app has "
            "not written it. Look at the instance in the task hub, and purge it if nobody needs it."
        )
        return _stopped(found, RecoveryStatus.FAILED, message, state)
    stopped = how_it_stopped(state)
    if stopped is None or (shown is not None and shown.is_closed):
        return found
    status, what = stopped
    message = (
        f"{what} Restores of its members that have been started go on by themselves: "
        f"GET /api/recoveries/{state.instance_id}/members shows them."
    )
    return _stopped(found, RecoveryStatus(status), message, state)


def _stopped(found: Json, status: RecoveryStatus, message: str, state: OrchestrationState) -> Json:
    time = format_time(as_utc(state.last_updated_at))
    links = {name: found["links"][name] for name in ("self", "members")}
    error = RestoreError(errors.INTERNAL_ERROR, message).to_json()
    ended = {"status": str(status), "completedTime": time, "lastUpdatedTime": time, "error": error}
    return {**found, **ended, "predictedEnd": None, "waiting": None, "links": links}


def _accepted_of(state: OrchestrationState) -> AcceptedRecovery | None:
    try:
        return unpack(AcceptedRecovery, as_object(read_payload(state.serialized_input))["accepted"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _shown_of(state: OrchestrationState) -> ShownProgress | None:
    try:
        return unpack(ShownProgress, as_object(read_payload(state.serialized_custom_status)))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _unknown(state: OrchestrationState) -> AcceptedRecovery:
    """Return what stands for the input that cannot be read."""
    return AcceptedRecovery(
        recovery_id=state.instance_id,
        plan_name="",
        groups=(),
        fingerprint="",
        source=Source.HTTP,
        created=as_utc(state.created_at),
    )
