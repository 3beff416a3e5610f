"""Which disks a restore created, compared with the disks that were requested.

Azure Backup does not report the disks of a finished restore, and it has been observed to ignore a list of LUNs and
restore all disks. The only evidence is Compute's list of the disks in the target resource group. The disks of this
restore have the VM's name and were created while its job ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain.times import parse_api_time
from domain.wire import as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
_MAX_NAMES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One managed disk in the target resource group."""

    name: str
    is_os_disk: bool
    created: datetime | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``Disk`` of the Compute API; only OS disks have ``osType``."""
        properties = as_object(body.get("properties"))
        return cls(
            name=as_name(body.get("name")) or "",
            is_os_disk=as_text(properties.get("osType")) is not None,
            created=parse_api_time(properties.get("timeCreated")),
        )


def made_by(disks: Iterable[Disk], *, vm_name: str, since: datetime, until: datetime) -> list[Disk]:
    """Return the disks that a restore of this VM created between ``since`` and ``until``, its job's start and end.

    Clocks may differ by five minutes at the end, but not at the start: an earlier restore may have ended just before.
    """
    prefix = f"{vm_name.lower()}-"
    return [
        disk
        for disk in disks
        if disk.name.lower().startswith(prefix)
        and disk.created is not None
        and since <= disk.created
        and disk.created - _MAX_CLOCK_SKEW <= until
    ]


def difference(requested_luns: Sequence[int], made: Sequence[Disk]) -> str | None:
    """Return how the disks made differ from the requested LUNs, or ``None`` if they do not. LUN -1 is the OS disk.

    Every restore includes the OS disk, so its absence is always a difference. Of the data disks only the number is
    compared, because a restored disk does not have its former LUN.
    """
    data = [disk.name for disk in made if not disk.is_os_disk]
    requested = sorted(lun for lun in requested_luns if lun >= 0)
    names = ", ".join(data[:_MAX_NAMES]) or "none"
    if not made:
        return (
            "The disks of this restore could not be identified among those of the target group: check by hand that "
            f"they are the OS disk and those of LUN {requested}."
        )
    if len(data) == len(made):
        return f"No OS disk was restored, only data disks: {names}. Check them before use."
    if len(data) == len(requested):
        return None
    return (
        f"The data disks of LUN {requested} were requested, but {len(data)} data disks were restored: {names}. "
        "Check them before use."
    )
