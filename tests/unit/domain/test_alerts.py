from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts import MOST_VMS, Alert, plain, read_alert
from domain.errors import InvalidRequestError, Json
from tests.support.azure import SUBSCRIPTION, VAULT_ID, VM_ID
from tests.support.strategies import SWIFT, THOROUGH, damaged, json_values, objects_of

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "samples" / "alerts").glob("*.json")}
GROUP = f"{SUBSCRIPTION}/resourceGroups/web-rg"
VM_2, VM_3 = (VM_ID.replace("web-01", name) for name in ("web-02", "web-03"))
WORKSPACE = f"{SUBSCRIPTION}/resourceGroups/monitor-rg/providers/Microsoft.OperationalInsights/workspaces/logs"
SCALE_SET_VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/vmss/virtualMachines/0"
METRIC = {"signalType": "Metric", "monitoringService": "Platform"}
HEALTH = {"signalType": "Activity Log", "monitoringService": "Resource Health"}
ACTIVITY = {"signalType": "Activity Log", "monitoringService": "Activity Log - Administrative"}
LOG = {"signalType": "Log", "monitoringService": "Log Alerts V2"}
OLD_LOG = {"signalType": "Log", "monitoringService": "Log Analytics"}
BACKUP = {"signalType": "Log", "monitoringService": "Azure Backup"}


def sample(name: str) -> Json:
    return json.loads(SAMPLES[name].read_text(encoding="utf-8"))


def an_alert(essentials: Json | None = None, context: object = None) -> Json:
    known = {
        "alertId": f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/a1",
        "monitorCondition": "Fired",
        "alertTargetIDs": [],
    }
    data = {"essentials": {**known, **METRIC, **(essentials or {})}, "alertContext": context}
    return {"schemaId": "azureMonitorCommonAlertSchema", "data": data}


def verdict(body: Any) -> Alert | InvalidRequestError:
    try:
        return read_alert(body)
    except InvalidRequestError as error:
        return error


def of(essentials: Json, context: object = None, *targets: object) -> Alert:
    return read_alert(an_alert({**essentials, "alertTargetIDs": list(targets)}, context))


def dimensions(*rows: list[Json]) -> Json:
    return {"condition": {"allOf": [{"dimensions": row} for row in rows]}}


def results(columns: list[str], *rows: list[object]) -> Json:
    return {"SearchResults": {"tables": [{"columns": [{"name": each} for each in columns], "rows": list(rows)}]}}


class TestSamples:
    @pytest.mark.parametrize(
        ("name", "vms"),
        [
            ("metric", ["web-03"]),
            ("metric-several-vms", ["web-01", "web-02", "web-03"]),
            ("resource-health", ["web-03"]),
            ("resource-health-user-initiated", ["web-03"]),
            ("activity-log", ["web-03"]),
            ("activity-log-deallocate", ["web-03"]),
            ("log-v1", ["web-02", "web-03"]),
            ("log-v1-computer-names", ["web-03"]),
            ("log-v2", ["web-03"]),
            ("azure-backup", ["web-03"]),
            ("azure-backup-sql", ["web-03"]),
            ("azure-backup-restore-failure", ["web-03"]),
            ("azure-backup-security", ["web-03"]),
            ("resolved", ["web-03"]),
            ("no-vm", []),
        ],
    )
    def test_name_their_vms(self, name: str, vms: list[str]) -> None:
        alert = read_alert(sample(name))

        assert [vm_id.lower() for vm_id in alert.vm_ids] == [VM_ID.lower().replace("web-01", each) for each in vms]
        assert (alert.no_vm is None) == bool(vms)

    def test_there_is_none_without_a_test(self) -> None:
        assert len(SAMPLES) == 15

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("resource-health-user-initiated", "stopped the virtual machine on purpose"),
            (
                "activity-log-deallocate",
                "virtualMachines/deallocate/action by operator@example.org: somebody did that on purpose",
            ),
            ("azure-backup-sql", "is about SQLDataBase, not about"),
            ("azure-backup-security", "of the category Security"),
            ("resolved", "The alert is Resolved; only a Fired one"),
        ],
    )
    def test_that_must_start_nothing_say_why(self, name: str, reason: str) -> None:
        assert reason in (read_alert(sample(name)).ignored or "")

    @pytest.mark.parametrize(
        "name",
        [
            *("metric", "metric-several-vms", "resource-health", "activity-log"),
            *("log-v1", "log-v1-computer-names", "log-v2", "azure-backup"),
        ],
    )
    def test_that_may_start_something_have_no_objection(self, name: str) -> None:
        assert read_alert(sample(name)).ignored is None

    def test_are_read_whole(self) -> None:
        alert = read_alert(sample("metric"))

        assert alert.alert_id.endswith("/alerts/a1e27000-0000-4000-8000-000000000001")
        assert (alert.alert_rule, alert.severity, alert.monitoring_service) == ("vm-web-down", "Sev1", "Platform")
        assert alert.fired == datetime(2026, 11, 20, 10, 4, 31, 715283, tzinfo=UTC)

    @given(st.data(), st.sampled_from(sorted(SAMPLES)))
    @THOROUGH
    def test_damaged_are_read_or_refused_by_name(self, data: st.DataObject, name: str) -> None:
        body = data.draw(damaged(st.just(sample(name))))

        seen = verdict(body)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
            json.dumps(seen.to_json())
        else:
            assert (seen.no_vm is None) == bool(seen.vm_ids)
            assert len({vm_id.lower() for vm_id in seen.vm_ids}) == len(seen.vm_ids)

    @given(st.sampled_from(sorted(SAMPLES)), st.sampled_from([str.upper, str.lower]))
    @SWIFT
    def test_name_the_same_vms_in_any_case(self, name: str, change: Callable[[str], str]) -> None:
        text = SAMPLES[name].read_text(encoding="utf-8")
        for vm_id in (VM_ID, VM_2, VM_3):
            text = text.replace(vm_id, change(vm_id)).replace(vm_id.lower(), change(vm_id))

        seen, wanted = read_alert(json.loads(text)), read_alert(sample(name))

        assert [vm_id.lower() for vm_id in seen.vm_ids] == [vm_id.lower() for vm_id in wanted.vm_ids]
        assert all(vm_id == change(vm_id) for vm_id in seen.vm_ids)


class TestWhatIsNoAlert:
    @given(json_values | objects_of("schemaId", "data"))
    @THOROUGH
    def test_is_refused_by_name_whatever_it_is(self, body: Any) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            read_alert(body)

        assert caught.value.details

    @given(json_values, json_values)
    @THOROUGH
    def test_parts_of_any_shape_never_break_it(self, essentials: Any, context: Any) -> None:
        kinds = (METRIC, HEALTH, ACTIVITY, LOG, OLD_LOG, BACKUP, {"monitoringService": "New"})
        for kind in kinds:
            more = essentials if isinstance(essentials, dict) else {"alertTargetIDs": essentials}
            assert set(read_alert(an_alert({**more, **kind}, context)).vm_ids) <= {VM_ID}

    @pytest.mark.parametrize("body", [None, [], "alert", 5])
    def test_a_body_that_is_no_object(self, body: Any) -> None:
        assert refused(body) == [("InvalidValue", None)]

    @pytest.mark.parametrize("schema", ["AzureMonitorMetricAlert", "Microsoft.Insights/activityLogs", "", 7])
    def test_another_schema_learns_what_is_accepted(self, schema: Any) -> None:
        with pytest.raises(InvalidRequestError, match=r"azureMonitorCommonAlertSchema.*common alert schema") as caught:
            read_alert({**an_alert(), "schemaId": schema})

        assert [each.target for each in caught.value.details] == ["schemaId"]

    def test_no_schema_at_all(self) -> None:
        assert refused({"data": an_alert()["data"]}) == [("MissingField", "schemaId")]

    @pytest.mark.parametrize("data", [None, {}, {"essentials": None}, [], "x"])
    def test_no_essentials(self, data: Any) -> None:
        assert refused({**an_alert(), "data": data}) == [("MissingField", "data.essentials")]

    def test_essentials_of_another_kind(self) -> None:
        assert refused({**an_alert(), "data": {"essentials": []}}) == [("InvalidValue", "data.essentials")]

    def test_all_that_is_missing_is_told_at_once(self) -> None:
        essentials = {"alertId": None, "monitorCondition": None}

        assert refused(an_alert(essentials)) == [
            ("MissingField", "data.essentials.alertId"),
            ("MissingField", "data.essentials.monitorCondition"),
        ]

    @pytest.mark.parametrize("value", [7, "", " ", ["Fired"], "\ud800", "x" * 2049])
    @pytest.mark.parametrize("name", ["alertId", "monitorCondition"])
    def test_needed_members_of_another_kind(self, name: str, value: Any) -> None:
        assert refused(an_alert({name: value})) == [("InvalidValue", f"data.essentials.{name}")]

    def test_more_vms_than_one_alert_may_name(self) -> None:
        ids = [VM_ID.replace("web-01", f"vm{index}") for index in range(MOST_VMS + 1)]

        assert len(of(METRIC, None, *ids[1:], ids[1].upper()).vm_ids) == MOST_VMS
        with pytest.raises(InvalidRequestError, match="at most 1000"):
            of(METRIC, None, *ids)
        with pytest.raises(InvalidRequestError, match="at most 1000"):
            of(OLD_LOG, {"AffectedConfigurationItems": [f"vm{index}" for index in range(MOST_VMS + 1)]})


def refused(body: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(InvalidRequestError) as caught:
        read_alert(body)
    return [(each.code, each.target) for each in caught.value.details]


class TestWhatItKeeps:
    @pytest.mark.parametrize("name", ["alertRule", "severity", "monitoringService"])
    @pytest.mark.parametrize("value", [None, 5, {}, ["x"]])
    def test_optional_words_of_another_kind_count_as_absent(self, name: str, value: Any) -> None:
        alert = read_alert(an_alert({"alertRule": "r", "severity": "Sev1", name: value}))

        words = {
            "alertRule": alert.alert_rule,
            "severity": alert.severity,
            "monitoringService": alert.monitoring_service,
        }
        assert words == {"alertRule": "r", "severity": "Sev1", "monitoringService": "Platform", name: ""}

    @pytest.mark.parametrize(
        ("written", "fired"),
        [
            ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
            ("2026-11-20T12:00:00+02:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
            ("2026-11-20T10:00:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
            ("9998-01-01T00:00:00Z", datetime(9998, 1, 1, tzinfo=UTC)),
            ("yesterday", None),
            ("9999-12-31T23:59:59-12:00", None),
            (None, None),
            (5, None),
        ],
    )
    def test_the_time_it_fired_never_fails(self, written: Any, fired: datetime | None) -> None:
        assert read_alert(an_alert({"firedDateTime": written})).fired == fired

    @pytest.mark.parametrize("schema", ["azureMonitorCommonAlertSchema", "AzureMonitorCommonAlertSchema"])
    def test_unknown_members_are_left_aside(self, schema: str) -> None:
        body = an_alert({"new": {"a": 1}, "alertTargetIDs": [VM_ID]}, {"new": []})

        assert read_alert({**body, "schemaId": schema, "more": 1}).vm_ids == (VM_ID,)

    def test_ids_are_distinct_without_case_in_the_order_found(self) -> None:
        alert = of(METRIC, None, VM_2.lower(), VM_ID, VM_2, f"{VM_ID}/", f" {VM_3} ", VM_ID.upper())

        assert alert.vm_ids == (VM_2.lower(), VM_ID, VM_3)

    def test_groups_that_only_german_takes_for_one_stay_two(self) -> None:
        street, strasse = (VM_ID.replace("web-rg", name) for name in ("Straße", "STRASSE"))

        assert of(METRIC, None, street, strasse).vm_ids == (street, strasse)


class TestWhereTheVmIs:
    @pytest.mark.parametrize(
        "kind", [METRIC, HEALTH, ACTIVITY, LOG, OLD_LOG, BACKUP, {"monitoringService": "Brand New"}, {}]
    )
    def test_every_kind_takes_vms_among_its_targets(self, kind: Json) -> None:
        assert of(kind, None, WORKSPACE, VM_ID, 5, None).vm_ids == (VM_ID,)

    def test_what_lies_in_a_vm_names_it(self) -> None:
        assert of(METRIC, None, f"{VM_ID}/extensions/x", f"{VM_2}/providers/a/b/c").vm_ids == (VM_ID, VM_2)

    @pytest.mark.parametrize("target", [SCALE_SET_VM, GROUP, SUBSCRIPTION, WORKSPACE, VAULT_ID, "web-01", "", "/"])
    def test_what_is_no_vm_names_none(self, target: str) -> None:
        alert = of(METRIC, None, target)

        assert alert.vm_ids == ()
        assert "names no virtual machine" in (alert.no_vm or "")
        assert "Scope the alert rule to virtual machines" in (alert.no_vm or "")

    def test_a_metrics_dimension_is_not_asked(self) -> None:
        assert of(METRIC, dimensions([{"name": "ResourceId", "value": VM_ID}])).vm_ids == ()

    def test_a_group_whose_health_is_told_is_no_vm(self) -> None:
        assert "resource group or subscription" in (of(HEALTH, {"status": "Active"}, GROUP).no_vm or "")

    def test_the_scope_of_an_operation_goes_before_the_target(self) -> None:
        context = {"authorization": {"scope": f"{VM_ID}/extensions/agent"}}

        assert of(ACTIVITY, context, VM_ID.lower(), VM_2).vm_ids == (VM_ID, VM_2)

    @pytest.mark.parametrize("column", ["_ResourceId", "ResourceId", "_resourceid", "resourceId"])
    def test_dimensions_of_every_criterion_of_a_log_alert(self, column: str) -> None:
        context = dimensions(
            [{"name": "Computer", "value": VM_3}, {"name": column, "value": VM_ID}],
            [{"name": column, "value": VM_2}, {"name": column}, {"name": 5, "value": VM_3}],
        )

        assert of(LOG, context, VM_3).vm_ids == (VM_ID, VM_2)

    def test_a_log_alert_whose_dimensions_name_no_vm_takes_its_targets(self) -> None:
        context = dimensions([{"name": "_ResourceId", "value": WORKSPACE}])
        items = {**LOG, "configurationItems": [VM_2]}

        assert of(items, context, VM_ID).vm_ids == (VM_ID,)
        assert of(items, context, WORKSPACE).vm_ids == (VM_2,)

    @pytest.mark.parametrize("kind", [LOG, OLD_LOG])
    def test_computer_names_are_not_enough(self, kind: Json) -> None:
        items = {"configurationItems": ["web-01", "web-02", "web-03", "web-04", "web-05"]}

        no_vm = of({**kind, **items}, dimensions([{"name": "Computer", "value": "web-01"}]), WORKSPACE).no_vm

        assert no_vm is not None
        assert "computer names alone (web-01, web-02, web-03 and 2 more)" in no_vm
        assert WORKSPACE in no_vm
        assert "return _ResourceId and split the alert by it" in no_vm

    def test_a_log_alert_without_anything(self) -> None:
        assert of(LOG).no_vm == (
            "The alert names no virtual machine: it has no targets. "
            "Let the alert rule's query return _ResourceId and split the alert by it."
        )

    @pytest.mark.parametrize(
        "kind", [OLD_LOG, {**OLD_LOG, "monitoringService": "Application Insights"}, {**METRIC, "signalType": "Log"}]
    )
    def test_the_rows_of_an_old_log_alert(self, kind: Json) -> None:
        context = results(["n", "_ResourceId", "ResourceId"], [1, VM_ID, VM_2], [2, VM_ID], [3], [4, None, VM_3])

        assert of(kind, context, WORKSPACE).vm_ids == (VM_ID, VM_2, VM_3)

    def test_the_affected_items_of_an_old_log_alert_go_before_its_rows(self) -> None:
        # A metric measurement's rows hold every machine, the healthy ones too.
        context = {"AffectedConfigurationItems": [VM_ID], **results(["_ResourceId"], [VM_ID], [VM_2])}

        assert of(OLD_LOG, context).vm_ids == (VM_ID,)
        assert of(OLD_LOG, {**context, "AffectedConfigurationItems": []}).vm_ids == (VM_ID, VM_2)

    @pytest.mark.parametrize(
        "name", ["web-01", "WEB-01", " web-01 ", "web-01.contoso.local", "Web-01.a.b", VM_ID, VM_ID.upper()]
    )
    def test_a_computers_name_takes_its_own_row_alone(self, name: str) -> None:
        context = {"AffectedConfigurationItems": [name], **results(["_ResourceId"], [VM_ID], [VM_2], [VM_3])}

        alert = of(OLD_LOG, context, WORKSPACE)

        assert ([each.lower() for each in alert.vm_ids], alert.unclear) == ([VM_ID.lower()], ())

    def test_a_computers_name_may_be_that_of_the_target(self) -> None:
        assert of(OLD_LOG, {"AffectedConfigurationItems": ["web-01"]}, VM_2, VM_ID).vm_ids == (VM_ID,)

    def test_an_item_that_is_affected_twice_counts_once_as_it_came_first(self) -> None:
        assert of(OLD_LOG, {"AffectedConfigurationItems": [VM_ID, VM_ID.upper(), f"{VM_ID}/"]}).vm_ids == (VM_ID,)
        assert len(of(OLD_LOG, {"AffectedConfigurationItems": ["web-01", "WEB-01"]}).unclear) == 1

    def test_names_and_ids_may_stand_side_by_side(self) -> None:
        context = {"AffectedConfigurationItems": [VM_3, "web-01"], **results(["_ResourceId"], [VM_ID], [VM_2])}

        assert of(OLD_LOG, context).vm_ids == (VM_3, VM_ID)

    @pytest.mark.parametrize("items", ["web-09", ["web-09"], ["web"], ["web-011"], [""], [5], [None], [WORKSPACE]])
    def test_a_name_that_fits_no_row_is_not_guessed(self, items: Any) -> None:
        alert = of(OLD_LOG, {"AffectedConfigurationItems": items, **results(["_ResourceId"], [VM_ID], [VM_2])}, VM_3)

        assert alert.vm_ids == ()
        [reason] = alert.unclear
        assert "gives the id of no such virtual machine" in reason
        assert "return _ResourceId" in reason

    @pytest.mark.parametrize("twin", [VM_ID.replace("web-rg", "old-rg"), VM_ID.replace("web-01", "web-01.a")])
    def test_a_name_that_fits_two_is_not_guessed(self, twin: str) -> None:
        affected = {"AffectedConfigurationItems": ["web-02", twin.rpartition("/")[2]]}

        alert = of(OLD_LOG, {**affected, **results(["_ResourceId"], [VM_ID], [twin], [VM_2], [VM_ID.upper()])})

        assert alert.vm_ids == (VM_2,)
        [reason] = alert.unclear
        assert VM_ID in reason
        assert twin in reason
        assert "not guessed" in reason

    def test_rows_of_an_old_log_alert_that_were_left_out(self) -> None:
        assert of(OLD_LOG, {"AffectedConfigurationItems": ["web-01"], "IncludedSearchResults": "False"}).no_vm

    def test_a_backup_alert_names_the_vm_beside_the_vault(self) -> None:
        source = f"{VM_2}/providers/Microsoft.RecoveryServices/backupProtectedItem/x"

        assert of(BACKUP, {"linkedResourceId": VM_ID, "sourceId": source}, VAULT_ID).vm_ids == (VM_ID,)
        assert of(BACKUP, {"linkedResourceId": VAULT_ID, "sourceId": source}, VAULT_ID).vm_ids == (VM_2,)
        assert of(BACKUP, {"sourceId": VM_3}, VAULT_ID).vm_ids == (VM_3,)

    def test_a_backup_alert_about_something_else(self) -> None:
        item = (
            f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/c/protectedItems/VM;iaasvmcontainerv2;web-rg;web-01"
        )

        assert "linkedResourceId" in (of(BACKUP, {"protectedItemId": item}, VAULT_ID).no_vm or "")

    def test_what_a_sender_writes_does_not_break_the_line(self) -> None:
        no_vm = of(METRIC, None, "a\nb\x00\u2028\ud800c" + "d" * 500).no_vm or ""

        assert no_vm.isprintable()
        assert len(no_vm) < 500


PLATFORM: Json = {"properties": {"cause": "PlatformInitiated"}}
COMPUTE = "Microsoft.Compute/virtualMachines"
OPERATIONS: list[Json] = [
    *(
        {"operationName": f"{COMPUTE}/{each}"}
        for each in (
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


def told_operation(context: Json) -> str:
    operation = context.get("operationName", f"{COMPUTE}/deallocate/action")
    return operation["value"] if isinstance(operation, dict) else operation.rstrip("/")


class TestWhatMustStartNothing:
    @pytest.mark.parametrize("condition", ["Fired", "fired", "FIRED", "Active", " active "])
    def test_what_fires_acts(self, condition: str) -> None:
        assert of({**METRIC, "monitorCondition": condition}, None, VM_ID).ignored is None

    @pytest.mark.parametrize("condition", ["Resolved", "resolved", "Closed", "Updated", "Deactivated", "Unfired"])
    def test_whatever_else_an_alert_is_does_not(self, condition: str) -> None:
        assert condition in (of({**METRIC, "monitorCondition": condition}, None, VM_ID).ignored or "")

    @pytest.mark.parametrize("service", ["Resource Health", "ResourceHealth", "resource health", "RESOURCEHEALTH"])
    @pytest.mark.parametrize("status", ["Updated", "Resolved", "InProgress", "In Progress", "whatever"])
    def test_a_health_event_that_is_not_active(self, service: str, status: str) -> None:
        alert = of({**HEALTH, "monitoringService": service}, {"status": status}, VM_ID)

        assert alert.ignored == f"The health event is {status}; only an Active one starts a restore."

    @pytest.mark.parametrize("status", ["Active", "active", {"value": "Active"}, None, 5, ""])
    def test_an_active_health_event_acts_and_one_without_a_status_too(self, status: Any) -> None:
        assert of(HEALTH, {"status": status, **PLATFORM}, VM_ID).ignored is None

    def test_a_status_matters_to_health_events_alone(self) -> None:
        assert of(METRIC, {"status": "Resolved"}, VM_ID).ignored is None

    @pytest.mark.parametrize("cause", ["UserInitiated", "userinitiated", "User Initiated", "USER-INITIATED"])
    @pytest.mark.parametrize("kind", [HEALTH, ACTIVITY, {"monitoringService": "New"}])
    def test_what_someone_did_on_purpose(self, kind: Json, cause: str) -> None:
        context = {"status": "Active", "properties": {"cause": cause}}

        assert "on purpose" in (of(kind, context, VM_ID).ignored or "")

    @pytest.mark.parametrize("cause", ["PlatformInitiated", "platform initiated", "Unknown", {"value": "Unknown"}])
    def test_other_causes_act(self, cause: Any) -> None:
        assert of(HEALTH, {"status": "Active", "properties": {"cause": cause}}, VM_ID).ignored is None

    @pytest.mark.parametrize("cause", ["", " ", None, 5, {}, [], {"value": None}])
    def test_a_health_event_without_a_cause_does_not(self, cause: Any) -> None:
        alert = of(HEALTH, {"status": "Active", "properties": {"cause": cause}}, VM_ID)

        assert alert.ignored == (
            "Resource Health names no cause; only PlatformInitiated and Unknown ones start a restore."
        )

    @pytest.mark.parametrize("cause", ["CustomerInitiated", "Planned"])
    def test_a_cause_that_nobody_has_thought_of_does_not(self, cause: str) -> None:
        assert f"the cause {cause};" in (of(HEALTH, {"properties": {"cause": cause}}, VM_ID).ignored or "")

    def test_a_vm_that_is_available_again(self) -> None:
        health = {"currentHealthStatus": "Available", "previousHealthStatus": "Unavailable", "cause": "Unknown"}

        assert "available again" in (of(HEALTH, {"status": "Active", "properties": health}, VM_ID).ignored or "")

    @pytest.mark.parametrize("status", ["Failed", "Canceled", "Started", "Accepted", "failed", {"value": "Failed"}])
    def test_an_operation_that_came_to_nothing(self, status: Any) -> None:
        context = {"status": status, "operationName": "Microsoft.Compute/virtualMachines/delete"}

        assert "was not done" in (of(ACTIVITY, context, VM_ID).ignored or "")

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
    def test_what_somebody_did_to_a_vm_on_purpose(self, kind: Json, context: Json) -> None:
        context = {"status": "Succeeded", "caller": "ada@example.org", **context}

        ignored = of({**ACTIVITY, **kind}, context, VM_ID).ignored or ""

        assert "by ada@example.org: somebody did that on purpose" in ignored
        assert ignored.startswith(told_operation(context))

    def test_an_operation_that_is_not_named(self) -> None:
        ignored = of(ACTIVITY, {"status": "Succeeded"}, VM_ID).ignored or ""

        assert ignored.startswith("An operation without a name: somebody did that on purpose.")

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

        assert of(ACTIVITY, {"operationName": operation, "status": status}, VM_ID).ignored is None
        assert of(ACTIVITY, {"authorization": {"action": operation, **scope}, "status": status}).ignored is None

    def test_an_alert_whose_context_is_a_text_is_read_all_the_same(self) -> None:
        action = {"action": "Microsoft.Compute/virtualMachines/delete", "scope": VM_ID}
        context = json.dumps({"authorization": json.dumps(action), "status": "Failed"})

        alert = of(ACTIVITY, context)

        assert alert.vm_ids == (VM_ID,)
        assert "was not done" in (alert.ignored or "")

    @pytest.mark.parametrize("item", ["VM;iaasvmcontainerv2;web-rg;web-01", "vm;iaasvmcontainerv2;web-rg;web-01/"])
    @pytest.mark.parametrize(
        "source", ["VM", "AzureVM", "AzureIaasVM", "Azure Virtual Machine", "virtualMachines", None]
    )
    def test_a_backup_of_a_whole_vm_acts(self, item: str, source: Any) -> None:
        context = {"category": "Jobs", "protectedItemId": f"{VAULT_ID}/x/{item}", "sourceType": source}

        assert of(BACKUP, {**context, "linkedResourceId": VM_ID}).ignored is None
        assert of(BACKUP, {"category": "Jobs", "sourceId": VM_ID}).ignored is None

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
                {"sourceType": each}
                for each in (
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
        ignored = of(BACKUP, {"category": "Jobs", "linkedResourceId": VM_ID, **context}).ignored or ""

        assert "whole virtual machine" in ignored

    @pytest.mark.parametrize("category", ["Security", "security", {"value": "Security"}, "Other", 5])
    def test_a_backup_alert_of_another_category_does_not(self, category: Any) -> None:
        ignored = of(BACKUP, {"category": category, "linkedResourceId": VM_ID}).ignored or ""

        assert "only those of Jobs" in ignored

    @pytest.mark.parametrize("rule", ["Backup Failure", "Restore Failure"])
    @pytest.mark.parametrize("category", ["Jobs", "jobs", None])
    def test_a_backup_alert_about_a_vms_job_does(self, rule: str, category: str | None) -> None:
        # That a restore which failed does not start itself over and over is the cool-down's business.
        assert of({**BACKUP, "alertRule": rule}, {"category": category, "linkedResourceId": VM_ID}).ignored is None

    def test_an_alert_without_a_vm_may_be_ignored_too(self) -> None:
        alert = of({**METRIC, "monitorCondition": "Resolved"})

        assert alert.ignored
        assert alert.no_vm


@given(st.text(), st.integers(1, 50))
@SWIFT
def test_plain_text_fits_into_one_line(text: str, most: int) -> None:
    seen = plain(text, most)

    assert len(seen) <= most
    assert len(seen.splitlines()) <= 1
    seen.encode()


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
            {"properties": {"cause": '{"value": "UserInitiated"}'}},
            {"eventProperties": {"cause": "UserInitiated"}},
            {"cause": "UserInitiated"},
            '{"properties": {"cause": "UserInitiated"}}',
        ],
    )
    def test_it_is_heard(self, context: Any) -> None:
        assert "on purpose" in (read_alert(self.alert(context)).ignored or "")

    @pytest.mark.parametrize("properties", ["{", "5", "null", "[" * 100_000, '{"a":' * 100_000, 5])
    def test_what_cannot_be_read_names_no_cause(self, properties: object) -> None:
        assert "no cause" in (read_alert(self.alert({"properties": properties})).ignored or "")
        assert "no cause" in (read_alert(self.alert(properties)).ignored or "")

    def test_no_depth_exhausts_it(self) -> None:
        deep: Any = "UserInitiated"
        for _ in range(900):
            deep = {"cause": [deep]}

        assert read_alert(self.alert(deep)).ignored

    def alert(self, context: object) -> dict[str, Any]:
        essentials = {"alertId": "/a", "monitorCondition": "Fired", "monitoringService": "Resource Health"}
        return {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {"essentials": essentials, "alertContext": context},
        }
