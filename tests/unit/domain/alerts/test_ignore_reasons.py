from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from domain.alerts.payload import read_alert
from tests.support.azure import SUBSCRIPTION, VAULT_ID, VM_ID
from tests.unit.domain.alerts.payloads import ACTIVITY, BACKUP, HEALTH, METRIC, WORKSPACE, alert_of, an_alert

if TYPE_CHECKING:
    from domain.errors import Json

PLATFORM: Json = {"properties": {"cause": "PlatformInitiated"}}
COMPUTE = "Microsoft.Compute/virtualMachines"
OPERATIONS: list[Json] = [
    *(
        {"operationName": f"{COMPUTE}/{operation}"}
        for operation in (
            *("deallocate/action", "powerOff/action", "POWEROFF/ACTION", "deallocate/action/", "start/action"),
            *("restart/action", "write", "hibernate/action", "redeploy/action", "reimage/action", "generalize/action"),
            *("extensions/write", "extensions/delete", "delete/action", "deleted"),
        )
    ),
    {"operationName": "Microsoft.ClassicCompute/virtualMachines/delete"},
    {"operationName": {"value": f"{COMPUTE}/deallocate/action", "localizedValue": "Deallocate"}},
    {"operationName": "Deallocate Virtual Machine"},
    {"authorization": {"action": f"{COMPUTE}/deallocate/action", "scope": VM_ID}},
    {"authorization": json.dumps({"action": f"{COMPUTE}/deallocate/action"})},
]


def name_of_operation(context: Json) -> str:
    operation = context.get("operationName", f"{COMPUTE}/deallocate/action")
    return operation["value"] if isinstance(operation, dict) else operation.rstrip("/")


class TestWhatMustStartNothing:
    @pytest.mark.parametrize("condition", ["Fired", "fired", "FIRED", "Active", " active "])
    def test_what_fires_acts(self, condition: str) -> None:
        assert alert_of({**METRIC, "monitorCondition": condition}, None, VM_ID).ignore_reason is None

    @pytest.mark.parametrize("condition", ["Resolved", "resolved", "Closed", "Updated", "Deactivated", "Unfired"])
    def test_whatever_else_an_alert_is_does_not(self, condition: str) -> None:
        assert condition in (alert_of({**METRIC, "monitorCondition": condition}, None, VM_ID).ignore_reason or "")

    @pytest.mark.parametrize("service", ["Resource Health", "ResourceHealth", "resource health", "RESOURCEHEALTH"])
    @pytest.mark.parametrize("status", ["Updated", "Resolved", "Pending", "whatever"])
    def test_a_health_event_that_is_neither_active_nor_in_progress(self, service: str, status: str) -> None:
        alert = alert_of({**HEALTH, "monitoringService": service}, {"status": status, **PLATFORM}, VM_ID)

        assert alert.ignore_reason == (
            f"The health event is {status}; only an Active or InProgress event can start a restore."
        )

    @pytest.mark.parametrize("word", ["Updated", "updated", "Resolved", "Pending"])
    @pytest.mark.parametrize("status", [None, "Active", {"value": "Active"}, ["Active"]])
    def test_a_health_event_whose_operation_names_another_state(self, word: str, status: Any) -> None:
        context = {"operationName": f"Microsoft.Resourcehealth/healthevent/{word}/action", "status": status, **PLATFORM}

        assert f"is {word};" in (alert_of(HEALTH, context, VM_ID).ignore_reason or "")
        assert f"is {word};" in (alert_of({"monitoringService": None}, context, VM_ID).ignore_reason or "")

    @pytest.mark.parametrize("status", ["Active", "active", {"value": "Active"}, None, 5, ""])
    def test_an_active_health_event_acts_and_one_without_a_status_too(self, status: Any) -> None:
        alert = alert_of(HEALTH, {"status": status, **PLATFORM}, VM_ID)

        assert (alert.ignore_reason, alert.approval_reason) == (None, None)

    def test_a_status_matters_to_health_events_alone(self) -> None:
        assert alert_of(METRIC, {"status": "Resolved"}, VM_ID).ignore_reason is None

    @pytest.mark.parametrize("cause", ["UserInitiated", "userinitiated", "User Initiated", "USER-INITIATED"])
    @pytest.mark.parametrize("kind", [HEALTH, ACTIVITY, {"monitoringService": "New"}])
    def test_a_users_own_action(self, kind: Json, cause: str) -> None:
        context = {"status": "Active", "properties": {"cause": cause}}

        assert "cause UserInitiated" in (alert_of(kind, context, VM_ID).ignore_reason or "")

    @pytest.mark.parametrize("cause", ["PlatformInitiated", "platform initiated", "Unknown", {"value": "Unknown"}])
    def test_other_causes_act(self, cause: Any) -> None:
        alert = alert_of(HEALTH, {"status": "Active", "properties": {"cause": cause}}, VM_ID)

        assert (alert.ignore_reason, alert.approval_reason) == (None, None)

    @pytest.mark.parametrize("cause", ["CustomerInitiated", "Planned"])
    def test_a_cause_that_nobody_has_thought_of_does_not(self, cause: str) -> None:
        assert f"the cause {cause};" in (alert_of(HEALTH, {"properties": {"cause": cause}}, VM_ID).ignore_reason or "")

    def test_a_vm_that_is_available(self) -> None:
        health = {"currentHealthStatus": "Available", "previousHealthStatus": "Unavailable", "cause": "Unknown"}

        assert "that the virtual machine is available" in (
            alert_of(HEALTH, {"status": "Active", "properties": health}, VM_ID).ignore_reason or ""
        )

    @pytest.mark.parametrize("status", ["Failed", "Canceled", "Started", "Accepted", "failed", {"value": "Failed"}])
    def test_an_operation_that_came_to_nothing(self, status: Any) -> None:
        context = {"status": status, "operationName": "Microsoft.Compute/virtualMachines/delete"}

        assert "not Succeeded" in (alert_of(ACTIVITY, context, VM_ID).ignore_reason or "")

    @pytest.mark.parametrize(
        "kind",
        [
            ACTIVITY,
            {"signalType": "Activity Log", "monitoringService": None},
            {"signalType": "ActivityLog", "monitoringService": "Administrative"},
            {"signalType": "activity log", "monitoringService": "Platform"},
            {"signalType": None, "monitoringService": "Administrative"},
            {"signalType": None, "monitoringService": "Activity Log"},
            {"signalType": None, "monitoringService": None},
        ],
    )
    @pytest.mark.parametrize("context", OPERATIONS)
    def test_an_operation_other_than_a_deletion(self, kind: Json, context: Json) -> None:
        context = {"status": "Succeeded", "caller": "ada@example.org", **context}

        reason = alert_of({**ACTIVITY, **kind}, context, VM_ID).ignore_reason or ""

        assert reason == (
            f"The alert reports {name_of_operation(context)} by ada@example.org; "
            "of all operations only Microsoft.Compute/virtualMachines/delete can start a restore."
        )

    def test_an_operation_that_is_not_named(self) -> None:
        reason = alert_of(ACTIVITY, {"status": "Succeeded"}, VM_ID).ignore_reason or ""

        assert reason.startswith("The alert reports an operation without a name; of all operations only")

    @pytest.mark.parametrize(
        "operation",
        [
            "Microsoft.Compute/virtualMachines/delete",
            "MICROSOFT.COMPUTE/VIRTUALMACHINES/DELETE",
            " Microsoft.Compute/virtualMachines/delete/ ",
            {"value": "Microsoft.Compute/virtualMachines/delete", "localizedValue": "Delete Virtual Machine"},
        ],
    )
    @pytest.mark.parametrize("status", ["Succeeded", {"value": "Succeeded"}, None])
    def test_a_deletion_acts(self, operation: Any, status: Any) -> None:
        scope = {"scope": VM_ID}

        assert alert_of(ACTIVITY, {"operationName": operation, "status": status}, VM_ID).ignore_reason is None
        assert (
            alert_of(ACTIVITY, {"authorization": {"action": operation, **scope}, "status": status}).ignore_reason
            is None
        )

    def test_an_alert_whose_context_is_a_text_is_read_all_the_same(self) -> None:
        action = {"action": "Microsoft.Compute/virtualMachines/delete", "scope": VM_ID}
        context = json.dumps({"authorization": json.dumps(action), "status": "Failed"})

        alert = alert_of(ACTIVITY, context)

        assert alert.vm_ids == (VM_ID,)
        assert "not Succeeded" in (alert.ignore_reason or "")

    @pytest.mark.parametrize("item", ["VM;iaasvmcontainerv2;web-rg;web-01", "vm;iaasvmcontainerv2;web-rg;web-01/"])
    @pytest.mark.parametrize(
        "source", ["VM", "AzureVM", "AzureIaasVM", "Azure Virtual Machine", "virtualMachines", None]
    )
    def test_a_backup_of_a_whole_vm_acts(self, item: str, source: Any) -> None:
        context = {"category": "Jobs", "protectedItemId": f"{VAULT_ID}/x/{item}", "sourceType": source}

        assert alert_of(BACKUP, {**context, "linkedResourceId": VM_ID}).ignore_reason is None
        assert alert_of(BACKUP, {"category": "Jobs", "sourceId": VM_ID}).ignore_reason is None

    @pytest.mark.parametrize(
        "context",
        [
            {"protectedItemId": f"{VAULT_ID}/protectedItems/SQLDataBase;mssqlserver;master"},
            {"protectedItemId": f"{VAULT_ID}/protectedItems/SAPHanaDatabase;hxe;systemdb"},
            {"protectedItemId": f"{VAULT_ID}/protectedItems/AzureFileShare;share"},
            {"protectedItemId": VAULT_ID},
            {"protectedItemId": ""},
            {"protectedItemId": 5},
            {"sourceId": f"{VM_ID}/providers/Microsoft.RecoveryServices/backupProtectedItem/SQLDataBase;a;b"},
            *(
                {"sourceType": source_type}
                for source_type in (
                    "SQLDataBase",
                    "SQL in Azure VM",
                    "SAPHanaDatabase",
                    "SAP HANA in Azure VM",
                    "AzureFileShare",
                )
            ),
        ],
    )
    def test_a_backup_of_something_in_a_vm_does_not(self, context: Json) -> None:
        reason = alert_of(BACKUP, {"category": "Jobs", "linkedResourceId": VM_ID, **context}).ignore_reason or ""

        assert "whole virtual machine" in reason

    @pytest.mark.parametrize("category", ["Security", "security", {"value": "Security"}, "Other", 5])
    def test_a_backup_alert_of_another_category_does_not(self, category: Any) -> None:
        reason = alert_of(BACKUP, {"category": category, "linkedResourceId": VM_ID}).ignore_reason or ""

        assert "only the category Jobs" in reason

    @pytest.mark.parametrize("rule", ["Backup Failure", "Restore Failure"])
    @pytest.mark.parametrize("category", ["Jobs", "jobs", None])
    def test_a_backup_alert_about_a_vms_job_does(self, rule: str, category: str | None) -> None:
        # That a restore which failed does not start itself over and over is the cool-down's business.
        assert (
            alert_of({**BACKUP, "alertRule": rule}, {"category": category, "linkedResourceId": VM_ID}).ignore_reason
            is None
        )

    def test_an_alert_without_a_vm_may_be_ignored_too(self) -> None:
        alert = alert_of({**METRIC, "monitorCondition": "Resolved"})

        assert alert.ignore_reason
        assert alert.unresolved


class TestWhatAPersonMustConfirm:
    """An outage of the VM is likely, but the alert does not say enough: nothing starts by itself, nothing is lost."""

    @pytest.mark.parametrize("cause", ["", " ", None, 5, {}, [], {"value": None}, "absent"])
    @pytest.mark.parametrize("status", ["Active", "ACTIVE ", {"value": "Active", "localizedValue": "Aktiv"}, "absent"])
    def test_an_active_event_without_a_cause(self, status: Any, cause: Any) -> None:
        sent = {"status": status, "properties": {"cause": cause, "currentHealthStatus": "Unavailable"}}
        context = {name: value for name, value in sent.items() if value != "absent"}
        context["properties"] = {name: value for name, value in sent["properties"].items() if value != "absent"}

        alert = alert_of(HEALTH, context, VM_ID)

        assert alert.ignore_reason is None
        assert alert.approval_reason == "Resource Health names no cause, so a person must confirm."

    @pytest.mark.parametrize("status", ["InProgress", "In Progress", "inprogress", {"value": "In-Progress"}, None])
    @pytest.mark.parametrize("cause", ["PlatformInitiated", "Platform Initiated", "Unknown"])
    def test_an_event_in_progress(self, status: Any, cause: str) -> None:
        operation = "Microsoft.ResourceHealth/healthevent/InProgress/action"

        alert = alert_of(HEALTH, {"operationName": operation, "status": status, "properties": {"cause": cause}}, VM_ID)

        assert alert.ignore_reason is None
        assert alert.approval_reason == "Resource Health calls the event InProgress, so a person must confirm."

    def test_an_event_in_progress_without_a_cause(self) -> None:
        assert alert_of(HEALTH, {"status": "InProgress"}, VM_ID).approval_reason == (
            "Resource Health calls the event InProgress and names no cause, so a person must confirm."
        )

    @pytest.mark.parametrize("health", ["Degraded", "Unknown", {"value": "Degraded"}, "degraded"])
    def test_a_vm_that_is_not_called_unavailable(self, health: Any) -> None:
        properties = {"cause": "PlatformInitiated", "currentHealthStatus": health}

        alert = alert_of(HEALTH, {"status": "Active", "properties": properties}, VM_ID)

        assert alert.ignore_reason is None
        assert "calls the virtual machine" in (alert.approval_reason or "")

    @pytest.mark.parametrize("status", ["Active", "InProgress"])
    @pytest.mark.parametrize("health", ["Available", "available", {"value": "Available"}])
    def test_an_ignored_event_asks_nobody(self, status: str, health: Any) -> None:
        for properties in ({"currentHealthStatus": health}, {"cause": "UserInitiated"}, {"cause": "Planned"}):
            assert alert_of(HEALTH, {"status": status, "properties": properties}, VM_ID).ignore_reason

    @pytest.mark.parametrize("kind", [METRIC, ACTIVITY, BACKUP, {"monitoringService": "New"}])
    def test_other_kinds_of_alerts_need_no_confirmation(self, kind: Json) -> None:
        assert alert_of(kind, {"status": "Active"}, VM_ID).approval_reason is None


class TestWhatIsNotAboutAVm:
    @pytest.mark.parametrize(
        "kind",
        [
            {"signalType": "Activity Log", "monitoringService": "ServiceHealth"},
            {"signalType": "Activity Log", "monitoringService": "Service Health"},
            {"signalType": None, "monitoringService": "Activity Log - ServiceHealth"},
            {"signalType": "Activity Log", "monitoringService": None},
            {"signalType": None, "monitoringService": None},
        ],
    )
    @pytest.mark.parametrize("status", ["Active", "Resolved"])
    @pytest.mark.parametrize("target", [SUBSCRIPTION, VM_ID])
    def test_service_health(self, kind: Json, status: str, target: str) -> None:
        context = {"operationName": "Microsoft.ServiceHealth/maintenance/action", "status": status}

        reason = alert_of(kind, context, target).ignore_reason or ""

        assert reason.startswith("Service Health names no single virtual machine")

    @pytest.mark.parametrize("service", ["CostAlerts", "Cost Alerts", "Budget", "Actual Cost Budget", None])
    @pytest.mark.parametrize("condition", [None, "", "Fired"])
    def test_a_budget_whose_alert_has_no_condition(self, service: str | None, condition: str | None) -> None:
        essentials = {
            "alertId": f"{SUBSCRIPTION}/providers/Microsoft.CostManagement/alerts/a",
            "monitoringService": service,
            **dict.fromkeys(["alertRule", "severity", "signalType", "alertTargetIDs"]),
            "monitorCondition": condition,
        }

        alert = read_alert(an_alert(essentials, {"AlertCategory": "budgets"}))

        assert alert.ignore_reason == "A cost alert names no virtual machine: it is about spending."

    @pytest.mark.parametrize("service", ["SmartDetector", "Smart Detector", "Smart Detection", "Smart Alert"])
    def test_smart_detection(self, service: str) -> None:
        alert = alert_of({"signalType": "Log", "monitoringService": service}, {"DetectionSummary": "slow"}, WORKSPACE)

        assert "smart detection names no virtual machine" in (alert.ignore_reason or "")

    @pytest.mark.parametrize("category", ["Security", "Policy", "Autoscale", "Recommendation", "Alert"])
    def test_other_parts_of_the_activity_log_are_not_called_wanted(self, category: str) -> None:
        context = {"operationName": "Microsoft.Advisor/recommendations/available/action", "status": "Active"}

        reason = alert_of({**ACTIVITY, "monitoringService": f"Activity Log - {category}"}, context).ignore_reason or ""

        assert "recommendations/available/action" in reason
        assert "purpose" not in reason


class TestPropertiesInOddForms:
    """That somebody stopped the machine on purpose is heard however it is written."""

    @pytest.mark.parametrize(
        "context",
        [
            {"properties": {"Cause": "User Initiated"}},
            {"Properties": {"cause": "UserInitiated"}},
            {"properties": '{"cause": "UserInitiated"}'},
            {"properties": {"cause": {"value": "UserInitiated", "localizedValue": "Nutzer"}}},
            {"properties": {"cause": ["PlatformInitiated", "UserInitiated"]}},
            {"properties": [{"cause": "UserInitiated"}]},
            {"properties": '[{"cause": "UserInitiated"}]'},
            {"properties": [{"title": "t"}, {"cause": "UserInitiated"}]},
            [{"properties": {"cause": "UserInitiated"}}],
            {"properties": {"cause": '{"value": "UserInitiated"}'}},
            {"eventProperties": {"cause": "UserInitiated"}},
            {"cause": "UserInitiated"},
            '{"properties": {"cause": "UserInitiated"}}',
        ],
    )
    def test_it_is_heard(self, context: Any) -> None:
        assert "cause UserInitiated" in (read_alert(self.alert(context)).ignore_reason or "")

    @pytest.mark.parametrize("properties", ["{", "5", "null", "[" * 100_000, '{"a":' * 100_000, 5])
    def test_what_cannot_be_read_names_no_cause(self, properties: object) -> None:
        assert "no cause" in (read_alert(self.alert({"properties": properties})).approval_reason or "")
        assert "no cause" in (read_alert(self.alert(properties)).approval_reason or "")

    def test_no_depth_exhausts_it(self) -> None:
        deep: Any = "UserInitiated"
        for _ in range(900):
            deep = {"cause": [deep]}

        assert read_alert(self.alert(deep)).approval_reason

    def alert(self, context: object) -> dict[str, Any]:
        essentials = {"alertId": "/a", "monitorCondition": "Fired", "monitoringService": "Resource Health"}
        return {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {"essentials": essentials, "alertContext": context},
        }
