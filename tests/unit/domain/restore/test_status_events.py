"""One event for each change of a restore's status, in order, and without delaying the restore."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain.azure.jobs import JobStatus
from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.codec import pack
from domain.restore.backoff import Backoff
from domain.restore.calls import PublishEvents, StartRestore
from domain.restore.document import document
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT, advance
from domain.restore.parts import Status, StatusEvents
from domain.restore.stages import AwaitingApproval
from domain.times import parse_request_time
from tests.support.azure import GUARD_CLOSED, GUARD_REQUEST, LIMITS, a_restore, an_alert_start, vm_id
from tests.support.player import RESTORE, Player
from tests.unit.domain.restore.states import NOW, PREPARED, preparing, tracking_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

APPROVAL = {"required": True, "timeout": "PT30M"}
ADA = {"decision": "Approved", "by": "ada"}
BO = {"decision": "Rejected", "by": "bo"}


def names(events: list[Json]) -> list[str]:
    return [event["event"] for event in events]


def events_of(player: Player, restore_id: str) -> list[Json]:
    return [event for event in player.receivers.events if event["restore"]["id"] == restore_id]


def awaiting(player: Player) -> str:
    """Play a restore until it waits for an approval; returns its id."""
    restore_id = player.start(a_restore(approval=APPROVAL))
    player.reach(restore_id, "AwaitingApproval")
    return restore_id


def guarded(player: Player, refusals: int) -> None:
    """Have the Resource Guard refuse the trigger so many times."""
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": GUARD_REQUEST}
    player.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    player.azure.fails["trigger_restore"] = [GUARD_CLOSED] * refusals


def _completed(player: Player) -> None:
    player.run(a_restore(validate=True))


def _with_warnings(player: Player) -> None:
    player.azure.job_end = JobStatus.COMPLETED_WITH_WARNINGS
    player.run()


def _failed(player: Player) -> None:
    player.azure.job_end = JobStatus.FAILED
    player.run()


def _failed_early(player: Player) -> None:
    player.azure.points = []
    player.run()


def _timed_out(player: Player) -> None:
    player.azure.job_takes = timedelta(hours=3)
    player.run(a_restore(replace(LIMITS, deadline_s=600)))


def _planned(player: Player) -> None:
    player.run(a_restore(dryRun=True))


def _cancelled(player: Player) -> None:
    player.start(a_restore())
    player.reach(RESTORE, "Running")
    player.run_until(timedelta(minutes=10))
    player.say(CANCEL_EVENT, {"by": "ada"})
    player.finish()


def _decided(event: str, data: Json) -> Callable[[Player], None]:
    def play(player: Player) -> None:
        awaiting(player)
        player.run_until(timedelta(minutes=5))
        player.say(event, data)
        player.finish()

    return play


def _nobody_decides(player: Player) -> None:
    player.run(a_restore(approval=APPROVAL))


def _opened(player: Player) -> None:
    guarded(player, refusals=5)
    player.run()


def _approved_and_opened(player: Player) -> None:
    guarded(player, refusals=5)
    _decided(DECISION_EVENT, ADA)(player)


ASKED = ["Pending", "Running", "AwaitingApproval"]


@pytest.mark.parametrize(
    ("play", "expected"),
    [
        (_completed, ["Pending", "Running", "Completed"]),
        (_with_warnings, ["Pending", "Running", "CompletedWithWarnings"]),
        (_failed, ["Pending", "Running", "Failed"]),
        (_failed_early, ["Pending", "Running", "Failed"]),
        (_timed_out, ["Pending", "Running", "TimedOut"]),
        (_planned, ["Running", "Planned"]),
        (_cancelled, ["Pending", "Running", "Cancelled"]),
        (_decided(DECISION_EVENT, ADA), [*ASKED, "Running", "Completed"]),
        (_decided(DECISION_EVENT, BO), [*ASKED, "Rejected"]),
        (_decided(CANCEL_EVENT, {"by": "bo"}), [*ASKED, "Cancelled"]),
        (_nobody_decides, [*ASKED, "Rejected"]),
        (_opened, [*ASKED, "Running", "Completed"]),
        (_approved_and_opened, [*ASKED, "Running", "AwaitingApproval", "Running", "Completed"]),
    ],
)
@pytest.mark.parametrize("fails", [0, 3])
def test_every_change_of_the_status_is_an_event_with_the_document_of_that_moment(
    player: Player, play: Callable[[Player], None], expected: list[str], fails: int
) -> None:
    player.receivers.publishing_events_fails = fails

    play(player)

    events = player.receivers.events
    assert names(events) == expected
    assert [event["restore"]["status"] for event in events] == expected
    times = [parse_request_time(event["time"]) for event in events]
    assert times == sorted(times)
    assert [event["time"] for event in events] == [event["restore"]["lastUpdatedTime"] for event in events]
    assert events[-1]["restore"] == player.receivers.published[0]


class TestWhoMustAct:
    def test_the_event_is_sent_while_the_restore_waits_and_shows_what_is_to_be_approved(self, player: Player) -> None:
        awaiting(player)
        player.run_until(timedelta(seconds=1))

        event = player.receivers.events[-1]
        assert event["event"] == "AwaitingApproval"
        assert event["restore"]["recoveryPoint"]["id"] == "1103996678573089"
        assert event["restore"]["approval"]["expires"]

    def test_it_is_tried_again_until_the_queue_is_back_without_prolonging_the_wait(self, player: Player) -> None:
        player.receivers.publishing_events_fails = 6
        restore_id = player.start(a_restore(approval=APPROVAL))
        player.reach(restore_id, "AwaitingApproval")
        player.run_until(timedelta(minutes=6))

        assert names(player.receivers.events) == ASKED
        done = player.finish()
        assert done["status"] == "Rejected"
        assert done["completedTime"] == done["approval"]["expires"]

    def test_a_decision_counts_while_a_delivery_waits_for_its_next_attempt(self, player: Player) -> None:
        player.receivers.publishing_events_fails = 1000
        awaiting(player)
        player.run_until(timedelta(seconds=17))
        at = player.clock.now()

        player.say(DECISION_EVENT, ADA)
        player.finish()

        assert player.azure.jobs[0].made == at

    @pytest.mark.parametrize("play", [_nobody_decides, _opened, _approved_and_opened])
    def test_the_webhook_gets_each_wait_before_the_end(self, player: Player, play: Callable[[Player], None]) -> None:
        player.receivers.has_webhook, player.receivers.posting_events_fails = True, 3

        play(player)

        waits = [event for event in player.receivers.events if event["event"] == "AwaitingApproval"]
        assert player.receivers.posted_events == waits
        made = [made.call.name for made in player.play().calls]
        assert made.index("post_result") > max(index for index, name in enumerate(made) if name == "post_event")

    def test_a_webhook_that_was_away_gets_the_wait_first_even_if_it_is_over(self, player: Player) -> None:
        player.receivers.has_webhook, player.receivers.posting_events_fails = True, 3
        awaiting(player)
        player.say(CANCEL_EVENT, {"by": "ada"})
        player.finish()

        assert names(player.receivers.posted_events) == ["AwaitingApproval"]
        assert player.calls_of("post_result")[0].at >= player.calls_of("post_event")[-1].at
        made = [made.call.name for made in player.play().calls]
        assert made.index("post_result") > len(made) - 1 - made[::-1].index("post_event")

    def test_it_does_not_wait_for_the_next_attempt_of_earlier_events(self) -> None:
        tired = Backoff()
        for _ in range(7):
            tired = tired.retry("publish_events", NOW)
        waiting = replace(preparing(approval=APPROVAL), stage=AwaitingApproval(prepared=PREPARED, since=NOW))

        noted = advance(replace(waiting, backoff=tired, events=StatusEvents(noted=Status.RUNNING)), NOW)

        assert [change.status for change in noted.events.to_publish] == ["AwaitingApproval"]
        assert (noted.backoff.failures("publish_events"), noted.backoff.is_due("publish_events", NOW)) == (0, True)

    @pytest.mark.parametrize("play", [_completed, _failed, _planned, _cancelled])
    def test_the_webhook_gets_no_event_where_nobody_must_act(
        self, player: Player, play: Callable[[Player], None]
    ) -> None:
        play(player)

        assert player.calls_of("post_event") == []


class TestCost:
    def test_nothing_is_sent_before_the_post(self, player: Player) -> None:
        player.run(a_restore(validate=True))

        made = [made.call.name for made in player.play().calls]
        assert made.index(PublishEvents.name) > made.index(StartRestore.name)

    def test_events_are_sent_while_the_restore_waits_in_line_at_its_vault(self, player: Player) -> None:
        limits = replace(LIMITS, max_per_vault=1)
        player.start(a_restore(limits, key="first"))
        player.run_until(timedelta(minutes=1))
        second = player.start(a_restore(limits, key="second", sourceResourceId=vm_id(2)))
        player.run_until(timedelta(minutes=1))

        assert names(events_of(player, second)) == ["Pending", "Running"]

    @pytest.mark.parametrize("play", [_completed, _nobody_decides, _opened, _cancelled])
    def test_a_queue_that_stays_away_changes_nothing_but_adds_a_warning(self, play: Callable[[Player], None]) -> None:
        calm, cut_off = Player(), Player()
        cut_off.receivers.publishing_events_fails = cut_off.receivers.posting_events_fails = 10**6

        play(calm)
        play(cut_off)

        expected, done = calm.document(), cut_off.document()
        lost = {"EventsNotPublished", "EventNotPosted"}
        kept = [warning for warning in done["warnings"] if warning["code"] not in lost]
        assert {**done, "warnings": kept} == expected
        assert "EventsNotPublished" in {warning["code"] for warning in done["warnings"]}
        assert cut_off.azure.calls == calm.azure.calls

    def test_an_event_is_tried_eight_times_and_the_warning_names_it(self, player: Player) -> None:
        player.receivers.publishing_events_fails = 10**6

        player.run(a_restore(approval={"required": True, "timeout": "PT2H"}))

        tried = [len(made.call.changes) for made in player.calls_of("publish_events")]  # type: ignore[attr-defined]
        assert tried == [3] * 8 + [1] * 8
        given_up = [warning["message"] for warning in player.document()["warnings"]]
        assert given_up == [
            f"Events could not be put on the events queue ({lost}): publish_events broke: the queue is away"
            for lost in ("Pending, Running, AwaitingApproval", "Rejected")
        ]

    def test_events_that_are_still_to_be_sent_are_stored_with_the_state(self, player: Player) -> None:
        player.receivers.publishing_events_fails = 10**6
        awaiting(player)
        player.run_until(timedelta(seconds=1))

        restore = player.play().restore
        assert [change.status for change in restore.events.to_publish] == ASKED
        assert len(str(pack(restore.events))) < 10_000

    def test_a_delivery_that_is_tried_again_is_not_what_the_restore_waits_for(self) -> None:
        until = NOW + timedelta(seconds=5)
        restore = replace(tracking_job(), backoff=Backoff().retry("publish_events", NOW))

        assert restore.backoff.not_before("publish_events") == until
        assert document(restore, NOW, until)["waiting"] is None


class TestRefused:
    @pytest.mark.parametrize("start", [{}, {"started_by": "alert", "alert": an_alert_start()}])
    def test_a_start_that_was_refused_while_its_caller_waited_has_no_events(self, player: Player, start: Json) -> None:
        player.start(a_restore(key="first"))
        player.run_until(timedelta(minutes=1))
        before = list(player.receivers.events)

        player.finish(player.start(a_restore(key="second", created=player.clock.now(), **start)))

        assert player.receivers.events == before

    def test_nothing_is_sent_before_admission_control_has_answered(self, player: Player) -> None:
        player.start(a_restore(key="first"))
        player.run_until(timedelta(minutes=1))
        before = list(player.receivers.events)
        player.breaks = {"acquire_lock"}
        second = player.start(a_restore(key="second", created=player.clock.now()))
        player.run_until(timedelta(seconds=4))
        player.breaks = set()

        assert player.finish(second)["error"]["code"] == "RequestConflict"
        assert player.receivers.events == before

    def test_a_queue_message_that_was_refused_has_events_and_a_result(self, player: Player) -> None:
        player.start(a_restore(key="first"))
        player.run_until(timedelta(minutes=1))

        second = player.start(a_restore(key="second", started_by="queue"))
        player.finish(second)

        assert names(events_of(player, second)) == ["Pending", "Failed"]
