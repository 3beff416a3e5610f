"""The calls of Microsoft.Network."""

from __future__ import annotations

from simulator.providers.network import virtual_networks
from simulator.routing import GROUP, RouteTable

ROUTES: RouteTable = (
    ("GET", GROUP + "/providers/Microsoft.Network/virtualNetworks/{network}", virtual_networks.get_virtual_network),
)
