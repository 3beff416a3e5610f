"""Many restores of one vault at once, from the app to Azure: a watched job is read in its turn, and at its end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.app_stage import Stage, a_request, eventually, staged, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

RESTORES = 8
POLLING = 3  # so many restores of a vault poll for themselves
JOB_S = 4800  # of the simulator's time: eight seconds


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    settings = {"RESTORE_JOB_POLL_MIN_SECONDS": "1", "RESTORE_JOB_POLL_MAX_SECONDS": "10"}
    with pytest.MonkeyPatch.context() as patch, staged(patch, **settings) as stage:
        yield stage


def log(stage: Stage, action: str) -> list[Json]:
    """Return the app's calls of this kind."""
    url = f"{stage.simulator.url}/_simulator/requests?action={action}&top=20000"
    return requests.get(url, timeout=30).json()["value"]


def test_watched_jobs_are_read_once_for_each_list_while_they_run_and_their_operations_never(stage: Stage) -> None:
    names = [f"load-{number:03d}" for number in range(1, RESTORES + 1)]
    for name in names:
        stage.simulator.world.set_faults(vm_id(name, "load-rg"), {"jobSeconds": JOB_S})
    answers = [stage.post(a_request(sourceResourceId=vm_id(name, "load-rg"), validate=False)) for name in names]
    assert {answer.status_code for answer in answers} == {202}

    ids = [answer.json()["id"] for answer in answers]
    done = [eventually(lambda restore_id=restore_id: _ended(stage, restore_id), within_s=60) for restore_id in ids]

    assert {document["status"] for document in done} == {"Completed"}
    assert all(stage.jobs_of(name) == 1 for name in names)
    early = sorted(_reads_before_the_end(stage, document) for document in done)
    lists = len(log(stage, "list_jobs")) - RESTORES  # each restore looks once for a job of its own before its POST
    assert 0 < sum(early[: RESTORES - POLLING]) <= lists
    assert len(log(stage, "get_operation")) <= POLLING + 1
    assert len(log(stage, "get_storage_account")) <= 1


def _reads_before_the_end(stage: Stage, document: Json) -> int:
    """Return how often the job was read while it ran. At its end a turn that is run twice reads it twice."""
    job_id, end = document["jobId"], datetime.fromisoformat(document["result"]["endTime"])
    reads = [call["time"] for call in log(stage, "get_job") if job_id in call["path"]]
    assert reads
    return sum(datetime.fromisoformat(time) < end for time in reads)


def _ended(stage: Stage, restore_id: str) -> Json | None:
    document = stage.call("GET", f"restores/{restore_id}").json()
    return document if document.get("completedTime") else None
