"""What must hold for a VM whose disks are to be swapped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.azure.management_locks import ManagementLock
from domain.azure.permissions import Permission
from domain.azure.protected_items import ProtectedItem
from domain.azure.swap_constraints import (
    lock_violations,
    machine_violations,
    permission_violations,
    vm_not_found,
    warning_of_scale_set,
)
from domain.azure.virtual_machines import VirtualMachine
from domain.requests import RestoreRequest
from tests.support.azure import CONTAINER, ITEM, VAULT_ID, VM_ID, a_machine, a_point, a_request

THE_ITEM = ProtectedItem(
    vault_id=VAULT_ID, container_name=CONTAINER, protected_item_name=ITEM, source_resource_id=VM_ID, region="westeurope"
)
MACHINE = replace(VirtualMachine.from_api(a_machine()), os_type="Linux")
ELSEWHERE = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/g"
GROUP = VM_ID.partition("/providers/")[0]


def request(swap: dict[str, Any] | None = None, **members: Any) -> RestoreRequest:
    return RestoreRequest({**a_request(**members), "thenSwapDisks": swap or {}})


def found(
    wanted: RestoreRequest | None = None,
    *,
    point: dict[str, Any] | None = None,
    region: str = "westeurope",
    **machine: Any,
) -> list[tuple[str | None, str]]:
    """Return the target and the message of each violation."""
    violations = machine_violations(
        wanted or request(), a_point(**point or {}), replace(THE_ITEM, region=region), replace(MACHINE, **machine)
    )
    return [(violation.target, violation.message) for violation in violations]


def test_an_ordinary_vm_has_no_violations() -> None:
    assert found() == []
    assert found(point={"osType": "linux", "securityType": "None"}) == []
    assert found(region="West Europe") == []
    assert found(location="") == []  # Azure does not say where it is


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        ({"is_os_disk_ephemeral": True}, "ephemeral"),
        ({"has_guest_encryption": True}, "VM's disks are encrypted"),
        ({"os_disk": replace(MACHINE.os_disk, disk_id="")}, "unmanaged"),
        ({"data_disks": (replace(MACHINE.data_disks[0], disk_id=""),)}, "unmanaged"),
        ({"location": "northeurope"}, "northeurope"),
        ({"is_hibernated": True, "power": "deallocated"}, "hibernated"),
    ],
)
def test_a_vm_whose_disks_azure_does_not_swap_is_refused(machine: dict[str, Any], words: str) -> None:
    ((target, message),) = found(**machine)

    assert target == "thenSwapDisks"
    assert words in message


def test_the_disk_of_an_ephemeral_vm_is_not_called_unmanaged_as_well() -> None:
    ((_, message),) = found(is_os_disk_ephemeral=True, os_disk=replace(MACHINE.os_disk, disk_id=""))

    assert "ephemeral" in message


@pytest.mark.parametrize(
    ("point", "target", "words"),
    [
        ({"isSourceVMEncrypted": True}, "thenSwapDisks", "disks of the recovery point are encrypted"),
        ({"isManagedVirtualMachine": False}, "recoveryPoint", "only from the vault tier"),
        ({"osType": "Windows"}, "recoveryPoint", "has Windows, but the VM has Linux"),
        ({"securityType": "TrustedLaunch"}, "recoveryPoint", "TrustedLaunch VM, but the VM is Standard"),
    ],
)
def test_a_point_whose_disks_do_not_fit_is_refused(point: dict[str, Any], target: str, words: str) -> None:
    ((where, message),) = found(point=point)

    assert where == target
    assert words in message


def test_unmanaged_disks_become_managed_ones_from_the_vault_tier() -> None:
    tiers = [{"type": tier, "status": "Valid"} for tier in ("InstantRP", "HardenedRP")]

    assert found(point={"isManagedVirtualMachine": False, "recoveryPointTierDetails": tiers}) == []


@pytest.mark.parametrize(
    ("security_type", "point"),
    [
        ("TrustedLaunch", {"securityType": "trustedlaunch"}),
        ("TrustedLaunch", {"securityType": "None"}),  # Azure Backup has been seen to say nothing else
        ("TrustedLaunch", {}),
        (None, {"securityType": "Standard"}),
    ],
)
def test_a_security_type_that_may_fit_is_no_violation(security_type: str | None, point: dict[str, Any]) -> None:
    assert found(point=point, security_type=security_type) == []


def test_an_os_that_is_not_known_is_no_violation() -> None:
    assert found(point={"osType": "Windows"}, os_type=None) == []


def test_data_disks_alone_need_not_fit_the_os() -> None:
    data_only = request({"dataDisksOnly": True})

    assert found(data_only, point={"osType": "Windows", "securityType": "TrustedLaunch"}) == []


@pytest.mark.parametrize(("luns", "is_refused"), [([-1], True), ([-1, 0], False), ([3], False), (None, False)])
def test_data_disks_alone_need_a_data_disk(luns: list[int] | None, is_refused: bool) -> None:
    targets = [target for target, _ in found(request({"dataDisksOnly": True}, restoreDiskLunList=luns))]

    assert targets == (["restoreDiskLunList"] if is_refused else [])
    assert found(request(restoreDiskLunList=luns)) == []


@pytest.mark.parametrize(
    ("zones", "zone", "is_refused"),
    [
        (["1"], "1", False),
        (["1"], "2", True),
        (["1"], None, True),
        (["NoZone"], None, False),
        (["NoZone"], "2", True),
        (None, "2", False),
    ],
)
def test_disks_go_to_the_zone_of_the_vm(zones: list[str] | None, zone: str | None, is_refused: bool) -> None:
    targets = [target for target, _ in found(request(zones=zones), zone=zone)]

    assert targets == (["zones"] if is_refused else [])


def test_managed_disks_are_restored_to_the_vms_subscription() -> None:
    ((target, message),) = found(request(targetResourceGroupId=ELSEWHERE))

    assert target == "targetResourceGroupId"
    assert "only disks of its own subscription" in message


def test_without_a_target_group_the_disks_go_beside_the_vm() -> None:
    assert found(request(targetResourceGroupId=None)) == []


def test_every_violation_is_named() -> None:
    violations = found(request(zones=["1"]), point={"osType": "Windows"}, has_guest_encryption=True, location="x")

    assert [target for target, _ in violations] == ["thenSwapDisks", "recoveryPoint", "thenSwapDisks", "zones"]


class TestPermissions:
    ALL = (
        "Microsoft.Compute/virtualMachines/deallocate/action",
        "Microsoft.Compute/virtualMachines/start/action",
        "Microsoft.Compute/virtualMachines/write",
    )

    def missing(self, *actions: str, **swap: Any) -> str:
        violations = list(permission_violations(request(swap), VM_ID, [Permission(actions=actions, not_actions=())]))
        return " ".join(violation.message for violation in violations)

    def test_that_are_enough_are_no_violation(self) -> None:
        assert self.missing(*self.ALL) == self.missing("*") == ""

    @pytest.mark.parametrize("action", ALL)
    def test_each_is_needed(self, action: str) -> None:
        message = self.missing(*[allowed for allowed in self.ALL if allowed != action])

        assert f"lacks {action} at {VM_ID}" in message
        assert "SwapDisks" in message

    def test_a_vm_that_is_not_started_needs_no_right_to_start_it(self) -> None:
        assert self.missing(self.ALL[0], self.ALL[2], start=False) == ""
        assert self.missing(self.ALL[0], self.ALL[2], start=True) != ""


def test_each_read_only_lock_on_the_vm_or_above_is_named() -> None:
    locks = [
        ManagementLock(name="keep", scope=GROUP, level="ReadOnly"),
        ManagementLock(name="stay", scope=VM_ID, level="CanNotDelete"),
        ManagementLock(name="own", scope=VM_ID, level="ReadOnly"),
    ]

    messages = [violation.message for violation in lock_violations(VM_ID, locks)]

    assert [message.partition(" forbids")[0] for message in messages] == [
        f"the ReadOnly lock keep on {GROUP}",
        f"the ReadOnly lock own on {VM_ID}",
    ]


def test_only_a_vm_of_a_scale_set_is_warned_of() -> None:
    found = warning_of_scale_set(replace(MACHINE, scale_set_id="/scale-set"))

    assert found is not None
    assert "The VM belongs to the scale set /scale-set." in found
    assert warning_of_scale_set(MACHINE) is None


def test_a_vm_that_is_gone_is_named() -> None:
    violation = vm_not_found(VM_ID)

    assert (violation.code, violation.target) == ("NotFound", "thenSwapDisks")
    assert VM_ID in violation.message
