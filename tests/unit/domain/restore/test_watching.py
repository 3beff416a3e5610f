"""Restores in a vault with many others: one watcher looks at the jobs of all, and each reads its own at the end.

While its job runs, a restore reads it in the turns that the watcher gives, and otherwise not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.azure.jobs import JobStatus
from domain.errors import TerminalError
from domain.restore.calls import GetOperation, JoinWatch
from domain.restore.machine import CANCEL_EVENT
from domain.restore.state import restore_id_for
from domain.times import parse_request_time
from tests.support.azure import VAULT_ID, a_restore, throttled, vm_id
from tests.support.player import Player
from tests.unit.domain.restore.many import FEW, LAST, MANY, late_s, made, many_restores, own_reads, turns_s

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json


@pytest.fixture
def many() -> Player:
    return many_restores()


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
