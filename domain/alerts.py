"""Azure Monitor's common alert schema: which VMs an alert is about, and whether it may start anything at all.

Each kind of alert names its VM elsewhere. Azure adds members at will and changes the case of ids: what is unknown is
left aside, an optional member of the wrong type counts as absent. Source: Azure Monitor's schema pages and payloads
that users have published (metric, Resource Health, activity log, log search v1 and v2, Azure Backup).
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId
from domain.errors import InvalidRequestError
from domain.reading import INVALID_VALUE, MISSING_FIELD, Problems, string
from domain.times import parse_api_time
from domain.wire import as_list, as_object, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

SCHEMA_ID: Final = "azureMonitorCommonAlertSchema"
MOST_VMS: Final = 1000

_VM_SEGMENTS: Final = 9  # '', subscriptions, S, resourceGroups, G, providers, Microsoft.Compute, virtualMachines, VM
_ID_COLUMNS: Final = frozenset({"_resourceid", "resourceid"})
_ACTING: Final = frozenset({"fired", "active"})
_DELETION: Final = "Microsoft.Compute/virtualMachines/delete"
_ACTING_CAUSES: Final = frozenset({"platforminitiated", "unknown"})
_VM_ITEM: Final = "vm;"  # how the native name of a virtual machine's protected item begins
_VM_SOURCE: Final = re.compile(r"(microsoftcompute|azure|iaas)*(vm|virtualmachines?)(protecteditem|container)?")
_DEEPEST: Final = 10
_NAMES_SHOWN: Final = 3
_LONGEST_TEXT: Final = 1024
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What the rules and the guards need of an alert.

    ``alert_id``, ``alert_rule``, ``severity`` and ``monitoring_service`` are as they came, the latter three ``""`` when
    absent. ``fired`` is aware UTC, or ``None``; clocks differ, so no decision rests on it. ``vm_ids`` are distinct
    without case, in the order found, their casing kept. ``ignored`` says why the alert must start nothing, ``no_vm``
    why it names no VM and what to change. ``unclear`` has a sentence for each name that may not be taken for a VM.
    """

    alert_id: str
    alert_rule: str
    severity: str
    monitoring_service: str
    fired: datetime | None
    vm_ids: tuple[str, ...]
    ignored: str | None
    no_vm: str | None
    unclear: tuple[str, ...] = ()


def read_alert(data: object) -> Alert:
    """Read an alert in the common alert schema; raises ``InvalidRequestError`` with every problem for anything else."""
    problems = Problems()
    essentials = _essentials(data, problems)
    if problems.found:
        raise InvalidRequestError(problems.found)
    context = _opened(as_object(as_object(data)["data"]).get("alertContext"))
    kind = _kind(essentials, context)
    vm_ids = _distinct(_VMS[kind](essentials, context))
    unclear = tuple(_unclear(essentials, context)) if kind == _OLD_LOG else ()
    if (named := len(vm_ids) + len(unclear)) > MOST_VMS:
        message = f"names {named} virtual machines; at most {MOST_VMS} are taken from one alert, split the rule"
        problems.add(INVALID_VALUE, "data", message)
        raise InvalidRequestError(problems.found)
    return Alert(
        alert_id=essentials["alertId"],
        alert_rule=_text(essentials, "alertRule"),
        severity=_text(essentials, "severity"),
        monitoring_service=_text(essentials, "monitoringService"),
        fired=parse_api_time(essentials.get("firedDateTime")),
        vm_ids=vm_ids,
        ignored=_why_ignored(kind, essentials, context),
        no_vm=None if vm_ids else _why_no_vm(kind, essentials),
        unclear=unclear,
    )


def plain(text: str, most: int = _LONGEST_NAME) -> str:
    """Return a sender's text as one line that fits into any log or queue, cut to ``most`` characters."""
    kept = text[:most]
    return "".join(" " if unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} else each for each in kept).strip()


def without_spaces(text: str) -> str:
    """Return a name as Azure's pages and payloads agree on it: without case and without spaces."""
    return "".join(text.lower().split())


def _essentials(data: object, problems: Problems) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        problems.add(INVALID_VALUE, None, f"must be a JSON object, an alert in Azure Monitor's {SCHEMA_ID}")
        return {}
    body = cast("Mapping[str, Any]", data)
    schema = body.get("schemaId")
    if not isinstance(schema, str) or schema.lower() != SCHEMA_ID.lower():
        message = f"must be {SCHEMA_ID}: switch 'Enable the common alert schema' on in the action group's receiver"
        problems.add(MISSING_FIELD if schema is None else INVALID_VALUE, "schemaId", message)
        return {}
    essentials = as_object(body.get("data")).get("essentials")
    if not isinstance(essentials, dict):
        problems.add(MISSING_FIELD if essentials is None else INVALID_VALUE, "data.essentials", "must be a JSON object")
        return {}
    known = cast("Mapping[str, Any]", essentials)
    for name in ("alertId", "monitorCondition"):
        if known.get(name) is None:
            problems.add(MISSING_FIELD, f"data.essentials.{name}", "is needed")
        else:
            string(known[name], f"data.essentials.{name}", problems)
    return known


def _kind(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    service, signal = (_letters(_text(essentials, name)) for name in ("monitoringService", "signalType"))
    kind = _KINDS.get(service, _OTHER)
    if signal == "activitylog" or service.startswith("activitylog"):
        return _HEALTH if kind == _HEALTH else _ACTIVITY
    if service == "platform":
        return _OLD_LOG if signal == "log" else _METRIC
    # Whatever else tells of an operation is one, however it is labelled: somebody may have meant it.
    return _ACTIVITY if kind == _OTHER and _operation(context) else kind


def _why_ignored(kind: str, essentials: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    condition = essentials["monitorCondition"]
    if condition.strip().lower() not in _ACTING:
        return f"The alert is {plain(condition)}; only a Fired one starts a restore."
    causes = dict.fromkeys(_causes(context))
    if any("userinitiated" in _letters(each) for each in causes):
        return "The cause is UserInitiated: someone stopped the virtual machine on purpose."
    if kind == _HEALTH:
        return _why_health_is_no_incident(context, list(causes))
    if kind == _BACKUP:
        return _why_backup_is_no_incident(context)
    return _why_activity_is_no_incident(context) if kind == _ACTIVITY else None


def _why_health_is_no_incident(context: Mapping[str, Any], causes: list[str]) -> str | None:
    status = _value(context.get("status"))
    if status and status.lower() != "active":
        return f"The health event is {plain(status)}; only an Active one starts a restore."
    properties = _opened(_lowered(context).get("properties"))
    if _letters(_value(_lowered(properties).get("currenthealthstatus"))) == "available":
        return "Resource Health says that the virtual machine is available again."
    if _ACTING_CAUSES.isdisjoint(map(_letters, causes)):
        told = f"the cause {_shown(causes)}" if causes else "no cause"
        return f"Resource Health names {told}; only PlatformInitiated and Unknown ones start a restore."
    return None


def _why_activity_is_no_incident(context: Mapping[str, Any]) -> str | None:
    operation, status, caller = _operation(context), _value(context.get("status")), _value(context.get("caller"))
    if operation.lower() != _DELETION.lower():
        told = plain(operation) or "An operation without a name"
        by = f" by {plain(caller)}" if caller else ""
        return f"{told}{by}: somebody did that on purpose. Of all operations only {_DELETION} starts a restore."
    if status and status.lower() != "succeeded":
        return f"The operation {plain(operation)} is reported as {plain(status)}: it was not done, or not yet."
    return None


def _why_backup_is_no_incident(context: Mapping[str, Any]) -> str | None:
    category = context.get("category")
    if category is not None and _letters(_value(category)) != "jobs":
        told = plain(str(category))
        return f"The alert of Azure Backup is of the category {told}; only those of Jobs start a restore."
    source_type = _value(context.get("sourceType"))
    if source_type and not _VM_SOURCE.fullmatch(_letters(source_type)):
        return f"The alert is about {plain(source_type)}, not about the backup of a whole virtual machine."
    sent, source = context.get("protectedItemId"), _value(context.get("sourceId"))
    items = [*([] if sent is None else [_value(sent)]), *([source] if ";" in source else [])]
    for name in (each.rstrip("/").rpartition("/")[2] for each in items):
        if not name.lower().startswith(_VM_ITEM):
            return f"The alert is about the protected item {plain(name)!r}, which is not a whole virtual machine."
    return None


def _lowered(members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name.lower(): each for name, each in members.items()}


def _operation(context: Mapping[str, Any]) -> str:
    action = _opened(context.get("authorization")).get("action")
    return (_value(context.get("operationName")) or _value(action)).strip("/ ")


def _causes(value: object, depth: int = 0, *, within: bool = False) -> Iterator[str]:
    """Yield every text of a member ``cause``, wherever it stands and whatever it is wrapped in: safety hangs on it."""
    if depth > _DEEPEST:
        return
    members = _opened(value)
    for name, each in members.items():
        yield from _causes(each, depth + 1, within=within or _letters(name) == "cause")
    if within:
        for each in as_list(value):
            yield from _causes(each, depth + 1, within=True)
        if isinstance(value, str) and not members and value.strip():
            yield value


def _opened(value: object) -> Mapping[str, Any]:
    """Return a JSON object that may come as a text."""
    if not isinstance(value, str):
        return as_object(value)
    try:
        return as_object(json.loads(value)) if value.lstrip().startswith("{") else {}
    except (ValueError, RecursionError):
        return {}


def _why_no_vm(kind: str, essentials: Mapping[str, Any]) -> str:
    targets = _shown(essentials.get("alertTargetIDs"))
    found = f"its targets are {targets}" if targets else "it has no targets"
    if kind in {_LOG, _OLD_LOG}:
        names = _shown(essentials.get("configurationItems"))
        found += f", and computer names alone ({names}) do not say which resource is meant" if names else ""
    return f"The alert names no virtual machine: {found}. {_REMEDIES[kind]}"


def _targets(essentials: Mapping[str, Any], _: Mapping[str, Any]) -> Iterable[object]:
    return as_list(essentials.get("alertTargetIDs"))


def _in_activity(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Iterable[object]:
    return [_opened(context.get("authorization")).get("scope"), *_targets(essentials, context)]


def _in_log(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Iterable[object]:
    dimensions = [
        as_object(each).get("value")
        for criterion in as_list(as_object(context.get("condition")).get("allOf"))
        for each in as_list(as_object(criterion).get("dimensions"))
        if _is_id_column(as_object(each).get("name"))
    ]
    items = as_list(essentials.get("configurationItems"))
    return _first_that_names_vms(dimensions, _targets(essentials, context), items)


def _in_old_log(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Iterable[object]:
    # A metric measurement's rows hold the healthy machines too, so they count only where no item is called affected.
    if _affected(context):
        return [vm_ids[0] for _, vm_ids in _meant(essentials, context) if len(vm_ids) == 1]
    return _first_that_names_vms(_cells(context), _targets(essentials, context))


def _unclear(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[str]:
    for name, vm_ids in _meant(essentials, context):
        if not vm_ids:
            yield f"The alert calls {name!r} affected, but gives the id of no such virtual machine. {_QUERY_IT}"
        elif len(vm_ids) > 1:
            meant = _shown(list(vm_ids))
            yield f"The alert calls {name!r} affected, which may be each of {meant}: it is not guessed. {_QUERY_IT}"


def _affected(context: Mapping[str, Any]) -> list[Any]:
    items = context.get("AffectedConfigurationItems")
    return as_list(cast("object", items)) if items is None or isinstance(items, list) else [items]


def _meant(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each affected item, which is an id or a computer's name, with the VMs of the alert that it may mean."""
    named: dict[str, list[str]] = {}
    for vm_id in _distinct([*_cells(context), *_targets(essentials, context)]):
        named.setdefault(vm_id.rpartition("/")[2].lower(), []).append(vm_id)
    items: dict[str, str] = {}
    for text in (str(each).strip() for each in _affected(context)):
        items.setdefault(text.lower(), text)
    for name, item in items.items():
        vm_id, host = _vm_of(item), name.partition(".")[0]
        fitting = [*named.get(name, ()), *(named.get(host, ()) if host != name else ())]
        yield plain(item), (vm_id,) if vm_id else tuple(fitting)


def _cells(context: Mapping[str, Any]) -> list[object]:
    found: list[object] = []
    for table in map(as_object, as_list(as_object(context.get("SearchResults")).get("tables"))):
        columns = as_list(table.get("columns"))
        places = [index for index, each in enumerate(columns) if _is_id_column(as_object(each).get("name"))]
        for row in map(as_list, as_list(table.get("rows"))):
            found += [row[index] for index in places if index < len(row)]
    return found


def _in_backup(essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Iterable[object]:
    linked, source = [context.get("linkedResourceId")], [context.get("sourceId")]
    return _first_that_names_vms(linked, source, _targets(essentials, context))


def _first_that_names_vms(*sources: Iterable[object]) -> Iterable[object]:
    return next((source for each in sources if (source := _distinct(each))), ())


_METRIC: Final = "metric"
_HEALTH: Final = "resource health"
_ACTIVITY: Final = "activity log"
_LOG: Final = "log"
_OLD_LOG: Final = "old log"
_BACKUP: Final = "backup"
_OTHER: Final = "other"
_KINDS: Final[Mapping[str, str]] = {
    "resourcehealth": _HEALTH,
    "logalertsv2": _LOG,
    "loganalytics": _OLD_LOG,
    "applicationinsights": _OLD_LOG,
    "azurebackup": _BACKUP,
    "administrative": _ACTIVITY,
}
_VMS: Final = {
    _METRIC: _targets,
    _HEALTH: _targets,
    _ACTIVITY: _in_activity,
    _LOG: _in_log,
    _OLD_LOG: _in_old_log,
    _BACKUP: _in_backup,
    _OTHER: _targets,
}
_SCOPE_IT: Final = "Scope the alert rule to virtual machines, so that it fires for each of them"
_QUERY_IT: Final = "Let the alert rule's query return _ResourceId and split the alert by it."
_REMEDIES: Final[Mapping[str, str]] = {
    _METRIC: f"{_SCOPE_IT}.",
    _HEALTH: f"{_SCOPE_IT} and not for a resource group or subscription.",
    _ACTIVITY: f"{_SCOPE_IT}, with operations of Microsoft.Compute/virtualMachines.",
    _LOG: _QUERY_IT,
    _OLD_LOG: _QUERY_IT,
    _BACKUP: "Only alerts about the backup or restore of an Azure virtual machine (linkedResourceId) can start one.",
    _OTHER: f"{_SCOPE_IT}.",
}


def _distinct(candidates: Iterable[object]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for each in candidates:
        vm_id = _vm_of(each)
        if vm_id is not None:
            found.setdefault(vm_id.lower(), vm_id)
    return tuple(found.values())


def _vm_of(value: object) -> str | None:
    """Return the VM that an id names, or lies in, such as an extension of it; ``None`` where there is none."""
    if not isinstance(value, str):
        return None
    text = "/".join(value.strip().split("/", _VM_SEGMENTS)[:_VM_SEGMENTS])
    try:
        return ResourceId.parse(text, ids.VIRTUAL_MACHINE).text
    except ValueError:
        return None


def _is_id_column(name: object) -> bool:
    return isinstance(name, str) and name.lower() in _ID_COLUMNS


def _text(members: Mapping[str, Any], name: str) -> str:
    # Every rule's patterns go over these texts: what no alert rule is called is not worth a minute of it.
    return (as_text(members.get(name)) or "")[:_LONGEST_TEXT]


def _value(member: object) -> str:
    """Read a word that Azure writes as such, or as ``{"value": …, "localizedValue": …}``."""
    return (as_text(member) or _text(as_object(member), "value")).strip()


def _letters(value: object) -> str:
    return "".join(filter(str.isalnum, (as_text(value) or "").lower()))


def _shown(values: object) -> str:
    texts = [plain(each) for each in as_list(values) if isinstance(each, str) and each.strip()]
    more = f" and {len(texts) - _NAMES_SHOWN} more" if len(texts) > _NAMES_SHOWN else ""
    return ", ".join(texts[:_NAMES_SHOWN]) + more
