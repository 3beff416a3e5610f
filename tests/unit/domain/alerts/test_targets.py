from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from domain.alerts.payload import read_alert
from tests.support.azure import SUBSCRIPTION, VAULT_ID, VM_ID
from tests.unit.domain.alerts.payloads import (
    ACTIVITY,
    BACKUP,
    GROUP,
    HEALTH,
    LOG,
    LOG_V1,
    METRIC,
    SCALE_SET_VM,
    VM_2,
    VM_3,
    WORKSPACE,
    alert_of,
    an_alert,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.alerts.payload import Alert
    from domain.errors import Json


def dimensions(*rows: list[Json]) -> Json:
    return {"condition": {"allOf": [{"dimensions": row} for row in rows]}}


def results(columns: list[str], *rows: list[object]) -> Json:
    return {"SearchResults": {"tables": [{"columns": [{"name": column} for column in columns], "rows": list(rows)}]}}


def the_sentence(alert: Alert) -> str:
    [sentence] = alert.unresolved
    return sentence


class TestWhereTheVmIs:
    @pytest.mark.parametrize(
        "kind", [METRIC, HEALTH, ACTIVITY, LOG, LOG_V1, BACKUP, {"monitoringService": "Brand New"}, {}]
    )
    def test_every_kind_takes_vms_among_its_targets(self, kind: Json) -> None:
        assert alert_of(kind, None, WORKSPACE, VM_ID, 5, None).vm_ids == (VM_ID,)

    def test_one_that_cannot_be_read_is_told_beside_the_others(self) -> None:
        alert = alert_of(METRIC, None, VM_ID, f"{VM_2}\u200b", WORKSPACE, 5)

        assert alert.vm_ids == (VM_ID,)
        assert "web-02" in the_sentence(alert)
        assert "ends in U+200B" in the_sentence(alert)

    def test_one_that_was_found_is_not_told_as_well(self) -> None:
        assert alert_of(METRIC, None, f"{VM_ID}/extensions/x\u200b").unresolved == ()

    def test_what_lies_in_a_vm_names_it(self) -> None:
        assert alert_of(METRIC, None, f"{VM_ID}/extensions/x", f"{VM_2}/providers/a/b/c").vm_ids == (VM_ID, VM_2)

    @pytest.mark.parametrize("target", [SCALE_SET_VM, GROUP, SUBSCRIPTION, WORKSPACE, VAULT_ID, "web-01", "", "/"])
    def test_what_is_no_vm_names_none(self, target: str) -> None:
        alert = alert_of(METRIC, None, target)

        assert alert.vm_ids == ()
        assert "names no virtual machine" in the_sentence(alert)
        assert "Scope the alert rule to virtual machines" in the_sentence(alert)

    def test_a_platform_metrics_guid_is_no_vm(self) -> None:
        guid = "7d8e0c55-6c3f-4d54-8b5e-2f6f5bbf7b10"

        assert alert_of(METRIC, dimensions([{"name": "ResourceId", "value": guid}]), VM_ID).vm_ids == (VM_ID,)

    def test_a_resource_group_whose_health_changed_is_no_vm(self) -> None:
        assert "resource group or subscription" in the_sentence(alert_of(HEALTH, {"status": "Active"}, GROUP))

    def test_the_scope_of_an_operation_goes_before_the_target(self) -> None:
        context = {"authorization": {"scope": f"{VM_ID}/extensions/agent"}}

        assert alert_of(ACTIVITY, context, VM_ID.lower(), VM_2).vm_ids == (VM_ID, VM_2)

    @pytest.mark.parametrize("column", ["_ResourceId", "ResourceId", "_resourceid", "resourceId"])
    def test_dimensions_of_every_criterion_of_a_log_alert(self, column: str) -> None:
        context = dimensions(
            [{"name": "Computer", "value": VM_3}, {"name": column, "value": VM_ID}],
            [{"name": column, "value": VM_2}, {"name": column}, {"name": 5, "value": VM_3}],
        )

        assert alert_of(LOG, context, VM_3).vm_ids == (VM_ID, VM_2)

    def test_a_log_alert_whose_dimensions_name_no_vm_takes_its_targets(self) -> None:
        context = dimensions([{"name": "_ResourceId", "value": WORKSPACE}])
        items = {**LOG, "configurationItems": [VM_2]}

        assert alert_of(items, context, VM_ID).vm_ids == (VM_ID,)
        assert alert_of(items, context, WORKSPACE).vm_ids == (VM_2,)

    @pytest.mark.parametrize("kind", [LOG, LOG_V1])
    def test_computer_names_are_not_enough(self, kind: Json) -> None:
        items = {"configurationItems": ["web-01", "web-02", "web-03", "web-04", "web-05"]}

        alert = alert_of({**kind, **items}, dimensions([{"name": "Computer", "value": "web-01"}]), WORKSPACE)

        assert "computer names alone (web-01, web-02, web-03 and 2 more)" in the_sentence(alert)
        assert WORKSPACE in the_sentence(alert)
        assert "return _ResourceId and split the alert by it" in the_sentence(alert)

    def test_a_log_alert_without_anything(self) -> None:
        assert the_sentence(alert_of(LOG)) == (
            "The alert names no virtual machine: its alertTargetIDs is empty or absent. "
            "Make the alert rule's query return _ResourceId and split the alert by it."
        )

    @pytest.mark.parametrize(
        "kind", [LOG_V1, {**LOG_V1, "monitoringService": "Application Insights"}, {**METRIC, "signalType": "Log"}]
    )
    def test_the_rows_of_a_v1_log_alert(self, kind: Json) -> None:
        context = results(["n", "_ResourceId", "ResourceId"], [1, VM_ID, VM_2], [2, VM_ID], [3], [4, None, VM_3])

        assert alert_of(kind, context, WORKSPACE).vm_ids == (VM_ID, VM_2, VM_3)

    def test_the_affected_items_of_a_v1_log_alert_go_before_its_rows(self) -> None:
        # A metric measurement's rows hold every machine, the healthy ones too.
        context = {"AffectedConfigurationItems": [VM_ID], **results(["_ResourceId"], [VM_ID], [VM_2])}

        assert alert_of(LOG_V1, context).vm_ids == (VM_ID,)
        assert alert_of(LOG_V1, {**context, "AffectedConfigurationItems": []}).vm_ids == (VM_ID, VM_2)

    @pytest.mark.parametrize(
        "name", ["web-01", "WEB-01", " web-01 ", "web-01.contoso.local", "Web-01.a.b", VM_ID, VM_ID.upper()]
    )
    def test_a_computers_name_takes_its_own_row_alone(self, name: str) -> None:
        context = {"AffectedConfigurationItems": [name], **results(["_ResourceId"], [VM_ID], [VM_2], [VM_3])}

        alert = alert_of(LOG_V1, context, WORKSPACE)

        assert ([vm_id.lower() for vm_id in alert.vm_ids], alert.unresolved) == ([VM_ID.lower()], ())

    def test_a_computers_name_may_be_that_of_the_target(self) -> None:
        assert alert_of(LOG_V1, {"AffectedConfigurationItems": ["web-01"]}, VM_2, VM_ID).vm_ids == (VM_ID,)

    def test_an_item_that_is_affected_twice_counts_once_as_it_came_first(self) -> None:
        assert alert_of(LOG_V1, {"AffectedConfigurationItems": [VM_ID, VM_ID.upper(), f"{VM_ID}/"]}).vm_ids == (VM_ID,)
        assert len(alert_of(LOG_V1, {"AffectedConfigurationItems": ["web-01", "WEB-01"]}).unresolved) == 1

    def test_names_and_ids_may_stand_side_by_side(self) -> None:
        context = {"AffectedConfigurationItems": [VM_3, "web-01"], **results(["_ResourceId"], [VM_ID], [VM_2])}

        assert alert_of(LOG_V1, context).vm_ids == (VM_3, VM_ID)

    @pytest.mark.parametrize("items", ["web-09", ["web-09"], ["web"], ["web-011"], [""], [5], [None], [WORKSPACE]])
    def test_a_name_that_fits_no_row_is_not_guessed(self, items: Any) -> None:
        alert = alert_of(
            LOG_V1, {"AffectedConfigurationItems": items, **results(["_ResourceId"], [VM_ID], [VM_2])}, VM_3
        )

        assert alert.vm_ids == ()
        assert "contains no id of a virtual machine with this name" in the_sentence(alert)
        assert "return _ResourceId" in the_sentence(alert)

    @pytest.mark.parametrize("twin", [VM_ID.replace("web-rg", "old-rg"), VM_ID.replace("web-01", "web-01.a")])
    def test_a_name_that_fits_two_is_not_guessed(self, twin: str) -> None:
        affected = {"AffectedConfigurationItems": ["web-02", twin.rpartition("/")[2]]}

        alert = alert_of(LOG_V1, {**affected, **results(["_ResourceId"], [VM_ID], [twin], [VM_2], [VM_ID.upper()])})

        assert alert.vm_ids == (VM_2,)
        assert VM_ID in the_sentence(alert)
        assert twin in the_sentence(alert)
        assert "does not guess" in the_sentence(alert)

    def test_rows_of_a_v1_log_alert_that_were_left_out(self) -> None:
        assert alert_of(LOG_V1, {"AffectedConfigurationItems": ["web-01"], "IncludedSearchResults": "False"}).unresolved

    def test_a_backup_alert_names_the_vm_beside_the_vault(self) -> None:
        source = f"{VM_2}/providers/Microsoft.RecoveryServices/backupProtectedItem/x"

        assert alert_of(BACKUP, {"linkedResourceId": VM_ID, "sourceId": source}, VAULT_ID).vm_ids == (VM_ID,)
        assert alert_of(BACKUP, {"linkedResourceId": VAULT_ID, "sourceId": source}, VAULT_ID).vm_ids == (VM_2,)
        assert alert_of(BACKUP, {"sourceId": VM_3}, VAULT_ID).vm_ids == (VM_3,)

    def test_a_backup_alert_about_something_else(self) -> None:
        item = (
            f"{VAULT_ID}/backupFabrics/Azure/protectionContainers/c/protectedItems/VM;iaasvmcontainerv2;web-rg;web-01"
        )

        assert "linkedResourceId" in the_sentence(alert_of(BACKUP, {"protectedItemId": item}, VAULT_ID))

    def test_what_a_sender_writes_does_not_break_the_line(self) -> None:
        sentence = the_sentence(alert_of(METRIC, None, "a\nb\x00\u2028\ud800c" + "d" * 500))

        assert sentence.isprintable()
        assert len(sentence) < 500


LABEL_FORMS = [
    lambda name, value: {"labels": {"alertname": "VmDown", name: value}},
    lambda name, value: {"labels": [{"name": "alertname", "value": "VmDown"}, {"name": name, "value": value}]},
    lambda name, value: {"labels": [{"key": name, "value": value}]},
    lambda name, value: {"labels": [{"Name": name, "Value": {"value": value}}]},
    lambda name, value: {"Labels": json.dumps({name: value})},
    lambda name, value: {"labels": json.dumps([{"name": name, "value": value}])},
    lambda name, value: dimensions([{"name": "host", "value": "web-01"}, {"name": name, "value": value}]),
    lambda name, value: {"condition": {"allOf": {"dimensions": {"name": name, "value": value}}}},
    lambda name, value: {"condition": [{"allOf": [{"labels": {name: value}}]}]},
    lambda name, value: [{"condition": {"allOf": [{"dimensions": {name: value}}]}}],
]


class TestLabels:
    """A query over a workspace names the VM in a label; its target is the workspace."""

    PROMETHEUS: ClassVar = {"signalType": "Metric", "monitoringService": "Prometheus"}
    ACCOUNT = f"{SUBSCRIPTION}/resourcegroups/p/providers/microsoft.monitor/accounts/w"

    @pytest.mark.parametrize("form", LABEL_FORMS)
    @pytest.mark.parametrize(
        "name", ["microsoft.resourceid", "Microsoft.ResourceId", "microsoft_resourceid", "_ResourceId", "resourceId"]
    )
    @pytest.mark.parametrize("kind", [PROMETHEUS, METRIC, {"monitoringService": "Managed Prometheus"}, LOG])
    def test_name_the_vm(self, kind: Json, name: str, form: Callable[[str, str], Any]) -> None:
        for vm_id in (VM_ID, VM_ID.lower(), f" {VM_ID} "):
            alert = alert_of(kind, form(name, vm_id), self.ACCOUNT)

            assert (alert.vm_ids, alert.unresolved) == ((vm_id.strip(),), ())

    def test_go_before_the_target(self) -> None:
        labels = {"labels": {"microsoft.resourceid": VM_ID, "resourceId": VM_3}}

        assert alert_of(self.PROMETHEUS, labels, VM_2).vm_ids == (VM_ID,)
        assert alert_of(self.PROMETHEUS, {"labels": {"instance": VM_ID}}, VM_2).vm_ids == (VM_2,)

    @pytest.mark.parametrize(
        ("kind", "context"),
        [
            (PROMETHEUS, None),
            (PROMETHEUS, {"labels": {"microsoft.resourceid": WORKSPACE}}),
            (METRIC, {"labels": {"instance": "web-01"}}),
            (METRIC, {"conditionType": "PromQLCriteria"}),
            (METRIC, {"condition": {"odata.type": "Microsoft.Azure.Monitor.PromQLCriteria"}}),
            (METRIC, {"condition": {}}),
            ({"monitoringService": None}, {"expression": "up == 0"}),
        ],
    )
    def test_are_asked_for_if_they_are_missing(self, kind: Json, context: Json | None) -> None:
        sentence = the_sentence(alert_of(kind, context, self.ACCOUNT))

        assert "label microsoft.resourceid" in sentence
        assert "Scope the alert rule" not in sentence

    def test_say_what_they_name_instead(self) -> None:
        assert f"its labels name {WORKSPACE}." in the_sentence(
            alert_of(self.PROMETHEUS, {"labels": {"microsoft.resourceid": WORKSPACE}}, self.ACCOUNT)
        )


class TestWhatToolsMakeOfArrays:
    @pytest.mark.parametrize("kind", [METRIC, HEALTH, ACTIVITY, LOG, LOG_V1, BACKUP, {"monitoringService": "New"}])
    @pytest.mark.parametrize(
        "targets", [VM_ID, f" {VM_ID} ", json.dumps([VM_ID]), json.dumps([WORKSPACE, VM_ID]), f"['{VM_ID}']"]
    )
    def test_targets_written_as_a_text(self, kind: Json, targets: str) -> None:
        assert read_alert(an_alert({**kind, "alertTargetIDs": targets})).vm_ids == (VM_ID,)

    @pytest.mark.parametrize("wrap", [lambda value: [value], json.dumps, lambda value: json.dumps([value])])
    def test_members_alone_in_an_array_or_a_text(self, wrap: Callable[[Any], Any]) -> None:
        scope = {"authorization": wrap({"scope": VM_ID})}
        linked = {"linkedResourceId": [VM_ID]}
        rows = {"SearchResults": wrap({"tables": wrap({"columns": wrap({"name": "_ResourceId"}), "rows": [VM_ID]})})}

        assert alert_of(ACTIVITY, scope).vm_ids == (VM_ID,)
        assert alert_of(BACKUP, wrap(linked)).vm_ids == (VM_ID,)
        assert alert_of(LOG_V1, rows).vm_ids == (VM_ID,)

    @pytest.mark.parametrize(
        ("targets", "said"),
        [(None, "is empty or absent"), ([], "is empty or absent"), ("", "is empty or absent"), ([5], "cannot be read")],
    )
    def test_targets_are_called_absent_only_if_there_are_none(self, targets: Any, said: str) -> None:
        assert f"its alertTargetIDs {said}." in the_sentence(read_alert(an_alert({"alertTargetIDs": targets})))

    def test_an_unknown_kind_gets_no_advice_that_may_be_wrong(self) -> None:
        assert "does not know this kind" in the_sentence(
            alert_of({"signalType": None, "monitoringService": "New"}, None, WORKSPACE)
        )
