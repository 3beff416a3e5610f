"""One restore from acceptance to its end: its whole state as a value, and the status document that callers see."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from domain import errors
from domain.errors import Json, RestoreError
from domain.jobs import Job, JobStatus
from domain.polling import Limits
from domain.protected_items import ProtectedItem
from domain.requests import ORIGINAL_LOCATION, RestoreRequest
from domain.times import format_duration, format_optional_time, format_time, parse_request_time
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_TOLD: Final = 1000
_NAMESPACE: Final = uuid.UUID("5d0f3c1e-6a0b-5d0c-9c55-0b6e3a8f4a21")

_CUSTOM_STATUS_CHARACTERS: Final = 7500
_MOST_WARNINGS: Final = 50

_DRIFT: Final = (
    "The VM's disks were replaced by new ones with other names. Bring Terraform, Bicep or other descriptions of the VM "
    "into line before they are applied again; the old disks are detached in its resource group."
)


def restore_id_for(key: str) -> str:
    """Return the restore's id for an idempotency key: the same key is the same restore, for ever."""
    return str(uuid.uuid5(_NAMESPACE, key))


class Phase(StrEnum):
    """How far a restore has come."""

    RESOLVING = "Resolving"
    SELECTING_RECOVERY_POINT = "SelectingRecoveryPoint"
    VALIDATING = "Validating"
    AWAITING_APPROVAL = "AwaitingApproval"
    TRIGGERING = "Triggering"
    TRACKING_OPERATION = "TrackingOperation"
    TRACKING_JOB = "TrackingJob"
    FINISHED = "Finished"

    @property
    def is_tracking(self) -> bool:
        """Whether Azure has the restore, so that no single bad answer may end our view of it."""
        return self in {Phase.TRACKING_OPERATION, Phase.TRACKING_JOB}


class Status(StrEnum):
    """What a caller is told of a restore."""

    PENDING = "Pending"
    RUNNING = "Running"
    AWAITING_APPROVAL = "AwaitingApproval"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"
    PLANNED = "Planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """The state of one restore: what was accepted, and what has become of it so far. Times are aware UTC.

    It is the orchestration's input, and its input again whenever the history is started afresh.
    ``next_poll`` is when the next call is due; ``failures`` counts the calls that failed in a row;
    ``cancel`` is what a person sent who asked to cancel (``{"by"?, "comment"?}``), ``cancel_sent`` that Azure was told.
    ``posts`` counts restore POSTs whose outcome stayed open, ``open_since`` is when the last of them was answered.
    """

    restore_id: str
    request: RestoreRequest
    fingerprint: str
    started_by: str
    created: datetime
    limits: Limits

    status: Status = Status.PENDING
    phase: Phase = Phase.RESOLVING
    next_poll: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    item: ProtectedItem | None = None
    point: Json | None = None
    archived: bool = False
    facts: Json | None = None
    candidates: tuple[Json, ...] = ()
    checked: bool = False
    guard_requests: tuple[str, ...] = ()
    guarded_since: datetime | None = None
    validation_id: str | None = None
    validation_url: str | None = None
    validating_since: datetime | None = None
    posts: int = 0
    open_since: datetime | None = None
    triggered: datetime | None = None
    operation_id: str | None = None
    operation_url: str | None = None
    job_id: str | None = None
    progress_pct: float | None = None
    cancel: Json | None = None
    cancel_sent: bool = False
    warnings: tuple[Json, ...] = ()
    result: Json | None = None
    error: Json | None = None
    completed: datetime | None = None

    @classmethod
    def accepted(
        cls, request: RestoreRequest, *, restore_id: str, started_by: str, created: datetime, limits: Limits
    ) -> Self:
        """Return a restore at its beginning. ``started_by`` is ``http``, ``queue`` or ``alert``."""
        return cls(
            restore_id=restore_id,
            request=request,
            fingerprint=request.fingerprint,
            started_by=started_by,
            created=created,
            limits=limits,
        )

    @property
    def deadline(self) -> datetime:
        """When a restore that still runs is reported as ``TimedOut``."""
        return self.created + timedelta(seconds=self.limits.deadline_s)

    @property
    def client_request_id(self) -> str:
        """The trigger's ``x-ms-client-request-id``: the service copies it into the job's ``activityId``."""
        return str(uuid.uuid5(_NAMESPACE, f"restore/{self.restore_id}"))

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase is Phase.FINISHED

    @property
    def may_be_running(self) -> bool:
        """Whether Azure has the restore, or may have it: then no single bad answer ends our view of it."""
        return self.phase.is_tracking or self.open_since is not None

    @property
    def source_resource_id(self) -> str | None:
        """The backed-up VM's id, as far as it is known."""
        return self.request.source_resource_id or (self.item.source_resource_id if self.item else None)

    @property
    def what_may_still_run(self) -> str:
        """What Azure may still be doing when we stop looking, and where a person finds it."""
        if self.job_id is not None:
            return f"Azure Backup job {self.job_id} may still run: look at it in the vault."
        if self.posts or self.triggered is not None:
            return (
                f"A person must look: search the vault's restore jobs for activityId {self.client_request_id} "
                "before starting another restore."
            )
        return "Nothing was started."

    def with_warning(self, code: str, message: str) -> Self:
        """Return the restore with one more warning; the same warning is kept once."""
        warning = {"code": code, "message": message}
        if warning in self.warnings:
            return self
        return replace(self, warnings=(*self.warnings, warning)[-_MOST_WARNINGS:])

    def finished(
        self, status: Status, now: datetime, *, error: RestoreError | None = None, result: Json | None = None
    ) -> Self:
        """Return the restore at its end."""
        return replace(
            self,
            status=status,
            phase=Phase.FINISHED,
            next_poll=None,
            completed=now,
            error=None if error is None else error.to_json(),
            result=result,
        )

    def ended_by(self, job: Job, now: datetime) -> Self:
        """Return the restore as its job ended: the job alone decides, in the service's own words."""
        known = replace(self, progress_pct=job.progress_pct if job.progress_pct is not None else self.progress_pct)
        if self.cancel is not None and job.status is not JobStatus.CANCELLED:
            message = f"The restore was to be cancelled{self.cancelled_by}, but its job ended as {job.status}."
            known = known.with_warning("CancelledTooLate", message)
        result = {**job.result(), "targetVirtualMachineId": self.request.body.get("targetVirtualMachineId")}
        completed = job.status in {JobStatus.COMPLETED, JobStatus.COMPLETED_WITH_WARNINGS}
        if completed and self.request.recovery_type == ORIGINAL_LOCATION:
            known = known.with_warning("DiskNamesChanged", _DRIFT)
        if job.status is JobStatus.COMPLETED:
            return replace(known, progress_pct=100.0).finished(Status.COMPLETED, now, result=result)
        if job.status is JobStatus.COMPLETED_WITH_WARNINGS:
            for detail in job.details:
                known = known.with_warning(detail.code, detail.message)
            known = known.with_warning(
                "CompletedWithWarnings",
                "The service reports warnings. Check that the disks are there before you rely on them.",
            )
            return known.finished(Status.COMPLETED_WITH_WARNINGS, now, result=result)
        cancelled = job.status is JobStatus.CANCELLED
        code, verb = (errors.RESTORE_CANCELLED, "was cancelled") if cancelled else (errors.RESTORE_FAILED, "failed")
        reason = f": {job.details[0].message}" if job.details else "."
        error = RestoreError(code, f"Azure Backup job {job.job_id} {verb}{reason}", job.details)
        return known.finished(Status.CANCELLED if cancelled else Status.FAILED, now, error=error, result=result)

    @property
    def cancelled_by(self) -> str:
        """Who asked to cancel and why, as the end of a phrase; empty when they did not say."""
        by, comment = as_text((self.cancel or {}).get("by")), as_text((self.cancel or {}).get("comment"))
        return (f" by {by}" if by else "") + (f" ({comment})" if comment else "")

    def cancelled(self, now: datetime) -> Self:
        """Return the restore ended on request, with no job known that could be cancelled."""
        message = f"The restore was cancelled{self.cancelled_by}. {self.what_may_still_run}"
        return self.finished(Status.CANCELLED, now, error=RestoreError(errors.RESTORE_CANCELLED, message))

    def planned(self, now: datetime) -> Self:
        """Return the restore ended as a plan: the body that would be sent, and the verdict on each candidate."""
        plan: Json = {"requestBody": restore_body(self), "candidates": list(self.candidates)}
        return self.finished(Status.PLANNED, now, result={"plan": plan})

    def awaiting_guard(self, now: datetime, refusal: RestoreError) -> Self:
        """Return the restore waiting for a person to open the vault's Resource Guard, or rejected after the time-out.

        The guard answers 403 until then; nothing was started, so the trigger is simply sent again.
        """
        since = self.guarded_since or now
        timeout = self.request.approval_timeout
        if now - since >= timeout:
            message = f"The Resource Guard was not opened within {format_duration(timeout)}. {self.what_may_still_run}"
            error = RestoreError(errors.APPROVAL_TIMED_OUT, message, refusal.details)
            return self.finished(Status.REJECTED, now, error=error)
        message = (
            "The vault's Resource Guard does not let the app restore yet. Give its identity Backup MUA Operator on the "
            f"guard; the trigger is sent again until {format_time(since + timeout)}."
        )
        waiting = replace(self, status=Status.AWAITING_APPROVAL, phase=Phase.AWAITING_APPROVAL, guarded_since=since)
        return waiting.with_warning("ResourceGuardClosed", message)

    @property
    def is_guarded(self) -> bool:
        """Whether a Resource Guard has a say in the trigger."""
        return bool(self.guard_requests or self.request.body.get("resourceGuardOperationRequests"))

    def timed_out(self, now: datetime) -> Self:
        """Return the restore past its deadline. What Azure does meanwhile is not touched."""
        after = format_duration(timedelta(seconds=self.limits.deadline_s))
        message = f"The restore had not ended {after} after it was accepted, which RESTORE_DEADLINE_HOURS allows."
        error = RestoreError(errors.DEADLINE_EXCEEDED, f"{message} {self.what_may_still_run}")
        return self.finished(Status.TIMED_OUT, now, error=error)

    def document(self, now: datetime) -> Json:
        """Return the status document. ``links`` are relative here; whoever answers a caller makes them absolute."""
        body = self.request.body
        return {
            "id": self.restore_id,
            "status": str(self.status),
            "phase": str(self.phase),
            "progressPercentage": self.progress_pct,
            "sourceResourceId": self.source_resource_id,
            "recoveryType": self.request.recovery_type,
            "requestId": self.request.request_id,
            "requestedBy": body.get("requestedBy"),
            "reason": body.get("reason"),
            "startedBy": self.started_by,
            "recoveryPoint": self.point,
            "operationId": self.operation_id,
            "jobId": self.job_id,
            "vaultId": self.item.vault_id if self.item else body.get("vaultId"),
            "createdTime": format_time(self.created),
            "lastUpdatedTime": format_time(now),
            "completedTime": format_optional_time(self.completed),
            "nextPollTime": format_optional_time(self.next_poll),
            "result": self.result,
            "error": self.error,
            "warnings": list(self.warnings),
            "links": {"self": f"/api/restores/{self.restore_id}"},
        }

    def custom_status(self, now: datetime) -> Json:
        """Return the status document as far as Azure Storage can hold it in a custom status: 16 KB of UTF-16.

        Only a restore with a great many words in it loses some here; its final document is always whole.
        """
        document = self.document(now)
        if len(json.dumps(document)) <= _CUSTOM_STATUS_CHARACTERS:
            return document
        error, result, words = self.error, self.result, ("requestedBy", "reason")
        return {
            **document,
            **{name: _cut(document[name], 300) for name in words},
            "error": error and {**error, "message": _cut(error["message"], 1000), "details": []},
            "result": result and {**{name: _cut(value, 300) for name, value in result.items()}, "propertyBag": {}},
            "warnings": [{name: _cut(text, 100) for name, text in each.items()} for each in self.warnings[-10:]],
        }

    def to_json(self) -> Json:
        """Return what crosses the durable boundary."""
        return {
            "v": 1,
            "restoreId": self.restore_id,
            "request": self.request.to_json(),
            "fingerprint": self.fingerprint,
            "startedBy": self.started_by,
            "created": format_time(self.created),
            "limits": self.limits.to_json(),
            "status": str(self.status),
            "phase": str(self.phase),
            "nextPoll": format_optional_time(self.next_poll),
            "failures": self.failures,
            "failingSince": format_optional_time(self.failing_since),
            "item": self.item.to_json() if self.item else None,
            "point": self.point,
            "archived": self.archived,
            "facts": self.facts,
            "candidates": list(self.candidates),
            "checked": self.checked,
            "guardRequests": list(self.guard_requests),
            "guardedSince": format_optional_time(self.guarded_since),
            "validationId": self.validation_id,
            "validationUrl": self.validation_url,
            "validatingSince": format_optional_time(self.validating_since),
            "posts": self.posts,
            "openSince": format_optional_time(self.open_since),
            "triggered": format_optional_time(self.triggered),
            "operationId": self.operation_id,
            "operationUrl": self.operation_url,
            "jobId": self.job_id,
            "progressPercentage": self.progress_pct,
            "cancel": self.cancel,
            "cancelSent": self.cancel_sent,
            "warnings": list(self.warnings),
            "result": self.result,
            "error": self.error,
            "completed": format_optional_time(self.completed),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote. The request was checked when it was accepted and is not checked again."""
        return cls(
            restore_id=data["restoreId"],
            request=RestoreRequest(data["request"]),
            fingerprint=data["fingerprint"],
            started_by=data["startedBy"],
            created=parse_request_time(data["created"]),
            limits=Limits.from_json(data["limits"]),
            status=Status(data["status"]),
            phase=Phase(data["phase"]),
            next_poll=_time(data["nextPoll"]),
            failures=data["failures"],
            failing_since=_time(data.get("failingSince")),
            item=ProtectedItem.from_json(data["item"]) if data["item"] else None,
            point=data["point"],
            archived=data["archived"],
            facts=data.get("facts"),
            candidates=tuple(data.get("candidates", ())),
            checked=data.get("checked", False),
            guard_requests=tuple(data.get("guardRequests", ())),
            guarded_since=_time(data.get("guardedSince")),
            validation_id=data["validationId"],
            validation_url=data["validationUrl"],
            validating_since=_time(data.get("validatingSince")),
            posts=data["posts"],
            open_since=_time(data["openSince"]),
            triggered=_time(data["triggered"]),
            operation_id=data["operationId"],
            operation_url=data["operationUrl"],
            job_id=data["jobId"],
            progress_pct=data["progressPercentage"],
            cancel=data.get("cancel"),
            cancel_sent=data.get("cancelSent", False),
            warnings=tuple(data["warnings"]),
            result=data["result"],
            error=data["error"],
            completed=_time(data["completed"]),
        )


def _cut(text: Any, most: int) -> str | None:
    if not isinstance(text, str):
        return None
    # As JSON, one character can take twelve.
    return text if len(json.dumps(text)) <= most else text[: most // 12]


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_request_time(text)


def restore_body(restore: Restore) -> Json:
    """Return the body of ``POST …/restore``: ``{"properties": IaasVMRestoreRequest}`` for the chosen point.

    An archived point needs the rehydrating kind of request; for any other the rehydration fields stay behind.
    """
    if restore.item is None or restore.point is None:
        raise ValueError("a restore's body needs its item and its recovery point")
    kind = "IaasVMRestoreWithRehydrationRequest" if restore.archived else "IaasVMRestoreRequest"
    properties: Json = {
        "objectType": kind,
        "recoveryPointId": restore.point["id"],
        "recoveryType": restore.request.recovery_type,
        "sourceResourceId": restore.item.source_resource_id,
        "region": restore.item.region,
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        **restore.request.passed_on,
    }
    if not restore.archived:
        properties.pop("recoveryPointRehydrationInfo", None)
    if restore.guard_requests:
        properties["resourceGuardOperationRequests"] = list(restore.guard_requests)
    return {"properties": properties}


def refused_document(*, restore_id: str, created: datetime, error: RestoreError, sent: object) -> Json:
    """Return the ``Failed`` status document of a queue message that never became a restore.

    ``sent`` is what the message held, so that its sender can recognise it: its texts, cut so that the answer still
    fits into a queue message.
    """
    body = as_object(sent)
    names = ("sourceResourceId", "recoveryType", "requestId", "requestedBy", "reason")
    told = {name: text[:_LONGEST_TOLD] if (text := as_text(body.get(name))) else None for name in names}
    return {
        "id": restore_id,
        "status": str(Status.FAILED),
        "phase": str(Phase.FINISHED),
        "progressPercentage": None,
        **told,
        "startedBy": "queue",
        "recoveryPoint": None,
        "operationId": None,
        "jobId": None,
        "vaultId": None,
        "createdTime": format_time(created),
        "lastUpdatedTime": format_time(created),
        "completedTime": format_time(created),
        "nextPollTime": None,
        "result": None,
        "error": error.to_json(),
        "warnings": [],
        "links": {},
    }
