"""What the interpreter adds to the state machine: histories, deliveries, workers, events, the custom status.

What a restore does is shown without an engine, in ``tests/unit/domain/restore``.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain.azure.jobs import JobStatus, OperationStatus
from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TerminalError
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from orchestrations.interpreter import MAX_STEPS
from tests.support.azure import GUARD_CLOSED, GUARD_REQUEST, LIMITS, Lab, a_restore, throttled
from tests.support.player import RESTORE, Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json
    from domain.restore.state import Restore

APPROVAL = {"required": True, "timeout": "PT30M"}
ADA = {"decision": "Approved", "by": "ada", "comment": "go"}


@pytest.fixture
def lab() -> Lab:
    return Lab()


class TestAsPlayed:
    """The player of the tests without an engine shows what the orchestration does."""

    def plain(self, _stage: Lab | Player) -> Restore:
        return a_restore(validate=True)

    def lost_answer(self, stage: Lab | Player) -> Restore:
        stage.azure.posts = ["unheard", "lost"]
        stage.azure.listed_after = timedelta(seconds=40)
        return a_restore()

    def throttled(self, stage: Lab | Player) -> Restore:
        stage.azure.fails["list_recovery_points"] = [throttled(40)]
        stage.azure.fails["get_job"] = [throttled(7.5), None, throttled(None), throttled(None)]
        return a_restore(replace(LIMITS, max_per_vault=1))

    def broken(self, stage: Lab | Player) -> Restore:
        stage.azure.fails["find_restore_job"] = [RuntimeError("python exited with code 137 (0x89)")]
        stage.azure.fails["trigger_restore"] = [MemoryError("the worker died")]
        return a_restore()

    def nobody_approves(self, _stage: Lab | Player) -> Restore:
        return a_restore(approval=APPROVAL)

    def closed_guard(self, stage: Lab | Player) -> Restore:
        detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": GUARD_REQUEST}
        stage.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
        stage.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 5
        return a_restore(replace(LIMITS, max_per_vault=1))

    def past_its_deadline(self, stage: Lab | Player) -> Restore:
        stage.azure.job_takes = timedelta(hours=3)
        return a_restore(replace(LIMITS, deadline_s=600))

    def refused_by_the_service(self, stage: Lab | Player) -> Restore:
        stage.azure.validations = [Validation(status=OperationStatus.FAILED)]
        return a_restore(validate=True)

    @pytest.mark.parametrize(
        "scene",
        [
            *("plain", "lost_answer", "throttled", "broken", "nobody_approves", "closed_guard", "past_its_deadline"),
            "refused_by_the_service",
        ],
    )
    @pytest.mark.parametrize("cancelled_after_s", [None, 0, 20, 100, 400])
    def test_the_same_scene_has_the_same_end_the_same_calls_and_the_same_waits(
        self, lab: Lab, scene: str, cancelled_after_s: float | None
    ) -> None:
        player = Player()
        lab.start(getattr(self, scene)(lab))
        player.start(getattr(self, scene)(player))
        if cancelled_after_s is not None:
            after = timedelta(seconds=cancelled_after_s)
            lab.hub.run_until(after)
            player.run_until(after)
            if not lab.hub.state(RESTORE).is_over:
                lab.hub.raise_event(RESTORE, CANCEL_EVENT, {"by": "ada"})
                player.say(CANCEL_EVENT, {"by": "ada"})

        played, done = player.finish(), lab.hub.finish(RESTORE)

        assert _without_reasons(played) == _without_reasons(done)
        assert player.azure.calls == lab.azure.calls
        assert player.waits_s() == lab.waits_s()
        assert player.elapsed_s == lab.elapsed_s


def _without_reasons(document: Json) -> Json:
    """Return the document without what a broken activity is told in: the engine adds its own words."""
    return {**document, "warnings": [warning["code"] for warning in document["warnings"]]}


class TestHistory:
    def test_a_job_of_twenty_hours_keeps_every_history_small(self, lab: Lab) -> None:
        lab.azure.job_takes = timedelta(hours=20)

        assert lab.run()["status"] == "Completed"

        assert lab.hub.largest_history <= 500
        assert lab.azure.calls["trigger_restore"] == 1

    def test_a_resource_guard_that_stays_closed_keeps_every_history_small(self, lab: Lab) -> None:
        detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": GUARD_REQUEST}
        lab.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
        lab.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 1000

        assert lab.run()["status"] == "Rejected"

        assert lab.hub.largest_history <= 500

    def test_a_service_of_many_words_does_not_overflow_the_custom_status(self, lab: Lab) -> None:
        lab.azure.job_end = JobStatus.FAILED
        lab.azure.job_details = tuple(ErrorDetail(code=f"E{number}", message="ü" * 900) for number in range(80))

        done = lab.run()

        shown = [json.dumps(status.value) for status in lab.hub.statuses(done["id"])]
        assert max(len(text.encode("utf-16-le")) for text in shown) <= 16 * 1024
        assert len(done["error"]["details"]) == 80

    @pytest.mark.parametrize("poll", range(1, MAX_STEPS + 3))
    def test_a_cancellation_is_heard_at_once_and_once_wherever_in_a_history_it_comes(self, lab: Lab, poll: int) -> None:
        lab.azure.job_takes = timedelta(hours=23)
        lab.azure.retry_after["get_job"] = 2000.0
        idle: list[Callable[[], object]] = [dict] * (poll - 1)
        lab.azure.before["get_job"] = [*idle, lambda: lab.hub.raise_event(RESTORE, CANCEL_EVENT, {})]
        lab.start(a_restore())

        lab.hub.run_until(lambda: lab.azure.calls["get_job"] == poll)
        at = lab.azure.clock.now()
        lab.hub.run_until(lambda: lab.azure.calls["cancel_job"] == 1)

        assert lab.azure.clock.now() == at
        assert lab.hub.finish(RESTORE)["status"] == "Cancelled"
        assert lab.azure.calls["cancel_job"] == 1

    def test_a_cancellation_is_remembered_when_the_history_starts_afresh(self, lab: Lab) -> None:
        lab.azure.cancels = False
        lab.azure.job_takes = timedelta(hours=5)
        lab.start(a_restore())
        lab.hub.run_until(timedelta(minutes=10))
        lab.hub.raise_event(RESTORE, CANCEL_EVENT, {})

        done = lab.hub.finish(RESTORE)

        assert lab.azure.calls["cancel_job"] == 1
        assert [warning["code"] for warning in done["warnings"]] == ["CancelledTooLate"]

    def test_cancelled_twice_in_one_wait_the_job_is_cancelled_once(self, lab: Lab) -> None:
        lab.start(a_restore())
        lab.hub.run_until(timedelta(minutes=10))
        lab.hub.raise_event(RESTORE, CANCEL_EVENT, {"by": "ops"})
        lab.hub.raise_event(RESTORE, CANCEL_EVENT, {})

        done = lab.hub.finish(RESTORE)

        assert (done["status"], done["cancellation"]["by"]) == ("Cancelled", "ops")
        assert lab.azure.calls["cancel_job"] == 1

    @pytest.mark.parametrize("said", [None, "yes", {"decision": "Maybe"}])
    def test_what_is_no_decision_leaves_the_wait_for_one_open(self, lab: Lab, said: object) -> None:
        lab.start(a_restore(approval=APPROVAL))
        lab.reach(RESTORE, "AwaitingApproval")

        lab.hub.raise_event(RESTORE, DECISION_EVENT, said)
        lab.hub.run_until(timedelta(minutes=1))
        lab.hub.raise_event(RESTORE, DECISION_EVENT, ADA)

        assert lab.hub.finish(RESTORE)["status"] == "Completed"


class TestEventsDuringACall:
    """Whoever cancels or decides sees it at once, though a slow call is in flight."""

    CALLS = (
        ("get_virtual_machine_region", "Resolving"),
        ("list_recovery_points", "SelectingRecoveryPoint"),
        ("get_validation", "Validating"),
        ("trigger_restore", "Triggering"),
        ("get_operation", "TrackingOperation"),
        ("get_job", "TrackingJob"),
    )

    def shown_during(self, lab: Lab, call: str, event: str, data: Json, **members: Any) -> Json:
        """Return the document as it is shown while Azure still works on the call during which the event arrives."""
        shown: list[Json] = []

        def hear() -> None:
            lab.hub.raise_event(RESTORE, event, data)
            lab.hub.step()
            shown.append(lab.document(RESTORE))

        lab.azure.before[call] = [hear]
        lab.start(a_restore(validate=True, **members))
        lab.hub.finish(RESTORE)
        return shown[0]

    @pytest.mark.parametrize(("call", "phase"), CALLS)
    def test_a_cancellation_is_shown_before_the_call_is_answered(self, lab: Lab, call: str, phase: str) -> None:
        shown = self.shown_during(lab, call, CANCEL_EVENT, {"by": "bo", "comment": "no"})

        assert shown["phase"] == ("Finished" if phase == "Resolving" else phase)
        assert (shown["cancellation"]["by"], shown["cancellation"]["comment"]) == ("bo", "no")
        assert len(lab.azure.jobs) == (phase in {"Triggering", "TrackingOperation", "TrackingJob"})

    @pytest.mark.parametrize(("call", "phase"), CALLS[:3])
    def test_a_decision_is_shown_before_the_call_is_answered(self, lab: Lab, call: str, phase: str) -> None:
        shown = self.shown_during(lab, call, DECISION_EVENT, ADA, approval=APPROVAL)

        assert (shown["phase"], shown["approval"]["decision"]) == (phase, "Approved")
        assert len(lab.azure.jobs) == 1


class TestWorkers:
    def test_a_wait_for_a_person_outlives_the_worker(self, lab: Lab) -> None:
        lab.start(a_restore(approval=APPROVAL))
        lab.reach(RESTORE, "AwaitingApproval")
        lab.hub.restart_worker()
        lab.hub.run_until(timedelta(minutes=7))
        lab.hub.restart_worker()
        lab.hub.raise_event(RESTORE, DECISION_EVENT, ADA)
        lab.hub.run_until(lambda: lab.document(RESTORE)["phase"] == "TrackingJob")
        lab.hub.restart_worker()

        assert lab.hub.finish(RESTORE)["approval"]["by"] == "ada"
        lab.settle()
        assert len(lab.azure.bodies) == 1
        assert lab.lock().get("holder") is None


class TestDeliveries:
    def test_a_post_delivered_twice_at_once_is_made_once_though_the_list_lags(self) -> None:
        lab = _delivering_posts_twice()
        lab.azure.listed_after = timedelta(seconds=30)

        assert lab.run()["status"] == "Completed"
        assert len(lab.azure.jobs) == 1

    def test_a_post_delivered_twice_whose_outcome_is_unknown_still_gets_its_window(self) -> None:
        lab = _delivering_posts_twice()
        lab.azure.posts = ["unheard"]

        assert lab.run()["status"] == "Completed"

        posted = sorted({call.at for call in lab.hub.calls if call.name == "start_restore"})
        assert (posted[1] - posted[0]).total_seconds() == 120
        assert len(lab.azure.jobs) == 1

    @pytest.mark.parametrize(
        "error", [throttled(30.0), TerminalError("AuthorizationFailed", "no"), TerminalError("NotFound", "no")]
    )
    def test_a_second_delivery_whose_search_fails_leaves_the_outcome_unknown(self, error: Exception) -> None:
        lab = _delivering_posts_twice()
        lab.azure.listed_after = timedelta(seconds=30)
        lab.azure.fails["find_restore_job"] = [None, error]

        assert lab.run()["status"] == "Completed"
        assert len(lab.azure.jobs) == 1

    def test_activities_delivered_twice_start_one_restore(self) -> None:
        lab = Lab(redeliver=True)

        assert lab.run()["status"] == "Completed"
        assert len(lab.azure.jobs) == 1


class TestEvents:
    """What is in flight to the events queue or the webhook holds nothing up."""

    def test_a_decision_is_heard_while_deliveries_are_in_flight(self, lab: Lab) -> None:
        lab.receivers.has_webhook = True
        lab.start(a_restore(approval=APPROVAL))
        lab.reach(RESTORE, "AwaitingApproval")
        kept = [_keep_in_flight(lab, name) for name in ("publish_events", "post_event")]
        lab.settle()
        lab.hub.raise_event(RESTORE, DECISION_EVENT, ADA)

        lab.hub.run_until(lambda: lab.document(RESTORE)["phase"] == "TrackingJob")
        lab.hub._backend.activities.extend(kept)

        assert lab.hub.finish(RESTORE)["status"] == "Completed"
        assert _names(lab.receivers.events) == ["Pending", "Running", "AwaitingApproval", "Running", "Completed"]
        assert _names(lab.receivers.posted_events) == ["AwaitingApproval"]

    def test_the_job_is_polled_while_a_delivery_is_in_flight_and_the_end_waits_for_it(self, lab: Lab) -> None:
        lab.start(a_restore())
        kept = _keep_in_flight(lab, "publish_events")
        lab.hub.run_until(lambda: lab.document(RESTORE)["status"] == "Completed")
        lab.hub.run_until(timedelta(minutes=5))
        assert lab.azure.calls["get_job"] > 20
        assert len(lab.receivers.published) == 1
        assert not lab.hub.state(RESTORE).is_over

        lab.hub._backend.activities.append(kept)

        assert lab.hub.finish(RESTORE)["status"] == "Completed"
        assert _names(lab.receivers.events) == ["Pending", "Running", "Completed"]

    def test_an_event_sent_twice_is_known_by_restore_event_and_time(self) -> None:
        lab = Lab(redeliver=True)
        lab.run(a_restore(approval={"required": True, "timeout": "PT5M"}))

        sent = [(event["restore"]["id"], event["event"], event["time"]) for event in lab.receivers.events]
        assert len(sent) == 8
        assert list(dict.fromkeys(name for _, name, _ in sent)) == [
            "Pending",
            "Running",
            "AwaitingApproval",
            "Rejected",
        ]
        assert len(set(sent)) == 4

    def test_histories_stay_small_while_the_events_queue_is_away(self, lab: Lab) -> None:
        lab.receivers.publishing_events_fails = lab.receivers.posting_events_fails = 10**6
        lab.azure.job_takes = timedelta(hours=20)

        assert lab.run(a_restore(validate=True))["status"] == "Completed"

        assert lab.hub.largest_history <= 500


def _keep_in_flight(lab: Lab, name: str) -> Any:
    """Run until this activity is to be called, and take its message off the queue; returns the message."""
    activities = lab.hub._backend.activities
    lab.hub.run_until(lambda: any(work.item.name == name for work in activities))
    [kept] = [work for work in activities if work.item.name == name]
    activities.remove(kept)
    return kept


def _names(events: list[Json]) -> list[str]:
    return [event["event"] for event in events]


def _delivering_posts_twice() -> Lab:
    return Lab(redeliver=lambda name: name == "start_restore")
