"""The orchestrators, entities and activities as functions of the app."""

from __future__ import annotations

import logging
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import azure.durable_functions as df
import azure.functions as func

from domain import errors
from domain.envelopes import seal, seal_error, stamped
from domain.errors import TransientError
from domain.messages import result_message
from domain.restores import Phase
from domain.times import format_time
from domain.wire import as_object
from orchestrations.guards import rule_budget, storm_guard, vault_turns, vm_guard
from orchestrations.marking import mark_post
from orchestrations.names import (
    CLAIM_POST,
    FIND_RUNNING,
    MARK_POST,
    PUBLISH_RESULT,
    RESTORE_VM,
    RULE_BUDGET,
    START_RESTORE,
    STORM_GUARD,
    TURN_EVENT,
    VAULT_TURNS,
    VM_GUARD,
    WAKE_RESTORE,
)
from orchestrations.restore_vm import restore_vm
from triggers.hub import raise_event, read_payload
from triggers.queue import results_output
from triggers.sdk import read_plain_text_too
from triggers.starting import get_document, now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domain.errors import Json


_LOG = logging.getLogger(__name__)
_CLAIMED: Final = "claimed"  # one token for every claim: the same claim again is granted again


async def find_running(data: Json, client: df.DurableFunctionsClient) -> Json:
    """Return whether a restore still runs, in an envelope: ``{"restoreId"}`` to ``{"running", "ended"}``.

    One that has come to its end and only hands out its result counts as ended. ``ended`` is the time, ``None`` while it
    runs and for one that was purged.
    """
    document = await get_document(client, data["restoreId"])
    running = document is not None and document["phase"] != str(Phase.FINISHED)
    ended = None if document is None or running else document["completedTime"]
    return stamped(seal({"running": running, "ended": ended}), activity=FIND_RUNNING, at=now())


async def wake_restore(data: Json, client: df.DurableFunctionsClient) -> Json:
    """Tell a restore that its turn has come: ``{"restoreId"}``; one that has ended meanwhile needs no telling."""
    await raise_event(client, data["restoreId"], TURN_EVENT, {"time": format_time(now())})
    return stamped(seal({}), activity=WAKE_RESTORE, at=now())


def claim_post(data: Json, client: df.SyncDurableFunctionsClient) -> Json:
    """Take the mark of an attempt to post, so that nobody posts under it: ``{"clientRequestId", "attempt"}``.

    Returns ``{"claimed"}`` in an envelope, false when a delivery of ``start_restore`` has it.
    """
    try:
        envelope = seal({"claimed": mark(client, data, _CLAIMED)})
    except TransientError as error:
        envelope = seal_error(error)
    return stamped(envelope, activity=CLAIM_POST, at=now())


def mark(client: df.SyncDurableFunctionsClient, data: Json, token: str | None = None) -> bool:
    """Note durably that an attempt to post ``start_restore``'s input begins; false when another delivery has noted it.

    If the id exists, its token tells whose the mark is: each delivery makes one of its own. If two deliveries start it
    at the same moment, one instance runs, and the token in its input shows which delivery may post.
    Raises ``TransientError`` when the task hub cannot be asked: nothing was posted then.
    """
    mark_id, token = f"post-{data['clientRequestId']}-{data['attempt']}", token or str(uuid.uuid4())
    failure: Exception | None = None
    try:
        state = client.get_orchestration_state(mark_id, fetch_payloads=True)
        if state is None:
            try:
                client.schedule_new_orchestration(MARK_POST, input={"token": token}, instance_id=mark_id)
            except Exception as error:  # noqa: BLE001 - raised below, unless the mark is there all the same
                failure = error
            state = client.get_orchestration_state(mark_id, fetch_payloads=True)
    except Exception as error:
        raise _not_marked(error) from error
    if state is None:
        raise _not_marked(failure or LookupError(f"{mark_id} was started but cannot be found")) from failure
    return as_object(read_payload(state.serialized_input)).get("token") == token


def _not_marked(failure: Exception) -> TransientError:
    message = (
        f"The restore was not posted: its attempt could not be recorded in the task hub ({failure}). It is tried again."
    )
    return TransientError(errors.SERVICE_UNAVAILABLE, message)


def _starter(start: Callable[[Json, Callable[[Json], bool]], Json]) -> Callable[..., Json]:
    def start_restore(data: Json, client: df.SyncDurableFunctionsClient) -> Json:
        return start(data, partial(mark, client))

    return start_restore


def _publisher(*, has_webhook: bool) -> Callable[..., Json]:
    def publish_result(data: Json, results: func.Out[str]) -> Json:
        _LOG.info(
            "restore %s of %s ended as %s%s",
            data["id"],
            data["sourceResourceId"],
            data["status"],
            f": {data['error']['code']}: {data['error']['message']!r}" if data["error"] else "",
        )
        results.set(result_message(data))
        return {"hasWebhook": has_webhook}

    return _annotated(publish_result)


def _annotated[**P](function: Callable[P, Any]) -> Callable[P, Any]:
    # The worker's indexer takes bare classes as annotations of an activity, nothing subscripted.
    function.__annotations__.update({"data": dict, "return": dict})
    return function


def _as_function(name: str, activity: Callable[[Json], Json]) -> Callable[[Json], Json]:
    def call(data: Json) -> Json:
        return activity(data)

    call.__name__ = name
    return _annotated(call)


def blueprint(
    activities: Mapping[str, Callable[[Json], Json]],
    start_restore: Callable[[Json, Callable[[Json], bool]], Json],
    *,
    results_queue: str,
    has_webhook: bool,
) -> df.Blueprint:
    """Return the orchestrators, the entities and the activities, each under the name that histories know."""
    read_plain_text_too()
    bp = df.Blueprint()
    for name, orchestrator in {RESTORE_VM: restore_vm, MARK_POST: mark_post}.items():
        bp.orchestration_trigger(context_name="context", orchestration=name)(orchestrator)
    entities = {VM_GUARD: vm_guard, RULE_BUDGET: rule_budget, STORM_GUARD: storm_guard, VAULT_TURNS: vault_turns}
    for name, entity in entities.items():
        bp.entity_trigger(context_name="context", entity_name=name)(entity)
    for name, activity in activities.items():
        bp.activity_trigger(input_name="data", activity=name)(_as_function(name, activity))
    client = bp.durable_client_input(client_name="client")
    with_client: dict[str, Callable[..., Any]] = {
        FIND_RUNNING: find_running,
        WAKE_RESTORE: wake_restore,
        CLAIM_POST: claim_post,
        START_RESTORE: _starter(start_restore),
    }
    for name, activity in with_client.items():
        bp.activity_trigger(input_name="data", activity=name)(client(_annotated(activity)))
    publish = results_output(bp, results_queue)(_publisher(has_webhook=has_webhook))
    bp.activity_trigger(input_name="data", activity=PUBLISH_RESULT)(publish)
    return bp
