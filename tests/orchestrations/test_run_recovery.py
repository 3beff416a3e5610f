"""Recoveries on the in-memory hub: their members are started, tell their ends, and are followed whatever breaks.

What a recovery decides is shown without an engine, in ``tests/unit/domain/recovery``.
"""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final, override

import pytest

from domain.azure.jobs import JobStatus
from domain.codec import pack, unpack
from domain.recovery.calls import MemberEnd
from domain.recovery.machine import MEMBER_EVENT
from domain.recovery.roster import member_restore_id
from domain.restore.parts import Status
from domain.restore.state import Restore
from domain.times import format_time
from orchestrations import names
from tests.orchestrations.test_steps_run_twice import overdue_first
from tests.support import hub as hubs
from tests.support.azure import a_restore, vm_id
from tests.support.hub import START
from tests.support.recovery_lab import RECOVERY, Group, RecoveryLab

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from durabletask.task import OrchestrationContext

    from domain.errors import Json

MEMBERS: Final = 300


def test_groups_are_restored_in_order_each_member_once() -> None:
    lab = RecoveryLab()
    lab.start_recovery(Group(count=2), Group(count=2, after=(0,)))

    shown = lab.reach_status("Completed")

    assert (shown["members"], shown["groups"]) == ("CCCC", "CC")
    assert lab.azure.calls["trigger_restore"] == 4
    posted = [job.made for job in lab.azure.jobs]
    assert min(posted[2:]) - max(posted[:2]) >= lab.azure.job_takes
    assert [lab.member(index)["sourceResourceId"] for index in range(4)] == [vm_id(index) for index in range(4)]
    assert {lab.member(index)["recoveryId"] for index in range(4)} == {RECOVERY}
    assert lab.hub.clock.elapsed < 2 * lab.azure.job_takes + timedelta(minutes=5)


def test_only_the_first_attempt_relies_on_the_look_at_the_jobs_when_the_recovery_began() -> None:
    lab = RecoveryLab()
    lab.azure.job_takes, lab.azure.job_end = timedelta(seconds=74), JobStatus.FAILED
    lab.start_recovery(Group(count=1))
    lab.reach_status("Failed")
    lab.settle()
    assert lab.azure.calls["find_restore_job"] == 0

    lab.azure.job_end = JobStatus.COMPLETED
    lab.command("retry")
    lab.reach_status("Completed")

    assert lab.azure.calls["find_restore_job"] == 1


def test_all_that_is_told_goes_to_the_events_queue_and_what_matters_to_the_webhook() -> None:
    lab = RecoveryLab()
    lab.start_recovery(Group(count=1))

    lab.reach_status("Completed")
    lab.settle()

    assert [event["event"] for event in lab.recovery_events] == ["Pending", "Running", "Completed"]
    assert [event["event"] for event in lab.posted_recovery_events] == ["Completed"]
    assert {event["recovery"]["id"] for event in lab.recovery_events} == {RECOVERY}


def test_not_more_run_than_may() -> None:
    lab = RecoveryLab()
    lab.start_recovery(Group(count=5), max_running=2)

    lab.reach_status("Completed")

    spans = [(job.made, job.made + lab.azure.job_takes) for job in lab.azure.jobs]
    assert len(spans) == 5
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) == 2


def test_a_second_recovery_of_a_vm_has_a_conflict_and_succeeds_by_a_retry() -> None:
    lab = RecoveryLab()
    other = a_restore(key="other", sourceResourceId=vm_id(0))
    lab.start(other)
    lab.reach(other.restore_id, "Running")

    lab.start_recovery(Group(count=2))
    shown = lab.reach_status("Failed")

    assert shown["members"] == "FC"
    assert [failure["code"] for failure in shown["failures"]] == ["RequestConflict"]
    lab.hub.finish(other.restore_id)
    lab.command("retry")
    lab.reach_status("Completed")
    assert lab.member(0, attempt=2)["status"] == "Completed"
    assert lab.azure.calls["trigger_restore"] == 3


def test_a_cancellation_stops_what_has_not_started_and_follows_what_runs() -> None:
    lab = RecoveryLab()
    lab.start_recovery(Group(count=2), Group(count=2, after=(0,)))
    lab.hub.run_until(lambda: len(lab.azure.jobs) == 2)
    lab.hub.run_until(timedelta(minutes=5))

    lab.command("cancel", comment="enough")
    lab.settle()
    assert lab.shown()["members"] == "LLXX"
    shown = lab.reach_status("Cancelled")

    assert shown["members"] == "XXXX"
    assert lab.azure.calls["trigger_restore"] == 2
    assert lab.member(0)["cancellation"]["by"] == "ada"
    assert lab.hub.clock.elapsed < lab.azure.job_takes


class TestWhatBreaks:
    def test_members_told_twice_and_activities_run_twice_make_no_second_restore(self) -> None:
        lab = RecoveryLab(redeliver=True)
        lab.start_recovery(Group(count=2), Group(count=1, after=(0,)))
        lab.hub.run_until(lambda: lab.shown().get("members") == "CCS")
        end = pack(MemberEnd(index=0, attempt=1, status=Status.FAILED, ended=START))

        lab.hub.raise_event(RECOVERY, MEMBER_EVENT, end)
        shown = lab.reach_status("Completed")

        assert shown["members"] == "CCC"
        assert lab.azure.calls["trigger_restore"] == 3

    def test_a_batch_that_broke_in_its_middle_is_started_again(self) -> None:
        lab = RecoveryLab()
        lab.refuses_starts = [1, 2]
        lab.start_recovery(Group(count=4))

        assert lab.reach_status("Completed")["members"] == "CCCC"

        assert lab.azure.calls["trigger_restore"] == 4
        assert [call.name for call in lab.hub.calls].count("start_members") == 2

    def test_a_restore_that_somebody_terminated_is_found_by_the_check(self) -> None:
        lab = RecoveryLab()
        lab.start_recovery(Group(count=2))
        lab.hub.run_until(lambda: len(lab.azure.jobs) == 2)

        lab.hub.terminate(member_restore_id(RECOVERY, 0, 1), "by hand")
        shown = lab.reach_status("Failed")

        assert shown["members"] == "XC"

    def test_a_worker_that_dies_after_each_step_changes_nothing(self) -> None:
        lab = RecoveryLab()
        lab.start_recovery(Group(count=2), Group(count=1, after=(0,)))

        while lab.shown().get("status") != "Completed":
            lab.hub.restart_worker()
            assert lab.hub.step()

        assert lab.shown()["members"] == "CCC"
        assert lab.azure.calls["trigger_restore"] == 3


def _quick_restore(ctx: OrchestrationContext, data: Json) -> Generator[Any, Any]:
    """Stand in for ``restore_vm`` where only the number of members matters."""
    restore: Restore = unpack(Restore, data)
    member = restore.accepted.member
    assert member is not None
    yield ctx.create_timer(timedelta(minutes=20, seconds=member.index * 37 % 600))
    ended = ctx.current_utc_datetime.replace(tzinfo=UTC)
    end = MemberEnd(index=member.index, attempt=member.attempt, status=Status.COMPLETED, ended=ended)
    ctx.send_event(member.recovery_id, MEMBER_EVENT, data={**pack(end), "time": format_time(ended)})


class _QuickLab(RecoveryLab):
    @override
    def more_orchestrators(self) -> dict[str, Callable[..., Any]]:
        return {**super().more_orchestrators(), names.RESTORE_VM: _quick_restore}


@pytest.mark.parametrize("max_running", [40, 200])
def test_no_history_grows_beyond_500_events_however_many_members_there_are(max_running: int) -> None:
    lab = _QuickLab()
    groups = [Group(count=MEMBERS // 5, after=(number - 1,) if number else ()) for number in range(5)]
    lab.start_recovery(*groups, max_running=max_running)

    shown = lab.reach_status("Completed")

    assert shown["members"] == "C" * MEMBERS
    assert lab.hub.largest_history <= 500
    assert max(len(json.dumps(status.value)) for status in lab.hub.statuses(RECOVERY)) <= 7500


def test_no_history_grows_beyond_500_events_where_all_members_run_and_nothing_is_left_to_start() -> None:
    lab = _QuickLab()
    lab.start_recovery(Group(count=MEMBERS))

    shown = lab.reach_status("Completed")

    assert shown["members"] == "C" * MEMBERS
    assert lab.hub.largest_history <= 500


def test_whichever_step_is_run_twice_the_recovery_ends_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs.Hub, "_activity", overdue_first(hubs.Hub._activity))
    number, steps = 0, 1
    while number < steps:
        number, steps = number + 1, 0
        lab = _QuickLab()

        def repeats(instance_id: str, number: int = number) -> bool:
            nonlocal steps
            steps += instance_id == RECOVERY
            return instance_id == RECOVERY and steps == number

        lab.hub.second_run = timedelta(seconds=70)
        lab.hub._backend.faults = hubs._Faults(starts=False, turns=repeats, operations=False)
        lab.start_recovery(Group(count=7), Group(count=3, after=(0,)), max_running=3)

        shown = lab.reach_status("Completed")

        assert shown["members"] == "C" * 10, number
    assert number > 20
