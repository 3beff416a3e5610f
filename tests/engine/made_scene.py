"""A scene in which the worker is killed at every call that makes a VM of restored disks, or attaches them to one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from simulator.scenario import Scenario
from tests.engine.scenes import Scene
from tests.engine.stage import GROUP, soon
from tests.engine.swap_scene import DONE, LATE, NEVER
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, vm_id
from tests.support.real_hub import HOST_JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from domain.errors import Json
    from tests.support.stops import Stop

OWN, OFF, TEMPLATE, ATTACH = "own", "off", "template", "attach"
"""The VM is made by our own PUTs, and starts or stays off; by the template; or the disks are attached to another VM."""

_TARGET: Final = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
_SUBNET: Final = f"{_TARGET}/providers/Microsoft.Network/virtualNetworks/restored-vnet/subnets/default"
_RESCUE_GROUP: Final = "rescue-rg"
_MADE: Final = ("virtualMachines", "networkInterfaces", "publicIPAddresses")
_HELD_AT_ONCE: Final = 13  # the app waits for an answer for 30 s, and the last must stand at its call by then
_READ, _CHANGED = (NEVER, DONE), (NEVER, LATE, DONE)
_STEPS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    OWN: {
        "checking": _READ,
        "reading": _READ,
        "reading interface": _READ,
        "putting interface": _CHANGED,
        "putting": _CHANGED,
        "reading 3": _READ,
    },
    OFF: {"deallocating": _CHANGED},
    TEMPLATE: {"reading deployment": _READ, "fetching": _READ, "deploying": _CHANGED, "reading 2": _READ},
    ATTACH: {"reading": _READ, "attaching": _CHANGED, "checking": _READ, "deleting": _CHANGED, "checking 2": _READ},
}
_LOOKS: Final = {
    "putting interface": "reading interface",
    "putting": "reading",
    "deallocating": "reading",
    "deploying": "reading deployment",
    "attaching": "reading",
    "deleting": "checking",
}
"""The call by which another worker finds out what has become of a change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A restore whose disks are put to use, and the call at which the worker is killed.

    A number in ``step`` says which of several such calls.
    """

    way: str
    step: str
    fate: str

    @property
    def name(self) -> str:
        """The name of the VM that is backed up, and of the one that is made of its disks or gets them.

        It is short because Azure Backup takes 15 letters of it for what it writes into the staging account.
        """
        return f"{self.way}{[*_STEPS[self.way]].index(self.step)}{self.fate}"

    @property
    def used_vm(self) -> str:
        """The id of the VM that is made of the disks, or gets them."""
        group = _RESCUE_GROUP if self.way == ATTACH else "restored-rg"
        return vm_id(self.name, group)

    @property
    def wish(self) -> Json:
        """What the request says."""
        if self.way == ATTACH:
            return {"thenAttachDisks": {"virtualMachineId": self.used_vm, "luns": [0], "deleteOthers": True}}
        more: Json = {OWN: {}, OFF: {"start": False}, TEMPLATE: {"template": True}}[self.way]
        return {"thenCreateVirtualMachine": {"name": self.name, "subnetId": _SUBNET, **more}}


KILLS: Final = [
    Kill(way=way, step=step, fate=fate)
    for way, steps in _STEPS.items()
    for step, fates in steps.items()
    for fate in fates
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of it: the document, and what Azure has in the end.

    ``made`` are the ids of the VMs, interfaces and addresses with the restore's tag, ``beside`` those without it whose
    names begin like the VM's; ``deployments`` how many there are of its name. ``lost`` are the disks that there were
    before and are not any more. ``disks`` are those of the VM that is made or gets disks, by LUN; -1: the OS disk.
    """

    document: Json
    made: set[str]
    beside: set[str]
    deployments: int
    lost: set[str]
    restored: Mapping[int, str]
    there: set[str]
    disks: Mapping[int, str]
    power: str | None


def kill_at_every_call_that_uses_disks(azurite: str, place: Path) -> dict[Kill, Ended]:
    """Hold one restore at each call, kill the worker that makes them, and start another; a dozen calls at a time."""
    scene = Scene(azurite, _azure(), host_json=_host_json(place))
    try:
        return _play(scene)
    finally:
        scene.close()


def _play(scene: Scene) -> dict[Kill, Ended]:
    scene.hub.start()
    before = _ids(scene, "disks")
    ids: dict[Kill, str] = {}
    for kills in batched(KILLS, _HELD_AT_ONCE, strict=False):
        ids |= _kill_once(scene, kills)
    ended = {kill: scene.stage.finished(restore_id) for kill, restore_id in ids.items()}
    scene.simulator.world.settle()
    return {kill: _ended(scene, kill, before, document) for kill, document in ended.items()}


def _kill_once(scene: Scene, kills: Iterable[Kill]) -> dict[Kill, str]:
    """Kill the worker when it stands at all these calls, and start another; returns the restores."""
    [instance] = scene.hub.instances
    tracking = {kill: scene.stops.set("tracking", kill.name) for kill in kills}
    ids = {kill: _start(scene, kill) for kill in kills}
    for stop in tracking.values():
        stop.wait()
    stops = {kill: _stop_at(scene, kill, restore_id) for kill, restore_id in ids.items()}
    for stop in tracking.values():
        stop.let_go()
    for stop in stops.values():
        stop.wait()
    instance.host.kill()
    passed = dict(scene.gate.passed)
    for kill, stop in stops.items():
        if kill.fate != LATE:
            (stop.end if kill.fate == NEVER else stop.let_go)()
    scene.hub.start_worker(instance)
    for kill, stop in stops.items():
        if kill.fate == LATE:
            look = (_LOOKS[kill.step], _name(kill, ids[kill]))
            soon(lambda look=look: scene.gate.passed[look] > passed.get(look, 0))
            stop.let_go()
    return ids


def _start(scene: Scene, kill: Kill) -> str:
    source = vm_id(kill.name, GROUP)
    return scene.stage.start(source, targetResourceGroupId=_TARGET, validate=False, **kill.wish)


def _name(kill: Kill, restore_id: str) -> str:
    """Return the name by which the gate knows a call."""
    return restore_id.lower() if "deploy" in kill.step else kill.name


def _stop_at(scene: Scene, kill: Kill, restore_id: str) -> Stop:
    step, _, number = kill.step.rpartition(" ")
    is_numbered = number.isdigit()
    place = f"{step if is_numbered else kill.step} {'done' if kill.fate == DONE else 'sent'}"
    return scene.stops.set(place, _name(kill, restore_id), after=int(number) - 1 if is_numbered else 0)


def _ended(scene: Scene, kill: Kill, before: set[str], document: Json) -> Ended:
    world = scene.simulator.world
    found = [each for kind in _MADE for each in world.store.of_type(_type(kind))]
    names = (f"{kill.name}-", kill.name)
    own = [each for each in found if each["id"].lower().startswith(f"{_TARGET}/".lower()) and _is_named(each, names)]
    tagged = {each["id"].lower() for each in found if each.get("tags", {}).get("restore-id") == document["id"]}
    vm = world.store.get(kill.used_vm)
    machine = world.compute.machines.get(kill.used_vm.lower())
    disks = _ids(scene, "disks")
    return Ended(
        document=document,
        made=tagged,
        beside={each["id"].lower() for each in own} - tagged,
        deployments=sum(
            each["name"] == f"restore-{document['id']}"
            for each in world.store.of_type("Microsoft.Resources/deployments")
        ),
        lost=before - disks,
        restored={-1 if disk["isOs"] else disk["lun"]: disk["id"].lower() for disk in document["result"]["disks"]},
        there=disks,
        disks={} if vm is None else _disks(vm),
        power=None if machine is None else machine.power,
    )


def _is_named(body: Mapping[str, Any], names: tuple[str, str]) -> bool:
    prefix, whole = names
    return body["name"] == whole or body["name"].startswith(prefix)


def _type(kind: str) -> str:
    return f"Microsoft.{'Compute' if kind in {'virtualMachines', 'disks'} else 'Network'}/{kind}"


def _ids(scene: Scene, kind: str) -> set[str]:
    return {each["id"].lower() for each in scene.simulator.world.store.of_type(_type(kind))}


def _disks(vm: Mapping[str, Any]) -> dict[int, str]:
    profile = vm["properties"]["storageProfile"]
    data = {disk["lun"]: disk["managedDisk"]["id"].lower() for disk in profile["dataDisks"]}
    return {-1: profile["osDisk"]["managedDisk"]["id"].lower(), **data}


def _azure() -> Scenario:
    place = {"resourceGroup": "backup-rg"}
    unlimited = {name: {"size": 100_000, "refillPerSecond": 10_000} for name in ("reads", "writes", "resourceRequests")}
    points = [{"ageHours": 2, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}]
    data = [{"lun": 0, "sizeGb": 64}, {"lun": 3, "sizeGb": 32}]
    backed_up = [
        {"name": kill.name, "resourceGroup": GROUP, "vault": kill.name, "points": points, "dataDisks": data}
        for kill in KILLS
    ]
    rescue = [
        {"name": kill.name, "resourceGroup": _RESCUE_GROUP, "location": "westeurope"}
        for kill in KILLS
        if kill.way == ATTACH
    ]
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": kill.name, **place, "region": "westeurope"} for kill in KILLS],
            "storageAccounts": [{"name": STORAGE_ID.rpartition("/")[2], **place, "location": "westeurope"}],
            "virtualNetworks": [{"name": "restored-vnet", "resourceGroup": "restored-rg", "location": "westeurope"}],
            "settings": {"limits": unlimited},
            "vms": [*backed_up, *rescue],
        }
    )


def _host_json(place: Path) -> Path:
    """Write the app's host.json, but for the number of activities that run at once: so many are held."""
    settings = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    settings["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] = 2 * _HELD_AT_ONCE
    changed = place / "host.json"
    changed.write_text(json.dumps(settings), encoding="utf-8")
    return changed
