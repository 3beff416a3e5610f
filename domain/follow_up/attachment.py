"""Restored disks for another VM: attached as data disks, while it runs if it runs; the others are listed or deleted.

A pure state machine that decides from readings of the VM, as a swap does: each step may be made twice. A disk is
deleted only after all others are attached, only where that was asked for, and only if its tag names the job.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from domain import errors
from domain.azure.machine_busy import is_machine_busy, is_of_guest
from domain.azure.virtual_machines import VirtualMachine
from domain.errors import Json, RestoreError, RestoreWarning, TerminalError, TransientError
from domain.follow_up.attachment_calls import AttachDisks, DeleteDisk, DiskDeletion
from domain.follow_up.calls import (
    ChangeAccepted,
    ChangeStatus,
    FoundDisks,
    GetComputeOperation,
    GetDisks,
    GetVirtualMachine,
)
from domain.follow_up.patience import (
    MAX_TIME,
    UNSHOWN,
    Trouble,
    is_hopeless,
    look_s,
    with_trouble,
    without_trouble,
)
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from domain.restore.calls import ActivityCall

_GONE_AFTER: Final = timedelta(minutes=10)
"""How long a disk may still be there after its deletion was accepted."""
_LOOKS: Final = (GetVirtualMachine, GetComputeOperation, GetDisks)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachAsked:
    """An attachment that Azure has accepted at the time ``at``, and the VM does not show yet.

    ``url`` is the address of its operation. ``in_doubt``: the VM neither changes nor has the disks, so the operation is
    polled.
    """

    at: datetime
    url: str | None = None
    in_doubt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One attachment to the VM ``vm_id`` of the disks ``disk_ids``, which the Azure Backup job ``job_id`` has restored.

    ``others`` are the restored disks that are not to be attached. ``undeleted`` are those of them that are still to be
    deleted, ``going`` is the one whose deletion Azure has accepted, at the time ``going_since``, ``deleted`` those that
    are gone.

    ``seen`` is the last reading of the VM, ``None`` if it must be read. ``since`` is when the work began,
    ``waits_since`` since when Azure is changing what is read, ``attached`` when all disks were seen at the VM.
    ``troubles`` are by the names of the calls. ``refusal`` is why Azure has refused the disks; the VM is read before
    that is believed, because an earlier delivery of the same call may have attached them. ``stuck`` is why it ended
    without all disks. Both are errors as JSON.
    """

    kind: ClassVar = "attachment"
    vm_id: str
    job_id: str
    disk_ids: tuple[str, ...]
    others: tuple[str, ...] = ()
    undeleted: tuple[str, ...] = ()
    seen: VirtualMachine | None = None
    asked: AttachAsked | None = None
    since: datetime | None = None
    waits_since: datetime | None = None
    attached: datetime | None = None
    going: str | None = None
    going_since: datetime | None = None
    deleted: tuple[str, ...] = ()
    troubles: dict[str, Trouble] = field(default_factory=dict[str, Trouble])
    refusal: Json | None = None
    stuck: Json | None = None
    is_cancelled: bool = False
    warnings: tuple[RestoreWarning, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The disks that the VM does not have yet, as far as it was read.

        Azure also lists disks whose attachment has failed (azuredisk-csi-driver#780), so none that this attachment has
        asked for is believed while the VM is in a failed state.
        """
        has_asked = self.asked is not None or AttachDisks.name in self.troubles
        if self.seen is not None and self.seen.has_failed and has_asked:
            return self.disk_ids
        return self.unlisted

    @property
    def unlisted(self) -> tuple[str, ...]:
        """The disks that the VM does not list."""
        have = {disk.disk_id.lower() for disk in self.seen.disks} if self.seen is not None else set[str]()
        return tuple(disk_id for disk_id in self.disk_ids if disk_id.lower() not in have)

    @property
    def may_be_attached(self) -> bool:
        """Whether Azure may have accepted the disks although its answer was lost."""
        trouble = self.troubles.get(AttachDisks.name)
        return trouble is not None and RestoreError.from_json(trouble.error).code != errors.MACHINE_BUSY

    @property
    def may_go_back(self) -> bool:
        """Whether a person can still stop it: nothing was asked of Azure, or only what it refused."""
        return self.asked is None and self.attached is None and isinstance(next_call(self), _LOOKS)


def next_call(work: Attachment) -> ActivityCall | None:
    """Return the call that brings the attachment on, ``None`` at the end."""
    if work.stuck is not None:
        return None
    if work.attached is not None:
        return _next_deletion(work)
    vm, asked = work.seen, work.asked
    if asked is not None and asked.in_doubt and asked.url is not None:
        return GetComputeOperation(url=asked.url)
    if vm is None or asked is not None or vm.is_changing:
        return GetVirtualMachine(vm_id=work.vm_id)
    return AttachDisks(vm_id=work.vm_id, disk_ids=work.missing)


def _next_deletion(work: Attachment) -> ActivityCall | None:
    if work.going is not None:
        return GetDisks(disk_ids=(work.going,))
    return DeleteDisk(disk_id=work.undeleted[0], job_id=work.job_id) if work.undeleted else None


def polled(work: Attachment) -> str:
    """Return the name of the call that is repeated until something shows."""
    return GetVirtualMachine.name if work.going is None else GetDisks.name


def look_again_s(work: Attachment, now: datetime) -> float:
    """Return how long to wait before the next reading, in seconds; 0 if that must not wait."""
    waits = isinstance(next_call(work), GetVirtualMachine | GetDisks)
    return look_s(work.waits_since, now) if waits and work.waits_since is not None else 0.0


def answered(work: Attachment, call: ActivityCall, value: Any, now: datetime) -> Attachment:
    """Return the work after a call was answered."""
    work = without_trouble(replace(work, since=work.since or now), call.name)
    match call, value:
        case GetVirtualMachine(), VirtualMachine():
            work = _machine_read(work, value, now)
        case AttachDisks(), ChangeAccepted():
            url = None if value.operation is None else value.operation.url
            work = replace(work, asked=AttachAsked(at=now, url=url), seen=None, waits_since=now)
        case GetComputeOperation(), ChangeStatus():
            work = _operation_read(work, value, now)
        case DeleteDisk(), DiskDeletion():
            return _deletion_answered(work, call, value, now)
        case GetDisks(), FoundDisks():
            return _disk_looked_for(work, value, now)
        case _:
            raise TypeError(f"an attachment needs no call {call.name}")
    return _within_time(work, now)


def _machine_read(work: Attachment, vm: VirtualMachine, now: datetime) -> Attachment:
    waits = vm.is_changing or work.asked is not None
    work = replace(work, seen=vm, waits_since=(work.waits_since or now) if waits else None)
    if vm.is_changing:
        return work
    if not work.missing:
        return replace(work, attached=now, asked=None, waits_since=None)
    asked = work.asked
    if asked is None:
        return work if work.refusal is None else replace(work, stuck=work.refusal)
    if asked.url is not None:
        return replace(work, asked=replace(asked, in_doubt=True))
    if now - asked.at < UNSHOWN:
        return work
    problem = f"shows {vm.failure or 'a failure'}" if vm.has_failed else "does not show them"
    error = TransientError(errors.SERVICE_UNAVAILABLE, f"Azure accepted the disks, but the VM {problem}.")
    return _again(work, error, now)


def _operation_read(work: Attachment, status: ChangeStatus, now: datetime) -> Attachment:
    asked = work.asked
    if asked is None or status.is_running:
        return work if asked is None else replace(work, asked=replace(asked, in_doubt=False))
    failure = None if status.error is None else RestoreError.from_json(status.error)
    if not work.unlisted and (failure is None or is_of_guest(failure.code)):
        return replace(work, attached=now, asked=None, waits_since=None)
    if failure is None:
        return replace(work, asked=replace(asked, in_doubt=False, url=None))
    if is_machine_busy(failure.code):  # another operation has ended this one
        return replace(work, asked=None, seen=None)
    return replace(work, stuck=TerminalError(failure.code, failure.message, failure.details).to_json())


def _deletion_answered(work: Attachment, call: DeleteDisk, value: DiskDeletion, now: datetime) -> Attachment:
    if value.refusal is not None:
        return _not_deleted(work, call.disk_id, value.refusal)
    return replace(work, going=call.disk_id, going_since=work.going_since or now, waits_since=now)


def _disk_looked_for(work: Attachment, found: FoundDisks, now: datetime) -> Attachment:
    """Return the work after a reading of the disk that should be gone."""
    disk_id, since = work.going or "", work.going_since or now
    if not found.disks:
        return replace(_without_disk(work), deleted=(*work.deleted, disk_id))
    if now - since < _GONE_AFTER:
        return work
    return _not_deleted(work, disk_id, "Azure accepted its deletion, but it is still there.")


def _not_deleted(work: Attachment, disk_id: str, why: str) -> Attachment:
    message = f"The disk {disk_id} was not deleted: {why}"
    warning = RestoreWarning(code=WarningCode.DISK_NOT_DELETED, message=message)
    return replace(_without_disk(work), warnings=(*work.warnings, warning))


def _without_disk(work: Attachment) -> Attachment:
    return replace(work, undeleted=work.undeleted[1:], going=None, going_since=None, waits_since=None)


def _within_time(work: Attachment, now: datetime) -> Attachment:
    is_over = work.since is not None and now - work.since >= MAX_TIME
    if not is_over or work.attached is not None or work.stuck is not None:
        return work
    error = TerminalError(errors.DEADLINE_EXCEEDED, "The VM did not have the disks within two hours.")
    return replace(work, stuck=error.to_json())


def failed(work: Attachment, call: ActivityCall, error: RestoreError, now: datetime) -> Attachment:
    """Return the work after a call that failed: to be made again, or given up."""
    work = replace(work, since=work.since or now)
    if isinstance(call, GetComputeOperation) and not isinstance(error, TransientError):
        # Azure forgets operations, and the VM itself says enough.
        return replace(work, asked=None if work.asked is None else replace(work.asked, in_doubt=False, url=None))
    if isinstance(call, AttachDisks):
        return _within_time(_again(work, error, now), now)
    work = with_trouble(work, call.name, error, now)
    is_early = work.asked is not None and now - work.troubles[call.name].since < UNSHOWN
    if is_early or not is_hopeless(work, call.name, error, now):
        return _within_time(work, now)
    if work.attached is not None and work.undeleted:
        return without_trouble(_not_deleted(work, work.undeleted[0], error.message), call.name)
    return replace(work, stuck=work.refusal or error.to_json())


def _again(work: Attachment, error: RestoreError, now: datetime) -> Attachment:
    """Return the work after an attachment that failed: given up, or made again, if the next reading says so."""
    work = with_trouble(replace(work, asked=None, seen=None, waits_since=None), AttachDisks.name, error, now)
    return replace(work, refusal=error.to_json()) if is_hopeless(work, AttachDisks.name, error, now) else work


def cancelled(work: Attachment, error: RestoreError, _now: datetime) -> Attachment:
    """Return the work ended because a person has cancelled it; see :attr:`Attachment.may_go_back`."""
    return replace(work, stuck=error.to_json(), is_cancelled=True)
