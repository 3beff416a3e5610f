"""The restores whose histories are kept. Run this module to record the scenes that have no history yet.

A history is never recorded again under its name: it stands for instances that run in production.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import ErrorDetail
from domain.jobs import JobStatus, Operation, OperationStatus
from tests.support.azure import Lab, a_restore, throttled
from tests.support.replay import dump, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from domain.restores import Restore

HISTORIES = Path(__file__).parent / "histories"


def _plain(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore()


def _validated(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(validate=True)


def _lost_answer(lab: Lab) -> Restore:
    lab.azure.posts = ["lost"]
    lab.azure.listed_after = timedelta(seconds=20)
    return a_restore()


def _posted_twice(lab: Lab) -> Restore:
    lab.azure.posts = ["unheard"]
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore()


def _throttled(lab: Lab) -> Restore:
    lab.azure.fails["get_backup_status"] = [throttled(7.25)]
    lab.azure.fails["get_job"] = [throttled(90.0)]
    lab.azure.operations = [Operation(status=OperationStatus.RUNNING, next_url="https://azure/op-1?again")]
    return a_restore()


def _failed_job(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=5)
    lab.azure.job_end = JobStatus.FAILED
    lab.azure.job_details = (ErrorDetail(code="UserErrorCoreCount", message="The quota is used up."),)
    lab.publishing_fails = 1
    return a_restore()


def _second_history(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(minutes=50)
    return a_restore()


SCENES: Mapping[str, Callable[[Lab], Restore]] = {
    "0001_plain": _plain,
    "0001_validated": _validated,
    "0001_lost_answer": _lost_answer,
    "0001_posted_twice": _posted_twice,
    "0001_throttled": _throttled,
    "0001_failed_job": _failed_job,
    "0001_second_history": _second_history,
}


def main() -> None:
    """Record what is missing."""
    for name, scene in SCENES.items():
        path = HISTORIES / f"{name}.json"
        if not path.exists():
            lab = Lab()
            restore = scene(lab)
            lab.run(restore)
            path.write_text(dump(record(lab.hub, restore.restore_id)), encoding="utf-8")
            sys.stdout.write(f"recorded {path.name}\n")


if __name__ == "__main__":
    main()
