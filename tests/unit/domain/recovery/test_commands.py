from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import SERVICE_UNAVAILABLE, TransientError
from domain.recovery import calls
from domain.recovery.calls import MemberRef
from domain.recovery.machine import COMMAND_EVENT, hear
from domain.recovery.parts import MAX_ATTEMPTS
from domain.restore.parts import Status
from domain.restore.steps import Wait
from tests.unit.domain.recovery.driving import Driven, a_group, running

GATE = {"approval_timeout": timedelta(hours=2)}


class TestPause:
    def test_nothing_new_starts_and_what_runs_goes_on(self) -> None:
        driven = running(a_group(2), a_group(1, 0), max_running=1).command("pause", by="ann", comment="lunch").end(0)

        assert driven.start() == []
        assert driven.progress.status == "Paused"
        assert driven.document["paused"] == {"by": "ann", "comment": "lunch", "time": "2026-11-23T08:00:00Z"}
        assert driven.command("resume").start() == [1]
        assert driven.progress.status == "Running"

    def test_no_group_begins_during_a_pause(self) -> None:
        driven = running(a_group(), a_group(1, 0)).command("pause").end(0)

        assert (driven.statuses, driven.progress.status) == (["Completed", "Pending"], "Paused")
        assert driven.command("resume").start() == [1]

    def test_a_pause_before_the_choice_is_shown_and_ends_with_a_resume(self) -> None:
        driven = Driven(a_group()).command("pause")
        driven.step()
        assert driven.document["status"] == "Paused"

        driven.command("resume").step()

        assert driven.document["status"] == "Pending"
        assert driven.resolve().start() == [0]
        assert driven.document["status"] == "Running"

    def test_a_pause_before_the_choice_keeps_everything_from_starting(self) -> None:
        driven = Driven(a_group()).command("pause").resolve()

        assert driven.start() == []
        assert driven.waits_until() == timedelta(days=1)


class TestCancel:
    def test_what_has_not_started_is_cancelled_at_once_and_what_runs_is_followed_to_its_end(self) -> None:
        driven = running(a_group(2), a_group(1, 0), a_group(1, 1), max_running=1)
        driven.command("cancel", by="ann", comment="drill over")

        assert driven.progress.members == "RXXX"
        assert driven.statuses == ["Running", "Cancelled", "Cancelled"]
        call = driven.answer()
        assert call == calls.CancelMembers(
            recovery_id="r", members=(MemberRef(index=0, attempt=1),), by="ann", comment="drill over"
        )
        assert isinstance(driven.step(), Wait)
        assert driven.progress.status == "Running"
        driven.end(0, status=Status.CANCELLED)
        assert (driven.statuses[0], driven.progress.status) == ("Cancelled", "Cancelled")
        assert driven.is_finished()

    def test_a_start_in_flight_is_cancelled_after_its_answer(self) -> None:
        driven = running(a_group(3), max_running=2)
        driven.end(0)
        call = driven.call()
        driven.command("cancel")
        driven.absorb(call, None)

        cancel = driven.call()

        assert isinstance(cancel, calls.CancelMembers)
        assert [ref.index for ref in cancel.members] == [1, 2]

    def test_a_cancel_that_fails_is_sent_again(self) -> None:
        driven = running(a_group()).command("cancel")
        call = driven.fail(TransientError(SERVICE_UNAVAILABLE, "It is away."))
        driven.passes(seconds=5)

        assert driven.call() == call

    def test_it_may_come_too_late(self) -> None:
        driven = running(a_group()).command("cancel").end(0)

        assert driven.progress.status == "Completed"

    def test_before_the_choice_it_ends_all(self) -> None:
        driven = Driven(a_group())
        call = driven.call()
        driven.command("cancel")
        driven.absorb(call, driven.resolution)

        assert driven.is_finished()
        assert driven.progress.status == "Cancelled"
        assert [group["status"] for group in driven.document["groups"]] == ["Cancelled"]

    def test_a_failed_recovery_can_be_cancelled_and_ends(self) -> None:
        driven = running(a_group(), a_group(1, 0)).end(0, status=Status.FAILED).passes(hours=1).command("cancel")

        assert driven.is_finished()
        assert driven.statuses == ["Failed", "Cancelled"]
        assert driven.document["completedTime"] == "2026-11-23T09:00:00Z"

    def test_nothing_can_be_retried_after_it(self) -> None:
        driven = running(a_group(), a_group()).end(0, status=Status.FAILED).command("cancel").command("retry")

        assert driven.progress.members == "FR"


class TestRetry:
    def test_failed_members_start_again_in_their_next_attempt_and_others_stay_as_they_are(self) -> None:
        driven = running(a_group(3), a_group(1, 0)).end(0).end(1, status=Status.FAILED).end(2, status=Status.CANCELLED)
        driven.command("retry")

        call = driven.answer()

        assert isinstance(call, calls.StartMembers)
        assert call.members == (MemberRef(index=1, attempt=2), MemberRef(index=2, attempt=2))
        assert "failedMembers" not in driven.document
        driven.end(1, 2).end(1, 2, attempt=2)
        assert driven.start() == [3]

    def test_the_late_end_of_the_first_attempt_does_not_count(self) -> None:
        driven = running(a_group()).end(0, status=Status.FAILED).command("retry")
        driven.start()

        assert driven.end(0, attempt=1).progress.members == "R"

    def test_a_group_can_be_named(self) -> None:
        driven = running(a_group(), a_group()).end(0, 1, status=Status.FAILED).command("retry", group="G1")

        assert driven.start() == [1]
        assert driven.statuses == ["Failed", "Running"]

    def test_it_works_while_other_groups_run(self) -> None:
        driven = running(a_group(), a_group()).end(0, status=Status.FAILED).command("retry")

        assert driven.start() == [0]

    def test_the_same_command_counts_once(self) -> None:
        driven = running(a_group()).end(0, status=Status.FAILED).command("retry")
        driven.start()
        driven.end(0, status=Status.FAILED, attempt=2).command("retry")

        assert driven.start() == []
        assert driven.progress.commands == ("retry 2026-11-23 08:00:00+00:00 None",)

    def test_a_member_has_a_last_attempt(self) -> None:
        driven = running(a_group())
        for attempt in range(1, MAX_ATTEMPTS + 1):
            driven.end(0, status=Status.FAILED, attempt=attempt).passes(seconds=1).command("retry")
            assert driven.start() == ([0] if attempt < MAX_ATTEMPTS else [])

    def test_what_has_succeeded_is_not_retried(self) -> None:
        driven = running(a_group(optional=True), a_group()).end(0, status=Status.FAILED).command("retry", group="g0")

        assert driven.progress.members == "FR"


class TestSkip:
    def test_what_comes_after_a_failed_group_starts(self) -> None:
        driven = running(a_group(), a_group(1, 0)).end(0, status=Status.FAILED).command("skip")

        assert driven.start() == [1]
        driven.end(1)
        assert (driven.statuses, driven.progress.status) == (["Skipped", "Completed"], "CompletedWithWarnings")

    def test_a_pending_group_is_skipped_only_by_name(self) -> None:
        driven = running(a_group(), a_group(1, 0), a_group(1, 1)).command("skip")
        assert driven.statuses == ["Running", "Pending", "Pending"]

        driven.passes(seconds=1).command("skip", group="g1")

        assert driven.progress.members == "RKP"
        assert driven.start() == []
        assert driven.document["groups"][2]["waitingFor"] == ["g1"]
        assert driven.end(0).start() == [2]

    def test_a_running_group_is_not_skipped(self) -> None:
        driven = running(a_group()).command("skip", group="g0")

        assert driven.statuses == ["Running"]


class TestApproval:
    def test_a_group_with_a_gate_waits_for_a_person(self) -> None:
        driven = running(a_group(), a_group(1, 0, **GATE)).end(0)

        assert driven.waits_until() == timedelta(hours=2)
        assert driven.progress.status == "AwaitingApproval"
        driven.passes(hours=1).command("approve", by="ann")
        assert driven.start() == [1]
        assert driven.document["groups"][1]["approval"]["by"] == "ann"

    def test_other_groups_go_on_meanwhile(self) -> None:
        driven = running(a_group(1, **GATE), a_group(), a_group(1, 1))

        assert driven.progress.members == "PRP"
        assert driven.end(1).start() == [2]
        assert driven.progress.status == "AwaitingApproval"

    @pytest.mark.parametrize("command", [None, "approve", "reject"])
    def test_a_gate_that_nobody_opens_in_time_is_closed(self, command: str | None) -> None:
        driven = running(a_group(1, **GATE)).passes(hours=2, seconds=1)
        if command:
            driven.command(command, by="ann")

        driven.step()

        assert (driven.statuses, driven.progress.status) == (["Rejected"], "Failed")
        assert driven.document["groups"][0]["approval"]["decision"] == "TimedOut"

    def test_a_rejected_group_is_asked_for_again_by_a_retry(self) -> None:
        driven = running(a_group(1, **GATE)).command("reject", by="ann", comment="not now")
        assert (driven.statuses, driven.progress.status) == (["Rejected"], "Failed")

        driven.passes(hours=5).command("retry")

        assert driven.waits_until() == timedelta(hours=7)
        assert driven.command("approve").start() == [0]

    def test_a_rejected_group_can_be_skipped(self) -> None:
        driven = running(a_group(1, **GATE), a_group(1, 0)).command("reject").command("skip")

        assert driven.start() == [1]

    def test_nobody_is_asked_about_a_group_any_more_that_was_skipped(self) -> None:
        driven = running(a_group(1, **GATE), a_group(1, **GATE)).command("skip", group="g0").command("reject")

        assert driven.statuses == ["Skipped", "Rejected"]
        assert not {"approve", "reject"} & driven.document["links"].keys()
        assert "approval" not in driven.document["groups"][0]

    def test_one_of_several_can_be_named(self) -> None:
        driven = running(a_group(1, **GATE), a_group(1, **GATE)).command("approve", group="g1")

        assert driven.start() == [1]
        assert driven.statuses == ["AwaitingApproval", "Running"]


class TestForm:
    @pytest.mark.parametrize(
        "data", [None, [], {}, {"id": 7, "command": "pause"}, {"id": "x" * 65, "command": "pause"}]
    )
    def test_a_command_without_an_id_changes_nothing(self, data: object) -> None:
        driven = running(a_group())

        assert hear(driven.recovery, COMMAND_EVENT, data, driven.now) == driven.recovery

    def test_one_that_is_not_known_is_noted_and_changes_nothing_else(self) -> None:
        driven = running(a_group()).command("explode")

        assert driven.progress.commands
        assert driven.progress.status == "Running"

    def test_the_last_twenty_ids_are_kept(self) -> None:
        driven = running(a_group())
        for _ in range(25):
            driven.passes(seconds=1).command("resume")

        assert len(driven.progress.commands) == 20
