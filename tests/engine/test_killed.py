"""Workers, engines and machines are killed with SIGKILL in the middle of restores; others go on. One POST for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.scenes import MANY, STEPS, Outcome, held, machines_can_be_made
from tests.engine.stage import GROUP
from tests.integration.app_stage import vm_id

if TYPE_CHECKING:
    from concurrent.futures import Future

pytestmark = pytest.mark.timeout(280)


def all_completed_with_one_post(outcome: Outcome) -> bool:
    return all(
        (document["status"], posts, jobs) == ("Completed", 1, [document["jobId"]])
        for document, posts, jobs in outcome.values()
    )


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_leaves_one_restore(outcomes: dict[str, Future[Outcome]], step: str) -> None:
    document, posts, jobs = outcomes["worker"].result()[vm_id(held(step), GROUP)]

    assert document["status"] == "Completed", document
    assert (posts, jobs) == (1, [document["jobId"]])


def test_engine_and_worker_killed_together_leave_one_restore_each(outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes["both"].result()

    assert len(outcome) == MANY
    assert all_completed_with_one_post(outcome), outcome


@pytest.mark.skipif(not machines_can_be_made(), reason="a second machine needs `unshare --uts`, not allowed here")
def test_one_of_two_instances_killed_leaves_one_restore_each(outcomes: dict[str, Future[Outcome]]) -> None:
    outcome = outcomes["one of two"].result()

    assert len(outcome) == MANY
    assert all_completed_with_one_post(outcome), outcome
