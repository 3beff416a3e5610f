"""The calls to Azure that use the restored disks, as activities. Histories store the names: add, never rename."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final

from domain.azure.disks import Disk
from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
from domain.errors import Json
from domain.restore.answers import AcceptedOperation, Done
from domain.restore.calls import ActivityCall


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAccepted:
    """Azure Compute has accepted a change. ``operation`` is ``None`` if the answer names none that can be polled."""

    operation: AcceptedOperation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStatus:
    """How an operation of Azure Compute stands. ``error`` is ARM's inner error object of one that failed."""

    is_running: bool
    error: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDisks:
    """The managed disks of a list of ids that exist; those that do not are left out."""

    disks: tuple[Disk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetVirtualMachine(ActivityCall):
    """Read a VM with its instance view."""

    name: ClassVar = "get_virtual_machine"
    answer: ClassVar = VirtualMachine
    vm_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeallocateVirtualMachine(ActivityCall):
    """Stop a VM and release its hardware; repeated for a VM that is deallocated, it changes nothing."""

    name: ClassVar = "deallocate_virtual_machine"
    answer: ClassVar = ChangeAccepted
    vm_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateDisks(ActivityCall):
    """Give a VM these disks, in one PATCH: a data disk that is not named is detached.

    ``os_disk`` is ``None`` to leave it as it is. ``os_create_option``, ``os_type`` and ``data_create_options`` (by disk
    ids in lower case; ``Attach`` for the others) repeat what the VM has, because they cannot be changed. ``etag`` is
    that of the reading from which the disks were chosen: if the VM has changed since, Azure refuses the PATCH.
    """

    name: ClassVar = "update_disks"
    answer: ClassVar = ChangeAccepted
    vm_id: str
    data_disks: tuple[AttachedDisk, ...]
    os_disk: AttachedDisk | None = None
    os_create_option: str = "Attach"
    os_type: str | None = None
    data_create_options: dict[str, str] = field(default_factory=dict[str, str])
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartVirtualMachine(ActivityCall):
    """Start a VM; repeated for a VM that runs, it changes nothing."""

    name: ClassVar = "start_virtual_machine"
    answer: ClassVar = ChangeAccepted
    vm_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetComputeOperation(ActivityCall):
    """Poll an operation of Azure Compute."""

    name: ClassVar = "get_compute_operation"
    answer: ClassVar = ChangeStatus
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetDisks(ActivityCall):
    """Read managed disks by their ids."""

    name: ClassVar = "get_disks"
    answer: ClassVar = FoundDisks
    disk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDisk(ActivityCall):
    """Add tags to a managed disk; its other tags stay."""

    name: ClassVar = "tag_disk"
    answer: ClassVar = Done
    disk_id: str
    tags: dict[str, str]


FOLLOW_UP_CALLS: Final[tuple[type[ActivityCall], ...]] = (
    GetVirtualMachine,
    DeallocateVirtualMachine,
    UpdateDisks,
    StartVirtualMachine,
    GetComputeOperation,
    GetDisks,
    TagDisk,
)
"""All calls of this module."""


_LABELS: Final = {
    GetVirtualMachine.name: "GET virtual machine",
    DeallocateVirtualMachine.name: "POST deallocate",
    UpdateDisks.name: "PATCH storageProfile",
    StartVirtualMachine.name: "POST start",
}


def call_label(name: str) -> str:
    """Return how error messages name a call of a swap, such as ``POST start`` for ``start_virtual_machine``."""
    return _LABELS.get(name, name)
