"""What Resource Graph keeps: the quota of its caller, and what it knows of the resources, which is always late."""

from __future__ import annotations

from collections import deque
from copy import deepcopy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.providers.graph.quota import Quota
from simulator.providers.resources.listing import is_listed
from simulator.store import RESOURCE_GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.store import ResourceStore

type Body = dict[str, Any] | None


class GraphState:
    """Shows the resources of the store as they were some seconds ago."""

    def __init__(self, store: ResourceStore, delay_s: float) -> None:
        self.quota = Quota()
        self.delay = timedelta(seconds=delay_s)
        self._store = store
        self._shown: dict[str, Body] = {}
        self._noted: dict[str, Body] = {}
        self._touched: set[str] = set()
        self._coming: deque[tuple[datetime, str, Body]] = deque()
        store.watch = self._keep

    def _keep(self, key: str, body: Body) -> None:
        """Keep a resource as it is before it may be changed; the store says when."""
        if key not in self._noted:
            self._shown[key] = self._noted[key] = deepcopy(_resource(body))
        self._touched.add(key)

    def note(self, now: datetime) -> None:
        """Note which resources are others since the last time: they will be shown so when the delay has passed."""
        for key in self._touched:
            body = _resource(self._store.peek(key))
            if body != self._noted[key]:
                self._noted[key] = deepcopy(body)
                self._coming.append((now + self.delay, key, self._noted[key]))
        self._touched.clear()

    def resources(self, now: datetime) -> Iterator[dict[str, Any]]:
        """Give the resources as Resource Graph shows them at a moment."""
        while self._coming and self._coming[0][0] <= now:
            _, key, body = self._coming.popleft()
            self._shown[key] = body
        yield from (body for key, body in self._store.items() if key not in self._shown and _resource(body))
        yield from (body for body in self._shown.values() if body is not None)


def _resource(body: Body) -> Body:
    """Return a body of the store if it is a resource or a resource group, and no operation or deployment."""
    return body if body and (is_listed(body) or body["type"] == RESOURCE_GROUPS) else None
