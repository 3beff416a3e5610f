"""Random creations and attachments: what was asked, what goes wrong at each call, and what must hold in the end."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.azure.deployments import MadeResource
from domain.errors import TerminalError, TransientError
from domain.restore.machine import CANCEL_EVENT
from tests.support.azure import a_restore
from tests.support.compute import Later
from tests.support.new_machines import (
    DATA_DISK,
    DISKS,
    INTERFACE,
    NEW_VM,
    OS_DISK,
    RECOVERY_VM,
    SUBNET,
    WRITES,
    MemoryCloud,
    a_disk,
    a_vm,
    template_of,
)
from tests.support.player import RESTORE, Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.errors import Json

_URI: Final = "https://stagingweu.blob.core.windows.net/web01-6449bf5b196841f69f31a91cad72e551/azuredeploy.json"
_BAG: Final = {"Create VM Template Blob Uri": _URI, "Config Blob Uri": _URI}
_READS: Final = (
    "get_virtual_machine",
    "get_disk",
    "get_compute_operation",
    "get_deployment",
    "get_made_resource",
    "read_blob",
)


def play(seed: int) -> str:
    """Play one random creation or attachment; returns how it ended. Raises ``AssertionError`` if it is wrong."""
    dice = random.Random(seed)
    player = Player()
    cloud = MemoryCloud.of(player)
    player.azure.property_bag = _BAG
    player.azure.other_machines[RECOVERY_VM] = {**player.azure.machine, "id": RECOVERY_VM}
    cloud.disks[f"{DISKS}/foreign"] = a_disk(f"{DISKS}/foreign", made_by_job="another")
    members = dice.choice([_creation, _attachment])(dice)
    _script(dice, player, cloud)
    player.start(a_restore(**members))
    if dice.random() < 0.2:
        player.at(timedelta(minutes=31, seconds=dice.randint(0, 150)), lambda: _cancel(player))
    foreign = dice.random() < 0.1
    if foreign:
        _occupy(cloud)
    shown = player.finish()
    player.clock.skip_to(player.clock.now() + timedelta(hours=1))
    cloud.settle()
    done = (shown["result"] or {}).get(
        "createdVirtualMachine" if "thenCreateVirtualMachine" in members else "attachment"
    )
    _check_others(cloud, is_occupied=foreign)
    if "thenCreateVirtualMachine" in members:
        _check_creation(shown, done, cloud, members["thenCreateVirtualMachine"])
    else:
        _check_attachment(shown, done, cloud, members["thenAttachDisks"])
    return f"{shown['status']}/{'none' if done is None else done['state']}"


def _creation(dice: random.Random) -> Json:
    asked: Json = {"name": "web-02", "subnetId": SUBNET}
    if dice.random() < 0.4:
        asked["template"] = True
    if dice.random() < 0.2:
        asked["start"] = False
    return {"thenCreateVirtualMachine": asked}


def _attachment(dice: random.Random) -> Json:
    asked: Json = {"virtualMachineId": RECOVERY_VM, "deleteOthers": dice.random() < 0.6}
    if dice.random() < 0.5:
        asked["luns"] = dice.choice([[0], [-1], [0, -1]])
    return {"thenAttachDisks": asked}


def _cancel(player: Player) -> None:
    if not player.play().is_over:
        player.say(CANCEL_EVENT, {"by": "ada"})


def _occupy(cloud: MemoryCloud) -> None:
    cloud.vms[NEW_VM] = replace(a_vm(NEW_VM, f"{DISKS}/theirs"), restore_id="another")
    cloud.others[INTERFACE] = MadeResource(is_changing=False, has_failed=False, restore_id=None)


def _script(dice: random.Random, player: Player, cloud: MemoryCloud) -> None:
    often = dice.choice([0.0, 0.1, 0.3, 0.6])
    for name in (*WRITES, *_READS):
        length = dice.choice([3, 10, 80])
        cloud.fails[name] = [_fate(dice, name) if dice.random() < often else None for _ in range(length)]
    tags = dice.random() < 0.8
    acts: list[Callable[[], object]] = [lambda: cloud.job_made(player.azure.jobs[0].job_id)] if tags else []
    cloud.before["attach_disks"] = acts * 200
    cloud.before["get_virtual_machine"] = [
        cloud.make_foreign_change if dice.random() < often / 2 else dict for _ in range(9)
    ]
    cloud.lags_s = dice.choice([0.0, 0.0, 5.0, 30.0])
    if dice.random() < 0.1:
        cloud.template = template_of(resources=[{"type": "Microsoft.Authorization/roleAssignments"}])


def _fate(dice: random.Random, name: str) -> Any:
    fates: list[Any] = [
        "lost",
        "died",
        TransientError(errors.MACHINE_BUSY, "another operation runs"),
        TransientError(errors.SERVICE_UNAVAILABLE, "too many requests", retry_after_s=30.0),
        RuntimeError("the worker died before the call"),
    ]
    if name in WRITES:
        sold_out, preempted = TerminalError("AllocationFailed", "sold out"), TerminalError("OperationPreempted", "m")
        fates += [Later(sold_out), Later(sold_out, is_lost=True), Later(preempted)]
    if dice.random() < 0.2:
        fates.append(TerminalError(errors.RESTORE_REFUSED, "Azure refused the request (see details)."))
    return dice.choice(fates)


def _check_others(cloud: MemoryCloud, *, is_occupied: bool) -> None:
    assert f"{DISKS}/foreign" in cloud.disks, "a disk of another job was deleted"
    assert cloud.vms[RECOVERY_VM].os_disk.disk_id == f"{DISKS}/recovery-os"
    if is_occupied:
        assert cloud.vms[NEW_VM].restore_id == "another", "the VM of another restore was changed"
        assert cloud.others[INTERFACE].restore_id is None, "somebody's interface was changed"


def _check_creation(shown: Json, done: Json | None, cloud: MemoryCloud, asked: Json) -> None:
    assert {OS_DISK, DATA_DISK} <= cloud.disks.keys(), "a restored disk was deleted"
    vm = cloud.vms.get(NEW_VM)
    ours = vm if vm is not None and vm.restore_id == RESTORE else None
    others = {resource_id for resource_id, made in cloud.others.items() if made.restore_id == RESTORE}
    if done is None:
        assert not others, "an interface or an address was made without a word"
        assert ours is None, "a VM was made without a word"
        return
    if ours is not None:
        assert NEW_VM in done["outputResources"], "a VM that was made is not listed"
        assert {disk.disk_id for disk in ours.disks} == {OS_DISK, DATA_DISK}
    assert others <= set(done["outputResources"]), "an interface or an address that was made is not listed"
    if vm is not None and ours is None and NEW_VM in done["outputResources"]:
        # A worker that died may have made it, as far as anybody knows.
        assert f"Only what has the tag restore-id {RESTORE}" in shown["error"]["message"], (
            "somebody else's VM is listed"
        )
    if done["state"] == "Created":
        assert shown["status"] in {"Completed", "CompletedWithWarnings"}
        assert ours is not None
        assert ours.power == ("running" if asked.get("start", True) else "deallocated")
    else:
        assert shown["status"] in {"Failed", "Cancelled"}
        assert shown["error"]["message"]


def _check_attachment(shown: Json, done: Json | None, cloud: MemoryCloud, asked: Json) -> None:
    held = {disk.disk_id for disk in cloud.vms[RECOVERY_VM].data_disks}
    wanted = {DATA_DISK} if "luns" not in asked else {OS_DISK if lun == -1 else DATA_DISK for lun in asked["luns"]}
    others = {OS_DISK, DATA_DISK} - wanted
    assert wanted <= cloud.disks.keys(), "a disk that was wanted was deleted"
    assert not held - wanted, "a disk was attached that nobody wanted"
    gone = others - cloud.disks.keys()
    assert asked["deleteOthers"] or not gone, "a disk was deleted that nobody wanted deleted"
    if done is None:
        assert not held
        assert not gone
        return
    if done["state"] == "Attached":
        assert held == wanted, "the disks are not attached"
        assert set(done["others"]) >= others - gone
        assert set(done["deleted"]) <= gone, "a disk that is there is shown as deleted"
    else:
        assert shown["status"] in {"Failed", "Cancelled"}
        assert not gone, "a disk was deleted although the others are not attached"
