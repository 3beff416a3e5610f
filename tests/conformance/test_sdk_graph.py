"""Resource Graph, as azure-mgmt-resourcegraph sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import FacetRequest, QueryRequest, QueryRequestOptions

from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import STAGING, SUBSCRIPTION, SUBSCRIPTION_ID, TARGET_GROUP, VAULT, Caller, vm_id
from tests.conformance.sdk import sdk_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

VM_TYPE = "Microsoft.Compute/virtualMachines"
ITEM_TYPE = "microsoft.recoveryservices/vaults/backupfabrics/protectioncontainers/protecteditems"
MANY = 2300


class Graph:
    """Asks the SDK; what it answers is at hand as the service wrote it."""

    def __init__(self, simulator: Simulator) -> None:
        self.client = sdk_client(ResourceGraphClient, simulator)
        self.simulator = simulator

    def ask(self, query: str, subscriptions: list[str] | None = None, **options: Any) -> Any:
        request = QueryRequest(query=query, subscriptions=subscriptions, options=QueryRequestOptions(**options))
        return self.client.resources(request)

    def rows(self, query: str, **options: Any) -> list[dict[str, Any]]:
        return self.ask(query, **options).data

    def details(self, query: str, status: int = 400, code: str = "BadRequest", **options: Any) -> list[dict[str, Any]]:
        """Return the details of the error that a query must end in."""
        with pytest.raises(HttpResponseError) as caught:
            self.ask(query, **options)
        response: Any = caught.value.response
        error = response.json()["error"]
        assert (caught.value.status_code, error["code"]) == (status, code)
        assert error["message"].startswith("Please provide below info when asking for support: timestamp = ")
        return error["details"]


@pytest.fixture
def graph(secure: Simulator) -> Iterator[Graph]:
    graph = Graph(secure)
    with graph.client:
        yield graph


@pytest.fixture
def fleet(clock: ManualClock) -> Iterator[Graph]:
    """A subscription with many VMs, every other of tier web."""
    point = {"ageHours": 3, "tiers": {"InstantRP": "Valid"}}
    vm = {"resourceGroup": "fleet-rg", "vault": "vault-weu", "points": [point], "count": MANY // 2}
    scenario = Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION_ID,
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "vms": [{**vm, "name": "web", "tags": {"tier": "web"}}, {**vm, "name": "db", "tags": {"tier": "db"}}],
        }
    )
    with running(scenario, clock=clock, tls=True) as simulator:
        graph = Graph(simulator)
        with graph.client:
            yield graph


class TestTables:
    def test_resources_has_what_the_subscription_has(self, graph: Graph) -> None:
        (vm,) = graph.rows(f"resources | where type =~ '{VM_TYPE}' and name == 'web-01'")

        assert {name: vm[name] for name in ("id", "type", "location", "resourceGroup", "subscriptionId", "kind")} == {
            "id": vm_id("web-01"),
            "type": VM_TYPE.lower(),
            "location": "westeurope",
            "resourceGroup": "web-rg",
            "subscriptionId": SUBSCRIPTION_ID,
            "kind": "",
        }
        assert vm["properties"]["hardwareProfile"]["vmSize"]
        types = {row["type"] for row in graph.rows("resources | distinct type")}
        assert {
            "microsoft.compute/virtualmachines",
            "microsoft.recoveryservices/vaults",
            "microsoft.storage/storageaccounts",
            "microsoft.network/virtualnetworks",
        } <= types

    def test_an_interface_says_who_holds_it(self, graph: Graph) -> None:
        rows = graph.rows(
            "resources | where type == 'microsoft.network/networkinterfaces' and name == 'web-01-nic' "
            "| project holder = tostring(properties.virtualMachine.id)"
        )

        assert rows == [{"holder": vm_id("web-01")}]

    def test_a_resource_group_is_in_lower_case_and_a_name_is_not(self, graph: Graph) -> None:
        (vm,) = graph.rows(f"resources | where type == '{VM_TYPE.lower()}' and name =~ 'MIXED-case-01'")

        assert (vm["name"], vm["resourceGroup"]) == ("Mixed-Case-01", "mixed-rg")
        assert "/resourceGroups/Mixed-RG/" in vm["id"]
        assert graph.rows(f"resources | where type == '{VM_TYPE}'") == []

    def test_protected_items(self, graph: Graph) -> None:
        (item,) = graph.rows(
            f"recoveryservicesresources | where type == '{ITEM_TYPE}' and properties.friendlyName =~ 'gone-01'"
        )

        properties = item["properties"]
        assert properties["sourceResourceId"].lower() == vm_id("gone-01").lower()
        assert properties["dataSourceInfo"]["resourceID"].lower() == vm_id("gone-01").lower()
        assert properties["currentProtectionState"] == "ProtectionConfigured"
        assert (properties["policyName"], properties["backupManagementType"]) == ("DefaultPolicy", "AzureIaasVM")
        assert properties["lastRecoveryPoint"] < "2026-11-20T12"
        assert item["id"].lower().startswith(VAULT.lower())

    def test_an_item_names_its_vm_in_another_case_than_the_table_of_resources(self, graph: Graph) -> None:
        (item,) = graph.rows(
            f"recoveryservicesresources | where type == '{ITEM_TYPE}' "
            "| where properties.friendlyName =~ 'mixed-case-01' | project vm = properties.sourceResourceId"
        )
        (vm,) = graph.rows(f"resources | where type =~ '{VM_TYPE}' and name =~ 'mixed-case-01' | project id")

        assert item["vm"] == vm["id"].lower() != vm["id"]

    def test_a_soft_deleted_item_says_so(self, graph: Graph) -> None:
        states = graph.rows(
            f"recoveryservicesresources | where type == '{ITEM_TYPE}' and properties.friendlyName =~ 'soft-deleted-01' "
            "| project state = properties.currentProtectionState"
        )

        assert states == [{"state": "SoftDeleted"}]

    def test_policies(self, graph: Graph) -> None:
        rows = graph.rows(
            "recoveryservicesresources | where type == 'microsoft.recoveryservices/vaults/backuppolicies' "
            "| where properties.backupManagementType == 'AzureIaasVM' | project id"
        )

        assert f"{VAULT}/backupPolicies/DefaultPolicy" in [row["id"] for row in rows]

    def test_jobs_for_fourteen_days(self, graph: Graph, clock: ManualClock) -> None:
        caller = Caller(graph.simulator)
        job = caller.restored_job("web-01")
        query = (
            "recoveryservicesresources | where type == 'microsoft.recoveryservices/vaults/backupjobs' "
            f"and name == '{job}'"
        )
        clock.advance(7200)

        (row,) = graph.rows(query)
        clock.advance(14 * 86400)

        properties = row["properties"]
        assert (properties["entityFriendlyName"], properties["operation"], properties["status"]) == (
            "web-01",
            "Restore",
            "Completed",
        )
        assert properties["dataSourceId"].lower() == vm_id("web-01").lower()
        assert (properties["isUserTriggered"], properties["dataSourceLocation"]) == (True, "westeurope")
        assert "extendedInfo" not in properties
        assert graph.rows(query) == []

    def test_subscriptions_and_groups(self, graph: Graph) -> None:
        rows = graph.rows("resourcecontainers | project id, type")

        assert {"id": SUBSCRIPTION, "type": "microsoft.resources/subscriptions"} in rows
        group = {
            "id": f"{SUBSCRIPTION}/resourceGroups/web-rg",
            "type": "microsoft.resources/subscriptions/resourcegroups",
        }
        assert group in rows


class TestQueries:
    def test_vms_with_a_tag_and_their_items(self, fleet: Graph) -> None:
        rows = fleet.rows(
            f"resources | where type =~ '{VM_TYPE}' and tags['tier'] =~ 'WEB' | extend rid = tolower(id) "
            f"| join kind=inner (recoveryservicesresources | where type =~ '{ITEM_TYPE}' "
            "| extend rid = tolower(tostring(properties.sourceResourceId)) | project rid, item = id) on rid "
            "| where name in~ ('WEB-001', 'db-001') or name matches regex '^web-00[2-3]$' "
            "| project name, item, tier = tostring(tags.tier) | order by name asc"
        )

        assert [row["name"] for row in rows] == ["web-001", "web-002", "web-003"]
        assert all(row["item"].lower().endswith(f";fleet-rg;{row['name']}") for row in rows)
        assert {row["tier"] for row in rows} == {"web"}

    def test_a_query_without_a_table_reads_resources(self, graph: Graph) -> None:
        assert graph.rows("where name == 'web-01' | project name") == [{"name": "web-01"}]

    @pytest.mark.parametrize(
        ("condition", "are_deleted"), [("isempty(vm)", True), ("vm == ''", True), ("isnull(vm)", False)]
    )
    def test_an_outer_join_without_a_partner_gives_an_empty_text(
        self, graph: Graph, condition: str, are_deleted: bool
    ) -> None:
        """KQL has no null texts: who looks for deleted VMs with ``isnull`` finds none."""
        rows = graph.rows(
            f"recoveryservicesresources | where type == '{ITEM_TYPE}' "
            "| extend key = tolower(tostring(properties.sourceResourceId)) "
            f"| join kind=leftouter (resources | where type =~ '{VM_TYPE}' | project key = tolower(id), vm = id) "
            f"on key | where {condition} | project name"
        )

        assert ("VM;iaasvmcontainerv2;web-rg;gone-01" in {row["name"] for row in rows}) is are_deleted

    def test_kinds_and_timespans(self, graph: Graph) -> None:
        """The column ``kind`` has a name that is a word of the language; a timespan is a text."""
        rows = graph.rows("where kind == 'StorageV2' | project kind, age = 26h + 500ms | take 1")

        assert rows == [{"kind": "StorageV2", "age": "1.02:00:00.5000000"}]

    def test_the_result_as_a_table(self, graph: Graph) -> None:
        answer = graph.ask("resources | where name == 'web-01' | project name, tags", result_format="table")

        assert answer.data == {
            "columns": [{"name": "name", "type": "string"}, {"name": "tags", "type": "object"}],
            "rows": [["web-01", {}]],
        }

    @pytest.mark.parametrize("version", ["2021-03-01", "2022-10-01", "2024-04-01"])
    def test_versions(self, secure: Simulator, version: str) -> None:
        with sdk_client(ResourceGraphClient, secure, api_version=version) as client:
            answer: Any = client.resources(QueryRequest(query="resources | count"))

        assert answer.data[0]["Count"] > 100

    def test_only_the_subscriptions_asked_for(self, graph: Graph) -> None:
        answer = graph.ask("resources | summarize n = count() by subscriptionId", subscriptions=[SUBSCRIPTION_ID])
        assert [row["subscriptionId"] for row in answer.data] == [SUBSCRIPTION_ID]

        foreign = ["99999999-9999-9999-9999-999999999999"]
        details = graph.details("resources | count", status=403, code="AccessDenied", subscriptions=foreign)
        assert details[0]["code"] == "AccessDenied"


class TestPages:
    def test_pages_of_a_thousand(self, fleet: Graph) -> None:
        query = f"resources | where type =~ '{VM_TYPE}' | project id, name | order by id asc"
        names: list[str] = []
        answer = fleet.ask(query)
        while True:
            assert (answer.total_records, answer.result_truncated) == (MANY, "false")
            assert answer.count == len(answer.data) <= 1000
            names += [row["name"] for row in answer.data]
            if not answer.skip_token:
                break
            answer = fleet.ask(query, skip_token=answer.skip_token)

        assert len(names) == len(set(names)) == MANY

    def test_a_page_of_the_size_asked_for(self, fleet: Graph) -> None:
        query = f"resources | where type =~ '{VM_TYPE}' | project id, name | order by name asc"

        first = fleet.ask(query, top=2, skip=1)
        second = fleet.ask(query, skip_token=first.skip_token)

        assert [row["name"] for row in first.data] == ["db-002", "db-003"]
        assert [row["name"] for row in second.data] == ["db-004", "db-005"]

    @pytest.mark.parametrize("query", ["resources | limit 1500 | project id", "resources | project tags, properties"])
    def test_no_next_page_for_limits_and_dynamic_columns(self, fleet: Graph, query: str) -> None:
        answer = fleet.ask(query)

        assert (answer.count, answer.result_truncated, answer.skip_token) == (1000, "true", None)

    def test_pages_may_be_shorter_than_asked_for(self, clock: ManualClock) -> None:
        scenario = Scenario.from_dict(
            {
                "subscriptionId": SUBSCRIPTION_ID,
                "settings": {"pageSizes": {"resourceGraph": 2}},
                "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
                "resourceGroups": ["a", "b", "c"],
            }
        )
        with running(scenario, clock=clock, tls=True) as simulator:
            graph = Graph(simulator)
            with graph.client:
                query = "resourcecontainers | where name in ('a', 'b', 'c') | project name | order by name asc"
                first = graph.ask(query, top=1000)
                second = graph.ask(query, top=1000, skip_token=first.skip_token)

        assert [row["name"] for row in first.data + second.data] == ["a", "b", "c"]
        assert (first.count, second.count, second.skip_token) == (2, 1, None)

    def test_rows_without_an_order_come_in_any(self, fleet: Graph) -> None:
        query = f"resources | where type =~ '{VM_TYPE}' | project name | limit 200"

        assert fleet.rows(query) != fleet.rows(query)

    def test_an_answer_that_is_too_large(self, fleet: Graph) -> None:
        details = fleet.details(
            "resources | extend all = 1 | join kind=inner (resources | where name matches regex '^web-0[01]' "
            "| extend all = 1) on all | summarize make_list(id)"
        )

        assert details[-1]["code"] == "ResponsePayloadTooLarge"

    @pytest.mark.parametrize("options", [{"top": 1001}, {"skip_token": "nonsense"}])
    def test_wrong_options(self, graph: Graph, options: dict[str, Any]) -> None:
        graph.details("resources | project id", **options)


class TestRefusals:
    def test_facets_are_refused_not_left_out(self, graph: Graph) -> None:
        request = QueryRequest(query="resources", facets=[FacetRequest(expression="location")])

        with pytest.raises(HttpResponseError, match="BadRequest"):
            graph.client.resources(request)

    def test_text_that_is_no_query(self, graph: Graph) -> None:
        details = graph.details("resources | where (")

        assert [detail["code"] for detail in details] == ["InvalidQuery", "ParserFailure"]
        assert details[0]["message"].startswith("Query is invalid. Please refer to the documentation")
        assert {"line", "characterPositionInLine", "token", "expectedToken"} <= details[1].keys()

    def test_a_table_that_is_not_there(self, graph: Graph) -> None:
        message = "Table nosuchresources is invalid, unsupported or disallowed."

        details = graph.details("nosuchresources | count")

        assert details == [{"code": "DisallowedLogicalTableName", "message": message}]

    @pytest.mark.parametrize("operator", ["search 'web'", "project-rename n = name", "render table", "getschema"])
    def test_operators_that_resource_graph_does_not_have(self, graph: Graph, operator: str) -> None:
        details = graph.details(f"resources | {operator}")

        assert (details[-1]["code"], details[-1]["token"]) == ("InvalidQueryLanguage", operator.partition(" ")[0])

    @pytest.mark.parametrize(
        "query",
        [
            "let n = 1; resources | count",
            ".show tables",
            "resources | project Name",
            "resources | where nothing == 1",
            "resources | order by properties.vmId",
            "resources | summarize count() by tags.tier",
            "resources | join kind=leftanti (resources) on id",
            "resources | summarize count() by env = iff(name == 'a', tags.env, tags.tier)",
            "resources | summarize arg_max(name, *) by location | order by properties",
            "resources | distinct tags",
            "resources | project replace('w', 'v', name)",
            "resources | summarize make_set(name, 3) by type",
            "resources | join (resources | join kind=leftouter (resources) on id) on id",
            "resources | where name matches regex '['",
            "print 1",
            "",
        ],
    )
    def test_queries_that_are_wrong(self, graph: Graph, query: str) -> None:
        assert graph.details(query)[0]["code"] == "InvalidQuery"


class TestQuota:
    def test_fifteen_queries_in_five_seconds(self, graph: Graph, clock: ManualClock) -> None:
        left = []
        for _ in range(15):
            graph.client.resources(
                QueryRequest(query="resources | count"),
                raw_response_hook=lambda response: left.append(response.http_response.headers),
            )
        assert [int(headers["x-ms-user-quota-remaining"]) for headers in left] == list(range(14, -1, -1))
        assert left[0]["x-ms-user-quota-resets-after"] == "00:00:05"

        clock.advance(2)
        with pytest.raises(HttpResponseError) as error:
            graph.ask("resources | count")
        response: Any = error.value.response
        assert (response.status_code, response.json()["error"]["code"]) == (429, "RateLimiting")
        assert response.headers["Retry-After"] == "3"

        clock.advance(3)
        assert graph.ask("resources | count").total_records == 1


class TestFreshness:
    def test_a_disk_that_a_restore_made_appears_late(self, graph: Graph, clock: ManualClock) -> None:
        job = Caller(graph.simulator).restored_job("web-01", targetResourceGroupId=TARGET_GROUP)
        query = f"resources | where tags.RSVaultBackup == '{job}' | project name"
        clock.advance(75)

        assert graph.rows(query) == []
        clock.advance(60)
        assert [row["name"].split("-")[1] for row in graph.rows(query)] == ["osdisk"]


class TestRights:
    def test_what_the_caller_may_not_read_is_left_out(self, graph: Graph) -> None:
        world = graph.simulator.world
        world.deny(f"{SUBSCRIPTION}/resourceGroups/web-rg", [f"{VM_TYPE}/read"])
        world.deny(VAULT, ["Microsoft.RecoveryServices/vaults/backupJobs/read"])

        names = {row["name"] for row in graph.rows("resources | project name")}
        assert "web-01" not in names
        assert "staginghidden" not in names
        assert {"sql-01", STAGING.rpartition("/")[2]} <= names
