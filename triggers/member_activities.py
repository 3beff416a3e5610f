"""The activities of recoveries that work in the task hub: they start, cancel and check the restores of members."""

from __future__ import annotations

import asyncio
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, cast

from domain import errors
from domain.answers import Answer
from domain.codec import pack
from domain.errors import Json, RestoreError, TerminalError, TransientError
from domain.recovery import calls
from domain.recovery.calls import CheckedMembers, MemberEnd, record_id_of_members
from domain.recovery.member_end import member_end
from domain.recovery.roster import Roster, member_restore_id
from domain.restore.answers import Done
from domain.restore.machine import CANCEL_EVENT
from domain.restore.parts import Membership, Phase, Source, WaitReason
from domain.restore.state import Restore
from domain.sealing import sealed_async
from domain.times import format_time
from domain.wire import as_object
from orchestrations.names import RESTORE_VM
from triggers.hub import is_already_running, raise_event
from triggers.list_entries import note_start
from triggers.records import read_record
from triggers.restore_states import document_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    import azure.durable_functions as df

    from domain.recovery.calls import MemberRef
    from triggers.starting import LimitsFor

_AT_ONCE: Final = 8
_MAX_ROSTERS: Final = 4

type AsyncActivity = Callable[[Json, df.DurableFunctionsClient], Awaitable[Json]]


class MemberActivities:
    """The activities. Each may run twice, also at the same moment, and after a run that broke in its middle.

    ``limits_for`` returns the bounds of a member's restore, ``clock`` aware UTC.
    """

    def __init__(self, *, limits_for: LimitsFor, clock: Callable[[], datetime]) -> None:
        self._limits_for = limits_for
        self._clock = clock
        self._rosters: OrderedDict[str, Roster] = OrderedDict()

    def by_name(self) -> dict[str, AsyncActivity]:
        """Return the activities as functions from packed JSON to an envelope, by their names."""
        clock = self._clock
        return {
            calls.StartMembers.name: sealed_async(calls.StartMembers, self.start_members, clock),
            calls.CancelMembers.name: sealed_async(calls.CancelMembers, self.cancel_members, clock),
            calls.CheckMembers.name: sealed_async(calls.CheckMembers, self.check_members, clock),
        }

    async def start_members(self, call: calls.StartMembers, client: df.DurableFunctionsClient) -> Answer[Done]:
        """Start the restores of members that have none; raise ``TransientError`` if any could not be started."""
        roster = await self._roster(client, call.recovery_id)

        async def start(ref: MemberRef) -> None:
            await _start(client, self._restore(roster, call.recovery_id, ref))

        await _all(call.members, start)
        return Answer(Done())

    async def cancel_members(self, call: calls.CancelMembers, client: df.DurableFunctionsClient) -> Answer[Done]:
        """Raise the cancel event of these restores; a second one changes nothing."""
        data = {"by": call.by, "comment": call.comment, "time": format_time(self._clock())}

        async def cancel(ref: MemberRef) -> None:
            restore_id = member_restore_id(call.recovery_id, ref.index, ref.attempt)
            await raise_event(client, restore_id, CANCEL_EVENT, data)

        await _all(call.members, cancel)
        return Answer(Done())

    async def check_members(
        self, call: calls.CheckMembers, client: df.DurableFunctionsClient
    ) -> Answer[CheckedMembers]:
        """Return which of these restores have ended, which wait for a person, and which do not exist."""
        waiting: list[MemberRef] = []

        async def check(ref: MemberRef) -> MemberRef | MemberEnd | None:
            restore_id = member_restore_id(call.recovery_id, ref.index, ref.attempt)
            state = await client.get_orchestration_state(restore_id, fetch_payloads=True)
            if state is None or state.name != RESTORE_VM:
                return ref
            document = document_of(state)
            has_ended = document["phase"] == str(Phase.FINISHED)
            if as_object(document.get("waiting")).get("reason") == WaitReason.APPROVAL:
                waiting.append(ref)
            return member_end(document, index=ref.index, attempt=ref.attempt) if has_ended else None

        found = await _all(call.members, check)
        ended = tuple(one for one in found if isinstance(one, MemberEnd))
        missing = tuple(one for one in found if isinstance(one, calls.MemberRef))
        waits = tuple(sorted(waiting, key=lambda ref: ref.index))
        return Answer(CheckedMembers(ended=ended, missing=missing, waiting=waits))

    async def _roster(self, client: df.DurableFunctionsClient, recovery_id: str) -> Roster:
        """Return the frozen list of a recovery, from memory if it was read lately: it never changes."""
        roster = self._rosters.pop(recovery_id, None)
        if roster is None:
            data = await read_record(client, record_id_of_members(recovery_id))
            if data is None:
                message = (
                    "The list of this recovery's members is gone from the task hub. Look in GET /api/restores which "
                    "restores it has started, then start the recovery again, with another requestId."
                )
                raise TerminalError(errors.INTERNAL_ERROR, message)
            roster = Roster.from_json(data)
        self._rosters[recovery_id] = roster
        if len(self._rosters) > _MAX_ROSTERS:
            self._rosters.popitem(last=False)
        return roster

    def _restore(self, roster: Roster, recovery_id: str, ref: MemberRef) -> Restore:
        request = roster.request_for(ref.index)
        # A later attempt may find the job of an earlier one, which was not there when the vault was looked through.
        looked = roster.members[ref.index].looked and ref.attempt == 1
        return Restore.accept(
            request,
            restore_id=member_restore_id(recovery_id, ref.index, ref.attempt),
            source=Source.RECOVERY,
            created=self._clock(),
            limits=self._limits_for(request),
            start_token=str(uuid.uuid4()),
            member=Membership(recovery_id=recovery_id, index=ref.index, attempt=ref.attempt, looked=looked),
            item=roster.item_of(ref.index),
        )


async def _start(client: df.DurableFunctionsClient, restore: Restore) -> None:
    """Start a restore that does not exist. One that has ended must not be started again under its id."""
    if await client.get_orchestration_state(restore.restore_id, fetch_payloads=False) is not None:
        return
    try:
        await client.schedule_new_orchestration(RESTORE_VM, input=pack(restore), instance_id=restore.restore_id)
    except Exception as error:
        if not is_already_running(error):
            raise
        return
    await note_start(client, restore)


async def _all[T](members: Iterable[MemberRef], do: Callable[[MemberRef], Awaitable[T]]) -> list[T]:
    """Do this for each member, a few at a time, and return the results in their order.

    If it failed for any member, a ``RestoreError`` that is not transient is raised as it is. Any other failure becomes
    a ``TransientError``: the recovery then makes the whole call again.
    """
    few = asyncio.Semaphore(_AT_ONCE)

    async def one(ref: MemberRef) -> T:
        async with few:
            return await do(ref)

    found = await asyncio.gather(*map(one, members), return_exceptions=True)
    failures = [failure for failure in found if isinstance(failure, BaseException)]
    for failure in failures:
        if not isinstance(failure, Exception) or (
            isinstance(failure, RestoreError) and not isinstance(failure, TransientError)
        ):
            raise failure
    if failures:
        message = f"The task hub failed for {len(failures)} of {len(found)} members: {failures[0]}"
        raise TransientError(errors.SERVICE_UNAVAILABLE, message) from failures[0]
    return cast("list[T]", found)
