"""How restores of each kind go: their tasks, and the curves of their progress, as recordings of the service show."""

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
class Life:
    """How jobs of one kind go. ``curve`` maps the share of time passed to progress and remaining seconds."""

    job_type: str
    seconds: float
    tasks: tuple[Task, ...]
    curve: Callable[[float, float], tuple[float, float | None]]
    counts_gigabytes: bool = False
    leaves_blobs: bool = False


def _blob_curve(share: float, seconds: float) -> tuple[float, float | None]:
    """Climb steadily, then sit at 96 % with a frozen estimate."""
    if share >= _STUCK_FROM:
        return _STUCK_AT, _STUCK_REMAINING_S
    progress = 1.0 + math.floor((_STUCK_AT - 1.0) * share / _STUCK_FROM)
    if progress <= 1.0:
        return 1.0, None
    return progress, (_STUCK_FROM - share) * seconds + _STUCK_REMAINING_S


def _disk_curve(_share: float, _seconds: float) -> tuple[float, float | None]:
    """Say 1 % until the end."""
    return 1.0, None


def _new_vm_curve(share: float, _seconds: float) -> tuple[float, float | None]:
    """Say 1 %, then 5 % and ten minutes until the end."""
    return (1.0, None) if share < 0.5 else (5.0, 600.0)  # noqa: PLR2004 - half of the time


def _replace_curve(share: float, _seconds: float) -> tuple[float, float | None]:
    """Sit at 99 % and two minutes from the first minute on."""
    return (1.0, None) if share < _FIRST_MINUTE else (99.0, 120.0)


def _across_curve(share: float, seconds: float) -> tuple[float, float | None]:
    """Say 1 % for three minutes, climb, sit at 90 % with a frozen estimate, and at 99 % when all is transferred."""
    if share >= _ACROSS_TRANSFERRED:
        return 99.0, 120.0
    if share >= _ACROSS_STUCK_FROM:
        return 90.0, _ACROSS_STUCK_REMAINING_S
    if share < _ACROSS_MOVES_FROM:
        return 1.0, None
    climbed = (share - _ACROSS_MOVES_FROM) / (_ACROSS_STUCK_FROM - _ACROSS_MOVES_FROM)
    return 1.0 + math.floor(89.0 * climbed), (_ACROSS_STUCK_FROM - share) * seconds + _ACROSS_STUCK_REMAINING_S


_ACROSS_S = 1140.6
_ACROSS_MOVES_FROM, _ACROSS_STUCK_FROM, _ACROSS_TRANSFERRED = 180 / _ACROSS_S, 749 / _ACROSS_S, 1110 / _ACROSS_S
_ACROSS_STUCK_REMAINING_S = 83.2082695
_FIRST_MINUTE = 60 / 940
_TRANSFER = "Transfer data from vault"

LIVES = {
    "blobs": Life(
        job_type="Recover disks",
        seconds=1846.6954998,
        tasks=(Task(_TRANSFER, 0.0, 1.0),),
        curve=_blob_curve,
        counts_gigabytes=True,
        leaves_blobs=True,
    ),
    "disks": Life(
        job_type="Recover disks",
        seconds=73.97,
        tasks=(Task(_TRANSFER, 0.0, 0.89),),
        curve=_disk_curve,
        leaves_blobs=True,
    ),
    "new_vm": Life(
        job_type="Recover VM to an alternate location",
        seconds=129.9,
        tasks=(Task(_TRANSFER, 0.0, 0.5), Task("Create the restored virtual machine", 0.5, 1.0)),
        curve=_new_vm_curve,
    ),
    "replace": Life(
        job_type="Replace disks",
        seconds=940.0,
        tasks=(Task(_TRANSFER, 0.0, _FIRST_MINUTE), Task("Update the virtual machine", _FIRST_MINUTE, 1.0)),
        curve=_replace_curve,
    ),
}


LIVES_ACROSS = {
    "blobs": Life(
        job_type="Recover disks",
        seconds=_ACROSS_S,
        tasks=(Task(_TRANSFER, 0.0, _ACROSS_TRANSFERRED),),
        curve=_across_curve,
        counts_gigabytes=True,
        leaves_blobs=True,
    ),
    "new_vm": Life(
        job_type="Recover VM to an alternate location",
        seconds=_ACROSS_S,
        tasks=(Task(_TRANSFER, 0.0, _ACROSS_TRANSFERRED), Task("Create the restored virtual machine", 0.5, 1.0)),
        curve=_across_curve,
        counts_gigabytes=True,
    ),
}
LIVES_ACROSS["disks"] = LIVES_ACROSS["blobs"]


def life_of(kind: str, region: str) -> Life:
    """Return how jobs of a kind go, in the vault's own region (empty) or in another."""
    return (LIVES_ACROSS if region else LIVES)[kind]


def kind_of(recovery_type: str, *, target_group: bool) -> str:
    """Return which of ``LIVES`` a restore of this type leads."""
    if recovery_type == "RestoreDisks":
        return "disks" if target_group else "blobs"
    return {"AlternateLocation": "new_vm", "OriginalLocation": "replace"}[recovery_type]
