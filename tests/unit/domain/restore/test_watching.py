"""Restores in a vault with many others: one watcher looks at the jobs of all, and each reads its own at the end.

While its job runs, a restore reads it in the turns that the watcher gives, and otherwise not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.azure.jobs import JobStatus
from domain.codec import pack, unpack
from domain.errors import TerminalError
from domain.restore.calls import GetOperation, JoinWatch
from domain.restore.machine import CANCEL_EVENT
from domain.restore.parts import Watch
from domain.restore.state import restore_id_for
from domain.times import format_time, parse_request_time
from domain.watch import machine as watch_machine
from tests.support.azure import LIMITS, VAULT_ID, a_restore, throttled, vm_id
from tests.support.player import Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

MANY = replace(LIMITS, max_per_vault=50)
FEW = 3
LAST = restore_id_for("5")


def start(player: Player, number: int, **members: Any) -> str:
    now = player.clock.now()
    return player.start(a_restore(MANY, key=str(number), created=now, sourceResourceId=vm_id(number), **members))


@pytest.fixture
def many() -> Player:
    """Six restores of one vault; the last three are watched, and the tests look at the last one."""
    player = Player()
    player.azure.has_own_operations = True
    for number in range(6):
        start(player, number)
    return player


def made(player: Player, name: str) -> int:
    return len(player.calls_of(name, LAST))


def own_reads(player: Player, number: int = 5) -> int:
    """Return how often a restore has read its job without having a turn."""
    reads = player.calls_of("get_job", restore_id_for(str(number)))
    return sum(read.restore.watch is None or not read.restore.watch.has_turn for read in reads)


def turns_s(player: Player, number: int = 5) -> list[float]:
    """Return when a restore has read its job in its turn, in seconds since its job was made."""
    reads = player.calls_of("get_job", restore_id_for(str(number)))
    made_at = player.azure.jobs[number].made
    return [
        (read.at - made_at).total_seconds()
        for read in reads
        if read.restore.watch is not None and read.restore.watch.has_turn
    ]


def late_s(player: Player) -> float:
    """Return how long after its job's end the last restore ended."""
    ended = parse_request_time(player.finish(LAST)["completedTime"])
    return (ended - (player.azure.jobs[5].made + player.azure.job_takes)).total_seconds()


def test_a_watched_restore_reads_its_job_in_its_turns_and_once_at_its_end_and_polls_nothing_else(many: Player) -> None:
    assert 0 <= late_s(many) <= 60
    assert (made(many, "get_operation"), own_reads(many), made(many, "find_job")) == (0, 1, 0)
    assert sum(len(turns_s(many, number)) for number in range(6)) <= many.azure.calls["list_running_jobs"]


def test_the_progress_of_each_watched_restore_moves_every_few_minutes(many: Player) -> None:
    many.run_until(timedelta(minutes=4))
    for minute in range(4, 30):
        many.run_until(timedelta(minutes=1))
        for number in range(FEW, 6):
            shown, job = many.document(restore_id_for(str(number))), many.azure.jobs[number]
            now = 99 * (many.clock.now() - job.made) / many.azure.job_takes
            assert now - 4 * 99 / 31 <= shown["progressPercentage"] <= now + 0.1, f"minute {minute}"


def test_it_shows_the_phases_of_any_restore_and_its_job(many: Player) -> None:
    many.run_until(timedelta(minutes=5))
    document = many.document(LAST)

    assert (document["phase"], document["jobId"], document["operationId"]) == ("TrackingJob", "job-6", "operation-6")
    assert document["waiting"] is None
    assert parse_request_time(document["nextPollTime"]) > many.clock.now()


def test_the_first_restores_of_a_vault_poll_for_themselves(many: Player) -> None:
    many.run_until(timedelta(hours=1))

    polls = [own_reads(many, number) for number in range(6)]
    joins = [len(many.calls_of("join_watch", restore_id_for(str(number)))) for number in range(6)]
    assert min(polls[:FEW]) > 30
    assert polls[FEW:] == [1, 1, 1]
    assert joins[:FEW] == [0, 0, 0]


def test_without_a_limit_for_the_vault_nothing_is_watched() -> None:
    player = Player()
    for number in range(6):
        player.start(a_restore(key=str(number), sourceResourceId=vm_id(number)))
    player.run_until(timedelta(hours=1))

    assert player.azure.calls["list_running_jobs"] == 0


def test_one_list_serves_all(many: Player) -> None:
    many.run_until(timedelta(hours=1))

    assert many.azure.calls["list_running_jobs"] < 50
    assert many.watches == {}


def test_a_job_that_is_not_listed_for_two_rounds_is_found_by_its_operation(many: Player) -> None:
    many.azure.listed_after = timedelta(hours=5)
    assert late_s(many) <= 60

    first = many.calls_of("get_operation", LAST)[0].at
    assert (first - many.azure.jobs[5].made).total_seconds() == 120
    assert made(many, "get_operation") == 1


def test_the_operation_is_not_polled_before_azures_wait_is_over(many: Player) -> None:
    many.azure.listed_after = timedelta(hours=5)
    many.azure.retry_after["trigger_restore"] = 400.0
    many.finish(LAST)

    first = many.calls_of("get_operation", LAST)[0].at
    assert (first - many.azure.jobs[5].made).total_seconds() >= 400


@pytest.mark.parametrize("minutes", [0, 1, 2, 9, 12, 25])
def test_a_list_that_misses_the_job_for_a_moment_ends_nothing(many: Player, minutes: int) -> None:
    many.run_until(timedelta(minutes=minutes))
    many.azure.hides = [("job-6",), ("job-6",)]

    assert 0 <= late_s(many) <= 60
    assert many.document(LAST)["status"] == "Completed"
    assert own_reads(many) <= 3


def test_a_list_that_never_has_the_job_again_leaves_it_to_polls_of_its_own(many: Player) -> None:
    many.run_until(timedelta(minutes=2))
    many.azure.hides = [("job-6",)] * 1000

    assert 0 <= late_s(many) <= 60
    joins = [call.at for call in many.calls_of("join_watch", LAST)]
    assert max(joins) < many.azure.jobs[5].made + timedelta(minutes=10)


@pytest.mark.parametrize("minutes", [0, 1, 2, 9, 11, 25])
def test_a_watcher_that_dies_delays_the_end_by_some_minutes_at_most(many: Player, minutes: int) -> None:
    many.run_until(timedelta(minutes=minutes))
    many.watches.clear()

    assert 0 <= late_s(many) <= 12 * 60


def test_a_watcher_that_died_is_replaced(many: Player) -> None:
    many.run_until(timedelta(minutes=5))
    many.watches.clear()
    many.run_until(timedelta(minutes=10))

    assert many.watches.keys() == {VAULT_ID}
    before = own_reads(many)
    many.run_until(timedelta(minutes=10))
    assert own_reads(many) - before <= 1


def test_a_watcher_that_cannot_read_its_list_leaves_all_to_polls_of_their_own(many: Player) -> None:
    many.run_until(timedelta(minutes=5))
    many.azure.fails["list_running_jobs"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

    assert 0 <= late_s(many) <= 60
    assert many.watches == {}


def test_a_watcher_that_is_throttled_for_long_is_not_relied_on(many: Player) -> None:
    many.run_until(timedelta(minutes=2))
    many.azure.fails["list_running_jobs"] = [throttled(10_000)]

    assert 0 <= late_s(many) <= 60


def test_who_cannot_register_polls_for_itself(many: Player) -> None:
    many.breaks = {JoinWatch.name}

    assert 0 <= late_s(many) <= 60
    assert many.document(LAST)["status"] == "Completed"
    assert all(document["waiting"] in {None, "RetryAfter"} for document in many.shown(LAST) if document["jobId"])


def test_a_cancellation_searches_for_the_job_at_once(many: Player) -> None:
    many.azure.hides = [("job-6",)] * 100
    many.run_until(timedelta(seconds=20))
    many.say(CANCEL_EVENT, {"by": "ada"}, LAST)
    many.run_until(timedelta(seconds=1))

    assert made(many, "find_job") == 1
    assert made(many, "cancel_job") == 1
    assert many.finish(LAST)["status"] == "Cancelled"


def test_a_cancellation_of_a_watched_job_is_sent_at_once_and_followed(many: Player) -> None:
    many.run_until(timedelta(minutes=15))
    many.say(CANCEL_EVENT, {"by": "ada"}, LAST)
    many.run_until(timedelta(seconds=1))

    assert made(many, "cancel_job") == 1
    cancelled = many.clock.now()
    assert many.finish(LAST)["status"] == "Cancelled"
    assert many.clock.now() - cancelled <= timedelta(minutes=2)


def test_a_job_that_somebody_else_cancels_is_noticed(many: Player) -> None:
    many.run_until(timedelta(minutes=15))
    many.azure.cancel_job(VAULT_ID, "job-6")

    assert many.finish(LAST)["status"] == "Cancelled"
    assert many.clock.elapsed <= timedelta(minutes=18)


def test_the_deadline_is_kept_and_the_job_read_once_more() -> None:
    player = Player()
    player.azure.has_own_operations = True
    player.azure.job_takes = timedelta(hours=9)
    limits = replace(MANY, deadline_s=3600)
    for number in range(6):
        player.start(a_restore(limits, key=str(number), sourceResourceId=vm_id(number)))

    done = player.finish(LAST)

    assert (done["status"], player.clock.elapsed) == ("TimedOut", timedelta(hours=1))
    assert own_reads(player) == 1
    player.run_until(timedelta(hours=10))
    assert player.watches == {}


def test_a_failed_job_is_a_failed_restore(many: Player) -> None:
    many.azure.job_end = JobStatus.FAILED

    assert many.finish(LAST)["status"] == "Failed"
    assert own_reads(many) == 1


def test_an_operation_without_a_usable_address_costs_no_search_of_all_jobs(many: Player) -> None:
    many.azure.has_own_operations = False
    many.azure.operation_id = None

    assert 0 <= late_s(many) <= 60
    assert made(many, "find_job") == 0


def test_after_an_unknown_outcome_it_is_watched_once_its_job_is_found(many: Player) -> None:
    many.azure.posts = ["accepted"] * 5 + ["lost"]

    assert 0 <= late_s(many) <= 60
    assert own_reads(many) == 1
    assert len(many.azure.jobs) == 6


@pytest.mark.parametrize(
    "news",
    [
        None,
        "junk",
        {},
        {"news": "Odd"},
        {"news": "Found"},
        {"news": "Found", "jobId": 5},
        {"news": "Found", "jobId": "job-1"},
    ],
)
def test_odd_news_change_nothing(many: Player, news: Json | str | None) -> None:
    many.run_until(timedelta(minutes=5))
    many.say("watch", news, LAST)

    assert 0 <= late_s(many) <= 60
    assert many.document(LAST)["jobId"] == "job-6"


@pytest.mark.parametrize("word", ["Found", "Gone", "Turn", "Unwatched"])
def test_news_for_a_restore_that_is_not_watched_change_nothing_but_its_next_poll(word: str) -> None:
    player = Player()
    player.azure.retry_after["trigger_restore"] = None
    restore = a_restore()
    player.start(restore)
    for minute in range(0, 30, 3):
        player.at(timedelta(minutes=minute), _say(player, {"news": word, "jobId": "job-1"}, restore.restore_id))

    done = player.finish(restore.restore_id)

    assert (done["status"], done["jobId"]) == ("Completed", "job-1")


def _say(player: Player, data: Json, restore_id: str) -> Callable[[], None]:
    return lambda: player.say("watch", data, restore_id)


def test_the_operation_of_a_watched_restore_is_read_when_its_wait_is_over_though_the_watcher_is_silent(
    many: Player,
) -> None:
    many.azure.fails["list_running_jobs"] = [throttled(None)] * 1000

    assert 0 <= late_s(many) <= 60
    assert made(many, GetOperation.name) == 1


# Turns that a test gives; the watcher of ``alone`` gives none of its own


@pytest.fixture
def alone(many: Player, monkeypatch: pytest.MonkeyPatch) -> Player:
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
