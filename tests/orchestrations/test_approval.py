"""A restore that needs a person waits for one, just before the trigger."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from tests.support.azure import LIMITS, Lab, a_restore
from tests.support.hub import START

if TYPE_CHECKING:
    from domain.errors import Json

APPROVAL = {"required": True, "timeout": "PT30M"}
ADA = {"decision": "Approved", "by": "ada", "comment": "go"}


def waiting(lab: Lab, *, validate: bool = False) -> str:
    restore_id = lab.start(a_restore(approval=APPROVAL, validate=validate))
    lab.reach(restore_id, "AwaitingApproval")
    return restore_id


def test_it_waits_with_everything_checked_and_nothing_started() -> None:
    lab = Lab()
    document = lab.document(waiting(lab, validate=True))

    assert document["phase"] == "AwaitingApproval"
    assert document["recoveryPoint"]["id"] == "1103996678573089"
    assert lab.azure.calls["get_validation"] == 1
    assert lab.azure.bodies == []
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


def test_approved_it_goes_on_at_once_and_the_decision_stays_in_sight() -> None:
    lab = Lab()
    restore_id = waiting(lab)
    lab.hub.run_until(timedelta(minutes=7))
    at = lab.azure.clock.now()

    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)
    done = lab.hub.finish(restore_id)

    assert done["status"] == "Completed"
    assert lab.azure.jobs[0].made == at
    told = {name: done["approval"][name] for name in ("decision", "by", "comment", "time")}
    assert told == {**ADA, "time": at.isoformat().replace("+00:00", "Z")}
    assert lab.published == [done]


@pytest.mark.parametrize("junk", [None, {}, "yes", {"decision": "TimedOutish"}, {"decision": None}, [1]])
def test_what_is_no_decision_leaves_the_wait_for_one_open(junk: object) -> None:
    lab = Lab()
    restore_id = waiting(lab)

    lab.hub.raise_event(restore_id, DECISION_EVENT, junk)
    lab.hub.run_until(timedelta(minutes=1))
    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)

    assert lab.hub.finish(restore_id)["status"] == "Completed"


def test_the_wait_outlives_the_worker() -> None:
    lab = Lab()
    restore_id = waiting(lab)
    lab.hub.restart_worker()
    lab.hub.run_until(timedelta(minutes=7))
    lab.hub.restart_worker()
    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)
    lab.hub.run_until(lambda: lab.document(restore_id)["phase"] == "TrackingJob")
    lab.hub.restart_worker()

    assert lab.hub.finish(restore_id)["approval"]["by"] == "ada"
    lab.settle()
    assert len(lab.azure.bodies) == 1
    assert lab.lock().get("holder") is None


def test_rejected_it_ends_and_nothing_was_started() -> None:
    lab = Lab()
    restore_id = waiting(lab)

    lab.hub.raise_event(restore_id, DECISION_EVENT, {"decision": "Rejected", "by": "bo", "comment": "not now"})
    done = lab.hub.finish(restore_id)

    assert (done["status"], done["error"]["code"]) == ("Rejected", "Rejected")
    assert done["error"]["message"] == "The restore was rejected by bo (not now). Nothing was started."
    assert done["approval"]["decision"] == "Rejected"
    assert lab.azure.bodies == []
    assert lab.published == [done]


def test_without_an_answer_it_is_rejected_after_the_time_out() -> None:
    lab = Lab()
    restore_id = waiting(lab)
    since = lab.azure.clock.now()
    done = lab.hub.finish(restore_id)

    assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
    assert lab.azure.clock.now() - since == timedelta(minutes=30)
    assert done["approval"]["decision"] == "TimedOut"
    assert lab.azure.bodies == []


def test_a_decision_that_comes_too_late_is_none() -> None:
    lab = Lab()
    restore_id = waiting(lab)
    lab.hub.clock.advance(timedelta(hours=5))  # no worker was there meanwhile

    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)

    done = lab.hub.finish(restore_id)
    assert done["error"]["code"] == "ApprovalTimedOut"
    assert (done["approval"]["decision"], done["approval"]["by"]) == ("TimedOut", None)
    assert lab.azure.bodies == []


@pytest.mark.parametrize("said", [{}, "Approved", None, {"decision": "approve"}, {"decision": ["Approved"]}])
def test_words_that_are_no_decision_approve_nothing(said: object) -> None:
    lab = Lab()
    restore_id = waiting(lab)
    lab.hub.raise_event(restore_id, DECISION_EVENT, said)

    assert lab.hub.finish(restore_id)["status"] == "Rejected"
    assert lab.azure.bodies == []


def test_four_hours_are_waited_when_no_time_out_is_given() -> None:
    lab = Lab()
    done = lab.run(a_restore(approval={"required": True}))

    assert done["error"]["code"] == "ApprovalTimedOut"
    assert timedelta(hours=4) <= lab.azure.clock.now() - START.astimezone() <= timedelta(hours=4, minutes=1)


@pytest.mark.parametrize("later", [{"decision": "Rejected"}, {"decision": "Approved", "by": "eve"}])
def test_the_first_decision_counts(later: Json) -> None:
    lab = Lab()
    restore_id = waiting(lab)

    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)
    lab.hub.raise_event(restore_id, DECISION_EVENT, later)
    done = lab.hub.finish(restore_id)

    assert (done["status"], done["approval"]["by"]) == ("Completed", "ada")


def test_an_early_approval_is_good_and_cuts_no_wait_that_azure_asked_for() -> None:
    lab = Lab()
    restore_id = lab.start(a_restore(approval=APPROVAL, validate=True))
    lab.hub.run_until(lambda: lab.azure.calls["trigger_validation"] == 1)
    at = lab.azure.clock.now()
    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)
    lab.hub.run_until(timedelta(seconds=5))
    assert lab.document(restore_id)["approval"]["decision"] == "Approved"  # whoever comes next must see it

    lab.hub.run_until(lambda: lab.azure.calls["get_validation"] == 1)
    assert lab.azure.clock.now() - at == timedelta(seconds=10)
    done = lab.hub.finish(restore_id)
    assert done["status"] == "Completed"
    assert "AwaitingApproval" not in [each.value["status"] for each in lab.hub.statuses(restore_id)]


def test_an_early_rejection_ends_it_at_once() -> None:
    lab = Lab()
    restore_id = lab.start(a_restore(approval=APPROVAL, validate=True))
    lab.hub.run_until(lambda: lab.azure.calls["trigger_validation"] == 1)
    at = lab.azure.clock.now()
    lab.hub.raise_event(restore_id, DECISION_EVENT, {"decision": "Rejected"})

    assert lab.hub.finish(restore_id)["status"] == "Rejected"
    assert lab.azure.clock.now() == at
    assert lab.azure.calls["get_validation"] == 0


def test_a_cancelled_wait_is_cancelled() -> None:
    lab = Lab()
    restore_id = waiting(lab)
    lab.hub.raise_event(restore_id, CANCEL_EVENT, {"by": "bo"})

    assert lab.hub.finish(restore_id)["status"] == "Cancelled"
    assert lab.azure.bodies == []


def test_waiting_does_not_count_towards_the_deadline() -> None:
    lab = Lab()
    limits = type(LIMITS)(job_poll_min_s=15, job_poll_max_s=60, deadline_s=3600, adoption_window_s=120)
    restore_id = lab.start(a_restore(limits, approval={"required": True, "timeout": "P2D"}))
    lab.reach(restore_id, "AwaitingApproval")
    lab.hub.run_until(timedelta(hours=30))

    assert lab.document(restore_id)["status"] == "AwaitingApproval"
    lab.azure.job_takes = timedelta(days=9)
    lab.hub.raise_event(restore_id, DECISION_EVENT, ADA)
    at = lab.azure.clock.now()
    assert lab.hub.finish(restore_id)["status"] == "TimedOut"
    assert lab.azure.clock.now() - at == timedelta(hours=1)


def test_a_plan_waits_for_nobody() -> None:
    assert Lab().run(a_restore(approval=APPROVAL, dryRun=True))["status"] == "Planned"


def test_without_an_approval_nobody_is_waited_for() -> None:
    done = Lab().run(a_restore(approval={"required": False}))

    assert done["status"] == "Completed"
    assert "approval" not in done


class TestWebhook:
    def test_a_result_is_posted_where_a_webhook_is_set(self) -> None:
        lab = Lab()
        lab.has_webhook = True
        done = lab.run()

        assert lab.posted == [done]

    def test_and_not_where_none_is(self) -> None:
        lab = Lab()
        lab.run()

        assert lab.posted == []

    def test_it_is_tried_again_with_growing_pauses(self) -> None:
        lab = Lab()
        lab.has_webhook, lab.posting_fails = True, 3
        done = lab.run()

        assert lab.posted == [done]
        assert done["warnings"] == []
        assert lab.waits_s()[-3:] == [5, 10, 20]

    def test_one_that_stays_away_never_changes_the_outcome(self) -> None:
        lab = Lab()
        lab.has_webhook, lab.posting_fails = True, 1000
        done = lab.run()

        assert done["status"] == "Completed"
        assert [each["code"] for each in done["warnings"]] == ["ResultNotPosted"]

    def test_the_end_is_in_sight_while_it_stays_away_however_long_the_document(self) -> None:
        lab = Lab()
        lab.has_webhook, lab.posting_fails = True, 1000
        restore_id = lab.start(a_restore(reason="\n" * 2000, requestedBy="\n" * 2000))
        lab.hub.run_until(lambda: lab.published != [])
        lab.hub.run_until(timedelta(seconds=1))

        assert lab.hub.state(restore_id).status == "Running"
        assert lab.hub.state(restore_id).custom_status["status"] == "Completed"
