"""Plans, which start nothing, and the vault's Resource Guard, which a person opens."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain import errors
from domain.azure.restore_constraints import GUARDED_OPERATION
from domain.errors import TerminalError
from domain.jobs import JobStatus, OperationStatus
from domain.restore.state import restore_id_for
from domain.validation import Validation
from tests.support.azure import GUARD_CLOSED, LIMITS, TARGET_GROUP, Lab, a_point, a_restore, forbidden

GUARD = "/subscriptions/s/resourceGroups/g/providers/Microsoft.DataProtection/resourceGuards/guard/requests/default"


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def guarded() -> Lab:
    lab = Lab()
    detail = {"vaultCriticalOperation": GUARDED_OPERATION, "defaultResourceRequest": GUARD}
    lab.azure.guard_proxies = [{"properties": {"resourceGuardOperationDetails": [detail]}}]
    return lab


class TestPlan:
    @pytest.mark.parametrize("validate", [True, False])
    def test_says_what_would_be_sent_and_sends_nothing(self, lab: Lab, validate: bool) -> None:
        lab.azure.points = [a_point("1", 1), a_point("2", 2)]

        planned = lab.run(a_restore(dryRun=True, validate=validate))
        lab.azure.points = [a_point("1", 1)]
        again = Lab()
        again.azure.points = [a_point("1", 1), a_point("2", 2)]
        again.run(a_restore(validate=validate))

        assert (planned["status"], planned["phase"]) == ("Planned", "Finished")
        plan = planned["result"]["plan"]
        assert plan["requestBody"] == again.azure.bodies[0]
        assert [(each["id"], each["chosen"]) for each in plan["candidates"]] == [("1", True), ("2", False)]
        assert lab.azure.calls["trigger_restore"] == 0
        assert lab.azure.calls["find_restore_job"] == 0
        assert lab.azure.calls["trigger_validation"] == (1 if validate else 0)
        assert lab.published == [planned]

    def test_fails_where_the_restore_would_and_shows_what_would_have_been_sent(self, lab: Lab) -> None:
        lab.azure.validations = [Validation(status=OperationStatus.FAILED)]

        failed = lab.run(a_restore(dryRun=True, validate=True))

        assert (failed["status"], failed["error"]["code"]) == ("Failed", "ValidationFailed")
        plan = failed["result"]["plan"]
        assert plan["requestBody"]["properties"]["recoveryPointId"] == plan["candidates"][0]["id"]

    def test_without_a_point_shows_why_not(self, lab: Lab) -> None:
        lab.azure.points = [a_point("1", 30), a_point("2", 40)]

        failed = lab.run(a_restore(dryRun=True, recoveryPoint={"notOlderThan": "PT24H"}))

        assert (failed["status"], failed["error"]["code"]) == ("Failed", "NoMatchingRecoveryPoint")
        assert failed["result"]["plan"]["requestBody"] is None
        assert [(each["id"], each["reasons"]) for each in failed["result"]["plan"]["candidates"]] == [
            ("1", ["it is older than PT24H"]),
            ("2", ["it is older than PT24H"]),
        ]

    def test_a_restore_that_fails_has_no_plan(self, lab: Lab) -> None:
        lab.azure.validations = [Validation(status=OperationStatus.FAILED)]

        assert lab.run(a_restore(validate=True))["result"] is None

    def test_an_old_point_that_is_chosen_is_among_the_candidates_and_what_is_cut_is_said(self, lab: Lab) -> None:
        lab.azure.points = [a_point(str(hours), hours) for hours in range(1, 151)]

        planned = lab.run(a_restore(dryRun=True, recoveryPoint={"id": "150"}))

        candidates = planned["result"]["plan"]["candidates"]
        assert [each["id"] for each in candidates if each["chosen"]] == ["150"]
        assert [each["id"] for each in candidates] == [*map(str, range(1, 100)), "150"]
        assert [warning["code"] for warning in planned["warnings"]] == ["CandidatesCut"]
        assert planned["warnings"][0]["message"].startswith("50 ")

    def test_of_a_service_that_cannot_validate_is_a_plan_with_a_warning(self, lab: Lab) -> None:
        lab.azure.fails["trigger_validation"] = [TerminalError(errors.NOT_FOUND, "no such call")]

        planned = lab.run(a_restore(dryRun=True, validate=True))

        assert planned["status"] == "Planned"
        assert [warning["code"] for warning in planned["warnings"]] == ["ValidationUnavailable"]

    def test_with_many_candidates_is_told_whole_or_not_yet(self, lab: Lab) -> None:
        lab.azure.points = [a_point(str(hours), hours) for hours in range(1, 300)]

        planned = lab.run(a_restore(dryRun=True))

        assert len(planned["result"]["plan"]["candidates"]) == 100
        told = [each.value for each in lab.hub.statuses(restore_id_for("test"))]
        assert all(status["phase"] != "Finished" or status == planned for status in told)

    def test_names_the_guard_that_the_body_would_carry(self, guarded: Lab) -> None:
        body = guarded.run(a_restore(dryRun=True))["result"]["plan"]["requestBody"]

        assert body["properties"]["resourceGuardOperationRequests"] == [GUARD]


class TestResourceGuard:
    def test_is_named_in_the_trigger(self, guarded: Lab) -> None:
        assert guarded.run()["status"] == "Completed"

        assert guarded.azure.bodies[0]["properties"]["resourceGuardOperationRequests"] == [GUARD]

    def test_that_is_closed_is_waited_for(self, guarded: Lab) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 5

        done = guarded.run()

        assert done["status"] == "Completed"
        assert len(guarded.azure.jobs) == 1
        told = [each.value for each in guarded.hub.statuses(restore_id_for("test"))]
        waiting = [status for status in told if status["status"] == "AwaitingApproval"]
        assert {status["phase"] for status in waiting} == {"AwaitingApproval"}
        assert waiting[-1]["nextPollTime"]
        assert [warning["code"] for warning in done["warnings"]] == ["ResourceGuardClosed"]
        assert guarded.waits_s()[0] == 15.0

    @pytest.mark.parametrize(("timeout", "hours"), [(None, 4), ("PT30M", 0.5)])
    def test_that_stays_closed_rejects_the_restore(self, guarded: Lab, timeout: str | None, hours: float) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 1000
        approval: dict[str, Any] | None = {"timeout": timeout} if timeout else None

        done = guarded.run(a_restore(approval=approval))

        assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
        assert "Nothing was started." in done["error"]["message"]
        assert guarded.hub.clock.elapsed == timedelta(hours=hours)
        assert guarded.hub.largest_history <= 500

    def test_that_stays_closed_for_long_costs_no_time_of_the_restores_own(self, guarded: Lab) -> None:
        guarded.azure.job_takes = timedelta(hours=100)
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED] * 1000
        restore_id = guarded.start(a_restore(replace(LIMITS, deadline_s=3600), approval={"timeout": "P3D"}))

        guarded.hub.run_until(timedelta(hours=3))
        guarded.azure.fails["trigger_restore"].clear()
        done = guarded.hub.finish(restore_id)

        assert done["status"] == "TimedOut"
        assert len(guarded.azure.jobs) == 1
        assert timedelta(hours=4) <= guarded.hub.clock.elapsed <= timedelta(hours=4, minutes=2)

    @pytest.mark.parametrize("error", [errors.NOT_FOUND, errors.AUTHORIZATION_FAILED])
    def test_that_cannot_be_read_about_is_a_warning(self, lab: Lab, error: str) -> None:
        lab.azure.fails["list_resource_guard_proxies"] = [TerminalError(error, "no")]

        done = lab.run()

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["ResourceGuardNotRead"]

    def test_is_read_about_though_the_caller_names_no_request_of_it(self, guarded: Lab) -> None:
        guarded.run(a_restore(resourceGuardOperationRequests=[]))

        assert guarded.azure.bodies[0]["properties"]["resourceGuardOperationRequests"] == [GUARD]

    def test_a_403_without_a_guard_is_a_failure(self, lab: Lab) -> None:
        lab.azure.fails["trigger_restore"] = [forbidden("no role")]

        assert lab.run()["error"]["code"] == "AuthorizationFailed"

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
    def test_does_not_stand_behind_every_refusal(self, guarded: Lab, refusal: TerminalError) -> None:
        guarded.azure.fails["trigger_restore"] = [refusal] * 1000

        done = guarded.run()

        assert (done["status"], done["error"]["code"]) == ("Failed", "AuthorizationFailed")
        assert done["error"]["details"][0]["message"] == refusal.details[0].message

    def test_does_not_stand_behind_what_may_not_be_listed(self, guarded: Lab) -> None:
        guarded.azure.fails["find_restore_job"] = [forbidden("")] * 1000

        assert guarded.run()["error"]["code"] == "AuthorizationFailed"

    def test_that_has_opened_is_not_waited_for_any_more_however_the_job_was_found(self, guarded: Lab) -> None:
        guarded.azure.fails["trigger_restore"] = [GUARD_CLOSED]
        guarded.azure.posts = ["lost"]
        guarded.azure.job_takes = timedelta(hours=100)

        done = guarded.run(a_restore(replace(LIMITS, deadline_s=3600)))

        told = [each.value for each in guarded.hub.statuses(restore_id_for("test"))]
        assert {each["status"] for each in told if each["phase"] == "TrackingJob"} == {"Running"}
        assert done["status"] == "TimedOut"
        assert guarded.hub.clock.elapsed < timedelta(hours=1, minutes=5)

    @pytest.mark.parametrize("asked_s", [5 * 3600, 366 * 86_400])
    def test_that_asks_for_a_longer_wait_than_a_person_has_is_rejected_in_time(
        self, guarded: Lab, asked_s: float
    ) -> None:
        closed = TerminalError(GUARD_CLOSED.code, GUARD_CLOSED.message, GUARD_CLOSED.details, retry_after_s=asked_s)
        guarded.azure.fails["trigger_restore"] = [closed] * 1000

        done = guarded.run()

        assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
        assert guarded.hub.clock.elapsed == timedelta(hours=4)

    def test_that_gives_no_words_is_waited_for(self, guarded: Lab) -> None:
        guarded.azure.fails["trigger_restore"] = [forbidden("Access denied.")]

        done = guarded.run()

        assert (done["status"], done["warnings"][0]["code"]) == ("Completed", "ResourceGuardClosed")

    def test_another_refusal_is_a_failure_with_a_guard_too(self, guarded: Lab) -> None:
        guarded.azure.fails["trigger_restore"] = [TerminalError(errors.RESTORE_REFUSED, "invalid input")]

        assert guarded.run()["error"]["code"] == "RestoreRefused"


class TestResult:
    def test_warnings_of_the_checks_are_kept(self, lab: Lab) -> None:
        done = lab.run(a_restore(targetResourceGroupId=None))

        assert [warning["code"] for warning in done["warnings"]] == ["UnmanagedDisks"]

    def test_disks_replaced_in_place_are_warned_about(self, lab: Lab) -> None:
        done = lab.run(a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["SnapshotOnly", "DiskNamesChanged"]

    def test_disks_replaced_from_the_vault_need_no_such_doubt(self, lab: Lab) -> None:
        tiers = [{"type": tier, "status": "Valid"} for tier in ("InstantRP", "HardenedRP")]
        lab.azure.points = [a_point(recoveryPointTierDetails=tiers)]

        done = lab.run(a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None))

        assert [warning["code"] for warning in done["warnings"]] == ["DiskNamesChanged"]

    def test_a_new_vm_is_named(self, lab: Lab) -> None:
        group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/restored-rg"
        network = f"{group}/providers/Microsoft.Network/virtualNetworks/net"
        target = f"{group}/providers/Microsoft.Compute/virtualMachines/web-01-restored"

        done = lab.run(
            a_restore(
                recoveryType="AlternateLocation",
                targetVirtualMachineId=target,
                virtualNetworkId=network,
                subnetId=f"{network}/subnets/default",
            )
        )

        assert (done["status"], done["result"]["targetVirtualMachineId"]) == ("Completed", target)

    def test_a_new_vm_that_was_not_made_is_not_named(self, lab: Lab) -> None:
        lab.azure.job_end = JobStatus.FAILED
        network = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"

        done = lab.run(
            a_restore(
                recoveryType="AlternateLocation",
                targetVirtualMachineId=f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored",
                virtualNetworkId=network,
                subnetId=f"{network}/subnets/default",
            )
        )

        assert (done["status"], done["result"]["targetVirtualMachineId"]) == ("Failed", None)

    def test_a_rule_of_the_service_ends_it_before_the_trigger(self, lab: Lab) -> None:
        done = lab.run(a_restore(restoreDiskLunList=[0]))

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"][0]["target"] == "restoreDiskLunList"
        assert lab.azure.jobs == []
