"""A task hub in memory, on a clock that skips.

Orchestrators and entities run in the worker that Azure Functions uses, against durabletask's in-memory
backend, in the caller's thread: no server, no thread, no sleep. When nothing is left to run, the clock
jumps to the earliest timer, so a job of twenty hours takes about a second and every run is the same.

The backend's hooks are private and differ between versions: durabletask is pinned to 1.12.0.
"""

from __future__ import annotations

import hashlib
import heapq
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, NoReturn, cast, override

import durabletask.internal.helpers as ph
import durabletask.internal.orchestrator_service_pb2 as pb
from azure.durable_functions.internal.compat.activity import wrap_activity
from azure.durable_functions.internal.compat.entity_context import wrap_entity
from azure.durable_functions.worker import DurableFunctionsWorker
from azure.functions._durable_functions import df_dumps, df_loads
from durabletask import task
from durabletask.testing import in_memory_backend
from durabletask.worker import _OrchestrationExecutor, _RuntimeOrchestrationContext
from google.protobuf import wrappers_pb2

from local_host.azure_like import ENDED, AzureLikeBackend, Faults, output_of
from orchestrations.custom_status import newest_in_history

if TYPE_CHECKING:
    from durabletask.testing.in_memory_backend import (
        ActivityWorkItem,
        OrchestrationInstance,
    )

START = datetime(2026, 11, 23, 8, tzinfo=UTC)

STATUS_NAMES: Mapping[int, str] = {
    pb.ORCHESTRATION_STATUS_RUNNING: "Running",
    pb.ORCHESTRATION_STATUS_COMPLETED: "Completed",
    pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW: "ContinuedAsNew",
    pb.ORCHESTRATION_STATUS_FAILED: "Failed",
    pb.ORCHESTRATION_STATUS_CANCELED: "Canceled",
    pb.ORCHESTRATION_STATUS_TERMINATED: "Terminated",
    pb.ORCHESTRATION_STATUS_PENDING: "Pending",
    pb.ORCHESTRATION_STATUS_SUSPENDED: "Suspended",
}
"""The words of the durable HTTP API and of the portal."""

type Choice = bool | Callable[[str], bool]

SPINS = 200
"""So many timers of an instance, all made at one moment, are a loop on a timer that fires at once."""
SECOND_RUN = timedelta(seconds=0.7)
"""How much later the second run of a turn is."""


class OrchestrationFailed(Exception):  # noqa: N818 - the name says what happened
    """The orchestration ended otherwise than ``Completed``."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class StillWaitingError(Exception):
    """Nothing is left to run and no timer is set, yet what the test waits for has not happened."""


class Clock:
    """Time as the hub sees it: it stands still until something moves it."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        """The current time, aware, UTC."""
        return self._now

    @property
    def elapsed(self) -> timedelta:
        """How far the clock is from its start."""
        return self._now - self._start

    def advance(self, by: timedelta) -> None:
        """Let time pass by hand, for instance inside an activity that takes long."""
        self.skip_to(self._now + by)

    def skip_to(self, at: datetime) -> None:
        """Jump to ``at``; never backwards."""
        self._now = max(self._now, at)


@dataclass(frozen=True, slots=True)
class Call:
    """One run of an activity. ``error`` is the exception it raised; then ``result`` is ``None``."""

    at: datetime
    name: str
    input: Any
    result: Any = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """One durable timer, a retry's pause included."""

    created_at: datetime
    fire_at: datetime


@dataclass(frozen=True, slots=True)
class CustomStatus:
    """A custom status and when it was first seen."""

    at: datetime
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the management API would say of an instance: the output of one that failed is its error as text.

    ``failure`` is the message of its error when it failed; it stands in its history alone.
    """

    status: str
    input: Any
    output: Any
    custom_status: Any
    created_at: datetime
    last_updated_at: datetime
    failure: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it will never run again."""
        return self.status in {"Completed", "Failed", "Terminated"}


def decode(payload: str | None) -> Any:
    """Read a payload as the Functions codec does; none and empty are ``None``."""
    return df_loads(payload) if payload else None


def decode_output(text: str | None) -> Any:
    """Read an output: the reason of a termination and the error of a failure are plain text."""
    try:
        return decode(text)
    except ValueError:
        return text


def settle_codec() -> None:
    """Let the codec give its once-per-process advice now, so that it does not strike whichever test comes first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        df_loads("null")


# The backend reads the wall clock in two dozen places, each through its module's ``datetime``. That one name is given
# a class which asks the hub's clock while a hub of this thread and context is at work, and is ordinary otherwise.
_ACTIVE: ContextVar[Clock | None] = ContextVar("_ACTIVE", default=None)


class _BackendDatetime(datetime):
    @staticmethod
    def now(tz: tzinfo | None = None) -> datetime:  # pyright: ignore[reportIncompatibleMethodOverride]
        clock = _ACTIVE.get()
        return datetime.now(tz) if clock is None else clock.now().astimezone(tz)


in_memory_backend.datetime = _BackendDatetime  # pyright: ignore[reportPrivateImportUsage, reportAttributeAccessIssue]


@contextmanager
def _stamped_by(clock: Clock) -> Generator[None]:
    token = _ACTIVE.set(clock)
    try:
        yield
    finally:
        _ACTIVE.reset(token)


class _Refusing:
    """Stands where gRPC's context would: a refused request becomes an exception."""

    def abort(self, code: Any, details: str) -> NoReturn:
        raise LookupError(f"{details} ({code.name})")


_CONTEXT = cast("Any", _Refusing())


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """Something that happens at a time; dropped unseen when it has become pointless by then."""

    at: datetime
    number: int
    happen: Callable[[], None] = field(compare=False)
    is_wanted: Callable[[], bool] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _QueuedActivity:
    item: ActivityWorkItem
    generation: int


class _Faults(Faults):
    """The faults that a test asks for; ``None`` leaves a kind to the count."""

    def __init__(self, starts: Choice | None, turns: Choice | None, operations: Choice | None) -> None:
        super().__init__()
        self._starts, self._turns, self._operations = starts, turns, operations

    @override
    def defers_start(self, name: str, instance_id: str) -> bool:
        if self._starts is None:
            return super().defers_start(name, instance_id)
        return _chooses(self._starts, instance_id)

    @override
    def repeats_turn(self, name: str, instance_id: str) -> bool:
        if self._turns is None:
            return super().repeats_turn(name, instance_id)
        return _chooses(self._turns, instance_id)

    @override
    def repeats_operation(self, entity_id: str, operation: str) -> bool:
        if self._operations is None:
            return super().repeats_operation(entity_id, operation)
        return _chooses(self._operations, operation)


def _chooses(choice: Choice, what: str) -> bool:
    return choice(what) if callable(choice) else choice


class _Backend(AzureLikeBackend):
    """The engine that the local host has, without its threads; it delivers nothing to an orchestration that has ended.

    Nothing in the app locks an entity or starts a child: what the in-memory backend does with those is left as it is.
    """

    def __init__(self, clock: Clock, faults: Faults) -> None:
        super().__init__(faults, max_history_size=1_000_000)
        self.clock = clock
        self.due: list[_Due] = []
        self.activities: deque[_QueuedActivity] = deque()
        self.timers: dict[str, list[Timer]] = defaultdict(list)
        self.statuses: dict[str, list[CustomStatus]] = defaultdict(list)
        self.closed: dict[str, list[list[pb.HistoryEvent]]] = defaultdict(list)
        self.largest_history = 0
        self.spinning = ""
        self._numbers = 0

    # What time brings

    @override
    def _now(self) -> datetime:
        return self.clock.now()

    @override
    def _at(self, when: datetime, act: Callable[[], None], is_wanted: Callable[[], bool] = lambda: True) -> None:
        self.at(when, act, is_wanted)

    def at(self, when: datetime, happen: Callable[[], None], is_wanted: Callable[[], bool]) -> None:
        self._numbers += 1
        heapq.heappush(self.due, _Due(when, self._numbers, happen, is_wanted))

    def next_due(self) -> _Due | None:
        while self.due and not self.due[0].is_wanted():
            heapq.heappop(self.due)
        return self.due[0] if self.due else None

    @override
    def _process_create_timer_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        super()._process_create_timer_action(instance, action)
        if self._instances[instance.instance_id] is not instance:
            return  # of a turn that is not written
        timers = self.timers[instance.instance_id]
        timers.append(Timer(self.clock.now(), action.createTimer.fireAt.ToDatetime(tzinfo=UTC)))
        if len(timers) >= SPINS and timers[-SPINS].created_at == self.clock.now():
            self.spinning = instance.instance_id

    # Orchestrations

    def take_orchestration(self) -> OrchestrationInstance | None:
        """The next instance that has something new, in its ``dispatched_events``."""
        while self._orchestration_queue:
            instance_id = self._orchestration_queue.popleft()
            self._orchestration_queue_set.discard(instance_id)
            instance = self._instances.get(instance_id)
            if instance is None or not instance.pending_events or self._is_terminal_status(instance.status):
                continue
            events = list(instance.pending_events)
            instance.pending_events.clear()
            if not events[0].HasField("orchestratorStarted"):
                events.insert(0, ph.new_orchestrator_started_event(self.clock.now()))
            instance.dispatched_events = events
            self._orchestration_in_flight.add(instance_id)
            return instance
        return None

    def complete_orchestration(self, response: pb.OrchestratorResponse) -> None:
        instance = self._instances[response.instanceId]
        response.completionToken = str(instance.completion_token)
        self.CompleteOrchestratorTask(response, _CONTEXT)
        self.largest_history = max(self.largest_history, len(instance.history))
        status, seen = decode(instance.custom_status), self.statuses[response.instanceId]
        if status is not None and (not seen or seen[-1].value != status):
            seen.append(CustomStatus(self.clock.now(), status))

    @override
    def _process_complete_orchestration_action(
        self, instance: OrchestrationInstance, complete_action: pb.CompleteOrchestrationAction
    ) -> None:
        if complete_action.orchestrationStatus != pb.ORCHESTRATION_STATUS_CONTINUED_AS_NEW:
            super()._process_complete_orchestration_action(instance, complete_action)
            return
        ended = ph.new_execution_completed_event(complete_action.orchestrationStatus, complete_action.result.value)
        generation = [*instance.history, ph.new_orchestrator_completed_event(), ended]
        self.closed[instance.instance_id].append(generation)
        self.largest_history = max(self.largest_history, len(generation))
        super()._process_complete_orchestration_action(instance, complete_action)

    # Activities

    @override
    def _process_schedule_task_action(self, instance: OrchestrationInstance, action: pb.OrchestratorAction) -> None:
        super()._process_schedule_task_action(instance, action)
        item = self._activity_queue.pop()
        self.activities.append(_QueuedActivity(item, self._generations[instance.instance_id]))

    def complete_activity(self, work: _QueuedActivity, outcome: str | Exception) -> None:
        if isinstance(outcome, Exception):
            event = ph.new_task_failed_event(work.item.task_id, outcome)
            details = event.taskFailed.failureDetails
            details.errorMessage = details.errorMessage or details.errorType
        else:
            event = ph.new_task_completed_event(work.item.task_id, outcome)
        self.inform(work.item.instance_id, work.generation, event)

    # Entities

    def take_entity(self) -> pb.EntityRequest | None:
        while self._entity_queue:
            entity_id = self._entity_queue.popleft()
            self._entity_queue_set.discard(entity_id)
            entity = self._entities[entity_id]
            operations = list(entity.pending_operations)
            if not operations:
                continue
            entity.pending_operations.clear()
            entity.dispatched_operations = list(operations)
            self._entity_in_flight.add(entity_id)
            state = entity.serialized_state
            return pb.EntityRequest(
                instanceId=entity_id,
                entityState=wrappers_pb2.StringValue(value=state) if state else None,
                operationRequests=operations,
            )
        return None

    def complete_entity(self, result: pb.EntityBatchResult, entity_id: str) -> None:
        result.completionToken = str(self._entities[entity_id].completion_token)
        self.CompleteEntityTask(result, _CONTEXT)


class _Session:
    """One generation of an orchestration, held between turns so that a turn costs what is new and not all before it."""

    REPLAYED_ALWAYS = 30
    GROWTH = 1.5

    def __init__(self, worker: DurableFunctionsWorker, instance: OrchestrationInstance, generation: int) -> None:
        self.generation = generation
        registry, converter = worker._registry, worker._data_converter
        self._executor = _OrchestrationExecutor(registry, worker._logger, converter)
        self._executor._orchestration_name = instance.name
        self._context = _RuntimeOrchestrationContext(instance.instance_id, registry, converter, logger=worker._logger)
        self.skipped: pb.OrchestratorRequest | None = None
        """The latest replay, if it was left out because this process has made it before."""
        self._seen = 0
        self._replayed = 0

    def advance(self, instance: OrchestrationInstance) -> pb.OrchestratorResponse:
        """Take one turn, as the executor's ``execute`` does but for the events it has seen before."""
        context = self._context
        try:
            context._is_replaying = True
            for event in instance.history[self._seen :]:
                self._executor.process_event(context, event)
            context._is_replaying = False
            for event in instance.dispatched_events:
                self._executor.process_event(context, event)
        except Exception as error:  # noqa: BLE001 - whatever an orchestrator raises is its outcome
            context.set_failed(error)
        self._seen = len(instance.history) + len(instance.dispatched_events)
        return pb.OrchestratorResponse(
            instanceId=instance.instance_id,
            actions=context.get_actions(),
            customStatus=ph.get_string_value(context._encoded_custom_status),
        )

    def is_replay_due(self, response: pb.OrchestratorResponse) -> bool:
        """Return whether to replay the whole history: at each step of a short one, then as it grows, and at its end."""
        is_due = (
            self._seen <= self.REPLAYED_ALWAYS
            or self._seen >= self._replayed * self.GROWTH
            or any(action.HasField("completeOrchestration") for action in response.actions)
        )
        if is_due:
            self._replayed = self._seen
        return is_due


class Hub:
    """A task hub for tests; see the module.

    ``orchestrators`` are native ``(ctx, input)`` functions, ``activities`` take the decoded input (or
    ``(ctx, input)``, where ``ctx`` must not be read), ``entities`` are durabletask entities; all by the name
    they are registered under. ``redeliver_activities`` runs every activity, or those whose name the predicate
    accepts, twice, and goes on with the second outcome: what at-least-once delivery may do.

    The engine's own faults strike always, never, where a predicate says so, or by count (``None``):

    * ``defer_starts`` (asked by instance id) has a start lie for two seconds, in which events to it are lost;
    * ``repeat_operations`` (by the operation's name) has an entity's operation come twice;
    * ``repeat_turns`` (by instance id) has a turn's messages leave and then, a moment later, the turn run again, before
      its history is written. It moves the clock, so it is never unless asked for: exact times would be none.

    Azure Functions replays an orchestration from its first event at every step. So does the hub while the history
    is short. Of a long one it keeps the generator, and replays at lengths that grow by half and at the end of each
    generation. A replay that does otherwise raises ``NonDeterminismError``. Many tests play the same first steps: a
    replay that this process has made before is not made again, the turn is compared with what came of it.
    """

    def __init__(
        self,
        *,
        orchestrators: Mapping[str, Callable[..., Any]],
        activities: Mapping[str, Callable[..., Any]] | None = None,
        entities: Mapping[str, Any] | None = None,
        start: datetime = START,
        redeliver_activities: Choice = False,
        defer_starts: Choice | None = None,
        repeat_turns: Choice | None = False,
        repeat_operations: Choice | None = None,
        step_limit: int = 200_000,
    ) -> None:
        settle_codec()
        self.clock = Clock(start)
        self.calls: list[Call] = []
        self.redeliver_activities = redeliver_activities
        self.second_run = SECOND_RUN
        self._orchestrators = dict(orchestrators)
        self._activities = {name: wrap_activity(fn, "data") for name, fn in (activities or {}).items()}
        self._backend = _Backend(self.clock, _Faults(defer_starts, repeat_turns, repeat_operations))
        self._entities = {name.lower(): wrap_entity(entity) for name, entity in (entities or {}).items()}
        self.restart_worker()
        self._steps_left = step_limit
        self._started = 0

    # Starting and steering

    def run(
        self,
        orchestrator: str | Callable[..., Any],
        data: Any = None,
        *,
        instance_id: str | None = None,
    ) -> Any:
        """Start an orchestration and let it run to its end; see ``start`` and ``finish``."""
        return self.finish(self.start(orchestrator, data, instance_id=instance_id))

    def start(
        self,
        orchestrator: str | Callable[..., Any],
        data: Any = None,
        *,
        instance_id: str | None = None,
    ) -> str:
        """Queue an orchestration; nothing runs yet. Returns its id.

        ``LookupError`` if an instance of that id still runs, ``TypeError`` if ``data`` is not JSON. A second start at
        the same moment is lost, as in Azure: it returns the id, and the first one runs.
        """
        name = orchestrator if isinstance(orchestrator, str) else self._name_of(orchestrator)
        self._started += 1
        request = pb.CreateInstanceRequest(
            instanceId=instance_id or f"{name}-{self._started}",
            name=name,
            input=_payload(data),
            orchestrationIdReusePolicy=pb.OrchestrationIdReusePolicy(replaceableStatus=ENDED),
        )
        with _stamped_by(self.clock):
            return self._backend.StartInstance(request, _CONTEXT).instanceId

    def finish(self, instance_id: str) -> Any:
        """Run until the instance has ended and return its decoded output.

        ``OrchestrationFailed`` if it failed or was terminated, ``StillWaitingError`` if it waits for something
        that cannot come. Timers it left behind do not move the clock.
        """
        instances = self._backend._instances
        self.run_until(lambda: instances[instance_id].status in ENDED)
        state = self.state(instance_id)
        if state.status != "Completed":
            message = state.failure or f"{state.status}: {state.output}"
            raise OrchestrationFailed(state.status, message)
        return state.output

    def run_until_idle(self) -> None:
        """Run until nothing is queued and no timer is set."""
        while self.step():
            pass

    def run_until(self, target: datetime | timedelta | Callable[[], bool]) -> None:
        """Run up to and including a time, for a while, or until a condition holds.

        After a time, the clock stands at it. ``StillWaitingError`` if a condition never comes to hold.
        """
        if isinstance(target, timedelta):
            target = self.clock.now() + target
        if isinstance(target, datetime):
            while self.step(until=target):
                pass
            self.clock.skip_to(target)
            return
        while not target():
            if not self.step():
                raise StillWaitingError(f"nothing is left to do at {self.clock.now().isoformat()}: {self._summary()}")

    def raise_event(self, instance_id: str, name: str, data: Any = None) -> None:
        """Queue an external event; lost while the start is deferred. ``LookupError`` unless the instance runs."""
        request = pb.RaiseEventRequest(instanceId=instance_id, name=name, input=_payload(data))
        with _stamped_by(self.clock):
            self._backend.RaiseEvent(request, _CONTEXT)

    def terminate(self, instance_id: str, reason: str = "") -> None:
        """Queue a termination; ``reason`` becomes the output as it is. ``LookupError`` unless the instance runs."""
        request = pb.TerminateRequest(instanceId=instance_id, output=ph.get_string_value(reason))
        with _stamped_by(self.clock):
            self._backend.TerminateInstance(request, _CONTEXT)

    def suspend(self, instance_id: str, reason: str = "") -> None:
        """Queue a suspension. ``LookupError`` unless the instance runs."""
        request = pb.SuspendRequest(instanceId=instance_id, reason=ph.get_string_value(reason))
        with _stamped_by(self.clock):
            self._backend.SuspendInstance(request, _CONTEXT)

    def resume(self, instance_id: str, reason: str = "") -> None:
        """Queue a resumption. ``LookupError`` unless the instance runs."""
        request = pb.ResumeRequest(instanceId=instance_id, reason=ph.get_string_value(reason))
        with _stamped_by(self.clock):
            self._backend.ResumeInstance(request, _CONTEXT)

    def restart_worker(self) -> None:
        """Take a new worker, as after a crash or a deployment: all it knows is what the histories tell it."""
        self._worker = DurableFunctionsWorker()
        self._sessions: dict[str, _Session] = {}
        for name, orchestrator in self._orchestrators.items():
            self._worker._register_orchestrator_once(name, orchestrator)
        for name, entity in self._entities.items():
            self._worker._registry.add_named_entity(name, entity)

    def signal_entity(self, name: str, key: str, operation: str, data: Any = None) -> None:
        """Queue an operation on an entity, as a client would."""
        self._started += 1
        request = pb.SignalEntityRequest(
            instanceId=f"@{name.lower()}@{key}", requestId=f"s{self._started}", name=operation, input=_payload(data)
        )
        with _stamped_by(self.clock):
            self._backend.SignalEntity(request, _CONTEXT)

    # Looking

    def state(self, instance_id: str) -> State:
        """What is known of an instance. ``KeyError`` if there is none."""
        instance = self._backend._instances[instance_id]
        failure = instance.failure_details
        return State(
            status=STATUS_NAMES[instance.status],
            input=decode(instance.input),
            output=decode_output(output_of(instance)),
            custom_status=decode(instance.custom_status),
            created_at=instance.created_at,
            last_updated_at=instance.last_updated_at,
            failure=None if failure is None else failure.errorMessage,
        )

    def instances(self) -> list[str]:
        """The ids of all instances, children included, in the order of their creation."""
        return list(self._backend._instances)

    def statuses(self, instance_id: str) -> list[CustomStatus]:
        """Every custom status that a turn ended with; equal ones in a row once."""
        return list(self._backend.statuses[instance_id])

    def timers(self, instance_id: str) -> list[Timer]:
        """Every timer ever created, across generations."""
        return list(self._backend.timers[instance_id])

    def history(self, instance_id: str) -> list[pb.HistoryEvent]:
        """The events of the current generation. ``KeyError`` if there is no such instance."""
        return list(self._backend._instances[instance_id].history)

    def generations(self, instance_id: str) -> list[list[pb.HistoryEvent]]:
        """The histories before each ``continue_as_new``, oldest first, and last the current one."""
        return [*self._backend.closed[instance_id], self.history(instance_id)]

    @property
    def largest_history(self) -> int:
        """The most events that any instance ever had in one generation."""
        return self._backend.largest_history

    def entity_state(self, name: str, key: str) -> Any:
        """The decoded state of an entity; ``None`` if it has none."""
        entity = self._backend._entities.get(f"@{name.lower()}@{key}")
        return None if entity is None else decode(entity.serialized_state)

    # The pump

    def step(self, until: datetime | None = None) -> bool:
        """Do one thing: a turn, an activity, a batch of an entity, or skip to the next timer. False if idle.

        With ``until``, the clock is not moved past it.
        """
        with _stamped_by(self.clock):
            if not (self._turn() or self._activity() or self._entity() or self._skip(until)):
                return False
        if self._backend.spinning:
            raise StillWaitingError(
                f"{self._backend.spinning} loops on a timer that fires at once at {self.clock.now().isoformat()}"
            )
        self._steps_left -= 1
        if self._steps_left <= 0:
            raise StillWaitingError(f"the step limit is used up at {self.clock.now().isoformat()}: {self._summary()}")
        return True

    def _turn(self) -> bool:
        instance = self._backend.take_orchestration()
        if instance is None:
            return False
        instance_id, generation = instance.instance_id, self._backend.generation(instance.instance_id)
        function = _find(self._orchestrators, instance.name, "orchestrator")
        response = self._run_turn(function, instance, generation)
        if self._backend.begins_second_run(response):
            self.clock.advance(self.second_run)
            instance.dispatched_events[0] = ph.new_orchestrator_started_event(self.clock.now())
            self._sessions.pop(instance_id, None)
            response = self._run_turn(function, instance, generation)
        self._backend.complete_orchestration(response)
        if not self._backend.awaits(instance_id, generation):
            self._sessions.pop(instance_id, None)
        return True

    def _run_turn(
        self, function: Callable[..., Any], instance: OrchestrationInstance, generation: int
    ) -> pb.OrchestratorResponse:
        instance_id = instance.instance_id
        session = self._sessions.get(instance_id)
        if session is None or session.generation != generation:
            newest_in_history.cache_clear()  # it tells executions apart by their times, and the clock stands still
            session = self._sessions[instance_id] = _Session(self._worker, instance, generation)
        taken = session.advance(instance)
        if not session.is_replay_due(taken):
            return taken
        request = pb.OrchestratorRequest(
            instanceId=instance_id, pastEvents=instance.history, newEvents=instance.dispatched_events
        )
        replayed, outcome = (function, _digest(request)), _digest(_outcome(taken))
        if _REPLAYED.get(replayed) == outcome:
            session.skipped = request
            return taken
        if session.skipped is not None:  # a replay finds in the process what the one before it has left there
            self._worker._run_orchestration(function, session.skipped)
            session.skipped = None
        response = self._worker._run_orchestration(function, request)
        if _digest(_outcome(response)) != outcome:
            raise task.NonDeterminismError(
                f"{instance_id}: a turn taken twice acts differently: {taken.actions}, then {response.actions}"
            )
        _REPLAYED[replayed] = outcome
        return response

    def _activity(self) -> bool:
        if not self._backend.activities:
            return False
        work = self._backend.activities.popleft()
        twice = self.redeliver_activities
        if twice(work.item.name) if callable(twice) else twice:
            self._call(work.item)
        self._backend.complete_activity(work, self._call(work.item))
        return True

    def _call(self, item: ActivityWorkItem) -> str | Exception:
        """Run one activity; the encoded result, or what it raised (a result that is not JSON raises, too)."""
        function = _find(self._activities, item.name, "activity")
        at, data = self.clock.now(), decode(item.input)
        try:
            encoded = df_dumps(function(decode(item.input)))
        except Exception as error:  # noqa: BLE001 - whatever an activity raises is an outcome
            self.calls.append(Call(at, item.name, data, error=error))
            return error
        self.calls.append(Call(at, item.name, data, result=decode(encoded)))
        return encoded

    def _entity(self) -> bool:
        request = self._backend.take_entity()
        if request is None:
            return False
        result = self._worker._execute_entity_batch(request, _Accepting(), "")
        self._backend.complete_entity(result, request.instanceId)
        return True

    def _skip(self, until: datetime | None) -> bool:
        due = self._backend.next_due()
        if due is None or (until is not None and due.at > until):
            return False
        heapq.heappop(self._backend.due)
        self.clock.skip_to(due.at)
        due.happen()
        return True

    def _name_of(self, function: Callable[..., Any]) -> str:
        for name, candidate in self._orchestrators.items():
            if candidate is function:
                return name
        raise LookupError(f"{function!r} is not an orchestrator of this hub")

    def _summary(self) -> str:
        return ", ".join(f"{key} is {STATUS_NAMES[one.status]}" for key, one in self._backend._instances.items())


_REPLAYED: dict[tuple[Callable[..., Any], bytes], bytes] = {}
"""What came of each replay of this process, by the orchestrator and the history: digests."""


def _digest(message: pb.OrchestratorRequest | pb.OrchestratorResponse) -> bytes:
    return hashlib.blake2b(message.SerializeToString(deterministic=True), digest_size=16).digest()


def _outcome(response: pb.OrchestratorResponse) -> pb.OrchestratorResponse:
    """What the turn decided, without stack traces: they tell of the caller, too."""
    outcome = pb.OrchestratorResponse(actions=response.actions, customStatus=response.customStatus)
    for action in outcome.actions:
        if action.completeOrchestration.HasField("failureDetails"):
            without_stack_traces(action.completeOrchestration.failureDetails)
    return outcome


def without_stack_traces(details: pb.TaskFailureDetails) -> None:
    """Take the stack traces out of an error and its causes: they hold paths of one machine."""
    details.ClearField("stackTrace")
    if details.HasField("innerFailure"):
        without_stack_traces(details.innerFailure)


class _Accepting:
    """Stands where the worker's gRPC stub would; the pump takes the result itself."""

    def CompleteEntityTask(self, _result: pb.EntityBatchResult) -> None:  # noqa: N802 - the stub's name
        return


def _payload(value: Any) -> wrappers_pb2.StringValue | None:
    return None if value is None else wrappers_pb2.StringValue(value=df_dumps(value))


def _find(functions: Mapping[str, Callable[..., Any]], name: str, kind: str) -> Callable[..., Any]:
    if name not in functions:
        raise LookupError(f"no {kind} is registered as {name!r}, only {sorted(functions)}")
    return functions[name]
