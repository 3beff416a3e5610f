"""What callers see of a swap: how far it has come, how it ended, and what a person must do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from domain import errors
from domain.azure.virtual_machines import AttachedDisk
from domain.codec import as_json
from domain.errors import Json, RestoreError, TerminalError
from domain.follow_up.disk_changes import SWAP_FAILED, WantedDisk, storage_profile
from domain.follow_up.swap import RUNNING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.azure.virtual_machines import VirtualMachine
    from domain.follow_up.disk_changes import DiskChange
    from domain.follow_up.swap import Swap


class SwapState(StrEnum):
    """What became of the VM.

    ``RUNNING``: the swap goes on. ``UNFINISHED``: the VM is neither as wanted nor as before; the error says where it
    stands, and what a person must do.
    """

    RUNNING = "Running"
    SWAPPED = "Swapped"
    AS_BEFORE = "AsBefore"
    UNFINISHED = "Unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwappedDisk:
    """One place of the virtual machine. `lun` is `null` for the OS disk; a disk is `null` where the place is empty."""

    lun: int | None
    former_disk_id: str | None
    disk_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapDocument:
    """A swap of the disks of a virtual machine."""

    virtual_machine_id: str
    state: SwapState
    disks: tuple[SwappedDisk, ...] = field(metadata={"description": "Which disk takes the place of which."})
    former_storage_profile: Json | None = field(
        metadata={
            "description": "All disks of the virtual machine before the swap, as Azure Compute writes them, with what "
            "`undo` needs; `null` before the virtual machine has been read, and where a document was cut."
        }
    )
    deallocated_time: datetime | None = field(
        metadata={"description": "When the running virtual machine was told to deallocate."}
    )
    disks_replaced_time: datetime | None
    running_time: datetime | None
    agent_ready_time: datetime | None
    downtime: timedelta | None = field(
        metadata={"description": "From `deallocatedTime` to `runningTime`; `null` if it did not run before."}
    )


def document(swap: Swap, *, is_over: bool) -> Json:
    """Return the swap as callers see it."""
    times, changes = swap.times, swap.changes or ()
    is_measured = times.down is not None and times.running is not None
    return as_json(
        SwapDocument(
            virtual_machine_id=swap.vm_id,
            state=_state(swap, is_over=is_over),
            disks=tuple(
                SwappedDisk(
                    lun=change.lun,
                    former_disk_id=change.before.disk_id if change.before else None,
                    disk_id=change.after.disk_id if change.after else None,
                )
                for change in changes
            ),
            former_storage_profile=storage_profile(swap.former) if swap.former else None,
            deallocated_time=times.down,
            disks_replaced_time=times.disks_replaced,
            running_time=times.running,
            agent_ready_time=times.agent_ready,
            downtime=times.running - times.down if is_measured and times.running and times.down else None,
        )
    )


def _state(swap: Swap, *, is_over: bool) -> SwapState:
    if not is_over:
        return SwapState.RUNNING
    if swap.stuck is not None:
        return SwapState.UNFINISHED if swap.changes is not None else SwapState.AS_BEFORE
    return SwapState.AS_BEFORE if swap.goes_back else SwapState.SWAPPED


def undo_of(shown: Json) -> tuple[WantedDisk, ...]:
    """Return what puts the former disks back; ``shown`` is the document of a swap.

    Raises ``ValueError`` if it changed no disk.
    """
    profile: Json = shown.get("formerStorageProfile") or {}
    former = {disk.lun: disk for disk in _disks_of(profile)}
    wanted = tuple(
        WantedDisk(lun=place["lun"], disk=former[place["lun"]], removes=place["diskId"] or "")
        if place["formerDiskId"]
        else WantedDisk(lun=place["lun"], removes=place["diskId"])
        for place in shown["disks"]
    )
    if not wanted:
        raise ValueError("the swap changed no disk")
    return wanted


def _disks_of(profile: Json) -> Iterable[AttachedDisk]:
    if "osDisk" in profile:
        yield AttachedDisk.from_api(profile["osDisk"], is_os=True)
    for disk in profile.get("dataDisks", ()):
        yield AttachedDisk.from_api(disk, is_os=False)


def end_error(swap: Swap, undo: str) -> RestoreError | None:
    """Return why the swap did not end as wanted, and what a person must do; ``None`` if it did.

    ``undo`` says how the former disks are put back, for a swap that can be undone.
    """
    if swap.stuck is not None:
        return _stuck_error(swap, RestoreError.from_json(swap.stuck), undo)
    if swap.cause is None:
        return None
    cause = RestoreError.from_json(swap.cause)
    if swap.is_cancelled:
        return RestoreError(errors.RESTORE_CANCELLED, f"{cause.message} {_as_before(swap)}")
    return TerminalError(SWAP_FAILED, f"The disks were not swapped: {cause.message} {_as_before(swap)}", cause.details)


def _as_before(swap: Swap) -> str:
    runs = "runs as before" if swap.was_running else "is as it was before"
    return f"The VM {runs}, with its former disks. The new disks stay beside it."


def _stuck_error(swap: Swap, stuck: RestoreError, undo: str) -> RestoreError:
    """Return the error of an unfinished swap: what failed, where the VM stands, and what a person must do."""
    if swap.changes is None:
        after = "The VM was not touched. The new disks stay beside it; attach them by hand."
    elif swap.seen is None:
        after = (
            f"The VM could not be read since then: {_last_known(swap)}. Look at it in the portal. If it has all its "
            f"disks, start it (az vm start). If not, {undo}, or attach those of formerStorageProfile by hand, and "
            "start it."
        )
    else:
        after = _advice(swap, swap.seen, undo)
    return TerminalError(SWAP_FAILED, f"{stuck.message} ({swap.vm_id}) {after}", stuck.details)


def _last_known(swap: Swap) -> str:
    has_new = swap.times.disks_replaced is not None
    return f"it had its {'new' if has_new else 'former'} disks, and may be deallocated"


def _advice(swap: Swap, vm: VirtualMachine, undo: str) -> str:
    """Return where the VM stands, and what a person must do."""
    power = "being changed" if vm.is_changing else vm.power or "in a state that Azure does not say"
    changes = swap.changes or ()
    is_starting = vm.is_changing and vm.power in {RUNNING, "starting"}  # nobody must start it once more
    if swap.may_lack_disks(vm):
        return (
            f"The VM is {power}, and it may lack disks that it lists, because the last update of them failed. Put the "
            "disks of formerStorageProfile back by hand, and start it (az vm start)."
        )
    if all(change.is_made(vm) for change in changes):
        if not swap.goes_back and is_starting:
            return (
                f"The VM has its new disks and is {vm.power}, but Azure does not end its start: look at its "
                f"extensions, or {undo}."
            )
        if not swap.goes_back:
            return (
                f"The VM has its new disks and is {power}. Start it as soon as the reason is mended (az vm start), or "
                f"{undo}."
            )
        disks = "it has its new disks"
    elif all(change.inverse.is_made(vm) for change in changes):
        if is_starting:
            return (
                f"The VM has its former disks and is {vm.power}, but Azure does not end its start: look at its "
                "extensions. The new disks stay beside it."
            )
        return (
            f"The VM has its former disks and is {power}. Start it as soon as the reason is mended (az vm start). The "
            "new disks stay beside it."
        )
    else:
        disks = f"it has neither all of its former disks nor all of its new ones{_empty_places(changes, vm)}"
    return (
        f"The VM is {power}, and {disks}. As soon as the reason is mended, {undo}, or attach those of "
        "formerStorageProfile by hand; then start it if it does not run (az vm start)."
    )


def _empty_places(changes: Iterable[DiskChange], vm: VirtualMachine) -> str:
    """Return which LUNs have no disk, to add to a sentence; empty if none is without."""
    taken = {disk.lun for disk in vm.data_disks}
    luns = [str(change.lun) for change in changes if change.lun is not None and change.lun not in taken]
    return f": no disk is at LUN {', '.join(luns)}" if luns else ""
