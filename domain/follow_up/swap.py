"""The swap of a VM's disks: deallocate, replace the disks in one PATCH, read back, start.

A pure state machine. Every decision comes from a reading of the VM, never from what the swap believes to have done. So
each step may be made twice, and the worker may die at any moment: the next reading shows where the VM stands. If a
change is refused before the disks were replaced, the swap goes back: the VM gets what it had, and runs if it ran.

Here are the state of a swap and its next call. ``swap_answers`` says how answers and failures change the state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
from domain.errors import Json, RestoreWarning
from domain.follow_up.calls import (
    DeallocateVirtualMachine,
    GetComputeOperation,
    GetDisks,
    GetVirtualMachine,
    StartVirtualMachine,
    TagDisk,
    UpdateDisks,
)
from domain.follow_up.disk_changes import (
    DiskChange,
    WantedDisk,
    arranged,
    emptied_first,
)
from domain.follow_up.patience import Trouble, look_s

if TYPE_CHECKING:
    from domain.restore.calls import ActivityCall

_FIRST_LOOK_S: Final = 2.0
RUNNING, DEALLOCATED = "running", "deallocated"


class Change(StrEnum):
    """What a swap does with the VM."""

    DEALLOCATE = "Deallocate"
    UPDATE_DISKS = "UpdateDisks"
    START = "Start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A change that Azure has accepted at the time ``asked``, and the VM does not show yet.

    ``url`` is the address of its operation. ``in_doubt``: the VM neither changes nor has changed, so the operation is
    polled. ``done`` is when the operation was first seen to have succeeded. ``only_empties``: the update only detaches
    the disks that are replaced; see ``Swap.in_two_updates``.
    """

    change: Change
    asked: datetime
    url: str | None = None
    in_doubt: bool = False
    done: datetime | None = None
    only_empties: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """When each was first seen. ``down`` is when Azure accepted that a running VM is deallocated."""

    down: datetime | None = None
    disks_replaced: datetime | None = None
    running: datetime | None = None
    agent_ready: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One swap of the disks of the VM ``vm_id``.

    What is wanted: ``wanted`` are the disks and their places. ``starts``: whether the VM runs in the end; ``None`` if
    it runs only if it ran before. ``tags`` are those that the replaced disks get. ``unchecked`` are ids of disks that
    must exist, and belong to no other VM, before anything is changed.

    What the first reading of the VM gives: ``changes`` (``None`` before it), ``former`` (all disks of the VM),
    ``was_running``, ``expects_agent``, and ``untagged``: the ids of the replaced disks that have no tags yet.

    Where it stands: ``seen`` is the last reading, ``None`` if the VM must be read. ``pending`` is the change that Azure
    has accepted and the VM does not show yet. ``since`` is when the present way, there or back, began. ``troubles`` are
    by the names of the calls. ``unsure_until``: a change that failed may have been made nevertheless, and until then a
    reading may not show it. ``in_two_updates``: Azure does not replace a data disk in one update, so the places are
    emptied first. ``cause`` is why the swap goes back. ``has_started``: on the way back the VM was seen to run after
    Azure had accepted its start, and was not changed since.

    How it ends: ``stuck`` is why it came to its end neither there nor back. Then the VM is read a last time, so that
    the error says where the VM stands; ``has_last_reading``: that was done, or cannot be done. ``cause`` and ``stuck``
    are errors as JSON.
    """

    kind: ClassVar = "swap"
    vm_id: str
    wanted: tuple[WantedDisk, ...]
    starts: bool | None = True
    tags: dict[str, str] = field(default_factory=dict[str, str])
    unchecked: tuple[str, ...] = ()
    changes: tuple[DiskChange, ...] | None = None
    former: tuple[AttachedDisk, ...] = ()
    was_running: bool = False
    expects_agent: bool = False
    seen: VirtualMachine | None = None
    unsure_until: datetime | None = None
    pending: Pending | None = None
    since: datetime | None = None
    troubles: dict[str, Trouble] = field(default_factory=dict[str, Trouble])
    cause: Json | None = None
    is_cancelled: bool = False
    in_two_updates: bool = False
    stuck: Json | None = None
    has_last_reading: bool = False
    untagged: tuple[str, ...] = ()
    is_agent_given_up: bool = False
    times: Times = field(default_factory=Times)
    warnings: tuple[RestoreWarning, ...] = ()
    has_started: bool = False

    @property
    def goes_back(self) -> bool:
        """Whether the swap is on its way back: the VM gets what it had."""
        return self.cause is not None

    @property
    def steps(self) -> tuple[DiskChange, ...]:
        """The changes to make: those of the swap, or, on its way back, their inverse."""
        changes = self.changes or ()
        return tuple(change.inverse for change in changes) if self.goes_back else changes

    @property
    def must_run(self) -> bool:
        """Whether the VM must run in the end."""
        return self.was_running if self.goes_back or self.starts is None else self.starts

    def is_arranged(self, vm: VirtualMachine) -> bool:
        """Return whether the VM has the disks that it shall have, there or back."""
        return all(change.is_made(vm) for change in self.steps)

    def may_lack_disks(self, vm: VirtualMachine) -> bool:
        """Return whether the VM may not have the disks that it lists, because an update failed and was not repeated.

        If it has run with them it has them, and what failed was something else.
        """
        pending = self.pending
        is_updating = pending is not None and pending.change is Change.UPDATE_DISKS and pending.done is None
        return vm.has_failed and self.times.running is None and (is_updating or UpdateDisks.name in self.troubles)

    def is_up(self, vm: VirtualMachine) -> bool:
        """Return whether the VM runs with the disks that it was started with, although Azure may still change it.

        Azure shows a VM that was started as changing until its extensions have reported: up to 90 minutes, if one does
        not (azure-cli#14841, azure-xplat-cli#3389). During any other change ``running`` is not believed: a reading may
        be some seconds old, and the VM may be about to be deallocated.
        """
        is_started = self.has_started or (self.pending is not None and self.pending.change is Change.START)
        has_new = not self.goes_back and (self.times.running or self.times.disks_replaced) is not None
        return vm.power == RUNNING and self.is_arranged(vm) and (is_started or has_new)

    @property
    def awaits_agent(self) -> bool:
        """Whether the VM runs with its new disks, and its agent has still to report."""
        is_silent = self.times.agent_ready is None and not self.is_agent_given_up
        return self.expects_agent and is_silent and self.times.running is not None and not self.goes_back

    @property
    def may_go_back(self) -> bool:
        """Whether a person can still stop it: the disks have not been replaced, and are not being replaced."""
        is_updating = self.pending is not None and self.pending.change is Change.UPDATE_DISKS
        is_swapped = self.changes is not None and self.seen is not None and self.is_arranged(self.seen)
        return not (self.goes_back or is_updating or is_swapped or self.times.disks_replaced)


def next_call(swap: Swap) -> ActivityCall | None:
    """Return the call that brings the swap on, ``None`` at its end. The caller knows when it may be made."""
    vm, pending = swap.seen, swap.pending
    if swap.stuck is not None:
        return None if swap.has_last_reading else GetVirtualMachine(vm_id=swap.vm_id)
    if swap.unchecked and not swap.goes_back:
        return GetDisks(disk_ids=swap.unchecked)
    if vm is None:
        return GetVirtualMachine(vm_id=swap.vm_id)
    if pending is not None and pending.in_doubt and pending.url is not None:
        return GetComputeOperation(url=pending.url)
    if pending is not None or (vm.is_changing and not swap.is_up(vm)):
        return GetVirtualMachine(vm_id=swap.vm_id)
    return _change(swap, vm) or _after_change(swap)


def _change(swap: Swap, vm: VirtualMachine) -> ActivityCall | None:
    if swap.may_lack_disks(vm) or not swap.is_arranged(vm):
        if vm.power != DEALLOCATED:
            return DeallocateVirtualMachine(vm_id=swap.vm_id)
        return _update(swap, vm)
    ran_already = swap.times.running is not None and not swap.goes_back  # it has stopped by itself
    if swap.must_run and vm.power != RUNNING and not ran_already:
        return StartVirtualMachine(vm_id=swap.vm_id)
    return None


def _update(swap: Swap, vm: VirtualMachine) -> UpdateDisks:
    emptied = emptied_first(vm, swap.steps) if swap.in_two_updates else None
    disks = arranged(vm, swap.steps) if emptied is None else emptied
    has_os = emptied is None and any(change.lun is None for change in swap.steps)
    return UpdateDisks(
        vm_id=swap.vm_id,
        os_disk=disks[0] if has_os else None,
        data_disks=disks[1:],
        os_create_option=vm.os_create_option,
        os_type=vm.os_type,
        data_create_options=vm.data_create_options,
        etag=vm.etag,
    )


def _after_change(swap: Swap) -> ActivityCall | None:
    if swap.goes_back:
        return None if swap.unsure_until is None else GetVirtualMachine(vm_id=swap.vm_id)
    if swap.untagged:
        return TagDisk(disk_id=swap.untagged[0], tags=swap.tags)
    if swap.awaits_agent:
        return GetVirtualMachine(vm_id=swap.vm_id)
    return None


def look_again_s(swap: Swap, now: datetime) -> float:
    """Return how long to wait before the VM is read again, in seconds; 0 if that must not wait.

    A change of a VM takes seconds to some minutes, and the VM is down meanwhile, so the first readings come soon.
    """
    since = swap.since if swap.pending is None else swap.pending.asked
    if swap.seen is None or since is None:
        return 0.0
    is_unsure = (swap.goes_back or swap.stuck is not None) and swap.unsure_until is not None
    if not (swap.pending is not None or swap.seen.is_changing or swap.awaits_agent or is_unsure):
        return 0.0
    return look_s(since, now, first_s=_FIRST_LOOK_S)
