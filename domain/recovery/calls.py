"""Every activity that a recovery calls, and what it answers. Names are stored in histories: add names, never rename.

The plan and the frozen list of members are not part of these messages: they are records in the task hub
(``record_id_of_plan``, ``record_id_of_members``), which the activities read and write.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from domain.errors import Json, RestoreWarning
from domain.restore.answers import Done
from domain.restore.calls import ActivityCall
from domain.restore.parts import Status


def record_id_of_plan(recovery_id: str, fingerprint: str) -> str:
    """Return the id of the record that holds the call which started a recovery, with its whole plan.

    ``{"plan": the plan's body, "request": the other members of the call}``. It is written before the recovery starts.
    """
    return f"recovery-{recovery_id}-plan-{fingerprint[:16]}"


def record_id_of_members(recovery_id: str) -> str:
    """Return the id of the record that holds the frozen list of a recovery's members: a packed ``Roster``."""
    return f"recovery-{recovery_id}-members"


def recovery_of_record(record_id: str) -> str | None:
    """Return the id of the recovery that a record belongs to; ``None`` if this is no id of a record."""
    found = _RECORD_ID.fullmatch(record_id)
    return None if found is None else found[1]


_RECORD_ID: Final = re.compile(r"recovery-(.+)-(?:members|plan-[^-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRef:
    """One attempt to restore one member: its index in the frozen list, and the number of the attempt, from 1."""

    index: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOutline:
    """A group as the recovery's machine needs it. Its members are ``count`` in a row, beginning with ``first``.

    ``after`` are the indexes of the groups that it waits for. ``approval_timeout`` is ``None`` without a gate.
    ``swaps``: the disks of its members are swapped into their VMs after the restore.
    """

    name: str
    after: tuple[int, ...]
    first: int
    count: int
    optional: bool = False
    approval_timeout: timedelta | None = None
    swaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The members are chosen, and their list is frozen in its record.

    ``vault_of`` has for each member the index of its vault in ``vault_ids``; -1 if its vault is not known yet.
    ``typical_s`` is the median duration of the vaults' past restores, if there are any.
    """

    kind: ClassVar = "resolved"
    groups: tuple[GroupOutline, ...]
    vault_ids: tuple[str, ...]
    vault_of: tuple[int, ...]
    max_running: int | None = None
    typical_s: float | None = None
    warnings: tuple[RestoreWarning, ...] = ()

    def group_of(self, index: int) -> int:
        """Return the index of a member's group."""
        # Of groups that begin with the same member, all but the last are empty.
        return bisect_right(self.groups, index, key=lambda group: group.first) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StillChoosing:
    """Azure Resource Graph has more pages: the call is made again with this progress, after the wait in its answer."""

    kind: ClassVar = "choosing"
    progress: Json


type Resolution = Resolved | StillChoosing


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberEnd:
    """How the restore of a member ended. ``code`` is that of its error. It is also the data of the event ``member``.

    ``started`` is when Azure took the restore, ``point_time`` the time of its recovery point, where they are known.
    ``waited_s`` is for how long it waited for a person.
    """

    index: int
    attempt: int
    status: Status
    ended: datetime
    started: datetime | None = None
    point_time: datetime | None = None
    code: str | None = None
    message: str | None = None
    waited_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberWait:
    """The restore of a member waits for a person, or goes on. It is also data of the event ``member``."""

    index: int
    attempt: int
    waits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedMembers:
    """What the task hub knows of some members: those whose restore has ended, and those that have no restore (yet).

    ``waiting`` are those whose restore waits for a person.
    """

    ended: tuple[MemberEnd, ...] = ()
    missing: tuple[MemberRef, ...] = ()
    waiting: tuple[MemberRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRecovery(ActivityCall):
    """Choose the members and freeze their list; a second run answers what the first has frozen."""

    name: ClassVar = "resolve_recovery"
    answer: ClassVar = Resolution
    recovery_id: str
    fingerprint: str
    now: datetime
    progress: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMembers(ActivityCall):
    """Start the restores of these members. Their ids derive from the members, so a second run starts none twice."""

    name: ClassVar = "start_members"
    answer: ClassVar = Done
    recovery_id: str
    members: tuple[MemberRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelMembers(ActivityCall):
    """Cancel the restores of these members; those that have ended are left as they are."""

    name: ClassVar = "cancel_members"
    answer: ClassVar = Done
    recovery_id: str
    members: tuple[MemberRef, ...]
    by: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckMembers(ActivityCall):
    """Read from the task hub what has become of these members, in case a message about an end was lost."""

    name: ClassVar = "check_members"
    answer: ClassVar = CheckedMembers
    recovery_id: str
    members: tuple[MemberRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryChange:
    """A change of a recovery's status: the new status, since when, and the recovery's document of that moment.

    ``end`` is the number of this end, if the recovery has ended before: a retry goes on after an end.
    """

    status: str
    time: datetime
    document: Json
    end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishRecoveryEvents(ActivityCall):
    """Put an event for each of these changes on the events queue, in this order."""

    name: ClassVar = "publish_recovery_events"
    answer: ClassVar = Done
    is_delivery: ClassVar = True
    changes: tuple[RecoveryChange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRecoveryEvent(ActivityCall):
    """Post an event for this change to the webhook, if there is one."""

    name: ClassVar = "post_recovery_event"
    answer: ClassVar = Done
    is_delivery: ClassVar = True
    change: RecoveryChange
