"""The kinds of restore jobs: their duration, tasks and progress over time, as recordings of the service show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STUCK_AT, _STUCK_FROM, _STUCK_REMAINING_S = 96.0, 0.826, 42.4032073


@dataclass(frozen=True, slots=True)
class Task:
    """A step of a job and the share of the job's time in which it runs."""

    name: str
    starts: float
    ends: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProfile:
    """The course of the jobs of one kind.

    ``curve`` maps the share of time passed (0 to 1) and the job's seconds to the progress in per cent and the remaining
    seconds, None where the service does not say.
    """

    job_type: str
    seconds: float
    tasks: tuple[Task, ...]
    curve: Callable[[float, float], tuple[float, float | None]]
    counts_gigabytes: bool = False
    leaves_blobs: bool = False


def _blob_curve(share: float, seconds: float) -> tuple[float, float | None]:
    """Grow steadily, then stay at 96 % with an estimate that does not change."""
    if share >= _STUCK_FROM:
        return _STUCK_AT, _STUCK_REMAINING_S
    progress = 1.0 + math.floor((_STUCK_AT - 1.0) * share / _STUCK_FROM)
    if progress <= 1.0:
        return 1.0, None
    return progress, (_STUCK_FROM - share) * seconds + _STUCK_REMAINING_S


def _disk_curve(_share: float, _seconds: float) -> tuple[float, float | None]:
    """Stay at 1 % until the end."""
    return 1.0, None


def _new_vm_curve(share: float, _seconds: float) -> tuple[float, float | None]:
    """Stay at 1 % for half of the time, then at 5 % and ten minutes until the end."""
    return (1.0, None) if share < 0.5 else (5.0, 600.0)  # noqa: PLR2004 - half of the time


def _replace_curve(share: float, _seconds: float) -> tuple[float, float | None]:
    """Stay at 99 % and two minutes from the first minute on."""
    return (1.0, None) if share < _FIRST_MINUTE else (99.0, 120.0)


def _cross_region_curve(share: float, seconds: float) -> tuple[float, float | None]:
    """Stay at 1 % for three minutes, grow to 90 %, stay there, then at 99 % when all is transferred."""
    if share >= _CRR_TRANSFERRED:
        return 99.0, 120.0
    if share >= _CRR_STUCK_FROM:
        return 90.0, _CRR_STUCK_REMAINING_S
    if share < _CRR_MOVES_FROM:
        return 1.0, None
    grown = (share - _CRR_MOVES_FROM) / (_CRR_STUCK_FROM - _CRR_MOVES_FROM)
    return 1.0 + math.floor(89.0 * grown), (_CRR_STUCK_FROM - share) * seconds + _CRR_STUCK_REMAINING_S


_CRR_S = 1140.6
_CRR_MOVES_FROM, _CRR_STUCK_FROM, _CRR_TRANSFERRED = 180 / _CRR_S, 749 / _CRR_S, 1110 / _CRR_S
_CRR_STUCK_REMAINING_S = 83.2082695
_FIRST_MINUTE = 60 / 940
_TRANSFER = "Transfer data from vault"

JOB_PROFILES = {
    "blobs": JobProfile(
        job_type="Recover disks",
        seconds=1846.6954998,
        tasks=(Task(_TRANSFER, 0.0, 1.0),),
        curve=_blob_curve,
        counts_gigabytes=True,
        leaves_blobs=True,
    ),
    "disks": JobProfile(
        job_type="Recover disks",
        seconds=73.97,
        tasks=(Task(_TRANSFER, 0.0, 0.89),),
        curve=_disk_curve,
        leaves_blobs=True,
    ),
    "new_vm": JobProfile(
        job_type="Recover VM to an alternate location",
        seconds=129.9,
        tasks=(Task(_TRANSFER, 0.0, 0.5), Task("Create the restored virtual machine", 0.5, 1.0)),
        curve=_new_vm_curve,
    ),
    "replace": JobProfile(
        job_type="Replace disks",
        seconds=940.0,
        tasks=(Task(_TRANSFER, 0.0, _FIRST_MINUTE), Task("Update the virtual machine", _FIRST_MINUTE, 1.0)),
        curve=_replace_curve,
    ),
}


CROSS_REGION_PROFILES = {
    "blobs": JobProfile(
        job_type="Recover disks",
        seconds=_CRR_S,
        tasks=(Task(_TRANSFER, 0.0, _CRR_TRANSFERRED),),
        curve=_cross_region_curve,
        counts_gigabytes=True,
        leaves_blobs=True,
    ),
    "new_vm": JobProfile(
        job_type="Recover VM to an alternate location",
        seconds=_CRR_S,
        tasks=(Task(_TRANSFER, 0.0, _CRR_TRANSFERRED), Task("Create the restored virtual machine", 0.5, 1.0)),
        curve=_cross_region_curve,
        counts_gigabytes=True,
    ),
}
CROSS_REGION_PROFILES["disks"] = CROSS_REGION_PROFILES["blobs"]


def profile_of(kind: str, region: str) -> JobProfile:
    """Return the profile of a kind of jobs, in the vault's own region (empty) or in the secondary one."""
    return (CROSS_REGION_PROFILES if region else JOB_PROFILES)[kind]


def kind_of(recovery_type: str, *, target_group: bool) -> str:
    """Return the kind, a key of ``JOB_PROFILES``, of a restore with a recovery type."""
    if recovery_type == "RestoreDisks":
        return "disks" if target_group else "blobs"
    return {"AlternateLocation": "new_vm", "OriginalLocation": "replace"}[recovery_type]
