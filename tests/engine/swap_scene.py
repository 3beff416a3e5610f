"""A scene in which the worker is killed at every call of a swap of disks, and another one goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from simulator.scenario import Scenario
from tests.engine.scenes import Scene
from tests.engine.stage import GROUP, soon
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, vm_id
from tests.support.real_hub import HOST_JSON

if TYPE_CHECKING:
    from pathlib import Path

    from domain.errors import Json
    from simulator.providers.compute.state import Machine

NEVER, LATE, DONE = "never", "late", "done"
"""What becomes of the call that the killed worker has made: Azure does not get it, gets it while another worker goes on
already, or has carried it out.
"""
_FATES: Final = {
    "checking": (NEVER, DONE),
    "reading": (NEVER, DONE),
    "deallocating": (NEVER, LATE, DONE),
    "updating 1": (NEVER, LATE, DONE),
    "starting": (NEVER, LATE, DONE),
    "tagging": (NEVER, DONE),
}
_IN_TWO: Final = {"updating 1": (DONE,), "updating 2": (NEVER, LATE, DONE), "updating 3": (NEVER, LATE, DONE)}
_GOING_BACK: Final = {"starting": (NEVER, LATE, DONE)}
_APPROVAL: Final = {"required": True, "before": "Swap"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A swap during which the worker is killed at a call. ``way``: in one update, in two, or back to what was."""

    way: str
    step: str
    fate: str

    @property
    def name(self) -> str:
        """The VM's name."""
        return f"{self.way}{self.step}{self.fate}".replace(" ", "")

    @property
    def place(self) -> str:
        """Where the worker stands when it is killed."""
        return f"{self.step} {'done' if self.fate == DONE else 'sent'}"

    @property
    def vm(self) -> str:
        """The VM's id."""
        return vm_id(self.name, GROUP)


KILLS: Final = [
    Kill(way=way, step=step, fate=fate)
    for way, steps in (("one", _FATES), ("two", _IN_TWO), ("back", _GOING_BACK))
    for step, fates in steps.items()
    for fate in fates
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a swap: its document, and the VM's disks, by LUN, and power, before and after; -1: the OS disk.

    ``former`` are the bodies of the disks that the VM had.
    """

    document: Json
    before: dict[int, str]
    after: dict[int, str]
    former: list[Json]
    machine: Machine

    @property
    def restored(self) -> dict[int, str]:
        """The disks that the restore has made."""
        disks = (self.document["result"] or {}).get("disks", [])
        return {-1 if disk["isOs"] else disk["lun"]: disk["id"] for disk in disks}


def kill_at_every_call_of_a_swap(azurite: str, place: Path) -> dict[Kill, Ended]:
    """Hold one swap at each call, kill the worker that makes them all, and start another."""
    scene = Scene(azurite, _azure(), host_json=_host_json(place))
    try:
        return _play(scene)
    finally:
        scene.close()


def _play(scene: Scene) -> dict[Kill, Ended]:
    instance, stage = scene.hub.start(), scene.stage
    before = {kill: _disks(scene, kill) for kill in KILLS}
    swap: Json = {"thenSwapDisks": {}, "targetResourceGroupId": None, "validate": False, "approval": _APPROVAL}
    ids = {kill: stage.start(kill.vm, **swap) for kill in KILLS}
    for restore_id in ids.values():
        stage.comes_to(restore_id, lambda document: document["status"] == "AwaitingApproval")
    stops = {kill: scene.stops.set(kill.place, kill.name) for kill in KILLS}
    for restore_id in ids.values():
        assert stage.call("POST", f"restores/{restore_id}/approve", json={"by": "ada"}).status_code == 202
    for stop in stops.values():
        stop.wait()
    instance.host.kill()
    reads = dict(scene.gate.reads)
    for kill, stop in stops.items():
        if kill.fate != LATE:
            (stop.end if kill.fate == NEVER else stop.let_go)()
    scene.hub.start_worker(instance)
    for kill, stop in stops.items():
        if kill.fate == LATE:
            soon(lambda name=kill.name: scene.gate.reads[name] > reads[name])
            stop.let_go()
    ended = {kill: scene.stage.finished(restore_id) for kill, restore_id in ids.items()}
    return {kill: _ended(scene, kill, before[kill], document) for kill, document in ended.items()}


def _ended(scene: Scene, kill: Kill, before: dict[int, str], document: Json) -> Ended:
    world = scene.simulator.world
    world.settle()
    return Ended(
        document=document,
        before=before,
        after=_disks(scene, kill),
        former=[dict(world.store.get(disk) or {}) for disk in before.values()],
        machine=world.compute.machines[kill.vm.lower()],
    )


def _disks(scene: Scene, kill: Kill) -> dict[int, str]:
    body = scene.simulator.world.store.get(kill.vm)
    assert body is not None
    profile = body["properties"]["storageProfile"]
    data = {disk["lun"]: disk["managedDisk"]["id"] for disk in profile["dataDisks"]}
    return {-1: profile["osDisk"]["managedDisk"]["id"], **data}


def _azure() -> Scenario:
    place = {"resourceGroup": "backup-rg"}
    refuses: Json = {"code": "OSDiskIsBroken", "actions": ["patch_vm"], "refused": True}
    faults: dict[str, Json] = {"one": {"replacesDisks": True}, "two": {}, "back": {"computeFailed": refuses}}
    unlimited = {name: {"size": 100_000, "refillPerSecond": 10_000} for name in ("reads", "writes", "resourceRequests")}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": "vault-weu", **place, "region": "westeurope"}],
            "storageAccounts": [{"name": STORAGE_ID.rpartition("/")[2], **place, "location": "westeurope"}],
            "settings": {"limits": unlimited},
            "vms": [
                {
                    "name": kill.name,
                    "resourceGroup": GROUP,
                    "vault": "vault-weu",
                    "points": [{"ageHours": 2, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}],
                    "dataDisks": [{"lun": 0, "sizeGb": 64}, {"lun": 3, "sizeGb": 32}],
                    "faults": faults[kill.way],
                }
                for kill in KILLS
            ],
        }
    )


def _host_json(place: Path) -> Path:
    """Write the app's host.json, but for the number of activities that run at once: so many are held."""
    settings = json.loads(HOST_JSON.read_text(encoding="utf-8"))
    settings["extensions"]["durableTask"]["maxConcurrentActivityFunctions"] = 2 * len(KILLS)
    changed = place / "host.json"
    changed.write_text(json.dumps(settings), encoding="utf-8")
    return changed
