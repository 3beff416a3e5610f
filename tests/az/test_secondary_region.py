"""az 2.91.0 cannot read the items of a secondary region: that is a defect of its own, whatever it talks to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.az.backup import VAULT, VM_KIND, Item

if TYPE_CHECKING:
    from tests.az.cli import Az

SECONDARY = "--use-secondary-region"
CRR_VAULT = "--resource-group crr-rg --vault-name vault-crr"
CRR = Item("crr-01", CRR_VAULT)


@pytest.mark.parametrize(
    "command",
    [f"item list {CRR_VAULT}", f"recoverypoint list {CRR.options}"],
    ids=["items", "points"],
)
def test_az_fails_over_the_answer_that_lists_the_items(az: Az, command: str) -> None:
    run = az.run(f"backup {command} {VM_KIND} {SECONDARY}")

    assert run.exit_code == 1
    assert "'AzureIaaSComputeVMProtectedItem' object does not support item assignment" in run.errors


def test_the_jobs_of_the_secondary_region_are_listed(az: Az) -> None:
    assert az(f"backup job list {CRR_VAULT} {SECONDARY}") == []


def test_a_job_of_the_secondary_region_cannot_be_stopped(az: Az) -> None:
    run = az.fails(f"backup job stop {VAULT} --name any {SECONDARY}")

    assert "do not support cancellation" in run.errors
