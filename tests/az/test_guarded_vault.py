from __future__ import annotations

from typing import TYPE_CHECKING

from tests.az.backup import Item

if TYPE_CHECKING:
    from simulator.clock import ManualClock
    from simulator.server import Simulator
    from tests.az.backup import Backup

GUARDED = Item("guarded-01", "--resource-group guarded-rg --vault-name vault-guarded")
TARGET = "--target-resource-group restored-rg"


def test_az_names_the_guards_request_and_a_closed_guard_refuses(backup: Backup, simulator: Simulator) -> None:
    simulator.world.set_guard("vault-guarded", granted=False)

    run = backup.refusal(GUARDED, TARGET)

    assert "(LinkedAuthorizationFailed)" in run.errors


def test_once_the_guard_grants_it_the_restore_runs(backup: Backup, simulator: Simulator, clock: ManualClock) -> None:
    simulator.world.set_guard("vault-guarded", granted=True)

    name = backup.restore(GUARDED, TARGET)
    clock.advance(3600)

    assert backup.job(GUARDED, name)["status"] == "Completed"
