from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.answers import Answer
from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.errors import TransientError
from domain.restore import answers, calls, outcome
from domain.restore.backoff import Backoff
from domain.restore.calls import WakeRestore, entity_key
from domain.restore.machine import DECISION_EVENT, absorb, decide
from domain.restore.parts import Slot, SlotState, Status
from domain.restore.stages import AwaitingApproval, AwaitingResourceGuard
from domain.restore.steps import MakeCall, Wait
from domain.times import parse_request_time
from tests.support.azure import (
    GUARD_CLOSED,
    LIMITS,
    VAULT_ID,
    a_point,
    a_restore,
    vm_id,
)
from tests.support.player import Player
from tests.unit.domain.restore.states import ITEM, NOW, PREPARED, admitted, preparing, tracking_job, triggering

if TYPE_CHECKING:
    from domain.restore.state import Restore

ONE = replace(LIMITS, max_per_vault=1)
TWO = replace(LIMITS, max_per_vault=2)
APPROVAL = {"required": True}


def start(player: Player, number: int, **members: Any) -> str:
    """Start the restore of one of many VMs; returns its id."""
    now = player.clock.now()
    return player.start(a_restore(TWO, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


def phases(player: Player, ids: list[str]) -> list[str]:
    return [player.document(restore_id).get("phase", "") for restore_id in ids]


def is_waiting(player: Player, restore_id: str) -> bool:
    document = player.document(restore_id)
    codes = [warning["code"] for warning in document.get("warnings", [])]
    return "VaultBusy" in codes and document["phase"] != "TrackingJob"


def test_who_waits_says_so_and_asks_azure_for_nothing_more_meanwhile(player: Player) -> None:
    ids = [start(player, number) for number in range(3)]
    player.run_until(timedelta(minutes=10))

    document = player.document(ids[2])
    [warning] = document["warnings"]
    assert (document["status"], document["phase"]) == ("Running", "SelectingRecoveryPoint")
    assert warning["code"] == "VaultBusy"
    assert "RESTORE_MAX_RUNNING_PER_VAULT" in warning["message"]
    assert player.azure.calls["list_recovery_points"] == 3  # once for each restore, beside its request for a slot


def test_who_waited_chooses_among_the_points_that_are_there_when_it_gets_its_slot(player: Player) -> None:
    ids = [start(player, number) for number in range(3)]
    player.run_until(lambda: is_waiting(player, ids[2]))
    player.azure.points.append(a_point("newer", hours_old=1))

    assert player.finish(ids[2])["recoveryPoint"]["id"] == "newer"


def test_one_that_can_never_be_restored_does_not_wait_in_line(player: Player) -> None:
    ids = [start(player, number) for number in range(2)]
    player.run_until(timedelta(minutes=1))
    hopeless = start(player, 2, recoveryPoint={"notOlderThan": "PT1H"})

    assert player.finish(hopeless)["error"]["code"] == "NoMatchingRecoveryPoint"
    assert phases(player, ids) == ["TrackingJob"] * 2


def test_the_slot_of_a_restore_that_vanished_is_released(player: Player) -> None:
    player.azure.job_takes = timedelta(hours=20)
    ids = [start(player, number) for number in range(3)]
    player.run_until(lambda: is_waiting(player, ids[2]))
    player.terminate(ids[1])
    before = player.clock.now()
    player.run_until(lambda: player.document(ids[2])["phase"] == "TrackingJob")

    assert player.clock.now() - before < timedelta(minutes=15)


def test_waiting_for_a_person_takes_no_slot(player: Player) -> None:
    asking = [start(player, number, approval=APPROVAL) for number in range(3)]
    for restore_id in asking:
        player.reach(restore_id, "AwaitingApproval")
    other = start(player, 9)
    assert player.reach(other, "Completed")

    for restore_id in asking:
        player.say(DECISION_EVENT, {"decision": "Approved"}, restore_id)
    assert [player.finish(restore_id)["status"] for restore_id in asking] == ["Completed"] * 3


def test_a_plan_waits_for_nobody(player: Player) -> None:
    for number in range(2):
        start(player, number)
    player.run_until(timedelta(minutes=1))

    plan = a_restore(TWO, key="plan", dryRun=True)
    assert player.run(plan)["warnings"] == []


def test_a_lost_wake_up_costs_five_minutes_and_no_more(player: Player) -> None:
    player.loses_wakes = True
    ids = [start(player, number) for number in range(3)]
    player.run_until(timedelta(days=1))

    ends = sorted(player.document(restore_id)["completedTime"] for restore_id in ids)
    waited = player.azure.jobs[2].made - player.azure.jobs[0].made - player.azure.job_takes
    assert len(ends) == 3
    assert waited <= timedelta(minutes=6)


def test_waiting_for_a_resource_guard_takes_no_slot() -> None:
    one = replace(LIMITS, max_per_vault=1)
    player = Player()
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": "/guard"}
    player.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    player.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 30
    first = player.start(a_restore(one, key="1", sourceResourceId=vm_id(1)))
    player.reach(first, "AwaitingApproval")
    player.azure.fails["trigger_restore"] = []
    player.azure.guard_proxies = []
    second = player.start(a_restore(one, key="2", created=player.clock.now(), sourceResourceId=vm_id(2)))
    player.run_until(lambda: player.azure.calls["list_recovery_points"] == 2)

    assert player.finish(second)["status"] == "Completed"
    assert player.finish(first)["status"] == "Completed"


def test_who_releases_a_slot_wakes_the_next_at_once(player: Player) -> None:
    first = player.start(a_restore(ONE, key="1", sourceResourceId=vm_id(1)))
    player.run_until(lambda: player.document(first).get("phase") == "TrackingJob")
    second = player.start(a_restore(ONE, key="2", created=player.clock.now(), sourceResourceId=vm_id(2)))

    assert player.finish(second)["status"] == "Completed"

    assert player.azure.jobs[1].made == parse_request_time(player.document(first)["completedTime"])
    assert [made.call for made in player.calls_of("wake_restore", first)] == [WakeRestore(restore_id=second)]


KEY = entity_key(VAULT_ID)
BROKEN = TransientError(errors.INTERNAL_ERROR, "the state is away")
ACQUIRE = calls.AcquireSlot(key=KEY, max_per_vault=2)


def bounded(restore: Restore, slot: Slot) -> Restore:
    """Return the restore at a vault where two may run at once."""
    return replace(restore, accepted=replace(restore.accepted, limits=TWO), slot=slot)


def called(restore: Restore) -> calls.Call:
    step = decide(restore, NOW)
    assert isinstance(step, MakeCall)
    return step.call


def release_of(restore_id: str) -> calls.ReleaseSlot:
    return calls.ReleaseSlot(key=KEY, max_per_vault=2, holder_id=restore_id)


class TestAsking:
    def test_the_point_is_chosen_beside_the_request_for_a_slot(self) -> None:
        restore = bounded(preparing(), Slot(state=SlotState.WANTED))

        choosing = calls.PrepareRestore(item=ITEM, request=restore.request, now=NOW)
        assert decide(restore, NOW) == MakeCall(call=ACQUIRE, beside=(choosing,))

    def test_a_point_that_cannot_be_chosen_yet_is_not(self) -> None:
        restore = bounded(preparing(), Slot(state=SlotState.WANTED))

        later = replace(restore, backoff=Backoff().hold("prepare_restore", 60, NOW))
        assert decide(later, NOW) == MakeCall(call=ACQUIRE)

    @pytest.mark.parametrize(
        "restore",
        [bounded(triggering(), Slot(state=SlotState.WANTED)), bounded(preparing(), Slot(state=SlotState.WAITING))],
    )
    def test_who_asks_again_chooses_nothing_beside_it(self, restore: Restore) -> None:
        assert decide(restore, NOW) == MakeCall(call=ACQUIRE)

    def test_before_the_item_is_known_the_vault_is_not_either(self) -> None:
        assert called(bounded(admitted(), Slot(state=SlotState.WANTED))).name == "resolve_item"

    @pytest.mark.parametrize("state", [SlotState.HELD, SlotState.NOT_NEEDED])
    def test_who_needs_no_slot_goes_on(self, state: SlotState) -> None:
        assert called(bounded(triggering(), Slot(state=state))).name == "start_restore"

    def test_a_free_slot_is_held(self) -> None:
        restore = absorb(bounded(preparing(), Slot(state=SlotState.WANTED)), ACQUIRE, Answer(answers.SlotGrant()), NOW)

        assert (restore.slot, restore.warnings) == (Slot(state=SlotState.HELD), ())

    def test_where_none_is_free_it_waits_asks_after_a_holder_and_says_so(self) -> None:
        grant = Answer(answers.SlotGrant(holder="other", ahead=3))

        restore = absorb(bounded(preparing(), Slot(state=SlotState.WANTED)), ACQUIRE, grant, NOW)

        assert restore.slot == Slot(state=SlotState.WAITING, suspect="other")
        assert restore.backoff.not_before(ACQUIRE.name) == NOW + timedelta(minutes=5)
        assert [(warning.code, warning.message) for warning in restore.warnings] == [
            (
                "VaultBusy",
                "2 restores of this vault run at once (RESTORE_MAX_RUNNING_PER_VAULT); this one waited for a slot.",
            )
        ]

    def test_in_line_nothing_is_done_until_it_asks_again(self) -> None:
        restore = bounded(preparing(), Slot(state=SlotState.WAITING))
        restore = replace(restore, backoff=Backoff().wait(ACQUIRE.name, 300, NOW))

        assert decide(restore, NOW) == Wait(until=NOW + timedelta(minutes=5))


class TestOwedToOthers:
    def test_who_got_the_slot_is_woken_first(self) -> None:
        slot = Slot(state=SlotState.HELD, suspect="a", vanished="b", to_wake="c")
        restore = bounded(triggering(), slot)

        assert called(restore) == calls.WakeRestore(restore_id="c")
        restore = absorb(restore, calls.WakeRestore(restore_id="c"), Answer(answers.Done()), NOW)
        assert called(restore) == release_of("b")
        restore = absorb(restore, release_of("b"), Answer(answers.SlotReleased(next_id="d")), NOW)
        assert called(restore) == calls.WakeRestore(restore_id="d")
        assert restore.slot == Slot(state=SlotState.HELD, suspect="a", to_wake="d")
        restore = absorb(restore, calls.WakeRestore(restore_id="d"), Answer(answers.Done()), NOW)
        assert called(restore) == calls.FindRunning(restore_id="a")

    @pytest.mark.parametrize(("is_running", "vanished"), [(True, None), (False, "a")])
    def test_a_holder_that_vanished_is_released_one_that_runs_is_not(
        self, is_running: bool, vanished: str | None
    ) -> None:
        restore = bounded(preparing(), Slot(state=SlotState.WAITING, suspect="a"))

        running = Answer(answers.Running(is_running=is_running))
        restore = absorb(restore, calls.FindRunning(restore_id="a"), running, NOW)

        assert restore.slot == Slot(state=SlotState.WAITING, vanished=vanished)

    @pytest.mark.parametrize(
        ("slot", "call"),
        [
            (Slot(state=SlotState.HELD, to_wake="a"), calls.WakeRestore(restore_id="a")),
            (Slot(state=SlotState.HELD, vanished="a"), release_of("a")),
            (Slot(state=SlotState.HELD, suspect="a"), calls.FindRunning(restore_id="a")),
        ],
    )
    def test_what_fails_three_times_is_left(self, slot: Slot, call: calls.Call) -> None:
        restore = bounded(triggering(), slot)

        for _ in range(2):
            restore = absorb(restore, call, BROKEN, NOW)
            assert restore.slot == slot
        assert absorb(restore, call, BROKEN, NOW).slot == Slot(state=SlotState.HELD)


class TestStandingAside:
    APPROVING = AwaitingApproval(prepared=PREPARED, since=NOW)
    GUARDED = AwaitingResourceGuard(prepared=PREPARED, since=NOW, refusal={})

    def test_while_a_person_is_waited_for_the_slot_is_released(self) -> None:
        restore = bounded(replace(triggering(), stage=self.APPROVING), Slot(state=SlotState.HELD))

        assert called(restore) == release_of(restore.restore_id)
        restore = absorb(restore, release_of(restore.restore_id), Answer(answers.SlotReleased(next_id="b")), NOW)
        assert restore.slot == Slot(state=SlotState.WANTED, to_wake="b")

    def test_a_release_that_failed_is_made_again_after_a_pause(self) -> None:
        restore = bounded(replace(triggering(), stage=self.APPROVING), Slot(state=SlotState.HELD))

        restore = absorb(restore, release_of(restore.restore_id), BROKEN, NOW)

        assert decide(restore, NOW) == Wait(until=NOW + timedelta(seconds=5))

    def test_while_the_resource_guard_is_waited_for_the_slot_is_released_until_the_next_try(self) -> None:
        waiting = replace(triggering(), stage=self.GUARDED, backoff=Backoff().wait("start_restore", 60, NOW))

        held = bounded(waiting, Slot(state=SlotState.HELD))
        wanted = bounded(waiting, Slot(state=SlotState.WANTED))

        assert called(held) == release_of(held.restore_id)
        assert decide(wanted, NOW) == Wait(until=NOW + timedelta(minutes=1))
        assert decide(wanted, NOW + timedelta(minutes=1)) == MakeCall(call=ACQUIRE)
        step = decide(held, NOW + timedelta(minutes=1))
        assert isinstance(step, MakeCall)
        assert step.call.name == "start_restore"

    def test_for_the_last_try_a_slot_is_wanted_though_the_next_is_not_due(self) -> None:
        last = NOW + timedelta(hours=4)
        waiting = replace(triggering(), stage=self.GUARDED, backoff=Backoff().wait("start_restore", 300, last))

        assert decide(bounded(waiting, Slot(state=SlotState.WANTED)), last) == MakeCall(call=ACQUIRE)

    def test_whether_a_broken_try_has_posted_is_found_out_before_a_slot_is_asked_for(self) -> None:
        stage = replace(self.GUARDED, in_doubt="the worker died")
        restore = bounded(replace(triggering(), stage=stage), Slot(state=SlotState.WANTED))

        assert called(restore).name == "claim_post"

    def test_an_own_release_that_keeps_failing_ends_the_restore(self) -> None:
        restore = bounded(replace(triggering(), stage=self.APPROVING), Slot(state=SlotState.HELD))
        call = release_of(restore.restore_id)

        restore = absorb(restore, call, BROKEN, NOW)
        assert restore.outcome is None
        for _ in range(5):
            restore = absorb(restore, call, BROKEN, NOW + timedelta(minutes=29))
        assert restore.slot.state is SlotState.HELD
        restore = absorb(restore, call, BROKEN, NOW + timedelta(minutes=30))
        assert restore.outcome is not None
        assert restore.outcome.status is Status.FAILED


class TestAfterTheEnd:
    def test_the_slot_is_released_once_and_no_longer_needed(self) -> None:
        ended = outcome.timed_out(bounded(tracking_job(), Slot(state=SlotState.HELD)), NOW)

        released = absorb(ended, release_of(ended.restore_id), Answer(answers.SlotReleased()), NOW)

        assert released.slot == Slot(state=SlotState.NOT_NEEDED)

    def test_a_release_that_fails_three_times_is_left_with_a_note(self) -> None:
        ended = outcome.timed_out(bounded(tracking_job(), Slot(state=SlotState.HELD)), NOW)
        call = release_of(ended.restore_id)

        for _ in range(2):
            ended = absorb(ended, call, BROKEN, NOW)
            assert ended.slot.state is SlotState.HELD
        ended = absorb(ended, call, BROKEN, NOW)

        assert ended.slot == Slot(state=SlotState.NOT_NEEDED)
        assert ended.outcome is not None
        assert [(note.code, note.message) for note in ended.outcome.notes] == [("SlotNotReleased", "the state is away")]
