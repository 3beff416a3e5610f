"""Another version of the app is deployed while restores run: it finishes them, with one POST each, and back again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from scripts.stack import ROOT
from tests.engine.scenes import (
    APPROVED,
    MANY,
    STEPS,
    Outcome,
    Scene,
    deploy,
    deploy_beside,
    held,
    machines_can_be_made,
)
from tests.engine.stage import GROUP
from tests.engine.test_killed import all_completed_with_one_post
from tests.integration.app_stage import vm_id
from tests.support import earlier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

pytestmark = [
    pytest.mark.timeout(280),
    pytest.mark.skipif(not earlier.is_known(), reason=f"this checkout does not have commit {earlier.COMMIT}"),
]
HISTORIES = "tests/replay/histories"
NEED_THIS_VERSION = {
    *("0005_watched", "0005_watching", "0007_watched_in_turn"),
    *("0006_member", "0006_record", "0006_recovery_begins", "0006_recovery_is_cancelled"),
    *("0008_swap_approved", "0008_swap_tagged", "0008_swap_went_back", "0008_swapped", "0008_undone"),
    *("0009_disks_attached", "0009_template_deployed", "0009_vm_begun", "0009_vm_by_template"),
    *("0009_vm_made", "0009_vm_not_made"),
    *("0010_approved_twice", "0010_asked_twice", "0010_member_waits", "0010_recovery_is_told"),
}
"""What an earlier version cannot go on with: ``docs/operating.md`` says to drain before it is brought back."""
FORWARD, BACK, BESIDE = "an earlier version before", "an earlier version after", "both at once"


@pytest.fixture(scope="session")
def earlier_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return earlier.unpack_earlier_code(tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="session")
def deployed(azurite: str, earlier_code: Path) -> Iterator[dict[str, Future[Outcome]]]:
    """Play the deployments beside each other."""
    plays: dict[str, Callable[[Scene], Outcome]] = {
        FORWARD: lambda scene: deploy(scene, earlier_code, ROOT),
        BACK: lambda scene: deploy(scene, ROOT, earlier_code),
    }
    if machines_can_be_made():
        plays[BESIDE] = lambda scene: deploy_beside(scene, earlier_code, ROOT)
    scenes = {name: Scene(azurite) for name in plays}
    try:
        with ThreadPoolExecutor(len(plays)) as threads:
            yield {name: threads.submit(play, scenes[name]) for name, play in plays.items()}
    finally:
        for scene in scenes.values():
            scene.close()


@pytest.mark.parametrize("step", [*STEPS, APPROVED])
@pytest.mark.parametrize("way", [FORWARD, BACK])
def test_a_restore_at_any_step_is_finished_by_the_other_version(
    deployed: dict[str, Future[Outcome]], way: str, step: str
) -> None:
    document, posts, jobs = deployed[way].result()[vm_id(held(step), GROUP)]

    assert document["status"] == "Completed", document
    assert (posts, jobs) == (1, [document["jobId"]])


@pytest.mark.skipif(not machines_can_be_made(), reason="a second machine needs `unshare --uts`, not allowed here")
def test_two_versions_on_one_hub_restore_once_each(deployed: dict[str, Future[Outcome]]) -> None:
    outcome = deployed[BESIDE].result()

    assert len(outcome) == MANY
    assert all_completed_with_one_post(outcome), outcome


def test_this_version_takes_every_step_that_an_earlier_one_took(earlier_code: Path) -> None:
    assert earlier.differences(ROOT, earlier_code / HISTORIES) == []


def test_an_earlier_version_takes_every_step_that_this_one_took(earlier_code: Path) -> None:
    found = earlier.differences(earlier_code, ROOT / HISTORIES)

    assert {difference.partition(",")[0] for difference in found} == NEED_THIS_VERSION
