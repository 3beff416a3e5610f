"""Sizes of VMs, and the room for data disks that a VM has by its size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from domain.azure.data_disk_room import count_added, new_places, room_violation, swap_may_add
from domain.azure.machine_sizes import MachineSize, problem_of_size, size_named
from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
from domain.requests import RestoreRequest
from tests.support.azure import VM_ID, a_machine, a_point, a_request

if TYPE_CHECKING:
    from domain.errors import Json

# The parts of an entry of Azure's list that are read, and some that are not.
SKU: Final[Json] = {
    "resourceType": "virtualMachines",
    "name": "Standard_D2s_v5",
    "tier": "Standard",
    "locations": ["westeurope"],
    "locationInfo": [{"location": "westeurope", "zones": ["1", "2", "3"]}],
    "capabilities": [{"name": "vCPUs", "value": "2"}, {"name": "MaxDataDiskCount", "value": "4"}],
    "restrictions": [],
}
MACHINE: Final = VirtualMachine.from_api(a_machine())  # with a data disk at LUN 0
SIZE: Final = MachineSize(name="Standard_D2s_v5", max_data_disks=4)
SWAP: Final[Json] = {"thenSwapDisks": {}}


def restricted(kind: str, **info: Any) -> MachineSize:
    restriction = {"type": kind, "restrictionInfo": info, "reasonCode": "NotAvailableForSubscription"}
    return MachineSize.from_api({**SKU, "restrictions": [restriction]})


def request(**members: Any) -> RestoreRequest:
    return RestoreRequest(a_request(**members))


class TestReading:
    def test_as_compute_sends_it(self) -> None:
        assert MachineSize.from_api(SKU) == SIZE

    def test_a_size_that_the_subscription_cannot_have(self) -> None:
        assert restricted("Location", locations=["westeurope"]).refused_because == "NotAvailableForSubscription"
        assert restricted("Zone", zones=["1", "3"]).refused_zones == ("1", "3")
        assert restricted("Zone", zones=["1"]).refused_because is None

    @pytest.mark.parametrize("value", ["many", "", "-1", "4.0", "12345", None, 4])
    def test_a_count_that_is_none_is_not_known(self, value: Any) -> None:
        body = {**SKU, "capabilities": [{"name": "MaxDataDiskCount", "value": value}]}

        assert MachineSize.from_api(body).max_data_disks is None

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": 5, "capabilities": None, "restrictions": {}},
            {"restrictions": [None, {"type": "Zone"}, {"type": "Zone", "restrictionInfo": {"zones": [None, {}]}}]},
        ],
    )
    def test_anything_else_is_a_size_of_which_nothing_is_known(self, body: Json) -> None:
        assert MachineSize.from_api(body) == MachineSize(name="")

    def test_a_restriction_without_a_reason_is_one(self) -> None:
        assert MachineSize.from_api({**SKU, "restrictions": [{"type": "Location"}]}).refused_because is not None


class TestANewVm:
    def problem(self, size: MachineSize | None, zone: str | None = None) -> str | None:
        return problem_of_size("Standard_D2s_v5", size, location="westeurope", zone=zone)

    def test_a_size_that_the_region_has_is_no_problem(self) -> None:
        assert size_named("standard_d2S_v5", [MachineSize(name="a"), SIZE]) == SIZE
        assert self.problem(SIZE, "1") is self.problem(restricted("Zone", zones=["1"]), "2") is None

    def test_one_that_it_does_not_have_is(self) -> None:
        assert size_named("Standard_D2s_v5", [MachineSize(name="a")]) is None
        assert "no VM size Standard_D2s_v5 in westeurope" in (self.problem(None) or "")

    def test_so_is_one_that_the_subscription_cannot_have(self) -> None:
        assert "(NotAvailableForSubscription)" in (self.problem(restricted("Location")) or "")
        assert "in zone 1 of westeurope" in (self.problem(restricted("Zone", zones=["1"]), "1") or "")


class TestRoom:
    def test_a_disk_needs_a_new_place_where_the_vm_has_none(self) -> None:
        assert new_places(MACHINE, [None, -1, 0, 5, 3, 3]) == [3, 5]

    @pytest.mark.parametrize(
        ("luns", "listed", "size", "may_add"),
        [
            (None, None, "Standard_D2s_v5", False),
            (None, None, "STANDARD_D2S_V5", False),
            (None, None, None, False),
            (None, None, "Standard_D4s_v5", True),  # it had another size then, and may have had more disks
            (None, [-1, 0], "Standard_D4s_v5", False),
            (None, [-1, 0, 1], "Standard_D2s_v5", True),
            ([0], [-1, 0, 1], "Standard_D2s_v5", False),
            ([1], None, "Standard_D2s_v5", True),
        ],
    )
    def test_the_sizes_are_read_only_where_a_swap_may_add_disks(
        self, luns: list[int] | None, listed: list[int] | None, size: str | None, may_add: bool
    ) -> None:
        disks = {"includedDiskList": [{"lun": lun} for lun in listed]} if listed else None
        point = a_point(recoveryPointDiskConfiguration=disks, virtualMachineSize=size)

        assert swap_may_add(request(restoreDiskLunList=luns, **SWAP), point, MACHINE) is may_add

    @pytest.mark.parametrize(
        ("members", "listed", "added"),
        [
            (SWAP, None, None),
            (SWAP, [-1, 0, 1, 2], 2),
            ({**SWAP, "restoreDiskLunList": [-1, 0, 7]}, None, 1),
            ({"thenAttachDisks": {"virtualMachineId": VM_ID, "luns": [-1, 0]}}, [-1, 0, 1], 2),
            ({"thenAttachDisks": {"virtualMachineId": VM_ID}}, [-1, 0, 1], 2),
            ({"thenAttachDisks": {"virtualMachineId": VM_ID}}, None, None),
            ({"thenCreateVirtualMachine": {}, "restoreDiskLunList": [-1, 3, 4]}, None, 2),
            ({"thenCreateVirtualMachine": {}}, [-1, 0], 1),
        ],
    )
    def test_how_many_disks_are_added(self, members: Json, listed: list[int] | None, added: int | None) -> None:
        disks = {"includedDiskList": [{"lun": lun} for lun in listed]} if listed else None
        machine = None if "thenCreateVirtualMachine" in members else MACHINE

        assert count_added(request(**members), a_point(recoveryPointDiskConfiguration=disks), machine) == added

    def test_the_number_in_the_list_of_points_is_enough(self) -> None:
        point = a_point(recoveryPointDiskConfiguration={"numberOfDisksIncludedInBackup": 3})

        assert count_added(request(thenCreateVirtualMachine={}), point, None) == 2

    @pytest.mark.parametrize(
        ("member", "target"),
        [
            ("thenSwapDisks", "thenSwapDisks"),
            ("thenAttachDisks", "thenAttachDisks"),
            ("thenCreateVirtualMachine", "thenCreateVirtualMachine.size"),
        ],
    )
    def test_more_than_there_is_room_for_is_refused(self, member: str, target: str) -> None:
        asked = request(**{member: {}})

        violation = room_violation(asked, 1, 2)

        assert violation is not None
        assert (violation.target, "room for 1 more data disks" in violation.message) == (target, True)
        assert room_violation(asked, 2, 2) is room_violation(asked, 0, None) is None


def test_a_vm_with_its_disks_full_has_room_for_the_same_places() -> None:
    disk = AttachedDisk(lun=1, disk_id="/d", name="d", options={})
    full = replace(MACHINE, data_disks=(*MACHINE.data_disks, disk))

    assert not swap_may_add(request(restoreDiskLunList=[-1, 0, 1], **SWAP), a_point(), full)
