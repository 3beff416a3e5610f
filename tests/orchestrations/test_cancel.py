"""Cancelling a restore, whatever it is doing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.codec import pack
from domain.errors import TerminalError
from domain.restore.machine import CANCEL_EVENT
from orchestrations.names import RESTORE_VM
from tests.support.azure import Lab, a_restore, throttled

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

BY = {"by": "ops", "comment": "wrong VM"}


@pytest.fixture
def lab() -> Lab:
    return Lab()


def cancelled_after(lab: Lab, after: timedelta, **members: Any) -> Json:
    """Run a restore that somebody cancels some time after its start; returns the final document."""
    restore = a_restore(**members)
    lab.hub.start(RESTORE_VM, pack(restore), instance_id=restore.restore_id)
    lab.hub.run_until(after)
    lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, BY)
    return lab.hub.finish(restore.restore_id)


def test_before_anything_was_done_nothing_is_started(lab: Lab) -> None:
    restore = a_restore()
    lab.hub.start(RESTORE_VM, pack(restore), instance_id=restore.restore_id)
    lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, BY)

    done = lab.hub.finish(restore.restore_id)

    assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled")
    assert "by ops (wrong VM)" in done["error"]["message"]
    assert "Nothing was started." in done["error"]["message"]
    assert lab.azure.calls["trigger_restore"] == 0
    assert lab.published == [done]


@pytest.mark.parametrize("call", ["get_backup_status", "list_recovery_points", "find_restore_job"])
def test_while_a_call_before_the_trigger_is_waited_for(lab: Lab, call: str) -> None:
    lab.azure.fails[call] = [throttled(600)]

    done = cancelled_after(lab, timedelta(seconds=30))

    assert done["status"] == "Cancelled"
    assert lab.azure.jobs == []
    assert lab.elapsed_s == 30


def test_it_shows_at_once_who_asked_for_it_and_when(lab: Lab) -> None:
    lab.azure.cancels = False
    restore = a_restore()
    lab.hub.start(RESTORE_VM, pack(restore), instance_id=restore.restore_id)
    lab.hub.run_until(timedelta(minutes=5))
    assert "cancellation" not in lab.document(restore.restore_id)

    lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, BY)
    lab.hub.run_until(timedelta(seconds=5))

    shown = lab.document(restore.restore_id)["cancellation"]
    assert (shown["by"], shown["comment"]) == ("ops", "wrong VM")
    assert "2026-11-23T08:05:00" <= shown["time"] <= "2026-11-23T08:05:05"


def test_while_the_service_validates(lab: Lab) -> None:
    done = cancelled_after(lab, timedelta(seconds=5), validate=True)

    assert done["status"] == "Cancelled"
    assert lab.azure.jobs == []


def test_while_the_operation_is_waited_for_the_job_is_found_and_cancelled(lab: Lab) -> None:
    done = cancelled_after(lab, timedelta(seconds=20))

    assert (done["status"], done["jobId"]) == ("Cancelled", "job-1")
    assert lab.azure.cancelled["job-1"] - lab.azure.jobs[0].made == timedelta(seconds=20)


def test_a_job_not_listed_yet_is_found_by_its_operation_and_cancelled(lab: Lab) -> None:
    lab.azure.listed_after = timedelta(hours=1)

    done = cancelled_after(lab, timedelta(seconds=20))

    assert (done["status"], done["jobId"]) == ("Cancelled", "job-1")


def test_while_the_job_runs_it_is_cancelled_and_followed_to_its_end(lab: Lab) -> None:
    done = cancelled_after(lab, timedelta(minutes=10))

    assert done["status"] == "Cancelled"
    assert done["error"]["details"][0]["message"] == "Job is cancelled."
    assert done["result"]["jobStatus"] == "Cancelled"
    assert lab.azure.calls["cancel_job"] == 1
    assert lab.elapsed_s < 12 * 60


def test_a_job_that_completed_all_the_same_is_completed_with_a_warning(lab: Lab) -> None:
    lab.azure.cancels = False

    done = cancelled_after(lab, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["CancelledTooLate"]


def test_a_cancel_that_comes_while_the_last_look_is_made_is_answered_by_a_warning(lab: Lab) -> None:
    lab.azure.job_takes = timedelta(seconds=74)
    restore_id = lab.start(a_restore())
    lab.azure.before["get_job"] = [lambda: None, lambda: lab.hub.raise_event(restore_id, CANCEL_EVENT, BY)]

    done = lab.hub.finish(restore_id)

    assert (done["status"], lab.azure.calls["get_job"], lab.azure.calls["cancel_job"]) == ("Completed", 2, 0)
    assert [warning["code"] for warning in done["warnings"]] == ["CancelledTooLate"]


def test_a_service_that_refuses_to_cancel_is_a_warning_and_the_restore_goes_on(lab: Lab) -> None:
    lab.azure.fails["cancel_job"] = [TerminalError(errors.RESTORE_REFUSED, "not cancellable in this phase")]
    lab.azure.cancels = False

    done = cancelled_after(lab, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["CancelRefused", "CancelledTooLate"]
    assert lab.azure.calls["cancel_job"] == 1


def test_a_cancel_that_never_gets_through_is_a_warning_and_the_job_is_followed(lab: Lab) -> None:
    lab.azure.job_takes = timedelta(hours=2)
    lab.azure.fails["cancel_job"] = [throttled(None)] * 1000

    done = cancelled_after(lab, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["CancelRefused", "CancelledTooLate"]
    assert 30 < lab.azure.calls["cancel_job"] < 60  # for half an hour, at growing intervals


def test_looks_that_fail_are_no_attempts_to_cancel(lab: Lab) -> None:
    lab.azure.fails["get_job"] = [throttled(1)] * 4
    lab.azure.fails["cancel_job"] = [throttled(1)]

    done = cancelled_after(lab, timedelta(minutes=10))

    assert done["status"] == "Cancelled"
    assert lab.azure.calls["cancel_job"] == 2


@pytest.mark.parametrize("asked_s", [2700, 366 * 86_400])
def test_a_long_wait_on_the_cancel_does_not_hold_up_the_report_of_the_jobs_end(lab: Lab, asked_s: float) -> None:
    lab.azure.fails["cancel_job"] = [throttled(asked_s)] * 1000

    done = cancelled_after(lab, timedelta(minutes=10))

    assert (done["status"], lab.azure.calls["cancel_job"]) == ("Completed", 1)
    assert lab.elapsed_s < 33 * 60


@pytest.mark.parametrize("asked_s", [2700, 366 * 86_400])
def test_a_long_wait_on_the_list_leaves_the_operation_to_name_the_job(lab: Lab, asked_s: float) -> None:
    lab.azure.fails["find_restore_job"] = [None, *[throttled(asked_s)] * 1000]

    done = cancelled_after(lab, timedelta(seconds=20))

    assert (done["status"], lab.azure.calls["cancel_job"]) == ("Cancelled", 1)
    assert lab.elapsed_s < 3 * 60
    assert lab.elapsed_s <= 32 * 60


def test_a_job_that_ends_while_the_cancel_does_not_get_through_is_seen(lab: Lab) -> None:
    lab.azure.fails["cancel_job"] = [throttled(None)] * 1000
    lab.azure.job_takes = timedelta(minutes=10, seconds=10)

    done = cancelled_after(lab, timedelta(minutes=10))

    assert done["status"] == "Completed"
    assert lab.azure.calls["cancel_job"] <= 3


@pytest.mark.parametrize("call", ["get_job", "trigger_restore"])
def test_asked_while_a_call_is_under_way_it_does_not_wait_for_the_next(lab: Lab, call: str) -> None:
    restore = a_restore()
    lab.azure.retry_after.update({"trigger_restore": 3600.0 if call == "trigger_restore" else 60.0, "get_job": 3600.0})
    lab.azure.before[call] = [lambda: lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, BY)]
    lab.azure.job_takes = timedelta(hours=5)

    assert lab.run(restore)["status"] == "Cancelled"
    assert (lab.azure.cancelled["job-1"] - lab.azure.jobs[0].made) <= timedelta(minutes=1)


@pytest.mark.parametrize("look", range(1, 26))
def test_asked_during_any_look_it_survives_the_history_starting_afresh(lab: Lab, look: int) -> None:
    restore = a_restore()
    idle: list[Callable[[], object]] = [dict] * (look - 1)
    lab.azure.before["get_job"] = [*idle, lambda: lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, BY)]
    lab.azure.job_takes = timedelta(hours=5)

    assert lab.run(restore)["status"] == "Cancelled"
    assert lab.azure.calls["cancel_job"] == 1


def test_the_wait_that_a_cancel_asks_for_is_kept(lab: Lab) -> None:
    lab.azure.retry_after["cancel_job"] = 47.0

    cancelled_after(lab, timedelta(minutes=10))

    assert lab.waits_s()[-1] == 47.0


def test_a_throttled_cancel_is_sent_again(lab: Lab) -> None:
    lab.azure.fails["cancel_job"] = [throttled(10)]

    assert cancelled_after(lab, timedelta(minutes=10))["status"] == "Cancelled"
    assert lab.azure.calls["cancel_job"] == 2


def test_while_the_outcome_is_open_the_job_is_found_and_cancelled(lab: Lab) -> None:
    lab.azure.posts = ["lost"]
    lab.azure.listed_after = timedelta(seconds=60)

    done = cancelled_after(lab, timedelta(seconds=7))

    assert (done["status"], done["jobId"]) == ("Cancelled", "job-1")
    assert lab.azure.calls["trigger_restore"] == 1


def test_while_the_outcome_is_open_nothing_is_posted_again(lab: Lab) -> None:
    lab.azure.posts = ["unheard"]

    done = cancelled_after(lab, timedelta(seconds=7))

    assert done["status"] == "Cancelled"
    assert "A person must look" in done["error"]["message"]
    assert lab.azure.calls["trigger_restore"] == 1


def test_is_remembered_when_the_history_starts_afresh(lab: Lab) -> None:
    lab.azure.cancels = False
    lab.azure.job_takes = timedelta(hours=5)

    done = cancelled_after(lab, timedelta(minutes=10))

    assert lab.azure.calls["cancel_job"] == 1
    assert [warning["code"] for warning in done["warnings"]] == ["CancelledTooLate"]


@pytest.mark.parametrize("minute", range(20, 60, 5))
def test_at_any_minute_it_is_heard_once(lab: Lab, minute: int) -> None:
    lab.azure.job_takes = timedelta(hours=5)

    done = cancelled_after(lab, timedelta(minutes=minute))

    assert done["status"] == "Cancelled"
    assert lab.azure.calls["cancel_job"] == 1


def test_asked_twice_it_is_done_once(lab: Lab) -> None:
    restore = a_restore()
    lab.hub.start(RESTORE_VM, pack(restore), instance_id=restore.restore_id)
    lab.hub.run_until(timedelta(minutes=10))
    lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, BY)
    lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, {})

    assert lab.hub.finish(restore.restore_id)["status"] == "Cancelled"
    assert lab.azure.calls["cancel_job"] == 1


@pytest.mark.parametrize("look", range(1, 31))
def test_a_cancel_is_heard_at_once_wherever_in_a_history_it_comes(look: int) -> None:
    lab = Lab()
    lab.azure.job_takes = timedelta(hours=23)
    lab.azure.retry_after["get_job"] = 2000.0
    restore = a_restore()

    def cancel() -> None:
        lab.hub.raise_event(restore.restore_id, CANCEL_EVENT, {})

    lab.azure.before["get_job"] = [*[lambda: None] * (look - 1), cancel]
    lab.start(restore)
    lab.hub.run_until(lambda: lab.azure.calls["get_job"] == look)
    at = lab.azure.clock.now()
    lab.hub.run_until(lambda: lab.azure.calls["cancel_job"] == 1)

    assert lab.azure.clock.now() == at
