"""Management locks of Azure Resource Manager, which forbid changes to a resource and to all that is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from domain.wire import as_label, as_name, as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ_ONLY: Final = "readonly"
_PROVIDER: Final = "/providers/microsoft.authorization/locks/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementLock:
    """One lock. ``scope`` is the id of what is locked, empty if Azure does not say."""

    name: str
    scope: str
    level: str

    @classmethod
    def from_api(cls, body: Mapping[str, Any]) -> Self:
        """Read a ``ManagementLockObject`` of the Authorization API (2020-05-01)."""
        lock_id = as_name(body.get("id")) or ""
        at = lock_id.lower().rfind(_PROVIDER)
        return cls(
            name=as_label(body.get("name")) or lock_id.rpartition("/")[2],
            scope=lock_id[:at] if at > 0 else "",
            level=as_label(as_object(body.get("properties")).get("level")) or "",
        )

    def forbids_changes_of(self, resource_id: str) -> bool:
        """Return whether the lock forbids to change a resource, or to start and stop it.

        A ``ReadOnly`` lock on the resource, its group or its subscription does. ``CanNotDelete`` forbids only deletion.
        """
        if self.level.lower() != _READ_ONLY or not self.scope:
            return False
        return f"{resource_id.rstrip('/')}/".lower().startswith(f"{self.scope.rstrip('/')}/".lower())
