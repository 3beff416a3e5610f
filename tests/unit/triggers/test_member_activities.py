"""What the task hub knows of the members of a recovery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from durabletask.client import OrchestrationState, OrchestrationStatus

from domain.recovery.calls import CheckedMembers, CheckMembers, MemberRef
from domain.recovery.roster import member_restore_id
from tests.support.azure import LIMITS
from tests.support.hub import START
from tests.unit.triggers.states import a_state, shown
from triggers.member_activities import MemberActivities

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json

RECOVERY = "11111111-2222-3333-4444-555555555555"


class _Hub:
    """A task hub with a restore for each of these documents, the first for the first member."""

    def __init__(self, *documents: Json) -> None:
        self._states = {
            member_restore_id(RECOVERY, index, 1): a_state(
                OrchestrationStatus.RUNNING, serialized_custom_status=document
            )
            for index, document in enumerate(documents)
        }

    async def get_orchestration_state(self, instance_id: str, **_: Any) -> OrchestrationState | None:
        return self._states.get(instance_id)


def check(*documents: Json) -> CheckedMembers:
    """Check one member more than there are restores."""
    activities = MemberActivities(limits_for=lambda _: LIMITS, clock=lambda: START)
    refs = tuple(MemberRef(index=index, attempt=1) for index in range(len(documents) + 1))
    call = CheckMembers(recovery_id=RECOVERY, members=refs)
    return asyncio.run(activities.check_members(call, cast("df.DurableFunctionsClient", _Hub(*documents)))).value


def test_members_that_wait_for_a_person_are_told_apart_from_those_that_run_and_those_without_a_restore() -> None:
    checked = check(
        shown(),
        shown(status="AwaitingApproval", waiting={"reason": "Approval", "until": None}),
        shown(status="AwaitingApproval", waiting={"reason": "ResourceGuard", "until": None}),
    )

    assert checked.waiting == (MemberRef(index=1, attempt=1),)
    assert checked.missing == (MemberRef(index=3, attempt=1),)
    assert checked.ended == ()
