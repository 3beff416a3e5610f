"""Every combination of the switches of main.bicep, evaluated: which resources there are, and what must hold in each."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.infra.conftest import SUBSCRIPTION
from triggers.alerts import AlertsApi
from triggers.http import RestoresApi
from triggers.queue import RequestsQueue
from triggers.recoveries import RecoveriesApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.conftest import Deployment, Json

    type Switches = dict[str, Any]

SWITCHES = {
    "vnetEnabled": [False, True],
    "sampleAlert": [False, True],
    "hostingPlan": ["FlexConsumption", "Premium"],
    "durableEngine": ["AzureStorage", "DurableTaskScheduler"],
    "assignRoles": [True, False],
}
COMBINATIONS = [dict(zip(SWITCHES, values, strict=True)) for values in product(*SWITCHES.values())]

ALWAYS = {
    "Microsoft.Insights/actionGroups": 1,
    "Microsoft.Insights/components": 1,
    "Microsoft.Insights/scheduledQueryRules": 3,
    "Microsoft.Insights/workbooks": 1,
    "Microsoft.ManagedIdentity/userAssignedIdentities": 1,
    "Microsoft.OperationalInsights/workspaces": 1,
    "Microsoft.Resources/resourceGroups": 1,
    "Microsoft.Storage/storageAccounts": 1,
    "Microsoft.Storage/storageAccounts/blobServices": 1,
    "Microsoft.Storage/storageAccounts/blobServices/containers": 1,
    "Microsoft.Storage/storageAccounts/queueServices": 1,
    "Microsoft.Storage/storageAccounts/queueServices/queues": 4,
    "Microsoft.Web/serverfarms": 1,
    "Microsoft.Web/sites": 1,
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": 2,
    "Microsoft.Web/sites/config": 1,
}
WITH_NETWORK = {
    "Microsoft.Network/networkSecurityGroups": 2,
    "Microsoft.Network/privateDnsZones": 3,
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": 3,
    "Microsoft.Network/privateEndpoints": 3,
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": 3,
    "Microsoft.Network/virtualNetworks": 1,
}
WITH_SAMPLE = {"Microsoft.Insights/actionGroups": 1, "Microsoft.Insights/metricAlerts": 1}
WITH_SCHEDULER = {
    "Microsoft.DurableTask/schedulers": 1,
    "Microsoft.DurableTask/schedulers/taskHubs": 1,
}
# The windows and frequencies that Azure accepts for log alerts, but P2D, which is a window only.
MINUTES = {"PT1M": 1, "PT5M": 5, "PT10M": 10, "PT15M": 15, "PT30M": 30, "PT45M": 45, "P1D": 1440}
MINUTES |= {f"PT{hours}H": hours * 60 for hours in range(1, 7)}
ROLE = "Microsoft.Authorization/roleAssignments"
# Parts of a tagged resource that cannot have tags of their own.
UNTAGGED = re.compile(
    r"Microsoft\.(Authorization/|Web/sites/|Storage/storageAccounts/|DurableTask/schedulers/|.*/privateDnsZoneGroups)"
)


@pytest.fixture(params=COMBINATIONS, ids=lambda switches: ",".join(f"{value}" for value in switches.values()))
def switches(request: pytest.FixtureRequest) -> Switches:
    return request.param


@pytest.fixture
def deployment(evaluate: Callable[..., Deployment], switches: Switches) -> Deployment:
    return evaluate(**switches)


def in_the_group(deployment: Deployment) -> list[Json]:
    """Return the app's own group and what is in it; what is at vaults and other groups is in test_roles.py."""
    own = re.compile(
        rf"(\[extensionResourceId\(')?/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-test(/|$)"
        rf"|\[resourceId\('{SUBSCRIPTION}', 'rg-test'"
    )
    return [resource for resource in deployment.resources if own.match(resource["id"])]


def texts(value: Any) -> Iterator[str]:
    """Return every text in a JSON value, the names of members too."""
    match value:
        case str():
            yield value
        case dict():
            for name, member in value.items():
                yield name
                yield from texts(member)
        case list():
            for element in value:
                yield from texts(element)
        case _:
            pass


def test_each_switch_adds_its_own_resources_and_no_others(deployment: Deployment, switches: Switches) -> None:
    expected = Counter(ALWAYS)
    if switches["vnetEnabled"]:
        expected += Counter(WITH_NETWORK)
    if switches["sampleAlert"]:
        expected += Counter(WITH_SAMPLE)
    if switches["durableEngine"] == "DurableTaskScheduler":
        expected += Counter(WITH_SCHEDULER)
    made = Counter(resource["type"] for resource in in_the_group(deployment))
    del made[ROLE]

    assert made == expected


def test_every_resource_has_the_tag_of_the_environment(deployment: Deployment) -> None:
    tagged = [resource for resource in in_the_group(deployment) if not UNTAGGED.match(resource["type"])]

    assert {resource["type"] for resource in tagged if resource.get("tags", {}).get("azd-env-name") != "test"} == set()


def test_the_storage_accepts_no_keys_and_is_public_only_without_a_network(
    deployment: Deployment, switches: Switches
) -> None:
    storage = deployment.one("Microsoft.Storage/storageAccounts")["properties"]
    reached = ("Disabled", "Deny") if switches["vnetEnabled"] else ("Enabled", "Allow")

    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert storage["minimumTlsVersion"] == "TLS1_2"
    assert (storage["publicNetworkAccess"], storage["networkAcls"]["defaultAction"]) == reached


def test_no_key_is_read_except_that_of_post_alert_for_the_sample(deployment: Deployment, switches: Switches) -> None:
    everything = "\n".join(texts([*deployment.resources, deployment.outputs]))
    read = re.findall(r"list[A-Z]\w*\('([^']*)'", everything)

    assert [path.rpartition("/functions/")[2] for path in read] == ["post_alert"] * switches["sampleAlert"]
    assert re.findall(r"AccountKey=|SharedAccess|sig=|DefaultEndpointsProtocol|UseDevelopmentStorage", everything) == []


def test_outputs_say_names_and_addresses_and_nothing_secret(deployment: Deployment) -> None:
    assert [text for text in texts(deployment.outputs) if re.search(r"list[A-Z]|onnectionString|code=", text)] == []


def test_identities_get_the_built_in_roles_of_their_data_alone(deployment: Deployment, switches: Switches) -> None:
    roles = {
        "strestore": {
            "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",  # Storage Blob Data Owner
            "974c5e8b-45b9-4653-ba55-5f855dd0fb88",  # Storage Queue Data Contributor
            "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",  # Storage Table Data Contributor
        },
        "appi-restore-": {"3913510d-42f4-4e42-8a64-420c390055eb"},  # Monitoring Metrics Publisher
    }
    if switches["durableEngine"] == "DurableTaskScheduler":
        roles["dts-restore-"] = {"0ad04412-c4d5-4796-b79c-f76d14c8d402"}  # Durable Task Data Contributor
    assigned: dict[str, set[str]] = {}
    for resource in in_the_group(deployment):
        if resource["type"] == ROLE:
            scope = re.findall(r"/(strestore|appi-restore-|dts-restore-)\w*',", resource["id"])[0]
            assigned.setdefault(scope, set()).add(resource["properties"]["roleDefinitionId"].rpartition("/")[2])

    assert assigned == (roles if switches["assignRoles"] else {})


def test_the_identity_gets_its_own_roles_under_names_that_a_new_identity_does_not_share(deployment: Deployment) -> None:
    """Azure keeps the assignments of a deleted identity, and lets nobody change their principal."""
    principal = re.compile(r"reference\('[^']*/userAssignedIdentities/id-restore-\w*', '[^']*'\)\.principalId")
    assignments = [resource for resource in deployment.resources if resource["type"] == ROLE]

    assert [one for one in assignments if not principal.search(one["name"])] == []
    assert [one for one in assignments if not principal.search(one["properties"]["principalId"])] == []


def test_the_app_is_reached_and_deployed_without_passwords(deployment: Deployment) -> None:
    site = deployment.one("Microsoft.Web/sites")
    policies = deployment.of_type("Microsoft.Web/sites/basicPublishingCredentialsPolicies")

    assert site["tags"]["azd-service-name"] == "api"
    assert site["identity"]["type"] == "UserAssigned"
    assert site["properties"]["httpsOnly"] is True
    assert site["properties"]["publicNetworkAccess"] == "Enabled"  # action groups call it from outside
    assert [site["properties"]["keyVaultReferenceIdentity"]] == list(site["identity"]["userAssignedIdentities"])
    assert site["properties"]["siteConfig"]["ftpsState"] == "Disabled"
    assert {(policy["name"].rpartition("/")[2], policy["properties"]["allow"]) for policy in policies} == {
        ("ftp", False),
        ("scm", False),
    }


def test_each_plan_runs_python_from_a_package_that_the_identity_reads(
    deployment: Deployment, switches: Switches
) -> None:
    plan = deployment.one("Microsoft.Web/serverfarms")["sku"]["name"]
    site = deployment.one("Microsoft.Web/sites")
    config, flex = site["properties"]["siteConfig"], site["properties"].get("functionAppConfig")
    settings = deployment.one("Microsoft.Web/sites/config")["properties"]
    (identity,) = site["identity"]["userAssignedIdentities"]

    assert not [name for name in settings if name.startswith("WEBSITE_CONTENT")]
    if switches["hostingPlan"] == "FlexConsumption":
        assert plan == "FC1"
        assert flex["runtime"] == {"name": "python", "version": "3.13"}
        assert flex["deployment"]["storage"]["authentication"] == {
            "type": "UserAssignedIdentity",
            "userAssignedIdentityResourceId": identity,
        }
        # Flex refuses a deployment that has them.
        refused = re.compile(
            "FUNCTIONS_(EXTENSION_VERSION|WORKER_)|WEBSITE_|SCM_|ENABLE_ORYX_BUILD|AzureWebJobsStorage$"
        )
        assert [name for name in settings if refused.match(name)] == []
        assert config.keys().isdisjoint({"linuxFxVersion", "healthCheckPath"})
    else:
        assert plan == "EP1"
        assert flex is None
        assert (config["linuxFxVersion"], config["healthCheckPath"]) == ("Python|3.13", "/api/health")
        assert settings["WEBSITE_RUN_FROM_PACKAGE_BLOB_MI_RESOURCE_ID"] == identity
        assert "/package.zip" in settings["WEBSITE_RUN_FROM_PACKAGE"]


def test_the_app_reaches_each_service_of_its_storage_as_its_identity(deployment: Deployment) -> None:
    settings = app_settings(deployment)
    storage = deployment.one("Microsoft.Storage/storageAccounts")["id"]

    for service in ("blob", "queue", "table"):
        address = settings[f"AzureWebJobsStorage__{service}ServiceUri"]
        assert re.fullmatch(rf"\[reference\('{storage}', '[\d-]+'\)\.primaryEndpoints\.{service}\]", address)
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    for name in ("AZURE_CLIENT_ID", "AzureWebJobsStorage__clientId", "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"):
        assert re.search(r"/userAssignedIdentities/id-restore-\w*', '[\d-]+'\)\.clientId", settings[name])
    assert "ClientId={0};Authorization=AAD" in settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"]


def test_the_code_is_in_a_container_of_the_storage(deployment: Deployment, switches: Switches) -> None:
    storage = deployment.one("Microsoft.Storage/storageAccounts")["id"]
    container = deployment.one("Microsoft.Storage/storageAccounts/blobServices/containers")["name"].rpartition("/")[2]
    flex = deployment.one("Microsoft.Web/sites")["properties"].get("functionAppConfig")
    code = flex["deployment"]["storage"]["value"] if flex else app_settings(deployment)["WEBSITE_RUN_FROM_PACKAGE"]

    assert f"reference('{storage}'" in code
    assert ".primaryEndpoints.blob" in code
    assert f"'{container}'" in code
    if switches["hostingPlan"] == "FlexConsumption":
        assert flex["scaleAndConcurrency"]["instanceMemoryMB"] in {512, 2048, 4096}
        assert 40 <= flex["scaleAndConcurrency"]["maximumInstanceCount"] <= 1000


def test_telemetry_takes_no_keys(deployment: Deployment) -> None:
    assert deployment.one("Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True
    assert deployment.one("Microsoft.OperationalInsights/workspaces")["properties"]["features"] == {
        "disableLocalAuth": True
    }


def test_the_names_of_the_storage_lead_to_the_private_endpoints(evaluate: Callable[..., Deployment]) -> None:
    deployment = evaluate(vnetEnabled=True)
    storage = deployment.one("Microsoft.Storage/storageAccounts")["id"]
    network = deployment.one("Microsoft.Network/virtualNetworks")["id"]
    zones = {
        service: f"format('privatelink.{{0}}.{{1}}', '{service}', environment().suffixes.storage)"
        for service in ("blob", "queue", "table")
    }
    linked = deployment.of_type("Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    endpoints = deployment.of_type("Microsoft.Network/privateEndpoints")
    groups = deployment.of_type("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")

    assert [zone["name"] for zone in deployment.of_type("Microsoft.Network/privateDnsZones")] == [
        f"[{zone}]" for zone in zones.values()
    ]
    assert [zone in link["name"] for zone, link in zip(zones.values(), linked, strict=True)] == [True] * 3
    assert {link["properties"]["virtualNetwork"]["id"] for link in linked} == {network}
    for service, endpoint, group in zip(zones, endpoints, groups, strict=True):
        (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
        (config,) = group["properties"]["privateDnsZoneConfigs"]
        assert endpoint["properties"]["subnet"]["id"] == f"{network}/subnets/endpoints"
        assert connection["properties"] == {"groupIds": [service], "privateLinkServiceId": storage}
        assert group["id"].startswith(f"{endpoint['id']}/")
        assert zones[service] in config["properties"]["privateDnsZoneId"]


@pytest.mark.parametrize(
    "same",
    [{"environmentName": "TEST"}, {"location": "West Europe"}, {"location": "WestEurope"}],
    ids=lambda same: str(*same.values()),
)
def test_an_environment_keeps_its_resources_in_any_spelling(
    evaluate: Callable[..., Deployment], same: Switches
) -> None:
    """Another spelling must not make a second app beside the first, with empty queues and no restores."""
    first, second = ({resource["id"] for resource in evaluate(**given).resources} for given in ({}, same))

    assert first == second


@pytest.mark.parametrize("name", ["a", "9" * 64, "Ab-_." * 12 + "zzzz"])
def test_names_have_the_length_that_azure_allows(evaluate: Callable[..., Deployment], name: str) -> None:
    deployment = evaluate(environmentName=name, vnetEnabled=True, sampleAlert=True, hostingPlan="Premium")
    made = {resource["type"]: resource["name"] for resource in deployment.resources}

    assert re.fullmatch(r"[a-z0-9]{3,24}", made["Microsoft.Storage/storageAccounts"])
    assert re.fullmatch(r"[a-z0-9-]{2,60}", made["Microsoft.Web/sites"])
    # Functions tell two apps at one storage apart by the first 32 characters.
    assert len(made["Microsoft.Web/sites"]) <= 32
    assert len(made["Microsoft.Resources/resourceGroups"]) <= 90
    assert len(made["Microsoft.Insights/metricAlerts"]) <= 260
    for group in deployment.of_type("Microsoft.Insights/actionGroups"):
        assert len(group["properties"]["groupShortName"]) <= 12
    for role in deployment.of_type("Microsoft.Authorization/roleDefinitions"):
        assert len(role["properties"]["roleName"]) <= 128


def test_the_network_is_delegated_to_the_plan_and_has_an_endpoint_for_each_service(
    evaluate: Callable[..., Deployment],
) -> None:
    delegated = {}
    for plan in SWITCHES["hostingPlan"]:
        deployment = evaluate(vnetEnabled=True, hostingPlan=plan)
        app, _ = deployment.one("Microsoft.Network/virtualNetworks")["properties"]["subnets"]
        delegated[plan] = app["properties"]["delegations"][0]["properties"]["serviceName"]
        endpoints = deployment.of_type("Microsoft.Network/privateEndpoints")
        groups = [
            endpoint["properties"]["privateLinkServiceConnections"][0]["properties"]["groupIds"]
            for endpoint in endpoints
        ]

        assert groups == [["blob"], ["queue"], ["table"]]
        assert deployment.one("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"].endswith("/subnets/app")

    assert delegated == {"FlexConsumption": "Microsoft.App/environments", "Premium": "Microsoft.Web/serverFarms"}


def test_the_scheduler_replaces_the_storage_provider_of_host_json(evaluate: Callable[..., Deployment]) -> None:
    prefix = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__"
    deployment = evaluate(durableEngine="DurableTaskScheduler")
    settings = deployment.one("Microsoft.Web/sites/config")["properties"]
    hub = deployment.one("Microsoft.DurableTask/schedulers/taskHubs")["name"]

    assert settings[f"{prefix}type"] == "azureManaged"
    assert "Authentication=ManagedIdentity" in settings[settings[f"{prefix}connectionStringName"]]
    # An empty list would admit nobody.
    assert deployment.one("Microsoft.DurableTask/schedulers")["properties"]["ipAllowlist"] == ["0.0.0.0/0"]
    assert hub.endswith("/AzureVmRestore")
    assert not [name for name in app_settings(evaluate()) if name.startswith((prefix, "DURABLE_TASK"))]


def test_what_starts_restores_is_disabled_on_request_only(evaluate: Callable[..., Deployment]) -> None:
    starts = (
        RestoresApi.post_restore,
        RestoresApi.undo_restore,
        RecoveriesApi.post_recovery,
        RequestsQueue.on_restore_request,
        AlertsApi.post_alert,
    )
    disabled = {f"AzureWebJobs.{function.__name__}.Disabled": "true" for function in starts}

    before, after = app_settings(evaluate()), app_settings(evaluate(acceptsRestores=False))

    assert after == {**before, **disabled}
    assert not [name for name in before if name.startswith("AzureWebJobs.")]


def app_settings(deployment: Deployment) -> Json:
    """Return the app settings of the deployment."""
    return deployment.one("Microsoft.Web/sites/config")["properties"]


def test_the_sample_posts_to_the_function_for_alerts(evaluate: Callable[..., Deployment]) -> None:
    deployment = evaluate(sampleAlert=True)
    (receiver,) = (
        receiver
        for group in deployment.of_type("Microsoft.Insights/actionGroups")
        for receiver in group["properties"].get("webhookReceivers", [])
    )
    alert = deployment.one("Microsoft.Insights/metricAlerts")["properties"]

    assert "/api/alerts?code=" in receiver["serviceUri"]
    assert f"/functions/{AlertsApi.post_alert.__name__}'" in receiver["serviceUri"]
    assert receiver["useCommonAlertSchema"] is True
    (criterion,) = alert["criteria"]["allOf"]
    assert criterion["metricName"] == "VmAvailabilityMetric"
    # Not available at any moment of the window: an average would be below 1 after a reboot, too.
    assert (criterion["timeAggregation"], criterion["operator"], criterion["threshold"]) == ("Maximum", "LessThan", 1)
    assert alert["scopes"] == [f"/subscriptions/{SUBSCRIPTION}"]
    assert alert["targetResourceType"] == "Microsoft.Compute/virtualMachines"
    (action,) = alert["actions"]
    assert action["actionGroupId"].rpartition("/")[2].startswith("ag-vm-down-")


@pytest.mark.parametrize(("email", "receivers"), [("", []), ("ops@example.com", ["ops@example.com"])])
def test_alerts_split_by_columns_of_their_query_and_reach_the_action_group(
    evaluate: Callable[..., Deployment], email: str, receivers: list[str]
) -> None:
    deployment = evaluate(alertEmail=email)
    group = deployment.one("Microsoft.Insights/actionGroups")
    rules = {rule["name"]: rule["properties"] for rule in deployment.of_type("Microsoft.Insights/scheduledQueryRules")}

    assert rules.keys() == {"restore-failed", "restore-waits-for-approval", "message-in-poison-queue"}
    assert [receiver["emailAddress"] for receiver in group["properties"]["emailReceivers"]] == receivers
    for rule in rules.values():
        (criterion,) = rule["criteria"]["allOf"]
        last_line = criterion["query"].rstrip().rpartition("\n")[2]
        assert [name["name"] for name in criterion["dimensions"] if name["name"] not in last_line] == []
        assert rule["actions"]["actionGroups"] == [group["id"]]
        assert rule["scopes"] == [deployment.one("Microsoft.Insights/components")["id"]]
        # The first deployment does not fail because the tables of the new component are not there yet.
        assert rule["skipQueryValidation"] is True
        # An open alert is resolved by itself, so that each restore alerts once.
        assert rule["autoMitigate"] is True
        assert (criterion["operator"], criterion["threshold"]) == ("GreaterThan", 0)
        assert MINUTES[rule["evaluationFrequency"]] < MINUTES[rule["windowSize"]]


def test_the_app_has_its_scopes_as_a_setting(evaluate: Callable[..., Deployment]) -> None:
    given = {
        "vaultIds": [f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.RecoveryServices/vaults/v"],
        "targetResourceGroupIds": [f"/subscriptions/{SUBSCRIPTION}/resourceGroups/target"],
        "stagingScopes": [f"/subscriptions/{SUBSCRIPTION}/resourceGroups/staging"],
        "virtualNetworkIds": [
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/n"
        ],
        "virtualMachineScopes": [f"/subscriptions/{SUBSCRIPTION}"],
        "inPlaceScopes": [f"/subscriptions/{SUBSCRIPTION}/resourceGroups/web"],
    }
    without_staging = {name: value for name, value in given.items() if name != "stagingScopes"}

    assert json.loads(app_settings(evaluate(**given))["RESTORE_SCOPES"]) == given
    assert json.loads(app_settings(evaluate(**without_staging))["RESTORE_SCOPES"]) == {
        **given,
        "stagingScopes": given["targetResourceGroupIds"],
    }
    assert json.loads(app_settings(evaluate(**given, readsTemplates=True))["RESTORE_SCOPES"]) == {
        **given,
        "readsTemplates": True,
    }
