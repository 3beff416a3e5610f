"""The restore request: what a caller may ask for, checked completely before any call to Azure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from domain.azure.resource_ids import VIRTUAL_MACHINE, same_id, subscription_of
from domain.errors import InvalidRequestError, Json
from domain.people import is_named, same_person
from domain.reading import INVALID_VALUE, MISSING_FIELD, NOT_ALLOWED, Problems
from domain.request_schema import (
    ATTACH_DISKS,
    BEFORE_SWAP,
    CONDITIONS,
    CREATE_VIRTUAL_MACHINE,
    FOLLOW_UPS,
    NOT_OF_TEMPLATE,
    ORIGINAL_LOCATION,
    PASSED_ON,
    REQUEST,
    SWAP_DISKS,
    replaces_disks,
    swaps_disks,
)
from domain.times import parse_duration, parse_request_time
from domain.wire import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_PRIVATE_ACCESS: Final = "EnablePrivateAccessForAllDisks"
_DEFAULT_APPROVAL_TIMEOUT: Final = timedelta(hours=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPointCriteria:
    """Which recovery points are acceptable; everything ``None`` means the newest that can be restored."""

    point_id: str | None = None
    at_or_before: datetime | None = None
    not_older_than: timedelta | None = None
    consistency: tuple[str, ...] | None = None
    tiers: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a ``recoveryPoint`` object that passed its checks."""
        at_or_before, not_older_than = data.get("atOrBefore"), data.get("notOlderThan")
        return cls(
            point_id=data.get("id"),
            at_or_before=parse_request_time(at_or_before) if at_or_before else None,
            not_older_than=parse_duration(not_older_than) if not_older_than else None,
            consistency=tuple(data["consistency"]) if "consistency" in data else None,
            tiers=tuple(data["tiers"]) if "tiers" in data else None,
        )


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A request that passed every check. ``body`` is what the caller sent, without the members that were ``null``."""

    body: Json

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Check a caller's JSON; raises an ``InvalidRequestError`` that names every problem, not only the first."""
        problems = Problems()
        body: Json = REQUEST(data, "", problems)
        if isinstance(data, dict):
            for condition in CONDITIONS:
                condition.check(body, problems)
            _check_targets(body, problems)
            _check_details(body, problems)
            _check_approval(body, problems)
            _check_new_machine(body, problems)
            _check_attachment(body, problems)
        if problems.found:
            raise InvalidRequestError(problems.found)
        return cls(body)

    def to_json(self) -> Json:
        """Return the request in the form that ``from_json`` reads."""
        return self.body

    @property
    def source_resource_id(self) -> str | None:
        """The id of the backed-up VM, or ``None`` where vault, container and item identify it."""
        return self.body.get("sourceResourceId")

    @property
    def recovery_type(self) -> str:
        """``RestoreDisks``, ``AlternateLocation`` or ``OriginalLocation``."""
        return self.body["recoveryType"]

    @property
    def is_in_place(self) -> bool:
        """Whether the disks of the backed-up VM itself are replaced (``OriginalLocation``)."""
        return self.recovery_type == ORIGINAL_LOCATION

    @property
    def replaces_disks(self) -> bool:
        """Whether disks of an existing VM are replaced, by Azure Backup in place or by a swap after the restore."""
        return replaces_disks(self.body)

    @property
    def passed_on(self) -> Json:
        """The members that go into ``IaasVMRestoreRequest`` unchanged."""
        return {name: value for name, value in self.body.items() if name in PASSED_ON}

    @property
    def then_swap_disks(self) -> Json | None:
        """``thenSwapDisks``; ``None`` if the restored disks are not to be put into the backed-up VM."""
        return self.body.get(SWAP_DISKS)

    @property
    def then_create_virtual_machine(self) -> Json | None:
        """``thenCreateVirtualMachine``; ``None`` if no VM is to be made of the restored disks."""
        return self.body.get(CREATE_VIRTUAL_MACHINE)

    @property
    def then_attach_disks(self) -> Json | None:
        """``thenAttachDisks``; ``None`` if the restored disks are not to be attached to another VM."""
        return self.body.get(ATTACH_DISKS)

    @property
    def has_follow_up(self) -> bool:
        """Whether something is to be done with the restored disks."""
        return any(name in self.body for name in FOLLOW_UPS)

    @property
    def new_virtual_machine_id(self) -> str | None:
        """The id of the VM that is to be made of the restored disks, if one is."""
        asked = self.then_create_virtual_machine
        if asked is None:
            return None
        named = f"{self.target_group}/providers/{VIRTUAL_MACHINE.label}/{asked.get('name')}"
        return asked.get("virtualMachineId", named)

    @property
    def disk_luns(self) -> list[int] | None:
        """The LUNs of the disks to restore (``restoreDiskLunList``); ``None`` for all disks."""
        return self.body.get("restoreDiskLunList")

    @property
    def target_group(self) -> str | None:
        """The id of the resource group that gets the managed disks or the new VM."""
        return self.body.get("targetResourceGroupId")

    @property
    def criteria(self) -> RecoveryPointCriteria:
        """Which recovery points the caller accepts."""
        return RecoveryPointCriteria.from_json(self.body.get("recoveryPoint", {}))

    @property
    def rehydrates(self) -> bool:
        """Whether an archived recovery point may be chosen, which Azure Backup then rehydrates first."""
        return "recoveryPointRehydrationInfo" in self.body

    @property
    def validate_first(self) -> bool:
        """Whether Azure Backup validates the restore before it is triggered."""
        return self.body.get("validate", True)

    @property
    def is_plan(self) -> bool:
        """Whether the caller wants only a plan (``dryRun``): all is read and checked, but nothing is restored."""
        return self.body.get("dryRun", False)

    @property
    def needs_approval(self) -> bool:
        """Whether a person must approve the restore before it is triggered."""
        approval = as_object(self.body.get("approval"))
        return approval.get("required", False) and approval.get("before") != BEFORE_SWAP

    @property
    def needs_approval_of_swap(self) -> bool:
        """Whether a person must approve the swap of the disks, once they are restored (``approval.before``)."""
        approval = as_object(self.body.get("approval"))
        return approval.get("required", False) and approval.get("before") == BEFORE_SWAP

    @property
    def needs_other_approver(self) -> bool:
        """Whether the person who requested the restore must not approve it (``approval.distinct``)."""
        return as_object(self.body.get("approval")).get("distinct", False)

    def may_be_approved_by(self, name: str | None) -> bool:
        """Return whether the person of this name may approve the restore; anybody may reject it."""
        if not self.needs_other_approver:
            return True
        return is_named(name) and not same_person(name, self.body.get("requestedBy"))

    @property
    def approval_timeout(self) -> timedelta:
        """How long to wait for a person to approve the restore in the app, or at the Resource Guard in Azure."""
        timeout: str | None = as_object(self.body.get("approval")).get("timeout")
        return parse_duration(timeout) if timeout else _DEFAULT_APPROVAL_TIMEOUT

    @property
    def request_id(self) -> str | None:
        """The caller's idempotency key."""
        return self.body.get("requestId")

    @property
    def fingerprint(self) -> str:
        """SHA-256 in hex of the request; the order of its members does not change it."""
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def _check_targets(body: Json, problems: Problems) -> None:
    def valid(name: str) -> str | None:
        return None if problems.exist_at(name) else body.get(name)

    vm, group, source = map(valid, ("targetVirtualMachineId", "targetResourceGroupId", "sourceResourceId"))
    if vm and group and not vm.lower().startswith(f"{group.lower()}/"):
        problems.add(INVALID_VALUE, "targetVirtualMachineId", "must be in targetResourceGroupId")
    if vm and source and same_id(vm, source):
        message = "must not be the VM that was backed up; use OriginalLocation to replace its disks"
        problems.add(NOT_ALLOWED, "targetVirtualMachineId", message)
    network, subnet = valid("virtualNetworkId"), valid("subnetId")
    if network and subnet and not subnet.lower().startswith(f"{network.lower()}/subnets/"):
        problems.add(INVALID_VALUE, "subnetId", "must be a subnet of virtualNetworkId")


def _check_network_access(settings: Mapping[str, Any], problems: Problems) -> None:
    option, member = "targetDiskNetworkAccessOption", "targetDiskNetworkAccessSettings"
    if option not in settings or problems.exist_at(f"{member}.{option}"):
        return
    is_private, has_id = settings[option] == _PRIVATE_ACCESS, "targetDiskAccessId" in settings
    if is_private and not has_id:
        problems.add(MISSING_FIELD, f"{member}.targetDiskAccessId", f"is needed for {_PRIVATE_ACCESS}")
    if has_id and not is_private:
        problems.add(NOT_ALLOWED, f"{member}.targetDiskAccessId", f"is only for {_PRIVATE_ACCESS}; leave it out")


def _check_details(body: Json, problems: Problems) -> None:
    _check_network_access(as_object(body.get("targetDiskNetworkAccessSettings")), problems)
    identity = body.get("identityInfo")
    if identity is None or problems.exist_at("identityInfo"):
        return
    system_assigned, user_assigned = identity.get("isSystemAssignedIdentity"), "managedIdentityResourceId" in identity
    if not system_assigned and not user_assigned:
        message = "must be true unless managedIdentityResourceId is given"
        problems.add(MISSING_FIELD, "identityInfo.isSystemAssignedIdentity", message)
    if system_assigned and user_assigned:
        message = "is not allowed when isSystemAssignedIdentity is true; give one of them"
        problems.add(NOT_ALLOWED, "identityInfo.managedIdentityResourceId", message)


def _check_approval(body: Json, problems: Problems) -> None:
    approval = as_object(body.get("approval"))
    if approval.get("before") == BEFORE_SWAP and not swaps_disks(body):
        problems.add(NOT_ALLOWED, "approval.before", f"may be {BEFORE_SWAP} only together with {SWAP_DISKS}")
    wanted, requester = approval.get("distinct"), "requestedBy"
    if wanted is True and not problems.exist_at(requester) and not is_named(body.get(requester)):
        problems.add(MISSING_FIELD, requester, "is needed for approval.distinct: this person must not approve")


def _check_new_machine(body: Json, problems: Problems) -> None:
    path = CREATE_VIRTUAL_MACHINE
    asked = as_object(body.get(path))
    if path not in body or problems.exist_at(path):
        return
    vm_id, group = asked.get("virtualMachineId"), body.get("targetResourceGroupId")
    if (vm_id is None) == ("name" not in asked):
        problems.add(MISSING_FIELD, f"{path}.name", "is needed, or virtualMachineId; give one of them")
        return
    if group and not problems.exist_at("targetResourceGroupId"):
        new_id = vm_id or f"{group}/providers/{VIRTUAL_MACHINE.label}/{asked['name']}"
        if not new_id.lower().startswith(f"{group.lower()}/"):
            problems.add(INVALID_VALUE, f"{path}.virtualMachineId", "must be in targetResourceGroupId")
        if body.get("sourceResourceId") and same_id(new_id, body["sourceResourceId"]):
            message = f"must not name the VM that was backed up; use {SWAP_DISKS} to give it the restored disks"
            problems.add(NOT_ALLOWED, f"{path}.{'name' if vm_id is None else 'virtualMachineId'}", message)
    _check_subscription(asked, ("subnetId", "networkSecurityGroupId", "availabilitySetId"), path, body, problems)
    for name in NOT_OF_TEMPLATE if asked.get("template") else ():
        if name in asked:
            problems.add(NOT_ALLOWED, f"{path}.{name}", "is not allowed with template true, which takes names alone")
    if "zone" in asked and body.get("zones") != [asked["zone"]]:
        problems.add(
            INVALID_VALUE, f"{path}.zone", "must be the zone in zones, which says where the disks are restored"
        )
    if "zone" in asked and "availabilitySetId" in asked:
        problems.add(NOT_ALLOWED, f"{path}.availabilitySetId", "is not allowed together with zone")


def _check_subscription(
    asked: Mapping[str, Any], names: Sequence[str], path: str, body: Json, problems: Problems
) -> None:
    """Add a problem for each of these members that is in another subscription than the restored disks."""
    group = body.get("targetResourceGroupId")
    if not group or problems.exist_at("targetResourceGroupId"):
        return
    for name in names:
        if name in asked and not same_id(subscription_of(asked[name]), subscription_of(group)):
            problems.add(INVALID_VALUE, f"{path}.{name}", "must be in the subscription of targetResourceGroupId")


def _check_attachment(body: Json, problems: Problems) -> None:
    path, luns = ATTACH_DISKS, body.get("restoreDiskLunList")
    asked = as_object(body.get(path))
    if not problems.exist_at(path):
        _check_subscription(asked, ("virtualMachineId",), path, body, problems)
    wanted = asked.get("luns")
    if wanted is None or luns is None or problems.exist_at(path) or problems.exist_at("restoreDiskLunList"):
        return
    missing = sorted(set(wanted) - {-1, *luns})
    if missing:
        message = f"names LUN {', '.join(map(str, missing))}, which restoreDiskLunList does not restore"
        problems.add(INVALID_VALUE, f"{path}.luns", message)
