from __future__ import annotations

import pytest

from arm.operations import operation_name

GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/g"
VAULT = f"{GROUP}/providers/Microsoft.RecoveryServices/vaults/v"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm", "Microsoft.Compute/virtualMachines/read"),
        ("GET", f"{VAULT}/backupJobs", "Microsoft.RecoveryServices/vaults/backupJobs/read"),
        ("GET", f"{VAULT}/backupJobs/j", "Microsoft.RecoveryServices/vaults/backupJobs/read"),
        ("POST", f"{VAULT}/backupJobs/j/cancel", "Microsoft.RecoveryServices/vaults/backupJobs/cancel/action"),
        ("PUT", f"{GROUP}/providers/Microsoft.Compute/disks/d", "Microsoft.Compute/disks/write"),
        ("DELETE", f"{GROUP}/providers/Microsoft.Compute/disks/d", "Microsoft.Compute/disks/delete"),
        ("GET", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read"),
        (
            "GET",
            f"{VAULT}/providers/Microsoft.Authorization/permissions",
            "Microsoft.Authorization/permissions/read",
        ),
    ],
)
def test_an_operation_has_the_name_that_arm_gives_it(method: str, path: str, name: str) -> None:
    assert operation_name(method, path) == name


@pytest.mark.parametrize(
    "path", ["/", "", "/providers/", f"{VAULT}/{'x' * 61}/a", f"{VAULT}/a-b/c", "/a%3Fsig=1/x", "/a" * 99]
)
def test_a_path_of_another_form_makes_no_new_name(path: str) -> None:
    assert operation_name("GET", path) == "other"
