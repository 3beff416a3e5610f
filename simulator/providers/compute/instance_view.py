"""The instance view of a VM: its state at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.providers.compute.state import WITHOUT_HARDWARE
from simulator.providers.compute.times import offset_time, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from simulator.providers.compute.state import Machine
    from simulator.world import World

_OS = {"Windows": ("Windows Server 2022 Datacenter", "10.0.20348.2966"), "Linux": ("ubuntu", "22.04")}


def instance_view(world: World, body: Mapping[str, Any], machine: Machine, now: datetime) -> dict[str, Any]:
    """Write the instance view of a VM as it is or was at a moment.

    A fault leaves out the power state, as users have seen while it changed (azure-sdk-for-python#3406).
    """
    state = world.faults_at(body["id"])
    hides_power = state.strikes("hiddenPowerState", state.faults.compute.hidden_power)
    profile = body["properties"]["storageProfile"]
    view: dict[str, Any] = {}
    reported = machine.report(now)
    if reported:
        os_name, os_version = _OS[profile["osDisk"]["osType"]]
        computer = body["properties"].get("osProfile", {}).get("computerName", body["name"])
        view |= {"computerName": computer, "osName": os_name, "osVersion": os_version}
    if machine.power not in WITHOUT_HARDWARE:
        view["vmAgent"] = _agent(reported, now)
    return {
        **view,
        "disks": [_disk(entry["name"], machine) for entry in (profile["osDisk"], *profile["dataDisks"])],
        "hyperVGeneration": _generation(world, profile),
        "statuses": [_provisioning(body, machine), *([] if hides_power else [_power(machine)])],
    }


def _generation(world: World, profile: Mapping[str, Any]) -> str:
    managed = profile["osDisk"].get("managedDisk")
    disk = world.store.get(managed["id"]) if managed else None
    return disk["properties"].get("hyperVGeneration", "V1") if disk else "V1"


def _agent(reported: datetime | None, now: datetime) -> dict[str, Any]:
    """Write what the agent last reported: a stopped VM still shows the report of its last run."""
    if reported is None:
        status = {
            "code": "ProvisioningState/Unavailable",
            "level": "Warning",
            "displayStatus": "Not Ready",
            "message": "VM status blob is found but not yet populated.",
            "time": whole_seconds(now),
        }
        return {"vmAgentVersion": "Unknown", "statuses": [status]}
    status = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Ready",
        "message": "Guest Agent is running",
        "time": whole_seconds(reported),
    }
    return {"vmAgentVersion": "2.15.0.1", "statuses": [status], "extensionHandlers": []}


def _disk(name: str, machine: Machine) -> dict[str, Any]:
    status = {
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "time": offset_time(machine.changed),
    }
    return {"name": name, "statuses": [status]}


def _provisioning(body: Mapping[str, Any], machine: Machine) -> dict[str, Any]:
    state = body["properties"]["provisioningState"].lower()
    if state == "failed":
        code = f"ProvisioningState/failed/{machine.failure.code if machine.failure else ''}"
        return {
            "code": code,
            "level": "Error",
            "displayStatus": "Provisioning failed",
            "time": offset_time(machine.changed),
        }
    shown = "Provisioning succeeded" if state == "succeeded" else state.capitalize()
    return {
        "code": f"ProvisioningState/{state}",
        "level": "Info",
        "displayStatus": shown,
        "time": offset_time(machine.changed),
    }


def _power(machine: Machine) -> dict[str, str]:
    return {"code": f"PowerState/{machine.power}", "level": "Info", "displayStatus": f"VM {machine.power}"}
