"""Short runs of the chaos that ``make chaos`` makes long, and that each of its checks can fail."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import arm.backup
import arm.reading
import arm.session
from arm.backup import BackupClient
from domain.answers import Answer
from domain.restore import outcome, report
from domain.restore.answers import Grant, Published, SlotGrant
from domain.restore.calls import AcquireLock, AcquireSlot, EntityCall
from domain.restore.parts import LockState, Status
from orchestrations import entities
from tests.chaos.checks import Violation, violations
from tests.chaos.plans import ALL_FAULTS, Plan, a_calm_plan, draw_plans
from tests.chaos.run import main, run
from tests.chaos.service import Service
from tests.chaos.stage import Stage
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from durabletask import task

    from domain.errors import Json
    from domain.restore.parts import Outcome
    from domain.restore.state import Restore
    from domain.restore.steps import Step

OPEN = frozenset({"trigger_500_after"})
FAILED_JOB: Json = {"jobFailed": {"afterSeconds": 100}}


def a_plan(number: int = 0, vm: int = 0, **members: Any) -> Plan:
    plan = a_calm_plan(number, vm)
    return replace(plan, **members)


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
