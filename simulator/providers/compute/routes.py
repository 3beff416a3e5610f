"""The calls of Microsoft.Compute."""

from __future__ import annotations

from simulator.providers.compute import disks, virtual_machines
from simulator.routing import GROUP, RouteTable

_COMPUTE = GROUP + "/providers/Microsoft.Compute"

ROUTES: RouteTable = (
    ("GET", _COMPUTE + "/virtualMachines/{vm}", virtual_machines.get_vm),
    ("GET", _COMPUTE + "/disks", disks.list_disks),
)
