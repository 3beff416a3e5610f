from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.az.cli import Az
from tests.support.processes import command

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.clock import ManualClock
    from simulator.server import Simulator
    from tests.az.cli import Run

RECOVERY_ID = "44444444-4444-4444-4444-444444444444"
SUBSCRIPTION_ID = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def new(simulator: Simulator, clock: ManualClock, tmp_path: Path, record: Callable[[Run], None]) -> Az:
    """An az as it is after its installation."""
    return replace(Az.of(simulator, tmp_path, clock), record=record)


def test_a_cloud_is_registered_from_the_metadata_that_arm_gives_without_a_token(new: Az, simulator: Simulator) -> None:
    new(f"cloud register --name simulator --endpoint-resource-manager {simulator.url}")

    endpoints = new.look_up("cloud show --name simulator")["endpoints"]

    assert endpoints["resourceManager"].rstrip("/") == simulator.url
    assert endpoints["activeDirectory"].startswith("https://")
    assert endpoints["activeDirectoryResourceId"].startswith("https://")


def test_a_cloud_is_registered_from_its_endpoints_alone(new: Az, simulator: Simulator) -> None:
    new(
        "cloud register --name simulator --skip-endpoint-discovery"
        f" --endpoint-resource-manager {simulator.url} --endpoint-active-directory https://login.microsoftonline.com"
        " --endpoint-active-directory-resource-id https://management.azure.com/"
    )
    new.look_up("cloud set --name simulator")

    assert new("login --identity")[0]["id"] == SUBSCRIPTION_ID


def test_the_registered_cloud_becomes_the_active_one(new: Az, simulator: Simulator) -> None:
    new.look_up(f"cloud register --name simulator --endpoint-resource-manager {simulator.url}")

    new("cloud set --name simulator")

    assert new.look_up("cloud show")["name"] == "simulator"


def test_the_managed_identity_signs_in_and_finds_its_subscription(az: Az) -> None:
    subscriptions = az("login --identity")

    first = subscriptions[0]
    assert (first["id"], first["state"], first["environmentName"]) == (SUBSCRIPTION_ID, "Enabled", "simulator")
    assert first["user"] == {
        "assignedIdentityInfo": "MSI",
        "name": "systemAssignedIdentity",
        "type": "servicePrincipal",
    }


def test_a_user_assigned_identity_signs_in(new: Az, simulator: Simulator) -> None:
    new.look_up(f"cloud register --name simulator --endpoint-resource-manager {simulator.url}")
    new.look_up("cloud set --name simulator")

    subscriptions = new("login --identity --client-id 22222222-2222-2222-2222-222222222222")

    assert subscriptions[0]["user"]["name"] == "userAssignedIdentity"


def test_the_account_is_shown(az: Az) -> None:
    account = az("account show")

    assert account["id"] == SUBSCRIPTION_ID
    assert account["tenantId"] == account["homeTenantId"]


def test_all_subscriptions_are_listed(az: Az) -> None:
    assert {account["id"] for account in az("account list")} >= {SUBSCRIPTION_ID, RECOVERY_ID}


def test_a_token_for_arm_is_given_out(az: Az) -> None:
    token = az("account get-access-token")

    assert token["subscription"] == SUBSCRIPTION_ID
    assert token["accessToken"].count(".") == 2


def test_without_signing_in_az_asks_for_it(new: Az) -> None:
    assert "az login" in new.fails("account show").errors


def test_the_simulator_as_a_program_serves_az_over_tls(tmp_path: Path, record: Callable[[Run], None]) -> None:
    certificate = tmp_path / "certificate.pem"
    with command("simulator", "--port", "0", "--tls", str(certificate)) as simulator:
        az = Az(certificate, f"{simulator.address}/msi/token", tmp_path, record=record)
        az.look_up(f"cloud register --name simulator --endpoint-resource-manager {simulator.address}")
        az.look_up("cloud set --name simulator")
        az.look_up("login --identity")

        assert az("backup vault show --resource-group backup-rg --name vault-weu")["location"] == "westeurope"
