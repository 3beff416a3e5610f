from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.support.azure import (
    a_restore,
)

if TYPE_CHECKING:
    from tests.support.player import Player


def test_every_restore_leaves_one_result_message(player: Player) -> None:
    done = player.run()

    assert player.published == [done]


def test_the_status_is_whole_as_soon_as_it_says_finished(player: Player) -> None:
    player.publishing_fails = 2

    done = player.run()

    finished = [shown for shown in player.shown() if shown["phase"] == "Finished"]
    assert finished
    assert all(status["result"] == done["result"] for status in finished)


def test_a_results_queue_that_stays_away_does_not_change_the_outcome(player: Player) -> None:
    player.publishing_fails = 1000

    done = player.run()

    assert done["status"] == "Completed"
    assert [warning["code"] for warning in done["warnings"]] == ["ResultNotPublished"]


def test_a_results_queue_that_comes_back_gets_its_message(player: Player) -> None:
    player.publishing_fails = 3

    done = player.run()

    assert player.published == [done]
    assert done["warnings"] == []


class TestWebhook:
    def test_a_result_is_posted_where_a_webhook_is_set(self, player: Player) -> None:
        player.has_webhook = True
        done = player.run()

        assert player.posted == [done]

    def test_and_not_where_none_is(self, player: Player) -> None:
        player.run()

        assert player.posted == []

    def test_it_is_tried_again_with_growing_pauses(self, player: Player) -> None:
        player.has_webhook, player.posting_fails = True, 3
        done = player.run()

        assert player.posted == [done]
        assert done["warnings"] == []
        assert player.waits_s()[-3:] == [5, 10, 20]

    def test_one_that_stays_away_never_changes_the_outcome(self, player: Player) -> None:
        player.has_webhook, player.posting_fails = True, 1000
        done = player.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ResultNotPosted"]

    def test_the_end_is_in_sight_while_it_stays_away_however_long_the_document(self, player: Player) -> None:
        player.has_webhook, player.posting_fails = True, 1000
        restore_id = player.start(a_restore(reason="\n" * 2000, requestedBy="\n" * 2000))
        player.run_until(lambda: player.published != [])
        player.run_until(timedelta(seconds=1))

        assert not player.play(restore_id).is_over
        assert player.document(restore_id)["status"] == "Completed"
