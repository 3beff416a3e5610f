"""Plans, which start nothing, and the vault's Resource Guard, which a person opens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain import errors
from domain.errors import TerminalError
from domain.jobs import OperationStatus
from domain.restores import restore_id_for
from domain.rules import GUARDED_OPERATION
from domain.validation import Validation
from tests.support.azure import Lab, a_point, a_restore

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

    def test_fails_where_the_restore_would(self, lab: Lab) -> None:
        lab.azure.validations = [Validation(status=OperationStatus.FAILED)]

        assert lab.run(a_restore(dryRun=True, validate=True))["error"]["code"] == "ValidationFailed"

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
        guarded.azure.fails["trigger_restore"] = [TerminalError(errors.AUTHORIZATION_FAILED, "guard says no")] * 5

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
        guarded.azure.fails["trigger_restore"] = [TerminalError(errors.AUTHORIZATION_FAILED, "guard says no")] * 1000
        approval: dict[str, Any] | None = {"timeout": timeout} if timeout else None

        done = guarded.run(a_restore(approval=approval))

        assert (done["status"], done["error"]["code"]) == ("Rejected", "ApprovalTimedOut")
        assert "Nothing was started." in done["error"]["message"]
        assert guarded.hub.clock.elapsed == timedelta(hours=hours)
        assert guarded.hub.largest_history <= 500

    def test_a_403_without_a_guard_is_a_failure(self, lab: Lab) -> None:
        lab.azure.fails["trigger_restore"] = [TerminalError(errors.AUTHORIZATION_FAILED, "no role")]

        assert lab.run()["error"]["code"] == "AuthorizationFailed"

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

    def test_a_rule_of_the_service_ends_it_before_the_trigger(self, lab: Lab) -> None:
        done = lab.run(a_restore(restoreDiskLunList=[0]))

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"][0]["target"] == "restoreDiskLunList"
        assert lab.azure.jobs == []
