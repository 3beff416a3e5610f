"""What azure-mgmt-compute reads from the simulator, and does to it: disks, virtual machines, run commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.compute import ComputeManagementClient, models

from simulator.scenario import Scenario
from simulator.server import running
from tests.conformance.caller import SUBSCRIPTION, SUBSCRIPTION_ID, TARGET_GROUP, ZRS, Caller, new_vm_members, vm_id
from tests.conformance.sdk import WaitlessTransport, sdk_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.clock import ManualClock
    from simulator.server import Simulator

GROUP, VM = "swap-rg", "swap-01"


@pytest.fixture
def compute(secure: Simulator, clock: ManualClock) -> Iterator[ComputeManagementClient]:
    """A client that waits by moving the clock."""
    transport = WaitlessTransport(secure, clock)
    with sdk_client(ComputeManagementClient, secure, SUBSCRIPTION_ID, transport=transport) as client:
        yield client


@pytest.fixture
def azure(secure: Simulator) -> Iterator[Caller]:
    """A plain client of the same simulator, for what this SDK does not call."""
    caller = Caller(secure)
    with caller.session:
        yield caller


def disk_id(name: str, group: str = GROUP) -> str:
    return f"{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/disks/{name}"


def disks(compute: ComputeManagementClient, group: str = GROUP) -> dict[str, models.Disk]:
    return {str(disk.name): disk for disk in compute.disks.list_by_resource_group(group)}


def restored(compute: ComputeManagementClient, azure: Caller, clock: ManualClock, **members: Any) -> list[models.Disk]:
    """Restore the disks of swap-01 beside it; return those that the job has made, the OS disk first."""
    job_id = azure.restored_job(VM, GROUP, targetResourceGroupId=f"{SUBSCRIPTION}/resourceGroups/{GROUP}", **members)
    clock.advance(120)
    return [disk for disk in disks(compute).values() if (disk.tags or {}).get("RSVaultBackup") == job_id]


def storage(compute: ComputeManagementClient, name: str = VM) -> models.StorageProfile:
    profile = compute.virtual_machines.get(GROUP, name).storage_profile
    assert profile is not None
    assert profile.os_disk is not None
    return profile


def luns(profile: models.StorageProfile) -> dict[int, str]:
    """Return the names of the data disks by their LUN."""
    return {disk.lun: str(disk.name) for disk in profile.data_disks or []}


def update(**profile: Any) -> models.VirtualMachineUpdate:
    """Compose a PATCH of members of the storage profile."""
    properties = models.VirtualMachineProperties(storage_profile=models.StorageProfile(**profile))
    return models.VirtualMachineUpdate(properties=properties)


def swap(os_disk: str, data_disks: dict[int, str]) -> models.VirtualMachineUpdate:
    """Compose a PATCH of the whole storage profile, from ids of disks."""
    return update(
        os_disk=models.OSDisk(
            create_option="FromImage",
            name=os_disk.rpartition("/")[2],
            managed_disk=models.ManagedDiskParameters(id=os_disk),
        ),
        data_disks=[attached(lun, each) for lun, each in data_disks.items()],
    )


def attached(lun: int, disk: str) -> models.DataDisk:
    return models.DataDisk(lun=lun, create_option="Attach", managed_disk=models.ManagedDiskParameters(id=disk))


def nics(vm: models.VirtualMachine) -> list[str]:
    assert vm.network_profile is not None
    return [str(each.id) for each in vm.network_profile.network_interfaces or []]


def power(compute: ComputeManagementClient, name: str = VM) -> str:
    view = compute.virtual_machines.instance_view(GROUP, name)
    return next(str(each.code) for each in view.statuses or [] if str(each.code).startswith("PowerState/"))


def agent(compute: ComputeManagementClient, name: str = VM) -> str | None:
    view = compute.virtual_machines.instance_view(GROUP, name).vm_agent
    return None if view is None else (view.statuses or [])[0].display_status


def refusal(attempt: Any) -> tuple[int, str, str]:
    """Return status, code and message of the error that an attempt must raise."""
    with pytest.raises(HttpResponseError) as caught:
        attempt()
    error = caught.value.error
    assert error is not None
    assert caught.value.status_code is not None
    return caught.value.status_code, str(error.code), str(error.message)


class TestDisks:
    def test_disks_of_vms_are_listed_page_by_page(self, compute: ComputeManagementClient) -> None:
        found = list(compute.disks.list())

        assert len({disk.id for disk in found}) == len(found) > 100
        mine = disks(compute)
        os_disk, first = mine["swap-01_OsDisk_1_" + mark(mine)], mine["swap-01_DataDisk_0"]
        assert (os_disk.os_type, os_disk.hyper_v_generation, os_disk.disk_size_gb) == ("Windows", "V2", 127)
        assert (first.os_type, first.disk_state, first.managed_by) == (None, "Attached", vm_id(VM, GROUP))
        assert storage(compute).os_disk.managed_disk.id == os_disk.id  # pyright: ignore[reportOptionalMemberAccess]

    def test_restored_disks_name_their_job_and_are_like_their_sources(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        os_disk, *data = restored(compute, azure, clock)

        job = azure.simulator.world.jobs_of(vm_id(VM, GROUP))[-1]
        stamp = f"{job.started:%Y%m%d-%H%M%S}"
        assert [disk.name for disk in (os_disk, *data)] == [
            f"swap01-osdisk-{stamp}",
            f"swap01-datadisk-000-{stamp}",
            f"swap01-datadisk-001-{stamp}",
        ]
        assert os_disk.tags == {"env": "prod", "RSVaultBackup": job.job_id}
        assert [disk.disk_size_gb for disk in (os_disk, *data)] == [127, 64, 32]
        assert (os_disk.disk_state, os_disk.managed_by, os_disk.os_type) == ("Unattached", None, "Windows")
        assert os_disk.creation_data is not None
        assert os_disk.creation_data.create_option == "Restore"
        assert os_disk.time_created is not None
        assert job.started < os_disk.time_created <= clock.now()

    @pytest.mark.parametrize(("tier", "option"), [("InstantRP", "Restore"), ("HardenedRP", "Import")])
    def test_disks_have_the_luns_of_their_sources_in_their_names(
        self, clock: ManualClock, tier: str, option: str
    ) -> None:
        """The name says the LUN, not the number of the disk: exported configurations show a single disk ``-002-``."""
        document = {
            "subscriptionId": SUBSCRIPTION_ID,
            "vaults": [{"name": "vault-weu", "resourceGroup": "backup-rg", "region": "westeurope"}],
            "storageAccounts": [{"name": "stagingweu", "resourceGroup": "backup-rg", "location": "westeurope"}],
            "vms": [
                {
                    "name": "odd-01",
                    "resourceGroup": GROUP,
                    "vault": "vault-weu",
                    "zone": "2",
                    "dataDisks": [{"lun": 2}, {"lun": 5}],
                    "points": [{"ageHours": 3, "tiers": {tier: "Valid"}}],
                }
            ],
        }
        with running(Scenario.from_dict(document), clock=clock) as simulator:
            caller = Caller(simulator)
            with caller.session:
                caller.restored_job("odd-01", GROUP, targetResourceGroupId=f"{SUBSCRIPTION}/resourceGroups/{GROUP}")
                clock.advance(600)
                path = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Compute/disks"
                made = [
                    disk
                    for disk in caller.get(path, **{"api-version": "2024-03-02"}).json()["value"]
                    if "RSVaultBackup" in disk["tags"]
                ]

        assert [disk["name"].rpartition("-2026")[0] for disk in made] == [
            "odd01-osdisk",
            "odd01-datadisk-002",
            "odd01-datadisk-005",
        ]
        assert [disk["properties"]["creationData"]["createOption"] for disk in made] == [option] * 3
        assert [disk["zones"] for disk in made] == [["2"]] * 3

    def test_tags_of_a_disk_are_changed(self, compute: ComputeManagementClient) -> None:
        changed = compute.disks.begin_update(GROUP, "swap-01_DataDisk_0", models.DiskUpdate(tags={"a": "b"})).result()

        assert changed.tags == {"a": "b"}
        assert compute.disks.get(GROUP, "swap-01_DataDisk_0").tags == {"a": "b"}

    def test_a_disk_that_no_vm_has_is_deleted(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        name = str(restored(compute, azure, clock)[1].name)

        compute.disks.begin_delete(GROUP, name).result()

        with pytest.raises(ResourceNotFoundError):
            compute.disks.get(GROUP, name)
        compute.disks.begin_delete(GROUP, name).result()  # the second time there is nothing to do

    @pytest.mark.parametrize("deallocated", [False, True])
    def test_a_disk_that_a_vm_has_is_not_deleted(self, compute: ComputeManagementClient, *, deallocated: bool) -> None:
        if deallocated:
            compute.virtual_machines.begin_deallocate(GROUP, VM).result()
            assert compute.disks.get(GROUP, "swap-01_DataDisk_0").disk_state == "Reserved"

        assert refusal(lambda: compute.disks.begin_delete(GROUP, "swap-01_DataDisk_0")) == (
            409,
            "OperationNotAllowed",
            f"Disk swap-01_DataDisk_0 is attached to VM {vm_id(VM, GROUP)}.",
        )

    def test_a_group_that_is_not_there_has_no_list(self, compute: ComputeManagementClient) -> None:
        assert refusal(lambda: list(compute.disks.list_by_resource_group("nowhere-rg")))[:2] == (
            404,
            "ResourceGroupNotFound",
        )


def mark(mine: dict[str, models.Disk]) -> str:
    return next(name for name in mine if name.startswith("swap-01_OsDisk_1_")).rpartition("_")[2]


class TestReading:
    def test_vms_are_listed_and_read(self, compute: ComputeManagementClient) -> None:
        everywhere = {vm.name for vm in compute.virtual_machines.list_all()}
        here = {vm.name: vm for vm in compute.virtual_machines.list(GROUP)}

        assert set(here) < everywhere
        assert "gone-01" not in everywhere
        vm = here[VM]
        assert (vm.location, vm.provisioning_state, vm.zones) == ("westeurope", "Succeeded", None)
        assert vm.hardware_profile is not None
        assert vm.hardware_profile.vm_size == "Standard_D4s_v5"
        assert vm.storage_profile is not None
        assert luns(vm.storage_profile) == {0: "swap-01_DataDisk_0", 1: "swap-01_DataDisk_1"}
        assert here["swap-zonal-01"].zones == ["2"]
        security = here["swap-trusted-01"].security_profile
        assert security is not None
        assert security.security_type == "TrustedLaunch"

    def test_a_running_vm_has_an_agent_that_is_ready(self, compute: ComputeManagementClient) -> None:
        vm = compute.virtual_machines.get(GROUP, VM, expand="instanceView")

        assert vm.instance_view is not None
        assert [each.code for each in vm.instance_view.statuses or []] == [
            "ProvisioningState/succeeded",
            "PowerState/running",
        ]
        assert (vm.instance_view.computer_name, vm.instance_view.hyper_v_generation) == (VM, "V2")
        assert (power(compute), agent(compute)) == ("PowerState/running", "Ready")

    def test_a_size_says_how_many_data_disks_it_takes(self, compute: ComputeManagementClient) -> None:
        there = {size.name: size for size in compute.virtual_machine_sizes.list("westeurope")}
        for_vm = {size.name for size in compute.virtual_machines.list_available_sizes(GROUP, VM)}

        assert there["Standard_D4s_v5"].max_data_disk_count == 8
        assert for_vm == set(there)

    def test_what_a_subscription_can_have_in_a_region_says_it_too(self, compute: ComputeManagementClient) -> None:
        found = {sku.name: sku for sku in compute.resource_skus.list(filter="location eq 'westeurope'")}

        size, disk = found["Standard_D4s_v5"], found["Premium_LRS"]
        assert (size.resource_type, size.locations, size.family) == (
            "virtualMachines",
            ["westeurope"],
            "standardDSv5Family",
        )
        assert {each.name: each.value for each in size.capabilities or []}["MaxDataDiskCount"] == "8"
        assert (size.restrictions, disk.resource_type) == ([], "disks")

    def test_boot_diagnostics_name_two_blobs(self, compute: ComputeManagementClient) -> None:
        found = compute.virtual_machines.retrieve_boot_diagnostics_data(GROUP, VM)

        assert str(found.serial_console_log_blob_uri).startswith("https://")


class TestPower:
    def test_a_vm_is_deallocated_and_started_again(self, compute: ComputeManagementClient, clock: ManualClock) -> None:
        compute.virtual_machines.begin_deallocate(GROUP, VM, polling=False)
        assert power(compute) == "PowerState/deallocating"
        assert compute.virtual_machines.get(GROUP, VM).provisioning_state == "Updating"
        clock.advance(8)
        assert (power(compute), agent(compute)) == ("PowerState/deallocated", None)

        compute.virtual_machines.begin_start(GROUP, VM, polling=False)
        assert power(compute) == "PowerState/starting"
        clock.advance(20)
        assert (power(compute), agent(compute)) == ("PowerState/running", "Not Ready")
        clock.advance(15)
        assert agent(compute) == "Ready"

    def test_a_stopped_vm_still_shows_the_agent_of_its_last_run(self, compute: ComputeManagementClient) -> None:
        compute.virtual_machines.begin_power_off(GROUP, VM).result()

        assert (power(compute), agent(compute)) == ("PowerState/stopped", "Ready")
        assert compute.disks.get(GROUP, "swap-01_DataDisk_0").disk_state == "Attached"

    def test_a_deallocated_vm_is_neither_stopped_nor_restarted(self, compute: ComputeManagementClient) -> None:
        vms = compute.virtual_machines
        vms.begin_deallocate(GROUP, VM).result()

        assert refusal(lambda: vms.begin_power_off(GROUP, VM))[:2] == (409, "OperationNotAllowed")
        assert refusal(lambda: vms.begin_restart(GROUP, VM))[:2] == (409, "OperationNotAllowed")
        vms.begin_deallocate(GROUP, VM).result()
        vms.begin_start(GROUP, VM).result()
        vms.begin_restart(GROUP, VM).result()
        assert power(compute) == "PowerState/running"

    def test_a_newer_power_operation_ends_the_older_one(self, compute: ComputeManagementClient, azure: Caller) -> None:
        older = azure.post(f"{vm_id(VM, GROUP)}/deallocate").headers["Azure-AsyncOperation"]

        compute.virtual_machines.begin_start(GROUP, VM).result()

        ended = azure.get(older).json()
        assert (ended["status"], ended["error"]["code"]) == ("Failed", "OperationPreempted")
        assert power(compute) == "PowerState/running"

    def test_a_start_without_capacity_fails_in_the_end(
        self, compute: ComputeManagementClient, secure: Simulator
    ) -> None:
        compute.virtual_machines.begin_deallocate(GROUP, VM).result()
        failed = {"code": "AllocationFailed", "actions": ["start_vm"], "count": 1}
        secure.world.set_faults(VM, {"computeFailed": failed})

        with pytest.raises(HttpResponseError, match="AllocationFailed"):
            compute.virtual_machines.begin_start(GROUP, VM).result()

        assert power(compute) == "PowerState/deallocated"
        assert compute.virtual_machines.get(GROUP, VM).provisioning_state == "Failed"
        compute.virtual_machines.begin_start(GROUP, VM).result()
        assert power(compute) == "PowerState/running"


class TestSwap:
    def test_all_disks_are_swapped_and_swapped_back(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        vms = compute.virtual_machines
        former = storage(compute)
        new_os, *new_data = (str(disk.id) for disk in restored(compute, azure, clock))
        vms.begin_deallocate(GROUP, VM).result()

        vms.begin_update(GROUP, VM, update(data_disks=[])).result()
        vms.begin_update(GROUP, VM, swap(new_os, dict(enumerate(new_data)))).result()
        vms.begin_start(GROUP, VM).result()

        after, now = storage(compute), disks(compute)
        assert after.os_disk is not None
        assert after.os_disk.managed_disk is not None
        assert (after.os_disk.managed_disk.id, after.os_disk.create_option) == (new_os, "FromImage")
        assert [disk.id for disk in now.values() if disk.managed_by == vm_id(VM, GROUP)] == [new_os, *new_data]
        assert {now[name].disk_state for name in luns(after).values()} == {"Attached"}
        assert {now[name].disk_state for name in luns(former).values()} == {"Unattached"}

        assert former.os_disk is not None
        assert former.os_disk.managed_disk is not None
        vms.begin_deallocate(GROUP, VM).result()
        data = {lun: disk_id(name) for lun, name in luns(former).items()}
        vms.begin_update(GROUP, VM, update(data_disks=[])).result()
        vms.begin_update(GROUP, VM, swap(str(former.os_disk.managed_disk.id), data)).result()
        assert luns(storage(compute)) == luns(former)
        assert compute.disks.get(GROUP, new_os.rpartition("/")[2]).managed_by is None

    @pytest.mark.parametrize(("named", "target"), [(True, "dataDisk.name"), (False, "dataDisk.managedDisk.id")])
    def test_a_disk_does_not_come_to_a_lun_in_the_update_that_detaches_the_former_one(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock, *, named: bool, target: str
    ) -> None:
        """So users have reported it: azure-sdk-for-java#2925, terraform-provider-azurerm#592."""
        new = str(restored(compute, azure, clock)[1].id)
        wanted = attached(0, new)
        wanted.name = new.rpartition("/")[2] if named else None
        compute.virtual_machines.begin_deallocate(GROUP, VM).result()

        found = refusal(lambda: compute.virtual_machines.begin_update(GROUP, VM, update(data_disks=[wanted])))

        assert found == (409, "PropertyChangeNotAllowed", f"Changing property '{target}' is not allowed.")
        compute.virtual_machines.begin_update(GROUP, VM, update(data_disks=[])).result()
        compute.virtual_machines.begin_update(GROUP, VM, update(data_disks=[wanted])).result()
        assert luns(storage(compute)) == {0: new.rpartition("/")[2]}

    def test_unless_a_fault_says_so(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock, secure: Simulator
    ) -> None:
        secure.world.set_faults(VM, {"replacesDisks": True})
        new_os, *new_data = (str(disk.id) for disk in restored(compute, azure, clock))
        compute.virtual_machines.begin_deallocate(GROUP, VM).result()

        compute.virtual_machines.begin_update(GROUP, VM, swap(new_os, dict(enumerate(new_data)))).result()

        assert luns(storage(compute)) == {lun: each.rpartition("/")[2] for lun, each in enumerate(new_data)}
        assert compute.disks.get(GROUP, "swap-01_DataDisk_0").disk_state == "Unattached"

    def test_disks_that_are_not_in_the_list_are_detached(self, compute: ComputeManagementClient) -> None:
        stays = attached(1, disk_id("swap-01_DataDisk_1"))
        stays.create_option = "Empty"
        alone = update(data_disks=[stays])

        compute.virtual_machines.begin_update(GROUP, VM, alone, polling=False)
        leaving = [each.to_be_detached for each in storage(compute).data_disks or []]
        state = compute.disks.get(GROUP, "swap-01_DataDisk_0").disk_state

        assert (leaving, state) == ([False, True], "Attached")
        compute.virtual_machines.begin_start(GROUP, "swap-linux-01").result()
        assert luns(storage(compute)) == {1: "swap-01_DataDisk_1"}
        assert compute.disks.get(GROUP, "swap-01_DataDisk_0").disk_state == "Unattached"

    def test_an_update_that_fails_may_leave_the_former_disks(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock, secure: Simulator
    ) -> None:
        new_os, *_ = (str(disk.id) for disk in restored(compute, azure, clock))
        compute.virtual_machines.begin_deallocate(GROUP, VM).result()
        former = storage(compute).as_dict()
        failed = {"code": "InternalExecutionError", "actions": ["patch_vm"], "leaves": "former"}
        secure.world.set_faults(VM, {"computeFailed": failed})

        with pytest.raises(HttpResponseError, match="InternalExecutionError"):
            compute.virtual_machines.begin_update(GROUP, VM, swap(new_os, {})).result()

        assert storage(compute).as_dict() == former
        assert compute.virtual_machines.get(GROUP, VM).provisioning_state == "Failed"
        assert compute.disks.get(GROUP, new_os.rpartition("/")[2]).managed_by is None

    def test_another_update_must_wait(self, compute: ComputeManagementClient) -> None:
        vms = compute.virtual_machines
        vms.begin_update(GROUP, VM, models.VirtualMachineUpdate(tags={"a": "1"}), polling=False)

        status, code, message = refusal(
            lambda: vms.begin_update(GROUP, VM, models.VirtualMachineUpdate(tags={"a": "2"}))
        )

        assert (status, code) == (409, "Conflict")
        assert "concurrent request" in message
        assert refusal(lambda: vms.begin_deallocate(GROUP, VM))[:2] == (409, "Conflict")
        vms.begin_start(GROUP, "swap-linux-01").result()
        assert vms.get(GROUP, VM).tags == {"a": "1"}

    def test_a_locked_vm_is_not_touched(self, compute: ComputeManagementClient) -> None:
        vms = compute.virtual_machines

        assert refusal(lambda: vms.begin_deallocate(GROUP, "swap-readonly-01"))[:2] == (409, "ScopeLocked")
        assert refusal(lambda: vms.begin_delete(GROUP, "swap-kept-01"))[:2] == (409, "ScopeLocked")
        vms.begin_deallocate(GROUP, "swap-kept-01").result()


class TestRules:
    """What Azure refuses in a storage profile."""

    def test_the_os_disk_of_a_running_vm_is_not_swapped(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        new_os, *_ = (str(disk.id) for disk in restored(compute, azure, clock))

        found = refusal(lambda: compute.virtual_machines.begin_update(GROUP, VM, swap(new_os, {})))
        assert found[:2] == (409, "OperationNotAllowed")
        compute.virtual_machines.begin_power_off(GROUP, VM).result()
        compute.virtual_machines.begin_update(GROUP, VM, swap(new_os, {})).result()

    @pytest.mark.parametrize(
        ("vm", "expected"),
        [
            ("swap-trusted-01", (409, "PropertyChangeNotAllowed", "security type")),
            ("swap-gen1-01", (409, "PropertyChangeNotAllowed", "HyperVisor Generation 'V1'")),
            ("swap-zonal-01", (400, "BadRequest", "because it is not in zone '2'.")),
            ("swap-north-01", (400, "BadRequest", "location")),
            ("swap-ephemeral-01", (409, "PropertyChangeNotAllowed", "osDisk.managedDisk.id")),
            ("swap-encrypted-01", (409, "OSDiskSwapNotSupportedForVMsUsingDiskEncryption", "disk encryption")),
            ("swap-linux-01", (409, "PropertyChangeNotAllowed", "osDisk.osType")),
        ],
    )
    def test_the_os_disk_must_fit(
        self,
        compute: ComputeManagementClient,
        azure: Caller,
        clock: ManualClock,
        vm: str,
        expected: tuple[int, str, str],
    ) -> None:
        new_os, *_ = (str(disk.id) for disk in restored(compute, azure, clock))
        compute.virtual_machines.begin_power_off(GROUP, vm).result()

        status, code, message = refusal(lambda: compute.virtual_machines.begin_update(GROUP, vm, swap(new_os, {})))

        assert (status, code) == expected[:2]
        assert expected[2] in message

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"create_option": "Attach"}, "PropertyChangeNotAllowed"),
            ({"name": "swap-01_OsDisk"}, "PropertyChangeNotAllowed"),
            ({"managed_disk": models.ManagedDiskParameters(id=disk_id("nowhere"))}, "NotFound"),
            (
                {"managed_disk": models.ManagedDiskParameters(id=disk_id("swap-linux-01_DataDisk_0"))},
                "ConflictingUserInput",
            ),
            ({"managed_disk": models.ManagedDiskParameters(id=disk_id("swap-01_DataDisk_0"))}, "InvalidParameter"),
        ],
    )
    def test_what_cannot_be_changed_of_the_os_disk(
        self, compute: ComputeManagementClient, change: dict[str, Any], code: str
    ) -> None:
        compute.virtual_machines.begin_deallocate(GROUP, VM).result()
        os_disk = models.OSDisk(**{"create_option": "FromImage", **change})
        wanted = update(os_disk=os_disk)

        assert refusal(lambda: compute.virtual_machines.begin_update(GROUP, VM, wanted))[1] == code

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            ([attached(64, "new0")], (400, "InvalidParameter")),
            ([attached(7, "new0"), attached(7, "new1")], (400, "InvalidParameter")),
            ([attached(7, "new0"), attached(8, "new0")], (409, "ConflictingUserInput")),
            ([attached(0, "new0")], (409, "PropertyChangeNotAllowed")),
            ([attached(5, disk_id("swap-01_DataDisk_0"))], (409, "PropertyChangeNotAllowed")),
            ([attached(0, disk_id("swap-01_DataDisk_0"))], (409, "PropertyChangeNotAllowed")),
            ([attached(0, disk_id("swap-linux-01_DataDisk_0"))], (409, "ConflictingUserInput")),
            ([attached(0, disk_id("nowhere"))], (404, "NotFound")),
            (
                [models.DataDisk(lun=0, create_option="Empty", managed_disk=models.ManagedDiskParameters(id="new0"))],
                (400, "InvalidParameterConflictingProperties"),
            ),
            (
                [
                    models.DataDisk(
                        lun=0,
                        create_option="Attach",
                        disk_size_gb=1,
                        managed_disk=models.ManagedDiskParameters(id="new0"),
                    )
                ],
                (400, "BadRequest"),
            ),
        ],
    )
    def test_data_disks_must_fit(
        self,
        compute: ComputeManagementClient,
        azure: Caller,
        clock: ManualClock,
        wanted: list[models.DataDisk],
        expected: tuple[int, str],
    ) -> None:
        _, *new = (str(disk.id) for disk in restored(compute, azure, clock))
        for entry in wanted:
            assert entry.managed_disk is not None
            entry.managed_disk.id = {"new0": new[0], "new1": new[1]}.get(
                str(entry.managed_disk.id), entry.managed_disk.id
            )
        change = update(data_disks=wanted)

        assert refusal(lambda: compute.virtual_machines.begin_update(GROUP, VM, change))[:2] == expected

    def test_a_disk_on_its_way_is_no_other_vms(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        vms, new = compute.virtual_machines, str(restored(compute, azure, clock)[1].id)
        vms.begin_update(GROUP, VM, update(data_disks=[attached(7, new)]), polling=False)

        wanted = [update(data_disks=[attached(0, each)]) for each in (new, disk_id("swap-01_DataDisk_1"))]
        codes = [refusal(lambda w=each: vms.begin_update(GROUP, "swap-gen1-01", w))[1] for each in wanted]

        assert codes == ["ConflictingUserInput", "AttachDiskWhileBeingDetached"]
        assert refusal(lambda: compute.disks.begin_delete(GROUP, new.rpartition("/")[2]))[0] == 409

    def test_a_size_takes_so_many_data_disks(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        names = [str(disk.id) for _ in range(3) for disk in restored(compute, azure, clock)[1:]]
        wanted = update(data_disks=[attached(n, each) for n, each in enumerate(names)])

        found = refusal(lambda: compute.virtual_machines.begin_update(GROUP, "swap-gen1-01", wanted))

        message = "The maximum number of data disks allowed to be attached to a VM of this size is 4."
        assert found == (409, "OperationNotAllowed", message)


class TestDataDisks:
    def test_data_disks_are_attached_and_detached_while_the_vm_runs(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        new = str(restored(compute, azure, clock)[1].id)
        request = models.AttachDetachDataDisksRequest(
            data_disks_to_attach=[models.DataDisksToAttach(disk_id=new)],
            data_disks_to_detach=[models.DataDisksToDetach(disk_id=disk_id("swap-01_DataDisk_0"))],
        )

        profile = compute.virtual_machines.begin_attach_detach_data_disks(GROUP, VM, request).result()

        assert luns(profile) == luns(storage(compute)) == {1: "swap-01_DataDisk_1", 0: new.rpartition("/")[2]}
        assert compute.disks.get(GROUP, "swap-01_DataDisk_0").disk_state == "Unattached"

    def test_a_disk_that_is_not_attached_is_not_detached(self, compute: ComputeManagementClient) -> None:
        request = models.AttachDetachDataDisksRequest(
            data_disks_to_detach=[models.DataDisksToDetach(disk_id=disk_id("nowhere"))]
        )

        found = refusal(lambda: compute.virtual_machines.begin_attach_detach_data_disks(GROUP, VM, request))
        assert found[:2] == (409, "OperationNotAllowed")


class TestCreatingAndDeleting:
    @staticmethod
    def new_vm(os_disk: str, nic: str, **members: Any) -> models.VirtualMachine:
        reference = models.NetworkInterfaceReference(
            id=nic, properties=models.NetworkInterfaceReferenceProperties(delete_option="Delete")
        )
        properties = models.VirtualMachineProperties(
            hardware_profile=models.HardwareProfile(vm_size=members.pop("size", "Standard_D2s_v5")),
            storage_profile=models.StorageProfile(
                os_disk=models.OSDisk(
                    os_type="Windows",
                    create_option="Attach",
                    managed_disk=models.ManagedDiskParameters(id=os_disk),
                    delete_option="Delete",
                ),
                data_disks=members.pop("data_disks", []),
            ),
            os_profile=members.pop("os_profile", None),
            network_profile=models.NetworkProfile(network_interfaces=[reference]),
        )
        return models.VirtualMachine(location="westeurope", properties=properties, **members)

    def test_a_vm_is_made_of_disks_and_deleted_with_what_it_takes_along(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        os_disk, first, _ = (str(disk.id) for disk in restored(compute, azure, clock))
        nic = free_nic(azure)
        wanted = self.new_vm(os_disk, nic, data_disks=[attached(3, first)], tags={"made": "here"})

        vm = compute.virtual_machines.begin_create_or_update(GROUP, "new-01", wanted).result()

        assert (vm.provisioning_state, vm.tags) == ("Succeeded", {"made": "here"})
        assert power(compute, "new-01") == "PowerState/running"
        assert compute.disks.get(GROUP, first.rpartition("/")[2]).managed_by == vm.id
        compute.virtual_machines.begin_delete(GROUP, "new-01").result()
        with pytest.raises(ResourceNotFoundError):
            compute.virtual_machines.get(GROUP, "new-01")
        left = disks(compute)
        assert os_disk.rpartition("/")[2] not in left
        assert left[first.rpartition("/")[2]].disk_state == "Unattached"
        assert azure.simulator.world.store.get(nic) is None

    def test_words_are_taken_in_any_casing_as_az_writes_them(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        wanted = self.new_vm(str(restored(compute, azure, clock)[0].id), free_nic(azure))
        assert wanted.storage_profile is not None
        assert wanted.storage_profile.os_disk is not None
        wanted.storage_profile.os_disk.create_option = "attach"
        wanted.storage_profile.os_disk.os_type = "windows"

        vm = compute.virtual_machines.begin_create_or_update(GROUP, "new-01", wanted).result()

        assert vm.storage_profile is not None
        assert vm.storage_profile.os_disk is not None
        assert (vm.storage_profile.os_disk.create_option, vm.storage_profile.os_disk.os_type) == ("Attach", "Windows")

    def test_what_a_new_vm_must_have(self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock) -> None:
        create, nic = compute.virtual_machines.begin_create_or_update, free_nic(azure)
        os_disk = str(restored(compute, azure, clock)[0].id)
        (taken,) = nics(compute.virtual_machines.get(GROUP, VM))

        def code(vm: models.VirtualMachine) -> str:
            return refusal(lambda: create(GROUP, "new-01", vm))[1]

        assert code(self.new_vm(os_disk, f"{nic}-nowhere")) == "InvalidResourceReference"
        assert code(self.new_vm(os_disk, taken)) == "NicInUse"
        assert code(self.new_vm(os_disk, nic, size="Standard_Nowhere")) == "InvalidParameter"
        assert code(self.new_vm(os_disk, nic, zones=["3"])) == "BadRequest"
        both = self.new_vm(os_disk, nic, zones=["1"])
        assert both.properties is not None
        both.properties.availability_set = models.SubResource(id=f"{vm_id('x', GROUP)}-set")
        assert "both Availability Zone and Availability Set" in refusal(lambda: create(GROUP, "new-01", both))[2]
        assert code(self.new_vm(os_disk, nic, os_profile=models.OSProfile(computer_name="x"))) == "InvalidParameter"
        with pytest.raises(ResourceNotFoundError):
            compute.virtual_machines.get(GROUP, "new-01")

    def test_deleting_a_vm_leaves_its_disks(self, compute: ComputeManagementClient, clock: ManualClock) -> None:
        vms = compute.virtual_machines
        vms.begin_delete(GROUP, VM, polling=False)
        assert vms.get(GROUP, VM).provisioning_state == "Deleting"
        found = refusal(lambda: vms.begin_update(GROUP, VM, models.VirtualMachineUpdate(tags={})))
        assert "marked for deletion" in found[2]
        clock.advance(26)

        with pytest.raises(ResourceNotFoundError):
            vms.get(GROUP, VM)
        assert disks(compute)["swap-01_DataDisk_0"].disk_state == "Unattached"
        vms.begin_delete(GROUP, VM).result()  # the second time there is nothing to do

    def test_put_of_a_vm_replaces_its_data_disks(self, compute: ComputeManagementClient) -> None:
        vm = compute.virtual_machines.get(GROUP, VM)
        assert vm.storage_profile is not None
        vm.storage_profile.data_disks = (vm.storage_profile.data_disks or [])[:1]

        compute.virtual_machines.begin_create_or_update(GROUP, VM, vm).result()

        assert luns(storage(compute)) == {0: "swap-01_DataDisk_0"}

        del vm["properties"]["storageProfile"]["dataDisks"]
        compute.virtual_machines.begin_create_or_update(GROUP, VM, vm).result()

        assert luns(storage(compute)) == {}

    def test_a_size_boots_some_generations_alone(self, compute: ComputeManagementClient, azure: Caller) -> None:
        os_disk = storage(compute, "swap-gen1-01").os_disk
        assert os_disk is not None
        assert os_disk.managed_disk is not None
        compute.virtual_machines.begin_delete(GROUP, "swap-gen1-01").result()
        wanted = self.new_vm(str(os_disk.managed_disk.id), free_nic(azure), size="Standard_D2s_v6")

        found = refusal(lambda: compute.virtual_machines.begin_create_or_update(GROUP, "new-01", wanted))

        assert found[:2] == (400, "BadRequest")
        assert "'Standard_D2s_v6' cannot boot Hypervisor Generation '1'" in found[2]

    def test_an_operation_may_outlive_its_vm(self, compute: ComputeManagementClient, secure: Simulator) -> None:
        compute.virtual_machines.begin_update(GROUP, VM, update(data_disks=[]), polling=False)

        secure.world.store.remove(vm_id(VM, GROUP))  # as the deletion of its group does

        compute.virtual_machines.begin_start(GROUP, "swap-linux-01").result()


def test_vms_and_disks_have_their_members_in_the_recorded_order(azure: Caller) -> None:
    vm = azure.get(vm_id("web-01"), **{"api-version": "2024-11-01"}).json()
    os_disk = vm["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    disk = azure.get(os_disk, **{"api-version": "2025-01-02"}).json()

    assert (list(vm)[:6], vm["tags"]) == (["name", "id", "type", "location", "tags", "properties"], {})
    assert list(disk) == ["managedBy", "name", "id", "type", "location", "tags", "sku", "properties"]
    assert (list(disk["properties"])[:3], disk["tags"]) == (["osType", "hyperVGeneration", "creationData"], {})


def free_nic(azure: Caller) -> str:
    """Put a network interface that no VM has into the group; return its id."""
    nic = f"{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/networkInterfaces/free-nic"
    body = {"id": nic, "name": "free-nic", "type": "Microsoft.Network/networkInterfaces", "location": "westeurope"}
    azure.simulator.world.store.put({**body, "properties": {}})
    return nic


class TestRestoreJobs:
    def test_a_job_makes_a_vm_with_disks_and_nic(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        job_id = azure.restored_job(VM, GROUP, **new_vm_members("swap-r"))
        clock.advance(200)

        vm = compute.virtual_machines.get("restored-rg", "swap-r")

        assert vm.storage_profile is not None
        made = disks(compute, "restored-rg")
        assert len(luns(vm.storage_profile)) == 2
        assert {disk.managed_by for disk in made.values()} == {vm.id}
        assert {(disk.tags or {})["RSVaultBackup"] for disk in made.values()} == {job_id}
        (nic,) = nics(vm)
        assert nic.startswith(f"{TARGET_GROUP}/providers/Microsoft.Network/networkInterfaces/swap-r-nic-")
        assert azure.simulator.world.store.get(nic)

    def test_a_job_in_place_takes_the_vm_down_and_gives_it_other_disks(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        former = luns(storage(compute))
        later = str(restored(compute, azure, clock)[1].id)
        wanted = models.AttachDetachDataDisksRequest(
            data_disks_to_attach=[models.DataDisksToAttach(disk_id=later, lun=5)]
        )
        compute.virtual_machines.begin_attach_detach_data_disks(GROUP, VM, wanted).result()
        job_id = azure.restored_job(VM, GROUP, recoveryType="OriginalLocation")
        clock.advance(30)
        before = power(compute)
        clock.advance(60)
        meanwhile = power(compute)
        clock.advance(900)

        after = luns(storage(compute))
        assert (before, meanwhile, power(compute)) == (
            "PowerState/running",
            "PowerState/deallocated",
            "PowerState/running",
        )
        now = disks(compute)
        assert after.pop(5) == later.rpartition("/")[2]
        assert {(now[name].tags or {})["RSVaultBackup"] for name in after.values()} == {job_id}
        assert {now[name].disk_state for name in former.values()} == {"Unattached"}

    def test_a_job_that_fails_early_leaves_the_vm_alone(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock, secure: Simulator
    ) -> None:
        secure.world.set_faults(VM, {"jobFailed": {"afterSeconds": 5}})
        azure.restored_job(VM, GROUP, recoveryType="OriginalLocation")
        clock.advance(100)

        assert power(compute) == "PowerState/running"

    @pytest.mark.parametrize(("zones", "found"), [(None, ["1"]), (["3"], ["3"]), (["NoZone"], None)])
    def test_disks_and_vm_come_to_the_zone_that_is_asked_for(
        self,
        compute: ComputeManagementClient,
        azure: Caller,
        clock: ManualClock,
        zones: list[str] | None,
        found: list[str] | None,
    ) -> None:
        azure.restored_job("zonal-01", "rules-rg", vault=ZRS, zones=zones, **new_vm_members("zonal-r"))
        clock.advance(200)

        vm = compute.virtual_machines.get("restored-rg", "zonal-r")

        assert vm.zones == found
        assert [disk.zones for disk in disks(compute, "restored-rg").values() if disk.managed_by == vm.id] == [found]


class TestRunCommands:
    @staticmethod
    def command(**members: Any) -> models.VirtualMachineRunCommand:
        source = models.VirtualMachineRunCommandScriptSource(script="hostname")
        properties = models.VirtualMachineRunCommandProperties(source=source, **members)
        return models.VirtualMachineRunCommand(location="westeurope", properties=properties)

    def test_a_script_runs_to_its_end(self, compute: ComputeManagementClient, secure: Simulator) -> None:
        secure.world.set_faults(VM, {"runCommand": {"exitCode": 3, "output": "out", "error": "bad"}})
        commands = compute.virtual_machine_run_commands

        made = commands.begin_create_or_update(GROUP, VM, "check", self.command()).result()

        view = commands.get_by_virtual_machine(GROUP, VM, "check", expand="instanceView").instance_view
        assert view is not None
        assert (made.provisioning_state, view.execution_state, view.exit_code) == ("Succeeded", "Failed", 3)
        assert (view.output, view.error) == ("out", "bad")
        assert [each.name for each in commands.list_by_virtual_machine(GROUP, VM)] == ["check"]
        commands.begin_delete(GROUP, VM, "check").result()
        assert list(commands.list_by_virtual_machine(GROUP, VM)) == []

    @pytest.mark.parametrize(("timeout_s", "end"), [(600, "Succeeded"), (60, "TimedOut")])
    def test_a_script_may_outlast_its_command(
        self, compute: ComputeManagementClient, clock: ManualClock, secure: Simulator, timeout_s: int, end: str
    ) -> None:
        secure.world.set_faults(VM, {"runCommand": {"seconds": 300}})
        commands = compute.virtual_machine_run_commands

        def state() -> str | None:
            view = commands.get_by_virtual_machine(GROUP, VM, "long", expand="instanceView").instance_view
            return view.execution_state if view else None

        wanted = self.command(async_execution=True, timeout_in_seconds=timeout_s)
        commands.begin_create_or_update(GROUP, VM, "long", wanted).result()
        running = state()
        clock.advance(400)

        assert (running, state()) == ("Running", end)

    def test_a_script_needs_a_running_vm_with_an_agent(self, compute: ComputeManagementClient) -> None:
        commands, vms = compute.virtual_machine_run_commands, compute.virtual_machines
        vms.begin_deallocate(GROUP, VM).result()
        found = refusal(lambda: commands.begin_create_or_update(GROUP, VM, "check", self.command()))
        assert found[:2] == (409, "OperationNotAllowed")

        vms.begin_start(GROUP, VM, polling_interval=20).result()
        with pytest.raises(HttpResponseError, match="VMAgentStatusCommunicationError"):
            commands.begin_create_or_update(GROUP, VM, "check", self.command()).result()


class TestLimits:
    def test_a_vm_takes_twelve_updates_and_then_some_each_minute(
        self, compute: ComputeManagementClient, azure: Caller, clock: ManualClock
    ) -> None:
        start = f"{vm_id(VM, GROUP)}/start"
        answers = [azure.post(start) for _ in range(13)]

        left = "x-ms-ratelimit-remaining-resource"
        assert answers[0].headers[left] == (
            "Microsoft.Compute/UpdateVMSubscriptionMaximum;1499,Microsoft.Compute/UpdateVMResource;11"
        )
        assert [answer.status_code for answer in answers] == [202] * 12 + [429]
        refused = answers[-1]
        assert refused.headers["Retry-After"] == "15"
        assert refused.json()["error"]["details"][0]["target"] == "UpdateVMResource"
        clock.advance(15)
        compute.virtual_machines.begin_start(GROUP, VM).result()

    def test_operations_are_followed_by_two_addresses(self, azure: Caller, clock: ManualClock) -> None:
        answer = azure.post(f"{vm_id(VM, GROUP)}/deallocate")

        assert (answer.status_code, answer.content) == (202, b"")
        assert answer.headers["azure-asyncnotification"] == "Enabled"
        status, result = answer.headers["Azure-AsyncOperation"], answer.headers["Location"]
        assert "/providers/Microsoft.Compute/locations/westeurope/operations/" in status
        assert "&monitor=true&" in result
        assert set(azure.get(status).json()) == {"startTime", "status", "name"}
        assert azure.get(result).status_code == 202
        clock.advance(8)
        done = azure.get(status).json()
        assert (done["status"], done["endTime"][-6:]) == ("Succeeded", "+00:00")
        assert (azure.get(result).status_code, azure.get(result).content) == (200, b"")

    def test_an_answer_may_be_lost(self, compute: ComputeManagementClient, secure: Simulator) -> None:
        secure.world.set_faults(VM, {"lostAnswers": {"count": 1}})
        assert power(compute) == "PowerState/running"

        with pytest.raises(Exception, match="Connection"):
            compute.virtual_machines.begin_deallocate(GROUP, VM)

        assert power(compute) == "PowerState/deallocating"

    def test_an_operation_may_take_long(
        self, compute: ComputeManagementClient, clock: ManualClock, secure: Simulator
    ) -> None:
        secure.world.set_faults(VM, {"slowCompute": {"seconds": 600, "actions": ["start_vm"]}})
        compute.virtual_machines.begin_deallocate(GROUP, VM).result()
        compute.virtual_machines.begin_start(GROUP, VM, polling=False)

        clock.advance(599)
        assert power(compute) == "PowerState/starting"
        clock.advance(1)
        assert power(compute) == "PowerState/running"
