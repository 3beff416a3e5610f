"""ARM resource ids: read, checked and compared without case, because the service changes it at will."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

# Names that Azure's services allow in ids; no slash, percent or dot-only segment may reach a URL path.
_NAME = r"(?!\.{1,2}(?:/|$))(?u:[-\w.() ]{1,128})"
# All but names is ASCII: to Unicode, a long s is an s without case, and one VM would have two ids and two locks.
_ID = re.compile(
    rf"/subscriptions/(?P<subscription>[-0-9A-Za-z]{{1,64}})/resourceGroups/(?P<group>{_NAME})"
    rf"(?:/providers/(?P<provider>[A-Za-z.]{{1,64}})(?P<path>(?:/[A-Za-z]{{1,64}}/{_NAME})+))?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """What an id must name: ``provider`` and ``types`` as in Azure's documentation; both empty for a resource group."""

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
    """One parsed id. ``text`` keeps the caller's casing, without a trailing slash."""

    text: str
    subscription_id: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, text: str, kind: ResourceKind) -> Self:
        """Read an id of this kind; ``ValueError`` says what it should look like."""
        text = text.rstrip("/")
        match = _ID.fullmatch(text)
        if match is not None:
            segments = (match["path"] or "").split("/")[1:]
            types = tuple(segment.casefold() for segment in segments[::2])
            wanted = tuple(kind_type.casefold() for kind_type in kind.types)
            if (match["provider"] or "").casefold() == kind.provider.casefold() and types == wanted:
                name = segments[-1] if segments else match["group"]
                return cls(text=text, subscription_id=match["subscription"], resource_group=match["group"], name=name)
        raise ValueError(f"must be the resource id of a {kind.label}, such as {kind.example}")


def same_id(left: str, right: str) -> bool:
    """Tell whether two ids name the same resource: case and a trailing slash do not count."""
    # Not casefold, for which Straße and Strasse, two groups to Azure, are one.
    return left.rstrip("/").lower() == right.rstrip("/").lower()
