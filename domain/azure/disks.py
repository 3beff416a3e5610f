"""Which disks a restore really made, compared with those that were asked for.

No answer of Azure Backup names the disks of a finished restore, and a list of LUNs has been seen to be ignored (all
disks were restored). What can be seen is Compute's list of the target group's disks: this restore's are those that bear
the VM's name and were made while its job ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain.times import parse_api_time
from domain.wire import as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SKEW: Final = timedelta(minutes=5)
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One managed disk of the target group. ``is_os_disk`` tells the OS disk from data disks."""

    name: str
    is_os_disk: bool
    created: datetime | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read Compute's ``disk``; only a disk with an operating system on it has ``osType``."""
        properties = as_object(body.get("properties"))
        return cls(
            name=as_name(body.get("name")) or "",
            is_os_disk=as_text(properties.get("osType")) is not None,
            created=parse_api_time(properties.get("timeCreated")),
        )


def made_by(disks: Iterable[Disk], *, vm_name: str, since: datetime, until: datetime) -> list[Disk]:
    """Return the disks that a restore of this VM made between its job's start and, give or take the clocks, its end.

    Those made before belong to an earlier restore, which may have ended a moment ago.
    """
    prefix = f"{vm_name.lower()}-"
    return [
        disk
        for disk in disks
        if disk.name.lower().startswith(prefix)
        and disk.created is not None
        and since <= disk.created
        and disk.created - _SKEW <= until
    ]


def difference(asked_luns: Sequence[int], made: Sequence[Disk]) -> str | None:
    """Say how the disks made differ from the LUNs asked for, ``None`` where they do not; LUN -1 is the OS disk.

    The OS disk comes with every restore, so that one which is missing is told whatever was asked for. Of data disks
    the number is compared: a restored disk does not say which LUN it was at.
    """
    data = [disk.name for disk in made if not disk.is_os_disk]
    asked = sorted(lun for lun in asked_luns if lun >= 0)
    if not made:
        return (
            "The disks of this restore could not be told from the others in the target group: check by hand that they "
            f"are the OS disk and those of LUN {asked}."
        )
    if len(data) == len(made):
        return f"No OS disk was restored, only data disks: {', '.join(data[:_SHOWN])}. Check them before use."
    if len(data) == len(asked):
        return None
    names = ", ".join(data[:_SHOWN]) or "none"
    return f"Asked for were the data disks of LUN {asked}, {len(data)} were restored: {names}. Check them before use."
