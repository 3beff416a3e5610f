"""ARM resource ids: parsed, checked, and compared without case, because Azure does not preserve it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from domain.texts import WHITE_SPACE, hidden_character, trimmed

if TYPE_CHECKING:
    from collections.abc import Sequence

# The names that Azure allows in ids. No slash, percent sign or segment of dots alone may get into a URL path.
_NAME = r"(?u:[-\w.() ]{0,127}[-\w() ])"
_SPACE_AT_AN_EDGE = re.compile(r"(?<=/) | (?=/)")
_PERIOD_AT_THE_END = re.compile(r"(?<=[^/.])\.+(?=/|$)")
# Everything except names is ASCII. In Unicode a long s equals an s without case: one VM would have two ids and two VM
# locks.
_ID = re.compile(
    rf"/subscriptions/(?P<subscription>[-0-9A-Za-z]{{1,64}})(?:/resourceGroups/(?P<group>{_NAME})"
    rf"(?:/providers/(?P<provider>[A-Za-z.]{{1,64}})(?P<path>(?:/[A-Za-z]{{1,64}}/{_NAME})+))?)?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """A type of resource: ``provider`` and ``types`` as in Azure's documentation.

    Both are empty for a resource group and for a subscription.
    """

    provider: str
    types: tuple[str, ...]
    example: str
    is_subscription: bool = False

    @property
    def label(self) -> str:
        """The type as Azure writes it, such as ``Microsoft.Compute/virtualMachines``."""
        if self.provider:
            return "/".join((self.provider, *self.types))
        return "subscription" if self.is_subscription else "resource group"


def _kind(provider: str, *types: str) -> ResourceKind:
    path = "".join(f"/{kind}/<name>" for kind in types)
    return ResourceKind(provider, types, f"/subscriptions/<id>/resourceGroups/<name>/providers/{provider}{path}")


VIRTUAL_MACHINE = _kind("Microsoft.Compute", "virtualMachines")
VAULT = _kind("Microsoft.RecoveryServices", "vaults")
STORAGE_ACCOUNT = _kind("Microsoft.Storage", "storageAccounts")
VIRTUAL_NETWORK = _kind("Microsoft.Network", "virtualNetworks")
SUBNET = _kind("Microsoft.Network", "virtualNetworks", "subnets")
NETWORK_SECURITY_GROUP = _kind("Microsoft.Network", "networkSecurityGroups")
AVAILABILITY_SET = _kind("Microsoft.Compute", "availabilitySets")
DISK_ENCRYPTION_SET = _kind("Microsoft.Compute", "diskEncryptionSets")
DISK_ACCESS = _kind("Microsoft.Compute", "diskAccesses")
MANAGED_IDENTITY = _kind("Microsoft.ManagedIdentity", "userAssignedIdentities")
RESOURCE_GROUP = ResourceKind("", (), "/subscriptions/<id>/resourceGroups/<name>")
SUBSCRIPTION = ResourceKind("", (), "/subscriptions/<id>", is_subscription=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceId:
    """One parsed id. ``text`` is the id in its original case, without white space around it and trailing slashes.

    ``resource_group`` is empty in the id of a subscription.
    """

    text: str
    subscription_id: str
    resource_group: str
    name: str

    @classmethod
    def parse(cls, text: str, *kinds: ResourceKind) -> Self:
        """Parse an id of one of these kinds.

        Raises ``ValueError`` that names a hidden character or has an example of an id.

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
            if any(_is_of_kind(match, segments, kind) for kind in kinds):
                group, subscription_id = match["group"] or "", match["subscription"]
                name = segments[-1] if segments else group or subscription_id
                return cls(text=text, subscription_id=subscription_id, resource_group=group, name=name)
        raise ValueError(f"must be the resource id of a {labels_of(kinds)}, such as {kinds[0].example}")


def _is_of_kind(match: re.Match[str], segments: list[str], kind: ResourceKind) -> bool:
    types = tuple(segment.casefold() for segment in segments[::2])
    return (
        (match["group"] is None) == kind.is_subscription
        and (match["provider"] or "").casefold() == kind.provider.casefold()
        and types == tuple(kind_type.casefold() for kind_type in kind.types)
    )


def labels_of(kinds: Sequence[ResourceKind]) -> str:
    """Return the names of the kinds as a text, such as ``subscription or resource group``."""
    *others, last = (kind.label for kind in kinds)
    return f"{', '.join(others)} or {last}" if others else last


def is_id_of(text: str, kind: ResourceKind) -> bool:
    """Return whether this is an id of that kind."""
    try:
        ResourceId.parse(text, kind)
    except ValueError:
        return False
    return True


def subscription_of(resource_id: str) -> str:
    """Return the id ``/subscriptions/<id>`` of the subscription that a valid id is in."""
    return "/".join(resource_id.split("/")[:3])


def same_id(left: str, right: str) -> bool:
    """Return whether two ids name the same resource; case and trailing slashes make no difference."""
    # casefold would take Straße and Strasse for the same name; to Azure they are two resource groups.
    return left.rstrip("/").lower() == right.rstrip("/").lower()


def same_region(left: str, right: str) -> bool:
    """Return whether two names of regions, such as ``West Europe`` and ``westeurope``, mean the same one."""
    return left.replace(" ", "").casefold() == right.replace(" ", "").casefold()
