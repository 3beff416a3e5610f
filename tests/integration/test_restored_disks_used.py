"""A restore that makes a VM of its disks, or attaches them to another VM, on the simulator."""

from __future__ import annotations

import itertools
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from domain.follow_up import patience
from simulator.providers.compute.state import DEALLOCATED, RUNNING
from simulator.scenario import Scenario
from tests.integration.app_stage import STORAGE_ID, SUBSCRIPTION, Stage, a_request, staged, vm_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from domain.errors import Json

SOURCE: Final = "source-rg"
TARGET: Final = f"{SUBSCRIPTION}/resourceGroups/restored-rg"
SUBNET: Final = f"{TARGET}/providers/Microsoft.Network/virtualNetworks/restored-vnet/subnets/default"
_POINT: Final = {"ageHours": 2, "tiers": {"InstantRP": "Valid", "HardenedRP": "Valid"}}
_DISKS: Final = [{"lun": 0, "sizeGb": 64}, {"lun": 2, "sizeGb": 32}]
_VM: Final = {"resourceGroup": SOURCE, "vault": "vault-weu", "points": [_POINT], "dataDisks": _DISKS}
_NUMBERS: Final = itertools.count(1)


def scenario() -> Scenario:
    """Return VMs with two data disks, one that rescues others, and a network for new ones."""
    place = {"resourceGroup": "backup-rg"}
    network = {"name": "restored-vnet", "resourceGroup": "restored-rg", "location": "westeurope"}
    return Scenario.from_dict(
        {
            "subscriptionId": SUBSCRIPTION.rpartition("/")[2],
            "vaults": [{"name": "vault-weu", **place, "region": "westeurope"}],
            "storageAccounts": [{"name": STORAGE_ID.rpartition("/")[2], **place, "location": "westeurope"}],
            "virtualNetworks": [network],
            "vms": [
                {"name": "pool", "count": 12, **_VM},
                {"name": "rescue", "count": 4, "resourceGroup": SOURCE, "location": "westeurope"},
            ],
        }
    )


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patience, "_FIRST_LOOK_S", 0.05)
        patch.setattr(patience, "UNSHOWN", timedelta(seconds=2))
        with staged(patch, None, nullcontext, scenario()) as running:
            yield running


def used(stage: Stage, **members: Any) -> Json:
    """Restore the disks of a VM that no other test has, and use them; returns the final document."""
    source = vm_id(f"pool-{next(_NUMBERS):03d}", SOURCE)
    own = {"sourceResourceId": source, "targetResourceGroupId": TARGET, "validate": False}
    return stage.finished(stage.post(a_request(**{**own, **members})).json()["id"])


def body_of(stage: Stage, resource_id: str) -> Json:
    stage.simulator.world.settle()
    body = stage.simulator.world.store.get(resource_id)
    assert body is not None, f"{resource_id} is not there"
    return body


def power(stage: Stage, vm: str) -> str:
    stage.simulator.world.settle()
    return stage.simulator.world.compute.machines[vm.lower()].power


def restored(document: Json) -> dict[int, str]:
    """Return the ids of the restored disks by LUN; -1 is the OS disk."""
    return {-1 if disk["isOs"] else disk["lun"]: disk["id"].lower() for disk in document["result"]["disks"]}


def attached(stage: Stage, vm: str) -> dict[int, str]:
    profile = body_of(stage, vm)["properties"]["storageProfile"]
    data = {disk["lun"]: disk["managedDisk"]["id"].lower() for disk in profile["dataDisks"]}
    return {-1: profile["osDisk"]["managedDisk"]["id"].lower(), **data}


class TestANewVm:
    @pytest.mark.parametrize("template", [False, True])
    def test_it_runs_with_the_restored_disks(self, stage: Stage, template: bool) -> None:
        name = "by-template" if template else "by-puts"
        document = used(
            stage,
            thenCreateVirtualMachine={"name": name, "subnetId": SUBNET, **({"template": True} if template else {})},
        )

        assert document["status"] == "Completed", document["error"]
        vm = f"{TARGET}/providers/Microsoft.Compute/virtualMachines/{name}"
        assert attached(stage, vm) == restored(document)
        assert power(stage, vm) == RUNNING
        created = document["result"]["createdVirtualMachine"]
        assert created["state"] == "Created"
        assert vm.lower() in [each.lower() for each in created["outputResources"]]

    def test_it_can_stay_off(self, stage: Stage) -> None:
        document = used(stage, thenCreateVirtualMachine={"name": "off", "subnetId": SUBNET, "start": False})

        assert document["status"] == "Completed", document["error"]
        assert power(stage, f"{TARGET}/providers/Microsoft.Compute/virtualMachines/off") == DEALLOCATED

    def test_a_vm_that_is_there_is_not_touched(self, stage: Stage) -> None:
        used(stage, thenCreateVirtualMachine={"name": "taken", "subnetId": SUBNET})
        vm = f"{TARGET}/providers/Microsoft.Compute/virtualMachines/taken"
        before = attached(stage, vm)

        document = used(stage, thenCreateVirtualMachine={"name": "taken", "subnetId": SUBNET})

        assert (document["status"], document["error"]["code"]) == ("Failed", "ValidationFailed")
        assert document["jobId"] is None
        assert attached(stage, vm) == before

    def test_a_size_that_the_region_does_not_have_starts_nothing(self, stage: Stage) -> None:
        asked = {"name": "odd", "subnetId": SUBNET, "size": "Standard_D3_v99"}

        document = used(stage, dryRun=True, thenCreateVirtualMachine=asked)

        assert (document["status"], document["error"]["code"]) == ("Failed", "ValidationFailed")
        assert document["error"]["details"][0]["target"] == "thenCreateVirtualMachine.size"
        assert document["warnings"] == []

    def test_a_template_that_the_app_may_not_read_starts_nothing(self, stage: Stage) -> None:
        blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
        stage.simulator.world.deny(STORAGE_ID, [blobs])
        asked = {"name": "unread", "subnetId": SUBNET, "template": True}

        document = used(stage, dryRun=True, thenCreateVirtualMachine=asked)

        stage.simulator.world.deny(STORAGE_ID, [])
        assert (document["status"], document["error"]["details"][0]["code"]) == ("Failed", "AuthorizationFailed")
        assert "Storage Blob Data Reader" in document["error"]["message"]

    def test_a_plan_shows_its_calls(self, stage: Stage) -> None:
        document = used(stage, dryRun=True, thenCreateVirtualMachine={"name": "planned", "subnetId": SUBNET})

        calls = [(call["method"], call["path"].rpartition("/providers/")[2]) for call in _planned(document)]
        assert ("PUT", "Microsoft.Compute/virtualMachines/planned") in calls


class TestDisksForAnotherVm:
    def test_the_chosen_disks_are_attached_and_the_others_stay(self, stage: Stage) -> None:
        rescue = vm_id("rescue-001", SOURCE)
        document = used(stage, thenAttachDisks={"virtualMachineId": rescue, "luns": [2]})

        assert document["status"] == "Completed", document["error"]
        disks = restored(document)
        assert disks[2] in attached(stage, rescue).values()
        assert not {disks[-1], disks[0]} & set(attached(stage, rescue).values())
        assert all(body_of(stage, disk) for disk in disks.values())

    def test_the_others_are_deleted_where_that_is_asked_for(self, stage: Stage) -> None:
        rescue = vm_id("rescue-002", SOURCE)
        before = set(attached(stage, rescue).values())
        document = used(stage, thenAttachDisks={"virtualMachineId": rescue, "luns": [0], "deleteOthers": True})

        assert document["status"] == "Completed", document["error"]
        disks = restored(document)
        assert set(attached(stage, rescue).values()) == before | {disks[0]}
        assert body_of(stage, disks[0])
        assert [stage.simulator.world.store.get(disks[lun]) for lun in (-1, 2)] == [None, None]
        assert {each.lower() for each in document["result"]["attachment"]["deleted"]} == {disks[-1], disks[2]}


def _planned(document: Json) -> list[Json]:
    assert document["status"] == "Planned"
    return document["result"]["plan"]["followUp"]
