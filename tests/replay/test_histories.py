"""Today's orchestrator takes every turn that recorded histories took: a deployment breaks no running restore."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from durabletask.task import NonDeterminismError

from domain.follow_up import attachment_calls, creation_calls, patience, swap
from domain.follow_up import calls as follow_up_calls
from domain.recovery import members
from domain.restore import backoff, calls, machine, report, track
from domain.restore.state import Restore
from domain.watch import calls as watch_calls
from domain.watch import machine as watch_machine
from orchestrations import names, post_claim, record, restore_vm, run_recovery, watch_vault
from orchestrations.custom_status import newest_in_history
from tests.replay.scenes import HISTORIES, RECORDINGS
from tests.support.replay import replay, responses

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.replay import Recorded

RECORDED = sorted(HISTORIES.glob("*.json"))
ORCHESTRATORS = {
    names.RESTORE_VM: restore_vm.restore_vm,
    names.HOLD_POST_CLAIM: post_claim.hold_post_claim,
    names.WATCH_VAULT: watch_vault.watch_vault,
    names.HOLD_RECORD: record.hold_record,
    names.RUN_RECOVERY: run_recovery.run_recovery,
}


def read(path: Path) -> Recorded:
    return json.loads(path.read_text(encoding="utf-8"))


def goes_the_way_it_went(recorded: Recorded) -> bool:
    name = recorded["orchestrator"]
    try:
        replay(ORCHESTRATORS[name], name, recorded, inputs=True)
    except NonDeterminismError:
        return False
    return True


def count_calls(recorded: Recorded, activity: str) -> int:
    """Return how often a history calls an activity."""
    return sum(event.get("taskScheduled", {}).get("name") == activity for event in recorded["events"])


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_goes_the_way_it_went(path: Path) -> None:
    recorded = read(path)
    name = recorded["orchestrator"]

    replay(ORCHESTRATORS[name], name, recorded, inputs=True)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_what_a_process_has_replayed_before_changes_no_status(path: Path) -> None:
    recorded = read(path)
    orchestrator = ORCHESTRATORS[recorded["orchestrator"]]

    def statuses(before_turn: Callable[[], None]) -> list[str]:
        newest_in_history.cache_clear()
        taken: list[str] = []
        for _, response in responses(orchestrator, recorded):
            taken.append(response.customStatus.value)
            before_turn()
        return taken

    assert statuses(lambda: None) == statuses(newest_in_history.cache_clear)


def test_every_scene_has_its_history() -> None:
    assert set(RECORDINGS) <= {path.stem for path in RECORDED}


def test_every_orchestrator_has_one() -> None:
    assert {read(path)["orchestrator"] for path in RECORDED} == set(ORCHESTRATORS)


def test_every_activity_is_called_in_some_history() -> None:
    recorded = [read(path) for path in RECORDED]
    known = (calls, follow_up_calls, creation_calls, attachment_calls, watch_calls)
    modules = {module.__name__ for module in known}  # others may be loaded by other tests
    activities = {kind.name for kind in calls.ActivityCall.__subclasses__() if kind.__module__ in modules}

    assert {each for each in activities if not any(count_calls(one, each) for one in recorded)} == set()


class TestABreakIsSeen:
    """In every history that it concerns, so that no scene is there for nothing."""

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (calls.PrepareRestore, calls.GetValidation),
            (calls.GetOperation, calls.GetJob),
            (calls.PublishResult, calls.PostResult),
            (follow_up_calls.DeallocateVirtualMachine, follow_up_calls.StartVirtualMachine),
            (follow_up_calls.GetDisks, follow_up_calls.TagDisk),
            (creation_calls.PutVirtualMachine, attachment_calls.AttachDisks),
            (creation_calls.GetDeployment, creation_calls.GetNetworkInterface),
            (creation_calls.DeployTemplate, attachment_calls.AttachDisks),
            (attachment_calls.DeleteDisk, creation_calls.PutNetworkInterface),
        ],
    )
    def test_two_activities_swapped(
        self, monkeypatch: pytest.MonkeyPatch, first: type[calls.ActivityCall], second: type[calls.ActivityCall]
    ) -> None:
        names_of = first.name, second.name
        concerned = [path for path in RECORDED if any(count_calls(read(path), name) for name in names_of)]
        monkeypatch.setattr(first, "name", names_of[1])
        monkeypatch.setattr(second, "name", names_of[0])

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_timer_moved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        polled = [path for path in RECORDED if count_calls(read(path), calls.GetJob.name) > 1]
        concerned = [path for path in polled if not count_calls(read(path), calls.JoinWatch.name)]
        _later(monkeypatch, track, "job_interval_s", 1.0)

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_list_that_comes_sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _later(monkeypatch, watch_machine, "_interval_s", -1.0)

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0005_watching"]

    def test_news_that_are_not_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch_machine, "_MAX_TOLD", 0)

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0005_watching"]

    def test_a_vm_that_is_read_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        changes = [follow_up_calls.UpdateDisks.name, follow_up_calls.StartVirtualMachine.name]
        concerned = [path for path in RECORDED if any(count_calls(read(path), name) for name in changes)]
        monkeypatch.setattr(swap, "_FIRST_LOOK_S", 4.0)

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_new_vm_that_is_read_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made = [creation_calls.PutVirtualMachine.name, creation_calls.DeployTemplate.name]
        changes = [*made, attachment_calls.AttachDisks.name]
        concerned = [path for path in RECORDED if any(count_calls(read(path), name) for name in changes)]
        monkeypatch.setattr(patience, "_FIRST_LOOK_S", 8.0)

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_wait_before_a_swap_that_is_not_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "_PRIORITY_DECISIONS", machine._PRIORITY_DECISIONS[:-1])

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0010_member_waits"]

    def test_a_wait_before_a_swap_that_is_not_heard(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(members, "wait_heard", lambda recovery, _news: recovery)

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0010_recovery_is_told"]

    def test_a_first_decision_that_is_not_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = Restore.with_swap_approval_asked
        monkeypatch.setattr(Restore, "with_swap_approval_asked", lambda self: replace(asked(self), first_approval=None))

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0010_asked_twice"]

    def test_a_claim_that_ends_sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(post_claim, "CLAIMED_FOR", post_claim.CLAIMED_FOR / 2)

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0003_claimed_post"]

    def test_a_wait_that_azure_asked_for_moved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        concerned = [path for path in RECORDED if count_calls(read(path), calls.GetOperation.name)]
        _later(monkeypatch, backoff, "_whole_seconds", timedelta(seconds=-1))

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_lock_that_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls.ReleaseLock, "operation", "keep")

        assert not all(goes_the_way_it_went(read(path)) for path in RECORDED)

    def test_a_slot_that_is_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(report, "_next_release", lambda _restore: None)

        assert not all(goes_the_way_it_went(read(path)) for path in RECORDED)


def _later(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, by: Any) -> None:
    real: Callable[..., Any] = getattr(module, name)

    def moved(*args: Any, **options: Any) -> Any:
        return real(*args, **options) + by

    monkeypatch.setattr(module, name, moved)
