"""From a request and its restored disks to the work that uses them: a swap, a new VM, or an attachment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.azure.data_disk_room import new_places, no_room
from domain.azure.disks import RestoredDisk
from domain.azure.restore_constraints import staging_account_id
from domain.errors import ATTACHMENT_FAILED, CREATION_FAILED, Json, TerminalError
from domain.follow_up.attachment import Attachment
from domain.follow_up.creation import Creation, OwnSettings, TemplateSource
from domain.follow_up.creation_calls import DiskPlace
from domain.follow_up.disk_changes import SWAP_FAILED, unusable_disk, wanted_disks
from domain.follow_up.swap import Swap
from domain.request_schema import ATTACH_DISKS, CREATE_VIRTUAL_MACHINE, SWAP_DISKS
from domain.times import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.follow_up.work import Work
    from domain.restore.stages import Restored
    from domain.restore.state import Restore

_FIRST_LUN, _LUNS = 0, 64


def kind_wanted(restore: Restore) -> type[Work]:
    """Return the kind of work that the request asks for."""
    kinds: dict[str, type[Work]] = {CREATE_VIRTUAL_MACHINE: Creation, ATTACH_DISKS: Attachment, SWAP_DISKS: Swap}
    return next((kind for member, kind in kinds.items() if member in restore.request.body), Swap)


def work_of(restore: Restore, restored: Restored) -> Work:
    """Return the work with the disks of this restore.

    Raises ``TerminalError`` with the error code of that work if the disks cannot be used as the request asks.
    """
    request = restore.request
    if request.then_create_virtual_machine is not None:
        return _creation(restore, restored, request.then_create_virtual_machine)
    if request.then_attach_disks is not None:
        return _attachment(restored, request.then_attach_disks)
    return _swap(restore, restored, request.then_swap_disks or {})


def _swap(restore: Restore, restored: Restored, asked: Json) -> Swap:
    wanted = wanted_disks(
        restored.disks, luns=restore.request.disk_luns, data_disks_only=asked.get("dataDisksOnly", False)
    )
    machine = restored.tracked.prepared.machine
    problem = None if machine is None else unusable_disk(machine, wanted, restored.disks)
    if problem is not None:
        raise TerminalError(SWAP_FAILED, f"The disks were restored, but not swapped: {problem}")
    if machine is not None:
        _check_room(restored, len(new_places(machine, (place.lun for place in wanted))), SWAP_FAILED)
    return Swap(
        vm_id=restore.source_resource_id or "",
        wanted=wanted,
        starts=asked.get("start", True),
        tags={"restore-id": restore.restore_id, "replaced-on": format_time(restore.clock.now)},
    )


def _creation(restore: Restore, restored: Restored, asked: Json) -> Creation:
    disks = [RestoredDisk.of(disk) for disk in restored.disks]
    os_disks = [disk.id for disk in disks if disk.is_os and disk.id is not None]
    if len(os_disks) != 1:
        message = f"{len(os_disks)} OS disks were restored, and one is needed."
        raise TerminalError(CREATION_FAILED, message)
    places = tuple(_places(disk for disk in disks if not disk.is_os))
    _check_room(restored, len(places), CREATION_FAILED)
    is_template = asked.get("template", False)
    return Creation(
        restore_id=restore.restore_id,
        vm_id=restore.request.new_virtual_machine_id or "",
        subnet_id=asked["subnetId"],
        os_disk_id=os_disks[0],
        places=places,
        starts=asked.get("start", True),
        template=_template(restore, restored) if is_template else None,
        own=None if is_template else _own_settings(restored, asked),
    )


def _check_room(restored: Restored, added: int, error_code: str) -> None:
    """Raise ``TerminalError`` if the VM, by its size, cannot have that many more data disks."""
    room = restored.tracked.prepared.data_disk_room
    if room is not None and added > room:
        message = (
            f"The disks are restored, but {no_room(room, added)}. Choose a larger size, and use the disks by hand."
        )
        raise TerminalError(error_code, message)


def _places(disks: Iterable[RestoredDisk]) -> Iterable[DiskPlace]:
    """Yield the data disks with their former LUNs; those whose name does not say it get free ones."""
    found = [disk for disk in disks if disk.id is not None]
    luns: dict[int, RestoredDisk] = {}
    for disk in found:
        if disk.lun is not None:
            luns.setdefault(disk.lun, disk)
    free = (lun for lun in range(_FIRST_LUN, _LUNS + len(found)) if lun not in luns)
    for disk in found:
        lun = disk.lun if disk.lun is not None and luns[disk.lun] is disk else next(free)
        yield DiskPlace(lun=lun, disk_id=disk.id or "")


def _template(restore: Restore, restored: Restored) -> TemplateSource:
    uri = restored.job.result().template_blob_uri
    if uri is None:
        message = "Azure Backup does not say where the template of the VM is; leave out template."
        raise TerminalError(CREATION_FAILED, message)
    return TemplateSource(account=staging_account_id(restore.request).rpartition("/")[2], uri=uri)


def _own_settings(restored: Restored, asked: Json) -> OwnSettings:
    size: str | None = asked.get("size", restored.tracked.prepared.source_size)
    if size is None:
        raise TerminalError(CREATION_FAILED, "The size of the VM is not known: give thenCreateVirtualMachine.size.")
    return OwnSettings(
        size=size,
        zone=asked.get("zone"),
        private_ip_address=asked.get("privateIpAddress"),
        network_security_group_id=asked.get("networkSecurityGroupId"),
        availability_set_id=asked.get("availabilitySetId"),
        license_type=asked.get("licenseType"),
        user_assigned_identity_ids=tuple(asked.get("userAssignedIdentityIds", ())),
        tags=asked.get("tags", {}),
    )


def _attachment(restored: Restored, asked: Json) -> Attachment:
    disks = [RestoredDisk.of(disk) for disk in restored.disks if disk.disk_id is not None]
    chosen = _chosen(disks, asked.get("luns"))
    _check_room(restored, len(chosen), ATTACHMENT_FAILED)
    others = tuple(disk.id or "" for disk in disks if disk not in chosen)
    return Attachment(
        vm_id=asked["virtualMachineId"],
        job_id=restored.job.job_id,
        disk_ids=tuple(disk.id or "" for disk in chosen),
        others=others,
        undeleted=others if asked.get("deleteOthers", False) else (),
    )


def _chosen(disks: Sequence[RestoredDisk], luns: Sequence[int] | None) -> list[RestoredDisk]:
    """Return the disks to attach: those of the LUNs, of which -1 is the OS disk, or all data disks."""
    if luns is None:
        chosen = [disk for disk in disks if not disk.is_os]
        if not chosen:
            raise TerminalError(ATTACHMENT_FAILED, "No data disk was restored.")
        return chosen
    chosen: list[RestoredDisk] = []
    for lun in luns:
        found = [disk for disk in disks if (disk.is_os if lun == -1 else disk.lun == lun)]
        if len(found) != 1:
            what = "the OS disk" if lun == -1 else f"that of LUN {lun}"
            raise TerminalError(ATTACHMENT_FAILED, f"The names of the restored disks do not say which one is {what}.")
        chosen += found
    return chosen
