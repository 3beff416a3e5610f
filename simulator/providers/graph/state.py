"""The state of Resource Graph: the quota of its caller, and the resources as they were some seconds ago."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.providers.graph.quota import Quota
from simulator.providers.resources.listing import is_listed
from simulator.store import RESOURCE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from simulator.store import ResourceStore


class GraphState:
    """Shows the resources of the store as they were some seconds ago.

    What is in the store when it is made is shown at once. ``now`` returns the simulated time.
    """

    def __init__(self, store: ResourceStore, delay_s: float, now: Callable[[], datetime]) -> None:
        self.quota = Quota()
        self.delay = timedelta(seconds=delay_s)
        self._store = store
        self._now = now
        self._changes: deque[tuple[datetime, str, Mapping[str, Any] | None]] = deque()
        store.changing = self._note

    def _note(self, key: str, former: Mapping[str, Any] | None) -> None:
        """Keep a former body for as long as it is still shown."""
        self._drop_old_changes()
        self._changes.append((self._now(), key, former))

    def _drop_old_changes(self) -> None:
        while self._changes and self._changes[0][0] + self.delay <= self._now():
            self._changes.popleft()

    def resources(self) -> Iterator[Mapping[str, Any]]:
        """Yield the resources as Resource Graph shows them now."""
        self._drop_old_changes()
        former: dict[str, Mapping[str, Any] | None] = {}
        for _, key, body in self._changes:
            former.setdefault(key, body)  # the first change since then knows how the resource was
        shown = {**dict(self._store.items()), **former}
        return (body for body in shown.values() if body is not None and _is_resource(body))


def _is_resource(body: Mapping[str, Any]) -> bool:
    """Return whether this is a resource or a resource group, and no operation or deployment."""
    return is_listed(body) or body["type"] == RESOURCE_GROUPS
