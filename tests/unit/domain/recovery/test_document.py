from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.codec import unpack
from domain.errors import RestoreWarning
from domain.recovery.custom_status import MAX_CUSTOM_STATUS, custom_status, shown_progress
from domain.recovery.document import document
from domain.recovery.parts import GroupProgress, GroupStatus, Instruction, MemberFailure, RecoveryStatus, ShownProgress
from domain.restore.parts import Approval, Decision, Status
from tests.unit.domain.recovery.driving import CREATED, Driven, a_group, running

GATE = {"approval_timeout": timedelta(hours=2)}
LONG = "Zoë 🙂 " * 40


class TestDocument:
    def test_before_the_choice_it_says_what_was_asked_for(self) -> None:
        driven = Driven(
            a_group(), a_group(1, 0, optional=True), request_id="order-1", requested_by="ann", reason="fire"
        )

        assert document(driven.recovery.accepted, None, CREATED) == {
            "id": "r",
            "status": "Pending",
            "plan": "shop",
            "requestId": "order-1",
            "requestedBy": "ann",
            "reason": "fire",
            "startedBy": "http",
            "dryRun": False,
            "createdTime": "2026-11-23T08:00:00Z",
            "lastUpdatedTime": "2026-11-23T08:00:00Z",
            "completedTime": None,
            "predictedEnd": None,
            "criticalPath": [],
            "counts": {},
            "groups": [
                {
                    "name": "g0",
                    "after": [],
                    "optional": False,
                    "status": "Pending",
                    "counts": {},
                    "started": None,
                    "ended": None,
                    "waitingFor": [],
                },
                {
                    "name": "g1",
                    "after": ["g0"],
                    "optional": True,
                    "status": "Pending",
                    "counts": {},
                    "started": None,
                    "ended": None,
                    "waitingFor": ["g0"],
                },
            ],
            "measured": {"rpo": {"worst": None}, "rto": None},
            "waiting": None,
            "result": None,
            "error": None,
            "warnings": [],
            "links": {
                "self": "/api/recoveries/r",
                "members": "/api/recoveries/r/members",
                "pause": "/api/recoveries/r/pause",
                "cancel": "/api/recoveries/r/cancel",
            },
        }

    def test_it_counts_members_by_status_in_all_and_in_each_group(self) -> None:
        driven = running(a_group(3), a_group(2, 0)).end(0).end(1, status=Status.TIMED_OUT)

        assert driven.document["counts"] == {"Pending": 2, "Running": 1, "Completed": 1, "TimedOut": 1}
        assert [group["counts"] for group in driven.document["groups"]] == [
            {"Running": 1, "Completed": 1, "TimedOut": 1},
            {"Pending": 2},
        ]

    def test_groups_have_their_times_and_what_they_wait_for(self) -> None:
        driven = running(a_group(), a_group(1, 0), a_group(1, 0, 1)).passes(minutes=40).end(0)
        first, second, third = driven.document["groups"]

        assert (first["started"], first["ended"]) == ("2026-11-23T08:00:00Z", "2026-11-23T08:40:00Z")
        assert (second["started"], second["waitingFor"]) == ("2026-11-23T08:40:00Z", [])
        assert (third["started"], third["waitingFor"]) == (None, ["g1"])

    def test_it_measures_the_oldest_point_and_the_time_to_the_end(self) -> None:
        driven = running(a_group(3)).passes(minutes=40)
        driven.end(0, point_time=CREATED - timedelta(hours=5)).end(1, point_time=CREATED - timedelta(hours=30))
        driven.end(2, status=Status.FAILED, point_time=CREATED - timedelta(hours=90))

        assert driven.document["measured"] == {"rpo": {"worst": "PT30H"}, "rto": "PT40M"}

    def test_failed_members_have_their_group_and_reason(self) -> None:
        driven = running(a_group(2), a_group(2)).end(2, status=Status.FAILED, code="RequestConflict", message="Locked.")

        assert driven.document["failedMembers"] == [
            {"index": 2, "group": "g1", "code": "RequestConflict", "message": "Locked."}
        ]

    def test_commands_that_were_applied_are_named(self) -> None:
        assert len(running(a_group()).command("pause").document["commands"]) == 1


class TestDryRun:
    def test_all_members_are_checked_at_once_and_the_order_is_told(self) -> None:
        driven = Driven(a_group(1, **GATE), a_group(2, 0), a_group(1, 0), dry_run=True).resolve()

        assert driven.start() == [0, 1, 2, 3]
        driven.end(0, 1, 2, 3, status=Status.PLANNED)
        assert driven.is_finished()
        assert driven.document["status"] == "Planned"
        assert driven.document["result"] == {"order": [["g0"], ["g1", "g2"]], "duration": "PT1H2M"}
        assert driven.document["measured"]["rto"] is None

    def test_caps_count(self) -> None:
        assert running(a_group(9), dry_run=True, max_running=2).progress.members.count("R") == 2

    @pytest.mark.parametrize(("optional", "status"), [(False, "Failed"), (True, "Planned")])
    def test_it_fails_if_a_member_of_a_group_that_is_needed_would_fail(self, optional: bool, status: str) -> None:
        driven = running(a_group(2, optional=optional), dry_run=True)
        driven.end(0, status=Status.PLANNED).end(1, status=Status.FAILED, code="NoMatchingRecoveryPoint")

        assert driven.is_finished()
        assert driven.document["status"] == status
        assert driven.document["result"]["duration"] == "PT31M"
        assert driven.document["failedMembers"][0]["code"] == "NoMatchingRecoveryPoint"

    def test_one_that_is_cancelled_has_no_result(self) -> None:
        driven = running(a_group(), dry_run=True).command("cancel").end(0, status=Status.CANCELLED)

        assert driven.is_finished()
        assert (driven.document["status"], driven.document["result"]) == ("Cancelled", None)


class TestLinks:
    def links(self, driven: Driven) -> set[str]:
        return set(driven.document["links"]) - {"self", "members"}

    def test_only_what_can_be_used(self) -> None:
        driven = running(a_group(), a_group(1, 0), a_group(1, **GATE))
        assert self.links(driven) == {"pause", "cancel", "skip", "approve", "reject"}

        driven.command("pause")
        assert self.links(driven) == {"resume", "cancel", "skip", "approve", "reject"}
        driven.command("resume").passes(hours=2, seconds=1)
        assert self.links(driven) == {"pause", "cancel", "skip"}
        driven.end(0, status=Status.FAILED).step()
        assert self.links(driven) == {"cancel", "retry", "skip"}
        driven.command("cancel")
        assert self.links(driven) == set()

    def test_a_dry_run_can_only_be_paused_and_cancelled(self) -> None:
        assert self.links(running(a_group(), dry_run=True)) == {"pause", "cancel"}

    def test_nothing_can_be_done_after_the_end(self) -> None:
        assert self.links(running(a_group()).end(0)) == set()


class TestCustomStatus:
    def test_the_document_is_made_from_it_and_from_what_was_accepted(self) -> None:
        driven = running(a_group(2), a_group(1, 0, **GATE)).passes(minutes=5).end(0)
        driven.end(1, point_time=CREATED - timedelta(hours=5)).passes(minutes=5).command("approve", by="ann")
        read: ShownProgress = unpack(ShownProgress, json.loads(json.dumps(custom_status(driven.recovery))))

        assert document(driven.recovery.accepted, read, driven.now) == driven.document

    def test_it_fits_whatever_persons_and_azure_write(self) -> None:
        names = [f"{'x' * 76}-{index:02}" for index in range(50)]
        driven = running(*(a_group(20, name=name, **GATE) for name in names))
        approval = Approval(
            reason=LONG, expires=CREATED, decision=Decision.TIMED_OUT, by=LONG, comment=LONG, time=driven.now
        )
        group = GroupProgress(
            status=GroupStatus.COMPLETED_WITH_WARNINGS,
            started=CREATED + timedelta(days=29),
            ended=CREATED + timedelta(days=30),
            approval=replace(approval, expires=CREATED + timedelta(days=30), time=CREATED + timedelta(days=30)),
        )
        progress = replace(
            driven.progress,
            status=RecoveryStatus.COMPLETED_WITH_WARNINGS,
            attempts="12" * 500,
            groups=(group,) * 50,
            approval=approval,
            paused=Instruction(by=LONG, comment=LONG, time=CREATED),
            cancellation=Instruction(by=LONG, comment=LONG, time=CREATED),
            commands=tuple("y" * 62 + f"{index:02}" for index in range(20)),
            predicted_end=CREATED,
            oldest_point=CREATED,
            failures=tuple(MemberFailure(index=index, code=LONG, message=LONG) for index in range(50)),
            completed=CREATED,
            is_closed=True,
            error={"code": "RestoreFailed", "message": LONG * 20, "details": [{"code": "c", "message": LONG}] * 100},
            warnings=tuple(RestoreWarning(code=f"c{index}", message=LONG) for index in range(20)),
        )
        worst = replace(driven.recovery, progress=progress)

        written = custom_status(worst)
        read: ShownProgress = unpack(ShownProgress, json.loads(json.dumps(written)))

        assert len(json.dumps(written)) <= MAX_CUSTOM_STATUS
        assert (read.members, read.attempts, read.cut) == (progress.members, progress.attempts, True)
        assert {known.decision for known in read.approvals.values()} == {Decision.TIMED_OUT}
        assert document(worst.accepted, read, driven.now)["groups"][49]["ended"] == "2026-12-23T08:00:00Z"

    def test_nothing_is_cut_that_has_room(self) -> None:
        driven = running(a_group(1000))
        driven.end(0, status=Status.FAILED, code="RestoreFailed", message=LONG)

        assert unpack(ShownProgress, custom_status(driven.recovery)) == shown_progress(driven.recovery)
