"""A recovery plan: which virtual machines are restored, in which order, and how."""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final

from domain import errors
from domain.errors import TerminalError, TransientError
from domain.request_schema import replaces_disks
from domain.requests import RestoreRequest
from domain.templates import fill, vm_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import timedelta

    from domain.alerts.patterns import Pattern
    from domain.errors import Json

MAX_GROUPS: Final = 50
MAX_MEMBERS: Final = 1000
_MAX_SHOWN_PROBLEMS: Final = 3
_RETRY_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which virtual machines Azure Resource Graph finds for a group; ``None`` and no tags are no condition."""

    vault_ids: tuple[str, ...] | None
    source_resource_ids: tuple[Pattern, ...] | None
    tags: Mapping[str, str]
    excluded: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Members that are restored together, once the groups of ``after`` have succeeded.

    ``restore`` is the template of their requests. ``approval_timeout`` is how long the group waits for a person before
    it starts; ``None`` if it does not wait. The failure of a member of an ``optional`` group stops no other group.
    """

    name: str
    after: tuple[str, ...]
    approval_timeout: timedelta | None
    source_resource_ids: tuple[str, ...]
    selection: Selection | None
    optional: bool
    restore: Json

    def request_for(self, vm_id: str) -> RestoreRequest:
        """Return the restore request of one member; raise ``InvalidRequestError`` if its names do not fit."""
        return RestoreRequest.from_json({**fill(self.restore, vm_values(vm_id)), "sourceResourceId": vm_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """A plan that passed every check. ``body`` is what its author wrote; ``max_running`` caps one recovery."""

    name: str
    groups: tuple[Group, ...]
    max_running: int | None
    body: Json

    @property
    def replaces_disks(self) -> bool:
        """Whether disks of an existing virtual machine are replaced: a member's, in place or by a swap."""
        return any(replaces_disks(group.restore) for group in self.groups)

    def named_members(self) -> Iterator[tuple[Group, str]]:
        """Yield each virtual machine that the plan names, once, with the first group that names it."""
        seen: set[str] = set()
        for group in self.groups:
            for vm_id in group.source_resource_ids:
                if vm_id.lower() not in seen:
                    seen.add(vm_id.lower())
                    yield group, vm_id

    def after_indexes(self) -> tuple[tuple[int, ...], ...]:
        """Return for each group the indexes of the groups that it waits for."""
        index_of = {group.name: index for index, group in enumerate(self.groups)}
        return tuple(tuple(index_of[name] for name in group.after) for group in self.groups)

    def waves(self) -> list[list[str]]:
        """Return the names of the groups in lists: those of one list may start at the same time if all goes well."""
        return waves_of({group.name: group.after for group in self.groups})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlans:
    """The plans as the app found them at its start, by their names in lower case.

    ``plans`` is ``None`` if the ``problems`` switch the configured plans off. ``source`` is the path of the file,
    ``"setting"`` if the app setting has the JSON or a value that must not be shown, and ``None`` if there are no plans.
    """

    source: str | None
    plans: Mapping[str, RecoveryPlan] | None
    problems: tuple[str, ...] = ()

    @property
    def what_is_wrong(self) -> str:
        """What the problems switch off, and what to do about them."""
        more = len(self.problems) - _MAX_SHOWN_PROBLEMS
        return (
            "The recovery plans cannot be used, so no recovery can name one; restores, and recoveries with their plan "
            "in the call, work. Correct RECOVERY_PLANS (make plans checks it) and start the app again: "
            f"{'; '.join(self.problems[:_MAX_SHOWN_PROBLEMS])}"
            f"{f'; and {more} more problems, see the log at the start' if more > 0 else ''}"
        )

    def all(self) -> tuple[RecoveryPlan, ...]:
        """Return all plans in their order; raise ``TransientError`` ``ServiceUnavailable`` if they cannot be used."""
        if self.plans is None:
            raise TransientError(errors.SERVICE_UNAVAILABLE, self.what_is_wrong, retry_after_s=_RETRY_S)
        return tuple(self.plans.values())

    def named(self, name: str) -> RecoveryPlan:
        """Return the plan with this name, in any letter case; raise ``TerminalError`` ``NotFound``, or as ``all``."""
        found = next((plan for plan in self.all() if plan.name.lower() == name.lower()), None)
        if found is None:
            message = f"There is no recovery plan {name!r}. GET /api/recovery-plans lists all of them."
            raise TerminalError(errors.NOT_FOUND, message)
        return found


def waves_of(after: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the names of groups in lists: those of one list may start together. ``after``: the groups before each."""
    order = TopologicalSorter(after)
    order.prepare()
    position = {name: index for index, name in enumerate(after)}
    waves: list[list[str]] = []
    while order.is_active():
        ready = sorted(order.get_ready(), key=position.__getitem__)
        waves.append(ready)
        order.done(*ready)
    return waves


def circle_of(after: Mapping[str, Iterable[str]]) -> list[str] | None:
    """Return groups of which each waits for the next, the first also at the end; ``None`` if there is no circle."""
    try:
        TopologicalSorter(after).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return None


def taken_targets(members: Iterable[tuple[Group, str]]) -> list[tuple[str, str, str]]:
    """Return members whose restores would use the same names: the first VM's id, the second's, and what both use.

    A new virtual machine has the name that its request gives it, also one that is made of the restored disks. Restored
    disks are named after their VM and the second in which their job started, so two VMs of one name must not be
    restored to one resource group.
    """
    first_with: dict[tuple[str, str, str], str] = {}
    taken: list[tuple[str, str, str]] = []
    for group, vm_id in members:
        request = group.request_for(vm_id)
        target_group = request.target_group
        if target_group is None:
            continue
        clone: str | None = request.body.get("targetVirtualMachineId")
        new_vm = clone or request.new_virtual_machine_id
        names = {"disks": None if clone is not None else vm_values(vm_id)["vmName"], "vm": new_vm}
        for kind, name in ((kind, name.rpartition("/")[2]) for kind, name in names.items() if name is not None):
            first = first_with.setdefault((target_group.lower(), kind, name.lower()), vm_id)
            if first != vm_id and (first, vm_id) not in {each[:2] for each in taken}:
                taken.append((first, vm_id, f"{target_group}: {name}"))
    return taken
