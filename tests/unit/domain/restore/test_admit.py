from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.answers import Answer
from domain.azure.jobs import JobStatus
from domain.errors import TerminalError
from domain.restore import answers, calls
from domain.restore.backoff import Backoff
from domain.restore.calls import entity_key
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT, absorb, decide
from domain.restore.parts import Admission, LockState, Status
from domain.restore.steps import MakeCall, Wait
from tests.support.azure import (
    VM_ID,
    a_restore,
    an_alert_start,
    vm_id,
)
from tests.unit.domain.restore.states import CREATED, NOW, admitted, preparing

if TYPE_CHECKING:
    from domain.errors import Json
    from domain.restore.state import Restore
    from tests.support.player import Player


BY_HAND: Json = {"key": "second", "sourceResourceId": VM_ID.upper().replace("/SUBSCRIPTIONS", "/subscriptions")}


def by_alert(player: Player, key: str, **rule: Any) -> str:
    """Start a restore as an alert does; returns its id."""
    vm = rule.pop("vm", VM_ID)
    approval = rule.pop("approval", None)
    alert = an_alert_start(alert_id=key, **rule)
    now = player.clock.now()
    restore = a_restore(key=key, started_by="alert", alert=alert, created=now, sourceResourceId=vm, approval=approval)
    return player.start(restore)


class TestOneAtATime:
    def test_a_second_restore_of_the_vm_is_refused_while_the_first_runs(self, player: Player) -> None:
        first = player.start(a_restore())
        player.reach(first, "Running")

        refused = player.run(a_restore(**BY_HAND))

        assert refused["status"] == "Failed"
        assert refused["error"]["code"] == "RequestConflict"
        assert first in refused["error"]["message"]
        assert player.azure.calls["list_recovery_points"] == 1
        assert player.finish(first)["status"] == "Completed"
        assert len(player.azure.bodies) == 1

    def test_another_vm_is_free(self, player: Player) -> None:
        first = player.start(a_restore())
        player.reach(first, "Running")

        assert player.run(a_restore(key="other", sourceResourceId=vm_id(1)))["status"] == "Completed"

    def test_one_named_by_its_item_alone_is_locked_as_soon_as_its_vm_is_known(self, player: Player) -> None:
        first = player.start(a_restore())
        player.reach(first, "Running")
        item = {"vaultId": player.azure.status["vaultId"], "containerName": "c", "protectedItemName": "i"}

        refused = player.run(a_restore(key="second", sourceResourceId=None, **item))

        assert refused["error"]["code"] == "RequestConflict"

    def test_a_plan_neither_takes_nor_minds_the_lock(self, player: Player) -> None:
        first = player.start(a_restore())
        player.reach(first, "Running")
        holder = player.lock()

        assert player.run(a_restore(key="plan", dryRun=True))["status"] == "Planned"
        assert player.lock() == holder

    def test_a_refused_start_goes_to_the_results_queue_only_where_a_message_asked_for_it(self, player: Player) -> None:
        player.reach(player.start(a_restore()), "Running")

        player.run(a_restore(**BY_HAND))
        assert player.receivers.published == []
        refused = player.run(a_restore(key="third", started_by="queue"))
        assert player.receivers.published == [refused]


class TestReleased:
    """The VM's next restore can start the moment that the last one is seen to have ended."""

    def check(self, player: Player, first: str) -> None:
        player.run_until(lambda: player.play(first).is_over or player.document(first).get("phase") == "Finished")
        again = player.run(a_restore(key="again", created=player.clock.now()))
        assert again["status"] == "Completed", again["error"]
        assert player.lock().get("holder") is None

    def test_after_success(self, player: Player) -> None:
        self.check(player, player.start(a_restore()))

    def test_after_a_failed_job(self, player: Player) -> None:
        player.azure.job_end = JobStatus.FAILED
        first = player.start(a_restore())
        player.reach(first, "Failed")
        player.azure.job_end = JobStatus.COMPLETED
        self.check(player, first)

    def test_after_a_refusal_of_azure(self, player: Player) -> None:
        player.azure.fails["get_backup_status"] = [TerminalError("AuthorizationFailed", "no")]
        self.check(player, player.start(a_restore()))

    def test_after_a_cancel(self, player: Player) -> None:
        first = player.start(a_restore())
        player.run_until(lambda: player.document(first).get("phase") == "TrackingJob")
        player.say(CANCEL_EVENT, {}, first)
        assert player.reach(first, "Cancelled")
        self.check(player, first)

    def test_after_the_deadline(self, player: Player) -> None:
        player.azure.job_takes = timedelta(days=3)
        first = player.start(a_restore())
        player.reach(first, "TimedOut")
        player.azure.job_takes = timedelta(minutes=1)
        self.check(player, first)

    @pytest.mark.parametrize("decision", ["Rejected", None])
    def test_after_a_person_said_no_or_nothing(self, player: Player, decision: str | None) -> None:
        first = player.start(a_restore(approval={"required": True}))
        player.reach(first, "AwaitingApproval")
        if decision:
            player.say(DECISION_EVENT, {"decision": decision}, first)
        player.reach(first, "Rejected")
        self.check(player, first)


class TestCoolDown:
    def test_an_alert_soon_after_a_restore_starts_nothing(self, player: Player) -> None:
        first = player.run(a_restore())

        refused = player.finish(by_alert(player, "a2"))

        assert (refused["status"], refused["error"]["code"]) == ("Rejected", "CoolingDown")
        assert first["id"] in refused["error"]["message"]
        assert len(player.azure.bodies) == 1

    def test_it_ends(self, player: Player) -> None:
        player.run(a_restore())
        player.run_until(timedelta(minutes=59))
        assert player.finish(by_alert(player, "a2"))["error"]["code"] == "CoolingDown"
        player.run_until(timedelta(minutes=2))
        assert player.finish(by_alert(player, "a3"))["status"] == "Completed"

    def test_a_person_is_not_bound_by_it(self, player: Player) -> None:
        player.run(a_restore())

        assert player.run(a_restore(key="again"))["status"] == "Completed"

    def test_a_second_alert_while_the_first_ones_restore_runs_is_about_the_same_incident(self, player: Player) -> None:
        first = by_alert(player, "a1")
        player.reach(first, "Running")

        assert player.finish(by_alert(player, "a2"))["error"]["code"] == "CoolingDown"
        assert player.finish(first)["status"] == "Completed"

    def test_an_alert_while_a_persons_restore_runs_is_a_conflict(self, player: Player) -> None:
        player.reach(player.start(a_restore()), "Running")

        assert player.finish(by_alert(player, "a1"))["error"]["code"] == "RequestConflict"

    def test_a_person_while_an_alerts_restore_runs_is_a_conflict(self, player: Player) -> None:
        player.reach(by_alert(player, "a1"), "Running")

        assert player.run(a_restore())["error"]["code"] == "RequestConflict"

    def test_it_counts_from_the_real_end_of_one_that_was_terminated(self, player: Player) -> None:
        first = player.start(a_restore())
        player.reach(first, "Running")
        player.terminate(first)
        player.run_until(timedelta(days=3))

        assert player.finish(by_alert(player, "a1"))["status"] == "Completed"

    def test_and_soon_after_that_it_holds(self, player: Player) -> None:
        first = player.start(a_restore())
        player.reach(first, "Running")
        player.terminate(first)
        player.run_until(timedelta(minutes=5))

        assert player.finish(by_alert(player, "a1"))["error"]["code"] == "CoolingDown"


class TestBudget:
    def test_no_more_restores_in_an_hour_than_the_rule_allows(self, player: Player) -> None:
        player.azure.job_takes = timedelta(minutes=1)
        codes = [
            (player.finish(by_alert(player, f"a{n}", vm=vm_id(n), max_per_hour=2))["error"] or {}).get("code")
            for n in range(4)
        ]

        assert codes == [None, None, "HourlyBudgetSpent", "HourlyBudgetSpent"]
        assert len(player.azure.bodies) == 2

    def test_it_fills_again_hour_by_hour(self, player: Player) -> None:
        player.azure.job_takes = timedelta(minutes=1)
        assert player.finish(by_alert(player, "a1", vm=vm_id(1), max_per_hour=1))["status"] == "Completed"
        player.run_until(timedelta(hours=1))
        assert player.finish(by_alert(player, "a2", vm=vm_id(2), max_per_hour=1))["status"] == "Completed"

    def test_each_rule_has_its_own(self, player: Player) -> None:
        assert player.finish(by_alert(player, "a1", vm=vm_id(1), max_per_hour=1))["status"] == "Completed"
        other = by_alert(player, "a2", vm=vm_id(2), max_per_hour=1, rule="databases")
        assert player.finish(other)["status"] == "Completed"

    def test_a_vm_that_was_refused_for_it_is_not_cooling_down(self, player: Player) -> None:
        player.finish(by_alert(player, "a1", vm=vm_id(1), max_per_hour=1))
        player.finish(by_alert(player, "a2", max_per_hour=1))

        assert player.lock().keys().isdisjoint({"holder", "last"})


class TestStorm:
    def test_beyond_so_many_vms_a_person_is_asked(self, player: Player) -> None:
        ids = [by_alert(player, f"a{n}", vm=vm_id(n), storm_vms=3) for n in range(5)]
        for restore_id in ids[:3]:
            assert player.reach(restore_id, "Completed")
        for restore_id in ids[3:]:
            waiting = player.reach(restore_id, "AwaitingApproval")
            assert "outage" in waiting["approval"]["reason"]
        assert len(player.azure.bodies) == 3

        player.say(DECISION_EVENT, {"decision": "Approved", "by": "ada"}, ids[3])
        assert player.finish(ids[3])["status"] == "Completed"
        assert player.finish(ids[4])["error"]["code"] == "ApprovalTimedOut"

    def test_the_same_vm_again_and_again_is_no_storm(self, player: Player) -> None:
        player.azure.job_takes = timedelta(seconds=10)
        for n in range(6):
            done = player.finish(by_alert(player, f"a{n}", storm_vms=3, cool_down=timedelta(0)))
            assert done["status"] == "Completed"

    def test_it_blows_over(self, player: Player) -> None:
        for n in range(4):
            by_alert(player, f"a{n}", vm=vm_id(n), storm_vms=3)
        player.run_until(timedelta(minutes=11))
        late = by_alert(player, "late", vm=vm_id(9), storm_vms=3)

        assert player.finish(late)["status"] == "Completed"


def test_a_refusal_that_came_after_the_answer_goes_to_the_results_queue(player: Player) -> None:
    player.reach(player.start(a_restore()), "Running")
    item = {"vaultId": player.azure.status["vaultId"], "containerName": "c", "protectedItemName": "i"}

    refused = player.run(a_restore(key="second", sourceResourceId=None, **item))

    assert [warning["code"] for warning in refused["warnings"]] == ["RefusedLate"]
    assert player.receivers.published == [refused]
    assert refused["refused"] == "Later"


HOLDER = answers.LockHolder(restore_id="other", created=CREATED, source="http", since=CREATED)
BUSY = answers.Refusal(code="RequestConflict", message="Another restore runs.", holder=HOLDER)
COOLING = answers.Refusal(code="CoolingDown", message="It cools down.")
ACQUIRE = calls.AcquireLock(key=entity_key(VM_ID), vm=VM_ID, source="http")


def alerted(**rule: Any) -> Restore:
    return a_restore(started_by="alert", alert=an_alert_start(**rule))


def call_of(restore: Restore) -> calls.Call:
    step = decide(restore, NOW)
    assert isinstance(step, MakeCall)
    assert step.beside == () or isinstance(step.call, calls.AcquireLock)  # only that one is slow enough
    return step.call


def status_of(restore: Restore) -> Status | None:
    return None if restore.outcome is None else restore.outcome.status


class TestSteps:
    def test_the_item_is_resolved_beside_the_request_for_the_lock(self) -> None:
        resolving = calls.ResolveItem(source_resource_id=VM_ID)

        assert decide(a_restore(), NOW) == MakeCall(call=ACQUIRE, beside=(resolving,))

    def test_what_must_wait_is_not_called_beside_it(self) -> None:
        restore = replace(a_restore(), backoff=Backoff().hold("resolve_item", 60, NOW))

        assert decide(restore, NOW) == MakeCall(call=ACQUIRE)

    def test_a_request_for_the_lock_that_failed_is_made_again_after_a_pause(self) -> None:
        restore = replace(a_restore(), backoff=Backoff().retry("acquire_lock", NOW))

        assert decide(restore, NOW) == Wait(until=NOW + timedelta(seconds=5))

    def test_an_item_that_is_known_is_not_resolved_again(self) -> None:
        restore = replace(preparing(), admission=Admission(lock=LockState.WANTED))

        assert decide(restore, NOW) == MakeCall(call=ACQUIRE)

    def test_an_alert_is_noted_beside_it_too_and_bound_by_the_cool_down(self) -> None:
        restore = alerted()

        step = decide(restore, NOW)

        assert isinstance(step, MakeCall)
        assert step.call == replace(ACQUIRE, source="alert", cool_down=timedelta(hours=1))
        note = calls.NoteAlert(key=entity_key("all alerts"), vm=VM_ID, distinct_vms=10, within=timedelta(minutes=10))
        assert step.beside == (note, calls.ResolveItem(source_resource_id=VM_ID))

    def test_a_lock_is_all_that_a_person_needs(self) -> None:
        restore = absorb(a_restore(), ACQUIRE, Answer(answers.Grant()), NOW)

        assert restore.admission == Admission(lock=LockState.HELD, admitted=True)
        assert call_of(restore).name == "resolve_item"

    def test_an_alert_needs_lock_storm_and_budget_in_this_order(self) -> None:
        restore = absorb(alerted(max_per_hour=3), ACQUIRE, Answer(answers.Grant()), NOW)
        assert restore.admission == Admission(lock=LockState.HELD)

        note = call_of(restore)
        assert isinstance(note, calls.NoteAlert)
        restore = absorb(restore, note, Answer(answers.Storm(is_storm=False, vms=1)), NOW)
        assert not restore.admission.admitted
        budget = calls.TakeBudget(key=entity_key("web tier"), rule="web tier", max_per_hour=3)
        assert call_of(restore) == budget
        restore = absorb(restore, budget, Answer(answers.Grant()), NOW)
        assert restore.admission == Admission(lock=LockState.HELD, storm_noted=True, has_budget=True, admitted=True)
        assert restore.approval is None

    def test_a_rule_without_a_budget_takes_none(self) -> None:
        restore = absorb(alerted(), ACQUIRE, Answer(answers.Grant()), NOW)

        restore = absorb(restore, call_of(restore), Answer(answers.Storm(is_storm=False, vms=1)), NOW)

        assert restore.admission == Admission(lock=LockState.HELD, storm_noted=True, admitted=True)

    def test_a_storm_asks_for_a_person_and_says_why(self) -> None:
        restore = absorb(alerted(), ACQUIRE, Answer(answers.Grant()), NOW)

        restore = absorb(restore, call_of(restore), Answer(answers.Storm(is_storm=True, vms=11)), NOW)

        assert restore.approval is not None
        assert restore.approval.reason == (
            "Alerts want more than 10 VMs restored within PT10M: this may be an outage of Azure."
        )
        assert restore.admission.admitted

    def test_a_budget_that_is_spent_refuses_the_start(self) -> None:
        spent = answers.Refusal(code="HourlyBudgetSpent", message="Spent.")
        budget = calls.TakeBudget(key=entity_key("web tier"), rule="web tier", max_per_hour=3)

        restore = absorb(alerted(max_per_hour=3), budget, Answer(answers.Grant(refusal=spent)), NOW)

        assert status_of(restore) is Status.REJECTED

    def test_a_cool_down_refuses_the_start_at_once(self) -> None:
        restore = absorb(alerted(), ACQUIRE, Answer(answers.Grant(refusal=COOLING)), NOW)

        assert status_of(restore) is Status.REJECTED

    def test_nothing_is_asked_once_it_is_admitted(self) -> None:
        assert call_of(admitted()).name == "resolve_item"


class TestHolder:
    """A lock that another restore holds: that one may have vanished."""

    def refused(self) -> Restore:
        restore = absorb(a_restore(), ACQUIRE, Answer(answers.Grant(refusal=BUSY)), NOW)
        assert call_of(restore) == calls.FindRunning(restore_id="other")
        return restore

    def test_one_that_runs_refuses_the_start(self) -> None:
        running = Answer(answers.Running(is_running=True))

        restore = absorb(self.refused(), calls.FindRunning(restore_id="other"), running, NOW)

        assert status_of(restore) is Status.FAILED

    @pytest.mark.parametrize(("ended", "released_at"), [(NOW, NOW), (None, CREATED)])
    def test_the_lock_of_one_that_vanished_is_released_in_its_name(
        self, ended: datetime | None, released_at: datetime
    ) -> None:
        gone = Answer(answers.Running(is_running=False, ended=ended))

        restore = absorb(self.refused(), calls.FindRunning(restore_id="other"), gone, NOW)

        release = calls.ReleaseVanishedLock(key=entity_key(VM_ID), holder=HOLDER, ended=released_at)
        assert call_of(restore) == release
        restore = absorb(restore, release, Answer(answers.Done()), NOW)
        assert restore.admission == Admission(lock=LockState.WANTED, rechecked=True)
        assert call_of(restore) == ACQUIRE

    def test_it_is_asked_after_once(self) -> None:
        restore = replace(a_restore(), admission=Admission(lock=LockState.WANTED, rechecked=True))

        assert status_of(absorb(restore, ACQUIRE, Answer(answers.Grant(refusal=BUSY)), NOW)) is Status.FAILED

    def test_a_lock_that_is_free_then_is_held(self) -> None:
        restore = replace(a_restore(), admission=Admission(lock=LockState.WANTED, rechecked=True))

        admission = absorb(restore, ACQUIRE, Answer(answers.Grant()), NOW).admission

        assert admission == Admission(lock=LockState.HELD, rechecked=True, admitted=True)

    def test_an_answer_about_a_holder_that_nobody_asked_for_changes_nothing(self) -> None:
        running = Answer(answers.Running(is_running=True))

        assert status_of(absorb(admitted(), calls.FindRunning(restore_id="x"), running, NOW)) is None
