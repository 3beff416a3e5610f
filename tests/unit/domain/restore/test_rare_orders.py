"""What comes rarely in this order: waits of hours between two failures, jobs listed late, deliveries that overtake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from activities.restores import RestoreActivities
from domain import errors
from domain.errors import TransientError
from domain.restore.machine import CANCEL_EVENT
from tests.support.azure import LIMITS, MadeJob, a_restore, throttled, vm_id

if TYPE_CHECKING:
    import pytest

    from domain.errors import Json
    from domain.restore.calls import Call
    from tests.support.player import Play, Player

ONE = replace(LIMITS, max_per_vault=1)


def test_two_failures_with_hours_in_line_between_them_end_nothing(player: Player) -> None:
    player.azure.job_takes = timedelta(hours=2)
    player.start(a_restore(ONE, key="first", sourceResourceId=vm_id(1)))
    player.run_until(timedelta(minutes=5))
    player.azure.fails["list_recovery_points"] = [throttled(10), throttled(10)]

    second = player.start(a_restore(ONE, key="second", created=player.clock.now(), sourceResourceId=vm_id(2)))

    assert player.finish(second)["status"] == "Completed"


def test_a_job_that_is_listed_long_after_the_second_post_is_adopted(player: Player) -> None:
    player.azure.posts = ["unheard", "lost"]
    player.azure.listed_after = timedelta(minutes=5)

    done = player.run(a_restore())

    assert (done["status"], player.azure.calls["trigger_restore"]) == ("Completed", 2)


def test_a_second_delivery_that_cannot_claim_its_attempt_leads_to_no_second_post(player: Player) -> None:
    real = player._activities["start_restore"]
    deliveries: list[Json] = []

    def cannot_claim(_client_request_id: str, _attempt: int) -> bool:
        raise TransientError(errors.SERVICE_UNAVAILABLE, "the task hub is away")

    def start(data: Json) -> Json:
        deliveries.append(data)
        if len(deliveries) > 1:
            return real(data)
        # The first delivery has claimed the attempt, and its post arrives later; the answer of the second comes first.
        assert player.claims.take(data["clientRequestId"], data["attempt"])
        job = MadeJob("job-1", data["clientRequestId"], player.clock.now())
        player.at(timedelta(seconds=20), lambda: player.azure.jobs.append(job))
        return RestoreActivities(player.azure, clock=player.clock.now).start_restore_with(cannot_claim)(data)

    player._activities["start_restore"] = start
    player.start(a_restore())
    player.run_until(timedelta(minutes=10))

    assert [job.job_id for job in player.azure.jobs] == ["job-1"]
    assert player.azure.calls["trigger_restore"] == 0


def test_a_late_delivery_never_ends_with_the_words_that_nothing_was_started(player: Player) -> None:
    real = player._activities["start_restore"]

    def start(data: Json) -> Json:
        player.clock.advance(timedelta(minutes=3))
        return real(data)

    player._activities["start_restore"] = start
    player.azure.fails["find_restore_job"] = [None, *[throttled(20)] * 100]

    done = player.run(a_restore(replace(LIMITS, deadline_s=400)))

    assert done["status"] == "TimedOut"
    assert "A person must look" in done["error"]["message"]


def test_a_job_that_another_run_of_the_same_step_has_posted_is_cancelled(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore_id = player.start(a_restore(ONE))
    begin = type(player)._begin

    def second_run(self: Player, play: Play, call: Call) -> None:
        begin(self, play, call)
        if call.name == "acquire_slot" and not self.azure.jobs:
            # The first run had slot and point, posted under attempt 1, and did not count. Now a person is heard.
            client_request_id = play.restore.client_request_id
            assert self.claims.take(client_request_id, 1)
            self.azure.jobs.append(MadeJob("job-1", client_request_id, self.clock.now()))
            self.say(CANCEL_EVENT, {"by": "ada"}, restore_id)

    monkeypatch.setattr(type(player), "_begin", second_run)

    assert player.finish(restore_id)["status"] == "Cancelled"
    assert list(player.azure.cancelled) == ["job-1"]


def test_the_job_of_a_purged_restore_is_not_the_result_of_a_new_one_with_its_request_id(player: Player) -> None:
    first = player.run(a_restore())
    player.run_until(timedelta(days=91))

    again = player.run(a_restore(created=player.clock.now(), targetResourceGroupId=None))

    assert first["jobId"] == "job-1"
    assert (again["status"], again["error"]["code"], again["result"]) == ("Failed", "RequestIdReused", None)
    assert "job-1" in again["error"]["message"]
    assert "Nothing was started" in again["error"]["message"]
    assert len(player.azure.bodies) == 1
