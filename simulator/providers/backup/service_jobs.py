"""Jobs of a vault that are no restores: backups, and the configuration of backup.

A protected VM has had its backup configured once, and the backup that took its newest point. Whenever the vault takes a
restore, the backup of another VM begins right after it, so that the newest job of the vault is never the caller's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

from simulator.formats import NO_TIME, TICKS_PER_SECOND, iso_duration, iso_time, ticks, us_time
from simulator.providers.backup.ids import DEFAULT_POLICY
from simulator.providers.backup.jobs import RUNNING
from simulator.providers.backup.points import RETENTION_DAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.providers.backup.points import Point
    from simulator.scenario import Vault, Vm
    from simulator.world import World

BACKUP, CONFIGURE_BACKUP = "Backup", "ConfigureBackup"
_SECONDS = {BACKUP: 3976.0885706, CONFIGURE_BACKUP: 80.7980192}
_SNAPSHOT_AFTER = timedelta(minutes=10, seconds=6.79)
_CONFIGURED_BEFORE = timedelta(hours=1)
_MOMENT = timedelta(microseconds=1)
_MEGABYTES_PER_DISK_GB = 111.2


@dataclass(frozen=True, slots=True)
class _Task:
    """A step of a backup, and the seconds from the job's start at which it begins and ends."""

    name: str
    begins_s: float
    ends_s: float


_TASKS = (
    _Task("Take Snapshot", 1.5542473, 1060.68392),
    _Task("Transfer data to vault", 1060.8857515, 3042.9550802),
    _Task("Validate Backup", 3042.9550802, 3974.9048566),
)


@dataclass(frozen=True, kw_only=True)
class ServiceJob:
    """A job that the service started for a VM."""

    operation: str
    vm: Vm
    vault: str
    started: datetime
    cancel_s: float
    cancelled_at: datetime | None = None

    @cached_property
    def job_id(self) -> str:
        """The job's id."""
        return _guid(f"{self.vm.key}/{self.operation}/{ticks(self.started)}")

    @cached_property
    def _activity_id(self) -> str:
        return _guid(f"{self.job_id}/activity")

    @property
    def vm_key(self) -> str:
        """The key of the VM."""
        return self.vm.key

    def ends_at(self) -> datetime:
        """Return the moment of the end as things stand now."""
        if self.cancelled_at is not None:
            return self.cancelled_at + timedelta(seconds=self.cancel_s)
        return self.started + timedelta(seconds=_SECONDS[self.operation])

    def status(self, now: datetime) -> str:
        """Return the job's status at a moment."""
        over = now >= self.ends_at()
        if self.cancelled_at is not None:
            return "Cancelled" if over else "Cancelling"
        return "Completed" if over else "InProgress"

    def entry(self, now: datetime) -> dict[str, Any]:
        """Write the properties as the list of jobs has them."""
        return self._properties(now, {})

    def details(self, now: datetime) -> dict[str, Any]:
        """Write the properties as the call for the single job has them."""
        info = self._backup_info(now) if self.operation == BACKUP else self._configuration_info()
        return self._properties(now, {"extendedInfo": info})

    def _properties(self, now: datetime, details: dict[str, Any]) -> dict[str, Any]:
        is_over = self.status(now) not in RUNNING
        length = ticks(self.ends_at() if is_over else max(now, self.started)) - ticks(self.started)
        return {
            "jobType": "AzureIaaSVMJob",
            **({"actionsInfo": ["Cancellable"]} if self.operation == BACKUP else {}),
            "containerName": self.vm.native_name,
            "duration": iso_duration(length),
            "virtualMachineVersion": "Compute",
            **details,
            "entityFriendlyName": self.vm.name,
            "backupManagementType": "AzureIaasVM",
            "operation": self.operation,
            "status": self.status(now),
            "startTime": iso_time(self.started),
            **({"endTime": iso_time(self.ends_at())} if is_over else {}),
            "activityId": self._activity_id,
        }

    def _configuration_info(self) -> dict[str, Any]:
        return {"tasksList": [], "propertyBag": {"VM Name": self.vm.name, "Policy Name": DEFAULT_POLICY}}

    def _backup_info(self, now: datetime) -> dict[str, Any]:
        expires = (self.started + timedelta(days=RETENTION_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
        bag = {"VM Name": self.vm.name, "Recovery Point Expiry Time in UTC": us_time(expires)}
        if self.status(now) == "Completed":
            bag["Backup Size"] = f"{int(self.vm.disk_gb * _MEGABYTES_PER_DISK_GB)} MB"
            bag |= self._selected_disks()
        bag["VM Subscription ID"] = self.vm.subscription_id
        return {
            "tasksList": [self._task_body(task, now) for task in _TASKS],
            "propertyBag": bag,
            "internalPropertyBag": {"IsInstantRpJob": "True"},
            "progressPercentage": self._progress(now),
        }

    def _selected_disks(self) -> dict[str, str]:
        if self.vm.disk_exclusion is None:
            return {}
        kinds = {"Backed-up disk(s)": (-1, *self.vm.backed_up_luns), "Excluded disk(s)": self.vm.excluded_luns}
        return {key: "; ".join(map(self.vm.disk_name, luns)) for key, luns in kinds.items()}

    def _progress(self, now: datetime) -> float:
        """Return how much of the data is in the vault, in per cent."""
        transfer = _TASKS[1]
        worked_s = (min(now, self.cancelled_at or now) - self.started).total_seconds()
        share = (worked_s - transfer.begins_s) / (transfer.ends_s - transfer.begins_s)
        return float(int(100 * min(1.0, max(0.0, share))))

    def _task_body(self, task: _Task, now: datetime) -> dict[str, Any]:
        begins, ends = (self.started + timedelta(seconds=passed_s) for passed_s in (task.begins_s, task.ends_s))
        worked = min(now, self.cancelled_at or now)
        status = self.status(now)
        if worked >= ends:
            status = "Completed"
        elif worked < begins and status == "InProgress":
            status = "NotStarted"
        length = (max(begins, min(worked, ends)) - begins).total_seconds()
        return {
            "taskId": task.name,
            "startTime": iso_time(begins) if worked >= begins else NO_TIME,
            "endTime": iso_time(ends) if status == "Completed" else NO_TIME,
            "duration": iso_duration(round(length * TICKS_PER_SECOND)),
            "status": status,
            "taskType": "Normal",
        }


def backup_started(world: World, point: Point) -> datetime:
    """Return when the backup began that took a point: some minutes earlier."""
    return world.point_time(point) - _SNAPSHOT_AFTER


def service_jobs(world: World, vault: Vault) -> Iterator[ServiceJob]:
    """Yield the jobs of a vault that are no restores, in no order; none with the setting ``otherJobs`` false."""
    if not world.scenario.settings.other_jobs:
        return
    vms = world.items(vault.name)
    if vault.name not in world.service_history:
        world.service_history[vault.name] = [job for vm in vms for job in _history(world, vm)]
    jobs = chain(world.service_history[vault.name], _backups_after_restores(world, vault, vms))
    yield from (_as_cancelled(world, job) for job in jobs) if world.cancelled_backups else jobs


def _as_cancelled(world: World, job: ServiceJob) -> ServiceJob:
    cancelled_at = world.cancelled_backups.get(job.job_id)
    return replace(job, cancelled_at=cancelled_at) if cancelled_at else job


def _backups_after_restores(world: World, vault: Vault, vms: list[Vm]) -> Iterator[ServiceJob]:
    """Yield the backups that begin right after the restores of other VMs."""
    protected = [vm for vm in vms if vm.points and vm.soft_delete is None]
    places = {vm.key: place for place, vm in enumerate(protected)}
    for job in world.jobs.values():
        if job.vault != vault.name or job.region:
            continue
        other = protected[(places.get(job.vm_key, -1) + 1) % len(protected)] if protected else None
        if other and other.key != job.vm_key:
            yield _job(world, other, BACKUP, job.started + _MOMENT)


def _history(world: World, vm: Vm) -> Iterator[ServiceJob]:
    """Yield the jobs that a VM has had before the simulator started."""
    points = vm.listed_points
    first = backup_started(world, points[-1]) if points else world.started
    yield _job(world, vm, CONFIGURE_BACKUP, first - _CONFIGURED_BEFORE)
    if points:
        yield _job(world, vm, BACKUP, backup_started(world, points[0]))


def _job(world: World, vm: Vm, operation: str, started: datetime) -> ServiceJob:
    vault, cancel_s = vm.vault.name if vm.vault else "", world.scenario.settings.cancel_s
    return ServiceJob(operation=operation, vm=vm, vault=vault, started=started, cancel_s=cancel_s)


def _guid(text: str) -> str:
    return str(uuid5(NAMESPACE_URL, text))
