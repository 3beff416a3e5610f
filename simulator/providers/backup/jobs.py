"""Restore jobs, and how the service writes them: pure functions of the job and the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.faults import BagFault
from simulator.formats import TICKS_PER_SECOND, clock_duration, iso_duration, iso_time, ticks, us_time
from simulator.providers.backup.job_profiles import profile_of

if TYPE_CHECKING:
    from simulator.faults import ErrorDetail
    from simulator.providers.backup.job_profiles import JobProfile, Task

_SETTLED_S = 3.0
_TRANSFERRED_PER_PROGRESS = 1 / 98.75
RUNNING = frozenset({"InProgress", "Cancelling", "Preparing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a job's property bag says about where it restores to; empty where that does not apply."""

    account: str
    resource_group: str = ""
    group_id: str = ""
    vm_id: str = ""
    network: str = ""
    subnet_id: str = ""
    zones: tuple[str, ...] | None = None
    """The zones of what is made; None means as they were."""

    @property
    def vm_name(self) -> str:
        """The new VM's name."""
        return self.vm_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One restore job; its whole course is fixed when it is created, but for a cancellation.

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
    from_snapshot: bool = False
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

    def disk_name(self, lun: int) -> str:
        """Return the name of a disk that the job makes; LUN -1 is the OS disk.

        Public configurations with restored disks show the names of VMs without dashes, in lower case.
        """
        machine = "".join(letter for letter in (self.target.vm_name or self.vm_name).lower() if letter.isalnum())
        kind = "osdisk" if lun < 0 else f"datadisk-{lun:03d}"
        return f"{machine}-{kind}-{self.started:%Y%m%d-%H%M%S}"

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
    def profile(self) -> JobProfile:
        """The profile of the job's kind."""
        return profile_of(self.kind, self.region)

    def ends_at(self) -> datetime:
        """Return the moment of the end as things stand now."""
        if self.cancelled_at is not None:
            return self.cancelled_at + timedelta(seconds=self.cancel_s)
        return self.started + timedelta(seconds=self.ends_after_s)

    def transferred_at(self) -> datetime:
        """Return the moment when the data are there, which ends the first task."""
        working_s = self.seconds - self.delay_s
        return self.started + timedelta(seconds=self.delay_s + working_s * self.profile.tasks[0].ends)

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
        return self.profile.curve(self._share(now), self.seconds - self.delay_s)

    def _share(self, now: datetime) -> float:
        """Return the share of the working time passed; it does not grow once the job is cancelled or has ended."""
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
        "tasksList": [_task_body(job, task, now) for task in job.profile.tasks],
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
    if not job.profile.counts_gigabytes:
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
    bag: dict[str, str | None] = {"Job Type": job.profile.job_type}
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
    made = _blobs(job) if job.profile.leaves_blobs and job.status(now) in {"Completed", "CompletedWithWarnings"} else {}
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
