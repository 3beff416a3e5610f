from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from domain.errors import ErrorDetail
from domain.jobs import JobStatus, Operation, OperationStatus
from tests.support.azure import (
    TARGET_GROUP,
    a_point,
    a_restore,
)

if TYPE_CHECKING:
    from tests.support.player import Player


def test_the_job_alone_decides_and_its_words_are_kept(player: Player) -> None:
    player.azure.job_end = JobStatus.FAILED
    player.azure.job_details = (ErrorDetail(code="UserErrorCoreCount", message="The quota is used up. Raise it."),)

    done = player.run()

    assert done["status"] == "Failed"
    assert done["error"]["code"] == "RestoreFailed"
    assert "The quota is used up. Raise it." in done["error"]["message"]
    assert done["error"]["details"][0]["code"] == "UserErrorCoreCount"


def test_a_cancelled_job_is_reported_as_cancelled(player: Player) -> None:
    player.azure.job_end = JobStatus.CANCELLED

    done = player.run()

    assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled")


def test_warnings_of_the_service_never_pass_as_completed(player: Player) -> None:
    player.azure.job_end = JobStatus.COMPLETED_WITH_WARNINGS
    player.azure.job_details = (ErrorDetail(code="OlrBackupFailed", message="Failed to take snapshot of the VM"),)

    done = player.run()

    assert done["status"] == "CompletedWithWarnings"
    assert {"code": "OlrBackupFailed", "message": "Failed to take snapshot of the VM"} in done["warnings"]


@pytest.mark.parametrize(
    ("status", "reported"), [(OperationStatus.FAILED, "Failed"), (OperationStatus.CANCELED, "Cancelled")]
)
def test_an_operation_that_failed_ends_the_restore(player: Player, status: OperationStatus, reported: str) -> None:
    player.azure.posts = ["jobless"]
    player.azure.operations = [Operation(status=status, error=ErrorDetail(code="UserErrorX", message="No."))]

    done = player.run()

    assert done["status"] == reported
    assert done["error"]["details"] == [{"code": "UserErrorX", "message": "No."}]


class TestResult:
    def test_warnings_of_the_checks_are_kept(self, player: Player) -> None:
        done = player.run(a_restore(targetResourceGroupId=None))

        assert [warning["code"] for warning in done["warnings"]] == ["UnmanagedDisks"]

    def test_disks_replaced_in_place_are_warned_about(self, player: Player) -> None:
        done = player.run(a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None))

        assert done["status"] == "Completed"
        assert [warning["code"] for warning in done["warnings"]] == ["SnapshotOnly", "DiskNamesChanged"]

    def test_disks_replaced_from_the_vault_need_no_such_doubt(self, player: Player) -> None:
        tiers = [{"type": tier, "status": "Valid"} for tier in ("InstantRP", "HardenedRP")]
        player.azure.points = [a_point(recoveryPointTierDetails=tiers)]

        done = player.run(a_restore(recoveryType="OriginalLocation", targetResourceGroupId=None))

        assert [warning["code"] for warning in done["warnings"]] == ["DiskNamesChanged"]

    def test_a_new_vm_is_named(self, player: Player) -> None:
        group = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/restored-rg"
        network = f"{group}/providers/Microsoft.Network/virtualNetworks/net"
        target = f"{group}/providers/Microsoft.Compute/virtualMachines/web-01-restored"

        done = player.run(
            a_restore(
                recoveryType="AlternateLocation",
                targetVirtualMachineId=target,
                virtualNetworkId=network,
                subnetId=f"{network}/subnets/default",
            )
        )

        assert (done["status"], done["result"]["targetVirtualMachineId"]) == ("Completed", target)

    def test_a_new_vm_that_was_not_made_is_not_named(self, player: Player) -> None:
        player.azure.job_end = JobStatus.FAILED
        network = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/net"

        done = player.run(
            a_restore(
                recoveryType="AlternateLocation",
                targetVirtualMachineId=f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored",
                virtualNetworkId=network,
                subnetId=f"{network}/subnets/default",
            )
        )

        assert (done["status"], done["result"]["targetVirtualMachineId"]) == ("Failed", None)

    def test_a_rule_of_the_service_ends_it_before_the_trigger(self, player: Player) -> None:
        done = player.run(a_restore(restoreDiskLunList=[0]))

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert done["error"]["details"][0]["target"] == "restoreDiskLunList"
        assert player.azure.jobs == []
