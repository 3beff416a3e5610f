"""The roster: the frozen list of a recovery's members, with all that their restores need. It is kept as a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final, Self

from domain.azure.protected_items import ProtectedItem
from domain.azure.resource_ids import same_id
from domain.codec import pack, unpack
from domain.errors import Json, RestoreWarning
from domain.recovery.calls import GroupOutline, Resolved
from domain.request_schema import swaps_disks
from domain.requests import RestoreRequest
from domain.restore.state import restore_id_for
from domain.templates import fill, vm_values
from domain.warning_codes import WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from domain.recovery.chosen_members import ChosenMembers

NO_VAULT: Final = -1
_MAX_NAMED: Final = 3


def member_restore_id(recovery_id: str, index: int, attempt: int) -> str:
    """Return the id of the restore of a member; the same attempt always has the same id."""
    return restore_id_for(f"recovery:{recovery_id}:{index}:{attempt}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberItem:
    """The item of a member as its vault lists it. ``source_resource_id`` is set if it is not the member's id.

    ``is_deleted``: it is soft-deleted.
    """

    container_name: str
    protected_item_name: str
    source_resource_id: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterMember:
    """A member. Without ``item``, its restore finds the item by itself.

    ``looked``: all restore jobs of its vault were looked through, and none was that of its first attempt.
    """

    vm_id: str
    item: MemberItem | None = None
    looked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The members by their indexes.

    ``templates`` are the templates of their requests, by the index of the group. ``regions`` are the regions of the
    vaults, by the index of the vault.
    """

    resolved: Resolved
    templates: tuple[Json, ...]
    regions: tuple[str, ...]
    members: tuple[RosterMember, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Read what ``to_json`` wrote."""
        roster: Self = unpack(cls, data)
        return roster

    def to_json(self) -> Json:
        """Return the roster as the record holds it."""
        return pack(self)

    def group_of(self, index: int) -> int:
        """Return the index of a member's group."""
        return self.resolved.group_of(index)

    def vault_of(self, index: int) -> str | None:
        """Return the vault of a member, ``None`` if it is not known yet."""
        vault = self.resolved.vault_of[index]
        return None if vault == NO_VAULT else self.resolved.vault_ids[vault]

    def request_for(self, index: int) -> RestoreRequest:
        """Return the restore request of a member."""
        member, vault_id = self.members[index], self.vault_of(index)
        request: Json = {
            **fill(self.templates[self.group_of(index)], vm_values(member.vm_id)),
            "sourceResourceId": member.vm_id,
        }
        if vault_id is not None and self.item_of(index) is None:
            request["vaultId"] = vault_id
        return RestoreRequest.from_json(request)

    def item_of(self, index: int) -> ProtectedItem | None:
        """Return the protected item of a member, ``None`` if its restore must find it.

        It must for a soft-deleted item, too, which a person may have undeleted before the restore is tried again.
        """
        member, vault_id = self.members[index], self.vault_of(index)
        if member.item is None or member.item.is_deleted or vault_id is None:
            return None
        return ProtectedItem(
            vault_id=vault_id,
            container_name=member.item.container_name,
            protected_item_name=member.item.protected_item_name,
            source_resource_id=member.item.source_resource_id or member.vm_id,
            region=self.regions[self.resolved.vault_of[index]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultReading:
    """What a vault's own lists say of a recovery's members.

    ``items`` are by the member's index, as a text. ``region`` is ``None`` if the vault could not be read; then
    ``problem`` says why. ``with_jobs`` are the members whose first attempt has a job already, ``None`` if the jobs
    could not be read. ``durations_s`` are those of good restores.
    """

    vault_id: str
    region: str | None = None
    items: dict[str, MemberItem] = field(default_factory=dict[str, MemberItem])
    with_jobs: tuple[int, ...] | None = None
    durations_s: tuple[int, ...] = ()
    problem: str | None = None

    @property
    def is_read(self) -> bool:
        """Whether the items of the vault are known."""
        return self.region is not None


def freeze(members: ChosenMembers, readings: Sequence[VaultReading], warnings: Sequence[RestoreWarning]) -> Roster:
    """Return the roster of members whose vaults were read."""
    listed = [_member_in(members, index, readings) for index in range(len(members.vms))]
    durations = [duration_s for reading in readings for duration_s in reading.durations_s]
    resolved = Resolved(
        groups=_outlines(members),
        vault_ids=tuple(reading.vault_id for reading in readings),
        vault_of=tuple(vault for _, vault in listed),
        max_running=members.plan.max_running,
        typical_s=median(durations) if durations else None,
        warnings=(
            *warnings,
            *members.warnings(),
            *_vault_warnings(readings),
            *_deletion_warnings(member for member, _ in listed),
        ),
    )
    return Roster(
        resolved=resolved,
        templates=tuple(group.restore for group in members.plan.groups),
        regions=tuple(reading.region or "" for reading in readings),
        members=tuple(member for member, _ in listed),
    )


def _member_in(members: ChosenMembers, index: int, readings: Sequence[VaultReading]) -> tuple[RosterMember, int]:
    """Return a member and the index of its vault: that of an item that is not soft-deleted, if there is one."""
    vm, named = members.vms[index], members.named_vault(members.vms[index])
    vaults = [place for place, reading in enumerate(readings) if named is None or same_id(named, reading.vault_id)]
    with_item = [vault for vault in vaults if str(index) in readings[vault].items]
    for vault in sorted(with_item, key=lambda vault: readings[vault].items[str(index)].is_deleted):
        reading = readings[vault]
        looked = reading.with_jobs is not None and index not in reading.with_jobs
        item = reading.items[str(index)]
        return RosterMember(vm_id=_vm_id_of(members, vm.vm_id, item), item=item, looked=looked), vault
    if named is None:  # where Resource Graph has seen it, if that vault could not be read
        own = [vault_id.lower() for vault_id in vm.vault_ids]
        vaults = [vault for vault in vaults if not readings[vault].is_read and readings[vault].vault_id.lower() in own]
    return RosterMember(vm_id=vm.vm_id), next(iter(vaults), NO_VAULT)


def _vm_id_of(members: ChosenMembers, vm_id: str, item: MemberItem) -> str:
    """Return the id of a member in the letter case of the plan if that names it, else of the vault.

    Resource Graph may return ids in lower case, but a name in the id may become the name of a new virtual machine.
    """
    written = item.source_resource_id
    return vm_id if written is None or members.is_named(vm_id) or not same_id(written, vm_id) else written


def _outlines(members: ChosenMembers) -> tuple[GroupOutline, ...]:
    plan = members.plan
    outlines: list[GroupOutline] = []
    first = 0
    for index, (group, after) in enumerate(zip(plan.groups, plan.after_indexes(), strict=True)):
        count = members.count_of(index)
        outlines.append(
            GroupOutline(
                name=group.name,
                after=after,
                first=first,
                count=count,
                optional=group.optional,
                approval_timeout=group.approval_timeout,
                swaps=swaps_disks(group.restore),
            )
        )
        first += count
    return tuple(outlines)


def _vault_warnings(readings: Iterable[VaultReading]) -> Iterator[RestoreWarning]:
    for reading in readings:
        if not reading.is_read:
            message = (
                f"The items of {reading.vault_id} could not be listed, so each restore finds its item by itself, with "
                f"more calls to Azure: {reading.problem}"
            )
            yield RestoreWarning(code=WarningCode.VAULT_NOT_READ, message=message)


def _deletion_warnings(members: Iterable[RosterMember]) -> Iterator[RestoreWarning]:
    deleted = [member.vm_id for member in members if member.item is not None and member.item.is_deleted]
    if deleted:
        more = f" and {len(deleted) - _MAX_NAMED} more" if len(deleted) > _MAX_NAMED else ""
        message = (
            f"The backups of {len(deleted)} virtual machines are soft-deleted, and nothing can be restored from them "
            f"before they are undeleted: {', '.join(deleted[:_MAX_NAMED])}{more}"
        )
        yield RestoreWarning(code=WarningCode.ITEM_SOFT_DELETED, message=message)
