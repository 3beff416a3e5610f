"""Which disks a restore created, compared with the disks that were requested.

Azure Backup does not report the disks of a finished restore, and it has been observed to ignore a list of LUNs and
restore all disks. The only evidence is Compute's list of the disks in the resource group. There Azure Backup tags each
disk that a restore creates with its job (``RSVaultBackup``). This is not documented, so without such a tag the disks of
this restore are those that have the VM's name and were created while its job ran.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain.azure.resource_ids import same_region
from domain.times import parse_api_time
from domain.wire import as_label, as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TAG: Final = "rsvaultbackup"
_MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
_MAX_NAMES: Final = 20
_MAX_DISKS: Final = 100  # a VM has 65 at most; histories store them
_MAX_SIZE_GB: Final = 10**6
_DATA_DISK: Final = re.compile(r".*-datadisk-(\d{3})(-.*)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One managed disk of a resource group. ``made_by_job`` is its tag: the name or id of the job that created it.

    ``os_type`` is ``Linux`` or ``Windows`` for an OS disk. ``security_type`` is such as ``TrustedLaunch``, or ``None``.
    ``attached_to`` is the id of the VM that has it. ``zone`` is ``None`` for a disk that is in no zone, or in all of
    them (``is_zone_redundant``). ``generation`` is ``V1`` or ``V2`` for an OS disk, if Azure says it.
    """

    name: str
    is_os_disk: bool
    created: datetime | None = None
    disk_id: str | None = None
    size_gb: int | None = None
    made_by_job: str | None = None
    location: str | None = None
    zone: str | None = None
    os_type: str | None = None
    security_type: str | None = None
    attached_to: str | None = None
    is_zone_redundant: bool = False
    generation: str | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``Disk`` of the Compute API; only OS disks have ``osType``."""
        properties, tags = as_object(body.get("properties")), as_object(body.get("tags"))
        tagged = next((value for name, value in tags.items() if name.lower() == _TAG), None)
        return cls(
            name=as_name(body.get("name")) or "",
            is_os_disk=as_text(properties.get("osType")) is not None,
            created=parse_api_time(properties.get("timeCreated")),
            disk_id=as_name(body.get("id")),
            size_gb=_size_gb(properties.get("diskSizeGB")),
            made_by_job=(as_name(tagged) or "").strip() or None,
            location=as_name(body.get("location")),
            zone=as_name(next(iter(as_list(body.get("zones"))), None)),
            os_type=as_label(properties.get("osType")),
            security_type=as_label(as_object(properties.get("securityProfile")).get("securityType")),
            attached_to=as_name(body.get("managedBy")),
            is_zone_redundant=(as_text(as_object(body.get("sku")).get("name")) or "").upper().endswith("_ZRS"),
            generation=as_label(properties.get("hyperVGeneration")),
        )

    def is_out_of_reach(self, location: str, zone: str | None) -> bool:
        """Return whether a VM at this place cannot have the disk: its region or its zone is another one.

        A VM of a zone can have disks of this zone, and a VM of no zone those of no zone; zone-redundant ones fit both.
        A place that Azure does not say fits.
        """
        if self.location is None or not location:
            return False
        return not same_region(self.location, location) or (not self.is_zone_redundant and self.zone != zone)

    def is_made_by(self, job_id: str) -> bool:
        """Return whether the disk's tag names this job, by its name or by its id."""
        tag = (self.made_by_job or "").rstrip("/").rpartition("/")[2]
        return bool(job_id) and tag.casefold() == job_id.casefold()


def _size_gb(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value < _MAX_SIZE_GB else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredDisk:
    """A managed disk that the restore created. `lun` is that of the backed-up disk, read from the new disk's name."""

    id: str | None
    name: str
    is_os: bool
    lun: int | None
    size_gb: int | None

    @classmethod
    def of(cls, disk: Disk) -> Self:
        """Return a disk as callers see it."""
        match = None if disk.is_os_disk else _DATA_DISK.fullmatch(disk.name)
        lun = None if match is None else int(match[1])
        return cls(id=disk.disk_id, name=disk.name, is_os=disk.is_os_disk, lun=lun, size_gb=disk.size_gb)


def restored_disks(
    disks: Iterable[Disk], *, job_id: str, vm_names: Iterable[str], since: datetime, until: datetime
) -> list[Disk]:
    """Return the disks that a job created: those with its tag, or, if none has it, those whose name and time fit.

    ``vm_names`` are the names of the backed-up VM and of the new one; ``since`` and ``until`` are the job's start and
    end. A disk with the tag of another job is never one of this job.
    """
    known = list(disks)
    tagged = [disk for disk in known if disk.is_made_by(job_id)]
    untagged = [disk for disk in known if disk.made_by_job is None]
    return (tagged or _created_during(untagged, vm_names, since, until))[:_MAX_DISKS]


def _created_during(disks: Iterable[Disk], vm_names: Iterable[str], since: datetime, until: datetime) -> list[Disk]:
    """Return the disks that have a VM's name and were created between ``since`` and ``until``.

    Clocks may differ by five minutes at the end, but not at the start: an earlier restore may have ended just before.
    Names of restored disks in public configurations show that Azure Backup leaves out the dashes of the VM's name.
    """
    names = {name for vm_name in vm_names for name in (vm_name.lower(), re.sub(r"[\W_]", "", vm_name.lower()))}
    prefixes = tuple(f"{name}-" for name in names if name)
    return [
        disk
        for disk in disks
        if disk.name.lower().startswith(prefixes)
        and disk.created is not None
        and since <= disk.created
        and disk.created - _MAX_CLOCK_SKEW <= until
    ]


def difference(requested_luns: Sequence[int], made: Sequence[Disk]) -> str | None:
    """Return how the disks made differ from the requested LUNs, or ``None`` if they do not. LUN -1 is the OS disk.

    Every restore includes the OS disk, so its absence is always a difference. Of the data disks only the number is
    compared, because a restored disk has its former LUN in its name alone.
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
