"""The call of Microsoft.ResourceGraph."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.graph.query import query_resources

if TYPE_CHECKING:
    from simulator.routing import RouteTable

ROUTES: RouteTable = (("POST", "/providers/Microsoft.ResourceGraph/resources", query_resources),)
