"""The orchestrators, entities and activities as functions of the app."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, List  # noqa: UP035 - as below

import azure.durable_functions as df
import azure.functions as func

from domain.answers import Answer
from domain.codec import unpack
from domain.envelopes import seal
from domain.messages import event_message, recovery_event_message, result_message
from domain.recovery.calls import PublishRecoveryEvents, ResolveRecovery
from domain.recovery.event import recovery_event_of
from domain.recovery.parts import RecoveryStatus
from domain.restore.answers import Done, Published, Running
from domain.restore.calls import (
    ClaimPost,
    FindRunning,
    JoinWatch,
    PublishEvents,
    PublishResult,
    StartRestore,
    WakeRestore,
)
from domain.restore.machine import SLOT_EVENT
from domain.restore.status_events import event_of
from domain.sealing import sealed
from domain.times import format_time, parse_request_time
from orchestrations.entities import ENTITIES
from orchestrations.list_entry import hold_list_entry
from orchestrations.names import HOLD_LIST_ENTRY, HOLD_POST_CLAIM, HOLD_RECORD, RESTORE_VM, RUN_RECOVERY, WATCH_VAULT
from orchestrations.post_claim import hold_post_claim
from orchestrations.record import hold_record
from orchestrations.restore_vm import restore_vm
from orchestrations.run_recovery import run_recovery
from orchestrations.watch_vault import watch_vault
from telemetry.context import restore_context
from triggers.hub import raise_event
from triggers.list_entries import ensure_recovery_listed, note_end
from triggers.post_claims import PostClaims
from triggers.queue import events_output, results_output
from triggers.records import Records
from triggers.recovery_states import get_recovery
from triggers.restore_states import get_document
from triggers.sdk import accept_plain_text_payloads
from triggers.starting import now
from triggers.watching import join_watch

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.parts import StatusChange
    from telemetry.signals import Telemetry
    from triggers.member_activities import MemberActivities

_LOG = logging.getLogger(__name__)
_ORCHESTRATORS: Final[Mapping[str, Callable[..., Any]]] = {
    RESTORE_VM: restore_vm,
    WATCH_VAULT: watch_vault,
    HOLD_POST_CLAIM: hold_post_claim,
    HOLD_LIST_ENTRY: hold_list_entry,
    HOLD_RECORD: hold_record,
    RUN_RECOVERY: run_recovery,
}

type Activity = Callable[[Json], Json]
type StartWith = Callable[[Callable[[str, int], bool]], Activity]
"""Returns the activity ``start_restore``; the argument is the function with which it claims an attempt."""
type ResolveWith = Callable[[Records], Activity]
"""Returns the activity ``resolve_recovery``, which keeps its list in these records."""


async def find_running(data: Json, client: df.DurableFunctionsClient) -> Json:
    """Return whether a restore or a recovery still runs; one that has ended and only sends its result does not."""
    instance_id = unpack(FindRunning, data).restore_id
    document = await get_document(client, instance_id) or await get_recovery(client, instance_id)
    if document is None:
        answer = Running(is_running=False)
    elif document["completedTime"] is not None:
        answer = Running(is_running=False, ended=parse_request_time(document["completedTime"]))
    else:
        answer = Running(is_running=True)
    return seal(Answer(answer), activity=FindRunning.name, at=now())


async def wake_restore(data: Json, client: df.DurableFunctionsClient) -> Json:
    """Raise the slot event of a waiting restore; if that has ended meanwhile, nothing happens."""
    await raise_event(client, unpack(WakeRestore, data).restore_id, SLOT_EVENT, {"time": format_time(now())})
    return seal(Answer(Done()), activity=WakeRestore.name, at=now())


def claim_post(data: Json, client: df.SyncDurableFunctionsClient) -> Json:
    """Claim an attempt to post in the restore's own name, so that no delivery posts under it."""
    return sealed(ClaimPost, PostClaims(client).claim_post, now)(data)


def _starter(start_with: StartWith) -> Callable[..., Json]:
    def start_restore(data: Json, client: df.SyncDurableFunctionsClient) -> Json:
        return start_with(PostClaims(client).take)(data)

    return start_restore


def _result_publisher(telemetry: Telemetry, *, has_webhook: bool) -> Callable[..., Json]:
    def publish_result(data: Json, results: func.Out[str], client: df.SyncDurableFunctionsClient) -> Json:
        document = unpack(PublishResult, data).document
        error = document["error"]
        _LOG.info(
            "restore %s of %s ended as %s%s",
            document["id"],
            document["sourceResourceId"],
            document["status"],
            f": {error['code']}: {error['message']!r}" if error else "",
        )
        results.set(result_message(document))
        note_end(client, document)
        telemetry.restore_ended(document)
        return seal(Answer(Published(has_webhook=has_webhook)), activity=PublishResult.name, at=now())

    return publish_result


def _events_publisher(telemetry: Telemetry) -> Callable[..., Json]:
    def publish_events(data: Json, events: func.Out[List[str]]) -> Json:  # noqa: UP006 - the worker refuses list[str]
        """Put an event on the events queue for each change, one message each, in their order."""
        call: PublishEvents = unpack(PublishEvents, data)
        events.set([event_message(event_of(change)) for change in call.changes])
        for change in call.changes:
            _log_change(change)
            telemetry.status_changed(change)
        return seal(Answer(Done()), activity=PublishEvents.name, at=now())

    return publish_events


def _recovery_events_publisher(telemetry: Telemetry) -> Callable[..., Json]:
    def publish_recovery_events(
        data: Json,
        events: func.Out[List[str]],  # noqa: UP006 - as above
        client: df.SyncDurableFunctionsClient,
    ) -> Json:
        """Put an event on the events queue for each change of a recovery, one message each, in their order."""
        call: PublishRecoveryEvents = unpack(PublishRecoveryEvents, data)
        events.set([recovery_event_message(recovery_event_of(change)) for change in call.changes])
        ensure_recovery_listed(client, call.changes[-1].document)
        for change in call.changes:
            # Alert rules read these lines, so their form must not change.
            recovery = change.document
            error = recovery.get("error")
            suffix = f", error {error['code']}" if error else ""
            _LOG.info("recovery %s of %s: status %s%s", recovery["id"], recovery["plan"], change.status, suffix)
            if RecoveryStatus(change.status).has_ended:
                telemetry.recovery_ended(recovery, change.end or 1)
        return seal(Answer(Done()), activity=PublishRecoveryEvents.name, at=now())

    return publish_recovery_events


def _resolver(resolve_with: ResolveWith) -> Callable[..., Json]:
    def resolve_recovery(data: Json, client: df.SyncDurableFunctionsClient) -> Json:
        return resolve_with(Records(client))(data)

    return resolve_recovery


def _log_change(change: StatusChange) -> None:
    """Log a change of status. Alert rules read these lines, so their form must not change."""
    document = change.document or {}
    error = document.get("error")
    _LOG.info(
        "restore %s of %s: status %s%s",
        document.get("id"),
        document.get("sourceResourceId"),
        change.status,
        f", error {error['code']}" if error else "",
    )


def _in_restore_context(activity: Callable[..., Any]) -> Callable[..., Any]:
    """Return the activity, which runs in the context of the restore that its input names."""
    if inspect.iscoroutinefunction(activity):

        @functools.wraps(activity)
        async def call_async(data: Json, *args: Any, **options: Any) -> Any:
            with restore_context(data):
                return await activity(data, *args, **options)

        return call_async

    @functools.wraps(activity)
    def call(data: Json, *args: Any, **options: Any) -> Any:
        with restore_context(data):
            return activity(data, *args, **options)

    return call


def _annotated[**P](function: Callable[P, Any]) -> Callable[P, Any]:
    # The worker's indexer accepts only plain classes as annotations of an activity, no subscripted types.
    function.__annotations__.update({"data": dict, "return": dict})
    return function


def _as_function(name: str, activity: Activity) -> Activity:
    def call(data: Json) -> Json:
        return activity(data)

    call.__name__ = name
    return _annotated(_in_restore_context(call))


def blueprint(
    activities: Mapping[str, Activity],
    start_with: StartWith,
    resolve_with: ResolveWith,
    members: MemberActivities,
    *,
    results_queue: str,
    events_queue: str,
    has_webhook: bool,
    telemetry: Telemetry,
) -> df.Blueprint:
    """Return the orchestrators, the entities and the activities, each under its name in histories."""
    accept_plain_text_payloads()
    bp = df.Blueprint()
    for name, orchestrator in _ORCHESTRATORS.items():
        bp.orchestration_trigger(context_name="context", orchestration=name)(orchestrator)
    for name, entity in ENTITIES.items():
        bp.entity_trigger(context_name="context", entity_name=name)(entity)
    for name, activity in activities.items():
        bp.activity_trigger(input_name="data", activity=name)(_as_function(name, activity))
    client = bp.durable_client_input(client_name="client")
    with_client: dict[str, Callable[..., Any]] = {
        FindRunning.name: find_running,
        WakeRestore.name: wake_restore,
        JoinWatch.name: join_watch,
        ClaimPost.name: claim_post,
        StartRestore.name: _starter(start_with),
        ResolveRecovery.name: _resolver(resolve_with),
        **members.by_name(),
    }
    for name, activity in with_client.items():
        bp.activity_trigger(input_name="data", activity=name)(client(_annotated(_in_restore_context(activity))))
    publish_result = _in_restore_context(_result_publisher(telemetry, has_webhook=has_webhook))
    publish = results_output(bp, results_queue)(client(_annotated(publish_result)))
    bp.activity_trigger(input_name="data", activity=PublishResult.name)(publish)
    publish_events = _annotated(_in_restore_context(_events_publisher(telemetry)))
    publish = events_output(bp, events_queue)(publish_events)
    bp.activity_trigger(input_name="data", activity=PublishEvents.name)(publish)
    publish_recovery_events = _annotated(_in_restore_context(_recovery_events_publisher(telemetry)))
    publish = events_output(bp, events_queue)(client(publish_recovery_events))
    bp.activity_trigger(input_name="data", activity=PublishRecoveryEvents.name)(publish)
    return bp
