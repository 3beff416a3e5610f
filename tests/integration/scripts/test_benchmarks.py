from __future__ import annotations

import pytest

import benchmarks.__main__ as bench
from benchmarks import load, many_restores
from benchmarks.rows import Row, percentile


@pytest.mark.parametrize(("share", "wanted"), [(0, 1), (0.5, 2.5), (0.95, 3.85), (1, 4)])
def test_percentiles_lie_between_samples(share: float, wanted: float) -> None:
    assert percentile([4, 1, 3, 2], share) == pytest.approx(wanted)


@pytest.mark.parametrize(("completed", "cpu_s", "wanted"), [(100, 10, True), (99, 10, None), (99, 50, False)])
def test_what_was_not_done_is_not_praised_for_being_cheap(completed: int, cpu_s: float, wanted: bool | None) -> None:
    seen = load.Outcome(
        statuses={"Completed": completed}, seconds=1, cpu_s=cpu_s, idle_mib=80, peak_mib=90, calls=100, throttled=0
    )

    all_complete, _, cpu = load._rows([seen], "jobs", "by hand")

    assert all_complete.met is (completed == 100)
    assert cpu.met is wanted


@pytest.mark.parametrize(("completed", "wanted"), [(1000, [True, False, True]), (999, [False, False, None])])
def test_of_a_thousand_restores_each_has_to_complete(completed: int, wanted: list[bool | None]) -> None:
    seen = load.Outcome(
        statuses={"Completed": completed}, seconds=40, cpu_s=200, idle_mib=80, peak_mib=401, calls=100, throttled=0
    )

    assert [row.met for row in many_restores.rows(seen, how="by hand")] == wanted


def test_only_what_was_asked_for_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--only", "calls-in-all"]) == 0

    output = capsys.readouterr().out
    assert "ARM calls in all, 31-minute job" in output
    assert "import function_app" not in output


def test_slow_is_a_verdict_and_broken_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Row(measure="slow", target="<= 1", median="2", worst="3", met=False, how="by hand")

    def broken() -> list[Row]:
        raise OSError("no room")

    monkeypatch.setattr(bench, "MEASURES", {"slow": lambda: [slow], "broken": broken})

    assert bench.main(["--only", "slow"]) == 0
    assert "missed" in capsys.readouterr().out
    assert bench.main([]) == 1
    assert "broken could not be measured: OSError: no room" in capsys.readouterr().out
