"""Which disks a recovery point holds, against those that are to be swapped or attached after the restore.

Azure says it only for an item that backs up selected disks: how many in the list of points, and which in the single
point (recorded). Where it does not say it, the restored disks show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from domain.errors import ErrorDetail
from domain.reading import NOT_ALLOWED
from domain.request_schema import ATTACH_DISKS, SWAP_DISKS
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from domain.azure.recovery_points import RecoveryPoint
    from domain.requests import RestoreRequest

OS_DISK_LUN: Final = -1


def needs_luns(request: RestoreRequest, point: RecoveryPoint) -> bool:
    """Return whether the disks are to be used, and only a reading of the single point shows their LUNs."""
    return request.has_follow_up and point.disk_count is not None and point.luns is None


def disk_violations(request: RestoreRequest, point: RecoveryPoint) -> Iterable[ErrorDetail]:
    """Yield an error for each disk that is to be swapped or attached, and that the point does not hold."""
    swap, attachment = request.then_swap_disks, request.then_attach_disks
    has_no_data_disk = point.data_disk_count == 0
    if has_no_data_disk and as_object(swap).get("dataDisksOnly", False):
        message = f"holds no data disk, and only data disks are to be swapped ({SWAP_DISKS}.dataDisksOnly)"
        yield _violation("recoveryPoint", f"{message}; choose another point, or swap the OS disk as well")
    if has_no_data_disk and attachment is not None and "luns" not in attachment:
        message = "holds no data disk, and without luns the data disks are attached"
        yield _violation(
            "recoveryPoint", f"{message}; choose another point, or attach the OS disk ({ATTACH_DISKS}.luns: [-1])"
        )
    if request.has_follow_up and request.disk_luns is not None:
        yield from _missing("restoreDiskLunList", request.disk_luns, point)
    if attachment is not None:
        yield from _missing(f"{ATTACH_DISKS}.luns", attachment.get("luns", ()), point)


def _missing(target: str, wanted: Sequence[int], point: RecoveryPoint) -> Iterable[ErrorDetail]:
    held = point.luns
    missing = [] if held is None else sorted({lun for lun in wanted if lun != OS_DISK_LUN} - set(held))
    if held is not None and missing:
        message = f"names LUN {_listed(missing)}, but the recovery point holds only the disks of LUN {_listed(held)}"
        yield _violation(target, f"{message} (-1 is the OS disk)")


def _listed(luns: Iterable[int]) -> str:
    return ", ".join(map(str, luns))


def _violation(target: str, message: str) -> ErrorDetail:
    return ErrorDetail(code=NOT_ALLOWED, message=message, target=target)
