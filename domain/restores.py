"""One restore from acceptance to its end: its whole state as a value, and the status document that callers see."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

from domain import errors
from domain.errors import Json, RestoreError
from domain.guards import AlertStart
from domain.jobs import Job, JobStatus
from domain.polling import Limits
from domain.protected_items import ProtectedItem
from domain.requests import ORIGINAL_LOCATION, RestoreRequest
from domain.times import format_duration, format_optional_time, format_time, parse_request_time
from domain.wire import as_list, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LONGEST_TOLD: Final = 1000
_RETENTION: Final = "P15D"  # az CLI's own; how long an archived point stays brought back
_NAMESPACE: Final = uuid.UUID("5d0f3c1e-6a0b-5d0c-9c55-0b6e3a8f4a21")

ADMISSION_PATIENCE_S: Final = 5.0
"""How long an HTTP caller is kept for the guards' answer; what is refused later is told by the results queue."""

_REFUSED_LATE: Final = "RefusedLate"
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


ENDED: Final = frozenset(Status) - {Status.PENDING, Status.RUNNING, Status.AWAITING_APPROVAL}
"""The statuses of a restore that has come to its end."""


class Guard(StrEnum):
    """How far a restore has come with the guard of its VM, and with its turn at the vault.

    ``WAITING``: it has asked for its turn, and waits in line.
    """

    WANTED = "Wanted"
    WAITING = "Waiting"
    HELD = "Held"


class Decision(StrEnum):
    """What a person decided, or that nobody did in time."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    TIMED_OUT = "TimedOut"


_REFUSALS: Final = frozenset({errors.REQUEST_CONFLICT, errors.COOLING_DOWN, errors.HOURLY_BUDGET_SPENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """The state of one restore: what was accepted, and what has become of it so far. Times are aware UTC.

    It is the orchestration's input, and its input again whenever the history is started afresh.
    ``next_poll`` is when the next call is due; ``failures`` counts the calls that failed in a row;
    ``cancel`` is what a person sent who asked to cancel (``{"by"?, "comment"?}``), ``cancel_sent`` that Azure was told,
    ``cancel_since`` when telling it first failed in passing.
    ``attempts`` numbers the attempts to post: each number has a mark of its own in the task hub.
    ``posts`` counts restore POSTs whose outcome stayed open, ``open_since`` is when the last of them was answered.
    ``clock`` is the time as far as what was delivered tells it: answers, timers and events carry theirs.
    ``requests`` numbers what the guards were asked: by the number a guard recognises an outdated request.
    ``start_token`` was made by the call that started the restore: by it the call knows whether the instance is its own.
    ``guard`` is ``None`` where no VM's guard is taken: for a plan, and for what older versions started.
    ``approval`` is what the document shows of a person's decision, ``None`` where none is needed; ``paused_s`` is how
    long was, or may be, waited for it: it does not count towards the deadline. ``heard`` is true from when a person
    said what cannot wait, at the end of a history, until the next one has begun. ``waits`` is until when Azure wants
    each activity left alone, as its last answer said.
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
    attempts: int = 0
    posts: int = 0
    open_since: datetime | None = None
    triggered: datetime | None = None
    operation_id: str | None = None
    operation_url: str | None = None
    job_id: str | None = None
    progress_pct: float | None = None
    cancel: Json | None = None
    cancel_sent: bool = False
    cancel_since: datetime | None = None
    warnings: tuple[Json, ...] = ()
    result: Json | None = None
    error: Json | None = None
    completed: datetime | None = None
    guard: Guard | None = None
    alert: AlertStart | None = None
    approval: Json | None = None
    paused_s: float = 0.0
    turn: Guard | None = None
    heard: bool = False
    requests: int = 0
    clock: datetime | None = None
    start_token: str | None = None
    waits: Mapping[str, datetime] = field(default_factory=dict[str, datetime])

    @classmethod
    def accepted(
        cls,
        request: RestoreRequest,
        *,
        restore_id: str,
        started_by: str,
        created: datetime,
        limits: Limits,
        alert: AlertStart | None = None,
        start_token: str | None = None,
    ) -> Self:
        """Return a restore at its beginning. ``started_by`` is ``http``, ``queue`` or, with ``alert``, ``alert``."""
        restore = cls(
            restore_id=restore_id,
            request=request,
            fingerprint=request.fingerprint,
            started_by=started_by,
            created=created,
            limits=limits,
            guard=None if request.is_plan else Guard.WANTED,
            turn=None if request.is_plan or limits.most_per_vault is None else Guard.WANTED,
            alert=alert,
            start_token=start_token,
        )
        if request.needs_approval and not request.is_plan:
            return restore.with_approval("The request asks for an approval.")
        return restore

    @property
    def deadline(self) -> datetime:
        """When a restore that still runs is reported as ``TimedOut``."""
        return self.created + timedelta(seconds=self.limits.deadline_s + self.paused_s)

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
    def guarded_name(self) -> str | None:
        """What the VM's guard goes by, as soon as it is known: the VM's id, else the item's address."""
        item = self.item
        named = item and f"{item.vault_id}/{item.container_name}/{item.protected_item_name}"
        return self.source_resource_id or named

    @property
    def wants_guard(self) -> bool:
        """Whether the guard of its VM can and must be taken now."""
        return self.guard is Guard.WANTED and self.guarded_name is not None

    @property
    def wants_turn(self) -> bool:
        """Whether it is for the vault's turn to come: not while a person is waited for, who may take hours."""
        waits = self.phase is Phase.AWAITING_APPROVAL and self.guarded_since is None
        return self.turn in {Guard.WANTED, Guard.WAITING} and self.item is not None and not waits

    @property
    def decision(self) -> Decision | None:
        """What a person decided, as far as an approval is needed."""
        made = (self.approval or {}).get("decision")
        return None if made is None else Decision(made)

    @property
    def approval_expires(self) -> datetime | None:
        """Until when a person may decide, once that is known."""
        return _time((self.approval or {}).get("expires"))

    @property
    def awaits_decision(self) -> bool:
        """Whether an approval is needed that nobody has given or refused yet."""
        return self.approval is not None and self.decision is None

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
        made = self.request.body.get("targetVirtualMachineId") if job.status.is_good else None
        result = {**job.result(), "targetVirtualMachineId": made}
        if job.status.is_good and self.request.recovery_type == ORIGINAL_LOCATION:
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
        code, verb = (
            (errors.RESTORE_CANCELLED, f"was cancelled{self.cancelled_by}")
            if cancelled
            else (errors.RESTORE_FAILED, "failed")
        )
        reason = f": {job.details[0].message}" if job.details else "."
        error = RestoreError(code, f"Azure Backup job {job.job_id} {verb}{reason}", job.details)
        return known.finished(Status.CANCELLED if cancelled else Status.FAILED, now, error=error, result=result)

    @property
    def cancellation(self) -> Json | None:
        """Who asked to cancel, why and when: ``{"by", "comment", "time"}``; ``None`` while nobody has."""
        if self.cancel is None:
            return None
        return {name: as_text(self.cancel.get(name)) for name in ("by", "comment", "time")}

    @property
    def trigger_body(self) -> Json:
        """The body of ``POST …/restore``, as soon as item and point are known; else ``ValueError``."""
        if self.item is None or self.point is None:
            raise ValueError("a restore's body needs its item and its recovery point")
        return restore_body(
            self.request,
            self.item,
            point_id=self.point["id"],
            archived=self.archived,
            edge_zone=as_object(self.facts).get("extendedLocation"),
            guard_requests=self.guard_requests,
        )

    @property
    def cancelled_by(self) -> str:
        """Who asked to cancel and why, as the end of a phrase; empty when they did not say."""
        return _said(self.cancel or {})

    def cancelled(self, now: datetime) -> Self:
        """Return the restore ended on request, with no job known that could be cancelled."""
        message = f"The restore was cancelled{self.cancelled_by}. {self.what_may_still_run}"
        return self.finished(Status.CANCELLED, now, error=RestoreError(errors.RESTORE_CANCELLED, message))

    def refused(self, code: str, message: str, now: datetime) -> Self:
        """Return the start ended by a guard: it never became a restore (see :func:`was_refused`)."""
        told = self
        if self.request.source_resource_id is None or (now - self.created).total_seconds() > ADMISSION_PATIENCE_S:
            told = self.with_warning(_REFUSED_LATE, "Its caller had been answered before the guards refused it.")
        status = Status.REJECTED if self.alert else Status.FAILED
        return told.finished(status, now, error=RestoreError(code, f"{message} Nothing was started."))

    def with_approval(self, reason: str) -> Self:
        """Return the restore with an approval needed before it is triggered, whatever else needs one."""
        if self.approval is not None:
            return self
        timeout = format_duration(self.request.approval_timeout)
        unknown = dict.fromkeys(("expires", "decision", "by", "comment", "time"))
        return replace(self, approval={"required": True, "timeout": timeout, "reason": reason, **unknown})

    def awaiting_approval(self, now: datetime) -> Self:
        """Return the restore waiting for a person; all that can be checked before the trigger has been."""
        timeout = self.request.approval_timeout
        return replace(
            self,
            status=Status.AWAITING_APPROVAL,
            phase=Phase.AWAITING_APPROVAL,
            approval={**(self.approval or {}), "expires": format_time(now + timeout)},
            paused_s=timeout.total_seconds(),
            next_poll=now + timeout,
        )

    def decided(self, decision: Decision, now: datetime, *, by: object = None, comment: object = None) -> Self:
        """Return the restore with a decision made on it; the first one counts."""
        if not self.awaits_decision:
            return self
        approval = self.approval or {}
        made = {"decision": str(decision), "by": as_text(by), "comment": as_text(comment), "time": format_time(now)}
        expires = self.approval_expires
        waited = self.request.approval_timeout - (expires - now) if expires else timedelta()
        return replace(self, approval={**approval, **made}, paused_s=max(0.0, waited.total_seconds()))

    def rejected(self, now: datetime) -> Self:
        """Return the restore ended because a person said no, or nobody said anything in time."""
        approval = self.approval or {}
        if self.decision is Decision.TIMED_OUT:
            message = f"Nobody approved the restore within {approval['timeout']}. Nothing was started."
            return self.finished(Status.REJECTED, now, error=RestoreError(errors.APPROVAL_TIMED_OUT, message))
        message = f"The restore was rejected{_said(approval)}. Nothing was started."
        return self.finished(Status.REJECTED, now, error=RestoreError(errors.REJECTED, message))

    def planned(self, now: datetime) -> Self:
        """Return the restore ended as a plan: the body that would be sent, and the verdict on each candidate."""
        return self.finished(Status.PLANNED, now, result=self.plan)

    @property
    def plan(self) -> Json | None:
        """What a plan has found out so far, as the document's ``result``; ``None`` for what is no plan, or has not."""
        if not self.request.is_plan or not (self.candidates or self.point):
            return None
        body = self.trigger_body if self.item and self.point else None
        return {"plan": {"requestBody": body, "candidates": list(self.candidates)}}

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
        paused_s = self.paused_s + (0.0 if self.guarded_since else timeout.total_seconds())
        waiting = replace(
            self,
            status=Status.AWAITING_APPROVAL,
            phase=Phase.AWAITING_APPROVAL,
            guarded_since=since,
            paused_s=paused_s,
        )
        return waiting.with_warning("ResourceGuardClosed", message)

    @property
    def guard_expires(self) -> datetime | None:
        """Until when the Resource Guard is waited for, ``None`` where it is not."""
        return None if self.guarded_since is None else self.guarded_since + self.request.approval_timeout

    def guard_passed(self, now: datetime) -> Self:
        """Return the restore let through by the Resource Guard; only the wait that there was is no part of its time."""
        if self.guard_expires is None:
            return self
        unused = self.guard_expires - now
        return replace(self, guarded_since=None, paused_s=max(self.paused_s - unused.total_seconds(), 0.0))

    def timed_out(self, now: datetime) -> Self:
        """Return the restore past its deadline. What Azure does meanwhile is not touched."""
        after = format_duration(timedelta(seconds=self.limits.deadline_s))
        message = f"The restore had not ended {after} after it was accepted, which RESTORE_DEADLINE_HOURS allows."
        error = RestoreError(errors.DEADLINE_EXCEEDED, f"{message} {self.what_may_still_run}")
        return self.finished(Status.TIMED_OUT, now, error=error)

    def document(self, now: datetime) -> Json:
        """Return the status document. ``links`` are relative here; whoever answers a caller makes them absolute."""
        body = self.request.body
        # The contract's shape, and ``approval`` and ``cancellation`` where they exist.
        people: Json = {"approval": self.approval, "cancellation": self.cancellation}
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
            "lastUpdatedTime": format_time(self.completed or now),
            "completedTime": format_optional_time(self.completed),
            "nextPollTime": format_optional_time(self.next_poll),
            **{name: value for name, value in people.items() if value is not None},
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
        cancellation = self.cancellation
        approval = self.approval and {name: _cut(value, 300) for name, value in self.approval.items()}
        return {
            **document,
            **{name: _cut(document[name], 300) for name in words},
            **({"approval": {**approval, "required": True}} if approval else {}),
            **(
                {"cancellation": {name: _cut(text, 300) for name, text in cancellation.items()}} if cancellation else {}
            ),
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
            "attempts": self.attempts,
            "posts": self.posts,
            "openSince": format_optional_time(self.open_since),
            "triggered": format_optional_time(self.triggered),
            "operationId": self.operation_id,
            "operationUrl": self.operation_url,
            "jobId": self.job_id,
            "progressPercentage": self.progress_pct,
            "cancel": self.cancel,
            "cancelSent": self.cancel_sent,
            "cancelSince": format_optional_time(self.cancel_since),
            "warnings": list(self.warnings),
            "result": self.result,
            "error": self.error,
            "completed": format_optional_time(self.completed),
            "guard": self.guard and str(self.guard),
            "alert": self.alert and self.alert.to_json(),
            "approval": self.approval,
            "heard": self.heard or None,
            "turn": self.turn and str(self.turn),
            "pausedS": self.paused_s or None,
            "requests": self.requests,
            "clock": format_optional_time(self.clock),
            "startToken": self.start_token,
            "waits": {each: format_time(until) for each, until in self.waits.items()} or None,
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
            attempts=data.get("attempts", 0),
            posts=data["posts"],
            open_since=_time(data["openSince"]),
            triggered=_time(data["triggered"]),
            operation_id=data["operationId"],
            operation_url=data["operationUrl"],
            job_id=data["jobId"],
            progress_pct=data["progressPercentage"],
            cancel=data.get("cancel"),
            cancel_sent=data.get("cancelSent", False),
            cancel_since=_time(data.get("cancelSince")),
            warnings=tuple(data["warnings"]),
            result=data["result"],
            error=data["error"],
            completed=_time(data["completed"]),
            guard=Guard(data["guard"]) if data.get("guard") else None,
            alert=AlertStart.from_json(data["alert"]) if data.get("alert") else None,
            approval=data.get("approval"),
            heard=data.get("heard") or False,
            turn=Guard(data["turn"]) if data.get("turn") else None,
            paused_s=data.get("pausedS") or 0.0,
            requests=data.get("requests", 0),
            clock=_time(data.get("clock")),
            start_token=data.get("startToken"),
            waits={each: parse_request_time(until) for each, until in as_object(data.get("waits")).items()},
        )


def was_refused(document: Mapping[str, Any]) -> bool:
    """Tell whether a guard ended this start: no restore is shown for it, and its key may start one later."""
    error = as_object(document.get("error"))
    return document.get("phase") == str(Phase.FINISHED) and error.get("code") in _REFUSALS


def was_refused_at_once(document: Mapping[str, Any]) -> bool:
    """Tell whether whoever asked for this refused start was told so: nobody needs to see it again."""
    late = any(as_object(each).get("code") == _REFUSED_LATE for each in as_list(document.get("warnings")))
    return was_refused(document) and not late


def _said(decision: Mapping[str, Any]) -> str:
    """Say who decided and why, as the end of a phrase; empty when they did not tell."""
    by, comment = as_text(decision.get("by")), as_text(decision.get("comment"))
    return (f" by {by}" if by else "") + (f" ({comment})" if comment else "")


def _cut(text: Any, most: int) -> str | None:
    if not isinstance(text, str):
        return None
    # As JSON, one character can take twelve.
    return text if len(json.dumps(text)) <= most else text[: most // 12]


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_request_time(text)


def restore_body(
    request: RestoreRequest,
    item: ProtectedItem,
    *,
    point_id: str,
    archived: bool,
    edge_zone: Json | None,
    guard_requests: Sequence[str],
) -> Json:
    """Return the body of ``POST …/restore``: ``{"properties": IaasVMRestoreRequest}`` for the chosen point.

    An archived point needs the rehydrating kind of request; for any other the rehydration fields stay behind.
    """
    properties: Json = {
        "objectType": "IaasVMRestoreWithRehydrationRequest" if archived else "IaasVMRestoreRequest",
        "recoveryPointId": point_id,
        "recoveryType": request.recovery_type,
        "sourceResourceId": item.source_resource_id,
        "region": item.region,
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        **request.passed_on,
    }
    if archived:
        how = as_object(properties.get("recoveryPointRehydrationInfo"))
        properties["recoveryPointRehydrationInfo"] = {"rehydrationRetentionDuration": _RETENTION, **how}
    else:
        properties.pop("recoveryPointRehydrationInfo", None)
    if edge_zone is not None and request.recovery_type == ORIGINAL_LOCATION:
        properties.setdefault("extendedLocation", edge_zone)
    if guard_requests:
        properties["resourceGuardOperationRequests"] = list(guard_requests)
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
