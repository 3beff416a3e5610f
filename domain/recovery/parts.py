"""The parts of a recovery's state, and the progress that callers see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from domain.errors import Json, RestoreWarning
from domain.recovery.calls import RecoveryChange
from domain.restore.parts import AlertStart, Approval, Decision, RefusedWhen, Source, Status


class RecoveryStatus(StrEnum):
    """The status of a recovery. ``AWAITING_APPROVAL``: a person must decide, while other groups may go on."""

    PENDING = "Pending"
    RUNNING = "Running"
    PAUSED = "Paused"
    AWAITING_APPROVAL = "AwaitingApproval"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    CANCELLED = "Cancelled"
    PLANNED = "Planned"

    @property
    def has_ended(self) -> bool:
        """Whether the recovery has ended. One that is ``FAILED`` goes on if a person retries or skips."""
        return self not in {self.PENDING, self.RUNNING, self.PAUSED, self.AWAITING_APPROVAL}


class GroupStatus(StrEnum):
    """The status of a group. ``REJECTED``: a person rejected its start, or nobody decided in time."""

    PENDING = "Pending"
    AWAITING_APPROVAL = "AwaitingApproval"
    RUNNING = "Running"
    COMPLETED = "Completed"
    COMPLETED_WITH_WARNINGS = "CompletedWithWarnings"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"
    REJECTED = "Rejected"
    PLANNED = "Planned"


RETRIABLE: Final = frozenset({GroupStatus.FAILED, GroupStatus.REJECTED})
"""A group that a retry starts again, and that can be skipped."""
SKIPPABLE: Final = RETRIABLE | {GroupStatus.PENDING, GroupStatus.AWAITING_APPROVAL}
"""A group that can be skipped by its name."""


def passed_groups(statuses: Sequence[GroupStatus], after: Sequence[tuple[int, ...]]) -> set[int]:
    """Return the indexes of the groups that no other group needs to wait for any more: those that have succeeded.

    A skipped group counts only when all groups before it count: the groups after it still wait for those.
    """
    passed = {
        index
        for index, status in enumerate(statuses)
        if status in {GroupStatus.COMPLETED, GroupStatus.COMPLETED_WITH_WARNINGS}
    }
    skipped = {index for index, status in enumerate(statuses) if status is GroupStatus.SKIPPED}
    while more := {index for index in skipped - passed if passed.issuperset(after[index])}:
        passed |= more
    return passed


class MemberStatus(StrEnum):
    """The status of a member, as one letter.

    ``STARTING``: its restore is being started, or may have been. ``CANCELLING``: its restore runs and is told to stop.
    ``AWAITING_APPROVAL``: a person must approve the swap of its disks, which are restored.
    """

    PENDING = "P"
    STARTING = "S"
    RUNNING = "R"
    AWAITING_APPROVAL = "A"
    CANCELLING = "L"
    COMPLETED = "C"
    COMPLETED_WITH_WARNINGS = "W"
    FAILED = "F"
    CANCELLED = "X"
    REJECTED = "J"
    TIMED_OUT = "T"
    PLANNED = "N"
    SKIPPED = "K"

    @property
    def shown(self) -> MemberStatus:
        """The status that callers see instead of one that is only of use to the machine."""
        return _SHOWN_AS.get(self, self)

    @property
    def word(self) -> str:
        """The status as callers see it."""
        return "".join(map(str.capitalize, self.shown.name.split("_")))


_SHOWN_AS: Final = {
    MemberStatus.STARTING: MemberStatus.PENDING,
    MemberStatus.CANCELLING: MemberStatus.RUNNING,
}
UNDER_WAY: Final = frozenset({MemberStatus.RUNNING, MemberStatus.AWAITING_APPROVAL})
"""A member whose restore runs or waits for a person, and can be cancelled."""
ACTIVE: Final = UNDER_WAY | {MemberStatus.STARTING, MemberStatus.CANCELLING}
"""A member that counts under the caps."""
GOOD: Final = frozenset({MemberStatus.COMPLETED, MemberStatus.COMPLETED_WITH_WARNINGS, MemberStatus.PLANNED})
"""A member whose restore has succeeded."""
NOT_GOOD: Final = frozenset(
    {MemberStatus.FAILED, MemberStatus.CANCELLED, MemberStatus.REJECTED, MemberStatus.TIMED_OUT}
)
"""A member whose restore has ended otherwise: a retry starts it again."""
MEMBER_STATUS_OF: Final = {
    Status.COMPLETED: MemberStatus.COMPLETED,
    Status.COMPLETED_WITH_WARNINGS: MemberStatus.COMPLETED_WITH_WARNINGS,
    Status.FAILED: MemberStatus.FAILED,
    Status.CANCELLED: MemberStatus.CANCELLED,
    Status.REJECTED: MemberStatus.REJECTED,
    Status.TIMED_OUT: MemberStatus.TIMED_OUT,
    Status.PLANNED: MemberStatus.PLANNED,
}
"""The status of a member by that of its restore, which has ended."""

APPROVAL_TIMEOUT: Final = timedelta(hours=4)
"""How long a recovery, or a group of it, waits for its approval, unless its plan or rule says otherwise."""

MAX_ATTEMPTS: Final = 35
"""Attempts to restore one member: their number is written as one character, a digit of base 36."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedGroup:
    """A group as its plan has it. ``after`` are the indexes of the groups that it waits for."""

    name: str
    after: tuple[int, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedRecovery:
    """What a caller asked for, and when. It never changes.

    ``alert`` is given exactly if ``source`` is an alert. ``approval_timeout`` is how long the whole recovery waits for
    a person, if it must. ``max_per_vault`` is the app's cap, ``None`` for none.
    """

    recovery_id: str
    plan_name: str
    groups: tuple[PlannedGroup, ...]
    fingerprint: str
    source: Source
    created: datetime
    max_per_vault: int | None = None
    request_id: str | None = None
    dry_run: bool = False
    requested_by: str | None = None
    reason: str | None = None
    alert: AlertStart | None = None
    approval_timeout: timedelta = APPROVAL_TIMEOUT
    start_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProgress:
    """How far a group has come. ``approval`` is there once the group has waited for one."""

    status: GroupStatus = GroupStatus.PENDING
    started: datetime | None = None
    ended: datetime | None = None
    approval: Approval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """Who gave a command, why and when."""

    by: str | None = None
    comment: str | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberFailure:
    """Why a member's restore has not succeeded. ``code`` is that of its error."""

    index: int
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonProgress:
    """How far a recovery has come, as its state and its custom status both have it.

    ``members`` has a letter per member (``MemberStatus``), ``attempts`` the number of each one's attempt as a digit of
    base 36; it is empty as long as all are in their first. ``commands`` are the ids of the last commands that were
    applied, ``ineffective`` those of them that changed nothing, because they did not fit the state. ``oldest_point`` is
    the oldest recovery point that was restored. ``failures`` are those of the last members that failed.
    ``critical_path`` has the indexes of the groups that decide ``predicted_end``, in their order. ``planned_s`` is how
    long, by a dry run, the recovery would take. ``is_closed``: the status changes no more, and a recovery that failed
    can no longer be retried.
    """

    members: str = ""
    attempts: str = ""
    approval: Approval | None = None
    paused: Instruction | None = None
    cancellation: Instruction | None = None
    commands: tuple[str, ...] = ()
    ineffective: tuple[str, ...] = ()
    predicted_end: datetime | None = None
    critical_path: tuple[int, ...] = ()
    planned_s: int | None = None
    oldest_point: datetime | None = None
    failures: tuple[MemberFailure, ...] = ()
    completed: datetime | None = None
    is_closed: bool = False
    refused: RefusedWhen | None = None
    error: Json | None = None
    warnings: tuple[RestoreWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryProgress(CommonProgress):
    """How far a recovery has come."""

    status: RecoveryStatus = RecoveryStatus.PENDING
    groups: tuple[GroupProgress, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Times of members, in seconds after the recovery was created; the keys are the indexes of active members.

    ``started`` is when a member began to count under the caps, ``checked`` when the task hub was last asked about it.
    ``durations`` are those of the last restores that succeeded.
    ``predicted`` is when the end was last predicted, ``groups`` their letters then.
    """

    started: dict[str, int] = field(default_factory=dict[str, int])
    checked: dict[str, int] = field(default_factory=dict[str, int])
    durations: tuple[int, ...] = ()
    predicted: datetime | None = None
    groups: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryEvents:
    """The status that was noted last, and the changes of status that are still to be sent, the oldest first.

    ``asked`` are the groups whose wait for an approval was noted, ``ends`` how many ends of the recovery were.
    """

    noted: RecoveryStatus | None = None
    asked: tuple[int, ...] = ()
    ends: int = 0
    to_publish: tuple[RecoveryChange, ...] = ()
    to_post: tuple[RecoveryChange, ...] = ()


# The custom status


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownApproval:
    """The approval of a group. Times are seconds after the recovery was created."""

    expires: int | None = None
    decision: Decision | None = None
    by: str | None = None
    comment: str | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProgress(CommonProgress):
    """The progress as it stands in the custom status: small enough at 1,000 members and 50 groups.

    ``groups`` has a letter per group (``GROUP_LETTERS``), ``sizes`` their numbers of members; ``started`` and ``ended``
    are seconds after the recovery was created. ``approvals`` are those of groups, by their indexes. ``cut``: texts or
    failures were left out. ``admitted``: admission control has admitted the recovery.
    """

    status: RecoveryStatus
    updated: datetime
    groups: str = ""
    sizes: tuple[int, ...] = ()
    started: tuple[int | None, ...] = ()
    ended: tuple[int | None, ...] = ()
    approvals: dict[str, ShownApproval] = field(default_factory=dict[str, ShownApproval])
    cut: bool = False
    admitted: bool = False


GROUP_LETTERS: Final = dict(zip(GroupStatus, "PARCWFKXJN", strict=True))
"""The letter of each status of a group."""

GATE_REASON: Final = "The plan asks for an approval before this group."
"""Why a group with a gate waits."""
