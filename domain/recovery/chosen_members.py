"""The members of a recovery before their list is frozen: their order, and the reasons against starting them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from domain.errors import ErrorDetail, InvalidRequestError, RestoreWarning
from domain.reading import INVALID_VALUE
from domain.recovery.choice import by_group, choose
from domain.recovery.plan import taken_targets
from domain.templates import fill, vm_values
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from domain.errors import Json
    from domain.recovery.choice import ChosenVm
    from domain.recovery.plan import Group, RecoveryPlan

_FOR_MEMBERS: Final = ("recoveryPoint", "requestedBy", "reason", "dryRun")
"""What the request of each member takes over from the call that starts the recovery."""


@dataclass(frozen=True, slots=True)
class ChosenMembers:
    """The members of a recovery in the order of their indexes: group after group, each in a row."""

    plan: RecoveryPlan
    vms: Sequence[ChosenVm]
    named: frozenset[str]

    @classmethod
    def of(cls, plan: RecoveryPlan, request: Json, chosen: Mapping[str, ChosenVm]) -> ChosenMembers:
        """Return the members that the plan names, and those of ``chosen``.

        Their requests have what the call asks for: its ``recoveryPoint`` replaces the plan's.
        """
        common = {name: request[name] for name in _FOR_MEMBERS if name in request}
        groups = tuple(replace(group, restore={**group.restore, **common}) for group in plan.groups)
        plan = replace(plan, groups=groups)
        vms = [vm for group in by_group(plan, choose(plan, (), chosen)) for vm in group]
        return cls(plan, vms, frozenset(vm_id.lower() for _, vm_id in plan.named_members()))

    def group_of(self, vm: ChosenVm) -> Group:
        """Return the group of a member."""
        return self.plan.groups[vm.group]

    def is_named(self, vm_id: str) -> bool:
        """Return whether the plan itself names a member."""
        return vm_id.lower() in self.named

    def named_vault(self, vm: ChosenVm) -> str | None:
        """Return the vault that the request of a member names, if any."""
        filled = fill({"vaultId": self.group_of(vm).restore.get("vaultId")}, vm_values(vm.vm_id))
        return filled["vaultId"]

    @property
    def vault_ids(self) -> list[str]:
        """The vaults in which the items of the members may be, each once."""
        found: dict[str, str] = {}
        for vm in self.vms:
            named = self.named_vault(vm)
            for vault_id in vm.vault_ids if named is None else (named,):
                found.setdefault(vault_id.rstrip("/").lower(), vault_id.rstrip("/"))
        return list(found.values())

    def check(self) -> None:
        """Raise ``InvalidRequestError`` with every reason against starting this recovery.

        The reasons: a group without members that is not optional, because the groups after it would start as if it had
        been restored; a member whose names do not fit into its request; members that would be restored under one name.
        """
        problems = [
            _problem(index, f"{group.name} has no virtual machine. {_EMPTY}")
            for index, group in enumerate(self.plan.groups)
            if not group.optional and not self.count_of(index)
        ]
        good: list[tuple[Group, str]] = []
        for vm in self.vms:
            try:
                self.group_of(vm).request_for(vm.vm_id)
            except InvalidRequestError as error:
                problems.append(_problem(vm.group, f"{vm.vm_id} cannot be restored: {error.message}"))
            else:
                good.append((self.group_of(vm), vm.vm_id))
        group_of = {vm.vm_id: vm.group for vm in self.vms}
        for first, second, target in taken_targets(good):
            message = f"restores {first} and {second} under one name to {target}: give one of them another target"
            problems.append(_problem(group_of[second], message))
        if not problems and not self.vms:
            problems.append(
                ErrorDetail(code=INVALID_VALUE, message=f"have no virtual machine. {_EMPTY}", target="groups")
            )
        if problems:
            raise InvalidRequestError(problems)

    def warnings(self) -> Iterator[RestoreWarning]:
        """Yield a warning for each optional group without members."""
        for index, group in enumerate(self.plan.groups):
            if not self.count_of(index):
                message = f"The group {group.name} has no virtual machine. It is optional, so the others are restored."
                yield RestoreWarning(code=WarningCode.GROUP_EMPTY, message=message)

    def count_of(self, group: int) -> int:
        """Return how many members a group has."""
        return sum(vm.group == group for vm in self.vms)


_EMPTY: Final = (
    "The selection finds none that is backed up and that the app's identity may read, or all of them are in other "
    "groups. Correct the selection, give the identity its roles for these vaults and virtual machines, or make the "
    "group optional"
)


def _problem(group: int, message: str) -> ErrorDetail:
    return ErrorDetail(code=INVALID_VALUE, message=message, target=f"groups[{group}]")
