from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from domain import errors
from domain.codec import pack
from domain.errors import TerminalError
from tests.support.azure import (
    LIMITS,
    VM_ID,
    a_restore,
    throttled,
)
from tests.support.hub import START

if TYPE_CHECKING:
    from tests.support.player import Player


def test_sends_the_body_that_the_service_expects(player: Player) -> None:
    player.run()

    properties = player.azure.bodies[0]["properties"]
    assert properties == {
        "objectType": "IaasVMRestoreRequest",
        "recoveryPointId": "1103996678573089",
        "recoveryType": "RestoreDisks",
        "sourceResourceId": VM_ID,
        "region": "westeurope",
        "createNewCloudService": False,
        "originalStorageAccountOption": False,
        "storageAccountId": properties["storageAccountId"],
        "targetResourceGroupId": properties["targetResourceGroupId"],
    }


class TestExactlyOnce:
    def test_a_lost_answer_is_followed_by_a_search_not_by_a_second_post(self, player: Player) -> None:
        player.azure.posts = ["lost"]

        done = player.run()

        assert (done["status"], done["jobId"]) == ("Completed", "job-1")
        assert player.azure.calls["trigger_restore"] == 1
        assert [warning["code"] for warning in done["warnings"]] == ["TriggerOutcomeOpen"]

    def test_a_job_that_is_listed_late_is_still_adopted(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.listed_after = timedelta(seconds=119)

        assert player.run()["status"] == "Completed"

        assert player.azure.calls["trigger_restore"] == 1

    def test_only_a_window_without_a_job_allows_a_second_post(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        done = player.run()

        assert done["status"] == "Completed"
        assert player.azure.calls["trigger_restore"] == 2
        posted = [made.at for made in player.calls_of("start_restore")]
        assert (posted[1] - posted[0]).total_seconds() == 120
        searches = [made.at for made in player.calls_of("find_job")]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(searches)]
        assert len(searches) >= 5
        assert gaps[:-1] == sorted(gaps[:-1])

    def test_the_second_post_carries_the_same_id(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        player.run()

        sent = {pack(made.call)["clientRequestId"] for made in player.calls_of("start_restore")}
        assert sent == {a_restore().client_request_id}

    def test_two_unknown_outcomes_without_a_job_end_with_a_call_for_a_person(self, player: Player) -> None:
        player.azure.posts = ["unheard", "unheard"]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreFailed")
        assert "A person must look" in done["error"]["message"]
        assert a_restore().client_request_id in done["error"]["message"]
        assert player.azure.calls["trigger_restore"] == 2

    def test_an_unknown_outcome_that_asks_for_a_wait_gets_it_before_the_search(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.retry_after["open"] = 33.0

        player.run()

        assert player.waits_s()[0] == 33.0

    def test_searches_that_fail_never_lead_to_a_post(self, player: Player) -> None:
        player.azure.posts = ["unheard"]
        player.azure.fails["find_restore_job"] = [None, *[throttled(None)] * 1000]

        done = player.run()

        assert done["status"] == "TimedOut"
        assert player.azure.calls["trigger_restore"] == 1
        assert "A person must look" in done["error"]["message"]

    @pytest.mark.parametrize("code", [errors.AUTHORIZATION_FAILED, errors.NOT_FOUND, errors.RESTORE_REFUSED])
    def test_a_search_that_is_refused_once_does_not_lose_the_restore(self, player: Player, code: str) -> None:
        player.azure.posts = ["lost"]
        player.azure.fails["find_restore_job"] = [None, TerminalError(code, "not now", retry_after_s=12.0)]

        done = player.run()

        assert (done["status"], done["jobId"]) == ("Completed", "job-1")
        assert player.waits_s()[:2] == [5.0, 12.0]

    def test_a_list_that_throttles_for_a_while_is_waited_out(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.fails["find_restore_job"] = [None, *[throttled(1.0)] * 60]

        assert player.run()["jobId"] == "job-1"
        assert player.azure.calls["trigger_restore"] == 1

    def test_at_the_deadline_the_job_is_searched_for_once_more(self, player: Player) -> None:
        player.azure.posts = ["lost"]
        player.azure.retry_after["open"] = 36_000.0
        player.azure.job_takes = timedelta(minutes=10)

        done = player.run(a_restore(limits=replace(LIMITS, deadline_s=3600)))

        assert player.azure.calls["find_restore_job"] == 2
        assert (done["status"], done["jobId"]) == ("TimedOut", "job-1")
        assert "job-1 may still run" in done["error"]["message"]

    def test_a_post_delivered_late_is_made_only_after_a_window_without_a_job(self, player: Player) -> None:
        player.azure.before["find_restore_job"] = [lambda: player.clock.advance(timedelta(minutes=6))]

        done = player.run()

        assert done["status"] == "Completed"
        assert player.azure.calls["trigger_restore"] == 1
        assert player.azure.jobs[0].made - START == timedelta(minutes=8)

    def test_a_throttled_post_is_posted_again_after_the_wait(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [throttled(30.0)]

        done = player.run()

        assert (done["status"], done["warnings"]) == ("Completed", [])
        assert player.waits_s()[0] == 30.0
        assert len(player.azure.jobs) == 1

    def test_a_refused_post_ends_the_restore(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [TerminalError(errors.RESTORE_REFUSED, "invalid input")]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "RestoreRefused")
        assert "Nothing was started." in done["error"]["message"]

    @pytest.mark.parametrize("deaths", [1, 2, 5])
    def test_workers_that_died_before_they_could_post_cost_seconds_and_no_person(
        self, player: Player, deaths: int
    ) -> None:
        player.azure.fails["find_restore_job"] = [RuntimeError("python exited with code 137 (0x89)")] * deaths

        done = player.run()

        assert (done["status"], done["warnings"]) == ("Completed", [])
        assert player.azure.calls["trigger_restore"] == 1
        assert (player.azure.jobs[0].made - START).total_seconds() <= 5 * 2**deaths

    def test_an_activity_that_broke_while_posting_has_an_unknown_outcome(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [MemoryError("the worker died")]

        done = player.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["TriggerOutcomeOpen"]
        posted = [made.at for made in player.calls_of("start_restore")]
        assert (posted[1] - posted[0]).total_seconds() == 120

    def test_the_deadline_passing_while_the_outcome_is_unknown_calls_for_a_person(self, player: Player) -> None:
        player.azure.posts = ["unheard"]

        done = player.run(a_restore(limits=replace(LIMITS, deadline_s=60)))

        assert done["status"] == "TimedOut"
        assert player.elapsed_s == 60
        assert "A person must look" in done["error"]["message"]
