"""What ARM reads in the address of a call: provider, types, resource group, action; and which providers there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Provider:
    """A resource provider: the date of its first api-version, and its types that ARM lists."""

    first_version: str
    types: tuple[str, ...]


PROVIDERS = {
    "Microsoft.Authorization": Provider("2014-04-01", ("locks", "permissions")),
    "Microsoft.Compute": Provider("2015-05-01", ("disks", "virtualMachines")),
    "Microsoft.DataProtection": Provider("2020-01-01", ("resourceGuards",)),
    "Microsoft.Network": Provider(
        "2014-12-01", ("networkInterfaces", "networkSecurityGroups", "publicIPAddresses", "virtualNetworks")
    ),
    "Microsoft.RecoveryServices": Provider("2015-03-15", ("locations", "vaults")),
    "Microsoft.ResourceGraph": Provider("2018-09-01", ("resources",)),
    "Microsoft.Resources": Provider("2013-03-01", ("deployments", "resourceGroups", "subscriptions", "tenants")),
    "Microsoft.Storage": Provider("2014-12-01", ("storageAccounts",)),
}
"""The resource providers there are, by their namespaces."""

LAST_VERSION = "2026-12-31"
"""No api-version is later. Which dates before that are versions is not checked."""

_ARM = "Microsoft.Resources"
_VERSION = re.compile(r"(\d{4}-\d{2}-\d{2})(-preview)?")
_NAMESPACES = {name.lower(): name for name in PROVIDERS}
_VERBS = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete", "POST": "action"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The parts of a path; a part that is missing is empty, and the casing is the caller's.

    ``namespace`` and ``types`` are those of the last provider in the path.
    """

    subscription: str
    group: str
    is_below_group: bool
    namespace: str
    types: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> Address:
        """Read a path. Keywords such as ``providers`` stand at its even places, names between them."""
        parts = path.strip("/").split("/")
        keywords = [part.lower() for part in parts[::2]]
        names = dict(zip(keywords, parts[1::2], strict=False))
        group = names.get("resourcegroups", "") if keywords[1:2] == ["resourcegroups"] else ""
        namespace, types = "", tuple(parts[::2])
        if "providers" in keywords and len(parts) > 2 * keywords.index("providers") + 1:
            last = 2 * (len(keywords) - 1 - keywords[::-1].index("providers"))
            namespace, types = "".join(parts[last + 1 : last + 2]), tuple(parts[last + 2 :: 2])
        return cls(
            subscription=names.get("subscriptions", "") if keywords[0] == "subscriptions" else "",
            group=group,
            is_below_group=bool(group) and len(keywords) > 2,  # noqa: PLR2004 - subscriptions and resourceGroups
            namespace=namespace,
            types=types,
        )

    @property
    def is_arm(self) -> bool:
        """Whether ARM itself answers: no provider is named, or only named."""
        return not (self.namespace and self.types)

    @property
    def is_known(self) -> bool:
        """Whether there is a provider of this namespace."""
        return not self.namespace or self.namespace.lower() in _NAMESPACES

    @property
    def provider(self) -> str:
        """The namespace of the provider that answers, in its own casing."""
        return _ARM if self.is_arm else _NAMESPACES[self.namespace.lower()]

    def action(self, method: str) -> str:
        """Return what a call to this address needs a permission for, as in ``Microsoft.Compute/disks/read``."""
        namespace = _ARM if self.is_arm else self.namespace
        types = ("subscriptions", "providers") if self.is_arm and self.namespace else self.types
        if self.is_arm and "deployments" in types:  # their operations have an address without a provider
            types = types[types.index("deployments") :]
        return "/".join([namespace, *types, _VERBS.get(method, "action")])


def resource_of(path: str) -> str:
    """Return the id of the resource that a path is about: without the action that may end it, such as ``start``."""
    return path.rpartition("/")[0] if path.strip("/").count("/") % 2 == 0 else path


def is_version(text: str) -> bool:
    """Return whether a text has the form of an api-version."""
    return _VERSION.fullmatch(text) is not None


def has_version(namespace: str, version: str) -> bool:
    """Return whether a provider may have an api-version: a date, not before its first one and not in the future."""
    match = _VERSION.fullmatch(version)
    if match is None or not PROVIDERS[namespace].first_version <= match[1] <= LAST_VERSION:
        return False
    try:
        date.fromisoformat(match[1])
    except ValueError:
        return False
    return True


def versions_of(namespace: str) -> str:
    """Name the api-versions of a provider for an error: the first and the last date."""
    return f"{PROVIDERS[namespace].first_version} to {LAST_VERSION}"
