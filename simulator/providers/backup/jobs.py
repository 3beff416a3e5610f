"""How a restore job of each kind lives: its tasks, its progress, its end.

Everything here is a pure function of the job and the time. The curves follow recordings of the service; ``LIVES`` says
which one belongs to which kind of restore.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.faults import BagFault
from simulator.formats import TICKS_PER_SECOND, clock_duration, iso_duration, iso_time, ticks, us_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.faults import ErrorDetail

_SETTLED_S = 3.0
_STUCK_AT, _STUCK_FROM, _STUCK_REMAINING_S = 96.0, 0.826, 42.4032073
_TRANSFERRED_PER_PROGRESS = 1 / 98.75
RUNNING = frozenset({"InProgress", "Cancelling", "Preparing"})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a job's property bag says about where it restores to; empty where that does not apply."""

    account: str
    resource_group: str = ""
    group_id: str = ""
    vm_id: str = ""
    network: str = ""

    @property
    def vm_name(self) -> str:
        """The new VM's name."""
        return self.vm_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One restore job; its whole future is settled when it is made, but for a cancellation.

    ``region`` is the secondary region of a cross-region restore, empty in the vault's own.
    """

    job_id: str
    vm_key: str
    vm_name: str
    container: str
    vault: str
    subscription_id: str
    activity_id: str
    recovery_type: str
    kind: str
    region: str = ""
    target: Target
    point_time: datetime
    blob_container: str
    disk_gb: float
    data_luns: tuple[int, ...] = ()
    restored_disks: tuple[str, ...] = ()
    backed_up_disks: tuple[str, ...] = ()
    makes_managed_disks: bool = False
    tags_disks: bool = True
    saves_keys: bool = False
    bag: BagFault = field(default_factory=BagFault)
    started: datetime
    delay_s: float
    seconds: float
    ends_after_s: float
    ends_as: str = "Completed"
    details: tuple[ErrorDetail, ...] = ()
    listed_from: datetime
    cancel_s: float
    cancelled_at: datetime | None = None
    integer_enums: bool = False
    unknown_enums: bool = False

    @property
    def config_blob(self) -> str:
        """The name of the blob with the configuration of the VM."""
        return f"config-{self.blob_container.rpartition('-')[0]}-{self.job_id}.json"

    @property
    def template_blob(self) -> str:
        """The name of the blob with the template for a new VM."""
        return f"azuredeploy{self.job_id}.json"

    @property
    def keys_blob(self) -> str:
        """The name of the blob with the keys of encrypted disks; empty where there are none."""
        return f"vmencryption_config-{self.job_id}.json" if self.saves_keys else ""

    @property
    def life(self) -> Life:
        """How jobs of this kind go."""
        return life_of(self.kind, self.region)

    def ends_at(self) -> datetime:
        """Return the moment of the end as things stand now."""
        if self.cancelled_at is not None:
            return self.cancelled_at + timedelta(seconds=self.cancel_s)
        return self.started + timedelta(seconds=self.ends_after_s)

    def status(self, now: datetime) -> str:
        """Return the job's status at a moment."""
        over = now >= self.ends_at()
        if self.cancelled_at is not None:
            return "Cancelled" if over else "Cancelling"
        if over:
            return self.ends_as
        return "Preparing" if self.unknown_enums and self._share(now) < 0.3 else "InProgress"  # noqa: PLR2004

    def progress(self, now: datetime) -> tuple[float, float | None]:
        """Return the percentage and the remaining seconds, None where the service does not say."""
        if self.status(now) in {"Completed", "CompletedWithWarnings"}:
            return 100.0, 0.0
        return self.life.curve(self._share(now), self.seconds - self.delay_s)

    def _share(self, now: datetime) -> float:
        """Return the share of the working time passed; it stands still once the job is told to stop or has ended."""
        moment = min(now, self.cancelled_at or self.ends_at())
        working_s = (moment - self.started).total_seconds() - self.delay_s
        return min(1.0, max(0.0, working_s / (self.seconds - self.delay_s)))

    def task_status(self, task: Task, now: datetime) -> str:
        """Return the status of one of the job's tasks at a moment."""
        status, share = self.status(now), self._share(now)
        if status in {"Completed", "CompletedWithWarnings"} or share >= task.ends:
            return "Completed"
        if status in {"InProgress", "Preparing"}:
            return "InProgress" if share >= task.starts else "NotStarted"
        return "NotStarted" if status == "Failed" and share < task.starts else status


def job_entry(job: Job, now: datetime) -> dict[str, Any]:
    """Write the properties of a job as the list of jobs has them."""
    return _properties(job, now, {})


def job_details(job: Job, now: datetime) -> dict[str, Any]:
    """Write the properties of a job as the call for the single job has them."""
    return _properties(job, now, {"extendedInfo": _extended_info(job, now)})


def _properties(job: Job, now: datetime, details: dict[str, Any]) -> dict[str, Any]:
    """Write the properties in the service's order, with the details in their place."""
    status = job.status(now)
    over = status not in RUNNING
    length = ticks(job.ends_at() if over else now) - ticks(job.started)
    has_errors = job.details and status == job.ends_as
    return {
        "jobType": "AzureIaaSVMJob",
        "actionsInfo": [1] if job.integer_enums else ["Cancellable"],
        "containerName": job.container,
        "duration": clock_duration(length) if job.integer_enums else iso_duration(length),
        **({"errorDetails": [detail.body() for detail in job.details]} if has_errors else {}),
        "virtualMachineVersion": "Compute",
        **details,
        "entityFriendlyName": job.vm_name,
        "backupManagementType": "AzureIaasVM",
        "operation": "Restore",
        "status": status,
        "startTime": iso_time(job.started),
        **({"endTime": iso_time(job.ends_at())} if over else {}),
        "activityId": job.activity_id,
    }


def _extended_info(job: Job, now: datetime) -> dict[str, Any]:
    progress, remaining_s = job.progress(now)
    extended: dict[str, Any] = {
        "tasksList": [_task_body(job, task, now) for task in job.life.tasks],
        **job.bag.applied(_property_bag(job, now)),
        "internalPropertyBag": {"restoreLocationType": job.recovery_type},
        "progressPercentage": progress,
    }
    if remaining_s is not None:
        extended["estimatedRemainingDuration"] = iso_duration(round(remaining_s * TICKS_PER_SECOND))
    status = job.status(now)
    if status != "Completed":
        extended["dynamicErrorMessage"] = job.details[0].text if job.details and status == job.ends_as else ""
    if job.unknown_enums:
        extended["memberOfTheFuture"] = {"weather": "Fair"}
    return extended


def _task_body(job: Job, task: Task, now: datetime) -> dict[str, Any]:
    status = job.task_status(task, now)
    body = {"taskId": task.name, "duration": "PT0S", "status": status, "taskType": "Normal"}
    if not job.life.counts_gigabytes:
        return body
    progress, remaining_s = job.progress(now)
    if remaining_s is not None:
        done = job.disk_gb * min(1.0, progress * _TRANSFERRED_PER_PROGRESS)
        total = f"{job.disk_gb:.2f}".rstrip("0").rstrip(".")
        moved = f"{done:.2f}".rstrip("0").rstrip(".")
        body["taskExecutionDetails"] = f"{moved} GBs / {total} GBs Transferred"
    return body


def _property_bag(job: Job, now: datetime) -> dict[str, str | None]:
    """Write the bag of display strings; some values are null in the first seconds."""
    settled = now >= min(job.ends_at(), job.started + timedelta(seconds=_SETTLED_S))
    bag: dict[str, str | None] = {"Job Type": job.life.job_type}
    if job.kind == "new_vm":
        bag |= {
            "Original VM Name": job.vm_name,
            "Target VM Name": job.target.vm_name,
            "Target VNet Name": job.target.network,
        }
    if job.kind == "replace":
        bag["Target VM Name"] = job.vm_name if settled else None
    bag["Target Storage Account Name"] = job.target.account
    bag["Recovery point time "] = us_time(job.point_time) if settled else None
    made = _blobs(job) if job.life.leaves_blobs and job.status(now) in {"Completed", "CompletedWithWarnings"} else {}
    bag |= {key: value for key, value in made.items() if key.startswith("Config")}
    if job.target.resource_group:
        bag["Target resource group"] = job.target.resource_group
    bag |= made
    if made and job.restored_disks:
        bag |= {"Restored disk(s)": "; ".join(job.restored_disks), "Backed-up disk(s)": "; ".join(job.backed_up_disks)}
    bag["VM Subscription ID"] = job.subscription_id
    return bag


def _blobs(job: Job) -> dict[str, str | None]:
    folder = f"https://{job.target.account}.blob.core.windows.net/{job.blob_container}"
    keys = {"Encryption Info Blob Name": job.keys_blob} if job.keys_blob else {}
    template_key = "Template Blob Uri" if job.integer_enums else "Create VM Template Blob Uri"
    return {
        "Config Blob Name": job.config_blob,
        "Config Blob Container Name": job.blob_container,
        "Config Blob Uri": f"{folder}/{job.config_blob}",
        **keys,
        template_key: f"{folder}/{job.template_blob}",
    }
