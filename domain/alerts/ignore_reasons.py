"""Reasons to ignore an alert whatever the rules say: it is over, intended by somebody, or not an incident of a VM."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import letters_of, name_list, object_of, single_line, value_of
from domain.alerts.kinds import AlertKind, operation_of
from domain.wire import as_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ACTING_CONDITIONS: Final = frozenset({"fired", "active"})
_ACTING_CAUSES: Final = frozenset({"platforminitiated", "unknown"})
_DELETION: Final = "Microsoft.Compute/virtualMachines/delete"
_VM_ITEM: Final = "vm;"  # how the native name of a virtual machine's protected item begins
_VM_SOURCE: Final = re.compile(r"(microsoftcompute|azure|iaas)*(vm|virtualmachines?)(protecteditem|container)?")
_MAX_DEPTH: Final = 10


def ignore_reason(kind: AlertKind, essentials: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    """Return why an alert must start nothing, as a sentence; ``None`` when the rules decide."""
    condition = essentials["monitorCondition"]
    if condition.strip().lower() not in _ACTING_CONDITIONS:
        return f"The alert is {single_line(condition)}; only a Fired alert starts a restore."
    causes = list(dict.fromkeys(_causes(context)))
    if any("userinitiated" in letters_of(cause) for cause in causes):
        return "The cause is UserInitiated: someone stopped the virtual machine on purpose."
    match kind:
        case AlertKind.RESOURCE_HEALTH:
            return _health_reason(context, causes)
        case AlertKind.ACTIVITY_LOG:
            return _activity_reason(context)
        case AlertKind.BACKUP:
            return _backup_reason(context)
        case _:
            return None


def _health_reason(context: Mapping[str, Any], causes: list[str]) -> str | None:
    status = value_of(context.get("status"))
    if status and status.lower() != "active":
        return f"The health event is {single_line(status)}; only an Active event starts a restore."
    properties = object_of(_lower_names(context).get("properties"))
    if letters_of(value_of(_lower_names(properties).get("currenthealthstatus"))) == "available":
        return "Resource Health says that the virtual machine is available again."
    if _ACTING_CAUSES.isdisjoint(map(letters_of, causes)):
        found = f"the cause {name_list(causes)}" if causes else "no cause"
        return f"Resource Health names {found}; only PlatformInitiated and Unknown start a restore."
    return None


def _activity_reason(context: Mapping[str, Any]) -> str | None:
    operation, status, caller = operation_of(context), value_of(context.get("status")), value_of(context.get("caller"))
    if operation.lower() != _DELETION.lower():
        name = single_line(operation) or "An operation without a name"
        by = f" by {single_line(caller)}" if caller else ""
        return f"{name}{by} was done on purpose. Of all operations only {_DELETION} starts a restore."
    if status and status.lower() != "succeeded":
        return f"The operation {single_line(operation)} is {single_line(status)}: it was not done, or not yet."
    return None


def _backup_reason(context: Mapping[str, Any]) -> str | None:
    category = context.get("category")
    if category is not None and letters_of(value_of(category)) != "jobs":
        name = single_line(str(category))
        return f"The alert of Azure Backup has the category {name}; only the category Jobs starts a restore."
    source_type = value_of(context.get("sourceType"))
    if source_type and not _VM_SOURCE.fullmatch(letters_of(source_type)):
        return f"The alert is about {single_line(source_type)}, not about the backup of a whole virtual machine."
    item, source = context.get("protectedItemId"), value_of(context.get("sourceId"))
    item_ids = [*([] if item is None else [value_of(item)]), *([source] if ";" in source else [])]
    for name in (item_id.rstrip("/").rpartition("/")[2] for item_id in item_ids):
        if not name.lower().startswith(_VM_ITEM):
            return f"The alert is about the protected item {single_line(name)!r}, which is not a whole virtual machine."
    return None


def _lower_names(members: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name.lower(): value for name, value in members.items()}


def _causes(value: object, depth: int = 0, *, in_cause: bool = False) -> Iterator[str]:
    """Yield every text of a member ``cause``, at any depth: a cause that is missed could start a wrong restore."""
    if depth > _MAX_DEPTH:
        return
    members = object_of(value)
    for name, member in members.items():
        yield from _causes(member, depth + 1, in_cause=in_cause or letters_of(name) == "cause")
    if in_cause:
        for entry in as_list(value):
            yield from _causes(entry, depth + 1, in_cause=True)
        if isinstance(value, str) and not members and value.strip():
            yield value
