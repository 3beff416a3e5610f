"""How many more data disks a VM of its size can have, against those that would be added to it.

The sizes are read only where disks may be added: they are a long list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from domain.errors import ErrorDetail
from domain.reading import NOT_ALLOWED
from domain.request_schema import ATTACH_DISKS, CREATE_VIRTUAL_MACHINE, SWAP_DISKS
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.azure.recovery_points import RecoveryPoint
    from domain.azure.virtual_machines import VirtualMachine
    from domain.requests import RestoreRequest


def new_places(machine: VirtualMachine, luns: Iterable[int | None]) -> list[int]:
    """Return the LUNs of restored disks at which the VM has no disk now; the OS disk has its place in any case."""
    own = {disk.lun for disk in machine.data_disks}
    return sorted({lun for lun in luns if lun is not None and lun >= 0} - own)


def swap_may_add(request: RestoreRequest, point: RecoveryPoint, machine: VirtualMachine) -> bool:
    """Return whether a swap may put disks at LUNs where the VM has none, so that its size may have no room for them.

    Where Azure does not say which disks the point holds, a VM that still has the size which it had then has room.
    """
    luns = request.disk_luns or point.luns
    if luns is not None:
        return bool(new_places(machine, luns))
    return point.vm_size is not None and point.vm_size.casefold() != machine.size.casefold()


def count_added(request: RestoreRequest, point: RecoveryPoint, machine: VirtualMachine | None) -> int | None:
    """Return how many data disks the VM would get, ``None`` as long as that is not known.

    ``machine`` is the VM that has disks already; ``None`` for a new one.
    """
    luns = request.disk_luns or point.luns
    if request.then_swap_disks is not None and machine is not None:
        return None if luns is None else len(new_places(machine, luns))
    attached = as_object(request.then_attach_disks).get("luns")
    if attached is not None:
        return len(attached)
    return point.data_disk_count if luns is None else sum(lun >= 0 for lun in luns)


def room_violation(request: RestoreRequest, room: int, added: int | None) -> ErrorDetail | None:
    """Return an error if that many data disks are more than the VM has room for."""
    if added is None or added <= room:
        return None
    target = next(name for name in (SWAP_DISKS, ATTACH_DISKS, CREATE_VIRTUAL_MACHINE) if name in request.body)
    if target == CREATE_VIRTUAL_MACHINE:
        target = f"{target}.size"
    return ErrorDetail(code=NOT_ALLOWED, message=f"{no_room(room, added)}; choose a larger size for it", target=target)


def no_room(room: int, added: int) -> str:
    """Return the message that a VM with room for ``room`` more data disks would get ``added``."""
    return f"the size of the VM has room for {room} more data disks, and it would get {added}"
