"""Jobs that are no restores, as they go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator.clock import ManualClock
from simulator.providers.backup.job_calls import jobs_in
from simulator.providers.backup.service_jobs import BACKUP, ServiceJob, service_jobs
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import Caller

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SNAPSHOT, TRANSFER, VALIDATION = "Take Snapshot", "Transfer data to vault", "Validate Backup"


def a_backup(**changes: Any) -> ServiceJob:
    members = {
        "operation": BACKUP,
        "vm": Scenario.default().vms[0],
        "vault": "vault-weu",
        "started": START,
        "cancel_s": 30.0,
    }
    return ServiceJob(**{**members, **changes})


def tasks(job: ServiceJob, after_s: float) -> dict[str, tuple[str, bool, bool]]:
    """Return the status of each task, and whether it shows a begin and an end."""
    listed = job.details(START + timedelta(seconds=after_s))["extendedInfo"]["tasksList"]
    return {
        task["taskId"]: (task["status"], *(task[time][:4] != "0001" for time in ("startTime", "endTime")))
        for task in listed
    }


@pytest.mark.parametrize(
    ("after_s", "snapshot", "transfer", "validation", "progress"),
    [
        (60, "InProgress", "NotStarted", "NotStarted", 0.0),
        (2051, "Completed", "InProgress", "NotStarted", 49.0),
        (3100, "Completed", "Completed", "InProgress", 100.0),
        (3977, "Completed", "Completed", "Completed", 100.0),
    ],
)
def test_a_backup_takes_a_snapshot_moves_it_and_validates_it(
    after_s: float, snapshot: str, transfer: str, validation: str, progress: float
) -> None:
    job = a_backup()
    shows = {"NotStarted": (False, False), "InProgress": (True, False), "Completed": (True, True)}

    assert tasks(job, after_s) == {
        SNAPSHOT: (snapshot, *shows[snapshot]),
        TRANSFER: (transfer, *shows[transfer]),
        VALIDATION: (validation, *shows[validation]),
    }
    details = job.details(START + timedelta(seconds=after_s))
    assert details["extendedInfo"]["progressPercentage"] == progress
    assert ("endTime" in details) is ("Backup Size" in details["extendedInfo"]["propertyBag"]) is (after_s > 3976)


def test_a_cancelled_backup_stands_still() -> None:
    job = a_backup(cancelled_at=START + timedelta(seconds=2000))

    assert tasks(job, 2010)[TRANSFER] == ("Cancelling", True, False)
    assert tasks(job, 2010)[VALIDATION] == ("Cancelling", False, False)
    assert tasks(job, 9000) == {
        SNAPSHOT: ("Completed", True, True),
        TRANSFER: ("Cancelled", True, False),
        VALIDATION: ("Cancelled", False, False),
    }
    assert job.entry(START + timedelta(seconds=9000))["duration"] == "PT33M50S"


def test_a_scenario_can_do_without_them_and_a_lone_vm_has_no_neighbour() -> None:
    document = {
        "subscriptionId": "11111111-1111-1111-1111-111111111111",
        "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
        "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
        "vms": [
            {
                "name": "web-01",
                "resourceGroup": "web-rg",
                "vault": "vault-weu",
                "points": [{"ageHours": 3, "tiers": {"InstantRP": "Valid"}}],
            }
        ],
    }
    quiet = {**document, "settings": {"otherJobs": False}}
    for scenario, others in ((document, 2), (quiet, 0)):
        with running(scenario=Scenario.from_dict(scenario), clock=ManualClock(START)) as simulator:
            caller = Caller(simulator)
            with caller.session:
                assert caller.restore("web-01").status_code == 202
            vault, world = simulator.world.scenario.vaults[0], simulator.world
            assert len(list(service_jobs(world, vault))) == others
            assert len(jobs_in(world, vault, world.now())) == others + 1
