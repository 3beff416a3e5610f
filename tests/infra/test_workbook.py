"""The workbook and the alert rules: their queries are the files of infra/queries, their settings fit the columns."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.infra.kql import Insights, names, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.conftest import Deployment, Json


@pytest.fixture(scope="module")
def deployment(evaluate: Callable[..., Deployment]) -> Deployment:
    return evaluate()


@pytest.fixture(scope="module")
def resource(deployment: Deployment) -> Json:
    return deployment.one("Microsoft.Insights/workbooks")


@pytest.fixture(scope="module")
def items(resource: Json) -> list[Json]:
    return json.loads(resource["properties"]["serializedData"])["items"]


@pytest.fixture(scope="module")
def panels(items: list[Json]) -> dict[str, Json]:
    return {item["name"]: item["content"] for item in items if item["type"] == 3}


def test_the_workbook_belongs_to_the_component(deployment: Deployment, resource: Json) -> None:
    component = deployment.one("Microsoft.Insights/components")["id"]
    workbook = json.loads(resource["properties"]["serializedData"])

    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", resource["name"])
    assert (resource["kind"], resource["properties"]["category"]) == ("shared", "workbook")
    assert resource["properties"]["sourceId"] == component
    assert workbook["fallbackResourceIds"] == [component]


def test_each_alert_rule_has_its_query_and_names_restore_and_vm(deployment: Deployment) -> None:
    insights = Insights()
    dimensions: dict[str, set[str]] = {}
    for rule in deployment.of_type("Microsoft.Insights/scheduledQueryRules"):
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        name = f"alert-{rule['name']}"
        dimensions[name] = {dimension["name"] for dimension in criterion["dimensions"]}

        assert criterion["query"] == whole(name)
        assert dimensions[name] <= set(insights.columns(criterion["query"]))
        assert "resourceIdColumn" not in criterion  # an alert on the VM could start another restore of it

    assert set(dimensions) == {name for name in names() if name.startswith("alert-")}
    for name in ("alert-restore-failed", "alert-restore-waits-for-approval"):
        assert {"RestoreId", "VirtualMachine"} <= dimensions[name]


def test_each_query_that_is_not_an_alert_rule_is_one_panel(panels: dict[str, Json]) -> None:
    shown = sorted(panel["query"] for panel in panels.values())

    assert shown == sorted(whole(name) for name in names() if not name.startswith("alert-"))


def test_the_parameters_in_queries_exist(items: list[Json], panels: dict[str, Json]) -> None:
    (parameters,) = [item["content"]["parameters"] for item in items if item["type"] == 9]
    placeholders = {name for panel in panels.values() for name in re.findall(r"\{(\w+)[:}]", panel["query"])}

    assert placeholders == {parameter["name"] for parameter in parameters}
    assert {panel.get("timeContextFromParameter", "TimeRange") for panel in panels.values()} == {"TimeRange"}


def test_only_what_has_not_ended_is_searched_for_longer_than_the_time_range(panels: dict[str, Json]) -> None:
    own_time = [name for name, panel in panels.items() if "timeContextFromParameter" not in panel]

    assert own_time == ["Now", "Restores that run or wait"]
    assert {panels[name]["timeContext"]["durationMs"] for name in own_time} == {7 * 24 * 3600 * 1000}


def test_the_columns_in_settings_are_columns_of_the_query(panels: dict[str, Json]) -> None:
    insights = Insights()
    for name, panel in panels.items():
        columns = insights.columns(panel["query"])
        grid = panel.get("gridSettings", {}).get("formatters", [])
        tiles = [content for key, content in panel.get("tileSettings", {}).items() if key.endswith("Content")]
        for setting in (*grid, *tiles):
            assert any(re.search(setting["columnMatch"], column) for column in columns), (name, setting, columns)
        assert (panel["visualization"] == "tiles") == bool(tiles)
