"""The parts of a restore's state that go along with every stage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.errors import Json, RestoreWarning
from domain.request_schema import BEFORE_SWAP, BEFORE_TRIGGER
from domain.requests import RestoreRequest
from domain.restore.answers import Refusal
from domain.restore.polling import Limits


class Phase(StrEnum):
    """How far a restore has come, as its status document shows it."""

    RESOLVING = "Resolving"
    SELECTING_RECOVERY_POINT = "SelectingRecoveryPoint"
    VALIDATING = "Validating"
    AWAITING_APPROVAL = "AwaitingApproval"
    TRIGGERING = "Triggering"
    TRACKING_OPERATION = "TrackingOperation"
    TRACKING_JOB = "TrackingJob"
    SWAPPING_DISKS = "SwappingDisks"
    CREATING_VIRTUAL_MACHINE = "CreatingVirtualMachine"
    ATTACHING_DISKS = "AttachingDisks"
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


class WaitReason(StrEnum):
    """What a restore waits for, as its status document shows it.

    ``THROTTLED``: Azure has too many requests or an outage. ``RETRY_AFTER``: Azure asked for a wait in a good answer.
    ``VAULT_BUSY``: all slots of the vault are taken. ``VAULT_BLOCKED``: Azure Backup blocks the vault.
    """

    THROTTLED = "Throttled"
    RETRY_AFTER = "RetryAfter"
    APPROVAL = "Approval"
    RESOURCE_GUARD = "ResourceGuard"
    ITEM_BUSY = "ItemBusy"
    VAULT_BUSY = "VaultBusy"
    VAULT_BLOCKED = "VaultBlocked"


ENDED: Final = frozenset(Status) - {Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL}
"""The statuses of a restore that has ended."""


# What was accepted


class Source(StrEnum):
    """What started a restore."""

    HTTP = "http"
    QUEUE = "queue"
    ALERT = "alert"
    RECOVERY = "recovery"

    @property
    def waits_for_admission(self) -> bool:
        """Whether the caller is kept waiting until admission control has answered."""
        return self in {Source.HTTP, Source.ALERT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """The recovery that a restore is a member of: which one of its members, and which attempt to restore it.

    ``looked``: all restore jobs of the vault were looked through when the recovery began, and none was this restore's.
    """

    recovery_id: str
    index: int
    attempt: int
    looked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertStart:
    """What an alert and its rule say about the start of a restore.

    ``cool_down`` is counted from the end of the VM's last restore; ``max_per_hour`` is ``None`` for no budget.
    ``approval_reason`` says why a person must approve, whatever the rule says; ``None`` if the alert alone is enough.
    """

    alert_id: str
    rule: str
    cool_down: timedelta
    max_per_hour: int | None
    storm_vms: int
    storm_within: timedelta
    approval_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a caller asked for, and when. It never changes.

    ``fingerprint`` is equal for equal requests. ``start_token`` is made by each call that starts a restore: with it
    the call recognises the running instance as its own. ``undo_of`` is the restore whose swap this one takes back.
    """

    restore_id: str
    request: RestoreRequest
    fingerprint: str
    source: Source
    created: datetime
    limits: Limits
    alert: AlertStart | None = None
    start_token: str | None = None
    member: Membership | None = None
    undo_of: str | None = None


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
    in its name. ``to_wake`` is a restore that got a slot by a release and must be woken. ``was_woken``: this restore
    was woken, perhaps before the answer that makes it wait. ``blocked_until``: Azure Backup blocks the vault, so no
    restore of it may start before this time. ``running``: so many restores of the vault had a slot when this one got
    its own.
    """

    state: SlotState
    suspect: str | None = None
    vanished: str | None = None
    to_wake: str | None = None
    was_woken: bool = False
    blocked_until: datetime | None = None
    running: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether nothing keeps the restore from running at its vault."""
        return self.state in {SlotState.HELD, SlotState.NOT_NEEDED}


class WatchNews(StrEnum):
    """What the watcher of a vault tells a restore about its job.

    ``GONE``: the list of running restores does not have the job any more, so it may have ended. ``TURN``: the job still
    runs, and may be read once, for its progress. ``UNWATCHED``: the watcher cannot read the list.
    """

    FOUND = "Found"
    GONE = "Gone"
    TURN = "Turn"
    UNWATCHED = "Unwatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """The vault's watcher looks for the restore's job, and at it.

    Until ``quiet_until``, the restore polls neither operation nor job itself; ``None`` while it polls at its own pace.
    ``is_gone``: the list of running restores does not have its job any more, so the job must be read. ``false_ends``
    counts how often the job ran nevertheless. ``has_turn``: the job is read once for its progress, quiet or not.
    """

    quiet_until: datetime | None = None
    is_gone: bool = False
    false_ends: int = 0
    has_turn: bool = False


class Decision(StrEnum):
    """What a person decided, or that nobody did in time."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"


class Before(StrEnum):
    """What a restore does as soon as a person has approved it."""

    TRIGGER = BEFORE_TRIGGER
    SWAP = BEFORE_SWAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person's approval, where one is needed. ``expires`` is known once the restore waits for it."""

    reason: str
    before: Before = Before.TRIGGER
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
class ItemBusy:
    """Azure does not take the restore yet, because it runs another operation on the protected item.

    ``since`` is when it first said so, ``answers`` how often it said so. ``error`` is the last such answer, as ARM's
    inner error object.
    """

    since: datetime
    answers: int
    error: Json


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """A change of the restore's status: the new status, since when, and the status document of that moment.

    In the state, the document of the end is ``None``: it is made when the event is sent.
    """

    status: Status
    time: datetime
    document: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEvents:
    """The latest status that was noted, and the changes of status that are still to be sent, the oldest first."""

    noted: Status | None = None
    to_publish: tuple[StatusChange, ...] = ()
    to_post: tuple[StatusChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseWait:
    """How long a restore waited for one reason."""

    reason: WaitReason
    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseStart:
    """A phase of the restore, and what the restore waited for in it. It ends when the next one starts."""

    phase: Phase
    started: datetime
    waits: tuple[PhaseWait, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The phases of a restore, the oldest first; what it waits for now, if anything, and since when."""

    phases: tuple[PhaseStart, ...] = ()
    waiting: WaitReason | None = None
    waiting_since: datetime | None = None


class RefusedWhen(StrEnum):
    """When admission control refused a start: while its caller waited, or after the caller had been answered."""

    AT_ONCE = "AtOnce"
    LATER = "Later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the restore ended. ``error`` is ARM's inner error object, ``result`` the status document's.

    ``notes`` are warnings from after the end; they are too late to be part of the published result. ``told``: the
    recovery whose member the restore is knows of the end.
    """

    status: Status
    completed: datetime
    error: Json | None = None
    result: Json | None = None
    refused: RefusedWhen | None = None
    queue: Delivery = Delivery.PENDING
    webhook: Delivery = Delivery.NOT_NEEDED
    notes: tuple[RestoreWarning, ...] = ()
    told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The restore's time: that of the latest answer, timer or event delivered to it.

    ``paused`` is how long it waited for a person, which does not count towards the deadline. ``requests`` counts the
    requests to entities: by its number an entity recognises a request that arrives twice or too late.
    """

    now: datetime
    paused: timedelta = timedelta()
    requests: int = 0
