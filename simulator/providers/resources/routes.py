"""The calls of Azure Resource Manager itself, and of Microsoft.Authorization."""

from __future__ import annotations

from simulator.providers.resources import permissions
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_PERMISSIONS = "/providers/Microsoft.Authorization/permissions"

ROUTES: RouteTable = (
    ("GET", SUBSCRIPTION + _PERMISSIONS, permissions.list_permissions),
    ("GET", GROUP + _PERMISSIONS, permissions.list_permissions),
    ("GET", GROUP + "/providers/{namespace}/{kind}/{name}" + _PERMISSIONS, permissions.list_permissions),
)
