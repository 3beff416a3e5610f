"""Which VMs an alert names. The name of a computer is not enough: only a resource id identifies a VM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from domain.alerts.fields import items_of, letters_of, member_of, name_list, object_of, single_line, value_of
from domain.alerts.kinds import AlertKind
from domain.azure import resource_ids as ids
from domain.azure.resource_ids import ResourceId
from domain.texts import hidden_character, trimmed
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

type Found = tuple[tuple[str, ...], tuple[str, ...]]
"""Ids of VMs, and a sentence for each name for which no id was found."""

_VM_SEGMENTS: Final = 9  # '', subscriptions, S, resourceGroups, G, providers, Microsoft.Compute, virtualMachines, VM
_ID_COLUMNS: Final = frozenset({"_resourceid", "resourceid"})
# Names of labels and dimensions, letters only: exporters write microsoft.resourceid, microsoft_resourceid, resource_id.
_LABEL: Final = "microsoftresourceid"
_ID_LABELS: Final = frozenset({_LABEL, "resourceid", "azureresourceid"})
_SCOPE_IT: Final = "Scope the alert rule to virtual machines, so that it fires for each of them"
_QUERY_IT: Final = "Make the alert rule's query return _ResourceId and split the alert by it."
_LABEL_IT: Final = (
    "Keep the label microsoft.resourceid, the resource id of the virtual machine, in the result of the alert rule's "
    "query, or add it to the labels of the rule."
)
_REMEDIES: Final[Mapping[AlertKind, str]] = {
    AlertKind.METRIC: f"{_SCOPE_IT}.",
    AlertKind.PROMETHEUS: _LABEL_IT,
    AlertKind.RESOURCE_HEALTH: f"{_SCOPE_IT} and not for a resource group or subscription.",
    AlertKind.ACTIVITY_LOG: f"{_SCOPE_IT}, with operations of Microsoft.Compute/virtualMachines.",
    AlertKind.LOG_SEARCH: _QUERY_IT,
    AlertKind.LOG_SEARCH_V1: _QUERY_IT,
    AlertKind.BACKUP: (
        "Only an alert about the backup or restore of an Azure virtual machine (linkedResourceId) can start a restore."
    ),
}
_UNKNOWN_KIND: Final = "The app does not know this kind of alert and looks for virtual machines in alertTargetIDs only."


def find_vms(kind: AlertKind, essentials: Mapping[str, Any], context: Mapping[str, Any]) -> Found:
    """Return the ids of the VMs that an alert names, and a sentence for each name for which no id was found.

    The ids are distinct without case, in the order found, and keep their casing. When there is nothing else to return,
    the one sentence says that the alert names no VM and what to change. Beside VMs, other resources need no sentence,
    but what a character that cannot be seen keeps from being a VM's id does.
    """
    targets = items_of(essentials.get("alertTargetIDs"))
    if kind is AlertKind.LOG_SEARCH_V1 and (items := _affected_items(context)):
        # The rows of a metric measurement hold the healthy VMs too: here they only say which id an item has.
        return _resolve_items(items, _distinct_vm_ids([*_ids_in_rows(context), *targets]))
    places: list[list[Any]]
    match kind:
        case AlertKind.METRIC | AlertKind.PROMETHEUS:
            # The target of a query is the workspace that it reads. The dimension ResourceId of a platform metric is a
            # GUID, which is ignored like any other value that is no id of a VM.
            places = [_ids_in_labels(context, {_LABEL}), _ids_in_labels(context, _ID_LABELS), targets]
        case AlertKind.ACTIVITY_LOG:
            places = [[member_of(object_of(member_of(context, "authorization")), "scope"), *targets]]
        case AlertKind.LOG_SEARCH:
            places = [_ids_in_labels(context, _ID_LABELS), targets, items_of(essentials.get("configurationItems"))]
        case AlertKind.LOG_SEARCH_V1:
            places = [_ids_in_rows(context), targets]
        case AlertKind.BACKUP:
            places = [*(items_of(member_of(context, name)) for name in ("linkedResourceId", "sourceId")), targets]
        case _:
            places = [targets]
    for place in places:
        if vm_ids := _distinct_vm_ids(place):
            return vm_ids, tuple(_hidden_characters(place))
    return (), (_no_vm_message(kind, essentials, context),)


def _hidden_characters(values: Iterable[object]) -> Iterator[str]:
    """Yield a sentence for each text that is no id of a VM and has a character that cannot be seen."""
    for text in _distinct(filter(None, map(value_of, values))):
        if _vm_id_in(text) is None and (hidden := hidden_character(text)):
            yield f"The alert names {single_line(text)!r}, which {hidden}."


def _no_vm_message(kind: AlertKind, essentials: Mapping[str, Any], context: Mapping[str, Any]) -> str:
    targets = name_list(essentials.get("alertTargetIDs"))
    nothing = "cannot be read" if items_of(essentials.get("alertTargetIDs")) else "is empty or absent"
    found = f"its targets are {targets}" if targets else f"its alertTargetIDs {nothing}"
    names = name_list(essentials.get("configurationItems"))
    if names and kind in {AlertKind.LOG_SEARCH, AlertKind.LOG_SEARCH_V1}:
        found += f", and computer names alone ({names}) do not say which resource is meant"
    labels = name_list(_ids_in_labels(context, _ID_LABELS)) if kind is AlertKind.PROMETHEUS else ""
    if labels:
        found += f", and its labels name {labels}"
    return f"The alert names no virtual machine: {found}. {_REMEDIES.get(kind, _UNKNOWN_KIND)}"


def _affected_items(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids or computer names that a log search alert v1 lists as affected, distinct without case."""
    return _distinct(trimmed(str(value)) for value in items_of(member_of(context, "AffectedConfigurationItems")))


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


def _ids_in_labels(context: Mapping[str, Any], names: Collection[str]) -> list[object]:
    """Return the values of the labels and dimensions with these names; ``names`` are written with letters only."""
    criteria = [object_of(entry) for entry in items_of(member_of(object_of(member_of(context, "condition")), "allOf"))]
    members = [member_of(holder, name) for holder in (context, *criteria) for name in ("labels", "dimensions")]
    return [value for member in members for name, value in _labels(member) if letters_of(name) in names]


def _labels(member: object) -> Iterator[tuple[object, object]]:
    """Yield names and values of labels: an object, or an array of ``{name, value}`` or ``{key, value}``."""
    for entry in map(object_of, items_of(member)):
        yield from entry.items()
        for name in ("name", "key"):
            yield member_of(entry, name), member_of(entry, "value")


def _ids_in_rows(context: Mapping[str, Any]) -> list[object]:
    cells: list[object] = []
    for table in map(object_of, items_of(member_of(object_of(member_of(context, "SearchResults")), "tables"))):
        columns = [index for index, column in enumerate(items_of(table.get("columns"))) if _is_id_column(column)]
        for row in map(items_of, items_of(table.get("rows"))):
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
    value = value_of(value)
    text = "/".join(value.split("/", _VM_SEGMENTS)[:_VM_SEGMENTS])
    try:
        return ResourceId.parse(text, ids.VIRTUAL_MACHINE).text
    except ValueError:
        return None
