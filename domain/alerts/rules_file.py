"""The file of alert rules (``AUTO_RESTORE_RULES``): read, checked and described by one set of readers."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from domain.alerts.alert_rules import NAMED_AS, AlertRule, AlertRules, Match, Storm
from domain.alerts.fields import without_spaces
from domain.alerts.patterns import Pattern, vm_id_complaint
from domain.alerts.templates import PLACEHOLDER_LIST, TEMPLATE, TEMPLATE_DEFINITIONS
from domain.errors import InvalidRequestError, Json
from domain.reading import (
    INVALID_VALUE,
    MISSING_FIELD,
    NOT_ALLOWED,
    Problems,
    Reader,
    an_object,
    array,
    boolean,
    duration_up_to,
    string,
    whole_number,
)
from domain.recovery.plans_file import PLAN_NAME
from domain.request_schema import APPROVAL, BEFORE_SWAP, CREATE_VIRTUAL_MACHINE, SWAP_DISKS, swaps_disks
from domain.times import parse_duration
from domain.wire import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Collection

_SEVERITIES: Final = ("sev0", "sev1", "sev2", "sev3", "sev4")
_NOT_WITH_DENY: Final = ("restore", "plan", "approval", "coolDown", "maxPerHour")
DEFAULT_COOL_DOWN: Final = timedelta(hours=1)
"""How long after the end of a restore of a VM a rule without ``coolDown`` starts none of this VM."""
_MAX_DURATION: Final = timedelta(days=365)
_MAX_COUNT: Final = 1_000_000
_WILDCARD: Final = re.compile(r"[*?\[]")


def read_rules(data: object, plans: Collection[str] | None = None) -> AlertRules:
    """Read the JSON of the file; raise ``InvalidRequestError`` that names every problem and its place.

    ``plans`` are the names of the recovery plans in lower case. If they are not known, they are not checked.
    """
    problems = Problems()
    body: Json = _FILE(data, "", problems)
    _check_names(as_list(body.get("rules")), problems)
    if plans is not None:
        _check_plans(as_list(body.get("rules")), plans, problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    storm: Json = body.get("storm", {})
    default = Storm()
    return AlertRules(
        rules=tuple(map(_rule_of, body["rules"])),
        storm=Storm(
            distinct_vms=storm.get("distinctVms", default.distinct_vms),
            within=parse_duration(storm["within"]) if "within" in storm else default.within,
        ),
    )


def rules_schema() -> Json:
    """Return the JSON Schema (draft 2020-12) of the file, made from the readers that ``read_rules`` uses.

    It cannot express that names are unique, that patterns can match, that plans exist, which ids of a request belong
    together, and that an approval before the swap needs one.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules for restores that alerts start",
        "description": "AUTO_RESTORE_RULES: which alert of Azure Monitor restores which virtual machine, and how.",
        **_FILE.schema,
        "$defs": TEMPLATE_DEFINITIONS,
    }


def _rule_of(body: Json) -> AlertRule:
    match: Json = body.get("match", {})

    def patterns(name: str) -> tuple[Pattern, ...] | None:
        return tuple(map(Pattern.parse, match[name])) if name in match else None

    if "monitoringServices" in match:
        match = {**match, "monitoringServices": map(without_spaces, match["monitoringServices"])}
    return AlertRule(
        body=body,
        name=body["name"],
        match=Match(
            source_resource_ids=patterns("sourceResourceIds"),
            alert_rules=patterns("alertRules"),
            severities=patterns("severities"),
            monitoring_services=patterns("monitoringServices"),
        ),
        restore=body.get("restore"),
        approval=body.get("approval", {}),
        cool_down=parse_duration(body["coolDown"]) if "coolDown" in body else DEFAULT_COOL_DOWN,
        max_per_hour=body.get("maxPerHour"),
        plan=body.get("plan"),
    )


def _read_rule(value: Any, path: str, problems: Problems) -> Json:
    rule = _RULE_MEMBERS(value, path, problems)
    if isinstance(value, dict):
        _check_action(rule, path, problems)
        _check_approval(rule, path, problems)
        _check_new_vms(rule, path, problems)
        _check_nulls(cast("Json", value), path, problems)
    return rule


def _check_action(rule: Json, path: str, problems: Problems) -> None:
    """Check that the rule restores, starts a plan, or denies: one of these."""
    if rule.get("deny") is True:
        for name in _NOT_WITH_DENY:
            if name in rule:
                problems.add(NOT_ALLOWED, f"{path}.{name}", "must be left out: a rule with deny: true starts nothing")
    elif "restore" in rule and "plan" in rule:
        problems.add(NOT_ALLOWED, f"{path}.restore", "must be left out: the plan says how its members are restored")
    elif not {"restore", "plan"} & rule.keys() and isinstance(rule.get("deny", False), bool):
        problems.add(MISSING_FIELD, f"{path}.restore", "is needed, or plan, unless the rule says deny: true")


def _check_approval(rule: Json, path: str, problems: Problems) -> None:
    is_before_swap = as_object(rule.get("approval")).get("before") == BEFORE_SWAP
    if is_before_swap and not swaps_disks(as_object(rule.get("restore"))):
        message = f"may be {BEFORE_SWAP} only for a restore with {SWAP_DISKS}"
        problems.add(NOT_ALLOWED, f"{path}.approval.before", message)


def _check_new_vms(rule: Json, path: str, problems: Problems) -> None:
    """Check that VMs which a rule makes of restored disks differ, unless the rule is about one VM."""
    restore, chosen = as_object(rule.get("restore")), as_object(rule.get("match")).get("sourceResourceIds")
    asked = as_object(restore.get(CREATE_VIRTUAL_MACHINE))
    is_about_one = len(as_list(chosen)) == 1 and not _WILDCARD.search(str(as_list(chosen)[0]))
    if not asked or is_about_one or "{vmName}" in str(restore.get("targetResourceGroupId")):
        return
    why = "each VM that the rule covers gets a new one, unless match.sourceResourceIds is the id of a single VM"
    member = next((name for name in ("name", "virtualMachineId") if name in asked), None)
    if member is not None and "{vmName}" not in str(asked[member]):
        target = f"{path}.restore.{CREATE_VIRTUAL_MACHINE}.{member}"
        if not problems.exist_at(target):
            problems.add(INVALID_VALUE, target, f"must contain {{vmName}}: {why}")


def _check_nulls(rule: Json, path: str, problems: Problems) -> None:
    """Refuse ``null`` in a match: a generator of the file had no value for it, and the rule would match everything."""
    match = rule.get("match", {})
    members = {f"{path}.match": match, **{f"{path}.match.{name}": value for name, value in as_object(match).items()}}
    for target, value in members.items():
        if value is None and not problems.exist_at(target):
            problems.add(INVALID_VALUE, target, "must not be null: left out, it matches everything")


def _check_names(rules: list[Any], problems: Problems) -> None:
    index_of: dict[str, int] = {}
    for index, name in enumerate(as_object(rule).get("name") for rule in rules):
        if isinstance(name, str):
            # Compared as admission control does, so that two rules never share an hourly budget.
            first = index_of.setdefault(name.rstrip("/").lower(), index)
            if first != index:
                problems.add(INVALID_VALUE, f"rules[{index}].name", f"must differ from the name of rules[{first}]")


def _check_plans(rules: list[Any], plans: Collection[str], problems: Problems) -> None:
    for index, name in enumerate(as_object(rule).get("plan") for rule in rules):
        path = f"rules[{index}].plan"
        if isinstance(name, str) and name.lower() not in plans and not problems.exist_at(path):
            problems.add(INVALID_VALUE, path, "names no plan of RECOVERY_PLANS")


def _severity_complaint(text: str) -> str | None:
    return None if any(map(Pattern.parse(text).matches, _SEVERITIES)) else "matches none of Sev0 to Sev4"


_NAMES: Final = " and ".join(NAMED_AS.values())
_MATCH: Final = an_object(
    {
        "sourceResourceIds": array(string.also(vm_id_complaint), minimum=1).described(
            "Shell patterns for the whole resource id of the virtual machine, compared without case; * matches slashes."
        ),
        "alertRules": array(string, minimum=1).described("Shell patterns for the name of the alert rule."),
        "severities": array(string.also(_severity_complaint), minimum=1).described("Shell patterns for Sev0 to Sev4."),
        "monitoringServices": array(string, minimum=1).described(
            "Shell patterns for the monitoringService, such as Platform or Resource Health; spaces do not count. "
            "Alerts of Azure Backup and about deletions start a restore only where a pattern names them: "
            f"{_NAMES}; * names none."
        ),
    }
)
_RULE_MEMBERS: Final = an_object(
    {
        "name": string.described("Unique; appears in decisions, logs and the reason of the restore."),
        "match": _MATCH.described("What the rule is about. A member that is left out matches all."),
        "restore": TEMPLATE.described(
            "The restore request to start; the alert names the virtual machine. "
            f"Texts may have {PLACEHOLDER_LIST}, filled in from the alert."
        ),
        "plan": PLAN_NAME.described(
            "Instead of restore: the recovery plan to start, once for each alert, whichever of the matching virtual "
            "machines the alert names."
        ),
        "deny": boolean.described("Never restore what this rule matches."),
        "approval": APPROVAL.described(
            "Whether a person must approve first. In-place restores and swaps, and plans with such, always wait."
        ),
        "coolDown": duration_up_to(_MAX_DURATION).described(
            "How long after any restore of a virtual machine the rule starts none for it; for a plan, how long after a "
            "recovery by it that an alert started. Default PT1H."
        ),
        "maxPerHour": whole_number(1, _MAX_COUNT).described(
            "How many restores, or recoveries by its plan, the rule may start within an hour."
        ),
    },
    needed=("name",),
)
_RULE: Final = Reader(
    _read_rule,
    {
        **_RULE_MEMBERS.schema,
        "oneOf": [
            {"required": ["restore"], "properties": {"deny": {"const": False}, "plan": False}},
            {"required": ["plan"], "properties": {"deny": {"const": False}, "restore": False}},
            {
                "required": ["deny"],
                "properties": {"deny": {"const": True}, **dict.fromkeys(_NOT_WITH_DENY, False)},
            },
        ],
    },
)
_FILE: Final = an_object(
    {
        "$schema": string.described("For editors: the path of this schema."),
        "rules": array(_RULE).described("In order: the first rule that matches decides. What none matches is ignored."),
        "storm": an_object(
            {
                "distinctVms": whole_number(1, _MAX_COUNT).described("Default 10."),
                "within": duration_up_to(_MAX_DURATION, minimum=timedelta(seconds=1)).described("Default PT10M."),
            }
        ).described("With more distinct virtual machines than this within this time, every start waits for a person."),
    },
    needed=("rules",),
)
