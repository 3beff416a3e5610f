"""What Azure's durable engine does and durabletask's in-memory backend does not: one base for all that stand in for it.

The source of each habit is Microsoft's extension over Azure Storage, as read and as measured; docs/local-host.md lists
them. What happens in Azure now and then happens here by count, so that every run is the same.

The hooks it overrides are private to durabletask 1.12.0; the version is pinned.
"""

from __future__ import annotations

import base64
import binascii
import math
import uuid
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, override
from zlib import crc32

import grpc
from durabletask.internal import helpers
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import InMemoryOrchestrationBackend
from google.protobuf import timestamp_pb2, wrappers_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from durabletask.testing.in_memory_backend import OrchestrationInstance

ENDED = (pb.ORCHESTRATION_STATUS_COMPLETED, pb.ORCHESTRATION_STATUS_FAILED, pb.ORCHESTRATION_STATUS_TERMINATED)
MAX_PAGE = 1000
"""The most rows that Azure's table service gives in one answer."""
RANGE_BOUNDARY = "8"
"""Ids from here on lie on another server of the table service; no page goes across."""
STARTED_AT_ONCE = timedelta(seconds=0.5)
"""Two starts of one id that are closer than this do not see each other."""
DEFERRED = timedelta(seconds=2)
"""How long a start lies that the engine saw before the instance's row was there."""
_OTHERS_FIRST = 2

_SENT = frozenset({"scheduleTask", "createTimer", "sendEvent", "sendEntityMessage"})
_RUN_ONCE = frozenset({"createSubOrchestration", "rewindOrchestration", "terminateOrchestration"})


class Faults:
    """Which starts, turns and entity operations meet one of the engine's faults: by count, each kind for itself.

    Of the starts of one orchestrator, each ``deferred``-th lies: where time is real, that costs two seconds.
    """

    def __init__(self, *, deferred: int = 4) -> None:
        self._deferred = deferred
        self._counts: Counter[tuple[str, str]] = Counter()

    def defers_start(self, name: str, instance_id: str) -> bool:
        """Return whether this start of the orchestrator ``name`` is deferred."""
        return bool(instance_id) and self._is_due("start", name, self._deferred)

    def repeats_turn(self, name: str, instance_id: str) -> bool:
        """Return whether this turn of an instance is run twice: each seventh."""
        return bool(name) and self._is_due("turn", instance_id, 7, begin=crc32(instance_id.encode()))

    def repeats_operation(self, entity_id: str, operation: str) -> bool:
        """Return whether this operation of an entity is delivered twice: each third."""
        return bool(operation) and self._is_due("operation", entity_id, 3, begin=crc32(entity_id.encode()))

    def _is_due(self, kind: str, key: str, every: int, begin: int = 0) -> bool:
        self._counts[kind, key] += 1
        return (begin + self._counts[kind, key]) % every == 0


class NoFaults(Faults):
    """An engine that does everything once and at once, for tests that go step by step."""

    @override
    def defers_start(self, name: str, instance_id: str) -> bool:
        return False

    @override
    def repeats_turn(self, name: str, instance_id: str) -> bool:
        return False

    @override
    def repeats_operation(self, entity_id: str, operation: str) -> bool:
        return False


class AzureLikeBackend(InMemoryOrchestrationBackend):
    """The in-memory backend with the habits of the engine over Azure Storage. Who derives from it brings a clock.

    An instance's generation tells an execution from the next one of its id (a continue-as-new, a later start): the next
    execution numbers its tasks from 1 again, so what comes late for an earlier one must not reach it.
    """

    repeats_after = timedelta(seconds=30)
    """When an entity's operation comes a second time, if it does so late."""

    def __init__(self, faults: Faults, *, max_history_size: int) -> None:
        super().__init__(max_history_size=max_history_size, port=0)
        self.faults = faults
        self._generations: Counter[str] = Counter()
        self._unstarted: set[str] = set()
        self._deferred: set[str] = set()
        self._parents: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self._awaited: dict[str, tuple[str, int]] = {}
        self._repeats = 0
        self._after_others: dict[str, list[_Late]] = defaultdict(list)
        self._second_runs: set[tuple[str, int]] = set()
        self._repeated: set[tuple[str, int]] = set()

    # The clock

    def _now(self) -> datetime:
        raise NotImplementedError

    def _at(self, when: datetime, act: Callable[[], None], is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Have ``act`` called at a time, unless nobody wants it any more by then."""
        raise NotImplementedError

    def _leaves_queue(self, due: datetime) -> datetime:
        """Return when a message that is due then is seen: its delay is cut to whole seconds, and a turn takes a moment.

        So it comes up to a second early; one that is due within a second comes at once.
        """
        left_s = (due - self._now()).total_seconds()
        return self._now() + timedelta(seconds=max(0, math.ceil(left_s) - 1))

    # Executions

    def generation(self, instance_id: str) -> int:
        """Return which execution of this id the present one is."""
        return self._generations[instance_id]

    def awaits(self, instance_id: str, generation: int) -> bool:
        """Return whether this execution still runs."""
        instance = self._instances.get(instance_id)
        return (
            instance is not None
            and self._generations[instance_id] == generation
            and not self._is_terminal_status(instance.status)
        )

    def inform(self, instance_id: str, generation: int, event: pb.HistoryEvent) -> None:
        """Give an execution news; nobody hears of it when it is over."""
        with self._lock:
            if not self.awaits(instance_id, generation):
                return
            instance = self._instances[instance_id]
            instance.pending_events.append(event)
            instance.last_updated_at = self._now()
            if instance_id not in self._orchestration_in_flight:
                self._keep_asked_for(instance)
            if instance.pending_events:
                self._enqueue_orchestration(instance_id)

    @override
    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        super()._process_complete_orchestration_action(instance, complete_action)
        if complete_action.orchestrationStatus == pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            self._generations[instance.instance_id] += 1
            instance.created_at = self._now()  # the engine writes it with each execution's start

    # Starts

    @override
    def StartInstance(self, request: pb.CreateInstanceRequest, context: Any) -> pb.CreateInstanceResponse:
        """Start an instance; one that has ended makes room for another of its id, the extension's default.

        A start that comes while another of its id is being written is not refused: it is lost.
        """
        request.instanceId = request.instanceId or uuid.uuid4().hex
        replaceable = request.orchestrationIdReusePolicy.replaceableStatus
        if not replaceable:
            replaceable.extend(ENDED)
        with self._lock:
            existing = self._instances.get(request.instanceId)
            if existing is not None and existing.status not in ENDED:
                is_new = self._now() - existing.created_at < STARTED_AT_ONCE
                if is_new and request.instanceId in self._unstarted:
                    return pb.CreateInstanceResponse(instanceId=request.instanceId)
                return super().StartInstance(request, context)
            if self.faults.defers_start(request.name, request.instanceId):
                self._defer(request.instanceId)
            response = super().StartInstance(request, context)
            self._generations[request.instanceId] += 1
            self._unstarted.add(request.instanceId)
        return response

    def _defer(self, instance_id: str) -> None:
        self._deferred.add(instance_id)

        def admit() -> None:
            with self._lock:
                self._deferred.discard(instance_id)
                self._instances[instance_id].pending_events[0] = helpers.new_orchestrator_started_event(self._now())
                self._enqueue_orchestration(instance_id)

        self._at(self._now() + DEFERRED, admit)

    @override
    def _create_instance_internal(
        self, instance_id: str, name: str, encoded_input: str | None = None, version: str | None = None
    ) -> None:
        super()._create_instance_internal(instance_id, name, encoded_input, version)
        self._generations[instance_id] += 1

    @override
    def _enqueue_orchestration(self, instance_id: str) -> None:
        if instance_id not in self._deferred:
            super()._enqueue_orchestration(instance_id)

    # What is sent to an instance: refused when it has ended, lost while its start is deferred

    @override
    def RaiseEvent(self, request: pb.RaiseEventRequest, context: Any) -> pb.RaiseEventResponse:
        with self._lock:
            if self._hears(request.instanceId, context):
                return super().RaiseEvent(request, context)
        return pb.RaiseEventResponse()

    @override
    def TerminateInstance(self, request: pb.TerminateRequest, context: Any) -> pb.TerminateResponse:
        with self._lock:
            if self._hears(request.instanceId, context):
                return super().TerminateInstance(request, context)
        return pb.TerminateResponse()

    @override
    def SuspendInstance(self, request: pb.SuspendRequest, context: Any) -> pb.SuspendResponse:
        with self._lock:
            if self._hears(request.instanceId, context):
                return super().SuspendInstance(request, context)
        return pb.SuspendResponse()

    @override
    def ResumeInstance(self, request: pb.ResumeRequest, context: Any) -> pb.ResumeResponse:
        with self._lock:
            if self._hears(request.instanceId, context):
                return super().ResumeInstance(request, context)
        return pb.ResumeResponse()

    def _hears(self, instance_id: str, context: Any) -> bool:
        instance = self._instances.get(instance_id)
        if instance is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"No instance with ID '{instance_id}' was found.")
        elif instance.status in ENDED:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"The instance '{instance_id}' is not running.")
        return instance_id not in self._deferred

    @override
    def _raise_event_internal(self, instance_id: str, event_name: str, event_data: str | None = None) -> None:
        if instance_id not in self._deferred:
            super()._raise_event_internal(instance_id, event_name, event_data)

    # What is told of instances

    @override
    def _build_instance_response(
        self, instance: OrchestrationInstance, include_payloads: bool
    ) -> pb.GetInstanceResponse:
        return pb.GetInstanceResponse(exists=True, orchestrationState=_state_of(instance, payloads=include_payloads))

    @override
    def QueryInstances(self, request: pb.QueryInstancesRequest, context: Any) -> pb.QueryInstancesResponse:
        """Return one page in the order of ids. It may hold fewer than asked for, even none, and yet not be the last."""
        query = request.query
        try:
            first = _read_token(query.continuationToken.value)
        except ValueError:
            first = None
        if first is None or not 1 <= query.maxInstanceCount <= MAX_PAGE:
            context.abort(grpc.StatusCode.UNKNOWN, "Exception was thrown by handler.")  # the table service's 400
            return pb.QueryInstancesResponse()
        with self._lock:
            first, prefix = max(first, query.instanceIdPrefix.value), query.instanceIdPrefix.value
            in_range = (
                instance
                for instance_id, instance in self._instances.items()
                if instance_id >= first and instance_id.startswith(prefix)
            )
            found = sorted(
                (instance for instance in in_range if _is_wanted(instance, query)),
                key=lambda instance: instance.instance_id,
            )
            page = found[: query.maxInstanceCount]
            if first < RANGE_BOUNDARY:
                page = [each for each in page if each.instance_id < RANGE_BOUNDARY]
            states = [_state_of(each, payloads=query.fetchInputsAndOutputs) for each in page]
        token = _token(found[len(page)].instance_id) if len(page) < len(found) else None
        return pb.QueryInstancesResponse(orchestrationState=states, continuationToken=helpers.get_string_value(token))

    @override
    def PurgeInstances(self, request: pb.PurgeInstancesRequest, context: Any) -> pb.PurgeInstancesResponse:
        """Purge instances; one that is named by its id and has not ended is refused."""
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance is not None and instance.status not in ENDED:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, "Only instances in a terminal state can be purged.")
                return pb.PurgeInstancesResponse()
            return super().PurgeInstances(request, context)

    # Timers

    @override
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        instance_id, generation = instance.instance_id, self._generations[instance.instance_id]
        fire_at = action.createTimer.fireAt.ToDatetime(tzinfo=UTC)
        instance.history.append(helpers.new_timer_created_event(action.id, fire_at))
        fired = helpers.new_timer_fired_event(action.id, fire_at)
        self._at(
            self._leaves_queue(fire_at),
            partial(self.inform, instance_id, generation, fired),
            partial(self.awaits, instance_id, generation),
        )

    @override
    def _schedule_delayed_entity_operation(self, entity_id: str, event: pb.HistoryEvent, fire_at: datetime) -> None:
        self._at(self._leaves_queue(fire_at), partial(self._queue_entity_operation, entity_id, event))

    # Sub-orchestrations

    @override
    def _watch_sub_orchestration(self, parent_instance_id: str, sub_instance_id: str, task_id: int) -> None:
        self._parents[sub_instance_id].append((parent_instance_id, task_id, self._generations[parent_instance_id]))

    @override
    def _notify_waiters(self, instance_id: str) -> None:
        """Tell the parents of an instance that has ended: it is called when a turn has been committed."""
        super()._notify_waiters(instance_id)
        instance = self._instances.get(instance_id)
        if instance is None or instance.status not in ENDED:
            return
        for parent_id, task_id, generation in self._parents.pop(instance_id, []):
            self.inform(parent_id, generation, _end_of_child(instance, task_id))

    # Entities: without sorting, nothing sees that an operation is late or the same again

    @override
    def SignalEntity(self, request: pb.SignalEntityRequest, context: Any) -> pb.SignalEntityResponse:
        event = pb.HistoryEvent(
            eventId=-1,
            timestamp=timestamp_pb2.Timestamp(),
            entityOperationSignaled=pb.EntityOperationSignaledEvent(
                requestId=request.requestId,
                operation=request.name,
                input=request.input if request.HasField("input") else None,
                targetInstanceId=wrappers_pb2.StringValue(value=request.instanceId),
            ),
        )
        due = request.scheduledTime.ToDatetime(tzinfo=UTC)
        with self._lock:
            if request.HasField("scheduledTime") and due > self._now():
                self._schedule_delayed_entity_operation(request.instanceId, event, due)
            else:
                self._queue_entity_operation(request.instanceId, event)
        return pb.SignalEntityResponse()

    @override
    def _process_send_entity_message_action(
        self, instance: OrchestrationInstance, action: pb.OrchestratorAction
    ) -> None:
        is_committed = self._instances.get(instance.instance_id) is instance
        if is_committed and (request_id := action.sendEntityMessage.entityOperationCalled.requestId):
            self._awaited[request_id] = (instance.instance_id, self._generations[instance.instance_id])
        super()._process_send_entity_message_action(instance, action)

    @override
    def _queue_entity_operation(self, entity_id: str, event: pb.HistoryEvent) -> None:
        with self._lock:
            super()._queue_entity_operation(entity_id, event)
            for late in [late for late in self._after_others[entity_id] if late.follows_another()]:
                self._after_others[entity_id].remove(late)
                super()._queue_entity_operation(entity_id, late.event)
            if self.faults.repeats_operation(entity_id, operation_of(event)):
                self._repeat_operation(entity_id, event)

    def _repeat_operation(self, entity_id: str, event: pb.HistoryEvent) -> None:
        """Have an operation come once more: in turn at once, after the next two of its entity, and late."""
        manner = self._repeats % 3
        self._repeats += 1
        again = pb.HistoryEvent()
        again.CopyFrom(event)
        if manner == 0:
            super()._queue_entity_operation(entity_id, again)
            return
        late = _Late(again)
        if manner == 1:
            self._after_others[entity_id].append(late)

        def come() -> None:
            with self._lock:
                if manner == 1 and late not in self._after_others[entity_id]:
                    return
                self._after_others[entity_id] = [each for each in self._after_others[entity_id] if each is not late]
                super(AzureLikeBackend, self)._queue_entity_operation(entity_id, again)

        self._at(self._now() + self.repeats_after, come)

    @override
    def CompleteEntityTask(self, request: pb.EntityBatchResult, context: Any) -> pb.CompleteTaskResponse:
        """Take a batch's result. Only the first answer to a call counts, and only while its execution runs."""
        with self._lock:
            for info in request.operationInfos:
                caller = info.responseDestination.instanceId
                awaited = self._awaited.pop(info.requestId, None) if caller else None
                if awaited is None or awaited[0] != caller or not self.awaits(*awaited):
                    info.ClearField("responseDestination")
            return super().CompleteEntityTask(request, context)

    # Turns

    @override
    def CompleteOrchestratorTask(self, request: pb.OrchestratorResponse, context: Any) -> pb.CompleteTaskResponse:
        """Take a turn's result: its history is written, and the second run of a repeated turn is over."""
        with self._lock:
            instance = self._instances.get(request.instanceId)
            if instance is not None:
                self._unstarted.discard(request.instanceId)
                self._second_runs.discard((request.instanceId, instance.completion_token))
            response = super().CompleteOrchestratorTask(request, context)
            if instance is not None:
                self._keep_asked_for(instance)
            return response

    def begins_second_run(self, response: pb.OrchestratorResponse) -> bool:
        """Decide what becomes of a turn: false when it is to be taken, true when it is to be run once more.

        Then the engine has crashed after the turn's messages left and before its history was written. They are sent
        here; the second run, which the caller brings about, has a later time.
        """
        instance = self._instances.get(response.instanceId)
        if instance is None:
            return False
        run = (response.instanceId, instance.completion_token)
        if run in self._second_runs or not self.faults.repeats_turn(instance.name, response.instanceId):
            return False
        if any(not _may_run_twice(action) for action in response.actions):
            return False
        self._second_runs.add(run)
        self._repeated.add((response.instanceId, self._generations[response.instanceId]))
        unwritten = replace(instance, history=[], pending_events=[])
        for action in response.actions:
            if action.WhichOneof("orchestratorActionType") in _SENT:
                self._process_action(unwritten, action)
        return True

    def _keep_asked_for(self, instance: OrchestrationInstance) -> None:
        """Drop results of activities that the history has not asked for, or has already.

        Such come from the first run of a turn. One that bears the number of an activity of the second run is its
        result, as in Azure. A retry bears the number of what failed.
        """
        if (instance.instance_id, self._generations[instance.instance_id]) not in self._repeated:
            return
        missing = Counter(event.eventId for event in instance.history if event.HasField("taskScheduled"))
        missing.subtract(filter(None, map(_answered, (*instance.history, *instance.dispatched_events))))
        kept = list[pb.HistoryEvent]()
        for event in instance.pending_events:
            number = _answered(event)
            if number is None or missing[number] > 0:
                kept.append(event)
                missing[number or 0] -= 1
        instance.pending_events[:] = kept


class _Late:
    """An operation that comes after others which were sent after it."""

    def __init__(self, event: pb.HistoryEvent) -> None:
        self.event = event
        self._others = _OTHERS_FIRST

    def follows_another(self) -> bool:
        """Count one more; return whether it was the last to wait for."""
        self._others -= 1
        return self._others == 0


def operation_of(event: pb.HistoryEvent) -> str:
    """Return the name of the operation that an entity is asked for."""
    return event.entityOperationCalled.operation or event.entityOperationSignaled.operation


def worker_died(function: str) -> pb.TaskFailureDetails:
    """Return how the extension tells that the worker died in the middle of a function."""
    return pb.TaskFailureDetails(
        errorType="Microsoft.Azure.WebJobs.Host.FunctionInvocationException",
        errorMessage=f"Exception while executing function: {function}",
        innerFailure=pb.TaskFailureDetails(
            errorType="Microsoft.Azure.WebJobs.Script.Workers.WorkerProcessExitException",
            errorMessage="python exited with code 137 (0x89)",
        ),
    )


def output_of(instance: OrchestrationInstance) -> str | None:
    """Return an instance's output as the hub tells it: of one that failed, its error's type and message as text."""
    failure = instance.failure_details
    if instance.status != pb.ORCHESTRATION_STATUS_FAILED or failure is None:
        return instance.output
    return f"{failure.errorType}: {failure.errorMessage}"


def _answered(event: pb.HistoryEvent) -> int | None:
    if event.HasField("taskCompleted"):
        return event.taskCompleted.taskScheduledId
    return event.taskFailed.taskScheduledId if event.HasField("taskFailed") else None


def _may_run_twice(action: pb.OrchestratorAction) -> bool:
    """Tell whether an action can be sent by a run that is not written: children and locks would be held for ever."""
    message = action.sendEntityMessage
    locks = message.HasField("entityLockRequested") or message.HasField("entityUnlockSent")
    return not locks and action.WhichOneof("orchestratorActionType") not in _RUN_ONCE


def _end_of_child(child: OrchestrationInstance, task_id: int) -> pb.HistoryEvent:
    if child.status == pb.ORCHESTRATION_STATUS_COMPLETED:
        return helpers.new_sub_orchestration_completed_event(task_id, child.output)
    stopped = Exception(f"the sub-orchestration '{child.instance_id}' was terminated")
    failed = helpers.new_sub_orchestration_failed_event(task_id, stopped)
    if child.failure_details is not None:
        failed.subOrchestrationInstanceFailed.failureDetails.CopyFrom(child.failure_details)
    return failed


def _state_of(instance: OrchestrationInstance, *, payloads: bool) -> pb.OrchestrationState:
    """Return an instance's row: no failure details, and a custom status that is the text null until one is set."""
    state = pb.OrchestrationState(
        instanceId=instance.instance_id,
        name=instance.name,
        orchestrationStatus=instance.status,
        createdTimestamp=helpers.new_timestamp(instance.created_at),
        lastUpdatedTimestamp=helpers.new_timestamp(instance.last_updated_at),
    )
    if payloads:
        is_new = instance.status == pb.ORCHESTRATION_STATUS_PENDING
        status = instance.custom_status or (None if is_new else "null")
        for name, text in (("input", instance.input), ("output", output_of(instance)), ("customStatus", status)):
            if text:
                getattr(state, name).value = text
    return state


def _is_wanted(instance: OrchestrationInstance, query: pb.InstanceQuery) -> bool:
    created = instance.created_at
    return (
        (not query.runtimeStatus or instance.status in query.runtimeStatus)
        and (not query.HasField("createdTimeFrom") or created >= query.createdTimeFrom.ToDatetime(tzinfo=UTC))
        and (not query.HasField("createdTimeTo") or created <= query.createdTimeTo.ToDatetime(tzinfo=UTC))
    )


def _token(first: str) -> str:
    return base64.b64encode(first.encode()).decode()


def _read_token(token: str) -> str:
    """Return the id that a page begins with; ``ValueError`` for a token that was not given with a page."""
    try:
        return base64.b64decode(token, validate=True).decode()
    except binascii.Error as error:
        raise ValueError(token) from error
