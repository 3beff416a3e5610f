from __future__ import annotations

from dataclasses import replace

import pytest

from domain import errors
from domain.azure.jobs import OperationStatus
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, TerminalError
from tests.support.azure import (
    GUARD_REQUEST,
    LIMITS,
    VAULT_ID,
    a_point,
    a_restore,
    throttled,
)
from tests.support.player import Player


class TestBeforeTheTrigger:
    def test_a_vm_that_is_not_protected_fails_with_what_to_do(self, player: Player) -> None:
        player.azure.status = {"protectionStatus": "NotProtected", "vaultId": None}

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NotProtected")
        assert "Check the VM id" in done["error"]["message"]
        assert "Nothing was started." in done["error"]["message"]
        assert player.azure.jobs == []

    def test_a_vm_that_is_gone_fails_with_what_to_do(self, player: Player) -> None:
        player.azure.fails["get_virtual_machine_region"] = [TerminalError(errors.NOT_FOUND, "gone")]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NotFound")
        assert "Give vaultId" in done["error"]["message"]

    def test_a_vm_that_is_gone_is_restored_when_the_vault_is_named(self, player: Player) -> None:
        player.azure.fails["get_virtual_machine_region"] = [TerminalError(errors.NOT_FOUND, "gone")]

        done = player.run(a_restore(vaultId=VAULT_ID))

        assert done["status"] == "Completed"
        assert player.azure.calls["get_virtual_machine_region"] == 0

    def test_an_item_without_a_usable_point_fails_with_the_reasons(self, player: Player) -> None:
        player.azure.points = [a_point(recoveryPointTierDetails=[{"type": "InstantRP", "status": "Deleted"}])]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "NoMatchingRecoveryPoint")
        assert "1 of 1: no tier holds its data any more" in done["error"]["details"][0]["message"]
        assert player.azure.jobs == []

    @pytest.mark.parametrize("call", ["get_virtual_machine_region", "list_recovery_points", "find_restore_job"])
    def test_throttling_is_waited_out_as_asked_in_whole_seconds(self, player: Player, call: str) -> None:
        player.azure.fails[call] = [throttled(7.25), throttled(0.75)]

        assert player.run()["status"] == "Completed"

        assert player.waits_s()[:2] == [8, 1]
        assert player.azure.calls["trigger_restore"] == 1

    def test_an_outage_without_a_wait_is_met_with_growing_ones(self, player: Player) -> None:
        player.azure.fails["get_backup_status"] = [throttled(None)] * 4

        assert player.run()["status"] == "Completed"

        assert player.waits_s()[:4] == [5.0, 10.0, 20.0, 40.0]

    @pytest.mark.parametrize("asked_s", [0.0, 1.0, 5.0])
    def test_short_waits_do_not_shorten_the_patience(self, player: Player, asked_s: float) -> None:
        player.azure.fails["get_backup_status"] = [throttled(asked_s)] * 100_000

        assert player.run()["status"] == "Failed"
        assert 1800 <= player.elapsed_s <= 2100

    def test_an_outage_that_lasts_ends_the_restore_with_nothing_started(self, player: Player) -> None:
        player.azure.fails["get_backup_status"] = [throttled(None)] * 100

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "ServiceUnavailable")
        assert "Nothing was started." in done["error"]["message"]
        assert player.elapsed_s < 3600

    def test_a_refused_permission_ends_the_restore_at_once(self, player: Player) -> None:
        player.azure.fails["list_recovery_points"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        done = player.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "AuthorizationFailed")
        assert player.elapsed_s == 0

    def test_the_deadline_counts_before_the_trigger_too(self, player: Player) -> None:
        player.azure.fails["get_backup_status"] = [throttled(4000.0)] * 3

        done = player.run(a_restore(limits=replace(LIMITS, deadline_s=3600)))

        assert (done["status"], done["error"]["code"]) == ("TimedOut", "DeadlineExceeded")
        assert player.elapsed_s == 3600
        assert player.azure.jobs == []


class TestValidation:
    def test_runs_first_and_is_waited_for_as_asked(self, player: Player) -> None:
        player.azure.validations = [Validation(status=OperationStatus.RUNNING)]
        player.azure.retry_after["get_validation"] = 12.0

        assert player.run(a_restore(validate=None))["status"] == "Completed"

        assert player.waits_s()[:2] == [10.0, 12.0]
        assert player.azure.calls["trigger_validation"] == 1

    def test_findings_end_the_restore_with_nothing_started(self, player: Player) -> None:
        finding = ErrorDetail(code="UserErrorQuota", message="Quota reached. Raise it.")
        player.azure.validations = [Validation(status=OperationStatus.SUCCEEDED, findings=(finding,))]

        done = player.run(a_restore(validate=True))

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"] == [{"code": "UserErrorQuota", "message": "Quota reached. Raise it."}]
        assert player.azure.jobs == []

    def test_a_validation_that_cannot_be_followed_is_a_warning(self, player: Player) -> None:
        player.azure.validation_id = None

        done = player.run(a_restore(validate=True))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ValidationUnavailable"]

    def test_a_validation_that_is_forgotten_is_a_warning(self, player: Player) -> None:
        player.azure.fails["get_validation"] = [TerminalError(errors.NOT_FOUND, "no such operation")]

        done = player.run(a_restore(validate=True))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ValidationUnavailable"]

    def test_a_failed_validation_ends_the_restore_too(self, player: Player) -> None:
        player.azure.validations = [Validation(status=OperationStatus.FAILED)]

        assert player.run(a_restore(validate=True))["error"]["code"] == "ValidationFailed"
        assert player.azure.jobs == []

    def test_a_service_that_lacks_the_call_is_a_warning(self, player: Player) -> None:
        player.azure.fails["trigger_validation"] = [TerminalError(errors.NOT_FOUND, "no such call")]

        done = player.run(a_restore(validate=True))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ValidationUnavailable"]

    def test_a_refused_permission_to_validate_is_not_ignored(self, player: Player) -> None:
        player.azure.fails["trigger_validation"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert player.run(a_restore(validate=True))["error"]["code"] == "AuthorizationFailed"


class TestPlan:
    @pytest.mark.parametrize("validate", [True, False])
    def test_says_what_would_be_sent_and_sends_nothing(self, player: Player, validate: bool) -> None:
        player.azure.points = [a_point("1", 1), a_point("2", 2)]

        planned = player.run(a_restore(dryRun=True, validate=validate))
        player.azure.points = [a_point("1", 1)]
        again = Player()
        again.azure.points = [a_point("1", 1), a_point("2", 2)]
        again.run(a_restore(validate=validate))

        assert (planned["status"], planned["phase"]) == ("Planned", "Finished")
        plan = planned["result"]["plan"]
        assert plan["requestBody"] == again.azure.bodies[0]
        assert [(point["id"], point["chosen"]) for point in plan["candidates"]] == [("1", True), ("2", False)]
        assert player.azure.calls["trigger_restore"] == 0
        assert player.azure.calls["find_restore_job"] == 0
        assert player.azure.calls["trigger_validation"] == (1 if validate else 0)
        assert player.published == [planned]

    def test_fails_where_the_restore_would_and_shows_what_would_have_been_sent(self, player: Player) -> None:
        player.azure.validations = [Validation(status=OperationStatus.FAILED)]

        failed = player.run(a_restore(dryRun=True, validate=True))

        assert (failed["status"], failed["error"]["code"]) == ("Failed", "ValidationFailed")
        plan = failed["result"]["plan"]
        assert plan["requestBody"]["properties"]["recoveryPointId"] == plan["candidates"][0]["id"]

    def test_without_a_point_shows_why_not(self, player: Player) -> None:
        player.azure.points = [a_point("1", 30), a_point("2", 40)]

        failed = player.run(a_restore(dryRun=True, recoveryPoint={"notOlderThan": "PT24H"}))

        assert (failed["status"], failed["error"]["code"]) == ("Failed", "NoMatchingRecoveryPoint")
        assert failed["result"]["plan"]["requestBody"] is None
        assert [(point["id"], point["reasons"]) for point in failed["result"]["plan"]["candidates"]] == [
            ("1", ["it is older than PT24H"]),
            ("2", ["it is older than PT24H"]),
        ]

    def test_a_restore_that_fails_has_no_plan(self, player: Player) -> None:
        player.azure.validations = [Validation(status=OperationStatus.FAILED)]

        assert player.run(a_restore(validate=True))["result"] is None

    def test_an_old_point_that_is_chosen_is_among_the_candidates_and_what_is_cut_is_said(self, player: Player) -> None:
        player.azure.points = [a_point(str(hours), hours) for hours in range(1, 151)]

        planned = player.run(a_restore(dryRun=True, recoveryPoint={"id": "150"}))

        candidates = planned["result"]["plan"]["candidates"]
        assert [point["id"] for point in candidates if point["chosen"]] == ["150"]
        assert [point["id"] for point in candidates] == [*map(str, range(1, 100)), "150"]
        assert [warning["code"] for warning in planned["warnings"]] == ["CandidatesCut"]
        assert planned["warnings"][0]["message"].startswith("50 ")

    def test_of_a_service_that_cannot_validate_is_a_plan_with_a_warning(self, player: Player) -> None:
        player.azure.fails["trigger_validation"] = [TerminalError(errors.NOT_FOUND, "no such call")]

        planned = player.run(a_restore(dryRun=True, validate=True))

        assert planned["status"] == "Planned"
        assert [warning["code"] for warning in planned["warnings"]] == ["ValidationUnavailable"]

    def test_with_many_candidates_is_shown_whole_or_not_yet(self, player: Player) -> None:
        player.azure.points = [a_point(str(hours), hours) for hours in range(1, 300)]

        planned = player.run(a_restore(dryRun=True))

        assert len(planned["result"]["plan"]["candidates"]) == 100
        shown = player.shown()
        assert all(status["phase"] != "Finished" or status == planned for status in shown)

    def test_names_the_guard_that_the_body_would_carry(self, guarded: Player) -> None:
        body = guarded.run(a_restore(dryRun=True))["result"]["plan"]["requestBody"]

        assert body["properties"]["resourceGuardOperationRequests"] == [GUARD_REQUEST]
