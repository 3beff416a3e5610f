from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from tests.support.azure import LIMITS, a_restore, an_alert_start
from tests.support.hub import START
from tests.support.player import Player

if TYPE_CHECKING:
    from domain.errors import Json


APPROVAL = {"required": True, "timeout": "PT30M"}
ADA = {"decision": "Approved", "by": "ada", "comment": "go"}


def waiting(player: Player, *, validate: bool = False) -> str:
    """Play a restore until it waits for a person; returns its id."""
    restore_id = player.start(a_restore(approval=APPROVAL, validate=validate))
    player.reach(restore_id, "AwaitingApproval")
    return restore_id


def test_it_waits_with_everything_checked_and_nothing_started(player: Player) -> None:
    document = player.document(waiting(player, validate=True))

    assert document["phase"] == "AwaitingApproval"
    assert document["recoveryPoint"]["id"] == "1103996678573089"
    assert player.azure.calls["get_validation"] == 1
    assert player.azure.bodies == []
    approval = document["approval"]
    assert approval["expires"] == document["nextPollTime"]
    assert {name: approval[name] for name in ("required", "timeout", "decision", "by", "comment", "time")} == {
        "required": True,
        "timeout": "PT30M",
        "decision": None,
        "by": None,
        "comment": None,
        "time": None,
    }


def test_approved_it_goes_on_at_once_and_the_decision_stays_in_sight(player: Player) -> None:
    restore_id = waiting(player)
    player.run_until(timedelta(minutes=7))
    at = player.clock.now()

    player.say(DECISION_EVENT, ADA, restore_id)
    done = player.finish(restore_id)

    assert done["status"] == "Completed"
    assert player.azure.jobs[0].made == at
    shown = {name: done["approval"][name] for name in ("decision", "by", "comment", "time")}
    assert shown == {**ADA, "time": at.isoformat().replace("+00:00", "Z")}
    assert player.receivers.published == [done]


@pytest.mark.parametrize(
    "junk",
    [
        None,
        {},
        "yes",
        {"decision": "TimedOutish"},
        {"decision": None},
        [1],
        {"decision": "Approved", "before": ["Swap"]},
    ],
)
def test_what_is_no_decision_leaves_the_wait_for_one_open(player: Player, junk: object) -> None:
    restore_id = waiting(player)

    player.say(DECISION_EVENT, junk, restore_id)
    player.run_until(timedelta(minutes=1))
    player.say(DECISION_EVENT, ADA, restore_id)

    assert player.finish(restore_id)["status"] == "Completed"


def test_rejected_it_ends_and_nothing_was_started(player: Player) -> None:
    restore_id = waiting(player)

    player.say(DECISION_EVENT, {"decision": "Rejected", "by": "bo", "comment": "not now"}, restore_id)
    done = player.finish(restore_id)

    assert (done["status"], done["error"]["code"]) == ("Rejected", "Rejected")
    assert done["error"]["message"] == "The restore was rejected by bo (not now). Nothing was started."
    assert done["approval"]["decision"] == "Rejected"
    assert player.azure.bodies == []
    assert player.receivers.published == [done]


def test_without_an_answer_it_is_rejected_after_the_time_out(player: Player) -> None:
    restore_id = waiting(player)
    since = player.clock.now()
    done = player.finish(restore_id)

    assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
    assert player.clock.now() - since == timedelta(minutes=30)
    assert done["approval"]["decision"] == "TimedOut"
    assert player.azure.bodies == []


def test_a_decision_that_comes_too_late_is_none(player: Player) -> None:
    restore_id = waiting(player)
    player.clock.advance(timedelta(hours=5))  # no worker was there meanwhile

    player.say(DECISION_EVENT, ADA, restore_id)

    done = player.finish(restore_id)
    assert done["error"]["code"] == "ApprovalTimedOut"
    assert (done["approval"]["decision"], done["approval"]["by"]) == ("TimedOut", None)
    assert player.azure.bodies == []


@pytest.mark.parametrize("said", [{}, "Approved", None, {"decision": "approve"}, {"decision": ["Approved"]}])
def test_words_that_are_no_decision_approve_nothing(player: Player, said: object) -> None:
    restore_id = waiting(player)
    player.say(DECISION_EVENT, said, restore_id)

    assert player.finish(restore_id)["status"] == "Rejected"
    assert player.azure.bodies == []


@pytest.mark.parametrize(
    "by", ["Bo", " bo ", "\uff22\uff2f", "b\u200bo", "bo\u2060", "\ufeffbo", "bo\u3164", "", "  ", "\u2800", None]
)
def test_an_approval_by_the_requester_is_none_where_another_person_must_approve(player: Player, by: str | None) -> None:
    restore_id = player.start(a_restore(requestedBy="bo", approval={**APPROVAL, "distinct": True}))
    player.reach(restore_id, "AwaitingApproval")

    player.say(DECISION_EVENT, {"decision": "Approved", "by": by}, restore_id)
    player.run_until(timedelta(minutes=1))
    assert player.document(restore_id)["approval"]["decision"] is None
    assert player.azure.bodies == []

    player.say(DECISION_EVENT, ADA, restore_id)
    assert player.finish(restore_id)["approval"]["by"] == "ada"


@pytest.mark.parametrize("distinct", [True, False])
def test_the_requester_may_reject_and_where_nothing_else_is_said_approve(player: Player, distinct: bool) -> None:
    restore_id = player.start(a_restore(requestedBy="bo", approval={**APPROVAL, "distinct": distinct}))
    player.reach(restore_id, "AwaitingApproval")

    player.say(DECISION_EVENT, {"decision": "Rejected" if distinct else "Approved", "by": "bo"}, restore_id)

    done = player.finish(restore_id)
    assert (done["status"], done["approval"]["distinct"]) == ("Rejected" if distinct else "Completed", distinct)


def test_four_hours_are_waited_when_no_time_out_is_given(player: Player) -> None:
    done = player.run(a_restore(approval={"required": True}))

    assert done["error"]["code"] == "ApprovalTimedOut"
    assert timedelta(hours=4) <= player.clock.now() - START.astimezone() <= timedelta(hours=4, minutes=1)


@pytest.mark.parametrize("later", [{"decision": "Rejected"}, {"decision": "Approved", "by": "eve"}])
def test_the_first_decision_counts(player: Player, later: Json) -> None:
    restore_id = waiting(player)

    player.say(DECISION_EVENT, ADA, restore_id)
    player.say(DECISION_EVENT, later, restore_id)
    done = player.finish(restore_id)

    assert (done["status"], done["approval"]["by"]) == ("Completed", "ada")


def test_an_early_approval_is_good_and_cuts_no_wait_that_azure_asked_for(player: Player) -> None:
    restore_id = player.start(a_restore(approval=APPROVAL, validate=True))
    player.run_until(lambda: player.azure.calls["trigger_validation"] == 1)
    at = player.clock.now()
    player.say(DECISION_EVENT, ADA, restore_id)
    player.run_until(timedelta(seconds=5))
    assert player.document(restore_id)["approval"]["decision"] == "Approved"  # whoever comes next must see it

    player.run_until(lambda: player.azure.calls["get_validation"] == 1)
    assert player.clock.now() - at == timedelta(seconds=10)
    done = player.finish(restore_id)
    assert done["status"] == "Completed"
    assert "AwaitingApproval" not in [shown["status"] for shown in player.shown()]


def test_an_early_rejection_ends_it_at_once(player: Player) -> None:
    restore_id = player.start(a_restore(approval=APPROVAL, validate=True))
    player.run_until(lambda: player.azure.calls["trigger_validation"] == 1)
    at = player.clock.now()
    player.say(DECISION_EVENT, {"decision": "Rejected"}, restore_id)

    assert player.finish(restore_id)["status"] == "Rejected"
    assert player.clock.now() == at
    assert player.azure.calls["get_validation"] == 0


def test_a_cancelled_wait_is_cancelled(player: Player) -> None:
    restore_id = waiting(player)
    player.say(CANCEL_EVENT, {"by": "bo"}, restore_id)

    assert player.finish(restore_id)["status"] == "Cancelled"
    assert player.azure.bodies == []


def test_waiting_does_not_count_towards_the_deadline(player: Player) -> None:
    limits = type(LIMITS)(job_poll_min_s=15, job_poll_max_s=60, deadline_s=3600, adoption_window_s=120)
    restore_id = player.start(a_restore(limits, approval={"required": True, "timeout": "P2D"}))
    player.reach(restore_id, "AwaitingApproval")
    player.run_until(timedelta(hours=30))

    assert player.document(restore_id)["status"] == "AwaitingApproval"
    player.azure.job_takes = timedelta(days=9)
    player.say(DECISION_EVENT, ADA, restore_id)
    at = player.clock.now()
    assert player.finish(restore_id)["status"] == "TimedOut"
    assert player.clock.now() - at == timedelta(hours=1)


def test_a_plan_waits_for_nobody() -> None:
    assert Player().run(a_restore(approval=APPROVAL, dryRun=True))["status"] == "Planned"


def test_without_an_approval_nobody_is_waited_for() -> None:
    done = Player().run(a_restore(approval={"required": False}))

    assert done["status"] == "Completed"
    assert "approval" not in done


class TestOneThatAsksTwice:
    """Before its trigger, because of the alert that started it, and before its swap, as its request says."""

    @pytest.fixture
    def asked(self, player: Player) -> str:
        """Return the id of a restore whose trigger is approved, and whose swap waits."""
        restore = a_restore(
            started_by="alert",
            alert=an_alert_start(approval_reason="Resource Health does not say enough."),
            thenSwapDisks={},
            targetResourceGroupId=None,
            approval={"required": True, "before": "Swap"},
        )
        restore_id = player.start(restore)
        first = player.reach(restore_id, "AwaitingApproval")["approval"]
        assert ("before" in first, first["reason"]) == (False, "Resource Health does not say enough.")
        player.say(DECISION_EVENT, ADA, restore_id)
        player.run_until(lambda: player.document(restore_id)["phase"] == "TrackingJob")
        assert "firstApproval" not in player.document(restore_id)
        player.reach(restore_id, "AwaitingApproval")
        return restore_id

    def test_says_which_decision_it_waits_for_and_keeps_the_first(self, player: Player, asked: str) -> None:
        document = player.document(asked)

        assert (document["approval"]["before"], document["approval"]["decision"]) == ("Swap", None)
        assert document["approval"]["reason"].startswith("The disks are restored.")
        assert document["firstApproval"]["reason"] == "Resource Health does not say enough."
        assert (document["firstApproval"]["by"], "before" in document["firstApproval"]) == ("ada", False)

    def test_has_both_decisions_in_its_result(self, player: Player, asked: str) -> None:
        player.say(DECISION_EVENT, {"decision": "Approved", "by": "bo", "before": "Swap"}, asked)
        done = player.finish(asked)

        assert (done["status"], done["result"]["swap"]["state"]) == ("Completed", "Swapped")
        assert (done["firstApproval"]["by"], done["approval"]["by"]) == ("ada", "bo")

    def test_takes_a_late_decision_about_its_trigger_for_none_about_its_swap(self, player: Player, asked: str) -> None:
        for decision in ("Approved", "Rejected"):
            player.say(DECISION_EVENT, {"decision": decision, "by": "bo", "before": "Trigger"}, asked)
        player.run_until(timedelta(minutes=1))
        waiting_still = player.document(asked)

        assert (waiting_still["status"], waiting_still["approval"]["decision"]) == ("AwaitingApproval", None)
        assert player.compute.made == []

    def test_that_rejects_the_swap_keeps_what_was_approved(self, player: Player, asked: str) -> None:
        player.say(DECISION_EVENT, {"decision": "Rejected", "by": "bo"}, asked)
        done = player.finish(asked)

        assert (done["status"], done["approval"]["decision"]) == ("Rejected", "Rejected")
        assert done["firstApproval"]["decision"] == "Approved"
        assert "rejected by bo" in done["error"]["message"]


def test_one_that_asks_before_its_swap_only_says_so(player: Player) -> None:
    approval = {"required": True, "before": "Swap"}
    restore_id = player.start(a_restore(thenSwapDisks={}, targetResourceGroupId=None, approval=approval))
    assert "approval" not in player.document(restore_id)

    document = player.reach(restore_id, "AwaitingApproval")

    assert (document["approval"]["before"], document["approval"]["expires"]) == ("Swap", document["nextPollTime"])
    assert "firstApproval" not in document
