"""What every call meets first: tokens, api-versions, limits; and the simulator's own pages."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests

from simulator.clock import ManualClock
from simulator.providers.identity.tokens import Tokens
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import ACCOUNTS, LOCKED, VAULT, Caller, error_code, item_path, vm_id

if TYPE_CHECKING:
    from simulator.server import Simulator


def a_scenario(**settings: Any) -> Scenario:
    return Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu"}],
            "settings": settings,
        }
    )


# Identity


def test_token_lives_a_day_and_is_new_each_time(arm: Caller) -> None:
    first, second = arm.token().json(), arm.token(client_id="33333333-3333-3333-3333-333333333333").json()

    assert first.keys() == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert int(first["expires_on"]) == pytest.approx(time.time() + 86400, abs=60)
    assert first["resource"] == "https://management.azure.com/"
    assert first["token_type"] == "Bearer"
    assert first["access_token"] != second["access_token"]
    assert second["client_id"] == "33333333-3333-3333-3333-333333333333"


@pytest.mark.parametrize(
    ("secret", "query", "status"),
    [
        (None, {}, 401),
        ("guess", {}, 401),
        ("simulator", {"resource": ""}, 400),
        ("simulator", {"api-version": "2018-02-01"}, 400),
    ],
)
def test_identity_endpoint_is_strict(arm: Caller, secret: str | None, query: dict[str, str], status: int) -> None:
    assert arm.token(secret, **query).status_code == status


def test_identity_endpoint_that_warms_up_answers_500_a_few_times(arm: Caller) -> None:
    arm.simulator.world.identity_failures_left = 2

    answers = [arm.token() for _ in range(3)]

    assert [answer.status_code for answer in answers] == [500, 500, 200]
    assert answers[0].json()["statusCode"] == 500


@pytest.mark.parametrize("header", ["Bearer guess", "Basic simulator", "Bearer"])
def test_foreign_token_is_refused(arm: Caller, header: str) -> None:
    arm.session.headers["Authorization"] = header

    assert arm.get(VAULT).status_code == 401
    assert arm.get("/unknown").status_code == 401


def test_expired_tokens_are_refused_until_renewed(arm: Caller) -> None:
    assert arm.post("/_simulator/expire-tokens").json() == {"expired": 1}

    answer = arm.get(VAULT)

    assert (answer.status_code, error_code(answer)) == (401, "ExpiredAuthenticationToken")
    arm.renew()
    assert arm.get(VAULT).status_code == 200


def test_tokens_expire_by_themselves() -> None:
    clock = ManualClock()
    tokens = Tokens(clock)
    token = tokens.issue("one")

    clock.advance(timedelta(hours=24).total_seconds() - 1)
    assert tokens.is_valid(token.text)
    clock.advance(1)
    assert not tokens.is_valid(token.text)


def test_simulated_time_does_not_expire_tokens(arm: Caller) -> None:
    clock = arm.simulator.world.timeline.simulated
    assert isinstance(clock, ManualClock)
    clock.advance(timedelta(days=30).total_seconds())

    assert arm.get(VAULT).status_code == 200


# Addresses


def test_api_version_is_needed(arm: Caller) -> None:
    answer = arm.session.get(f"{arm.simulator.url}{VAULT}", timeout=10)

    assert (answer.status_code, error_code(answer)) == (400, "MissingApiVersionParameter")


def test_api_version_must_be_a_date(arm: Caller) -> None:
    answer = arm.get(VAULT, **{"api-version": "newest"})

    assert (answer.status_code, error_code(answer)) == (400, "InvalidApiVersionParameter")


def test_unknown_call_is_not_found(arm: Caller) -> None:
    answer = arm.get(f"{VAULT}/backupEngines")

    assert (answer.status_code, error_code(answer)) == (404, "InvalidResourceType")
    assert arm.post(VAULT).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        vm_id("web-77"),
        vm_id("gone-01"),
        VAULT.replace("vault-weu", "vault-xyz"),
        f"{ACCOUNTS}/nowhere",
    ],
)
def test_missing_resource_is_not_found_by_the_gateway(arm: Caller, path: str) -> None:
    answer = arm.get(path)

    assert (answer.status_code, error_code(answer)) == (404, "ResourceNotFound")
    assert answer.headers["x-ms-failure-cause"] == "gateway"


def test_casing_does_not_matter(arm: Caller) -> None:
    assert arm.get(VAULT.upper()).json()["name"] == "vault-weu"
    assert arm.get(vm_id("WEB-01").lower()).json()["location"] == "westeurope"
    assert arm.get(item_path("web-01").upper()).status_code == 200


# Resources


def test_vm_has_region_and_id(arm: Caller) -> None:
    vm = arm.get(vm_id("web-02")).json()

    assert (vm["id"], vm["location"], vm["type"]) == (
        vm_id("web-02"),
        "westeurope",
        "Microsoft.Compute/virtualMachines",
    )
    assert vm["properties"]["vmId"] != arm.get(vm_id("web-03")).json()["properties"]["vmId"]
    assert vm["properties"]["storageProfile"]["osDisk"]["osType"] == "Linux"


def test_vault_says_what_restores_it_allows(arm: Caller) -> None:
    vault = arm.get(VAULT).json()

    settings = vault["properties"]["restoreSettings"]["crossSubscriptionRestoreSettings"]
    assert (vault["location"], settings["crossSubscriptionRestoreState"]) == ("westeurope", "Enabled")


def test_storage_account_has_sku_and_kind(arm: Caller) -> None:
    account = arm.get(f"{ACCOUNTS}/stagingzrs").json()

    assert (account["location"], account["sku"], account["kind"]) == (
        "westeurope",
        {"name": "Standard_ZRS", "tier": "Standard"},
        "StorageV2",
    )


def test_protected_vm_without_points(arm: Caller) -> None:
    path = item_path("empty-01", vault=LOCKED)
    item = arm.get(path, **{"$filter": "expand eq 'extendedInfo'"}).json()["properties"]

    assert arm.get(f"{path}/recoveryPoints").json() == {"value": []}
    assert item["protectionState"] == "IRPending"
    assert "lastRecoveryPoint" not in item
    assert item["extendedInfo"] == {"recoveryPointCount": 0, "policyInconsistent": False}


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("containerName eq 'iaasvmcontainerv2;web-rg;web-01' and itemType eq 'VM'", {"web-01"}),
        ("containerName eq 'IaasVMContainer;iaasvmcontainerv2;web-rg;web-02'", {"web-02"}),
        ("containerName eq 'iaasvmcontainerv2;web-rg;web-02'", {"web-02"}),
        ("containerName eq 'iaasvmcontainerv2;web-rg;web-01' and healthState eq 'ActionRequired'", set[str]()),
        ("policyName eq 'EnhancedPolicy'", set[str]()),
        ("itemType eq 'SQLDataBase'", set[str]()),
    ],
)
def test_protected_items_are_filtered(arm: Caller, condition: str, names: set[str]) -> None:
    items = arm.get(f"{VAULT}/backupProtectedItems", **{"$filter": condition}).json()["value"]

    assert {item["properties"]["friendlyName"] for item in items} == names


def test_filter_of_recovery_points_must_be_readable(arm: Caller) -> None:
    answer = arm.get(f"{item_path('web-01')}/recoveryPoints", **{"$filter": "startDate eq 'yesterday'"})

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")


def test_point_shows_threat_softdeletion_and_rehydration(arm: Caller) -> None:
    path = f"{item_path('web-02')}/recoveryPoints"
    first = arm.get(path).json()
    points = [each["properties"] for each in first["value"] + arm.get(first["nextLink"]).json()["value"]]

    assert points[0]["threatStatus"] == "UnHealthy"
    assert points[1]["recoveryPointProperties"]["isSoftDeleted"] is True
    assert points[2]["recoveryPointType"] == "CrashConsistent"
    assert points[5]["recoveryPointTierDetails"][2]["status"] == "Rehydrated"
    assert "RehydratedRPExpiryTime" in points[5]["recoveryPointTierDetails"][2]["extendedInfo"]


def test_zonal_point_names_its_zone() -> None:
    points = [{"ageHours": 1, "tiers": {"HardenedRP": "Valid"}, "zones": ["2"], "id": "170406712483820"}]
    scenario = Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu", "points": points}],
        }
    )
    with running(scenario) as simulator:
        caller = Caller(simulator)
        with caller.session:
            point = caller.get(f"{item_path('web-01')}/recoveryPoints/170406712483820").json()

    assert point["properties"]["zones"] == ["2"]


@pytest.mark.parametrize("body", [None, {"resourceType": "VM"}, {"resourceType": "SQL", "resourceId": vm_id("web-01")}])
def test_backup_status_needs_type_and_id(arm: Caller, body: Any) -> None:
    path = "/subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.RecoveryServices"

    answer = arm.post(f"{path}/locations/westeurope/backupStatus", body)

    assert (answer.status_code, error_code(answer)) == (400, "BMSUserErrorInvalidInput")


# Limits


def test_empty_bucket_of_reads_answers_429_and_refills() -> None:
    clock = ManualClock()
    scenario = a_scenario(limits={"reads": {"size": 3, "refillPerSecond": 0.5}})
    with running(scenario, clock=clock) as simulator:
        caller = Caller(simulator)
        with caller.session:
            answers = [caller.get(VAULT) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            assert error_code(answers[3]) == "SubscriptionRequestsThrottled"
            assert answers[3].headers["Retry-After"] == "2"
            clock.advance(2)
            assert [caller.get(VAULT).status_code for _ in range(2)] == [200, 429]


def test_writes_have_a_bucket_of_their_own() -> None:
    scenario = a_scenario(limits={"writes": {"size": 1, "refillPerSecond": 0}})
    with running(scenario, clock=ManualClock()) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert caller.post(f"{VAULT}/backupValidateOperation").status_code == 400
            refused = caller.post(f"{VAULT}/backupValidateOperation")
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3600")
            assert caller.get(VAULT).status_code == 200


def test_one_kind_of_call_has_a_bucket_of_its_own() -> None:
    scenario = a_scenario(limits={"resourceRequests": {"size": 1, "refillPerSecond": 1}})
    with running(scenario, clock=ManualClock()) as simulator:
        caller = Caller(simulator)
        with caller.session:
            assert caller.get(f"{VAULT}/backupJobs").status_code == 200
            refused = caller.get(f"{VAULT}/backupJobs")
            assert (refused.status_code, error_code(refused)) == (429, "ResourceRequestsThrottled")
            assert caller.get(VAULT).status_code == 200


# The simulator's own pages


def test_health(arm: Caller) -> None:
    assert arm.get("/_simulator/health").json() == {
        "status": "ok",
        "simulatedTime": "2026-11-20T12:00:00.1234562Z",
        "speed": 1.0,
    }


def test_request_log_has_what_tests_need_and_no_secrets(arm: Caller) -> None:
    arm.restore("web-01", headers={"x-ms-client-request-id": "44444444-4444-4444-4444-444444444444"})

    token, restore = arm.simulator.requests
    assert (token.method, token.action, token.status) == ("GET", "get_token", 200)
    assert token.headers["x-identity-header"] == "(given)"
    assert (restore.method, restore.action, restore.status, restore.vm) == (
        "POST",
        "trigger_restore",
        202,
        "web-rg/web-01",
    )
    assert restore.path.endswith("/restore?api-version=2025-08-01")
    assert restore.headers["x-ms-client-request-id"] == "44444444-4444-4444-4444-444444444444"
    assert restore.headers["authorization"] == "(given)"
    assert restore.body["properties"]["recoveryType"] == "RestoreDisks"
    assert restore.time == arm.simulator.world.now()


def test_request_log_over_http_is_newest_first_and_can_be_narrowed(arm: Caller) -> None:
    arm.get(vm_id("web-01"))
    arm.get(vm_id("web-02"))
    arm.get(vm_id("web-77"))

    everything = arm.get("/_simulator/requests").json()["value"]
    one = arm.get("/_simulator/requests", action="get_vm", vm="web-rg/web-01").json()["value"]
    newest = arm.get("/_simulator/requests", top="1").json()["value"]

    assert [each["status"] for each in everything] == [404, 200, 200, 200]
    assert [each["vm"] for each in one] == ["web-rg/web-01"]
    assert newest == everything[:1]


def test_counters_count_requests_jobs_and_tokens(arm: Caller) -> None:
    arm.restore("web-01")
    arm.restore("web-01")
    arm.get(vm_id("web-77"))

    counters = arm.get("/_simulator/counters").json()

    assert counters == {
        "requests": 4,
        "byAction": {"get_token": 1, "get_vm": 1, "trigger_restore": 2},
        "byStatus": {"200": 1, "202": 2, "404": 1},
        "jobs": 2,
        "runningJobs": 2,
        "jobsByStatus": {"InProgress": 2},
        "jobsByVm": {"web-rg/web-01": 2},
        "tokens": 1,
    }


def test_jobs_page_has_every_job_with_its_details(arm: Caller) -> None:
    job_id = arm.restored_job("web-01")

    (job,) = arm.get("/_simulator/jobs").json()["value"]

    assert (job["name"], job["vm"]) == (job_id, "web-rg/web-01")
    assert job["properties"]["extendedInfo"]["progressPercentage"] == 1.0


def test_page_for_people_shows_requests_jobs_and_vms(arm: Caller) -> None:
    job_id = arm.restored_job("web-01")
    arm.get("/subscriptions/%3Cscript%3E")
    with pytest.raises(requests.ConnectionError):
        arm.restore("lost-202", "fault-rg")

    answer = arm.get("/_simulator/")

    assert answer.headers["Content-Type"].startswith("text/html")
    for text in (job_id, "web-rg/lonely-01", "trigger_restore", "dropped", "{&quot;lost202&quot;: true}"):
        assert text in answer.text
    assert "<script>" not in answer.text


def test_simulators_do_not_share_anything(arm: Caller) -> None:
    arm.restore("web-01")
    with running() as other:
        assert not other.world.jobs
        assert other.requests == []
        assert Caller(other).token().status_code == 200


def test_start_and_stop_are_quick_and_leave_no_thread() -> None:
    before = threading.active_count()
    began = time.perf_counter()
    with running(a_scenario()):
        started = time.perf_counter()
    stopped = time.perf_counter()

    assert started - began < 2
    assert stopped - started < 2
    assert threading.active_count() == before


def test_taken_port_is_an_error(simulator: Simulator) -> None:
    port = int(simulator.url.rpartition(":")[2])

    with pytest.raises(OSError, match=r"[Aa]ddress already in use"), running(port=port):
        pass


def test_different_operation_ids_for_the_whole_scenario() -> None:
    points = [{"ageHours": 1, "tiers": {"HardenedRP": "Valid"}}]
    scenario = Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu", "points": points}],
            "settings": {"differentOperationIds": True},
        }
    )
    with running(scenario) as simulator:
        caller = Caller(simulator)
        with caller.session:
            caller.restore("web-01")
    assert set(simulator.world.jobs).isdisjoint(simulator.world.operations)


@pytest.mark.parametrize(
    ("vm", "when", "remaining"),
    [
        ("soft-deleted-01", "2026-11-19T12:00:00.1234562Z", "13.00:00:00"),
        ("soft-deleted-02", "2026-11-08T00:00:00.1234562Z", "1.12:00:00"),
        ("soft-deleted-03", "2026-12-03T12:00:00.1234562Z", "13.00:00:00"),
    ],
)
def test_soft_deleted_item_says_so(arm: Caller, vm: str, when: str, remaining: str) -> None:
    item = arm.get(item_path(vm, "deleted-rg")).json()["properties"]

    assert (item["protectionState"], item["isScheduledForDeferredDelete"]) == ("ProtectionStopped", True)
    assert (item["deferredDeleteTimeInUTC"], item.get("deferredDeleteTimeRemaining")) == (when, remaining)


@pytest.mark.parametrize(
    ("vm", "flags"), [("soft-deleted-01", []), ("soft-deleted-02", [False] * 2), ("soft-deleted-03", [True] * 2)]
)
def test_points_of_a_soft_deleted_item_are_listed_or_not(arm: Caller, vm: str, flags: list[bool]) -> None:
    points = arm.get(f"{item_path(vm, 'deleted-rg')}/recoveryPoints").json()["value"]

    assert [point["properties"]["recoveryPointProperties"]["isSoftDeleted"] for point in points] == flags


def test_points_may_be_listed_without_their_tiers(arm: Caller) -> None:
    points = arm.get(f"{item_path('untiered-01', 'rules-rg')}/recoveryPoints").json()["value"]

    assert [point["properties"].get("recoveryPointTierDetails", "absent") for point in points] == [None, [], "absent"]


def test_moved_vm_is_protected_under_its_former_id(arm: Caller) -> None:
    path = "/subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.RecoveryServices"
    wanted = {"resourceType": "VM", "resourceId": vm_id("moved-01", "new-rg")}

    status = arm.post(f"{path}/locations/westeurope/backupStatus", wanted).json()

    assert (status["protectionStatus"], status["vaultId"]) == ("NotProtected", "")
    assert arm.get(item_path("moved-01", "old-rg")).json()["properties"]["sourceResourceId"] == vm_id(
        "moved-01", "old-rg"
    )
