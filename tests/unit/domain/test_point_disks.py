"""The disks of a recovery point, against those that are to be used after the restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from domain.azure.point_disks import disk_violations, needs_luns
from domain.requests import RestoreRequest
from tests.support.azure import VM_ID, a_point, a_request

if TYPE_CHECKING:
    from domain.azure.recovery_points import RecoveryPoint
    from domain.errors import Json

SWAP: Final[Json] = {"thenSwapDisks": {}}
DATA_ONLY: Final[Json] = {"thenSwapDisks": {"dataDisksOnly": True}}
CREATION: Final[Json] = {"thenCreateVirtualMachine": {"name": "web-02", "subnetId": "/s"}}


def attachment(**members: Any) -> Json:
    return {"thenAttachDisks": {"virtualMachineId": VM_ID, **members}}


def holding(*luns: int, named: bool = True) -> RecoveryPoint:
    """Return a point that holds the disks of these LUNs, as the list shows it or as it shows itself."""
    disks = {"includedDiskList": [{"lun": lun, "name": "disk"} for lun in luns]} if named else {}
    return a_point(recoveryPointDiskConfiguration={"numberOfDisksIncludedInBackup": len(luns), **disks})


def found(point: RecoveryPoint, **members: Any) -> list[tuple[str | None, str]]:
    violations = disk_violations(RestoreRequest(a_request(**members)), point)
    return [(violation.target, violation.message) for violation in violations]


@pytest.mark.parametrize("named", [True, False])
class TestNoDataDisk:
    @pytest.mark.parametrize("members", [DATA_ONLY, attachment()])
    def test_is_refused_where_only_those_are_used(self, members: Json, named: bool) -> None:
        ((target, message),) = found(holding(-1, named=named), **members)

        assert target == "recoveryPoint"
        assert "holds no data disk" in message

    @pytest.mark.parametrize("members", [{}, SWAP, CREATION, attachment(luns=[-1])])
    def test_is_no_matter_where_the_os_disk_is_used(self, members: Json, named: bool) -> None:
        assert found(holding(-1, named=named), **members) == []

    @pytest.mark.parametrize("members", [DATA_ONLY, attachment()])
    def test_one_is_enough(self, members: Json, named: bool) -> None:
        assert found(holding(-1, 3, named=named), **members) == []


@pytest.mark.parametrize(
    ("members", "target"),
    [
        ({"restoreDiskLunList": [-1, 0, 7, 2], **SWAP}, "restoreDiskLunList"),
        ({"restoreDiskLunList": [2, 7], **CREATION}, "restoreDiskLunList"),
        (attachment(luns=[2, 7]), "thenAttachDisks.luns"),
    ],
)
def test_disks_that_the_point_does_not_hold_are_named(members: Json, target: str) -> None:
    ((where, message),) = found(holding(-1, 0, 1), **members)

    assert where == target
    assert message.startswith("names LUN 2, 7, but the recovery point holds only the disks of LUN -1, 0, 1")


@pytest.mark.parametrize(
    ("point", "members"),
    [
        (holding(-1, 0), {"restoreDiskLunList": [-1, 0], **SWAP}),
        (holding(0), {"restoreDiskLunList": [-1, 0], **SWAP}),  # every point holds the OS disk
        (holding(-1, 0, named=False), {"restoreDiskLunList": [7], **SWAP}),
        (holding(-1, 0), {"restoreDiskLunList": [7]}),  # such a restore is compared with the request afterwards
        (a_point(), DATA_ONLY),
        (a_point(), {"restoreDiskLunList": [7], **attachment(luns=[7])}),
    ],
)
def test_disks_that_it_holds_or_may_hold_are_no_violation(point: RecoveryPoint, members: Json) -> None:
    assert found(point, **members) == []


@pytest.mark.parametrize(
    ("point", "members", "is_needed"),
    [
        (holding(-1, 0, named=False), SWAP, True),
        (holding(-1, 0, named=False), attachment(), True),
        (holding(-1, 0, named=False), {}, False),
        (holding(-1, 0), SWAP, False),
        (a_point(), SWAP, False),
    ],
)
def test_a_point_is_read_again_only_where_that_says_more(point: RecoveryPoint, members: Json, is_needed: bool) -> None:
    assert needs_luns(RestoreRequest(a_request(**members)), point) is is_needed
