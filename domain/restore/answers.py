"""What activities and entities answer to a restore's calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.azure.disks import Disk
from domain.azure.point_search import SearchProgress
from domain.azure.recovery_points import RecoveryPoint
from domain.azure.virtual_machines import VirtualMachine
from domain.errors import Json, RestoreWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The answer of a call that returns nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedOperation:
    """An operation that the service has started. ``url`` is its address as given, or ``None`` if that is not usable."""

    operation_id: str
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StillReading:
    """The list of points is long and not completely read: the call is made again with this progress."""

    kind: ClassVar = "reading"
    progress: SearchProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPointForPlan:
    """No point fits a plan; its ``candidates`` say why. ``error`` is ARM's inner error object."""

    kind: ClassVar = "noPoint"
    candidates: tuple[Json, ...]
    candidates_cut: int
    error: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """The chosen point, checked against the restore constraints.

    ``guard_requests`` are the Resource Guard requests that the trigger must carry. ``validation`` is the service's own
    validation, ``None`` if it is not wanted or not available. ``candidates`` are a plan's verdicts; ``candidates_cut``
    counts those that were left out. ``machine`` is the VM if its disks are to be swapped; ``source_size`` is its size
    if a new VM of the disks gets the same. ``data_disk_room`` is how many more data disks the VM can have that gets
    the restored ones, if it was read because there may be too many.
    """

    kind: ClassVar = "prepared"
    point: RecoveryPoint
    guard_requests: tuple[str, ...] = ()
    validation: AcceptedOperation | None = None
    candidates: tuple[Json, ...] = ()
    candidates_cut: int = 0
    warnings: tuple[RestoreWarning, ...] = ()
    machine: VirtualMachine | None = None
    source_size: str | None = None
    data_disk_room: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A restore that the service has accepted. ``job_id`` is set for a job adopted from an earlier post.

    Both members are ``None`` when the answer had no usable header.
    """

    job_id: str | None = None
    operation: AcceptedOperation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whether the restore has claimed the attempt; false when a delivery of ``start_restore`` has claimed it."""

    is_ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundJob:
    """The restore's job, or ``None`` if the service lists none."""

    job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Whether the vault's watcher watches the restore's job; not if it has not read its list for long."""

    is_watched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredDisks:
    """The managed disks that a restore created."""

    disks: tuple[Disk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Whether a restore runs; one that only publishes its result does not. ``ended`` is when it ended, if known."""

    is_running: bool
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The result is on the results queue. ``has_webhook``: it must also be posted to the webhook."""

    has_webhook: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LockHolder:
    """The restore that holds a VM's lock, and since when."""

    restore_id: str
    created: datetime
    source: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why admission control does not let a restore start. ``holder`` is the restore that holds the VM's lock."""

    code: str
    message: str
    holder: LockHolder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer of a lock or a budget: granted if there is no refusal."""

    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """Whether alerts want more VMs restored than a rule thinks likely, and how many."""

    is_storm: bool
    vms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotGrant:
    """The answer of a vault's slots.

    ``holder`` is set if none was free: a restore that has one, a different one each time, or one that comes before it.
    ``blocked_until`` is set if Azure Backup blocks the vault, or blocked it and is not known to have stopped: then one
    restore after another tries. ``running`` is how many restores have a slot, this one included, if it has one now.
    """

    holder: str | None = None
    ahead: int = 0
    blocked_until: datetime | None = None
    running: int = 0

    @property
    def is_granted(self) -> bool:
        """Whether the restore has a slot."""
        return self.holder is None and self.blocked_until is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReleased:
    """A slot was released. ``next_id`` is the restore that waited longest and now has the slot, if any."""

    next_id: str | None = None


type Prepared = Preparation | NoPointForPlan | StillReading
