"""What somebody else does to a VM between two calls of the caller, as the fault ``foreignChanges`` says."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from simulator.errors import ArmError
from simulator.providers.compute.attachments import HIGHEST_LUN
from simulator.providers.compute.bodies import DISK_SKU, DISK_TYPE, VM_TYPE
from simulator.providers.compute.changes import change_vm
from simulator.providers.compute.machines import update
from simulator.providers.compute.power import DEALLOCATE, POWER_OFF, START, change_power

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulator.faults import FaultState
    from simulator.world import World

_SIZE_GB = 8


def interfere(world: World, path: str, state: FaultState, action: str, *, before: bool) -> None:
    """Let somebody else change the VM that a path names before or after a call, if its faults say so."""
    for number, foreign in enumerate(state.faults.compute.foreign):
        if foreign.before != before or action not in foreign.actions:
            continue
        if not state.strikes(f"foreignChanges{number}", foreign.count):
            continue
        act = partial(_change, world, "/".join(path.split("/")[:9]), foreign.change)
        if foreign.delay_s:
            world.at(world.now() + timedelta(seconds=foreign.delay_s), act)
        else:
            act()


def _change(world: World, vm_id: str, change: str) -> None:
    """Change a VM, unless it is not there or does not allow it at the moment."""
    body = world.store.get(vm_id)
    if body and body["type"] == VM_TYPE:
        with suppress(ArmError):
            _CHANGES[change](world, body)


def _touch(world: World, body: Mapping[str, Any]) -> None:
    change_vm(world, body["id"])


def _tag(world: World, body: Mapping[str, Any]) -> None:
    _update(world, body, {"tags": {**body.get("tags", {}), "changed-by": "somebody else"}})


def _attach_disk(world: World, body: Mapping[str, Any]) -> None:
    """Attach a new disk at the highest free LUN."""
    present: list[Mapping[str, Any]] = body["properties"]["storageProfile"]["dataDisks"]
    used = {entry["lun"] for entry in present}
    lun = max(set(range(HIGHEST_LUN + 1)) - used)
    disk = _new_disk(world, body)
    entry = {"lun": lun, "createOption": "Attach", "managedDisk": {"id": disk["id"]}}
    _update(world, body, {"properties": {"storageProfile": {"dataDisks": [*present, entry]}}})


def _new_disk(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    disk_id = f"{body['id'].partition('/providers/')[0]}/providers/{DISK_TYPE}/foreign-{world.new_id()[:8]}"
    disk: dict[str, Any] = {
        "name": disk_id.rpartition("/")[2],
        "id": disk_id,
        "type": DISK_TYPE,
        "location": body["location"],
        "sku": {"name": DISK_SKU, "tier": "Premium"},
        "properties": {
            "creationData": {"createOption": "Empty"},
            "diskSizeGB": _SIZE_GB,
            "provisioningState": "Succeeded",
            "diskState": "Unattached",
        },
    }
    if body.get("zones"):
        disk["zones"] = body["zones"]
    world.store.put(disk)
    return disk


def _detach_disks(world: World, body: Mapping[str, Any]) -> None:
    _update(world, body, {"properties": {"storageProfile": {"dataDisks": []}}})


def _update(world: World, body: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    update(world, body, given, "foreign_update", is_foreign=True)


_CHANGES: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {
    "touch": _touch,
    "tag": _tag,
    "attachDisk": _attach_disk,
    "detachDisks": _detach_disks,
    "start": lambda world, body: change_power(world, body, START, is_foreign=True),
    "deallocate": lambda world, body: change_power(world, body, DEALLOCATE, is_foreign=True),
    "powerOff": lambda world, body: change_power(world, body, POWER_OFF, is_foreign=True),
}
