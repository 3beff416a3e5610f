from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.alerts.alert_rules import AlertRule, AlertRules, Match, Storm
from domain.alerts.decide import decide_alert
from domain.alerts.patterns import Pattern
from domain.alerts.rules_file import read_rules, rules_schema
from domain.errors import ErrorDetail, InvalidRequestError, Json
from tests.support.azure import STORAGE_ID, TARGET_GROUP, VAULT_ID, VM_ID
from tests.support.strategies import NETWORK, SUBNET, THOROUGH, damaged, json_values, objects_of
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
    a_file,
    a_rule,
    an_alert,
    match,
    read,
    template,
)

if TYPE_CHECKING:
    from collections.abc import Collection


def problems(data: Any) -> list[ErrorDetail]:
    with pytest.raises(InvalidRequestError) as caught:
        read_rules(data)
    return list(caught.value.details)


def outcome_of(data: Any) -> AlertRules | InvalidRequestError:
    try:
        return read_rules(data)
    except InvalidRequestError as error:
        return error


def new_vm(**members: Any) -> Json:
    """Return the template of a rule that makes a VM; ``members`` stand for its name."""
    return {**NEW_VM, "thenCreateVirtualMachine": {"subnetId": SUBNET, **members}}


SCHEMA = Draft202012Validator(rules_schema())
MISSING, UNKNOWN, INVALID, NOT_ALLOWED = "MissingField", "UnknownField", "InvalidValue", "NotAllowed"
GOOD: dict[str, Json] = {
    "no rules": {"rules": []},
    "one rule": a_file(),
    "with a schema": a_file(**{"$schema": "./auto_restore_rules.schema.json"}),
    "rule that denies": a_file({**DENY, "match": {"sourceResourceIds": ["*/resourceGroups/sql-*/*"]}}),
    "a plan": a_file(PLAN),
    "a plan with all that limits it": a_file(
        {**PLAN, "approval": {"required": True, "timeout": "PT2H"}, "coolDown": "PT6H", "maxPerHour": 1, "deny": False}
    ),
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
    "another approver": a_file(a_rule(approval={"required": True, "distinct": True})),
    "another approver in the request": a_file(template(approval={"distinct": True})),
    "empty approval": a_file(a_rule(approval={})),
    "no cool-down": a_file(a_rule(coolDown="PT0S")),
    "long cool-down": a_file(a_rule(coolDown="P365D", maxPerHour=1)),
    "storm": a_file(storm={"distinctVms": 1, "within": "PT1S"}),
    "whole numbers with a point": a_file(a_rule(maxPerHour=5.0), storm={"distinctVms": 1e3}),
    "words on two lines": a_file(template(reason="disk\n\tfull")),
    "half a storm": a_file(storm={"within": "P1D"}),
    "in place": a_file(a_rule(restore=IN_PLACE)),
    "a new VM for each": a_file(a_rule(restore=NEW_VM)),
    "a new VM by its id": a_file(
        a_rule(
            restore=new_vm(virtualMachineId=f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/{{vmName}}")
        )
    ),
    "a new VM of one VM": a_file(a_rule(restore=new_vm(name="spare"), match={"sourceResourceIds": [VM_ID]})),
    "a new VM when approved": a_file(a_rule(restore=NEW_VM, approval={"required": True})),
    "disks for another VM": a_file(a_rule(restore=ATTACH)),
    "swap": a_file(a_rule(restore=SWAP, approval={"before": "Swap"})),
    "swap when approved": a_file(a_rule(restore=SWAP, approval={"before": "Trigger"})),
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

# What is wrong, the problem's code and target, a part of its message. A schema cannot find the last ones.
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
    (a_file({**DENY, "restore": DISKS}), NOT_ALLOWED, "rules[0].restore", "a rule with deny: true starts nothing"),
    (a_file({**DENY, "approval": {}}), NOT_ALLOWED, "rules[0].approval", "a rule with deny: true starts nothing"),
    (a_file({**DENY, "coolDown": "PT1H"}), NOT_ALLOWED, "rules[0].coolDown", "a rule with deny: true starts nothing"),
    (a_file({**DENY, "maxPerHour": 1}), NOT_ALLOWED, "rules[0].maxPerHour", "a rule with deny: true starts nothing"),
    (a_file({**DENY, "plan": "shop"}), NOT_ALLOWED, "rules[0].plan", "a rule with deny: true starts nothing"),
    (a_file(a_rule(plan="shop")), NOT_ALLOWED, "rules[0].restore", "the plan says how its members are restored"),
    (a_file({**PLAN, "plan": "my shop"}), INVALID, "rules[0].plan", "1 to 80 of"),
    (a_file({**PLAN, "plan": {"name": "shop"}}), INVALID, "rules[0].plan", "1 to 80 of"),
    (a_file({**PLAN, "plan": None}), MISSING, "rules[0].restore", "is needed, or plan"),
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
    (a_file(a_rule(approval={"distinct": "yes"})), INVALID, "rules[0].approval.distinct", "true or false"),
    (a_file(template(requestedBy=5, approval={"distinct": True})), INVALID, "rules[0].restore.requestedBy", "string"),
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
    (a_file(a_rule(name="a\nb")), INVALID, "rules[0].name", "contains U+000A at position 2"),
    (a_file(match(alertRules=["a\x7f"])), INVALID, "rules[0].match.alertRules[0]", "ends in U+007F"),
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
    (
        a_file(template(reason="{vmname}")),
        INVALID,
        "rules[0].restore.reason",
        "an unknown placeholder; is it {vmName}?",
    ),
    (a_file(template(reason="{}")), INVALID, "rules[0].restore.reason", "known are {subscriptionId} {resourceGroup}"),
    (a_file(template(reason="{vmName} {x}")), INVALID, "rules[0].restore.reason", "an unknown placeholder; known are"),
    (
        a_file(template(targetResourceGroupId="/subscriptions/{subscription}/resourceGroups/{vmName}")),
        INVALID,
        "rules[0].restore.targetResourceGroupId",
        "an unknown placeholder; is it {subscriptionId}?",
    ),
    (
        a_file(template(resourceGuardOperationRequests=["{guard}"])),
        INVALID,
        "rules[0].restore.resourceGuardOperationRequests[0]",
        "an unknown placeholder; known are",
    ),
]
BEYOND_A_SCHEMA: list[tuple[Json, str, str, str]] = [
    *(
        (a_file({**rule, "approval": {"before": "Swap"}}), NOT_ALLOWED, "rules[0].approval.before", "thenSwapDisks")
        for rule in (a_rule(), PLAN)
    ),
    *(
        (
            a_file(a_rule(restore=new_vm(name="spare"), **chosen)),
            INVALID,
            "rules[0].restore.thenCreateVirtualMachine.name",
            "must contain {vmName}: each VM that the rule covers gets a new one",
        )
        for chosen in (
            {},
            {"match": {"sourceResourceIds": ["*/resourceGroups/web-rg/*"]}},
            {"match": {"sourceResourceIds": [VM_ID, SQL_VM]}},
        )
    ),
    (
        a_file(
            a_rule(restore=new_vm(virtualMachineId=f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/spare"))
        ),
        INVALID,
        "rules[0].restore.thenCreateVirtualMachine.virtualMachineId",
        "must contain {vmName}",
    ),
    (
        a_file(a_rule(restore=ATTACH, approval={"before": "Swap"})),
        NOT_ALLOWED,
        "rules[0].approval.before",
        "may be Swap only for a restore with thenSwapDisks",
    ),
    (a_file(a_rule(), a_rule(match={})), INVALID, "rules[1].name", "differ from the name of rules[0]"),
    (a_file(a_rule(), a_rule(name="WEB Tier")), INVALID, "rules[1].name", "differ from the name of rules[0]"),
    (a_file(a_rule(), a_rule(name="web tier/")), INVALID, "rules[1].name", "differ from the name of rules[0]"),
    (a_file(match(severities=["Sev0", "Sev5"])), INVALID, "rules[0].match.severities[1]", "none of Sev0 to Sev4"),
    (a_file(match(severities=["Critical"])), INVALID, "rules[0].match.severities[0]", "none of Sev0 to Sev4"),
    (a_file(a_rule(coolDown="P366D")), INVALID, "rules[0].coolDown", "longer than P365D"),
    (a_file(storm={"within": "PT0.5S"}), INVALID, "storm.within", "shorter than PT1S"),
    (a_file(template(requestId="{alertId}")), INVALID, "rules[0].restore.requestId", "{alertId} and {vmName}"),
    (a_file(template(requestId="drill")), INVALID, "rules[0].restore.requestId", "better leave it out"),
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
            "matches no virtual machine",
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
        read_rules(GOOD[name])
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
        assert [problem.target for problem in problems(data)] == [None]

    def test_every_problem_is_told_with_its_place(self) -> None:
        data = a_file(
            a_rule(coolDown="x", restore={**DISKS, "storageAccountId": 5, "reason": "{who}"}),
            {**DENY, "name": "WEB TIER", "match": {"severities": ["Sev9"]}},
            {"nam": "a"},
            storm={"distinctVms": -1},
            more=1,
        )

        assert {problem.target for problem in problems(data)} == {
            *("rules[0].coolDown", "rules[0].restore.storageAccountId", "rules[0].restore.reason"),
            *("rules[1].name", "rules[1].match.severities[0]"),
            *("rules[2].nam", "rules[2].name", "rules[2].restore", "storm.distinctVms", "more"),
        }

    @given(json_values | objects_of("rules", "storm") | objects_of("name", "match", "restore").map(a_file))
    @THOROUGH
    def test_whatever_it_is_only_problems_come_of_it(self, data: Any) -> None:
        seen = outcome_of(data)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
            json.dumps(seen.to_json())

    @given(st.sampled_from(list(GOOD.values())).flatmap(lambda good: damaged(st.just(good))))
    @THOROUGH
    def test_a_damaged_one_is_refused_by_name_or_as_good_as_new(self, data: Json) -> None:
        before = copy.deepcopy(data)

        seen = outcome_of(data)

        if isinstance(seen, InvalidRequestError):
            assert seen.details
        else:
            SCHEMA.validate(without_null(data))
            for decision in decide_alert(an_alert(VM_ID, SQL_VM), seen, NOW, {}):
                assert "cannot be requested" not in decision.reason
        assert data == before

    def test_no_depth_exhausts_it(self) -> None:
        deep: Any = "{vmName}"
        for _ in range(500):
            deep = {"zones": [deep]}

        lists: Any = "{vmName}"
        for _ in range(1500):
            lists = [lists]

        found = problems(a_file(template(identityInfo=deep, reason=lists)))

        assert "rules[0].restore.reason" in {problem.target for problem in found}

    def test_what_it_leaves_out(self) -> None:
        rules = read({"name": "a", "restore": DISKS, "match": {}, "approval": None, "coolDown": None})

        assert rules.storm == Storm(distinct_vms=10, within=timedelta(minutes=10))
        assert rules.rules == (
            AlertRule(
                body={"name": "a", "restore": DISKS, "match": {}},
                name="a",
                match=Match(),
                restore=DISKS,
                approval={},
                cool_down=timedelta(hours=1),
                max_per_hour=None,
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
            source_resource_ids=(Pattern.parse("*"),),
            alert_rules=(Pattern.parse("a"),),
            severities=(Pattern.parse("Sev1"),),
            monitoring_services=(Pattern.parse("p"),),
        )
        assert (first.approval, first.cool_down) == ({"required": False, "timeout": "PT2H"}, timedelta(hours=6))
        assert (first.max_per_hour, first.restore) == (5, DISKS)
        assert second.restore is None

    def test_a_rule_may_name_a_plan_instead(self) -> None:
        [rule] = read(PLAN).rules

        assert (rule.plan, rule.restore, rule.denies) == ("shop", None, False)

    @pytest.mark.parametrize("name", ["shop", "SHOP"])
    def test_a_configured_plan_is_known_by_its_name_in_any_case(self, name: str) -> None:
        assert read_rules(a_file({**PLAN, "plan": name}, a_rule()), {"shop"}).rules[0].plan == name

    @pytest.mark.parametrize("configured", [{}, {"office"}])
    def test_a_plan_that_is_not_configured_is_a_fault_of_the_rules(self, configured: Collection[str]) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            read_rules(a_file(a_rule(), PLAN), configured)

        [problem] = caught.value.details
        assert (problem.code, problem.target) == (INVALID, "rules[1].plan")
        assert problem.message == "names no plan of RECOVERY_PLANS"

    def test_a_name_that_cannot_be_one_is_one_fault_only(self) -> None:
        with pytest.raises(InvalidRequestError) as caught:
            read_rules(a_file({**PLAN, "plan": "my shop"}), {})

        assert len(caught.value.details) == 1

    def test_half_a_storm_keeps_the_other_default(self) -> None:
        assert read(storm={"distinctVms": 3}).storm == Storm(distinct_vms=3)
        assert read(storm={"within": "PT5M"}).storm == Storm(within=timedelta(minutes=5))


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(member) for name, member in value.items() if member is not None}
    return [without_null(entry) for entry in value] if isinstance(value, list) else value


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
        assert len(read_rules(sample).rules) == len(sample["rules"])
