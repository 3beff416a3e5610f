from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.alerts.alert_rules import NO_RULES
from domain.alerts.decide import (
    MAX_STARTS,
    AlertDecision,
    PlanStart,
    VmDecision,
    accepted_start,
    decide_alert,
    plan_starts,
    refused_start,
)
from domain.alerts.kinds import AlertKind
from domain.alerts.payload import Alert, read_alert
from domain.alerts.rules_file import read_rules
from domain.errors import InvalidRequestError, Json, TerminalError
from domain.requests import RestoreRequest
from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID
from tests.support.strategies import BASES, SWIFT
from tests.unit.domain.alerts.payloads import sample
from tests.unit.domain.alerts.rules import (
    ATTACH,
    CLONE,
    DENY,
    DISKS,
    IN_PLACE,
    NEW_VM,
    NOW,
    PLAN,
    ROOT,
    SAMPLE_FILE,
    SQL_VM,
    SWAP,
    WEB_2,
    a_file,
    a_rule,
    an_alert,
    match,
    plans,
    read,
    template,
)


def body_of(decision: VmDecision) -> Json:
    assert decision.request is not None, decision.reason
    return decision.request.to_json()


def decision_of(rule: Json, alert: Alert | None = None) -> VmDecision:
    [decision] = decide_alert(alert or an_alert(), read(rule), NOW, {})
    return decision


class TestTheAlertAndTheRules:
    def test_nothing_is_done_without_rules(self) -> None:
        assert decide_alert(an_alert(), NO_RULES, NOW, {}) == [
            VmDecision(VM_ID, AlertDecision.IGNORED, "No rule covers it.")
        ]

    def test_each_vm_gets_its_own_decision_in_order(self) -> None:
        web = {**match(sourceResourceIds=["*/web-01"]), "name": "web"}
        never = {**DENY, "match": {"sourceResourceIds": ["*/resourceGroups/SQL-*/*"]}}

        decisions = decide_alert(an_alert(WEB_2, SQL_VM, VM_ID), read(web, never), NOW, {})

        assert [(decision.source_resource_id, decision.decision) for decision in decisions] == [
            (WEB_2, "Ignored"),
            (SQL_VM, "Refused"),
            (VM_ID, "Started"),
        ]
        assert [decision.rule and decision.rule.name for decision in decisions] == [None, "never", "web"]
        assert decisions[1].reason == "Rule 'never' denies restores of this virtual machine."
        assert [decision.request is not None for decision in decisions] == [False, False, True]

    def test_an_alert_that_must_start_nothing_starts_nothing(self) -> None:
        decisions = decide_alert(an_alert(VM_ID, SQL_VM, ignore_reason="It is Resolved."), read(), NOW, {})

        assert decisions == [VmDecision(vm_id, AlertDecision.IGNORED, "It is Resolved.") for vm_id in (VM_ID, SQL_VM)]

    @pytest.mark.parametrize(
        ("ignored", "decision"), [("It is Resolved.", AlertDecision.IGNORED), (None, AlertDecision.REFUSED)]
    )
    def test_an_alert_without_a_vm_gets_one_decision(self, ignored: str | None, decision: AlertDecision) -> None:
        alert = replace(an_alert(), vm_ids=(), unresolved=("Split by _ResourceId.",), ignore_reason=ignored)

        reason = ignored or "Split by _ResourceId."
        assert decide_alert(alert, read(), NOW, {}) == [VmDecision(None, decision, reason)]

    @pytest.mark.parametrize("vm_ids", [(), (VM_ID,)])
    def test_a_name_that_is_not_clear_is_refused_beside_the_others(self, vm_ids: tuple[str, ...]) -> None:
        alert = replace(an_alert(), vm_ids=vm_ids, unresolved=("Which web-02?", "And?"))

        decisions = decide_alert(alert, read(), NOW, {})

        assert [(decision.source_resource_id, decision.decision) for decision in decisions] == [
            *((vm_id, "Started") for vm_id in vm_ids),
            *[(None, "Refused")] * 2,
        ]
        assert [decision.reason for decision in decisions[-2:]] == ["Which web-02?", "And?"]

    def test_one_alert_starts_no_more_than_it_can_be_answered_for(self) -> None:
        vms = [VM_ID.replace("web-01", f"vm-{index}") for index in range(MAX_STARTS + 1)]
        never = {**DENY, "match": {"sourceResourceIds": ["*/sql-01"]}}

        decisions = decide_alert(an_alert(*vms[:-1], SQL_VM, vms[-1], WEB_2, SQL_VM), read(never, a_rule()), NOW, {})

        assert [decision.decision for decision in decisions] == [*["Started"] * MAX_STARTS, *["Refused"] * 4]
        assert [decision.rule and decision.rule.name for decision in decisions[-4:]] == [
            "never",
            "web tier",
            "web tier",
            "never",
        ]
        for last in decisions[-3:-1]:
            assert last.request is None
            assert f"at most {MAX_STARTS} restores" in last.reason

    @given(st.lists(st.sampled_from([DENY, a_rule(), a_rule(name="b", restore=IN_PLACE)]), unique_by=str), st.data())
    @SWIFT
    def test_a_request_is_there_exactly_when_something_is_started(self, rules: list[Json], data: st.DataObject) -> None:
        alert = an_alert(
            *data.draw(st.lists(st.sampled_from([VM_ID, SQL_VM, WEB_2]), unique=True)),
            ignore_reason=data.draw(st.none() | st.just("no")),
        )

        for decision in decide_alert(alert, read_rules({"rules": rules}), NOW, {}):
            assert (decision.request is not None) == (decision.decision in {"Started", "AwaitingApproval"})
            assert decision.reason
            if decision.rule is not None and decision.rule.restore is None:
                assert (decision.decision, decision.request) == ("Refused", None)
            if decision.request is not None:
                assert decision.request.source_resource_id == decision.source_resource_id

    def test_what_the_samples_get_from_the_sample_rules(self) -> None:
        rules = read_rules(json.loads(SAMPLE_FILE.read_text(encoding="utf-8")))
        decisions = {
            path.stem: {
                decision.decision for decision in decide_alert(read_alert(json.loads(path.read_text())), rules, NOW, {})
            }
            for path in (ROOT / "tests" / "samples" / "alerts").glob("*.json")
        }

        assert decisions == {
            "metric": {"Started"},
            "metric-several-vms": {"Started"},
            "resource-health": {"Started"},
            "resource-health-user-initiated": {"Ignored"},
            "activity-log": {"AwaitingApproval"},
            "activity-log-deallocate": {"Ignored"},
            "log-v1": {"AwaitingApproval"},
            "log-v1-computer-names": {"AwaitingApproval"},
            "log-v2": {"AwaitingApproval"},
            "azure-backup": {"Ignored"},
            "azure-backup-sql": {"Ignored"},
            "azure-backup-restore-failure": {"Ignored"},
            "azure-backup-security": {"Ignored"},
            "resolved": {"Ignored"},
            "no-vm": {"Refused"},
            "resource-health-no-cause": {"AwaitingApproval"},
            "resource-health-in-progress": {"AwaitingApproval"},
            "resource-health-updated": {"Ignored"},
            "prometheus": {"AwaitingApproval"},
            "service-health": {"Ignored"},
            "budget": {"Ignored"},
            "smart-detection": {"Ignored"},
        }

    def test_the_rules_in_the_readme_restore_no_healthy_vms(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        written = readme.partition("## Restores by alert")[2].partition("```json")[2].partition("```")[0]
        rules = read_rules(json.loads(written.replace("…", STORAGE_ID)))
        busy = sample("metric")
        busy["data"]["essentials"]["alertRule"] = "cpu above 90 %"

        def decided(alert: Json) -> set[str]:
            return {decision.decision for decision in decide_alert(read_alert(alert), rules, NOW, {})}

        assert decided(sample("metric")) == {"Started"}
        assert decided(sample("resource-health")) == {"Started"}
        for healthy in (busy, sample("azure-backup"), sample("azure-backup-restore-failure"), sample("activity-log")):
            assert decided(healthy) == {"Ignored"}

    @pytest.mark.parametrize("approval", [None, {"required": False}, {"timeout": "PT1H"}])
    def test_a_person_is_asked_if_the_alert_says_too_little_whatever_the_rule_says(self, approval: Json) -> None:
        why = "Resource Health names no cause, so a person must confirm."
        rule = a_rule() if approval is None else a_rule(approval=approval)

        decision = decision_of(rule, an_alert(approval_reason=why))

        assert (decision.decision, decision.reason) == ("AwaitingApproval", f"Rule 'web tier' covers it. {why}")
        assert body_of(decision)["approval"] == {**(approval or {}), "required": True}

    @pytest.mark.parametrize(
        ("kind", "name"),
        [(AlertKind.BACKUP, "Azure Backup"), (AlertKind.ACTIVITY_LOG, "Activity Log - Administrative")],
    )
    def test_the_reason_names_a_rule_that_does_not_name_the_kind_of_alert(self, kind: AlertKind, name: str) -> None:
        decision = decision_of(a_rule(), an_alert(kind=kind, monitoring_service=name))

        assert (decision.decision, decision.rule) == ("Ignored", None)
        assert f"Rule 'web tier' covers it, but does not name '{name}'" in decision.reason

    def test_the_sample_rules_can_restore_a_vm_that_was_deleted(self) -> None:
        rules = read_rules(json.loads(SAMPLE_FILE.read_text(encoding="utf-8")))
        deleted = read_alert(json.loads((ROOT / "tests/samples/alerts/activity-log.json").read_text(encoding="utf-8")))

        [decision] = decide_alert(deleted, rules, NOW, {})

        assert body_of(decision)["vaultId"] == VAULT_ID


class TestPlans:
    def test_all_vms_of_a_rule_with_a_plan_start_the_same_plan(self) -> None:
        decisions = decide_alert(an_alert(VM_ID, SQL_VM), read(PLAN), NOW, plans())

        assert [decision.decision for decision in decisions] == ["Started"] * 2
        assert [decision.starts for decision in decisions] == ["shop"] * 2
        assert [decision.request for decision in decisions] == [None] * 2
        assert decisions[0].to_json() == {
            "sourceResourceId": VM_ID,
            "decision": "Started",
            "reason": "Rule 'whole shop' covers it and starts the recovery plan 'shop'.",
            "rule": "whole shop",
            "plan": "shop",
        }

    def test_other_vms_of_the_alert_are_decided_by_their_own_rules(self) -> None:
        only_web = {**PLAN, "match": {"sourceResourceIds": ["*/web-*"]}}

        decisions = decide_alert(an_alert(VM_ID, SQL_VM, WEB_2), read(DENY | match_of(SQL_VM), only_web), NOW, plans())

        assert [(decision.decision, decision.plan) for decision in decisions] == [
            ("Started", "shop"),
            ("Refused", None),
            ("Started", "shop"),
        ]

    @pytest.mark.parametrize(
        ("restore", "approval", "why"),
        [
            (DISKS, {"required": True}, "a person must approve the recovery."),
            (IN_PLACE, {}, "a person must approve the recovery, because the plan replaces disks."),
            (IN_PLACE, {"required": False}, "a person must approve the recovery, because the plan replaces disks."),
            (SWAP, {}, "a person must approve the recovery, because the plan replaces disks."),
        ],
    )
    def test_a_person_is_asked_where_the_rule_or_the_plan_needs_one(
        self, restore: Json, approval: Json, why: str
    ) -> None:
        [decision] = decide_alert(an_alert(), read({**PLAN, "approval": approval}), NOW, plans(restore))

        assert (decision.decision, decision.starts) == ("AwaitingApproval", "shop")
        assert decision.reason.endswith(why)

    def test_a_person_is_asked_if_the_alert_says_too_little(self) -> None:
        [decision] = decide_alert(an_alert(approval_reason="It names no cause."), read(PLAN), NOW, plans())

        assert decision.decision == "AwaitingApproval"
        assert decision.reason.endswith("'shop'. It names no cause.")

    def test_a_plan_counts_once_among_what_an_alert_may_start(self) -> None:
        web = [VM_ID.replace("web-01", f"vm-{index}") for index in range(MAX_STARTS - 1)]
        sql = [SQL_VM.replace("sql-01", f"sql-{index}") for index in range(5)]
        rules = read(
            {**PLAN, "match": {"sourceResourceIds": ["*/sql-*"]}},
            {**PLAN, "name": "b", "plan": "SHOP"} | match_of(WEB_2),
            a_rule(),
        )

        decisions = decide_alert(an_alert(*sql, *web, VM_ID, WEB_2, sql[0]), rules, NOW, plans())

        outcomes = [decision.decision for decision in decisions]
        assert outcomes == [*["Started"] * (len(sql) + len(web)), "Refused", "Started", "Started"]
        assert len({decision.starts for decision in decisions} - {None}) == MAX_STARTS

    def test_alerts_that_do_not_say_that_a_vm_is_down_start_no_plan_unless_the_rule_names_them(self) -> None:
        alert = an_alert(kind=AlertKind.BACKUP, monitoring_service="Azure Backup")
        naming = {**PLAN, "match": {"monitoringServices": ["Azure Backup"]}}

        assert [decide_alert(alert, read(rule), NOW, plans())[0].decision for rule in (PLAN, naming)] == [
            "Ignored",
            "Started",
        ]

    def test_one_recovery_is_started_for_all_vms_by_the_first_ones_rule(self) -> None:
        first, second = (
            {**PLAN, **match_of(VM_ID)},
            {**PLAN, "name": "b", "plan": "SHOP", "approval": {"required": True}},
        )

        [start] = starts_of(an_alert(VM_ID, SQL_VM), first, second)

        assert (start.plan, start.rule.name) == ("shop", "whole shop")
        assert start.approval_reason == "Rule 'b' asks for an approval."

    def test_nobody_is_asked_without_a_reason(self) -> None:
        [start] = starts_of(an_alert(VM_ID, SQL_VM), {**PLAN, "approval": {"timeout": "PT2H"}})

        assert (start.approval_reason, start.approval_timeout) == (None, timedelta(hours=2))

    def test_a_person_has_four_hours_unless_the_rule_says_otherwise(self) -> None:
        [start] = starts_of(an_alert(approval_reason="It names no cause."), PLAN)

        assert (start.approval_reason, start.approval_timeout) == ("It names no cause.", timedelta(hours=4))

    @pytest.mark.parametrize(("vms", "asked"), [(10, False), (11, True)])
    def test_an_alert_that_names_a_storm_of_vms_asks_a_person(self, vms: int, asked: bool) -> None:
        [start] = starts_of(an_alert(*(VM_ID.replace("web-01", f"vm-{index}") for index in range(vms))), PLAN)

        assert (start.approval_reason is not None) is asked

    def test_what_is_restored_or_refused_starts_no_recovery(self) -> None:
        assert starts_of(an_alert(VM_ID, SQL_VM), DENY | match_of(SQL_VM), a_rule()) == []
        assert starts_of(an_alert(kind=AlertKind.BACKUP), PLAN) == []


def starts_of(alert: Alert, *rules: Json) -> list[PlanStart]:
    known = read(*rules)
    return plan_starts(alert, decide_alert(alert, known, NOW, plans()), known.storm)


def match_of(vm_id: str) -> Json:
    return {"match": {"sourceResourceIds": [vm_id]}}


class TestTheRequest:
    def test_is_the_template_about_the_vm_with_its_placeholders_filled(self) -> None:
        decision = decision_of(a_rule())

        assert decision.decision == "Started"
        assert body_of(decision) == {
            "recoveryType": "RestoreDisks",
            "storageAccountId": STORAGE_ID,
            "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-web-rg",
            "sourceResourceId": VM_ID,
            "requestedBy": "Azure Monitor",
            "reason": "Alert vm-web-down (Sev1): rule 'web tier'",
        }

    def test_a_vault_named_by_the_template_goes_with_the_vm(self) -> None:
        body = body_of(
            decision_of(template(vaultId=VAULT_ID, containerName="c;{vmName}", protectedItemName="VM;{vmName}"))
        )

        assert (body["sourceResourceId"], body["vaultId"]) == (VM_ID, VAULT_ID)
        assert (body["containerName"], body["protectedItemName"]) == ("c;web-01", "VM;web-01")

    def test_every_placeholder_is_filled_everywhere(self) -> None:
        rule = template(
            reason="{subscriptionId} {resourceGroup} {vmName} {alertId} {firedDate} {vmName}",
            resourceGuardOperationRequests=["/{vmName}"],
            recoveryPoint={"atOrBefore": "{firedDate}T06:00:00Z"},
        )

        body = body_of(decision_of(rule))

        assert body["reason"] == f"{SUBSCRIPTION.split('/')[2]} web-rg web-01 a1e27 2026-11-20 web-01"
        assert body["resourceGuardOperationRequests"] == ["/web-01"]
        assert body["recoveryPoint"] == {"atOrBefore": "2026-11-20T06:00:00Z"}

    def test_an_alert_that_does_not_say_when_it_fired_is_dated_now(self) -> None:
        rule = template(reason="{firedDate}")

        assert body_of(decision_of(rule, an_alert(fired=None)))["reason"] == "2026-11-24"
        assert body_of(decision_of(rule, an_alert(fired=NOW + timedelta(hours=1))))["reason"] == "2026-11-25"
        elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))
        assert body_of(decision_of(rule, an_alert(fired=elsewhere)))["reason"] == "2026-11-24"

    @pytest.mark.parametrize(
        ("alert_id", "filled"),
        [
            ("/subscriptions/s/providers/x/alerts/A1.b_c-d", "A1.b_c-d"),
            ("/alerts/a b;c/", "a-b-c"),
            ("just-a-name", "just-a-name"),
            ("/alerts/é{vmName}", "--vmName-"),
            ("/alerts/" + "x" * 100, "x" * 80),
        ],
    )
    def test_the_alerts_name_fits_into_any_id(self, alert_id: str, filled: str) -> None:
        assert body_of(decision_of(template(reason="{alertId}"), an_alert(alert_id=alert_id)))["reason"] == filled

    def test_the_vm_of_a_clone_is_named_by_the_template(self) -> None:
        target = body_of(decision_of(a_rule(restore=CLONE)))["targetVirtualMachineId"]

        assert target == f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored"

    def test_who_and_why_may_stand_in_the_template(self) -> None:
        body = body_of(decision_of(template(requestedBy="drill", reason="because")))

        assert (body["requestedBy"], body["reason"]) == ("drill", "because")

    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            ({"severity": ""}, "Alert vm-web-down: rule 'web tier'"),
            ({"alert_rule": ""}, "Alert a1e27 (Sev1): rule 'web tier'"),
            ({"alert_rule": "a\nb\x00\ud800c"}, "Alert a b  c (Sev1): rule 'web tier'"),
            ({"alert_rule": "x" * 5000}, f"Alert {'x' * 2042}"),
        ],
    )
    def test_the_default_reason_fits_whatever_the_alert_is_called(self, members: Json, reason: str) -> None:
        body = body_of(decision_of(template(reason=None, requestedBy=None), an_alert(**members)))

        assert body["reason"] == reason
        assert body["requestedBy"] == "Azure Monitor"

    @pytest.mark.parametrize(
        ("in_template", "in_rule", "approval", "outcome"),
        [
            (None, None, None, "Started"),
            (None, {"required": False, "timeout": "PT4H"}, {"required": False, "timeout": "PT4H"}, "Started"),
            (None, {"required": True}, {"required": True}, "AwaitingApproval"),
            ({"required": True}, None, {"required": True}, "AwaitingApproval"),
            ({"required": True}, {"required": False}, {"required": True}, "AwaitingApproval"),
            ({"timeout": "PT1H"}, {"required": True}, {"timeout": "PT1H", "required": True}, "AwaitingApproval"),
            ({"timeout": "PT1H"}, {"timeout": "PT2H"}, {"timeout": "PT2H"}, "Started"),
            ({"required": None, "timeout": "PT1H"}, {"timeout": None}, {"timeout": "PT1H"}, "Started"),
        ],
    )
    def test_an_approval_is_needed_if_either_says_so(
        self, in_template: Json | None, in_rule: Json | None, approval: Json | None, outcome: str
    ) -> None:
        decision = decision_of(a_rule(restore={**DISKS, "approval": in_template}, approval=in_rule))

        assert decision.decision == outcome
        assert body_of(decision).get("approval") == approval

    @pytest.mark.parametrize("restore", [NEW_VM, ATTACH])
    def test_disks_that_replace_none_are_used_without_a_person(self, restore: Json) -> None:
        decision = decision_of(a_rule(restore=restore))

        assert decision.decision == "Started"
        assert "approval" not in body_of(decision)

    def test_the_new_vm_is_named_after_its_vm_and_the_day(self) -> None:
        body = body_of(decision_of(a_rule(restore=NEW_VM)))

        assert body["thenCreateVirtualMachine"]["name"].startswith("web-01-2026-11-")

    @pytest.mark.parametrize("restore", [NEW_VM, ATTACH])
    def test_a_rule_may_ask_a_person_before_the_disks_of_such_a_restore_are_restored(self, restore: Json) -> None:
        decision = decision_of(a_rule(restore=restore, approval={"required": True}))

        assert decision.decision == "AwaitingApproval"
        assert RestoreRequest.from_json(body_of(decision)).needs_approval

    @pytest.mark.parametrize("approval", [None, {}, {"required": False}, {"required": True}])
    def test_a_restore_in_place_always_needs_one(self, approval: Json | None) -> None:
        decision = decision_of(a_rule(restore=IN_PLACE, approval=approval))

        assert decision.decision == "AwaitingApproval"
        assert body_of(decision)["approval"]["required"] is True
        assert decision.reason == "Rule 'web tier' covers it; a person must approve the restore to replace its disks."

    @pytest.mark.parametrize("approval", [None, {}, {"required": False}, {"before": "Swap"}])
    def test_a_swap_always_needs_one_when_the_disks_are_restored(self, approval: Json | None) -> None:
        decision = decision_of(a_rule(restore=SWAP, approval=approval))

        assert decision.request is not None
        assert decision.decision == "Started"
        assert (decision.request.needs_approval, decision.request.needs_approval_of_swap) == (False, True)
        assert decision.reason == (
            "Rule 'web tier' covers it; its disks are restored at once, and a person must approve their swap."
        )

    @pytest.mark.parametrize(
        ("in_template", "in_rule"), [({"before": "Trigger"}, None), (None, {"before": "Trigger", "required": False})]
    )
    def test_a_swap_needs_it_before_the_trigger_where_the_rule_says_so(
        self, in_template: Json | None, in_rule: Json | None
    ) -> None:
        decision = decision_of(a_rule(restore={**SWAP, "approval": in_template}, approval=in_rule))

        assert decision.request is not None
        assert decision.decision == "AwaitingApproval"
        assert (decision.request.needs_approval, decision.request.needs_approval_of_swap) == (True, False)
        assert decision.reason == "Rule 'web tier' covers it; a person must approve the restore to replace its disks."

    def test_an_alert_that_says_too_little_asks_before_a_swap_is_prepared_as_well(self) -> None:
        decision = decision_of(a_rule(restore=SWAP), an_alert(approval_reason="It names no cause."))

        assert decision.request is not None
        assert (decision.decision, decision.reason) == (
            "AwaitingApproval",
            "Rule 'web tier' covers it. It names no cause.",
        )
        assert decision.request.needs_approval_of_swap

    @pytest.mark.parametrize(
        ("restore", "in_template", "in_rule", "distinct"),
        [
            (IN_PLACE, None, None, True),
            (IN_PLACE, {"distinct": False}, None, False),
            (SWAP, None, None, True),
            (SWAP, None, {"distinct": False}, False),
            (IN_PLACE, None, {"distinct": False}, False),
            (IN_PLACE, {"distinct": False}, {"distinct": True}, True),
            ({**IN_PLACE, "requestedBy": "ops"}, None, {"timeout": "PT1H"}, True),
            (DISKS, None, {"required": True}, False),
            (DISKS, None, {"required": True, "distinct": True}, True),
            (CLONE, {"distinct": True}, None, True),
        ],
    )
    def test_another_person_must_approve_what_replaces_disks_unless_the_rule_says_otherwise(
        self, restore: Json, in_template: Json | None, in_rule: Json | None, distinct: bool
    ) -> None:
        decision = decision_of(a_rule(restore={**restore, "approval": in_template}, approval=in_rule))

        assert decision.request is not None, decision.reason
        assert decision.request.needs_other_approver is distinct
        assert decision.request.may_be_approved_by("azure MONITOR") is (not distinct or "requestedBy" in restore)

    @pytest.mark.parametrize("name", [None, "", " ", "\t"])
    def test_azure_monitor_is_the_requester_if_no_person_is_named(self, name: str | None) -> None:
        rule = a_rule(restore={**IN_PLACE, "requestedBy": name, "approval": {"distinct": True}})

        assert body_of(decision_of(rule))["requestedBy"] == "Azure Monitor"

    def test_a_plan_waits_for_nobody(self) -> None:
        for restore in (IN_PLACE, SWAP):
            decision = decision_of(a_rule(restore={**restore, "dryRun": True}))
            assert (decision.decision, decision.reason) == ("Started", "Rule 'web tier' covers it.")

    def test_a_template_that_does_not_fit_this_vm_is_refused_with_the_reasons(self) -> None:
        clone = {**CLONE, "targetVirtualMachineId": VM_ID.replace("web-01", "{vmName}")}
        restore = {**clone, "targetResourceGroupId": VM_ID.split("/providers")[0], "recoveryPoint": {"id": "{vmName}"}}

        decision = decision_of(a_rule(restore=restore), an_alert(VM_ID, alert_id="x" * 80))

        assert (decision.decision, decision.request) == ("Refused", None)
        assert decision.rule is not None
        assert decision.reason.startswith("Rule 'web tier' covers it, but its restore cannot be requested")
        assert "targetVirtualMachineId must not be the VM that was backed up" in decision.reason

    @pytest.mark.parametrize("vm", ["v" * 46, "v" * 64, "web-01 (old)", "wéb_01"])
    @pytest.mark.parametrize("alert_id", ["a" * 36, "a" * 80, f"{SUBSCRIPTION}/providers/x/alerts/a b"])
    def test_a_key_of_ones_own_fits_every_vm(self, vm: str, alert_id: str) -> None:
        rule, vm_id = template(requestId="{alertId}-{vmName}"), VM_ID.replace("web-01", vm)
        other = vm_id.replace(vm, f"{vm[:-1]}x")

        keys = [
            body_of(decision_of(rule, an_alert(named, alert_id=alert_id)))["requestId"]
            for named in (vm_id, other, vm_id)
        ]

        assert keys[0] == keys[2] != keys[1]

    def test_a_key_that_fits_stays_as_it_is(self) -> None:
        assert body_of(decision_of(template(requestId="{alertId}-{vmName}")))["requestId"] == "a1e27-web-01"

    @given(st.sampled_from(sorted(BASES)), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
    @SWIFT
    def test_a_template_is_left_alone(self, kind: str, words: str) -> None:
        restore = {name: member for name, member in BASES[kind].items() if name != "sourceResourceId"}
        data = a_file(a_rule(restore={**restore, "reason": f"{{vmName}} {words}"}))
        try:
            rules = read_rules(data)
        except InvalidRequestError:
            return  # a word in braces
        before = copy.deepcopy(rules)

        decide_alert(an_alert(), rules, NOW, {})

        assert rules == before


class TestAdmissionControl:
    STARTED = VmDecision(VM_ID, AlertDecision.STARTED, "Rule 'web tier' covers it.", read().rules[0])

    @pytest.mark.parametrize(
        ("code", "outcome"),
        [
            ("CoolingDown", AlertDecision.COOLING_DOWN),
            ("HourlyBudgetSpent", AlertDecision.REFUSED),
            ("RequestConflict", AlertDecision.REFUSED),
        ],
    )
    def test_a_start_that_it_refuses_has_the_reason_and_no_restore(self, code: str, outcome: AlertDecision) -> None:
        decision = refused_start(self.STARTED, TerminalError(code, "Not now."))

        assert decision.to_json() == {
            "sourceResourceId": VM_ID,
            "decision": outcome,
            "reason": f"{code}: Not now.",
            "rule": "web tier",
        }

    @pytest.mark.parametrize(
        ("is_new", "document", "outcome", "reason"),
        [
            (True, {}, "Started", "Rule 'web tier' covers it."),
            (True, {"approval": {"reason": "A storm."}}, "AwaitingApproval", "A storm."),
            (True, None, "Started", "Admission control has not answered yet"),
            (False, {}, "Duplicate", "delivered before"),
            (False, None, "Duplicate", "delivered before"),
            (False, {"approval": {"reason": "A storm."}}, "Duplicate", "delivered before"),
        ],
    )
    def test_a_start_that_it_accepts_has_its_restore(
        self, is_new: bool, document: Json | None, outcome: str, reason: str
    ) -> None:
        body = accepted_start(self.STARTED, "r1", is_new=is_new, document=document).to_json()

        assert (body["decision"], body["restoreId"], body["rule"]) == (outcome, "r1", "web tier")
        assert reason in body["reason"]

    @pytest.mark.parametrize(
        ("is_new", "document", "outcome", "reason"),
        [
            (True, {}, "Started", "covers it."),
            (True, None, "Started", "see the status of the recovery"),
            (True, {"approval": {"reason": "A storm."}}, "AwaitingApproval", "A storm."),
            (False, {}, "Duplicate", "delivered before"),
        ],
    )
    def test_the_start_of_a_plan_that_it_accepts_has_its_recovery(
        self, is_new: bool, document: Json | None, outcome: str, reason: str
    ) -> None:
        started = replace(self.STARTED, rule=read(PLAN).rules[0])

        body = accepted_start(started, "r1", is_new=is_new, document=document).to_json()

        assert (body["decision"], body["recoveryId"], body["plan"]) == (outcome, "r1", "shop")
        assert "restoreId" not in body
        assert reason in body["reason"]


def test_a_decision_about_no_vm_says_so_and_leaves_out_what_it_has_not() -> None:
    assert VmDecision(None, AlertDecision.REFUSED, "Which VM?").to_json() == {
        "sourceResourceId": None,
        "decision": "Refused",
        "reason": "Which VM?",
    }
