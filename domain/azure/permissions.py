"""The permissions of an identity at a scope, as Azure lists them, and the permissions that the app's features need."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Self

from domain.wire import as_list, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from domain.azure.restore_scopes import RestoreScopes

READ_PERMISSIONS: Final = "Microsoft.Authorization/permissions/read"
"""The action that listing one's own permissions needs (Permissions - List For Resource Group, 2022-04-01).

Every role of ``infra/roles`` has it, so no feature names it.
"""
_CREATES_VMS: Final = frozenset({"CreateVirtualMachines", "CreateVirtualMachinesFromDisks"})
_DELETES_DISKS: Final = "DeleteDisks"
_READS_TEMPLATES: Final = "ReadTemplates"
READ_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
"""The data action of reading the template of a job. The built-in role Storage Blob Data Reader has it."""
_GUARD_REQUEST: Final = re.compile(
    r"(?P<guard>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.DataProtection/resourceGuards/[^/]+)"
    r"/(?P<kind>[A-Za-z]+)/[^/]+",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One entry of the list: an action is allowed if ``actions`` has it and ``not_actions`` does not.

    ``data_actions`` and ``not_data_actions`` are the same for calls to the data itself, such as blobs; the former is
    ``None`` if Azure does not say it.
    """

    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    data_actions: tuple[str, ...] | None = None
    not_data_actions: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``Permission`` of the Authorization API. An entry whose exceptions cannot be read allows nothing."""
        data_actions = body.get("dataActions")
        return cls(
            actions=_texts(body.get("actions")),
            not_actions=_exceptions(body.get("notActions")),
            data_actions=None if data_actions is None else _texts(data_actions),
            not_data_actions=_exceptions(body.get("notDataActions")),
        )

    def allows(self, action: str) -> bool:
        """Return whether this entry allows an action."""
        return _has(self.actions, action) and not _has(self.not_actions, action)

    def allows_data(self, action: str) -> bool:
        """Return whether this entry allows a data action."""
        return _has(self.data_actions or (), action) and not _has(self.not_data_actions, action)


def _has(patterns: Iterable[str], action: str) -> bool:
    return any(matches(pattern, action) for pattern in patterns)


def _exceptions(value: object) -> tuple[str, ...]:
    entries, exceptions = as_list(value), _texts(value)
    is_read = value is None or (value == entries and len(exceptions) == len(entries))
    return exceptions if is_read else ("*",)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for entry in as_list(value) if (text := as_text(entry)) is not None)


def matches(pattern: str, action: str) -> bool:
    """Return whether a pattern has this action. A ``*`` stands for any characters; case makes no difference."""
    only_stars = pattern.casefold().replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(action.casefold(), only_stars)


def missing_actions(needed: Iterable[str], permissions: Sequence[Permission]) -> tuple[str, ...]:
    """Return the needed actions that no entry allows."""
    return tuple(action for action in needed if not any(entry.allows(action) for entry in permissions))


def missing_data_actions(needed: Iterable[str], permissions: Sequence[Permission]) -> tuple[str, ...]:
    """Return the needed data actions that no entry allows; none if Azure says nothing of data actions."""
    if permissions and all(entry.data_actions is None for entry in permissions):
        return ()
    return tuple(action for action in needed if not any(entry.allows_data(action) for entry in permissions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What the app does at the scopes of one member of ``RESTORE_SCOPES``, and the actions that this needs."""

    name: str
    scope: str
    purpose: str
    actions: tuple[str, ...]
    data_actions: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read an entry of ``queries/required_permissions.json``."""
        return cls(
            name=data["feature"],
            scope=data["scope"],
            purpose=data["purpose"],
            actions=tuple(data["actions"]),
            data_actions=tuple(data.get("dataActions", ())),
        )


def needed_features(features: Iterable[Feature], scopes: RestoreScopes) -> Iterator[tuple[Feature, str]]:
    """Yield each feature with each scope at which it is needed.

    New VMs need a network: without one, none are made. Disks are deleted beside those that a VM gets. Templates are
    read only where the setting says so.
    """
    for feature in features:
        if feature.name in _CREATES_VMS and not scopes.virtual_network_ids:
            continue
        if feature.name == _DELETES_DISKS and not scopes.in_place_scopes:
            continue
        if feature.name == _READS_TEMPLATES and not scopes.reads_templates:
            continue
        for scope in scopes.of_member(feature.scope):
            yield feature, scope


def guard_permission(request_id: str) -> tuple[str, str] | None:
    """Return the Resource Guard that a request belongs to, and the action that naming the request needs there.

    Returns ``None`` if this is not the id of such a request. Azure checks its caller's right to read the request; the
    built-in role Backup MUA Operator has it (``Microsoft.DataProtection/*/read``).
    """
    found = _GUARD_REQUEST.fullmatch(request_id)
    return None if found is None else (found["guard"], f"Microsoft.DataProtection/resourceGuards/{found['kind']}/read")
