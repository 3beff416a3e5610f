"""The calls of Microsoft.Compute."""

from __future__ import annotations

from simulator.providers.compute import disks, operations, power, run_commands, skus, usages, virtual_machines
from simulator.routing import GROUP, SUBSCRIPTION, RouteTable

_COMPUTE = "/providers/Microsoft.Compute"
_VM = GROUP + _COMPUTE + "/virtualMachines/{vm}"
_DISK = GROUP + _COMPUTE + "/disks/{disk}"
_RUN_COMMAND = _VM + "/runCommands/{command}"

ROUTES: RouteTable = (
    ("GET", SUBSCRIPTION + _COMPUTE + "/locations/{region}/usages", usages.list_usages),
    ("GET", SUBSCRIPTION + _COMPUTE + "/skus", skus.list_skus),
    ("GET", SUBSCRIPTION + _COMPUTE + "/virtualMachines", virtual_machines.list_vms),
    ("GET", GROUP + _COMPUTE + "/virtualMachines", virtual_machines.list_vms),
    ("GET", _VM, virtual_machines.get_vm),
    ("GET", _VM + "/instanceView", virtual_machines.get_instance_view),
    ("GET", _VM + "/vmSizes", virtual_machines.list_sizes),
    ("GET", SUBSCRIPTION + _COMPUTE + "/locations/{region}/vmSizes", virtual_machines.list_sizes),
    ("PUT", _VM, virtual_machines.put_vm),
    ("PATCH", _VM, virtual_machines.patch_vm),
    ("DELETE", _VM, virtual_machines.delete_vm),
    ("POST", _VM + "/attachDetachDataDisks", virtual_machines.attach_detach_data_disks),
    ("POST", _VM + "/retrieveBootDiagnosticsData", virtual_machines.retrieve_boot_diagnostics),
    ("POST", _VM + "/deallocate", power.deallocate_vm),
    ("POST", _VM + "/start", power.start_vm),
    ("POST", _VM + "/powerOff", power.power_off_vm),
    ("POST", _VM + "/restart", power.restart_vm),
    ("GET", _VM + "/runCommands", run_commands.list_run_commands),
    ("GET", _RUN_COMMAND, run_commands.get_run_command),
    ("PUT", _RUN_COMMAND, run_commands.put_run_command),
    ("DELETE", _RUN_COMMAND, run_commands.delete_run_command),
    ("GET", SUBSCRIPTION + _COMPUTE + "/disks", disks.list_disks),
    ("GET", GROUP + _COMPUTE + "/disks", disks.list_disks),
    ("GET", _DISK, disks.get_disk),
    ("PATCH", _DISK, disks.patch_disk),
    ("DELETE", _DISK, disks.delete_disk),
    (
        "GET",
        SUBSCRIPTION + _COMPUTE + "/locations/{region}/{collection}/{operation}",
        operations.get_compute_operation,
    ),
)
