from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from domain import errors
from domain.answers import Answer
from domain.azure.jobs import OperationStatus
from domain.azure.point_search import SearchProgress
from domain.azure.validation import Validation
from domain.errors import ErrorDetail, RestoreWarning, TerminalError, TransientError
from domain.restore import answers, calls
from domain.restore.machine import absorb, decide
from domain.restore.parts import Slot, SlotState, Status
from domain.restore.stages import AwaitingApproval, Prepared, Preparing, Triggering, Validating
from domain.restore.steps import MakeCall, Wait
from tests.support.azure import (
    GUARD_REQUEST,
    LIMITS,
    VAULT_ID,
    VM_ID,
    a_point,
    a_restore,
    throttled,
)
from tests.support.player import Player
from tests.unit.domain.restore.states import ITEM, NOW, PREPARED, admitted, preparing, tracking_job, triggering

if TYPE_CHECKING:
    from domain.restore.state import Restore


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
        assert player.receivers.published == [planned]

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


APPROVAL = {"required": True, "timeout": "PT30M"}
OPERATION = answers.AcceptedOperation(operation_id="v", url="https://v")
CHECK = Validating(prepared=PREPARED, operation=OPERATION, since=NOW)
OWN_CHECK = "The service's own validation of this restore"
GET_VALIDATION = calls.GetValidation(vault_id=VAULT_ID, operation_id="v", url="https://v", item=PREPARED.item)


def prepared(restore: Restore, found: answers.Preparation | answers.NoPointForPlan | answers.StillReading) -> Restore:
    """Return the restore with its point chosen."""
    call = calls.PrepareRestore(item=ITEM, request=restore.request, now=NOW)
    return absorb(restore, call, Answer(found), NOW)


def validating(**members: Any) -> Restore:
    return replace(admitted(**members), stage=CHECK)


def warnings_of(restore: Restore) -> list[tuple[str, str]]:
    return [(warning.code, warning.message) for warning in restore.warnings]


class TestItem:
    def test_it_is_looked_up_by_all_that_the_request_says(self) -> None:
        names = {"vaultId": VAULT_ID, "containerName": "c", "protectedItemName": "i"}
        step = decide(admitted(**names), NOW)

        call = calls.ResolveItem(
            source_resource_id=VM_ID, vault_id=VAULT_ID, container_name="c", protected_item_name="i"
        )
        assert step == MakeCall(call=call)
        assert absorb(admitted(), call, Answer(ITEM), NOW).stage == Preparing(item=ITEM)

    def test_one_that_comes_again_changes_nothing(self) -> None:
        assert absorb(triggering(), calls.ResolveItem(), Answer(ITEM), NOW).stage == triggering().stage


class TestPoint:
    def test_it_is_what_will_be_posted(self) -> None:
        point = a_point("7")

        restore = prepared(
            preparing(), answers.Preparation(point=point, guard_requests=("/g",), candidates=({"id": "7"},))
        )

        ready = Prepared(item=ITEM, point=point, guard_requests=("/g",), candidates=({"id": "7"},))
        assert restore.stage == Triggering(prepared=ready)

    def test_a_long_list_is_read_on_where_it_was_left(self) -> None:
        progress = SearchProgress(link="2", slices=1)

        restore = prepared(preparing(), answers.StillReading(progress=progress))

        assert restore.stage == Preparing(item=ITEM, progress=progress)
        call = calls.PrepareRestore(item=ITEM, request=restore.request, now=NOW, progress=progress)
        assert decide(restore, NOW) == MakeCall(call=call)

    @pytest.mark.parametrize("state", [SlotState.WANTED, SlotState.WAITING])
    def test_without_a_slot_it_is_chosen_again(self, state: SlotState) -> None:
        restore = replace(preparing(), slot=Slot(state=state))

        assert prepared(restore, answers.Preparation(point=a_point())).stage == restore.stage

    def test_the_checks_warnings_and_what_was_cut_are_kept(self) -> None:
        warning = RestoreWarning(code="SnapshotOnly", message="m")

        restore = prepared(preparing(), answers.Preparation(point=a_point(), candidates_cut=7, warnings=(warning,)))

        assert warnings_of(restore) == [
            (
                "CandidatesCut",
                "7 older recovery points were considered, too; the plan shows the newest and the chosen one.",
            ),
            ("SnapshotOnly", "m"),
        ]

    def test_a_plan_without_a_point_shows_its_candidates(self) -> None:
        error = {"code": "NoMatchingRecoveryPoint", "message": "None fits.", "details": []}
        found = answers.NoPointForPlan(candidates=({"id": "1"},), candidates_cut=0, error=error)

        ended = prepared(preparing(dryRun=True), found).outcome

        assert ended is not None
        assert ended.status is Status.FAILED
        assert ended.error == {**error, "message": "None fits. Nothing was started."}
        assert ended.result == {"plan": {"requestBody": None, "candidates": [{"id": "1"}]}}

    def test_a_plan_ends_with_its_point(self) -> None:
        ended = prepared(preparing(dryRun=True), answers.Preparation(point=a_point())).outcome

        assert ended is not None
        assert ended.status is Status.PLANNED
        assert ended.result is not None
        assert ended.result["plan"]["requestBody"]["properties"]["recoveryPointId"] == a_point().point_id

    def test_an_approval_is_waited_for_from_now_on(self) -> None:
        restore = prepared(preparing(approval=APPROVAL), answers.Preparation(point=a_point()))

        assert restore.stage == AwaitingApproval(prepared=PREPARED, since=NOW)
        assert restore.approval is not None
        assert restore.approval.expires == NOW + timedelta(minutes=30)
        assert decide(restore, NOW) == Wait(until=NOW + timedelta(minutes=30))


class TestServicesCheck:
    def test_it_is_polled_after_five_seconds_where_the_service_names_no_wait(self) -> None:
        restore = prepared(preparing(), answers.Preparation(point=a_point(), validation=OPERATION))

        assert restore.stage == CHECK
        assert decide(restore, NOW) == Wait(until=NOW + timedelta(seconds=5))
        assert decide(restore, NOW + timedelta(seconds=5)) == MakeCall(call=GET_VALIDATION)

    def test_while_it_runs_it_is_polled_at_growing_intervals(self) -> None:
        running = Answer(Validation(status=OperationStatus.RUNNING))
        later = NOW + timedelta(minutes=5)

        restore = absorb(validating(), GET_VALIDATION, running, later)

        assert restore.stage == CHECK
        assert decide(restore, later) == Wait(until=later + timedelta(seconds=30))

    def test_a_good_one_leads_to_the_trigger(self) -> None:
        good = Answer(Validation(status=OperationStatus.SUCCEEDED))

        assert absorb(validating(), GET_VALIDATION, good, NOW).stage == Triggering(prepared=PREPARED)

    @pytest.mark.parametrize(
        ("validation", "message"),
        [
            (
                Validation(status=OperationStatus.FAILED),
                f"{OWN_CHECK} ended as Failed, and it gave no reason. Nothing was started.",
            ),
            (
                Validation(
                    status=OperationStatus.CANCELED, findings=(ErrorDetail(code="Stopped", message="Stopped."),)
                ),
                f"{OWN_CHECK} ended as Canceled: Stopped. Nothing was started.",
            ),
            (
                Validation(
                    status=OperationStatus.SUCCEEDED, findings=(ErrorDetail(code="UserErrorQuota", message="Full."),)
                ),
                "The service would not do this restore: Full. Nothing was started.",
            ),
        ],
    )
    def test_a_bad_one_ends_it_in_the_services_words(self, validation: Validation, message: str) -> None:
        ended = absorb(validating(), GET_VALIDATION, Answer(validation), NOW).outcome

        assert ended is not None
        assert ended.error == {
            "code": "ValidationFailed",
            "message": message,
            "details": [finding.to_json() for finding in validation.findings],
        }

    def test_one_that_is_forgotten_is_a_warning(self) -> None:
        error = TerminalError(errors.NOT_FOUND, "No such operation.")

        restore = absorb(validating(), GET_VALIDATION, error, NOW)

        assert restore.stage == Triggering(prepared=PREPARED)
        assert warnings_of(restore) == [
            (
                "ValidationUnavailable",
                "The service could not validate the restore before it was triggered: No such operation.",
            )
        ]

    def test_one_that_cannot_be_polled_for_a_moment_is_polled_again(self) -> None:
        restore = absorb(validating(), GET_VALIDATION, TransientError(errors.SERVICE_UNAVAILABLE, "503"), NOW)

        assert (restore.stage, restore.backoff.failures("get_validation")) == (CHECK, 1)

    def test_an_answer_that_comes_later_changes_nothing(self) -> None:
        good = Answer(Validation(status=OperationStatus.SUCCEEDED))

        assert absorb(tracking_job(), GET_VALIDATION, good, NOW).stage == tracking_job().stage
