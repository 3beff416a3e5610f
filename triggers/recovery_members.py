"""The members of a recovery: each virtual machine, with its restore."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from domain.api_types import RecoveryMember, RecoveryMemberLinks, RecoveryMemberList
from domain.recovery.calls import record_id_of_members
from domain.recovery.parts import MemberStatus
from domain.recovery.roster import Roster, member_restore_id
from domain.recovery.state import attempt_of
from domain.times import parse_request_time
from domain.wire import as_object
from triggers.answers import invalid, origin_of
from triggers.listing import read_documents
from triggers.parameters import next_query
from triggers.records import read_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import azure.durable_functions as df
    import azure.functions as func

    from domain.errors import Json
    from triggers.recovery_states import RecoveryView

MAX_MEMBERS_SHOWN: Final = 200
"""How many members a page has at most. The restore of each one is read, so a page must not be long."""

_NOT_STARTED: Final = frozenset({MemberStatus.PENDING, MemberStatus.SKIPPED})


async def list_members(
    client: df.DurableFunctionsClient, view: RecoveryView, req: func.HttpRequest, wanted: Json
) -> RecoveryMemberList:
    """Return a page of members in the order of the plan; empty before they are chosen.

    ``wanted`` are the parameters ``group``, ``status``, ``top`` and ``continuationToken``. Raises
    ``InvalidRequestError`` for an unknown group.
    """
    group = None if "group" not in wanted else group_index(view, wanted["group"])
    record = await read_record(client, record_id_of_members(view.accepted.recovery_id))
    if record is None or view.shown is None:
        return RecoveryMemberList(value=())
    page = _Page(view, Roster.from_json(record))
    found = page.indexes(group, wanted.get("status"), wanted.get("continuationToken", 0))
    shown = list(islice(found, wanted["top"]))
    following = next(found, None)
    documents = await read_documents(client, [page.restore_id(index) for index in shown if page.has_restore(index)])
    restores = {document["id"]: document for document in documents if document is not None}
    origin = origin_of(req)
    next_link = f"{origin}/recoveries/{view.accepted.recovery_id}/members?{next_query(req, str(following))}"
    return RecoveryMemberList(
        value=tuple(page.member(index, restores.get(page.restore_id(index)), origin) for index in shown),
        next_link=None if following is None else next_link,
    )


def group_index(view: RecoveryView, name: str) -> int:
    """Return the index of the group with this name, in any letter case; raises ``InvalidRequestError``."""
    names = [group.name.lower() for group in view.accepted.groups]
    if name.lower() not in names:
        known = ", ".join(group.name for group in view.accepted.groups)
        raise invalid("group", f"must be a group of the recovery's plan: {known}")
    return names.index(name.lower())


class _Page:
    """The members of a recovery, as its roster and its progress show them."""

    def __init__(self, view: RecoveryView, roster: Roster) -> None:
        self._accepted = view.accepted
        self._roster = roster
        pending = str(MemberStatus.PENDING) * len(roster.members)
        self._letters = (view.shown.members if view.shown else "") or pending
        self._attempts = view.shown.attempts if view.shown else ""

    def indexes(self, group: int | None, status: str | None, begin: int) -> Iterator[int]:
        """Yield the indexes of members from ``begin`` on; ``None`` stands for all groups, or for all statuses."""
        for index in range(begin, len(self._letters)):
            is_of_group = group is None or self._roster.group_of(index) == group
            if is_of_group and (status is None or MemberStatus(self._letters[index]).word == status):
                yield index

    def has_restore(self, index: int) -> bool:
        """Return whether a restore may have been started for a member's present attempt."""
        return self._letters[index] not in _NOT_STARTED

    def restore_id(self, index: int) -> str:
        """Return the id of the restore of a member's present attempt."""
        return member_restore_id(self._accepted.recovery_id, index, attempt_of(self._attempts, index))

    def member(self, index: int, restore: Json | None, origin: str) -> RecoveryMember:
        """Return a member as callers see it; ``restore`` is its restore's document, if there is one."""
        point: str | None = as_object((restore or {}).get("recoveryPoint")).get("time")
        point_time = None if point is None else parse_request_time(point)
        restore_id: str | None = None if restore is None else restore["id"]
        return RecoveryMember(
            index=index,
            source_resource_id=self._roster.members[index].vm_id,
            group=self._accepted.groups[self._roster.group_of(index)].name,
            status=MemberStatus(self._letters[index]).word,
            attempt=attempt_of(self._attempts, index),
            restore_id=restore_id,
            recovery_point_time=point_time,
            measured_rpo=None if point_time is None else self._accepted.created - point_time,
            error=None if restore is None else restore["error"],
            links=RecoveryMemberLinks(restore=None if restore_id is None else f"{origin}/restores/{restore_id}"),
        )
