"""One restore of a VM at a time, whatever ends it; cool-downs, budgets and storms for what alerts start."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.errors import Json, TerminalError
from domain.jobs import JobStatus
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from tests.support.azure import VM_ID, Lab, a_restore, an_alert_start, vm_id
from tests.support.hub import OrchestrationFailed

if TYPE_CHECKING:
    from collections.abc import Callable

BY_HAND: Json = {"key": "second", "sourceResourceId": VM_ID.upper().replace("/SUBSCRIPTIONS", "/subscriptions")}


def by_alert(lab: Lab, key: str, **rule: Any) -> str:
    """Start a restore as an alert does; returns its id."""
    vm = rule.pop("vm", VM_ID)
    approval = rule.pop("approval", None)
    alert = an_alert_start(alert_id=key, **rule)
    now = lab.azure.clock.now()
    restore = a_restore(key=key, started_by="alert", alert=alert, created=now, sourceResourceId=vm, approval=approval)
    return lab.start(restore)


class TestOneAtATime:
    def test_a_second_restore_of_the_vm_is_refused_while_the_first_runs(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.reach(first, "Running")

        refused = lab.run(a_restore(**BY_HAND))

        assert refused["status"] == "Failed"
        assert refused["error"]["code"] == "RequestConflict"
        assert first in refused["error"]["message"]
        assert lab.azure.calls["list_recovery_points"] == 1
        assert lab.hub.finish(first)["status"] == "Completed"
        assert len(lab.azure.bodies) == 1

    def test_both_at_the_same_moment_one_is_let_in(self) -> None:
        lab = Lab()
        ids = [lab.start(a_restore()), lab.start(a_restore(**BY_HAND))]

        ended = sorted(lab.hub.finish(each)["status"] for each in ids)

        assert ended == ["Completed", "Failed"]
        assert len(lab.azure.bodies) == 1

    def test_another_vm_is_free(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.reach(first, "Running")

        assert lab.run(a_restore(key="other", sourceResourceId=vm_id(1)))["status"] == "Completed"

    def test_one_named_by_its_item_alone_is_guarded_as_soon_as_its_vm_is_known(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.reach(first, "Running")
        item = {"vaultId": lab.azure.status["vaultId"], "containerName": "c", "protectedItemName": "i"}

        refused = lab.run(a_restore(key="second", sourceResourceId=None, **item))

        assert refused["error"]["code"] == "RequestConflict"

    def test_a_plan_neither_takes_nor_minds_the_guard(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.reach(first, "Running")
        holder = lab.lock()

        assert lab.run(a_restore(key="plan", dryRun=True))["status"] == "Planned"
        assert lab.lock() == holder

    def test_a_refused_start_is_told_to_the_results_queue_only_where_a_message_asked_for_it(self) -> None:
        lab = Lab()
        lab.reach(lab.start(a_restore()), "Running")

        lab.run(a_restore(**BY_HAND))
        assert lab.published == []
        refused = lab.run(a_restore(key="third", started_by="queue"))
        assert lab.published == [refused]


class TestReleased:
    """The VM's next restore can start the moment that the last one is seen to have ended."""

    def check(self, lab: Lab, first: str) -> None:
        lab.hub.run_until(lambda: lab.hub.state(first).is_over or lab.document(first).get("phase") == "Finished")
        again = lab.run(a_restore(key="again", created=lab.azure.clock.now()))
        assert again["status"] == "Completed", again["error"]
        lab.settle()
        assert lab.lock().get("holder") is None

    def test_after_success(self) -> None:
        lab = Lab()
        self.check(lab, lab.start(a_restore()))

    def test_after_a_failed_job(self) -> None:
        lab = Lab()
        lab.azure.job_end = JobStatus.FAILED
        first = lab.start(a_restore())
        lab.reach(first, "Failed")
        lab.azure.job_end = JobStatus.COMPLETED
        self.check(lab, first)

    def test_after_a_refusal_of_azure(self) -> None:
        lab = Lab()
        lab.azure.fails["get_backup_status"] = [TerminalError("AuthorizationFailed", "no")]
        self.check(lab, lab.start(a_restore()))

    def test_after_a_cancel(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.hub.run_until(lambda: lab.document(first).get("phase") == "TrackingJob")
        lab.hub.raise_event(first, CANCEL_EVENT, {})
        assert lab.reach(first, "Cancelled")
        self.check(lab, first)

    def test_after_the_deadline(self) -> None:
        lab = Lab()
        lab.azure.job_takes = timedelta(days=3)
        first = lab.start(a_restore())
        lab.reach(first, "TimedOut")
        lab.azure.job_takes = timedelta(minutes=1)
        self.check(lab, first)

    @pytest.mark.parametrize("decision", ["Rejected", None])
    def test_after_a_person_said_no_or_nothing(self, decision: str | None) -> None:
        lab = Lab()
        first = lab.start(a_restore(approval={"required": True}))
        lab.reach(first, "AwaitingApproval")
        if decision:
            lab.hub.raise_event(first, DECISION_EVENT, {"decision": decision})
        lab.reach(first, "Rejected")
        self.check(lab, first)

    @pytest.mark.parametrize("phase", ["Resolving", "TrackingJob"])
    def test_after_somebody_terminated_it(self, phase: str) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.hub.run_until(lambda: lab.document(first).get("phase") == phase and "holder" in lab.lock())
        lab.hub.terminate(first, "enough")
        lab.hub.run_until(lambda: lab.hub.state(first).is_over)
        assert lab.lock()["holder"]["restoreId"] == first
        self.check(lab, first)

    def test_after_the_orchestration_broke(self) -> None:
        lab = Lab()
        lab.azure.retry_after["get_job"] = "soon"  # type: ignore[assignment] - a bug, as far as the orchestrator goes
        first = lab.start(a_restore())
        with pytest.raises(OrchestrationFailed):
            lab.hub.finish(first)
        assert lab.lock()["holder"]["restoreId"] == first
        del lab.azure.retry_after["get_job"]
        self.check(lab, first)


class TestCoolDown:
    def test_an_alert_soon_after_a_restore_starts_nothing(self) -> None:
        lab = Lab()
        first = lab.run(a_restore())

        refused = lab.hub.finish(by_alert(lab, "a2"))

        assert (refused["status"], refused["error"]["code"]) == ("Rejected", "CoolingDown")
        assert first["id"] in refused["error"]["message"]
        assert len(lab.azure.bodies) == 1

    def test_it_ends(self) -> None:
        lab = Lab()
        lab.run(a_restore())
        lab.hub.run_until(timedelta(minutes=59))
        assert lab.hub.finish(by_alert(lab, "a2"))["error"]["code"] == "CoolingDown"
        lab.hub.run_until(timedelta(minutes=2))
        assert lab.hub.finish(by_alert(lab, "a3"))["status"] == "Completed"

    def test_a_person_is_not_bound_by_it(self) -> None:
        lab = Lab()
        lab.run(a_restore())

        assert lab.run(a_restore(key="again"))["status"] == "Completed"

    def test_a_second_alert_while_the_first_ones_restore_runs_is_about_the_same_incident(self) -> None:
        lab = Lab()
        first = by_alert(lab, "a1")
        lab.reach(first, "Running")

        assert lab.hub.finish(by_alert(lab, "a2"))["error"]["code"] == "CoolingDown"
        assert lab.hub.finish(first)["status"] == "Completed"

    def test_an_alert_while_a_persons_restore_runs_is_a_conflict(self) -> None:
        lab = Lab()
        lab.reach(lab.start(a_restore()), "Running")

        assert lab.hub.finish(by_alert(lab, "a1"))["error"]["code"] == "RequestConflict"

    def test_a_person_while_an_alerts_restore_runs_is_a_conflict(self) -> None:
        lab = Lab()
        lab.reach(by_alert(lab, "a1"), "Running")

        assert lab.run(a_restore())["error"]["code"] == "RequestConflict"

    def test_it_counts_from_the_real_end_of_one_that_was_terminated(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.reach(first, "Running")
        lab.hub.terminate(first)
        lab.hub.run_until(timedelta(days=3))

        assert lab.hub.finish(by_alert(lab, "a1"))["status"] == "Completed"

    def test_and_soon_after_that_it_holds(self) -> None:
        lab = Lab()
        first = lab.start(a_restore())
        lab.reach(first, "Running")
        lab.hub.terminate(first)
        lab.hub.run_until(timedelta(minutes=5))

        assert lab.hub.finish(by_alert(lab, "a1"))["error"]["code"] == "CoolingDown"


class TestBudget:
    def test_no_more_restores_in_an_hour_than_the_rule_allows(self) -> None:
        lab = Lab()
        lab.azure.job_takes = timedelta(minutes=1)
        codes = [
            (lab.hub.finish(by_alert(lab, f"a{n}", vm=vm_id(n), max_per_hour=2))["error"] or {}).get("code")
            for n in range(4)
        ]

        assert codes == [None, None, "HourlyBudgetSpent", "HourlyBudgetSpent"]
        assert len(lab.azure.bodies) == 2

    def test_it_fills_again_hour_by_hour(self) -> None:
        lab = Lab()
        lab.azure.job_takes = timedelta(minutes=1)
        assert lab.hub.finish(by_alert(lab, "a1", vm=vm_id(1), max_per_hour=1))["status"] == "Completed"
        lab.hub.run_until(timedelta(hours=1))
        assert lab.hub.finish(by_alert(lab, "a2", vm=vm_id(2), max_per_hour=1))["status"] == "Completed"

    def test_each_rule_has_its_own(self) -> None:
        lab = Lab()
        assert lab.hub.finish(by_alert(lab, "a1", vm=vm_id(1), max_per_hour=1))["status"] == "Completed"
        other = by_alert(lab, "a2", vm=vm_id(2), max_per_hour=1, rule="databases")
        assert lab.hub.finish(other)["status"] == "Completed"

    def test_a_vm_that_was_refused_for_it_is_not_cooling_down(self) -> None:
        lab = Lab()
        lab.hub.finish(by_alert(lab, "a1", vm=vm_id(1), max_per_hour=1))
        lab.hub.finish(by_alert(lab, "a2", max_per_hour=1))

        lab.settle()
        assert lab.lock().keys().isdisjoint({"holder", "last"})


class TestStorm:
    def test_beyond_so_many_vms_a_person_is_asked(self) -> None:
        lab = Lab()
        ids = [by_alert(lab, f"a{n}", vm=vm_id(n), storm_vms=3) for n in range(5)]
        for each in ids[:3]:
            assert lab.reach(each, "Completed")
        for each in ids[3:]:
            waiting = lab.reach(each, "AwaitingApproval")
            assert "outage" in waiting["approval"]["reason"]
        assert len(lab.azure.bodies) == 3

        lab.hub.raise_event(ids[3], DECISION_EVENT, {"decision": "Approved", "by": "ada"})
        assert lab.hub.finish(ids[3])["status"] == "Completed"
        assert lab.hub.finish(ids[4])["error"]["code"] == "ApprovalTimedOut"

    def test_the_same_vm_again_and_again_is_no_storm(self) -> None:
        lab = Lab()
        lab.azure.job_takes = timedelta(seconds=10)
        for n in range(6):
            done = lab.hub.finish(by_alert(lab, f"a{n}", storm_vms=3, cool_down=timedelta(0)))
            assert done["status"] == "Completed"

    def test_it_blows_over(self) -> None:
        lab = Lab()
        for n in range(4):
            by_alert(lab, f"a{n}", vm=vm_id(n), storm_vms=3)
        lab.hub.run_until(timedelta(minutes=11))
        late = by_alert(lab, "late", vm=vm_id(9), storm_vms=3)

        assert lab.hub.finish(late)["status"] == "Completed"


def test_a_restore_that_an_operator_restarts_with_its_old_input_goes_on() -> None:
    lab = Lab()
    lab.azure.fails["get_virtual_machine_region"] = [TerminalError("NotFound", "gone")]
    assert lab.run()["status"] == "Failed"
    lab.settle()

    assert lab.run()["status"] == "Completed"


def test_a_guard_that_breaks_lets_nothing_in(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    entities: dict[str, Callable[..., Any]] = lab.hub._worker._registry.entities

    def broken(_ctx: object, _data: object) -> None:
        raise RuntimeError("the state is away")

    monkeypatch.setitem(entities, "vm_lock", broken)
    done = lab.run()

    assert done["status"] == "Failed"
    assert done["error"]["code"] == "InternalError"
    assert "Nothing was started." in done["error"]["message"]
    assert lab.azure.calls.keys() <= {"get_virtual_machine_region", "get_backup_status"}


def test_one_that_was_never_let_in_leaves_the_vm_free(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    entities: dict[str, Callable[..., Any]] = lab.hub._worker._registry.entities

    def broken(_ctx: object, _data: object) -> None:
        raise RuntimeError("the state is away")

    with monkeypatch.context() as patch:
        patch.setitem(entities, "rule_budget", broken)
        assert lab.hub.finish(by_alert(lab, "a1", max_per_hour=1))["error"]["code"] == "InternalError"

    lab.settle()
    assert lab.lock().get("holder") is None
    assert lab.hub.finish(by_alert(lab, "a2", max_per_hour=1))["status"] == "Completed"


def test_a_refusal_that_nobody_was_told_of_is_a_message() -> None:
    lab = Lab()
    lab.reach(lab.start(a_restore()), "Running")
    item = {"vaultId": lab.azure.status["vaultId"], "containerName": "c", "protectedItemName": "i"}

    refused = lab.run(a_restore(key="second", sourceResourceId=None, **item))

    assert [each["code"] for each in refused["warnings"]] == ["RefusedLate"]
    assert lab.published == [refused]
    assert refused["refused"] == "Later"
