from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import AUTHORIZATION_FAILED, SERVICE_UNAVAILABLE, TerminalError, TransientError
from domain.recovery import calls
from domain.recovery.calls import MemberEnd, MemberRef, StillChoosing
from domain.recovery.machine import MEMBER_EVENT, decide, hear
from domain.recovery.parts import MemberStatus
from domain.restore.parts import Status
from domain.restore.steps import Wait
from tests.unit.domain.recovery.driving import CREATED, Driven, a_group, running

AWAY = TransientError(SERVICE_UNAVAILABLE, "It is away.")
TEN_MINUTES = timedelta(minutes=10)


class TestChoosing:
    def test_it_goes_on_with_the_progress_of_the_choice_and_after_the_wait(self) -> None:
        driven = Driven(a_group())
        first = driven.answer(StillChoosing(progress={"page": 1}))
        second = driven.call()

        assert isinstance(first, calls.ResolveRecovery)
        assert isinstance(second, calls.ResolveRecovery)
        assert (first.progress, second.progress) == (None, {"page": 1})

    def test_an_error_that_stays_ends_it_and_nothing_was_started(self) -> None:
        driven = Driven(a_group())
        driven.fail(TerminalError(AUTHORIZATION_FAILED, "No role."))

        assert driven.is_finished()
        assert driven.progress.status == "Failed"
        assert driven.document["error"]["code"] == AUTHORIZATION_FAILED

    def test_an_outage_ends_it_after_half_an_hour(self) -> None:
        driven = Driven(a_group())
        while not driven.progress.is_closed:
            driven.fail(AWAY)
            step = driven.step()
            driven.now = step.until if isinstance(step, Wait) else driven.now

        assert timedelta(minutes=30) <= driven.now - CREATED < timedelta(minutes=36)


class TestOrder:
    def test_a_group_starts_when_all_before_it_have_succeeded(self) -> None:
        driven = running(a_group(), a_group(), a_group(2, 0, 1))

        assert driven.progress.members == "RRPP"
        driven.end(0)
        assert driven.start() == []
        driven.end(1, status=Status.COMPLETED_WITH_WARNINGS)
        assert driven.start() == [2, 3]
        assert driven.statuses == ["Completed", "CompletedWithWarnings", "Running"]

    def test_a_failed_member_fails_its_group_when_all_have_ended_and_stops_what_comes_after(self) -> None:
        driven = running(a_group(2), a_group(1, 0), a_group())
        driven.end(0, status=Status.FAILED)

        assert driven.statuses[0] == "Running"
        driven.end(1)
        assert driven.start() == []
        assert (driven.statuses, driven.progress.status) == (["Failed", "Pending", "Running"], "Running")
        driven.end(3)
        assert driven.progress.status == "Failed"

    @pytest.mark.parametrize("status", [Status.FAILED, Status.TIMED_OUT, Status.CANCELLED, Status.REJECTED])
    def test_an_optional_group_lets_others_start_whatever_its_members_did(self, status: Status) -> None:
        driven = running(a_group(optional=True), a_group(1, 0)).end(0, status=status)

        assert driven.start() == [1]
        driven.end(1)
        assert (driven.statuses[0], driven.progress.status) == ("CompletedWithWarnings", "CompletedWithWarnings")

    def test_a_group_without_members_is_no_obstacle(self) -> None:
        driven = running(a_group(0), a_group(0, 0), a_group(1, 1))

        assert driven.progress.members == "R"
        assert driven.end(0).progress.status == "Completed"


class TestCaps:
    def test_max_running_and_the_size_of_a_call(self) -> None:
        driven = Driven(a_group(100), max_running=40).resolve()
        first, second = driven.answer(), driven.answer()

        assert isinstance(first, calls.StartMembers)
        assert isinstance(second, calls.StartMembers)
        assert (len(first.members), len(second.members)) == (25, 15)
        assert isinstance(driven.step(), Wait)
        assert driven.end(0, 1).start() == [40, 41]

    def test_each_vault_has_its_cap_and_members_of_unknown_vaults_share_one(self) -> None:
        driven = running(a_group(9), max_per_vault=2, vault_of=(0, 0, 0, 0, 1, -1, -1, -1, 1))

        assert driven.progress.members == "RRPPRRRPR"

    def test_the_vault_with_most_left_comes_first(self) -> None:
        driven = running(a_group(6), max_running=2, vault_of=(0, 1, 1, 1, 1, 0))

        assert driven.progress.members == "PRRPPP"

    def test_the_longest_chain_comes_first(self) -> None:
        driven = running(a_group(3), a_group(1), a_group(3, 1), a_group(3, 2), max_running=2)

        assert driven.progress.members == "RPPRPPPPPP"


class TestStarting:
    def test_what_is_being_started_counts_under_the_caps(self) -> None:
        driven = Driven(a_group(3), max_running=2).resolve()
        call = driven.call()

        assert driven.progress.members == "SSP"
        assert driven.call() == call

    def test_after_a_failure_the_same_members_are_started_again(self) -> None:
        driven = Driven(a_group(3), max_running=2).resolve()
        failed = driven.fail(AWAY)
        driven.passes(seconds=5)

        assert driven.call() == failed

    @pytest.mark.parametrize("command", ["pause", "cancel"])
    def test_once_paused_or_cancelled_it_asks_which_of_them_run(self, command: str) -> None:
        driven = Driven(a_group(3)).resolve()
        driven.fail(AWAY)
        driven.command(command)
        driven.check(
            ended=(MemberEnd(index=0, attempt=1, status=Status.COMPLETED, ended=driven.now),),
            missing=(MemberRef(index=1, attempt=1),),
        )

        assert driven.progress.members == {"pause": "CPR", "cancel": "CXR"}[command]

    def fails_for_half_an_hour(self, driven: Driven) -> None:
        while not isinstance(step := driven.step(), Wait) and isinstance(driven.call(), calls.StartMembers):
            driven.fail(AWAY)
            step = driven.step()
            driven.now = step.until if isinstance(step, Wait) else driven.now

    def test_members_that_could_not_be_started_for_half_an_hour_have_failed(self) -> None:
        driven = Driven(a_group(2)).resolve()
        self.fails_for_half_an_hour(driven)
        driven.check(missing=(MemberRef(index=0, attempt=1), MemberRef(index=1, attempt=1)))

        assert driven.now - CREATED >= timedelta(minutes=30)
        assert driven.progress.members == "FF"
        assert driven.document["failedMembers"][0]["code"] == SERVICE_UNAVAILABLE
        assert driven.command("retry").start() == [0, 1]

    def test_those_that_were_started_nevertheless_go_on(self) -> None:
        driven = Driven(a_group(2)).resolve()
        self.fails_for_half_an_hour(driven)
        driven.check(missing=(MemberRef(index=0, attempt=1),))

        assert driven.progress.members == "FR"
        assert driven.end(1).command("retry").start() == [0]

    def test_the_next_members_start_once_it_is_known_what_became_of_those(self) -> None:
        driven = Driven(a_group(3), max_running=2).resolve()
        self.fails_for_half_an_hour(driven)
        ends = tuple(MemberEnd(index=i, attempt=1, status=Status.COMPLETED, ended=driven.now) for i in range(2))
        driven.check(ended=ends)

        assert driven.start() == [2]

    def test_a_failure_before_a_pause_does_not_count_after_it(self) -> None:
        driven = Driven(a_group(2)).resolve()
        driven.fail(AWAY)
        driven.command("pause")
        driven.check(missing=(MemberRef(index=0, attempt=1), MemberRef(index=1, attempt=1)))
        driven.passes(hours=1).command("resume")
        driven.fail(AWAY)

        assert driven.progress.members == "SS"
        assert driven.waits_until() == timedelta(hours=1, seconds=5)


class TestEnds:
    def test_an_end_may_come_before_the_answer_of_the_start(self) -> None:
        driven = Driven(a_group(2)).resolve()
        call = driven.call()
        driven.end(0)
        driven.absorb(call, None)

        assert driven.progress.members == "CR"

    @pytest.mark.parametrize("status", [Status.FAILED, Status.COMPLETED])
    def test_only_the_first_end_of_an_attempt_counts(self, status: Status) -> None:
        driven = running(a_group(2)).end(0).end(0, status=status)

        assert driven.progress.members == "CR"

    def test_an_end_of_another_attempt_changes_nothing(self) -> None:
        driven = running(a_group(2)).end(0, attempt=2).end(1, attempt=0)

        assert driven.progress.members == "RR"

    def test_an_end_of_a_member_that_nobody_has_started_changes_nothing(self) -> None:
        driven = running(a_group(), a_group(1, 0)).end(1)

        assert driven.progress.members == "RP"

    @pytest.mark.parametrize(
        "data",
        [
            None,
            {},
            {"index": 0},
            {"index": 7, "attempt": 1, "status": "Failed", "ended": "2026-11-23T08:00:00Z"},
            {"index": -1, "attempt": 1, "status": "Failed", "ended": "2026-11-23T08:00:00Z"},
            {"index": 0, "attempt": 1, "status": "Odd", "ended": "2026-11-23T08:00:00Z"},
            {"index": 0, "attempt": 1, "status": "Running", "ended": "2026-11-23T08:00:00Z"},
            {"index": 0, "attempt": 1, "status": "Failed", "ended": "soon"},
        ],
    )
    def test_an_event_without_meaning_changes_nothing(self, data: object) -> None:
        driven = running(a_group(2))

        assert hear(driven.recovery, MEMBER_EVENT, data, driven.now) == driven.recovery


class TestChecks:
    def test_members_are_checked_every_ten_minutes_those_not_heard_of_for_longest_first(self) -> None:
        driven = running(a_group(60))
        assert driven.waits_until() == TEN_MINUTES
        driven.passes(minutes=10)

        first, second = driven.check(), driven.check()

        assert [ref.index for ref in first.members] == list(range(50))
        assert [ref.index for ref in second.members] == list(range(50, 60))
        assert driven.waits_until() == 2 * TEN_MINUTES

    def test_an_end_that_was_never_heard_of_is_found(self) -> None:
        driven = running(a_group(), a_group(1, 0)).passes(minutes=10)
        driven.check(ended=(MemberEnd(index=0, attempt=1, status=Status.COMPLETED, ended=driven.now),))

        assert driven.start() == [1]

    def test_a_member_without_a_restore_is_started_again_in_the_same_attempt(self) -> None:
        driven = running(a_group(2)).passes(minutes=10)
        driven.check(missing=(MemberRef(index=1, attempt=1),))

        call = driven.call()

        assert isinstance(call, calls.StartMembers)
        assert call.members == (MemberRef(index=1, attempt=1),)

    def test_its_end_counts_all_the_same_if_it_was_there(self) -> None:
        driven = running(a_group(2)).passes(minutes=10)
        driven.check(missing=(MemberRef(index=1, attempt=1),))

        assert driven.end(1).progress.members == "RC"

    def test_a_check_that_fails_is_made_again_and_hinders_no_start(self) -> None:
        driven = running(a_group(2), max_running=1).passes(minutes=10)
        driven.fail(AWAY)

        assert driven.waits_until() == TEN_MINUTES + timedelta(seconds=5)
        assert driven.end(0).start() == [1]


class TestStaysOpen:
    def test_a_recovery_that_failed_can_be_retried_for_seven_days(self) -> None:
        driven = running(a_group()).end(0, status=Status.FAILED)

        for _ in range(7):
            assert not driven.is_finished()
            driven.passes(days=1)
        assert driven.is_finished()
        assert driven.command("retry").is_finished()
        assert driven.progress.status == "Failed"

    def test_all_other_ends_are_final(self) -> None:
        driven = running(a_group()).end(0)

        assert driven.is_finished()
        assert driven.end(0, status=Status.FAILED).progress.members == MemberStatus.COMPLETED


class TestMembersThatWaitForAPerson:
    """Members whose disks are restored, and whose swap a person must approve."""

    def waiting(self) -> Driven:
        return running(a_group(3), max_running=2).passes(minutes=10).check_that_waits(0)

    def test_are_counted_so_and_so_is_the_recovery(self) -> None:
        driven = self.waiting()
        driven.step()

        assert driven.document["status"] == "AwaitingApproval"
        assert driven.document["counts"] == {"AwaitingApproval": 1, "Running": 1, "Pending": 1}
        assert driven.document["groups"][0]["status"] == "Running"
        assert "approve" not in driven.document["links"]  # each is approved by itself

    def test_count_under_the_caps(self) -> None:
        driven = self.waiting()

        assert driven.start() == []
        assert driven.end(1).start() == [2]

    def test_run_again_once_they_are_approved(self) -> None:
        driven = self.waiting().passes(minutes=10)
        driven.check()
        driven.step()

        assert (driven.progress.members, driven.document["status"]) == ("RRP", "Running")

    def test_say_so_themselves_and_that_they_go_on(self) -> None:
        driven = running(a_group(3), max_running=2).passes(minutes=1).hear_wait(0)
        driven.step()
        assert (driven.progress.members, driven.document["status"]) == ("ARP", "AwaitingApproval")

        driven.hear_wait(0).hear_wait(0, waits=False)
        driven.step()
        assert (driven.progress.members, driven.document["status"]) == ("RRP", "Running")

    def test_have_it_told_at_once(self) -> None:
        driven = running(a_group(1))
        for waits in (True, False):
            waiting = driven.step()
            assert isinstance(waiting, Wait)

            driven.hear_wait(0, waits=waits)

            assert decide(driven.recovery, driven.now) != waiting  # otherwise the wait would go on
            driven.step()
        published = [call for call in driven.made if isinstance(call, calls.PublishRecoveryEvents)]
        assert [change.status for call in published for change in call.changes][-2:] == ["AwaitingApproval", "Running"]

    @pytest.mark.parametrize("waits", [True, False])
    def test_are_not_believed_after_their_end_in_another_attempt_or_while_they_are_cancelled(self, waits: bool) -> None:
        driven = running(a_group(3)).end(0)
        driven.hear_wait(0, waits=waits).hear_wait(1, waits=waits, attempt=2)
        for index in (3, -1):  # none of its members
            driven.hear_wait(index, waits=waits)
        assert driven.progress.members == "CRR"

        driven.command("cancel").answer()
        driven.hear_wait(1, waits=waits)
        assert driven.progress.members == "CLL"

    def test_may_end_at_any_moment(self) -> None:
        driven = self.waiting().end(0, status=Status.REJECTED)

        assert driven.progress.members == "JRP"

    def test_are_cancelled_with_the_recovery(self) -> None:
        driven = self.waiting().command("cancel")
        call = driven.answer()

        assert isinstance(call, calls.CancelMembers)
        assert [ref.index for ref in call.members] == [0, 1]
        assert driven.progress.members == "LLX"
        driven.passes(minutes=10).check_that_waits(0)
        assert driven.progress.members == "LLX"  # the cancellation is on its way to it
