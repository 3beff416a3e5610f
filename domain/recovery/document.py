"""A recovery as callers see it: its document, made from what was accepted and from the custom status."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from domain.api_types import (
    FailedMember,
    GroupDocument,
    InstructionDocument,
    Measured,
    MemberCounts,
    RecoveryApprovalDocument,
    RecoveryDocument,
    RecoveryLinks,
    RecoveryPlanResult,
    RecoveryPointObjective,
    WaitingDocument,
)
from domain.codec import as_json
from domain.recovery.parts import (
    GATE_REASON,
    GROUP_LETTERS,
    MAX_ATTEMPTS,
    NOT_GOOD,
    RETRIABLE,
    SKIPPABLE,
    AcceptedRecovery,
    GroupStatus,
    MemberStatus,
    RecoveryStatus,
    ShownProgress,
    passed_groups,
)
from domain.recovery.plan import waves_of
from domain.recovery.state import attempt_of
from domain.redaction import redacted
from domain.restore.parts import Source, WaitReason
from domain.wire import as_object, as_text

if TYPE_CHECKING:
    from datetime import datetime

    from domain.errors import Json, RestoreError
    from domain.recovery.parts import Instruction
    from domain.restore.parts import Approval

_MAX_TEXT: Final = 1000

_STATUS_OF: Final = {letter: status for status, letter in GROUP_LETTERS.items()}


def document(accepted: AcceptedRecovery, shown: ShownProgress | None, now: datetime) -> Json:
    """Return the document of a recovery; ``shown`` is its custom status, ``None`` if it has none yet.

    ``links`` are relative; the HTTP API makes them absolute.
    """
    shown = shown or ShownProgress(status=RecoveryStatus.PENDING, updated=accepted.created)
    view = _View(accepted, shown)
    whole = RecoveryDocument(
        id=accepted.recovery_id,
        status=shown.status,
        plan=accepted.plan_name,
        request_id=accepted.request_id,
        requested_by=accepted.requested_by,
        reason=accepted.reason,
        started_by=accepted.source,
        dry_run=accepted.dry_run,
        created_time=accepted.created,
        last_updated_time=shown.updated,
        completed_time=shown.completed,
        predicted_end=shown.predicted_end,
        critical_path=tuple(
            accepted.groups[index].name for index in shown.critical_path if index < len(accepted.groups)
        ),
        counts=_counts(shown.members),
        groups=tuple(view.group(index) for index in range(len(accepted.groups))),
        measured=_measured(accepted, shown),
        waiting=view.waiting(),
        approval=None if shown.approval is None else _approval(shown.approval),
        paused=_instruction(shown.paused),
        cancellation=_instruction(shown.cancellation),
        refused=shown.refused,
        failed_members=view.failed_members(),
        cut=shown.cut,
        commands=shown.commands,
        result=view.plan_result(),
        error=shown.error,
        warnings=shown.warnings,
        links=as_json(view.links(now)),
    )
    return as_json(whole)


def retriable_groups(accepted: AcceptedRecovery, shown: ShownProgress) -> frozenset[str]:
    """Return the names of the groups that a retry would start again, or ask about again."""
    view = _View(accepted, shown)
    return frozenset(group.name for index, group in enumerate(accepted.groups) if view.can_retry(index))


def _counts(letters: str) -> MemberCounts:
    return dict(Counter(MemberStatus(letter).word for letter in letters))


def _instruction(given: Instruction | None) -> InstructionDocument | None:
    return None if given is None else InstructionDocument(by=given.by, comment=given.comment, time=given.time)


def _approval(approval: Approval) -> RecoveryApprovalDocument:
    return RecoveryApprovalDocument(
        reason=approval.reason,
        expires=approval.expires,
        decision=approval.decision,
        by=approval.by,
        comment=approval.comment,
        time=approval.time,
    )


def _measured(accepted: AcceptedRecovery, shown: ShownProgress) -> Measured:
    worst = None if shown.oldest_point is None else accepted.created - shown.oldest_point
    rto = None if shown.completed is None or accepted.dry_run else shown.completed - accepted.created
    return Measured(rpo=RecoveryPointObjective(worst=worst), rto=rto)


class _View:
    """What was accepted, with the custom status of the recovery."""

    def __init__(self, accepted: AcceptedRecovery, shown: ShownProgress) -> None:
        self._accepted = accepted
        self._shown = shown
        unchosen = GroupStatus.PENDING if shown.cancellation is None else GroupStatus.CANCELLED
        self._statuses = [_STATUS_OF[letter] for letter in shown.groups] or [unchosen] * len(accepted.groups)
        self._passed = passed_groups(self._statuses, [group.after for group in accepted.groups])
        self._firsts = [0, *accumulate(shown.sizes)]

    def _time(self, seconds: tuple[int | None, ...], index: int) -> datetime | None:
        return self._moment(seconds[index]) if seconds else None

    def _moment(self, second: int | None) -> datetime | None:
        return None if second is None else self._accepted.created + timedelta(seconds=second)

    def can_retry(self, index: int) -> bool:
        """Return whether a retry of this group does anything: its members have a bounded number of attempts."""
        if self._statuses[index] is not GroupStatus.FAILED:
            return self._statuses[index] in RETRIABLE
        shown, members = self._shown, range(self._firsts[index], self._firsts[index + 1])
        return any(
            shown.members[member] in NOT_GOOD and attempt_of(shown.attempts, member) < MAX_ATTEMPTS
            for member in members
        )

    def group(self, index: int) -> GroupDocument:
        planned, shown, status = self._accepted.groups[index], self._shown, self._statuses[index]
        names, letters = self._accepted.groups, ""
        if shown.sizes:
            letters = shown.members[self._firsts[index] : self._firsts[index + 1]]
        waits = planned.after if status is GroupStatus.PENDING and not self._accepted.dry_run else ()
        return GroupDocument(
            name=planned.name,
            after=tuple(names[before].name for before in planned.after),
            optional=planned.optional,
            status=status,
            counts=_counts(letters),
            started=self._time(shown.started, index),
            ended=self._time(shown.ended, index),
            waiting_for=tuple(names[before].name for before in waits if before not in self._passed),
            approval=self._group_approval(index),
        )

    def _group_approval(self, index: int) -> RecoveryApprovalDocument | None:
        known = self._shown.approvals.get(str(index))
        if known is None:
            return None
        return RecoveryApprovalDocument(
            reason=GATE_REASON,
            expires=self._moment(known.expires),
            decision=known.decision,
            by=known.by,
            comment=known.comment,
            time=self._moment(known.time),
        )

    def _expiries(self) -> list[datetime]:
        """Return the time until which each open decision can be made."""
        approval = self._shown.approval
        waits = [self._moment(known.expires) for known in self._shown.approvals.values() if known.decision is None]
        if approval is not None and approval.decision is None:
            waits.append(approval.expires)
        return [moment for moment in waits if moment is not None]

    def waiting(self) -> WaitingDocument | None:
        expiries = self._expiries()
        if self._shown.status is not RecoveryStatus.AWAITING_APPROVAL or not expiries:
            return None
        return WaitingDocument(reason=WaitReason.APPROVAL, until=min(expiries))

    def failed_members(self) -> tuple[FailedMember, ...]:
        return tuple(
            FailedMember(
                index=failure.index,
                group=self._accepted.groups[bisect_right(self._firsts, failure.index) - 1].name,
                code=failure.code,
                message=failure.message,
            )
            for failure in self._shown.failures
        )

    def plan_result(self) -> RecoveryPlanResult | None:
        groups, seconds = self._accepted.groups, self._shown.planned_s
        if seconds is None:
            return None
        order = waves_of({group.name: [groups[before].name for before in group.after] for group in groups})
        return RecoveryPlanResult(order=tuple(map(tuple, order)), duration=timedelta(seconds=seconds))

    def links(self, now: datetime) -> RecoveryLinks:
        shown, here, statuses = self._shown, f"/api/recoveries/{self._accepted.recovery_id}", set(self._statuses)
        is_open = not shown.is_closed and shown.cancellation is None
        has_groups_to_command = (
            is_open
            and not self._accepted.dry_run
            and (shown.approval is None or shown.approval.decision is not None)
            and bool(shown.groups)
        )
        is_running = is_open and not shown.status.has_ended
        can_retry = any(map(self.can_retry, range(len(self._statuses))))
        can_decide = is_open and any(now <= expiry for expiry in self._expiries())

        def link(command: str, *, usable: bool) -> str | None:
            return f"{here}/{command}" if usable else None

        return RecoveryLinks(
            self=here,
            members=f"{here}/members",
            pause=link("pause", usable=is_running and shown.paused is None),
            resume=link("resume", usable=is_open and shown.paused is not None),
            cancel=link("cancel", usable=is_open),
            retry=link("retry", usable=has_groups_to_command and can_retry),
            skip=link("skip", usable=has_groups_to_command and bool(statuses & SKIPPABLE)),
            approve=link("approve", usable=can_decide),
            reject=link("reject", usable=can_decide),
        )


def refused_document(*, recovery_id: str, created: datetime, error: RestoreError, sent: object) -> Json:
    """Return the ``Failed`` document of a queue message that never became a recovery.

    ``sent`` is the content of the message. Its texts are copied, so that the sender can recognise the message, without
    secrets, and truncated, so that the document fits into a queue message.
    """
    body = as_object(sent)
    plan: object = body.get("plan")

    def short(text: object) -> str | None:
        found = as_text(text)
        return found and redacted(found)[:_MAX_TEXT]

    accepted = AcceptedRecovery(
        recovery_id=recovery_id,
        plan_name=short(plan if isinstance(plan, str) else as_object(plan).get("name")) or "",
        groups=(),
        fingerprint="",
        source=Source.QUEUE,
        created=created,
        request_id=short(body.get("requestId")),
        dry_run=body.get("dryRun") is True,
        requested_by=short(body.get("requestedBy")),
        reason=short(body.get("reason")),
    )
    shown = ShownProgress(
        status=RecoveryStatus.FAILED, updated=created, completed=created, is_closed=True, error=error.to_json()
    )
    return {**document(accepted, shown, created), "links": {}, "measured": {"rpo": {"worst": None}, "rto": None}}
