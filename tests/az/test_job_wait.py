"""A file of its own, so that the other files run meanwhile: az waits twice for 30 seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.az.backup import VAULT, WEB
from tests.integration.local_host.stage import eventually

if TYPE_CHECKING:
    from simulator.clock import ManualClock
    from simulator.server import Simulator
    from tests.az.backup import Backup
    from tests.az.cli import Az


def test_a_running_job_is_asked_for_until_it_ends(
    az: Az, backup: Backup, clock: ManualClock, simulator: Simulator
) -> None:
    name = az.look_up(backup.command(WEB, ""))["name"]
    before = _polls(simulator, name)

    def end_after_two_polls() -> None:
        eventually(lambda: _polls(simulator, name) == before + 2)
        clock.advance(7200)

    run = az.run(f"backup job wait {VAULT} --name {name}", meanwhile=end_after_two_polls)

    assert run.exit_code == 0, run.errors
    assert run.document["properties"]["status"] == "Completed"
    assert _polls(simulator, name) == before + 3


def _polls(simulator: Simulator, job: str) -> int:
    return sum(request.method == "GET" and job in request.path for request in simulator.requests)
