"""Short runs of the chaos that ``make chaos`` makes long, and that each of its checks can fail."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import arm.backup
import arm.reading
import arm.session
from activities import new_machines
from activities.new_machines import NewMachineActivities
from activities.virtual_machines import VirtualMachineActivities
from arm.backup import BackupClient
from domain.answers import Answer
from domain.errors import TerminalError
from domain.follow_up import attachment_report, creation, swap, swap_report
from domain.follow_up.attachment import Attachment
from domain.follow_up.creation import Creation
from domain.follow_up.swap import Swap
from domain.restore import outcome, report
from domain.restore.answers import Done, Grant, Published, SlotGrant
from domain.restore.calls import AcquireLock, AcquireSlot, EntityCall
from domain.restore.parts import LockState, Status
from orchestrations import entities
from tests.chaos.checks import Violation, violations
from tests.chaos.made_checks import use_state
from tests.chaos.made_plans import ATTACHED, CREATED, NAME_TAKEN, job_switches, network, rescue_vm, target_group
from tests.chaos.plans import ALL_FAULTS, Plan, a_calm_plan, draw_plans
from tests.chaos.run import main, run
from tests.chaos.service import Service
from tests.chaos.stage import Stage
from tests.chaos.swap_checks import swap_state
from tests.chaos.swap_plans import UNDONE, data_luns, is_off, with_compute_switches
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from durabletask import task

    from domain.azure.virtual_machines import AttachedDisk
    from domain.errors import Json
    from domain.follow_up.calls import TagDisk
    from domain.restore.parts import Outcome
    from domain.restore.state import Restore
    from domain.restore.steps import Step

OPEN = frozenset({"trigger_500_after"})
FAILED_JOB: Json = {"jobFailed": {"afterSeconds": 100}}
VM_WITH_DATA = next(vm for vm in range(100) if data_luns(vm) == (0, 1) and not is_off(vm))


def a_plan(number: int = 0, vm: int = 0, **members: Any) -> Plan:
    plan = a_calm_plan(number, vm)
    return replace(plan, **members)


def a_swap(*compute_faults: str, **members: Any) -> Plan:
    """Return a restore that swaps its disks into a running VM with two data disks, and how Compute answers."""
    switches = with_compute_switches({}, compute_faults)
    return a_plan(0, VM_WITH_DATA, members={"thenSwapDisks": {}}, switches=switches, **members)


def a_creation(*faults: str, **members: Any) -> Plan:
    """Return a restore that makes a VM of its disks, and how Azure answers."""
    wish = {"name": "new-0", "subnetId": f"{network(0)}/subnets/default", **members}
    return a_use({CREATED: wish}, faults)


def an_attachment(*faults: str) -> Plan:
    """Return a restore that attaches its data disks to another VM and deletes the others, and how Azure answers."""
    return a_use({ATTACHED: {"virtualMachineId": rescue_vm(0), "deleteOthers": True}}, faults)


def a_use(members: Json, faults: tuple[str, ...]) -> Plan:
    return a_plan(
        0,
        VM_WITH_DATA,
        members={**members, "targetResourceGroupId": target_group(0)},
        switches=job_switches(faults),
        faults=frozenset(faults),
        after_s={NAME_TAKEN: 30.0},
    )


def used(plan: Plan) -> tuple[str | None, list[Violation]]:
    """Return how the use of a restore's disks ended, and what was found."""
    stage = Stage(0, [plan])
    stage.run()
    return use_state(stage.outcomes[plan.restore_id]), violations(stage)


def found(*plans: Plan, **options: Any) -> list[Violation]:
    stage = Stage(0, plans or [a_plan()], **options)
    stage.run()
    return violations(stage)


def checks(*plans: Plan, **options: Any) -> set[str]:
    return {each.check for each in found(*plans, **options)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_forty_restores_end_as_they_must(seed: int) -> None:
    report = run(seed, 40)

    assert report.found == []
    assert len(report.drawn) >= 15
    assert report.outcomes.total() == 40


def test_a_run_depends_on_its_seed_alone() -> None:
    first, second = run(7, 12), run(7, 12)

    assert (first.outcomes, first.drawn, first.calls) == (second.outcomes, second.drawn, second.calls)


def test_a_restore_meets_the_same_faults_in_a_longer_run() -> None:
    short, long = draw_plans(3, 5), draw_plans(3, 50)

    assert [plan.faults for plan in short] == [plan.faults for plan in long[:5]]


def test_every_fault_is_drawn_by_a_thousand_restores() -> None:
    drawn = {fault for plan in draw_plans(1, 1000) for fault in plan.faults}

    assert drawn == set(ALL_FAULTS) - {"worker_restarted"}  # that one strikes the run as a whole


def test_the_summary_names_the_seed_and_every_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7", "--restores", "3"]) == 0

    told = capsys.readouterr().out
    assert "seed 7: 3 restores" in told
    assert "0 lost, 0 doubled, 0 stuck" in told


class TestEachCheckCanFail:
    def test_nothing_is_found_where_nothing_is_wrong(self) -> None:
        assert found(a_plan(), a_plan(1, faults=OPEN, vm=1), a_plan(2, vm=2, switches=FAILED_JOB)) == []

    def test_doubled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BackupClient, "find_restore_job", _find_nothing)

        assert "doubled" in checks(a_plan(faults=OPEN))

    def test_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(BackupClient, "find_restore_job", _find_nothing)
        monkeypatch.setattr(outcome, "what_may_still_run", lambda _restore: "Nothing was started.")

        assert "lost" in checks(a_plan(faults=OPEN, trigger_strikes=2))

    def test_too_early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arm.session, "read_retry_after", _find_nothing)

        assert checks(a_plan(switches={"throttle429": {"count": 1, "retryAfterSeconds": 900}})) == {"too early"}

    def test_stuck(self) -> None:
        assert "stuck" in checks(orchestrator=_wait_for_ever)

    def test_stuck_in_a_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.chaos.stage._STEPS_PER_RESTORE", 2)

        assert "stuck" in checks()

    def test_ended_after_its_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = a_plan()
        monkeypatch.setattr("tests.chaos.checks._SLACK", -2 * (plan.restore(START).deadline - START))

        assert checks(plan) == {"stuck"}

    def test_a_lock_that_is_not_released(self, monkeypatch: pytest.MonkeyPatch) -> None:
        decide = report.decide

        def keep_the_lock(restore: Restore, ended: Outcome, now: datetime) -> Step:
            admission = replace(restore.admission, lock=LockState.NOT_NEEDED)
            return decide(replace(restore, admission=admission), ended, now)

        monkeypatch.setattr(report, "decide", keep_the_lock)

        assert "not released" in checks()

    def test_a_slot_that_is_not_given_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(report, "_next_release", _find_nothing)
        plan = a_calm_plan(0, 0)

        assert "not released" in checks(replace(plan, limits=replace(plan.limits, max_per_vault=5)))

    def test_disagrees(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def say_completed(restore: Restore, _job: object, now: datetime, _disks: object = None) -> Restore:
            return outcome.ended(restore, Status.COMPLETED, now)

        monkeypatch.setattr(outcome, "ended_by_job", say_completed)

        assert checks(a_plan(switches=FAILED_JOB)) == {"disagrees"}

    def test_invented(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Service, "jobs_of", _no_jobs)

        assert checks() == {"invented"}

    def test_not_published(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Stage, "_publish", _do_not_publish)

        assert checks() == {"published"}

    def test_overlap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _grant_always(monkeypatch, AcquireLock, Grant())

        assert "overlap" in checks(a_plan(0), a_plan(1))

    def test_crowded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _grant_always(monkeypatch, AcquireSlot, SlotGrant())
        limits = replace(a_calm_plan(0, 0).limits, max_per_vault=1)

        assert "crowded" in checks(a_plan(0, limits=limits), a_plan(1, vm=1, limits=limits))

    def test_another_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(arm.reading, "is_usable", _yes)
        monkeypatch.setattr(arm.backup, "is_usable", _yes)

        assert "another host" in checks(a_plan(switches={"wrongHostUrl": True, "slowOperation": {"seconds": 100}}))

    def test_a_token_for_another_audience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tokens = arm.session.Tokens
        monkeypatch.setattr(arm.session, "Tokens", lambda _scope, factory: tokens("https://example.org", factory))

        assert "another host" in checks()


class TestEachCheckOfASwapCanFail:
    @pytest.mark.parametrize(
        ("fault", "state"),
        [
            ("vm_busy", "Swapped"),
            ("deallocation_refused", "AsBefore"),
            ("no_capacity", "Unfinished"),
            ("disk_attached_beside", "Swapped"),
        ],
    )
    def test_nothing_is_found_where_nothing_is_wrong(self, fault: str, state: str) -> None:
        stage = Stage(0, [a_swap(fault, faults=frozenset({UNDONE}), after_s={UNDONE: 60.0})])
        stage.run()

        assert violations(stage) == []
        states = [swap_state(outcome) for outcome in stage.outcomes.values()]
        assert states == [state] if state == "AsBefore" else [state, "undo: Swapped"]

    def test_disk_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def only_restored(vm: Any, changes: Any) -> tuple[AttachedDisk, ...]:
            return (vm.os_disk, *(change.after for change in changes if change.lun is not None))

        monkeypatch.setattr(swap, "arranged", only_restored)

        assert "disk gone" in checks(a_swap("disk_attached_beside", "disks_replaced_at_once"))

    def test_half_swapped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(swap_report, "_state", lambda _swap, *, is_over: "Swapped" if is_over else "Running")

        assert checks(a_swap("deallocation_refused")) >= {"half swapped", "unsaid"}

    def test_unsaid(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(swap_report, "_stuck_error", lambda *_: TerminalError("SwapFailed", "It failed."))

        assert checks(a_swap("no_capacity")) == {"unsaid"}

    def test_a_change_without_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(swap_report, "_state", lambda _swap, *, is_over: f"{is_over}")

        assert checks(a_swap()) == {"unsaid"}

    def test_not_running(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Swap, "must_run", property(lambda _swap: False))

        assert checks(a_swap()) == {"not running"}

    def test_not_running_on_the_way_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Swap, "must_run", property(lambda _swap: False))

        assert checks(a_swap("update_fails_as_before", "disks_replaced_at_once")) == {"not running"}

    def test_untagged(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(VirtualMachineActivities, "tag_disk", lambda _self, _call: Answer(Done()))

        assert checks(a_swap()) == {"untagged"}

    def test_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def delete(self: Any, call: TagDisk) -> Answer[Done]:
            self._api._session.call("DELETE", f"{call.disk_id}?api-version=2024-03-02")
            return Answer(Done())

        monkeypatch.setattr(VirtualMachineActivities, "tag_disk", delete)

        assert checks(a_swap()) == {"deleted"}

    def test_an_undo_with_a_job(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Service, "jobs_of", lambda self, _activity_id: list(self.world.jobs.values())[:1])

        assert checks(a_swap(faults=frozenset({UNDONE}), after_s={UNDONE: 60.0})) == {"doubled"}


class TestEachCheckOfAUseCanFail:
    @pytest.mark.parametrize(
        ("fault", "members", "state"),
        [
            ("made_vm_busy", {}, "Created"),
            ("making_lost", {"template": True}, "Created"),
            ("made_vm_stopped_beside", {"template": True, "start": False}, "Created"),
            ("no_capacity_for_a_new_vm", {"template": True}, "Unfinished"),
            ("new_vm_refused", {}, "Unfinished"),
        ],
    )
    def test_nothing_is_found_where_a_vm_is_made(self, fault: str, members: Json, state: str) -> None:
        assert used(a_creation(fault, **members)) == (state, [])

    @pytest.mark.parametrize(
        ("fault", "state"),
        [("attachment_preempted", "Attached"), ("attachment_refused", "NotAttached"), ("deletion_refused", "Attached")],
    )
    def test_nothing_is_found_where_disks_are_attached(self, fault: str, state: str) -> None:
        assert used(an_attachment(fault)) == (state, [])

    def test_unlisted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(creation, "_with_made", lambda work, *_: work)

        assert checks(a_creation(template=True)) == {"unlisted", "untrue"}

    def test_untrue(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(attachment_report, "_state", lambda _work, *, is_over: "Attached" if is_over else "No")

        assert checks(an_attachment("attachment_refused")) >= {"untrue", "not attached"}

    def test_not_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Creation, "is_there", property(lambda work: work.interface is not None))

        assert checks(a_creation()) == {"not made"}

    def test_a_foreign_deletion(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(new_machines, "_refusal_of_deletion", _find_nothing)

        assert "foreign deletion" in checks(an_attachment("untagged_disks"))

    def test_a_deletion_before_the_others_are_attached(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Attachment, "missing", property(lambda _work: ()))

        assert "foreign deletion" in checks(an_attachment())

    def test_a_foreign_change(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(NewMachineActivities, "_is_made", lambda *_: False)
        plan = a_creation(NAME_TAKEN, template=True)
        plan.random = Random(0)  # its first number is that of an interface

        assert "foreign change" in checks(plan)

    def test_disks_that_are_attached_without_a_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.chaos.made_checks.use_of", lambda _document: {})

        assert "untrue" in checks(an_attachment())


def _find_nothing(*_: object, **__: object) -> None:
    return None


def _no_jobs(*_: object) -> list[object]:
    return []


def _do_not_publish(*_: object) -> Answer[Published]:
    return Answer(Published(has_webhook=False))


def _grant_always(monkeypatch: pytest.MonkeyPatch, call: type[EntityCall], answer: object) -> None:
    """Have an entity grant a request whatever it knows, and note nothing."""
    name = call.entity, call.operation
    blind = replace(entities._OPERATIONS[name], function=lambda state, _call, _asked: (state, answer))
    monkeypatch.setitem(entities._OPERATIONS, name, blind)


def _yes(*_: object) -> bool:
    return True


def _wait_for_ever(ctx: task.OrchestrationContext, _data: Json) -> Generator[task.Task[Any], Any]:
    yield ctx.wait_for_external_event("never")
