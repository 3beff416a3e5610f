"""What ARM itself refuses before a resource provider sees the call, and what it writes on every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from simulator.clock import ManualClock
from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import (
    ACCOUNTS,
    API_VERSION,
    SUBSCRIPTION,
    TARGET_GROUP,
    VAULT,
    Caller,
    error_code,
    item_path,
    point_of,
    vm_id,
)

if TYPE_CHECKING:
    from simulator.server import Simulator

LIMITS = "x-ms-ratelimit-remaining-"
GROUP = f"{SUBSCRIPTION}/resourceGroups/web-rg"


def message(answer: requests.Response) -> str:
    return answer.json()["error"]["message"]


def counters(answer: requests.Response) -> dict[str, str]:
    """Return the counters of an answer by what they count."""
    return {name.removeprefix(LIMITS): value for name, value in answer.headers.items() if name.startswith(LIMITS)}


# Who calls


def test_a_call_without_a_token_learns_the_tenant(simulator: Simulator) -> None:
    answer = requests.get(f"{simulator.url}{VAULT}?api-version={API_VERSION}", timeout=10)

    assert (answer.status_code, error_code(answer)) == (401, "AuthenticationFailed")
    assert message(answer) == "Authentication failed. The 'Authorization' header is missing."
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    assert answer.headers["WWW-Authenticate"].startswith('Bearer authorization_uri="https://login.windows.net/')


@pytest.mark.parametrize("header", ["Basic c2ltdWxhdG9y", "Bearer", "Bearer "])
def test_a_header_of_another_form_is_no_token(arm: Caller, header: str) -> None:
    arm.session.headers["Authorization"] = header

    answer = arm.get(VAULT)

    assert (answer.status_code, error_code(answer)) == (401, "AuthenticationFailedInvalidHeader")


def test_an_expired_token_is_told_both_times(arm: Caller) -> None:
    arm.simulator.world.expire_tokens()

    answer = arm.get(VAULT)

    assert error_code(answer) == "ExpiredAuthenticationToken"
    assert message(answer).startswith("The access token expiry UTC time '")
    assert "' is earlier than current UTC time '" in message(answer)


# Addresses


def test_an_unknown_namespace(arm: Caller) -> None:
    path = f"{SUBSCRIPTION}/resourcegroups/backup-rg/providers/Microsoft.ClassicStorage/storageAccounts/stagingweu"

    answer = arm.get(path, **{"api-version": "2015-12-01"})

    assert (answer.status_code, answer.headers["x-ms-failure-cause"]) == (404, "gateway")
    assert answer.json() == {
        "error": {
            "code": "InvalidResourceNamespace",
            "message": "The resource namespace 'Microsoft.ClassicStorage' is invalid.",
        }
    }


def test_an_unknown_type_of_a_known_namespace(arm: Caller) -> None:
    answer = arm.get(f"{GROUP}/providers/Microsoft.Compute/unicorns/one", **{"api-version": "2026-04-01"})

    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "code": "InvalidResourceType",
        "message": "The resource type could not be found in the namespace 'Microsoft.Compute' for api version "
        "'2026-04-01'.",
    }


def test_a_path_of_no_provider(arm: Caller) -> None:
    answer = arm.get("/unicorns")

    assert (answer.status_code, error_code(answer)) == (404, "MissingSubscription")


@pytest.mark.parametrize("path", [vm_id("web-01", "nowhere-rg"), VAULT.replace("backup-rg", "nowhere-rg")])
def test_a_group_that_is_not_there_comes_before_what_is_in_it(arm: Caller, path: str) -> None:
    answer = arm.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"] == {
        "code": "ResourceGroupNotFound",
        "message": "Resource group 'nowhere-rg' could not be found.",
    }


@pytest.mark.parametrize(
    "path",
    [
        f"{ACCOUNTS}/stagingweu".replace("storageAccounts/", "storageAccounts//"),
        f"{ACCOUNTS}/stagingweu".replace("resourceGroups", "resourcegroups"),
        f"/{ACCOUNTS}/stagingweu",
        f"{ACCOUNTS}/stagingweu/",
    ],
)
def test_empty_segments_are_nothing(arm: Caller, path: str) -> None:
    answer = arm.get(path)

    assert (answer.status_code, answer.json()["name"]) == (200, "stagingweu")


def test_the_next_page_is_at_the_address_of_the_caller(secure: Simulator) -> None:
    caller = Caller(secure)
    with caller.session:
        host = secure.url.replace("127.0.0.1", "localhost")
        answer = caller.session.get(
            f"{host}{VAULT}/backupProtectedItems", params={"api-version": API_VERSION}, timeout=10
        )
        assert answer.json()["nextLink"].startswith(f"{host}/subscriptions/")
        assert caller.session.get(answer.json()["nextLink"], timeout=10).json()["value"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "azure.localhost"},
        {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "azure.localhost, inner"},
        {"Forwarded": "for=127.0.0.1;proto=https;host=azure.localhost, for=10.0.0.1;proto=http"},
        {"X-Forwarded-Proto": "https", "Host": "azure.localhost"},
        {"Host": "azure.localhost"},
    ],
    ids=["x", "row", "standard", "host", "silent"],
)
def test_behind_a_proxy_addresses_are_those_of_the_caller(arm: Caller, headers: dict[str, str]) -> None:
    arm.session.headers.update(headers)
    cloud = arm.get("/metadata/endpoints", **{"api-version": "2022-09-01"}).json()
    page = arm.get(f"{VAULT}/backupProtectedItems").json()
    triggered = arm.restore("web-01")

    here = "https://azure.localhost/subscriptions/"
    assert cloud["resourceManager"] == "https://azure.localhost/"
    assert page["nextLink"].startswith(here)
    assert page["value"][0]["properties"]["vaultId"].startswith(here)
    assert triggered.headers["Azure-AsyncOperation"].startswith(here)
    assert triggered.headers["Location"].startswith(here)


def test_a_proxy_without_tls_is_known_by_the_audience_of_the_token(arm: Caller) -> None:
    token = arm.token(resource="http://azure.localhost").json()["access_token"]
    arm.session.headers.update({"Host": "azure.localhost", "Authorization": f"Bearer {token}"})

    page = arm.get(f"{VAULT}/backupProtectedItems").json()
    triggered = arm.restore("web-01")

    assert page["nextLink"].startswith("http://azure.localhost/subscriptions/")
    assert triggered.headers["Location"].startswith("http://azure.localhost/subscriptions/")


# Api-versions


@pytest.mark.parametrize(
    ("path", "version"),
    [(VAULT, "2015-01-01"), (VAULT, "2031-01-01"), (vm_id("web-01"), "2014-06-01"), (VAULT, "2025-02-30")],
)
def test_an_api_version_that_the_provider_never_had(arm: Caller, path: str, version: str) -> None:
    answer = arm.get(path, **{"api-version": version})

    kind = path.split("/")[-2]
    assert (answer.status_code, error_code(answer)) == (400, "NoRegisteredProviderFound")
    assert f"API version '{version}' for type '{kind}'. The supported api-versions are '" in message(answer)


@pytest.mark.parametrize("version", ["newest", "2025-08-01-stable", "2025-8-1", ""])
def test_an_api_version_that_is_none(arm: Caller, version: str) -> None:
    answer = arm.get(VAULT, **{"api-version": version})

    code = "InvalidApiVersionParameter" if version else "MissingApiVersionParameter"
    assert (answer.status_code, error_code(answer)) == (400, code)


def test_an_api_version_given_twice(arm: Caller) -> None:
    answer = arm.session.get(f"{arm.simulator.url}{VAULT}?api-version=2025-08-01&API-Version=2025-08-01", timeout=10)

    assert (answer.status_code, error_code(answer)) == (400, "InvalidApiVersionParameter")
    assert "'2025-08-01,2025-08-01'" in message(answer)


@pytest.mark.parametrize(
    ("path", "version"),
    [
        (VAULT, "2026-07-01"),
        (f"{VAULT}/backupJobs", "2026-10-01"),
        (f"{VAULT}/backupJobs", "2016-12-01"),
        (f"{ACCOUNTS}/stagingweu", "2016-01-01"),
        (
            f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/restored-vnet",
            "2019-11-01",
        ),
        (vm_id("web-01"), "2026-04-01"),
    ],
)
def test_api_versions_that_clients_use_are_known(arm: Caller, path: str, version: str) -> None:
    assert arm.get(path, **{"api-version": version}).status_code == 200


# Bodies


def post(arm: Caller, content: bytes, **headers: str) -> requests.Response:
    path = f"{VAULT}/backupTriggerValidateOperation?api-version={API_VERSION}"
    return arm.session.post(f"{arm.simulator.url}{path}", data=content, headers=headers, timeout=10)


@pytest.mark.parametrize("content", [b"{", b"<xml/>", b"\xff"])
def test_a_body_that_is_no_json(arm: Caller, content: bytes) -> None:
    answer = post(arm, content, **{"Content-Type": "application/json"})

    assert (answer.status_code, error_code(answer)) == (400, "InvalidRequestContent")
    assert message(answer).startswith("The request content was invalid and could not be deserialized: '")
    assert answer.headers["x-ms-failure-cause"] == "gateway"


@pytest.mark.parametrize(
    ("headers", "named"), [({"Content-Type": "text/plain"}, "text/plain"), ({}, "<null>")], ids=["text", "none"]
)
def test_a_body_of_another_kind(arm: Caller, headers: dict[str, str], named: str) -> None:
    answer = post(arm, b"{}", **headers)

    assert (answer.status_code, error_code(answer)) == (415, "UnsupportedMediaType")
    assert message(answer) == (
        f"The content media type '{named}' is not supported. Only 'application/json' is supported."
    )


def test_a_charset_does_no_harm(arm: Caller) -> None:
    answer = post(arm, b"{}", **{"Content-Type": "application/json; charset=utf-8"})

    assert error_code(answer) not in {"UnsupportedMediaType", "InvalidRequestContent"}


# Counters


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (VAULT, {"subscription-reads": "11999"}),
        (f"{VAULT}/backupProtectedItems", {"subscription-resource-requests": "1099"}),
        (item_path("web-01"), {"subscription-resource-requests": "1099"}),
        (f"{item_path('web-01')}/recoveryPoints", {"subscription-resource-requests": "1099"}),
        (f"{VAULT}/backupJobs", {"subscription-resource-requests": "249"}),
        (vm_id("web-01"), {"subscription-reads": "249", "subscription-global-reads": "3749"}),
    ],
    ids=["vault", "items", "item", "points", "jobs", "vm"],
)
def test_reads_count_down_from_what_recordings_show(arm: Caller, path: str, expected: dict[str, str]) -> None:
    seen = counters(arm.get(path))

    assert expected.items() <= seen.items()
    assert {name for name in seen if name.startswith("subscription-")} == expected.keys()


def test_a_trigger_counts_writes_and_the_polls_of_what_it_started_do_not(arm: Caller) -> None:
    triggered = arm.restore("web-01")
    (job,) = arm.simulator.world.jobs.values()
    operation = arm.get(triggered.headers["Azure-AsyncOperation"])
    polled, again = [arm.get(f"{VAULT}/backupJobs/{job.job_id}") for _ in range(2)]

    assert counters(triggered) == {"subscription-writes": "799", "subscription-global-writes": "11999"}
    assert counters(operation) == {"subscription-resource-requests": "1099"}
    assert counters(polled) == {"subscription-resource-requests": "249"}
    assert counters(again) == {"subscription-resource-requests": "248"}


def test_other_writes_and_deletions_count_down_from_their_own_figures(arm: Caller) -> None:
    interface = f"{SUBSCRIPTION}/resourceGroups/web-rg/providers/Microsoft.Network/networkInterfaces/nobody"
    address, query = f"{arm.simulator.url}{interface}", {"api-version": API_VERSION}

    deleted = arm.session.delete(address, params=query, timeout=10)
    written = arm.session.patch(address, params=query, json={}, timeout=10)

    assert counters(deleted) == {"subscription-deletes": "799", "subscription-global-deletes": "11999"}
    assert counters(written) == {"subscription-writes": "199", "subscription-global-writes": "2999"}


def test_each_action_has_a_counter_of_its_own(arm: Caller) -> None:
    arm.get(item_path("web-01"))
    arm.get(item_path("web-02"))

    assert counters(arm.get(item_path("web-03"))) == {"subscription-resource-requests": "1097"}
    point = f"{item_path('web-01')}/recoveryPoints/{point_of(arm.simulator, 'web-01')}"
    assert counters(arm.get(point)) == {"subscription-resource-requests": "1099"}


# Limits


def a_scenario(**limits: Any) -> Scenario:
    return Scenario.from_dict(
        {
            "subscriptionId": "11111111-1111-1111-1111-111111111111",
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "vms": [{"name": "web-01", "resourceGroup": "web-rg", "vault": "vault-weu"}],
            "settings": {"limits": limits},
        }
    )


def test_a_429_of_one_action_says_everything() -> None:
    scenario = a_scenario(resourceRequests={"size": 1, "refillPerSecond": 0.004})
    with running(scenario, clock=ManualClock()) as simulator:
        caller = Caller(simulator)
        with caller.session:
            caller.get(item_path("web-01"))
            refused = caller.get(item_path("web-01"))

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "250")
    assert refused.json()["error"] == {
        "code": "ResourceRequestsThrottled",
        "message": "Number of requests for action "
        "'Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems/read' exceeded the limit "
        "of '1' for time interval '00:04:10'. Please try again after '250' seconds.",
    }


def test_a_429_that_a_fault_makes_has_the_same_text(arm: Caller) -> None:
    arm.simulator.world.set_faults("web-01", {"throttle429": {"count": 1, "retryAfterSeconds": 372}})

    refused = arm.get(item_path("web-01"))

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "372")
    assert message(refused).endswith("for time interval '00:05:00'. Please try again after '372' seconds.")
    assert "protectedItems/read' exceeded the limit of '" in message(refused)


# Headers


def test_answers_have_the_headers_of_the_front_door_of_2026(arm: Caller) -> None:
    read, written = arm.get(VAULT).headers, arm.restore("web-01").headers

    assert read["X-Cache"] == "CONFIG_NOCACHE"
    assert read["X-MSEdge-Ref"].startswith("Ref A: ")
    assert read["x-ms-operation-identifier"].startswith("tenantId=")
    assert (read["x-ms-throttling-version"], written["x-ms-throttling-version"]) == ("v1", "v2")
