from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.payload import MAX_VMS, Alert, read_alert
from domain.errors import InvalidRequestError
from tests.support.azure import VM_ID
from tests.support.strategies import SWIFT, THOROUGH, damaged, json_values, objects_of
from tests.unit.domain.alerts.payloads import (
    ACTIVITY,
    BACKUP,
    HEALTH,
    LOG,
    LOG_V1,
    METRIC,
    SAMPLES,
    VM_2,
    VM_3,
    alert_of,
    an_alert,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def outcome_of(body: Any) -> Alert | InvalidRequestError:
    try:
        return read_alert(body)
    except InvalidRequestError as error:
        return error


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
            ("resource-health-no-cause", ["web-03"]),
            ("resource-health-in-progress", ["web-03"]),
            ("resource-health-updated", ["web-03"]),
            ("prometheus", ["web-03"]),
            ("service-health", []),
            ("budget", []),
            ("smart-detection", []),
        ],
    )
    def test_name_their_vms(self, name: str, vms: list[str]) -> None:
        alert = read_alert(sample(name))

        assert [vm_id.lower() for vm_id in alert.vm_ids] == [VM_ID.lower().replace("web-01", name) for name in vms]
        assert bool(alert.unresolved) == (not vms)

    def test_there_is_none_without_a_test(self) -> None:
        assert len(SAMPLES) == 22

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("resource-health-user-initiated", "the cause UserInitiated"),
            (
                "activity-log-deallocate",
                "virtualMachines/deallocate/action by operator@example.org; of all operations",
            ),
            ("azure-backup-sql", "is about SQLDataBase, not about"),
            ("azure-backup-security", "has the category Security"),
            ("resolved", "The alert is Resolved; only a Fired alert"),
            ("resource-health-updated", "The health event is Updated"),
            ("service-health", "Service Health names no single virtual machine"),
            ("budget", "A cost alert names no virtual machine"),
            ("smart-detection", "smart detection names no virtual machine"),
        ],
    )
    def test_that_must_start_nothing_say_why(self, name: str, reason: str) -> None:
        assert reason in (read_alert(sample(name)).ignore_reason or "")

    @pytest.mark.parametrize(
        "name",
        [
            *("metric", "metric-several-vms", "resource-health", "activity-log"),
            *("log-v1", "log-v1-computer-names", "log-v2", "azure-backup", "prometheus"),
            *("resource-health-no-cause", "resource-health-in-progress"),
        ],
    )
    def test_that_may_start_something_have_no_objection(self, name: str) -> None:
        assert read_alert(sample(name)).ignore_reason is None

    def test_are_read_whole(self) -> None:
        alert = read_alert(sample("metric"))

        assert alert.alert_id.endswith("/alerts/a1e27000-0000-4000-8000-000000000001")
        assert (alert.alert_rule, alert.severity, alert.monitoring_service) == ("vm-web-down", "Sev1", "Platform")
        assert alert.fired == datetime(2026, 11, 20, 10, 4, 31, 715283, tzinfo=UTC)

    @given(st.data(), st.sampled_from(sorted(SAMPLES)))
    @THOROUGH
    def test_damaged_are_read_or_refused_by_name(self, data: st.DataObject, name: str) -> None:
        body = data.draw(damaged(st.just(sample(name))))

        seen = outcome_of(body)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
            json.dumps(seen.to_json())
        else:
            assert seen.vm_ids or seen.unresolved
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
        kinds = (METRIC, HEALTH, ACTIVITY, LOG, LOG_V1, BACKUP, {"monitoringService": "New"})
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

        assert [detail.target for detail in caught.value.details] == ["schemaId"]

    def test_no_schema_at_all(self) -> None:
        assert refused({"data": an_alert()["data"]}) == [("MissingField", "schemaId")]

    @pytest.mark.parametrize("data", [None, {}, {"essentials": None}, [], "x"])
    def test_no_essentials(self, data: Any) -> None:
        assert refused({**an_alert(), "data": data}) == [("MissingField", "data.essentials")]

    @pytest.mark.parametrize("wrap", [lambda value: [value], json.dumps, lambda value: json.dumps([value])])
    def test_an_object_may_be_alone_in_an_array_or_a_text(self, wrap: Callable[[Any], Any]) -> None:
        body = an_alert({"alertTargetIDs": [VM_ID]}, {})
        data = {**body["data"], "essentials": wrap(body["data"]["essentials"])}

        assert read_alert(wrap({**body, "data": wrap(data)})).vm_ids == (VM_ID,)

    def test_essentials_of_another_kind(self) -> None:
        assert refused({**an_alert(), "data": {"essentials": []}}) == [("InvalidValue", "data.essentials")]

    def test_all_missing_members_are_named_at_once(self) -> None:
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
        ids = [VM_ID.replace("web-01", f"vm{index}") for index in range(MAX_VMS + 1)]

        assert len(alert_of(METRIC, None, *ids[1:], ids[1].upper()).vm_ids) == MAX_VMS
        with pytest.raises(InvalidRequestError, match="at most 1000"):
            alert_of(METRIC, None, *ids)
        with pytest.raises(InvalidRequestError, match="at most 1000"):
            alert_of(LOG_V1, {"AffectedConfigurationItems": [f"vm{index}" for index in range(MAX_VMS + 1)]})


def refused(body: Any) -> list[tuple[str, str | None]]:
    with pytest.raises(InvalidRequestError) as caught:
        read_alert(body)
    return [(detail.code, detail.target) for detail in caught.value.details]


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
        alert = alert_of(METRIC, None, VM_2.lower(), VM_ID, VM_2, f"{VM_ID}/", f" {VM_3} ", VM_ID.upper())

        assert alert.vm_ids == (VM_2.lower(), VM_ID, VM_3)

    def test_groups_that_only_german_takes_for_one_stay_two(self) -> None:
        street, strasse = (VM_ID.replace("web-rg", name) for name in ("Straße", "STRASSE"))

        assert alert_of(METRIC, None, street, strasse).vm_ids == (street, strasse)
