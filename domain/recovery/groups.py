"""The groups of a recovery: which of them start and end, by their members, and the recovery's status after that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from domain.recovery.parts import (
    ACTIVE,
    GATE_REASON,
    NOT_GOOD,
    GroupStatus,
    MemberStatus,
    RecoveryStatus,
    passed_groups,
)
from domain.recovery.prediction import planned_s
from domain.restore.parts import Approval, Decision

if TYPE_CHECKING:
    from datetime import datetime

    from domain.recovery.state import Recovery

STAYS_OPEN: Final = timedelta(days=7)
"""How long a recovery that failed can be retried."""

_UNDECIDED: Final = frozenset({GroupStatus.PENDING, GroupStatus.AWAITING_APPROVAL})
_GOES_ON: Final = frozenset({GroupStatus.RUNNING, GroupStatus.AWAITING_APPROVAL})
_IS_GOOD: Final = frozenset(
    {GroupStatus.COMPLETED, GroupStatus.COMPLETED_WITH_WARNINGS, GroupStatus.SKIPPED, GroupStatus.PLANNED}
)


def settled(recovery: Recovery, now: datetime) -> Recovery:
    """Return the recovery after everything that follows from its members, from commands and from passed times."""
    if recovery.progress.is_closed:
        return recovery
    if recovery.outline is not None and recovery.progress.error is None:
        recovery = _with_cancelled(recovery, now)
        recovery = _with_ended_groups(recovery, now)
        while (ready := _ready(recovery)) and not _is_held(recovery):
            for index in ready:
                recovery = _with_started(recovery, index, now)
            recovery = _with_ended_groups(recovery, now)  # a group without members ends at once
    return _with_status(recovery, now)


def _is_held(recovery: Recovery) -> bool:
    """Return whether no group may start now."""
    progress = recovery.progress
    return progress.paused is not None or progress.cancellation is not None or recovery.awaits_decision


def _ready(recovery: Recovery) -> list[int]:
    """Return the pending groups that wait for no other group."""
    pending = recovery.groups_in(GroupStatus.PENDING)
    if not pending or recovery.accepted.dry_run:
        return pending
    passed = passed_groups(
        [group.status for group in recovery.progress.groups], [group.after for group in recovery.groups]
    )
    return [index for index in pending if passed.issuperset(recovery.groups[index].after)]


def _with_started(recovery: Recovery, index: int, now: datetime) -> Recovery:
    timeout = recovery.groups[index].approval_timeout
    if timeout is not None and not recovery.accepted.dry_run:
        approval = Approval(reason=GATE_REASON, expires=now + timeout)
        return recovery.with_group(index, status=GroupStatus.AWAITING_APPROVAL, approval=approval)
    return recovery.with_group(index, status=GroupStatus.RUNNING, started=now)


def decided(
    recovery: Recovery, index: int, decision: Decision, now: datetime, *, by: str | None, comment: str | None
) -> Recovery:
    """Return the recovery with the decision about a group; one that comes too late counts as ``TIMED_OUT``."""
    approval = recovery.progress.groups[index].approval
    if approval is None:
        return recovery
    approval = with_decision(approval, decision, now, by=by, comment=comment)
    if approval.decision is Decision.APPROVED:
        return recovery.with_group(index, status=GroupStatus.RUNNING, started=now, approval=approval)
    return recovery.with_group(index, status=GroupStatus.REJECTED, ended=now, approval=approval)


def with_decision(
    approval: Approval, decision: Decision, now: datetime, *, by: str | None, comment: str | None
) -> Approval:
    """Return the approval as it was decided; a decision that comes too late counts as ``TIMED_OUT``."""
    if decision is Decision.TIMED_OUT or (approval.expires is not None and now > approval.expires):
        decision, by, comment = Decision.TIMED_OUT, None, None
    return replace(approval, decision=decision, by=by, comment=comment, time=now)


def letters_of(recovery: Recovery, index: int) -> str:
    """Return the letters of a group's members."""
    group = recovery.groups[index]
    return recovery.progress.members[group.first : group.first + group.count]


def members_in(recovery: Recovery, index: int, statuses: frozenset[MemberStatus]) -> list[int]:
    """Return the indexes of a group's members in one of these statuses."""
    first = recovery.groups[index].first
    return [first + place for place, letter in enumerate(letters_of(recovery, index)) if letter in statuses]


def _with_cancelled(recovery: Recovery, now: datetime) -> Recovery:
    """Return the recovery without anything that has not started, if it was cancelled."""
    if recovery.progress.cancellation is None:
        return recovery
    for index in recovery.groups_in(*_UNDECIDED):
        recovery = recovery.with_group(index, status=GroupStatus.CANCELLED, ended=now)
    pending = [index for index, letter in enumerate(recovery.progress.members) if letter == MemberStatus.PENDING]
    return recovery.with_members(MemberStatus.CANCELLED, pending) if pending else recovery


def _with_ended_groups(recovery: Recovery, now: datetime) -> Recovery:
    for index in recovery.groups_in(GroupStatus.RUNNING):
        letters = frozenset(letters_of(recovery, index))
        if not letters & (ACTIVE | {MemberStatus.PENDING}):
            recovery = recovery.with_group(index, status=_end_of(recovery, index, letters), ended=now)
    return recovery


def _end_of(recovery: Recovery, index: int, letters: frozenset[str]) -> GroupStatus:
    """Return how a group has ended whose members have these letters."""
    is_bad, optional = bool(letters & NOT_GOOD), recovery.groups[index].optional
    if recovery.progress.cancellation is not None and MemberStatus.CANCELLED in letters:
        return GroupStatus.CANCELLED
    if is_bad and not optional:
        return GroupStatus.FAILED
    if recovery.accepted.dry_run:
        return GroupStatus.PLANNED
    has_warnings = is_bad or MemberStatus.COMPLETED_WITH_WARNINGS in letters
    return GroupStatus.COMPLETED_WITH_WARNINGS if has_warnings else GroupStatus.COMPLETED


def _with_status(recovery: Recovery, now: datetime) -> Recovery:
    status, progress = _status(recovery), recovery.progress
    if status is progress.status and not (status is RecoveryStatus.FAILED and progress.completed is not None):
        return recovery
    since = progress.completed if status is progress.status else now
    completed = since if status.has_ended else None
    can_reopen = status is RecoveryStatus.FAILED and progress.error is None and not recovery.accepted.dry_run
    is_over = completed is not None and (not can_reopen or now >= completed + STAYS_OPEN)
    recovery = recovery.with_progress(status=status, completed=completed, is_closed=is_over)
    if status.has_ended:
        recovery = recovery.with_progress(predicted_end=None, critical_path=())
    if is_over and recovery.accepted.dry_run and status is not RecoveryStatus.CANCELLED and progress.error is None:
        recovery = recovery.with_progress(planned_s=planned_s(recovery))
    return recovery


def _status(recovery: Recovery) -> RecoveryStatus:
    progress, statuses = recovery.progress, frozenset(group.status for group in recovery.progress.groups)
    is_chosen, is_cancelled = recovery.outline is not None, progress.cancellation is not None
    is_active = not ACTIVE.isdisjoint(progress.members)
    reasons = (  # the first that applies
        (progress.error is not None, RecoveryStatus.FAILED),
        (is_chosen and statuses <= _IS_GOOD, _good_end(recovery, statuses)),
        (is_cancelled and not is_active, RecoveryStatus.CANCELLED),
        (not is_chosen, RecoveryStatus.PENDING if progress.paused is None else RecoveryStatus.PAUSED),
        (recovery.awaits_decision, RecoveryStatus.AWAITING_APPROVAL),
        (not statuses & _GOES_ON and not _ready(recovery), RecoveryStatus.FAILED),
        (progress.paused is not None, RecoveryStatus.PAUSED),
        (GroupStatus.AWAITING_APPROVAL in statuses, RecoveryStatus.AWAITING_APPROVAL),
        (MemberStatus.AWAITING_APPROVAL in progress.members, RecoveryStatus.AWAITING_APPROVAL),
    )
    return next((status for applies, status in reasons if applies), RecoveryStatus.RUNNING)


def _good_end(recovery: Recovery, statuses: frozenset[GroupStatus]) -> RecoveryStatus:
    if recovery.accepted.dry_run:
        return RecoveryStatus.PLANNED
    has_warnings = statuses & {GroupStatus.COMPLETED_WITH_WARNINGS, GroupStatus.SKIPPED}
    return RecoveryStatus.COMPLETED_WITH_WARNINGS if has_warnings else RecoveryStatus.COMPLETED
