from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.answers import Answer
from domain.errors import TransientError
from domain.restore import answers, calls, outcome
from domain.restore.backoff import Backoff
from domain.restore.calls import entity_key
from domain.restore.document import result_document
from domain.restore.machine import absorb, decide
from domain.restore.parts import Admission, Delivery, LockState, Slot, SlotState
from domain.restore.stages import Resolving
from domain.restore.steps import Finish, MakeCall, Wait
from tests.support.azure import VAULT_ID, VM_ID, a_restore
from tests.support.strategies import NAMES
from tests.unit.domain.restore.states import NOW, tracking_job

if TYPE_CHECKING:
    from domain.restore.state import Restore
    from tests.support.player import Player


def test_every_restore_leaves_one_result_message(player: Player) -> None:
    done = player.run()

    assert player.receivers.published == [done]


def test_the_status_is_whole_as_soon_as_it_says_finished(player: Player) -> None:
    player.receivers.publishing_fails = 2

    done = player.run()

    finished = [shown for shown in player.shown() if shown["phase"] == "Finished"]
    assert finished
    assert all(status["result"] == done["result"] for status in finished)


def test_a_results_queue_that_stays_away_does_not_change_the_outcome(player: Player) -> None:
    player.receivers.publishing_fails = 1000

    done = player.run()

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["ResultNotPublished"]


def test_a_results_queue_that_comes_back_gets_its_message(player: Player) -> None:
    player.receivers.publishing_fails = 3

    done = player.run()

    assert player.receivers.published == [done]
    assert done["warnings"] == []


class TestWebhook:
    def test_a_result_is_posted_where_a_webhook_is_set(self, player: Player) -> None:
        player.receivers.has_webhook = True
        done = player.run()

        assert player.receivers.posted == [done]

    def test_and_not_where_none_is(self, player: Player) -> None:
        player.run()

        assert player.receivers.posted == []

    def test_it_is_tried_again_with_growing_pauses(self, player: Player) -> None:
        player.receivers.has_webhook, player.receivers.posting_fails = True, 3
        done = player.run()

        assert player.receivers.posted == [done]
        assert done["warnings"] == []
        assert player.waits_s()[-3:] == [5, 10, 20]

    def test_one_that_stays_away_never_changes_the_outcome(self, player: Player) -> None:
        player.receivers.has_webhook, player.receivers.posting_fails = True, 1000
        done = player.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ResultNotPosted"]

    def test_the_end_is_in_sight_while_it_stays_away_however_long_the_document(self, player: Player) -> None:
        player.receivers.has_webhook, player.receivers.posting_fails = True, 1000
        restore_id = player.start(a_restore(reason="\n" * 2000, requestedBy="\n" * 2000))
        player.run_until(lambda: player.receivers.published != [])
        player.run_until(timedelta(seconds=1))

        assert not player.play(restore_id).is_over
        assert player.document(restore_id)["status"] == "Completed"


BROKEN = TransientError(errors.INTERNAL_ERROR, "the queue is away")


def ended(
    *, lock: LockState = LockState.RELEASED, queue: Delivery = Delivery.PENDING, **deliveries: Delivery
) -> Restore:
    """Return a restore that has timed out."""
    restore = outcome.timed_out(tracking_job(), NOW)
    assert restore.outcome is not None
    return replace(
        restore,
        admission=Admission(lock=lock, admitted=True),
        outcome=replace(restore.outcome, queue=queue, **deliveries),
    )


def publish(restore: Restore) -> calls.PublishResult:
    assert restore.outcome is not None
    return calls.PublishResult(document=result_document(restore, restore.outcome))


def post(restore: Restore) -> calls.PostResult:
    assert restore.outcome is not None
    return calls.PostResult(document=result_document(restore, restore.outcome))


class TestOrder:
    @pytest.mark.parametrize("lock", [LockState.HELD, LockState.WANTED])
    def test_the_lock_is_released_first(self, lock: LockState) -> None:
        restore = ended(lock=lock)

        release = calls.ReleaseLock(key=entity_key(VM_ID), ended=NOW)
        assert decide(restore, NOW) == MakeCall(call=release)
        assert absorb(restore, release, Answer(None), NOW).admission.lock is LockState.RELEASED

    def test_one_that_was_never_let_in_begins_no_cool_down(self) -> None:
        restore = replace(ended(), admission=Admission(lock=LockState.WANTED))

        step = decide(restore, NOW)

        assert step == MakeCall(call=calls.ReleaseLock(key=entity_key(VM_ID), ended=NOW, unused=True))

    @pytest.mark.parametrize("lock", [LockState.NOT_NEEDED, LockState.REFUSED, LockState.RELEASED])
    def test_a_lock_that_is_not_held_is_not_released(self, lock: LockState) -> None:
        restore = ended(lock=lock)

        assert decide(restore, NOW) == MakeCall(call=publish(restore))

    def test_the_lock_of_a_vm_that_was_never_known_cannot_be_released(self) -> None:
        restore = outcome.timed_out(a_restore(sourceResourceId=None, **NAMES), NOW)

        assert decide(restore, NOW) == MakeCall(call=publish(restore))

    def test_the_result_is_published_beside_the_release_of_the_slot(self) -> None:
        restore = replace(ended(), slot=Slot(state=SlotState.HELD))

        release = calls.ReleaseSlot(
            key=entity_key(VAULT_ID), max_per_vault=0, holder_id=restore.restore_id, is_taken=True
        )
        assert decide(restore, NOW) == MakeCall(call=release, beside=(publish(restore),))

    def test_a_slot_of_a_vault_that_was_never_known_cannot_be_released(self) -> None:
        restore = replace(ended(), stage=Resolving(), slot=Slot(state=SlotState.WANTED))

        assert decide(restore, NOW) == MakeCall(call=publish(restore))

    def test_whoever_got_the_slot_is_woken_beside_the_result(self) -> None:
        restore = replace(ended(), slot=Slot(state=SlotState.NOT_NEEDED, to_wake="a"))

        step = decide(restore, NOW)

        assert step == MakeCall(call=calls.WakeRestore(restore_id="a"), beside=(publish(restore),))

    def test_a_release_that_must_wait_does_not_hold_the_result_back(self) -> None:
        restore = replace(ended(), slot=Slot(state=SlotState.HELD), backoff=Backoff().wait("release_slot", 60, NOW))

        assert decide(restore, NOW) == MakeCall(call=publish(restore))

    def test_what_must_wait_is_not_called_beside_another(self) -> None:
        restore = replace(ended(), slot=Slot(state=SlotState.HELD), backoff=Backoff().wait("publish_result", 60, NOW))

        step = decide(restore, NOW)

        assert isinstance(step, MakeCall)
        assert (step.call.name, step.beside) == ("release_slot", ())

    def test_the_webhook_is_called_once_the_result_is_on_the_queue(self) -> None:
        restore = ended(webhook=Delivery.PENDING)

        assert decide(restore, NOW) == MakeCall(call=publish(restore))
        restore = absorb(restore, publish(restore), Answer(answers.Published(has_webhook=True)), NOW)
        assert decide(restore, NOW) == MakeCall(call=post(restore))
        assert decide(absorb(restore, post(restore), Answer(answers.Done()), NOW), NOW) == Finish()

    def test_without_a_webhook_it_is_finished_with_the_queue(self) -> None:
        restore = ended()
        restore = absorb(restore, publish(restore), Answer(answers.Published(has_webhook=False)), NOW)

        assert decide(restore, NOW) == Finish()
        assert restore.outcome is not None
        assert (restore.outcome.queue, restore.outcome.webhook) == (Delivery.DONE, Delivery.NOT_NEEDED)

    def test_a_result_that_could_not_be_sent_is_waited_for(self) -> None:
        restore = ended()

        restore = absorb(restore, publish(restore), BROKEN, NOW)

        assert decide(restore, NOW) == Wait(until=NOW + timedelta(seconds=5))


class TestGivenUp:
    def test_the_queue_after_eight_tries_with_a_note_and_the_webhook_is_tried_all_the_same(self) -> None:
        restore = ended()
        for _ in range(7):
            restore = absorb(restore, publish(restore), BROKEN, NOW)
            assert restore.outcome is not None
            assert restore.outcome.queue is Delivery.PENDING

        restore = absorb(restore, publish(restore), BROKEN, NOW)

        assert restore.outcome is not None
        assert (restore.outcome.queue, restore.outcome.webhook) == (Delivery.FAILED, Delivery.PENDING)
        assert [(note.code, note.message) for note in restore.outcome.notes] == [
            ("ResultNotPublished", "The result could not be put on the results queue: the queue is away")
        ]
        assert decide(restore, NOW) == MakeCall(call=post(restore))

    def test_the_webhook_after_eight_tries_with_a_note(self) -> None:
        restore = ended(queue=Delivery.DONE, webhook=Delivery.PENDING)
        for _ in range(7):
            restore = absorb(restore, post(restore), BROKEN, NOW)
            assert restore.outcome is not None
            assert restore.outcome.webhook is Delivery.PENDING

        restore = absorb(restore, post(restore), BROKEN, NOW)

        assert restore.outcome is not None
        assert restore.outcome.webhook is Delivery.FAILED
        assert [(note.code, note.message) for note in restore.outcome.notes] == [
            ("ResultNotPosted", "The result could not be posted to RESTORE_WEBHOOK_URL: the queue is away")
        ]
        assert decide(restore, NOW) == Finish()
