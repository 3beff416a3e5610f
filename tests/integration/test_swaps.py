"""A restore that puts its disks into the VM, on the simulator: what becomes of the VM, and what callers are told."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from domain.follow_up import swap, swap_answers
from domain.restore import backoff
from simulator.providers.compute.state import DEALLOCATED, RUNNING
from simulator.scenario import Scenario
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, Stage, a_request, eventually, staged, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json
    from simulator.world import RequestRecord

GROUP: Final = "swap-rg"
SCOPE: Final = f"{SUBSCRIPTION}/resourceGroups/{GROUP}"
AT_ONCE: Final = "at-once"
"""A VM for which Azure puts a data disk in the place of another one in one update."""
LOST: Final = ["lostAnswers", "refusedWrites"]
CHANGES: Final = ["deallocate_vm", "patch_vm", "start_vm"]
_POINT: Final = {"ageHours": 2, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}
_DISKS: Final = [{"lun": 0, "sizeGb": 64}, {"lun": 1, "sizeGb": 32}]
_VM: Final = {"resourceGroup": GROUP, "vault": "vault-weu", "points": [_POINT], "dataDisks": _DISKS}
_NUMBERS: Final = itertools.count(1)


def scenario() -> Scenario:
    """Return many alike VMs with two data disks, and some that differ."""
    place = {"resourceGroup": "backup-rg"}
    snapshot = {**_POINT, "tiers": {"InstantRP": "Valid"}, "zones": ["2"]}
    private = {**_POINT, "privateAccess": "Enabled"}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": "vault-weu", **place, "region": "westeurope"}],
            "storageAccounts": [{"name": STORAGE_ID.rpartition("/")[2], **place, "location": "westeurope"}],
            "vms": [
                {"name": "pool", "count": 40, **_VM},
                {"name": AT_ONCE, **_VM, "faults": {"replacesDisks": True}},
                {"name": "zonal", **_VM, "zone": "2", "points": [snapshot]},
                {"name": "private", **_VM, "points": [private]},
            ],
        }
    )


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        # Here a change takes some milliseconds, and a minute of Azure's a tenth of a second.
        patch.setattr(swap, "_FIRST_LOOK_S", 0.05)
        patch.setattr(swap_answers, "_MAX_READING_AGE", timedelta(seconds=1))
        patch.setattr(backoff, "_FIRST_RETRY_S", 0.5)
        with staged(patch, None, nullcontext, scenario()) as running:
            yield running


def fresh_vm() -> str:
    """Return the id of a VM that no other test has."""
    return vm_id(f"pool-{next(_NUMBERS):03d}", GROUP)


@pytest.fixture
def vm() -> str:
    return fresh_vm()


def swapping(vm: str, **members: Any) -> Json:
    """Return the request of a restore beside the VM, whose disks are then swapped in."""
    own = {"targetResourceGroupId": None, "validate": False, "thenSwapDisks": {}}
    return a_request(**{"sourceResourceId": vm, **own, **members})


def swapped(stage: Stage, vm: str, **members: Any) -> Json:
    """Restore and swap, and return the final document."""
    return stage.finished(stage.post(swapping(vm, **members)).json()["id"])


def places(stage: Stage, vm: str) -> dict[int, str]:
    """Return the ids of the VM's disks by LUN, as the simulator has them; the OS disk is -1."""
    profile = body_of(stage, vm)["properties"]["storageProfile"]
    data = {disk["lun"]: disk["managedDisk"]["id"] for disk in profile["dataDisks"]}
    return {-1: profile["osDisk"]["managedDisk"]["id"], **data}


def body_of(stage: Stage, resource_id: str) -> Json:
    body = stage.simulator.world.store.get(resource_id)
    assert body is not None, f"{resource_id} is gone"
    return body


def power(stage: Stage, vm: str) -> str:
    stage.simulator.world.settle()
    return stage.simulator.world.compute.machines[vm.lower()].power


def new_disks(document: Json) -> dict[int, str]:
    """Return the ids of the restored disks by LUN."""
    return {-1 if disk["isOs"] else disk["lun"]: disk["id"] for disk in document["result"]["disks"]}


def writes(stage: Stage, vm: str) -> list[RequestRecord]:
    """Return the calls that changed something at the VM or at one of its former disks, each once.

    A turn of the orchestrator may be run twice, and so may its call.
    """
    name = vm.rpartition("/")[2].lower()
    seen: dict[tuple[str, str, str], RequestRecord] = {}
    for record in stage.simulator.requests:
        is_write = record.method != "GET" and "/providers/Microsoft.Compute/" in record.path
        if is_write and f"/{name}" in record.path.lower() and record.status < 300:
            seen.setdefault((record.method, record.path, str(record.body)), record)
    return list(seen.values())


def actions(stage: Stage, vm: str) -> list[str]:
    return [record.action for record in writes(stage, vm) if record.action != "patch_tags"]


def waits_for_approval(stage: Stage, restore_id: str) -> Json:
    def look() -> Json | None:
        document = stage.call("GET", f"restores/{restore_id}").json()
        return document if document["status"] == "AwaitingApproval" else None

    return eventually(look)


@dataclass(frozen=True, slots=True, kw_only=True)
class Swapped:
    """A swap that nothing disturbed: the VM, its disks before, the plan that a dry run showed, and the end."""

    vm: str
    former: dict[int, str]
    plan: Json
    done: Json


@pytest.fixture(
    scope="module",
    params=[(AT_ONCE, {}), ("", {}), ("", {"dataDisksOnly": True}), ("", {"start": False})],
    ids=["in one update", "in two", "data", "no start"],
)
def undisturbed(stage: Stage, request: pytest.FixtureRequest) -> Swapped:
    name, wish = request.param
    vm = vm_id(name, GROUP) if name else fresh_vm()
    former, plan = places(stage, vm), swapped(stage, vm, thenSwapDisks=wish, dryRun=True)
    assert writes(stage, vm) == []
    return Swapped(vm=vm, former=former, plan=plan, done=swapped(stage, vm, thenSwapDisks=wish))


class TestTheVm:
    def test_has_the_restored_disks_in_the_places_of_the_former_ones(self, stage: Stage, undisturbed: Swapped) -> None:
        done, wish = undisturbed.done, undisturbed.done["request"]["thenSwapDisks"]

        assert done["status"] == "Completed", done
        assert set(new_disks(done)) == {-1, 0, 1}
        kept = {-1: undisturbed.former[-1]} if wish.get("dataDisksOnly") else {}
        assert places(stage, undisturbed.vm) == {**new_disks(done), **kept}
        assert power(stage, undisturbed.vm) == (RUNNING if wish.get("start", True) else DEALLOCATED)
        assert done["result"]["swap"]["state"] == "Swapped"

    def test_has_its_former_disks_beside_it_unattached_and_tagged(self, stage: Stage, undisturbed: Swapped) -> None:
        done, has = undisturbed.done, places(stage, undisturbed.vm)
        replaced = {lun: disk_id for lun, disk_id in undisturbed.former.items() if has[lun] != disk_id}

        assert replaced
        for disk_id in replaced.values():
            disk = body_of(stage, disk_id)
            assert disk["properties"]["diskState"] == "Unattached"
            assert "managedBy" not in disk
            assert disk["tags"]["restore-id"] == done["id"]
            assert disk["tags"]["replaced-on"][:10] == done["completedTime"][:10]
        assert [disk["formerDiskId"] for disk in done["result"]["swap"]["disks"]] == list(replaced.values())
        for disk_id in set(undisturbed.former.values()) - set(replaced.values()):
            assert "restore-id" not in body_of(stage, disk_id).get("tags", {})

    def test_gets_exactly_the_calls_that_a_dry_run_shows(self, stage: Stage, undisturbed: Swapped) -> None:
        planned = [(call["method"], call["path"].lower()) for call in undisturbed.plan["result"]["plan"]["followUp"]]

        made = [(call.method, call.path.partition("?")[0].lower()) for call in writes(stage, undisturbed.vm)]

        assert undisturbed.plan["status"] == "Planned"
        assert len(planned) >= 4
        updates = 1 if undisturbed.vm.endswith(AT_ONCE) else 2
        assert made == [call for call in planned for _ in range(updates if call == planned[1] else 1)]

    def test_in_a_zone_gets_disks_of_a_snapshot_there(self, stage: Stage) -> None:
        done = swapped(stage, vm_id("zonal", GROUP), validate=True)

        assert done["status"] == "Completed", done
        assert {tuple(body_of(stage, disk)["zones"]) for disk in new_disks(done).values()} == {("2",)}

    def test_whose_disks_had_private_access_gets_such_disks(self, stage: Stage) -> None:
        done = swapped(stage, vm_id("private", GROUP), validate=True)

        assert done["status"] == "Completed", done


class TestAPerson:
    def test_is_asked_before_the_vm_is_touched(self, stage: Stage, vm: str) -> None:
        former = places(stage, vm)
        restore_id = stage.post(swapping(vm, approval={"required": True, "before": "Swap"})).json()["id"]

        waiting = waits_for_approval(stage, restore_id)
        touched = actions(stage, vm)
        answer = stage.call("POST", f"restores/{restore_id}/approve", json={"by": "ada"})
        done = stage.finished(restore_id)

        assert (touched, answer.status_code) == ([], 202)
        assert waiting["waiting"]["reason"] == "Approval"
        assert done["status"] == "Completed", done
        assert places(stage, vm) == new_disks(done)
        assert not set(places(stage, vm).values()) & set(former.values())

    def test_who_says_no_leaves_the_vm_alone_and_has_the_disks(self, stage: Stage, vm: str) -> None:
        former = places(stage, vm)
        restore_id = stage.post(swapping(vm, approval={"required": True, "before": "Swap"})).json()["id"]

        waits_for_approval(stage, restore_id)
        stage.call("POST", f"restores/{restore_id}/reject", json={"by": "ada", "comment": "not today"})
        done = stage.finished(restore_id)

        assert (done["status"], done["error"]["code"]) == ("Rejected", "Rejected")
        assert "the VM was not touched" in done["error"]["message"]
        assert len(done["result"]["disks"]) == 3
        assert (actions(stage, vm), places(stage, vm), power(stage, vm)) == ([], former, RUNNING)


RIGHTS: Final = ("deallocate/action", "write", "start/action")


class TestWhatTheAppMayNotDo:
    @pytest.mark.parametrize("right", RIGHTS)
    def test_is_found_before_anything_is_restored(self, stage: Stage, vm: str, right: str) -> None:
        stage.simulator.world.deny(vm, [f"Microsoft.Compute/virtualMachines/{right}"])

        done = swapped(stage, vm)

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert f"Microsoft.Compute/virtualMachines/{right}" in done["error"]["message"]
        assert "SwapDisks" in done["error"]["message"]
        assert (stage.jobs_of(vm.rpartition("/")[2]), actions(stage, vm)) == (0, [])

    def test_a_lock_is_found_then_too(self, stage: Stage, vm: str) -> None:
        stage.simulator.world.set_lock(vm, "ReadOnly")

        done = swapped(stage, vm)

        assert (done["status"], done["error"]["code"]) == ("Failed", "ValidationFailed")
        assert "ReadOnly lock" in done["error"]["message"]
        assert stage.jobs_of(vm.rpartition("/")[2]) == 0

    @pytest.mark.parametrize(("right", "made"), [(RIGHTS[0], []), (RIGHTS[1], ["deallocate_vm", "start_vm"])])
    def test_taken_away_meanwhile_leaves_the_vm_as_it_was(
        self, stage: Stage, vm: str, right: str, made: list[str]
    ) -> None:
        former = places(stage, vm)
        restore_id = stage.post(swapping(vm, approval={"required": True, "before": "Swap"})).json()["id"]
        waits_for_approval(stage, restore_id)

        stage.simulator.world.deny(vm, [f"Microsoft.Compute/virtualMachines/{right}"])
        stage.call("POST", f"restores/{restore_id}/approve", json={"by": "ada"})
        done = stage.finished(restore_id)

        assert_as_before(stage, vm, done, former)
        assert actions(stage, vm) == made
        assert "SwapDisks" in done["error"]["message"]

    def test_because_of_a_lock_set_meanwhile_leaves_the_vm_as_it_was(self, stage: Stage, vm: str) -> None:
        former = places(stage, vm)
        restore_id = stage.post(swapping(vm, approval={"required": True, "before": "Swap"})).json()["id"]
        waits_for_approval(stage, restore_id)

        stage.simulator.world.set_lock(SCOPE, "ReadOnly")
        try:
            stage.call("POST", f"restores/{restore_id}/approve", json={"by": "ada"})
            done = stage.finished(restore_id)
        finally:
            stage.simulator.world.set_lock(SCOPE, "")

        assert_as_before(stage, vm, done, former)
        assert actions(stage, vm) == []
        assert "Remove the ReadOnly lock" in done["error"]["message"]


def assert_as_before(stage: Stage, vm: str, done: Json, former: dict[int, str]) -> None:
    """Check that a swap did not happen, that the VM has and does what it had and did, and that this is said."""
    assert (done["status"], done["error"]["code"]) == ("Failed", "SwapFailed"), done
    assert "The VM runs as before, with its former disks." in done["error"]["message"]
    assert done["result"]["swap"]["state"] == "AsBefore"
    assert len(done["result"]["disks"]) == 3
    assert (places(stage, vm), power(stage, vm)) == (former, RUNNING)


class TestAzure:
    def test_that_has_no_room_for_the_vm_is_asked_again(self, stage: Stage, vm: str) -> None:
        sold_out = {"code": "AllocationFailed", "message": "Sold out.", "actions": ["start_vm"], "count": 1}
        stage.simulator.world.set_faults(vm, {"computeFailed": sold_out})

        done = swapped(stage, vm)

        assert done["status"] == "Completed", done
        assert (places(stage, vm), power(stage, vm)) == (new_disks(done), RUNNING)

    @pytest.mark.parametrize(
        "how",
        [{"refused": True}, {"leaves": "former"}, {"leaves": "asked"}],
        ids=["at once", "later", "but shows them"],
    )
    def test_that_does_not_replace_the_disks_leaves_the_vm_as_it_was(self, stage: Stage, vm: str, how: Json) -> None:
        failed = {"code": "DiskProcessingError", "message": "No way.", "actions": ["patch_vm"], "count": 1}
        stage.simulator.world.set_faults(vm, {"computeFailed": {**failed, **how}})
        former = places(stage, vm)

        done = swapped(stage, vm)

        assert_as_before(stage, vm, done, former)
        assert "No way." in done["error"]["message"] + str(done["error"]["details"])
        assert all("managedBy" not in body_of(stage, disk) for disk in new_disks(done).values())

    @pytest.mark.parametrize("action", CHANGES)
    def test_whose_answers_are_lost_is_not_asked_in_vain(self, stage: Stage, action: str) -> None:
        faults = [{fault: {"count": 1, "actions": [action]}} for fault in LOST]
        vms = {fresh_vm(): fault for fault in faults}
        for vm, fault in vms.items():
            stage.simulator.world.set_faults(vm, fault)

        restores = {vm: stage.post(swapping(vm)).json()["id"] for vm in vms}

        for vm, restore_id in restores.items():
            done = stage.finished(restore_id)
            assert done["status"] == "Completed", (vms[vm], done)
            assert (places(stage, vm), power(stage, vm)) == (new_disks(done), RUNNING)

    def test_that_throttles_is_waited_for(self, stage: Stage, vm: str) -> None:
        throttling = {"count": 4, "retryAfterSeconds": 60, "actions": [*CHANGES, "patch_tags"]}
        stage.simulator.world.set_faults(vm, {"throttle429": throttling})

        done = swapped(stage, vm)

        assert done["status"] == "Completed", done
        assert (places(stage, vm), power(stage, vm)) == (new_disks(done), RUNNING)


class TestSomebodyElse:
    def test_who_attaches_a_disk_meanwhile_keeps_it(self, stage: Stage, vm: str) -> None:
        stage.simulator.world.set_faults(vm, {"foreignChanges": {"change": "attachDisk", "before": ["patch_vm"]}})

        done = swapped(stage, vm)

        assert done["status"] == "Completed", done
        assert places(stage, vm).items() > new_disks(done).items()
        assert len(places(stage, vm)) == 4

    def test_who_starts_the_vm_before_its_disks_are_replaced_only_delays_it(self, stage: Stage, vm: str) -> None:
        stage.simulator.world.set_faults(vm, {"foreignChanges": {"change": "start", "before": ["patch_vm"]}})

        done = swapped(stage, vm)

        assert done["status"] == "Completed", done
        assert (places(stage, vm), power(stage, vm)) == (new_disks(done), RUNNING)

    def test_who_cancels_while_the_vm_stops_has_it_as_it_was(self, stage: Stage, vm: str) -> None:
        stage.simulator.world.set_faults(vm, {"slowCompute": {"seconds": 1200, "actions": ["deallocate_vm"]}})
        former = places(stage, vm)
        restore_id = stage.post(swapping(vm)).json()["id"]
        eventually(lambda: actions(stage, vm))

        stage.call("POST", f"restores/{restore_id}/cancel", json={"by": "ada"})
        done = stage.finished(restore_id)

        assert (done["status"], done["error"]["code"]) == ("Cancelled", "RestoreCancelled"), done
        assert done["result"]["swap"]["state"] == "AsBefore"
        assert (places(stage, vm), power(stage, vm)) == (former, RUNNING)
