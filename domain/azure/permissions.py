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
_GUARD_REQUEST: Final = re.compile(
    r"(?P<guard>/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.DataProtection/resourceGuards/[^/]+)"
    r"/(?P<kind>[A-Za-z]+)/[^/]+",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One entry of the list: an action is allowed if ``actions`` has it and ``not_actions`` does not."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...]

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``Permission`` of the Authorization API; data actions are not for calls to Azure Resource Manager.

        An entry whose exceptions cannot be read allows nothing.
        """
        excepted = body.get("notActions")
        entries, not_actions = as_list(excepted), _texts(excepted)
        is_read = excepted is None or (excepted == entries and len(not_actions) == len(entries))
        return cls(actions=_texts(body.get("actions")), not_actions=not_actions if is_read else ("*",))

    def allows(self, action: str) -> bool:
        """Return whether this entry allows an action."""
        allowed = any(matches(pattern, action) for pattern in self.actions)
        return allowed and not any(matches(pattern, action) for pattern in self.not_actions)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(text for entry in as_list(value) if (text := as_text(entry)) is not None)


def matches(pattern: str, action: str) -> bool:
    """Return whether a pattern has this action. A ``*`` stands for any characters; case makes no difference."""
    only_stars = pattern.casefold().replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(action.casefold(), only_stars)


def missing_actions(needed: Iterable[str], permissions: Sequence[Permission]) -> tuple[str, ...]:
    """Return the needed actions that no entry allows."""
    return tuple(action for action in needed if not any(entry.allows(action) for entry in permissions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What the app does at the scopes of one member of ``RESTORE_SCOPES``, and the actions that this needs."""

    name: str
    scope: str
    purpose: str
    actions: tuple[str, ...]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read an entry of ``queries/required_permissions.json``."""
        return cls(name=data["feature"], scope=data["scope"], purpose=data["purpose"], actions=tuple(data["actions"]))


def needed_features(features: Iterable[Feature], scopes: RestoreScopes) -> Iterator[tuple[Feature, str]]:
    """Yield each feature with each scope at which it is needed.

    New VMs need a network: without one, none are made. Disks are deleted beside those that a VM gets.
    """
    for feature in features:
        if feature.name in _CREATES_VMS and not scopes.virtual_network_ids:
            continue
        if feature.name == _DELETES_DISKS and not scopes.in_place_scopes:
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
