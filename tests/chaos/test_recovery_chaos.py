"""Short runs of the recoveries that ``make chaos`` makes many, and that each of their checks can fail."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from domain.answers import Answer
from domain.recovery import groups, members, prediction
from domain.recovery.parts import MemberStatus
from domain.recovery.schedule import Caps
from domain.restore.answers import Done
from tests.chaos.plans import a_calm_plan
from tests.chaos.recovery_checks import StartsOfRecovery, recovery_violations, starts_of
from tests.chaos.recovery_plans import DrawnRecovery, draw_recoveries
from tests.chaos.recovery_stage import MemberStart, RecoveryStage
from tests.chaos.run import main, run_recoveries
from tests.support.azure import a_request, vm_id
from tests.support.hub import START

if TYPE_CHECKING:
    from collections.abc import Generator

    from durabletask import task

    from domain.errors import Json

GROUPS = {"first": [0, 1], "second": [2]}
FINISHED: Json = {"phase": "Finished", "status": "Completed"}
RUNNING: Json = {"phase": "TrackingJob", "status": "Running"}


def a_calm_recovery(number: int = 0, **members: Any) -> DrawnRecovery:
    template = {name: value for name, value in a_request().items() if name != "sourceResourceId"}
    named = [{"name": name, "sourceResourceIds": [vm_id(vm) for vm in vms]} for name, vms in GROUPS.items()]
    calm = DrawnRecovery(
        number=number,
        random=Random(number),
        plan=replace(a_calm_plan(0, 0), own_id=f"00000000-0000-0000-0000-00000000000{number}"),
        groups=GROUPS,
        body={"name": "calm", "restore": template, "groups": named},
        max_running=None,
        max_per_vault=50,
        starts_s=0,
        gives_up=True,
    )
    return replace(calm, **members)


@pytest.fixture(autouse=True)
def nothing_fails(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let nothing go wrong but what a test wants to."""
    if request.cls is not None:
        monkeypatch.setattr("tests.chaos.recovery_stage._AWAY_CHANCE", 0.0)
        monkeypatch.setattr(DrawnRecovery, "attempt", _calm_attempt)


def _calm_attempt(drawn: DrawnRecovery, _seed: int, index: int, attempt: int, restore_id: str) -> object:
    vm = [vm for vms in drawn.groups.values() for vm in vms][index]
    return replace(a_calm_plan(index * 100 + attempt, vm), own_id=restore_id)


def found(*drawn: DrawnRecovery) -> dict[str, str]:
    stage = RecoveryStage(0, drawn or [a_calm_recovery()])
    stage.run()
    return {each.check: each.what for each in recovery_violations(stage)}


def test_two_recoveries_end_as_they_must() -> None:
    report = run_recoveries(1, 2, members=5)

    assert report.found == []
    assert report.recoveries is not None
    assert report.recoveries.total() == 2
    assert len(report.drawn) >= 10


def test_recoveries_of_a_run_share_vms_and_have_groups_in_every_form() -> None:
    drawn = draw_recoveries(1, 20)

    bodies = [group for each in drawn for group in each.body["groups"]]
    vms = [vm for each in drawn for group in each.groups.values() for vm in group]
    assert len(vms) > len(set(vms))
    assert all(any(name in group for group in bodies) for name in ("after", "optional", "gate"))
    assert {each.max_running for each in drawn} > {None}


def test_the_summary_has_the_recoveries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7", "--restores", "0", "--recoveries", "1", "--members", "2"]) == 0

    told = capsys.readouterr().out
    assert "seed 7: 1 recoveries, " in told
    assert "0 out of order, 0 over the cap" in told


class TestEachCheckCanFail:
    def test_nothing_is_found_where_nothing_is_wrong(self) -> None:
        assert found() == {}

    def test_out_of_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(groups, "passed_groups", lambda statuses, _after: set(range(len(statuses))))

        assert set(found()) == {"out of order"}

    def test_over_the_cap(self) -> None:
        assert set(found(a_calm_recovery(max_running=1))) == {"over the cap"}

    def test_over_the_cap_of_a_vault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(prediction, "Caps", lambda **caps: Caps(**{**caps, "per_vault": None}))

        assert set(found(a_calm_recovery(max_per_vault=1))) == {"over the cap"}

    def test_member_lost(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wrong = {**members.MEMBER_STATUS_OF, **dict.fromkeys(members.MEMBER_STATUS_OF, MemberStatus.FAILED)}
        monkeypatch.setattr(members, "MEMBER_STATUS_OF", wrong)

        assert "member lost" in found()

    def test_recovery_stuck(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.chaos.recovery_stage.run_recovery", _wait_for_ever)
        monkeypatch.setattr(RecoveryStage, "_look_later", lambda *_: None)

        assert set(found()) == {"recovery stuck"}

    def test_untold(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(RecoveryStage, "_publish_changes", lambda *_: Answer(Done()))

        assert set(found()) == {"untold"}

    @pytest.mark.parametrize(
        ("attempt", "earlier"), [(2, RUNNING), (2, FINISHED), (1, {**FINISHED, "status": "Failed"})]
    )
    def test_member_doubled(self, attempt: int, earlier: Json) -> None:
        start = a_start(attempt=attempt, others={0: [earlier]})

        assert {check for check, _ in a_check().start(start)} == {"member doubled"}

    @pytest.mark.parametrize("name", ["paused", "cancellation"])
    def test_not_held(self, name: str) -> None:
        start = a_start(shown={**SHOWN, name: {"time": "2026-11-23T07:00:00Z"}})

        assert {check for check, _ in a_check().start(start)} == {"not held"}


SHOWN: Json = {"groups": "RP", "approvals": {}}


def a_start(**members: Any) -> MemberStart:
    usual: Json = {"at": START, "index": 0, "attempt": 1, "restore_id": "r", "shown": SHOWN, "others": {}}
    return MemberStart(**{**usual, **members})


def a_check() -> StartsOfRecovery:
    """Return the checks of a recovery whose members are chosen."""
    stage = RecoveryStage(0, [a_calm_recovery()])
    stage.run()
    [outcome] = stage.recoveries.values()
    checks = starts_of(stage, outcome)
    assert checks is not None
    return checks


def _wait_for_ever(ctx: task.OrchestrationContext, _data: Json) -> Generator[task.Task[Any], Any]:
    yield ctx.wait_for_external_event("never")
