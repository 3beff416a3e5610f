"""The stages of a restore, in their order: each has exactly what is known then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.azure.disks import Disk
from domain.azure.jobs import Job, Operation
from domain.azure.point_search import SearchProgress
from domain.azure.protected_items import ProtectedItem
from domain.azure.recovery_points import RecoveryPoint
from domain.azure.virtual_machines import VirtualMachine
from domain.errors import Json
from domain.follow_up.work import Work
from domain.restore.answers import AcceptedOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What the trigger needs: item and point, checked. ``candidates`` are a plan's verdicts, for its result.

    ``machine`` is the VM that the restored disks are for, as it was when the restore was prepared. ``source_size`` is
    the size of the backed-up VM if a new one gets the same. ``data_disk_room`` is how many more data disks the VM can
    have that gets the restored ones, if that matters and is known.
    """

    item: ProtectedItem
    point: RecoveryPoint
    guard_requests: tuple[str, ...] = ()
    candidates: tuple[Json, ...] = ()
    machine: VirtualMachine | None = None
    source_size: str | None = None
    data_disk_room: int | None = None


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
    """The job has succeeded; the managed disks that it created are listed.

    They are compared with ``luns``, which is ``None`` if the caller asked for all disks.
    """

    kind: ClassVar = "comparingDisks"
    tracked: TrackingJob
    job: Job
    resource_group_id: str
    luns: tuple[int, ...] | None = None

    @property
    def prepared(self) -> Prepared:
        """What was restored."""
        return self.tracked.prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The end of a job that has succeeded, and the managed disks that it made."""

    tracked: TrackingJob
    job: Job
    disks: tuple[Disk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingMaintenance:
    """The disks are restored; a person must approve that the VM is deallocated for their swap."""

    kind: ClassVar = "awaitingMaintenance"
    restored: Restored
    work: Work
    since: datetime

    @property
    def prepared(self) -> Prepared:
        """What was restored."""
        return self.restored.tracked.prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowingUp:
    """The restored disks are put to use. ``restored`` is ``None`` for the undo of an earlier restore's swap."""

    kind: ClassVar = "followingUp"
    work: Work
    restored: Restored | None = None

    @property
    def prepared(self) -> Prepared | None:
        """What was restored."""
        return self.restored.tracked.prepared if self.restored else None


type Posting = Triggering | AwaitingResourceGuard
type Tracking = TrackingOperation | FindingJob | TrackingJob | ComparingDisks
type AfterJob = AwaitingMaintenance | FollowingUp
type Stage = Resolving | Preparing | Validating | AwaitingApproval | Posting | Searching | Tracking | AfterJob
