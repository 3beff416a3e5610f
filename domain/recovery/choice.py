"""Chooses the members of a recovery among the protected virtual machines that Azure Resource Graph lists.

A virtual machine that a group names belongs to the first group that names it, whatever other groups select: so what a
plan names can be checked before the recovery, and has the template that its author gave it. Any other belongs to the
first group that selects it. ``except`` is part of a selection: it leaves out virtual machines of its own group
alone, and never one that is named.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from domain.alerts.patterns import matches_any
from domain.azure.protected_items import source_ids
from domain.azure.resource_ids import VAULT, ResourceId, same_id
from domain.errors import RestoreError, RestoreWarning, TransientError
from domain.wire import as_name, as_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from domain.recovery.plan import RecoveryPlan, Selection


_MAX_FAILURES: Final = 5
_WAIT_S: Final = 10.0


def retry_wait_s(error: RestoreError, failures: int) -> float | None:
    """Return in how many seconds a list that Azure did not give is read again; ``None`` if that is given up.

    ``failures`` is how often in a row it was not given before.
    """
    if not isinstance(error, TransientError) or failures >= _MAX_FAILURES:
        return None
    return error.retry_after_s or _WAIT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedVm:
    """A protected virtual machine as Resource Graph lists it.

    ``vm_ids`` are the ids under which its backups are, the newer first; usually there is one. ``tags`` have their names
    and values in lower case; a virtual machine that is deleted has none.
    """

    vm_ids: Sequence[str]
    vault_id: str
    tags: Mapping[str, str]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self | None:
        """Read a row with the id and the source ids of an item, and ``vmTags``; ``None`` if it is no VM's item."""
        item_id = as_name(row.get("id")) or ""
        try:
            vault = ResourceId.parse(item_id[: item_id.lower().find("/backupfabrics/")], VAULT)
        except ValueError:
            return None
        vm_ids = source_ids({"properties": row})
        if not vm_ids:
            return None
        return cls(vm_ids=vm_ids, vault_id=vault.text, tags=_lower(as_object(row.get("vmTags"))))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenVm:
    """A virtual machine of a recovery, the index of its group, and the vaults that Resource Graph shows for it."""

    vm_id: str
    group: int
    vault_ids: tuple[str, ...] = ()

    def with_vault(self, vault_id: str) -> Self:
        """Return the virtual machine with this vault among its vaults."""
        if any(same_id(vault_id, known) for known in self.vault_ids):
            return self
        return replace(self, vault_ids=(*self.vault_ids, vault_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceProgress:
    """How far Resource Graph has been read: which query, where in it, and what was chosen so far.

    ``total`` is how many rows the query had on its first page; ``restarts`` counts how often it was begun again because
    that changed. ``failures`` counts calls in a row that Azure did not answer.
    """

    query: int = 0
    skip_token: str | None = None
    total: int | None = None
    restarts: int = 0
    failures: int = 0
    chosen: tuple[ChosenVm, ...] = ()
    warnings: tuple[RestoreWarning, ...] = ()


def choose(
    plan: RecoveryPlan, listed: Iterable[ProtectedVm], chosen: Mapping[str, ChosenVm] | None = None
) -> dict[str, ChosenVm]:
    """Return the virtual machines that the plan names, and those that it selects among ``listed``.

    They are returned by their ids in lower case. ``chosen`` is what earlier pages of the list have given.
    """
    named = _named(plan)
    found = {**named, **(chosen or {})}
    selections = [(index, _Selector.of(group.selection)) for index, group in enumerate(plan.groups) if group.selection]
    for vm in listed:
        vm_id = next((vm_id for vm_id in vm.vm_ids if vm_id.lower() in named), vm.vm_ids[0])
        key = vm_id.lower()
        if key not in named:
            group = next((index for index, selector in selections if selector.takes(vm)), None)
            if group is None:
                continue
            # A virtual machine that two vaults list may be selected by another group in the second one.
            known = found.get(key, ChosenVm(vm_id=vm_id, group=group))
            found[key] = replace(known, group=min(group, known.group))
        found[key] = found[key].with_vault(vm.vault_id)
    return found


def _named(plan: RecoveryPlan) -> dict[str, ChosenVm]:
    positions = {group.name: index for index, group in enumerate(plan.groups)}
    return {vm_id.lower(): ChosenVm(vm_id=vm_id, group=positions[group.name]) for group, vm_id in plan.named_members()}


@dataclass(frozen=True, slots=True)
class _Selector:
    """A selection, ready for many comparisons without case."""

    selection: Selection
    vaults: frozenset[str] | None
    tags: Mapping[str, str]

    @classmethod
    def of(cls, selection: Selection) -> Self:
        vaults = None if selection.vault_ids is None else frozenset(map(str.lower, selection.vault_ids))
        return cls(selection, vaults, _lower(selection.tags))

    def takes(self, vm: ProtectedVm) -> bool:
        """Return whether the virtual machine meets all conditions, and no pattern of ``except``."""
        return (
            (self.vaults is None or vm.vault_id.lower() in self.vaults)
            and self.tags.items() <= vm.tags.items()
            and matches_any(self.selection.source_resource_ids, vm.vm_ids[0])
            and not matches_any(self.selection.excluded, vm.vm_ids[0])
        )


def _lower(tags: Mapping[str, Any]) -> dict[str, str]:
    # Azure Resource Manager compares names of tags without case, and their values with it. Here the values are compared
    # without case, too: a VM too many is seen in the list of members; one that is missing, because its tag says Prod
    # instead of prod, is not.
    return {name.lower(): str(value).lower() for name, value in tags.items()}


def by_group(plan: RecoveryPlan, chosen: Mapping[str, ChosenVm]) -> list[list[ChosenVm]]:
    """Return the members of each group: those that it names, in their order, then the others by their ids."""
    positions = {vm_id.lower(): position for position, (_, vm_id) in enumerate(plan.named_members())}
    groups: list[list[ChosenVm]] = [[] for _ in plan.groups]
    for key in sorted(chosen, key=lambda key: (positions.get(key, len(positions)), key)):
        groups[chosen[key].group].append(chosen[key])
    return groups
