from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.errors import TerminalError
from tests.support.azure import (
    GUARD_CLOSED,
    GUARD_REQUEST,
    LIMITS,
    a_restore,
    forbidden,
)

if TYPE_CHECKING:
    from tests.support.player import Player


class TestResourceGuard:
    def test_is_named_in_the_trigger(self, guarded: Player) -> None:
        assert guarded.run()["status"] == "Completed"

        assert guarded.azure.bodies[0]["properties"]["resourceGuardOperationRequests"] == [GUARD_REQUEST]

    def test_that_is_closed_is_waited_for(self, guarded: Player) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 5

        done = guarded.run()

        assert done["status"] == "Completed"
        assert len(guarded.azure.jobs) == 1
        shown = guarded.shown()
        waiting = [status for status in shown if status["status"] == "AwaitingApproval"]
        assert {status["phase"] for status in waiting} == {"AwaitingApproval"}
        assert waiting[-1]["nextPollTime"]
        assert [warning["code"] for warning in done["warnings"]] == ["ResourceGuardClosed"]
        assert guarded.waits_s()[0] == 15.0

    @pytest.mark.parametrize(("timeout", "hours"), [(None, 4), ("PT30M", 0.5)])
    def test_that_stays_closed_rejects_the_restore(self, guarded: Player, timeout: str | None, hours: float) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 1000
        approval: dict[str, Any] | None = {"timeout": timeout} if timeout else None

        done = guarded.run(a_restore(approval=approval))

        assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
        assert "Nothing was started." in done["error"]["message"]
        assert guarded.clock.elapsed == timedelta(hours=hours)

    def test_that_stays_closed_for_long_costs_no_time_of_the_restores_own(self, guarded: Player) -> None:
        guarded.azure.job_takes = timedelta(hours=100)
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 1000
        restore_id = guarded.start(a_restore(replace(LIMITS, deadline_s=3600), approval={"timeout": "P3D"}))

        guarded.run_until(timedelta(hours=3))
        guarded.azure.fails["trigger_restore"].clear()
        done = guarded.finish(restore_id)

        assert done["status"] == "TimedOut"
        assert len(guarded.azure.jobs) == 1
        assert timedelta(hours=4) <= guarded.clock.elapsed <= timedelta(hours=4, minutes=2)

    @pytest.mark.parametrize("error", [errors.NOT_FOUND, errors.AUTHORIZATION_FAILED])
    def test_that_cannot_be_read_about_is_a_warning(self, player: Player, error: str) -> None:
        player.azure.fails["list_resource_guard_proxies"] = [TerminalError(error, "no")]

        done = player.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ResourceGuardNotRead"]

    def test_is_read_about_though_the_caller_names_no_request_of_it(self, guarded: Player) -> None:
        guarded.run(a_restore(resourceGuardOperationRequests=[]))

        assert guarded.azure.bodies[0]["properties"]["resourceGuardOperationRequests"] == [GUARD_REQUEST]

    def test_a_403_without_a_guard_is_a_failure(self, player: Player) -> None:
        player.azure.fails["trigger_restore"] = [forbidden("no role")]

        assert player.run()["error"]["code"] == "AuthorizationFailed"

    @pytest.mark.parametrize(
        "refusal",
        [
            forbidden(
                "does not have permission to perform action 'Microsoft.Network/virtualNetworks/subnets/join/action'"
            ),
            forbidden("does not have authorization to perform 'Microsoft.RecoveryServices/vaults/x/restore/action'"),
            forbidden("The access token is invalid.", status=401),
        ],
        ids=["subnet", "role", "token"],
    )
    def test_does_not_stand_behind_every_refusal(self, guarded: Player, refusal: TerminalError) -> None:
        guarded.azure.fails["trigger_restore"] = [refusal] * 1000

        done = guarded.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "AuthorizationFailed")
        assert done["error"]["details"][0]["message"] == refusal.details[0].message

    def test_does_not_stand_behind_what_may_not_be_listed(self, guarded: Player) -> None:
        guarded.azure.fails["find_restore_job"] = [forbidden("")] * 1000

        assert guarded.run()["error"]["code"] == "AuthorizationFailed"

    def test_that_has_opened_is_not_waited_for_any_more_however_the_job_was_found(self, guarded: Player) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED]
        guarded.azure.posts = ["lost"]
        guarded.azure.job_takes = timedelta(hours=100)

        done = guarded.run(a_restore(replace(LIMITS, deadline_s=3600)))

        shown = guarded.shown()
        assert {document["status"] for document in shown if document["phase"] == "TrackingJob"} == {"Running"}
        assert done["status"] == "TimedOut"
        assert guarded.clock.elapsed < timedelta(hours=1, minutes=5)

    @pytest.mark.parametrize("asked_s", [5 * 3600, 366 * 86_400])
    def test_that_asks_for_a_longer_wait_than_a_person_has_is_rejected_in_time(
        self, guarded: Player, asked_s: float
    ) -> None:
        closed = TerminalError(GUARD_CLOSED.code, GUARD_CLOSED.message, GUARD_CLOSED.details, retry_after_s=asked_s)
        guarded.azure.fails["trigger_restore"] = [closed] * 1000

        done = guarded.run()

        assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
        assert guarded.clock.elapsed == timedelta(hours=4)

    def test_that_gives_no_words_is_waited_for(self, guarded: Player) -> None:
        guarded.azure.fails["trigger_restore"] = [forbidden("Access denied.")]

        done = guarded.run()

        assert (done["status"], done["warnings"][0]["code"]) == ("Completed", "ResourceGuardClosed")

    def test_another_refusal_is_a_failure_with_a_guard_too(self, guarded: Player) -> None:
        guarded.azure.fails["trigger_restore"] = [TerminalError(errors.RESTORE_REFUSED, "invalid input")]

        assert guarded.run()["error"]["code"] == "RestoreRefused"
