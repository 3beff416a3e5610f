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
from orchestrations.names import DECISION_EVENT
from tests.support.azure import Lab, a_restore, an_alert_start, throttled, vm_id
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


def _by_alert(lab: Lab) -> Restore:
    lab.azure.job_takes = timedelta(seconds=74)
    return a_restore(started_by="alert", alert=an_alert_start(max_per_hour=5))


def _refused(lab: Lab) -> Restore:
    lab.reach(lab.start(a_restore(key="the first")), "Running")
    return a_restore()


def _abandoned_guard(lab: Lab) -> Restore:
    first = lab.start(a_restore(key="the first"))
    lab.reach(first, "Running")
    lab.hub.terminate(first)
    return _plain(lab)


def _over_budget(lab: Lab) -> Restore:
    alert = an_alert_start(max_per_hour=1)
    lab.run(a_restore(key="the first", started_by="alert", alert=alert, sourceResourceId=vm_id(1)))
    return a_restore(started_by="alert", alert=alert)


def _approved(lab: Lab) -> Restore:
    return _decided(lab, "Approved")


def _rejected(lab: Lab) -> Restore:
    return _decided(lab, "Rejected")


def _decided(lab: Lab, decision: str) -> Restore:
    restore = a_restore(approval={"required": True})
    lab.azure.job_takes = timedelta(seconds=74)
    lab.start(restore)
    lab.reach(restore.restore_id, "AwaitingApproval")
    lab.hub.raise_event(restore.restore_id, DECISION_EVENT, {"decision": decision, "by": "ada"})
    return restore


def _approval_timed_out(lab: Lab) -> Restore:
    lab.azure.fails["get_backup_status"] = [throttled(None)]
    return a_restore(approval={"required": True, "timeout": "PT1H"})


def _webhook(lab: Lab) -> Restore:
    lab.has_webhook, lab.posting_fails = True, 1
    return _plain(lab)


SCENES: Mapping[str, Callable[[Lab], Restore]] = {
    "0001_plain": _plain,
    "0001_validated": _validated,
    "0001_lost_answer": _lost_answer,
    "0001_posted_twice": _posted_twice,
    "0001_throttled": _throttled,
    "0001_failed_job": _failed_job,
    "0001_second_history": _second_history,
    "0002_guarded": _plain,
    "0002_by_alert": _by_alert,
    "0002_refused": _refused,
    "0002_abandoned_guard": _abandoned_guard,
    "0002_over_budget": _over_budget,
    "0002_approved": _approved,
    "0002_rejected": _rejected,
    "0002_approval_timed_out": _approval_timed_out,
    "0002_webhook": _webhook,
}


def main() -> None:
    """Record what is missing."""
    for name, scene in SCENES.items():
        path = HISTORIES / f"{name}.json"
        if not path.exists():
            lab = Lab()
            restore = scene(lab)
            if restore.restore_id not in lab.hub.instances():
                lab.start(restore)
            lab.hub.finish(restore.restore_id)
            path.write_text(dump(record(lab.hub, restore.restore_id)), encoding="utf-8")
            sys.stdout.write(f"recorded {path.name}\n")


if __name__ == "__main__":
    main()
