"""One recovery from acceptance to its end, as a value.

It is the orchestration's input, and its input again whenever the history is started afresh. Times are aware UTC. The
plan and the list of members are not in it, but in records (``domain.recovery.calls``). ``domain.recovery.machine``
moves a recovery from state to state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain.errors import Json, RestoreWarning
from domain.recovery.calls import GroupOutline, MemberRef, Resolved
from domain.recovery.parts import (
    APPROVAL_TIMEOUT,
    AcceptedRecovery,
    GroupProgress,
    GroupStatus,
    MemberStatus,
    PlannedGroup,
    RecoveryEvents,
    RecoveryProgress,
    Timing,
)
from domain.request_schema import replaces_disks
from domain.restore.backoff import Backoff
from domain.restore.parts import Admission, AlertStart, Approval, Clock, LockState, Source

if TYPE_CHECKING:
    from domain.recovery.plan import RecoveryPlan

_MAX_WARNINGS: Final = 20
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """The state of one recovery: see this module's description. ``choosing`` is the progress of the choice.

    ``start_error`` is the error of a start of members that was given up, as long as it is not known which of them run.
    """

    accepted: AcceptedRecovery
    clock: Clock
    admission: Admission
    choosing: Json | None = None
    outline: Resolved | None = None
    progress: RecoveryProgress = field(default_factory=RecoveryProgress)
    timing: Timing = field(default_factory=Timing)
    backoff: Backoff = field(default_factory=Backoff)
    events: RecoveryEvents = field(default_factory=RecoveryEvents)
    start_error: Json | None = None

    @classmethod
    def accept(
        cls,
        plan: RecoveryPlan,
        *,
        recovery_id: str,
        fingerprint: str,
        source: Source,
        created: datetime,
        max_per_vault: int | None,
        request_id: str | None = None,
        dry_run: bool = False,
        requested_by: str | None = None,
        reason: str | None = None,
        alert: AlertStart | None = None,
        approval_timeout: timedelta = APPROVAL_TIMEOUT,
        start_token: str | None = None,
    ) -> Self:
        """Return a new recovery; ``alert`` is given exactly if ``source`` is an alert.

        ``alert.approval_reason`` makes it wait for a person, and so does a group that replaces disks.
        """
        groups = tuple(
            PlannedGroup(name=group.name, after=after, optional=group.optional)
            for group, after in zip(plan.groups, plan.after_indexes(), strict=True)
        )
        accepted = AcceptedRecovery(
            recovery_id=recovery_id,
            plan_name=plan.name,
            groups=groups,
            fingerprint=fingerprint,
            source=source,
            created=created,
            max_per_vault=max_per_vault,
            request_id=request_id,
            dry_run=dry_run,
            requested_by=requested_by,
            reason=reason,
            alert=alert,
            approval_timeout=approval_timeout,
            start_token=start_token,
        )
        is_admitted = alert is None or dry_run
        recovery = cls(
            accepted=accepted,
            clock=Clock(now=created),
            admission=Admission(lock=LockState.NOT_NEEDED if is_admitted else LockState.WANTED, admitted=is_admitted),
        )
        return recovery if is_admitted else recovery.with_approval(_approval_reason(plan, alert))

    @property
    def recovery_id(self) -> str:
        """The recovery's id, which is that of its orchestration."""
        return self.accepted.recovery_id

    @property
    def groups(self) -> tuple[GroupOutline, ...]:
        """The groups as they were resolved; none before that."""
        return () if self.outline is None else self.outline.groups

    @property
    def awaits_decision(self) -> bool:
        """Whether the whole recovery needs an approval that nobody has given or refused yet."""
        return self.progress.approval is not None and self.progress.approval.decision is None

    def at(self, moment: datetime | None) -> Self:
        """Return the recovery with its clock moved forward to this time; it never goes back."""
        if moment is None or moment <= self.clock.now:
            return self
        return replace(self, clock=replace(self.clock, now=moment))

    def with_request(self) -> Self:
        """Return the recovery with the next number for a request to an entity."""
        return replace(self, clock=replace(self.clock, requests=self.clock.requests + 1))

    def with_approval(self, reason: str | None) -> Self:
        """Return the recovery, which needs an approval for this reason, if there is one; an earlier one is kept."""
        if reason is None or self.progress.approval is not None:
            return self
        return self.with_progress(approval=Approval(reason=reason))

    def with_progress(self, **changes: Any) -> Self:
        """Return the recovery with these members of its progress changed."""
        return replace(self, progress=replace(self.progress, **changes))

    def with_warning(self, code: str, message: str) -> Self:
        """Return the recovery with one more warning, unless it has the same one."""
        warning, warnings = RestoreWarning(code=code, message=message), self.progress.warnings
        return self if warning in warnings else self.with_progress(warnings=(*warnings, warning)[-_MAX_WARNINGS:])

    def member(self, index: int) -> MemberStatus:
        """Return the status of a member."""
        return MemberStatus(self.progress.members[index])

    def attempt(self, index: int) -> int:
        """Return the number of a member's attempt, from 1."""
        return attempt_of(self.progress.attempts, index)

    def ref(self, index: int) -> MemberRef:
        """Return a member and its attempt, as calls name them."""
        return MemberRef(index=index, attempt=self.attempt(index))

    def with_members(self, status: MemberStatus, indexes: list[int]) -> Self:
        """Return the recovery with these members in this status."""
        members = list(self.progress.members)
        for index in indexes:
            members[index] = status
        return self.with_progress(members="".join(members))

    def with_next_attempt(self, indexes: list[int]) -> Self:
        """Return the recovery with these members pending again, in their next attempt."""
        attempts = list(self.progress.attempts or "1" * len(self.progress.members))
        for index in indexes:
            attempts[index] = _DIGITS[self.attempt(index) + 1]
        return self.with_progress(attempts="".join(attempts)).with_members(MemberStatus.PENDING, indexes)

    def with_group(self, index: int, **changes: Any) -> Self:
        """Return the recovery with these members of a group's progress changed."""
        groups = list(self.progress.groups)
        groups[index] = replace(groups[index], **changes)
        return self.with_progress(groups=tuple(groups))

    def groups_in(self, *statuses: GroupStatus) -> list[int]:
        """Return the indexes of the groups in one of these statuses."""
        return [index for index, group in enumerate(self.progress.groups) if group.status in statuses]

    def seconds(self, moment: datetime) -> int:
        """Return a time as whole seconds after the recovery was created."""
        return int((moment - self.accepted.created).total_seconds())


def attempt_of(attempts: str, index: int) -> int:
    """Return the number of a member's attempt; ``attempts`` is that of the progress."""
    return int(attempts[index], base=36) if attempts else 1


def with_outline(recovery: Recovery, outline: Resolved) -> Recovery:
    """Return the recovery with its members chosen: all are pending."""
    members = str(MemberStatus.PENDING) * sum(group.count for group in outline.groups)
    groups = tuple(GroupProgress() for _ in outline.groups)
    warnings = (*recovery.progress.warnings, *outline.warnings)[-_MAX_WARNINGS:]
    recovery = replace(recovery, outline=replace(outline, warnings=()), choosing=None)
    return recovery.with_progress(members=members, groups=groups, warnings=warnings)


def _approval_reason(plan: RecoveryPlan, alert: AlertStart | None) -> str | None:
    replacing = [group.name for group in plan.groups if replaces_disks(group.restore)]
    if replacing:
        return f"An alert alone does not replace the disks of virtual machines (group {', '.join(replacing)})."
    return None if alert is None else alert.approval_reason
