"""One restore from acceptance to its end, as a value: what was accepted, how far it has come, and what became of it.

The state is the orchestration's input, and its input again whenever the history is started afresh. Times are aware UTC.
``stage`` says how far the restore has come and has exactly what is known at that point; the other parts exist in every
stage. ``domain.restore.machine`` moves a restore from state to state.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, Self

from domain.azure.jobs import Job, Operation
from domain.azure.point_search import SearchProgress
from domain.azure.protected_items import ProtectedItem
from domain.azure.recovery_points import RecoveryPoint
from domain.errors import Json, RestoreWarning
from domain.requests import RestoreRequest
from domain.restore.backoff import Backoff
from domain.restore.calls import AcceptedOperation, Refusal
from domain.restore.polling import Limits

_NAMESPACE: Final = uuid.UUID("5d0f3c1e-6a0b-5d0c-9c55-0b6e3a8f4a21")
_MAX_WARNINGS: Final = 50

ADMISSION_PATIENCE_S: Final = 5.0
"""How long a caller waits for admission control; a later refusal is reported by the results queue."""


def restore_id_for(key: str) -> str:
    """Return the restore's id for an idempotency key; the same key always gives the same id."""
    return str(uuid.uuid5(_NAMESPACE, key))


# What callers see


class Phase(StrEnum):
    """How far a restore has come, as its status document shows it."""

    RESOLVING = "Resolving"
    SELECTING_RECOVERY_POINT = "SelectingRecoveryPoint"
    VALIDATING = "Validating"
    AWAITING_APPROVAL = "AwaitingApproval"
    TRIGGERING = "Triggering"
    TRACKING_OPERATION = "TrackingOperation"
    TRACKING_JOB = "TrackingJob"
    FINISHED = "Finished"


class Status(StrEnum):
    """The status of a restore, as its status document shows it."""

    PENDING = "Pending"
    RUNNING = "Running"
    AWAITING_APPROVAL = "AwaitingApproval"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"
    PLANNED = "Planned"


ENDED: Final = frozenset(Status) - {Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL}
"""The statuses of a restore that has ended."""


# What was accepted


class Source(StrEnum):
    """What started a restore."""

    HTTP = "http"
    QUEUE = "queue"
    ALERT = "alert"

    @property
    def waits_for_admission(self) -> bool:
        """Whether the caller is kept waiting until admission control has answered."""
        return self is not Source.QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStart:
    """What the rule of an alert says about the start of a restore.

    ``cool_down`` is counted from the end of the VM's last restore; ``max_per_hour`` is ``None`` for no budget.
    """

    alert_id: str
    rule: str
    cool_down: timedelta
    max_per_hour: int | None
    storm_vms: int
    storm_within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a caller asked for, and when. It never changes.

    ``fingerprint`` is equal for equal requests. ``start_token`` is made by each call that starts a restore: with it
    the call recognises the running instance as its own.
    """

    restore_id: str
    request: RestoreRequest
    fingerprint: str
    source: Source
    created: datetime
    limits: Limits
    alert: AlertStart | None = None
    start_token: str | None = None


# Stages, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the trigger needs: item and point, checked. ``candidates`` are a plan's verdicts, for its result."""

    item: ProtectedItem
    point: RecoveryPoint
    guard_requests: tuple[str, ...] = ()
    candidates: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolving:
    """The protected item is being looked up."""

    kind: ClassVar = "resolving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """The point is chosen and checked, and the service's validation is started. A long list is read in slices.

    ``is_posted``: another run of the same step may have posted the restore, so its job is searched for afterwards.
    """

    kind: ClassVar = "preparing"
    item: ProtectedItem
    progress: SearchProgress | None = None
    is_posted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Validating:
    """The service's own validation runs."""

    kind: ClassVar = "validating"
    prepared: Prepared
    operation: AcceptedOperation
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingApproval:
    """A person must approve the restore."""

    kind: ClassVar = "awaitingApproval"
    prepared: Prepared
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggering:
    """The restore is to be posted. ``in_doubt``: an attempt broke, and whether it may have posted is not known yet."""

    kind: ClassVar = "triggering"
    prepared: Prepared
    in_doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingResourceGuard:
    """The vault's Resource Guard refuses the trigger until a person opens it; the trigger is sent again meanwhile.

    ``refusal`` is ARM's inner error object. ``in_doubt`` as on :class:`Triggering`.
    """

    kind: ClassVar = "awaitingResourceGuard"
    prepared: Prepared
    since: datetime
    refusal: Json
    in_doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searching:
    """The outcome of a post is unknown, so its job is searched for. ``before`` is the stage in which it was posted."""

    kind: ClassVar = "searching"
    before: Triggering | AwaitingResourceGuard
    since: datetime

    @property
    def prepared(self) -> Prepared:
        """What was posted."""
        return self.before.prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingOperation:
    """Azure has the restore; its operation is polled until it names the job.

    ``ended`` is the operation's last answer if it ended without naming a job.
    """

    kind: ClassVar = "trackingOperation"
    prepared: Prepared
    triggered: datetime
    operation: AcceptedOperation
    ended: Operation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingJob:
    """Azure has the restore, and no operation can be polled; the job is searched for in the vault's list."""

    kind: ClassVar = "findingJob"
    prepared: Prepared
    triggered: datetime
    operation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingJob:
    """The job is polled until it ends. ``progress_pct`` is its last reported progress."""

    kind: ClassVar = "trackingJob"
    prepared: Prepared
    triggered: datetime
    job_id: str
    operation_id: str | None = None
    progress_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparingDisks:
    """The job has succeeded; the disks that it created are compared with the requested ones."""

    kind: ClassVar = "comparingDisks"
    tracked: TrackingJob
    job: Job
    resource_group_id: str
    luns: tuple[int, ...]

    @property
    def prepared(self) -> Prepared:
        """What was restored."""
        return self.tracked.prepared


type Posting = Triggering | AwaitingResourceGuard
type Tracking = TrackingOperation | FindingJob | TrackingJob | ComparingDisks
type Stage = Resolving | Preparing | Validating | AwaitingApproval | Posting | Searching | Tracking


# What goes along with every stage


class LockState(StrEnum):
    """How far a restore has come with the lock of its VM. A plan needs none. ``REFUSED``: by admission control."""

    NOT_NEEDED = "NotNeeded"
    WANTED = "Wanted"
    HELD = "Held"
    REFUSED = "Refused"
    RELEASED = "Released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Whether the restore may start: one restore of a VM at a time, and for alerts budget and storm.

    ``refusal`` is the lock's refusal while it is unknown whether the lock's holder still runs. ``holder_ended`` is when
    that holder ended, once that is known. ``rechecked``: the lock has been released in its holder's name once.
    """

    lock: LockState
    refusal: Refusal | None = None
    holder_ended: datetime | None = None
    rechecked: bool = False
    has_budget: bool = False
    storm_noted: bool = False
    admitted: bool = False


class SlotState(StrEnum):
    """How far a restore has come with its slot at the vault. ``WAITING``: it waits in line."""

    NOT_NEEDED = "NotNeeded"
    WANTED = "Wanted"
    WAITING = "Waiting"
    HELD = "Held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """The restore's slot at its vault, and the calls that it must make for other restores in line.

    ``suspect`` is the id of a holder that may no longer run, ``vanished`` that of one which does not: its slot is freed
    in its name. ``to_wake`` is a restore that got a slot by a release and must be woken. ``was_woken``: this restore was
    woken, perhaps before the answer that makes it wait.
    """

    state: SlotState
    suspect: str | None = None
    vanished: str | None = None
    to_wake: str | None = None
    was_woken: bool = False

    @property
    def is_ready(self) -> bool:
        """Whether nothing keeps the restore from running at its vault."""
        return self.state in {SlotState.HELD, SlotState.NOT_NEEDED}


class Decision(StrEnum):
    """What a person decided, or that nobody did in time."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's approval, where one is needed. ``expires`` is known once the restore waits for it."""

    reason: str
    expires: datetime | None = None
    decision: Decision | None = None
    by: str | None = None
    comment: str | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """How often the restore was posted.

    ``attempts`` numbers the attempts: each is claimed under its number. ``unknown`` counts the posts whose outcome
    stayed unknown.
    """

    attempts: int = 0
    unknown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Who asked to cancel, why and when. ``is_done``: the service accepted the cancellation, or refused it."""

    by: str | None = None
    comment: str | None = None
    time: datetime | None = None
    is_done: bool = False


class Delivery(StrEnum):
    """The state of publishing the result to the results queue or to the webhook."""

    NOT_NEEDED = "NotNeeded"
    PENDING = "Pending"
    DONE = "Done"
    FAILED = "Failed"


class RefusedWhen(StrEnum):
    """When admission control refused a start: while its caller waited, or after the caller had been answered."""

    AT_ONCE = "AtOnce"
    LATER = "Later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the restore ended. ``error`` is ARM's inner error object, ``result`` the status document's.

    ``notes`` are warnings from after the end; they are too late to be part of the published result.
    """

    status: Status
    completed: datetime
    error: Json | None = None
    result: Json | None = None
    refused: RefusedWhen | None = None
    queue: Delivery = Delivery.PENDING
    webhook: Delivery = Delivery.NOT_NEEDED
    notes: tuple[RestoreWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The restore's time: that of the latest answer, timer or event delivered to it.

    ``paused`` is how long it waited for a person, which does not count towards the deadline. ``requests`` counts the
    requests to entities: by its number an entity recognises a request that arrives twice or too late.
    """

    now: datetime
    paused: timedelta = timedelta()
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """The state of one restore: see this module's description."""

    accepted: Accepted
    clock: Clock
    admission: Admission
    slot: Slot
    stage: Stage = Resolving()
    approval: Approval | None = None
    trigger: Trigger = Trigger()
    cancellation: Cancellation | None = None
    backoff: Backoff = field(default_factory=Backoff)
    warnings: tuple[RestoreWarning, ...] = ()
    outcome: Outcome | None = None

    @classmethod
    def accept(
        cls,
        request: RestoreRequest,
        *,
        restore_id: str,
        source: Source,
        created: datetime,
        limits: Limits,
        alert: AlertStart | None = None,
        start_token: str | None = None,
    ) -> Self:
        """Return a new restore; ``alert`` is given exactly if ``source`` is an alert."""
        needs_slot = not request.is_plan and limits.max_per_vault is not None
        restore = cls(
            accepted=Accepted(
                restore_id=restore_id,
                request=request,
                fingerprint=request.fingerprint,
                source=source,
                created=created,
                limits=limits,
                alert=alert,
                start_token=start_token,
            ),
            clock=Clock(now=created),
            admission=Admission(
                lock=LockState.NOT_NEEDED if request.is_plan else LockState.WANTED, admitted=request.is_plan
            ),
            slot=Slot(state=SlotState.WANTED if needs_slot else SlotState.NOT_NEEDED),
        )
        if request.needs_approval and not request.is_plan:
            return restore.with_approval("The request asks for an approval.")
        return restore

    @property
    def restore_id(self) -> str:
        """The restore's id."""
        return self.accepted.restore_id

    @property
    def request(self) -> RestoreRequest:
        """What the caller asked for."""
        return self.accepted.request

    @property
    def limits(self) -> Limits:
        """The bounds of this restore."""
        return self.accepted.limits

    @property
    def client_request_id(self) -> str:
        """The trigger's ``x-ms-client-request-id``: the service copies it into the job's ``activityId``."""
        return str(uuid.uuid5(_NAMESPACE, f"restore/{self.restore_id}"))

    @property
    def item(self) -> ProtectedItem | None:
        """The protected item, once it is known."""
        if isinstance(self.stage, Preparing):
            return self.stage.item
        return self.prepared.item if self.prepared else None

    @property
    def prepared(self) -> Prepared | None:
        """Item and point, once they are chosen and checked."""
        if isinstance(self.stage, Resolving | Preparing):
            return None
        return self.stage.tracked.prepared if isinstance(self.stage, ComparingDisks) else self.stage.prepared

    @property
    def source_resource_id(self) -> str | None:
        """The backed-up VM's id, as far as it is known."""
        return self.request.source_resource_id or (self.item.source_resource_id if self.item else None)

    @property
    def azure_has_it(self) -> bool:
        """Whether Azure has the restore, or may have it; then no single failed call ends it."""
        return isinstance(self.stage, Searching | TrackingOperation | FindingJob | TrackingJob | ComparingDisks)

    @property
    def awaits_decision(self) -> bool:
        """Whether an approval is needed that nobody has given or refused yet."""
        return self.approval is not None and self.approval.decision is None

    @property
    def waits_for_person_until(self) -> datetime | None:
        """Until when the restore waits for a person; ``None`` if it does not wait for one."""
        since = _waits_for_person_since(self.stage)
        return None if since is None else since + self.request.approval_timeout

    @property
    def deadline(self) -> datetime:
        """When a restore that still runs is reported as ``TimedOut``; waiting for a person does not count."""
        waits = timedelta() if self.waits_for_person_until is None else self.request.approval_timeout
        return self.accepted.created + timedelta(seconds=self.limits.deadline_s) + self.clock.paused + waits

    @property
    def has_deadline(self) -> bool:
        """Whether the deadline still counts: neither the restore nor its job has ended."""
        return self.outcome is None and not isinstance(self.stage, ComparingDisks)

    def at(self, moment: datetime | None) -> Self:
        """Return the restore with its clock moved forward to this time; it never goes back."""
        if moment is None or moment <= self.clock.now:
            return self
        return replace(self, clock=replace(self.clock, now=moment))

    def with_request(self) -> Self:
        """Return the restore with the next number for a request to an entity."""
        return replace(self, clock=replace(self.clock, requests=self.clock.requests + 1))

    def with_stage(self, stage: Stage, now: datetime) -> Self:
        """Return the restore in another stage; the time for which it waited for a person is added to its pause."""
        since, paused = _waits_for_person_since(self.stage), self.clock.paused
        if since is not None and _waits_for_person_since(stage) is None:
            paused += now - since
        return replace(self, stage=stage, clock=replace(self.clock, paused=paused))

    def with_warning(self, code: str, message: str) -> Self:
        """Return the restore with one more warning; the same warning is kept once."""
        warning = RestoreWarning(code=code, message=message)
        if warning in self.warnings:
            return self
        return replace(self, warnings=(*self.warnings, warning)[-_MAX_WARNINGS:])

    def with_approval(self, reason: str) -> Self:
        """Return the restore, which needs an approval before it is triggered; an earlier reason for one is kept."""
        if self.approval is not None:
            return self
        return replace(self, approval=Approval(reason=reason))


def _waits_for_person_since(stage: Stage) -> datetime | None:
    asked_in = stage.before if isinstance(stage, Searching) else stage
    return asked_in.since if isinstance(asked_in, AwaitingApproval | AwaitingResourceGuard) else None
