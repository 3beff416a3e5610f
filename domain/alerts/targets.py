"""Which VMs an alert names. The name of a computer is not enough: only a resource id identifies a VM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import name_list, object_of, single_line
from domain.alerts.kinds import AlertKind
from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId
from domain.wire import as_list, as_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

type Found = tuple[tuple[str, ...], tuple[str, ...]]
"""Ids of VMs, and a sentence for each name for which no id was found."""

_VM_SEGMENTS: Final = 9  # '', subscriptions, S, resourceGroups, G, providers, Microsoft.Compute, virtualMachines, VM
_ID_COLUMNS: Final = frozenset({"_resourceid", "resourceid"})
_SCOPE_IT: Final = "Scope the alert rule to virtual machines, so that it fires for each of them"
_QUERY_IT: Final = "Make the alert rule's query return _ResourceId and split the alert by it."
_REMEDIES: Final[Mapping[AlertKind, str]] = {
    AlertKind.RESOURCE_HEALTH: f"{_SCOPE_IT} and not for a resource group or subscription.",
    AlertKind.ACTIVITY_LOG: f"{_SCOPE_IT}, with operations of Microsoft.Compute/virtualMachines.",
    AlertKind.LOG_SEARCH: _QUERY_IT,
    AlertKind.LOG_SEARCH_V1: _QUERY_IT,
    AlertKind.BACKUP: (
        "Only an alert about the backup or restore of an Azure virtual machine (linkedResourceId) can start a restore."
    ),
}


def find_vms(kind: AlertKind, essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Found:
    """Return the ids of the VMs that an alert names, and a sentence for each name for which no id was found.

    The ids are distinct without case, in the order found, and keep their casing. When there is nothing else to return,
    the one sentence says that the alert names no VM and what to change.
    """
    targets = as_list(essentials.get("alertTargetIDs"))
    if kind is AlertKind.LOG_SEARCH_V1 and (items := _affected_items(context)):
        # The rows of a metric measurement hold the healthy VMs too: here they only say which id an item has.
        return _resolve_items(items, _distinct_vm_ids([*_ids_in_rows(context), *targets]))
    places: list[list[Any]]
    match kind:
        case AlertKind.ACTIVITY_LOG:
            places = [[object_of(context.get("authorization")).get("scope"), *targets]]
        case AlertKind.LOG_SEARCH:
            places = [_ids_in_dimensions(context), targets, as_list(essentials.get("configurationItems"))]
        case AlertKind.LOG_SEARCH_V1:
            places = [_ids_in_rows(context), targets]
        case AlertKind.BACKUP:
            places = [[context.get("linkedResourceId")], [context.get("sourceId")], targets]
        case _:
            places = [targets]
    vm_ids = next((found for place in places if (found := _distinct_vm_ids(place))), ())
    return vm_ids, () if vm_ids else (_no_vm_message(kind, essentials),)


def _no_vm_message(kind: AlertKind, essentials: Mapping[str, Any]) -> str:
    targets = name_list(essentials.get("alertTargetIDs"))
    found = f"its targets are {targets}" if targets else "it has no targets"
    names = name_list(essentials.get("configurationItems"))
    if names and kind in {AlertKind.LOG_SEARCH, AlertKind.LOG_SEARCH_V1}:
        found += f", and computer names alone ({names}) do not say which resource is meant"
    return f"The alert names no virtual machine: {found}. {_REMEDIES.get(kind, f'{_SCOPE_IT}.')}"


def _affected_items(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids or computer names that a log search alert v1 lists as affected, distinct without case."""
    items: object = context.get("AffectedConfigurationItems")
    values: list[object] = as_list(items) or ([] if items in (None, []) else [items])
    return _distinct(str(value).strip() for value in values)


def _resolve_items(items: Iterable[str], known_vm_ids: Iterable[str]) -> Found:
    """Find the VM of each affected item, by its id, its name or the first label of its name; never by a guess."""
    vms_by_name: dict[str, list[str]] = {}
    for vm_id in known_vm_ids:
        vms_by_name.setdefault(vm_id.rpartition("/")[2].lower(), []).append(vm_id)
    vm_ids: list[str] = []
    unresolved: list[str] = []
    for item in items:
        vm_id = _vm_id_in(item)
        names = dict.fromkeys((item.lower(), item.lower().partition(".")[0]))
        candidates = [vm_id] if vm_id else [vm_id for name in names for vm_id in vms_by_name.get(name, ())]
        listed = f"The alert lists {single_line(item)!r} as affected, but"
        if len(candidates) == 1:
            vm_ids += candidates
        elif candidates:
            unresolved.append(f"{listed} it may be any of {name_list(candidates)}; the app does not guess. {_QUERY_IT}")
        else:
            unresolved.append(f"{listed} contains no id of a virtual machine with this name. {_QUERY_IT}")
    return _distinct_vm_ids(vm_ids), tuple(unresolved)


def _ids_in_dimensions(context: Mapping[str, Any]) -> list[object]:
    return [
        as_object(dimension).get("value")
        for criterion in as_list(as_object(context.get("condition")).get("allOf"))
        for dimension in as_list(as_object(criterion).get("dimensions"))
        if _is_id_column(dimension)
    ]


def _ids_in_rows(context: Mapping[str, Any]) -> list[object]:
    cells: list[object] = []
    for table in map(as_object, as_list(as_object(context.get("SearchResults")).get("tables"))):
        columns = [index for index, column in enumerate(as_list(table.get("columns"))) if _is_id_column(column)]
        for row in map(as_list, as_list(table.get("rows"))):
            cells += [row[index] for index in columns if index < len(row)]
    return cells


def _is_id_column(column: object) -> bool:
    """Return whether a column or dimension, ``{"name": …}``, holds resource ids."""
    name: object = as_object(column).get("name")
    return isinstance(name, str) and name.lower() in _ID_COLUMNS


def _distinct_vm_ids(values: Iterable[object]) -> tuple[str, ...]:
    return _distinct(filter(None, map(_vm_id_in, values)))


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct texts, compared without case, in their order and first spelling."""
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(text.lower(), text)
    return tuple(first.values())


def _vm_id_in(value: object) -> str | None:
    """Return the id of the VM that a resource id names or lies in, such as an extension of it; ``None`` for others."""
    if not isinstance(value, str):
        return None
    text = "/".join(value.strip().split("/", _VM_SEGMENTS)[:_VM_SEGMENTS])
    try:
        return ResourceId.parse(text, ids.VIRTUAL_MACHINE).text
    except ValueError:
        return None
