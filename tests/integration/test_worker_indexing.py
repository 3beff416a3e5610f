"""Microsoft's own worker library indexes the app as it does in Azure, and reports what the host needs to know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scripts.indexing import index_app

FUNCTION_NAME = re.compile(r"[a-z][a-z0-9_-]{0,127}", re.IGNORECASE | re.ASCII)
BINDING_NAME = re.compile(r"(?!.*__)[a-z_][a-z0-9_]{0,127}|\$return", re.IGNORECASE | re.ASCII)
"""What the Functions host takes, from 4.1038 on; an older one refuses names with an underscore (host's pull 10764)."""


@pytest.fixture(scope="module")
def indexed() -> dict[str, list[dict[str, Any]]]:
    """Return the bindings of each function as the worker reports them to the host."""
    return index_app()


def test_the_host_takes_the_names(indexed: dict[str, list[dict[str, Any]]]) -> None:
    bindings = [binding["name"] for function in indexed.values() for binding in function]

    assert [name for name in indexed if not FUNCTION_NAME.fullmatch(name)] == []
    assert [name for name in bindings if not BINDING_NAME.fullmatch(name)] == []


def _one(bindings: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [binding for binding in bindings if binding["type"] == kind]
    return found


def test_every_function_is_there_and_no_other(indexed: dict[str, list[dict[str, Any]]]) -> None:
    durables_own = {name for name in indexed if "builtin" in name.casefold()}

    assert set(indexed) - durables_own == {
        "post_restore",
        "list_restores",
        "get_restore",
        "list_recovery_points",
        "get_health",
        "get_openapi",
        "get_page",
        "get_page_file",
        "get_preflight",
        "get_session",
        "list_alert_decisions",
        "list_alert_rules",
        "list_plans",
        "get_plan",
        "post_recovery",
        "list_recoveries",
        "get_recovery",
        "list_recovery_members",
        "pause_recovery",
        "resume_recovery",
        "cancel_recovery",
        "retry_recovery",
        "skip_recovery",
        "approve_recovery",
        "reject_recovery",
        "on_restore_request",
        "restore_vm",
        "watch_vault",
        "join_watch",
        "list_running_jobs",
        "hold_post_claim",
        "hold_list_entry",
        "hold_record",
        "run_recovery",
        "resolve_recovery",
        "start_members",
        "cancel_members",
        "check_members",
        "publish_recovery_events",
        "post_recovery_event",
        "purge_history",
        "resolve_item",
        "prepare_restore",
        "get_validation",
        "start_restore",
        "claim_post",
        "find_job",
        "get_operation",
        "get_job",
        "cancel_job",
        "cancel_restore",
        "approve_restore",
        "reject_restore",
        "undo_restore",
        "post_alert",
        "find_running",
        "wake_restore",
        "vault_slots",
        "list_restored_disks",
        "get_virtual_machine",
        "deallocate_virtual_machine",
        "update_disks",
        "start_virtual_machine",
        "get_compute_operation",
        "get_disks",
        "tag_disk",
        "get_deployment",
        "deploy_template",
        "get_network_interface",
        "put_network_interface",
        "put_virtual_machine",
        "attach_disks",
        "delete_disk",
        "post_result",
        "post_event",
        "vm_lock",
        "rule_budget",
        "alert_storm",
        "publish_result",
        "publish_events",
    }


@pytest.mark.parametrize(
    ("function", "route", "method"),
    [
        ("post_restore", "restores", "POST"),
        ("list_restores", "restores", "GET"),
        ("get_restore", "restores/{id}", "GET"),
        ("cancel_restore", "restores/{id}/cancel", "POST"),
        ("approve_restore", "restores/{id}/approve", "POST"),
        ("reject_restore", "restores/{id}/reject", "POST"),
        ("undo_restore", "restores/{id}/undo", "POST"),
        ("post_alert", "alerts", "POST"),
        ("list_recovery_points", "recovery-points", "GET"),
        ("list_plans", "recovery-plans", "GET"),
        ("get_plan", "recovery-plans/{name}", "GET"),
        ("post_recovery", "recoveries", "POST"),
        ("list_recoveries", "recoveries", "GET"),
        ("get_recovery", "recoveries/{id}", "GET"),
        ("list_recovery_members", "recoveries/{id}/members", "GET"),
        ("pause_recovery", "recoveries/{id}/pause", "POST"),
        ("resume_recovery", "recoveries/{id}/resume", "POST"),
        ("cancel_recovery", "recoveries/{id}/cancel", "POST"),
        ("retry_recovery", "recoveries/{id}/retry", "POST"),
        ("skip_recovery", "recoveries/{id}/skip", "POST"),
        ("approve_recovery", "recoveries/{id}/approve", "POST"),
        ("reject_recovery", "recoveries/{id}/reject", "POST"),
        ("list_alert_decisions", "alert-decisions", "GET"),
        ("list_alert_rules", "alert-rules", "GET"),
        ("get_openapi", "openapi.json", "GET"),
        ("get_preflight", "preflight", "GET"),
    ],
)
def test_routes_need_a_function_key(
    indexed: dict[str, list[dict[str, Any]]], function: str, route: str, method: str
) -> None:
    trigger = _one(indexed[function], "httpTrigger")

    assert (trigger["route"], trigger["methods"], trigger["authLevel"]) == (route, [method], "FUNCTION")


@pytest.mark.parametrize(
    ("function", "route"),
    [("get_health", "health"), ("get_page", "ui"), ("get_page_file", "ui/{file}"), ("get_session", "ui/session")],
)
def test_health_and_the_page_need_no_key(indexed: dict[str, list[dict[str, Any]]], function: str, route: str) -> None:
    trigger = _one(indexed[function], "httpTrigger")

    assert (trigger["route"], trigger["methods"], trigger["authLevel"]) == (route, ["GET"], "ANONYMOUS")


def test_the_key_for_action_groups_is_of_a_function_that_there_is(indexed: dict[str, list[dict[str, Any]]]) -> None:
    described = (Path(__file__).parents[2] / "docs/alerts.md").read_text(encoding="utf-8")

    for name in set(re.findall(r"--function-name (\S+)", described)):
        assert _one(indexed[name], "httpTrigger")["route"] == "alerts"


def test_the_queue_trigger_starts_with_client_and_results_queue(indexed: dict[str, list[dict[str, Any]]]) -> None:
    bindings = indexed["on_restore_request"]

    assert _one(bindings, "queueTrigger")["queueName"] == "restore-requests"
    assert _one(bindings, "queue")["queueName"] == "restore-results"
    assert {binding["connection"] for binding in bindings if "connection" in binding} == {"AzureWebJobsStorage"}
    assert _one(bindings, "durableClient")["name"] == "client"


def test_durable_functions_keep_the_names_that_histories_know(indexed: dict[str, list[dict[str, Any]]]) -> None:
    for name in ("restore_vm", "hold_post_claim"):
        assert _one(indexed[name], "orchestrationTrigger")["orchestration"] == name
    for name in ("vm_lock", "rule_budget", "alert_storm", "vault_slots"):
        assert _one(indexed[name], "entityTrigger")["entityName"] == name
    for name in ("find_running", "wake_restore", "start_restore", "claim_post"):
        assert _one(indexed[name], "durableClient")["name"] == "client"
    for name in (
        "resolve_item",
        "start_restore",
        "get_job",
        "find_running",
        "post_result",
        "publish_result",
        "post_event",
    ):
        assert _one(indexed[name], "activityTrigger")["activity"] == name
    assert _one(indexed["publish_result"], "queue")["queueName"] == "restore-results"
    assert _one(indexed["publish_events"], "activityTrigger")["activity"] == "publish_events"
    assert _one(indexed["publish_events"], "queue")["queueName"] == "restore-events"


def test_history_is_purged_once_a_day_and_not_at_each_start(indexed: dict[str, list[dict[str, Any]]]) -> None:
    trigger = _one(indexed["purge_history"], "timerTrigger")

    assert trigger["schedule"] == "0 23 3 * * *"
    assert (trigger["runOnStartup"], trigger["useMonitor"]) == (False, True)
