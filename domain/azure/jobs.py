"""Backup jobs and operations as the service reports them. Only the job says how a restore ended, not the operation."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from domain.azure.disks import RestoredDisk
from domain.errors import ErrorDetail, Json
from domain.redaction import redacted
from domain.times import parse_api_duration, parse_api_time
from domain.wire import as_label, as_list, as_name, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_MAX_MESSAGE: Final = 700  # the rest of the limit of a message is left for the recommendations
_MAX_VALUE: Final = 1000
_MAX_ENTRIES: Final = 50  # of details, tasks and the property bag: histories store them
_MAX_CODE: Final = 10**12
_SECURED_KEYS: Final = "secured encryption info blob name"
_SLASHES_OF_CONTAINER: Final = 3  # https://<account>/<container>


def read_enum(value: object, names: Sequence[str]) -> str | None:
    """Return which of the service's ``names`` a value means, or ``None`` for an unknown value.

    Old api-versions send integers, in the order of the names. The casing varies, and so does the spelling of
    ``Cancelled``.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return names[int(value)] if value in range(len(names)) else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return read_enum(int(text), names) if len(text) < 4 else None  # noqa: PLR2004 - no enum is that long
    plain = text.casefold().replace("ll", "l")
    return next((name for name in names if name.casefold().replace("ll", "l") == plain), None)


class JobStatus(StrEnum):
    """Azure Backup's job states, in the order of the integers that old api-versions send."""

    INVALID = "Invalid"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    CANCELLED = "Cancelled"
    CANCELLING = "Cancelling"

    @classmethod
    def read(cls, value: object) -> JobStatus:
        """Read a state in any casing, with one l or two, or as an integer; an unknown one is ``INVALID``."""
        return cls(read_enum(value, tuple(cls)) or cls.INVALID)

    @property
    def is_running(self) -> bool:
        """Whether the job may still change. Unknown states count as running: the deadline caps them."""
        return self in {JobStatus.INVALID, JobStatus.IN_PROGRESS, JobStatus.CANCELLING}

    @property
    def is_good(self) -> bool:
        """Whether the job has restored something, with or without warnings."""
        return self in {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_WARNINGS}


def _read_details(properties: Mapping[str, Any]) -> tuple[ErrorDetail, ...]:
    details: list[ErrorDetail] = []
    for entry in map(as_object, as_list(properties.get("errorDetails"))[:_MAX_ENTRIES]):
        number = _read_code(entry.get("errorCode"))
        code = as_label(entry.get("errorTitle")) or str(number if number is not None else "Unknown")
        message = (as_text(entry.get("errorString")) or "The service gave no message.")[:_MAX_MESSAGE]
        advice = " ".join(line for line in as_list(entry.get("recommendations")) if isinstance(line, str))
        info = None if number is None else {"errorCode": number}
        details.append(ErrorDetail(code=code, message=f"{message} {advice}".strip(), info=info))
    if dynamic := as_text(as_object(properties.get("extendedInfo")).get("dynamicErrorMessage")):
        details.append(ErrorDetail(code="dynamicErrorMessage", message=dynamic))
    return tuple(details)


def _read_code(value: object) -> int | str | None:
    return value if isinstance(value, int) and abs(value) < _MAX_CODE else as_label(value)


def _read_value(value: object) -> str | None:
    return redacted(str(value)[:_MAX_VALUE]) if isinstance(value, str | int | float) else None


def _read_bag(extended: Mapping[str, Any]) -> Json:
    """Read the property bag of display strings. URLs lose their queries, because these contain signatures."""
    entries = list(as_object(extended.get("propertyBag")).items())[:_MAX_ENTRIES]
    return {key[:_MAX_VALUE]: _read_value(value) for key, value in entries}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTask:
    """One step of the job."""

    task_id: str | None
    status: str | None
    details: str | None

    @classmethod
    def from_api(cls, task: Mapping[str, Any]) -> Self:
        """Read an entry of ``tasksList``; every member may be missing."""
        return cls(
            task_id=_read_value(as_text(task.get("taskId"))),
            status=_read_value(as_text(task.get("status"))),
            details=_read_value(as_text(task.get("taskExecutionDetails"))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """The end of the Azure Backup job, and what it made."""

    job_status: JobStatus
    start_time: datetime | None
    end_time: datetime | None
    duration: timedelta | None
    config_blob_uri: str | None
    template_blob_uri: str | None
    target_storage_account_name: str | None
    target_resource_group: str | None
    target_virtual_machine_name: str | None
    tasks: tuple[JobTask, ...] | None = field(
        metadata={"description": "A list that is too long is `null` until the webhook has answered."}
    )
    property_bag: Json = field(metadata={"description": "All properties of the job, by the service's display names."})
    target_virtual_machine_id: str | None
    encryption_info_blob_name: str | None = field(
        metadata={"description": "The blob with the keys of encrypted disks, in the container of `configBlobUri`."}
    )
    encryption_info_blob_uri: str | None
    disks: tuple[RestoredDisk, ...] | None = field(
        metadata={
            "description": "The managed disks that the restore made; `null` if it made none, if they could not be "
            "listed, or, for a list that is too long, until the webhook has answered."
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One restore job. Times are UTC; ``progress_pct`` is the service's own figure and may stand still for minutes."""

    job_id: str
    status: JobStatus
    activity_id: str | None = None
    progress_pct: float | None = None
    start: datetime | None = None
    end: datetime | None = None
    duration: timedelta | None = None
    details: tuple[ErrorDetail, ...] = ()
    property_bag: Json | None = None
    tasks: tuple[JobTask, ...] = ()

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read an ``AzureIaaSVMJob``; unknown members are ignored, a missing ``name`` raises ``KeyError``."""
        properties = as_object(body.get("properties"))
        extended = as_object(properties.get("extendedInfo"))
        progress = extended.get("progressPercentage")
        return cls(
            job_id=body["name"],
            status=JobStatus.read(properties.get("status")),
            activity_id=as_name(properties.get("activityId")),
            progress_pct=float(progress) if isinstance(progress, int | float) and 0 <= progress <= 100 else None,  # noqa: PLR2004 - per cent
            start=parse_api_time(properties.get("startTime")),
            end=parse_api_time(properties.get("endTime")),
            duration=parse_api_duration(properties.get("duration")),
            details=_read_details(properties),
            property_bag=_read_bag(extended),
            tasks=tuple(
                JobTask.from_api(as_object(task)) for task in as_list(extended.get("tasksList"))[:_MAX_ENTRIES]
            ),
        )

    @property
    def brief(self) -> Self:
        """The job without its details while it runs: only state and progress, so that the history stays small."""
        if not self.status.is_running:
            return self
        return type(self)(job_id=self.job_id, status=self.status, progress_pct=self.progress_pct)

    @property
    def took(self) -> timedelta | None:
        """How long the job ran, by its own figure or by its times."""
        if self.duration is not None or self.start is None or self.end is None:
            return self.duration
        return self.end - self.start

    def named(self, key: str) -> str | None:
        """Return what the property bag has under ``key``, which is in lower case; ``None`` if it is absent or blank.

        The keys of the bag are display strings, such as ``Recovery point time `` with a space at its end, so case and
        white space around them are ignored.
        """
        bag = self.property_bag or {}
        values = ((value or "").strip() for name, value in bag.items() if name.strip().casefold() == key)
        return next(filter(None, values), None)

    @property
    def has_secured_keys(self) -> bool:
        """Whether the job has saved the key of a confidential VM, instead of those of Azure Disk Encryption."""
        return self.named("encryption info blob name") is None and self.named(_SECURED_KEYS) is not None

    def result(self) -> JobResult:
        """Return what the job itself says: its duration, and the names of what it made."""
        config_uri = self.named("config blob uri")
        keys = self.named("encryption info blob name") or self.named(_SECURED_KEYS)
        return JobResult(
            job_status=self.status,
            start_time=self.start,
            end_time=self.end,
            duration=self.took,
            config_blob_uri=config_uri,
            # The service has used one of these keys until 2024 and the other since 2025.
            template_blob_uri=self.named("create vm template blob uri") or self.named("template blob uri"),
            target_storage_account_name=self.named("target storage account name"),
            target_resource_group=self.named("target resource group"),
            target_virtual_machine_name=self.named("target vm name"),
            tasks=self.tasks,
            property_bag=self.property_bag or {},
            target_virtual_machine_id=None,
            encryption_info_blob_name=keys,
            encryption_info_blob_uri=_blob_beside(config_uri, keys),
            disks=None,
        )


def _blob_beside(blob_uri: str | None, name: str | None) -> str | None:
    """Return the address of the blob ``name`` in the container of ``blob_uri``; ``None`` if either is not known."""
    container = (blob_uri or "").rpartition("/")[0]
    if name is None or container.count("/") < _SLASHES_OF_CONTAINER:
        return None
    return f"{container}/{quote(name, errors='replace')}"


class OperationStatus(StrEnum):
    """The status of an asynchronous operation."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @classmethod
    def read(cls, value: object) -> OperationStatus:
        """Read a state in any casing, with one l or two, or as an integer; an unknown one counts as running."""
        name = read_enum(value, ("Invalid", "InProgress", "Succeeded", "Failed", "Canceled"))
        return cls(name) if name in {"Succeeded", "Failed", "Canceled"} else cls.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One poll of an operation. ``next_url`` is the address that the answer gave for the next poll, if it gave one."""

    status: OperationStatus
    job_id: str | None = None
    error: ErrorDetail | None = None
    next_url: str | None = None

    @classmethod
    def from_api(cls, body: Mapping[str, Any], *, next_url: str | None = None) -> Self:
        """Read an ``OperationStatus`` body; every member may be missing."""
        error = as_object(body.get("error"))
        message = as_text(error.get("message")) or "The service gave no message."
        return cls(
            status=OperationStatus.read(body.get("status")),
            job_id=as_name(as_object(body.get("properties")).get("jobId")),
            error=ErrorDetail(code=as_label(error.get("code")) or "Unknown", message=message) if error else None,
            next_url=next_url,
        )
