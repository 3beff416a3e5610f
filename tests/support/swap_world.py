"""Random swaps: what was asked, what goes wrong at each call, who else uses the VM, and what must hold in the end."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from domain import errors
from domain.errors import TerminalError, TransientError
from domain.follow_up.calls import FOLLOW_UP_CALLS
from domain.restore.machine import CANCEL_EVENT, DECISION_EVENT
from domain.restore.parts import Source
from domain.restore.state import Restore
from domain.restore.undo import can_be_undone, undo, undo_id
from tests.support.azure import LIMITS, a_restore
from tests.support.compute import Later, ScriptedCompute, attached
from tests.support.player import Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
    from domain.errors import Json

_RUNNING: Final = "running"
_BAD_START: Final = ("deallocated", "stopped")


def play(seed: int) -> str:
    """Play one random swap, and sometimes its undo; returns how it ended. Raises ``AssertionError`` if it is wrong."""
    world = _World(random.Random(seed))
    shown = world.run()
    if can_be_undone(shown) and world.dice.random() < 0.5:
        shown = world.run_undo(shown)
    return f"{shown['status']}/{shown['result']['swap']['state'] if 'swap' in (shown['result'] or {}) else 'untouched'}"


class _World:
    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.player = Player()
        self.compute = self.player.compute
        self.restore_id = ""
        self.members: Json = {
            "thenSwapDisks": {name: True for name in ("dataDisksOnly",) if dice.random() < 0.2}
            | ({"start": False} if dice.random() < 0.2 else {}),
            "targetResourceGroupId": None,
        }
        if dice.random() < 0.2:
            self.members["approval"] = {"required": True, "before": "Swap", "timeout": "PT2H"}
        if dice.random() < 0.2:
            power = dice.choice(_BAD_START)
            self.compute.vm = replace(self.compute.vm, power=power, is_agent_ready=None)
        self.compute.replaces_at_once = dice.random() < 0.5
        places = dice.sample(range(4), dice.randint(0, 4))
        disks = tuple(attached(f"old-{lun}", lun) for lun in sorted(places))
        self.compute.vm = replace(self.compute.vm, data_disks=disks)

    def run(self) -> Json:
        """Play the restore to its end and check it."""
        before = self.compute.vm
        self.restore_id = restore_id = self.player.start(a_restore(**self.members))
        self._script()
        if "approval" in self.members:
            self.player.at(timedelta(hours=1), self._say(restore_id, DECISION_EVENT, self._decision()))
        if self.dice.random() < 0.2:
            after = timedelta(minutes=31, seconds=self.dice.randint(0, 120))
            self.player.at(after, self._say(restore_id, CANCEL_EVENT, {"by": "ada"}))
        shown = self.player.finish(restore_id)
        starts = self.members["thenSwapDisks"].get("start", True)
        _check(shown, self.compute, before.disks, was_running=before.power == _RUNNING, starts=starts)
        return shown

    def run_undo(self, done: Json) -> Json:
        """Play the undo to its end and check it."""
        self.compute.rest()
        before, self.restore_id = self.compute.vm, ""
        self._script()
        self.compute.profiles.clear()
        self.compute.tags.clear()  # those of the swap were checked
        new_id, now = undo_id(done["id"], 1), self.player.clock.now()
        request, back = undo(done, new_id, now, by="ada", comment=None)
        restore = Restore.undo(
            request, back, undo_of=done["id"], restore_id=new_id, source=Source.HTTP, created=now, limits=LIMITS
        )
        shown = self.player.finish(self.player.start(restore))
        was_running = before.power == _RUNNING
        starts = was_running if back.starts is None else back.starts
        _check(shown, self.compute, before.disks, was_running=was_running, starts=starts)
        if shown["result"]["swap"]["state"] == "Swapped":
            wanted = {(place["lun"], place["formerDiskId"]) for place in done["result"]["swap"]["disks"]}
            have = {disk.lun: disk.disk_id for disk in self.compute.vm.disks}
            assert all(have.get(lun) == disk_id for lun, disk_id in wanted), "the undo did not put the disks back"
        return shown

    def _decision(self) -> Json:
        return {"decision": "Approved" if self.dice.random() < 0.8 else "Rejected", "by": "ada"}

    def _say(self, restore_id: str, event: str, data: Json) -> Callable[[], object]:
        def say() -> None:
            if not self.player.play(restore_id).is_over:
                self.player.say(event, data, restore_id)

        return say

    def _script(self) -> None:
        dice, often = self.dice, self.dice.choice([0.0, 0.1, 0.3, 0.6])
        self.compute.fails = {
            kind.name: [self._fate() if dice.random() < often else None for _ in range(dice.choice([3, 10, 80]))]
            for kind in FOLLOW_UP_CALLS
        }
        self.compute.before = {
            kind.name: [self._beside() if dice.random() < often / 2 else lambda: None for _ in range(20)]
            for kind in FOLLOW_UP_CALLS
        }
        self.compute.retry_after_s = dice.choice([None, None, 10.0, 600.0])
        self.compute.lags_s = dice.choice([0.0, 0.0, 5.0, 30.0])
        self.compute.has_agent = dice.random() < 0.8
        self.compute.extensions_take = timedelta(minutes=dice.choice([0, 0, 0, 3, 90, 180]))

    def _fate(self) -> Any:
        refusal = TerminalError(errors.RESTORE_REFUSED, "Azure refused the request (see details).")
        return self.dice.choice(
            [
                "lost",
                "lost",
                "died",
                "died",
                TransientError(errors.MACHINE_BUSY, "another operation runs"),
                TransientError(errors.SERVICE_UNAVAILABLE, "too many requests", retry_after_s=30.0),
                TransientError(errors.SERVICE_UNAVAILABLE, "too many requests", retry_after_s=2700.0),
                RuntimeError("the worker died before the call"),
                Later(TerminalError("InternalExecutionError", "try again")),
                Later(TerminalError("AllocationFailed", "sold out")),
                Later(TerminalError("DiskBlobNotFound", "gone")),
                Later(TerminalError("DiskProcessingError", "no"), shows=True),
                *([refusal] if self.dice.random() < 0.3 else []),
            ]
        )

    def _beside(self) -> Callable[[], object]:
        cancel = self._say(self.restore_id, CANCEL_EVENT, {"by": "ada"}) if self.restore_id else lambda: None
        often: list[Callable[[], object]] = [self.compute.attach_foreign, self.compute.begin_foreign_change] * 4
        return self.dice.choice([*often, cancel])


def _check(
    shown: Json, compute: ScriptedCompute, former: tuple[AttachedDisk, ...], *, was_running: bool, starts: bool
) -> None:
    swap = (shown["result"] or {}).get("swap")
    compute.settle()
    vm = compute.vm
    if swap is None:
        assert _names(vm.disks) >= _names(former), "the VM was touched without a word"
        assert (vm.power == _RUNNING) == was_running, "the VM was stopped without a word"
        return
    replaced = {place["formerDiskId"] for place in swap["disks"]} - {None}
    put_in = {place["diskId"] for place in swap["disks"]} - {None}
    kept = {disk.disk_id for disk in former} - replaced
    for profile in (*compute.profiles, vm.disks):
        ids = {disk.disk_id for disk in profile}
        assert kept <= ids, "a disk that nobody wanted replaced is gone"
        assert any(disk.lun is None for disk in profile)
        assert not (replaced & ids and put_in & ids), "some disks were replaced and some were not"
        foreign = {disk.disk_id for disk in profile if disk.name == "foreign"}
        was_there = any(disk.name == "foreign" for earlier in compute.profiles[:1] for disk in earlier)
        assert foreign or not was_there or "foreign" in _names(former), "a disk attached meanwhile is gone"
    ids = {disk.disk_id for disk in vm.disks}
    match swap["state"]:
        case "Swapped":
            assert shown["status"] in {"Completed", "CompletedWithWarnings"}
            assert put_in <= ids
            assert not (replaced & ids)
            assert not starts or vm.power == _RUNNING, "swapped, but it does not run"
        case "AsBefore":
            assert shown["status"] in {"Failed", "Cancelled"}
            assert {disk.disk_id for disk in former} <= ids
            assert not was_running or vm.power == _RUNNING, "as before, but it does not run"
        case "Unfinished":
            assert shown["status"] == "Failed"
            message = shown["error"]["message"]
            assert "failed again and again" in message or "within two hours" in message
            assert "az vm start" in message or "does not end its start" in message
            _check_told(message, vm, new=put_in, former=replaced)
        case state:
            raise AssertionError(f"a swap that is over shows {state}")
    assert {disk_id for disk_id in compute.tags if disk_id not in replaced | put_in} == set()


def _check_told(message: str, vm: VirtualMachine, *, new: set[str], former: set[str]) -> None:
    """Check that the error of a swap which is stuck is true of the VM."""
    ids = {disk.disk_id for disk in vm.disks}
    assert "has its new disks" not in message or new <= ids, message
    assert "has its former disks" not in message or former <= ids, message
    assert "neither all" not in message or not (new <= ids or former <= ids), message
    power = re.search(r" is (running|deallocated|stopped)[.,]", message)
    assert power is None or vm.power == power.group(1), message
    assert "does not end its start" not in message or vm.power in {_RUNNING, "starting"}, message


def _names(disks: tuple[AttachedDisk, ...]) -> set[str]:
    return {disk.name for disk in disks}
