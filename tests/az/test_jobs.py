from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.az.backup import VAULT, WEB, Item

if TYPE_CHECKING:
    from simulator.clock import ManualClock
    from tests.az.backup import Backup
    from tests.az.cli import Az

TARGET = "--target-resource-group restored-rg"
HOUR_S = 3600


@pytest.fixture
def running(backup: Backup) -> str:
    """The name of a job that runs."""
    return backup.az.look_up(backup.command(WEB, ""))["name"]


class TestList:
    def test_the_newest_restore_is_listed_before_the_others(self, az: Az, running: str) -> None:
        jobs = az(f"backup job list {VAULT}")

        restore = next(job for job in jobs if job["properties"]["operation"] == "Restore")
        assert (restore["name"], restore["properties"]["status"]) == (running, "InProgress")
        assert restore["properties"]["extendedInfo"] is None

    def test_jobs_are_filtered(self, az: Az, running: str) -> None:
        filters = "--operation Restore --status InProgress --backup-management-type AzureIaasVM"

        jobs = az(f"backup job list {VAULT} {filters}")

        assert running in [job["name"] for job in jobs]
        assert {job["properties"]["status"] for job in jobs} == {"InProgress"}

    def test_jobs_are_filtered_by_date(self, az: Az, running: str, clock: ManualClock) -> None:
        today, tomorrow = clock.now(), clock.now() + timedelta(days=1)

        jobs = az(f"backup job list {VAULT} --start-date {today:%d-%m-%Y} --end-date {tomorrow:%d-%m-%Y}")

        assert running in [job["name"] for job in jobs]
        assert az(f"backup job list {VAULT} --start-date 01-01-2020 --end-date 02-01-2020") == []

    def test_jobs_are_listed_as_a_table(self, az: Az, running: str) -> None:
        run = az.run(f"backup job list {VAULT} --output table")

        assert (run.exit_code, running in run.output) == (0, True), run.errors


class TestShow:
    def test_a_running_job_is_shown_with_its_tasks(self, az: Az, running: str) -> None:
        job = az(f"backup job show {VAULT} --name {running}")

        assert job["properties"]["extendedInfo"]["tasksList"][0]["taskId"] == "Transfer data from vault"
        assert job["properties"]["actionsInfo"] == ["Cancellable"]

    def test_a_missing_job_is_an_error(self, az: Az) -> None:
        az.fails(f"backup job show {VAULT} --name 99999999-9999-9999-9999-999999999999")


class TestStop:
    def test_a_job_is_cancelled(self, az: Az, backup: Backup, running: str, clock: ManualClock) -> None:
        az(f"backup job stop {VAULT} --name {running}")

        assert backup.job(WEB, running)["status"] == "Cancelling"
        clock.advance(HOUR_S)
        assert backup.job(WEB, running)["status"] == "Cancelled"

    def test_a_refused_cancellation_is_no_error_to_az(self, az: Az, backup: Backup, clock: ManualClock) -> None:
        item = Item("cancel-refused")
        name = az.look_up(backup.command(item, ""))["name"]

        az(f"backup job stop {VAULT} --name {name}")

        clock.advance(2 * HOUR_S)
        assert backup.job(item, name)["status"] == "Completed"


class TestWait:  # for a job that runs: test_job_wait.py
    def test_an_ended_job_is_not_waited_for(self, az: Az, running: str, clock: ManualClock) -> None:
        clock.advance(2 * HOUR_S)

        assert az(f"backup job wait {VAULT} --name {running}")["properties"]["status"] == "Completed"

    def test_a_failed_job_is_no_error_to_az(self, az: Az, backup: Backup, clock: ManualClock) -> None:
        item = Item("job-failed")
        name = az.look_up(backup.command(item, TARGET))["name"]
        clock.advance(HOUR_S)

        job = az(f"backup job wait {VAULT} --name {name}")["properties"]

        assert (job["status"], job["errorDetails"][0]["errorTitle"]) == ("Failed", "UserErrorVmCreationFailed")
        assert job["errorDetails"][0]["recommendations"]

    def test_a_job_with_warnings_is_no_error_to_az(self, az: Az, backup: Backup, clock: ManualClock) -> None:
        item = Item("job-warnings")
        name = az.look_up(backup.command(item, TARGET))["name"]
        clock.advance(HOUR_S)

        assert az(f"backup job wait {VAULT} --name {name}")["properties"]["status"] == "CompletedWithWarnings"
