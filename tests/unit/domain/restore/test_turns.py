"""A watched restore reads its job once in each turn that the watcher gives it, and is as quiet as before otherwise."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.codec import pack, unpack
from domain.errors import TerminalError
from domain.restore.calls import JoinWatch
from domain.restore.parts import Watch
from domain.times import format_time
from domain.watch import machine as watch_machine
from tests.support.azure import throttled
from tests.unit.domain.restore.many import LAST, late_s, many_restores, own_reads, turns_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.player import Player


@pytest.fixture
def many() -> Player:
    return many_restores()


@pytest.fixture
def alone(many: Player, monkeypatch: pytest.MonkeyPatch) -> Player:
    """The same restores, with a watcher that gives no turns: the test gives them."""
    monkeypatch.setattr(watch_machine, "_next_in_turn", lambda _watched: None)
    return many


def give_turn(player: Player, restore_id: str = LAST) -> None:
    player.say("watch", {"news": "Turn", "jobId": None, "time": format_time(player.clock.now())}, restore_id)


def watch_of(player: Player) -> Watch:
    watch = player.play(LAST).restore.watch
    assert watch is not None
    return watch


def test_a_turn_is_one_read_and_leaves_the_wait_and_the_registrations_as_they_were(alone: Player) -> None:
    alone.run_until(timedelta(minutes=15))
    quiet_until, joins = watch_of(alone).quiet_until, [call.at for call in alone.calls_of("join_watch", LAST)]
    give_turn(alone)
    alone.run_until(timedelta(minutes=1))

    assert turns_s(alone) == [15 * 60]
    assert watch_of(alone) == Watch(quiet_until=quiet_until)
    assert alone.document(LAST)["progressPercentage"] == pytest.approx(99 * 15 / 31, abs=0.1)

    assert 0 <= late_s(alone) <= 60
    gaps = [later.at - earlier.at for earlier, later in pairwise(alone.calls_of("join_watch", LAST))]
    assert joins == [call.at for call in alone.calls_of("join_watch", LAST)][: len(joins)]
    assert min(gaps[1:]) >= timedelta(minutes=10)


def test_turns_that_come_at_once_or_late_or_without_end_are_read_no_more_often_than_the_job_is_polled(
    alone: Player,
) -> None:
    for second in range(25 * 60):
        alone.at(timedelta(seconds=second), lambda: give_turn(alone))
        alone.at(timedelta(seconds=second), lambda: give_turn(alone))

    assert 0 <= late_s(alone) <= 60
    gaps_s = [later - earlier for earlier, later in pairwise(turns_s(alone))]
    assert min(gaps_s) >= 15
    assert min(gap for gap, at in zip(gaps_s, turns_s(alone), strict=False) if at >= 600) >= 60
    assert own_reads(alone) == 1
    assert watch_of(alone).false_ends == 0


def test_a_turn_after_the_jobs_end_ends_the_restore_at_once(alone: Player) -> None:
    alone.run_until(timedelta(minutes=15))
    alone.azure.job_takes = timedelta(minutes=14)
    give_turn(alone)

    assert alone.finish(LAST)["status"] == "Completed"
    assert alone.clock.elapsed == timedelta(minutes=15)


@pytest.mark.parametrize(
    "failure",
    [
        throttled(None),
        throttled(90.0),
        TerminalError(errors.AUTHORIZATION_FAILED, "no role"),
        TerminalError(errors.NOT_FOUND, "not yet"),
        RuntimeError("python exited with code 137 (0x89)"),
    ],
)
def test_a_read_that_fails_in_its_turn_waits_for_the_next_turn_however_many_fail(
    alone: Player, failure: Exception
) -> None:
    numbers = range(2, 20, 3)
    alone.run_until(timedelta(minutes=1))
    for number in numbers:
        alone.at(timedelta(minutes=number), _fail_a_turn(alone, failure))
    alone.run_until(timedelta(minutes=22))

    assert len(turns_s(alone)) == len(numbers)
    assert own_reads(alone) == 0
    assert (watch_of(alone).has_turn, watch_of(alone).false_ends) == (False, 0)
    alone.azure.fails["get_job"] = []
    assert 0 <= late_s(alone) <= 60
    assert (alone.document(LAST)["status"], own_reads(alone)) == ("Completed", 1)


def _fail_a_turn(player: Player, failure: Exception) -> Callable[[], None]:
    def fail() -> None:
        player.azure.before["get_job"] = [_raising(player, failure)] * 4
        give_turn(player)

    return fail


def _raising(player: Player, failure: Exception) -> Callable[[], None]:
    """Return what fails a read of the last restore only: the first restores poll for themselves meanwhile."""

    def act() -> None:
        watch = player.play(LAST).restore.watch
        player.azure.fails["get_job"] = [failure if watch is not None and watch.has_turn else None]

    return act


def test_a_turn_is_not_taken_while_azure_wants_a_wait(alone: Player) -> None:
    alone.azure.retry_after["get_job"] = 400.0
    alone.run_until(timedelta(minutes=10))
    for minute in range(10):
        alone.at(timedelta(minutes=minute), lambda: give_turn(alone))
    alone.run_until(timedelta(minutes=12))

    assert turns_s(alone) == [600, 600 + 7 * 60]


def test_who_polls_for_itself_takes_no_turn(alone: Player) -> None:
    alone.breaks = {JoinWatch.name}
    for minute in range(30):
        alone.at(timedelta(minutes=minute, seconds=30), lambda: give_turn(alone))

    assert 0 <= late_s(alone) <= 60
    assert turns_s(alone) == []


@pytest.mark.parametrize("order", [("Turn", "Gone"), ("Gone", "Turn")])
def test_a_turn_that_comes_with_the_news_of_the_end_counts_for_no_error_of_the_watcher(
    alone: Player, order: tuple[str, str]
) -> None:
    alone.run_until(timedelta(minutes=15))
    for word in order:
        alone.say("watch", {"news": word}, LAST)
    alone.run_until(timedelta(seconds=30))

    # The job runs nevertheless: that is the one error, which the read after the news has shown.
    assert watch_of(alone).false_ends == 1
    assert own_reads(alone) == 1
    assert 0 <= late_s(alone) <= 60


def test_a_read_in_turn_that_was_made_before_the_job_had_gone_is_made_again(alone: Player) -> None:
    """The job ends, and the list shows it, while the answer to the read is on its way."""
    alone.run_until(timedelta(minutes=15))
    give_turn(alone)
    alone.before_poll("get_job", 1, lambda: alone.say("watch", {"news": "Gone"}, LAST))
    alone.run_until(lambda: own_reads(alone) == 1)

    assert alone.clock.elapsed == timedelta(minutes=15)
    assert len(turns_s(alone)) == 1


def test_a_turn_is_kept_in_json_and_missing_in_that_of_earlier_versions() -> None:
    assert unpack(Watch, pack(Watch(has_turn=True))).has_turn
    assert unpack(Watch, {"v": 1, "isGone": True}) == Watch(is_gone=True)
