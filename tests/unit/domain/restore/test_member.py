"""A restore that is a member of a recovery."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from domain.answers import Answer
from domain.codec import pack, unpack
from domain.errors import TerminalError
from domain.recovery.calls import MemberEnd, MemberWait
from domain.recovery.member_end import member_end
from domain.requests import RestoreRequest
from domain.restore import outcome
from domain.restore.answers import Refusal
from domain.restore.calls import TellRecovery
from domain.restore.document import document
from domain.restore.machine import DECISION_EVENT, absorb, advance, decide
from domain.restore.parts import Admission, LockState, Membership, Slot, SlotState, Source, Status
from domain.restore.stages import Preparing
from domain.restore.state import Restore, restore_id_for
from domain.restore.steps import MakeCall
from tests.support.azure import LIMITS, a_request, a_restore
from tests.unit.domain.restore.states import CREATED, ITEM, NOW

if TYPE_CHECKING:
    from tests.support.player import Player

RECOVERY_ID = "0d2f5b5c-6f0e-5c0b-8d86-0a8f3f7e5a11"


def a_member() -> Restore:
    return Restore.accept(
        RestoreRequest.from_json(a_request()),
        restore_id=restore_id_for("member"),
        source=Source.RECOVERY,
        created=CREATED,
        limits=LIMITS,
        member=Membership(recovery_id=RECOVERY_ID, index=7, attempt=1, looked=True),
        item=ITEM,
    )


def test_its_document_names_the_recovery() -> None:
    shown = document(a_member(), NOW)

    assert shown["recoveryId"] == RECOVERY_ID
    assert shown["startedBy"] == "recovery"


def test_the_document_of_another_restore_names_none() -> None:
    assert "recoveryId" not in document(a_restore(), NOW)


def test_its_item_is_not_looked_up() -> None:
    member = advance(a_member(), NOW)
    step = decide(member, NOW)

    assert isinstance(member.stage, Preparing)
    assert isinstance(step, MakeCall)
    assert [call.name for call in (step.call, *step.beside)] == ["acquire_lock"]


def test_it_is_kept_in_the_history() -> None:
    member = a_member()

    assert unpack(Restore, pack(member)) == member


def test_nobody_waits_for_its_admission() -> None:
    assert [source for source in Source if source.waits_for_admission] == [Source.HTTP, Source.ALERT]


def the_end_of(member: Restore) -> Restore:
    """Return the member with its lock released: the restore has failed."""
    failed = outcome.failed(member, TerminalError("RestoreFailed", "No disk. " * 100), NOW)
    return replace(failed, admission=Admission(lock=LockState.RELEASED))


class TestThatAsksBeforeItsSwap:
    """It tells its recovery that it waits, and that it goes on."""

    @pytest.fixture
    def asked(self, player: Player) -> str:
        restore_id = self.start(player, approval={"required": True, "before": "Swap"})
        player.reach(restore_id, "AwaitingApproval")
        return restore_id

    def start(self, player: Player, **members: Any) -> str:
        restore = a_restore(thenSwapDisks={}, targetResourceGroupId=None, **members)
        membership = Membership(recovery_id=RECOVERY_ID, index=7, attempt=1)
        accepted = replace(restore.accepted, source=Source.RECOVERY, member=membership)
        return player.start(replace(restore, accepted=accepted))

    def told(self, player: Player, restore_id: str) -> list[bool | Status]:
        """Return what the recovery was told: whether the member waits, and how it ended."""
        made = [call.call for call in player.calls_of("tell_recovery", restore_id)]
        assert {call.instance_id for call in made if isinstance(call, TellRecovery)} == {RECOVERY_ID}
        news = [unpack(MemberWait if "waits" in call.data else MemberEnd, call.data) for call in made]  # type: ignore[attr-defined] - as above
        assert {(each.index, each.attempt) for each in news} == {(7, 1)}
        return [each.waits if isinstance(each, MemberWait) else each.status for each in news]

    def test_it_tells_that_it_waits_as_soon_as_it_does(self, player: Player, asked: str) -> None:
        made = player.calls_of("tell_recovery", asked)

        assert self.told(player, asked) == [True]
        assert made[0].at == player.clock.now()
        assert unpack(Restore, pack(player.play(asked).restore)) == player.play(asked).restore

    def test_it_tells_that_it_goes_on_before_it_touches_the_vm(self, player: Player, asked: str) -> None:
        player.say(DECISION_EVENT, {"decision": "Approved", "by": "ada"}, asked)
        player.run_until(lambda: bool(player.compute.made))
        assert self.told(player, asked) == [True, False]

        assert player.finish(asked)["status"] == "Completed"
        assert self.told(player, asked) == [True, False, Status.COMPLETED]

    def test_rejected_it_tells_its_end_alone(self, player: Player, asked: str) -> None:
        player.say(DECISION_EVENT, {"decision": "Rejected", "by": "ada"}, asked)
        player.finish(asked)

        assert self.told(player, asked) == [True, Status.REJECTED]

    def test_one_that_asks_nobody_tells_its_end_alone(self, player: Player) -> None:
        restore_id = self.start(player)
        player.finish(restore_id)

        assert self.told(player, restore_id) == [Status.COMPLETED]

    def test_another_restore_tells_nobody(self, player: Player) -> None:
        approval = {"required": True, "before": "Swap"}
        restore_id = player.start(a_restore(thenSwapDisks={}, targetResourceGroupId=None, approval=approval))
        player.reach(restore_id, "AwaitingApproval")

        assert player.calls_of("tell_recovery", restore_id) == []


class TestTellsItsRecovery:
    def test_how_it_ended_once_before_the_result_is_sent(self) -> None:
        step = decide(the_end_of(a_member()), NOW)

        assert isinstance(step, MakeCall)
        assert isinstance(step.call, TellRecovery)
        assert step.call.instance_id == RECOVERY_ID
        end: MemberEnd = unpack(MemberEnd, step.call.data)
        assert (end.index, end.attempt, end.status, end.ended) == (7, 1, Status.FAILED, NOW)
        assert end.code == "RestoreFailed"
        assert len(end.message or "") == 300
        told = absorb(the_end_of(a_member()), step.call, Answer(None), NOW)
        after = decide(told, NOW)
        assert isinstance(after, MakeCall)
        assert [call.name for call in (after.call, *after.beside)] == ["publish_result"]

    def test_after_it_has_released_its_slot(self) -> None:
        ended = replace(the_end_of(a_member()), slot=Slot(state=SlotState.HELD))

        step = decide(ended, NOW)

        assert isinstance(step, MakeCall)
        assert [call.name for call in (step.call, *step.beside)] == ["release_slot", "publish_result"]

    def test_and_if_another_restore_of_the_vm_runs(self) -> None:
        refused = outcome.refused(a_member(), Refusal(code="RequestConflict", message="It runs."), NOW)

        step = decide(refused, NOW)

        assert isinstance(step, MakeCall)
        assert isinstance(step.call, TellRecovery)
        end: MemberEnd = unpack(MemberEnd, step.call.data)
        assert (end.status, end.code) == (Status.FAILED, "RequestConflict")

    def test_and_no_other_restore_does(self) -> None:
        step = decide(the_end_of(a_restore()), NOW)

        assert isinstance(step, MakeCall)
        assert step.call.name == "publish_result"

    def test_when_azure_took_it_and_from_which_point(self) -> None:
        shown = document(the_end_of(a_member()), NOW)
        phases = [("Triggering", "08:00"), ("TrackingOperation", "08:01"), ("TrackingJob", "08:02")]
        shown["phases"] = [{"phase": phase, "started": f"2026-11-23T{at}:00Z"} for phase, at in phases]
        shown["recoveryPoint"] = {"time": "2026-11-23T06:00:00Z"}

        end = member_end(shown, index=7, attempt=1)

        assert end.waited_s == 0
        assert end.started == datetime(2026, 11, 23, 8, 1, tzinfo=UTC)
        assert end.point_time == datetime(2026, 11, 23, 6, tzinfo=UTC)

    def test_for_how_long_it_waited_for_a_person(self) -> None:
        shown = document(the_end_of(a_member()), NOW)
        shown["phases"] = [
            {"phase": "AwaitingApproval", "started": "2026-11-23T08:00:00Z", "ended": "2026-11-23T08:10:00Z"},
            {"phase": "TrackingJob", "started": "2026-11-23T08:10:00Z", "ended": "2026-11-23T08:20:00Z"},
            {"phase": "AwaitingApproval", "started": "2026-11-23T08:20:00Z", "ended": "2026-11-23T09:20:00Z"},
        ]

        assert member_end(shown, index=7, attempt=1).waited_s == 70 * 60
