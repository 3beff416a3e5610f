"""Resource Guards: who protects a vault's restores, and whether they are allowed at the moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.reading import Node

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceGuard:
    """A guard of a vault.

    ``granted_after_s`` counts from the first restore that names the guard's request; None is never.
    """

    name: str
    resource_group: str
    subscription_id: str
    granted_after_s: float | None

    @property
    def resource_id(self) -> str:
        """The resource id."""
        group = f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
        return f"{group}/providers/Microsoft.DataProtection/resourceGuards/{self.name}"

    @property
    def restore_request_id(self) -> str:
        """The request that a guarded restore must name."""
        return f"{self.resource_id}/triggerRestoreRequests/default"

    @classmethod
    def read(cls, node: Node, subscription_id: str) -> ResourceGuard:
        """Read the guard of a vault in a subscription and close its node."""
        after_s = node.number("grantedAfterSeconds") if node.has("grantedAfterSeconds") else None
        if node.has("granted") and after_s is not None:
            node.complain("granted", "goes without grantedAfterSeconds")
        guard = cls(
            name=node.text("name"),
            resource_group=node.text("resourceGroup"),
            subscription_id=subscription_id,
            granted_after_s=0.0 if node.flag("granted") else after_s,
        )
        node.close()
        return guard


class GuardState:
    """Whether a guard allows restores at the moment."""

    def __init__(self, guard: ResourceGuard) -> None:
        self.guard = guard
        self._granted_from: datetime | None = None

    def grant(self, now: datetime, *, granted: bool) -> None:
        """Allow restores from now on, or forbid them until the next such call."""
        self._granted_from = now if granted else _NEVER

    def allows(self, now: datetime) -> bool:
        """Return whether a restore is allowed; the first call starts the wait of ``granted_after_s``."""
        if self._granted_from is None:
            after_s = self.guard.granted_after_s
            self._granted_from = _NEVER if after_s is None else now + timedelta(seconds=after_s)
        return now >= self._granted_from

    def is_open(self, now: datetime) -> bool:
        """Return whether a restore would be allowed now, without starting the wait."""
        if self._granted_from is None:
            return self.guard.granted_after_s == 0
        return now >= self._granted_from
