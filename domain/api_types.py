"""The types of what callers receive: ``domain.codec.as_json`` writes them, ``triggers.schemas`` describes them.

A member with a default is optional: it is left out when it has that default. The docstring of a type is its
description in the OpenAPI document; ``metadata`` adds to the schema of a member. Some types are defined beside the
model that they show: ``ErrorBody``, ``RestoreWarning``, ``JobResult``, ``RecoveryPointSummary``, ``PreflightCheck`` and
``VmDecisionDocument``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.alerts.decide import VmDecisionDocument
from domain.azure.jobs import JobResult
from domain.azure.recovery_points import Candidate, JudgedPoint, RecoveryPointSummary
from domain.codec import JsonOf
from domain.errors import ErrorBody, Json, RestoreWarning
from domain.follow_up.attachment_report import AttachmentDocument
from domain.follow_up.creation_report import CreationDocument
from domain.follow_up.planned import PlannedCall
from domain.follow_up.swap_report import SwapDocument
from domain.preflight import PreflightCheck, PreflightStatus
from domain.principal import Authenticator, Right
from domain.recovery.parts import GroupStatus, MemberStatus, RecoveryStatus
from domain.request_schema import ALTERNATE_LOCATION, ORIGINAL_LOCATION, RESTORE_DISKS
from domain.restore.parts import Before, Decision, Phase, PhaseWait, RefusedWhen, Source, Status, WaitReason

type Uri = str
type MemberCounts = dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalDocument:
    """The approval of a restore by a person. What is not known yet is `null`."""

    required: bool
    before: Before = field(
        default=Before.TRIGGER,
        metadata={"description": "What waits for this approval: `Swap`, or, if it is absent, the trigger."},
    )
    timeout: timedelta
    reason: str
    distinct: bool = field(metadata={"description": "Whether the person in `requestedBy` must not approve."})
    expires: datetime | None
    decision: Decision | None
    by: str | None
    comment: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationDocument:
    """Who cancelled the restore, why and when."""

    by: str | None
    comment: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingDocument:
    """What keeps the restore waiting, and until when. The time is `null` if it is not known."""

    reason: WaitReason
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseDocument:
    """A phase of the restore: when it started, when it ended, and what the restore waited for in it."""

    phase: Phase
    started: datetime
    ended: datetime | None = None
    waits: tuple[PhaseWait, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a restore would do."""

    request_body: Json | None = field(
        metadata={"description": "The body that would be sent to Azure Backup, `null` if no recovery point fits."}
    )
    candidates: tuple[JsonOf[Candidate], ...]
    follow_up: tuple[PlannedCall, ...] = field(
        default=(),
        metadata={
            "description": "What would be done with the restored disks then; absent if nothing was asked for. If Azure "
            "refuses to replace data disks by one PATCH, it is made in two: without the former ones, then with the new."
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanResult:
    """The outcome of a dry run."""

    plan: Plan | None = field(metadata={"description": "A long one is `null` until the webhook has answered."})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTarget:
    """Where the restore goes, as far as the request says. `storageAccountId` is the staging account."""

    virtual_machine_id: str | None = field(
        default=None, metadata={"description": "The VM that is created, whose disks are replaced, or that gets disks."}
    )
    resource_group_id: str | None = None
    storage_account_id: str | None = None
    virtual_network_id: str | None = None
    subnet_id: str | None = None
    replaces_disks: bool = field(metadata={"description": "Whether the disks of an existing VM are replaced."})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDocument:
    """What was requested: the members of the `RestoreRequest`, without secrets, and the target of the restore.

    If a queue message has no room for a long request, only its `target` is there, or the request is `null`;
    `GET /api/restores/{id}` shows all of it.
    """

    target: JsonOf[RestoreTarget]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult(JobResult):
    """The end of the Azure Backup job, what it made, and what was done with that."""

    swap: JsonOf[SwapDocument] | None = None
    created_virtual_machine: JsonOf[CreationDocument] | None = None
    attachment: JsonOf[AttachmentDocument] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoResult:
    """The outcome of an undo, which has no job."""

    swap: JsonOf[SwapDocument]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLinks:
    """Where to find the restore. `cancel`, `approve`, `reject` and `undo` are present while they can be used."""

    self: Uri
    cancel: Uri | None = None
    approve: Uri | None = None
    reject: Uri | None = None
    undo: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusDocument:
    """One restore. `approval`, `firstApproval`, `cancellation` and `refused` are present only if they apply."""

    id: str
    status: Status
    phase: Phase
    progress_percentage: float | None = field(metadata={"minimum": 0, "maximum": 100})
    source_resource_id: str | None
    recovery_type: str | None = field(metadata={"enum": [RESTORE_DISKS, ALTERNATE_LOCATION, ORIGINAL_LOCATION, None]})
    request_id: str | None
    requested_by: str | None
    reason: str | None
    started_by: Source
    request: JsonOf[RequestDocument] | None
    recovery_point: JsonOf[RecoveryPointSummary] | None
    operation_id: str | None
    job_id: str | None
    vault_id: str | None
    created_time: datetime
    last_updated_time: datetime
    completed_time: datetime | None
    next_poll_time: datetime | None
    waiting: WaitingDocument | None = field(
        metadata={"description": "`null` while the restore works, polls at its own interval, or has ended."}
    )
    approval: ApprovalDocument | None = field(
        default=None, metadata={"description": "The approval that is awaited now, or was decided last."}
    )
    first_approval: ApprovalDocument | None = field(
        default=None,
        metadata={"description": "The approval before the trigger, once `approval` is that of the swap."},
    )
    cancellation: CancellationDocument | None = None
    refused: RefusedWhen | None = field(
        default=None, metadata={"description": "When admission control refused the start; absent if it did not."}
    )
    result: JsonOf[RestoreResult] | JsonOf[UndoResult] | JsonOf[PlanResult] | None
    error: JsonOf[ErrorBody] | None
    warnings: tuple[RestoreWarning, ...]
    phases: tuple[PhaseDocument, ...] = field(
        default=(),
        metadata={
            "description": "The phases so far, the oldest first, each from the end of the one before it. Absent for "
            "restores that an earlier version started, and where a document was cut."
        },
    )
    swap: JsonOf[SwapDocument] | None = field(
        default=None,
        metadata={"description": "The swap of the disks as long as it runs; afterwards it is in the `result`."},
    )
    created_virtual_machine: JsonOf[CreationDocument] | None = field(
        default=None,
        metadata={"description": "The new virtual machine while it is made; afterwards it is in the `result`."},
    )
    attachment: JsonOf[AttachmentDocument] | None = field(
        default=None,
        metadata={"description": "The attachment of the disks while it runs; afterwards it is in the `result`."},
    )
    undo_of: str | None = field(
        default=None, metadata={"description": "The restore whose swap this one undoes, if it is an undo."}
    )
    recovery_id: str | None = field(
        default=None, metadata={"description": "The recovery that this restore is a member of, if it is one."}
    )
    links: JsonOf[StatusLinks]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreEvent:
    """A change of a restore's status: the new status, and the status document of that moment."""

    event: Status
    time: datetime = field(metadata={"description": "When the status changed."})
    restore: JsonOf[StatusDocument]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreLinks:
    """The addresses of a restore, and of what can be done with it."""

    self: Uri
    cancel: Uri
    approve: Uri
    reject: Uri


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreAccepted:
    """A restore that was accepted, or found because it was accepted before."""

    id: str
    status: Status
    links: RestoreLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreList:
    """A page of restores. With a `nextLink` there are more."""

    value: tuple[JsonOf[StatusDocument], ...]
    next_link: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPointList:
    """All recovery points of a virtual machine. A warning says if its backup is soft-deleted."""

    value: tuple[JudgedPoint, ...]
    warnings: tuple[RestoreWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlanLinks:
    """The address of a configured plan."""

    self: Uri


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlanDocument:
    """A configured recovery plan. `plan` is what its author wrote; it is left out in a list of plans."""

    name: str
    max_running: int | None
    order: tuple[tuple[str, ...], ...] = field(
        metadata={"description": "The names of the groups: those together that may start at the same time."}
    )
    named_members: int = field(
        metadata={"description": "How many virtual machines it names; `select` finds others when a recovery begins."}
    )
    plan: Json | None = None
    links: RecoveryPlanLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlanList:
    """All configured recovery plans, in the order of the file."""

    value: tuple[RecoveryPlanDocument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDecisionList:
    """The answer to an alert."""

    decisions: tuple[JsonOf[VmDecisionDocument], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecord:
    """One delivery of an alert, and what its sender was answered."""

    time: datetime = field(metadata={"description": "When it was answered."})
    alert_id: str
    alert_rule: str
    severity: str
    fired_time: datetime | None
    decisions: tuple[JsonOf[VmDecisionDocument], ...]
    omitted: int = field(
        default=0, metadata={"description": "How many decisions were left out for their size; absent if none was."}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRecordList:
    """A page of alerts with their decisions, newest first. With a `nextLink` there are more."""

    value: tuple[JsonOf[AlertRecord], ...]
    next_link: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StormDocument:
    """With more distinct virtual machines than this within this time, every start by an alert waits for a person."""

    distinct_vms: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRuleList:
    """The alert rules as the app found them at its start. With `problems` alerts are off: they are answered 503."""

    source: str | None = field(metadata={"description": "As in the health of the app."})
    problems: tuple[str, ...]
    rules: tuple[Json, ...] = field(
        metadata={
            "description": "What the author of the rules wrote, in order: the first rule that matches decides. "
            "`auto_restore_rules.schema.json` describes a rule."
        }
    )
    storm: StormDocument | None = field(metadata={"description": "`null` if the rules cannot be used."})


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRulesHealth:
    """The alert rules as the app found them at its start. With `problems` alerts are off: they are answered 503."""

    count: int
    source: str | None = field(
        metadata={
            "description": "The path of the file, or `setting` if the app setting has the JSON, or a value that must "
            "not be shown; `null` without rules."
        }
    )
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlansHealth:
    """The recovery plans as the app found them at its start.

    With `problems` no recovery can name a plan: that is answered 503. Restores, and plans inside a call, work.
    """

    count: int
    source: str | None = field(metadata={"description": "As for the alert rules."})
    problems: tuple[str, ...] = field(metadata={"description": "Resource ids are left out."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of the app."""

    status: str = field(metadata={"const": "ok"})
    version: str
    alert_rules: AlertRulesHealth
    recovery_plans: RecoveryPlansHealth
    authentication: Authenticator
    authentication_problem: str | None = field(
        default=None,
        metadata={"description": "Why it is `functionKey` although the setting `RESTORE_TRUST_EASYAUTH` is true."},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who calls, and what this caller may do.

    With `functionKey` the app does not know who calls, and a key gives all rights. With `appService` the name goes into
    `by` and `requestedBy`; without a principal it is `null`, and the caller may do nothing.
    """

    authentication: Authenticator
    name: str | None
    may: tuple[Right, ...]
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightReport:
    """What the app's identity can do at the scopes of the setting `RESTORE_SCOPES`.

    `incomplete`: no problem was found, but some checks could not be made, or there was nothing to check.
    """

    status: PreflightStatus
    principal_id: str | None = field(
        default=None, metadata={"description": "The object id of the identity, if its token shows it."}
    )
    message: str | None = field(default=None, metadata={"description": "Present if there was nothing to check."})
    checks: tuple[PreflightCheck, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """An error in the shape of Azure Resource Manager."""

    error: JsonOf[ErrorBody]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionDocument:
    """Who paused or cancelled the recovery, why and when."""

    by: str | None
    comment: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryApprovalDocument:
    """A person's approval of a recovery or of one group. What is not known yet is `null`."""

    reason: str | None
    expires: datetime | None
    decision: Decision | None
    by: str | None
    comment: str | None
    time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDocument:
    """A group of a recovery. `approval` is present once the group has waited for one."""

    name: str
    after: tuple[str, ...] = field(metadata={"description": "The groups that it waits for, by the plan."})
    optional: bool
    status: GroupStatus
    counts: MemberCounts = field(
        metadata={"description": "How many members have each status; a status that none has is left out."}
    )
    started: datetime | None
    ended: datetime | None
    waiting_for: tuple[str, ...] = field(
        metadata={"description": "The groups that this one waits for, because they have not succeeded yet."}
    )
    approval: RecoveryApprovalDocument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPointObjective:
    """How old the oldest recovery point was that has been restored, when the recovery was requested."""

    worst: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the recovery has reached so far; `rto` is the time from the request to the end."""

    rpo: RecoveryPointObjective
    rto: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedMember:
    """A member whose restore has not succeeded, or in a dry run would not. `index` is its place among the members."""

    index: int
    group: str
    code: str | None
    message: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlanResult:
    """The outcome of a dry run: what would start together, and how long all of it would take."""

    order: tuple[tuple[str, ...], ...] = field(
        metadata={"description": "The names of the groups, those together that may start at the same time."}
    )
    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryLinks:
    """Where to find the recovery and its members. The commands are present while they can be used."""

    self: Uri
    members: Uri
    pause: Uri | None = None
    resume: Uri | None = None
    cancel: Uri | None = None
    retry: Uri | None = None
    skip: Uri | None = None
    approve: Uri | None = None
    reject: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryDocument:
    """One recovery. `approval`, `paused`, `cancellation` and `refused` are present only if they apply.

    Until the members are chosen, all counts are empty.
    """

    id: str
    status: RecoveryStatus
    plan: str = field(metadata={"description": "The name of the plan."})
    request_id: str | None
    requested_by: str | None
    reason: str | None
    started_by: Source
    dry_run: bool
    created_time: datetime
    last_updated_time: datetime
    completed_time: datetime | None
    predicted_end: datetime | None = field(
        metadata={
            "description": "When the recovery will end if nothing else fails, approvals are given and a pause is "
            "ended at once; `null` before the members are chosen, in a dry run, and after the end."
        }
    )
    critical_path: tuple[str, ...] = field(
        metadata={
            "description": "The groups that decide `predictedEnd`, in their order: the one that ends last, before it "
            "the one that it waits for longest, and so on. Empty where there is no `predictedEnd`."
        }
    )
    counts: MemberCounts = field(
        metadata={"description": "How many members have each status; a status that none has is left out."}
    )
    groups: tuple[GroupDocument, ...]
    measured: Measured
    waiting: WaitingDocument | None = field(
        metadata={"description": "`null` unless a person must decide; `until` is when the first approval times out."}
    )
    approval: RecoveryApprovalDocument | None = None
    paused: InstructionDocument | None = None
    cancellation: InstructionDocument | None = None
    refused: RefusedWhen | None = field(
        default=None, metadata={"description": "When admission control refused the start; absent if it did not."}
    )
    failed_members: tuple[FailedMember, ...] = field(
        default=(),
        metadata={
            "description": "The members that failed last. With `cut` some are missing; the list of members has all."
        },
    )
    cut: bool = field(
        default=False, metadata={"description": "Present if texts or failed members were left out for their size."}
    )
    commands: tuple[str, ...] = field(
        default=(), metadata={"description": "The ids of the commands that were applied last."}
    )
    result: RecoveryPlanResult | None = field(metadata={"description": "The outcome of a dry run; else `null`."})
    error: JsonOf[ErrorBody] | None
    warnings: tuple[RestoreWarning, ...]
    links: JsonOf[RecoveryLinks]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryAccepted:
    """A recovery that was accepted, or found because it was accepted before."""

    id: str
    status: RecoveryStatus
    links: JsonOf[RecoveryLinks]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryList:
    """A page of recoveries. With a `nextLink` there are more."""

    value: tuple[JsonOf[RecoveryDocument], ...]
    next_link: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryMemberLinks:
    """Where the member's restore is, once there is one."""

    restore: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryMember:
    """A virtual machine of a recovery, with its last restore. What is not known yet is `null`."""

    index: int
    source_resource_id: str
    group: str
    status: str = field(metadata={"enum": list(dict.fromkeys(status.word for status in MemberStatus))})
    attempt: int = field(
        metadata={"minimum": 1, "description": "The number of the attempt: 1, and one more with each retry."}
    )
    restore_id: str | None
    recovery_point_time: datetime | None
    measured_rpo: timedelta | None = field(
        metadata={"description": "How old the recovery point was when the recovery was requested."}
    )
    error: JsonOf[ErrorBody] | None
    links: RecoveryMemberLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryMemberList:
    """A page of members in the order of the plan. With a `nextLink` there are more."""

    value: tuple[RecoveryMember, ...]
    next_link: Uri | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryEvent:
    """A change of a recovery's status, or a group that waits for a person, and the document of that moment."""

    event: RecoveryStatus
    time: datetime = field(metadata={"description": "When the status changed."})
    recovery: JsonOf[RecoveryDocument]


ANSWERS = (
    RestoreAccepted,
    StatusDocument,
    RestoreList,
    RecoveryPointList,
    AlertDecisionList,
    AlertRecordList,
    AlertRuleList,
    RecoveryPlanDocument,
    RecoveryPlanList,
    RecoveryAccepted,
    RecoveryDocument,
    RecoveryList,
    RecoveryMemberList,
    Health,
    Session,
    PreflightReport,
    ErrorAnswer,
)
"""The answers of the HTTP API; all other types here but ``EVENTS`` are parts of them."""
EVENTS = (RestoreEvent, RecoveryEvent)
"""What the webhook receives."""
