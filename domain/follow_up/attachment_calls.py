"""The calls to Azure that attach restored disks to another VM. Histories store the names: add, never rename."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from domain.follow_up.calls import ChangeAccepted
from domain.restore.calls import ActivityCall


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachDisks(ActivityCall):
    """Attach data disks to a VM, which may run; Azure chooses the LUNs. The VM keeps all disks that it has."""

    name: ClassVar = "attach_disks"
    answer: ClassVar = ChangeAccepted
    vm_id: str
    disk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskDeletion:
    """What became of a disk that should be deleted: ``refusal`` is why it stays, ``None`` if it is gone or goes."""

    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDisk(ActivityCall):
    """Delete a managed disk, if its tag names this job and no VM has it; both are read just before.

    A disk that does not exist counts as deleted.
    """

    name: ClassVar = "delete_disk"
    answer: ClassVar = DiskDeletion
    disk_id: str
    job_id: str


ATTACHMENT_CALLS: Final[tuple[type[ActivityCall], ...]] = (AttachDisks, DeleteDisk)
"""All calls of this module."""
