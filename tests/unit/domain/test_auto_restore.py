from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.alerts import Alert, read_alert
from domain.auto_restore import MOST_STARTS, NO_RULES, Match, Rule, Rules, Storm, Verdict, judge, rules_schema
from domain.errors import ErrorDetail, InvalidRequestError, Json
from tests.support.azure import STORAGE_ID, SUBSCRIPTION, TARGET_GROUP, VAULT_ID, VM_ID
from tests.support.strategies import BASES, NETWORK, SUBNET, SWIFT, THOROUGH, damaged, json_values, objects_of

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)
SQL_VM = f"{SUBSCRIPTION}/resourceGroups/sql-rg/providers/Microsoft.Compute/virtualMachines/sql-01"
WEB_2 = VM_ID.replace("web-01", "web-02")
MISSING, UNKNOWN, INVALID, NOT_ALLOWED = "MissingField", "UnknownField", "InvalidValue", "NotAllowed"
DISKS: Json = {
    "recoveryType": "RestoreDisks",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": "/subscriptions/{subscriptionId}/resourceGroups/restored-{resourceGroup}",
}
IN_PLACE: Json = {"recoveryType": "OriginalLocation", "storageAccountId": STORAGE_ID}
CLONE: Json = {
    "recoveryType": "AlternateLocation",
    "storageAccountId": STORAGE_ID,
    "targetResourceGroupId": TARGET_GROUP,
    "targetVirtualMachineId": f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/{{vmName}}-restored",
    "virtualNetworkId": NETWORK,
    "subnetId": SUBNET,
}
SCHEMA = Draft202012Validator(rules_schema())
SAMPLE_FILE = ROOT / "auto_restore_rules.sample.json"


def a_rule(**members: Any) -> Json:
    return {"name": "web tier", "restore": DISKS, **members}


def a_file(*rules: Json, **members: Any) -> Json:
    return {"rules": list(rules) or [a_rule()], **members}


def read(*rules: Json, **members: Any) -> Rules:
    return Rules.from_json(a_file(*rules, **members))


def an_alert(*vm_ids: str, **members: Any) -> Alert:
    known = Alert(
        alert_id=f"{SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/a1e27",
        alert_rule="vm-web-down",
        severity="Sev1",
        monitoring_service="Platform",
        fired=datetime(2026, 11, 20, 10, tzinfo=UTC),
        vm_ids=vm_ids or (VM_ID,),
        ignored=None,
        no_vm=None,
    )
    return replace(known, **members)


def problems(data: Any) -> list[ErrorDetail]:
    with pytest.raises(InvalidRequestError) as caught:
        Rules.from_json(data)
    return list(caught.value.details)


def verdict_on(data: Any) -> Rules | InvalidRequestError:
    try:
        return Rules.from_json(data)
    except InvalidRequestError as error:
        return error


def body_of(verdict: Verdict) -> Json:
    assert verdict.request is not None, verdict.reason
    return verdict.request.to_json()


def decide(rule: Json, alert: Alert | None = None) -> Verdict:
    [verdict] = judge(alert or an_alert(), read(rule), NOW)
    return verdict


def template(**members: Any) -> Json:
    return a_rule(restore={**DISKS, **members})


def match(**members: Any) -> Json:
    return a_rule(match=members)


DENY: Json = {"name": "never", "deny": True}

GOOD: dict[str, Json] = {
    "no rules": {"rules": []},
    "one rule": a_file(),
    "with a schema": a_file(**{"$schema": "./auto_restore_rules.schema.json"}),
    "rule that denies": a_file({**DENY, "match": {"sourceResourceIds": ["*/resourceGroups/sql-*/*"]}}),
    "deny false": a_file(a_rule(deny=False)),
    "all matches": a_file(
        match(
            sourceResourceIds=[
                VM_ID,
                "*",
                "*/virtualMachines/web-0?",
                "/subscriptions/[01]*/web-0[!2]",
                "*[/]resource[Gg]roups/web-*",
                f"{VM_ID[:-1]}?",
            ],
            alertRules=["vm-*-down"],
            severities=["Sev0", "sev[12]", "*", "SEV?"],
            monitoringServices=["Platform", "Resource Health", "Log*"],
        )
    ),
    "empty match": a_file(match()),
    "approval": a_file(a_rule(approval={"required": True, "timeout": "P1D"})),
    "empty approval": a_file(a_rule(approval={})),
    "no cool-down": a_file(a_rule(coolDown="PT0S")),
    "long cool-down": a_file(a_rule(coolDown="P365D", maxPerHour=1)),
    "storm": a_file(storm={"distinctVms": 1, "within": "PT1S"}),
    "whole numbers with a point": a_file(a_rule(maxPerHour=5.0), storm={"distinctVms": 1e3}),
    "words on two lines": a_file(template(reason="disk\n\tfull")),
    "half a storm": a_file(storm={"within": "P1D"}),
    "in place": a_file(a_rule(restore=IN_PLACE)),
    "clone": a_file(a_rule(restore=CLONE)),
    "placeholders in ids": a_file(template(storageAccountId=STORAGE_ID.replace("backup-rg", "{resourceGroup}"))),
    "placeholders in times": a_file(template(recoveryPoint={"atOrBefore": "{firedDate}T00:00:00Z"})),
    "placeholders in words": a_file(template(reason="{vmName} {alertId} {", requestedBy="}{firedDate}")),
    "a key of one's own": a_file(template(requestId="{alertId}.{vmName}")),
    "all a request may have": a_file(template(validate=False, dryRun=True, zones=["1"], restoreDiskLunList=[0])),
    "approval in the request": a_file(template(approval={"required": True})),
    "a vault": a_file(template(vaultId=VAULT_ID)),
    "a vault for each group": a_file(template(vaultId=VAULT_ID.replace("backup-rg", "{resourceGroup}"))),
    "native names": a_file(
        template(
            vaultId=VAULT_ID,
            containerName="IaasVMContainer;iaasvmcontainerv2;{resourceGroup};{vmName}",
            protectedItemName="VM;iaasvmcontainerv2;{resourceGroup};{vmName}",
        )
    ),
}

# What is wrong, the problem's code and target, a part of its message. The last ones no schema can tell.
BAD: list[tuple[Json, str, str, str]] = [
    ({}, MISSING, "rules", "is needed"),
    ({"rules": {}}, INVALID, "rules", "must be an array"),
    ({"rules": [5]}, INVALID, "rules[0]", "must be a JSON object"),
    (a_file(Rules=[]), UNKNOWN, "Rules", "is it rules?"),
    (a_file(**{"$schema": 5}), INVALID, "$schema", "a string"),
    (a_file({"restore": DISKS}), MISSING, "rules[0].name", "is needed"),
    (a_file(a_rule(name="")), INVALID, "rules[0].name", "must not be empty"),
    (a_file(a_rule(name=7)), INVALID, "rules[0].name", "a string"),
    (a_file(a_rule(maxperhour=2)), UNKNOWN, "rules[0].maxperhour", "is it maxPerHour?"),
    (a_file({"name": "a"}), MISSING, "rules[0].restore", "unless the rule says deny: true"),
    (a_file({"name": "a", "deny": False}), MISSING, "rules[0].restore", "unless the rule says deny: true"),
    (a_file({"name": "a", "deny": "yes"}), INVALID, "rules[0].deny", "true or false"),
    (a_file({**DENY, "restore": DISKS}), NOT_ALLOWED, "rules[0].restore", "either denies or restores"),
    (a_file({**DENY, "approval": {}}), NOT_ALLOWED, "rules[0].approval", "no meaning together with deny"),
    (a_file({**DENY, "coolDown": "PT1H"}), NOT_ALLOWED, "rules[0].coolDown", "no meaning together with deny"),
    (a_file({**DENY, "maxPerHour": 1}), NOT_ALLOWED, "rules[0].maxPerHour", "no meaning together with deny"),
    (a_file(a_rule(match=[])), INVALID, "rules[0].match", "JSON object"),
    (a_file(a_rule(match=None)), INVALID, "rules[0].match", "must not be null"),
    (a_file({**DENY, "match": None}), INVALID, "rules[0].match", "must not be null"),
    *(
        (a_file(match(**{name: None})), INVALID, f"rules[0].match.{name}", "left out, it matches everything")
        for name in ("sourceResourceIds", "alertRules", "severities", "monitoringServices")
    ),
    (a_file(match(vms=None)), UNKNOWN, "rules[0].match.vms", "not a known field"),
    (a_file(match(sourceResourceId=["*"])), UNKNOWN, "rules[0].match.sourceResourceId", "is it sourceResourceIds?"),
    (a_file(match(alertRules=[])), INVALID, "rules[0].match.alertRules", "1 to 1000"),
    (a_file(match(alertRules="vm-*")), INVALID, "rules[0].match.alertRules", "an array"),
    (a_file(match(alertRules=[""])), INVALID, "rules[0].match.alertRules[0]", "must not be empty"),
    (a_file(match(alertRules=["a", "a"])), INVALID, "rules[0].match.alertRules[1]", "appears twice"),
    (a_file(match(monitoringServices=[5])), INVALID, "rules[0].match.monitoringServices[0]", "a string"),
    (a_file(match(severities=[1])), INVALID, "rules[0].match.severities[0]", "a string"),
    (a_file(match(sourceResourceIds=[])), INVALID, "rules[0].match.sourceResourceIds", "1 to 1000"),
    (a_file(a_rule(approval=True)), INVALID, "rules[0].approval", "JSON object"),
    (a_file(a_rule(approval={"timeout": "4h"})), INVALID, "rules[0].approval.timeout", "PT4H"),
    (a_file(a_rule(coolDown="6h")), INVALID, "rules[0].coolDown", "PT4H"),
    (a_file(a_rule(coolDown=6)), INVALID, "rules[0].coolDown", "a string"),
    (a_file(a_rule(maxPerHour=0)), INVALID, "rules[0].maxPerHour", "whole number from 1"),
    (a_file(a_rule(maxPerHour=1.5)), INVALID, "rules[0].maxPerHour", "whole number from 1"),
    (a_file(a_rule(maxPerHour=True)), INVALID, "rules[0].maxPerHour", "whole number from 1"),
    (a_file(storm=[]), INVALID, "storm", "JSON object"),
    (a_file(storm={"distinctVms": 0}), INVALID, "storm.distinctVms", "whole number from 1"),
    (a_file(storm={"distinctVMs": 5}), UNKNOWN, "storm.distinctVMs", "is it distinctVms?"),
    (a_file(storm={"within": "10m"}), INVALID, "storm.within", "PT4H"),
    (a_file(storm={"within": "PT0S"}), INVALID, "storm.within", "shorter than PT1S"),
    (a_file(storm={"within": "P0DT0H0.0S"}), INVALID, "storm.within", "shorter than PT1S"),
    (a_file(storm={"distinctVms": 1e400}), INVALID, "storm.distinctVms", "whole number from 1"),
    (a_file(a_rule(name="a\nb")), INVALID, "rules[0].name", "printable"),
    (a_file(match(alertRules=["a\x7f"])), INVALID, "rules[0].match.alertRules[0]", "printable"),
    (a_file(template(reason="a\x00")), INVALID, "rules[0].restore.reason", "control characters"),
    (a_file(template(reason="{vmName}\x1b")), INVALID, "rules[0].restore.reason", "control characters"),
    (a_file(template(targetResourceGroupId="{vmName}\n")), INVALID, "rules[0].restore.targetResourceGroupId", "group"),
    (a_file(a_rule(restore="RestoreDisks")), INVALID, "rules[0].restore", "JSON object"),
    (a_file(a_rule(restore={"storageAccountId": STORAGE_ID})), MISSING, "rules[0].restore.recoveryType", "is needed"),
    (a_file(a_rule(restore={"recoveryType": "RestoreDisks"})), MISSING, "rules[0].restore.storageAccountId", "needed"),
    (a_file(template(storageAccountId="x")), INVALID, "rules[0].restore.storageAccountId", "storageAccounts"),
    (a_file(template(storageAcountId=STORAGE_ID)), UNKNOWN, "rules[0].restore.storageAcountId", "storageAccountId?"),
    (a_file(template(recoveryPoint={"tiers": ["x"]})), INVALID, "rules[0].restore.recoveryPoint.tiers[0]", "InstantRP"),
    (a_file(template(virtualNetworkId=NETWORK)), NOT_ALLOWED, "rules[0].restore.virtualNetworkId", "RestoreDisks"),
    (a_file(template(approval={"required": "{vmName}"})), INVALID, "rules[0].restore.approval.required", "true or"),
    (
        a_file(template(sourceResourceId=VM_ID)),
        NOT_ALLOWED,
        "rules[0].restore.sourceResourceId",
        "the alert names the virtual machine",
    ),
    (a_file(template(vaultId=VM_ID)), INVALID, "rules[0].restore.vaultId", "Microsoft.RecoveryServices/vaults"),
    (
        a_file(template(vaultId=VAULT_ID, containerName="c;{vmName}")),
        MISSING,
        "rules[0].restore.protectedItemName",
        "together with containerName",
    ),
    (
        a_file(template(containerName="c;{vmName}", protectedItemName="VM;{vmName}")),
        MISSING,
        "rules[0].restore.vaultId",
        "is needed together",
    ),
    (
        a_file(template(vaultId=VAULT_ID, containerName="c", protectedItemName=5)),
        INVALID,
        "rules[0].restore.protectedItemName",
        "native name",
    ),
    (a_file(template(reason="{vmname}")), INVALID, "rules[0].restore.reason", "{vmname}; is it {vmName}?"),
    (a_file(template(reason="{}")), INVALID, "rules[0].restore.reason", "there are {subscriptionId} {resourceGroup}"),
    (a_file(template(reason="{vmName} {x}")), INVALID, "rules[0].restore.reason", "unknown placeholder {x}"),
    (
        a_file(template(targetResourceGroupId="/subscriptions/{subscription}/resourceGroups/{vmName}")),
        INVALID,
        "rules[0].restore.targetResourceGroupId",
        "{subscription}; is it {subscriptionId}?",
    ),
    (
        a_file(template(resourceGuardOperationRequests=["{guard}"])),
        INVALID,
        "rules[0].restore.resourceGuardOperationRequests[0]",
        "unknown placeholder {guard}",
    ),
]
BEYOND_A_SCHEMA: list[tuple[Json, str, str, str]] = [
    (a_file(a_rule(), a_rule(match={})), INVALID, "rules[1].name", "another than that of rules[0]"),
    (a_file(a_rule(), a_rule(name="WEB Tier")), INVALID, "rules[1].name", "another than that of rules[0]"),
    (a_file(a_rule(), a_rule(name="web tier/")), INVALID, "rules[1].name", "another than that of rules[0]"),
    (a_file(match(severities=["Sev0", "Sev5"])), INVALID, "rules[0].match.severities[1]", "none of Sev0 to Sev4"),
    (a_file(match(severities=["Critical"])), INVALID, "rules[0].match.severities[0]", "none of Sev0 to Sev4"),
    (a_file(a_rule(coolDown="P366D")), INVALID, "rules[0].coolDown", "longer than P365D"),
    (a_file(storm={"within": "PT0.5S"}), INVALID, "storm.within", "shorter than PT1S"),
    (a_file(template(requestId="{alertId}")), INVALID, "rules[0].restore.requestId", "{alertId} and {vmName}"),
    (a_file(template(requestId="drill")), INVALID, "rules[0].restore.requestId", "best leave it out"),
    (
        a_file(a_rule(restore={**CLONE, "targetVirtualMachineId": f"{TARGET_GROUP}x/{{vmName}}"})),
        INVALID,
        "rules[0].restore.targetVirtualMachineId",
        "virtualMachines",
    ),
    (
        a_file(template(recoveryPoint={"atOrBefore": "{firedDate}"})),
        INVALID,
        "rules[0].restore.recoveryPoint.atOrBefore",
        "with a time zone",
    ),
    (
        a_file(
            template(targetResourceGroupId="/subscriptions/{subscriptionId}/resourceGroups/{resourceGroup}-{vmName}")
        ),
        INVALID,
        "rules[0].restore.targetResourceGroupId",
        "with the longest names",
    ),
    (
        a_file(template(recoveryPoint={"id": "{resourceGroup}{vmName}"})),
        INVALID,
        "rules[0].restore.recoveryPoint.id",
        "p",
    ),
    (a_file(template(reason="{vmName}" + "x" * 2000)), INVALID, "rules[0].restore.reason", "longer than 2048"),
    *(
        (
            a_file(match(sourceResourceIds=["*", text])),
            INVALID,
            "rules[0].match.sourceResourceIds[1]",
            "no virtual mach",
        )
        for text in (
            "web-*",
            "*/resourceGroups/sql-rg",
            "*/resourceGroups/sql-*/",
            "/subscriptions/*/providers/Microsoft.Compute/virtualMachineScaleSets/*",
            "*/virtualMachines/",
            f"{VM_ID}/*",
            "*/providers/Microsoft.Compute/virtualMachines/*/extensions/*",
            "?",
            "https://*",
        )
    ),
]


class TestTheFile:
    @pytest.mark.parametrize("name", GOOD)
    def test_a_good_one_is_read_and_its_schema_takes_it(self, name: str) -> None:
        Rules.from_json(GOOD[name])
        SCHEMA.validate(GOOD[name])

    @pytest.mark.parametrize(("data", "code", "target", "hint"), [*BAD, *BEYOND_A_SCHEMA])
    def test_a_bad_one_is_refused_for_its_one_fault(self, data: Json, code: str, target: str, hint: str) -> None:
        [problem] = problems(data)

        assert (problem.code, problem.target) == (code, target)
        assert hint in problem.message

    @pytest.mark.parametrize("data", [row[0] for row in BAD])
    def test_the_schema_refuses_the_bad_ones_too(self, data: Json) -> None:
        assert not SCHEMA.is_valid(data)

    @pytest.mark.parametrize("data", [row[0] for row in BEYOND_A_SCHEMA])
    def test_the_schema_takes_only_what_it_cannot_tell(self, data: Json) -> None:
        SCHEMA.validate(data)

    @pytest.mark.parametrize("data", [None, [], "rules", 5])
    def test_what_is_no_object(self, data: Any) -> None:
        assert [each.target for each in problems(data)] == [None]

    def test_every_problem_is_told_with_its_place(self) -> None:
        data = a_file(
            a_rule(coolDown="x", restore={**DISKS, "storageAccountId": 5, "reason": "{who}"}),
            {**DENY, "name": "WEB TIER", "match": {"severities": ["Sev9"]}},
            {"nam": "a"},
            storm={"distinctVms": -1},
            more=1,
        )

        assert {each.target for each in problems(data)} == {
            *("rules[0].coolDown", "rules[0].restore.storageAccountId", "rules[0].restore.reason"),
            *("rules[1].name", "rules[1].match.severities[0]"),
            *("rules[2].nam", "rules[2].name", "rules[2].restore", "storm.distinctVms", "more"),
        }

    @given(json_values | objects_of("rules", "storm") | objects_of("name", "match", "restore").map(a_file))
    @THOROUGH
    def test_whatever_it_is_only_problems_come_of_it(self, data: Any) -> None:
        seen = verdict_on(data)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
            json.dumps(seen.to_json())

    @given(st.sampled_from(list(GOOD.values())).flatmap(lambda good: damaged(st.just(good))))
    @THOROUGH
    def test_a_damaged_one_is_refused_by_name_or_as_good_as_new(self, data: Json) -> None:
        before = copy.deepcopy(data)

        seen = verdict_on(data)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
        else:
            SCHEMA.validate(without_null(data))
            for verdict in judge(an_alert(VM_ID, SQL_VM), seen, NOW):
                assert "cannot be requested" not in verdict.reason
        assert data == before

    def test_no_depth_exhausts_it(self) -> None:
        deep: Any = "{vmName}"
        for _ in range(500):
            deep = {"zones": [deep]}

        lists: Any = "{vmName}"
        for _ in range(1500):
            lists = [lists]

        found = problems(a_file(template(identityInfo=deep, reason=lists)))

        assert "rules[0].restore.reason" in {each.target for each in found}

    def test_what_it_leaves_out(self) -> None:
        rules = read({"name": "a", "restore": DISKS, "match": {}, "approval": None, "coolDown": None})

        assert rules.storm == Storm(distinct_vms=10, within=timedelta(minutes=10))
        assert rules.rules == (
            Rule(
                name="a",
                match=Match(),
                restore=DISKS,
                approval={},
                cool_down=timedelta(hours=1),
                max_per_hour=None,
                deny=False,
            ),
        )

    def test_what_it_says(self) -> None:
        rules = read(
            a_rule(
                match={
                    "sourceResourceIds": ["*"],
                    "alertRules": ["a"],
                    "severities": ["Sev1"],
                    "monitoringServices": ["p"],
                },
                approval={"required": False, "timeout": "PT2H"},
                coolDown="PT6H",
                maxPerHour=5,
            ),
            DENY,
            storm={"distinctVms": 3, "within": "PT5M"},
        )

        assert rules.storm == Storm(distinct_vms=3, within=timedelta(minutes=5))
        first, second = rules.rules
        assert first.match == Match(
            source_resource_ids=("*",), alert_rules=("a",), severities=("Sev1",), monitoring_services=("p",)
        )
        assert (first.approval, first.cool_down) == ({"required": False, "timeout": "PT2H"}, timedelta(hours=6))
        assert (first.max_per_hour, first.deny, first.restore) == (5, False, DISKS)
        assert (second.deny, second.restore) == (True, None)

    def test_half_a_storm_keeps_the_other_default(self) -> None:
        assert read(storm={"distinctVms": 3}).storm == Storm(distinct_vms=3)
        assert read(storm={"within": "PT5M"}).storm == Storm(within=timedelta(minutes=5))


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(each) for name, each in value.items() if each is not None}
    return [without_null(each) for each in value] if isinstance(value, list) else value


class TestTheSchema:
    def test_the_committed_one_is_what_the_readers_say(self) -> None:
        committed = json.loads((ROOT / "auto_restore_rules.schema.json").read_text(encoding="utf-8"))

        assert committed == rules_schema(), "run python -m scripts.rules --schema"

    def test_is_one(self) -> None:
        Draft202012Validator.check_schema(rules_schema())

    def test_is_one_to_an_engine_without_backtracking(self) -> None:
        assert jsonschema_rs.validator_for(rules_schema()).is_valid(a_file())

    def test_the_sample_names_it_and_keeps_it(self) -> None:
        sample = json.loads(SAMPLE_FILE.read_text(encoding="utf-8"))

        assert (SAMPLE_FILE.parent / sample["$schema"]).is_file()
        SCHEMA.validate(sample)
        assert len(Rules.from_json(sample).rules) == len(sample["rules"])


class TestMatching:
    @pytest.mark.parametrize(
        ("members", "covered"),
        [
            ({}, True),
            ({"sourceResourceIds": [VM_ID]}, True),
            ({"sourceResourceIds": [VM_ID.upper()]}, True),
            ({"sourceResourceIds": ["/subscriptions/*/resourceGroups/WEB-*/*"]}, True),
            ({"sourceResourceIds": ["*/sql-*", "*/web-0[12]"]}, True),
            ({"sourceResourceIds": ["*/web-0[!1]"]}, False),
            ({"sourceResourceIds": ["*/resourceGroups/sql-*/*"]}, False),
            ({"sourceResourceIds": [VM_ID[:-1] + "2"]}, False),
            ({"alertRules": ["VM-*-down"]}, True),
            ({"alertRules": ["vm-*"], "severities": ["sev1"]}, True),
            ({"alertRules": ["vm-*-dow"]}, False),
            ({"alertRules": ["vm-*"], "severities": ["Sev0"]}, False),
            ({"severities": ["Sev[01]"]}, True),
            ({"monitoringServices": ["platform"]}, True),
            ({"monitoringServices": ["Resource Health"]}, False),
        ],
    )
    def test_a_rule_covers_what_all_of_its_members_match(self, members: Json, covered: bool) -> None:
        rules = read(match(**members))

        assert (rules.first_match(an_alert(), VM_ID) is not None) == covered

    @pytest.mark.parametrize("written", ["Resource Health", "ResourceHealth", "resource*", "RESOURCE  HEALTH"])
    @pytest.mark.parametrize("sent", ["Resource Health", "ResourceHealth", "resourcehealth"])
    def test_spaces_in_a_service_do_not_count(self, written: str, sent: str) -> None:
        rules = read(match(monitoringServices=[written]))

        assert rules.first_match(an_alert(monitoring_service=sent), VM_ID)

    def test_spaces_elsewhere_do(self) -> None:
        assert read(match(alertRules=["vmdown"])).first_match(an_alert(alert_rule="vm down"), VM_ID) is None

    def test_the_first_one_wins(self) -> None:
        everything, web = a_rule(name="everything"), {**match(sourceResourceIds=["*/web-*"]), "name": "web"}

        assert decide_name(web, everything) == "web"
        assert decide_name(everything, web) == "everything"

    @given(st.lists(st.sampled_from(["*", "*/web-01", "*/sql-01", "*/resourceGroups/sql-rg/*"]), max_size=5))
    @SWIFT
    def test_the_first_one_wins_among_any(self, patterns: list[str]) -> None:
        rules = read(
            *(a_rule(name=str(index), match={"sourceResourceIds": [each]}) for index, each in enumerate(patterns)),
            {**DENY, "match": {"sourceResourceIds": ["*"]}},
        )
        for vm_id, fitting in ((VM_ID, {"*", "*/web-01"}), (SQL_VM, {"*", "*/sql-01", "*/resourceGroups/sql-rg/*"})):
            wanted = next((str(index) for index, each in enumerate(patterns) if each in fitting), "never")
            found = rules.first_match(an_alert(), vm_id)

            assert found is not None
            assert found.name == wanted

    @given(st.text(st.sampled_from("*?[]!/abcrt-W"), max_size=8))
    @THOROUGH
    def test_no_pattern_is_refused_that_matches_a_vm(self, text: str) -> None:
        # The pattern is made of a VM's id, so that many match; matching itself is the judge.
        for start in range(0, len(VM_ID), 7):
            pattern = VM_ID[:start] + text + VM_ID[start + len(text) :]
            rule = Match(source_resource_ids=(pattern,))
            if rule.covers(an_alert(), VM_ID):
                read(match(sourceResourceIds=[pattern]))

    @given(st.lists(st.sampled_from(["*", "?", "[", "]", "!", "[!x]", "[]", "w", "WEB-", "0", "1", "-"]), max_size=9))
    @THOROUGH
    def test_a_pattern_means_what_the_shell_means(self, parts: list[str]) -> None:
        pattern, text = "".join(parts), "WeB-01]["

        covers = Match(alert_rules=(pattern,)).covers(an_alert(alert_rule=text), VM_ID)

        assert covers == fnmatchcase(text.lower(), pattern.lower())


def decide_name(*rules: Json) -> str:
    found = read(*rules).first_match(an_alert(), VM_ID)
    assert found is not None
    return found.name


class TestJudging:
    def test_nothing_is_done_without_rules(self) -> None:
        assert judge(an_alert(), NO_RULES, NOW) == [
            Verdict(source_resource_id=VM_ID, decision="Ignored", reason="No rule covers it.")
        ]

    def test_each_vm_gets_its_own_verdict_in_order(self) -> None:
        web = {**match(sourceResourceIds=["*/web-01"]), "name": "web"}
        never = {**DENY, "match": {"sourceResourceIds": ["*/resourceGroups/SQL-*/*"]}}

        verdicts = judge(an_alert(WEB_2, SQL_VM, VM_ID), read(web, never), NOW)

        assert [(each.source_resource_id, each.decision) for each in verdicts] == [
            (WEB_2, "Ignored"),
            (SQL_VM, "Refused"),
            (VM_ID, "Started"),
        ]
        assert [each.rule and each.rule.name for each in verdicts] == [None, "never", "web"]
        assert verdicts[1].reason == "Rule 'never' denies restores of this virtual machine."
        assert [each.request is not None for each in verdicts] == [False, False, True]

    def test_an_alert_that_must_start_nothing_starts_nothing(self) -> None:
        verdicts = judge(an_alert(VM_ID, SQL_VM, ignored="It is Resolved."), read(), NOW)

        assert verdicts == [
            Verdict(source_resource_id=vm_id, decision="Ignored", reason="It is Resolved.") for vm_id in (VM_ID, SQL_VM)
        ]

    @pytest.mark.parametrize(("ignored", "decision"), [("It is Resolved.", "Ignored"), (None, "Refused")])
    def test_an_alert_without_a_vm_gets_one_verdict(self, ignored: str | None, decision: str) -> None:
        alert = replace(an_alert(), vm_ids=(), no_vm="Split by _ResourceId.", ignored=ignored)

        reason = ignored or "Split by _ResourceId."
        assert judge(alert, read(), NOW) == [Verdict(source_resource_id=None, decision=decision, reason=reason)]

    @pytest.mark.parametrize("vm_ids", [(), (VM_ID,)])
    def test_a_name_that_is_not_clear_is_refused_beside_the_others(self, vm_ids: tuple[str, ...]) -> None:
        alert = replace(an_alert(), vm_ids=vm_ids, no_vm=None if vm_ids else "None.", unclear=("Which web-02?", "And?"))

        verdicts = judge(alert, read(), NOW)

        assert [(each.source_resource_id, each.decision) for each in verdicts] == [
            *((vm_id, "Started") for vm_id in vm_ids),
            *[(None, "Refused")] * 2,
        ]
        assert [each.reason for each in verdicts[-2:]] == ["Which web-02?", "And?"]

    def test_one_alert_starts_no_more_than_it_can_be_answered_for(self) -> None:
        vms = [VM_ID.replace("web-01", f"vm-{index}") for index in range(MOST_STARTS + 1)]
        never = {**DENY, "match": {"sourceResourceIds": ["*/sql-01"]}}

        verdicts = judge(an_alert(*vms[:-1], SQL_VM, vms[-1], WEB_2, SQL_VM), read(never, a_rule()), NOW)

        assert [each.decision for each in verdicts] == [*["Started"] * MOST_STARTS, *["Refused"] * 4]
        assert [each.rule and each.rule.name for each in verdicts[-4:]] == ["never", "web tier", "web tier", "never"]
        for last in verdicts[-3:-1]:
            assert last.request is None
            assert f"more than {MOST_STARTS} virtual machines" in last.reason

    @given(st.lists(st.sampled_from([DENY, a_rule(), a_rule(name="b", restore=IN_PLACE)]), unique_by=str), st.data())
    @SWIFT
    def test_a_request_is_there_exactly_when_something_is_started(self, rules: list[Json], data: st.DataObject) -> None:
        alert = an_alert(
            *data.draw(st.lists(st.sampled_from([VM_ID, SQL_VM, WEB_2]), unique=True)),
            ignored=data.draw(st.none() | st.just("no")),
        )

        for verdict in judge(alert, Rules.from_json({"rules": rules}), NOW):
            assert (verdict.request is not None) == (verdict.decision in {"Started", "AwaitingApproval"})
            assert verdict.reason
            if verdict.rule is not None and verdict.rule.deny:
                assert (verdict.decision, verdict.request) == ("Refused", None)
            if verdict.request is not None:
                assert verdict.request.source_resource_id == verdict.source_resource_id

    def test_what_the_samples_get_from_the_sample_rules(self) -> None:
        rules = Rules.from_json(json.loads(SAMPLE_FILE.read_text(encoding="utf-8")))
        decisions = {
            path.stem: {each.decision for each in judge(read_alert(json.loads(path.read_text())), rules, NOW)}
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
        }

    def test_the_sample_rules_can_restore_a_vm_that_was_deleted(self) -> None:
        rules = Rules.from_json(json.loads(SAMPLE_FILE.read_text(encoding="utf-8")))
        deleted = read_alert(json.loads((ROOT / "tests/samples/alerts/activity-log.json").read_text(encoding="utf-8")))

        [verdict] = judge(deleted, rules, NOW)

        assert body_of(verdict)["vaultId"] == VAULT_ID


class TestTheRequest:
    def test_is_the_template_about_the_vm_with_its_placeholders_filled(self) -> None:
        verdict = decide(a_rule())

        assert verdict.decision == "Started"
        assert body_of(verdict) == {
            "recoveryType": "RestoreDisks",
            "storageAccountId": STORAGE_ID,
            "targetResourceGroupId": f"{SUBSCRIPTION}/resourceGroups/restored-web-rg",
            "sourceResourceId": VM_ID,
            "requestedBy": "Azure Monitor",
            "reason": "Alert vm-web-down (Sev1): rule 'web tier'",
        }

    def test_a_vault_named_by_the_template_goes_with_the_vm(self) -> None:
        body = body_of(decide(template(vaultId=VAULT_ID, containerName="c;{vmName}", protectedItemName="VM;{vmName}")))

        assert (body["sourceResourceId"], body["vaultId"]) == (VM_ID, VAULT_ID)
        assert (body["containerName"], body["protectedItemName"]) == ("c;web-01", "VM;web-01")

    def test_every_placeholder_is_filled_everywhere(self) -> None:
        rule = template(
            reason="{subscriptionId} {resourceGroup} {vmName} {alertId} {firedDate} {vmName}",
            resourceGuardOperationRequests=["/{vmName}"],
            recoveryPoint={"atOrBefore": "{firedDate}T06:00:00Z"},
        )

        body = body_of(decide(rule))

        assert body["reason"] == f"{SUBSCRIPTION.split('/')[2]} web-rg web-01 a1e27 2026-11-20 web-01"
        assert body["resourceGuardOperationRequests"] == ["/web-01"]
        assert body["recoveryPoint"] == {"atOrBefore": "2026-11-20T06:00:00Z"}

    def test_an_alert_that_does_not_say_when_it_fired_is_dated_now(self) -> None:
        rule = template(reason="{firedDate}")

        assert body_of(decide(rule, an_alert(fired=None)))["reason"] == "2026-11-24"
        assert body_of(decide(rule, an_alert(fired=NOW + timedelta(hours=1))))["reason"] == "2026-11-25"
        elsewhere = NOW.astimezone(timezone(timedelta(hours=2)))
        assert body_of(decide(rule, an_alert(fired=elsewhere)))["reason"] == "2026-11-24"

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
        assert body_of(decide(template(reason="{alertId}"), an_alert(alert_id=alert_id)))["reason"] == filled

    def test_the_vm_of_a_clone_is_named_by_the_template(self) -> None:
        target = body_of(decide(a_rule(restore=CLONE)))["targetVirtualMachineId"]

        assert target == f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-01-restored"

    def test_who_and_why_may_stand_in_the_template(self) -> None:
        body = body_of(decide(template(requestedBy="drill", reason="because")))

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
        body = body_of(decide(template(reason=None, requestedBy=None), an_alert(**members)))

        assert body["reason"] == reason
        assert body["requestedBy"] == "Azure Monitor"

    @pytest.mark.parametrize(
        ("in_template", "in_rule", "approval", "decision"),
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
        self, in_template: Json | None, in_rule: Json | None, approval: Json | None, decision: str
    ) -> None:
        verdict = decide(a_rule(restore={**DISKS, "approval": in_template}, approval=in_rule))

        assert verdict.decision == decision
        assert body_of(verdict).get("approval") == approval

    @pytest.mark.parametrize("approval", [None, {}, {"required": False}, {"required": True}])
    def test_a_restore_in_place_always_needs_one(self, approval: Json | None) -> None:
        verdict = decide(a_rule(restore=IN_PLACE, approval=approval))

        assert verdict.decision == "AwaitingApproval"
        assert body_of(verdict)["approval"]["required"] is True
        assert verdict.reason == "Rule 'web tier' covers it; a person must approve the restore to replace its disks."

    def test_a_plan_waits_for_nobody(self) -> None:
        assert decide(a_rule(restore={**IN_PLACE, "dryRun": True})).decision == "Started"

    def test_a_template_that_does_not_fit_this_vm_is_refused_with_the_reasons(self) -> None:
        clone = {**CLONE, "targetVirtualMachineId": VM_ID.replace("web-01", "{vmName}")}
        restore = {**clone, "targetResourceGroupId": VM_ID.split("/providers")[0], "recoveryPoint": {"id": "{vmName}"}}

        verdict = decide(a_rule(restore=restore), an_alert(VM_ID, alert_id="x" * 80))

        assert (verdict.decision, verdict.request) == ("Refused", None)
        assert verdict.rule is not None
        assert verdict.reason.startswith("Rule 'web tier' covers it, but its restore cannot be requested")
        assert "targetVirtualMachineId must not be the VM that was backed up" in verdict.reason

    @pytest.mark.parametrize("vm", ["v" * 46, "v" * 64, "web-01 (old)", "wéb_01"])
    @pytest.mark.parametrize("alert_id", ["a" * 36, "a" * 80, f"{SUBSCRIPTION}/providers/x/alerts/a b"])
    def test_a_key_of_ones_own_fits_every_vm(self, vm: str, alert_id: str) -> None:
        rule, vm_id = template(requestId="{alertId}-{vmName}"), VM_ID.replace("web-01", vm)
        other = vm_id.replace(vm, f"{vm[:-1]}x")

        keys = [body_of(decide(rule, an_alert(each, alert_id=alert_id)))["requestId"] for each in (vm_id, other, vm_id)]

        assert keys[0] == keys[2] != keys[1]

    def test_a_key_that_fits_stays_as_it_is(self) -> None:
        assert body_of(decide(template(requestId="{alertId}-{vmName}")))["requestId"] == "a1e27-web-01"

    @given(st.sampled_from(sorted(BASES)), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
    @SWIFT
    def test_a_template_is_left_alone(self, kind: str, words: str) -> None:
        restore = {name: each for name, each in BASES[kind].items() if name != "sourceResourceId"}
        data = a_file(a_rule(restore={**restore, "reason": f"{{vmName}} {words}"}))
        rules = verdict_on(data)
        if isinstance(rules, InvalidRequestError):
            return  # a word in braces
        before = copy.deepcopy(rules)

        judge(an_alert(), rules, NOW)

        assert rules == before
