from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.faults import ErrorDetail
from simulator.providers.backup.job_profiles import JOB_PROFILES, kind_of
from simulator.providers.backup.jobs import RUNNING, Job, Target, job_details, job_entry

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
TERMINAL = {"Completed", "CompletedWithWarnings", "Failed", "Cancelled"}
DETAIL = ErrorDetail(code=1, title="T", text="went wrong", recommendations=())


def a_job(kind: str = "blobs", seconds: float | None = None, delay_s: float = 0.0) -> Job:
    total = JOB_PROFILES[kind].seconds + delay_s if seconds is None else seconds
    return Job(
        job_id="j",
        vm_key="web-rg/web-01",
        vm_name="web-01",
        container="iaasvmcontainerv2;web-rg;web-01",
        vault="vault-weu",
        subscription_id="s",
        activity_id="a",
        recovery_type="RestoreDisks",
        kind=kind,
        target=Target(account="stagingweu"),
        point_time=START,
        blob_container="web01-0",
        disk_gb=127,
        started=START,
        delay_s=delay_s,
        seconds=total,
        ends_after_s=total,
        listed_from=START,
        cancel_s=30,
    )


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Draw a job of any kind, with any end, cancelled or not."""
    delay_s = draw(st.sampled_from([0.0, 600.0]))
    kind = draw(st.sampled_from(sorted(JOB_PROFILES)))
    seconds = draw(st.one_of(st.none(), st.floats(delay_s + 1, 100_000)))
    job = a_job(kind, seconds, delay_s)
    ending = draw(st.sampled_from(["Completed", "Failed", "CompletedWithWarnings"]))
    if ending == "Failed":
        job = replace(job, ends_after_s=draw(st.floats(0, job.seconds)))
    if ending != "Completed":
        job = replace(job, ends_as=ending, details=(DETAIL,))
    if draw(st.booleans()):
        job = replace(job, cancelled_at=START + timedelta(seconds=draw(st.floats(0, job.ends_after_s))))
    return replace(job, unknown_enums=draw(st.booleans()), integer_enums=draw(st.booleans()))


MOMENTS = st.lists(st.floats(0, 200_000), min_size=2, max_size=20).map(
    lambda offsets: [START + timedelta(seconds=offset) for offset in sorted(offsets)]
)


@settings(deadline=None)
@given(jobs(), MOMENTS)
def test_progress_never_falls(job: Job, moments: list[datetime]) -> None:
    progress = [job.progress(moment)[0] for moment in moments]

    assert progress == sorted(progress)
    assert all(0 < each <= 100 for each in progress)


@settings(deadline=None)
@given(jobs(), MOMENTS)
def test_terminal_stays_terminal(job: Job, moments: list[datetime]) -> None:
    bodies = [job_details(job, moment) for moment in moments]
    ended = [body for body in bodies if body["status"] in TERMINAL]

    assert bodies[len(bodies) - len(ended) :] == ended
    assert all(body == ended[0] for body in ended)


@settings(deadline=None)
@given(jobs())
def test_every_job_ends(job: Job) -> None:
    assert job.status(job.ends_at()) in TERMINAL
    assert job.status(job.ends_at() - timedelta(microseconds=1)) in RUNNING or job.ends_at() == START


@settings(deadline=None)
@given(jobs(), MOMENTS)
def test_end_time_and_errors_show_only_at_the_end(job: Job, moments: list[datetime]) -> None:
    for moment in moments:
        entry = job_entry(job, moment)
        assert ("endTime" in entry) == (entry["status"] in TERMINAL)
        assert ("errorDetails" in entry) == (entry["status"] in {"Failed", "CompletedWithWarnings"})


@settings(deadline=None)
@given(jobs(), MOMENTS)
def test_only_completed_jobs_are_at_100_percent(job: Job, moments: list[datetime]) -> None:
    for moment in moments:
        done = job.status(moment) in {"Completed", "CompletedWithWarnings"}
        assert (job.progress(moment)[0] == 100.0) == done


@settings(deadline=None)
@given(jobs(), MOMENTS)
def test_tasks_only_move_forward(job: Job, moments: list[datetime]) -> None:
    order = ["NotStarted", "InProgress", "Cancelling", "Cancelled", "Failed", "Completed"]
    for task in job.profile.tasks:
        seen = [order.index(job.task_status(task, moment)) for moment in moments]
        assert seen == sorted(seen) or job.cancelled_at is not None


def test_rehydration_comes_before_the_transfer() -> None:
    job = a_job(delay_s=3600)

    assert job.progress(START + timedelta(seconds=3600)) == (1.0, None)
    assert job.progress(START + timedelta(seconds=3600 + 900))[0] > 50


def test_failed_job_leaves_later_tasks_unstarted() -> None:
    job = replace(a_job("new_vm"), ends_as="Failed", ends_after_s=10, details=(DETAIL,))

    bodies = job_details(job, START + timedelta(seconds=11))["extendedInfo"]["tasksList"]

    assert [body["status"] for body in bodies] == ["Failed", "NotStarted"]


def test_cancelled_job_has_cancelled_tasks() -> None:
    job = replace(a_job("new_vm"), cancelled_at=START + timedelta(seconds=10))

    during = [job.task_status(task, START + timedelta(seconds=20)) for task in job.profile.tasks]
    after = [job.task_status(task, START + timedelta(seconds=50)) for task in job.profile.tasks]

    assert during == ["Cancelling", "Cancelling"]
    assert after == ["Cancelled", "Cancelled"]


@pytest.mark.parametrize(
    ("recovery_type", "target_group", "kind"),
    [
        ("RestoreDisks", False, "blobs"),
        ("RestoreDisks", True, "disks"),
        ("AlternateLocation", True, "new_vm"),
        ("OriginalLocation", False, "replace"),
    ],
)
def test_kind_follows_from_type_and_target(recovery_type: str, target_group: bool, kind: str) -> None:
    assert kind_of(recovery_type, target_group=target_group) == kind
