"""The setting ``RESTORE_SCOPES``: the vaults, resource groups, accounts, networks and VMs that the app is meant for.

It does not restrict restores. The preflight checks these scopes, and VMs that are deleted or that the app may not read
are searched for in these vaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, cast

from domain.azure.resource_ids import (
    RESOURCE_GROUP,
    STORAGE_ACCOUNT,
    SUBSCRIPTION,
    VAULT,
    VIRTUAL_MACHINE,
    VIRTUAL_NETWORK,
    subscription_of,
)
from domain.errors import InvalidRequestError
from domain.reading import INVALID_VALUE, Problems, Reader, an_object, boolean, resource_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from domain.azure.resource_ids import ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreScopes:
    """The members of the setting, each without duplicates; ids are in their original case.

    ``staging_scopes`` are the target resource groups if the setting names none. ``reads_templates``: new VMs are made
    by the template that a job leaves in its staging account.
    """

    vault_ids: tuple[str, ...] = ()
    target_resource_group_ids: tuple[str, ...] = ()
    staging_scopes: tuple[str, ...] = ()
    virtual_network_ids: tuple[str, ...] = ()
    virtual_machine_scopes: tuple[str, ...] = ()
    in_place_scopes: tuple[str, ...] = ()
    reads_templates: bool = False

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read the setting; raises ``InvalidRequestError`` that names every problem with its member and index."""
        problems = Problems()
        given = _SCOPES(value, "", problems)
        if problems.found:
            raise InvalidRequestError(problems.found)
        targets = given.get("targetResourceGroupIds", ())
        return cls(
            vault_ids=given.get("vaultIds", ()),
            target_resource_group_ids=targets,
            staging_scopes=given.get("stagingScopes") or targets,
            virtual_network_ids=given.get("virtualNetworkIds", ()),
            virtual_machine_scopes=given.get("virtualMachineScopes", ()),
            in_place_scopes=given.get("inPlaceScopes", ()),
            reads_templates=given.get("readsTemplates", False),
        )

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The subscriptions of the vaults and of the VMs that the app may read."""
        return _without_duplicates(map(subscription_of, (*self.vault_ids, *self.virtual_machine_scopes)))

    @property
    def machine_subscriptions(self) -> tuple[str, ...]:
        """The subscriptions of the VMs that get restored disks, and of the new VMs, which need a network."""
        new = self.target_resource_group_ids if self.virtual_network_ids else ()
        return _without_duplicates(map(subscription_of, (*self.in_place_scopes, *new)))

    def of_member(self, name: str) -> tuple[str, ...]:
        """Return the scopes of a member by its name in the setting; those of ``subscriptions`` are names, too."""
        return {
            "subscriptions": self.subscriptions,
            "machineSubscriptions": self.machine_subscriptions,
            "vaultIds": self.vault_ids,
            "targetResourceGroupIds": self.target_resource_group_ids,
            "stagingScopes": self.staging_scopes,
            "virtualNetworkIds": self.virtual_network_ids,
            "virtualMachineScopes": self.virtual_machine_scopes,
            "inPlaceScopes": self.in_place_scopes,
        }[name]


def _without_duplicates(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the ids without those that differ from an earlier one in case alone."""
    found: dict[str, str] = {}
    for resource in ids:
        found.setdefault(resource.lower(), resource)
    return tuple(found.values())


def _ids(*kinds: ResourceKind) -> Reader:
    entry = resource_id(*kinds)

    def read(value: Any, path: str, problems: Problems) -> tuple[str, ...]:
        if not isinstance(value, list):
            problems.add(INVALID_VALUE, path, "must be an array of resource ids")
            return ()
        before = len(problems.found)
        ids = [entry(text, f"{path}[{index}]", problems) for index, text in enumerate(cast("list[Any]", value))]
        return _without_duplicates(ids) if len(problems.found) == before else ()

    return Reader(read, {"type": "array", "items": entry.schema})


_SCOPES: Final = an_object(
    {
        "vaultIds": _ids(VAULT),
        "targetResourceGroupIds": _ids(RESOURCE_GROUP),
        "stagingScopes": _ids(STORAGE_ACCOUNT, RESOURCE_GROUP),
        "virtualNetworkIds": _ids(VIRTUAL_NETWORK),
        "virtualMachineScopes": _ids(SUBSCRIPTION, RESOURCE_GROUP, VIRTUAL_MACHINE),
        "inPlaceScopes": _ids(RESOURCE_GROUP, VIRTUAL_MACHINE),
        "readsTemplates": boolean,
    }
)
