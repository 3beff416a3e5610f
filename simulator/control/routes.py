"""The calls of /_simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.control import handlers

if TYPE_CHECKING:
    from simulator.routing import RouteTable

ROUTES: RouteTable = (
    ("GET", "/_simulator", handlers.get_page),
    ("GET", "/_simulator/health", handlers.get_health),
    ("GET", "/_simulator/requests", handlers.get_requests),
    ("GET", "/_simulator/counters", handlers.get_counters),
    ("GET", "/_simulator/jobs", handlers.get_jobs),
    ("POST", "/_simulator/faults", handlers.post_faults),
    ("POST", "/_simulator/vaults/{vault}/resource-guard", handlers.post_guard),
    ("POST", "/_simulator/denied-actions", handlers.post_denied_actions),
    ("POST", "/_simulator/locks", handlers.post_lock),
    ("POST", "/_simulator/expire-tokens", handlers.post_expire_tokens),
)
