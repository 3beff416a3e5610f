"""A recovery of 30 VMs in 5 groups goes on where it was, whatever is killed: in order, none lost, none doubled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.engine.recovery_scene import AFTER, MAX_RUNNING, MEMBERS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from tests.engine.recovery_scene import Recovered

pytestmark = pytest.mark.timeout(800)


def test_none_is_lost_and_none_doubled(recovered: Future[Recovered]) -> None:
    seen = recovered.result()

    assert seen.status == "Completed"
    assert {name: len(posts) for name, posts in seen.posts.items()} == dict.fromkeys(AFTER, MEMBERS)
    jobs = [job.job_id for jobs in seen.jobs.values() for job in jobs]
    assert [document["jobId"] for document in seen.documents] == jobs
    assert {document["status"] for document in seen.documents} == {"Completed"}


def test_no_group_begins_before_all_that_it_waits_for_has_ended(recovered: Future[Recovered]) -> None:
    assert recovered.result().too_early() == []


def test_no_more_run_at_once_than_the_plan_lets(recovered: Future[Recovered]) -> None:
    assert recovered.result().most_at_once() <= MAX_RUNNING
