"""What persons are answered who tell a recovery what to do: applied, applied before, or why it does not fit."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from durabletask.client import OrchestrationStatus

from domain.errors import InvalidRequestError, TerminalError, TransientError
from domain.recovery.commands import Command
from domain.recovery.parts import MAX_ATTEMPTS
from domain.restore.parts import Approval, Status
from tests.unit.domain.recovery.driving import Driven, a_group, running
from tests.unit.triggers.recovery_hub import ID, DrivenHub
from triggers import recovery_commands

if TYPE_CHECKING:
    import azure.durable_functions as df

    from domain.errors import Json

GATE = timedelta(hours=2)


@pytest.fixture(autouse=True)
def _without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_commands, "answer_deadline", time.monotonic)


def give(hub: DrivenHub, command: str, recovery_id: str = ID, **instruction: str) -> Json:
    """Give a command; what follows from it at once is done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery_commands, "now", lambda: hub.driven.now)
        client = cast("df.DurableFunctionsClient", hub)
        document = asyncio.run(recovery_commands.give_command(client, recovery_id, Command(command), instruction))
    hub.driven.step()
    return document


def conflict(hub: DrivenHub, command: str, **instruction: str) -> str:
    """Return why a command does not fit; nothing is sent."""
    before = len(hub.sent)
    with pytest.raises(TerminalError) as caught:
        give(hub, command, **instruction)
    assert caught.value.code == "RequestConflict"
    assert len(hub.sent) == before
    return caught.value.message


def a_hub(*groups: Json, **members: Any) -> DrivenHub:
    return DrivenHub(running(*groups, recovery_id=ID, **members))


def failed() -> DrivenHub:
    """Return a recovery whose first group failed; the second waits for it, the third is independent and done."""
    hub = a_hub(a_group(2), a_group(1, 0), a_group(1))
    hub.driven.end(0, status=Status.FAILED).end(1, 3).step()
    return hub


def fail_until_the_last_attempt(hub: DrivenHub) -> None:
    """Retry the first group, whose first member fails each time, as often as that is possible."""
    for attempt in range(2, MAX_ATTEMPTS + 1):
        hub.driven.passes(minutes=1).command("retry", group="g0").start()
        hub.driven.end(0, status=Status.FAILED, attempt=attempt).step()


def waiting() -> DrivenHub:
    """Return a recovery with two groups that wait for a person."""
    return a_hub(a_group(1, approval_timeout=GATE), a_group(1, approval_timeout=GATE), a_group(1))


class TestPausing:
    def test_it_is_shown_with_who_did_it(self) -> None:
        hub = a_hub(a_group())

        shown = give(hub, "pause", by="ada", comment="look first")

        assert (shown["paused"]["by"], shown["paused"]["comment"]) == ("ada", "look first")
        assert shown["commands"] == [hub.sent[0]["id"]]
        assert {name: value for name, value in hub.sent[0].items() if name != "id"} == {
            "command": "pause",
            "by": "ada",
            "comment": "look first",
            "time": "2026-11-23T08:00:00Z",
        }

    def test_a_second_pause_is_answered_as_the_first(self) -> None:
        hub = a_hub(a_group())
        give(hub, "pause", by="ada")

        assert give(hub, "pause", by="bo")["paused"]["by"] == "ada"
        assert len(hub.sent) == 1

    def test_a_paused_recovery_is_resumed_once(self) -> None:
        hub = a_hub(a_group())
        give(hub, "pause")

        assert "paused" not in give(hub, "resume")
        assert "it is not paused, its status is Running" in conflict(hub, "resume")

    @pytest.mark.parametrize("command", ["pause", "resume"])
    def test_one_that_ended_while_it_was_paused_takes_neither(self, command: str) -> None:
        hub = a_hub(a_group())
        hub.driven.command("pause").end(0).step()
        assert hub.driven.document["status"] == "Completed"

        assert "it has ended as Completed. Start another recovery" in conflict(hub, command)

    def test_one_that_failed_and_is_not_paused_says_what_can_be_done(self) -> None:
        hub = failed()

        assert "it has ended as Failed. Retry or skip" in conflict(hub, "pause")
        assert "it is not paused, its status is Failed. Retry or skip" in conflict(hub, "resume")

    @pytest.mark.parametrize("command", ["pause", "resume", "cancel", "retry", "skip"])
    def test_a_recovery_that_has_ended_takes_no_command(self, command: str) -> None:
        hub = a_hub(a_group())
        hub.driven.end(0).step()

        assert "Completed" in conflict(hub, command)


class TestCancelling:
    def test_only_the_first_counts(self) -> None:
        hub = a_hub(a_group())

        assert give(hub, "cancel", by="ada")["cancellation"]["by"] == "ada"
        assert give(hub, "cancel", by="bo")["cancellation"]["by"] == "ada"
        assert len(hub.sent) == 1

    @pytest.mark.parametrize("command", ["pause", "retry", "skip", "approve", "reject"])
    def test_what_is_cancelled_takes_no_other_command(self, command: str) -> None:
        hub = a_hub(a_group())
        give(hub, "cancel")

        assert "it was cancelled" in conflict(hub, command, by="ada")


class TestRetryingAndSkipping:
    def test_failed_groups_are_retried(self) -> None:
        hub = failed()

        shown = give(hub, "retry")

        assert [group["status"] for group in shown["groups"]] == ["Running", "Pending", "Completed"]

    def test_a_group_that_has_not_failed_is_named(self) -> None:
        hub = failed()

        assert "the group g2 is Completed" in conflict(hub, "retry", group="G2")
        assert "the group g1 is Pending" in conflict(hub, "retry", group="g1")
        assert "the group g2 is Completed" in conflict(hub, "skip", group="g2")

    def test_a_group_that_waits_can_be_skipped_by_its_name(self) -> None:
        hub = failed()

        assert give(hub, "skip", group="G1")["groups"][1]["status"] == "Skipped"
        assert hub.sent[0]["group"] == "g1"

    @pytest.mark.parametrize("command", ["retry", "skip"])
    def test_where_nothing_failed_there_is_nothing_to_do(self, command: str) -> None:
        assert "no group has failed or was rejected" in conflict(a_hub(a_group()), command)

    @pytest.mark.parametrize("command", ["retry", "skip"])
    def test_a_dry_run_has_nothing_to_retry_or_skip(self, command: str) -> None:
        hub = a_hub(a_group(), dry_run=True)

        assert "it is a dry run" in conflict(hub, command)
        assert "cancellation" in give(hub, "cancel")

    @pytest.mark.parametrize("command", ["retry", "skip", "approve", "reject"])
    def test_a_group_that_the_plan_does_not_have_is_refused(self, command: str) -> None:
        hub = failed()

        with pytest.raises(InvalidRequestError, match="g0, g1, g2") as caught:
            give(hub, command, group="g9", by="ada")

        assert [detail.target for detail in caught.value.details] == ["group"]
        assert hub.sent == []

    @pytest.mark.parametrize("group", [{"group": "g0"}, {}])
    def test_a_retry_after_the_last_attempt_says_to_start_another_recovery(self, group: Json) -> None:
        hub = failed()
        fail_until_the_last_attempt(hub)
        assert "retry" not in hub.driven.document["links"]

        assert "had their 35 attempts. Start another recovery" in conflict(hub, "retry", **group)
        assert give(hub, "skip")["groups"][0]["status"] == "Skipped"

    def test_a_rejected_group_can_be_retried_beside_one_without_attempts(self) -> None:
        hub = a_hub(a_group(1), a_group(1, approval_timeout=GATE))
        give(hub, "reject", by="ada")
        hub.driven.end(0, status=Status.FAILED)
        fail_until_the_last_attempt(hub)

        assert "had their 35 attempts" in conflict(hub, "retry", group="g0")
        assert [group["status"] for group in give(hub, "retry")["groups"]] == ["Failed", "AwaitingApproval"]

    def test_what_has_not_started_is_skipped_by_name_alone(self) -> None:
        assert "skipped by its name" in conflict(a_hub(a_group(), a_group(1, 0)), "skip")

    def test_a_group_cannot_be_skipped_before_the_members_are_chosen(self) -> None:
        hub = DrivenHub(Driven(a_group(), recovery_id=ID))

        assert "its members are not chosen yet" in conflict(hub, "skip", group="g0")

    @pytest.mark.parametrize("command", ["retry", "skip"])
    def test_who_is_overtaken_by_another_person_is_told_so(self, command: str) -> None:
        hub = failed()
        hub.meanwhile = lambda: hub.driven.command("retry", by="bo").step()

        with pytest.raises(TerminalError, match="no group has failed or was rejected"):
            give(hub, command)

    def test_who_is_overtaken_by_another_persons_change_is_told_to_look(self) -> None:
        """Before the command arrives, the group was retried, and after that it has failed again."""
        hub = failed()
        hub.meanwhile = lambda: hub.driven.command("retry", by="bo").start()
        hub.after = lambda: hub.driven.end(0, status=Status.FAILED, attempt=2)

        with pytest.raises(TerminalError, match="changed at the same moment"):
            give(hub, "retry")


class TestDeciding:
    def test_a_group_is_approved_by_its_name(self) -> None:
        hub = waiting()

        shown = give(hub, "approve", group="G1", by="ada", comment="go")

        assert [group["status"] for group in shown["groups"]] == ["AwaitingApproval", "Running", "Running"]
        assert (shown["groups"][1]["approval"]["decision"], shown["groups"][1]["approval"]["by"]) == ("Approved", "ada")

    def test_without_a_name_all_that_wait_are_decided(self) -> None:
        shown = give(waiting(), "reject", by="ada")

        assert [group["status"] for group in shown["groups"]] == ["Rejected", "Rejected", "Running"]

    @pytest.mark.parametrize("by", ["ada", " ADA "])
    @pytest.mark.parametrize("group", [{"group": "g0"}, {}])
    def test_the_same_decision_by_the_same_person_is_answered_as_before(self, by: str, group: Json) -> None:
        hub = waiting()
        give(hub, "approve", by="ada")

        assert give(hub, "approve", by=by, **group)["groups"][0]["approval"]["by"] == "ada"
        assert len(hub.sent) == 1

    @pytest.mark.parametrize(("command", "by"), [("approve", "bo"), ("reject", "ada")])
    @pytest.mark.parametrize("group", [{"group": "g0"}, {}])
    def test_any_other_is_a_conflict_that_names_who_decided(self, command: str, by: str, group: Json) -> None:
        hub = waiting()
        give(hub, "approve", by="ada")

        assert "decided before: Approved at 2026-11-23T08:00:00Z by ada" in conflict(hub, command, by=by, **group)

    @pytest.mark.parametrize("group", ["g0", None])
    def test_a_decision_that_comes_too_late_is_a_conflict(self, group: str | None) -> None:
        hub = waiting()
        hub.driven.passes(hours=3)

        assert "it could be decided until 2026-11-23T10:00:00Z" in conflict(
            hub, "approve", by="ada", **({"group": group} if group else {})
        )

    def test_a_decision_that_nobody_made_in_time_names_nobody(self) -> None:
        hub = waiting()
        hub.driven.passes(hours=3).step()

        assert "decided before: TimedOut at 2026-11-23T11:00:00Z by nobody" in conflict(hub, "approve", by="ada")

    def test_one_that_ended_before_anybody_decided_is_not_decided_any_more(self) -> None:
        hub = DrivenHub(Driven(a_group(), recovery_id=ID))
        progress = {"approval": Approval(reason="ask"), "error": {"code": "x", "message": "y"}}
        hub.driven.recovery = hub.driven.recovery.with_progress(**progress)
        hub.driven.step()

        assert "it has ended as Failed. Start another recovery" in conflict(hub, "approve", by="ada")

    def test_a_group_without_a_gate_waits_for_nobody(self) -> None:
        assert "the group g2 does not wait for an approval now" in conflict(waiting(), "approve", group="g2", by="ada")
        assert "no approval is needed" in conflict(a_hub(a_group()), "approve", by="ada")

    def test_the_swaps_of_members_are_decided_one_by_one(self) -> None:
        hub = a_hub(a_group(2))
        hub.driven.passes(minutes=10).check_that_waits(0)

        assert "members?status=AwaitingApproval" in conflict(hub, "approve", by="ada")

    def test_who_is_overtaken_by_another_decision_is_told_so(self) -> None:
        hub = a_hub(a_group(1, approval_timeout=GATE))
        hub.meanwhile = lambda: hub.driven.command("reject", by="bo")

        with pytest.raises(TerminalError, match=r"decided before: Rejected at .* by bo"):
            give(hub, "approve", by="ada")


class TestDelivery:
    def test_a_recovery_that_is_not_there_is_not_found(self) -> None:
        with pytest.raises(TerminalError) as caught:
            give(a_hub(a_group()), "pause", recovery_id="other")
        assert caught.value.code == "NotFound"

    def test_the_last_document_is_the_answer_if_the_command_is_not_heard_in_time(self) -> None:
        hub = a_hub(a_group())
        hub.is_deaf = True

        assert "paused" not in give(hub, "pause")
        assert len(hub.sent) == 1

    @pytest.mark.parametrize("command", ["pause", "cancel"])
    def test_who_is_overtaken_by_the_end_is_told_so(self, command: str) -> None:
        hub = a_hub(a_group())
        hub.meanwhile = lambda: hub.driven.end(0).step()

        with pytest.raises(TerminalError, match="it has ended as Completed"):
            give(hub, command)

    def test_a_command_that_the_task_hub_refuses_is_an_error(self) -> None:
        class Refusing(DrivenHub):
            async def raise_orchestration_event(self, *_: Any, **__: Any) -> None:
                nothing = grpc.aio.Metadata()
                raise grpc.aio.AioRpcError(grpc.StatusCode.FAILED_PRECONDITION, nothing, nothing)

        with pytest.raises(TransientError, match="Send the same request again"):
            give(Refusing(running(a_group(), recovery_id=ID)), "pause")

    @pytest.mark.parametrize(
        ("status", "shown"), [(OrchestrationStatus.TERMINATED, "Cancelled"), (OrchestrationStatus.FAILED, "Failed")]
    )
    def test_one_whose_orchestration_was_stopped_has_ended(self, status: OrchestrationStatus, shown: str) -> None:
        hub = a_hub(a_group())
        hub.status = status

        assert f"it has ended as {shown}" in conflict(hub, "pause")

    def test_one_that_waits_for_the_choice_of_its_members_can_be_cancelled(self) -> None:
        hub = DrivenHub(Driven(a_group(), recovery_id=ID))

        assert "cancellation" in give(hub, "cancel")
