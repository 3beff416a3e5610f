"""Restores of a vault that a Resource Guard protects, raw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import GUARD, GUARDED, SUBSCRIPTION, VAULT, Caller, error_code

if TYPE_CHECKING:
    import requests

    from simulator.clock import ManualClock

REQUEST = f"{GUARD}/triggerRestoreRequests/default"
SWITCH = "/_simulator/vaults/vault-guarded/resource-guard"


def restore(arm: Caller, *requests: str) -> requests.Response:
    named = list(requests) or None
    return arm.restore("guarded-01", "guarded-rg", vault=GUARDED, resourceGuardOperationRequests=named)


def outcome(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, error_code(answer) if answer.content else ""


def test_proxy_names_the_request_for_restores_among_others(arm: Caller) -> None:
    (proxy,) = arm.get(f"{GUARDED}/backupResourceGuardProxies").json()["value"]

    assert proxy["id"] == f"{GUARDED}/backupResourceGuardProxies/VaultProxy"
    assert proxy["properties"]["resourceGuardResourceId"] == GUARD
    details = {
        each["defaultResourceRequest"]: each["vaultCriticalOperation"]
        for each in proxy["properties"]["resourceGuardOperationDetails"]
    }
    wanted = (
        "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/"
        "recoveryPoints/restore/action"
    )
    alike = [key for key, value in details.items() if value.endswith("/restore/action")]
    assert [key for key, value in details.items() if value == wanted] == [REQUEST]
    assert REQUEST in alike[1:-1]  # neither the first nor the last that ends alike


def test_vault_says_whether_it_is_guarded(arm: Caller) -> None:
    states = [
        arm.get(vault).json()["properties"]["securitySettings"]["multiUserAuthorization"] for vault in (GUARDED, VAULT)
    ]

    assert states == ["Enabled", "Disabled"]
    assert arm.get(f"{VAULT}/backupResourceGuardProxies").json() == {"value": []}


@pytest.mark.parametrize("named", [(), (REQUEST.replace("guard-01", "guard-02"),), (GUARD,)])
def test_restore_must_name_the_request_of_the_guard(arm: Caller, named: tuple[str, ...]) -> None:
    arm.post(SWITCH, {"granted": True})

    answer = restore(arm, *named)

    assert outcome(answer) == (403, "UserErrorResourceGuardRequestMissing")
    assert GUARD in answer.json()["error"]["message"]
    assert answer.headers["x-ms-failure-cause"] == "service"
    assert not arm.simulator.world.jobs
    assert not arm.simulator.world.operations


def test_restore_without_approval_is_forbidden_by_the_gateway(arm: Caller) -> None:
    answer = restore(arm, REQUEST)

    assert outcome(answer) == (403, "LinkedAuthorizationFailed")
    assert f"'{GUARD}'" in answer.json()["error"]["message"]
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    assert not arm.simulator.world.jobs
    assert not arm.simulator.world.operations


def test_approval_comes_so_long_after_the_first_restore_that_asked(arm: Caller, clock: ManualClock) -> None:
    clock.advance(3600)
    assert restore(arm).status_code == 403
    clock.advance(3600)
    assert outcome(restore(arm, REQUEST)) == (403, "LinkedAuthorizationFailed")
    clock.advance(299)
    assert restore(arm, REQUEST).status_code == 403
    clock.advance(1)

    answer = restore(arm, REQUEST.upper())

    assert answer.status_code == 202
    assert len(arm.simulator.world.jobs_of("guarded-01")) == 1


def test_approval_is_given_and_taken_back_at_run_time(arm: Caller, clock: ManualClock) -> None:
    assert restore(arm, REQUEST).status_code == 403
    assert arm.post(SWITCH, {"granted": True}).json() == {"vault": "vault-guarded", "granted": True}
    assert restore(arm, REQUEST).status_code == 202
    arm.simulator.world.set_guard("Vault-Guarded", granted=False)
    clock.advance(10_000)

    assert outcome(restore(arm, REQUEST)) == (403, "LinkedAuthorizationFailed")


@pytest.mark.parametrize(
    ("vault", "body", "status"),
    [
        ("vault-guarded", {"granted": "yes"}, 400),
        ("vault-guarded", None, 400),
        ("vault-weu", {"granted": True}, 404),
        ("nowhere", {"granted": True}, 404),
    ],
)
def test_switch_is_strict(arm: Caller, vault: str, body: Any, status: int) -> None:
    answer = arm.post(f"/_simulator/vaults/{vault}/resource-guard", body)

    assert answer.status_code == status
    assert answer.json()["problems"]


def test_form_of_the_requests_is_checked_even_without_a_guard(arm: Caller) -> None:
    assert outcome(arm.restore("web-01", resourceGuardOperationRequests=REQUEST)) == (400, "BMSUserErrorInvalidInput")
    assert arm.restore("web-01", resourceGuardOperationRequests=[REQUEST]).status_code == 202


@pytest.mark.parametrize(
    ("members", "status"),
    [({"granted": True}, 202), ({"granted": False}, 403), ({}, 403), ({"grantedAfterSeconds": 5}, 403)],
)
def test_scenario_says_when_a_guard_allows(clock: ManualClock, members: dict[str, Any], status: int) -> None:
    scenario = Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [
                {
                    "name": "vault-guarded",
                    "resourceGroup": "guarded-rg",
                    "region": "westeurope",
                    "resourceGuard": {"name": "guard-01", "resourceGroup": "security-rg", **members},
                }
            ],
            "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
            "vms": [
                {
                    "name": "guarded-01",
                    "resourceGroup": "guarded-rg",
                    "vault": "vault-guarded",
                    "points": [{"ageHours": 1, "tiers": {"HardenedRP": "Valid"}}],
                }
            ],
        }
    )
    with running(scenario, clock=clock) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert restore(caller, REQUEST).status_code == status
