from __future__ import annotations

import pytest

from domain.azure.management_locks import ManagementLock

SUBSCRIPTION = "/subscriptions/s"
GROUP = f"{SUBSCRIPTION}/resourceGroups/app-rg"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1"


@pytest.mark.parametrize(
    ("scope", "level", "forbids"),
    [
        (VM, "ReadOnly", True),
        (VM.upper(), "readonly", True),
        (GROUP, "ReadOnly", True),
        (f"{SUBSCRIPTION}/", "ReadOnly", True),
        (VM, "CanNotDelete", False),
        (VM, "NotSpecified", False),
        (f"{VM}/extensions/agent", "ReadOnly", False),
        (f"{VM}0", "ReadOnly", False),
        (VM[:-1], "ReadOnly", False),
        (f"{SUBSCRIPTION}/resourceGroups/app", "ReadOnly", False),
        ("", "ReadOnly", False),
    ],
)
def test_a_read_only_lock_on_the_vm_or_above_forbids_changes(scope: str, level: str, forbids: bool) -> None:
    lock = ManagementLock(name="l", scope=scope, level=level)

    assert lock.forbids_changes_of(VM) is forbids


@pytest.mark.parametrize("body", [{}, {"id": 5}, {"id": "/locks/l", "properties": None}, {"properties": {"level": []}}])
def test_a_lock_that_cannot_be_understood_forbids_nothing(body: dict[str, object]) -> None:
    assert not ManagementLock.from_api(body).forbids_changes_of(VM)


def test_the_scope_of_a_lock_is_read_from_its_id() -> None:
    lock_id = f"{GROUP}/PROVIDERS/Microsoft.Authorization/Locks/keep"

    lock = ManagementLock.from_api({"id": lock_id, "properties": {"level": "ReadOnly"}})

    assert lock == ManagementLock(name="keep", scope=GROUP, level="ReadOnly")
