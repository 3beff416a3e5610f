"""Management locks: which there are, and which calls they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.errors import scope_locked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.reading import Node

CAN_NOT_DELETE, READ_ONLY = "CanNotDelete", "ReadOnly"
LEVELS = (CAN_NOT_DELETE, READ_ONLY)
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock at a subscription, a resource group or a resource: it holds for all that is below its scope, too."""

    scope: str
    level: str
    name: str

    @classmethod
    def read(cls, node: Node) -> Lock:
        """Read a lock and close its node."""
        level = node.choice("level", LEVELS)
        lock = cls(scope=node.text("scope"), level=level, name=node.text("name", f"lock-{level}"))
        node.close()
        return lock

    @property
    def lock_id(self) -> str:
        """The resource id of the lock."""
        return f"{self.scope.rstrip('/')}/providers/Microsoft.Authorization/locks/{self.name}"


class Locks:
    """All locks. Names and ids match in any casing."""

    def __init__(self, locks: Iterable[Lock]) -> None:
        self._locks = {lock.lock_id.lower(): lock for lock in locks}

    def replace(self, scope: str, level: str) -> None:
        """Put one lock of a level at a scope in the place of all that are there; the empty level leaves none."""
        for lock in [lock for lock in self._locks.values() if _key(lock.scope) == _key(scope)]:
            del self._locks[lock.lock_id.lower()]
        if level:
            lock = Lock(scope=scope, level=level, name=f"lock-{level}")
            self._locks[lock.lock_id.lower()] = lock

    def find(self, lock_id: str) -> Lock | None:
        """Return the lock of an id, or None."""
        return self._locks.get(lock_id.lower())

    def at_or_above(self, scope: str) -> list[Lock]:
        """Return the locks that hold at a scope."""
        return [lock for lock in self._locks.values() if _key(scope).startswith(_key(lock.scope))]

    def below(self, scope: str) -> list[Lock]:
        """Return the locks of what lies below a scope."""
        here = _key(scope)
        return [lock for lock in self._locks.values() if _key(lock.scope).startswith(here) and _key(lock.scope) != here]

    def check(self, scope: str, method: str) -> None:
        """Raise 409 for a call that locks refuse at a resource.

        A lock ``ReadOnly`` refuses all but reads: POST, too, whatever the POST does. What is deleted takes along what
        lies below it, so locks there count as well.
        """
        if method in _READS:
            return
        found = self.at_or_above(scope)
        if method == "DELETE":
            found += self.below(scope)
        else:
            found = [lock for lock in found if lock.level == READ_ONLY]
        if found:
            scopes = dict.fromkeys(lock.scope for lock in found)
            raise scope_locked(scope, "delete" if method == "DELETE" else "write", scopes)


def _key(scope: str) -> str:
    return f"{scope.lower().rstrip('/')}/"
