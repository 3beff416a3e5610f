"""The commands that take ``ENGINE=real``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts import demo, host, real_engine
from scripts.stack import REAL, running_stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_demo_proves_its_restores_on_the_real_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--engine", "real", "--speed", "60", "--time-limit", "100"]) == 0

    assert "Proven: 4 restores asked for = 4 restore POSTs at the simulator = 4 Completed" in capsys.readouterr().out


def test_the_stack_names_the_engine_among_its_processes() -> None:
    with running_stack(engine=REAL) as stack:
        pids = stack.pids
        stack.check()

    assert list(pids) == ["simulator", "azurite", "engine", "local host"]


@pytest.mark.parametrize("command", [demo.main, host.main])
def test_without_the_engine_one_line_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: Callable[[list[str]], int],
) -> None:
    monkeypatch.setattr(real_engine, "BINARY", tmp_path / "absent")

    assert command(["--engine", "real"]) == 1

    [line] = capsys.readouterr().err.splitlines()
    assert line.endswith("Microsoft's engine is missing (.tools/real-engine); run `make engine`")
