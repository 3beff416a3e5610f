"""A resource group as Azure keeps it, on a clock that skips: VMs, interfaces, deployments and disks, made over time.

The app's own activities run against it. Calls can fail, get lost, or be made twice; it refuses what Azure refuses, and
notes all that was written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from activities.new_machines import NewMachineActivities
from activities.virtual_machines import VirtualMachineActivities
from domain import errors
from domain.answers import Accepted, Answer
from domain.azure.deployments import RESTORE_TAG, Deployment, MadeResource
from domain.azure.disks import Disk
from domain.azure.virtual_machines import AttachedDisk, VirtualMachine
from domain.errors import ErrorDetail, TerminalError, TransientError
from domain.follow_up.calls import ChangeStatus
from simulator.providers.resources.restored_vm_template import restored_vm_template
from tests.support.azure import TARGET_GROUP
from tests.support.compute import Later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from domain.errors import Json
    from domain.follow_up.creation_calls import PutNetworkInterface, PutVirtualMachine
    from tests.support.azure import Clock
    from tests.support.player import Player

DISKS: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/disks"
OS_DISK: Final = f"{DISKS}/web01-osdisk-20261123-080000"
DATA_DISK: Final = f"{DISKS}/web01-datadisk-000-20261123-080000"
NEW_VM: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/web-02"
INTERFACE: Final = f"{TARGET_GROUP}/providers/Microsoft.Network/networkInterfaces/web-02-nic"
SUBNET: Final = f"{TARGET_GROUP}/providers/Microsoft.Network/virtualNetworks/restored-vnet/subnets/default"
RECOVERY_VM: Final = f"{TARGET_GROUP}/providers/Microsoft.Compute/virtualMachines/recovery-01"
TAKES: Final = {
    "interface": timedelta(seconds=3),
    "vm": timedelta(seconds=40),
    "power": timedelta(seconds=15),
    "attach": timedelta(seconds=10),
    "delete": timedelta(seconds=2),
    "deployment": timedelta(seconds=60),
}
WRITES: Final = frozenset(
    {
        "put_deployment",
        "put_network_interface",
        "put_virtual_machine",
        "attach_disks",
        "delete_disk",
        "start_virtual_machine",
        "deallocate_virtual_machine",
    }
)


def template_of(os_disk: str = "web01-osdisk-20261123-080000", **members: Any) -> bytes:
    """Return the template that a job writes for a VM of its disks."""
    template = restored_vm_template(
        location="westeurope",
        vm_size="Standard_D2s_v5",
        os_type="Linux",
        disks_group="restored-rg",
        os_disk=os_disk,
        data_disks=[(0, "web01-datadisk-000-20261123-080000")],
    )
    return json.dumps({**template, **members}).encode()


@dataclass(slots=True, kw_only=True)
class _Change:
    number: int
    ends: datetime
    finish: Callable[[], None]
    error: TerminalError | None


@dataclass(slots=True, kw_only=True)
class MemoryCloud:
    """A resource group with the two disks of a job, and a recovery VM that runs.

    ``fails`` has, by the name of a method, what becomes of each such call in turn: an error that refuses it, ``"lost"``
    (it happens, but its answer does not arrive), ``"died"`` (it happens, and the worker dies), an error in ``Later``
    (it is accepted, and its operation fails), any other exception (the worker dies before the call), or ``None``.
    ``lags_s``: so long a reading of a VM shows what was.
    """

    clock: Clock
    template: bytes = field(default_factory=template_of)
    vms: dict[str, VirtualMachine] = field(default_factory=dict[str, VirtualMachine])
    others: dict[str, MadeResource] = field(default_factory=dict[str, MadeResource])
    deployments: dict[str, Deployment] = field(default_factory=dict[str, Deployment])
    disks: dict[str, Disk] = field(default_factory=dict[str, Disk])
    fails: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    before: dict[str, list[Callable[[], object]]] = field(default_factory=dict[str, "list[Callable[[], object]]"])
    calls: list[tuple[datetime, str, Any]] = field(default_factory=list[Any])
    lags_s: float = 0.0
    _changes: list[_Change] = field(default_factory=list[_Change])
    _ended: list[_Change] = field(default_factory=list[_Change])
    _shown: dict[str, tuple[datetime, VirtualMachine | None]] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, player: Player, **members: Any) -> MemoryCloud:
        """Return a cloud whose activities the player's restores call."""
        cloud = cls(clock=player.clock, **members)
        player._activities |= cloud.activities()
        return cloud

    def __post_init__(self) -> None:
        self.disks = {
            OS_DISK: a_disk(OS_DISK, is_os_disk=True, os_type="Linux"),
            DATA_DISK: a_disk(DATA_DISK),
            **self.disks,
        }
        self.vms = {RECOVERY_VM: a_vm(RECOVERY_VM, f"{DISKS}/recovery-os"), **self.vms}

    def activities(self) -> dict[str, Callable[[Json], Json]]:
        """Return the app's activities over this cloud."""
        api: Any = self
        return {
            **VirtualMachineActivities(api, clock=self.clock.now).by_name(),
            **NewMachineActivities(api, clock=self.clock.now).by_name(),
        }

    @property
    def now(self) -> datetime:
        """The time."""
        return self.clock.now()

    def writes(self) -> list[str]:
        """Return the calls that change something, in their order."""
        return [name for _, name, _ in self.calls if name in WRITES]

    def job_made(self, job_id: str) -> None:
        """Tag the disks with the job that made them."""
        self.disks |= {
            key: replace(disk, made_by_job=job_id) for key, disk in self.disks.items() if key in {OS_DISK, DATA_DISK}
        }

    # The calls

    def _call(self, name: str, argument: Any) -> Any:
        self.settle()
        self.calls.append((self.now, name, argument))
        for act in (self.before.get(name) or [])[:1]:
            self.before[name].pop(0)
            act()
        fate = self.fails[name].pop(0) if self.fails.get(name) else None
        if isinstance(fate, Exception):
            raise fate
        return fate

    def _answer[T](self, fate: Any, value: T) -> T:
        if fate == "lost" or (isinstance(fate, Later) and fate.is_lost):
            raise TransientError(errors.SERVICE_UNAVAILABLE, "no answer")
        if fate == "died":
            raise RuntimeError("the worker died")
        return value

    def read_blob(self, account: str, uri: str) -> bytes:
        fate = self._call("read_blob", (account, uri))
        return self._answer(fate, self.template)

    def get_virtual_machine(self, vm_id: str) -> Answer[VirtualMachine]:
        fate = self._call("get_virtual_machine", vm_id)
        vm = self._seen(vm_id)
        if vm is None:
            raise TerminalError(errors.NOT_FOUND, f"Azure does not find {vm_id}.")
        return self._answer(fate, Answer(vm))

    def get_disk(self, disk_id: str) -> Answer[Disk | None]:
        fate = self._call("get_disk", disk_id)
        disk = self.disks.get(disk_id)
        owner = next((vm.vm_id for vm in self.vms.values() if disk_id in {held.disk_id for held in vm.disks}), None)
        return self._answer(fate, Answer(None if disk is None else replace(disk, attached_to=owner)))

    def get_compute_operation(self, url: str) -> Answer[ChangeStatus]:
        fate = self._call("get_compute_operation", url)
        number = int(url.rpartition("/")[2])
        ended = next((change for change in self._ended if change.number == number), None)
        error = None if ended is None or ended.error is None else ended.error.to_json()
        return self._answer(fate, Answer(ChangeStatus(is_running=ended is None, error=error)))

    def get_deployment(self, group_id: str, name: str) -> Answer[Deployment | None]:
        fate = self._call("get_deployment", (group_id, name))
        return self._answer(fate, Answer(self.deployments.get(name)))

    def get_made_resource(self, resource_id: str) -> Answer[MadeResource | None]:
        fate = self._call("get_made_resource", resource_id)
        vm = self.vms.get(resource_id)
        found = self.others.get(resource_id)
        if vm is not None:
            found = MadeResource(is_changing=vm.is_changing, has_failed=vm.has_failed, restore_id=vm.restore_id)
        return self._answer(fate, Answer(found))

    def put_deployment(self, group_id: str, name: str, template: Json) -> Accepted:
        fate = self._call("put_deployment", name)
        known = self.deployments.get(name)
        if known is not None and known.is_running:
            raise TerminalError(errors.RESTORE_REFUSED, "m", [ErrorDetail(code="DeploymentActive", message="m")])
        resources = [(f"{group_id}/providers/{body['type']}/{body['name']}", body) for body in template["resources"]]
        machine = next(body for _, body in resources if body["type"].endswith("virtualMachines"))
        ids = tuple(resource_id for resource_id, _ in resources)
        self.deployments[name] = Deployment(is_running=True, made=ids)

        def make_others() -> None:
            for resource_id, body in resources:
                if body is not machine:
                    tag = body["tags"][RESTORE_TAG]
                    self.others[resource_id] = MadeResource(is_changing=False, has_failed=False, restore_id=tag)

        def finish() -> None:
            make_others()
            vm_id = next(resource_id for resource_id, body in resources if body is machine)
            self._make_vm(vm_id, machine, machine["tags"][RESTORE_TAG])
            self.deployments[name] = Deployment(is_running=False, made=ids)

        def fail(error: TerminalError) -> None:
            make_others()
            self.deployments[name] = Deployment(is_running=False, made=ids, error=error.to_json())

        return self._answer(fate, self._begin("deployment", name, finish, fate, fail=fail))

    def put_network_interface(self, call: PutNetworkInterface) -> Accepted:
        fate = self._call("put_network_interface", call)
        made = MadeResource(is_changing=True, has_failed=False, restore_id=call.restore_id)
        self.others[call.interface_id] = made

        def finish() -> None:
            self.others[call.interface_id] = replace(made, is_changing=False)

        def fail(_error: TerminalError) -> None:
            self.others[call.interface_id] = replace(made, is_changing=False, has_failed=True)

        return self._answer(fate, self._begin("interface", call.interface_id, finish, fate, fail=fail))

    def put_virtual_machine(self, call: PutVirtualMachine) -> Accepted:
        fate = self._call("put_virtual_machine", call)
        if call.vm_id in self.vms:
            raise TransientError(errors.MACHINE_BUSY, "412: there is such a VM")
        interface = self.others.get(call.interface_id)
        if interface is None or interface.is_changing:
            raise TerminalError(errors.RESTORE_REFUSED, "InvalidResourceReference")
        self._check_free((call.os_disk_id, *(place.disk_id for place in call.data_disks)))
        self.vms[call.vm_id] = replace(
            a_vm(call.vm_id, call.os_disk_id, *((place.lun, place.disk_id) for place in call.data_disks)),
            size=call.size,
            zone=call.zone,
            power="starting",
            is_changing=True,
            restore_id=call.restore_id,
        )
        return self._answer(fate, self._begin("vm", call.vm_id, lambda: self._set_power(call.vm_id, "running"), fate))

    def start_virtual_machine(self, vm_id: str) -> Accepted:
        return self._power("start_virtual_machine", vm_id, "running")

    def deallocate_virtual_machine(self, vm_id: str) -> Accepted:
        return self._power("deallocate_virtual_machine", vm_id, "deallocated")

    def attach_disks(self, vm_id: str, disk_ids: Iterable[str]) -> Accepted:
        wanted = tuple(disk_ids)
        fate = self._call("attach_disks", wanted)
        self._check_idle(vm_id)
        self._check_free(wanted)
        vm = self.vms[vm_id]
        self.vms[vm_id] = replace(vm, is_changing=True)

        def finish() -> None:
            present = self.vms[vm_id]
            taken = {disk.lun for disk in present.data_disks}
            free = (lun for lun in range(64) if lun not in taken)
            new = tuple(_attached(disk_id, next(free)) for disk_id in wanted)
            self.vms[vm_id] = replace(present, data_disks=(*present.data_disks, *new), is_changing=False)

        return self._answer(fate, self._begin("attach", vm_id, finish, fate))

    def delete_disk(self, disk_id: str) -> Accepted:
        fate = self._call("delete_disk", disk_id)
        return self._answer(fate, self._begin("delete", disk_id, lambda: self.disks.pop(disk_id, None), fate))

    # How it works

    def settle(self) -> None:
        """End the changes whose time is over."""
        for change in [running for running in self._changes if running.ends <= self.now]:
            self._changes.remove(change)
            self._ended.append(change)
            change.finish()

    def make_foreign_change(self, vm_id: str = RECOVERY_VM) -> None:
        """Let somebody else change a VM for some time, if no change runs."""
        if self.vms[vm_id].is_changing:
            return
        self.vms[vm_id] = replace(self.vms[vm_id], is_changing=True)
        self._begin("power", vm_id, lambda: self._set_changing(vm_id, is_changing=False), None)

    def _seen(self, vm_id: str) -> VirtualMachine | None:
        known = self._shown.get(vm_id)
        if known is not None and (self.now - known[0]).total_seconds() < self.lags_s:
            return known[1]
        self._shown[vm_id] = self.now, self.vms.get(vm_id)
        return self.vms.get(vm_id)

    def _power(self, name: str, vm_id: str, power: str) -> Accepted:
        fate = self._call(name, vm_id)
        self._check_idle(vm_id)
        self.vms[vm_id] = replace(self.vms[vm_id], is_changing=True)
        return self._answer(fate, self._begin("power", vm_id, lambda: self._set_power(vm_id, power), fate))

    def _set_power(self, vm_id: str, power: str) -> None:
        self.vms[vm_id] = replace(self.vms[vm_id], power=power, is_changing=False, has_failed=False)

    def _set_changing(self, vm_id: str, *, is_changing: bool) -> None:
        self.vms[vm_id] = replace(self.vms[vm_id], is_changing=is_changing)

    def _make_vm(self, vm_id: str, body: Json, tag: str) -> None:
        profile = body["properties"]["storageProfile"]
        data = ((disk["lun"], disk["managedDisk"]["id"]) for disk in profile["dataDisks"])
        self.vms[vm_id] = replace(a_vm(vm_id, profile["osDisk"]["managedDisk"]["id"], *data), restore_id=tag)

    def _check_idle(self, vm_id: str) -> None:
        if self.vms[vm_id].is_changing:
            raise TransientError(errors.MACHINE_BUSY, "409: another operation runs")

    def _check_free(self, disk_ids: Iterable[str]) -> None:
        held = {disk.disk_id for vm in self.vms.values() for disk in vm.disks}
        for disk_id in disk_ids:
            if disk_id not in self.disks:
                raise TerminalError(errors.NOT_FOUND, f"Disk {disk_id} is not found.")
            if disk_id in held:
                raise TerminalError(errors.RESTORE_REFUSED, "ConflictingUserInput: a VM has the disk")

    def _begin(
        self,
        what: str,
        resource_id: str,
        finish: Callable[[], object],
        fate: Any,
        *,
        fail: Callable[[TerminalError], None] | None = None,
    ) -> Accepted:
        number = len(self._changes) + len(self._ended) + 1
        error = fate.error if isinstance(fate, Later) else None

        def end() -> None:
            if error is None:
                finish()
            elif fate.shows:
                finish()
                self.vms[resource_id] = replace(
                    self.vms[resource_id], has_failed=True, failure=f"{error.code}: {error.message}"
                )
            elif fail is not None:
                fail(error)
            elif resource_id in self.vms:
                failed = what == "vm"
                power = "stopped" if failed else self.vms[resource_id].power
                self.vms[resource_id] = replace(
                    self.vms[resource_id], is_changing=False, has_failed=failed, power=power
                )

        ends = self.now + TAKES[what]
        self._changes.append(_Change(number=number, ends=ends, finish=end, error=error))
        url = f"https://management.azure.com/operations/{number}"
        return Accepted(operation_id=str(number), url=url, retry_after_s=None)


def a_disk(disk_id: str, **members: Any) -> Disk:
    """Return a restored disk that no VM has."""
    usual = {"name": disk_id.rpartition("/")[2], "is_os_disk": False, "disk_id": disk_id, "location": "westeurope"}
    return Disk(**{**usual, **members})


def a_vm(vm_id: str, os_disk: str, *data_disks: tuple[int, str]) -> VirtualMachine:
    """Return a VM that runs."""
    return VirtualMachine(
        vm_id=vm_id,
        location="westeurope",
        size="Standard_D2s_v5",
        zone=None,
        os_disk=_attached(os_disk, None),
        data_disks=tuple(_attached(disk_id, lun) for lun, disk_id in data_disks),
        os_create_option="Attach",
        os_type="Linux",
        power="running",
    )


def _attached(disk_id: str, lun: int | None) -> AttachedDisk:
    return AttachedDisk(lun=lun, disk_id=disk_id, name=disk_id.rpartition("/")[2], options={})
