"""The deployment as a whole: what ``azd up`` and ``az deployment sub create`` would make."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Deployment


def test_everything_is_in_one_tagged_group(evaluate: Callable[..., Deployment]) -> None:
    group = evaluate().one("Microsoft.Resources/resourceGroups")

    assert (group["name"], group["location"]) == ("rg-test", "westeurope")
    assert group["tags"] == {"azd-env-name": "test"}
