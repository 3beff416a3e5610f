"""What a VM is, as Azure Compute says it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.azure.virtual_machines import VirtualMachine
from tests.support.azure import a_machine


@pytest.mark.parametrize(("enabled", "is_encrypted"), [(True, True), (False, False), (None, False)])
def test_encryption_that_only_the_instance_view_shows_counts(enabled: bool | None, is_encrypted: bool) -> None:
    view = {"disks": [{"name": "os"}, {"name": "data", "encryptionSettings": [{"enabled": enabled}]}]}

    machine = VirtualMachine.from_api(a_machine(instanceView=view))

    assert machine.has_guest_encryption is is_encrypted


@pytest.mark.parametrize(
    ("statuses", "failure"),
    [
        ([{"code": "ProvisioningState/failed/AllocationFailed", "message": "sold out"}], "AllocationFailed: sold out"),
        ([{"code": "ProvisioningState/Failed/X"}, {"code": "PowerState/stopped"}], "X"),
        ([{"code": "ProvisioningState/failed/X", "message": "m" * 9999}], f"X: {'m' * 497}"),
        ([{"code": "ProvisioningState/succeeded"}, "?", {"code": 7}], None),
    ],
)
def test_the_reason_of_a_failed_change_is_in_the_instance_view(statuses: list[Any], failure: str | None) -> None:
    assert VirtualMachine.from_api(a_machine(instanceView={"statuses": statuses})).failure == failure
