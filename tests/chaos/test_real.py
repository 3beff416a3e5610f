"""Each check of ``make chaos ENGINE=real`` can fail, and what keeps it from running is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from scripts import real_engine
from simulator.server import running as simulating
from tests.chaos import real
from tests.chaos.real import Asked, Soak, violations
from tests.engine.stage import scenario
from tests.integration.app_stage import a_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator.server import Simulator

ID = "e0e90bd2"


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with simulating(scenario(pool=1)) as running:
        yield running


def an_asked(**members: Any) -> Asked:
    return Asked(**{"number": 1, "restore_id": ID, "status": "Completed", **members})


def checks(simulator: Simulator, asked: Asked, *told: str) -> list[str]:
    return [check for check, _ in violations(Soak(seed=1, asked=[asked]), simulator, set(told))]


def post(simulator: Simulator, asked: Asked) -> None:
    """Restore the VM, as the app would have."""
    secret = {"X-IDENTITY-HEADER": "simulator"}
    query = {"resource": "https://management.azure.com/", "api-version": "2019-08-01"}
    token = requests.get(f"{simulator.url}/msi/token", params=query, headers=secret, timeout=30).json()["access_token"]
    name = asked.vm.rpartition("/")[2]
    vault, native = "vault-weu", f"iaasvmcontainerv2;pool-rg;{name}"
    item = (
        f"{asked.vm.partition('/resourceGroups/')[0]}/resourceGroups/backup-rg/providers/Microsoft.RecoveryServices/vaults"
        f"/{vault}/backupFabrics/Azure/protectionContainers/IaasVMContainer;{native}/protectedItems/VM;{native}"
    )
    call = {"headers": {"Authorization": f"Bearer {token}"}, "params": {"api-version": "2025-08-01"}, "timeout": 30}
    points = requests.get(f"{simulator.url}{item}/recoveryPoints", **call).json()["value"]
    body = {
        "properties": {
            "objectType": "IaasVMRestoreRequest",
            "recoveryPointId": points[0]["name"],
            "recoveryType": "RestoreDisks",
            "sourceResourceId": asked.vm,
            "storageAccountId": a_request()["storageAccountId"],
            "region": "westeurope",
            "createNewCloudService": False,
            "originalStorageAccountOption": False,
        }
    }
    address = f"{simulator.url}{item}/recoveryPoints/{points[0]['name']}/restore"
    answer = requests.post(address, json=body, **call)
    assert answer.status_code == 202, answer.text


def test_nothing_is_found_where_nothing_is_wrong(simulator: Simulator) -> None:
    post(simulator, an_asked())

    assert checks(simulator, an_asked(), ID) == []


def test_a_restore_without_a_job_is_lost(simulator: Simulator) -> None:
    assert checks(simulator, an_asked(), ID) == ["lost"]


def test_a_restore_that_the_app_no_longer_knows_is_lost(simulator: Simulator) -> None:
    assert checks(simulator, an_asked(status="Running", unknown=True), ID) == ["lost"]


def test_a_second_post_is_found(simulator: Simulator) -> None:
    post(simulator, an_asked())
    simulator.world.requests.append(simulator.requests[-1])

    assert checks(simulator, an_asked(), ID) == ["doubled"]


def test_a_restore_that_has_not_ended_is_stuck(simulator: Simulator) -> None:
    assert checks(simulator, an_asked(status="Running")) == ["stuck"]


def test_a_restore_that_nobody_answered_for_is_stuck(simulator: Simulator) -> None:
    assert checks(simulator, an_asked(status="", restore_id="")) == ["stuck"]


def test_a_restore_that_failed_is_found(simulator: Simulator) -> None:
    assert checks(simulator, an_asked(status="Failed"), ID) == ["not completed"]


def test_a_result_that_is_not_told_is_found(simulator: Simulator) -> None:
    post(simulator, an_asked())

    assert checks(simulator, an_asked()) == ["untold"]


def test_without_the_engine_one_line_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(real_engine, "BINARY", tmp_path / "absent")

    assert real.main([]) == 2

    assert capsys.readouterr().err == f"chaos: {real_engine.MISSING}\n"
