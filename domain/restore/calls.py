"""Every call that a restore makes: its input as a type, and the type of its answer.

An activity's call reaches Azure or the task hub. An entity's call reaches the VM's lock, a budget, the storm count or
the slots of a vault. Names are stored in the history of every restore: add names, never rename one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

from domain.azure.jobs import Job, Operation
from domain.azure.point_search import SearchProgress
from domain.azure.protected_items import ProtectedItem
from domain.azure.validation import Validation
from domain.errors import Json
from domain.requests import RestoreRequest
from domain.restore.answers import (
    Claim,
    Done,
    FoundJob,
    Grant,
    Joined,
    LockHolder,
    Prepared,
    Published,
    RestoredDisks,
    Running,
    SlotGrant,
    SlotReleased,
    Started,
    Storm,
)
from domain.restore.parts import StatusChange
from domain.restore.polling import Limits

_KEYS: Final = uuid.UUID("0b9a6a0c-8f5e-5a53-9b0e-5b8a3f3d9c11")


def entity_key(name: str) -> str:
    """Return the entity key for a VM id, a vault id or a rule's name. Keys contain no slash, and case is ignored.

    It uses ``lower``, as ``same_id`` does: two names that are different for Azure never share an entity.
    """
    return str(uuid.uuid5(_KEYS, name.rstrip("/").lower()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCall:
    """The input of an activity; ``answer`` is the type of what it returns.

    ``is_delivery``: the call sends events; a restore that runs does not wait for its answer.
    """

    name: ClassVar[str]
    answer: ClassVar[Any]
    is_delivery: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityCall:
    """A request to an entity. ``key``, from ``entity_key``, says which one. A signal has no answer."""

    entity: ClassVar[str]
    operation: ClassVar[str]
    name: ClassVar[str]
    answer: ClassVar[Any]
    is_signal: ClassVar[bool] = False
    is_delivery: ClassVar[bool] = False
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCall:
    """An event that is raised at another orchestration. It has no answer; one that has ended does not hear it."""

    name: ClassVar[str]
    event: ClassVar[str]
    answer: ClassVar[Any]
    is_delivery: ClassVar[bool] = False
    instance_id: str
    data: Json


type Call = ActivityCall | EntityCall | EventCall


# Activities


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveItem(ActivityCall):
    """Find the protected item that a request means."""

    name: ClassVar = "resolve_item"
    answer: ClassVar = ProtectedItem
    source_resource_id: str | None = None
    vault_id: str | None = None
    container_name: str | None = None
    protected_item_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRestore(ActivityCall):
    """Choose the point, check the restore constraints, and start the service's own validation."""

    name: ClassVar = "prepare_restore"
    answer: ClassVar = Prepared
    item: ProtectedItem
    request: RestoreRequest
    now: datetime
    progress: SearchProgress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetValidation(ActivityCall):
    """Poll the service's own validation of the restore. If it fails, ``item`` is read: it may be soft-deleted."""

    name: ClassVar = "get_validation"
    answer: ClassVar = Validation
    vault_id: str
    operation_id: str
    url: str | None
    item: ProtectedItem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRestore(ActivityCall):
    """Post the restore, once: ``attempt`` numbers the posts. ``asked`` is when the orchestrator called for this one.

    ``looked``: all restore jobs of the vault were looked through when the restore's recovery began.
    """

    name: ClassVar = "start_restore"
    answer: ClassVar = Started
    item: ProtectedItem
    body: Json
    client_request_id: str
    attempt: int
    asked: datetime | None = None
    looked: bool = False

    @property
    def point_id(self) -> str:
        """The recovery point's name."""
        return self.body["properties"]["recoveryPointId"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPost(ActivityCall):
    """Claim an attempt to post in the restore's name, so that no delivery of ``start_restore`` posts under it."""

    name: ClassVar = "claim_post"
    answer: ClassVar = Claim
    client_request_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindJob(ActivityCall):
    """Search the vault's restore jobs for the one whose ``activityId`` is the trigger's client request id."""

    name: ClassVar = "find_job"
    answer: ClassVar = FoundJob
    vault_id: str
    client_request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetOperation(ActivityCall):
    """Poll the restore's operation, at ``url`` or at the vault's own address for it."""

    name: ClassVar = "get_operation"
    answer: ClassVar = Operation
    vault_id: str
    operation_id: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetJob(ActivityCall):
    """Poll the restore's job."""

    name: ClassVar = "get_job"
    answer: ClassVar = Job
    vault_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWatch(ActivityCall):
    """Register at the vault's watcher, which is started if none runs; a restore that waits registers again and again.

    ``triggered`` is when Azure took the restore. ``has_job``: its job is known, so it need not be found. ``is_again``:
    the restore has relied on the watcher since it last registered.
    """

    name: ClassVar = "join_watch"
    answer: ClassVar = Joined
    vault_id: str
    restore_id: str
    client_request_id: str
    triggered: datetime
    limits: Limits
    has_job: bool = False
    is_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelJob(ActivityCall):
    """Ask the service to cancel the restore's job."""

    name: ClassVar = "cancel_job"
    answer: ClassVar = Done
    vault_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRestoredDisks(ActivityCall):
    """List the managed disks that a job created in a resource group.

    If no disk is tagged with its job, the names of the VMs, ``since`` and ``until`` tell which ones are meant.
    """

    name: ClassVar = "list_restored_disks"
    answer: ClassVar = RestoredDisks
    target_resource_group_id: str
    source_resource_id: str
    since: datetime
    until: datetime
    job_id: str = ""
    target_virtual_machine_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindRunning(ActivityCall):
    """Read from the task hub whether a restore runs."""

    name: ClassVar = "find_running"
    answer: ClassVar = Running
    restore_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeRestore(ActivityCall):
    """Raise the event that wakes a restore which waits for a slot."""

    name: ClassVar = "wake_restore"
    answer: ClassVar = Done
    restore_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult(ActivityCall):
    """Put the status document on the results queue."""

    name: ClassVar = "publish_result"
    answer: ClassVar = Published
    document: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PostResult(ActivityCall):
    """Post the status document to the webhook."""

    name: ClassVar = "post_result"
    answer: ClassVar = Done
    document: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishEvents(ActivityCall):
    """Put an event for each of these changes of the status on the events queue, in this order."""

    name: ClassVar = "publish_events"
    answer: ClassVar = Done
    is_delivery: ClassVar = True
    changes: tuple[StatusChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEvent(ActivityCall):
    """Post an event for this change of the status to the webhook, if there is one."""

    name: ClassVar = "post_event"
    answer: ClassVar = Done
    is_delivery: ClassVar = True
    change: StatusChange


# Entities


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquireLock(EntityCall):
    """Take the lock of a VM. With a cool-down, it is refused for so long after the end of the VM's last restore.

    ``of_plan``: it is the lock of a recovery plan, and recoveries take it.
    """

    entity: ClassVar = "vm_lock"
    operation: ClassVar = "acquire"
    name: ClassVar = "acquire_lock"
    answer: ClassVar = Grant
    vm: str
    source: str
    cool_down: timedelta | None = None
    of_plan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseVanishedLock(EntityCall):
    """Release a VM's lock in the name of a restore that no longer runs."""

    entity: ClassVar = "vm_lock"
    operation: ClassVar = "release_vanished"
    name: ClassVar = "release_vanished_lock"
    answer: ClassVar = Done
    holder: LockHolder
    ended: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLock(EntityCall):
    """Release a VM's lock at the restore's end.

    ``unused``: Azure never had the restore, and cannot have it, so no cool-down begins.
    """

    entity: ClassVar = "vm_lock"
    operation: ClassVar = "release"
    name: ClassVar = "release_lock"
    answer: ClassVar = Done
    is_signal: ClassVar = True
    ended: datetime
    unused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeBudget(EntityCall):
    """Take one of the restores that a rule may start within an hour."""

    entity: ClassVar = "rule_budget"
    operation: ClassVar = "take"
    name: ClassVar = "take_budget"
    answer: ClassVar = Grant
    rule: str
    max_per_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAlert(EntityCall):
    """Note that an alert wants a VM restored, to notice a storm of alerts."""

    entity: ClassVar = "alert_storm"
    operation: ClassVar = "note"
    name: ClassVar = "note_alert"
    answer: ClassVar = Storm
    vm: str
    distinct_vms: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AcquireSlot(EntityCall):
    """Take one of a vault's slots, or wait in line for one."""

    entity: ClassVar = "vault_slots"
    operation: ClassVar = "acquire"
    name: ClassVar = "acquire_slot"
    answer: ClassVar = SlotGrant
    max_per_vault: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSlot(EntityCall):
    """Release a slot, or leave the line, in the name of the restore ``holder_id``.

    ``blocked_until``: Azure Backup blocks the vault until then. ``is_taken``: Azure has taken the restore, so the vault
    is not blocked.
    """

    entity: ClassVar = "vault_slots"
    operation: ClassVar = "release"
    name: ClassVar = "release_slot"
    answer: ClassVar = SlotReleased
    max_per_vault: int
    holder_id: str
    blocked_until: datetime | None = None
    is_taken: bool = False


# Events


@dataclass(frozen=True, slots=True, kw_only=True)
class TellRecovery(EventCall):
    """Tell the recovery whose member this restore is how it ended, or that it waits for a person.

    ``data`` is a packed ``MemberEnd`` or ``MemberWait``, and its time.
    """

    name: ClassVar = "tell_recovery"
    event: ClassVar = "member"
    answer: ClassVar = Done
