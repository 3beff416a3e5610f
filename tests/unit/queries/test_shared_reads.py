"""One answer of Azure serves all restores of a process, for a short time."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest

from domain.errors import TransientError
from queries.shared_reads import SharedReads
from tests.support.azure import STORAGE_ID, VAULT_ID, MadeJob, ScriptedAzure, throttled
from tests.support.hub import START, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

READS: dict[str, Callable[[SharedReads], object]] = {
    "get_storage_account": lambda reads: reads.get_storage_account(STORAGE_ID),
    "list_resource_guard_proxies": lambda reads: reads.list_resource_guard_proxies(VAULT_ID),
    "list_running_jobs": lambda reads: reads.running_jobs(VAULT_ID),
}
KEPT_S = {"get_storage_account": 300, "list_resource_guard_proxies": 300, "list_running_jobs": 60}


class Stage:
    def __init__(self) -> None:
        self.clock = Clock()
        self.azure = ScriptedAzure(self.clock)
        self.reads = SharedReads(self.azure, self.clock.now)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.mark.parametrize("name", READS)
def test_an_answer_is_read_once_and_again_when_it_has_become_too_old(stage: Stage, name: str) -> None:
    first = READS[name](stage.reads)
    stage.clock.advance(timedelta(seconds=KEPT_S[name] - 1))

    assert READS[name](stage.reads) == first
    assert stage.azure.calls[name] == 1

    stage.clock.advance(timedelta(seconds=1))
    READS[name](stage.reads)

    assert stage.azure.calls[name] == 2


@pytest.mark.parametrize("name", READS)
def test_the_age_of_an_answer_counts_from_the_begin_of_its_call(stage: Stage, name: str) -> None:
    stage.azure.before[name] = [lambda: stage.clock.advance(timedelta(seconds=30))]
    READS[name](stage.reads)
    stage.clock.advance(timedelta(seconds=KEPT_S[name] - 30))

    READS[name](stage.reads)

    assert stage.azure.calls[name] == 2


@pytest.mark.parametrize("name", READS)
def test_a_failure_is_not_kept(stage: Stage, name: str) -> None:
    stage.azure.fails[name] = [throttled(5)]
    with pytest.raises(TransientError):
        READS[name](stage.reads)

    READS[name](stage.reads)

    assert stage.azure.calls[name] == 2


def test_a_list_that_is_read_anyway_serves_the_others(stage: Stage) -> None:
    stage.azure.jobs = [MadeJob("job-1", "c1", START)]
    stage.azure.retry_after["list_running_jobs"] = 40.0

    assert stage.reads.list_running_jobs(VAULT_ID).retry_after_s == 40.0
    assert stage.reads.running_jobs(VAULT_ID.upper()) == {"c1": "job-1"}
    assert stage.azure.calls["list_running_jobs"] == 1


def test_a_new_list_replaces_the_known_one(stage: Stage) -> None:
    stage.reads.running_jobs(VAULT_ID)
    stage.azure.jobs = [MadeJob("job-1", "c1", START)]

    stage.reads.list_running_jobs(VAULT_ID)

    assert stage.reads.running_jobs(VAULT_ID) == {"c1": "job-1"}


def test_threads_that_read_at_one_moment_all_get_an_answer(stage: Stage) -> None:
    together, answers = Barrier(4), list[object]()
    stage.azure.before["get_storage_account"] = [lambda: together.wait(5)] * 4

    threads = [Thread(target=lambda: answers.append(READS["get_storage_account"](stage.reads))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [stage.azure.staging] * 4
