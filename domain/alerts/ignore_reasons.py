"""Reasons to ignore an alert whatever the rules say: it is over, a user's own action, or not an incident of a VM."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import letters_of, member_of, single_line, value_of
from domain.alerts.kinds import AlertKind, operation_of
from domain.alerts.resource_health import causes_of, health_ignore_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ACTING_CONDITIONS: Final = frozenset({"fired", "active"})
_DELETION: Final = "Microsoft.Compute/virtualMachines/delete"
_VM_ITEM: Final = "vm;"  # how the native name of a virtual machine's protected item begins
_VM_SOURCE: Final = re.compile(r"(microsoftcompute|azure|iaas)*(vm|virtualmachines?)(protecteditem|container)?")
_NO_VM: Final[Mapping[AlertKind, str]] = {
    AlertKind.SERVICE_HEALTH: (
        "Service Health names no single virtual machine: it is about services and regions of Azure. "
        "Resource Health has alerts for single virtual machines."
    ),
    AlertKind.COST: "A cost alert names no virtual machine: it is about spending.",
    AlertKind.SMART_DETECTION: (
        "An alert of smart detection names no virtual machine: it is about the behaviour of an application."
    ),
}


def ignore_reason(kind: AlertKind, essentials: Mapping[str, Any], context: Mapping[str, Any]) -> str | None:
    """Return why an alert must start nothing, as a sentence; ``None`` when the rules decide."""
    if kind in _NO_VM:
        return _NO_VM[kind]
    condition = essentials["monitorCondition"]
    if condition.strip().lower() not in _ACTING_CONDITIONS:
        return f"The alert is {single_line(condition)}; only a Fired alert starts a restore."
    if any("userinitiated" in letters_of(cause) for cause in causes_of(context)):
        return "The alert names the cause UserInitiated: a user's own action, such as stopping the virtual machine."
    check = _CHECKS.get(kind)
    return None if check is None else check(context)


def _activity_reason(context: Mapping[str, Any]) -> str | None:
    operation = operation_of(context)
    status, caller = (value_of(member_of(context, name)) for name in ("status", "caller"))
    if operation.lower() != _DELETION.lower():
        name = single_line(operation) or "an operation without a name"
        by = f" by {single_line(caller)}" if caller else ""
        return f"The alert reports {name}{by}; of all operations only {_DELETION} can start a restore."
    if status and status.lower() != "succeeded":
        return f"The operation {single_line(operation)} has the status {single_line(status)}, not Succeeded."
    return None


def _backup_reason(context: Mapping[str, Any]) -> str | None:
    category = member_of(context, "category")
    if category is not None and letters_of(value_of(category)) != "jobs":
        name = single_line(str(category))
        return f"The alert of Azure Backup has the category {name}; only the category Jobs starts a restore."
    source_type = value_of(member_of(context, "sourceType"))
    if source_type and not _VM_SOURCE.fullmatch(letters_of(source_type)):
        return f"The alert is about {single_line(source_type)}, not about the backup of a whole virtual machine."
    item, source = member_of(context, "protectedItemId"), value_of(member_of(context, "sourceId"))
    item_ids = [*([] if item is None else [value_of(item)]), *([source] if ";" in source else [])]
    for name in (item_id.rstrip("/").rpartition("/")[2] for item_id in item_ids):
        if not name.lower().startswith(_VM_ITEM):
            return f"The alert is about the protected item {single_line(name)!r}, which is not a whole virtual machine."
    return None


_CHECKS: Final[Mapping[AlertKind, Callable[[Mapping[str, Any]], str | None]]] = {
    AlertKind.RESOURCE_HEALTH: health_ignore_reason,
    AlertKind.ACTIVITY_LOG: _activity_reason,
    AlertKind.BACKUP: _backup_reason,
}
