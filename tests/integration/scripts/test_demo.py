from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from scripts.demo import main

if TYPE_CHECKING:
    import subprocess

    from tests.integration.scripts.conftest import Marked

FAST = ("--speed", "60", "--time-limit", "35")


def read_until(process: subprocess.Popen[str], word: str) -> str:
    """Read the script's output up to and including the line that has the word."""
    assert process.stdout
    heard = ""
    for line in process.stdout:
        heard += line
        if word in line:
            return heard
    raise AssertionError(f"{word!r} did not come: {heard}")


def test_it_restores_by_every_way_to_start_and_proves_it(marked: Marked) -> None:
    done = marked.run("scripts.demo", "--speed", "30", "--time-limit", "35")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Proven: 4 restores asked for = 4 restore POSTs at the simulator = 4 Completed" in done.stdout
    assert "Proven: 1 recovery asked for = 3 groups in order, app after its approval = 6 members" in done.stdout
    assert "= 6 members = 6 restore POSTs = Completed." in done.stdout
    assert (
        "Proven: 1 swap asked for = 1 restore POST = deallocate, 1 PATCH of all disks, start = Swapped" in done.stdout
    )
    assert "its undo = the same three calls = former disks back." in done.stdout
    assert "undo  load-007  Completed" in done.stdout
    told = [line.partition(" s  plan  ")[2] for line in done.stdout.splitlines() if " s  plan  " in line]
    wanted = ["app       waits for database", "database  Completed 1 of 1", "app       AwaitingApproval 0 of 2"]
    wanted += ["app       Completed 2 of 2", "web       Completed 3 of 3"]
    assert [line for line in told if line in wanted] == wanted
    assert "plan         6 in 3 groups   Completed" in done.stdout
    assert "http  web-01  TrackingJob" in done.stdout
    assert "alert web-03  TrackingJob" in done.stdout
    assert "queue web-02  configuration: https://stagingweu.blob.core.windows.net/" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_restores_that_do_not_complete_fail_it_each_with_its_reason(marked: Marked) -> None:
    done = marked.run("scripts.demo", "--http-vm", "job-failed", "--queue-vm", "job-warnings", *FAST)

    assert done.returncode == 1
    assert "demo: http job-failed: it ended as Failed" in done.stderr
    assert "The disks could not be written." in done.stderr
    assert "queue job-warnings: it ended as CompletedWithWarnings" in done.stderr
    assert "Proven" not in done.stdout


def test_a_recovery_that_does_not_complete_fails_it(marked: Marked) -> None:
    vms = ("load-001", "load-002", "job-failed", "load-004", "load-005", "load-006")
    done = marked.run("scripts.demo", "--plan-vms", *vms, *FAST)

    assert done.returncode == 1
    assert "demo: plan: it ended as Failed: app Failed" in done.stderr
    assert "web       waits for app" in done.stdout
    assert "web       Running" not in done.stdout
    assert "Proven" not in done.stdout


def test_a_swap_that_does_not_complete_fails_it(marked: Marked) -> None:
    done = marked.run("scripts.demo", "--swap-vm", "job-warnings", *FAST)

    assert done.returncode == 1
    assert "demo: swap: the swap ended as Failed" in done.stderr
    assert "Proven" not in done.stdout


def test_the_app_that_cannot_start_is_named_with_what_it_said(marked: Marked) -> None:
    done = marked.run("scripts.demo", "--setting", "RESTORE_DEADLINE_HOURS=never")

    assert done.returncode == 1
    assert "demo: local host did not start: local host: cannot import function_app: RESTORE_DEADLINE" in done.stderr


def test_a_part_that_dies_early_is_named(marked: Marked) -> None:
    with marked.started("scripts.demo") as process:
        read_until(process, "TrackingOperation")
        marked.process("-m simulator").kill()
        _, told = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "demo: simulator ended early with exit code -9" in told


def test_it_ends_by_itself_when_the_time_is_up(marked: Marked) -> None:
    done = marked.run("scripts.demo", "--time-limit", "0.1")

    assert done.returncode == 1
    assert "demo: the time is up: http web-01 is at " in done.stderr


def test_it_can_be_stopped_at_any_time(marked: Marked) -> None:
    with marked.started("scripts.demo") as process:
        read_until(process, "Ready after")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)

    assert process.returncode == 130
    assert told == "demo: stopped\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--http-vm", "nobody"), "demo: the scenario has no VM 'nobody'\n"),
        (("--http-vm", "web-02"), "demo: each restore needs a VM of its own\n"),
        (("--http-vm", "load-003"), "demo: each restore needs a VM of its own\n"),
        (("--scenario", "absent.json"), "demo: the scenario absent.json cannot be used: "),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_starts(
    arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1

    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_a_setting_without_a_value_is_refused_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--setting", "RESTORE"])

    assert "'RESTORE' is not NAME=VALUE" in capsys.readouterr().err
