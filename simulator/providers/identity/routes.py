"""The calls that need no token: for the token itself, and for the addresses of the cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.providers.identity import managed_identity, metadata

if TYPE_CHECKING:
    from simulator.routing import RouteTable

ROUTES: RouteTable = (
    ("GET", "/msi/token", managed_identity.get_token),
    ("GET", "/metadata/endpoints", metadata.get_endpoints),
)
