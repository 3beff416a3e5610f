from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from domain.answers import Answer
from domain.errors import SERVICE_UNAVAILABLE, TransientError
from domain.recovery import calls
from domain.recovery.machine import absorb, advance, decide
from domain.recovery.parts import RecoveryStatus
from domain.restore.answers import Done, Grant, Refusal
from domain.restore.parts import Source, Status
from domain.restore.steps import Finish, MakeCall, Wait, WaitForAnswers
from tests.support.azure import an_alert_start
from tests.unit.domain.recovery.driving import Driven, a_group, running

if TYPE_CHECKING:
    from domain.restore.calls import Call
    from domain.restore.steps import Step

AWAY = TransientError(SERVICE_UNAVAILABLE, "It is away.")
GATE = {"approval_timeout": timedelta(hours=2)}


def published(driven: Driven) -> list[str]:
    return [
        change.status
        for call in driven.made
        if isinstance(call, calls.PublishRecoveryEvents)
        for change in call.changes
    ]


def ends(driven: Driven) -> list[tuple[str, int | None]]:
    """Return the ends that were published, each with its number if it is a later one than the first."""
    return [
        (change.status, change.end)
        for call in driven.made
        if isinstance(call, calls.PublishRecoveryEvents)
        for change in call.changes
        if RecoveryStatus(change.status).has_ended
    ]


def posted(driven: Driven) -> list[str]:
    return [call.change.status for call in driven.made if isinstance(call, calls.PostRecoveryEvent)]


def take_step(driven: Driven) -> Step:
    """Return the next step as it is, with its deliveries."""
    driven.recovery = advance(driven.recovery.at(driven.now), driven.now)
    return decide(driven.recovery, driven.now)


class TestChanges:
    def test_each_goes_to_the_queue_and_ends_to_the_webhook(self) -> None:
        driven = running(a_group()).end(0)

        assert driven.is_finished()
        assert published(driven) == ["Pending", "Running", "Completed"]
        assert posted(driven) == ["Completed"]

    def test_a_failure_and_what_a_person_does_about_it(self) -> None:
        driven = running(a_group()).end(0, status=Status.FAILED)
        driven.step()
        driven.command("retry").start()
        driven.end(0, attempt=2).step()

        assert published(driven) == ["Pending", "Running", "Failed", "Running", "Completed"]
        assert posted(driven) == ["Failed", "Completed"]
        assert ends(driven) == [("Failed", None), ("Completed", 2)]

    def test_an_end_without_a_retry_counts_too(self) -> None:
        driven = running(a_group()).end(0, status=Status.FAILED)
        driven.step()
        driven.command("skip").step()
        driven.passes(days=8).step()

        assert ends(driven) == [("Failed", None), ("CompletedWithWarnings", 2)]

    def test_a_recovery_that_nobody_retries_ends_once(self) -> None:
        driven = running(a_group()).end(0, status=Status.FAILED)
        driven.step()
        driven.passes(days=8)

        assert driven.is_finished()
        assert ends(driven) == [("Failed", None)]

    def test_a_second_group_that_waits_for_a_person_is_told_of_too(self) -> None:
        driven = running(a_group(1, **GATE), a_group(), a_group(1, 1, **GATE))
        driven.step()
        driven.end(1).step()

        assert posted(driven) == ["AwaitingApproval", "AwaitingApproval"]

    def test_the_document_is_that_of_the_moment(self) -> None:
        driven = running(a_group())
        driven.step()

        last = driven.made[-1]

        assert isinstance(last, calls.PublishRecoveryEvents)
        pending, going = last.changes
        assert (pending.document["status"], pending.document["counts"]) == ("Pending", {})
        assert (going.document["status"], going.document["counts"]) == ("Running", {"Pending": 1})

    def test_a_start_that_was_refused_at_once_has_none(self) -> None:
        driven = Driven(a_group(), source=Source.ALERT, alert=an_alert_start())
        driven.answer(Grant(refusal=Refusal(code="CoolingDown", message="Not yet.")))
        driven.answer()

        assert driven.is_finished()
        assert driven.made == []


class TestDeliveries:
    def test_none_delays_a_restore(self) -> None:
        driven = Driven(a_group(30)).resolve()

        step = take_step(driven)

        assert isinstance(step, MakeCall)
        assert isinstance(step.call, calls.StartMembers)
        assert step.beside == ()

    def test_no_timer_is_set_while_they_are_in_flight(self) -> None:
        driven = Driven(a_group()).resolve()
        driven.answer()

        step = take_step(driven)

        assert isinstance(step, WaitForAnswers)
        assert step.until == driven.now + timedelta(minutes=10)

    def test_one_that_fails_is_tried_again_and_at_last_given_up_with_a_warning(self) -> None:
        driven = running(a_group()).end(0)
        tries = 0
        while not isinstance(step := take_step(driven), Finish):
            if isinstance(step, Wait):
                driven.now = step.until
                continue
            assert isinstance(step, MakeCall)
            for call in (step.call, *step.beside):
                tries += 1
                driven.recovery = absorb(driven.recovery, call, self._outcome(call), driven.now)

        assert tries == 9
        assert [warning["code"] for warning in driven.document["warnings"]] == ["EventsNotPublished"]

    @staticmethod
    def _outcome(call: Call) -> Answer[Done] | TransientError:
        return AWAY if isinstance(call, calls.PublishRecoveryEvents) else Answer(Done())
