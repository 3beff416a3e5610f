"""Threads that ask for the same at one moment share a reading, and none gets one that began before it asked."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock, Semaphore
from typing import TYPE_CHECKING

import pytest

from arm.joint_reading import JointReading
from tests.support.arm_server import Say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arm.backup import BackupClient
    from tests.support.arm_server import ArmServer

_PATIENCE_S = 10
VAULT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.RecoveryServices/vaults/v1"
GROUP = "/subscriptions/s/resourceGroups/restored-rg"


class Readings:
    """Readings that are numbered from 1. The first goes on when it is told to; ``fails`` are those that fail."""

    def __init__(self) -> None:
        self.joint = JointReading[int]()
        self.begun = 0
        self.fails: dict[int, Exception] = {}
        self.first_goes_on = Event()
        self._noted = Semaphore(0)
        self.joint._lock = _NotingLock(self._noted)  # pyright: ignore[reportAttributeAccessIssue]
        self._pool = ThreadPoolExecutor(8)

    def ask(self, name: str = "vault", *, notes: int = 1) -> Future[int]:
        """Have a thread ask, and return when its asking has been noted; one that reads at once notes its begin too."""
        answer = self._pool.submit(self.joint.read, name, self._read)
        for _ in range(notes):
            assert self._noted.acquire(timeout=_PATIENCE_S)
        return answer

    def close(self) -> None:
        self.first_goes_on.set()
        self._pool.shutdown()

    def _read(self) -> int:
        self.begun += 1
        number = self.begun
        if number == 1:
            assert self.first_goes_on.wait(_PATIENCE_S)
        if number in self.fails:
            raise self.fails[number]
        return number


class _NotingLock:
    def __init__(self, noted: Semaphore) -> None:
        self._lock = Lock()
        self._noted = noted

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._noted.release()


@pytest.fixture
def readings() -> Iterator[Readings]:
    made = Readings()
    yield made
    made.close()


def test_threads_that_ask_while_another_reads_share_the_next_reading(readings: Readings) -> None:
    first = readings.ask(notes=2)
    others = [readings.ask() for _ in range(5)]
    readings.first_goes_on.set()

    assert first.result(_PATIENCE_S) == 1
    assert [other.result(_PATIENCE_S) for other in others] == [2] * 5


def test_who_asks_alone_reads_each_time(readings: Readings) -> None:
    readings.first_goes_on.set()

    assert [readings.ask().result(_PATIENCE_S) for _ in range(3)] == [1, 2, 3]


def test_a_failure_is_raised_to_all_that_shared_it_and_is_not_kept(readings: Readings) -> None:
    readings.fails[2] = TimeoutError("away")
    readings.ask(notes=2)
    others = [readings.ask() for _ in range(3)]
    readings.first_goes_on.set()

    for other in others:
        with pytest.raises(TimeoutError, match="away"):
            other.result(_PATIENCE_S)
    assert readings.ask().result(_PATIENCE_S) == 3


def test_one_vault_does_not_wait_for_another(readings: Readings) -> None:
    first = readings.ask(notes=2)

    assert readings.ask("other", notes=2).result(_PATIENCE_S) == 2
    assert not first.done()


def test_restores_that_search_a_vault_at_one_moment_read_its_list_together(
    server: ArmServer, client: BackupClient
) -> None:
    noted, searches = Semaphore(0), client._searches
    searches._lock = _NotingLock(noted)  # pyright: ignore[reportAttributeAccessIssue]
    jobs = [{"name": f"j-{key}", "properties": {"status": "InProgress", "activityId": key}} for key in "abc"]
    server.answers(Say(body={"value": jobs}))

    with ThreadPoolExecutor(4) as pool:
        with searches._one_at_a_time[VAULT.casefold()]:  # another reading is going on
            found = [pool.submit(client.find_restore_job, VAULT, activity_id=key) for key in "ABCx"]
            for _ in found:
                assert noted.acquire(timeout=_PATIENCE_S)
        named = [job and job.job_id for job in (each.result(_PATIENCE_S) for each in found)]

    assert named == ["j-a", "j-b", "j-c", None]
    assert len(server.requests) == 1


def test_restores_that_list_the_disks_of_a_group_at_one_moment_read_its_list_together(
    server: ArmServer, client: BackupClient
) -> None:
    noted, lists = Semaphore(0), client._disk_lists
    lists._lock = _NotingLock(noted)  # pyright: ignore[reportAttributeAccessIssue]
    server.answers(Say(body={"value": [{"id": f"{GROUP}/disks/d", "name": "d", "properties": {}}]}))

    with ThreadPoolExecutor(4) as pool:
        with lists._one_at_a_time[GROUP.casefold()]:  # another reading is going on
            found = [
                pool.submit(lambda group: list(client.list_disks(group)), group) for group in (GROUP, GROUP.upper())
            ]
            for _ in found:
                assert noted.acquire(timeout=_PATIENCE_S)
        names = [[disk.name for disk in each.result(_PATIENCE_S)] for each in found]

    assert names == [["d"], ["d"]]
    assert len(server.requests) == 1
