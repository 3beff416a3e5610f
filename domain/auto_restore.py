"""The rules that say which alert restores which VM, and what each VM of an alert gets from them.

Default is to do nothing: what no rule covers is ignored. The file is proven when it is loaded, so that a rule that
could never start its restore is found by whoever writes it and not in the night of the incident.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Self, cast

from domain.alerts import plain, without_spaces
from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId
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
from domain.request_schema import APPROVAL, ORIGINAL_LOCATION, request_schema
from domain.requests import RestoreRequest
from domain.times import as_utc, parse_duration
from domain.wire import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from domain.alerts import Alert

MOST_STARTS: Final = 100
"""How many restores one alert starts at most: it is answered within the action group's patience, ten seconds."""
IGNORED: Final = "Ignored"
REFUSED: Final = "Refused"
STARTED: Final = "Started"
AWAITING_APPROVAL: Final = "AwaitingApproval"
PLACEHOLDERS: Final = ("subscriptionId", "resourceGroup", "vmName", "alertId", "firedDate")

_SEVERITIES: Final = ("sev0", "sev1", "sev2", "sev3", "sev4")
_NOT_WITH_DENY: Final = ("approval", "coolDown", "maxPerHour")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_KNOWN_PLACEHOLDERS: Final = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
_PLACES_TOLD: Final = f"Texts may have {_KNOWN_PLACEHOLDERS}, filled in from the alert."
_CLASS: Final = re.compile(r"\[!?\]?[^\]]*\]")
_ANY_NAME: Final = "\0"
_VM_FORM: Final = (
    f"/subscriptions/{_ANY_NAME}/resourcegroups/{_ANY_NAME}/providers/microsoft.compute/virtualmachines/{_ANY_NAME}"
)
"""A VM's id, with one sign for each of its names."""
_COOL_DOWN: Final = timedelta(hours=1)
_LONGEST: Final = timedelta(days=365)
_MOST: Final = 1_000_000
_LONGEST_REASON: Final = 2048
_LONGEST_ALERT_NAME: Final = 80
_DEEPEST: Final = 10  # no restore request has more levels
_KEY: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")
_KEY_KEPT: Final = 63  # letters of a key that is too long or has others; a digest makes up for the rest
_NO_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"
_SAMPLE_VM: Final = (
    f"/subscriptions/{_NO_SUBSCRIPTION}/resourceGroups/sample-rg/providers/Microsoft.Compute/virtualMachines/sample-vm"
)
# Azure's longest names, and what may stand in them.
_LONGEST_VM: Final = _SAMPLE_VM.replace("sample-rg", f"{'g' * 84}(west)").replace("sample-vm", "v" * 64)
_WITH_THE_LONGEST: Final = ", also with the longest names that Azure allows for what the placeholders stand for"
_LONGEST_ALERT: Final = (
    f"/subscriptions/{_NO_SUBSCRIPTION}/providers/Microsoft.AlertsManagement/alerts/{_NO_SUBSCRIPTION}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """When alerts look like an outage of the platform: more than ``distinct_vms`` VMs ``within`` this time."""

    distinct_vms: int = 10
    within: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A shell pattern in lower case; ``needles`` are the texts without which nothing matches it."""

    text: str
    needles: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a pattern."""
        text = text.lower()
        return cls(text, tuple(filter(None, re.split(r"[*?]", _CLASS.sub("?", text)))))

    def fits(self, text: str) -> bool:
        """Tell whether a lower-cased text matches. Most do not, and looking for the needles is ten times as fast."""
        for needle in self.needles:
            if needle not in text:
                return False
        return fnmatchcase(text, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Shell patterns, compared without case; ``None`` matches all."""

    source_resource_ids: tuple[str, ...] | None = None
    alert_rules: tuple[str, ...] | None = None
    severities: tuple[str, ...] | None = None
    monitoring_services: tuple[str, ...] | None = None
    _patterns: tuple[tuple[_Pattern, ...] | None, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the patterns once: an alert may name a thousand VMs, and a file hold as many patterns."""
        services = None if self.monitoring_services is None else tuple(map(without_spaces, self.monitoring_services))
        members = (self.alert_rules, self.severities, services, self.source_resource_ids)
        patterns = tuple(None if each is None else tuple(map(_Pattern.of, each)) for each in members)
        object.__setattr__(self, "_patterns", patterns)

    def covers(self, alert: Alert, vm_id: str) -> bool:
        """Tell whether a rule with this match is about this VM of this alert."""
        texts = (alert.alert_rule, alert.severity, without_spaces(alert.monitoring_service), vm_id)
        return all(
            patterns is None or any(each.fits(lower) for each in patterns)
            for patterns, lower in zip(self._patterns, map(str.lower, texts), strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the file. ``restore`` is the template as written, ``None`` for a rule that denies."""

    name: str
    match: Match
    restore: Json | None
    approval: Json
    cool_down: timedelta
    max_per_hour: int | None
    deny: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The whole file: the first rule that covers a VM of an alert decides."""

    rules: tuple[Rule, ...]
    storm: Storm

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Check the file's JSON; raises ``InvalidRequestError`` that names every problem with its place."""
        problems = Problems()
        body: Json = _FILE(data, "", problems)
        _check_names(as_list(body.get("rules")), problems)
        if problems.found:
            raise InvalidRequestError(problems.found)
        storm = body.get("storm", {})
        default = Storm()
        return cls(
            rules=tuple(map(_rule, body["rules"])),
            storm=Storm(
                distinct_vms=storm.get("distinctVms", default.distinct_vms),
                within=parse_duration(storm["within"]) if "within" in storm else default.within,
            ),
        )

    def first_match(self, alert: Alert, vm_id: str) -> Rule | None:
        """Return the rule that decides about this VM of this alert."""
        return next((rule for rule in self.rules if rule.match.covers(alert, vm_id)), None)


NO_RULES: Final = Rules(rules=(), storm=Storm())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules say about one VM of an alert; guards may still say otherwise.

    ``decision`` is ``Ignored``, ``Refused``, ``Started`` or, where the request needs one, ``AwaitingApproval``;
    ``request`` is there exactly for the latter two. ``reason`` is a sentence for the operator.
    """

    source_resource_id: str | None
    decision: str
    reason: str
    rule: Rule | None = None
    request: RestoreRequest | None = None


def judge(alert: Alert, rules: Rules, now: datetime) -> list[Verdict]:
    """Say what each VM of the alert gets, and each name that is not clear; ``now`` dates it.

    There is one verdict without a VM where the alert names none. ``MOST_STARTS`` VMs get a request at most.
    """
    if alert.ignored is not None:
        return [
            Verdict(source_resource_id=vm_id, decision=IGNORED, reason=alert.ignored)
            for vm_id in alert.vm_ids or (None,)
        ]
    verdicts: list[Verdict] = []
    wanted = 0
    for vm_id in alert.vm_ids:
        verdict = _judge_vm(alert, vm_id, rules.first_match(alert, vm_id), now)
        wanted += verdict.request is not None
        verdicts.append(verdict if wanted <= MOST_STARTS else _one_too_many(verdict))
    reasons = alert.unclear or (() if verdicts else (alert.no_vm or "The alert names no virtual machine.",))
    return [
        *verdicts,
        *(Verdict(source_resource_id=None, decision=REFUSED, reason=reason) for reason in reasons),
    ]


def _one_too_many(verdict: Verdict) -> Verdict:
    if verdict.request is None:
        return verdict
    reason = (
        f"{verdict.reason} But the alert wants more than {MOST_STARTS} virtual machines restored at once, and this is "
        "one of those beyond: it is probably Azure that is down. Restore it by POST /api/restores if it must be."
    )
    return replace(verdict, decision=REFUSED, reason=reason, request=None)


def _judge_vm(alert: Alert, vm_id: str, rule: Rule | None, now: datetime) -> Verdict:
    if rule is None:
        return Verdict(source_resource_id=vm_id, decision=IGNORED, reason="No rule covers it.")
    if rule.restore is None:
        reason = f"Rule {rule.name!r} denies restores of this virtual machine."
        return Verdict(source_resource_id=vm_id, decision=REFUSED, reason=reason, rule=rule)
    try:
        request = RestoreRequest.from_json(_body(alert, vm_id, rule, rule.restore, now))
    except InvalidRequestError as error:
        wrong = "; ".join(f"{each.target} {each.message}" for each in error.details)
        reason = f"Rule {rule.name!r} covers it, but its restore cannot be requested for this virtual machine: {wrong}."
        return Verdict(source_resource_id=vm_id, decision=REFUSED, reason=reason, rule=rule)
    decision, reason = STARTED, f"Rule {rule.name!r} covers it."
    if request.needs_approval and not request.is_plan:
        why = " to replace its disks" if request.recovery_type == ORIGINAL_LOCATION else ""
        decision, reason = AWAITING_APPROVAL, f"Rule {rule.name!r} covers it; a person must approve the restore{why}."
    return Verdict(source_resource_id=vm_id, decision=decision, reason=reason, rule=rule, request=request)


def _body(alert: Alert, vm_id: str, rule: Rule, template: Json, now: datetime) -> Json:
    approval = {**_present(template.get("approval")), **_present(rule.approval)}
    needed = any(_present(each).get("required") for each in (template.get("approval"), rule.approval))
    if needed or template.get("recoveryType") == ORIGINAL_LOCATION:
        approval["required"] = True
    severity = f" ({alert.severity})" if alert.severity else ""
    told = f"Alert {alert.alert_rule or _alert_name(alert.alert_id)}{severity}: rule {rule.name!r}"
    body = _completed(template, vm_id, alert.alert_id, alert.fired or now)
    defaults = {"requestedBy": "Azure Monitor", "reason": plain(told, _LONGEST_REASON)}
    return {**defaults, **body, **({"approval": approval} if approval else {})}


def _completed(template: Json, vm_id: str, alert_id: str, fired: datetime) -> Json:
    body = _filled(template, _values(vm_id, alert_id, fired))
    if isinstance(body.get("requestId"), str):
        body["requestId"] = _fitting_key(body["requestId"])
    return {**body, "sourceResourceId": vm_id}


def _fitting_key(text: str) -> str:
    """Return a ``requestId`` that every VM's name fits into: made of it where it is too long or has other letters."""
    if _KEY.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[: 80 - _KEY_KEPT - 1]
    return f"{re.sub(r'[^A-Za-z0-9._-]', '-', text)[:_KEY_KEPT]}-{digest}"


def _present(value: object) -> Json:
    return {name: each for name, each in as_object(value).items() if each is not None}


def _values(vm_id: str, alert_id: str, fired: datetime) -> Mapping[str, str]:
    vm = ResourceId.parse(vm_id, ids.VIRTUAL_MACHINE)
    return {
        "subscriptionId": vm.subscription_id,
        "resourceGroup": vm.resource_group,
        "vmName": vm.name,
        "alertId": _alert_name(alert_id),
        "firedDate": as_utc(fired).date().isoformat(),
    }


def _alert_name(alert_id: str) -> str:
    last = alert_id.rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "-", last)[:_LONGEST_ALERT_NAME]


def _filled(value: Any, values: Mapping[str, str], depth: int = 0) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), value)
    if depth < _DEEPEST and isinstance(value, dict):
        members = cast("Json", value)
        return {name: _filled(each, values, depth + 1) for name, each in members.items()}
    if depth < _DEEPEST and isinstance(value, list):
        return [_filled(each, values, depth + 1) for each in cast("list[Any]", value)]
    return value


def _rule(body: Json) -> Rule:
    match = body.get("match", {})

    def patterns(name: str) -> tuple[str, ...] | None:
        return tuple(match[name]) if name in match else None

    return Rule(
        name=body["name"],
        match=Match(
            source_resource_ids=patterns("sourceResourceIds"),
            alert_rules=patterns("alertRules"),
            severities=patterns("severities"),
            monitoring_services=patterns("monitoringServices"),
        ),
        restore=body.get("restore"),
        approval=body.get("approval", {}),
        cool_down=parse_duration(body["coolDown"]) if "coolDown" in body else _COOL_DOWN,
        max_per_hour=body.get("maxPerHour"),
        deny=body.get("deny", False),
    )


def _check_rule(rule: Json, path: str, problems: Problems) -> None:
    denies = rule.get("deny") is True
    if denies and "restore" in rule:
        problems.add(NOT_ALLOWED, f"{path}.restore", "excludes deny: a rule either denies or restores")
    if denies:
        for name in _NOT_WITH_DENY:
            if name in rule:
                problems.add(NOT_ALLOWED, f"{path}.{name}", "has no meaning together with deny")
    elif "restore" not in rule and isinstance(rule.get("deny", False), bool):
        problems.add(MISSING_FIELD, f"{path}.restore", "is needed, unless the rule says deny: true")


def _check_names(rules: list[Any], problems: Problems) -> None:
    seen: dict[str, int] = {}
    for index, name in enumerate(as_object(each).get("name") for each in rules):
        if isinstance(name, str):
            # As the guards compare them: two rules never share an hourly budget.
            first = seen.setdefault(name.rstrip("/").lower(), index)
            if first != index:
                problems.add(INVALID_VALUE, f"rules[{index}].name", f"must be another than that of rules[{first}]")


def _read_template(value: Any, path: str, problems: Problems) -> Json:
    """Read a restore request without its VM; placeholders are filled with samples and the result is checked whole.

    Once with names as they are, once with the longest there are: nothing is to be found too long in the night.
    """
    if not isinstance(value, dict):
        problems.add(INVALID_VALUE, path, "must be a JSON object")
        return {}
    template = {name: each for name, each in cast("Json", value).items() if each is not None}
    if template.pop("sourceResourceId", None) is not None:
        problems.add(NOT_ALLOWED, f"{path}.sourceResourceId", "must be left out: the alert names the virtual machine")
    _check_placeholders(template, path, problems)
    if isinstance(key := template.get("requestId"), str) and not all(each in key for each in ("{alertId}", "{vmName}")):
        message = (
            "must have {alertId} and {vmName}, since it names one restore; best leave it out, the app has its own key"
        )
        problems.add(INVALID_VALUE, f"{path}.requestId", message)
    fired = datetime(2026, 1, 1, tzinfo=UTC)
    usual = {**_filled(template, _values(_SAMPLE_VM, "sample-alert", fired)), "sourceResourceId": _SAMPLE_VM}
    _check_request(usual, path, problems, "")
    _check_request(_completed(template, _LONGEST_VM, _LONGEST_ALERT, fired), path, problems, _WITH_THE_LONGEST)
    return template


def _check_request(body: Json, path: str, problems: Problems, when: str) -> None:
    try:
        RestoreRequest.from_json(body)
    except InvalidRequestError as error:
        for each in error.details:
            target = f"{path}.{each.target}"
            if not problems.concern(target):
                problems.add(each.code, target, f"{each.message}{when}")


def _check_placeholders(value: Any, path: str, problems: Problems, depth: int = 0) -> None:
    if isinstance(value, str):
        names: list[str] = _PLACEHOLDER.findall(value)
        for name in dict.fromkeys(names):
            if name not in PLACEHOLDERS:
                similar = difflib.get_close_matches(name, PLACEHOLDERS, n=1)
                hint = f"; is it {{{similar[0]}}}?" if similar else f"; there are {_KNOWN_PLACEHOLDERS}"
                problems.add(INVALID_VALUE, path, f"has the unknown placeholder {{{name}}}{hint}")
    elif depth < _DEEPEST and isinstance(value, dict):
        for name, each in cast("Json", value).items():
            _check_placeholders(each, f"{path}.{name}", problems, depth + 1)
    elif depth < _DEEPEST and isinstance(value, list):
        for index, each in enumerate(cast("list[Any]", value)):
            _check_placeholders(each, f"{path}[{index}]", problems, depth + 1)


def _severity_complaint(text: str) -> str | None:
    return None if any(map(_Pattern.of(text).fits, _SEVERITIES)) else "matches none of Sev0 to Sev4"


def _vm_complaint(text: str) -> str | None:
    """Say what is wrong with a pattern that no VM id can match: a rule that denies would silently deny nothing."""
    if _can_match_a_vm(text.lower()):
        return None
    return f"can match no virtual machine: it is compared with the whole id, such as {ids.VIRTUAL_MACHINE.example}"


def _can_match_a_vm(text: str) -> bool:
    """Tell whether the shell pattern and the form of a VM's id have a text in common; a class counts as any letter.

    Both are walked at once: ``places`` are those in the form that the pattern read so far can end at.
    """
    places = {0}
    for sign in _CLASS.sub("?", text):
        if sign == "*":
            places = set(range(min(places), len(_VM_FORM) + 1))
        else:
            places = {after for place in places for after in _after(place, sign)}
        if not places:
            return False
    return len(_VM_FORM) in places


def _after(place: int, sign: str) -> tuple[int, ...]:
    """Return where one letter, or any for ``?``, leads to from a place in the form of a VM's id."""
    if place == len(_VM_FORM):
        return ()
    if _VM_FORM[place] == _ANY_NAME:
        return () if sign == "/" else (place, place + 1)  # a name goes on, or this was its last letter
    return (place + 1,) if sign in {"?", _VM_FORM[place]} else ()


def _with_placeholders(schema: Any) -> Any:
    """Return a schema whose texts may have placeholders, and those of a given form placeholders instead of the form."""
    if isinstance(schema, list):
        return [_with_placeholders(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    members = cast("Json", schema)
    if members.get("type") != "string" or "enum" in members:
        return {name: _with_placeholders(each) for name, each in members.items()}
    told = {name: each for name, each in members.items() if name not in {"type", "pattern", "format"}}
    form = {name: each for name, each in members.items() if name in {"pattern", "format"}}
    instead = {"anyOf": [form, {"$ref": "#/$defs/placeholders"}]} if form else {}
    return {**told, "$ref": "#/$defs/template", **instead}


def _read_rule(value: Any, path: str, problems: Problems) -> Json:
    rule = _RULE_MEMBERS(value, path, problems)
    if isinstance(value, dict):
        _check_rule(rule, path, problems)
        _check_nulls(cast("Json", value), path, problems)
    return rule


def _check_nulls(rule: Json, path: str, problems: Problems) -> None:
    """Refuse ``null`` in a match: whatever made the file had no value there, and would get a rule for everything."""
    matched = {f"{path}.match.{name}": each for name, each in as_object(rule.get("match")).items()}
    for target, each in {f"{path}.match": rule.get("match", {}), **matched}.items():
        if each is None and not problems.concern(target):
            problems.add(INVALID_VALUE, target, "must not be null: left out, it matches everything")


_VM_PATTERN: Final = string.also(_vm_complaint)
_MATCH: Final = an_object(
    {
        "sourceResourceIds": array(_VM_PATTERN, least=1).described(
            "Shell patterns for the virtual machine's whole resource id, compared without case; * goes over slashes."
        ),
        "alertRules": array(string, least=1).described("Shell patterns for the alert rule's name."),
        "severities": array(string.also(_severity_complaint), least=1).described("Shell patterns for Sev0 to Sev4."),
        "monitoringServices": array(string, least=1).described(
            "Shell patterns for the alert's monitoringService, such as Platform or Resource Health, spaces aside."
        ),
    }
)
_TEMPLATE: Final = Reader(_read_template, _with_placeholders(request_schema(with_source=False)))
_RULE_MEMBERS: Final = an_object(
    {
        "name": string.described("Unique; stands in decisions, logs and the restore's reason."),
        "match": _MATCH.described("What the rule is about. A member left out matches all."),
        "restore": _TEMPLATE.described(
            f"The restore request to start; the alert names its virtual machine. {_PLACES_TOLD}"
        ),
        "deny": boolean.described("Never restore what this rule matches."),
        "approval": APPROVAL.described("Whether a person must say yes first. In-place restores always wait."),
        "coolDown": duration_up_to(_LONGEST).described(
            "No further restore of the same virtual machine so long after one. Default PT1H."
        ),
        "maxPerHour": whole_number(1, _MOST).described("How many restores the rule may start within an hour."),
    },
    needed=("name",),
)
_RULE: Final = Reader(
    _read_rule,
    {
        **_RULE_MEMBERS.schema,
        "oneOf": [
            {"required": ["restore"], "properties": {"deny": {"const": False}}},
            {
                "required": ["deny"],
                "properties": {"deny": {"const": True}, "restore": False, **dict.fromkeys(_NOT_WITH_DENY, False)},
            },
        ],
    },
)
_FILE: Final = an_object(
    {
        "$schema": string.described("For editors: the path of this schema."),
        "rules": array(_RULE).described("In order: the first one that matches decides. What none matches is ignored."),
        "storm": an_object(
            {
                "distinctVms": whole_number(1, _MOST).described("Default 10."),
                "within": duration_up_to(_LONGEST, least=timedelta(seconds=1)).described("Default PT10M."),
            }
        ).described("Over so many different virtual machines within this time, every start waits for a person."),
    },
    needed=("rules",),
)


def rules_schema() -> Json:
    """Return the JSON Schema (draft 2020-12) of the file, made of the readers that ``Rules.from_json`` uses.

    What it cannot say: that names are unique, that patterns can match, and what ids of a request have in common.
    """
    known = "|".join(PLACEHOLDERS)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules for restores that alerts start",
        "description": "AUTO_RESTORE_RULES: which alert of Azure Monitor restores which virtual machine, and how.",
        **_FILE.schema,
        "$defs": {
            "template": {"type": "string", "pattern": rf"^(?![\s\S]*\{{(?!({known})\}})[^{{}}]*\}})"},
            "placeholders": {"pattern": rf"^(?![\s\S]*[\u0000-\u001f\u007f-\u009f])[\s\S]*\{{({known})\}}"},
        },
    }
