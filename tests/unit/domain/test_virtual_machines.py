"""What a VM is, as Azure Compute says it."""

from __future__ import annotations

import pytest

from domain.azure.virtual_machines import VirtualMachine
from tests.support.azure import a_machine


@pytest.mark.parametrize(("enabled", "is_encrypted"), [(True, True), (False, False), (None, False)])
def test_encryption_that_only_the_instance_view_shows_counts(enabled: bool | None, is_encrypted: bool) -> None:
    view = {"disks": [{"name": "os"}, {"name": "data", "encryptionSettings": [{"enabled": enabled}]}]}

    machine = VirtualMachine.from_api(a_machine(instanceView=view))

    assert machine.has_guest_encryption is is_encrypted
