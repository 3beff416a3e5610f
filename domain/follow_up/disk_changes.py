"""Which disks of a VM are replaced by which, and what its storage profile becomes by that, there and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from domain.azure.disks import RestoredDisk
from domain.azure.resource_ids import same_id
from domain.azure.virtual_machines import AttachedDisk
from domain.errors import ErrorDetail, TerminalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.azure.disks import Disk
    from domain.azure.virtual_machines import VirtualMachine
    from domain.errors import Json

SWAP_FAILED = "SwapFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedDisk:
    """What shall be at one place of a VM. ``lun`` is ``None`` for the OS disk.

    ``disk`` is the disk that shall be there; one without options gets those of the disk that it replaces. ``removes``
    is the id of the only disk that may be taken away from there: empty if the place must be empty, ``None`` if any
    disk may. Without a ``disk`` the place becomes empty if the disk ``removes`` is there; another disk stays.
    """

    lun: int | None
    disk: AttachedDisk | None = None
    removes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChange:
    """What happens at one place of a VM: the disk before, and the disk after; ``None`` for an empty place."""

    lun: int | None
    before: AttachedDisk | None = None
    after: AttachedDisk | None = None

    @property
    def inverse(self) -> DiskChange:
        """The change that takes this one back."""
        return DiskChange(lun=self.lun, before=self.after, after=self.before)

    def is_made(self, vm: VirtualMachine) -> bool:
        """Return whether the VM's storage profile shows the disk after, and no longer the one before."""
        present = _disk_at(vm, self.lun)
        if self.after is None:
            return present is None or (self.before is not None and not present.is_same_disk(self.before))
        return present is not None and present.is_same_disk(self.after)


def wanted_disks(disks: Sequence[Disk], *, luns: Sequence[int] | None, data_disks_only: bool) -> tuple[WantedDisk, ...]:
    """Return which restored disk shall be at which place: each where the disk was that it is a copy of.

    ``luns`` are the disks that were asked for (-1 is the OS disk), ``None`` for all. Raises ``TerminalError``
    ``SwapFailed`` if the place of one of them is not certain, or none is left.
    """
    shown = [RestoredDisk.of(disk) for disk in disks]
    os_disks = [disk for disk in shown if disk.is_os]
    wants_os = not data_disks_only and (luns is None or -1 in luns)
    data = [disk for disk in shown if not disk.is_os and (luns is None or disk.lun is None or disk.lun in luns)]
    places = [disk.lun for disk in data]
    # With two OS disks, one is of another restore, or is a data disk that was an OS disk once; its LUN is not known.
    if (wants_os and not os_disks) or len(os_disks) > 1:
        raise _unclear(f"{len(os_disks)} OS disks were restored, and one is needed")
    if None in places or len(set(places)) < len(places):
        raise _unclear("the names of the restored data disks do not say at which LUN each belongs")
    if any(disk.id is None for disk in (*data, *(os_disks if wants_os else ()))):
        raise _unclear("Azure lists a restored disk without an id")
    wanted = [*(os_disks if wants_os else ()), *data]
    if not wanted:
        raise _unclear("none of the disks that were restored is to be swapped")
    return tuple(
        WantedDisk(lun=disk.lun, disk=AttachedDisk(lun=disk.lun, disk_id=disk.id or "", name=disk.name, options={}))
        for disk in wanted
    )


def unusable_disk(vm: VirtualMachine, wanted: Iterable[WantedDisk], disks: Iterable[Disk]) -> str | None:
    """Return why the VM cannot have one of the restored disks, and how a person goes on; ``None`` if it can have all.

    Azure would refuse such a disk only when the VM is deallocated already.
    """
    ids = [place.disk.disk_id for place in wanted if place.disk is not None]
    for disk in disks:
        if disk.disk_id is None or not any(same_id(disk.disk_id, wanted_id) for wanted_id in ids):
            continue
        if disk.attached_to is not None and not same_id(disk.attached_to, vm.vm_id):
            return f"{disk.attached_to} has the restored disk {disk.name}. Detach it there, and swap the disks by hand."
        if disk.is_out_of_reach(vm.location, vm.zone):
            return (
                f"The restored disk {disk.name} is in {_place(disk.location, disk.zone)}, and the VM in "
                f"{_place(vm.location, vm.zone)}, so the VM cannot have it. Copy the disks there (a snapshot of each, "
                f"and a disk of that), and swap the copies by hand; or restore again with zones "
                f'["{vm.zone or "NoZone"}"], if the vault allows it.'
            )
        difference = _difference_of_kind(vm, disk) if disk.is_os_disk else None
        if difference is not None:
            return (
                f"The restored OS disk {disk.name} is {difference}, so Azure does not swap it. "
                "Swap data disks only (dataDisksOnly), or make a new VM of the disks (thenCreateVirtualMachine)."
            )
    return None


def _difference_of_kind(vm: VirtualMachine, disk: Disk) -> str | None:
    """Return the generation or security type by which an OS disk does not fit the VM, ``None`` if none is known.

    Azure refuses both (SupportArticles-docs#214, azure-sdk-for-python#30479). A disk that does not say them may fit.
    """
    if disk.generation is not None and vm.generation is not None and disk.generation.lower() != vm.generation.lower():
        return f"of generation {disk.generation}, and the VM of generation {vm.generation}"
    kind, own = (disk.security_type or "").lower(), (vm.security_type or "Standard").lower()
    # The type of a confidential disk also says what is encrypted, and that of the VM does not.
    if kind and kind != "standard" and not kind.startswith(own):
        return f"of security type {disk.security_type}, and the VM of {vm.security_type or 'Standard'}"
    return None


def _place(location: str | None, zone: str | None) -> str:
    return f"{location} in no zone" if zone is None else f"{location} in zone {zone}"


def _unclear(why: str) -> TerminalError:
    return TerminalError(
        SWAP_FAILED,
        f"The disks were restored, but not swapped: {why}. The VM was not touched. Attach the disks by hand.",
        [ErrorDetail(code=SWAP_FAILED, message=why)],
    )


def changes_for(vm: VirtualMachine, wanted: Iterable[WantedDisk]) -> tuple[DiskChange, ...]:
    """Return what must happen to the VM as it is now, so that each wanted disk is at its place."""
    changes: list[DiskChange] = []
    for place in wanted:
        present, disk = _disk_at(vm, place.lun), place.disk
        if disk is None:
            is_there = present is not None and present.disk_id.lower() == (place.removes or "").lower()
            changes += [DiskChange(lun=place.lun, before=present)] if is_there else []
            continue
        options = disk.options or ({} if present is None else present.options)
        after = replace(disk, options=options)
        if present is None or not present.is_same_disk(after):
            changes.append(DiskChange(lun=place.lun, before=present, after=after))
    return tuple(changes)


def obstacle(vm: VirtualMachine, wanted: Iterable[WantedDisk]) -> str | None:
    """Return why the wanted disks must not be put into the VM as it is now, ``None`` if they may."""
    places = [place for place in wanted if place.disk is not None]
    strangers = [f"{disk.disk_id} {_at(disk.lun)}" for disk in (_stranger(vm, place) for place in places) if disk]
    if strangers:
        return (
            f"The VM has other disks at these places than the swap put there: {', '.join(strangers)}. If a later "
            "restore put them there, undo that first."
        )
    moved = [
        f"{disk.disk_id} {_at(disk.lun)}"
        for disk in vm.disks
        for place in places
        if place.disk is not None and same_id(disk.disk_id, place.disk.disk_id) and disk.lun != place.lun
    ]
    if moved:
        return f"The VM has these disks at other places: {', '.join(moved)}. Detach them first."
    return _unclear_luns(vm, [place.lun for place in places if place.removes is None and place.lun is not None])


def _stranger(vm: VirtualMachine, place: WantedDisk) -> AttachedDisk | None:
    """Return the disk that has a place, if it is neither the one that shall have it nor the one that may give it up."""
    present = _disk_at(vm, place.lun)
    if present is None or place.disk is None or place.removes is None:
        return None
    known = (place.disk.disk_id, place.removes)
    return None if any(same_id(present.disk_id, disk_id) for disk_id in known) else present


def _unclear_luns(vm: VirtualMachine, restored: list[int]) -> str | None:
    """Return why the LUNs in the names of restored disks cannot be relied on.

    Azure does not document the number in the names. In all known examples it is the LUN. It would be seen as another
    number, such as a count, where as many disks as the VM has are numbered from 0 without a gap, and the VM's are not.
    """
    own = sorted(disk.lun for disk in vm.data_disks if disk.lun is not None)
    if len(restored) != len(own) or sorted(restored) != list(range(len(own))) or own == sorted(restored):
        return None
    return (
        f"The restored data disks are numbered from 0 to {len(own) - 1}, but those of the VM are at LUN "
        f"{', '.join(map(str, own))}: it is not certain which of them belong together. Attach them by hand."
    )


def _at(lun: int | None) -> str:
    return "(OS disk)" if lun is None else f"(LUN {lun})"


def arranged(vm: VirtualMachine, changes: Iterable[DiskChange]) -> tuple[AttachedDisk, ...]:
    """Return the VM's disks with these changes, the OS disk first; all others stay as they are."""
    places = {disk.lun: disk for disk in vm.disks}
    for change in changes:
        if change.after is not None:
            places[change.lun] = change.after
        elif not change.is_made(vm):
            del places[change.lun]
    return tuple(sorted(places.values(), key=lambda disk: -1 if disk.lun is None else disk.lun))


def emptied_first(vm: VirtualMachine, changes: Iterable[DiskChange]) -> tuple[AttachedDisk, ...] | None:
    """Return the VM's disks without the data disks that give their place to others, the OS disk first.

    ``None`` if no data disk has to give its place, and no failed update has left one half detached.
    """
    coming: dict[int | None, AttachedDisk | None] = {
        change.lun: change.after for change in changes if change.lun is not None and not change.is_made(vm)
    }
    kept = tuple(disk for disk in vm.disks if disk.lun not in coming)
    is_left = any(_gives_place(disk, coming.get(disk.lun)) for disk in vm.detaching)
    return None if len(kept) == len(vm.disks) and not is_left else kept


def _gives_place(disk: AttachedDisk, coming: AttachedDisk | None) -> bool:
    return coming is not None and not coming.is_same_disk(disk)


def attaches(disks: Iterable[AttachedDisk], changes: Iterable[DiskChange]) -> bool:
    """Return whether all data disks that the changes bring are among these disks."""
    known = list(disks)
    brought = [change.after for change in changes if change.lun is not None and change.after is not None]
    return all(any(disk.is_same_disk(wanted) for disk in known) for wanted in brought)


def _disk_at(vm: VirtualMachine, lun: int | None) -> AttachedDisk | None:
    return next((disk for disk in vm.disks if disk.lun == lun), None)


def storage_profile(disks: Iterable[AttachedDisk]) -> Json:
    """Return disks as a ``StorageProfile`` of the Compute API."""
    known = list(disks)
    profile: Json = {"dataDisks": [{"lun": disk.lun, **_entry(disk)} for disk in known if disk.lun is not None]}
    os_disk = next((disk for disk in known if disk.lun is None), None)
    return profile if os_disk is None else {"osDisk": _entry(os_disk), **profile}


def _entry(disk: AttachedDisk) -> dict[str, Any]:
    return {"name": disk.name, "managedDisk": {"id": disk.disk_id}, **disk.options}
