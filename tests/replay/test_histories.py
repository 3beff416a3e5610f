"""Today's orchestrator takes every turn that recorded histories took: a deployment breaks no running restore."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from durabletask.task import NonDeterminismError

from orchestrations import marking, names, preparing, restore_vm, tracking, triggering
from tests.replay.scenes import HISTORIES, RECORDINGS
from tests.support.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from durabletask import task

    from tests.support.replay import Recorded

RECORDED = sorted(HISTORIES.glob("*.json"))
ORCHESTRATORS = {names.RESTORE_VM: restore_vm.restore_vm, names.MARK_POST: marking.mark_post}


def read(path: Path) -> Recorded:
    return json.loads(path.read_text(encoding="utf-8"))


def goes_the_way_it_went(recorded: Recorded) -> bool:
    name = recorded["orchestrator"]
    try:
        replay(ORCHESTRATORS[name], name, recorded, inputs=True)
    except NonDeterminismError:
        return False
    return True


def calls(recorded: Recorded, activity: str) -> int:
    """Return how often a history calls an activity."""
    return sum(event.get("taskScheduled", {}).get("name") == activity for event in recorded["events"])


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_goes_the_way_it_went(path: Path) -> None:
    recorded = read(path)
    name = recorded["orchestrator"]

    replay(ORCHESTRATORS[name], name, recorded, inputs=True)


def test_every_scene_has_its_history() -> None:
    assert set(RECORDINGS) <= {path.stem for path in RECORDED}


def test_every_orchestrator_has_one() -> None:
    assert {read(path)["orchestrator"] for path in RECORDED} == set(ORCHESTRATORS)


def test_every_activity_is_called_in_some_history() -> None:
    recorded = [read(path) for path in RECORDED]
    activities = {
        value
        for name, value in vars(names).items()
        if name.isupper() and not name.endswith(("_EVENT", "_GUARD", "_BUDGET", "_TURNS"))
    }
    activities -= set(ORCHESTRATORS)

    assert {each for each in activities if not any(calls(one, each) for one in recorded)} == set()


class TestABreakIsSeen:
    """In every history that it concerns, so that no scene is there for nothing."""

    @pytest.mark.parametrize(
        ("module", "first", "second"),
        [
            (preparing, "PREPARE_RESTORE", "GET_VALIDATION"),
            (tracking, "GET_OPERATION", "GET_JOB"),
            (restore_vm, "PUBLISH_RESULT", "POST_RESULT"),
        ],
    )
    def test_two_activities_swapped(
        self, monkeypatch: pytest.MonkeyPatch, module: Any, first: str, second: str
    ) -> None:
        names_of = getattr(module, first), getattr(module, second)
        concerned = [path for path in RECORDED if any(calls(read(path), name) for name in names_of)]
        monkeypatch.setattr(module, first, names_of[1])
        monkeypatch.setattr(module, second, names_of[0])

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_timer_moved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        concerned = [path for path in RECORDED if calls(read(path), names.GET_JOB) > 1]
        _later(monkeypatch, tracking, "job_interval_s", 1.0)

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    def test_a_mark_that_ends_sooner(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(marking, "MARKED_FOR", marking.MARKED_FOR / 2)

        assert [path.stem for path in RECORDED if not goes_the_way_it_went(read(path))] == ["0003_marked_post"]

    def test_a_wait_that_azure_asked_for_moved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        concerned = [path for path in RECORDED if calls(read(path), names.GET_OPERATION)]
        _later(monkeypatch, triggering, "wait_s", -1.0)

        assert len(concerned) > 1
        assert [path.stem for path in concerned if goes_the_way_it_went(read(path))] == []

    @pytest.mark.parametrize("step", ["release", "leave_turn"])
    def test_a_guard_that_is_kept(self, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        monkeypatch.setattr(restore_vm, step, _do_nothing)

        assert not all(goes_the_way_it_went(read(path)) for path in RECORDED)


def _later(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, by_s: float) -> None:
    real: Callable[..., float] = getattr(module, name)

    def moved(*args: Any, **options: Any) -> float:
        return real(*args, **options) + by_s

    monkeypatch.setattr(module, name, moved)


def _do_nothing(*_: object) -> Generator[task.Task[Any], Any]:
    yield from ()
