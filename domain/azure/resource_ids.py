"""ARM resource ids: parsed, checked, and compared without case, because Azure does not preserve it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from domain.texts import WHITE_SPACE, hidden_character, trimmed

# The names that Azure allows in ids. No slash, percent sign or segment of dots alone may get into a URL path.
_NAME = r"(?u:[-\w.() ]{0,127}[-\w() ])"
_SPACE_AT_AN_EDGE = re.compile(r"(?<=/) | (?=/)")
_PERIOD_AT_THE_END = re.compile(r"(?<=[^/.])\.+(?=/|$)")
# Everything except names is ASCII. In Unicode a long s equals an s without case: one VM would have two ids and two VM
# locks.
_ID = re.compile(
    rf"/subscriptions/(?P<subscription>[-0-9A-Za-z]{{1,64}})/resourceGroups/(?P<group>{_NAME})"
    rf"(?:/providers/(?P<provider>[A-Za-z.]{{1,64}})(?P<path>(?:/[A-Za-z]{{1,64}}/{_NAME})+))?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A type of resource: ``provider`` and ``types`` as in Azure's documentation; both empty for a resource group."""

    provider: str
    types: tuple[str, ...]
    example: str

    @property
    def label(self) -> str:
        """The type as Azure writes it, such as ``Microsoft.Compute/virtualMachines``."""
        return "/".join((self.provider, *self.types)) if self.provider else "resource group"


def _kind(provider: str, *types: str) -> ResourceKind:
    path = "".join(f"/{kind}/<name>" for kind in types)
    return ResourceKind(provider, types, f"/subscriptions/<id>/resourceGroups/<name>/providers/{provider}{path}")


VIRTUAL_MACHINE = _kind("Microsoft.Compute", "virtualMachines")
VAULT = _kind("Microsoft.RecoveryServices", "vaults")
STORAGE_ACCOUNT = _kind("Microsoft.Storage", "storageAccounts")
VIRTUAL_NETWORK = _kind("Microsoft.Network", "virtualNetworks")
SUBNET = _kind("Microsoft.Network", "virtualNetworks", "subnets")
DISK_ENCRYPTION_SET = _kind("Microsoft.Compute", "diskEncryptionSets")
DISK_ACCESS = _kind("Microsoft.Compute", "diskAccesses")
MANAGED_IDENTITY = _kind("Microsoft.ManagedIdentity", "userAssignedIdentities")
RESOURCE_GROUP = ResourceKind("", (), "/subscriptions/<id>/resourceGroups/<name>")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceId:
    """One parsed id. ``text`` is the id in its original case, without white space around it and trailing slashes."""

    text: str
    subscription_id: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, text: str, kind: ResourceKind) -> Self:
        """Parse an id of this kind; raises ``ValueError`` that names a hidden character or has an example of an id.

        White space around the id is dropped: with it, one VM would have two ids and two VM locks. For the same reason
        an id with the period of a sentence after it is refused.
        """
        text = trimmed(text).rstrip(f"/{WHITE_SPACE}")
        if hidden := hidden_character(text):
            raise ValueError(hidden)
        if space := _SPACE_AT_AN_EDGE.search(text):
            raise ValueError(f"contains U+0020 at position {space.start() + 1}, a space beside a slash: remove it")
        if period := _PERIOD_AT_THE_END.search(text):
            where = f"contains a period at position {period.start() + 1}"
            raise ValueError(f"{where}, but no name in Azure ends in a period: remove it")
        match = _ID.fullmatch(text)
        if match is not None:
            segments = (match["path"] or "").split("/")[1:]
            types = tuple(segment.casefold() for segment in segments[::2])
            expected = tuple(kind_type.casefold() for kind_type in kind.types)
            if (match["provider"] or "").casefold() == kind.provider.casefold() and types == expected:
                name = segments[-1] if segments else match["group"]
                return cls(text=text, subscription_id=match["subscription"], resource_group=match["group"], name=name)
        raise ValueError(f"must be the resource id of a {kind.label}, such as {kind.example}")


def same_id(left: str, right: str) -> bool:
    """Return whether two ids name the same resource; case and trailing slashes make no difference."""
    # casefold would take Straße and Strasse for the same name; to Azure they are two resource groups.
    return left.rstrip("/").lower() == right.rstrip("/").lower()
