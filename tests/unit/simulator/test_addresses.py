"""What ARM reads in an address."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.addresses import Address

GROUP = "/subscriptions/s/resourceGroups/g"


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("GET", "/subscriptions", "Microsoft.Resources/subscriptions/read"),
        ("GET", "/subscriptions/s/providers/Microsoft.Compute", "Microsoft.Resources/subscriptions/providers/read"),
        ("GET", "/subscriptions/s/providers", "Microsoft.Resources/subscriptions/providers/read"),
        ("PUT", GROUP, "Microsoft.Resources/subscriptions/resourceGroups/write"),
        ("GET", f"{GROUP}/deployments/d/operations/o", "Microsoft.Resources/deployments/operations/read"),
        ("DELETE", f"{GROUP}/providers/Microsoft.Compute/disks/d", "Microsoft.Compute/disks/delete"),
        ("PATCH", f"{GROUP}/providers/Microsoft.Compute/disks/d", "Microsoft.Compute/disks/write"),
        (
            "POST",
            f"{GROUP}/providers/Microsoft.Compute/virtualMachines/v/start",
            "Microsoft.Compute/virtualMachines/start/action",
        ),
        (
            "GET",
            f"{GROUP}/providers/A.B/c/d/providers/Microsoft.Authorization/permissions",
            "Microsoft.Authorization/permissions/read",
        ),
        ("POST", "/providers/Microsoft.ResourceGraph/resources", "Microsoft.ResourceGraph/resources/action"),
    ],
)
def test_the_action_of_a_call(method: str, path: str, action: str) -> None:
    assert Address.of(path).action(method) == action


def test_a_name_that_looks_like_a_keyword_is_a_name() -> None:
    address = Address.of("/subscriptions/s/resourceGroups/providers/providers/Microsoft.Compute/disks/providers")

    assert (address.group, address.namespace, address.types) == ("providers", "Microsoft.Compute", ("disks",))


@pytest.mark.parametrize(
    ("path", "below"),
    [(GROUP, False), (f"{GROUP}/", False), (f"{GROUP}/resources", True), (f"{GROUP}/providers/A.B/c", True)],
)
def test_what_is_below_a_group(path: str, below: bool) -> None:
    assert Address.of(path).is_below_group is below


@given(st.text(alphabet="/abspxrouceidg.Ø%", max_size=60), st.sampled_from(["", "/subscriptions/", "/providers/"]))
def test_any_path_can_be_read(path: str, start: str) -> None:
    address = Address.of(start + path)

    assert address.action("GET").endswith("/read")
    assert not address.is_known or address.provider.startswith("Microsoft.")
