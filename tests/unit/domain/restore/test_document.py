from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.player import Player


def test_shows_progress_phase_and_next_poll_while_it_runs(player: Player) -> None:
    player.run()

    shown = player.shown()
    phases = list(dict.fromkeys(status["phase"] for status in shown))
    assert phases == [
        "Resolving",
        "SelectingRecoveryPoint",
        "Triggering",
        "TrackingOperation",
        "TrackingJob",
        "Finished",
    ]
    waiting = [status for status in shown if status["phase"] == "TrackingJob" and status["nextPollTime"]]
    assert all(status["nextPollTime"] > status["lastUpdatedTime"] for status in waiting)
    progress = [status["progressPercentage"] for status in shown if status["progressPercentage"] is not None]
    assert progress == sorted(progress)
    assert len(set(progress)) > 10
